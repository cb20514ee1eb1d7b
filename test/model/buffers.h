/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Store buffers, for models of more than one ring's two ends. Each thread that stores has one. With
 * TSO defined it drains first in, first out (x86). Otherwise any store may overtake an earlier one
 * to another variable (arm64), but a release waits for all earlier ones. A fence waits until the
 * buffer is empty. Nobody loads what is in his own buffer: the models see to it, or say why not.
 *
 * Defined before inclusion: THREADS, is_release(v), and reach(v, x), which is what becomes of x
 * that is stored to v.
 */
#define DEPTH 3

typedef buffer
{
	byte n;
	byte var[DEPTH];
	byte val[DEPTH]
}
buffer sb[THREADS];

/* A full buffer stalls the store, as it does on the CPU. */
#define store(who, v, x)                                                                           \
	d_step                                                                                     \
	{                                                                                          \
		sb[who].n < DEPTH;                                                                 \
		sb[who].var[sb[who].n] = v;                                                        \
		sb[who].val[sb[who].n] = x;                                                        \
		sb[who].n++                                                                        \
	}
#define fence(who) (sb[who].n == 0)

/* The store at position i reaches memory; the later ones move up. */
inline drain(who, i)
{
	reach(sb[who].var[i], sb[who].val[i]);
	j = i;
	do
		::j + 1 < sb[who].n->sb[who].var[j] = sb[who].var[j + 1];
	sb[who].val[j] = sb[who].val[j + 1];
	j++ ::else->break od;
	sb[who].n--;
	sb[who].var[sb[who].n] = 0;
	sb[who].val[sb[who].n] = 0;
	j = 0
}

/* May the store at i leave before those in front of it? */
#define same(who, i, k)	     (sb[who].var[k] == sb[who].var[i])
#define may_overtake(who, i) (sb[who].n > i && !is_release(sb[who].var[i]))

proctype
memory(byte who)
{
	byte j;
end:
	do
		::d_step
		{
			sb[who].n > 0->drain(who, 0)
		}
#ifndef TSO
	::d_step
	{
		may_overtake(who, 1) && !same(who, 1, 0)->drain(who, 1)
	}
	::d_step{may_overtake(who, 2) && !same(who, 2, 0) && !same(who, 2, 1)->drain(who, 2)}
#endif
	od
}
