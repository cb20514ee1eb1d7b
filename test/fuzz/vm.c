/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hvsim-vm without KVM under a hostile guest: HvCallPostMessage with any input, VMBus messages,
 * GPADLs and their page lists, SynIC pages, monitor page, rings and the NICs of lib/host behind
 * them (app/hvsim-vm/vbus*.c, synic.c, ram.c, nics.c). What must hold between any two messages is
 * looked at after each (vm_guest_check()).
 */
#include "test/fuzz/fuzz.h"
#include "test/unit/vm_guest.h"

static struct vm_guest g;

#define RECV 0xe1e10u
#define SEND 0xe1e11u

/* Bytes of guest memory where the host looks. */
static void
hurt_memory(struct fuzz *in)
{
	uint64_t pfn = fuzz_bool(in) ? 0x10 + fuzz_below(in, 4)
				     : AREA_RING(fuzz_below(in, 4)) + fuzz_below(in, 8);

	fuzz_scribble(in, vm_guest_page(&g, pfn), 4096);
}

static void
post(struct fuzz *in)
{
	union {
		struct vbus_header h;
		struct vbus_relid relid;
		struct vbus_open open;
		struct vbus_gpadl_header gpadl;
		struct vbus_gpadl_body body;
		struct vbus_gpadl_teardown teardown;
		struct vbus_initiate_contact contact;
		struct vbus_modify modify;
		uint8_t bytes[240];
	} m = {0};
	uint32_t relid = fuzz_below(in, 8), gpadl = fuzz_bool(in)
							    ? VM_GUEST_RING + fuzz_below(in, 4)
							    : RECV + fuzz_below(in, 8);
	size_t len, at, i;
	uint64_t pfn;

	switch (fuzz_below(in, 11)) {
	case 0:
		m.contact = (struct vbus_initiate_contact){.h = {.type = VBUS_INITIATE_CONTACT},
			.version = VBUS_VERSION(fuzz_below(in, 6), fuzz_below(in, 4)),
			.interrupt_page = 2,
			.monitor_child_to_parent = 0x12000};
		len = sizeof(m.contact);
		break;
	case 1:
		m.h.type = fuzz_below(in, 2) ? VBUS_UNLOAD : VBUS_REQUESTOFFERS;
		len = sizeof(m.h);
		break;
	case 2:
		m.open = (struct vbus_open){.h = {.type = VBUS_OPENCHANNEL},
			.relid = relid,
			.openid = 1,
			.ring_gpadl = gpadl,
			.target_vp = fuzz_below(in, 3),
			.downstream_offset = fuzz_below(in, 10)};
		len = sizeof(m.open);
		break;
	case 3:
		m.relid = (struct vbus_relid){.h = {.type = VBUS_CLOSECHANNEL}, .relid = relid};
		len = sizeof(m.relid);
		break;
	case 4:
		m.relid = (struct vbus_relid){.h = {.type = VBUS_RELID_RELEASED}, .relid = relid};
		len = sizeof(m.relid);
		break;
	case 5:
		m.teardown = (struct vbus_gpadl_teardown){
			.h = {.type = VBUS_GPADL_TEARDOWN}, .relid = relid, .gpadl = gpadl};
		len = sizeof(m.teardown);
		break;
	case 6:
		m.modify = (struct vbus_modify){.h = {.type = VBUS_MODIFYCHANNEL},
			.relid = relid,
			.value = fuzz_below(in, 3)};
		len = sizeof(m.modify);
		break;
	case 7:
	case 8:
		m.gpadl = (struct vbus_gpadl_header){.h = {.type = VBUS_GPADL_HEADER},
			.relid = relid,
			.gpadl = gpadl,
			.range_count = 1,
			.byte_offset = fuzz_bool(in) ? fuzz_u16(in) % 4200 : 0};
		i = fuzz_below(in, 40);
		m.gpadl.byte_count = (uint32_t)i * 4096;
		m.gpadl.range_buflen = (uint16_t)(8 + 8 * i);
		at = sizeof(m.gpadl);
		len = at + 8 * (i < 26 ? i : 26);
		for (pfn = AREA_FREE + fuzz_u8(in); at < len; at += 8, pfn++)
			memcpy(m.bytes + at, &pfn, 8);
		break;
	case 9:
		m.body = (struct vbus_gpadl_body){.h = {.type = VBUS_GPADL_BODY}, .gpadl = gpadl};
		at = sizeof(m.body);
		len = at + 8 * fuzz_below(in, 29);
		for (pfn = AREA_FREE + fuzz_u8(in); at < len; at += 8, pfn++)
			memcpy(m.bytes + at, &pfn, 8);
		break;
	default:
		len = fuzz_below(in, 241);
		fuzz_take(in, m.bytes, len);
	}
	fuzz_scribble(in, m.bytes, len < 64 ? len : 64);
	if (fuzz_bool(in))
		len = fuzz_below(in, 241);
	vm_guest_post(&g, m.bytes, len);
}

