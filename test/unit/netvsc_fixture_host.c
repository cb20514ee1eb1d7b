/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_fixture.h: the host's end of the rings, and frames. */
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

/* ---- frames ---- */

static uint8_t
fixture_byte(uint64_t seed, uint32_t i)
{
	uint64_t v = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)i / 8;

	v = (v ^ v >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint8_t)(v >> (i % 8 * 8));
}

void
fixture_fill(uint8_t *dst, uint32_t len, uint64_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		dst[i] = fixture_byte(seed, i);
}

bool
fixture_same(const uint8_t *bytes, uint32_t len, uint64_t seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		if (bytes[i] != fixture_byte(seed, i))
			return false;
	return true;
}

bool
fixture_mbuf_is(const struct rte_mbuf *m, uint32_t len, uint64_t seed)
{
	return m->nb_segs == 1 && m->next == NULL && m->pkt_len == len && m->data_len == len &&
	       fixture_same(rte_pktmbuf_mtod(m, const uint8_t *), len, seed);
}

struct rte_mbuf *
fixture_mbuf(struct fixture *f, uint32_t len, uint64_t seed)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(f->pool);

	if (m == NULL)
		return NULL;
	if (len > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	fixture_fill(rte_pktmbuf_mtod(m, uint8_t *), len, seed);
	return m;
}

/* ---- the host's end ---- */

struct vmbus_xfer_range
fixture_message(struct fixture *f, uint32_t section, const struct fixture_frame *frame)
{
	uint32_t offset = section * f->conf.recv_section, i;
	uint32_t data_at = frame->data_at != 0 ? frame->data_at : FIXTURE_DATA_AT;
	uint8_t *msg = f->bus.recv.base + offset;
	struct rndis_packet_builder b;

	rndis_packet_begin(&b, msg);
	for (i = 0; i < frame->n_ppis; i++)
		rndis_packet_add(&b, frame->ppis[i].type, frame->ppis[i].value);
	CU_ASSERT(rndis_packet_header_length(&b) <= data_at);
	CU_ASSERT_FATAL(data_at + frame->len <= f->conf.recv_section);
	rndis_packet_end_at(&b, data_at, frame->len, data_at + frame->len);
	fixture_fill(msg + data_at, frame->len, frame->seed);
	return (struct vmbus_xfer_range){data_at + frame->len, offset};
}

struct vmbus_xfer_range
fixture_bytes(struct fixture *f, uint32_t section, const void *bytes, uint32_t len)
{
	uint32_t offset = section * f->conf.recv_section;

	CU_ASSERT_FATAL(len <= f->bus.recv.len - offset);
	memcpy(f->bus.recv.base + offset, bytes, len);
	return (struct vmbus_xfer_range){len, offset};
}

int
fixture_packet(struct fixture *f, unsigned int ch, enum vmbus_packet_type type, uint64_t tid,
	const void *rest, uint32_t header_len, uint32_t len)
{
	struct {
		struct vmbus_packet desc;
		uint8_t rest[8192];
	} pkt;

	CU_ASSERT_FATAL(len <= sizeof(pkt.rest) - 8);
	memset(pkt.rest, 0, RTE_ALIGN_CEIL(len, 8));
	if (len != 0)
		memcpy(pkt.rest, rest, len);
	len += (uint32_t)sizeof(pkt.desc);
	vmbus_packet_init(&pkt.desc, type, (uint32_t)sizeof(pkt.desc) + header_len, len,
		type == VMBUS_PACKET_XFER_PAGES ? VMBUS_FLAG_COMPLETION : 0, tid);
	return vmbus_ring_write(&f->host[ch].to_guest, &pkt, len, 0);
}

int
fixture_xfer_as(struct fixture *f, unsigned int ch, uint64_t tid, uint16_t set_id, uint32_t count,
	const struct vmbus_xfer_range *ranges, uint32_t room)
{
	struct {
		struct vmbus_xfer_header xfer;
		uint8_t rest[NVSP_MAX_XFER_RANGES_RSC * sizeof(*ranges) +
			     sizeof(struct nvsp_message)];
	} p;
	uint32_t len = room * (uint32_t)sizeof(*ranges);
	struct nvsp_message msg;

	CU_ASSERT_FATAL(room <= NVSP_MAX_XFER_RANGES_RSC);
	/* Real hosts leave garbage in the second word. */
	p.xfer = (struct vmbus_xfer_header){set_id, 0x5eed, count};
	if (len != 0)
		memcpy(p.rest, ranges, len);
	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, NVSP_SECTION_NONE, 0);
	memcpy(p.rest + len, &msg, sizeof(msg));
	return fixture_packet(f, ch, VMBUS_PACKET_XFER_PAGES, tid, &p,
		(uint32_t)sizeof(p.xfer) + len, (uint32_t)(sizeof(p.xfer) + len + sizeof(msg)));
}

