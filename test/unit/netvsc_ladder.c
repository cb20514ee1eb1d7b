/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_ladder.h. */
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/attach.h"
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_ladder.h"

struct fixture f;
struct ladder_host host;
struct rte_ether_addr ladder_told;
const struct rte_ether_addr ladder_own = {{0x00, 0x15, 0x5d, 1, 2, 3}};
const struct rte_ether_addr ladder_users = {{0x02, 0x15, 0x5d, 9, 9, 9}};
static struct rte_memzone zone;
static _Alignas(4096) uint8_t pages[2][RNDIS_MAX_REQUEST];

/* ---- time ---- */

int64_t ladder_ms;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	/* The time of day is libFuzzer's, which takes a step back for an input without end. */
	if (ladder_ms == 0 || id == CLOCK_REALTIME)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = ladder_ms / 1000;
	ts->tv_nsec = ladder_ms % 1000 * 1000000;
	return 0;
}

/* Who looks for something that no host does in the meantime waits without a signal. */
void
rte_delay_us_sleep(unsigned int us)
{
	struct timespec ts = {.tv_nsec = us % 1000000 * 1000L, .tv_sec = us / 1000000};

	if (ladder_ms != 0)
		ladder_ms += us / 1000;
	else
		nanosleep(&ts, NULL);
}

/* ---- memory ---- */

const char *ladder_no_memory;

void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	static void *(*next)(const char *, size_t, unsigned int, int);

	if (ladder_no_memory != NULL && strcmp(type, ladder_no_memory) == 0)
		return NULL;
	if (next == NULL)
		next = (void *(*)(const char *, size_t, unsigned int, int))dlsym(
			RTLD_NEXT, "rte_zmalloc_socket");
	return next(type, size, align, socket);
}

/* ---- the host ---- */

/*
 * A host whose ring is full, as the driver does not read, or was broken by a fuzz target's input,
 * says nothing.
 */
static bool
was_said(int rc)
{
	CU_ASSERT(rc == 0 || rc == -EAGAIN || rc == -EIO);
	return rc == 0;
}

static void
nvsp_answer(const struct fixture_packet *pkt, const struct nvsp_message *asked, enum rung rung,
	enum deed deed)
{
	enum nvsp_status status = deed == REFUSE ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS;
	struct nvsp_message m = {0};
	uint32_t count;

	switch (rung) {
	case INIT:
		if (asked->init.version > host.newest)
			status = NVSP_STATUS_FAILURE;
		nvsp_build_init_complete(&m, asked->init.version, status);
		break;
	case RECV_BUF:
		if (host.mtu > host.divides)
			status = NVSP_STATUS_FAILURE;
		count = f.conf.recv_count + (deed == ODD);
		nvsp_build_recv_buf_complete(&m, status, f.conf.recv_section, count);
		break;
	case SEND_BUF:
		nvsp_build_send_buf_complete(&m, status, deed == ODD ? 3 : f.conf.send_section);
		break;
	case SUBCHANNELS:
		count = RTE_MIN(asked->subchannel.count, host.grants);
		nvsp_build_subchannel_complete(
			&m, status, deed == ODD ? asked->subchannel.count + 1 : count);
		break;
	default:
		return; /* not answered */
	}
	if (deed == WRONG_TYPE)
		m.type = NVSP_TYPE_SWITCH_DATA_PATH;
	was_said(fixture_packet(&f, 0, VMBUS_PACKET_COMPLETION, pkt->desc.trans_id, &m, 0,
		deed == SHORT ? 4 : sizeof(m)));
}

static uint32_t
query_info(enum rung rung, enum deed deed, uint8_t *info)
{
	struct ndis_offloads offloads = {.tso4_max = 65535, .tso6_max = 65535};
	uint32_t value;

	switch (rung) {
	case MAC:
		memcpy(info, &ladder_own, sizeof(ladder_own));
		if (deed == ODD)
			info[0] |= 1; /* a group */
		return sizeof(ladder_own);
	case RSS:
		if (deed == ODD)
			return 4;
		return (uint32_t)ndis_build_rss_caps(info, 64, NDIS_VERSION_6_30,
			NDIS_RSS_CAP_TCP_IPV4 | NDIS_RSS_CAP_TCP_IPV6, CHANNELS);
	case OFFLOAD_CAPS:
		offloads.can = deed == ODD ? 0 : NDIS_CAN_ALL;
		value = (uint32_t)ndis_build_offload_caps(info, 256, &offloads);
		return deed == ODD ? 100 : value;
	case FRAME_SIZE:
		value = host.mtu <= host.max_mtu ? host.mtu : host.clamps ? host.max_mtu : 1500;
		break;
	case MEDIA:
		value = RNDIS_MEDIA_CONNECTED;
		break;
	case SPEED:
		value = 100000000;
		break;
	case COUNTER: {
		uint64_t counter = host.counter + (host.counter_oid & 0xff);

		memcpy(info, &counter, sizeof(counter));
		return deed == ODD ? 2 : host.counter_bytes;
	}
	default:
		value = 0;
	}
	memcpy(info, &value, sizeof(value));
	return deed == ODD ? 2 : sizeof(value);
}

