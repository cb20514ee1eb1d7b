/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of a trace and the thread that writes it (trace_internal.h). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/trace/trace_internal.h"

/* The writer looks for records so often when there are none. */
#define LOOK_NS 20000000l
/* ... and whether the file takes more, where poll(2) does not tell. */
#define BLIND_MS 10
/* Most bytes of one write(2). */
#define CHUNK (256u << 10)

/* pcapng (draft-ietf-opsawg-pcapng): types of blocks, codes of options. */
#define BLOCK_SECTION	 0x0a0d0d0au
#define BLOCK_INTERFACE	 1u
#define BLOCK_STATISTICS 5u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define OPT_SHB_USERAPPL 4u
#define OPT_IF_NAME	 2u
#define OPT_IF_DESC	 3u
#define OPT_IF_TSRESOL	 9u
#define OPT_ISB_RECEIVED 4u
#define OPT_ISB_DROPPED	 5u
#define TSRESOL_NS	 9u

/* What is appended to is a trace; the descriptor of its writer cannot read. */
static int
check_trace(const char *path, const struct stat *st, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat found;
	uint32_t type = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &found) == 0 && found.st_dev == st->st_dev && found.st_ino == st->st_ino &&
		pread(fd, &type, sizeof(type), 0) != (ssize_t)sizeof(type))
		type = 0;
	close(fd);
	if (type == BLOCK_SECTION)
		return 0;
	*why = "what is in it now is no trace; give another file";
	return -EEXIST;
}

/* Empty it, or go to its end. */
static int
place_writer(
	struct trace *t, const struct trace_options *o, const struct stat *st, const char **why)
{
	off_t end;
	int rc;

