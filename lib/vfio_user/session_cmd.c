/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's commands: every field of a request is checked here, then the device is asked (§4,
 * §5). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/vfio_user/dma_file.h"
#include "lib/vfio_user/session.h"
#include "lib/vfio_user/signal.h"
#include "lib/vfio_user/version.h"

/* Guest addresses end here, §12. */
#define DMA_ADDRESS_END (UINT64_C(1) << 56)

int
vfu_session_version(struct vfu_session *s, uint32_t len)
{
	struct vfio_user_version v;
	struct vfu_caps caps;
	uint8_t *reply = vfu_session_payload(s);
	int ret;

	if (len < sizeof(v))
		return -EINVAL;
	memcpy(&v, s->body, sizeof(v));
	if (v.major != VFIO_USER_MAJOR)
		return -EINVAL;
	ret = vfu_caps_parse((char *)s->body + sizeof(v), len - sizeof(v), &caps);
	if (ret < 0)
		return ret;
	s->peer_max_fds = caps.max_msg_fds;
	s->peer_max_xfer = caps.max_data_xfer;
	if (s->device->ops->opened != NULL) {
		ret = s->device->ops->opened(s->device->ctx, s);
		if (ret < 0)
			return ret;
	}
	if (v.minor > VFIO_USER_MINOR)
		v.minor = VFIO_USER_MINOR;
	memcpy(reply, &v, sizeof(v));
	if (len == sizeof(v))
		return sizeof(v);
	return (int)(sizeof(v) + vfu_caps_format((char *)reply + sizeof(v), VFIO_USER_MAX_JSON,
					 VFIO_USER_SERVER_MAX_FDS, caps.named));
}

