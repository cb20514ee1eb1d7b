/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_tx.h. */
#include "test/unit/netvsc_tx.h"

struct fixture tx_fixture;

/* Ranges of guest memory, in one piece as the host gathers them: here page numbers are addresses.
 */
static uint32_t
gather(struct tx_seen *seen, const struct fixture_packet *pkt, uint8_t *dst, size_t room)
{
	uint32_t at = sizeof(struct vmbus_packet), end = (uint32_t)pkt->desc.offset8 * 8, total = 0,
		 i;
	struct vmbus_gpa_header gpa;

	memcpy(&gpa, pkt->bytes + at, sizeof(gpa));
	at += sizeof(gpa);
	CU_ASSERT_EQUAL(gpa.reserved, 0);
	CU_ASSERT_FATAL(gpa.range_count != 0 && gpa.range_count <= RTE_DIM(seen->range));
	for (i = 0; i < gpa.range_count; i++) {
		struct vmbus_gpa_range range;
		uint32_t left, offset, len;
		uint64_t pfn;

		memcpy(&range, pkt->bytes + at, sizeof(range));
		at += sizeof(range);
		left = range.byte_count;
		offset = range.byte_offset;
		CU_ASSERT_FATAL(offset < VMBUS_PAGE_SIZE && left <= room - total);
		memcpy(&pfn, pkt->bytes + at, sizeof(pfn));
		seen->range[i].len = left;
		seen->range[i].offset = offset;
		seen->range[i].first_pfn = pfn;
		for (; left != 0; left -= len, offset = 0, at += sizeof(pfn)) {
			memcpy(&pfn, pkt->bytes + at, sizeof(pfn));
			len = RTE_MIN(left, VMBUS_PAGE_SIZE - offset);
			memcpy(dst + total,
				(const uint8_t *)(uintptr_t)(pfn * VMBUS_PAGE_SIZE) + offset, len);
			total += len;
		}
	}
	seen->n_ranges = gpa.range_count;
	CU_ASSERT_EQUAL(at, end);
	/* The header lies in the first range, and in one page (pitfall T10). */
	CU_ASSERT(seen->range[0].offset + seen->range[0].len <= VMBUS_PAGE_SIZE);
	return total;
}

/* Messages back to back; the last ends where all of them end (spec/nvsp.md §7). */
static void
take_apart(struct tx_seen *seen, const uint8_t *bytes, uint32_t len)
{
	struct rndis_tx_rules rules = {
		.max_frame = tx_fixture.conf.mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN,
		.max_lso = RNDIS_MAX_BIG_FRAME,
		.mss_floor = 1,
	};
	uint32_t at = 0, i;

	for (seen->n = 0; at != len; seen->n++) {
		struct rndis_packet_info info;

		i = seen->n;
		CU_ASSERT_FATAL(i < TX_FRAMES_MAX);
		CU_ASSERT_EQUAL_FATAL(
			rndis_packet_parse_tx(bytes + at, len - at, len - at, &rules, &info), 0);
		CU_ASSERT_EQUAL(at % tx_fixture.conf.alignment, 0);
		seen->frame[i].start = at;
		seen->frame[i].message_len = info.message_length;
		seen->frame[i].len = info.data_length;
		seen->frame[i].header = info.data_abs;
		seen->frame[i].ppi_type = seen->frame[i].ppi_value = 0;
		if (info.ppi_length != 0) {
			struct rndis_ppi ppi;

			memcpy(&ppi, bytes + at + info.ppi_abs, sizeof(ppi));
			seen->frame[i].ppi_type = ppi.type;
			seen->frame[i].ppi_value = ppi.value;
		}
		seen->frame[i].info = info;
		seen->frame[i].data = bytes + at + info.data_abs;
		memcpy(seen->frame[i].bytes, seen->frame[i].data,
			RTE_MIN(info.data_length, sizeof(seen->frame[i].bytes)));
		at += info.message_length;
		/* Padding is zero: nothing that was in the section before goes out with it. */
		for (i = seen->frame[i].start + info.data_abs + info.data_length; i < at; i++)
			CU_ASSERT_EQUAL(bytes[i], 0);
	}
}

