/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vmbus/ring_map.h"
#include "test/unit/host_nic_guest.h"

/* ---- transport ---- */

static void
transport_signal(void *ctx, unsigned int channel)
{
	((struct guest *)ctx)->signals++;
}

static const void *
transport_page(void *ctx, uint64_t pfn)
{
	struct guest *g = ctx;

	if (pfn < GUEST_PFN || pfn - GUEST_PFN >= GUEST_PAGES)
		return NULL;
	return g->pages + (pfn - GUEST_PFN) * VMBUS_PAGE_SIZE;
}

static int
transport_buffer(void *ctx, uint32_t handle, struct host_buffer *buffer)
{
	struct guest *g = ctx;

	if (handle != GUEST_RECV && handle != GUEST_SEND)
		return -ENOENT;
	buffer->base = handle == GUEST_RECV ? g->recv : g->send;
	buffer->len = handle == GUEST_RECV ? g->recv_len : g->send_len;
	return 0;
}

static void
transport_release(void *ctx, const struct host_buffer *buffer)
{
	struct guest *g = ctx;

	g->released++;
	g->out_released = g->port.out_n;
}

static int
transport_subchannels(void *ctx, unsigned int count)
{
	struct guest *g = ctx;
	unsigned int i;

	g->granted = count;
	if (g->subchannels_rc != 0)
		return g->subchannels_rc;
	for (i = 1; g->open_at_once && i <= count; i++)
		guest_open(g, i);
	return (int)count;
}

static void
transport_offer(void *ctx, unsigned int count)
{
	((struct guest *)ctx)->offers = count;
}

static void
transport_broken(void *ctx, unsigned int channel, const char *why)
{
	struct guest *g = ctx;

	g->broken[channel]++;
	g->why = why;
}

static void
transport_complain(void *ctx, const char *what)
{
	struct guest *g = ctx;

	g->complaints++;
	snprintf(g->complaint, sizeof(g->complaint), "%s", what);
}

/* ---- life ---- */

static void
start(struct guest *g, const char *nic, uint32_t ring_pages, struct host_port *port)
{
	const struct host_transport transport = {
		.ctx = g,
		.signal = transport_signal,
		.page = transport_page,
		.buffer = transport_buffer,
		.release = transport_release,
		.subchannels = transport_subchannels,
		.offer = transport_offer,
		.broken = transport_broken,
		.complain = transport_complain,
	};
	char err[200];

	memset(g, 0, sizeof(*g));
	g->mirrored = port != NULL;
	g->ring_pages = ring_pages;
	g->next_tid = 1;
	g->ack = true;
	test_port_init(&g->port);
	g->packets = calloc(GUEST_PACKETS, sizeof(*g->packets));
	g->pages = aligned_alloc(VMBUS_PAGE_SIZE, GUEST_PAGES * VMBUS_PAGE_SIZE);
	memset(g->pages, 0, GUEST_PAGES * VMBUS_PAGE_SIZE);
	if (host_nic_config_parse(nic, 1, &g->config, err, sizeof(err)) != 0) {
		CU_FAIL_FATAL("the configuration is refused");
	}
	g->recv_len = g->config.recv_bytes;
	g->send_len = g->config.send_bytes;
	g->recv = aligned_alloc(VMBUS_PAGE_SIZE, g->recv_len);
	g->send = aligned_alloc(VMBUS_PAGE_SIZE, g->send_len);
	memset(g->recv, 0, g->recv_len);
	memset(g->send, 0, g->send_len);
	CU_ASSERT_EQUAL_FATAL(host_nic_create_with_port(&g->config, &transport,
				      port != NULL ? port : &g->port.port, &g->nic),
		0);
	guest_open(g, 0);
}

void
guest_start(struct guest *g, const char *nic, uint32_t ring_pages)
{
	start(g, nic, ring_pages, NULL);
}

void
guest_start_port(struct guest *g, const char *nic, uint32_t ring_pages, struct host_port *port)
{
	start(g, nic, ring_pages, port);
}

