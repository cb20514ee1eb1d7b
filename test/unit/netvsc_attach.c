/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way up and down of a session against a scripted host, which misbehaves at one rung of the
 * ladder in one way: every refusal, silence and malformed answer at each of them.
 */
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
#include "test/unit/netvsc_fixture.h"

#define CHANNELS 3u

/* What must be answered on the way up, in this order; then what is said on the way down. */
enum rung {
	INIT,
	RECV_BUF,
	SEND_BUF,
	RNDIS_INIT,
	FILTER,
	MAC,
	USER_MAC,
	FRAME_SIZE,
	OFFLOAD_CAPS,
	OFFLOADS,
	MEDIA,
	SPEED,
	RSS,
	SUBCHANNELS,
	HALT,
	REVOKE_RECV,
	REVOKE_SEND,
	OTHER,
	N_RUNGS
};

enum deed {
	ANSWER,
	REFUSE,	       /* a status that says so */
	NOT_SUPPORTED, /* another one, of RNDIS */
	UNSENT,	       /* RNDIS: the send itself is refused */
	EMPTY,	       /* a query's answer with nothing in it */
	SHORT,	       /* ends too early */
	WRONG_TYPE,    /* the answer to something else */
	ODD,	       /* well-formed, but what it says cannot be */
	SILENT,
	VANISH, /* the device goes away instead */
};

static struct fixture f;
static struct rte_memzone zone;
static _Alignas(4096) uint8_t page[RNDIS_MAX_REQUEST];
static struct rte_ether_addr told_mac; /* to ethdev */
static const struct rte_ether_addr own = {{0x00, 0x15, 0x5d, 1, 2, 3}};
static const struct rte_ether_addr users = {{0x02, 0x15, 0x5d, 9, 9, 9}};

static struct {
	enum rung rung;
	enum deed deed;
	uint32_t newest; /* NVSP version that it knows */
	uint32_t grants; /* subchannels, at most */
	uint32_t frame_size;
	unsigned int asked[N_RUNGS];
	enum rung said[64]; /* in this order */
	unsigned int n_said;
	uint32_t filter;
	uint64_t next_tid;
} host;

/* ---- time ---- */

/* A clock that only waiting moves, or 0: time as it is. */
static int64_t frozen_ms;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	if (frozen_ms == 0)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = frozen_ms / 1000;
	ts->tv_nsec = frozen_ms % 1000 * 1000000;
	return 0;
}

/* ---- memory ---- */

static const char *no_memory; /* for this */

void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	static void *(*next)(const char *, size_t, unsigned int, int);

	if (no_memory != NULL && strcmp(type, no_memory) == 0)
		return NULL;
	if (next == NULL)
		next = (void *(*)(const char *, size_t, unsigned int, int))dlsym(
			RTLD_NEXT, "rte_zmalloc_socket");
	return next(type, size, align, socket);
}

/* ---- the host ---- */

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
	CU_ASSERT_EQUAL(fixture_packet(&f, 0, VMBUS_PACKET_COMPLETION, pkt->desc.trans_id, &m, 0,
				deed == SHORT ? 4 : sizeof(m)),
		0);
}

static uint32_t
query_info(enum rung rung, enum deed deed, uint8_t *info)
{
	struct ndis_offloads offloads = {.tso4_max = 65535, .tso6_max = 65535};
	uint32_t value;

	switch (rung) {
	case MAC:
		memcpy(info, &own, sizeof(own));
		if (deed == ODD)
			info[0] |= 1; /* a group */
		return sizeof(own);
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
		value = host.frame_size;
		break;
	case MEDIA:
		value = RNDIS_MEDIA_CONNECTED;
		break;
	case SPEED:
		value = 100000000;
		break;
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

	CU_ASSERT_EQUAL(fixture_complete(&f, 0, pkt->desc.trans_id,
				deed == UNSENT ? NVSP_STATUS_FAILURE : NVSP_STATUS_SUCCESS),
		0);
	if (deed == UNSENT || rung == HALT)
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
	range = fixture_bytes(&f, 0, msg, (uint32_t)len);
	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, ++host.next_tid, &range, 1), 0);
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
		return OTHER;
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
	if (rung != host.rung)
		return ANSWER;
	if (host.deed == VANISH)
		atomic_store(&f.bus.gone, true);
	return host.deed;
}