bool
tx_take(unsigned int ch, struct tx_seen *seen)
{
	static uint8_t bytes[2 * 65536];
	struct fixture_packet pkt;
	uint32_t len, limit;

	if (!fixture_read(&tx_fixture, ch, &pkt))
		return false;
	memset(seen, 0, sizeof(*seen));
	seen->desc = pkt.desc;
	seen->msg = fixture_nvsp(&pkt);
	CU_ASSERT_EQUAL(pkt.desc.flags, VMBUS_FLAG_COMPLETION);
	CU_ASSERT_EQUAL(pkt.desc.trans_id >> 63, 0);
	CU_ASSERT_EQUAL(seen->msg.type, NVSP_TYPE_RNDIS);
	CU_ASSERT_EQUAL(seen->msg.rndis.channel_type, NVSP_CHANNEL_DATA);
	limit = tx_fixture.port.session.max_transfer;
	if (pkt.desc.type == VMBUS_PACKET_GPA_DIRECT) {
		CU_ASSERT_EQUAL(seen->msg.rndis.section_index, NVSP_SECTION_NONE);
		CU_ASSERT_EQUAL(seen->msg.rndis.section_bytes, 0);
		len = gather(seen, &pkt, bytes, sizeof(bytes));
		take_apart(seen, bytes, len);
		CU_ASSERT_EQUAL(seen->n, 1);
	} else {
		uint32_t section = seen->msg.rndis.section_index;

		CU_ASSERT_EQUAL(pkt.desc.type, VMBUS_PACKET_INBAND);
		CU_ASSERT_EQUAL(pkt.desc.offset8, 2);
		CU_ASSERT_FATAL(section < tx_fixture.conf.send_count);
		len = seen->msg.rndis.section_bytes;
		CU_ASSERT_FATAL(len <= tx_fixture.conf.send_section);
		take_apart(seen,
			tx_fixture.bus.send.base + (size_t)section * tx_fixture.conf.send_section,
			len);
	}
	CU_ASSERT(len <= limit);
	CU_ASSERT(seen->n >= 1 && seen->n <= tx_fixture.port.session.max_messages);
	return true;
}

bool
tx_frame_is(const struct tx_seen *seen, unsigned int i, uint32_t len, uint64_t seed)
{
	return i < seen->n && seen->frame[i].len == len &&
	       fixture_same(seen->frame[i].data, len, seed);
}

void
tx_answer(unsigned int ch, const struct tx_seen *seen, uint32_t status)
{
	CU_ASSERT_EQUAL(fixture_complete(&tx_fixture, ch, seen->desc.trans_id, status), 0);
	fixture_publish(&tx_fixture, ch);
}

unsigned int
tx_take_all(unsigned int ch)
{
	static struct tx_seen seen;
	unsigned int frames = 0;

	while (tx_take(ch, &seen)) {
		frames += seen.n;
		tx_answer(ch, &seen, NVSP_STATUS_SUCCESS);
	}
	return frames;
}

void
tx_make(struct rte_mbuf **pkts, unsigned int n, uint32_t len, uint64_t seed)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		pkts[i] = fixture_mbuf(&tx_fixture, len, seed + i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
	}
}

uint16_t
tx_send(struct rte_mbuf **pkts, uint16_t n)
{
	return netvsc_tx_burst(tx_fixture.tx_queues[0], pkts, n);
}

struct rte_mbuf *
tx_chain(const uint16_t *lengths, uint64_t seed)
{
	struct rte_mbuf *head = NULL, *last = NULL;
	uint8_t whole[4096];
	uint32_t total = 0, at = 0;
	const uint16_t *len;

	for (len = lengths; *len != 0; len++)
		total += *len;
	CU_ASSERT_FATAL(total <= sizeof(whole));
	fixture_fill(whole, total, seed);
	for (len = lengths; *len != 0; len++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(tx_fixture.pool);

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		m->data_len = *len;
		m->pkt_len = *len;
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), whole + at, *len);
		at += *len;
		if (head == NULL) {
			head = m;
			head->pkt_len = total;
		} else {
			last->next = m;
			head->nb_segs++;
		}
		last = m;
	}
	return head;
}
