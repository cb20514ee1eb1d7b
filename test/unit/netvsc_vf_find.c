/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ethdev is the VF of a port, in all orders (pitfalls V1, V8 to V11, V19). */
#include <rte_devargs.h>
#include <bus_driver.h>
#include <dev_driver.h>

#include "test/unit/netvsc_vf_rig.h"

static struct rte_driver driver = {.name = "net_fakevf"};

#define MAC_ARG	  "mac=" RIG_MAC
#define OTHER_ARG "mac=" RIG_OTHER

/* ---- by serial and MAC address ---- */

/*
 * The host's association, the function and its slot, its ethdev: whatever comes first, the VF is
 * found once all three are there, once, and nobody else has seen it.
 */
static void
test_association_function_and_ethdev_come_in_any_order(void)
{
	static const char *const orders[] = {"afe", "fae", "fea"};
	size_t i;
	const char *c;

	for (i = 0; i < RTE_DIM(orders); i++) {
		REQUIRE(rig_begin(NULL, NULL, NULL));
		for (c = orders[i]; *c != '\0'; c++) {
			CU_ASSERT_EQUAL(rig.found, 0);
			if (*c == 'a')
				rig_associate(2);
			if (*c == 'f')
				rig_function(RIG_PCI, 2);
			if (*c == 'e')
				CU_ASSERT_PTR_NOT_NULL(rig_attach(RIG_PCI, MAC_ARG));
			CU_ASSERT_FALSE(rig_seen(RIG_PCI));
			/* With the ethdev still to come, looking would attach it. */
			if (c[1] != 'e')
				rig_look();
		}
		CU_ASSERT_EQUAL(rig.found, 1);
		CU_ASSERT_EQUAL(rig.last, fake_vf_port(fake_vf_find(RIG_PCI)));
		CU_ASSERT(rig_look() > 0);
		CU_ASSERT_EQUAL(rig.found, 1);
		CU_ASSERT_EQUAL(rig.lost, 0);
		rig_end();
		CU_ASSERT_TRUE(rig_seen(RIG_PCI)); /* it was the application's, and not touched */
		CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
	}
}

/* Nobody attached it: we do, when its driver is there; with what the user said for it. */
static void
test_function_is_attached_when_it_comes_however_late(void)
{
	int64_t late;

	REQUIRE(rig_begin(NULL, NULL, "mac=" RIG_MAC ",queues=3"));
	rig_associate(7);
	/* Two minutes, as far as anybody can tell. */
	for (late = 0; late < 120000; late += 500)
		CU_ASSERT(rig_look() > 0);
	CU_ASSERT_EQUAL(rig.found, 0);
	rig_function(RIG_PCI, 7);
	CU_ASSERT(rig_look() > 0);
	CU_ASSERT_EQUAL(rig.found, 1);
	REQUIRE(fake_vf_find(RIG_PCI) != NULL);
	CU_ASSERT_EQUAL(fake_vf_knobs(fake_vf_find(RIG_PCI))->queues, 3);
	CU_ASSERT_FALSE(rig_seen(RIG_PCI));
	CU_ASSERT_EQUAL(rig_own(), 0);
	rig_end();
	/* What we have attached we take away again. */
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
}

static void
test_function_without_a_usable_driver_is_tried_until_it_has_one(void)
{
	REQUIRE(rig_begin(NULL, NULL, "nonsense=1"));
	rig_associate(7);
	rig_function(RIG_PCI, 7);
	CU_ASSERT(rig_look() > 0);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	/* At once when Linux has another driver for it, not after the next interval. */
	snprintf(netvsc_vf_dev_of(&rig.f.port)->args, NETVSC_VF_ARGS_MAX, MAC_ARG);
	CU_ASSERT(rig_look() > 0);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	tree_link("sys/bus/pci/devices/" RIG_PCI "/driver", "../../../../bus/pci/drivers/vfio-pci");
	CU_ASSERT(rig_look() > 0);
	CU_ASSERT_EQUAL(rig.found, 1);
	rig_end();
}

