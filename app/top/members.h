/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Members of the JSON that samples are made of; one that is not there is nothing. Any
 * thread. */
#ifndef HP_TOP_MEMBERS_H
#define HP_TOP_MEMBERS_H

#include <json-c/json.h>

static inline uint64_t
member_number(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_uint64(value) : 0;
}

/** Lives as long as @p o. */
static inline const char *
member_text(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) &&
			       json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : "";
}

#endif
