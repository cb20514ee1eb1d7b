/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Between the files of the control socket: control.c (sockets), control_cmd.c (commands),
 * control_check.c (what a request may say), control_client.c (client), control_find.c (which host).
 * Owns nothing.
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

/** The request of the words "CMD [NIC] [KEY=VALUE]...", to be put, or NULL if they make none. */
struct json_object *control_request(int argc, char **argv);

/** Does this word of a command line name a socket? A command is letters alone. */
bool control_is_path(const char *word);

/** Address of socket @p path. @return 0 or -ENAMETOOLONG */
int control_address(struct sockaddr_un *address, const char *path);

#endif