/* Pitfall V10: the MAC address is everybody's. */
static void
test_decoys_with_the_same_mac_are_not_taken(void)
{
	static struct rte_bus vdev = {.name = "vdev"};
	static struct rte_device tap = {.name = "net_tap0", .bus = &vdev, .driver = &driver};
	struct fake_vf *vf;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	/* A TAP, or a bond. */
	CU_ASSERT_EQUAL(fake_vf_make(&tap, "net_tap0"), 0);
	vf = fake_vf_find("net_tap0");
	rte_eth_devices[fake_vf_port(vf)].data->mac_addrs[0] = rig.mac;
	rig_associate(2);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	CU_ASSERT_TRUE(rig_seen("net_tap0"));
	/* Another function: that of another serial number, which may be going or coming. */
	rig_function(RIG_PCI_B, 3);
	CU_ASSERT_PTR_NOT_NULL(rig_attach(RIG_PCI_B, MAC_ARG));
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	CU_ASSERT_TRUE(rig_seen(RIG_PCI_B));
	/* The right slot, another address. */
	rig_function(RIG_PCI, 2);
	CU_ASSERT_PTR_NOT_NULL(rig_attach(RIG_PCI, OTHER_ARG));
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	CU_ASSERT_TRUE(rig_seen(RIG_PCI));
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_unmake(&tap), 0);
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
	CU_ASSERT_EQUAL(fake_command(RIG_PCI_B " remove", NULL, 0), 0);
}

/* Where no slot says anything, an address is all there is; of a PCI function. */
static void
test_address_alone_decides_where_there_is_no_slot(void)
{
	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 0);
	CU_ASSERT_PTR_NOT_NULL(rig_attach(RIG_PCI, MAC_ARG));
	CU_ASSERT_FALSE(rig_seen(RIG_PCI));
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	rig_associate(2);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	/* What was reserved and proves to be somebody else's is given back. */
	rig_function(RIG_PCI_B, 2);
	rig_look();
	CU_ASSERT_EQUAL(rig.lost, 1);
	CU_ASSERT_EQUAL(rig.last, fake_vf_port(fake_vf_find(RIG_PCI)));
	rig_look();
	CU_ASSERT_TRUE(rig_seen(RIG_PCI));
	rig_end();
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
	fake_command(RIG_PCI_B " remove", NULL, 0);
}

/* Pitfall V9: MANA has several adapters on one function. */
static void
test_one_function_with_several_adapters(void)
{
	static struct rte_bus pci = {.name = "pci"};
	static struct rte_device mana = {.name = RIG_PCI, .bus = &pci, .driver = &driver};
	struct fake_vf *first, *second;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 2);
	rig_associate(2);
	rig_disassociate();
	CU_ASSERT_EQUAL(fake_vf_make(&mana, RIG_PCI "_port0"), 0);
	CU_ASSERT_EQUAL(fake_vf_make(&mana, RIG_PCI "_port1"), 0);
	first = fake_vf_find(RIG_PCI "_port0");
	second = fake_vf_find(RIG_PCI "_port1");
	rte_eth_devices[fake_vf_port(second)].data->mac_addrs[0] = rig.mac;
	rig_associate(2);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT_EQUAL(rig.last, fake_vf_port(second));
	CU_ASSERT_TRUE(rig_seen(RIG_PCI "_port0"));
	CU_ASSERT_EQUAL(rig_own(), 0);
	CU_ASSERT_EQUAL(rig_start(), 0);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	/* One goes, its sibling lives, and so does the device. */
	CU_ASSERT_EQUAL(fake_vf_event(second, "rmv"), 0);
	netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI "_port1"));
	CU_ASSERT_PTR_EQUAL(fake_vf_find(RIG_PCI "_port0"), first);
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_unmake(&mana), 0);
}

static void
test_blocked_function_is_not_attached(void)
{
	struct rte_devargs *da;

	REQUIRE(rig_begin(NULL, NULL, MAC_ARG));
	CU_ASSERT_EQUAL(rte_devargs_add(RTE_DEVTYPE_BLOCKED, "pci:" RIG_PCI), 0);
	rig_function(RIG_PCI, 2);
	rig_associate(2);
	rig_look();
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	CU_ASSERT_EQUAL(rig.found, 0);
	RTE_EAL_DEVARGS_FOREACH ("pci", da)
		if (da->policy == RTE_DEV_BLOCKED)
			break;
	CU_ASSERT_EQUAL(rte_devargs_remove(da), 0);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
}

/* ---- by name ---- */

static void
test_named_port_is_found_before_and_after_it_comes(void)
{
	REQUIRE(rig_begin(NULL, "net_ring0", NULL));
	CU_ASSERT_EQUAL(rig.found, 0);
	rig_end();
	/* Any device, any address. */
	static struct rte_bus vdev = {.name = "vdev"};
	static struct rte_device ring = {.name = "net_ring0", .bus = &vdev, .driver = &driver};

	REQUIRE(rig_begin(NULL, "net_ring0", NULL));
	CU_ASSERT_EQUAL(fake_vf_make(&ring, "net_ring0"), 0);
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT_FALSE(rig_seen("net_ring0"));
	rig_end();
	CU_ASSERT_TRUE(rig_seen("net_ring0"));
	REQUIRE(rig_begin(NULL, "net_ring0", NULL));
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT_FALSE(rig_seen("net_ring0"));
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_unmake(&ring), 0);
}

