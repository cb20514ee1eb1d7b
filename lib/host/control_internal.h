/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Between the files of the control socket: control.c (sockets), control_cmd.c (commands),
 * control_client.c (client), control_find.c (which host). Owns nothing.
 */
#ifndef HP_HOST_CONTROL_INTERNAL_H
#define HP_HOST_CONTROL_INTERNAL_H

#include <sys/un.h>

#include "lib/host/control.h"

/**
 * Execute one request line; takes the owner's lock of a NIC where it must.
 * @return the answer with its newline, to be freed, or NULL without memory
 */
char *control_execute(const struct host_control_ops *ops, const char *line);

/** Does this word of a command line name a socket? A command is letters alone. */
bool control_is_path(const char *word);

/** Address of socket @p path. @return 0 or -ENAMETOOLONG */
int control_address(struct sockaddr_un *address, const char *path);

#endif
