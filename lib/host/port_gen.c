/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port "gen": seeded frames for the guest, verified when they come back. Frame number i of a seed
 * has the same bytes in every run, but for the time with latency=on; its flow is i modulo flows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/gen_plain.h"
#include "lib/host/port_gen.h"
#include "lib/vmbus/number.h"

#define GEN_FOREIGN_FLOWS 8192u
/* With window=, what has not come back after this long is lost. */
#define GEN_GIVE_UP_NS 200000000u

/* With window=: how many more may be on their way. Frames that do not come back are given up. */
static uint64_t
gen_window_left(struct port_gen *gen)
{
	uint64_t out = gen->stats.rx_frames - gen->returned, now;

	if (gen->window == 0)
		return UINT64_MAX;
	if (out < gen->window)
		return gen->window - out;
	now = monotonic_ns();
	if (gen->last_back_ns == 0)
		gen->last_back_ns = now;
	if (now - gen->last_back_ns < GEN_GIVE_UP_NS)
		return 0;
	gen->returned = gen->stats.rx_frames;
	gen->last_back_ns = 0;
	return gen->window;
}

/* Write a frame that is not plain. @return its length, 0 when there is no room */
static uint32_t
gen_write_variant(struct port_gen *gen, const struct host_frame *frame, uint32_t size,
	uint32_t flow, uint64_t sequence, uint64_t now)
{
	struct gen_variant variant = gen->variant;
	uint32_t len = size;

	if (gen->vlans != 0) {
		variant.vlan = (uint16_t)(gen->vlan_first + flow % gen->vlans);
		len += GEN_VLAN_LEN;
	}
	if (len > frame->room)
		return 0;
	gen_frame_write_variant(&gen->source, &variant, frame->data, size, flow, sequence, now);
	return len;
}

/* Flow and number of the next frame. */
struct gen_turn {
	uint32_t flow;
	uint64_t sequence;
};

/* Written back when all are made: what is stored to frames might be the generator. */
static inline void
gen_turn_next(struct gen_turn *turn, uint32_t flows)
{
	if (++turn->flow == flows) {
		turn->flow = 0;
		turn->sequence++;
	}
}

/* @p plain is known when this is compiled: plain frames pay for nothing else. */
static inline __attribute__((always_inline)) unsigned int
gen_make(struct port_gen *gen, struct host_frame *frames, unsigned int n, bool plain)
{
	unsigned int due = port_pacer_due(&gen->pacer, n), done = 0, made;
	uint64_t left = gen_window_left(gen), now = 0, bytes = 0;
	struct gen_turn turn = {gen->next_flow, gen->sequence};
	struct gen_shape shape = {.size = 0};
	uint32_t flows = gen->flows;

	if (gen->count != 0 && due > gen->count - gen->generated)
		due = (unsigned int)(gen->count - gen->generated);
	if (due > left)
		due = (unsigned int)left;
	if (!plain && gen->variant.timed && due != 0)
		now = monotonic_ns();
	for (made = 0; made < due; made++, gen_turn_next(&turn, flows)) {
		uint32_t size = gen_size(gen, &gen->generated, made, &gen->random), len = size;

		if (!plain)
			len = gen_write_variant(
				gen, &frames[done], size, turn.flow, turn.sequence, now);
		/* Larger than the guest's receive sections: lost, as its number will show. */
		if (plain ? size > frames[done].room : len == 0) {
			port_drop(&gen->stats, &gen->stats.rx_dropped_size);
			continue;
		}
		if (plain) {
			if (size != shape.size)
				shape = gen_shape_of(&gen->source, size);
			gen_shape_write(&gen->source, &shape, frames[done].data,
				(uint16_t)turn.flow, turn.sequence);
		}
		frames[done++].len = len;
		bytes += len;
	}
	gen->generated += made;
	gen->next_flow = turn.flow;
	gen->sequence = turn.sequence;
	port_pacer_spend(&gen->pacer, made);
	gen->stats.rx_frames += done;
	gen->stats.rx_bytes += bytes;
	return done;
}

static unsigned int
gen_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	return gen_make((struct port_gen *)port, frames, n, true);
}

static unsigned int
gen_receive_variant(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_gen *gen = (struct port_gen *)port;
	unsigned int done;

	if (gen->profile.n == 0)
		return gen_make(gen, frames, n, false);
	if (gen->profile.begun == 0)
		gen->pacer.rate = rate_profile_at(&gen->profile, monotonic_ns(), &gen->rate_left);
	/* What is due has become so at the rate until now. */
	done = gen_make(gen, frames, n, false);
	gen->pacer.rate = rate_profile_at(&gen->profile, monotonic_ns(), &gen->rate_left);
	return done;
}