static void
take(const struct fixture_packet *pkt)
{
	struct nvsp_message m = fixture_nvsp(pkt);
	struct rndis_control control;
	const uint8_t *msg = page;
	enum rung rung;
	enum deed deed;

	if (pkt->desc.type == VMBUS_PACKET_COMPLETION)
		return;
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
	}
	CU_ASSERT_EQUAL_FATAL(rndis_parse_control(msg, RNDIS_MAX_REQUEST, &control), 0);
	rung = control.type == RNDIS_TYPE_INITIALIZE ? RNDIS_INIT
	       : control.type == RNDIS_TYPE_HALT     ? HALT
						     : rung_of_oid(control.oid);
	if (rung == FILTER)
		memcpy(&host.filter, msg + control.info_abs, sizeof(host.filter));
	deed = asked(rung);
	if (deed != SILENT && deed != VANISH)
		rndis_answer(pkt, &control, rung, deed);
}

static void
host_turn(void)
{
	struct fixture_packet pkt;

	while (f.host[0].open && fixture_read(&f, 0, &pkt))
		take(&pkt);
	if (f.host[0].open)
		fixture_publish(&f, 0);
}

static void
on_signal(struct fixture *fixture, unsigned int ch)
{
	if (ch == 0)
		host_turn();
}

static void
on_signal_again(struct fixture *fixture)
{
	if (frozen_ms != 0)
		frozen_ms += 10;
	host_turn();
}

/* ---- a port that is not attached ---- */

static void
script(enum rung rung, enum deed deed)
{
	memset(&host, 0, sizeof(host));
	host.rung = rung;
	host.deed = deed;
	host.newest = NVSP_VERSION_61;
	host.grants = CHANNELS - 1;
	host.frame_size = 1500;
}

static bool
begin(bool usable)
{
	const struct fixture_conf conf = {.channels = CHANNELS, .copy_only = !usable};
	unsigned int i;

	if (!fixture_begin(&f, &conf))
		return false;
	zone.addr = page;
	zone.len = sizeof(page);
	f.port.control_zone = &zone;
	f.port.control_usable = usable;
	told_mac = users;
	f.data.mac_addrs = &told_mac;
	f.on_signal = on_signal;
	f.on_signal_again = on_signal_again;
	f.port.config.rss.user = false;
	atomic_store(&f.port.state, 0);
	for (i = 0; i < CHANNELS; i++)
		netvsc_channel_set(fixture_channel(&f, i), NETVSC_CHANNEL_OPEN);
	script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT(memcmp(&f.port.session, &netvsc_session_none, sizeof(f.port.session)) == 0);
	script(OTHER, ANSWER);
	f.resets = 0;
	return true;
}

static void
end(void)
{
	frozen_ms = 0;
	f.reset_rc = 0;
	script(OTHER, ANSWER);
	atomic_store(&f.bus.gone, false);
	netvsc_session_end(&f.port);
	fixture_end(&f);
}

/* In an operation of its own, with a clock that only waiting moves. */
static int
attach(unsigned int channels, uint32_t mtu)
{
	static const struct hpbus_op_kind kind = {"a test", 2000, 500, false};
	struct hpbus_op op;
	int rc;

	frozen_ms = 1000000;
	netvsc_control_begin(&f.port, &op, &kind);
	rc = netvsc_attach(&f.port, channels, mtu);
	netvsc_control_end(&f.port, &op);
	frozen_ms = 0;
	return rc;
}

static void
check_attached(unsigned int channels)
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
	CU_ASSERT(rte_is_same_ether_addr(&s->mac, &own));
	CU_ASSERT_EQUAL(s->n_channels, channels);
	CU_ASSERT_EQUAL(f.port.limits.max_queues, s->max_queues);
	CU_ASSERT_EQUAL(f.port.limits.mtu, s->mtu);
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(f.host[i].open, i < channels);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
}

static void
check_nothing_left(void)
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

/* ---- up ---- */

