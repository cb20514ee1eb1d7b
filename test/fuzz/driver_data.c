/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's receive and send path (drivers/net/netvsc/rx*.c, tx*.c) fed by a hostile host: valid
 * transfer packets, completions, notices and control messages of which some words are changed,
 * forged ids, counts, offsets and lengths, corrupt indices, memory that changes meanwhile
 * (FUZZ_FLIP). The application is an honest one: it receives, keeps and frees frames, and sends
 * what tx_prepare() lets through. At the end every mbuf is back in its pool (fixture_end()).
 */
#include <rte_log.h>
#include <rte_tcp.h>

#include "drivers/net/netvsc/tx_offload.h"
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/netvsc_fixture.h"

#define QUEUES 2u
#define HELD   64u
#define TIDS   64u

static struct fixture f;
static struct rte_mbuf *held[HELD];
static unsigned int n_held;
static uint64_t tids[TIDS]; /* of the driver's last sends */
static unsigned int n_tids;
static uint32_t next_section;

/* ---- what the host writes ---- */

static struct vmbus_xfer_range
message(struct fuzz *in, uint16_t rsc)
{
	static const uint32_t types[] = {RNDIS_PPI_CHECKSUM, RNDIS_PPI_HASH_VALUE,
		RNDIS_PPI_HASH_INFO, RNDIS_PPI_VLAN, RNDIS_PPI_PACKET_ID, RNDIS_PPI_LSO};
	struct fixture_frame frame = {.len = 14 + fuzz_u8(in) * 7, .seed = fuzz_u8(in)};
	uint32_t section = next_section++ % f.conf.recv_count;
	struct vmbus_xfer_range range;

	frame.n_ppis = fuzz_below(in, 5);
	for (unsigned int i = 0; i < frame.n_ppis; i++)
		frame.ppis[i] = (struct fixture_ppi){types[fuzz_below(in, 6)], fuzz_word(in)};
	if (rsc != 0)
		frame.ppis[frame.n_ppis++] =
			(struct fixture_ppi){RNDIS_PPI_PACKET_ID, rndis_packet_id(rsc, 7)};
	range = fixture_message(&f, section, &frame);
	/* An IP packet where checksums and packet types are looked at. */
	if (fuzz_bool(in))
		fuzz_take(in, f.bus.recv.base + range.byte_offset + FIXTURE_DATA_AT + 12,
			frame.len < 40 ? 2 : 28);
	fuzz_scribble(in, f.bus.recv.base + range.byte_offset, FIXTURE_DATA_AT);
	return range;
}

static void
transfer(struct fuzz *in, unsigned int ch)
{
	struct vmbus_xfer_range ranges[16];
	uint32_t n = 1 + fuzz_below(in, 16), count = n, room = n, i;
	uint8_t rsc = fuzz_u8(in);
	uint16_t id = NVSP_RECV_BUF_ID;

	for (i = 0; i < n; i++)
		ranges[i] = message(
			in, rsc < 128 ? 0
				      : (uint16_t)(RNDIS_RSC_MULTI | (rsc & 8 ? rsc & 7 : 0) |
						   (i == 0 ? RNDIS_RSC_FIRST : 0) |
						   (i == n - 1 ? RNDIS_RSC_LAST : 0)));
	fuzz_scribble(in, ranges, n * sizeof(ranges[0]));
	if (fuzz_bool(in)) {
		id = fuzz_bool(in) ? id : fuzz_u16(in);
		count = fuzz_word(in);
		room = fuzz_below(in, n + 1);
	}
	fixture_xfer_as(&f, ch, fuzz_u8(in), id, count, ranges, room);
}

static void
control_message(struct fuzz *in, unsigned int ch)
{
	static const uint32_t statuses[] = {RNDIS_STATUS_MEDIA_CONNECT,
		RNDIS_STATUS_MEDIA_DISCONNECT, RNDIS_STATUS_LINK_SPEED_CHANGE,
		RNDIS_STATUS_NETWORK_CHANGE};
	uint32_t section = next_section++ % f.conf.recv_count;
	struct vmbus_xfer_range range;
	uint8_t msg[128] = {0};
	int n;

	if (fuzz_bool(in))
		n = rndis_build_query_complete(msg, sizeof(msg), fuzz_u8(in), RNDIS_STATUS_SUCCESS,
			statuses, fuzz_below(in, 17));
	else
		n = rndis_build_indicate(
			msg, sizeof(msg), statuses[fuzz_below(in, 4)], statuses, 4);
	fuzz_scribble(in, msg, (size_t)n);
	range = fixture_bytes(&f, section, msg, (uint32_t)n);
	fuzz_scribble(in, &range, sizeof(range));
	fixture_xfer(&f, ch, 1, &range, 1);
}

