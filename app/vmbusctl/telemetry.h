/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The telemetry socket of a DPDK application (SOCK_SEQPACKET; a command goes in, a JSON object with
 * the command as its member comes out). One thread.
 */
#ifndef HP_VMBUSCTL_TELEMETRY_H
#define HP_VMBUSCTL_TELEMETRY_H

#include <json-c/json.h>
#include <stddef.h>
#include <sys/un.h>

struct telemetry {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char prefix[64]; /**< the application's --file-prefix */
	char *answer;
	size_t room;
};

/**
 * Connect to the only application of this user whose ports are of the netvsc driver, or that of
 * @p prefix (NULL: any).
 * @return 0, or a negative errno with a sentence
 */
int telemetry_open(struct telemetry *t, const char *prefix, char *errbuf, size_t errlen);
void telemetry_close(struct telemetry *t);

/**
 * Ask one command ("/netvsc/info,0").
 * @return what it answers, to be put; NULL for an answer of null, or with *rc < 0 none within five
 *         seconds
 */
struct json_object *telemetry_ask(struct telemetry *t, const char *command, int *rc);

#endif