static void
test_the_ladder(void)
{
	static const enum rung order[] = {INIT, OTHER, OTHER, RECV_BUF, SEND_BUF, RNDIS_INIT,
		FILTER, MAC, FRAME_SIZE, OFFLOAD_CAPS, OFFLOADS, MEDIA, SPEED, RSS, SUBCHANNELS};

	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(CHANNELS, 1500), 0);
	check_attached(CHANNELS);
	CU_ASSERT_EQUAL(f.port.session.nvsp_version, NVSP_VERSION_61);
	CU_ASSERT_EQUAL(f.port.session.send_count, f.conf.send_count);
	CU_ASSERT_EQUAL(f.port.session.control_section, NETVSC_SECTION_NONE);
	CU_ASSERT_EQUAL(f.port.session.max_queues, CHANNELS);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	CU_ASSERT_EQUAL(f.port.link.up, 1);
	CU_ASSERT_EQUAL(f.port.link.speed, 100000000);
	CU_ASSERT_EQUAL(host.n_said, RTE_DIM(order));
	CU_ASSERT(memcmp(host.said, order, sizeof(order)) == 0);
	end();
}

static void
test_one_channel_asks_for_no_subchannels(void)
{
	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	check_attached(1);
	CU_ASSERT_EQUAL(host.asked[SUBCHANNELS], 0);
	end();
}

static void
test_the_oldest_host(void)
{
	REQUIRE(begin(true));
	host.newest = NVSP_VERSION_1;
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	check_attached(1);
	CU_ASSERT_EQUAL(f.port.session.nvsp_version, NVSP_VERSION_1);
	CU_ASSERT_EQUAL(host.asked[INIT], NVSP_VERSION_COUNT);
	CU_ASSERT_EQUAL(host.asked[RSS], 0);
	CU_ASSERT_EQUAL(f.port.session.max_queues, 1);
	end();
}

static void
test_a_host_with_a_smaller_mtu(void)
{
	REQUIRE(begin(true));
	host.frame_size = 1400;
	CU_ASSERT_EQUAL(attach(1, 9000), 0);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1400);
	CU_ASSERT_EQUAL(f.port.session.asked_mtu, 9000);
	CU_ASSERT_EQUAL(f.port.limits.mtu, 1400);
	end();
}

static void
test_requests_through_the_send_buffer(void)
{
	REQUIRE(begin(false));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	check_attached(1);
	CU_ASSERT_EQUAL(f.port.session.control_section, f.conf.send_count - 1);
	CU_ASSERT_EQUAL(f.port.session.send_count, f.conf.send_count - 1);
	end();
	/* And where there is none. */
	REQUIRE(begin(false));
	script(SEND_BUF, REFUSE);
	CU_ASSERT_EQUAL(attach(1, 1500), -EOPNOTSUPP);
	check_nothing_left();
	end();
}