void
guest_start_vf(struct guest *g, const char *nic, uint32_t ring_pages)
{
	guest_start(g, nic, ring_pages);
	test_port_init(&g->vf_port);
	nic_vf_attach(g->nic, &g->vf_port.port);
}

void
guest_stop(struct guest *g)
{
	unsigned int i;

	host_nic_destroy(g->nic);
	for (i = 0; i < GUEST_CHANNELS; i++) {
		free(g->ring_mem[i]);
		if (g->mirrored) {
			vmbus_ring_unmap(&g->out[i].ring);
			vmbus_ring_unmap(&g->in[i].ring);
		}
	}
	free(g->recv);
	free(g->send);
	free(g->pages);
	free(g->packets);
	free(g->port.in);
	free(g->port.out);
	free(g->vf_port.in);
	free(g->vf_port.out);
}

static void
rings_plain(struct guest *g, unsigned int channel, struct vmbus_ring *tx, struct vmbus_ring *rx)
{
	size_t one = (size_t)(g->ring_pages + 1) * VMBUS_PAGE_SIZE;
	uint8_t *mem = g->ring_mem[channel];

	if (mem == NULL)
		mem = g->ring_mem[channel] = aligned_alloc(VMBUS_PAGE_SIZE, 2 * one);
	memset(mem, 0, 2 * one);
	*tx = (struct vmbus_ring){.ctl = (void *)mem,
		.data = mem + VMBUS_PAGE_SIZE,
		.size = g->ring_pages * VMBUS_PAGE_SIZE};
	*rx = (struct vmbus_ring){.ctl = (void *)(mem + one),
		.data = mem + one + VMBUS_PAGE_SIZE,
		.size = g->ring_pages * VMBUS_PAGE_SIZE};
}

static void
rings_mirrored(struct guest *g, struct vmbus_ring *tx, struct vmbus_ring *rx)
{
	size_t one = (size_t)(g->ring_pages + 1) * VMBUS_PAGE_SIZE;
	int fd = memfd_create("rings", MFD_CLOEXEC);

	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)(2 * one)), 0);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_map(fd, 0, one, VMBUS_PAGE_SIZE, tx), 0);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_map(fd, one, one, VMBUS_PAGE_SIZE, rx), 0);
	close(fd);
}

void
guest_open(struct guest *g, unsigned int channel)
{
	struct vmbus_ring tx, rx;

	if (g->mirrored)
		rings_mirrored(g, &tx, &rx);
	else
		rings_plain(g, channel, &tx, &rx);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_writer_init(&g->out[channel], &tx), 0);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_reader_init(&g->in[channel], &rx), 0);
	CU_ASSERT_EQUAL_FATAL(host_nic_channel_open(g->nic, channel, &tx, &rx), 0);
}

/* ---- sending ---- */

int
guest_send(struct guest *g, unsigned int channel, uint16_t type, uint64_t tid, uint16_t flags,
	const void *header, uint32_t header_len, const void *payload, uint32_t payload_len)
{
	uint8_t buf[NIC_PACKET_MAX + 256] = {0};
	struct vmbus_packet desc;
	uint32_t start = (uint32_t)sizeof(desc) + header_len;
	int rc;

	vmbus_packet_init(&desc, type, start, start + payload_len, flags, tid);
	memcpy(buf, &desc, sizeof(desc));
	if (header_len != 0)
		memcpy(buf + sizeof(desc), header, header_len);
	if (payload_len != 0)
		memcpy(buf + start, payload, payload_len);
	rc = vmbus_ring_write(&g->out[channel], buf, start + payload_len, 0);
	vmbus_ring_writer_publish(&g->out[channel]);
	return rc;
}

int
guest_nvsp(struct guest *g, const struct nvsp_message *msg, uint64_t tid, bool completion)
{
	return guest_send(g, 0, VMBUS_PACKET_INBAND, tid, completion, NULL, 0, msg, sizeof(*msg));
}

