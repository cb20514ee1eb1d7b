/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/host/descriptors.h"
#include "lib/host/output.h"

#define CHUNK	     4096u
#define STOP_SECONDS 10u

/* @return 0 or an errno: the other end is gone */
static int
write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EAGAIN) {
			/* Somebody else made the shared descriptor nonblocking. */
			descriptors_wait(fd, POLLOUT);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The next piece to write, lock held: the notice of a gap stands where the gap is. */
static size_t
take(struct output *o, uint8_t chunk[CHUNK])
{
	size_t n, first;

	if (o->lost != 0) {
		n = (size_t)snprintf((char *)chunk, CHUNK,
			"\r\n%s: %llu bytes of output were dropped: nobody read them\r\n",
			o->program, (unsigned long long)o->lost);
		o->lost = 0;
		return n;
	}
	n = o->len < CHUNK ? o->len : CHUNK;
	first = OUTPUT_BYTES - o->head < n ? OUTPUT_BYTES - o->head : n;
	memcpy(chunk, o->buffer + o->head, first);
	memcpy(chunk + first, o->buffer, n - first);
	o->head = (o->head + n) % OUTPUT_BYTES;
	o->len -= n;
	return n;
}

static void *
writer(void *arg)
{
	struct output *o = arg;
	uint8_t chunk[CHUNK];

	pthread_mutex_lock(&o->lock);
	for (;;) {
		size_t n;
		int error;

		while (o->len == 0 && !o->stop)
			pthread_cond_wait(&o->more, &o->lock);
		if (o->len == 0)
			break;
		n = take(o, chunk);
		o->writing = true;
		pthread_mutex_unlock(&o->lock);
		error = write_all(o->fd, chunk, n);
		pthread_mutex_lock(&o->lock);
		if (error != 0) {
			o->dead = true;
			o->error = error;
			o->len = 0;
		}
		o->writing = false;
		o->written += n;
		pthread_cond_broadcast(&o->progress);
	}
	o->ended = true;
	pthread_cond_broadcast(&o->progress);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

int
output_start(struct output *o, int fd, const char *program)
{
	pthread_condattr_t monotonic;
	int rc;

	memset(o, 0, sizeof(*o));
	o->fd = fd;
	o->program = program;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->more, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&o->progress, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rc = -pthread_create(&o->thread, NULL, writer, o);
	o->running = rc == 0;
	return rc;
}

void
output_put(struct output *o, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t drop, at, first;

	pthread_mutex_lock(&o->lock);
	if (!o->running || o->dead) {
		pthread_mutex_unlock(&o->lock);
		return;
	}
	if (len > OUTPUT_BYTES) {
		o->lost += len - OUTPUT_BYTES;
		o->dropped += len - OUTPUT_BYTES;
		from += len - OUTPUT_BYTES;
		len = OUTPUT_BYTES;
	}
	drop = o->len + len > OUTPUT_BYTES ? o->len + len - OUTPUT_BYTES : 0;
	o->head = (o->head + drop) % OUTPUT_BYTES;
	o->len -= drop;
	o->lost += drop;
	o->dropped += drop;
	at = (o->head + o->len) % OUTPUT_BYTES;
	first = OUTPUT_BYTES - at < len ? OUTPUT_BYTES - at : len;
	memcpy(o->buffer + at, from, first);
	memcpy(o->buffer, from + first, len - first);
	if (o->len == 0)
		pthread_cond_signal(&o->more);
	o->len += len;
	pthread_mutex_unlock(&o->lock);
}

/* Would a write() go on at once? Then it is the writer that is late, on a busy machine. */
static bool
reader_reads(const struct output *o)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};

	return poll(&p, 1, 0) > 0;
}

/* Wait, lock held, while the reader reads, until all is written; once stopped, for the end. */
static void
wait_reader(struct output *o)
{
	struct timespec until;
	unsigned int i;

	for (i = 0; i < STOP_SECONDS; i++) {
		uint64_t before = o->written;
		int rc = 0;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		while (rc == 0) {
			if (o->stop ? o->ended : o->len == 0 && !o->writing)
				return;
			rc = pthread_cond_timedwait(&o->progress, &o->lock, &until);
		}
		if (o->written == before && !reader_reads(o))
			return;
	}
}

void
output_flush(struct output *o)
{
	pthread_mutex_lock(&o->lock);
	if (o->running)
		wait_reader(o);
	pthread_mutex_unlock(&o->lock);
}

bool
output_stop(struct output *o)
{
	bool ended;

	if (!o->running)
		return true;
	pthread_mutex_lock(&o->lock);
	o->stop = true;
	pthread_cond_signal(&o->more);
	wait_reader(o);
	ended = o->ended;
	/* A writer that is left behind may wake up at any time: it finds nothing to do. */
	o->running = false;
	o->left = !ended;
	o->len = 0;
	pthread_mutex_unlock(&o->lock);
	if (ended)
		pthread_join(o->thread, NULL);
	else
		pthread_detach(o->thread);
	return ended;
}

const char *
output_trouble(struct output *o)
{
	const char *why = NULL;

	pthread_mutex_lock(&o->lock);
	if (o->error != 0)
		why = strerror(o->error);
	else if (o->left)
		why = "nobody reads it";
	pthread_mutex_unlock(&o->lock);
	return why;
}
