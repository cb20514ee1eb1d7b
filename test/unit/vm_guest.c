/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "test/unit/vm_guest.h"

#define SIMP	UINT64_C(0x10000)
#define SIEFP	UINT64_C(0x11000)
#define MONITOR UINT64_C(0x12000)
/* Both rings of a channel: a control page and three data pages each. */
#define RING_PAGES 8u

void
vm_guest_start(struct vm_guest *g, const char *nic)
{
	const struct vbus_hypervisor none = {0};
	const struct vbus_options options = {.max_version = VBUS_VERSION(5, 3), .monitor = true};
	struct host_nic_config config;
	char err[512] = "";

	memset(g, 0, sizeof(*g));
	g->release = true;
	CU_ASSERT_EQUAL_FATAL(ram_create(&g->ram, VM_GUEST_BYTES), 0);
	bus_lock_init(&g->lock);
	synic_init(&g->synic, &g->ram, 1);
	g->synic.vp[0].irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	g->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	synic_set_pages(&g->synic, 0, 1, SIEFP | 1, SIMP | 1);
	vbus_init(&g->bus, &g->ram, &g->synic, &none, &options);
	if (host_nic_config_parse(nic, 0, &config, err, sizeof(err)) != 0)
		CU_FAIL_FATAL("the configuration is refused");
	CU_ASSERT_EQUAL_FATAL(nics_create(&g->nics, &g->bus, &g->lock, g->kick_fd, &config, 1), 0);
}

void
vm_guest_stop(struct vm_guest *g)
{
	CU_ASSERT_TRUE(nics_destroy(&g->nics));
	CU_ASSERT_EQUAL(g->bus.n_views, 0);
	CU_ASSERT_EQUAL(g->bus.n_maps, 0);
	CU_ASSERT_EQUAL(g->bus.n_gpadls, 0);
	synic_destroy(&g->synic);
	close(g->synic.vp[0].irq_fd);
	close(g->kick_fd);
	ram_destroy(&g->ram);
}

/* ---- VMBus ---- */

static void
took_offer(struct vm_guest *g, const uint8_t *m)
{
	struct vbus_offer offer;

	memcpy(&offer, m, sizeof(offer));
	g->offers++;
	if (offer.sub_channel_index < VM_GUEST_CHANNELS) {
		g->ch[offer.sub_channel_index].relid = offer.relid;
		g->ch[offer.sub_channel_index].open = false;
	}
}

static void
took_rescind(struct vm_guest *g, uint32_t relid)
{
	unsigned int i;

	g->rescinds++;
	for (i = 0; i < VM_GUEST_CHANNELS; i++)
		if (g->ch[i].relid == relid) {
			g->ch[i].relid = 0;
			g->ch[i].open = false;
		}
	if (g->release)
		vm_guest_released(g, relid);
}

/* One message of the slot. @return false: there is none */
static bool
take(struct vm_guest *g)
{
	uint8_t *slot = ram_at(&g->ram, SIMP + 0x200, 256), m[240];
	struct vbus_result result;
	uint32_t type;
	bool more;

	if (__atomic_load_n((uint32_t *)slot, __ATOMIC_ACQUIRE) == 0)
		return false;
	memcpy(m, slot + 16, sizeof(m));
	__atomic_store_n((uint32_t *)slot, 0, __ATOMIC_SEQ_CST);
	/* Behind it: who finds the slot taken asks first, and then looks once more. */
	more = __atomic_load_n(&slot[5], __ATOMIC_SEQ_CST) & 1;
	if (more || g->threaded) {
		bus_lock_take(&g->lock);
		synic_pump(&g->synic);
		bus_lock_drop(&g->lock);
	}
	memcpy(&type, m, 4);
	memcpy(&result, m, sizeof(result));
	switch (type) {
	case VBUS_OFFERCHANNEL:
		took_offer(g, m);
		break;
	case VBUS_RESCIND_CHANNELOFFER:
		took_rescind(g, result.relid);
		break;
	case VBUS_OPENCHANNEL_RESULT:
		g->open_status = result.status;
		break;
	case VBUS_GPADL_CREATED:
		g->created_status = result.status;
		break;
	case VBUS_GPADL_TORNDOWN:
		g->torndown++;
		break;
	}
	return true;
}

