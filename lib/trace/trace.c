/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffer holds blocks of pcapng as they go into the file. A producer reserves room by moving
 * head, writes its block, and at last the block's first word, its type, which is never 0. The
 * writer takes blocks from tail on as far as they have a type, and leaves zeros behind; so nobody
 * waits for anybody: a producer that is not scheduled in the middle of a block holds up the writer,
 * not other producers.
 *
 * Blocks are multiples of 4 bytes, and so is the buffer: no word lies across its end.
 */
#include "lib/trace/trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NSEC UINT64_C(1000000000)
/* The writer looks for records so often when there are none. */
#define LOOK_NS 20000000l
/* Most bytes of one write(2). */
#define CHUNK	    (256u << 10)
#define STOP_ROUNDS 2

/* pcapng (draft-ietf-opsawg-pcapng): types of blocks, codes of options. */
#define BLOCK_SECTION	 0x0a0d0d0au
#define BLOCK_INTERFACE	 1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET	 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define OPT_END		 0u
#define OPT_SHB_USERAPPL 4u
#define OPT_IF_NAME	 2u
#define OPT_IF_DESC	 3u
#define OPT_IF_TSRESOL	 9u
#define OPT_EPB_FLAGS	 2u
#define OPT_EPB_DROPS	 4u
#define OPT_ISB_RECEIVED 4u
#define OPT_ISB_DROPPED	 5u
#define TSRESOL_NS	 9u
/* Words of a block about a packet around its data, without options. */
#define PACKET_WORDS 7u

struct interface {
	char name[TRACE_NAME], description[TRACE_NAME];
	uint16_t link;
	_Atomic uint64_t records, lost;
};

struct trace {
	uint8_t *buffer;
	_Atomic uint64_t head;	/* producers': bytes reserved so far */
	_Atomic uint64_t tail;	/* the writer's: bytes written so far */
	_Atomic uint64_t since; /* lost since the last record that was taken */
	_Atomic uint64_t records, lost, bytes;
	_Atomic bool failed;

	struct interface *interfaces;
	_Atomic uint32_t n_interfaces;

	/* The writer's. */
	int fd;
	uint32_t told;	 /* interfaces that are in the file */
	bool regular;	 /* a file that can be cut */
	uint64_t offset; /* to UTC from trace_clock() */
	char *path, application[TRACE_NAME];
	void (*complain)(const char *what);
	void (*gone)(void *ctx);
	void *ctx;

	/* Of the life. */
	pthread_mutex_t lock;
	pthread_cond_t stopping, progress;
	pthread_t thread;
	bool stop, ended, abandoned;
};

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

uint64_t
trace_clock(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- producers ---- */

static void
ring_put(struct trace *t, uint64_t at, const void *data, size_t len)
{
	size_t offset = at % TRACE_BUFFER, first = TRACE_BUFFER - offset;

	if (len == 0)
		return;
	if (first > len)
		first = len;
	memcpy(t->buffer + offset, data, first);
	memcpy(t->buffer, (const uint8_t *)data + first, len - first);
}

static inline _Atomic uint32_t *
ring_word(struct trace *t, uint64_t at)
{
	return (_Atomic uint32_t *)(void *)(t->buffer + at % TRACE_BUFFER);
}

/* A test has others come between here. */
#ifndef TRACE_BETWEEN_LOADS
#define TRACE_BETWEEN_LOADS(t) ((void)0)
#endif

/* @return whether there was room; @at: where it begins */
static bool
ring_reserve(struct trace *t, uint32_t len, uint64_t *at)
{
	uint64_t head, tail;

	do {
		/*
		 * Acquire: the zeros that the writer has left are before our words. The tail first:
		 * so the head is never behind it. More than there is between them: the tail is an
		 * old one; so may the head be by now, so that both are looked at again.
		 */
		do {
			tail = atomic_load_explicit(&t->tail, memory_order_acquire);
			TRACE_BETWEEN_LOADS(t);
			head = atomic_load_explicit(&t->head, memory_order_acquire);
		} while (head - tail > TRACE_BUFFER);
		if (len > TRACE_BUFFER - (head - tail))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&t->head, &head, head + len, memory_order_acq_rel, memory_order_relaxed));
	*at = head;
	return true;
}

