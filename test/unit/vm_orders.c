/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory under lib/host's NICs in hvsim-vm: steps of a guest in any order, sensible or not.
 * What it has back, no host writes to.
 */
#include "test/unit/vm_nic_guest.h"

static void
do_recv_gpadl(void)
{
	vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES);
}

static void
do_send_gpadl(void)
{
	vm_guest_gpadl(&g, 0, SEND, SEND_PFN, 0, SEND_BYTES);
}

static void
do_odd_gpadl(void)
{
	vm_guest_gpadl(&g, 0, ODD, ODD_PFN, 0, ODD_BYTES);
}

static void
do_recv(void)
{
	vm_guest_recv_buf(&g, RECV);
}

static void
do_send(void)
{
	vm_guest_send_buf(&g, SEND);
}

static void
do_send_same(void)
{
	vm_guest_send_buf(&g, RECV);
}

static void
do_refused(void)
{
	vm_guest_send_buf(&g, ODD);
	vm_guest_recv_buf(&g, ODD);
}

static void
do_recv_teardown(void)
{
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
}

static void
do_send_teardown(void)
{
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, SEND));
}

static void
do_odd_teardown(void)
{
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, ODD));
}

static void
do_ring_teardown(void)
{
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, VM_GUEST_RING));
}

static void
do_close(void)
{
	vm_guest_close(&g, 0);
}

static void
do_open(void)
{
	if (!g.ch[0].open && vm_guest_open(&g, 0))
		vm_guest_ladder(&g);
}

static void
do_rndis(void)
{
	vm_guest_rndis(&g);
}

static void
do_revoke(void)
{
	struct nvsp_message msg;

	nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
	vm_guest_nvsp(&g, &msg);
}

static void
do_reset(void)
{
	vm_guest_connect(&g);
}

static void
do_rescind(void)
{
	vbus_device_rescind(&g.bus, &g.nics.nic[0].device);
	/* A rescind during the guest's next step: it is not read before. */
	do_recv_gpadl();
	vbus_device_present(&g.bus, &g.nics.nic[0].device);
	vm_guest_poll(&g);
}

static void
do_release(void)
{
	vm_guest_released(&g, g.ch[0].relid);
}

static void
do_subchannel(void)
{
	struct nvsp_message msg;

	nvsp_build_subchannel(&msg, 1);
	vm_guest_nvsp(&g, &msg);
	if (!g.ch[1].open)
		vm_guest_open(&g, 1);
}

static void
do_subchannel_teardown(void)
{
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 1, VM_GUEST_RING + 1));
}

static void
do_subchannel_release(void)
{
	vm_guest_released(&g, g.ch[1].relid);
}

static void (*const steps[])(void) = {
	do_recv_gpadl,
	do_send_gpadl,
	do_odd_gpadl,
	do_recv,
	do_send,
	do_send_same,
	do_refused,
	do_recv_teardown,
	do_send_teardown,
	do_odd_teardown,
	do_ring_teardown,
	do_close,
	do_open,
	do_rndis,
	do_revoke,
	do_reset,
	do_rescind,
	do_release,
	do_subchannel,
	do_subchannel_teardown,
	do_subchannel_release,
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* One step; what the guest has back must stay as it is. */
static void
step(unsigned int which)
{
	bool had_recv = vm_guest_find(&g, RECV) != NULL;
	bool had_ring = vm_guest_find(&g, VM_GUEST_RING) != NULL;
	bool has_recv, has_ring;

	steps[which]();
	vm_guest_check(&g);
	has_recv = vm_guest_find(&g, RECV) != NULL;
	has_ring = vm_guest_find(&g, VM_GUEST_RING) != NULL;
	if (had_recv && !has_recv)
		reuse_pages(RECV_PFN, AREA_PAGES);
	if (had_ring && !has_ring)
		reuse_pages(AREA_RING(0), 8);
	vm_guest_keepalive(&g);
	vm_guest_poll(&g);
	if (had_recv && !has_recv)
		CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
	if (had_ring && !has_ring)
		CU_ASSERT_TRUE(untouched(AREA_RING(0), 8));
	vm_guest_check(&g);
}

/* Every three steps after one another, on an open channel and on a running NIC. */
static void
test_all_orders(void)
{
	unsigned int running, i;

	for (running = 0; running < 2; running++) {
		start();
		for (i = 0; i < STEPS * STEPS * STEPS; i++) {
			vm_guest_connect(&g);
			do_open();
			do_recv_gpadl();
			if (running) {
				do_send_gpadl();
				do_recv();
				do_send();
				do_rndis();
			}
			step(i % STEPS);
			step(i / STEPS % STEPS);
			step(i / STEPS / STEPS);
		}
		vm_guest_stop(&g);
	}
}

static void
test_random_orders(void)
{
	uint64_t state = 20260101;
	unsigned int walk, i;

	start();
	for (walk = 0; walk < 40; walk++) {
		/* Mostly the way up to a running NIC, or random steps would not get far. */
		vm_guest_connect(&g);
		for (i = 0; i < 250; i++) {
			static const unsigned int opening[] = {11, 12, 0, 3, 1, 4, 13, 18};

			state = state * UINT64_C(6364136223846793005) +
				UINT64_C(1442695040888963407);
			step((state >> 33) % 3 == 0 ? (unsigned int)(state >> 40) % STEPS
						    : opening[i % 8]);
		}
	}
	vm_guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"all orders of three steps", test_all_orders},
		{"random orders", test_random_orders},
	};

	return UNIT_RUN("vm_orders", tests);
}
