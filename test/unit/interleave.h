/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Runs a few threads in the orders that their accesses to shared memory can take. Include it
 * before the sources under test, which use <stdatomic.h>: each of their atomic loads, stores and
 * full fences becomes a step, between any two of which any other thread may run. Stores wait in
 * the thread's buffer and become visible some time later, in order, at the latest at its next full
 * fence, sequentially consistent store or system call, as on x86; so a missing fence is found, too.
 *
 * A program has one exploration at a time, all on the calling thread. Accesses that are not atomic
 * are no steps.
 */
#ifndef HP_TEST_INTERLEAVE_H
#define HP_TEST_INTERLEAVE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#define IL_THREADS 4u
#define IL_STACK   (64u << 10)
#define IL_BUFFER  16u
#define IL_DEPTH   512u

struct il_store {
	void *at;
	size_t size;
	uint32_t value;
	bool held; /**< others have run, or the thread has gone on, while it was not visible */
};

struct il_thread {
	ucontext_t context;
	void (*run)(void);
	bool done;
	const bool *waits_for; /**< NULL, or it cannot run before this is true */
	struct il_store buffer[IL_BUFFER];
	unsigned int n_buffer;
	_Alignas(16) uint8_t stack[IL_STACK];
};

static struct {
	struct il_thread thread[IL_THREADS];
	unsigned int n, current;
	ucontext_t back;
	/* The choices of this run, and of how many. */
	uint8_t choice[IL_DEPTH], of[IL_DEPTH];
	unsigned int depth, known;
	unsigned int switches, held, bound;
	unsigned long runs;
} il;

/* The next choice among @p n: as in the run before, up to where this one differs. */
static unsigned int
il_choose(unsigned int n)
{
	if (n < 2)
		return 0;
	assert(il.depth < IL_DEPTH);
	if (il.depth == il.known) {
		il.choice[il.depth] = 0;
		il.of[il.depth] = (uint8_t)n;
		il.known++;
	}
	return il.choice[il.depth++];
}

static void
il_flush_one(struct il_thread *t)
{
	const struct il_store *s = &t->buffer[0];

	memcpy(s->at, &s->value, s->size);
	memmove(&t->buffer[0], &t->buffer[1], --t->n_buffer * sizeof(t->buffer[0]));
}

static void
il_flush(struct il_thread *t)
{
	while (t->n_buffer != 0)
		il_flush_one(t);
}

static bool
il_runnable(const struct il_thread *t)
{
	return !t->done && (t->waits_for == NULL || *t->waits_for);
}

/* Back to the scheduler, before the step that the thread is about to make. */
static void
il_step(void)
{
	swapcontext(&il.thread[il.current].context, &il.back);
}

static void
il_store(void *at, size_t size, uint32_t value, memory_order order)
{
	struct il_thread *t = &il.thread[il.current];

	il_step();
	assert(t->n_buffer < IL_BUFFER);
	t->buffer[t->n_buffer++] = (struct il_store){at, size, value, false};
	if (order == memory_order_seq_cst)
		il_flush(t);
}

static uint32_t
il_load(const void *at, size_t size)
{
	const struct il_thread *t = &il.thread[il.current];
	uint32_t value = 0;
	unsigned int i;

	il_step();
	for (i = t->n_buffer; i-- > 0;)
		if (t->buffer[i].at == at)
			return t->buffer[i].value;
	memcpy(&value, at, size);
	return value;
}

static void
il_fence(memory_order order)
{
	if (order != memory_order_seq_cst)
		return;
	il_step();
	il_flush(&il.thread[il.current]);
}

/** A system call: a step, with all stores before it visible. */
static void
il_call(void)
{
	il_step();
	il_flush(&il.thread[il.current]);
}

/** Sleep until it is true; a step. */
static void
il_wait(const bool *flag)
{
	il.thread[il.current].waits_for = flag;
	il_call();
	il.thread[il.current].waits_for = NULL;
}

static void
il_enter(void)
{
	il.thread[il.current].run();
	il.thread[il.current].done = true;
	il_step();
}