/* What becomes of the port when the host does this at that rung: 0 means that it comes up. */
static const struct misdeed {
	enum rung rung;
	enum deed deed;
	int rc;
} misdeeds[] = {
	{INIT, REFUSE, -EPROTONOSUPPORT},
	{INIT, SHORT, -EPROTO},
	{INIT, WRONG_TYPE, -EPROTO},
	{INIT, SILENT, -ETIMEDOUT},
	{INIT, VANISH, -ENODEV},
	{RECV_BUF, REFUSE, -EIO},
	{RECV_BUF, ODD, -EPROTO},
	{RECV_BUF, SHORT, -EPROTO},
	{RECV_BUF, WRONG_TYPE, -EPROTO},
	{RECV_BUF, SILENT, -ETIMEDOUT},
	{RECV_BUF, VANISH, -ENODEV},
	{SEND_BUF, REFUSE, 0},
	{SEND_BUF, ODD, 0},
	{SEND_BUF, SHORT, -EPROTO},
	{SEND_BUF, WRONG_TYPE, -EPROTO},
	{SEND_BUF, SILENT, -ETIMEDOUT},
	{SEND_BUF, VANISH, -ENODEV},
	{RNDIS_INIT, REFUSE, -EIO},
	{RNDIS_INIT, UNSENT, -EIO},
	{RNDIS_INIT, SHORT, -EPROTO},
	{RNDIS_INIT, WRONG_TYPE, -EPROTO},
	{RNDIS_INIT, SILENT, -ETIMEDOUT},
	{RNDIS_INIT, VANISH, -ENODEV},
	{FILTER, REFUSE, -EIO},
	{FILTER, NOT_SUPPORTED, -ENOTSUP},
	{FILTER, UNSENT, -EIO},
	{FILTER, SHORT, -EPROTO},
	{FILTER, WRONG_TYPE, -EPROTO},
	{FILTER, SILENT, -ETIMEDOUT},
	{FILTER, VANISH, -ENODEV},
	{MAC, REFUSE, -EIO},
	{MAC, NOT_SUPPORTED, -ENOTSUP},
	{MAC, UNSENT, -EIO},
	{MAC, EMPTY, -ENODATA},
	{MAC, ODD, -EPROTO},
	{MAC, SHORT, -EPROTO},
	{MAC, WRONG_TYPE, -EPROTO},
	{MAC, SILENT, -ETIMEDOUT},
	{MAC, VANISH, -ENODEV},
	{FRAME_SIZE, REFUSE, 0},
	{FRAME_SIZE, NOT_SUPPORTED, 0},
	{FRAME_SIZE, UNSENT, 0},
	{FRAME_SIZE, EMPTY, 0},
	{FRAME_SIZE, ODD, 0},
	{FRAME_SIZE, SHORT, -EPROTO},
	{FRAME_SIZE, WRONG_TYPE, -EPROTO},
	{FRAME_SIZE, SILENT, -ETIMEDOUT},
	{FRAME_SIZE, VANISH, -ENODEV},
	{OFFLOAD_CAPS, REFUSE, 0},
	{OFFLOAD_CAPS, NOT_SUPPORTED, 0},
	{OFFLOAD_CAPS, UNSENT, 0},
	{OFFLOAD_CAPS, EMPTY, 0},
	{OFFLOAD_CAPS, ODD, 0},
	{OFFLOAD_CAPS, SHORT, -EPROTO},
	{OFFLOAD_CAPS, WRONG_TYPE, -EPROTO},
	{OFFLOAD_CAPS, SILENT, -ETIMEDOUT},
	{OFFLOAD_CAPS, VANISH, -ENODEV},
	{OFFLOADS, REFUSE, 0},
	{OFFLOADS, NOT_SUPPORTED, 0},
	{OFFLOADS, UNSENT, 0},
	{OFFLOADS, SHORT, -EPROTO},
	{OFFLOADS, WRONG_TYPE, -EPROTO},
	{OFFLOADS, SILENT, -ETIMEDOUT},
	{OFFLOADS, VANISH, -ENODEV},
	{MEDIA, REFUSE, 0},
	{MEDIA, NOT_SUPPORTED, 0},
	{MEDIA, UNSENT, 0},
	{MEDIA, EMPTY, -ENODATA},
	{MEDIA, SHORT, -EPROTO},
	{MEDIA, WRONG_TYPE, -EPROTO},
	{MEDIA, SILENT, -ETIMEDOUT},
	{MEDIA, VANISH, -ENODEV},
	{SPEED, REFUSE, 0},
	{SPEED, NOT_SUPPORTED, 0},
	{SPEED, UNSENT, 0},
	{SPEED, EMPTY, -ENODATA},
	{SPEED, SHORT, -EPROTO},
	{SPEED, WRONG_TYPE, -EPROTO},
	{SPEED, SILENT, -ETIMEDOUT},
	{SPEED, VANISH, -ENODEV},
	{RSS, REFUSE, 0},
	{RSS, NOT_SUPPORTED, 0},
	{RSS, UNSENT, 0},
	{RSS, EMPTY, 0},
	{RSS, ODD, 0},
	{RSS, SHORT, -EPROTO},
	{RSS, WRONG_TYPE, -EPROTO},
	{RSS, SILENT, -ETIMEDOUT},
	{RSS, VANISH, -ENODEV},
	{SUBCHANNELS, REFUSE, 0},
	{SUBCHANNELS, ODD, -EPROTO},
	{SUBCHANNELS, SHORT, -EPROTO},
	{SUBCHANNELS, WRONG_TYPE, -EPROTO},
	{SUBCHANNELS, SILENT, -ETIMEDOUT},
	{SUBCHANNELS, VANISH, -ENODEV},
};

