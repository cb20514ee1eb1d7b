/* SPDX-License-Identifier: BSD-3-Clause */
/* VMBus control plane of hvsim-vm against a guest made of bytes (spec/hyperv-host-on-kvm.md §15).
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/hvsim-vm/vbus.h"
#include "lib/vmbus/guid.h"
#include "test/unit/unit.h"

#define RAM_BYTES (UINT64_C(16) << 20)
#define SIMP	  UINT64_C(0x10000)
#define SIEFP	  UINT64_C(0x11000)
#define MONITOR	  UINT64_C(0x12000)
#define RING_PFN  0x100u
#define GPADL	  0xe1e12u

static struct ram ram;
static struct synic synic;
static struct vbus bus;
static struct vbus_device device;
static int opened[4], closed[4];
static struct vmbus_ring last_tx, last_rx;

static int
device_open(void *ctx, unsigned int index, const struct vmbus_ring *tx, const struct vmbus_ring *rx)
{
	opened[index]++;
	last_tx = *tx;
	last_rx = *rx;
	return 0;
}

static void
device_close(void *ctx, unsigned int index)
{
	closed[index]++;
}

static void
device_revoked(void *ctx, struct vbus_view *view)
{
	CU_FAIL("nobody uses a view");
}

static const struct vbus_device_ops ops = {device_open, device_close, device_revoked};

static void
set_up(uint32_t max_version)
{
	static const uint8_t instance[16] = {
		0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 1, 2, 3, 4, 5, 6, 7, 8};
	const struct vbus_hypervisor none = {0};
	const struct vbus_options options = {.max_version = max_version, .monitor = true};

	CU_ASSERT_EQUAL_FATAL(ram_create(&ram, RAM_BYTES), 0);
	synic_init(&synic, &ram, 2);
	for (unsigned int i = 0; i < 2; i++)
		synic.vp[i].irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	synic_set_pages(&synic, 0, 1, SIEFP | 1, SIMP | 1);
	vbus_init(&bus, &ram, &synic, &none, &options);
	memset(&device, 0, sizeof(device));
	memcpy(device.type, vmbus_nic_class, 16);
	memcpy(device.instance, instance, 16);
	device.max_channels = 4;
	device.ops = &ops;
	memset(opened, 0, sizeof(opened));
	memset(closed, 0, sizeof(closed));
	vbus_device_add(&bus, &device);
}

static void
tear_down(void)
{
	vbus_reset(&bus);
	synic_destroy(&synic);
	for (unsigned int i = 0; i < 2; i++)
		close(synic.vp[i].irq_fd);
	ram_destroy(&ram);
}

/* Message as the guest posts it. */
static enum hv_status
post_raw(uint32_t connection, uint32_t type, uint32_t size, const void *msg, size_t len)
{
	uint8_t input[256] = {0};

	memcpy(input, &connection, 4);
	memcpy(input + 8, &type, 4);
	memcpy(input + 12, &size, 4);
	memcpy(input + 16, msg, len);
	return vbus_hypercall_post(&bus, input);
}

static enum hv_status
post(const void *msg, size_t len)
{
	return post_raw(
		bus.options.max_version >= VBUS_VERSION(5, 0) ? 4 : 1, 1, (uint32_t)len, msg, len);
}

/* Take the message in the slot as the guest does. @return its length, -1 without one */
static int
take(uint8_t out[240])
{
	uint8_t *slot = ram_at(&ram, SIMP + 0x200, 256);
	int len;

	if (*(uint32_t *)slot == 0)
		return -1;
	len = slot[4];
	memcpy(out, slot + 16, 240);
	*(uint32_t *)slot = 0;
	if (slot[5] & 1)
		synic_pump(&synic);
	return len;
}

static void
expect(const void *bytes, int len)
{
	uint8_t got[240] = {0};

	CU_ASSERT_EQUAL(take(got), len);
	CU_ASSERT_EQUAL(memcmp(got, bytes, (size_t)len), 0);
}

static void
expect_none(void)
{
	uint8_t got[240];

	CU_ASSERT_EQUAL(take(got), -1);
}