	if (!o->append || st->st_size == 0)
		return ftruncate(t->fd, 0) == 0 ? 0 : -errno;
	rc = check_trace(o->path, st, why);
	if (rc != 0)
		return rc;
	end = lseek(t->fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	t->base = (uint64_t)end;
	return 0;
}

int
trace_file_open(struct trace *t, const struct trace_options *o, const char **why)
{
	struct stat st;
	int flags, rc;

	/* A FIFO that nobody reads is an error, not a wait. */
	t->fd = open(o->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	if (t->fd < 0 || fstat(t->fd, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	rc = o->permit == NULL ? 0 : o->permit(o->ctx, t->fd, why);
	if (rc != 0)
		return rc;
	t->regular = S_ISREG(st.st_mode);
	/*
	 * Of whatever process. It goes with the descriptor, which a writer that was left behind
	 * still has; where a file system has no locks there is none.
	 */
	if ((t->regular || S_ISFIFO(st.st_mode)) && flock(t->fd, LOCK_EX | LOCK_NB) != 0 &&
		errno == EWOULDBLOCK) {
		*why = "another trace is being written to it; give each a file of its own";
		return -EBUSY;
	}
	rc = t->regular ? place_writer(t, o, &st, why) : 0;
	if (rc != 0)
		return rc;
	flags = fcntl(t->fd, F_GETFL);
	if (flags < 0 || fcntl(t->fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
		return -errno;
	return 0;
}

/* The file is of no use any more: said once, and cut behind the last whole block. */
static void
file_failed(struct trace *t, int error)
{
	char what[PATH_MAX + 160];

	if (atomic_exchange(&t->failed, true))
		return;
	if (t->regular && ftruncate(t->fd, (off_t)(t->base + atomic_load(&t->bytes))) != 0)
		t->regular = false;
	snprintf(what, sizeof(what),
		"cannot write the trace %s: %s; what comes from now on is not in it", t->path,
		strerror(error));
	if (t->complain != NULL)
		t->complain(what);
}

static bool
file_write(struct trace *t, const void *data, size_t len)
{
	const uint8_t *from = data;
	struct pollfd writable = {.fd = t->fd, .events = POLLOUT};
	ssize_t n;

	if (atomic_load_explicit(&t->failed, memory_order_relaxed))
		return false;
	for (; len != 0; from += n, len -= (size_t)n) {
		n = write(t->fd, from, len);
		if (n > 0)
			continue;
		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			file_failed(t, errno);
			return false;
		}
		/* It is refused with a limit of 0 open files. */
		if (n < 0 && errno == EAGAIN && poll(&writable, 1, -1) < 0)
			poll(NULL, 0, BLIND_MS);
		n = 0;
	}
	return true;
}

/* A block being put together: what is written once and by the writer alone. */
struct block {
	uint32_t len;
	uint8_t bytes[3 * TRACE_NAME + 64];
};

static void
block_word(struct block *b, uint32_t word)
{
	memcpy(b->bytes + b->len, &word, sizeof(word));
	b->len += (uint32_t)sizeof(word);
}

static void
block_option(struct block *b, uint16_t code, const void *value, size_t len)
{
	block_word(b, code | (uint32_t)len << 16);
	memset(b->bytes + b->len, 0, (len + 3) & ~(size_t)3);
	memcpy(b->bytes + b->len, value, len);
	b->len += (uint32_t)((len + 3) & ~(size_t)3);
}

static void
block_end(struct trace *t, struct block *b)
{
	uint32_t total = b->len + 8;

	block_word(b, OPT_END);
	block_word(b, total);
	memcpy(b->bytes + 4, &total, sizeof(total));
	if (file_write(t, b->bytes, total))
		atomic_fetch_add_explicit(&t->bytes, total, memory_order_relaxed);
}

static void
write_section(struct trace *t)
{
	struct block b = {0};

	block_word(&b, BLOCK_SECTION);
	block_word(&b, 0);
	block_word(&b, BYTE_ORDER_MAGIC);
	block_word(&b, 1); /* version 1.0 */
	block_word(&b, UINT32_MAX);
	block_word(&b, UINT32_MAX); /* length of the section: not known */
	block_option(&b, OPT_SHB_USERAPPL, t->application, strlen(t->application));
	block_end(t, &b);
}

/* Interfaces that are new: before the first record of any of them. */
static void
write_interfaces(struct trace *t)
{
	uint32_t n = atomic_load_explicit(&t->n_interfaces, memory_order_acquire);
	const uint8_t resolution = TSRESOL_NS;

	for (; t->told < n; t->told++) {
		const struct trace_source *i = &t->interfaces[t->told];
		struct block b = {0};

		block_word(&b, BLOCK_INTERFACE);
		block_word(&b, 0);
		block_word(&b, i->link);
		block_word(&b, 0); /* no limit of ours: records say what was cut */
		block_option(&b, OPT_IF_NAME, i->name, strlen(i->name));
		block_option(&b, OPT_IF_DESC, i->description, strlen(i->description));
		block_option(&b, OPT_IF_TSRESOL, &resolution, sizeof(resolution));
		block_end(t, &b);
	}
}

static void
write_statistics(struct trace *t)
{
	uint64_t now = trace_clock() + t->offset, received, lost;
	uint32_t i;

	for (i = 0; i < t->told; i++) {
		struct block b = {0};

		lost = atomic_load(&t->interfaces[i].lost);
		received = atomic_load(&t->interfaces[i].records) + lost;
		block_word(&b, BLOCK_STATISTICS);
		block_word(&b, 0);
		block_word(&b, i);
		block_word(&b, (uint32_t)(now >> 32));
		block_word(&b, (uint32_t)now);
		block_option(&b, OPT_ISB_RECEIVED, &received, sizeof(received));
		block_option(&b, OPT_ISB_DROPPED, &lost, sizeof(lost));
		block_end(t, &b);
	}
}

/* @return bytes of whole blocks from the tail on, up to CHUNK or one block, and how many */
static uint32_t
ring_whole(struct trace *t, uint64_t tail, uint64_t *blocks)
{
	uint32_t len = 0;

	for (*blocks = 0; len < CHUNK; (*blocks)++) {
		if (atomic_load_explicit(trace_word(t, tail + len), memory_order_acquire) == 0)
			break;
		len += atomic_load_explicit(trace_word(t, tail + len + 4), memory_order_relaxed);
	}
	return len;
}

/* Write what there is. @return whether there was anything */
static bool
write_records(struct trace *t)
{
	uint64_t tail = atomic_load_explicit(&t->tail, memory_order_relaxed), blocks;
	uint32_t len = ring_whole(t, tail, &blocks), at = tail % TRACE_BUFFER, first;

	/* Behind the look at records: whose interface they name is there. */
	write_interfaces(t);
	if (len == 0)
		return false;
	first = TRACE_BUFFER - at < len ? TRACE_BUFFER - at : len;
	if (file_write(t, t->buffer + at, first) && file_write(t, t->buffer, len - first))
		atomic_fetch_add_explicit(&t->bytes, len, memory_order_relaxed);
	else
		trace_count_lost(t, NULL, blocks);
	memset(t->buffer + at, 0, first);
	memset(t->buffer, 0, len - first);
	atomic_store_explicit(&t->tail, tail + len, memory_order_release);
	return true;
}

void *
trace_writer(void *arg)
{
	struct trace *t = arg;
	struct timespec until;
	sigset_t all;
	bool stop = false, abandoned, wrote;

	/* SIGPIPE and SIGXFSZ are for who wrote: here that is an error to be told. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	write_section(t);
	for (;;) {
		wrote = write_records(t);
		pthread_mutex_lock(&t->lock);
		if (wrote)
			pthread_cond_broadcast(&t->progress);
		if (!wrote && stop)
			break;
		if (!wrote && !t->stop) {
			clock_gettime(CLOCK_MONOTONIC, &until);
			until.tv_nsec += LOOK_NS;
			until.tv_sec += until.tv_nsec / (long)NSEC;
			until.tv_nsec %= (long)NSEC;
			pthread_cond_timedwait(&t->stopping, &t->lock, &until);
		}
		/* Once more after that: nobody puts anything any more. */
		stop = t->stop;
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	write_statistics(t);
	pthread_mutex_lock(&t->lock);
	t->ended = true;
	abandoned = t->abandoned;
	pthread_cond_broadcast(&t->progress);
	pthread_mutex_unlock(&t->lock);
	if (!abandoned)
		return NULL;
	close(t->fd);
	t->fd = -1;
	if (t->gone != NULL)
		t->gone(t->ctx);
	trace_free(t);
	return NULL;
}