static void
misdo(const struct misdeed *m)
{
	unsigned int resets = f.resets, channels = CHANNELS;
	int rc;

	script(m->rung, m->deed);
	rc = attach(CHANNELS, 1500);
	if (rc != m->rc)
		printf("\nrung %d deed %d: %d, not %d\n", m->rung, m->deed, rc, m->rc);
	CU_ASSERT_EQUAL(rc, m->rc);
	if (m->rung == SUBCHANNELS)
		channels = 1;
	if (m->rc == 0) {
		check_attached(channels);
		if (m->rung == RSS)
			CU_ASSERT_EQUAL(f.port.session.max_queues, 1);
		CU_ASSERT_EQUAL(f.port.limits.offloads.can != 0, m->rung != OFFLOAD_CAPS);
		if (m->rung == SEND_BUF)
			CU_ASSERT_EQUAL(f.port.session.send_count, 0);
		CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	} else {
		check_nothing_left();
		/* The fence, unless there is nobody to be fenced off. */
		CU_ASSERT_EQUAL(f.resets, resets + (m->deed != VANISH));
		/* Silence is the application's to know of: only a reset helps. */
		CU_ASSERT_EQUAL(
			atomic_load(&f.port.state) == NETVSC_STATE_BROKEN, m->deed == SILENT);
		CU_ASSERT_EQUAL((atomic_exchange(&f.port.events, 0) & NETVSC_EVENT_RESET) != 0,
			m->deed == SILENT);
	}
	CU_ASSERT_FALSE(f.port.unfenced);
	/* Nothing of it is left with a host that behaves. */
	atomic_store(&f.bus.gone, false);
	script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(attach(CHANNELS, 1500), 0);
	check_attached(CHANNELS);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	check_nothing_left();
}

static void
test_every_misdeed_at_every_rung(void)
{
	size_t i;

	REQUIRE(begin(true));
	for (i = 0; i < RTE_DIM(misdeeds); i++)
		misdo(&misdeeds[i]);
	end();
}

static void
test_the_users_mac_address_goes_with_every_session(void)
{
	REQUIRE(begin(true));
	f.port.config.mac = users;
	f.port.config.mac_user = true;
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	CU_ASSERT_EQUAL(host.asked[USER_MAC], 1);
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &users));
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	/* A host that is silent about it is as silent as any. */
	script(USER_MAC, SILENT);
	CU_ASSERT_EQUAL(attach(1, 1500), -ETIMEDOUT);
	check_nothing_left();
	CU_ASSERT_TRUE(f.port.config.mac_user);
	/* This one does not allow it any more: the application is not left with a wrong one. */
	script(USER_MAC, REFUSE);
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &own));
	CU_ASSERT(rte_is_same_ether_addr(&told_mac, &own));
	CU_ASSERT_FALSE(f.port.config.mac_user);
	end();
}

static int (*real_open)(struct hpbus_device *, unsigned int, struct hpbus_channel *);
static unsigned int bad_index;
static enum { REFUSED, BAD_TX, BAD_RX } bad_how;

static int
bad_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	int rc;

	if (index == bad_index && bad_how == REFUSED)
		return -EACCES;
	rc = real_open(dev, index, ch);
	if (rc == 0 && index == bad_index)
		atomic_store(bad_how == BAD_TX ? &ch->tx.ctl->read_index : &ch->rx.ctl->write_index,
			0x7fffffff);
	return rc;
}

static void
free_channel(unsigned int i)
{
	rte_free(f.port.channels[i]);
	f.port.channels[i] = NULL;
}

static void
test_channels_that_cannot_be_opened(void)
{
	unsigned int index, how;

	REQUIRE(begin(true));
	real_open = f.backend.channel_open;
	f.backend.channel_open = bad_open;
	for (index = 0; index < CHANNELS; index++)
		for (how = REFUSED; how <= BAD_RX; how++) {
			bad_index = index;
			bad_how = how;
			CU_ASSERT(attach(CHANNELS, 1500) < 0);
			check_nothing_left();
		}
	f.backend.channel_open = real_open;
	/* Without memory for what a channel is, and for what it must remember. */
	free_channel(1);
	no_memory = "netvsc_channel";
	CU_ASSERT_EQUAL(attach(CHANNELS, 1500), -ENOMEM);
	no_memory = "netvsc_done";
	CU_ASSERT_EQUAL(attach(CHANNELS, 1500), -ENOMEM);
	no_memory = NULL;
	CU_ASSERT_EQUAL(attach(CHANNELS, 1500), 0);
	check_attached(CHANNELS);
	end();
}

static void
test_a_device_that_is_gone(void)
{
	REQUIRE(begin(true));
	atomic_store(&f.bus.gone, true);
	CU_ASSERT_EQUAL(attach(1, 1500), -ENODEV);
	CU_ASSERT_EQUAL(f.host[0].opens, 1);
	end();
}

/* Room in the ring is waited for as an answer is, and others' packets go first. */
static void
test_a_full_ring_is_waited_for(void)
{
	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	f.on_signal = NULL;
	fixture_fill_out(&f, 0);
	frozen_ms = 1000000;
	CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
	frozen_ms = 0;
	CU_ASSERT_EQUAL(host.filter, RNDIS_FILTER_DIRECTED);
	end();
}