static const uint8_t contact_53[40] = {0x0e, 0, 0, 0, 0, 0, 0, 0, 3, 0, 5, 0, 0, 0, 0, 0, 2, 0, 0,
	0, 0, 0, 0, 0, 0, 0x30, 1, 0, 0, 0, 0, 0, 0, 0x20, 1, 0, 0, 0, 0, 0};
static const uint8_t version_ok[16] = {0x0f, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0};
static const uint8_t version_refused[16] = {0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static void
connect_and_offer(void)
{
	const struct vbus_header request = {.type = VBUS_REQUESTOFFERS};
	uint8_t got[240];

	CU_ASSERT_EQUAL(post(contact_53, sizeof(contact_53)), HV_STATUS_OK);
	expect(version_ok, sizeof(version_ok));
	post(&request, sizeof(request));
	CU_ASSERT_EQUAL(take(got), 196);
	CU_ASSERT_EQUAL(take(got), 8);
	CU_ASSERT_EQUAL(got[0], VBUS_ALLOFFERS_DELIVERED);
	expect_none();
}

static void
gpadl_header(uint32_t relid, uint32_t id, uint32_t bytes, uint32_t offset, uint64_t first_pfn)
{
	uint8_t msg[240] = {0};
	struct vbus_gpadl_header h = {.h = {.type = VBUS_GPADL_HEADER},
		.relid = relid,
		.gpadl = id,
		.range_count = 1,
		.byte_count = bytes,
		.byte_offset = offset};
	uint32_t pages = (offset + bytes + 4095) / 4096, n = pages < 26 ? pages : 26, i;

	h.range_buflen = (uint16_t)(8 + 8 * pages);
	memcpy(msg, &h, sizeof(h));
	for (i = 0; i < n; i++) {
		uint64_t pfn = first_pfn + i;

		memcpy(msg + sizeof(h) + 8 * i, &pfn, 8);
	}
	CU_ASSERT_EQUAL(post(msg, sizeof(h) + 8 * n), HV_STATUS_OK);
}

static void
expect_created(uint32_t relid, uint32_t id, uint32_t status)
{
	struct vbus_result want = {
		.h = {.type = VBUS_GPADL_CREATED}, .relid = relid, .id = id, .status = status};

	expect(&want, sizeof(want));
}

static void
open_channel(uint32_t relid, uint32_t offset, uint32_t vp, bool ok)
{
	struct vbus_open msg = {.h = {.type = VBUS_OPENCHANNEL},
		.relid = relid,
		.openid = 7,
		.ring_gpadl = GPADL,
		.target_vp = vp,
		.downstream_offset = offset};
	struct vbus_result want = {.h = {.type = VBUS_OPENCHANNEL_RESULT},
		.relid = relid,
		.id = 7,
		.status = ok ? VBUS_STATUS_OK : VBUS_STATUS_FAILED};

	post(&msg, sizeof(msg));
	expect(&want, sizeof(want));
}

static void
test_version(void)
{
	uint8_t contact[40];

	set_up(VBUS_VERSION(5, 2));
	post(contact_53, sizeof(contact_53));
	expect(version_refused, sizeof(version_refused));
	CU_ASSERT_EQUAL(bus.state, VBUS_IDLE);
	memcpy(contact, contact_53, sizeof(contact));
	contact[8] = 2;
	post(contact, sizeof(contact));
	expect(version_ok, sizeof(version_ok));
	CU_ASSERT_EQUAL(bus.state, VBUS_CONNECTED);
	tear_down();

	/* A host below 5.0 has no connection 4. */
	set_up(VBUS_VERSION(4, 0));
	CU_ASSERT_EQUAL(post_raw(4, 1, 40, contact_53, 40), HV_STATUS_BAD_CONNECTION);
	tear_down();
}

/* What Linux 7.3 gives up and older kernels still speak: down to 2.4, over connection 1. */
static void
test_old_versions(void)
{
	static const uint32_t old[] = {
		VBUS_VERSION(2, 4), VBUS_VERSION(3, 0), VBUS_VERSION(4, 0), VBUS_VERSION(4, 1)};
	const struct vbus_header request = {.type = VBUS_REQUESTOFFERS};
	uint8_t contact[40], ok[16], got[240];

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		set_up(old[i]);
		post(contact_53, sizeof(contact_53));
		expect(version_refused, sizeof(version_refused));
		memcpy(contact, contact_53, sizeof(contact));
		memcpy(contact + 8, &old[i], 4);
		post(contact, sizeof(contact));
		memcpy(ok, version_ok, sizeof(ok));
		memcpy(ok + 12, &old[i], 4);
		expect(ok, sizeof(ok));
		CU_ASSERT_EQUAL(bus.state, VBUS_CONNECTED);
		post(&request, sizeof(request));
		CU_ASSERT_EQUAL(take(got), 196);
		CU_ASSERT_EQUAL(got[0], VBUS_OFFERCHANNEL);
		CU_ASSERT_EQUAL(memcmp(got + 24, device.instance, 16), 0);
		tear_down();
	}
}

