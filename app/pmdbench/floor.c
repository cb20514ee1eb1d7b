/* SPDX-License-Identifier: BSD-3-Clause */
/* The floor: a bare loop on the rings of a port. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "app/pmdbench/floor.h"
#include "lib/host/nic_internal.h"

#define HEADER ((uint32_t)sizeof(struct rndis_packet))
/* Longer copies are libc's, which chooses by what the CPU can do. */
#define INLINE_COPY 256u

/* What the guest writes into the outbound ring, with the trailer. */
struct floor_send {
	struct vmbus_packet desc;
	struct nvsp_message msg;
	uint64_t trailer;
};
struct floor_done {
	struct vmbus_packet desc;
	uint32_t type, status;
	uint64_t trailer;
};

struct floor_queue {
	struct vmbus_ring in, out;
	uint32_t r, w; /* read index of in, write index of out */
	/* The transfer packet that the last burst ended in. */
	const struct vmbus_xfer_range *range;
	uint32_t left, total;
	uint64_t trans_id;
	uint32_t *free, n_free; /* send sections */
	uint64_t rearm;
	struct floor_send send;
	struct floor_done done;
} __rte_cache_aligned;

struct floor {
	struct rte_mempool *pool;
	const uint8_t *recv;
	uint8_t *send;
	size_t send_len;
	uint32_t section, messages, alignment;
	struct rndis_packet header;
	struct floor_queue queue[];
};

static inline void
copy(void *dst, const void *src, uint32_t len)
{
	if (len <= INLINE_COPY)
		rte_memcpy(dst, src, len);
	else
		memcpy(dst, src, len);
}

/* Rings are mapped twice in a row: a packet never wraps. */
static inline void
put(struct floor_queue *q, const void *packet, uint32_t len)
{
	memcpy(q->out.data + q->w, packet, len);
	q->w = vmbus_ring_advance(q->out.size, q->w, len);
}

static inline void
publish_out(struct floor_queue *q)
{
	atomic_store_explicit(&q->out.ctl->write_index, q->w, memory_order_release);
}

static inline void
fill(const struct floor *floor, const struct floor_queue *q, struct rte_mbuf *m, uint32_t offset)
{
	const struct rndis_packet *msg = (const void *)(floor->recv + offset);
	uint32_t len = msg->data_length;

	memcpy(&m->rearm_data, &q->rearm, sizeof(q->rearm));
	m->packet_type = 0;
	m->ol_flags = 0;
	m->pkt_len = len;
	m->data_len = (uint16_t)len;
	copy(rte_pktmbuf_mtod(m, void *),
		(const uint8_t *)msg + RNDIS_OFFSET_BASE + msg->data_offset, len);
}

/* Take the next packet of the inbound ring. @return false: it brings no frames */
static inline bool
next_packet(struct floor_queue *q)
{
	const struct vmbus_packet *pkt = (const void *)(q->in.data + q->r);

	q->total = pkt->len8 * 8u + VMBUS_TRAILER_SIZE;
	if (pkt->type == VMBUS_PACKET_XFER_PAGES) {
		const struct vmbus_xfer_header *xfer = (const void *)(pkt + 1);

		q->left = xfer->range_count;
		q->range = (const void *)(xfer + 1);
		q->trans_id = pkt->trans_id;
		return true;
	}
	if (pkt->type == VMBUS_PACKET_COMPLETION)
		q->free[q->n_free++] = (uint32_t)pkt->trans_id - 1;
	q->r = vmbus_ring_advance(q->in.size, q->r, q->total);
	return false;
}

uint16_t
floor_rx(struct floor *floor, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct floor_queue *q = &floor->queue[queue];
	uint32_t w = atomic_load_explicit(&q->in.ctl->write_index, memory_order_acquire);
	uint32_t before = q->w;
	uint16_t got = 0;

	if (q->r == w || rte_mempool_get_bulk(floor->pool, (void **)pkts, n) != 0)
		return 0;
	while (got < n && (q->left != 0 || q->r != w)) {
		if (q->left == 0 && !next_packet(q))
			continue;
		for (; q->left != 0 && got < n; q->left--, q->range++) {
			if (q->left > 1) {
				rte_prefetch0(floor->recv + q->range[1].byte_offset);
				rte_prefetch0(floor->recv + q->range[1].byte_offset + 128);
			}
			fill(floor, q, pkts[got++], q->range->byte_offset);
		}
		if (q->left != 0)
			break;
		q->done.desc.trans_id = q->trans_id;
		q->done.trailer = (uint64_t)q->w << 32;
		put(q, &q->done, sizeof(q->done));
		q->r = vmbus_ring_advance(q->in.size, q->r, q->total);
	}
	if (got < n)
		rte_mempool_put_bulk(floor->pool, (void **)pkts + got, n - got);
	atomic_store_explicit(&q->in.ctl->read_index, q->r, memory_order_release);
	if (q->w != before)
		publish_out(q);
	return got;
}

