/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One VMBus ring with both ends asleep whenever they can be (spec/vmbus-ring.md §14): does any
 * interleaving of any store order lose a packet or a wake-up? It models lib/vmbus/ring.h; run.sh
 * checks it and its mutants.
 *
 * Packets take one slot of K; used() <= K-1. A packet is its sequence number, stored in its slot.
 *
 * Memory: each end's stores go through a buffer of its own. With TSO defined it drains first in,
 * first out (x86). Otherwise any store may overtake an earlier one to another variable (arm64),
 * but the releases, w and r, wait for all earlier ones. A fence waits until the buffer is empty, and
 * so does sending a signal. No end loads a variable that it stores, so there is no forwarding. Loads
 * that nothing keeps in order are tried in either.
 *
 * A guest publishes the two rings of a channel with one fence, behind P2 of one and C2 of the other
 * and before all loads of either. To each ring that is its own fence, and the stores and loads of the
 * other are time that passes, of which this has any amount: no variant is needed for it.
 *
 * Events are level-latched: waiting blocks until the flag is set, then clears it.
 *
 * Mutants, one at a time (-DM_...), each must fail:
 *   NO_P3 NO_I3 NO_F3 NO_C3      a store->load fence is missing
 *   NO_I4 NO_F4                  no second look after asking for a signal
 *   LATE_R                       read index published after the second look
 *   FIRST_OLD LAST_OLD           two publishes, one check against the first or last old index
 *   FILL                         a ring filled to w == r
 *   RELAXED_W                    w stored without release (weak order only)
 *   CURRENT_W                    signal if r equals the new w instead of the old
 */
#ifndef K
#define K 3
#endif
#ifndef N
#define N 5
#endif

/* Variables that a buffered store can go to; slot i is V_SLOT + i. */
#define V_W    1
#define V_R    2
#define V_MASK 3
#define V_PSZ  4
#define V_SLOT 5

#define P 0 /* producer */
#define C 1 /* consumer */
#define DEPTH 4

byte w, r, psz;
bool mask = 1; /* the consumer starts awake */
bool sig_c, sig_p;
byte slot[K];

typedef buffer {
	byte n;
	byte var[DEPTH];
	byte val[DEPTH]
}
buffer sb[2];

/* For the properties only. */
byte sent, received;
bool p_waits, c_waits;     /* blocked on the event, or about to be */
bool p_checks, c_checks;   /* between P2 and P6, between C2 and G4 */
bool p_done, c_done;

#define used(a, b)    ((a) >= (b) -> (a) - (b) : K - ((b) - (a)))
#define avail(a, b)   (K - used(a, b))
#define next(i)       ((i) + 1 == K -> 0 : (i) + 1)

#ifdef M_FILL
#define fits(a, b) (avail(a, b) >= 1)
#else
#define fits(a, b) (avail(a, b) > 1)
#endif

/* A full buffer stalls the store, as it does on the CPU. */
#define store(who, v, x)                                                                           \
	d_step {                                                                                   \
		sb[who].n < DEPTH;                                                                 \
		sb[who].var[sb[who].n] = v;                                                        \
		sb[who].val[sb[who].n] = x;                                                        \
		sb[who].n++                                                                        \
	}
#define fence(who) (sb[who].n == 0)

/* The store at position i reaches memory; the later ones move up. */
inline drain(who, i)
{
	if
	:: sb[who].var[i] == V_W -> w = sb[who].val[i]
	:: sb[who].var[i] == V_R -> r = sb[who].val[i]
	:: sb[who].var[i] == V_MASK -> mask = sb[who].val[i]
	:: sb[who].var[i] == V_PSZ -> psz = sb[who].val[i]
	:: else -> slot[sb[who].var[i] - V_SLOT] = sb[who].val[i]
	fi;
	assert(used(w, r) <= K - 1); /* S1 */
	j = i;
	do
	:: j + 1 < sb[who].n ->
		sb[who].var[j] = sb[who].var[j + 1];
		sb[who].val[j] = sb[who].val[j + 1];
		j++
	:: else -> break
	od;
	sb[who].n--;
	sb[who].var[sb[who].n] = 0;
	sb[who].val[sb[who].n] = 0;
	j = 0
}

#ifdef M_RELAXED_W
#define is_release(v) ((v) == V_R)
#else
#define is_release(v) ((v) == V_W || (v) == V_R)
#endif

/* May the store at i leave before those in front of it? */
#define same(who, i, k)      (sb[who].var[k] == sb[who].var[i])
#define may_overtake(who, i) (sb[who].n > i && !is_release(sb[who].var[i]))

proctype memory(byte who)
{
	byte j;
end:
	do
	:: d_step { sb[who].n > 0 -> drain(who, 0) }
#ifndef TSO
	:: d_step { may_overtake(who, 1) && !same(who, 1, 0) -> drain(who, 1) }
	:: d_step { may_overtake(who, 2) && !same(who, 2, 0) && !same(who, 2, 1) -> drain(who, 2) }
	:: d_step {
		may_overtake(who, 3) && !same(who, 3, 0) && !same(who, 3, 1) && !same(who, 3, 2) ->
		drain(who, 3)
	}
#endif
	od
}

