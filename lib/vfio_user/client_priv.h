/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The client's insides: connection and one command at a time (client.c), used by the commands
 * (client_cmd.c). Belongs to the client's caller, who serialises; see client.h.
 */
#ifndef HP_VFIO_USER_CLIENT_PRIV_H
#define HP_VFIO_USER_CLIENT_PRIV_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "lib/vfio_user/client.h"
#include "lib/vfio_user/msg.h"

/* §5, milliseconds */
#define VFU_TIMEOUT_ANY	 5000
#define VFU_TIMEOUT_LONG 30000 /* RESET, DMA_UNMAP: the server waits for its workers */

struct vfu_client {
	int fd;
	atomic_bool ended;	/* shut down; fd is only kept as a number */
	atomic_int why;		/* what ended it, negative errno; the first reason stays */
	bool (*given_up)(void); /* NULL, or asked by whoever waits */
	uint16_t msg_id;
	int timeout_ms;	  /* > 0: instead of every other limit (tests) */
	int64_t deadline; /* != 0: instead of the limits of §5, CLOCK_MONOTONIC ms */
	uint32_t skip;	  /* bytes left of a reply that nobody asked for, see client_post.c */
	unsigned int max_fds;
	uint32_t max_xfer;
	struct vfu_fds fds; /* of the reply being handled */
	char error[VFU_ERRLEN];

	/* client_post.c, any thread. The lock is held while a message leaves, never for a reply. */
	pthread_mutex_t send_lock;
	_Atomic uint64_t posts; /* slots to write; a bit is cleared when its message has left */
	_Atomic uint32_t post_region, post_offset[64];
	atomic_bool posted; /* at least once */

	/* Payload of the reply; aligned for the structures in it. */
	_Alignas(8) uint8_t rx[VFIO_USER_MAX_REQUEST];
};

/** One request and its reply. */
struct vfu_call {
	uint16_t command;
	int timeout;
	const void *fixed;
	size_t fixed_len;
	const void *data;
	size_t data_len;
	const int *fds;
	unsigned int n_fds;
	bool want_fds;		     /* leave the reply's descriptors in client->fds */
	size_t reply_min, reply_max; /* payload bytes acceptable */
	size_t reply_len;	     /* out: payload bytes in client->rx */
};

/** Id of messages that want no reply. */
#define VFU_POST_ID 0xffffu

/** Is it a reply to a post, of a server that answers although it should not? */
bool vfu_client_is_post_reply(struct vfu_client *client, const struct vfio_user_header *h);
/** Give the socket to the posts that waited for it. */
void vfu_client_send_unlock(struct vfu_client *client);

/** Send, wait, check the header. An error reply is its errno. */
int vfu_client_call(struct vfu_client *client, struct vfu_call *call);
/** Note a sentence. @return @p err */
__attribute__((format(printf, 3, 4))) int vfu_client_fail(
	struct vfu_client *client, int err, const char *format, ...);
/** Note a sentence and end the connection. @return @p err */
int vfu_client_end(struct vfu_client *client, int err, const char *why);

#endif