/* A PCI function by its address, which is attached if need be. */
static void
test_named_function_needs_no_slot(void)
{
	REQUIRE(rig_begin(NULL, RIG_PCI, MAC_ARG));
	rig_look();
	rig_function(RIG_PCI, 0);
	rig_associate(9);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT_EQUAL(rig_own(), 0);
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
}

static void
test_port_that_the_application_uses_is_not_taken(void)
{
	struct rte_eth_conf conf = {0};
	struct fake_vf *vf;
	uint16_t id;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 2);
	vf = rig_attach(RIG_PCI, OTHER_ARG);
	REQUIRE(vf != NULL);
	id = fake_vf_port(vf);
	CU_ASSERT_EQUAL(rte_eth_dev_configure(id, 1, 1, &conf), 0);
	CU_ASSERT_EQUAL(rte_eth_rx_queue_setup(id, 0, 64, 0, NULL, rig.f.pool), 0);
	CU_ASSERT_EQUAL(rte_eth_tx_queue_setup(id, 0, 64, 0, NULL), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_start(id), 0);
	rte_eth_devices[id].data->mac_addrs[0] = rig.mac;
	rig_associate(2);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	CU_ASSERT_TRUE(rig_seen(RIG_PCI));
	CU_ASSERT_EQUAL(rte_eth_dev_stop(id), 0);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	rig_end();
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
}

/* ---- it goes, and comes back ---- */

/* Bring the VF into use, at @p serial. */
static void
use(uint32_t serial)
{
	rig_function(RIG_PCI, serial);
	rig_associate(serial);
	rig_look();
	CU_ASSERT_EQUAL(rig_own(), 0);
	CU_ASSERT_EQUAL(rig_start(), 0);
}

/* Pitfall V11: a hundred times, each time with the devargs it had. */
static void
test_devargs_survive_a_replug(void)
{
	struct fake_vf *vf;
	unsigned int i;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 1);
	CU_ASSERT_PTR_NOT_NULL(rig_attach(RIG_PCI, MAC_ARG ",queues=5"));
	for (i = 1; i <= 100; i++) {
		use(i);
		vf = fake_vf_find(RIG_PCI);
		REQUIRE(vf != NULL);
		CU_ASSERT_EQUAL(fake_vf_knobs(vf)->queues, 5);
		/* The host takes it away: its driver says so, or nobody does. */
		rig_function_gone(RIG_PCI, i);
		if (i % 2 == 0) {
			CU_ASSERT_EQUAL(fake_command(RIG_PCI " unplug", NULL, 0), 0);
		} else {
			rig_look();
		}
		CU_ASSERT_EQUAL(rig.lost, i);
		netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
		netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
		CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
		rig_disassociate();
		rig_look();
	}
	CU_ASSERT_EQUAL(rig.found, 100);
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
	rig_end();
}

/* EAL attaches a device in all processes; none of them could use it as long as there are several.
 */
static void
test_function_is_not_attached_while_another_process_has_the_port(void)
{
	REQUIRE(rig_begin(NULL, NULL, MAC_ARG));
	atomic_store(&rig.f.bus.sharing.attached, 2);
	rig_function(RIG_PCI, 4);
	rig_associate(4);
	CU_ASSERT(rig_look() > 0); /* it comes again */
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.setup.dev->said, "other processes"));
	atomic_store(&rig.f.bus.sharing.attached, 0);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT_PTR_NOT_NULL(fake_vf_find(RIG_PCI));
	rig_end();
}

/* Somebody else closes it while it is in use. */
static void
test_ethdev_that_is_destroyed_is_lost(void)
{
	REQUIRE(rig_begin(NULL, NULL, MAC_ARG));
	use(4);
	CU_ASSERT_EQUAL(rte_eth_dev_stop((uint16_t)rig.last), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_close((uint16_t)rig.last), 0);
	CU_ASSERT_EQUAL(rte_eal_hotplug_remove("pci", RIG_PCI), 0);
	CU_ASSERT_EQUAL(rig.lost, 1);
	/* What the control thread does now finds nothing, and hurts nobody. */
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_FALSE(netvsc_vf_link(&rig.setup, (uint16_t)rig.last));
	CU_ASSERT_EQUAL(netvsc_vf_replay(&rig.setup, (uint16_t)rig.last, UINT32_MAX), -ENODEV);
	netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 2);
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
}

