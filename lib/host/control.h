/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The control socket of a host: one JSON object per line in, one per line out, over a UNIX stream
 * socket (mode 0600). Both hosts, hvsim and hvsim-vm, serve it and share its client.
 *
 * Request: {"cmd":"link","nic":0,"up":false}. Answer: {"ok":true,...} or
 * {"ok":false,"error":"one sentence"}. Commands: see host_control_help.
 *
 * Threads: a server object belongs to the thread that polls it; around each command it takes its
 * owner's lock of the NIC concerned, so the NICs may be polled elsewhere.
 */
#ifndef HP_HOST_CONTROL_H
#define HP_HOST_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/host/nic.h"
#include "lib/vfio_user/sockets.h"

/** What a command can reach. @a ctx is the owner's. */
struct host_control_ops {
	void *ctx;
	/**
	 * Taken around every command on a NIC but "stats", which stops nobody; the others go on.
	 * Both may be NULL.
	 */
	void (*lock)(void *ctx, unsigned int nic);
	void (*unlock)(void *ctx, unsigned int nic);
	/** Before "stats": host_nic_publish() if that takes no waiting. May be NULL. */
	void (*refresh)(void *ctx, unsigned int nic);
	unsigned int (*nics)(void *ctx);
	/** NIC @p number, or NULL. */
	struct host_nic *(*nic)(void *ctx, unsigned int number);
	/** Is the NIC with its guest, not rescinded? NULL: always. */
	bool (*offered)(void *ctx, unsigned int nic);
	/**
	 * The owner's own command on a NIC ("rescind", "offer"). May be NULL.
	 * @return 0, -ENOSYS for an unknown command, another negative errno with a sentence
	 */
	int (*command)(void *ctx, const char *cmd, unsigned int nic, char *errbuf, size_t errlen);
};

struct host_control;

/** Commands, one line each, for --help. */
extern const char *const host_control_help;

/**
 * Listen on @p path. A socket nobody serves any more is replaced, and, with a line on standard
 * error, one whose host does not answer within a second; one that is served is refused.
 * @return 0 and *control, or a negative errno with a sentence in @p errbuf
 */
int host_control_open(struct host_control **control, const char *path,
	const struct host_control_ops *ops, char *errbuf, size_t errlen);
/** Close all connections and remove the socket. NULL is allowed. */
void host_control_close(struct host_control *control);
/** Readable when host_control_poll() has something to do. */
int host_control_fd(const struct host_control *control);
/**
 * When host_control_poll() is due without an event: monotonic ns, 0 = at once, for requests wait;
 * UINT64_MAX = never.
 */
uint64_t host_control_deadline(const struct host_control *control);
/** Accept, read, answer one request; the next ones have their turns. Never waits for a client. */
void host_control_poll(struct host_control *control);

/**
 * Execute one request line as if it had come by the socket; takes the owner's lock of a NIC where
 * it must.
 * @return the answer with its newline, to be freed, or NULL without memory
 */
char *host_control_execute(const struct host_control_ops *ops, const char *line);

/**
 * The control socket of the only host that runs, of this user or root: in the directories where
 * hosts are by default, or (unless HYPERPOLL_VFIO_USER_DIRS names the directories) anywhere: then
 * @p listed is set, for host_control_ask().
 * @return 0 and the path, -ENOENT none, -EEXIST several; with a sentence in @p errbuf
 */
int host_control_find(char path[VFU_PATH_MAX], bool *listed, char *errbuf, size_t errlen);

/** Control characters but newline and tab become question marks: what others say, for a terminal.
 */
void host_control_printable(char *text);

/**
 * One request to the host at @p path, a line of JSON without its newline. @p listed: nobody named
 * that path, it is from host_control_find().
 * @return 0 and *answer, a line to be freed, or a negative errno: -ETIMEDOUT ten seconds are over
 *         and the answer is not there as a whole, -EMSGSIZE it is longer than 1 MiB,
 *         -EACCES another user serves the socket, -EPIPE it hung up
 */
int host_control_ask(const char *path, bool listed, const char *request, char **answer);

/**
 * Client: send the command of the words argv[0..argc), "[SOCKET] CMD [NIC] [KEY=VALUE]...", and
 * print the answer: with --json among them one line, without it for a reader. Values true, false
 * and numbers are sent as such, 007 and the like as text. With --help only say what there is.
 * @return exit status: 0 when the answer says ok
 */
int host_control_client(int argc, char **argv);

#endif