static void
count_lost(struct trace *t, struct interface *interface, uint64_t n)
{
	atomic_fetch_add_explicit(&t->lost, n, memory_order_relaxed);
	if (interface != NULL)
		atomic_fetch_add_explicit(&interface->lost, n, memory_order_relaxed);
}

/* @return bytes of the options: which direction, and how many are missing before this record */
static uint32_t
packet_options(uint32_t out[8], enum trace_flags flags, uint64_t lost)
{
	uint32_t n = 0;

	if (flags != TRACE_FLAG_NONE) {
		out[n++] = OPT_EPB_FLAGS | 4u << 16;
		out[n++] = flags;
	}
	if (lost != 0) {
		out[n++] = OPT_EPB_DROPS | 8u << 16;
		memcpy(&out[n], &lost, sizeof(lost));
		n += 2;
	}
	if (n != 0)
		out[n++] = OPT_END;
	return n * 4;
}

bool
trace_put(struct trace *t, int interface, uint64_t at, enum trace_flags flags,
	const struct iovec *parts, unsigned int n, uint32_t full)
{
	struct interface *from = interface < 0 ? NULL : &t->interfaces[interface];
	uint32_t words[PACKET_WORDS], options[8], options_len, total, padded;
	const uint32_t none = 0;
	uint64_t time = at + t->offset, lost, pos, len = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		len += parts[i].iov_len;
	lost = atomic_exchange_explicit(&t->since, 0, memory_order_relaxed);
	if (from == NULL || len > TRACE_RECORD ||
		atomic_load_explicit(&t->failed, memory_order_relaxed))
		goto lose;
	options_len = packet_options(options, flags, lost);
	padded = ((uint32_t)len + 3) & ~3u;
	total = (uint32_t)sizeof(words) + padded + options_len + 4;
	if (!ring_reserve(t, total, &pos))
		goto lose;
	words[0] = BLOCK_PACKET;
	words[1] = total;
	words[2] = (uint32_t)interface;
	words[3] = (uint32_t)(time >> 32);
	words[4] = (uint32_t)time;
	words[5] = (uint32_t)len;
	words[6] = full > len ? full : (uint32_t)len;
	ring_put(t, pos + 4, &words[1], sizeof(words) - 4);
	at = pos + sizeof(words);
	for (i = 0; i < n; at += parts[i].iov_len, i++)
		ring_put(t, at, parts[i].iov_base, parts[i].iov_len);
	ring_put(t, at, &none, padded - (size_t)len);
	at = pos + sizeof(words) + padded;
	ring_put(t, at, options, options_len);
	ring_put(t, at + options_len, &total, sizeof(total));
	atomic_fetch_add_explicit(&t->records, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&from->records, 1, memory_order_relaxed);
	/* Release: pairs with the acquire in ring_whole(). */
	atomic_store_explicit(ring_word(t, pos), words[0], memory_order_release);
	return true;
lose:
	atomic_fetch_add_explicit(&t->since, lost + 1, memory_order_relaxed);
	count_lost(t, from, 1);
	return false;
}

int
trace_interface(struct trace *t, uint16_t link, const char *name, const char *description)
{
	struct interface *new;
	uint32_t n;

	pthread_mutex_lock(&t->lock);
	n = atomic_load_explicit(&t->n_interfaces, memory_order_relaxed);
	if (n < TRACE_INTERFACES) {
		new = &t->interfaces[n];
		snprintf(new->name, sizeof(new->name), "%s", name);
		snprintf(new->description, sizeof(new->description), "%s", description);
		new->link = link;
		atomic_store_explicit(&t->n_interfaces, n + 1, memory_order_release);
	}
	pthread_mutex_unlock(&t->lock);
	return n < TRACE_INTERFACES ? (int)n : -ENOSPC;
}

/* ---- writer ---- */

