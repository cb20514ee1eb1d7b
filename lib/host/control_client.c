/* SPDX-License-Identifier: BSD-3-Clause */
/* Client of the control socket: "hvsim ctl [SOCKET] CMD [NIC] [KEY=VALUE]...". */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/host/control_internal.h"
#include "lib/vmbus/clock.h"
#include "lib/vmbus/number.h"

#define ANSWER_SECONDS 10
/* Several times what 64 NICs have to say. */
#define ANSWER_MAX (1u << 20)

static bool
is_number(const char *text, int64_t *value)
{
	bool negative = *text == '-';
	uint64_t digits;

	if (number_parse(text + negative, NUMBER_PLAIN, 0, INT64_MAX, &digits) != 0)
		return false;
	/* 007 and -0 would not be sent as they are. */
	if (text[negative] == '0' && (negative || text[1] != '\0'))
		return false;
	*value = negative ? -(int64_t)digits : (int64_t)digits;
	return true;
}

static struct json_object *
value_of(const char *text)
{
	int64_t number;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return json_object_new_boolean(text[0] == 't');
	if (is_number(text, &number))
		return json_object_new_int64(number);
	return json_object_new_string(text);
}

/* What is shorter to say than KEY=VALUE, and can mean nothing else. */
static const struct word {
	const char *cmd, *word, *key;
	bool value;
} words[] = {{"link", "up", "up", true}, {"link", "down", "up", false},
	{"vf", "present", "present", true}, {"vf", "absent", "present", false},
	{"trace", "on", "on", true}, {"trace", "off", "on", false}};

static const struct word *
find_word(const char *cmd, const char *text)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].cmd, cmd) == 0 && strcmp(words[i].word, text) == 0)
			return &words[i];
	return NULL;
}

bool
control_is_word(const char *cmd, const char *word)
{
	return find_word(cmd, word) != NULL;
}

struct json_object *
control_request(int argc, char **argv)
{
	struct json_object *request;
	const struct word *word;
	uint64_t number;
	int i = 1;

	if (argc < 1)
		return NULL;
	request = json_object_new_object();
	json_object_object_add(request, "cmd", json_object_new_string(argv[0]));
	if (argc > 1 && number_parse(argv[1], NUMBER_PLAIN, 0, INT64_MAX, &number) == 0) {
		json_object_object_add(request, "nic", json_object_new_int64((int64_t)number));
		i++;
	}
	for (; i < argc; i++) {
		char *equals = strchr(argv[i], '=');
		char key[64];

		word = find_word(argv[0], argv[i]);
		if (word != NULL) {
			json_object_object_add(
				request, word->key, json_object_new_boolean(word->value));
			continue;
		}
		if (equals == NULL || equals == argv[i] ||
			(size_t)(equals - argv[i]) >= sizeof(key)) {
			json_object_put(request);
			return NULL;
		}
		memcpy(key, argv[i], (size_t)(equals - argv[i]));
		key[equals - argv[i]] = '\0';
		json_object_object_add(request, key, value_of(equals + 1));
	}
	return request;
}

/* @return 0, or -ETIMEDOUT: not before @until */
static int
wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = {fd, events, 0};
	int64_t left = until - monotonic_ms();
	int n = left > 0 ? poll(&p, 1, (int)left) : 0;

	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int
