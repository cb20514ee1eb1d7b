/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vfio-user server: a listener per device and one session per client, both non-blocking and driven
 * by the owner's poll loop (spec/vmbus-over-vfio-user.md §1-§5, §12 first paragraph, §13).
 *
 * Everything here belongs to the owner and is called on one thread, or with one lock held; nothing
 * starts a thread, blocks or logs. The callbacks run inside vfu_session_process() on that thread
 * and must not close the session.
 *
 * Division of work. The library does framing, VERSION, argument checks, descriptor passing, keeps
 * the eventfds of SET_IRQS, and checks the file behind a DMA_MAP. The device does what needs its
 * tables: it detects overlapping DMA maps (-EEXIST), unknown ones (-ENOENT) and exhausted limits
 * (-ENOSPC), maps the memory and handles SIGBUS.
 *
 * Poll loop: wait for vfu_server_listen_fd() and vfu_session_fd() to become readable, then call
 * vfu_server_accept() and vfu_session_process(). Both descriptors include the timers needed
 * (VFU_SESSION_SECONDS) and pending output: no other time-out or event mask is asked of the owner.
 */
#ifndef HP_VFIO_USER_SERVER_H
#define HP_VFIO_USER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vfio_user/signal.h"
#include "lib/vfio_user/vfio_user.h"

/** Most irq indices, and subindices of one index, of a device. */
#define VFU_SERVER_MAX_IRQS   4u
#define VFU_SERVER_MAX_SUBIRQ 128u
/** Most IO_FDS entries of a region. */
#define VFU_SERVER_MAX_IO_FDS 128u

/**
 * How long a client may take from connecting to the end of VERSION, from the first byte of a
 * message to its last, and to take a reply. Between messages it may be silent for ever.
 */
#define VFU_SESSION_SECONDS 5

struct vfu_server;
struct vfu_session;

/** What the device says about one region. */
struct vfu_region_desc {
	uint32_t flags;		/**< READ, WRITE, MMAP; the library adds CAPS */
	uint64_t size;		/**< 0 = not present: everything else is ignored */
	uint64_t offset;	/**< of the region in @a fd */
	int fd;			/**< for MMAP; stays the device's */
	uint32_t type, subtype; /**< capability 2 */
};

/** One write address of a region that an eventfd stands for. */
struct vfu_io_fd_desc {
	uint64_t offset, size;
	uint32_t fd_index;
};

/**
 * What the device does. Functions return 0 or a negative errno, which goes to the client as is.
 * @a ctx is vfu_device.ctx. Indices and ranges have been checked. NULL means -ENOTSUP unless noted.
 */
struct vfu_device_ops {
	/**
	 * VERSION was agreed: make fresh regions (§10 "open"). An error goes to the client and ends
	 * the session. May be NULL.
	 */
	int (*opened)(void *ctx, struct vfu_session *session);
	/** @p region is zeroed with fd = -1 before the call. Must not be NULL. */
	int (*region_info)(void *ctx, uint32_t index, struct vfu_region_desc *region);
	/** Called only inside a present region with READ. */
	int (*region_read)(void *ctx, uint32_t index, uint64_t offset, void *data, uint32_t count);
	/** Called only inside a present region with WRITE. */
	int (*region_write)(
		void *ctx, uint32_t index, uint64_t offset, const void *data, uint32_t count);
	/**
	 * List eventfds for writes to a present region. @p entries has room for
	 * VFU_SERVER_MAX_IO_FDS; at most @p max_fds descriptors may be put in @p fds (they stay the
	 * device's; entries share them when there are fewer).
	 * @return 0 with *count and *n_fds
	 */
	int (*io_fds)(void *ctx, uint32_t index, struct vfu_io_fd_desc *entries, uint32_t *count,
		int *fds, uint32_t max_fds, uint32_t *n_fds);
	/** Eventfds of an index have changed (or were fired by hand). May be NULL. */
	void (*irqs_changed)(void *ctx, uint32_t index);
	/**
	 * Share memory with the device: mmap @p fd now; the library closes it when this returns.
	 * Checked: page multiples, size > 0, address range below 2^56, a sealable regular file of
	 * sufficient size whose access mode covers @p flags. Not checked: overlap, limits.
	 */
	int (*dma_map)(
		void *ctx, int fd, uint32_t flags, uint64_t offset, uint64_t iova, uint64_t size);
	/** Return when nothing touches the range any more; must match one dma_map exactly. */
	int (*dma_unmap)(void *ctx, uint64_t iova, uint64_t size);
	int (*dma_unmap_all)(void *ctx);
	int (*reset)(void *ctx);
};