static int
get_info(struct vfu_session *s, uint32_t len)
{
	struct vfio_user_device_info r;

	if (len < sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	if (r.argsz < sizeof(r))
		return -EINVAL;
	r = (struct vfio_user_device_info){
		sizeof(r), s->device->flags, s->device->num_regions, s->device->num_irqs};
	memcpy(vfu_session_payload(s), &r, sizeof(r));
	return sizeof(r);
}

/* What the device says about a region; size 0 for one that is not there. */
static int
ask_region(struct vfu_session *s, uint32_t index, struct vfu_region_desc *desc)
{
	int ret;

	*desc = (struct vfu_region_desc){.fd = -1};
	if (index >= s->device->num_regions)
		return -EINVAL;
	ret = s->device->ops->region_info(s->device->ctx, index, desc);
	if (ret == 0 && desc->size == 0)
		*desc = (struct vfu_region_desc){.fd = -1};
	return ret;
}

static int
get_region_info(struct vfu_session *s, uint32_t len)
{
	struct {
		struct vfio_user_region_info info;
		struct vfio_user_cap_type type;
	} r;
	struct vfu_region_desc desc;
	uint32_t room, full = sizeof(r.info);
	int ret;

	if (len < sizeof(r.info))
		return -EINVAL;
	memcpy(&r.info, s->body, sizeof(r.info));
	room = r.info.argsz;
	if (room < sizeof(r.info))
		return -EINVAL;
	ret = ask_region(s, r.info.index, &desc);
	if (ret < 0)
		return ret;
	r.info = (struct vfio_user_region_info){.flags = desc.flags,
		.index = r.info.index,
		.size = desc.size,
		.offset = desc.offset};
	if (desc.type != 0) {
		r.info.flags |= VFIO_USER_REGION_FLAG_CAPS;
		full = sizeof(r);
		r.type = (struct vfio_user_cap_type){
			{VFIO_USER_CAP_TYPE, 1, 0}, desc.type, desc.subtype};
	}
	r.info.argsz = full;
	if (full > sizeof(r.info) && room >= full)
		r.info.cap_offset = sizeof(r.info);
	if ((desc.flags & VFIO_USER_REGION_FLAG_MMAP) && desc.fd >= 0 && s->peer_max_fds > 0) {
		s->out.fds[0] = desc.fd;
		s->out.n_fds = 1;
	}
	len = room >= full ? full : sizeof(r.info);
	memcpy(vfu_session_payload(s), &r, len);
	return (int)len;
}

static int
get_irq_info(struct vfu_session *s, uint32_t len)
{
	struct vfio_user_irq_info r;

	if (len < sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	if (r.argsz < sizeof(r) || r.index >= s->device->num_irqs)
		return -EINVAL;
	r.argsz = sizeof(r);
	r.count = s->device->irq_count[r.index];
	r.flags = r.count > 0 ? VFIO_USER_IRQ_EVENTFD : 0;
	memcpy(vfu_session_payload(s), &r, sizeof(r));
	return sizeof(r);
}

/* Eventfds we keep, without those of [start, start + count). */
static uint32_t
kept_irqs(const struct vfu_session *s, uint32_t index, uint32_t start, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < VFU_SERVER_MAX_IRQS; i++)
		for (uint32_t k = 0; k < VFU_SERVER_MAX_SUBIRQ; k++)
			n += s->irq[i][k] >= 0 && !(i == index && k >= start && k - start < count);
	return n;
}

static void
clear_irqs(struct vfu_session *s, uint32_t index, uint32_t start, uint32_t count)
{
	for (uint32_t i = start; i < start + count; i++) {
		if (s->irq[index][i] >= 0)
			close(s->irq[index][i]);
		s->irq[index][i] = -1;
	}
}

void
vfu_session_drop_irqs(struct vfu_session *s)
{
	for (uint32_t i = 0; i < VFU_SERVER_MAX_IRQS; i++)
		clear_irqs(s, i, 0, VFU_SERVER_MAX_SUBIRQ);
}

/* Take over the eventfds of the message for [start, start + fds.n). */
static int
install_irqs(struct vfu_session *s, uint32_t index, uint32_t start)
{
	uint32_t max = s->device->max_irq_fds;

	if (max != 0 && kept_irqs(s, index, start, s->fds.n) + s->fds.n > max)
		return -ENOSPC;
	/* All or none. */
	for (unsigned int i = 0; i < s->fds.n; i++) {
		int flags = fcntl(s->fds.fd[i], F_GETFL);

		if (flags < 0 || !vfu_fd_is_eventfd(s->fds.fd[i]) ||
			fcntl(s->fds.fd[i], F_SETFL, flags | O_NONBLOCK) < 0)
			return -EINVAL;
	}
	clear_irqs(s, index, start, s->fds.n);
	for (unsigned int i = 0; i < s->fds.n; i++) {
		s->irq[index][start + i] = s->fds.fd[i];
		s->fds.fd[i] = -1;
	}
	return 0;
}

static int
set_irqs(struct vfu_session *s, uint32_t len)
{
	const uint32_t data =
		VFIO_USER_IRQ_DATA_NONE | VFIO_USER_IRQ_DATA_BOOL | VFIO_USER_IRQ_DATA_EVENTFD;
	struct vfio_user_irq_set r;
	const uint8_t *bools = s->body + sizeof(r);
	uint32_t kind, limit;
	int ret = 0;

	if (len < sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	kind = r.flags & data;
	/* TRIGGER only: masking is in the ring page (§4). */
	if ((r.flags & ~data) != VFIO_USER_IRQ_ACTION_TRIGGER || kind == 0 ||
		(kind & (kind - 1)) != 0)
		return -EINVAL;
	if (r.argsz < sizeof(r) || r.index >= s->device->num_irqs)
		return -EINVAL;
	limit = s->device->irq_count[r.index];
	if (len - sizeof(r) != (kind == VFIO_USER_IRQ_DATA_BOOL ? r.count : 0))
		return -EINVAL;
	if (s->fds.n != 0 && (kind != VFIO_USER_IRQ_DATA_EVENTFD || s->fds.n != r.count))
		return -EINVAL;
	if (r.count == 0) {
		if (kind != VFIO_USER_IRQ_DATA_NONE || r.start != 0)
			return -EINVAL;
		clear_irqs(s, r.index, 0, limit);
	} else if (r.start >= limit || r.count > limit - r.start) {
		return -EINVAL;
	} else if (s->fds.n > 0) {
		ret = install_irqs(s, r.index, r.start);
	} else if (kind == VFIO_USER_IRQ_DATA_EVENTFD) {
		clear_irqs(s, r.index, r.start, r.count);
	} else {
		for (uint32_t i = 0; i < r.count; i++)
			if (kind == VFIO_USER_IRQ_DATA_NONE || bools[i] != 0)
				vfu_session_signal(s, r.index, r.start + i);
	}
	if (ret == 0 && s->device->ops->irqs_changed != NULL)
		s->device->ops->irqs_changed(s->device->ctx, r.index);
	return ret;
}

static bool
dma_range_ok(uint64_t address, uint64_t size)
{
	return size > 0 && size <= DMA_ADDRESS_END && address <= DMA_ADDRESS_END - size &&
	       address % VFIO_USER_PAGE == 0 && size % VFIO_USER_PAGE == 0;
}

static int
dma_map(struct vfu_session *s, uint32_t len)
{
	const struct vfu_device_ops *ops = s->device->ops;
	struct vfio_user_dma_map r;
	int ret;

	if (len != sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	if (r.argsz < sizeof(r) || r.flags == 0 ||
		(r.flags & ~(VFIO_USER_DMA_READ_FLAG | VFIO_USER_DMA_WRITE_FLAG)) != 0)
		return -EINVAL;
	if (!dma_range_ok(r.address, r.size) || r.offset % VFIO_USER_PAGE != 0)
		return -EINVAL;
	if (s->fds.n == 0 || ops->dma_map == NULL)
		return -ENOTSUP;
	if (s->fds.n != 1)
		return -EINVAL;
	ret = vfu_dma_file_check(
		s->fds.fd[0], r.offset, r.size, r.flags & VFIO_USER_DMA_WRITE_FLAG, NULL);
	if (ret < 0)
		return ret;
	return ops->dma_map(s->device->ctx, s->fds.fd[0], r.flags, r.offset, r.address, r.size);
}

static int
dma_unmap(struct vfu_session *s, uint32_t len)
{
	const struct vfu_device_ops *ops = s->device->ops;
	struct vfio_user_dma_unmap r;
	int ret;

	if (len != sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	if (r.argsz < sizeof(r))
		return -EINVAL;
	if (r.flags == VFIO_USER_DMA_UNMAP_ALL) {
		if (r.address != 0 || r.size != 0)
			return -EINVAL;
		ret = ops->dma_unmap_all != NULL ? ops->dma_unmap_all(s->device->ctx) : -ENOTSUP;
	} else {
		if (r.flags != 0 || !dma_range_ok(r.address, r.size))
			return -EINVAL;
		ret = ops->dma_unmap != NULL ? ops->dma_unmap(s->device->ctx, r.address, r.size)
					     : -ENOTSUP;
	}
	if (ret < 0)
		return ret;
	memcpy(vfu_session_payload(s), s->body, sizeof(r));
	return sizeof(r);
}

static int
region_access(struct vfu_session *s, uint32_t len, bool write)
{
	const struct vfu_device_ops *ops = s->device->ops;
	uint32_t flag = write ? VFIO_USER_REGION_FLAG_WRITE : VFIO_USER_REGION_FLAG_READ;
	struct vfio_user_region_access r;
	struct vfu_region_desc desc;
	uint8_t *reply = vfu_session_payload(s);
	int ret;

	if (len < sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	if (r.count > VFIO_USER_MAX_DATA_XFER || r.count > s->peer_max_xfer ||
		len - sizeof(r) != (write ? r.count : 0))
		return -EINVAL;
	ret = ask_region(s, r.region, &desc);
	if (ret < 0)
		return ret;
	if (desc.size == 0 || r.offset > desc.size || r.count > desc.size - r.offset)
		return -EINVAL;
	if (!(desc.flags & flag))
		return -EPERM;
	if (write)
		ret = ops->region_write == NULL ? -ENOTSUP
						: ops->region_write(s->device->ctx, r.region,
							  r.offset, s->body + sizeof(r), r.count);
	else
		ret = ops->region_read == NULL ? -ENOTSUP
					       : ops->region_read(s->device->ctx, r.region,
							 r.offset, reply + sizeof(r), r.count);
	if (ret < 0)
		return ret;
	memcpy(reply, &r, sizeof(r));
	return (int)(sizeof(r) + (write ? 0 : r.count));
}

static int
get_io_fds(struct vfu_session *s, uint32_t len)
{
	struct vfu_io_fd_desc entries[VFU_SERVER_MAX_IO_FDS] = {0};
	struct vfio_user_io_fds r;
	struct vfu_region_desc desc;
	uint8_t *reply = vfu_session_payload(s);
	uint32_t room, full, n_fds = 0;
	uint32_t max_fds = s->peer_max_fds < VFIO_USER_CLIENT_MAX_FDS ? s->peer_max_fds
								      : VFIO_USER_CLIENT_MAX_FDS;
	int ret;

	if (len < sizeof(r))
		return -EINVAL;
	memcpy(&r, s->body, sizeof(r));
	room = r.argsz;
	if (room < sizeof(r))
		return -EINVAL;
	ret = ask_region(s, r.index, &desc);
	if (ret < 0)
		return ret;
	if (desc.size == 0)
		return -EINVAL;
	if (s->device->ops->io_fds == NULL || max_fds == 0)
		return -ENOTSUP;
	r.count = 0;
	ret = s->device->ops->io_fds(
		s->device->ctx, r.index, entries, &r.count, s->out.fds, max_fds, &n_fds);
	if (ret < 0)
		return ret;
	if (r.count > VFU_SERVER_MAX_IO_FDS || n_fds > max_fds)
		return -EIO;
	full = (uint32_t)(sizeof(r) + r.count * sizeof(struct vfio_user_io_fd));
	r.argsz = full;
	r.flags = 0;
	memcpy(reply, &r, sizeof(r));
	if (full > room)
		return sizeof(r);
	for (uint32_t i = 0; i < r.count; i++) {
		const struct vfio_user_io_fd e = {.offset = entries[i].offset,
			.size = entries[i].size,
			.fd_index = entries[i].fd_index,
			.type = VFIO_USER_IO_FD_EVENTFD};

		memcpy(reply + sizeof(r) + i * sizeof(e), &e, sizeof(e));
	}
	s->out.n_fds = n_fds;
	return (int)full;
}

static int
reset(struct vfu_session *s, uint32_t len)
{
	if (len != 0)
		return -EINVAL;
	return s->device->ops->reset != NULL ? s->device->ops->reset(s->device->ctx) : -ENOTSUP;
}

int
vfu_session_command(struct vfu_session *s, uint32_t len)
{
	const uint32_t known = VFIO_USER_TYPE_MASK | VFIO_USER_NO_REPLY;

	/* Bits that are to be 0, and the error fields of replies. */
	if ((s->header.flags & ~known) != 0)
		return -EINVAL;
	switch (s->header.command) {
	case VFIO_USER_DMA_MAP:
		return dma_map(s, len);
	case VFIO_USER_DMA_UNMAP:
		return dma_unmap(s, len);
	case VFIO_USER_DEVICE_GET_INFO:
		return get_info(s, len);
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		return get_region_info(s, len);
	case VFIO_USER_DEVICE_GET_REGION_IO_FDS:
		return get_io_fds(s, len);
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		return get_irq_info(s, len);
	case VFIO_USER_DEVICE_SET_IRQS:
		return set_irqs(s, len);
	case VFIO_USER_REGION_READ:
		return region_access(s, len, false);
	case VFIO_USER_REGION_WRITE:
		return region_access(s, len, true);
	case VFIO_USER_DEVICE_RESET:
		return reset(s, len);
	default:
		return -ENOTSUP;
	}
}

bool
vfu_session_has_irq(const struct vfu_session *s, uint32_t index, uint32_t sub)
{
	return index < VFU_SERVER_MAX_IRQS && sub < VFU_SERVER_MAX_SUBIRQ &&
	       s->irq[index][sub] >= 0;
}

int
vfu_session_signal(struct vfu_session *s, uint32_t index, uint32_t sub)
{
	if (!vfu_session_has_irq(s, index, sub))
		return -ENOENT;
	if (s->device->signaller == NULL)
		return -ENOTCONN;
	return vfu_signal(s->device->signaller, s->irq[index][sub]);
}

int
vfu_session_signal_channel(struct vfu_session *s, uint32_t sub)
{
	return vfu_session_signal(s, 0, vfu_session_has_irq(s, 0, sub) ? sub : 0);
}
