/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/bus/vmbus/op.h"
#include "lib/vmbus/clock.h"

#include <stddef.h>

/* Waits that belong to no operation. */
#define DEFAULT_MS 5000
/* What a fence has even when all is spent: no host is cut off unasked. */
#define FENCE_LEAST_MS 100

static __thread struct hpbus_op *current;

int64_t
hpbus_now_ms(void)
{
	return monotonic_ms();
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void
hpbus_op_begin_at(struct hpbus_op *op, const struct hpbus_op_kind *kind, int64_t since)
{
	op->kind = kind;
	op->until = since + kind->budget;
	op->talk_until = op->until - kind->fence;
	op->hurry = NULL;
	op->outer = current;
	if (op->outer != NULL) {
		op->until = earlier(op->until, op->outer->until);
		op->talk_until = earlier(op->talk_until, op->outer->talk_until);
	}
	current = op;
}

void
hpbus_op_begin(struct hpbus_op *op, const struct hpbus_op_kind *kind)
{
	hpbus_op_begin_at(op, kind, hpbus_now_ms());
}

void
hpbus_op_end(struct hpbus_op *op)
{
	current = op->outer;
}

const struct hpbus_op *
hpbus_op_current(void)
{
	return current;
}

int64_t
hpbus_op_talk_until(void)
{
	return current != NULL ? current->talk_until : hpbus_now_ms() + DEFAULT_MS;
}

int64_t
hpbus_op_until(void)
{
	int64_t now = hpbus_now_ms();

	if (current == NULL)
		return now + DEFAULT_MS;
	return current->until > now + FENCE_LEAST_MS ? current->until : now + FENCE_LEAST_MS;
}

bool
hpbus_op_spent(void)
{
	return current != NULL && hpbus_now_ms() >= current->talk_until;
}

void
hpbus_op_end_for(struct hpbus_op *op, const _Atomic uint32_t *hurry)
{
	op->hurry = hurry;
}

bool
hpbus_op_given_up(void)
{
	for (const struct hpbus_op *op = current; op != NULL; op = op->outer)
		if (op->hurry != NULL && atomic_load(op->hurry) != 0)
			return true;
	return false;
}

bool
hpbus_op_down(void)
{
	for (const struct hpbus_op *op = current; op != NULL; op = op->outer)
		if (op->kind->down)
			return true;
	return false;
}