static void
rndis_answer(const struct fixture_packet *pkt, const struct rndis_control *asked, enum rung rung,
	enum deed deed)
{
	uint32_t status = deed == REFUSE	  ? RNDIS_STATUS_FAILURE
			  : deed == NOT_SUPPORTED ? RNDIS_STATUS_NOT_SUPPORTED
						  : RNDIS_STATUS_SUCCESS;
	uint8_t msg[512], info[256];
	struct vmbus_xfer_range range;
	int len = 0;

	if (!was_said(fixture_complete(&f, 0, pkt->desc.trans_id,
		    deed == UNSENT ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS)) ||
		deed == UNSENT || rung == HALT)
		return;
	if (asked->type == RNDIS_TYPE_INITIALIZE) {
		len = rndis_build_initialize_complete(
			msg, sizeof(msg), asked->request_id, status, 8, 0x4000, 3);
	} else if (asked->type == RNDIS_TYPE_SET) {
		len = rndis_build_set_complete(msg, sizeof(msg), asked->request_id, status);
	} else {
		uint32_t bytes = deed == EMPTY ? 0 : query_info(rung, deed, info);

		len = rndis_build_query_complete(
			msg, sizeof(msg), asked->request_id, status, info, bytes);
	}
	CU_ASSERT_FATAL(len > 0);
	if (deed == SHORT)
		len = 12; /* behind the id, with a length that says more */
	if (deed == WRONG_TYPE) {
		uint32_t type = RNDIS_TYPE_KEEPALIVE_CMPLT;

		memcpy(msg, &type, sizeof(type));
	}
	/* Two may be on their way. */
	range = fixture_bytes(&f, host.next_tid % 2, msg, (uint32_t)len);
	was_said(fixture_xfer(&f, 0, ++host.next_tid, &range, 1));
}

static enum rung
rung_of_oid(uint32_t oid)
{
	switch (oid) {
	case OID_GEN_CURRENT_PACKET_FILTER:
		return FILTER;
	case OID_802_3_PERMANENT_ADDRESS:
		return MAC;
	case OID_GEN_RNDIS_CONFIG_PARAMETER:
		return USER_MAC;
	case OID_GEN_MAXIMUM_FRAME_SIZE:
		return FRAME_SIZE;
	case OID_TCP_OFFLOAD_HARDWARE_CAPS:
		return OFFLOAD_CAPS;
	case OID_TCP_OFFLOAD_PARAMETERS:
		return OFFLOADS;
	case OID_GEN_MEDIA_CONNECT_STATUS:
		return MEDIA;
	case OID_GEN_LINK_SPEED:
		return SPEED;
	case OID_GEN_RECEIVE_SCALE_CAPABILITIES:
		return RSS;
	default:
		return oid >= OID_GEN_XMIT_OK && oid <= OID_GEN_BYTES_XMIT ? COUNTER : OTHER;
	}
}

static enum rung
rung_of_nvsp(uint32_t type)
{
	switch (type) {
	case NVSP_TYPE_INIT:
		return INIT;
	case NVSP_TYPE_SEND_RECV_BUF:
		return RECV_BUF;
	case NVSP_TYPE_SEND_SEND_BUF:
		return SEND_BUF;
	case NVSP_TYPE_SUBCHANNEL:
		return SUBCHANNELS;
	case NVSP_TYPE_REVOKE_RECV_BUF:
		return REVOKE_RECV;
	case NVSP_TYPE_REVOKE_SEND_BUF:
		return REVOKE_SEND;
	default:
		return OTHER;
	}
}

/* @return whether and how to answer */
static enum deed
asked(enum rung rung)
{
	host.asked[rung]++;
	if (host.n_said < RTE_DIM(host.said))
		host.said[host.n_said++] = rung;
	if (rung != host.rung || host.mtu <= host.above)
		return ANSWER;
	if (host.deed == VANISH)
		atomic_store(&f.bus.gone, true);
	return host.deed;
}