static void
on_signal_again_to_an_lcore(struct fixture *fixture)
{
	struct rte_mbuf *m[4];

	frozen_ms++;
	host_turn();
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], m, RTE_DIM(m)), 0);
}

/* An lcore that receives finds the answer in its ring, which is left to it. */
static void
test_an_lcore_takes_the_answer(void)
{
	struct netvsc_channel *ch;
	struct rte_mbuf *m[4];

	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	ch = fixture_channel(&f, 0);
	atomic_store(&f.port.state, NETVSC_STATE_RUNNING);
	netvsc_channel_set(ch, NETVSC_CHANNEL_RUNNING);
	f.on_signal = NULL;
	f.on_signal_again = on_signal_again_to_an_lcore;
	frozen_ms = 1000000;
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], m, RTE_DIM(m)), 0);
	CU_ASSERT_TRUE(netvsc_channel_is_polled(ch));
	CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
	CU_ASSERT_TRUE(netvsc_channel_is_polled(ch));
	frozen_ms += 2;
	CU_ASSERT_FALSE(netvsc_channel_is_polled(ch));
	frozen_ms = 0;
	netvsc_channel_set(ch, NETVSC_CHANNEL_OPEN);
	CU_ASSERT_FALSE(netvsc_channel_is_polled(ch));
	f.on_signal = on_signal;
	f.on_signal_again = on_signal_again;
	end();
}

/* ---- down ---- */

static void
check_said(const enum rung *want, unsigned int n)
{
	CU_ASSERT_EQUAL(host.n_said, n);
	CU_ASSERT(memcmp(host.said, want, n * sizeof(*want)) == 0);
}

static void
test_a_session_is_left_politely(void)
{
	static const enum rung order[] = {FILTER, HALT, REVOKE_RECV, REVOKE_SEND};

	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(CHANNELS, 1500), 0);
	CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
	script(OTHER, ANSWER);
	host.filter = 77;
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(host.filter, 0);
	check_nothing_left();
	check_said(order, RTE_DIM(order));
	CU_ASSERT_EQUAL(f.resets, 1);
	/* Once more is nothing. */
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	end();
}

/* Only what was connected is revoked, and a closing backend is its own fence. */
static void
test_a_session_without_a_send_buffer_is_left(void)
{
	static const enum rung order[] = {HALT, REVOKE_RECV};

	REQUIRE(begin(true));
	script(SEND_BUF, REFUSE);
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, false), 0);
	check_nothing_left();
	check_said(order, RTE_DIM(order));
	CU_ASSERT_EQUAL(f.resets, 0);
	end();
}

static void
test_a_host_that_is_silent_is_left_in_time(void)
{
	static const enum rung first[] = {FILTER}, second[] = {FILTER, HALT};
	static const struct hpbus_op_kind kind = {"a test", 20000, 500, true};
	struct hpbus_op op;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		REQUIRE(begin(true));
		CU_ASSERT_EQUAL(attach(CHANNELS, 1500), 0);
		CU_ASSERT_EQUAL(netvsc_set_filter(&f.port, RNDIS_FILTER_DIRECTED), 0);
		script(i == 0 ? FILTER : HALT, SILENT);
		frozen_ms = 1000000;
		netvsc_control_begin(&f.port, &op, &kind);
		CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
		netvsc_control_end(&f.port, &op);
		/* The farewell has a time of its own within the operation's. */
		CU_ASSERT(frozen_ms - 1000000 <= netvsc_op_farewell.budget + 20);
		frozen_ms = 0;
		check_nothing_left();
		if (i == 0)
			check_said(first, RTE_DIM(first));
		else
			check_said(second, RTE_DIM(second));
		CU_ASSERT_EQUAL(f.resets, 1);
		/* Nobody is told to reset a port that is being left. */
		CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
		end();
	}
}

