/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The verifier of generated frames (gen_frame.h): tells what became of them. One belongs to one
 * port and runs on its thread.
 */
#ifndef HP_HOST_VERIFY_H
#define HP_HOST_VERIFY_H

#include "lib/host/gen_frame.h"
#include "lib/host/port.h"

/** Sequence numbers of a flow that can be told apart when they come late. */
#define VERIFY_WINDOW 1024u

struct verifier;

/**
 * @param flows most flows (of all streams together) whose sequence numbers are followed; frames
 *              of further flows are checked for content only
 * @return NULL when out of memory
 */
struct verifier *verifier_create(uint32_t flows);
void verifier_destroy(struct verifier *v);

/**
 * Expect every flow of @p source from sequence number 0, so that frames missing before the first
 * one seen count as lost. Flows of other streams start where they are first seen. The source stays
 * where it is.
 */
void verifier_own(struct verifier *v, const struct gen_source *source);

/**
 * Look at all bytes of one frame in @p n only, at the headers and the sequence number of each; a
 * new verifier looks at all of all.
 */
void verifier_sample(struct verifier *v, uint32_t n);

/**
 * Judge frames that have come now, and count them. Intact and new frames count as verified. Their
 * host_frame.head is not looked at, for addresses are not judged.
 */
void verifier_frames(struct verifier *v, const struct host_frame *frames, unsigned int n);

/**
 * Fill in verified, corrupt, lost, duplicate, reordered, foreign, latency and verifies.
 * lost = gaps still open below the newest sequence number of each flow; what is late by more than
 * VERIFY_WINDOW counts as duplicate and leaves its gap open.
 */
void verifier_stats(struct verifier *v, struct host_port_stats *stats);

/** An intact frame, as a part leaves it. */
struct verify_tag {
	struct gen_tag tag;
	uint64_t took; /**< nanoseconds, of a frame that tells when it was sent */
};
#define VERIFY_NO_TIME UINT64_MAX

/** Judge the numbers of frames whose bytes were looked at elsewhere. */
void verifier_numbers(struct verifier *v, const struct verify_tag *tags, unsigned int n);
/** What verifier_own() and verifier_sample() have said. */
void verifier_looks(const struct verifier *v, const struct gen_source **own, uint32_t *sample);

/**
 * A part of a verifier for another thread: looks at the bytes of frames there, and leaves the
 * numbers of those that are intact to the verifier's thread, without either waiting for the other.
 */
struct verifier_part;

/** What a part may be given in one turn of a NIC, at least. */
#define VERIFY_TURN 2048u

/** As the verifier is now (verifier_own(), verifier_sample()). @return NULL when out of memory */
struct verifier_part *verifier_part_create(const struct verifier *v);
void verifier_part_destroy(struct verifier_part *part);
/** Likewise verifier_frames(); the part's thread, while it is not full. */
void verifier_part_frames(
	struct verifier_part *part, const struct host_frame *frames, unsigned int n);
/** Has it no room for VERIFY_TURN frames until the verifier has gathered? The part's thread. */
bool verifier_part_full(struct verifier_part *part);
/** Fill in corrupt, foreign and verifies: the verifier counts the rest. The part's thread. */
void verifier_part_stats(const struct verifier_part *part, struct host_port_stats *stats);
/** Are there numbers for the verifier? Its thread. */
bool verifier_part_left(struct verifier_part *part);
/** Judge what a part has left, up to a bound. @return how many frames */
unsigned int verifier_gather(struct verifier *v, struct verifier_part *part);

#endif
