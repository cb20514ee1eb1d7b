/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_fixture.h: the port. */
#include <sched.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf_pool_ops.h>

#include "test/unit/netvsc_fixture.h"

static bool
eal_once(void)
{
	static int state;
	char lcores[32];
	char *argv[] = {(char *)"fixture", (char *)"--no-huge", (char *)"--no-shconf", (char *)"-m",
		(char *)"256", (char *)"--no-pci", (char *)"--no-telemetry",
		(char *)"--log-level=lib.eal:error", (char *)"--lcores", lcores, NULL};
	cpu_set_t cpus;

	if (state != 0)
		return state > 0;
	/* EAL ties its threads to cores; those that a test starts go where they like. */
	sched_getaffinity(0, sizeof(cpus), &cpus);
	snprintf(lcores, sizeof(lcores), "0@%d", sched_getcpu());
	state = rte_eal_init(RTE_DIM(argv) - 1, argv) >= 0 ? 1 : -1;
	sched_setaffinity(0, sizeof(cpus), &cpus);
	return state > 0;
}

static void
conf_defaults(struct fixture_conf *c)
{
#define OTHERWISE(field, value)                                                                    \
	if (c->field == 0)                                                                         \
	c->field = (value)
	OTHERWISE(channels, 1);
	OTHERWISE(ring, 64u << 10);
	OTHERWISE(recv_section, 2048);
	OTHERWISE(recv_count, 256);
	OTHERWISE(send_section, 6144);
	OTHERWISE(send_count, c->no_send_buffer ? 0 : 64);
	OTHERWISE(max_messages, 8);
	OTHERWISE(alignment, 8);
	OTHERWISE(max_transfer, NETVSC_MAX_TRANSFER);
	OTHERWISE(nvsp_version, NVSP_VERSION_61);
	OTHERWISE(tx_copybreak, NETVSC_TX_COPYBREAK);
	OTHERWISE(rx_copybreak, NETVSC_RX_COPY_ALL);
	OTHERWISE(mtu, 1500);
	OTHERWISE(nb_desc, 256);
	OTHERWISE(mbufs, 1023);
	OTHERWISE(room, 2048);
#undef OTHERWISE
}

static bool
pool_make(struct fixture *f)
{
	const struct fixture_conf *c = &f->conf;
	uint16_t room = (uint16_t)(RTE_PKTMBUF_HEADROOM + c->room);
	struct rte_pktmbuf_extmem ext;

	if (!c->pinned) {
		f->pool = rte_pktmbuf_pool_create(
			"fixture", c->mbufs, c->mbuf_cache, 0, room, SOCKET_ID_ANY);
		return f->pool != NULL;
	}
	ext.elt_size = room;
	ext.buf_len = RTE_ALIGN_CEIL((size_t)c->mbufs * room, VMBUS_PAGE_SIZE);
	ext.buf_ptr = f->pinned_memory = rte_zmalloc(NULL, ext.buf_len, VMBUS_PAGE_SIZE);
	ext.buf_iova = (rte_iova_t)(uintptr_t)ext.buf_ptr;
	if (ext.buf_ptr == NULL)
		return false;
	f->pool = rte_pktmbuf_pool_create_extbuf(
		"fixture", c->mbufs, c->mbuf_cache, 0, room, SOCKET_ID_ANY, &ext, 1);
	return f->pool != NULL;
}

/* What attach would have learned from the host. */
static void
session_fill(struct fixture *f)
{
	const struct fixture_conf *c = &f->conf;
	struct netvsc_session *s = &f->port.session;

	s->attached = true;
	s->nvsp_version = c->nvsp_version;
	s->recv_section = c->recv_section;
	s->recv_count = c->recv_count;
	s->send_section = c->send_count == 0 ? 0 : c->send_section;
	s->send_count = c->send_count;
	s->max_messages = c->max_messages;
	s->max_transfer = c->max_transfer;
	s->alignment = c->alignment;
	s->mtu = s->asked_mtu = c->mtu;
	s->max_queues = s->n_channels = c->channels;
	s->recv_connected = true;
	s->send_connected = c->send_count != 0;
	s->control_section = NETVSC_SECTION_NONE;
	s->offloads.can = NDIS_CAN_ALL;
	s->offloads.tso4_max = s->offloads.tso6_max = NDIS_LSO_MAX_SIZE;
	f->port.limits.offloads = s->offloads;
	f->port.link.up = 1;
	f->port.link.speed = 100000000;
}

static bool
queues_make(struct fixture *f)
{
	const struct rte_eth_rxconf rxconf = {.rx_drop_en = 1};
	const struct rte_eth_txconf txconf = {
		.tx_free_thresh = f->conf.tx_free_thresh,
		.offloads = f->conf.tx_offloads,
	};
	unsigned int q;

	for (q = 0; q < f->conf.channels; q++) {
		if (netvsc_rx_queue_setup(
			    &f->eth, (uint16_t)q, f->conf.nb_desc, 0, &rxconf, f->pool) != 0 ||
			netvsc_tx_queue_setup(&f->eth, (uint16_t)q, f->conf.nb_desc, 0, &txconf) !=
				0)
			return false;
		netvsc_tx_template(fixture_txq(f, q));
		atomic_store(&fixture_channel(f, q)->txq, fixture_txq(f, q));
	}
	return true;
}