static void
gen_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_gen *gen = (struct port_gen *)port;
	uint64_t out = gen->stats.rx_frames - gen->returned;

	gen->returned += n < out ? n : out;
	gen->last_back_ns = 0;
	if (gen->verifier != NULL)
		verifier_frames(gen->verifier, frames, n);
	port_count_sent(&gen->stats, frames, n);
}

static int
gen_fd(struct host_port *port)
{
	return -1;
}

static bool
gen_finished(const struct port_gen *gen)
{
	return gen->count != 0 && gen->generated == gen->count;
}

static uint64_t
gen_deadline(struct host_port *port)
{
	struct port_gen *gen = (struct port_gen *)port;

	uint64_t wait;

	if (gen_finished(gen))
		return UINT64_MAX;
	wait = port_pacer_wait(&gen->pacer);
	return gen->profile.n != 0 && wait > gen->rate_left ? gen->rate_left : wait;
}

static void
gen_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_gen *gen = (struct port_gen *)port;

	*stats = gen->stats;
	stats->finished = gen_finished(gen);
	if (gen->verifier != NULL)
		verifier_stats(gen->verifier, stats);
}

static void
gen_set_rate(struct host_port *port, uint64_t rate)
{
	struct port_gen *gen = (struct port_gen *)port;

	/* Nothing is owed from before, nor changes by itself any more. */
	gen->profile.n = 0;
	gen->pacer = (struct port_pacer){.rate = rate};
}

static void
gen_close(struct host_port *port)
{
	struct port_gen *gen = (struct port_gen *)port;

	verifier_destroy(gen->verifier);
	free(gen);
}

#define GEN_OPS(how)                                                                               \
	{                                                                                          \
		.kind = "gen", .receive = (how), .send = gen_send, .fd = gen_fd,                   \
		.deadline = gen_deadline, .stats = gen_stats, .close = gen_close,                  \
		.set_rate = gen_set_rate, .split = gen_split, .on_demand = true, .in_place = true, \
	}
static const struct host_port_ops gen_ops = GEN_OPS(gen_receive);
static const struct host_port_ops gen_variant_ops = GEN_OPS(gen_receive_variant);

/* "N", "A-B" or "imix". */
static int
gen_parse_size(struct port_gen *gen, const struct port_spec *spec, const char *value,
	const struct port_error *error)
{
	const char *at = value;
	uint64_t a = 0, b;
	int rc;

	gen->imix = strcmp(value, "imix") == 0;
	if (gen->imix)
		return 0;
	rc = number_take(&at, NUMBER_PLAIN, &a);
	b = a;
	if (rc == 0 && *at == '-') {
		at++;
		rc = number_take(&at, NUMBER_PLAIN, &b);
	}
	if (rc != 0 || *at != '\0' || a < GEN_FRAME_MIN || b > GEN_FRAME_MAX || a > b)
		return port_fail(error, -EINVAL,
			"port gen: size=%s is not a size in bytes without FCS and VLAN tag from %u to %u, a range "
			"A-B of them, or imix",
			value, GEN_FRAME_MIN, GEN_FRAME_MAX);
	gen->size_min = (uint32_t)a;
	gen->size_max = (uint32_t)b;
	return 0;
}

/* "N" or "A-B". */
static int
gen_parse_vlan(struct port_gen *gen, const char *value, const struct port_error *error)
{
	const char *at = value;
	uint64_t a = 0, b;
	int rc = number_take(&at, NUMBER_PLAIN, &a);

	b = a;
	if (rc == 0 && *at == '-') {
		at++;
		rc = number_take(&at, NUMBER_PLAIN, &b);
	}
	if (rc != 0 || *at != '\0' || a < 1 || b > 4094 || a > b)
		return port_fail(error, -EINVAL,
			"port gen: vlan=%s is not a VLAN from 1 to 4094, or a range A-B of them",
			value);
	gen->vlan_first = (uint32_t)a;
	gen->vlans = (uint32_t)(b - a + 1);
	return 0;
}

/* Either of two words; @p second. */
static int
gen_parse_word(const char *key, const char *value, const char *first, const char *second,
	bool *is_second, const struct port_error *error)
{
	*is_second = strcmp(value, second) == 0;
	if (*is_second || strcmp(value, first) == 0)
		return 0;
	return port_fail(
		error, -EINVAL, "port gen: %s=%s is neither %s nor %s", key, value, first, second);
}

