/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_fixture.h. */
#include <sched.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf_pool_ops.h>

#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/netvsc_fixture.h"

#define SPACE_MAX (VMBUS_PAGE_SIZE * 64u)

int hpbus_logtype;
_Atomic uint32_t hpbus_dma_generation_word = 1;

/* ---- the bus ---- */

static struct fixture *
fixture_of(struct hpbus_device *dev)
{
	return dev->backend_data;
}

struct hpbus_driver *fixture_driver;

void
hpbus_register_driver(struct hpbus_driver *driver)
{
	fixture_driver = driver;
}

void
hpbus_device_set_driver_data(
	struct hpbus_device *dev, void *data, bool (*on_gone)(struct hpbus_device *dev))
{
	dev->driver_data = data;
	dev->on_gone = on_gone;
}

void
hpbus_dma_again(struct hpbus_device *dev)
{
}

void
hpbus_dma_forget(struct hpbus_device *dev)
{
}

void
hpbus_device_lost(struct hpbus_device *dev)
{
	fixture_of(dev)->losses++;
}

int
hpbus_device_node(const struct hpbus_device *dev)
{
	return 0;
}

/* Memory of the heap: who keeps it frees it. */
int
hpbus_recv_keep(struct hpbus_device *dev)
{
	dev->recv.base = NULL;
	return 0;
}

/* As a bus whose reset does not map: there is other memory at once. */
int
hpbus_recv_renew(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);

	f->renews++;
	dev->recv.base = f->renew_rc == 0 ? malloc(dev->recv.len) : NULL;
	return f->renew_rc;
}

void
hpbus_recv_free(void *base, size_t len)
{
	free(base);
}

void
hpbus_channel_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct fixture *f = fixture_of(dev);

	f->host[ch->index].signals++;
	if (f->on_signal != NULL)
		f->on_signal(f, ch->index);
}

void
hpbus_signal_again(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);

	if (f->on_signal_again != NULL)
		f->on_signal_again(f);
}

/* Other processes, as the test says. */
uint64_t fixture_processes;

uint64_t
hpbus_processes(const struct hpbus_device *dev)
{
	return fixture_processes;
}

bool
hpbus_has_peers(void)
{
	return fixture_processes != 0;
}

bool
hpbus_gather(struct hpbus_device *dev, unsigned int ms)
{
	return true;
}

int
hpbus_share(struct hpbus_device *dev, const char *port)
{
	return 0;
}

void *
hpbus_unshare(struct hpbus_device *dev)
{
	return NULL;
}

unsigned int
hpbus_process_slot(void)
{
	return 0;
}

bool
hpbus_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	return !dev->copy_only;
}

struct hpbus_dma_run
hpbus_dma_lookup(struct hpbus_device *dev, uintptr_t addr)
{
	struct fixture *f = fixture_of(dev);

	if (f->on_lookup != NULL)
		return f->on_lookup(f, addr);
	return (struct hpbus_dma_run){
		.start = RTE_ALIGN_FLOOR(addr, HPBUS_DMA_WINDOW),
		.len = HPBUS_DMA_WINDOW,
		.usable = !dev->copy_only,
	};
}

/* Who touches the rings of a closed channel is found out. */
static void
host_protect(struct fixture_host *host, int prot)
{
	mprotect(host->in.ring.ctl, VMBUS_PAGE_SIZE + 2 * (size_t)host->in.ring.size, prot);
	mprotect(host->out.ring.ctl, VMBUS_PAGE_SIZE + 2 * (size_t)host->out.ring.size, prot);
}

static int
backend_open(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);
	int rc = f->on_open != NULL ? f->on_open(f) : 0;

	if (rc != 0)
		return rc;
	atomic_store(&dev->gone, false);
	atomic_store(&dev->told, false);
	/* Who held frames in it has kept the one before. */
	if (dev->recv.base == NULL)
		dev->recv.base = malloc(dev->recv.len);
	return 0;
}

static void
backend_close(struct hpbus_device *dev)
{
	fixture_of(dev)->closes++;
}

static int
backend_reset(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);

	f->resets++;
	return f->reset_rc;
}

static int
backend_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	struct fixture *f = fixture_of(dev);
	struct fixture_host *host = &f->host[index];

	if (f->open_rc != 0)
		return f->open_rc;
	host_protect(host, PROT_READ | PROT_WRITE);
	/* As after the fence: rings are empty and start at 0. */
	memset(host->in.ring.ctl, 0, VMBUS_PAGE_SIZE);
	memset(host->out.ring.ctl, 0, VMBUS_PAGE_SIZE);
	if (vmbus_ring_writer_init(&host->to_guest, &host->in.ring) != 0 ||
		vmbus_ring_reader_init(&host->from_guest, &host->out.ring) != 0)
		return -EIO;
	host->open = true;
	host->opens++;
	*ch = (struct hpbus_channel){
		.dev = dev,
		.index = (uint16_t)index,
		.relid = (uint16_t)(index + 1),
		.tx = host->out.ring,
		.rx = host->in.ring,
		.signal = HPBUS_SIGNAL_CALL,
	};
	return 0;
}

static void
backend_channel_close(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct fixture_host *host = &fixture_of(dev)->host[ch->index];

	host->open = false;
	host->closes++;
	host_protect(host, PROT_NONE);
	memset(ch, 0, sizeof(*ch));
}

static void
backend_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
}

static bool
backend_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	return !dev->copy_only;
}

/* As over vfio-user: the host holds the descriptors, too. */
static int
backend_intr_open(struct hpbus_device *dev, unsigned int n)
{
	return fixture_of(dev)->intr_rc;
}

static int
backend_intr_raise(struct hpbus_device *dev, int fd)
{
	return vfu_signal(&fixture_of(dev)->signaller, fd);
}

static const struct hpbus_backend fixture_backend = {
	.name = "test",
	.open = backend_open,
	.close = backend_close,
	.reset = backend_reset,
	.channel_open = backend_channel_open,
	.channel_close = backend_channel_close,
	.signal = backend_signal,
	.dma_usable = backend_dma_usable,
	.intr_open = backend_intr_open,
	.intr_raise = backend_intr_raise,
};

/* ---- a port ---- */

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
