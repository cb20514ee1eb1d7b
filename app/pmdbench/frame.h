/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The frames of a benchmark: Ethernet, IPv4, UDP, a number, and bytes that follow from it, so that
 * whoever gets a frame can tell that it is whole. Pure functions on the caller's memory; after
 * frame_init() any thread.
 */
#ifndef PMDBENCH_FRAME_H
#define PMDBENCH_FRAME_H

#include <stdint.h>

#include "app/pmdbench/pmdbench.h"

#define FRAME_MIN 60u
#define FRAME_MAX 9014u

enum frame_direction { FRAME_TO_GUEST, FRAME_FROM_GUEST };

/** Set the guest's MAC address; before all else. */
void frame_init(const uint8_t mac[6]);
/** Bytes of frame @p number in a cell of this size. */
uint32_t frame_size(uint32_t size, uint64_t number);
/** Write frame @p number of @p len bytes. */
void frame_write(uint8_t *frame, uint32_t len, enum frame_direction direction, uint32_t flow,
	uint64_t number);
/** The number in a frame of at least FRAME_MIN bytes. */
uint64_t frame_number(const uint8_t *frame);
/**
 * Compare every byte of a frame with what frame_write() makes of its number and flow.
 * @return 0, or -EBADMSG
 */
int frame_check(const uint8_t *frame, uint32_t len, enum frame_direction direction, uint32_t size);

#endif
