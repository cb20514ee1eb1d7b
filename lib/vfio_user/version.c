/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/version.h"

#include <errno.h>
#include <json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/vfio_user/vfio_user.h"

#define MAX_DEPTH 8

/* A key that is absent leaves the default. */
static int
get_int(struct json_object *caps, const char *key, int64_t min, int64_t max, unsigned int bit,
	unsigned int *named, int64_t *value)
{
	struct json_object *obj;

	if (!json_object_object_get_ex(caps, key, &obj))
		return 0;
	if (!json_object_is_type(obj, json_type_int))
		return -EINVAL;
	*value = json_object_get_int64(obj); /* saturates */
	if (*value < min || *value > max)
		return -EINVAL;
	*named |= bit;
	return 0;
}

static int
read_capabilities(struct json_object *root, struct vfu_caps *caps)
{
	struct json_object *obj;
	int64_t fds = caps->max_msg_fds, maps = caps->max_dma_maps;
	int64_t xfer = (int64_t)caps->max_data_xfer, pgsizes = (int64_t)caps->pgsizes;

	if (!json_object_is_type(root, json_type_object))
		return -EINVAL;
	if (!json_object_object_get_ex(root, "capabilities", &obj))
		return 0;
	if (!json_object_is_type(obj, json_type_object))
		return -EINVAL;
	if (get_int(obj, "max_msg_fds", 0, 1024, VFU_CAP_MAX_MSG_FDS, &caps->named, &fds) < 0 ||
		get_int(obj, "max_data_xfer_size", 4096, INT64_MAX, VFU_CAP_MAX_DATA_XFER,
			&caps->named, &xfer) < 0 ||
		get_int(obj, "max_dma_maps", 1, VFIO_USER_MAX_DMA_MAPS, VFU_CAP_MAX_DMA_MAPS,
			&caps->named, &maps) < 0 ||
		get_int(obj, "pgsizes", 1, INT64_MAX, VFU_CAP_PGSIZES, &caps->named, &pgsizes) < 0)
		return -EINVAL;
	if (!(pgsizes & VFIO_USER_PAGE))
		return -EINVAL;
	caps->max_msg_fds = (uint32_t)fds;
	caps->max_dma_maps = (uint32_t)maps;
	caps->max_data_xfer = (uint64_t)xfer;
	caps->pgsizes = (uint64_t)pgsizes;
	return 0;
}

int
vfu_caps_parse(const char *json, size_t len, struct vfu_caps *caps)
{
	struct json_tokener *tok;
	struct json_object *root;
	int ret;

	*caps = (struct vfu_caps){.max_msg_fds = 1,
		.max_dma_maps = VFIO_USER_MAX_DMA_MAPS,
		.max_data_xfer = 1048576,
		.pgsizes = VFIO_USER_PAGE};
	if (len == 0)
		return 0;
	/* One NUL, at the end. */
	if (len > VFIO_USER_MAX_JSON || memchr(json, '\0', len) != json + len - 1)
		return -EINVAL;
	tok = json_tokener_new_ex(MAX_DEPTH + 1); /* scalars count as a level */
	if (tok == NULL)
		return -ENOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	root = json_tokener_parse_ex(tok, json, (int)len);
	ret = json_tokener_get_error(tok) == json_tokener_success ? read_capabilities(root, caps)
								  : -EINVAL;
	json_object_put(root);
	json_tokener_free(tok);
	return ret;
}

__attribute__((format(printf, 4, 5))) static void
append(char *json, size_t size, size_t *len, const char *format, ...)
{
	va_list ap;
	int n;

	if (*len >= size)
		return;
	va_start(ap, format);
	n = vsnprintf(json + *len, size - *len, format, ap);
	va_end(ap);
	*len += n > 0 ? (size_t)n : 0;
}

size_t
vfu_caps_format(char *json, size_t size, uint32_t max_msg_fds, unsigned int named)
{
	const struct {
		const char *key;
		unsigned int bit;
		uint32_t value;
	} keys[] = {
		{"max_msg_fds", VFU_CAP_MAX_MSG_FDS, max_msg_fds},
		{"max_data_xfer_size", VFU_CAP_MAX_DATA_XFER, VFIO_USER_MAX_DATA_XFER},
		{"max_dma_maps", VFU_CAP_MAX_DMA_MAPS, VFIO_USER_MAX_DMA_MAPS},
		{"pgsizes", VFU_CAP_PGSIZES, VFIO_USER_PAGE},
	};
	const char *comma = "";
	size_t len = 0;

	append(json, size, &len, "{\"capabilities\":{");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!(named & keys[i].bit))
			continue;
		append(json, size, &len, "%s\"%s\":%u", comma, keys[i].key, keys[i].value);
		comma = ",";
	}
	append(json, size, &len, "}}");
	return len < size ? len + 1 : size;
}
