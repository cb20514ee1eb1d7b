/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * pmdbench: what a driver costs per frame, with the host's work not counted.
 *
 * Processes: the one that the user starts (main.c) runs no DPDK. It starts one *subject* per driver
 * (subject.c): a process with a host NIC of lib/host (host.c), DPDK, and the driver under test. All
 * subjects live at the same time and work one at a time, on request, so that they can take turns in
 * rounds of a few milliseconds.
 *
 * In a subject one thread does both halves in *turns*: the host takes what the guest sent and
 * delivers a burst to each queue; then the guest's calls are timed. Only with `cross` does the
 * host's half of a turn run on another core, while the guest waits.
 */
#ifndef PMDBENCH_H
#define PMDBENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_MAX_QUEUES 64u
#define BENCH_MAX_BURST	 64u
#define BENCH_SIZE_IMIX	 0u

/** The last three are the host's half alone, with ports of hvsim; the guest's is not timed. */
enum bench_op {
	BENCH_RX,
	BENCH_TX,
	BENCH_FWD,
	BENCH_IDLE,
	BENCH_HOST_GEN,	   /**< generate and deliver */
	BENCH_HOST_SINK,   /**< take and discard */
	BENCH_HOST_VERIFY, /**< generate, deliver, take back and verify */
	BENCH_OPS,
};
static inline bool
bench_op_is_host(enum bench_op op)
{
	return op >= BENCH_HOST_GEN;
}
extern const char *const bench_op_names[BENCH_OPS];

/** Which code is measured. */
enum bench_pmd { BENCH_HYPERPOLL, BENCH_HYPERPOLL_UIO, BENCH_IN_TREE, BENCH_FLOOR, BENCH_PMDS };

static inline bool
bench_pmd_is_ours(enum bench_pmd pmd)
{
	return pmd == BENCH_HYPERPOLL || pmd == BENCH_HYPERPOLL_UIO;
}

/** "hyperpoll", "in-tree" or "floor", as in the JSON; and how it reaches the host. */
extern const char *const bench_pmd_names[BENCH_PMDS], *const bench_pmd_backends[BENCH_PMDS];

/** What the port's queues do besides moving frames. */
enum bench_offloads {
	BENCH_NONE,   /**< nothing, packet types off */
	BENCH_ALL,    /**< all receive offloads that the driver has */
	BENCH_TYPES,  /**< ... and packet types */
	BENCH_OTHERS, /**< nothing, but one more queue, which rests, has all that a queue can have
		       */
	BENCH_OFFLOADS,
};
extern const char *const bench_offload_names[BENCH_OFFLOADS];

/** What is measured. */
struct bench_cell {
	enum bench_op op;
	uint32_t size;	 /**< bytes of a frame without FCS; BENCH_SIZE_IMIX: a mix of three */
	uint32_t burst;	 /**< frames of one call */
	uint32_t ppis;	 /**< per-packet information elements of a received frame, 0 to 2 */
	uint32_t queues; /**< queue pairs, polled one after another */
	uint32_t flows;	 /**< UDP flows of received frames */
	uint32_t cross;	 /**< 1: the host's half of each turn runs on another core */
	enum bench_offloads offloads;
};

/** Queues that the port has for a cell. */
static inline uint32_t
bench_channels(uint32_t queues, enum bench_offloads offloads)
{
	return queues + (offloads == BENCH_OTHERS);
}

enum bench_what {
	BENCH_CHECK, /**< a few turns with every byte compared */
	BENCH_TIME,  /**< time a round */
	BENCH_COUNT, /**< a fixed number of turns inside the functions that callgrind counts */
	BENCH_QUIT,
};

/** From the first process to a subject; one message of a seqpacket socket. */
struct bench_request {
	enum bench_what what;
	struct bench_cell cell;
	uint64_t frames; /**< of a round, at least */
};

/** The answer; for BENCH_IDLE a "frame" is a poll of one queue. */
struct bench_reply {
	int rc;		 /**< 0, or a negative errno and a sentence in @a error */
	uint64_t ticks;	 /**< of the time stamp counter, in the guest's calls */
	uint64_t frames; /**< that these calls received, sent or forwarded */
	uint64_t bytes;
	uint64_t calls; /**< bursts, empty ones included */
	char error[256];
};

/** How to start a subject. */
struct bench_subject_options {
	enum bench_pmd pmd;
	int fd;		   /**< socket of requests */
	const char *dir;   /**< folder for the NIC's socket */
	const char *nic;   /**< configuration of the NIC, as hvsim's --nic */
	uint32_t queues;   /**< that are polled */
	bool counts;	   /**< under callgrind */
	int cpu, host_cpu; /**< guest's core; the host's, for `cross` and control */
	const char *plugin;
	enum bench_offloads offloads;
};

/** Serve requests until told to quit or until the other end is gone. @return exit status */
int subject_main(const struct bench_subject_options *options);

#endif
