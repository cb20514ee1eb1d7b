/* SPDX-License-Identifier: BSD-3-Clause */
/* Telemetry of DPDK applications: which there are, and questions to one. */
#include "app/vmbusctl/telemetry.h"

#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_SECONDS 5
#define ROOM_MAX       (1u << 20)
#define NAMED_MAX      8u

/* Where EAL puts the folders of its applications, by its own rules. */
static const char *
runtime_dir(void)
{
	const char *dir = getenv("RUNTIME_DIRECTORY");

	if (dir == NULL)
		dir = geteuid() == 0 ? "/var/run" : getenv("XDG_RUNTIME_DIR");
	return dir == NULL ? "/tmp" : dir;
}

static int
receive(struct telemetry *t, char *text, size_t size)
{
	ssize_t n = recv(t->fd, text, size - 1, 0);

	if (n <= 0)
		return n == 0 ? -EPIPE : errno == EAGAIN ? -ETIMEDOUT : -errno;
	text[n] = '\0';
	return 0;
}

/* The first message says how long answers may be. */
static int
greet(struct telemetry *t)
{
	char text[1024];
	struct json_object *o, *room;
	int rc = receive(t, text, sizeof(text));

	if (rc != 0)
		return rc;
	o = json_tokener_parse(text);
	if (!json_object_is_type(o, json_type_object) ||
		!json_object_object_get_ex(o, "max_output_len", &room) ||
		json_object_get_int64(room) <= 0 || json_object_get_int64(room) > ROOM_MAX) {
		json_object_put(o);
		return -EPROTO;
	}
	t->room = (size_t)json_object_get_int64(room) + 1;
	json_object_put(o);
	t->answer = malloc(t->room);
	return t->answer == NULL ? -ENOMEM : 0;
}

static int
connect_to(struct telemetry *t, const char *path)
{
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int rc;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	strcpy(t->path, path);
	t->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return -errno;
	setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	rc = connect(t->fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? greet(t) : -errno;
	if (rc != 0)
		telemetry_close(t);
	return rc;
}

void
telemetry_close(struct telemetry *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	free(t->answer);
	t->answer = NULL;
}

struct json_object *
telemetry_ask(struct telemetry *t, const char *command, int *rc)
{
	size_t len = strcspn(command, ",");
	struct json_object *o, *value = NULL;
	char name[64];

	*rc = -ENOTCONN;
	if (t->fd < 0 || len >= sizeof(name))
		return NULL;
	*rc = send(t->fd, command, strlen(command), MSG_NOSIGNAL) < 0 ? -errno : 0;
	if (*rc == 0)
		*rc = receive(t, t->answer, t->room);
	if (*rc != 0)
		return NULL;
	memcpy(name, command, len);
	name[len] = '\0';
	o = json_tokener_parse(t->answer);
	if (!json_object_is_type(o, json_type_object) ||
		!json_object_object_get_ex(o, name, &value))
		*rc = -EPROTO;
	value = json_object_get(value);
	json_object_put(o);
	return value;
}

/* ---- which application ---- */

/* Has it ports of ours? */
static bool
is_ours(struct telemetry *t)
{
	int rc;
	struct json_object *list = telemetry_ask(t, "/netvsc/list", &rc);
	bool ours =
		json_object_is_type(list, json_type_array) && json_object_array_length(list) > 0;

	json_object_put(list);
	return ours;
}

static void
prefix_of(const char *path, char *prefix, size_t size)
{
	const char *end = strrchr(path, '/'), *start = end;

	while (start > path && start[-1] != '/')
		start--;
	snprintf(prefix, size, "%.*s", (int)(end - start), start);
}

struct search {
	unsigned int n;
	bool denied;
	char names[NAMED_MAX * 66]; /* prefixes, for a message */
};

static void
look(struct search *s, const char *path, struct telemetry *t)
{
	struct telemetry one;
	int rc = connect_to(&one, path);

	if (rc == -EACCES || rc == -EPERM)
		s->denied = true;
	if (rc != 0)
		return;
	if (!is_ours(&one)) {
		telemetry_close(&one);
		return;
	}
	prefix_of(path, one.prefix, sizeof(one.prefix));
	if (s->n < NAMED_MAX)
		snprintf(s->names + strlen(s->names), sizeof(s->names) - strlen(s->names), "%s%s",
			s->n > 0 ? ", " : "", one.prefix);
	if (s->n++ == 0)
		*t = one;
	else
		telemetry_close(&one);
}

int
telemetry_open(struct telemetry *t, const char *prefix, char *errbuf, size_t errlen)
{
	struct search s = {.n = 0};
	char pattern[512];
	glob_t found = {0};

	t->fd = -1;
	t->answer = NULL;
	/* One with --in-memory may have a number behind its name. */
	snprintf(pattern, sizeof(pattern), "%s/dpdk/%s/dpdk_telemetry.v2*", runtime_dir(),
		prefix == NULL ? "*" : prefix);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			look(&s, found.gl_pathv[i], t);
	globfree(&found);
	if (s.n == 1)
		return 0;
	telemetry_close(t);
	if (s.n > 1) {
		snprintf(errbuf, errlen,
			"%u DPDK applications have netvsc ports: choose one with --file-prefix, %s",
			s.n, s.names);
		return -EEXIST;
	}
	snprintf(errbuf, errlen, "no DPDK application with netvsc ports answers in %s/dpdk%s%s; %s",
		runtime_dir(), prefix == NULL ? "" : " as ", prefix == NULL ? "" : prefix,
		s.denied ? "one there is another user's: run as that user"
			 : "is it running, as this user, with telemetry and this plugin?");
	return -ENOENT;
}
