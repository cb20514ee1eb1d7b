/* SPDX-License-Identifier: BSD-3-Clause */
/* A trace's life, and the producers' side of its buffer (trace_internal.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/trace/trace_internal.h"

#define STOP_ROUNDS 2

/* pcapng (draft-ietf-opsawg-pcapng): a block about a packet. */
#define BLOCK_PACKET  6u
#define OPT_EPB_FLAGS 2u
#define OPT_EPB_DROPS 4u
/* Words of it around its data, without options. */
#define PACKET_WORDS 7u

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
	struct trace_source *from = interface < 0 ? NULL : &t->interfaces[interface];
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
	atomic_store_explicit(trace_word(t, pos), words[0], memory_order_release);
	return true;
lose:
	atomic_fetch_add_explicit(&t->since, lost + 1, memory_order_relaxed);
	trace_count_lost(t, from, 1);
	return false;
}

int
trace_interface(struct trace *t, uint16_t link, const char *name, const char *description)
{
	struct trace_source *new;
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

/* ---- life ---- */

void
trace_free(struct trace *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->buffer);
	free(t->interfaces);
	free(t->path);
	free(t);
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
	rc = trace_file_open(t, o, &why);
	if (rc != 0)
		goto fail;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->stopping, &monotonic);
	pthread_cond_init(&t->progress, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = -(o->start != NULL ? o->start : default_start)(&t->thread, trace_writer, t);
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
