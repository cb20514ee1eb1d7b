/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What primary and secondary processes say to each other (doc/design.md "Processes"). A secondary
 * asks over EAL's channel (rte_mp) and the primary's thread for that answers from what it has at
 * hand; nobody waits for a device there. Each secondary gives the primary an end of a socket pair
 * besides: a byte on it says that something has changed, its end that the other process is dead.
 *
 * Bytes come from another process of the same user, perhaps of another build: they are checked.
 */
#ifndef HP_BUS_VMBUS_MP_H
#define HP_BUS_VMBUS_MP_H

#include <stdint.h>

#include <rte_eal.h>

#include "drivers/bus/vmbus/bus_private.h"
#include "drivers/bus/vmbus/place.h"

#define HPBUS_MP_ACTION "hyperpoll"
/** Changes whenever the messages do. */
#define HPBUS_MP_VERSION 2u

enum hpbus_mp_op {
	HPBUS_MP_HELLO,	  /**< first; with the primary's end of the socket pair */
	HPBUS_MP_DEVICES, /**< that can be had */
	HPBUS_MP_OPEN,	  /**< this process wants a device */
	HPBUS_MP_PLACES,  /**< what is mapped where; with its files */
	HPBUS_MP_READY,	  /**< all of a generation is mapped here, too; -EAGAIN: not the newest */
	HPBUS_MP_LEAVE,	  /**< it is not to be waited for; -EAGAIN: it must keep what is mapped */
};

struct hpbus_mp_request {
	uint32_t op;
	uint32_t version; /**< HPBUS_MP_VERSION */
	uint32_t abi;	  /**< struct hpbus_driver.abi: layout of what lies in shared memory */
	uint32_t number;  /**< of this request */
	uint32_t slot;	  /**< from the answer to HELLO */
	uint32_t first;	  /**< of DEVICES, PLACES */
	uint32_t generation;
	uint8_t guid[16];
};

#define HPBUS_MP_DEVICES_MAX 12u
#define HPBUS_MP_PLACES_MAX  3u

/** In shared memory, of a device that secondaries may have. */
struct hpbus_shared {
	_Atomic uint64_t calls; /**< channels whose host the primary shall signal */
	atomic_bool copy_only;	/**< no guest memory can be named in packets */
	atomic_bool partial;	/**< the host has not got all of DPDK's memory */
};

struct hpbus_mp_reply {
	/** Of the request: EAL takes a late answer to one for an answer to the next. */
	uint32_t op, number;
	int32_t rc;
	uint32_t total, n; /**< of DEVICES, PLACES: that there are, that are here */
	uint32_t generation;
	union {
		struct {
			uint32_t slot;
			int32_t iova_mode; /**< enum rte_iova_mode */
		} hello;
		struct {
			uint8_t guid[16];
		} devices[HPBUS_MP_DEVICES_MAX];
		struct {
			char port[RTE_DEV_NAME_MAX_LEN]; /**< the ethdev's name */
			char where[128];
			uint64_t shared; /**< struct hpbus_shared * */
			int32_t numa_node;
			uint32_t uio;
		} open;
		struct hpbus_place places[HPBUS_MP_PLACES_MAX];
	};
};

static_assert(sizeof(struct hpbus_mp_request) <= RTE_MP_MAX_PARAM_LEN, "a request fits");
static_assert(sizeof(struct hpbus_mp_reply) <= RTE_MP_MAX_PARAM_LEN, "an answer fits");

/** Primary: answer secondaries from now on. Without EAL's channel there are none. */
void hpbus_mp_start(void);
/** The host of some channels is to be signalled for secondaries. Any thread; never waits. */
void hpbus_mp_calls(struct hpbus_device *dev);
/**
 * Answer one request.
 * @param fd  what came with it, -1 nothing; taken
 * @param fds of the answer, the caller's to close; -1 none
 */
void hpbus_mp_answer(const void *request, size_t len, int fd, struct hpbus_mp_reply *reply,
	int fds[HPBUS_MP_PLACES_MAX]);

/* ---- secondary.c ---- */

/** Find the primary's devices. */
void hpbus_secondary_scan(void);
/** What EAL runs with in the primary. */
enum rte_iova_mode hpbus_secondary_iova_mode(void);

#endif