static void
completion(struct fuzz *in, unsigned int ch)
{
	struct nvsp_message msg;
	uint64_t tid = n_tids != 0 ? tids[fuzz_below(in, n_tids)] : 0;

	if (fuzz_bool(in)) /* near one that is, or not at all */
		tid = fuzz_bool(in) ? fuzz_u64(in) : tid + fuzz_u8(in) - 128;
	nvsp_build_rndis_complete(&msg, NVSP_STATUS_SUCCESS + fuzz_below(in, 3));
	fuzz_scribble(in, &msg, 8);
	fixture_packet(&f, ch, VMBUS_PACKET_COMPLETION, tid, &msg, 0,
		fuzz_bool(in) ? fuzz_below(in, 41) : sizeof(msg));
}

static void
notice(struct fuzz *in, unsigned int ch)
{
	uint32_t table[NVSP_SEND_TABLE_ENTRIES] = {0, 1, 0, 1};
	uint8_t bytes[NVSP_SEND_TABLE_MAX_LEN];
	struct nvsp_message msg;
	int n;

	switch (fuzz_below(in, 4)) {
	case 0:
		n = nvsp_build_send_table(bytes, sizeof(bytes), NVSP_SEND_TABLE_AT_NEW,
			fuzz_bool(in) ? fuzz_u8(in) : NVSP_SEND_TABLE_AT_NEW, table);
		fuzz_scribble(in, bytes, (size_t)n);
		fixture_inband(&f, ch, bytes, (uint32_t)n);
		return;
	case 1:
		nvsp_build_vf_association(&msg, fuzz_bool(in), fuzz_below(in, 3));
		break;
	case 2:
		nvsp_build_switch_data_path(&msg, fuzz_below(in, 2));
		break;
	default:
		nvsp_build(&msg, (enum nvsp_type)(100 + fuzz_below(in, 64)));
		fuzz_take(in, (uint8_t *)&msg + 4, 16);
	}
	fuzz_scribble(in, &msg, sizeof(msg));
	fixture_inband(&f, ch, &msg, fuzz_bool(in) ? fuzz_below(in, 41) : sizeof(msg));
}

static void
raw_packet(struct fuzz *in, unsigned int ch)
{
	_Alignas(8) uint8_t pkt[128] = {0};
	uint32_t len = 16 + 8 * fuzz_below(in, 15);

	vmbus_packet_init((struct vmbus_packet *)pkt, VMBUS_PACKET_XFER_PAGES, 16, len, 1, 1);
	fuzz_take(in, pkt + 16, len - 16);
	fuzz_scribble(in, pkt, 16);
	vmbus_ring_write(&f.host[ch].to_guest, pkt, len, 0);
}

static void
hurt_ring(struct fuzz *in, unsigned int ch)
{
	struct vmbus_ring *ring = fuzz_bool(in) ? &f.host[ch].out.ring : &f.host[ch].in.ring;

	if (f.host[ch].open)
		fuzz_scribble(in, ring->ctl, fuzz_bool(in) ? 20 : VMBUS_PAGE_SIZE + 512);
}

static void
host_reads(unsigned int ch)
{
	struct vmbus_ring_reader *in = &f.host[ch].from_guest;
	struct vmbus_packet desc;
	int total;

	while ((total = vmbus_ring_peek(in, &desc)) > 0) {
		if (desc.type != VMBUS_PACKET_COMPLETION)
			tids[n_tids++ % TIDS] = desc.trans_id;
		vmbus_ring_consume(in, (uint32_t)total);
	}
	if (n_tids > TIDS)
		n_tids = TIDS;
	vmbus_ring_reader_publish(in, false);
}

/* ---- what the application does ---- */

static void
receive(struct fuzz *in, unsigned int q)
{
	static volatile uint8_t sum;
	struct rte_mbuf *got[32], *seg;
	uint16_t n = netvsc_rx_burst(f.rx_queues[q], got, (uint16_t)(1 + fuzz_below(in, 32))), i;
	bool keep = fuzz_bool(in);
	const char *why;
	uint32_t k;

	for (i = 0; i < n; i++) {
		FUZZ_CHECK(rte_mbuf_check(got[i], 1, &why) == 0);
		for (seg = got[i]; seg != NULL; seg = seg->next)
			for (k = 0; k < seg->data_len; k++)
				sum = (uint8_t)(sum + *rte_pktmbuf_mtod_offset(seg, uint8_t *, k));
		if (keep && n_held < HELD)
			held[n_held++] = got[i];
		else
			rte_pktmbuf_free(got[i]);
	}
}

static void
let_go(void)
{
	while (n_held != 0)
		rte_pktmbuf_free(held[--n_held]);
}