/* What frames must have room for is known when all has been parsed. */
static int
gen_parse_end(struct port_gen *gen, const struct port_error *error)
{
	uint32_t min = gen_frame_min(&gen->variant);

	if (gen->size_min == 0)
		gen->size_min = gen->size_max = min;
	if (gen->size_min < min)
		return port_fail(error, -EINVAL,
			"port gen: size=%u is too small: frames%s%s take at least %u bytes",
			gen->size_min, gen->variant.ipv6 ? " over IPv6" : "",
			gen->variant.timed ? " with a time (latency=on)" : "", min);
	return 0;
}

static int
gen_parse(struct port_gen *gen, const char *args, uint64_t *seed, const struct port_error *error)
{
	static const char *const keys[] = {"size", "rate", "flows", "seed", "count", "window",
		"verify", "ip", "vlan", "latency", NULL};
	uint64_t flows = 1;
	struct port_spec spec;
	const char *value;
	int key, rc = port_spec_init(&spec, "gen", args, keys, error);

	while (rc == 0 && (key = port_spec_next(&spec, &value)) != -ENODATA) {
		if (key < 0)
			return key;
		if (key == 0)
			rc = gen_parse_size(gen, &spec, value, error);
		else if (key == 1)
			rc = rate_profile_parse(&spec, value, &gen->profile, &gen->pacer.rate);
		else if (key == 2)
			rc = port_spec_number(&spec, key, value, 1, GEN_FLOWS_MAX, &flows);
		else if (key == 3)
			rc = port_spec_number(&spec, key, value, 0, UINT64_MAX, seed);
		else if (key == 4)
			rc = port_spec_number(&spec, key, value, 0, UINT64_MAX, &gen->count);
		else if (key == 5)
			rc = port_spec_number(&spec, key, value, 0, 1000000000, &gen->window);
		else if (key == 6)
			rc = port_spec_verify(&spec, value, &gen->sample);
		else if (key == 7)
			rc = gen_parse_word("ip", value, "4", "6", &gen->variant.ipv6, error);
		else if (key == 8)
			rc = gen_parse_vlan(gen, value, error);
		else
			rc = gen_parse_word(
				"latency", value, "off", "on", &gen->variant.timed, error);
	}
	gen->flows = (uint32_t)flows;
	if (rc == 0 && gen->variant.timed && gen->sample == 0)
		return port_fail(error, -EINVAL,
			"port gen: latency=on and verify=none: what comes back is not looked at");
	return rc != 0 ? rc : gen_parse_end(gen, error);
}

int
port_gen_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	struct port_gen *gen = calloc(1, sizeof(*gen));
	uint64_t seed = 1, random;
	uint16_t stream;
	int rc;

	if (gen == NULL)
		return port_fail(error, -ENOMEM, "port gen: out of memory");
	gen->sample = 1;
	rc = gen_parse(gen, args, &seed, error);
	if (rc != 0 || port == NULL) {
		free(gen);
		return rc;
	}
	/* Own flows always fit; what another generator sends here is followed as far as possible.
	 */
	if (gen->sample != 0)
		gen->verifier = verifier_create(gen->flows + GEN_FOREIGN_FLOWS);
	if (gen->sample != 0 && gen->verifier == NULL) {
		free(gen);
		return port_fail(error, -ENOMEM, "port gen: out of memory for its flows");
	}
	/* The stream tells two generators of one seed apart by the guest they send to. */
	random = seed;
	for (unsigned int i = 0; i < 6; i++)
		random = gen_random(&random) ^ mac[i];
	stream = (uint16_t)gen_random(&random);
	/* Locally administered, never equal to a guest's (hvsim's MACs start with 00:15:5d). */
	const uint8_t src[6] = {0x02, 0x48, 0x50, mac[3], mac[4], mac[5]};

	random = seed;
	gen_source_init(&gen->source, mac, src, stream, &random);
	gen->random = gen_random(&random);
	if (gen->verifier != NULL) {
		verifier_own(gen->verifier, &gen->source);
		verifier_sample(gen->verifier, gen->sample);
	}
	gen->port.ops = gen->variant.ipv6 || gen->variant.timed || gen->vlans != 0 ||
					gen->flows > 65536 || gen->profile.n != 0
				? &gen_variant_ops
				: &gen_ops;
	*port = &gen->port;
	return 0;
}
