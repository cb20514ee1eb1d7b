/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a request may say: one JSON object and nothing else on its line, each key once, and only
 * keys that its command looks at. What would be ignored is refused, for somebody meant it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/host/control_internal.h"

#define KEYS_MAX 4

/* Their keys, besides "cmd", and "nic" where the command is one of NICs. */
static const struct command {
	const char *name;
	const char *keys[KEYS_MAX];
	bool of_host;
} commands[] = {
	{"stats", {NULL}, false},
	{"rings", {NULL}, false},
	{"link", {"up"}, false},
	{"vf", {"present", "serial", "path"}, false},
	{"set", {"name", "value"}, false},
	{"trace", {"file", "snaplen", "on"}, false},
	{"rescind", {NULL}, false},
	{"offer", {NULL}, false},
	{"knobs", {NULL}, true},
};

/* Of two such keys only one would be looked at. */
static const struct {
	const char *cmd, *key, *other;
} instead[] = {
	{"vf", "path", "present"},
	{"vf", "path", "serial"},
	{"trace", "file", "on"},
};

static const struct command *
find(const char *cmd)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(cmd, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

bool
control_is_command(const char *cmd)
{
	const struct command *c = find(cmd);

	return c != NULL && !c->of_host;
}

static bool
has(struct json_object *request, const char *key)
{
	return json_object_object_get_ex(request, key, NULL);
}

static bool
takes(const struct command *c, const char *key)
{
	if (strcmp(key, "cmd") == 0 || (strcmp(key, "nic") == 0 && !c->of_host))
		return true;
	for (unsigned int i = 0; i < KEYS_MAX && c->keys[i] != NULL; i++)
		if (strcmp(key, c->keys[i]) == 0)
			return true;
	return false;
}

static int
unknown_key(const struct command *c, const char *key, char *errbuf, size_t errlen)
{
	int n = snprintf(errbuf, errlen, "%s knows no '%.64s'", c->name, key);

	for (unsigned int i = 0; i < KEYS_MAX && c->keys[i] != NULL && n > 0 && (size_t)n < errlen;
		i++)
		n += snprintf(errbuf + n, errlen - (size_t)n, "%s %s",
			i == 0 ? "; it takes" : " and", c->keys[i]);
	return -EINVAL;
}

int
control_check(struct json_object *request, char *errbuf, size_t errlen)
{
	struct json_object *o;
	const struct command *c = NULL;

	if (json_object_object_get_ex(request, "cmd", &o))
		c = find(json_object_get_string(o));
	if (c == NULL) {
		snprintf(errbuf, errlen,
			"there is no such command; there are stats, rings, link, vf, set, trace, "
			"knobs, rescind and offer");
		return -ENOSYS;
	}
	json_object_object_foreach(request, key, value)
	{
		(void)value;
		if (!takes(c, key))
			return unknown_key(c, key, errbuf, errlen);
	}
	for (size_t i = 0; i < sizeof(instead) / sizeof(instead[0]); i++)
		if (strcmp(c->name, instead[i].cmd) == 0 && has(request, instead[i].key) &&
			has(request, instead[i].other)) {
			snprintf(errbuf, errlen, "%s takes either %s or %s", c->name,
				instead[i].key, instead[i].other);
			return -EINVAL;
		}
	if (has(request, "snaplen") && !has(request, "file") &&
		!(json_object_object_get_ex(request, "on", &o) && json_object_get_boolean(o))) {
		snprintf(errbuf, errlen, "snaplen is for a trace that begins");
		return -EINVAL;
	}
	return 0;
}

/* Members of the object that a line begins with, as they are written. */
static int
count_members(const char *line)
{
	int depth = 0, members = 0;
	char quote = '\0';

	for (const char *p = line; *p != '\0'; p++) {
		if (quote != '\0') {
			if (*p == '\\' && p[1] != '\0')
				p++;
			else if (*p == quote)
				quote = '\0';
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '{' || *p == '[') {
			depth++;
		} else if (*p == '}' || *p == ']') {
			depth--;
		} else if (*p == ':' && depth == 1) {
			members++;
		}
	}
	return members;
}

struct json_object *
control_parse(const char *line, char *errbuf, size_t errlen)
{
	struct json_tokener *parser = json_tokener_new();
	struct json_object *request, *cmd;

	snprintf(errbuf, errlen, "a request is one JSON object, with a member cmd");
	if (parser == NULL)
		return NULL;
	json_tokener_set_flags(parser, JSON_TOKENER_STRICT);
	request = json_tokener_parse_ex(parser, line, (int)strlen(line));
	json_tokener_free(parser);
	if (!json_object_is_type(request, json_type_object) ||
		!json_object_object_get_ex(request, "cmd", &cmd) ||
		!json_object_is_type(cmd, json_type_string)) {
		json_object_put(request);
		return NULL;
	}
	/* The parser would have taken the last of them. */
	if (count_members(line) != json_object_object_length(request)) {
		snprintf(errbuf, errlen, "a key is there twice");
		json_object_put(request);
		return NULL;
	}
	return request;
}

int
control_check_words(int argc, char **argv, char *errbuf, size_t errlen)
{
	for (int i = 1; i < argc; i++) {
		size_t len = strcspn(argv[i], "=");

		if (argv[i][len] == '\0')
			continue;
		if (strncmp(argv[i], "cmd=", 4) == 0 || strncmp(argv[i], "nic=", 4) == 0) {
			snprintf(errbuf, errlen,
				"'%.64s': the command and the NIC's number stand before the keys, as in: "
				"link 0 up=false",
				argv[i]);
			return -EINVAL;
		}
		for (int k = 1; k < i; k++)
			if (strncmp(argv[k], argv[i], len + 1) == 0) {
				snprintf(errbuf, errlen, "%.*s is there twice",
					(int)(len < 64 ? len : 64), argv[i]);
				return -EINVAL;
			}
	}
	return 0;
}
