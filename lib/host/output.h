/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Output that never makes its producer wait: a bounded buffer in front of a descriptor, and a
 * thread that writes it. Whoever holds the other end may stop reading for ever; then the oldest
 * bytes are dropped, and a notice in the stream says how many.
 *
 * The descriptor is not ours alone (a terminal, a pipe of the shell), so it is not made
 * nonblocking: only the writer thread may hang in write(), and at the end it is left behind.
 */
#ifndef HP_HOST_OUTPUT_H
#define HP_HOST_OUTPUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes kept for a reader that is late. */
#define OUTPUT_BYTES 262144u

/** One descriptor; must outlive the process's threads (static storage). Owned by output.c. */
struct output {
	int fd;
	const char *program;
	pthread_mutex_t lock;
	pthread_cond_t more;	 /**< for the writer */
	pthread_cond_t progress; /**< for output_stop() */
	pthread_t thread;
	bool running, stop, ended;
	bool writing; /**< the writer has bytes in hand */
	bool dead;    /**< write failed: the other end is gone */
	int error;    /**< errno of that */
	bool left;    /**< the writer was left behind */
	size_t head, len;
	uint64_t lost;	  /**< bytes dropped and not yet reported */
	uint64_t dropped; /**< bytes dropped so far */
	uint64_t written;
	uint8_t buffer[OUTPUT_BYTES];
};

/**
 * Start the writer of @p fd.
 * @param program who says that bytes were dropped; static
 * @return 0 or a negative errno
 */
int output_start(struct output *output, int fd, const char *program);
/** Append @p len bytes; never waits for the reader. Any thread. */
void output_put(struct output *output, const void *data, size_t len);
/** Wait as output_stop() does until all is written; the writer goes on. Any thread. */
void output_flush(struct output *output);
/**
 * Write what is left and end the writer. Waits only while the reader reads: one second in which
 * it takes nothing and has no room, ten in all, then the writer is left behind.
 * @return false when it was
 */
bool output_stop(struct output *output);
/** After output_stop(): why there is output that has not been written, or NULL. */
const char *output_trouble(struct output *output);

#endif