int
fixture_xfer(struct fixture *f, unsigned int ch, uint64_t tid,
	const struct vmbus_xfer_range *ranges, uint32_t n)
{
	return fixture_xfer_as(f, ch, tid, NVSP_RECV_BUF_ID, n, ranges, n);
}

int
fixture_frames(struct fixture *f, unsigned int ch, uint64_t tid, uint32_t section, uint32_t n,
	uint32_t len, uint64_t seed)
{
	struct vmbus_xfer_range ranges[NVSP_MAX_XFER_RANGES_RSC];
	struct fixture_frame frame = {.len = len};
	uint32_t i;

	CU_ASSERT_FATAL(n <= RTE_DIM(ranges) && section + n <= f->conf.recv_count);
	for (i = 0; i < n; i++) {
		frame.seed = seed + i;
		ranges[i] = fixture_message(f, section + i, &frame);
	}
	return fixture_xfer(f, ch, tid, ranges, n);
}

int
fixture_complete(struct fixture *f, unsigned int ch, uint64_t tid, uint32_t status)
{
	struct nvsp_message msg;

	nvsp_build_rndis_complete(&msg, status);
	return fixture_packet(f, ch, VMBUS_PACKET_COMPLETION, tid, &msg, 0, sizeof(msg));
}

int
fixture_inband(struct fixture *f, unsigned int ch, const void *payload, uint32_t len)
{
	return fixture_packet(f, ch, VMBUS_PACKET_INBAND, 0, payload, 0, len);
}

bool
fixture_publish(struct fixture *f, unsigned int ch)
{
	return vmbus_ring_writer_publish(&f->host[ch].to_guest);
}

bool
fixture_publish_signal(struct fixture *f, unsigned int ch)
{
	return fixture_publish(f, ch) && vfu_signal(&f->signaller, f->bus.intr.fd[ch]) == 0;
}

bool
fixture_read(struct fixture *f, unsigned int ch, struct fixture_packet *pkt)
{
	struct vmbus_ring_reader *in = &f->host[ch].from_guest;
	int total = vmbus_ring_peek(in, &pkt->desc);

	CU_ASSERT(total >= 0);
	if (total <= 0)
		return false;
	pkt->len = (uint32_t)pkt->desc.len8 * 8;
	CU_ASSERT_FATAL(pkt->len <= sizeof(pkt->bytes));
	vmbus_ring_copy_out(&in->ring, in->next_r, pkt->bytes, pkt->len);
	vmbus_ring_consume(in, (uint32_t)total);
	vmbus_ring_reader_publish(in, false);
	return true;
}

struct nvsp_message
fixture_nvsp(const struct fixture_packet *pkt)
{
	uint32_t at = (uint32_t)pkt->desc.offset8 * 8;
	struct nvsp_message msg;

	memset(&msg, 0, sizeof(msg));
	memcpy(&msg, pkt->bytes + at, RTE_MIN(sizeof(msg), (size_t)(pkt->len - at)));
	return msg;
}

unsigned int
fixture_completions(
	struct fixture *f, unsigned int ch, uint64_t *tids, uint32_t *statuses, unsigned int max)
{
	struct fixture_packet pkt;
	struct nvsp_message msg;
	unsigned int n = 0;

	while (fixture_read(f, ch, &pkt)) {
		msg = fixture_nvsp(&pkt);
		CU_ASSERT_EQUAL(pkt.desc.type, VMBUS_PACKET_COMPLETION);
		CU_ASSERT_EQUAL(msg.type, NVSP_TYPE_RNDIS_COMPLETE);
		if (tids != NULL && n < max)
			tids[n] = pkt.desc.trans_id;
		if (statuses != NULL && n < max)
			statuses[n] = msg.rndis_complete.status;
		n++;
	}
	return n;
}

unsigned int
fixture_fill_out(struct fixture *f, unsigned int ch)
{
	struct netvsc_channel *channel = fixture_channel(f, ch);
	uint8_t filler[1024] = {0};
	unsigned int n = 0;
	uint32_t len;

	rte_spinlock_lock(&channel->tx_lock);
	for (len = sizeof(filler); len >= sizeof(struct vmbus_packet); len /= 2) {
		vmbus_packet_init((struct vmbus_packet *)filler, VMBUS_PACKET_INBAND,
			sizeof(struct vmbus_packet), len, 0, 0);
		while (vmbus_ring_write(&channel->out, filler, len, 0) == 0)
			n++;
	}
	vmbus_ring_writer_publish(&channel->out);
	rte_spinlock_unlock(&channel->tx_lock);
	return n;
}
