/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The child-to-parent monitor page: how a guest signals the host without leaving user space
 * (spec/vmbus-ring.md §9.2). The page is shared by all devices of a guest, so bits are only ever
 * set with an atomic OR and taken with an atomic exchange.
 */
#ifndef HP_VMBUS_MONITOR_H
#define HP_VMBUS_MONITOR_H

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define VMBUS_MONITOR_GROUPS 4u
#define VMBUS_MONITOR_IDS    128u
/** Monitor id of a channel that has none. */
#define VMBUS_MONITOR_NONE 0xffu

struct vmbus_monitor_group {
	_Atomic(uint32_t) pending;
	uint32_t armed;
};

struct vmbus_monitor_parameter {
	uint32_t connection_id;
	uint16_t flag_number;
	uint16_t reserved;
};

struct vmbus_monitor_page {
	uint32_t trigger_state;
	uint32_t reserved0;
	struct vmbus_monitor_group group[VMBUS_MONITOR_GROUPS];
	uint64_t reserved1[3];
	int32_t next_checktime[VMBUS_MONITOR_IDS];
	_Atomic(uint16_t) latency[VMBUS_MONITOR_IDS]; /**< units of 100 ns */
	uint8_t reserved2[256];
	struct vmbus_monitor_parameter parameter[VMBUS_MONITOR_IDS];
	uint8_t reserved3[1984];
};

static_assert(sizeof(struct vmbus_monitor_page) == 4096, "monitor page");
static_assert(offsetof(struct vmbus_monitor_page, group) == 0x008, "groups");
static_assert(offsetof(struct vmbus_monitor_page, next_checktime) == 0x040, "next_checktime");
static_assert(offsetof(struct vmbus_monitor_page, latency) == 0x240, "latency");
static_assert(offsetof(struct vmbus_monitor_page, parameter) == 0x440, "parameter");

/** Guest: ask the host to look at the channel with monitor @p id < 128. Any thread. */
static inline void
vmbus_monitor_signal(struct vmbus_monitor_page *page, unsigned int id)
{
	/* Release: pairs with the acquire in vmbus_monitor_take(); the ring's own fences come
	 * first. */
	atomic_fetch_or_explicit(
		&page->group[id / 32].pending, UINT32_C(1) << (id % 32), memory_order_release);
}

/** Host: take and clear all pending bits of one group. */
static inline uint32_t
vmbus_monitor_take(struct vmbus_monitor_page *page, unsigned int group)
{
	/* The plain look first keeps an idle scan from owning the cache line. */
	if (atomic_load_explicit(&page->group[group].pending, memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange_explicit(&page->group[group].pending, 0, memory_order_acquire);
}

/**
 * Guest: suggest how often the host shall scan for monitor @p id.
 * @param ns nanoseconds, at most 6 553 500
 * @return 0, or -ERANGE
 */
static inline int
vmbus_monitor_set_latency(struct vmbus_monitor_page *page, unsigned int id, uint32_t ns)
{
	if (id >= VMBUS_MONITOR_IDS || ns > UINT16_MAX * 100u)
		return -ERANGE;
	atomic_store_explicit(&page->latency[id], (uint16_t)(ns / 100), memory_order_relaxed);
	return 0;
}

/** Guest: set the bit of @p relid in the guest-to-host half of the interrupt page. */
static inline void
vmbus_int_page_signal(void *int_page, unsigned int relid)
{
	_Atomic(uint32_t) *word =
		(_Atomic(uint32_t) *)((uint8_t *)int_page + 2048 + 4 * (relid / 32));

	atomic_fetch_or_explicit(word, UINT32_C(1) << (relid % 32), memory_order_release);
}

#endif
