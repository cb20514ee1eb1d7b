/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A generator in parts, one for each lane of its NIC: each makes the frames of the flows that are
 * dealt to it, with the next number of each flow, and looks at the bytes of what comes back to it.
 * What numbers say, the verifier of the first part judges for all (verify.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/gen_plain.h"
#include "lib/host/port_gen.h"

/* Flows are dealt while nobody generates: so many take less than a turn. */
#define SPLIT_FLOWS 4096u

/* A flow and the number of its next frame. */
struct gen_turn {
	uint32_t flow;
	uint64_t sequence;
};

struct gen_part {
	_Alignas(128) struct host_port port; /* not of the first part */
	struct gen_split *split;
	struct host_port_stats stats;
	struct port_pacer pacer;
	uint64_t generated, random;
	uint32_t n, at; /* its flows, and the one whose turn it is */
	struct gen_turn *turns;
	struct verifier_part *verifier; /* NULL: verify=none, or the first part */
};

struct gen_split {
	struct port_gen *gen;
	unsigned int n;
	uint64_t rate;	/* of all, 0 = as fast as the guest takes them */
	uint64_t *next; /* of each flow, while they are dealt */
	struct gen_part part[];
};

/* Frames of a flow in all; 0 = no end. */
static uint64_t
flow_count(const struct port_gen *gen, uint32_t flow)
{
	return gen->count / gen->flows + (flow < gen->count % gen->flows);
}

static bool
flow_ended(const struct port_gen *gen, const struct gen_turn *turn)
{
	return gen->count != 0 && turn->sequence >= flow_count(gen, turn->flow);
}

static bool
part_finished(const struct gen_part *part)
{
	if (part->split->gen->count == 0)
		return false;
	for (uint32_t i = 0; i < part->n; i++)
		if (!flow_ended(part->split->gen, &part->turns[i]))
			return false;
	return true;
}

static unsigned int
part_make(struct gen_part *part, struct host_frame *frames, unsigned int n)
{
	const struct port_gen *gen = part->split->gen;
	unsigned int due = part->n == 0 ? 0 : port_pacer_due(&part->pacer, n), made = 0, done = 0;
	struct gen_shape shape = {.size = 0};
	uint64_t bytes = 0;
	uint32_t ended = 0;

	while (made < due && ended < part->n) {
		struct gen_turn *turn = &part->turns[part->at];
		uint64_t sequence = turn->sequence;
		uint32_t size;

		if (++part->at == part->n)
			part->at = 0;
		if (flow_ended(gen, turn)) {
			ended++;
			continue;
		}
		ended = 0;
		turn->sequence++;
		size = gen_size(gen, &part->generated, made++, &part->random);
		/* Larger than the guest's receive sections: lost, as its number will show. */
		if (size > frames[done].room) {
			port_drop(&part->stats, &part->stats.rx_dropped_size);
			continue;
		}
		if (gen->variant.ipv6) {
			gen_frame_write_variant(&gen->source, &gen->variant, frames[done].data,
				size, turn->flow, sequence, 0);
		} else {
			if (size != shape.size)
				shape = gen_shape_of(&gen->source, size);
			gen_shape_write(&gen->source, &shape, frames[done].data,
				(uint16_t)turn->flow, sequence);
		}
		frames[done++].len = size;
		bytes += size;
	}
	part->generated += made;
	port_pacer_spend(&part->pacer, made);
	part->stats.rx_frames += done;
	part->stats.rx_bytes += bytes;
	return done;
}

static uint64_t
part_deadline(struct gen_part *part)
{
	return part->n == 0 || part_finished(part) ? UINT64_MAX : port_pacer_wait(&part->pacer);
}

static int
no_fd(struct host_port *port)
{
	return -1;
}

/* ---- parts but for the first ---- */

static unsigned int
other_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	return part_make((struct gen_part *)port, frames, n);
}

static void
other_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct gen_part *part = (struct gen_part *)port;

	if (part->verifier != NULL)
		verifier_part_frames(part->verifier, frames, n);
	port_count_sent(&part->stats, frames, n);
}

static uint64_t
other_deadline(struct host_port *port)
{
	return part_deadline((struct gen_part *)port);
}

static void
other_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct gen_part *part = (struct gen_part *)port;

	*stats = part->stats;
	stats->finished = part_finished(part);
	if (part->verifier != NULL)
		verifier_part_stats(part->verifier, stats);
}

static bool
other_full(struct host_port *port)
{
	struct gen_part *part = (struct gen_part *)port;

	return part->verifier != NULL && verifier_part_full(part->verifier);
}

/* The first one frees all. */
static void
other_close(struct host_port *port)
{
}

static const struct host_port_ops other_ops = {
	.kind = "gen",
	.receive = other_receive,
	.send = other_send,
	.fd = no_fd,
	.deadline = other_deadline,
	.stats = other_stats,
	.close = other_close,
	.full = other_full,
	.on_demand = true,
	.in_place = true,
};

/* ---- the first part ---- */

static struct gen_part *
first_of(struct host_port *port)
{
	return &((struct port_gen *)port)->split->part[0];
}

static unsigned int
first_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	return part_make(first_of(port), frames, n);
}

static void
first_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_gen *gen = (struct port_gen *)port;

	if (gen->verifier != NULL)
		verifier_frames(gen->verifier, frames, n);
	port_count_sent(&first_of(port)->stats, frames, n);
}

static uint64_t
first_deadline(struct host_port *port)
{
	return part_deadline(first_of(port));
}