static bool
fixture_make(struct fixture *f)
{
	const struct fixture_conf *c = &f->conf;
	unsigned int i;

	f->backend = fixture_backend;
	f->bus.backend = &f->backend;
	f->bus.backend_data = f;
	f->bus.copy_only = c->copy_only;
	f->bus.max_channels = c->channels;
	snprintf(f->bus.name, sizeof(f->bus.name), "fixture");
	f->bus.recv.len = (size_t)c->recv_section * c->recv_count;
	f->bus.send.len = (size_t)c->send_section * c->send_count;
	/* Exact: AddressSanitizer sees the first byte beyond. */
	f->bus.recv.base = malloc(f->bus.recv.len);
	f->bus.send.base = malloc(f->bus.send.len + 1);
	if (f->bus.recv.base == NULL || f->bus.send.base == NULL)
		return false;
	f->data.dev_private = &f->port;
	f->data.port_id = 7;
	f->data.mtu = c->mtu;
	f->data.rx_queues = f->rx_queues;
	f->data.tx_queues = f->tx_queues;
	f->data.nb_rx_queues = f->data.nb_tx_queues = (uint16_t)c->channels;
	f->eth.data = &f->data;
	TAILQ_INIT(&f->eth.link_intr_cbs);
	f->port.bus = &f->bus;
	f->port.eth = &f->eth;
	f->port.data = &f->data;
	f->port.port_id = f->data.port_id;
	f->eth.process_private = rte_eth_devices[f->port.port_id].process_private = &f->bus;
	f->data.dev_conf.rxmode.offloads = c->rx_offloads;
	f->port.config.ptypes = c->ptypes;
	f->port.config.tx_copybreak = c->tx_copybreak;
	f->port.config.rx_copybreak = c->rx_copybreak;
	f->port.section_queues = c->channels;
	pthread_mutex_init(&f->port.control_lock, NULL);
	session_fill(f);
	if (netvsc_section_pool_init(
		    &f->port.sections, c->send_count, c->send_section, c->channels) != 0 ||
		netvsc_rx_pool_init(&f->port.done_pool, c->recv_count, 0) != 0)
		return false;
	for (i = 0; i < c->channels; i++)
		if (!test_ring_mirrored(&f->host[i].in, c->ring) ||
			!test_ring_mirrored(&f->host[i].out, c->ring) ||
			netvsc_channel_open(&f->port, i) != 0)
			return false;
	netvsc_rx_lender_begin(&f->port);
	if (!pool_make(f) || !queues_make(f))
		return false;
	atomic_store(&f->port.state, NETVSC_STATE_RUNNING);
	for (i = 0; i < c->channels; i++)
		netvsc_channel_set(fixture_channel(f, i), NETVSC_CHANNEL_RUNNING);
	return true;
}

bool
fixture_begin(struct fixture *f, const struct fixture_conf *conf)
{
	bool ok;

	memset(f, 0, sizeof(*f));
	if (conf != NULL)
		f->conf = *conf;
	conf_defaults(&f->conf);
	ok = f->conf.channels <= FIXTURE_CHANNELS && eal_once() && fixture_make(f);
	CU_ASSERT_TRUE(ok);
	if (!ok)
		fixture_end(f);
	return ok;
}

int
fixture_sleepy(struct fixture *f)
{
	int rc = vfu_signaller_init(&f->signaller);

	f->data.dev_conf.intr_conf.rxq = 1;
	return rc != 0 ? rc : netvsc_intr_start(&f->port);
}

void
fixture_end(struct fixture *f)
{
	unsigned int i;

	if (f->port.eth != NULL) {
		netvsc_intr_stop(&f->port);
		netvsc_intr_free(&f->port);
	}
	vfu_signaller_fini(&f->signaller);
	for (i = 0; i < f->conf.channels && i < FIXTURE_CHANNELS; i++)
		netvsc_channel_close(f->port.channels[i]);
	/* The fence. */
	f->port.session.attached = false;
	netvsc_rx_lender_end(&f->port);
	for (i = 0; i < f->conf.channels && i < FIXTURE_CHANNELS; i++) {
		if (f->rx_queues[i] != NULL)
			netvsc_rx_queue_release(&f->eth, (uint16_t)i);
		if (f->tx_queues[i] != NULL)
			netvsc_tx_queue_release(&f->eth, (uint16_t)i);
		rte_free(f->port.channels[i]);
		if (f->host[i].in.ring.ctl != NULL)
			test_ring_free(&f->host[i].in);
		if (f->host[i].out.ring.ctl != NULL)
			test_ring_free(&f->host[i].out);
	}
	netvsc_section_pool_free(&f->port.sections);
	netvsc_rx_pool_free(&f->port.done_pool);
	if (f->pool != NULL)
		CU_ASSERT_EQUAL(rte_mempool_in_use_count(f->pool), 0);
	rte_mempool_free(f->pool);
	rte_free(f->pinned_memory);
	free(f->bus.recv.base);
	free(f->bus.send.base);
	memset(f, 0, sizeof(*f));
}

unsigned int
fixture_mbufs_out(const struct fixture *f)
{
	unsigned int n = rte_mempool_in_use_count(f->pool), q;

	for (q = 0; q < f->conf.channels; q++)
		if (f->rx_queues[q] != NULL)
			n -= ((const struct netvsc_rxq *)f->rx_queues[q])->n_mbufs;
	return n;
}