enum hv_status
vm_guest_post(struct vm_guest *g, const void *msg, size_t len)
{
	uint8_t input[256] = {4, 0, 0, 0, 0, 0, 0, 0, 1};
	uint32_t size = (uint32_t)len;
	enum hv_status status;

	memcpy(input + 12, &size, 4);
	memcpy(input + 16, msg, len);
	bus_lock_take(&g->lock);
	status = vbus_hypercall_post(&g->bus, input);
	bus_lock_drop(&g->lock);
	while (take(g))
		;
	return status;
}

void
vm_guest_connect(struct vm_guest *g)
{
	const struct vbus_initiate_contact contact = {.h = {.type = VBUS_INITIATE_CONTACT},
		.version = VBUS_VERSION(5, 3),
		.interrupt_page = 2,
		.monitor_parent_to_child = MONITOR + 4096,
		.monitor_child_to_parent = MONITOR};
	const struct vbus_header request = {.type = VBUS_REQUESTOFFERS};

	memset(g->ch, 0, sizeof(g->ch));
	vm_guest_post(g, &contact, sizeof(contact));
	vm_guest_post(g, &request, sizeof(request));
}

uint32_t
vm_guest_gpadl(struct vm_guest *g, unsigned int channel, uint32_t id, uint64_t pfn, uint32_t offset,
	uint32_t bytes)
{
	uint32_t pages = (uint32_t)vmbus_gpa_pages(offset, bytes), i, n = pages < 26 ? pages : 26;
	struct vbus_gpadl_header h = {.h = {.type = VBUS_GPADL_HEADER},
		.relid = g->ch[channel].relid,
		.gpadl = id,
		.range_buflen = (uint16_t)(8 + 8 * pages),
		.range_count = 1,
		.byte_count = bytes,
		.byte_offset = offset};
	struct vbus_gpadl_body body = {.h = {.type = VBUS_GPADL_BODY}, .gpadl = id};
	uint8_t msg[240];

	g->created_status = UINT32_MAX; /* no answer */
	memcpy(msg, &h, sizeof(h));
	for (i = 0; i < n; i++, pfn++)
		memcpy(msg + sizeof(h) + 8 * i, &pfn, 8);
	vm_guest_post(g, msg, sizeof(h) + 8 * n);
	for (pages -= n; pages > 0 && g->created_status == UINT32_MAX; pages -= n) {
		n = pages < 28 ? pages : 28;
		memcpy(msg, &body, sizeof(body));
		for (i = 0; i < n; i++, pfn++)
			memcpy(msg + sizeof(body) + 8 * i, &pfn, 8);
		vm_guest_post(g, msg, sizeof(body) + 8 * n);
	}
	return g->created_status;
}

bool
vm_guest_teardown(struct vm_guest *g, unsigned int channel, uint32_t id)
{
	struct vbus_gpadl *gpadl = vm_guest_find(g, id);
	const struct vbus_gpadl_teardown msg = {
		.h = {.type = VBUS_GPADL_TEARDOWN}, .relid = g->ch[channel].relid, .gpadl = id};

	if (gpadl != NULL && gpadl->relid == msg.relid)
		for (unsigned int i = 0; i < VM_GUEST_CHANNELS; i++)
			if (id == VM_GUEST_RING + i)
				g->ch[i].open = false;
	g->torndown = 0;
	vm_guest_post(g, &msg, sizeof(msg));
	return g->torndown == 1;
}