int
guest_send_section(
	struct guest *g, unsigned int channel, uint32_t section, uint32_t bytes, uint64_t tid)
{
	struct nvsp_message msg;

	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, section, bytes);
	return guest_send(g, channel, VMBUS_PACKET_INBAND, tid, 1, NULL, 0, &msg, sizeof(msg));
}

int
guest_send_pages(struct guest *g, unsigned int channel, uint32_t channel_type,
	const struct guest_range *ranges, uint32_t n, uint64_t tid)
{
	struct vmbus_gpa_header gpa = {.range_count = n};
	uint8_t header[4096];
	uint32_t len = sizeof(gpa), i, k, pages;
	struct nvsp_message msg;
	uint64_t pfn;

	memcpy(header, &gpa, sizeof(gpa));
	for (i = 0; i < n; i++) {
		memcpy(header + len, &ranges[i].count, 4);
		memcpy(header + len + 4, &ranges[i].offset, 4);
		len += 8;
		pages = (uint32_t)vmbus_gpa_pages(ranges[i].offset, ranges[i].count);
		for (k = 0; k < pages; k++, len += 8) {
			pfn = GUEST_PFN + ranges[i].page + k;
			memcpy(header + len, &pfn, 8);
		}
	}
	nvsp_build_rndis(&msg, channel_type, NVSP_SECTION_NONE, 0);
	return guest_send(
		g, channel, VMBUS_PACKET_GPA_DIRECT, tid, 1, header, len, &msg, sizeof(msg));
}

int
guest_ack(struct guest *g, unsigned int channel, uint64_t tid)
{
	struct nvsp_message msg;

	nvsp_build_rndis_complete(&msg, NVSP_STATUS_SUCCESS);
	return guest_send(g, channel, VMBUS_PACKET_COMPLETION, tid, 0, NULL, 0, &msg, 8);
}

/* ---- receiving ---- */

static void
hear(struct guest *g, const struct nvsp_message *msg)
{
	size_t len = strlen(g->heard);

	if (msg->type == NVSP_TYPE_VF_ASSOCIATION)
		snprintf(g->heard + len, sizeof(g->heard) - len, "%c%u ",
			msg->vf_association.allocated ? '+' : '-', msg->vf_association.serial);
	else if (msg->type == NVSP_TYPE_SWITCH_DATA_PATH)
		snprintf(g->heard + len, sizeof(g->heard) - len, "%u ", msg->switch_data_path.path);
}

static void
packet_take(struct guest *g, unsigned int channel, const struct vmbus_packet *desc)
{
	uint8_t buf[NIC_PACKET_MAX];
	struct guest_packet *p;
	uint32_t len = (uint32_t)desc->len8 * 8, start = (uint32_t)desc->offset8 * 8, i;
	struct vmbus_xfer_header xfer;

	if (g->packets_n == GUEST_PACKETS)
		return;
	if (len > sizeof(buf)) { /* no host writes one as long */
		CU_ASSERT(g->hurt);
		return;
	}
	p = &g->packets[g->packets_n++];
	memset(p, 0, offsetof(struct guest_packet, range));
	vmbus_ring_copy_out(&g->in[channel].ring, g->in[channel].next_r, buf, len);
	p->desc = *desc;
	p->channel = channel;
	p->payload_len = len - start;
	memcpy(&p->msg, buf + start,
		p->payload_len < sizeof(p->msg) ? p->payload_len : sizeof(p->msg));
	if (desc->type == VMBUS_PACKET_INBAND)
		hear(g, &p->msg);
	if (desc->type != VMBUS_PACKET_XFER_PAGES)
		return;
	memcpy(&xfer, buf + sizeof(*desc), sizeof(xfer));
	p->xfer_ranges = nvsp_xfer_parse(buf + sizeof(*desc), start - (uint32_t)sizeof(*desc),
		NVSP_RECV_BUF_ID, NVSP_MAX_XFER_RANGES_RSC);
	if (!g->lies) {
		CU_ASSERT_EQUAL(xfer.set_id, NVSP_RECV_BUF_ID);
		CU_ASSERT_EQUAL(start, 24 + 8 * xfer.range_count);
	}
	if (!g->hurt)
		CU_ASSERT_EQUAL(p->msg.type, NVSP_TYPE_RNDIS);
	p->ranges = xfer.range_count;
	for (i = 0; i < p->ranges && i < NVSP_MAX_XFER_RANGES; i++)
		p->range[i] = nvsp_xfer_range(buf + sizeof(*desc), i);
	if (g->ack)
		CU_ASSERT_EQUAL(guest_ack(g, channel, desc->trans_id), 0);
}

