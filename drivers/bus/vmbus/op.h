/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How long a control operation may take. Each entry point (probe, start, stop, ...) says so once,
 * and every wait below it, on whatever it waits, ends in that time: an operation of many requests
 * is not longer than one of few.
 *
 * An operation lives on the stack of its entry point and belongs to its thread; what is called
 * below finds it without being told. Operations nest: an inner one never lasts longer than the
 * outer one.
 */
#ifndef HP_BUS_VMBUS_OP_H
#define HP_BUS_VMBUS_OP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** What kind of operation it is; milliseconds. */
struct hpbus_op_kind {
	const char *name;
	unsigned int budget;
	/** Of @a budget, kept for the fence: the backend's reset or close when all talk failed. */
	unsigned int fence;
	/** The device is being taken down: a silent host is left behind, not reported as broken. */
	bool down;
};

struct hpbus_op {
	const struct hpbus_op_kind *kind;
	int64_t talk_until, until;     /**< CLOCK_MONOTONIC, milliseconds */
	const _Atomic uint32_t *hurry; /**< ends it when it is not 0; NULL */
	struct hpbus_op *outer;
};

/** CLOCK_MONOTONIC in milliseconds. */
int64_t hpbus_now_ms(void);

void hpbus_op_begin(struct hpbus_op *op, const struct hpbus_op_kind *kind);
/** The same for an operation that began at @p since. */
void hpbus_op_begin_at(struct hpbus_op *op, const struct hpbus_op_kind *kind, int64_t since);
/** This operation, and with it what is inside, is given up as soon as @p hurry is not 0. */
void hpbus_op_end_for(struct hpbus_op *op, const _Atomic uint32_t *hurry);
/** Only by the thread that began it, innermost first. */
void hpbus_op_end(struct hpbus_op *op);

/** This thread's innermost operation, or NULL. */
const struct hpbus_op *hpbus_op_current(void);
/** Until when this thread may wait for an answer. Without an operation: 5 s from now. */
int64_t hpbus_op_talk_until(void);
/** The same for the fence, which always has a moment: ask once per fence, not in a loop. */
int64_t hpbus_op_until(void);
/** Is the time for talking over? */
bool hpbus_op_spent(void);
/** Has this thread's operation been given up? Every wait looks, many times a second. */
bool hpbus_op_given_up(void);
/** Is this thread taking a device down? */
bool hpbus_op_down(void);

#endif