bool
vm_guest_open_with(struct vm_guest *g, unsigned int channel, uint32_t id)
{
	const struct vbus_open msg = {.h = {.type = VBUS_OPENCHANNEL},
		.relid = g->ch[channel].relid,
		.openid = 1,
		.ring_gpadl = id,
		.downstream_offset = RING_PAGES / 2};
	struct vmbus_ring tx, rx;
	uint8_t *base = vm_guest_page(g, AREA_RING(channel));

	/* Of a channel that is open already nothing changes. */
	if (!g->ch[channel].open)
		memset(base, 0, RING_PAGES * 4096);
	g->open_status = UINT32_MAX;
	vm_guest_post(g, &msg, sizeof(msg));
	if (g->open_status != VBUS_STATUS_OK)
		return false;
	tx = (struct vmbus_ring){
		.ctl = (void *)base, .data = base + 4096, .size = (RING_PAGES / 2 - 1) * 4096};
	rx = (struct vmbus_ring){.ctl = (void *)(base + RING_PAGES / 2 * 4096),
		.data = base + (RING_PAGES / 2 + 1) * 4096,
		.size = (RING_PAGES / 2 - 1) * 4096};
	CU_ASSERT_EQUAL(vmbus_ring_writer_init(&g->ch[channel].out, &tx), 0);
	CU_ASSERT_EQUAL(vmbus_ring_reader_init(&g->ch[channel].in, &rx), 0);
	g->ch[channel].open = true;
	return true;
}

bool
vm_guest_open(struct vm_guest *g, unsigned int channel)
{
	uint32_t id = VM_GUEST_RING + channel;

	if (vm_guest_find(g, id) == NULL)
		vm_guest_gpadl(g, channel, id, AREA_RING(channel), 0, RING_PAGES * 4096);
	return vm_guest_open_with(g, channel, id);
}

void
vm_guest_close(struct vm_guest *g, unsigned int channel)
{
	const struct vbus_relid msg = {
		.h = {.type = VBUS_CLOSECHANNEL}, .relid = g->ch[channel].relid};
	unsigned int i;

	for (i = channel; i < (channel == 0 ? VM_GUEST_CHANNELS : channel + 1); i++)
		g->ch[i].open = false;
	vm_guest_post(g, &msg, sizeof(msg));
}

void
vm_guest_released(struct vm_guest *g, uint32_t relid)
{
	const struct vbus_relid msg = {.h = {.type = VBUS_RELID_RELEASED}, .relid = relid};
	unsigned int i;

	for (i = 0; i < VM_GUEST_CHANNELS; i++)
		if (g->ch[i].relid == relid) {
			g->ch[i].relid = 0;
			g->ch[i].open = false;
		}
	vm_guest_post(g, &msg, sizeof(msg));
}

/* ---- NVSP and RNDIS ---- */

static void
kick(struct vm_guest *g)
{
	const uint64_t one = 1;

	CU_ASSERT_EQUAL(write(g->kick_fd, &one, sizeof(one)), (ssize_t)sizeof(one));
}

static int
send(struct vm_guest *g, unsigned int channel, uint16_t type, uint64_t tid, uint16_t flags,
	const void *header, uint32_t header_len, const void *payload, uint32_t payload_len)
{
	uint8_t buf[512] = {0};
	struct vmbus_packet desc;
	uint32_t start = (uint32_t)sizeof(desc) + header_len;
	int rc;

	if (!g->ch[channel].open)
		return -ENOTCONN;
	vmbus_packet_init(&desc, type, start, start + payload_len, flags, tid);
	memcpy(buf, &desc, sizeof(desc));
	if (header_len != 0)
		memcpy(buf + sizeof(desc), header, header_len);
	memcpy(buf + start, payload, payload_len);
	rc = vmbus_ring_write(&g->ch[channel].out, buf, start + payload_len, 0);
	if (vmbus_ring_writer_publish(&g->ch[channel].out))
		kick(g);
	return rc;
}