/* A frame of one to four segments, with offloads that may make sense. */
static struct rte_mbuf *
make(struct fuzz *in)
{
	static const uint64_t work[] = {RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM,
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM,
		RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM, RTE_MBUF_F_TX_VLAN,
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM,
		RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_SEG};
	struct rte_mbuf *m = fixture_mbuf(&f, 14 + fuzz_u16(in) % 1530, 1), *seg;
	unsigned int segs = fuzz_below(in, 4);
	uint8_t *p;

	if (m == NULL || !fuzz_bool(in))
		return m;
	for (; segs != 0; segs--) {
		seg = fixture_mbuf(&f, fuzz_u16(in) % 1500, segs);
		if (seg != NULL && rte_pktmbuf_chain(m, seg) != 0)
			rte_pktmbuf_free(seg);
	}
	m->ol_flags |= work[fuzz_below(in, 6)];
	m->l2_len = 14;
	m->l3_len = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? 40 : 20;
	m->l4_len = 20;
	m->tso_segsz = 500;
	m->vlan_tci = fuzz_u16(in);
	if (m->data_len >= 54) {
		p = rte_pktmbuf_mtod(m, uint8_t *);
		memcpy(p + 12, m->l3_len == 40 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
		p[46] = 0x50;
	}
	if (fuzz_bool(in)) {
		m->l2_len = fuzz_below(in, 100);
		m->l3_len = fuzz_below(in, 200);
		m->l4_len = fuzz_below(in, 100);
		m->tso_segsz = fuzz_u16(in);
	}
	return m;
}

static void
transmit(struct fuzz *in, unsigned int q)
{
	struct rte_mbuf *pkts[32];
	uint16_t n = (uint16_t)(1 + fuzz_below(in, 32)), i, ready, sent;

	for (i = 0; i < n; i++)
		if ((pkts[i] = make(in)) == NULL)
			break;
	n = i;
	ready = netvsc_tx_prepare(f.tx_queues[q], pkts, n);
	sent = netvsc_tx_burst(f.tx_queues[q], pkts, ready);
	for (i = sent; i < n; i++)
		rte_pktmbuf_free(pkts[i]);
}

static void
ask(struct fuzz *in, unsigned int q)
{
	struct rte_eth_stats stats = {0};
	struct rte_eth_xstat xstats[512];
	struct netvsc_channel *ch = fixture_channel(&f, q);

	switch (fuzz_below(in, 5)) {
	case 0:
		netvsc_tx_done_cleanup(f.tx_queues[q], fuzz_u8(in));
		break;
	case 1:
		netvsc_ops.stats_get(&f.eth, &stats);
		break;
	case 2:
		netvsc_ops.xstats_get(&f.eth, xstats, RTE_DIM(xstats));
		break;
	case 3:
		rte_spinlock_lock(&ch->rx_lock);
		netvsc_rx_scan(ch);
		rte_spinlock_unlock(&ch->rx_lock);
		break;
	case 4:
		netvsc_tx_outstanding(f.tx_queues[q]);
		break;
	}
}

/* ---- */

static bool
begin(struct fuzz *in)
{
	uint16_t how = fuzz_u16(in);
	const struct fixture_conf conf = {.channels = QUEUES,
		.ring = 16u << 10,
		.recv_count = 32,
		.send_count = 8,
		.mbufs = 255,
		.nb_desc = 64,
		.rx_copybreak = how & 1 ? 256 : 0,
		.rx_offloads =
			(how & 2 ? RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER : 0) |
			(how & 4 ? RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_RSS_HASH |
						RTE_ETH_RX_OFFLOAD_VLAN_STRIP
				 : 0) |
			(how & 8 ? RTE_ETH_RX_OFFLOAD_SCATTER : 0),
		.ptypes = how & 16 ? RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK : 0,
		.tx_offloads = how & 32 ? 0
					: RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
						  RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
						  RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
						  RTE_ETH_TX_OFFLOAD_TCP_TSO |
						  RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
						  RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
		.no_send_buffer = (how & 0x40) != 0,
		.copy_only = (how & 0xc0) == 0x80,
		.tx_copybreak = how & 0x100 ? 128 : 0,
		.room = how & 8 ? 256 : 0};
	static FILE *nowhere;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	rte_openlog_stream(nowhere); /* what is said is still put together */
	n_held = n_tids = next_section = 0;
	return fixture_begin(&f, &conf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	unsigned int ch;
	uint8_t op;

	if (!begin(&in))
		return 0;
	fuzz_flip(fuzz_bool(&in) ? f.bus.recv.base : (uint8_t *)f.host[0].in.ring.ctl, 16 << 10);
	while (in.left != 0) {
		op = fuzz_u8(&in);
		ch = op >> 6 == 1;
		switch (op % 16) {
		case 0:
		case 1:
		case 2:
			transfer(&in, ch);
			break;
		case 3:
			control_message(&in, ch);
			break;
		case 4:
		case 5:
			completion(&in, ch);
			break;
		case 6:
			notice(&in, ch);
			break;
		case 7:
			raw_packet(&in, ch);
			break;
		case 8:
			hurt_ring(&in, ch);
			break;
		case 9:
			host_reads(ch);
			break;
		case 10:
			let_go();
			break;
		case 11:
			ask(&in, ch);
			break;
		case 12:
		case 13:
			transmit(&in, ch);
			break;
		default:
			receive(&in, ch);
		}
		if ((op & 0x20) == 0)
			fixture_publish(&f, ch);
	}
	for (ch = 0; ch < QUEUES; ch++)
		receive(&in, ch);
	fuzz_flip_end();
	let_go();
	fixture_end(&f);
	return 0;
}
