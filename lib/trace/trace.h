/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A trace file: pcapng, written by a thread of its own from a bounded buffer, so that who traces
 * never waits (doc/trace.md has the format). What finds the buffer full, or comes after the file
 * could not be written, is lost, and counted where it is missing.
 *
 * A trace is shared by all who write to it: trace_interface() and trace_put() may be called on any
 * thread at the same time, and take no lock that another thread could hold while it waits.
 */
#ifndef HP_TRACE_TRACE_H
#define HP_TRACE_TRACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** Link types: LINKTYPE_USER9 for packets of VMBus (trace_vmbus.h), and Ethernet. */
#define TRACE_LINK_VMBUS    156u
#define TRACE_LINK_ETHERNET 1u

/** Bytes of the buffer; a record that is longer than an eighth of it is not taken. */
#define TRACE_BUFFER (4u << 20)
#define TRACE_RECORD (TRACE_BUFFER / 8)
/** Most interfaces of a file: the channels of all NICs, and their ports. */
#define TRACE_INTERFACES 4224u
/** Bytes of an interface's name and of its description, their ends included. */
#define TRACE_NAME 64u
/** Long enough, as a rule, to wait for a file that does not take what is left. */
#define TRACE_CLOSE_MS 1000

/** Direction as Ethernet interfaces have it, from the guest's side; 0 on others. */
enum trace_flags { TRACE_FLAG_NONE, TRACE_FLAG_INBOUND, TRACE_FLAG_OUTBOUND };

struct trace;

struct trace_options {
	const char *path;
	const char *application; /**< written into the file */
	/** One sentence, once: the file cannot be written any more. On the writer's thread; or
	 * NULL. */
	void (*complain)(const char *what);
	/**
	 * May @p fd, which has been opened, be emptied and written? NULL: yes.
	 * @return 0, or a negative errno and in @p why what is in the way
	 */
	int (*permit)(void *ctx, int fd, const char **why);
	/** The writer that trace_close_within() left behind has ended, on its thread; or NULL. */
	void (*gone)(void *ctx);
	void *ctx; /**< of these two */
	/** A trace that is there goes on, with a section of its own (pcapng) behind what is in the
	 * file. */
	bool append;
	/** Starts the writer's thread; NULL: pthread_create(). @return 0 or a positive errno */
	int (*start)(pthread_t *thread, void *(*run)(void *), void *arg);
};

/** Counters of a file. */
struct trace_stats {
	uint64_t records; /**< taken; in the file, or on their way to it */
	uint64_t lost;
	uint64_t bytes; /**< written to the file */
	bool failed;	/**< the file could not be written: all that comes is lost */
};

/**
 * Make a file, or empty one that is there (mode 0600, for there are frames in it), or append to it,
 * and start its writer. A file has one: another that opens it, in whatever process, gets -EBUSY and
 * empties nothing.
 * @return 0 and *trace, or a negative errno and one sentence in @p errbuf
 */
int trace_open(
	struct trace **trace, const struct trace_options *options, char *errbuf, size_t errlen);
/**
 * End it when nobody puts anything any more, and wait up to @p ms, or twice that while the file
 * makes progress. Then the writer is left behind, which ends when it can. NULL is allowed.
 * @return false when it was
 */
bool trace_close_within(struct trace *trace, unsigned int ms);
/** Path that it was opened with. */
const char *trace_path(const struct trace *trace);
void trace_stats(const struct trace *trace, struct trace_stats *stats);

/**
 * A new interface of the file; names are cut to TRACE_NAME - 1 bytes.
 * @return its number, or -ENOSPC: there are TRACE_INTERFACES
 */
int trace_interface(struct trace *trace, uint16_t link, const char *name, const char *description);
/** Clock of records: CLOCK_MONOTONIC, in nanoseconds. */
uint64_t trace_clock(void);
/**
 * Write a record; never waits.
 * @param at    time, of trace_clock()
 * @param parts bytes of the record, in order; @param n parts
 * @param full  bytes that it had before anything was cut, at least as many as there are
 * @return whether it was taken; otherwise it is counted as lost
 */
bool trace_put(struct trace *trace, int interface, uint64_t at, enum trace_flags flags,
	const struct iovec *parts, unsigned int n, uint32_t full);

#endif
