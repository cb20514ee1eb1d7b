/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A trace from inside, for the two files that it consists of: trace.c, its life and the producers'
 * side of its buffer, and trace_writer.c, the thread that empties the buffer into the file.
 *
 * The buffer holds blocks of pcapng as they go into the file. A producer reserves room by moving
 * head, writes its block, and at last the block's first word, its type, which is never 0. The
 * writer takes blocks from tail on as far as they have a type, and leaves zeros behind; so nobody
 * waits for anybody: a producer that is not scheduled in the middle of a block holds up the writer,
 * not other producers.
 *
 * Blocks are multiples of 4 bytes, and so is the buffer: no word lies across its end.
 */
#ifndef HP_TRACE_INTERNAL_H
#define HP_TRACE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/trace/trace.h"

#define NSEC UINT64_C(1000000000)

/* pcapng (draft-ietf-opsawg-pcapng): the end of any block's options. */
#define OPT_END 0u

struct trace_source {
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

	struct trace_source *interfaces;
	_Atomic uint32_t n_interfaces;

	/* The writer's. */
	int fd;
	uint32_t told;	 /* interfaces that are in the file */
	bool regular;	 /* a file that can be cut */
	uint64_t base;	 /* bytes that were in it */
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

static inline _Atomic uint32_t *
trace_word(struct trace *t, uint64_t at)
{
	return (_Atomic uint32_t *)(void *)(t->buffer + at % TRACE_BUFFER);
}

static inline void
trace_count_lost(struct trace *t, struct trace_source *interface, uint64_t n)
{
	atomic_fetch_add_explicit(&t->lost, n, memory_order_relaxed);
	if (interface != NULL)
		atomic_fetch_add_explicit(&interface->lost, n, memory_order_relaxed);
}

/* Everything of a trace whose thread is not there, or goes. */
void trace_free(struct trace *t);
/* Open the file and keep others from it. @return 0 or a negative errno; @why: instead of its text
 */
int trace_file_open(struct trace *t, const struct trace_options *o, const char **why);
/* The thread; @arg: the trace. */
void *trace_writer(void *arg);

#endif
