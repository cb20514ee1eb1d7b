/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A bounded queue of frames, allocated once: echo's, and the one of each switch port.
 * Not thread-safe; the owner serialises.
 */
#ifndef HP_HOST_PORT_QUEUE_H
#define HP_HOST_PORT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/port.h"

/** Frames lie back to back as a 32-bit length and the bytes, never split at the end. */
struct port_queue {
	uint8_t *data;
	uint32_t size; /**< bytes at @a data */
	uint32_t head; /**< next write */
	uint32_t tail; /**< next read */
	uint32_t end;  /**< where the writer wrapped, else size */
	uint32_t frames;
};

#define PORT_QUEUE_BYTES (4u << 20)

static inline int
port_queue_init(struct port_queue *q)
{
	memset(q, 0, sizeof(*q));
	q->data = malloc(PORT_QUEUE_BYTES);
	q->size = PORT_QUEUE_BYTES;
	q->end = q->size;
	return q->data != NULL ? 0 : -1;
}

/** @return false when there is no room */
static inline bool
port_queue_put(struct port_queue *q, const struct host_frame *frame)
{
	uint32_t len = frame->len, need;

	if (len > q->size / 4)
		return false;
	need = (len + 4 + 7u) & ~7u;
	if (q->frames == 0 || q->head > q->tail) {
		if (q->size - q->head < need) {
			if (need > q->tail)
				return false;
			q->end = q->head;
			q->head = 0;
		}
	} else if (q->tail - q->head < need) {
		return false;
	}
	memcpy(q->data + q->head, &len, 4);
	memcpy(q->data + q->head + 4, frame->data, len);
	if (frame->head != NULL)
		memcpy(q->data + q->head + 4, frame->head, HOST_FRAME_HEAD);
	q->head += need;
	q->frames++;
	return true;
}

/**
 * Take the oldest frame.
 * @return its length; 0 when the queue is empty. Of a frame longer than @p room nothing is copied
 */
static inline uint32_t
port_queue_get(struct port_queue *q, uint8_t *frame, uint32_t room)
{
	uint32_t len;

	if (q->frames == 0)
		return 0;
	memcpy(&len, q->data + q->tail, 4);
	if (len <= room)
		memcpy(frame, q->data + q->tail + 4, len);
	q->tail += (len + 4 + 7u) & ~7u;
	if (--q->frames == 0) {
		q->head = q->tail = 0;
		q->end = q->size;
	} else if (q->tail == q->end) {
		/* The writer wrapped here. */
		q->tail = 0;
		q->end = q->size;
	}
	return len;
}

#endif
