/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A generator, as its two files see it: port_gen.c is the port of one thread, port_gen_split.c the
 * one whose flows are divided among several.
 */
#ifndef HP_HOST_PORT_GEN_H
#define HP_HOST_PORT_GEN_H

#include "lib/host/gen_frame.h"
#include "lib/host/port_spec.h"
#include "lib/host/rate_profile.h"
#include "lib/host/verify.h"

struct gen_split;

struct port_gen {
	struct host_port port;
	struct host_port_stats stats;
	struct verifier *verifier; /* NULL: verify=none */
	struct port_pacer pacer;
	uint64_t count;	    /* frames in all, 0 = no end */
	uint64_t generated; /* frames made, delivered or not */
	uint64_t random;    /* state of the size generator */
	uint64_t sequence;  /* of every flow below next_flow it is one more */
	uint64_t window;    /* most frames on their way, 0 = no limit */
	uint64_t returned;  /* frames that came back, or were given up */
	uint64_t last_back_ns;
	uint32_t flows, next_flow;
	uint32_t sample; /* verify one frame in so many, 0 none */
	uint32_t size_min, size_max;
	bool imix;
	struct gen_variant variant;
	uint32_t vlan_first, vlans; /* flows take turns in so many VLANs */
	struct rate_profile profile;
	uint64_t rate_left;	 /* with a profile: nanoseconds until the rate changes */
	struct gen_split *split; /* NULL: one thread's */
	struct gen_source source;
};

/** Sizes of the "simple IMIX" 7:4:1, without FCS. */
static const uint16_t gen_imix_sizes[12] = {60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590};

/**
 * Size of the frame that comes behind @p generated and @p made others; @p random is the state of
 * the size generator.
 */
static inline uint32_t
gen_size(const struct port_gen *gen, const uint64_t *generated, uint32_t made, uint64_t *random)
{
	if (gen->imix) {
		uint32_t size = gen_imix_sizes[(*generated + made) % 12];

		return size > gen->size_min ? size : gen->size_min;
	}
	if (gen->size_min == gen->size_max)
		return gen->size_min;
	return gen->size_min + (uint32_t)(gen_random(random) % (gen->size_max - gen->size_min + 1));
}

/** host_port_ops.split of a generator. */
int gen_split(struct host_port *port, struct host_port **others, unsigned int n);
void gen_split_free(struct gen_split *split);

#endif
