/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One inbound ring whose guest has two threads: the one that receives, and sleeps until the channel
 * interrupts, and the one that sends, and looks ahead for what is no frame (doc/design.md "Receive").
 * Is anything handled twice, not at all or in another order, and does anybody sleep over a frame? It
 * models drivers/net/netvsc/rx_ring.c and intr.c, drivers/bus/vmbus/intr.c; run.sh checks it and its
 * mutants. What one writer and one reader of a ring owe each other is in ring.pml.
 *
 * Indices count packets and do not wrap; at most K lie in the ring. A packet is a frame, a completion
 * (what both threads handle) or control in a transfer packet (which is marked when it was handled).
 * Weak order as in buffers.h. Whoever takes the lock by an instruction that reads and writes has
 * emptied his buffer on x86; on arm64 he has not, and what he stored comes out until he unlocks, a
 * release.
 *
 * The event is level-latched and stays until it is cleared: EAL does not read it.
 *
 * Mutants, one at a time (-DM_...), each must fail:
 *   NO_I3          no store->load fence between asking for a signal and the second look
 *   CHECK_FIRST    the second look comes before asking
 *   CLEAR_LATE     the event is cleared after arming
 *   NO_RAISE       what the second look finds raises no event
 *   LATE_R         the read index is published after arming
 *   ARM_AT_SCAN    the second look compares with where the scan is
 *   NO_LOCK        the scan does not take the lock
 *   SCAN_CONSUMES  the scan consumes what it handled behind a frame
 *   NO_SKIP        receive handles completions that the scan has passed
 *   NO_HANDLED     the scan does not mark control that it handled
 *   KEEP_AHEAD     consuming does not bring the scan position closer
 *   RELAXED_UNLOCK the lock is released without release order (weak order only)
 */
#ifndef K
#define K 3
#endif
#ifndef N
#define N 3
#endif

#define H 0 /* host */
#define R 1 /* receives */
#define S 2 /* sends */
#define THREADS 3

#define V_W    1
#define V_R    2
#define V_MASK 3
#define V_LOCK 4

byte w, r;
bool mask = 1, event;
byte lock; /* 1: taken */

#define FRAME   1
#define DONE    2
#define CONTROL 3
byte kind[N];

/* Whatever the host may write over has been handled. */
#define handled_below(x)                                                                           \
	(((x) < 1 || handled[0]) && ((x) < 2 || handled[1]) && ((x) < 3 || handled[2]))
#if N > 3
#error handled_below
#endif

/* Of the guest, under its lock. */
byte next_r, old_r, ahead;
bool marked[N];

/* For the properties only. */
bool handled[N];
bool waits, host_checks, locked;
byte last_frame;

#ifdef M_RELAXED_UNLOCK
#define is_release(v) ((v) == V_W || (v) == V_R)
#else
#define is_release(v) ((v) == V_W || (v) == V_R || (v) == V_LOCK)
#endif
#define reach(v, x)                                                                                \
	if                                                                                         \
	:: (v) == V_W -> w = x                                                                     \
	:: (v) == V_R ->                                                                           \
		assert(x >= r); /* the host sees it go one way */                                  \
		assert(handled_below(x));                                                          \
		r = x                                                                              \
	:: (v) == V_MASK -> mask = x                                                               \
	:: else -> lock = x                                                                        \
	fi
#include "buffers.h"

proctype host()
{
	byte next_w, old;
	bool masked;

	do
	:: next_w < N ->
		next_w - r < K;
		if
		:: kind[next_w] = FRAME
		:: kind[next_w] = DONE
		:: kind[next_w] = CONTROL
		fi;
		old = next_w;
		next_w++;
		host_checks = 1;
		store(H, V_W, next_w); /* P2 */
		fence(H);	       /* P3 */
		masked = mask;	       /* P4 */
		if
		:: !masked && r == old -> event = 1 /* P5, P6 */
		:: else
		fi;
		d_step { host_checks = 0; masked = 0; old = 0 }
	:: else -> break
	od
}

#ifdef TSO
#define take_lock(who) atomic { lock == 0 && fence(who) -> lock = 1 }
#else
#define take_lock(who) atomic { lock == 0 -> lock = 1 }
#endif
#define unlock(who) store(who, V_LOCK, 0)