static void
hypercall(struct fuzz *in)
{
	uint8_t input[256] = {4, 0, 0, 0, 0, 0, 0, 0, 1};

	fuzz_take(in, input + 12, 60);
	fuzz_scribble(in, input, 24);
	vbus_hypercall_post(&g.bus, input);
}

static void
nvsp(struct fuzz *in)
{
	struct nvsp_message msg;

	switch (fuzz_below(in, 6)) {
	case 0:
		nvsp_build_send_recv_buf(&msg, RECV + fuzz_below(in, 4), NVSP_RECV_BUF_ID);
		break;
	case 1:
		nvsp_build_send_send_buf(&msg, RECV + fuzz_below(in, 4), NVSP_SEND_BUF_ID);
		break;
	case 2:
		nvsp_build_revoke(&msg,
			fuzz_bool(in) ? NVSP_TYPE_REVOKE_RECV_BUF : NVSP_TYPE_REVOKE_SEND_BUF,
			fuzz_bool(in) ? NVSP_RECV_BUF_ID : NVSP_SEND_BUF_ID);
		break;
	case 3:
		nvsp_build_subchannel(&msg, fuzz_below(in, 4));
		break;
	case 4:
		nvsp_build_rndis(&msg, fuzz_below(in, 2), fuzz_below(in, 4), fuzz_u16(in));
		break;
	default:
		nvsp_build(&msg, (enum nvsp_type)fuzz_u8(in));
		fuzz_take(in, (uint8_t *)&msg + 4, 16);
	}
	fuzz_scribble(in, &msg, sizeof(msg));
	if (g.ch[0].open)
		vm_guest_post_nvsp(&g, &msg);
}

/* The host's turn; what it wrote is not looked at, for the guest may have spoiled its own rings. */
static void
turn(void)
{
	unsigned int i;

	host_nic_poll(vm_guest_nic(&g), 64);
	vbus_monitor_poll(&g.bus);
	synic_pump(&g.synic);
	for (i = 0; i < VM_GUEST_CHANNELS; i++) {
		struct vmbus_ring_control *ctl = g.ch[i].in.ring.ctl;

		if (g.ch[i].open && ctl != NULL)
			atomic_store(&ctl->read_index, atomic_load(&ctl->write_index));
	}
}

static void
host(struct fuzz *in)
{
	struct vbus_device *device = &g.nics.nic[0].device;

	switch (fuzz_below(in, 3)) {
	case 0:
		vbus_device_rescind(&g.bus, device);
		break;
	case 1:
		vbus_device_present(&g.bus, device);
		break;
	case 2:
		device->primary_first = fuzz_bool(in);
		break;
	}
}

static void
pages(struct fuzz *in)
{
	uint64_t event = 0x11001, message = 0x10001;

	if (fuzz_bool(in))
		event = fuzz_u64(in);
	if (fuzz_bool(in))
		message = VM_GUEST_BYTES - 4096 * fuzz_below(in, 3) + fuzz_below(in, 2);
	synic_set_pages(&g.synic, 0, !fuzz_bool(in), event, message);
	/* Where the guest's own side looks for its messages. */
	synic_pump(&g.synic);
	synic_set_pages(&g.synic, 0, 1, 0x11001, 0x10001);
}

/* Whatever the host thinks of the channel. */
static void
open_again(unsigned int channel)
{
	g.ch[channel].open = false;
	vm_guest_open(&g, channel);
}

static void
begin(struct fuzz *in)
{
	unsigned int n = fuzz_below(in, 4);

	vm_guest_start(&g, "channels=4,recv=64K,send=64K,port=gen:size=60");
	vm_guest_connect(&g);
	if (n == 3 || !vm_guest_open(&g, 0))
		return;
	vm_guest_ladder(&g);
	if (n == 2)
		return;
	vm_guest_gpadl(&g, 0, RECV, AREA_FREE, 0, AREA_PAGES * 4096u);
	vm_guest_gpadl(&g, 0, SEND, AREA_FREE + AREA_PAGES, 0, 16 * 4096u);
	vm_guest_recv_buf(&g, RECV);
	vm_guest_send_buf(&g, SEND);
	if (n == 0)
		vm_guest_rndis(&g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};

	begin(&in);
	while (in.left != 0) {
		switch (fuzz_below(&in, 12)) {
		case 0:
		case 1:
		case 2:
		case 3:
			post(&in);
			break;
		case 4:
			hypercall(&in);
			break;
		case 5:
		case 6:
			nvsp(&in);
			break;
		case 7:
			hurt_memory(&in);
			break;
		case 8:
			host(&in);
			break;
		case 9:
			pages(&in);
			break;
		case 10:
			if (fuzz_below(&in, 4) == 1)
				vm_guest_connect(&g);
			else
				open_again(fuzz_below(&in, VM_GUEST_CHANNELS));
			break;
		default:
			turn();
		}
		vm_guest_check(&g);
	}
	turn();
	vm_guest_check(&g);
	vm_guest_stop(&g);
	return 0;
}