send_request(int fd, const char *request, int64_t until)
{
	size_t len = strlen(request) + 1, done = 0;
	char *line = NULL;
	int rc = asprintf(&line, "%s\n", request) < 0 ? -ENOMEM : 0;

	while (rc == 0 && done < len) {
		ssize_t n = send(fd, line + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			done += (size_t)n;
		else
			rc = errno == EAGAIN ? wait_for(fd, POLLOUT, until) : -errno;
	}
	free(line);
	return rc;
}

/* A line, in whatever pieces it comes, but whole by @until. */
static int
receive_answer(int fd, char **answer, int64_t until)
{
	size_t room = 65536, len = 0;
	char *text = malloc(room + 1), *more, *end = NULL;
	int rc = text == NULL ? -ENOMEM : 0;

	while (rc == 0 && end == NULL) {
		ssize_t n = 0;

		rc = wait_for(fd, POLLIN, until);
		if (rc == 0)
			n = recv(fd, text + len, room - len, MSG_DONTWAIT);
		if (rc == 0 && n <= 0)
			rc = n == 0 ? -EPIPE : -errno;
		if (rc != 0)
			break;
		end = memchr(text + len, '\n', (size_t)n);
		len += (size_t)n;
		if (end != NULL || len < room)
			continue;
		more = room < ANSWER_MAX ? realloc(text, 2 * room + 1) : NULL;
		rc = more != NULL ? 0 : room < ANSWER_MAX ? -ENOMEM : -EMSGSIZE;
		text = more != NULL ? more : text;
		room *= 2;
	}
	if (rc == 0) {
		text[len] = '\0';
		*answer = text;
	} else {
		free(text);
	}
	return rc;
}

int
host_control_ask(const char *path, bool listed, const char *request, char **answer)
{
	bool (*allowed)(int sock, const char *path) =
		listed ? vfu_found_server_allowed : vfu_server_allowed;
	/* One limit for all of it: a server may be anybody's, and send a byte now and then. */
	int64_t until = monotonic_ms() + ANSWER_SECONDS * 1000;
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_un address;
	int fd, rc = control_address(&address, path);

	*answer = NULL;
	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* A host that hangs is no reason to hang, too; connect() obeys the limit of sending. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
	else if (!allowed(fd, path))
		rc = -EACCES;
	if (rc == 0)
		rc = send_request(fd, request, until);
	if (rc == 0)
		rc = receive_answer(fd, answer, until);
	close(fd);
	return rc;
}

/* @return exit status */
static int
usage(FILE *f)
{
	fprintf(f,
		"Usage: %s ctl [--json] [SOCKET] COMMAND [NIC] [KEY=VALUE]...\n"
		"One command to a running host; its answer is JSON, with --json on one line. SOCKET is\n"
		"the host's control socket, needed only where several hosts run. Commands:\n%s",
		program_invocation_short_name, host_control_help);
	return f == stdout ? EXIT_SUCCESS : 2;
}

/*
 * Options stand anywhere, for a command's words begin with a letter or a digit; they are taken out
 * of @argv.
 * @return exit status, or -1 to go on
 */
static int
take_options(int *argc, char **argv, bool *line)
{
	int n = 0;

	for (int i = 0; i < *argc; i++) {
		if (argv[i][0] != '-')
			argv[n++] = argv[i];
		else if (strcmp(argv[i], "--json") == 0)
			*line = true;
		else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return usage(stdout);
		else
			return usage(stderr);
	}
	*argc = n;
	return -1;
}

void
host_control_printable(char *text)
{
	unsigned char *p = (unsigned char *)text;

	for (; *p != '\0'; p++) {
		if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			*p = '?';
		/* U+0080 to U+009F, among which are beginnings of escape sequences, too. */
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

static void
say(FILE *f, const char *before, const char *text, const char *after)
{
	char *copy = strdup(text == NULL ? "" : text);

	if (copy != NULL) {
		host_control_printable(copy);
		fprintf(f, "%s%s%s", before, copy, after);
	}
	free(copy);
}

/* @return exit status */
static int
print_reply(struct json_object *reply, const char *path, bool line)
{
	struct json_object *ok, *o;
	bool done;

	if (reply == NULL || !json_object_object_get_ex(reply, "ok", &ok)) {
		fprintf(stderr, "ctl: %s does not speak the control protocol\n", path);
		return EXIT_FAILURE;
	}
	done = json_object_get_boolean(ok);
	if (!done && json_object_object_get_ex(reply, "error", &o))
		say(stderr, "ctl: ", json_object_get_string(o), "\n");
	if (line)
		say(stdout, "", json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN),
			"\n");
	else if (json_object_object_get_ex(reply, "knobs", &o))
		say(stdout, "", json_object_get_string(o), "");
	else if (done)
		say(stdout, "",
			json_object_to_json_string_ext(
				reply, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED),
			"\n");
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
host_control_client(int argc, char **argv)
{
	bool line = false;
	char found[VFU_PATH_MAX], why[2048];
	const char *path = NULL;
	bool listed = false;
	struct json_object *request, *reply;
	char *answer;
	int rc, status;

	status = take_options(&argc, argv, &line);
	if (status >= 0)
		return status;
	if (argc > 0 && control_is_path(argv[0])) {
		path = argv[0];
		argc--;
		argv++;
	}
	if (control_check_words(argc, argv, why, sizeof(why)) != 0) {
		fprintf(stderr, "ctl: %s\n", why);
		return 2;
	}
	request = control_request(argc, argv);
	if (request == NULL)
		return usage(stderr);
	if (path == NULL) {
		if (host_control_find(found, &listed, why, sizeof(why)) != 0) {
			fprintf(stderr, "ctl: %s\n", why);
			json_object_put(request);
			return EXIT_FAILURE;
		}
		path = found;
	}
	rc = host_control_ask(path, listed,
		json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), &answer);
	json_object_put(request);
	if (rc != 0) {
		fprintf(stderr, "ctl: no answer from %s: %s; %s\n", path, strerror(-rc),
			rc == -EACCES ? "does a host of another user serve it?"
				      : "is the host running?");
		return EXIT_FAILURE;
	}
	reply = json_tokener_parse(answer);
	free(answer);
	status = print_reply(reply, path, line);
	json_object_put(reply);
	return status;
}
