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

#endif