/* EAL's monitor or VFIO tell of the device, not of the ethdev. */
static void
test_device_that_goes_is_lost(void)
{
	REQUIRE(rig_begin(NULL, NULL, MAC_ARG));
	use(4);
	rte_dev_event_callback_process(RIG_PCI, RTE_DEV_EVENT_REMOVE);
	CU_ASSERT_EQUAL(rig.lost, 1);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	rig_end();
}

static void
test_link_and_recovery_are_told(void)
{
	struct fake_vf *vf;

	REQUIRE(rig_begin(NULL, NULL, MAC_ARG));
	use(4);
	vf = fake_vf_find(RIG_PCI);
	REQUIRE(vf != NULL);
	CU_ASSERT_TRUE(netvsc_vf_link(&rig.setup, (uint16_t)rig.last));
	fake_vf_knobs(vf)->link = 0;
	fake_vf_event(vf, "lsc");
	CU_ASSERT_EQUAL(rig.links, 1);
	CU_ASSERT_EQUAL(rig.last, 0);
	rig.last = fake_vf_port(vf);
	CU_ASSERT_FALSE(netvsc_vf_link(&rig.setup, (uint16_t)rig.last));
	fake_vf_event(vf, "recovering");
	fake_vf_event(vf, "recovered");
	fake_vf_event(vf, "failed");
	CU_ASSERT_EQUAL(rig.recovering, 1);
	CU_ASSERT_EQUAL(rig.recovered, 1);
	CU_ASSERT_EQUAL(rig.failed, 1);
	rig_end();
}

/* Reserved, and not told yet: what it does then is remembered with its number. */
static void
test_vf_that_resets_itself_before_it_is_found_is_not_asked(void)
{
	struct netvsc_vf_status s;
	struct fake_vf *vf;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 0);
	vf = rig_attach(RIG_PCI, MAC_ARG);
	REQUIRE(vf != NULL);
	CU_ASSERT_EQUAL(rig.found, 0);
	fake_vf_event(vf, "recovering");
	rig_function(RIG_PCI, 4);
	rig_associate(4);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	netvsc_vf_status(&rig.f.port, &s);
	CU_ASSERT_TRUE(s.recovering);
	CU_ASSERT_EQUAL(fake_vf_seen(vf)->while_recovering, 0);
	fake_vf_event(vf, "recovered");
	netvsc_vf_status(&rig.f.port, &s);
	CU_ASSERT_FALSE(s.recovering);
	/* What it is in the middle of when it vanishes ends with it. */
	fake_vf_event(vf, "reset");
	fake_vf_event(vf, "recovering");
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " unplug", NULL, 0), 0);
	CU_ASSERT_FALSE(netvsc_vf_facts_recovering(
		atomic_load(&rig.f.port.vf_shared.facts), (uint16_t)rig.last));
	rig_end();
}

/*
 * Reserved, not told yet, and replaced in the middle of a reset: the one in its place gets its
 * number, and is not taken for it.
 */
static void
test_vf_that_is_replaced_in_the_middle_of_a_reset_is_used(void)
{
	static const char *const events[] = {"recovering", "failed"};
	static const char *const ways[] = {RIG_PCI " unplug", RIG_PCI " remove"};
	struct netvsc_vf_status s;
	uint64_t facts;
	struct fake_vf *vf;
	unsigned int i;
	uint16_t id;

	for (i = 0; i < RTE_DIM(events) * RTE_DIM(ways); i++) {
		REQUIRE(rig_begin(NULL, NULL, NULL));
		rig_function(RIG_PCI, 0);
		vf = rig_attach(RIG_PCI, MAC_ARG);
		REQUIRE(vf != NULL);
		id = fake_vf_port(vf);
		CU_ASSERT_EQUAL(fake_vf_event(vf, events[i % 2]), 0);
		CU_ASSERT_TRUE(netvsc_vf_facts_know(atomic_load(&rig.f.port.vf_shared.facts), id));
		CU_ASSERT_EQUAL(fake_command(ways[i / 2], NULL, 0), 0);
		rig_look();
		CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
		rig_function(RIG_PCI, 4);
		vf = rig_attach(RIG_PCI, MAC_ARG);
		REQUIRE(vf != NULL);
		CU_ASSERT_EQUAL(fake_vf_port(vf), id);
		rig_associate(4);
		rig_look();
		CU_ASSERT_EQUAL(rig.found, 1);
		netvsc_vf_status(&rig.f.port, &s);
		CU_ASSERT_FALSE(s.recovering);
		/* As of one of which nothing was ever told. */
		facts = netvsc_vf_facts_add(0, NETVSC_VF_HOST_ASSOCIATED, 4);
		facts = netvsc_vf_facts_add(facts, NETVSC_VF_FOUND, id);
		CU_ASSERT_EQUAL(
			netvsc_vf_facts_rest(atomic_load(&rig.f.port.vf_shared.facts)), facts);
		CU_ASSERT_EQUAL(rig_own(), 0);
		rig_end();
		CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
	}
}