/** A device as served; must stay valid as long as its sessions. */
struct vfu_device {
	const struct vfu_device_ops *ops;
	void *ctx;
	uint32_t flags;				 /**< VFIO_USER_DEVICE_* */
	uint32_t num_regions;			 /**< <= VFIO_USER_MAX_REGIONS */
	uint32_t num_irqs;			 /**< <= VFU_SERVER_MAX_IRQS */
	uint32_t irq_count[VFU_SERVER_MAX_IRQS]; /**< <= VFU_SERVER_MAX_SUBIRQ each */
	/** Signals clients; the device's, outlives the sessions. NULL: nobody is signalled. */
	const struct vfu_signaller *signaller;
	uint32_t max_irq_fds; /**< eventfds that one client may leave with us; 0 = all counts */
};

/* ---- listener ---- */

/**
 * Serve @p path: take the lock file beside it, listen, and put the socket in place of a stale one
 * (§13). The directory must exist (vfu_dir_create()).
 * @param device outlives the server
 * @return 0 and *server; -EBUSY another process serves it; -ENAMETOOLONG; ...
 */
int vfu_server_create(const char *path, const struct vfu_device *device, struct vfu_server **server,
	char *errbuf, size_t errlen);
/**
 * Stop listening; the socket file is removed if it is still ours. A live session goes on until
 * vfu_session_close(). NULL is fine.
 */
void vfu_server_destroy(struct vfu_server *server);
/** Remove the socket file now and accept nobody any more (hot-remove, §10). */
void vfu_server_withdraw(struct vfu_server *server);
/**
 * Listen again after vfu_server_withdraw(); the lock was ours all the time.
 * @return 0, or a negative errno with a sentence: it is withdrawn as before
 */
int vfu_server_return(struct vfu_server *server, char *errbuf, size_t errlen);
/** Readable when vfu_server_accept() has something to do. */
int vfu_server_listen_fd(const struct vfu_server *server);
/**
 * Take one waiting client. While a session lives, and for peers of another user (root excepted), it
 * answers VERSION with EBUSY or EACCES by itself.
 * @return 0 and *session, or -EAGAIN: nobody new; anything else is a local failure (-EMFILE, ...)
 */
int vfu_server_accept(struct vfu_server *server, struct vfu_session **session);

/* ---- session ---- */

/** A session over a connected stream socket, which it owns from here (tests, fuzzing). */
int vfu_session_create(int fd, const struct vfu_device *device, struct vfu_session **session);
/** Readable when vfu_session_process() has something to do. */
int vfu_session_fd(const struct vfu_session *session);
/**
 * Handle what has arrived and send what is pending, without waiting.
 * @return 0 the session goes on; otherwise it is over and must be closed: -ECONNRESET the client
 * left between messages; -EPROTO it broke the protocol; -ETIMEDOUT it took longer than
 * VFU_SESSION_SECONDS for VERSION, a message or a reply; ...
 */
int vfu_session_process(struct vfu_session *session);
/**
 * Close the socket and all eventfds, free the session. DMA maps and regions are the device's to
 * drop (§10 "client EOF"); no callback is called. NULL is fine.
 */
void vfu_session_close(struct vfu_session *session);
/** VERSION has been agreed. */
bool vfu_session_is_open(const struct vfu_session *session);
/** Sentence about why the session ended, never NULL. */
const char *vfu_session_error(const struct vfu_session *session);
/** Process id of the peer at the time it connected, for logs only; 0 unknown. */
int vfu_session_peer_pid(const struct vfu_session *session);

/** Is an eventfd installed? */
bool vfu_session_has_irq(const struct vfu_session *session, uint32_t index, uint32_t sub);
/**
 * Signal the client; never blocks, whatever it does to its eventfd (§9, signal.h).
 * @return 0 also when the eventfd was saturated; -ENOENT none is installed; errors of vfu_signal()
 */
int vfu_session_signal(struct vfu_session *session, uint32_t index, uint32_t sub);
/** Channel interrupt: on @p sub if an eventfd is set there, else on subindex 0, never both (§9). */
int vfu_session_signal_channel(struct vfu_session *session, uint32_t sub);

#endif