/* How a request by pages begins behind its descriptor. */
struct rndis_page {
	struct vmbus_gpa_header gpa;
	struct vmbus_gpa_range range;
	uint64_t pfn;
};

static void
take(const struct fixture_packet *pkt)
{
	struct nvsp_message m = fixture_nvsp(pkt);
	struct rndis_control control;
	const uint8_t *msg = pages[0];
	enum rung rung;
	enum deed deed;

	if (pkt->desc.type == VMBUS_PACKET_COMPLETION)
		return;
	if (m.type == NVSP_TYPE_NDIS_CONFIG)
		host.mtu = m.ndis_config.mtu - NVSP_MTU_HEADER;
	if (m.type != NVSP_TYPE_RNDIS) {
		rung = rung_of_nvsp(m.type);
		deed = asked(rung);
		if (deed != SILENT && deed != VANISH)
			nvsp_answer(pkt, &m, rung, deed);
		return;
	}
	CU_ASSERT_EQUAL(m.rndis.channel_type, NVSP_CHANNEL_CONTROL);
	if (pkt->desc.type == VMBUS_PACKET_INBAND) {
		CU_ASSERT_FALSE(f.port.control_usable);
		CU_ASSERT_FATAL(m.rndis.section_index < f.conf.send_count);
		msg = f.bus.send.base + (size_t)m.rndis.section_index * f.conf.send_section;
	} else {
		const struct rndis_page *at = (const void *)(pkt->bytes + sizeof(pkt->desc));

		CU_ASSERT_FATAL(at->pfn < RTE_DIM(pages));
		msg = pages[at->pfn];
	}
	CU_ASSERT_EQUAL_FATAL(rndis_parse_control(msg, RNDIS_MAX_REQUEST, &control), 0);
	rung = control.type == RNDIS_TYPE_INITIALIZE ? RNDIS_INIT
	       : control.type == RNDIS_TYPE_HALT     ? HALT
						     : rung_of_oid(control.oid);
	if (rung == FILTER)
		memcpy(&host.filter, msg + control.info_abs, sizeof(host.filter));
	if (control.type == RNDIS_TYPE_SET && control.oid == OID_GEN_RECEIVE_SCALE_PARAMETERS) {
		host.rss_sets++;
		if (control.info_length > sizeof(struct ndis_rss_params) + 6 * sizeof(uint32_t))
			memcpy(&host.rss_entry,
				msg + control.info_abs + sizeof(struct ndis_rss_params) +
					5 * sizeof(uint32_t),
				sizeof(host.rss_entry));
	}
	host.counter_oid = control.oid;
	deed = asked(rung);
	if (rung == COUNTER && (control.oid == host.absent_counter ||
				       (host.counter_strict && control.info_length != 0)))
		deed = NOT_SUPPORTED;
	if (host.counter_fits)
		host.counter_bytes = control.info_length < 8 ? 4 : 8;
	if (deed != SILENT && deed != VANISH)
		rndis_answer(pkt, &control, rung, deed);
}

void
ladder_turn(void)
{
	struct fixture_packet pkt;

	while (f.host[0].open && fixture_read(&f, 0, &pkt))
		take(&pkt);
	if (f.host[0].open)
		fixture_publish(&f, 0);
}

void
ladder_on_signal(struct fixture *fixture, unsigned int ch)
{
	if (ch == 0)
		ladder_turn();
}

void
ladder_on_signal_again(struct fixture *fixture)
{
	if (ladder_ms != 0)
		ladder_ms += 10;
	ladder_turn();
}

/* ---- a port that is not attached ---- */

void
ladder_script(enum rung rung, enum deed deed)
{
	memset(&host, 0, sizeof(host));
	host.rung = rung;
	host.deed = deed;
	host.newest = NVSP_VERSION_61;
	host.grants = CHANNELS - 1;
	host.max_mtu = 1500;
	host.divides = UINT32_MAX;
	host.mtu = 1500;
	host.counter_bytes = 8;
}

bool
ladder_begin(bool usable)
{
	return ladder_begin_as((struct fixture_conf){.copy_only = !usable});
}

