/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The word that says where the bursts of a queue go, and the mark that a queue is inside of a call
 * into the virtual function's driver. Four threads: one polls, one moves the path, stops and starts
 * the virtual function, and two have events, which take bursts off at once. Is the driver called while
 * it is stopped, stopped while it is called, and does the path end where the last event wants it? It
 * models drivers/net/netvsc/vf_burst.c and netvsc_vf_event(); run.sh checks it and its mutants.
 *
 * The virtual function is lost and found three times, in any order. "lost" is a level, "was_lost" the mark that
 * stays until the machine takes it.
 *
 * Weak order as in buffers.h. What comes by an instruction that reads and writes (facts, the cut) is
 * in order with everything; the threads with the events store nothing else.
 *
 * Mutants, one at a time (-DM_...), each must fail:
 *   NO_FENCE_IN     no fence between "inside" and the look at the word
 *   NO_FENCE_OUT    no fence between word = 0 and the look at "inside"
 *   WORD_FIRST      the word is looked at before "inside" is said
 *   QUIET_FIRST     "inside" is looked at before word = 0
 *   NO_QUIET        stopped without asking whether anybody is inside
 *   NO_TIMES        the word is the same each time the path is moved to the virtual function
 *   CUT_LATE        an event reads the word after the facts
 *   NO_MARK         an event that is over leaves no mark
 *   WAKE_FIRST      an event wakes before the facts say so
 *   RELAXED_ON      the word is stored without release (weak order only)
 *   RELAXED_EXIT    "inside" is taken back without release (weak order only)
 */
#define P 0 /* polls */
#define M 1 /* the machine: moves the path */
#define THREADS 2

#define V_PATH    1
#define V_INSIDE  2
#define V_STARTED 3
#define V_WORK    4

byte path;
bool inside, started, work;
bool lost = 1, was_lost; /* netvsc_vf_facts */
bool wake;

/* For the properties only. */
bool on, idle, in_call;
byte over;

#ifdef M_RELAXED_ON
#define path_release(v) 0
#else
#define path_release(v) ((v) == V_PATH)
#endif
#ifdef M_RELAXED_EXIT
#define exit_release(v) 0
#else
#define exit_release(v) ((v) == V_INSIDE)
#endif
#define is_release(v) (path_release(v) || exit_release(v))
#define reach(v, x)                                                                                \
	if                                                                                         \
	:: (v) == V_PATH -> path = x                                                               \
	:: (v) == V_INSIDE -> inside = x                                                           \
	:: (v) == V_STARTED -> started = x                                                         \
	:: else -> work = x                                                                        \
	fi
#include "buffers.h"

proctype polls()
{
	byte to;

end:
	do
	:: path != 0 -> /* the first look, relaxed; else the burst is the synthetic path's */
#ifdef M_WORD_FIRST
		to = path;
#endif
		store(P, V_INSIDE, 1);
#ifndef M_NO_FENCE_IN
		fence(P); /* pairs with the machine's */
#endif
#ifndef M_WORD_FIRST
		to = path;
#endif
		if
		:: to != 0 ->
			in_call = 1;
			assert(started);
			store(P, V_WORK, 1);
			assert(started);
			store(P, V_WORK, 0);
			in_call = 0
		:: else
		fi;
		store(P, V_INSIDE, 0);
		to = 0
	od
}

#ifdef M_NO_TIMES
#define again(n) 1
#else
#define again(n) ((n) + 1)
#endif

/* netvsc_vf_machine_take(): the marks are taken, the levels stay. */
#define take                                                                                       \
	d_step {                                                                                   \
		is_lost = lost;                                                                    \
		cut = (on && was_lost);                                                            \
		was_lost = 0                                                                       \
	}

proctype machine()
{
	byte times;
	bool is_lost, cut;

	do
	:: idle = 1;
end:
		atomic { wake -> wake = 0; idle = 0 };
		do
		:: take;
			if
			:: !is_lost && !on && !cut ->
				store(M, V_STARTED, 1);
				times = again(times);
				store(M, V_PATH, times);
				on = 1
			:: on && (is_lost || cut) ->
#ifdef M_QUIET_FIRST
				!inside;
#endif
				store(M, V_PATH, 0);
				on = 0;
				/* It asks again and again, with a fence each time. */
#ifndef M_NO_FENCE_OUT
				fence(M);
#endif
#if !defined(M_QUIET_FIRST) && !defined(M_NO_QUIET)
				!inside;
#endif
				/* Stop: all that bursts did is done. */
				assert(!in_call);
				assert(!work);
				store(M, V_STARTED, 0)
			:: else -> break
			fi
		od
	od
}

#define facts(how)                                                                                 \
	atomic {                                                                                   \
		lost = how;                                                                        \
		was_lost = (was_lost || (how && MARK))                                             \
	}
#ifdef M_NO_MARK
#define MARK 0
#else
#define MARK 1
#endif

proctype events(byte left)
{
	byte word;

	do
	:: left > 0 ->
#ifdef M_WAKE_FIRST
		wake = 1;
#endif
		if
		:: lost -> facts(0)
		:: else ->
#ifndef M_CUT_LATE
			word = path;
#endif
			facts(1);
#ifdef M_CUT_LATE
			word = path;
#endif
			atomic {
				if
				:: word != 0 && path == word -> path = 0
				:: else
				fi
			}
		fi;
#ifndef M_WAKE_FIRST
		wake = 1;
#endif
		d_step { left--; word = 0 }
	:: else -> break
	od;
	over++
}

#define quiet (sb[P].n == 0 && sb[M].n == 0)

/* Only runs in states that must not be, so it adds none. */
proctype watcher()
{
end:
	do
	:: atomic {
		over == 2 && idle && !wake && quiet && (on == lost || on != (path != 0)) ->
		assert(false)
	}
	od
}

init {
	atomic {
		run polls();
		run machine();
		run events(2);
		run events(1);
		run memory(P);
		run memory(M);
		run watcher()
	}
}