static void
test_a_broken_or_absent_host_is_not_talked_to(void)
{
	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	script(OTHER, ANSWER);
	atomic_fetch_or(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	script(OTHER, ANSWER);
	atomic_store(&f.bus.gone, true);
	CU_ASSERT_EQUAL(netvsc_detach(&f.port, true), 0);
	CU_ASSERT_EQUAL(host.n_said, 0);
	CU_ASSERT_EQUAL(f.resets, 1);
	end();
}

/* Until a fence holds, nothing in flight is anybody's but the host's. */
static void
test_a_fence_that_fails(void)
{
	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	f.reset_rc = -EIO;
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -EIO);
	check_nothing_left();
	CU_ASSERT_TRUE(f.port.unfenced);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -EIO);
	CU_ASSERT_EQUAL(f.resets, 2);
	/* Cut off: nobody will ever know. */
	atomic_store(&f.bus.gone, true);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), -ENODEV);
	CU_ASSERT_EQUAL(f.resets, 2);
	CU_ASSERT_TRUE(f.port.unfenced);
	atomic_store(&f.bus.gone, false);
	f.reset_rc = 0;
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_FALSE(f.port.unfenced);
	CU_ASSERT_EQUAL(netvsc_session_end(&f.port), 0);
	CU_ASSERT_EQUAL(f.resets, 3);
	end();
}

/* ---- which session ---- */

static void
test_a_session_is_replaced_when_it_does_not_do(void)
{
	REQUIRE(begin(true));
	f.data.nb_tx_queues = f.data.nb_rx_queues = 1;
	f.data.mtu = 1500;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.port.section_queues, 1);
	/* The same, and fewer bytes: it does. */
	f.data.mtu = 1000;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.resets, 0);
	/* The first subchannels: it asks for them, once (spec/nvsp.md §8). */
	f.data.nb_tx_queues = 2;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 1);
	CU_ASSERT_EQUAL(f.resets, 0);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 2);
	CU_ASSERT_EQUAL(f.port.section_queues, 2);
	/* More of them, and then more bytes: another one. */
	f.data.nb_tx_queues = 3;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 3), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 2);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 3);
	f.data.nb_tx_queues = 2;
	f.data.mtu = 1600;
	host.frame_size = 1600;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 3);
	CU_ASSERT_EQUAL(f.port.session.mtu, 1600);
	/* One that broke. */
	atomic_fetch_or(&f.port.state, NETVSC_STATE_BROKEN);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 4);
	/* Other queues with the same channels: only divided anew. */
	f.data.nb_tx_queues = 1;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 1), 0);
	CU_ASSERT_EQUAL(host.asked[INIT], 4);
	CU_ASSERT_EQUAL(f.port.section_queues, 1);
	/* A host that grants fewer. */
	host.grants = 1;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 3), -ENOSPC);
	CU_ASSERT_EQUAL(f.port.limits.max_queues, 2);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2), 0);
	/* As after probe. */
	CU_ASSERT_EQUAL(netvsc_session_renew(&f.port), 0);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 1);
	/* And none for a device that is gone. */
	atomic_fetch_or(&f.port.state, NETVSC_STATE_GONE);
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, 2), -ENODEV);
	f.data.nb_tx_queues = f.data.nb_rx_queues = CHANNELS;
	atomic_store(&f.port.state, 0);
	end();
}

/* ---- what the host says unasked ---- */

static void
say(const void *msg, uint32_t len)
{
	struct vmbus_xfer_range range = fixture_bytes(&f, 1, msg, len);
	struct netvsc_channel *ch = fixture_channel(&f, 0);

	CU_ASSERT_EQUAL(fixture_xfer(&f, 0, ++host.next_tid, &range, 1), 0);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&ch->rx_lock);
	netvsc_rx_scan(ch);
	rte_spinlock_unlock(&ch->rx_lock);
}

static uint32_t
indicate(uint32_t status, const void *buffer, uint32_t len)
{
	uint8_t msg[128];
	int n = rndis_build_indicate(msg, sizeof(msg), status, buffer, len);

	CU_ASSERT_FATAL(n > 0);
	say(msg, (uint32_t)n);
	return atomic_exchange(&f.port.events, 0);
}