bool
ladder_begin_as(struct fixture_conf conf)
{
	unsigned int i;

	conf.channels = CHANNELS;
	if (!fixture_begin(&f, &conf))
		return false;
	zone.addr = pages;
	zone.len = sizeof(pages);
	f.port.control_zone = &zone;
	f.port.control_usable = !conf.copy_only;
	ladder_told = ladder_users;
	f.data.mac_addrs = &ladder_told;
	f.on_signal = ladder_on_signal;
	f.on_signal_again = ladder_on_signal_again;
	f.port.config.rss.user = false;
	atomic_store(&f.port.state, 0);
	for (i = 0; i < CHANNELS; i++)
		netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_OPEN);
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT(memcmp(&f.port.session, &netvsc_session_none, sizeof(f.port.session)) == 0);
	ladder_script(OTHER, ANSWER);
	f.resets = 0;
	return true;
}

void
ladder_end(void)
{
	ladder_ms = 0;
	f.reset_rc = 0;
	ladder_script(OTHER, ANSWER);
	atomic_store(&f.bus.gone, false);
	netvsc_session_end(&f.port);
	fixture_end(&f);
}

int
ladder_attach(unsigned int channels, uint32_t mtu)
{
	static const struct hpbus_op_kind kind = {"a test", 2000, 500, false};
	bool stands = ladder_ms != 0;
	struct hpbus_op op;
	int rc;

	if (!stands)
		ladder_ms = 1000000;
	CU_ASSERT_EQUAL(netvsc_control_begin(&f.port, &op, &kind), 0);
	rc = netvsc_attach(&f.port, channels, mtu);
	netvsc_control_end(&f.port, &op);
	if (!stands)
		ladder_ms = 0;
	return rc;
}

void
ladder_check_attached(unsigned int channels)
{
	const struct netvsc_session *s = &f.port.session;
	unsigned int i;

	CU_ASSERT_TRUE(s->attached);
	CU_ASSERT_EQUAL(s->recv_section, f.conf.recv_section);
	CU_ASSERT_EQUAL(s->recv_count, f.conf.recv_count);
	CU_ASSERT_EQUAL(s->max_messages, 8);
	CU_ASSERT_EQUAL(s->max_transfer, 0x4000);
	CU_ASSERT_EQUAL(s->alignment, 8);
	CU_ASSERT_EQUAL(s->filter, 0);
	CU_ASSERT(rte_is_same_ether_addr(&s->mac, &ladder_own));
	CU_ASSERT_EQUAL(s->n_channels, channels);
	CU_ASSERT_EQUAL(f.port.limits.max_queues, s->max_queues);
	CU_ASSERT_EQUAL(f.port.limits.mtu, s->mtu);
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(f.host[i].open, i < channels);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
}

void
ladder_check_nothing_left(void)
{
	unsigned int i;

	CU_ASSERT(memcmp(&f.port.session, &netvsc_session_none, sizeof(f.port.session)) == 0);
	for (i = 0; i < CHANNELS; i++) {
		CU_ASSERT_FALSE(f.host[i].open);
		CU_ASSERT_FALSE(netvsc_channel_is_open(fixture_channel(&f, i)));
	}
	CU_ASSERT_EQUAL(atomic_load(&f.port.request.trans_id), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.request.rndis_id), 0);
}

void
ladder_check_frames(uint32_t len)
{
	struct rte_mbuf *m[4], *out;
	struct fixture_packet pkt;
	unsigned int q;

	for (q = 0; q < CHANNELS; q++) {
		ladder_turn(); /* acks of the control path */
		CU_ASSERT_EQUAL(fixture_frames(&f, q, 500 + q, 4 + q, 1, len, 70 + q), 0);
		fixture_publish(&f, q);
		CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 1);
		CU_ASSERT_TRUE(fixture_mbuf_is(m[0], len, 70 + q));
		rte_pktmbuf_free(m[0]);
		while (fixture_read(&f, q, &pkt))
			CU_ASSERT_EQUAL(pkt.desc.type, VMBUS_PACKET_COMPLETION);
		out = fixture_mbuf(&f, len, 90 + q);
		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		CU_ASSERT_EQUAL_FATAL(netvsc_tx_burst(f.tx_queues[q], &out, 1), 1);
		CU_ASSERT_TRUE_FATAL(fixture_read(&f, q, &pkt));
		CU_ASSERT_EQUAL(pkt.desc.type,
			len > f.conf.send_section ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_INBAND);
		CU_ASSERT_EQUAL(fixture_complete(&f, q, pkt.desc.trans_id, NVSP_STATUS_SUCCESS), 0);
		fixture_publish(&f, q);
		CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[q], NULL, 0), 0);
		CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 0);
		CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[q], NULL, 0), 0);
		CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[q]), 0);
	}
}