void
guest_drain(struct guest *g)
{
	struct vmbus_packet desc;
	unsigned int i;
	int total;

	g->packets_n = 0;
	for (i = 0; i < GUEST_CHANNELS; i++) {
		if (!host_nic_channel_is_open(g->nic, i))
			continue;
		while ((total = vmbus_ring_peek(&g->in[i], &desc)) > 0) {
			packet_take(g, i, &desc);
			vmbus_ring_consume(&g->in[i], (uint32_t)total);
		}
		vmbus_ring_reader_publish(&g->in[i], true);
	}
}

unsigned int
guest_poll(struct guest *g)
{
	unsigned int work = host_nic_poll(g->nic, 64);

	guest_drain(g);
	return work;
}

const struct guest_packet *
guest_completion(const struct guest *g, uint64_t tid)
{
	uint32_t i;

	for (i = 0; i < g->packets_n; i++)
		if (g->packets[i].desc.type == VMBUS_PACKET_COMPLETION &&
			g->packets[i].desc.trans_id == tid)
			return &g->packets[i];
	return NULL;
}

uint32_t
guest_status(const struct guest *g, uint64_t tid)
{
	const struct guest_packet *p = guest_completion(g, tid);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->msg.type, NVSP_TYPE_RNDIS_COMPLETE);
	return p->msg.rndis_complete.status;
}

uint32_t
guest_send_first(struct guest *g, uint32_t bytes)
{
	guest_send_section(g, 0, 0, bytes, g->next_tid);
	guest_poll(g);
	return guest_status(g, g->next_tid++);
}

const struct guest_packet *
guest_transfer(const struct guest *g, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < g->packets_n; i++)
		if (g->packets[i].desc.type == VMBUS_PACKET_XFER_PAGES && n-- == 0)
			return &g->packets[i];
	return NULL;
}

const struct guest_packet *
guest_inband(const struct guest *g, uint32_t type)
{
	uint32_t i;

	for (i = 0; i < g->packets_n; i++)
		if (g->packets[i].desc.type == VMBUS_PACKET_INBAND &&
			g->packets[i].msg.type == type)
			return &g->packets[i];
	return NULL;
}

const uint8_t *
guest_message(const struct guest *g, const struct guest_packet *p, uint32_t range)
{
	struct vmbus_xfer_range r = p->range[range];

	if (!nvsp_xfer_range_ok(r, (uint32_t)g->recv_len, g->section))
		return NULL;
	return g->recv + r.byte_offset;
}

const uint8_t *
guest_control(const struct guest *g, uint32_t type, uint32_t *len)
{
	const struct guest_packet *p;
	const uint8_t *m;
	uint32_t n;

	for (n = 0; (p = guest_transfer(g, n)) != NULL; n++) {
		if (p->msg.rndis.channel_type != NVSP_CHANNEL_CONTROL)
			continue;
		m = guest_message(g, p, 0);
		if (m == NULL || rndis_message_type(m) != type)
			continue;
		CU_ASSERT_EQUAL(p->channel, 0);
		*len = p->range[0].byte_count;
		return m;
	}
	return NULL;
}

void
guest_port_put(struct guest *g, const void *frame, uint32_t len)
{
	test_port_put(&g->port, frame, len);
}

uint64_t
guest_sum(const struct host_nic_stats *s, const char *prefix)
{
	const struct host_counter *c;
	uint64_t total = 0;

	for (c = host_nic_counters; c->name != NULL; c++)
		if (strncmp(c->name, prefix, strlen(prefix)) == 0)
			total += host_counter(s, c);
	return total;
}
