/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A bounded queue of frames, allocated once: echo's, and the one of each switch port. One thread
 * at a time puts and one gets, without a lock between the two.
 */
#ifndef HP_HOST_PORT_QUEUE_H
#define HP_HOST_PORT_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/port.h"

/**
 * Frames lie back to back, each a 32-bit length and the bytes, in pieces of 8 bytes; none is split
 * at the end. Positions only ever grow.
 */
struct port_queue {
	uint8_t *data;
	uint32_t size;	       /**< bytes at @a data, a power of two */
	uint64_t seen_tail;    /**< the putter's: @a tail as last seen */
	_Atomic uint64_t head; /**< next write */
	uint8_t apart[64];     /**< what one side writes is not in a cache line of the other's */
	_Atomic uint64_t tail; /**< next read */
	uint64_t seen_head;    /**< the getter's: @a head as last seen */
};

#define PORT_QUEUE_BYTES (4u << 20)
/** In the place of a length: the next frame is at the begin. */
#define PORT_QUEUE_WRAP UINT32_MAX

static inline int
port_queue_init(struct port_queue *q)
{
	memset(q, 0, sizeof(*q));
	q->data = malloc(PORT_QUEUE_BYTES);
	q->size = PORT_QUEUE_BYTES;
	return q->data != NULL ? 0 : -1;
}

/** Bytes that a frame of @p len takes. */
static inline uint32_t
port_queue_bytes(uint32_t len)
{
	return (len + 4 + 7u) & ~7u;
}

/** Is there none? Either side, or who only looks. */
static inline bool
port_queue_empty(struct port_queue *q)
{
	return atomic_load_explicit(&q->tail, memory_order_acquire) ==
	       atomic_load_explicit(&q->head, memory_order_acquire);
}

/** @return false when there is no room */
static inline bool
port_queue_put(struct port_queue *q, const struct host_frame *frame)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	uint32_t at = head & (q->size - 1), skip = 0, len = frame->len, need;
	const uint32_t wrap = PORT_QUEUE_WRAP;

	if (len > q->size / 4)
		return false;
	need = port_queue_bytes(len);
	if (q->size - at < need)
		skip = q->size - at;
	if (head + skip + need - q->seen_tail > q->size) {
		/* Acquire: what was read there is read. Pairs with the release of _get(). */
		q->seen_tail = atomic_load_explicit(&q->tail, memory_order_acquire);
		if (head + skip + need - q->seen_tail > q->size)
			return false;
	}
	if (skip != 0) {
		memcpy(q->data + at, &wrap, sizeof(wrap));
		at = 0;
	}
	memcpy(q->data + at, &len, sizeof(len));
	memcpy(q->data + at + 4, frame->data, len);
	if (frame->head != NULL)
		memcpy(q->data + at + 4, frame->head, HOST_FRAME_HEAD);
	/* Release: pairs with the acquire of _get(). */
	atomic_store_explicit(&q->head, head + skip + need, memory_order_release);
	return true;
}

/**
 * Take the oldest frame.
 * @return its length; 0 when the queue is empty. Of a frame longer than @p room nothing is copied
 */
static inline uint32_t
port_queue_get(struct port_queue *q, uint8_t *frame, uint32_t room)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint32_t at = tail & (q->size - 1), len;

	if (tail == q->seen_head) {
		q->seen_head = atomic_load_explicit(&q->head, memory_order_acquire);
		if (tail == q->seen_head)
			return 0;
	}
	memcpy(&len, q->data + at, sizeof(len));
	if (len == PORT_QUEUE_WRAP) {
		tail += q->size - at;
		at = 0;
		memcpy(&len, q->data, sizeof(len));
	}
	if (len <= room)
		memcpy(frame, q->data + at + 4, len);
	atomic_store_explicit(&q->tail, tail + port_queue_bytes(len), memory_order_release);
	return len;
}

#endif
