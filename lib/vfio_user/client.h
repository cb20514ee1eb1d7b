/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Blocking vfio-user client with deadlines: one connection is one device
 * (spec/vmbus-over-vfio-user.md part 1).
 *
 * The client object belongs to its caller, who serialises all calls on one client,
 * vfu_client_alive() included; any thread may call. The exceptions are vfu_client_post(),
 * vfu_client_repost() and vfu_client_abort(): any thread at any time, and they never wait. After
 * connecting, no function allocates from the heap, so vfu_client_dma_map() and
 * vfu_client_dma_unmap() may run in memory event callbacks.
 *
 * Every function returns 0 or a negative errno. A peer's error reply is returned as its errno and
 * the connection lives on. A deadline missed (-ETIMEDOUT), a malformed reply (-EPROTO) or a closed
 * connection (-ECONNRESET) ends the connection, because a late reply would be taken for
 * another one: the socket is shut down at once, every later call gives -ENOTCONN, and
 * vfu_client_close() is all that is left to do. The descriptor number stays taken until then, so
 * that an event loop can be told to forget it.
 */
#ifndef HP_VFIO_USER_CLIENT_H
#define HP_VFIO_USER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vfio_user/vfio_user.h"

/** Enough for every sentence the library writes. */
#define VFU_ERRLEN 256u

/** Most sparse areas kept of a region; a region with more is reported as -E2BIG. */
#define VFU_MAX_AREAS 16u
/** Most IO_FDS entries of a region. */
#define VFU_MAX_IO_FDS 128u

struct vfu_client;

/** Answer to GET_INFO. */
struct vfu_device_info {
	uint32_t flags; /**< VFIO_USER_DEVICE_* */
	uint32_t num_regions, num_irqs;
};

/** Answer to GET_REGION_INFO. */
struct vfu_region {
	uint32_t flags;	 /**< VFIO_USER_REGION_FLAG_* */
	uint64_t size;	 /**< bytes; 0 = not present */
	uint64_t offset; /**< where the region starts in @a fd; add it to mmap's offset */
	int fd;		 /**< the caller's to close; -1 = cannot be mapped, whatever the flags */
	bool has_type;
	uint32_t type, subtype; /**< capability 2, only with @a has_type */
	/** Mappable pieces inside the region; 0 with a valid fd = all of it is. */
	uint32_t n_areas;
	struct vfio_user_sparse_area areas[VFU_MAX_AREAS];
};

/** Answer to GET_IRQ_INFO. */
struct vfu_irq_info {
	uint32_t flags; /**< VFIO_USER_IRQ_* */
	uint32_t count; /**< subindices */
};

/** Answer to GET_REGION_IO_FDS. Several entries may share one descriptor. */
struct vfu_io_fds {
	uint32_t count;	  /**< entries that are eventfds */
	uint32_t skipped; /**< entries of another type, or whose descriptor is no eventfd */
	struct {
		uint64_t offset, size; /**< inside the region */
		uint32_t fd_index;     /**< into @a fds, checked */
	} entry[VFU_MAX_IO_FDS];
	uint32_t n_fds;
	int fds[VFIO_USER_CLIENT_MAX_FDS]; /**< the caller's to close: vfu_io_fds_close() */
};

/**
 * Connect (1 s) and agree on the version (5 s), §3.
 * @param path   socket file, at most 107 bytes
 * @param errbuf one sentence when it fails; VFU_ERRLEN bytes are enough
 * @return 0 and *client; -ECONNREFUSED a stale socket; -EBUSY another client owns the device;
 *         -EACCES; -ETIMEDOUT; -EPROTO; -ENOMEM
 */
int vfu_client_connect(const char *path, struct vfu_client **client, char *errbuf, size_t errlen);

/**
 * The same within an operation that ends at @p until (CLOCK_MONOTONIC, milliseconds), as after
 * vfu_client_set_deadline(). Connecting and VERSION keep their own limits within it.
 * @param given_up asked by whoever waits for the server, many times a second, now and in later
 *                 calls: true ends the wait, and the connection, with -ECANCELED; NULL: never
 */
int vfu_client_connect_until(const char *path, int64_t until, bool (*given_up)(void),
	struct vfu_client **client, char *errbuf, size_t errlen);

/** Agree on the version over a connected stream socket, which the client owns from here (tests). */
int vfu_client_attach(int fd, struct vfu_client **client, char *errbuf, size_t errlen);

/** Close the socket and free the client. Descriptors handed out stay the caller's. NULL is fine. */
void vfu_client_close(struct vfu_client *client);

/** The socket, for a hang-up watch only; valid until vfu_client_close(). */
int vfu_client_fd(const struct vfu_client *client);

/**
 * Look whether the peer is there without waiting; call it between commands, §10 "EOF watch".
 * @return 0 alive; -ENOTCONN the connection is over; -EPROTO the peer sent something unasked,
 *         the connection has been ended
 */