/* The file is of no use any more: said once, and cut behind the last whole block. */
static void
file_failed(struct trace *t, int error)
{
	char what[PATH_MAX + 160];

	if (atomic_exchange(&t->failed, true))
		return;
	if (t->regular && ftruncate(t->fd, (off_t)atomic_load(&t->bytes)) != 0)
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
		if (n < 0 && errno == EAGAIN)
			poll(&writable, 1, -1);
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
		const struct interface *i = &t->interfaces[t->told];
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
		if (atomic_load_explicit(ring_word(t, tail + len), memory_order_acquire) == 0)
			break;
		len += atomic_load_explicit(ring_word(t, tail + len + 4), memory_order_relaxed);
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
		count_lost(t, NULL, blocks);
	memset(t->buffer + at, 0, first);
	memset(t->buffer, 0, len - first);
	atomic_store_explicit(&t->tail, tail + len, memory_order_release);
	return true;
}

static void
trace_free(struct trace *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->buffer);
	free(t->interfaces);
	free(t->path);
	free(t);
}

static void *
writer(void *arg)
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

/* ---- life ---- */

static int
file_open(struct trace *t, const struct trace_options *o, const char **why)
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
	if (t->regular && ftruncate(t->fd, 0) != 0)
		return -errno;
	flags = fcntl(t->fd, F_GETFL);
	if (flags < 0 || fcntl(t->fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
		return -errno;
	return 0;
}

static int
default_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	return pthread_create(thread, NULL, run, arg);
}

int
trace_open(struct trace **trace, const struct trace_options *o, char *errbuf, size_t errlen)
{
	struct trace *t = calloc(1, sizeof(*t));
	pthread_condattr_t monotonic;
	const char *why = NULL;
	int rc = -ENOMEM;

	if (t == NULL)
		goto fail;
	t->fd = -1;
	t->path = strdup(o->path);
	t->buffer = calloc(1, TRACE_BUFFER);
	t->interfaces = calloc(TRACE_INTERFACES, sizeof(*t->interfaces));
	if (t->path == NULL || t->buffer == NULL || t->interfaces == NULL)
		goto fail;
	snprintf(t->application, sizeof(t->application), "%s", o->application);
	t->complain = o->complain;
	t->gone = o->gone;
	t->ctx = o->ctx;
	t->offset = clock_ns(CLOCK_REALTIME) - trace_clock();
	rc = file_open(t, o, &why);
	if (rc != 0)
		goto fail;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->stopping, &monotonic);
	pthread_cond_init(&t->progress, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = -(o->start != NULL ? o->start : default_start)(&t->thread, writer, t);
	if (rc != 0)
		goto fail;
	*trace = t;
	return 0;
fail:
	snprintf(errbuf, errlen, "cannot write a trace to %s: %s%s", o->path,
		why != NULL ? why : strerror(-rc), rc == -ENXIO ? "; start its reader first" : "");
	if (t != NULL)
		trace_free(t);
	return rc;
}

/* Wait, lock held, for the writer's end, as long as it gets on. */
static void
wait_writer(struct trace *t, unsigned int ms)
{
	struct timespec until;
	unsigned int i;
	uint64_t before;
	int rc;

	for (i = 0; i < STOP_ROUNDS && !t->ended; i++) {
		before = atomic_load(&t->tail);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)ms % 1000 * 1000000;
		until.tv_sec += (time_t)ms / 1000 + until.tv_nsec / (long)NSEC;
		until.tv_nsec %= (long)NSEC;
		for (rc = 0; rc == 0 && !t->ended;)
			rc = pthread_cond_timedwait(&t->progress, &t->lock, &until);
		if (atomic_load(&t->tail) == before)
			return;
	}
}

bool
trace_close_within(struct trace *t, unsigned int ms)
{
	bool ended;

	if (t == NULL)
		return true;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->stopping);
	wait_writer(t, ms);
	ended = t->ended;
	t->abandoned = !ended;
	if (!ended)
		pthread_detach(t->thread);
	pthread_mutex_unlock(&t->lock);
	if (ended) {
		pthread_join(t->thread, NULL);
		trace_free(t);
	}
	return ended;
}

const char *
trace_path(const struct trace *t)
{
	return t->path;
}

void
trace_stats(const struct trace *t, struct trace_stats *stats)
{
	stats->records = atomic_load_explicit(&t->records, memory_order_relaxed);
	stats->lost = atomic_load_explicit(&t->lost, memory_order_relaxed);
	stats->bytes = atomic_load_explicit(&t->bytes, memory_order_relaxed);
	stats->failed = atomic_load_explicit(&t->failed, memory_order_relaxed);
}