static void
first_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_gen *gen = (struct port_gen *)port;

	*stats = first_of(port)->stats;
	stats->finished = part_finished(first_of(port));
	if (gen->verifier != NULL)
		verifier_stats(gen->verifier, stats);
}

static unsigned int
first_gather(struct host_port *port)
{
	struct port_gen *gen = (struct port_gen *)port;
	unsigned int work = 0;

	for (unsigned int k = 1; gen->verifier != NULL && k < gen->split->n; k++)
		work += verifier_gather(gen->verifier, gen->split->part[k].verifier);
	return work;
}

static bool
first_left(struct host_port *port)
{
	struct port_gen *gen = (struct port_gen *)port;

	for (unsigned int k = 1; gen->verifier != NULL && k < gen->split->n; k++)
		if (verifier_part_left(gen->split->part[k].verifier))
			return true;
	return false;
}

/* Each flow has the same rate; what is left over goes to the first parts that have any. */
static void
split_rate(struct gen_split *s)
{
	uint64_t given = 0;
	uint32_t flows = 0;

	for (unsigned int k = 0; k < s->n; k++) {
		struct gen_part *part = &s->part[k];
		uint64_t until;

		flows += part->n;
		until = s->rate * flows / s->gen->flows;
		/* 0 would be no limit at all. */
		part->pacer.rate = s->rate == 0 ? 0 : until > given ? until - given : 1;
		given = until;
	}
}

static void
first_set_rate(struct host_port *port, uint64_t rate)
{
	struct gen_split *s = ((struct port_gen *)port)->split;

	s->rate = rate;
	/* Nothing is owed from before. */
	for (unsigned int k = 0; k < s->n; k++)
		s->part[k].pacer = (struct port_pacer){0};
	split_rate(s);
}

static void
first_deal(struct host_port *port,
	unsigned int (*part_of)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx)
{
	struct port_gen *gen = (struct port_gen *)port;
	struct gen_split *s = gen->split;
	uint8_t frame[GEN_FRAME_MAX];
	uint32_t flow, i, size = gen_frame_min(&gen->variant);
	unsigned int k;

	for (k = 0; k < s->n; k++) {
		for (i = 0; i < s->part[k].n; i++)
			s->next[s->part[k].turns[i].flow] = s->part[k].turns[i].sequence;
		s->part[k].n = s->part[k].at = 0;
	}
	for (flow = 0; flow < gen->flows; flow++) {
		struct gen_part *part;

		if (gen->variant.ipv6)
			gen_frame_write_variant(
				&gen->source, &gen->variant, frame, size, flow, 0, 0);
		else
			gen_frame_write(&gen->source, frame, size, (uint16_t)flow, 0);
		part = &s->part[part_of(ctx, frame, size)];
		part->turns[part->n++] = (struct gen_turn){flow, s->next[flow]};
	}
	split_rate(s);
}

static void
first_close(struct host_port *port)
{
	struct port_gen *gen = (struct port_gen *)port;

	gen_split_free(gen->split);
	verifier_destroy(gen->verifier);
	free(gen);
}

static const struct host_port_ops first_ops = {
	.kind = "gen",
	.receive = first_receive,
	.send = first_send,
	.fd = no_fd,
	.deadline = first_deadline,
	.stats = first_stats,
	.close = first_close,
	.set_rate = first_set_rate,
	.deal = first_deal,
	.gather = first_gather,
	.left = first_left,
	.on_demand = true,
	.in_place = true,
};

/* ---- life ---- */

void
gen_split_free(struct gen_split *split)
{
	for (unsigned int k = 0; k < split->n; k++) {
		verifier_part_destroy(split->part[k].verifier);
		free(split->part[k].turns);
	}
	free(split->next);
	free(split);
}

int
gen_split(struct host_port *port, struct host_port **others, unsigned int n)
{
	struct port_gen *gen = (struct port_gen *)port;
	size_t size = sizeof(struct gen_split) + n * sizeof(struct gen_part);
	struct gen_split *s;
	bool good = true;

	/* What goes over all flows in their order, or depends on the time, is one thread's. */
	if (gen->window != 0 || gen->profile.n != 0 || gen->variant.timed || gen->vlans != 0 ||
		gen->flows > SPLIT_FLOWS)
		return -ENOTSUP;
	s = aligned_alloc(_Alignof(struct gen_split), size);
	if (s == NULL)
		return -ENOMEM;
	memset(s, 0, size);
	s->gen = gen;
	s->n = n;
	s->rate = gen->pacer.rate;
	s->next = calloc(gen->flows, sizeof(s->next[0]));
	good = s->next != NULL;
	for (unsigned int k = 0; k < n; k++) {
		struct gen_part *part = &s->part[k];

		part->port.ops = &other_ops;
		part->split = s;
		part->random = gen->random + k;
		part->turns = calloc(gen->flows, sizeof(part->turns[0]));
		good &= part->turns != NULL;
		if (k == 0)
			continue;
		others[k] = &part->port;
		if (gen->verifier != NULL) {
			part->verifier = verifier_part_create(gen->verifier);
			good &= part->verifier != NULL;
		}
	}
	if (!good) {
		gen_split_free(s);
		return -ENOMEM;
	}
	/* Until they are dealt all flows are the first's. */
	for (uint32_t flow = 0; flow < gen->flows; flow++)
		s->part[0].turns[flow].flow = flow;
	s->part[0].n = gen->flows;
	split_rate(s);
	gen->split = s;
	gen->port.ops = &first_ops;
	return 0;
}
