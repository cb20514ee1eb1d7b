/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Between the files of the control socket: control.c (sockets), control_cmd.c (commands),
 * control_check.c (what a request may say), control_trace.c (one command), control_client.c
 * (client), control_find.c (which host). Owns nothing.
 */
#ifndef HP_HOST_CONTROL_INTERNAL_H
#define HP_HOST_CONTROL_INTERNAL_H

#include <json-c/json.h>
#include <sys/un.h>

#include "lib/host/control.h"

/** One of the commands, of a NIC or all; not "knobs". */
bool control_is_command(const char *cmd);

/**
 * The request of a line, to be put: a JSON object with a member "cmd", each of its keys once.
 * @return NULL with a sentence in @p errbuf
 */
struct json_object *control_parse(const char *line, char *errbuf, size_t errlen);

/**
 * Is it a command, with nothing that this command does not look at?
 * @return 0, -ENOSYS or -EINVAL with a sentence
 */
int control_check(struct json_object *request, char *errbuf, size_t errlen);

/**
 * Words for control_request(): does one of them say again what another has said?
 * @return 0 or -EINVAL with a sentence
 */
int control_check_words(int argc, char **argv, char *errbuf, size_t errlen);

/** Text of a string or number member of a request, or NULL. */
const char *control_member(struct json_object *request, const char *key);
/** @return whether a member is there and true or false, or a number */
bool control_truth(struct json_object *request, const char *key, bool *value);
/** Say what is wrong. @return @p rc */
int control_fail(char *errbuf, size_t errlen, int rc, const char *text);

/** Command trace: begin, go on, end, or only tell, of one NIC; no lock is held. */
int control_trace(const struct host_control_ops *ops, struct json_object *request,
	struct json_object *answer, unsigned int number, char *errbuf, size_t errlen);
/** ... of all: a list of them. */
int control_trace_all(const struct host_control_ops *ops, struct json_object *request,
	struct json_object *answer, char *errbuf, size_t errlen);

/** The request of the words "CMD [NIC] [KEY=VALUE]...", to be put, or NULL if they make none. */
struct json_object *control_request(int argc, char **argv);

/** Is this a word that stands for a KEY=VALUE of its command: "up" of "link"? */
bool control_is_word(const char *cmd, const char *word);

/** Does this word of a command line name a socket? A command is letters alone. */
bool control_is_path(const char *word);

/** Address of socket @p path. @return 0 or -ENAMETOOLONG */
int control_address(struct sockaddr_un *address, const char *path);

#endif
