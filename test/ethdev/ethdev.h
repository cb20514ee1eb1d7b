/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Tests of the ethdev contract: one process, one port, the public API, and a simulated host whose
 * knobs are turned over its control socket. The driver is linked in, so that a test can also look
 * at its structures and put functions in the place of its own. All on the main thread.
 */
#ifndef HP_TEST_ETHDEV_H
#define HP_TEST_ETHDEV_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <ethdev_driver.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define ETHDEV_MBUFS 2047u

struct ethdev_case {
	const char *name;
	void (*run)(void);
};

extern const struct ethdev_case ethdev_contract_cases[], ethdev_fence_cases[],
	ethdev_habits_cases[], ethdev_interrupt_cases[], ethdev_queue_cases[], ethdev_race_cases[],
	ethdev_session_cases[], ethdev_stats_cases[], ethdev_vf_cases[];

/** Random sequences of calls. @return exit status */
int ethdev_random(unsigned long sequences, uint64_t seed);

/** The port under test and its device string, as given with -a. */
extern uint16_t ethdev_port;
/** Its device, of ethdev's driver side. */
static inline struct rte_eth_dev *
port_device(void)
{
	return &rte_eth_devices[ethdev_port];
}
extern char ethdev_device[256];
extern struct rte_mempool *ethdev_pool;
/**
 * What there is none of, or NULL: a type of rte_malloc's memory, what the name of a memzone begins
 * with, "alarm".
 */
extern const char *_Atomic heap_fails;
struct hpbus_backend;
/** Have the port's device use another backend; housekeeping is not in the middle of using it. */
void ethdev_backend(const struct hpbus_backend *backend);
/** End the port's session, as a control operation does: housekeeping sees one or none. */
int ethdev_end_session(void);
/** Said when something fails. */
extern char ethdev_note[64];

/** Print what went wrong and what was logged last; end the process. */
void ethdev_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
#define FAIL(...) ethdev_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			FAIL("not true: %s", #condition);                                          \
	} while (0)
#define CHECK_EQUAL(a, b)                                                                          \
	do {                                                                                       \
		long long got_ = (long long)(a), want_ = (long long)(b);                           \
		if (got_ != want_)                                                                 \
			FAIL("%s is %lld, not %s = %lld", #a, got_, #b, want_);                    \
	} while (0)
/** The call is refused with this error, and at least one line in the log holds @p words. */
#define CHECK_REFUSED(call, error, words)                                                          \
	do {                                                                                       \
		unsigned long lines_ = ethdev_log_lines();                                         \
		CHECK_EQUAL(call, error);                                                          \
		if (!ethdev_logged(lines_, words))                                                 \
			FAIL("%s: nothing in the log about \"%s\"", #call, words);                 \
	} while (0)

/** Lines logged so far, and whether one after @p since contains @p words. */
unsigned long ethdev_log_lines(void);
bool ethdev_logged(unsigned long since, const char *words);

/** One request to the host: "set" a knob, the link, or take the NIC away. */
void ethdev_knob(const char *name, unsigned long value);
void ethdev_link(bool up);
void ethdev_rescind(void);
/** The host gives the device back. */
void ethdev_offer(void);
/** Offer a virtual function, or take it away. */
void ethdev_vf(bool present, unsigned int serial);
/** A counter of the NIC, or of its port ("port_stats"). */
unsigned long ethdev_host_counter(const char *name);

/** Wait up to 10 s until @p condition, an expression, is true. */
#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		uint64_t end_ = rte_get_timer_cycles() + 10 * rte_get_timer_hz();                  \
		while (!(condition)) {                                                             \
			if (rte_get_timer_cycles() > end_)                                         \
				FAIL("after 10 s still not: %s", #condition);                      \
			rte_delay_us_sleep(200);                                                   \
		}                                                                                  \
	} while (0)

/**
 * What a queue says of itself. Another thread of the driver that is inside the channel, and was
 * preempted there, makes that -EBUSY, for which one asks again.
 */
#define CHECK_ASKED(call, expected)                                                                \
	do {                                                                                       \
		int said_;                                                                         \
		WAIT_UNTIL((said_ = (call)) != -EBUSY);                                            \
		CHECK_EQUAL(said_, expected);                                                      \
	} while (0)

/** Configure, set up and start; every step must succeed. */
void ethdev_bring_up(uint16_t rx_queues, uint16_t tx_queues);
/** Send @p n frames of @p size bytes; all must be accepted. */
void ethdev_send(uint16_t queue, unsigned int n, uint16_t size);
/** Receive and free what there is. @return frames */
unsigned int ethdev_receive(uint16_t queue);
struct rte_eth_stats ethdev_stats(void);
uint64_t ethdev_xstat(const char *name);
/** Attach the device (again). @return the negative errno of rte_dev_probe(), or 0 */
int ethdev_attach(const char *device);
void ethdev_detach(void);
/** The mbufs that are not in the pool. */
unsigned int ethdev_mbufs_out(void);

#endif