static void
test_indications(void)
{
	uint32_t speed = 400000000;
	uint8_t msg[64];
	int n;

	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_MEDIA_DISCONNECT, NULL, 0), NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(f.port.link.up, 0);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_MEDIA_CONNECT, NULL, 0), NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(f.port.link.up, 1);
	CU_ASSERT_EQUAL(
		indicate(RNDIS_STATUS_LINK_SPEED_CHANGE, &speed, sizeof(speed)), NETVSC_EVENT_LINK);
	CU_ASSERT_EQUAL(f.port.link.speed, speed);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_LINK_SPEED_CHANGE, &speed, 2), 0);
	CU_ASSERT_EQUAL(f.port.link.speed, speed);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_NETWORK_CHANGE, NULL, 0),
		NETVSC_EVENT_LINK | NETVSC_EVENT_FLAP);
	CU_ASSERT_EQUAL(indicate(RNDIS_STATUS_SUCCESS, NULL, 0), 0);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_control_malformed, 0);
	n = rndis_build_indicate(msg, sizeof(msg), RNDIS_STATUS_MEDIA_CONNECT, NULL, 0);
	CU_ASSERT(n > 0);
	say(msg, 12);
	CU_ASSERT_EQUAL(fixture_channel(&f, 0)->stats.rx_control_malformed, 1);
	end();
}

static void
test_what_belongs_to_no_request(void)
{
	struct netvsc_channel_stats *stats;
	struct nvsp_message m = {0};
	uint8_t msg[128];
	uint32_t type;
	int n;

	REQUIRE(begin(true));
	CU_ASSERT_EQUAL(attach(1, 1500), 0);
	stats = &fixture_channel(&f, 0)->stats;
	memset(stats, 0, sizeof(*stats));
	/* Answers that nobody waits for, a request, something with no name. */
	n = rndis_build_set_complete(msg, sizeof(msg), 77, RNDIS_STATUS_SUCCESS);
	say(msg, (uint32_t)n);
	n = rndis_build_reset_complete(msg, sizeof(msg), RNDIS_STATUS_SUCCESS, false);
	say(msg, (uint32_t)n);
	n = rndis_build_short(msg, sizeof(msg), RNDIS_TYPE_HALT, 1);
	say(msg, (uint32_t)n);
	CU_ASSERT_EQUAL(stats->rx_control_malformed, 3);
	type = 0x1234;
	memcpy(msg, &type, sizeof(type));
	say(msg, 64);
	CU_ASSERT_EQUAL(stats->rx_malformed, 1);
	/* Notices, known and not. */
	nvsp_build_vf_association(&m, true, 1);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, sizeof(m)), 0);
	nvsp_build_switch_data_path(&m, 0);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, sizeof(m)), 0);
	nvsp_build_subchannel(&m, 1);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, sizeof(m)), 0);
	CU_ASSERT_EQUAL(fixture_inband(&f, 0, &m, 2), 0);
	/* A completion of a request that there is not. */
	CU_ASSERT_EQUAL(
		fixture_complete(&f, 0, NETVSC_TID_CONTROL | 12345, NVSP_STATUS_SUCCESS), 0);
	fixture_publish(&f, 0);
	rte_spinlock_lock(&fixture_channel(&f, 0)->rx_lock);
	netvsc_rx_scan(fixture_channel(&f, 0));
	rte_spinlock_unlock(&fixture_channel(&f, 0)->rx_lock);
	CU_ASSERT_EQUAL(stats->rx_unknown_packets, 2);
	CU_ASSERT_EQUAL(stats->tx_bad_completions, 1);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the ladder", test_the_ladder},
		{"one channel asks for no subchannels", test_one_channel_asks_for_no_subchannels},
		{"the oldest host", test_the_oldest_host},
		{"a host with a smaller MTU", test_a_host_with_a_smaller_mtu},
		{"requests through the send buffer", test_requests_through_the_send_buffer},
		{"every misdeed at every rung", test_every_misdeed_at_every_rung},
		{"the user's MAC address goes with every session",
			test_the_users_mac_address_goes_with_every_session},
		{"channels that cannot be opened", test_channels_that_cannot_be_opened},
		{"a device that is gone", test_a_device_that_is_gone},
		{"a full ring is waited for", test_a_full_ring_is_waited_for},
		{"an lcore takes the answer", test_an_lcore_takes_the_answer},
		{"a session is left politely", test_a_session_is_left_politely},
		{"a session without a send buffer is left",
			test_a_session_without_a_send_buffer_is_left},
		{"a host that is silent is left in time",
			test_a_host_that_is_silent_is_left_in_time},
		{"a broken or absent host is not talked to",
			test_a_broken_or_absent_host_is_not_talked_to},
		{"a fence that fails", test_a_fence_that_fails},
		{"a session is replaced when it does not do",
			test_a_session_is_replaced_when_it_does_not_do},
		{"indications", test_indications},
		{"what belongs to no request", test_what_belongs_to_no_request},
	};

	return UNIT_RUN("netvsc_attach", tests);
}