#define handle(i)                                                                                  \
	assert(!handled[i]);                                                                       \
	handled[i] = 1

/* C2; C3 and the space check are in ring.pml. */
#define publish(who)                                                                               \
	if                                                                                         \
	:: next_r != old_r -> store(who, V_R, next_r); old_r = next_r                              \
	:: else                                                                                    \
	fi

inline consume()
{
	next_r++;
#ifndef M_KEEP_AHEAD
	if
	:: ahead > 0 -> ahead--
	:: else
	fi
#endif
}

#ifdef M_NO_SKIP
#define passed 0
#else
#define passed (ahead != 0)
#endif

/* One burst of any size up to what was seen. */
inline burst()
{
	seen = w;
	do
	:: d_step {
		next_r < seen ->
		if
		:: kind[next_r] == FRAME ->
			handle(next_r);
			assert(last_frame <= next_r);
			last_frame = next_r
		:: kind[next_r] == DONE && !passed -> handle(next_r)
		:: kind[next_r] == CONTROL && !marked[next_r] -> handle(next_r)
		:: else
		fi;
		consume()
	}
	:: break
	od;
	seen = 0
}

#ifdef M_ARM_AT_SCAN
#define consumed (next_r + ahead)
#else
#define consumed next_r
#endif

/* netvsc_rx_queue_intr_enable(). The event is nobody's store but the kernel's. */
inline arm()
{
#ifndef M_CLEAR_LATE
	event = 0;
#endif
#ifndef M_LATE_R
	publish(R); /* I1 */
#endif
#ifdef M_CHECK_FIRST
	seen = w;
#endif
	store(R, V_MASK, 0); /* I2 */
#ifndef M_NO_I3
	fence(R); /* I3 */
#endif
#ifndef M_CHECK_FIRST
	seen = w; /* I4 */
#endif
	if
	:: seen != consumed ->
		store(R, V_MASK, 1);
#ifndef M_NO_RAISE
		event = 1
#endif
	:: else
	fi;
#ifdef M_CLEAR_LATE
	event = 0;
#endif
#ifdef M_LATE_R
	publish(R);
#endif
	seen = 0
}

proctype receives()
{
	byte seen;

	do
	:: take_lock(R);
		locked = 1;
		burst();
#ifndef M_LATE_R
		publish(R);
#endif
		if
		:: locked = 0;
			unlock(R)
		:: true ->
			/* Idle, or taken for it: arm and wait. */
			arm();
			locked = 0;
			unlock(R);
			waits = 1;
end:
			atomic { event -> waits = 0 };
			take_lock(R);
			store(R, V_MASK, 1);
			unlock(R)
		fi
	od
}

/* netvsc_rx_try_scan(), any number of times. */
proctype sends()
{
	byte seen, at;

end:
	do
	:: true ->
#ifndef M_NO_LOCK
		take_lock(S);
		locked = 1;
#endif
		seen = w;
		do
		:: next_r + ahead < seen ->
			at = next_r + ahead;
			if
			:: kind[at] == FRAME -> ahead++
			:: else ->
				d_step { handle(at) };
				d_step {
#ifdef M_SCAN_CONSUMES
					next_r = at + 1;
					ahead = 0
#else
					if
					:: ahead == 0 -> consume()
					:: else ->
						ahead++;
#ifndef M_NO_HANDLED
						marked[at] = (kind[at] == CONTROL)
#endif
					fi
#endif
				}
			fi;
			at = 0
		:: else -> break
		od;
		seen = 0;
		publish(S);
#ifndef M_NO_LOCK
		locked = 0;
		unlock(S)
#endif
	od
}

#define quiet (sb[H].n == 0 && sb[R].n == 0 && sb[S].n == 0)

/* Only runs in states that must not be, so it adds none. Asleep, and a frame is there. */
proctype watcher()
{
end:
	do
	:: atomic {
		waits && quiet && !locked && lock == 0 && !event && !host_checks && next_r < w &&
			kind[next_r] == FRAME ->
		assert(false)
	}
	od
}

init {
	atomic {
		run host();
		run receives();
		run sends();
		run memory(H);
		run memory(R);
		run memory(S);
		run watcher()
	}
}