/* A store that must become visible now, because enough have been held back. @return its thread */
static struct il_thread *
il_overdue(void)
{
	unsigned int k, i;

	for (k = 0; k < il.n; k++)
		for (i = 0; i < il.thread[k].n_buffer; i++)
			if (!il.thread[k].buffer[i].held && il.held >= il.bound)
				return &il.thread[k];
	return NULL;
}

static void
il_hold(void)
{
	unsigned int k, i;

	for (k = 0; k < il.n; k++)
		for (i = 0; i < il.thread[k].n_buffer; i++) {
			il.held += !il.thread[k].buffer[i].held;
			il.thread[k].buffer[i].held = true;
		}
}

/* One step, or one store that becomes visible. @return false: nothing can happen any more */
static bool
il_advance(void)
{
	unsigned int can[2 * IL_THREADS], n = 0, k, last = il.current;
	bool goes_on = il_runnable(&il.thread[last]);
	struct il_thread *overdue = il_overdue();

	if (overdue != NULL) {
		il_flush_one(overdue);
		return true;
	}
	for (k = 0; k < il.n; k++)
		if (il.thread[k].n_buffer != 0)
			can[n++] = IL_THREADS + k;
	if (goes_on)
		can[n++] = last;
	for (k = 0; k < il.n; k++)
		if (k != last && il_runnable(&il.thread[k]) && (!goes_on || il.switches < il.bound))
			can[n++] = k;
	if (n == 0)
		return false;
	k = can[il_choose(n)];
	if (k >= IL_THREADS) {
		il_flush_one(&il.thread[k - IL_THREADS]);
		return true;
	}
	il_hold();
	il.switches += goes_on && k != last;
	il.current = k;
	swapcontext(&il.back, &il.thread[k].context);
	return true;
}

/* @return whether all threads came to their end */
static bool
il_run(void (*const runs[])(void))
{
	unsigned int k;
	bool done = true;

	il.current = il.depth = il.switches = il.held = 0;
	for (k = 0; k < il.n; k++) {
		struct il_thread *t = &il.thread[k];

		t->run = runs[k];
		t->done = false;
		t->waits_for = NULL;
		t->n_buffer = 0;
		getcontext(&t->context);
		t->context.uc_stack.ss_sp = t->stack;
		t->context.uc_stack.ss_size = sizeof(t->stack);
		makecontext(&t->context, il_enter, 0);
	}
	while (il_advance())
		;
	for (k = 0; k < il.n; k++)
		done &= il.thread[k].done;
	il.runs++;
	return done;
}

/* The next run differs in its last choice that has not been tried in all ways. */
static bool
il_next(void)
{
	while (il.known != 0) {
		if (++il.choice[il.known - 1] < il.of[il.known - 1])
			return true;
		il.known--;
	}
	return false;
}

/**
 * Run @p n threads in every order within a bound.
 * @param prepare called before each run
 * @param bound   how often, in a run, a thread may lose the processor while it could go on; and how
 *                many stores may be held back at all
 * @return 0: each run came to its end; else the first one that did not: a thread waits for ever
 */
static unsigned long
il_explore(void (*prepare)(void), void (*const runs[])(void), unsigned int n, unsigned int bound)
{
	il.n = n;
	il.bound = bound;
	il.known = 0;
	il.runs = 0;
	do {
		prepare();
		if (!il_run(runs))
			return il.runs;
	} while (il_next());
	return 0;
}

#undef atomic_load
#undef atomic_store
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_thread_fence
/* + 0: of an atomic object, the type of what it holds. */
#define atomic_load_explicit(p, order) ((__typeof__(*(p) + 0))il_load((p), sizeof(*(p))))
#define atomic_store_explicit(p, value, order)                                                     \
	il_store((p), sizeof(*(p)), (uint32_t)(value), (order))
#define atomic_load(p)		   atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, value)	   atomic_store_explicit(p, value, memory_order_seq_cst)
#define atomic_thread_fence(order) il_fence(order)

#endif