static void
took_packet(struct vm_guest *g, unsigned int channel, const struct vmbus_packet *desc)
{
	uint8_t buf[8192];
	uint32_t len = (uint32_t)desc->len8 * 8, start = (uint32_t)desc->offset8 * 8;
	struct nvsp_message msg = {0}, ack;

	CU_ASSERT_FATAL(len <= sizeof(buf));
	vmbus_ring_copy_out(&g->ch[channel].in.ring, g->ch[channel].in.next_r, buf, len);
	memcpy(&msg, buf + start, len - start < sizeof(msg) ? len - start : sizeof(msg));
	if (desc->type == VMBUS_PACKET_COMPLETION) {
		g->completions++;
		g->done_tid = desc->trans_id;
		if (msg.type == NVSP_TYPE_RECV_BUF_COMPLETE)
			g->status = msg.recv_buf_complete.status;
		if (msg.type == NVSP_TYPE_SEND_BUF_COMPLETE)
			g->status = msg.send_buf_complete.status;
	} else if (desc->type == VMBUS_PACKET_XFER_PAGES) {
		g->transfers++;
		nvsp_build_rndis_complete(&ack, NVSP_STATUS_SUCCESS);
		send(g, channel, VMBUS_PACKET_COMPLETION, desc->trans_id, 0, NULL, 0, &ack, 8);
	}
}

void
vm_guest_poll(struct vm_guest *g)
{
	struct vmbus_packet desc;
	unsigned int i;
	int total;

	if (!g->threaded) {
		bus_lock_take(&g->lock);
		host_nic_poll(vm_guest_nic(g), 64);
		synic_pump(&g->synic);
		bus_lock_drop(&g->lock);
	}
	while (take(g))
		;
	for (i = 0; i < VM_GUEST_CHANNELS; i++) {
		if (!g->ch[i].open)
			continue;
		while ((total = vmbus_ring_peek(&g->ch[i].in, &desc)) > 0) {
			took_packet(g, i, &desc);
			vmbus_ring_consume(&g->ch[i].in, (uint32_t)total);
		}
		if (vmbus_ring_reader_publish(&g->ch[i].in, true))
			kick(g);
	}
}

static time_t
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Read the rings; with the bus thread until @p tid has been completed. */
static int
complete(struct vm_guest *g, uint64_t tid)
{
	time_t end = seconds_now() + 20;

	g->done_tid = 0;
	do {
		vm_guest_poll(g);
		if (!g->threaded || g->done_tid == tid)
			return 0;
		sched_yield();
	} while (seconds_now() < end);
	return -ETIMEDOUT;
}

bool
vm_guest_wait_turn(struct vm_guest *g)
{
	time_t end = seconds_now() + 20;
	unsigned int i;

	/* It reads the descriptor between two turns: twice means one turn in between. */
	for (i = 0; i < 2; i++) {
		struct pollfd fd = {.fd = g->kick_fd, .events = POLLIN};

		kick(g);
		while (poll(&fd, 1, 0) != 0) {
			if (seconds_now() >= end)
				return false;
			sched_yield();
		}
	}
	return true;
}

int
vm_guest_post_nvsp(struct vm_guest *g, const struct nvsp_message *msg)
{
	return send(g, 0, VMBUS_PACKET_INBAND, ++g->tid, VMBUS_FLAG_COMPLETION, NULL, 0, msg,
		sizeof(*msg));
}

int
vm_guest_nvsp(struct vm_guest *g, const struct nvsp_message *msg)
{
	int rc = vm_guest_post_nvsp(g, msg);

	return rc == 0 ? complete(g, g->tid) : rc;
}

void
vm_guest_ladder(struct vm_guest *g)
{
	struct nvsp_message msg;

	nvsp_build_init(&msg, NVSP_VERSION_61);
	vm_guest_nvsp(g, &msg);
	nvsp_build_ndis_config(&msg, 1500, 0);
	vm_guest_nvsp(g, &msg);
	nvsp_build_ndis_version(&msg, NVSP_VERSION_61);
	vm_guest_nvsp(g, &msg);
}

uint32_t
vm_guest_recv_buf(struct vm_guest *g, uint32_t id)
{
	struct nvsp_message msg;

	g->status = 0;
	nvsp_build_send_recv_buf(&msg, id, NVSP_RECV_BUF_ID);
	vm_guest_nvsp(g, &msg);
	return g->status;
}

