/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Signalling through eventfds that the peer holds too, without ever waiting for the peer
 * (spec/vmbus-over-vfio-user.md §9).
 *
 * O_NONBLOCK lives in the open file, which both sides share: the peer may fill the counter and
 * clear the flag between any check of ours and our write(), and the write would then never return.
 * So the kernel signals for us: an asynchronous read of nothing from /dev/null, whose completion
 * adds one to the eventfd. That addition neither waits nor looks at the flag, and a full counter
 * stays full. Reading has the same trap, and RWF_NOWAIT as its way out.
 *
 * A signaller belongs to the process that made it (a child of fork() needs its own) and to whoever
 * embeds it. vfu_signal() and vfu_eventfd_drain() may run on any thread, several at once, one
 * signaller or many; they allocate nothing from the heap. About twice the cost of write().
 */
#ifndef HP_VFIO_USER_SIGNAL_H
#define HP_VFIO_USER_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

/** Zeroed, or after vfu_signaller_fini(): vfu_signal() gives -ENOTCONN. */
struct vfu_signaller {
	unsigned long context; /**< aio_context_t, 0 none */
	int null_fd;
};

/**
 * Get ready. No other thread uses @p signaller meanwhile.
 * @return 0; -EAGAIN: fs.aio-max-nr is used up; -ENOSYS, -EPERM: asynchronous I/O is not permitted
 *         here; -EMFILE, ...: no descriptor of /dev/null
 */
int vfu_signaller_init(struct vfu_signaller *signaller);
/** Give everything back; nobody signals any more. Fine on a zeroed one and twice. */
void vfu_signaller_fini(struct vfu_signaller *signaller);

/**
 * Add one to an eventfd; never waits, whatever the peer made of it. A full counter stays full: its
 * reader has something to read.
 * @return 0; -EINVAL not an eventfd; -EBADF; -ENOTCONN no signaller; -EAGAIN no kernel memory:
 *         nothing was signalled
 */
int vfu_signal(const struct vfu_signaller *signaller, int fd);

/**
 * Read an eventfd down to zero; never waits.
 * @param value what it held, or NULL
 * @return 0; -EAGAIN it was zero; -ENOTSUP the kernel cannot read an eventfd without the risk of
 *         waiting (before 5.8): nothing was read, so do not poll it level-triggered again
 */
int vfu_eventfd_drain(int fd, uint64_t *value);

/**
 * Is it an eventfd, as far as /proc can tell? To be asked of every descriptor of the peer before
 * it is taken for one: a pipe in its place would fill.
 */
bool vfu_fd_is_eventfd(int fd);

#endif