/* P0 and P1: write one packet if it fits, privately. */
#define write_one                                                                                  \
	store(P, V_SLOT + next_w, sent + 1);                                                       \
	d_step { next_w = next(next_w); sent++ }

proctype producer()
{
	byte next_w, old, cached_r, want;
	bool masked;

	do
	:: sent < N ->
		/* P0: look at r only when the cached one does not suffice. */
		if
		:: fits(next_w, cached_r)
		:: else -> cached_r = r
		fi;
		if
		:: fits(next_w, cached_r) ->
			old = next_w;
			write_one;
			/* A burst may hold a second packet. */
			if
			:: sent < N && fits(next_w, cached_r) ->
#if defined(M_FIRST_OLD) || defined(M_LAST_OLD)
				p_checks = 1;
				store(P, V_W, next_w);
#ifdef M_LAST_OLD
				old = next_w;
#endif
#endif
				write_one
			:: true
			fi;
			p_checks = 1;
			store(P, V_W, next_w); /* P2 */
#ifndef M_NO_P3
			fence(P); /* P3 */
#endif
#ifdef TSO
			masked = mask; /* P4 */
			cached_r = r;  /* P5 */
#else
			/* Nothing keeps loads in order: either may be first. */
			if
			:: masked = mask;
				cached_r = r
			:: cached_r = r;
				masked = mask
			fi;
#endif
#ifdef M_CURRENT_W
			old = next_w;
#endif
			if
			:: !masked && cached_r == old ->
				atomic { fence(P); sig_c = 1 } /* P6 */
			:: else
			fi;
			d_step { p_checks = 0; masked = 0; old = 0 }
		:: else ->
			/* F1 holds: everything written is published. */
			if
			:: want = 1     /* just enough for the packet */
			:: want = K - 1 /* "when empty" */
			fi;
			store(P, V_PSZ, want); /* F2 */
#ifndef M_NO_F3
			fence(P); /* F3 */
#endif
#ifndef M_NO_F4
			cached_r = r; /* F4 */
#endif
			if
			:: avail(next_w, cached_r) > want
			:: else ->
				p_waits = 1;
				atomic { sig_p -> sig_p = 0; p_waits = 0 }
			fi;
			store(P, V_PSZ, 0);
			want = 0
		fi
	:: else -> break
	od;
	p_done = 1
}

/* C2, C3 and the space check G1-G4. */
inline publish_r()
{
	if
	:: next_r != old_r ->
		c_checks = 1;
		store(C, V_R, next_r); /* C2 */
#ifndef M_NO_C3
		fence(C); /* C3 */
#endif
#ifdef TSO
		p = psz;    /* G1 */
		seen_w = w; /* G3 */
#else
		/*
		 * Without G2, for it is not what this hangs on: a w that is older than psz was loaded behind
		 * C3, so that F4, which comes behind both of the producer's stores, finds r.
		 */
		if
		:: p = psz;
			seen_w = w
		:: seen_w = w;
			p = psz
		fi;
#endif
		if
		:: p != 0 ->
			if
			:: avail(seen_w, old_r) <= p && avail(seen_w, next_r) > p ->
				atomic { fence(C); sig_p = 1 } /* G4 */
			:: else
			fi
		:: else
		fi;
		d_step { c_checks = 0; old_r = next_r; p = 0; seen_w = 0 }
	:: else
	fi
}

proctype consumer()
{
	byte next_r, old_r, cached_w, seen_w, p;

	do
	:: received < N ->
		cached_w = w; /* C0 */
		if
		:: next_r != cached_w ->
			/* C1: a burst of any size up to what was seen. */
			do
			:: next_r != cached_w ->
				d_step {
					received++;
					assert(slot[next_r] == received); /* S2 */
					next_r = next(next_r)
				}
			:: next_r != old_r -> break
			od;
			cached_w = 0;
#ifndef M_LATE_R
			publish_r()
#endif
		:: else ->
			cached_w = 0;
			store(C, V_MASK, 0); /* I2; I1 was publish_r() */
#ifndef M_NO_I3
			fence(C); /* I3 */
#endif
#ifdef M_NO_I4
			cached_w = next_r;
#else
			cached_w = w; /* I4 */
#endif
#ifdef M_LATE_R
			publish_r();
#endif
			if
			:: cached_w != next_r
			:: else ->
				c_waits = 1;
				atomic { sig_c -> sig_c = 0; c_waits = 0 }
			fi;
			cached_w = 0;
			store(C, V_MASK, 1)
		fi
	:: else -> break
	od;
	c_done = 1
}

#define quiet (sb[P].n == 0 && sb[C].n == 0)

/* Only runs in states that must not be, so it adds none. */
proctype watcher()
{
end:
	do
	:: atomic { c_waits && quiet && w != r && !sig_c && !p_checks -> assert(false) } /* L1 */
	:: atomic {
		p_waits && quiet && avail(w, r) > psz && !sig_p && !c_checks -> assert(false) /* L2 */
	}
	:: atomic { p_done && c_done && received != N -> assert(false) } /* L3; deadlock: end states */
	od
}

init {
	atomic {
		run producer();
		run consumer();
		run memory(P);
		run memory(C);
		run watcher()
	}
}