uint32_t
vm_guest_send_buf(struct vm_guest *g, uint32_t id)
{
	struct nvsp_message msg;

	g->status = 0;
	nvsp_build_send_send_buf(&msg, id, NVSP_SEND_BUF_ID);
	vm_guest_nvsp(g, &msg);
	return g->status;
}

static void
request(struct vm_guest *g, const void *rndis, int len)
{
	struct {
		struct vmbus_gpa_header gpa;
		uint32_t count, offset;
		uint64_t pfn;
	} header = {.gpa = {.range_count = 1}, .count = (uint32_t)len, .pfn = AREA_PAGE};
	struct nvsp_message msg;

	CU_ASSERT_FATAL(len > 0);
	memcpy(vm_guest_page(g, AREA_PAGE), rndis, (size_t)len);
	nvsp_build_rndis(&msg, NVSP_CHANNEL_CONTROL, NVSP_SECTION_NONE, 0);
	send(g, 0, VMBUS_PACKET_GPA_DIRECT, ++g->tid, VMBUS_FLAG_COMPLETION, &header,
		sizeof(header), &msg, sizeof(msg));
	complete(g, g->tid);
}

void
vm_guest_rndis(struct vm_guest *g)
{
	uint32_t filter = RNDIS_FILTER_PROMISCUOUS;
	uint8_t msg[128];

	request(g, msg, rndis_build_initialize(msg, sizeof(msg), 1, 0x4000));
	request(g, msg,
		rndis_build_set(msg, sizeof(msg), 2, OID_GEN_CURRENT_PACKET_FILTER, &filter,
			sizeof(filter)));
}

void
vm_guest_keepalive(struct vm_guest *g)
{
	uint8_t msg[64];

	request(g, msg, rndis_build_short(msg, sizeof(msg), RNDIS_TYPE_KEEPALIVE, 3));
}

/* ---- checks ---- */

struct vbus_gpadl *
vm_guest_find(struct vm_guest *g, uint32_t id)
{
	struct vbus_gpadl *gpadl;

	for (gpadl = g->bus.gpadls; gpadl != NULL; gpadl = gpadl->next)
		if (gpadl->id == id)
			return gpadl;
	return NULL;
}

void
vm_guest_check(struct vm_guest *g)
{
	const struct host_nic *nic = vm_guest_nic(g);
	const struct host_buffer *buffer[] = {&nic->recv, &nic->send};
	unsigned int views = 0, maps = 0, gpadls = 0, found[2] = {0}, i;
	struct vbus_gpadl *gpadl;

	for (gpadl = g->bus.gpadls; gpadl != NULL; gpadl = gpadl->next) {
		unsigned int users = 1;

		gpadls++;
		if (gpadl->view == NULL)
			continue;
		views++;
		maps += gpadl->view->map.maps;
		for (i = 0; i < 2; i++) {
			if (buffer[i]->base == NULL || buffer[i]->owner != gpadl->view)
				continue;
			users++;
			found[i]++;
			CU_ASSERT_PTR_EQUAL(
				buffer[i]->base, gpadl->view->map.base + gpadl->byte_offset);
			CU_ASSERT_EQUAL(buffer[i]->len, gpadl->byte_count);
		}
		CU_ASSERT_EQUAL(gpadl->view->users, users);
	}
	for (i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(found[i], buffer[i]->base != NULL);
	for (i = 1; i <= SYNIC_MAX_RELID; i++)
		if (g->bus.by_relid[i] != NULL)
			maps += g->bus.by_relid[i]->ring[0].maps + g->bus.by_relid[i]->ring[1].maps;
	CU_ASSERT_EQUAL(g->bus.n_views, views);
	CU_ASSERT_EQUAL(g->bus.n_maps, maps);
	CU_ASSERT_EQUAL(g->bus.n_gpadls, gpadls);
}