static void
test_offer_bytes(void)
{
	static const uint8_t head[60] = {1, 0, 0, 0, 0, 0, 0, 0, 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf,
		0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e, 0x78, 0x56, 0x34, 0x12,
		0xbc, 0x9a, 0xf0, 0xde, 1, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t tail[16] = {0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0x20, 0, 0};
	const struct vbus_header request = {.type = VBUS_REQUESTOFFERS};
	uint8_t got[240];

	set_up(VBUS_VERSION(5, 3));
	post(contact_53, sizeof(contact_53));
	expect(version_ok, sizeof(version_ok));
	post(&request, sizeof(request));
	CU_ASSERT_EQUAL(take(got), 196);
	CU_ASSERT_EQUAL(memcmp(got, head, sizeof(head)), 0);
	CU_ASSERT_EQUAL(memcmp(got + 180, tail, sizeof(tail)), 0);
	take(got);
	/* Asking twice is a mistake and changes nothing. */
	post(&request, sizeof(request));
	expect_none();
	CU_ASSERT_EQUAL(bus.bad_messages, 1);
	tear_down();
}

static void
test_open_close(void)
{
	const struct vbus_relid close_msg = {.h = {.type = VBUS_CLOSECHANNEL}, .relid = 1};
	const struct vbus_gpadl_teardown teardown = {
		.h = {.type = VBUS_GPADL_TEARDOWN}, .relid = 1, .gpadl = GPADL};
	static const uint8_t torndown[12] = {0x0c, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x1e, 0x0e, 0};
	uint32_t bad[] = {0, 1, 7, 8, UINT32_MAX};
	unsigned int i;

	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	gpadl_header(1, GPADL, 8 * 4096, 0, RING_PFN);
	expect_created(1, GPADL, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		open_channel(1, bad[i], 0, false);
	open_channel(1, 4, 2, false); /* no such processor */
	CU_ASSERT_EQUAL(opened[0], 0);
	open_channel(1, 4, 0, true);
	CU_ASSERT_EQUAL(opened[0], 1);
	open_channel(1, 4, 0, false); /* twice */
	CU_ASSERT_EQUAL(last_tx.size, 3 * 4096);
	/* The data area is there twice. */
	last_rx.data[5] = 0x5a;
	CU_ASSERT_EQUAL(last_rx.data[last_rx.size + 5], 0x5a);
	CU_ASSERT_EQUAL(((uint8_t *)ram_at(&ram, (RING_PFN + 5) << 12, 4096))[5], 0x5a);
	/* A ring in use: the channel is closed before the answer. */
	post(&teardown, sizeof(teardown));
	expect(torndown, sizeof(torndown));
	CU_ASSERT_EQUAL(closed[0], 1);
	CU_ASSERT_EQUAL(bus.n_maps, 0);
	open_channel(1, 4, 0, false); /* its GPADL is gone */
	gpadl_header(1, GPADL, 8 * 4096, 0, RING_PFN);
	expect_created(1, GPADL, 0);
	open_channel(1, 2, UINT32_MAX, true);
	post(&close_msg, sizeof(close_msg));
	expect_none();
	CU_ASSERT_EQUAL(closed[0], 2);
	open_channel(1, 6, 1, true); /* re-open with the same GPADL */
	tear_down();
	CU_ASSERT_EQUAL(closed[0], 3);
	CU_ASSERT_EQUAL(bus.n_gpadls, 0);
	CU_ASSERT_EQUAL(bus.n_maps, 0);
}

static void
test_gpadl_large(void)
{
	struct vbus_open open_msg = {
		.h = {.type = VBUS_OPENCHANNEL}, .relid = 1, .downstream_offset = 4};
	uint8_t got[240];
	struct {
		struct vbus_gpadl_body h;
		uint64_t pfn[28];
	} body = {.h = {.h = {.type = VBUS_GPADL_BODY}, .gpadl = GPADL}};
	struct vbus_view *view;
	unsigned int i, k;

	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	gpadl_header(1, GPADL, 7936 * 4096u, 0, RING_PFN);
	for (i = 0; i < 283; i++) {
		expect_none();
		for (k = 0; k < 28; k++)
			body.pfn[k] = RING_PFN + (i + k) % 512;
		post(&body, sizeof(body.h) + 8 * (i < 282 ? 28 : 14));
	}
	expect_created(1, GPADL, 0);
	CU_ASSERT_EQUAL(vbus_view_get(&bus, &device, GPADL, &view), -ENOENT); /* not open */
	gpadl_header(1, GPADL + 1, 8 * 4096, 0, RING_PFN);
	expect_created(1, GPADL + 1, 0);
	open_msg.ring_gpadl = GPADL + 1;
	post(&open_msg, sizeof(open_msg));
	take(got);
	CU_ASSERT_EQUAL(vbus_view_get(&bus, &device, GPADL, &view), 0);
	CU_ASSERT_EQUAL(view->len, 7936 * 4096u);
	vbus_view_put(&bus, view);
	CU_ASSERT_EQUAL(vbus_view_get(&bus, &device, GPADL + 2, &view), -ENOENT);
	tear_down();
}

static void
test_gpadl_refused(void)
{
	uint64_t last = RAM_BYTES / 4096 - 1;

	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	gpadl_header(1, 1, 4096, 0, last);
	expect_created(1, 1, 0);
	gpadl_header(1, 2, 2 * 4096, 0, last); /* one page beyond memory */
	expect_created(1, 2, VBUS_STATUS_FAILED);
	gpadl_header(1, 1, 4096, 0, 0); /* the id is taken */
	expect_created(1, 1, VBUS_STATUS_FAILED);
	gpadl_header(9, 3, 4096, 0, 0); /* no such channel */
	expect_created(9, 3, VBUS_STATUS_FAILED);
	gpadl_header(1, 4, 0, 0, 0);
	expect_created(1, 4, VBUS_STATUS_FAILED);
	gpadl_header(1, 5, 10, 4096, 0);
	expect_created(1, 5, VBUS_STATUS_FAILED);
	gpadl_header(1, 6, 8191 * 4096u, 0, 0); /* its length does not fit 16 bits */
	expect_created(1, 6, VBUS_STATUS_FAILED);
	CU_ASSERT_EQUAL(bus.n_gpadls, 1);
	tear_down();
}

/* An open device with two subchannels offered; @p got has the last offer. */
static void
open_with_subchannels(uint8_t got[240])
{
	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	gpadl_header(1, GPADL, 8 * 4096, 0, RING_PFN);
	expect_created(1, GPADL, 0);
	open_channel(1, 4, 0, true);
	vbus_device_offer_subchannels(&bus, &device, 2);
	CU_ASSERT_EQUAL(take(got), 196);
	CU_ASSERT_EQUAL(take(got), 196);
}

/* Both orders are in the field (spec/hosts.md §2). */
static void
test_rescind_primary_first(void)
{
	uint8_t got[240];
	unsigned int i;

	open_with_subchannels(got);
	device.primary_first = true;
	vbus_device_rescind(&bus, &device);
	device.primary_first = false;
	CU_ASSERT_EQUAL(closed[0], 1);
	for (i = 0; i < 3; i++) {
		static const uint8_t relids[] = {1, 3, 2};

		CU_ASSERT_EQUAL(take(got), 12);
		CU_ASSERT_EQUAL(got[8], relids[i]);
	}
	tear_down();
}

static void
test_rescind(void)
{
	static const uint8_t rescind[12] = {2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
	const struct vbus_relid released = {.h = {.type = VBUS_RELID_RELEASED}, .relid = 1};
	struct vbus_relid sub_released = {.h = {.type = VBUS_RELID_RELEASED}, .relid = 2};
	uint8_t got[240];

	open_with_subchannels(got);
	CU_ASSERT_EQUAL(got[180], 2);
	vbus_device_rescind(&bus, &device);
	CU_ASSERT_EQUAL(closed[0], 1);
	/* Subchannels first. */
	CU_ASSERT_EQUAL(take(got), 12);
	CU_ASSERT_EQUAL(got[8], 3);
	CU_ASSERT_EQUAL(take(got), 12);
	CU_ASSERT_EQUAL(got[8], 2);
	expect(rescind, sizeof(rescind));
	/* The guest may still be at work on it: success, and nothing kept. */
	gpadl_header(1, 5, 4096, 0, 1);
	expect_created(1, 5, 0);
	CU_ASSERT_EQUAL(bus.n_gpadls, 1);
	/* Offered again once the primary has been released: Linux may keep a subchannel for ever.
	 */
	vbus_device_present(&bus, &device);
	expect_none();
	post(&sub_released, sizeof(sub_released));
	expect_none();
	post(&released, sizeof(released));
	CU_ASSERT_EQUAL(bus.n_gpadls, 0);
	CU_ASSERT_EQUAL(take(got), 196);
	CU_ASSERT_EQUAL(got[184], 4); /* a relid not used before */
	/* The late one is still known, and changes nothing. */
	sub_released.relid = 3;
	post(&sub_released, sizeof(sub_released));
	expect_none();
	CU_ASSERT_EQUAL(bus.bad_messages, 0);
	tear_down();
}

static void
test_modify(void)
{
	const struct vbus_modify msg = {.h = {.type = VBUS_MODIFYCHANNEL}, .relid = 1, .value = 1};
	const struct vbus_modify answer = {.h = {.type = VBUS_MODIFYCHANNEL_RESPONSE}, .relid = 1};
	uint8_t contact[40];
	const struct vbus_header request = {.type = VBUS_REQUESTOFFERS};
	uint8_t got[240];

	set_up(VBUS_VERSION(5, 3));
	synic_set_pages(&synic, 1, 1, 0x14001, 0x15001);
	connect_and_offer();
	gpadl_header(1, GPADL, 8 * 4096, 0, RING_PFN);
	expect_created(1, GPADL, 0);
	open_channel(1, 4, 0, true);
	post(&msg, sizeof(msg));
	expect(&answer, sizeof(answer));
	/* The new processor was told to look. */
	CU_ASSERT_EQUAL(*(uint32_t *)ram_at(&ram, 0x14200, 4), 2);
	tear_down();

	/* No answer below 5.3. */
	set_up(VBUS_VERSION(5, 2));
	memcpy(contact, contact_53, 40);
	contact[8] = 2;
	post(contact, 40);
	take(got);
	post(&request, sizeof(request));
	take(got);
	take(got);
	gpadl_header(1, GPADL, 8 * 4096, 0, RING_PFN);
	take(got);
	open_channel(1, 4, 0, true);
	post(&msg, sizeof(msg));
	expect_none();
	tear_down();
}

static void
test_unload(void)
{
	const struct vbus_header unload = {.type = VBUS_UNLOAD},
				 answer = {.type = VBUS_UNLOAD_RESPONSE};
	const struct vbus_relid released = {.h = {.type = VBUS_RELID_RELEASED}, .relid = 1};

	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	gpadl_header(1, GPADL, 8 * 4096, 0, RING_PFN);
	/* The answer to the GPADL still waits in the slot; what is queued behind it is dropped. */
	gpadl_header(1, GPADL + 1, 8 * 4096, 0, RING_PFN);
	post(&unload, sizeof(unload));
	expect_created(1, GPADL, 0);
	expect(&answer, sizeof(answer));
	expect_none();
	post(&released, sizeof(released));
	CU_ASSERT_EQUAL(bus.bad_messages, 0);
	CU_ASSERT_EQUAL(bus.n_gpadls, 0);
	connect_and_offer();
	tear_down();
}

static void
test_monitor(void)
{
	struct vmbus_monitor_page *page;

	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	page = ram_at(&ram, MONITOR, 4096);
	CU_ASSERT_EQUAL(page->trigger_state, 0xf);
	CU_ASSERT_EQUAL(page->parameter[1].connection_id, 0x2001);
	CU_ASSERT_EQUAL(vbus_monitor_poll(&bus), 0);
	vmbus_monitor_signal(page, 1);
	vmbus_monitor_signal(page, 77); /* nobody's */
	CU_ASSERT_EQUAL(vbus_monitor_poll(&bus), 1);
	CU_ASSERT_EQUAL(vbus_monitor_poll(&bus), 0);
	tear_down();
}

/* Every message type at every length, with hostile contents: nothing may break. */
static void
test_hostile(void)
{
	uint8_t msg[240], got[240];
	uint32_t state = 12345;
	unsigned int type, len, round;

	set_up(VBUS_VERSION(5, 3));
	for (round = 0; round < 40; round++) {
		for (type = 0; type < 32; type++) {
			for (len = 0; len <= 240; len += 1 + round % 7) {
				for (unsigned int i = 0; i < sizeof(msg); i++) {
					state = state * 1664525 + 1013904223;
					/* Small numbers hit more. */
					msg[i] = i % 4 == 0 && (state & 0x100)
							 ? (uint8_t)(state >> 28)
						 : (state & 0x200) ? 0
								   : (uint8_t)(state >> 24);
				}
				if (type != VBUS_INITIATE_CONTACT && bus.state == VBUS_IDLE) {
					post(contact_53, sizeof(contact_53));
					msg[0] = 3;
					memset(msg + 1, 0, 7);
					post(msg, 8);
				}
				memset(msg, 0, 8);
				msg[0] = (uint8_t)type;
				post(msg, len);
				while (take(got) >= 0)
					;
			}
		}
	}
	CU_ASSERT(bus.bad_messages > 1000);
	CU_ASSERT_EQUAL(post_raw(4, 1, 241, msg, 240), HV_STATUS_BAD_PARAMETER);
	CU_ASSERT_EQUAL(post_raw(4, 2, 8, msg, 8), HV_STATUS_BAD_PARAMETER);
	CU_ASSERT_EQUAL(post_raw(3, 1, 8, msg, 8), HV_STATUS_BAD_CONNECTION);
	/* Pages outside memory, at its end, disabled. */
	synic_set_pages(&synic, 0, 1, RAM_BYTES | 1, RAM_BYTES | 1);
	post(contact_53, sizeof(contact_53));
	CU_ASSERT_FALSE(synic_signal(&synic, 0, 1));
	synic_set_pages(&synic, 0, 1, (RAM_BYTES - 4096) | 1, (RAM_BYTES - 4096) | 1);
	CU_ASSERT_TRUE(synic_signal(&synic, 0, 2047));
	CU_ASSERT_FALSE(synic_signal(&synic, 0, 2048));
	CU_ASSERT_FALSE(synic_signal(&synic, 0, 0));
	CU_ASSERT_FALSE(synic_signal(&synic, 5, 1));
	synic_set_pages(&synic, 0, 0, 0x10001, 0x11001);
	CU_ASSERT_FALSE(synic_signal(&synic, 0, 1));
	tear_down();
}

/* A guest that does not read its messages cannot make the host queue without end. */
static void
test_queue_bound(void)
{
	struct vbus_gpadl_teardown msg = {.h = {.type = VBUS_GPADL_TEARDOWN}};
	enum hv_status status = HV_STATUS_OK;
	unsigned int n;

	set_up(VBUS_VERSION(5, 3));
	connect_and_offer();
	for (n = 0; n < 100000 && status == HV_STATUS_OK; n++)
		status = post(&msg, sizeof(msg));
	CU_ASSERT_EQUAL(status, HV_STATUS_NO_BUFFERS);
	CU_ASSERT(n < 2 * VBUS_MAX_QUEUED);
	tear_down();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"versions known and capped", test_version},
		{"versions before 5.0", test_old_versions},
		{"bytes of an offer", test_offer_bytes},
		{"open, close, teardown", test_open_close},
		{"GPADL of 7936 pages", test_gpadl_large},
		{"GPADLs that cannot be", test_gpadl_refused},
		{"rescind, release, offer again", test_rescind},
		{"rescind, the primary first", test_rescind_primary_first},
		{"a channel moves to another processor", test_modify},
		{"unload", test_unload},
		{"monitor page", test_monitor},
		{"hostile messages", test_hostile},
		{"queue of a guest that does not read", test_queue_bound},
	};

	return UNIT_RUN("vm_vbus", tests);
}
