/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The insides of a server session: framing (session.c) and commands (session_cmd.c). Belongs to the
 * server's owner and its thread; see server.h.
 */
#ifndef HP_VFIO_USER_SESSION_H
#define HP_VFIO_USER_SESSION_H

#include <sys/types.h>

#include "lib/vfio_user/msg.h"
#include "lib/vfio_user/server.h"

enum vfu_session_state {
	VFU_SESSION_NEW,     /* waiting for VERSION */
	VFU_SESSION_OPEN,    /* any command but VERSION */
	VFU_SESSION_LEAVING, /* the last reply is on its way */
	VFU_SESSION_OVER,
};

/** What a session gives its client only so long for (spec/vmbus-over-vfio-user.md §5, §15). */
enum vfu_session_wait {
	VFU_WAIT_NOTHING, /* between messages a client may be silent for ever */
	VFU_WAIT_VERSION,
	VFU_WAIT_MESSAGE, /* the rest of a message that has begun */
	VFU_WAIT_ROOM,	  /* that the client takes a reply */
};

/** Reply under construction and on its way. */
struct vfu_output {
	size_t len, sent; /* bytes of @a bytes; len 0 = nothing pending */
	unsigned int n_fds;
	bool fds_are_ours; /* duplicates, because the device's may be gone when they leave */
	int fds[VFIO_USER_CLIENT_MAX_FDS];
	/* Header and payload. */
	_Alignas(8) uint8_t bytes[VFIO_USER_MAX_REQUEST];
};

struct vfu_session {
	const struct vfu_device *device;
	struct vfu_server *server; /* to be told when the session ends, or NULL */
	int sock, epoll, timer;
	enum vfu_session_wait wait; /* what the timer runs for */
	bool moved;		    /* a message was completed or a reply taken since it was set */
	int peer_pid;
	int refuse; /* positive errno to answer VERSION with; 0 = serve */
	enum vfu_session_state state;
	bool output_watched; /* the epoll set waits for room, not for commands */
	int end;	     /* what vfu_session_process() returns from now on */
	char error[160];

	uint32_t peer_max_fds;
	uint64_t peer_max_xfer;
	int irq[VFU_SERVER_MAX_IRQS][VFU_SERVER_MAX_SUBIRQ];

	size_t have; /* bytes of header and body received */
	struct vfu_fds fds;
	struct vfio_user_header header; /* complete when have >= 16 */
	_Alignas(8) uint8_t body[VFIO_USER_MAX_REQUEST - sizeof(struct vfio_user_header)];
	struct vfu_output out;
};

/** Where a command puts its reply's payload, and how much fits. */
static inline uint8_t *
vfu_session_payload(struct vfu_session *session)
{
	return session->out.bytes + sizeof(struct vfio_user_header);
}
#define VFU_SESSION_PAYLOAD_MAX (VFIO_USER_MAX_REQUEST - sizeof(struct vfio_user_header))

/**
 * Run the command in session->header and session->body. Descriptors in session->fds are closed by
 * the caller, entries taken over are set to -1; those of the reply go to session->out.fds.
 * @return payload length of the reply, or a negative errno
 */
int vfu_session_command(struct vfu_session *session, uint32_t len);
/** The same for VERSION; any error ends the session. */
int vfu_session_version(struct vfu_session *session, uint32_t len);
/** Close all eventfds. */
void vfu_session_drop_irqs(struct vfu_session *session);
/** Before the first message: answer VERSION with this (positive) errno and close. */
void vfu_session_refuse(struct vfu_session *session, int err);

#endif