int vfu_client_alive(struct vfu_client *client);

/**
 * Why the connection is over: 0 it is not; -ECONNRESET and the like the peer ended it; we did:
 * -ETIMEDOUT no answer, -EPROTO nonsense, -ECANCELED vfu_client_abort(). Any thread.
 */
int vfu_client_why(const struct vfu_client *client);

/** Sentence about the last failure, never NULL. */
const char *vfu_client_error(const struct vfu_client *client);

/** Most descriptors the peer takes in one message. */
unsigned int vfu_client_max_fds(const struct vfu_client *client);

/**
 * Every request from now on may take until @p until (CLOCK_MONOTONIC, milliseconds), in place of
 * the limits of §5: the bound of an operation of many requests. 0 = the limits again.
 */
void vfu_client_set_deadline(struct vfu_client *client, int64_t until);

/** Use @p ms milliseconds in place of every limit of §5 from now on; 0 = the limits again (tests).
 */
void vfu_client_set_timeout(struct vfu_client *client, int ms);

int vfu_client_device_info(struct vfu_client *client, struct vfu_device_info *info);

/**
 * @return 0; a region that does not exist has size 0 and no fd. -EINVAL index out of range. The
 * fd's size has been checked against offset + size, and page alignment when there is an fd.
 */
int vfu_client_region_info(struct vfu_client *client, uint32_t index, struct vfu_region *region);

int vfu_client_irq_info(struct vfu_client *client, uint32_t index, struct vfu_irq_info *info);

/**
 * Install eventfds on [start, start + count); fds[i] < 0 removes the one that is there, fds == NULL
 * removes all of them. Sent in pieces the peer can take; after a failure some may be installed.
 * The descriptors stay the caller's.
 */
int vfu_client_set_irqs(
	struct vfu_client *client, uint32_t index, uint32_t start, uint32_t count, const int *fds);
/** Remove all eventfds of an index. */
int vfu_client_clear_irqs(struct vfu_client *client, uint32_t index);
/** Have the server fire [start, start + count) now (test aid). */
int vfu_client_trigger_irqs(
	struct vfu_client *client, uint32_t index, uint32_t start, uint32_t count);

/**
 * Read or write @p count bytes of a region. Up to 65536 bytes (less if the peer says so) travel in
 * one message; more is split.
 */
int vfu_client_region_read(
	struct vfu_client *client, uint32_t index, uint64_t offset, void *data, uint32_t count);
int vfu_client_region_write(struct vfu_client *client, uint32_t index, uint64_t offset,
	const void *data, uint32_t count);

/**
 * Write the u32 1 at @p offset of a region, with the no-reply flag and without waiting
 * for anything: neither for the server nor for a request of another thread that waits for its
 * reply. What cannot leave at once (a full socket, a message half sent) is remembered and leaves
 * with the next message or vfu_client_repost(); writes of one slot meanwhile become one.
 * Any thread; a server that replies nevertheless is put up with.
 * @param region the same in all calls on one client
 * @param slot   0..63, one for each offset in use
 */
void vfu_client_post(
	struct vfu_client *client, uint32_t region, unsigned int slot, uint32_t offset);
/** Try again what vfu_client_post() remembered. Any thread. @return whether nothing is left */
bool vfu_client_repost(struct vfu_client *client);

/** Shut the connection down: whoever waits for a reply gets -ECONNRESET at once. Any thread. */
void vfu_client_abort(struct vfu_client *client);

/** Eventfds that stand for writes to a region. Close them with vfu_io_fds_close(). */
int vfu_client_io_fds(struct vfu_client *client, uint32_t index, struct vfu_io_fds *io);
void vfu_io_fds_close(struct vfu_io_fds *io);

/**
 * Share [offset, offset + size) of @p fd as [iova, iova + size); all multiples of 4096. The server
 * holds its own reference when this returns: @p fd stays the caller's and may be closed.
 * @param flags VFIO_USER_DMA_READ_FLAG, VFIO_USER_DMA_WRITE_FLAG
 * @return 0; -EEXIST overlaps; -ENOSPC; -EPERM access mode of fd; -EINVAL. No heap, no locks.
 */
int vfu_client_dma_map(struct vfu_client *client, int fd, uint32_t flags, uint64_t offset,
	uint64_t iova, uint64_t size);
/**
 * Take back exactly what one vfu_client_dma_map() shared. When it returns 0, the server cannot
 * touch the range any more. @return 0; -ENOENT; up to 30 s. No heap, no locks.
 */
int vfu_client_dma_unmap(struct vfu_client *client, uint64_t iova, uint64_t size);

/** Read-only twin of a descriptor, for vfu_client_dma_map() with READ only, §11. No heap. */
int vfu_reopen_read_only(int fd);

/** Reset the device (up to 30 s). Read the descriptor again afterwards, §10. */
int vfu_client_reset(struct vfu_client *client);

#endif