/* Completions that nobody has taken because nobody receives. */
static void
reap(struct floor_queue *q)
{
	uint32_t w = atomic_load_explicit(&q->in.ctl->write_index, memory_order_acquire);

	if (q->r == w)
		return;
	while (q->left == 0 && q->r != w && !next_packet(q))
		;
	atomic_store_explicit(&q->in.ctl->read_index, q->r, memory_order_release);
}

/* Fill one section with as many frames as it takes. @return how many */
static inline uint16_t
fill_section(const struct floor *floor, struct floor_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t section = q->free[--q->n_free], used = 0;
	uint8_t *base = floor->send + (size_t)section * floor->section;
	uint16_t i;

	for (i = 0; i < n && i < floor->messages; i++) {
		const struct rte_mbuf *m = pkts[i];
		uint32_t len = rndis_align(HEADER + m->data_len, floor->alignment);
		struct rndis_packet *msg = (void *)(base + used);

		if (used + len > floor->section)
			break;
		memcpy(msg, &floor->header, HEADER);
		msg->h.length = len;
		msg->data_length = m->data_len;
		copy(msg + 1, rte_pktmbuf_mtod(m, const void *), m->data_len);
		used += len;
	}
	q->send.desc.trans_id = section + 1;
	q->send.msg.rndis.section_index = section;
	q->send.msg.rndis.section_bytes = used;
	q->send.trailer = (uint64_t)q->w << 32;
	put(q, &q->send, sizeof(q->send));
	return i;
}

uint16_t
floor_tx(struct floor *floor, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct floor_queue *q = &floor->queue[queue];
	uint16_t sent = 0;

	reap(q);
	while (sent < n && q->n_free != 0)
		sent += fill_section(floor, q, pkts + sent, (uint16_t)(n - sent));
	publish_out(q);
	rte_mempool_put_bulk(floor->pool, (void **)pkts, sent);
	return sent;
}

/* ---- taking over ---- */

static int
queue_init(struct floor *floor, const struct hvsim_device *device, uint32_t k, uint32_t sections)
{
	struct rte_mbuf template = {.nb_segs = 1, .data_off = RTE_PKTMBUF_HEADROOM};
	struct floor_queue *q = &floor->queue[k];
	uint32_t i;

	q->in = device->memory->rings[k].rx;
	q->out = device->memory->rings[k].tx;
	q->r = atomic_load(&q->in.ctl->read_index);
	q->w = atomic_load(&q->out.ctl->write_index);
	q->free = malloc(sections * sizeof(*q->free));
	if (q->free == NULL)
		return -ENOMEM;
	for (i = 0; i < sections; i++)
		q->free[q->n_free++] = k * sections + i;
	rte_mbuf_refcnt_set(&template, 1);
	memcpy(&q->rearm, &template.rearm_data, sizeof(q->rearm));
	vmbus_packet_init(&q->send.desc, VMBUS_PACKET_INBAND, sizeof(q->send.desc),
		offsetof(struct floor_send, trailer), VMBUS_FLAG_COMPLETION, 0);
	nvsp_build_rndis(&q->send.msg, NVSP_CHANNEL_DATA, 0, 0);
	vmbus_packet_init(&q->done.desc, VMBUS_PACKET_COMPLETION, sizeof(q->done.desc),
		offsetof(struct floor_done, trailer), 0, 0);
	q->done.type = NVSP_TYPE_RNDIS_COMPLETE;
	q->done.status = NVSP_STATUS_SUCCESS;
	return 0;
}

int
floor_create(struct floor **out, struct bench_host *host, uint32_t queues, struct rte_mempool *pool)
{
	size_t size = sizeof(struct floor) + queues * sizeof(struct floor_queue);
	const struct hvsim_device *device = &host->device;
	const struct host_nic *nic = device->nic;
	struct floor *floor = rte_zmalloc("floor", size, RTE_CACHE_LINE_SIZE);
	struct rndis_packet_builder b;
	struct rte_mbuf *m;
	uint32_t k;
	int rc = 0;

	if (floor == NULL)
		return -ENOMEM;
	*out = floor;
	/* What the host still had to say. */
	for (k = 0; k < queues; k++)
		while (rte_eth_rx_burst(0, (uint16_t)k, &m, 1) != 0)
			rte_pktmbuf_free(m);
	host_set_mode(host, HOST_PAUSED);
	floor->pool = pool;
	floor->recv = nic->recv.base;
	floor->section = nic->send_section;
	floor->messages = nic->announced.messages;
	floor->alignment = nic->announced.alignment;
	/* The host's own mapping can only be read. */
	floor->send_len = device->memory->region[VMBUS_REGION_SEND].len;
	floor->send = mmap(NULL, floor->send_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		device->memory->region[VMBUS_REGION_SEND].fd, 0);
	if (floor->send == MAP_FAILED) {
		floor->send = NULL;
		return -errno;
	}
	rndis_packet_begin(&b, &floor->header);
	rndis_packet_end(&b, 0);
	for (k = 0; rc == 0 && k < queues; k++)
		rc = queue_init(floor, device, k, nic->send_sections / queues);
	return rc;
}

void
floor_destroy(struct floor *floor)
{
	if (floor->send != NULL)
		munmap(floor->send, floor->send_len);
}