/* ... and one that asks for a reset then is heard until it gets it. */
static void
test_vf_that_asks_for_a_reset_before_it_is_found_is_reset(void)
{
	struct netvsc_vf_status s;
	struct fake_vf *vf;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 0);
	vf = rig_attach(RIG_PCI, MAC_ARG);
	REQUIRE(vf != NULL);
	fake_vf_event(vf, "recovering");
	fake_vf_event(vf, "reset");
	CU_ASSERT_FALSE(rig_seen(RIG_PCI));
	fake_vf_event(vf, "recovered");
	rig_function(RIG_PCI, 4);
	rig_associate(4);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	netvsc_vf_status(&rig.f.port, &s);
	CU_ASSERT_FALSE(s.recovering);
	CU_ASSERT_EQUAL(rig_own(), 0);
	CU_ASSERT_EQUAL(fake_vf_seen(vf)->resets, 1);
	rig_end();
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
}

/* RTE_ETH_EVENT_INTR_RESET: who uses the port is to reset it. */
static void
test_vf_that_asks_for_a_reset_is_reset_before_it_is_used_again(void)
{
	struct fake_vf *vf;

	REQUIRE(rig_begin(NULL, NULL, MAC_ARG));
	use(4);
	vf = fake_vf_find(RIG_PCI);
	REQUIRE(vf != NULL);
	fake_vf_event(vf, "reset");
	CU_ASSERT_EQUAL(rig.lost, 1);
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	netvsc_vf_disown(&rig.setup, (uint16_t)rig.last);
	CU_ASSERT_PTR_EQUAL(fake_vf_find(RIG_PCI), vf);
	CU_ASSERT_FALSE(rig_seen(RIG_PCI));
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 2);
	CU_ASSERT_EQUAL(rig_own(), 0);
	CU_ASSERT_EQUAL(fake_vf_seen(vf)->resets, 1);
	CU_ASSERT_EQUAL(rig_start(), 0);
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"VF that resets itself before it is found is not asked",
			test_vf_that_resets_itself_before_it_is_found_is_not_asked},
		{"association, function and ethdev come in any order",
			test_association_function_and_ethdev_come_in_any_order},
		{"function is attached when it comes, however late",
			test_function_is_attached_when_it_comes_however_late},
		{"function without a usable driver is tried until it has one",
			test_function_without_a_usable_driver_is_tried_until_it_has_one},
		{"decoys with the same MAC are not taken",
			test_decoys_with_the_same_mac_are_not_taken},
		{"address alone decides where there is no slot",
			test_address_alone_decides_where_there_is_no_slot},
		{"one function with several adapters", test_one_function_with_several_adapters},
		{"blocked function is not attached", test_blocked_function_is_not_attached},
		{"named port is found before and after it comes",
			test_named_port_is_found_before_and_after_it_comes},
		{"named function needs no slot", test_named_function_needs_no_slot},
		{"port that the application uses is not taken",
			test_port_that_the_application_uses_is_not_taken},
		{"devargs survive a replug", test_devargs_survive_a_replug},
		{"function is not attached while another process has the port",
			test_function_is_not_attached_while_another_process_has_the_port},
		{"ethdev that is destroyed is lost", test_ethdev_that_is_destroyed_is_lost},
		{"device that goes is lost", test_device_that_goes_is_lost},
		{"link and recovery are told", test_link_and_recovery_are_told},
		{"VF that is replaced in the middle of a reset is used",
			test_vf_that_is_replaced_in_the_middle_of_a_reset_is_used},
		{"VF that asks for a reset before it is found is reset",
			test_vf_that_asks_for_a_reset_before_it_is_found_is_reset},
		{"VF that asks for a reset is reset before it is used again",
			test_vf_that_asks_for_a_reset_is_reset_before_it_is_used_again},
	};

	return UNIT_RUN("netvsc_vf_find", tests);
}
