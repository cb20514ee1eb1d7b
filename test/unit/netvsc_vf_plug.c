/* SPDX-License-Identifier: BSD-3-Clause */
/* VFs of several ports that come and go at the same moment, and ports that go meanwhile. */
#include "test/unit/netvsc_vf_rig.h"

#define SLOT	 1u
#define SLOT_B	 2u
#define PATIENCE 20000 /* ms, on a busy machine */

static struct rig_neighbour neighbour;

/* EAL is inside of a bus as long as a test likes. */
static struct {
	atomic_uint inside, most, calls;
	atomic_bool hold;
} eal;

static void
meanwhile(const char *device)
{
	unsigned int n = atomic_fetch_add(&eal.inside, 1) + 1;

	if (n > atomic_load(&eal.most))
		atomic_store(&eal.most, n);
	atomic_fetch_add(&eal.calls, 1);
	while (n == 1 && atomic_load(&eal.hold))
		usleep(100);
	atomic_fetch_sub(&eal.inside, 1);
}

static void
until_inside(void)
{
	int64_t end = hpbus_now_ms() + PATIENCE;

	while (atomic_load(&eal.inside) == 0 && hpbus_now_ms() < end)
		usleep(100);
	CU_ASSERT_EQUAL(atomic_load(&eal.inside), 1);
}

static int
neighbour_look(void)
{
	return netvsc_vf_find_again(&neighbour.setup, true, SLOT_B);
}

static void *
look(void *arg)
{
	rig_look();
	return NULL;
}

/* Two ports, a VF for each in the machine, and the first is being attached. */
static bool
begin_held(pthread_t *thread)
{
	if (!rig_begin(NULL, NULL, "mac=" RIG_MAC))
		return false;
	rig_neighbour_begin(&neighbour, RIG_OTHER);
	snprintf(neighbour.setup.dev->args, NETVSC_VF_ARGS_MAX, "mac=" RIG_OTHER);
	rig_function(RIG_PCI, SLOT);
	rig_function(RIG_PCI_B, SLOT_B);
	rig_associate(SLOT);
	memset(&eal, 0, sizeof(eal));
	fake_bus_meanwhile = meanwhile;
	atomic_store(&eal.hold, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(thread, NULL, look, NULL), 0);
	until_inside();
	return true;
}

static void
let_go(pthread_t thread)
{
	atomic_store(&eal.hold, false);
	pthread_join(thread, NULL);
}

static void
finish(void)
{
	rig_neighbour_end(&neighbour);
	rig_end();
	fake_bus_meanwhile = NULL;
	CU_ASSERT_EQUAL(atomic_load(&eal.most), 1);
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
}

/* EAL's lists have no lock; a probe that hangs holds up no other port. */
static void
test_vfs_that_come_at_the_same_moment_are_attached_one_by_one(void)
{
	pthread_t thread;
	int64_t began;

	REQUIRE(begin_held(&thread));
	began = hpbus_now_ms();
	CU_ASSERT(neighbour_look() > 0); /* it comes again */
	CU_ASSERT(hpbus_now_ms() - began < PATIENCE);
	CU_ASSERT_EQUAL(atomic_load(&eal.calls), 1);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI_B));
	let_go(thread);
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT(neighbour_look() > 0);
	CU_ASSERT_PTR_NOT_NULL(fake_vf_find(RIG_PCI_B));
	CU_ASSERT_TRUE(neighbour.setup.dev->told);
	finish();
}

/* Nor is one detached meanwhile: that is done when EAL is free. */
static void
test_vf_that_goes_while_another_comes_is_detached_later(void)
{
	pthread_t thread;
	uint16_t id;

	REQUIRE(rig_begin(NULL, NULL, "mac=" RIG_MAC));
	rig_neighbour_begin(&neighbour, RIG_OTHER);
	snprintf(neighbour.setup.dev->args, NETVSC_VF_ARGS_MAX, "mac=" RIG_OTHER);
	rig_function(RIG_PCI_B, SLOT_B);
	neighbour_look();
	REQUIRE(fake_vf_find(RIG_PCI_B) != NULL);
	id = fake_vf_port(fake_vf_find(RIG_PCI_B));
	CU_ASSERT_EQUAL(netvsc_vf_own(&neighbour.setup, id), 0);
	rig_function(RIG_PCI, SLOT);
	rig_associate(SLOT);
	memset(&eal, 0, sizeof(eal));
	fake_bus_meanwhile = meanwhile;
	atomic_store(&eal.hold, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, look, NULL), 0);
	until_inside();
	CU_ASSERT_EQUAL(fake_vf_event(fake_vf_find(RIG_PCI_B), "rmv"), 0);
	netvsc_vf_disown(&neighbour.setup, id);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI_B)); /* closed, */
	CU_ASSERT_EQUAL(atomic_load(&eal.calls), 1); /* ... not detached */
	let_go(thread);
	/* It is, before it is attached again. */
	neighbour_look();
	CU_ASSERT_EQUAL(atomic_load(&eal.calls), 3);
	CU_ASSERT_PTR_NOT_NULL(fake_vf_find(RIG_PCI_B));
	finish();
}

static void
test_port_that_is_closed_during_a_probe_leaves_no_vf_behind(void)
{
	pthread_t thread;

	REQUIRE(begin_held(&thread));
	netvsc_vf_find_stop(&rig.f.port);
	let_go(thread);
	CU_ASSERT_PTR_NULL(fake_vf_find(RIG_PCI));
	CU_ASSERT_EQUAL(atomic_load(&eal.calls), 2);
	finish();
}

/* ---- one port goes while another comes ---- */

int __real_rte_eth_dev_callback_unregister(
	uint16_t id, enum rte_eth_event_type event, rte_eth_dev_cb_fn fn, void *arg);
int __wrap_rte_eth_dev_callback_unregister(
	uint16_t id, enum rte_eth_event_type event, rte_eth_dev_cb_fn fn, void *arg);

static struct {
	bool wanted;
	pthread_t thread;
	atomic_bool done;
} coming;

static void *
come(void *arg)
{
	rig_neighbour_begin(&neighbour, RIG_OTHER);
	atomic_store(&coming.done, true);
	return NULL;
}

int
__wrap_rte_eth_dev_callback_unregister(
	uint16_t id, enum rte_eth_event_type event, rte_eth_dev_cb_fn fn, void *arg)
{
	int64_t end = hpbus_now_ms() + 300;

	if (coming.wanted) {
		coming.wanted = false;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&coming.thread, NULL, come, NULL), 0);
		/* All of it, or as much of it as it may do now. */
		while (!atomic_load(&coming.done) && hpbus_now_ms() < end)
			usleep(100);
	}
	return __real_rte_eth_dev_callback_unregister(id, event, fn, arg);
}

static void
test_port_that_comes_while_the_last_one_goes_hears_of_vfs(void)
{
	struct fake_vf *vf;

	REQUIRE(rig_begin(NULL, NULL, NULL));
	memset(&coming, 0, sizeof(coming));
	coming.wanted = true;
	rig_end();
	CU_ASSERT_FALSE(coming.wanted);
	pthread_join(coming.thread, NULL);
	tree_build(&tree_kernels[TREE_6_1]);
	tree_delete("sys/bus/pci");
	rig_function(RIG_PCI_B, SLOT_B);
	vf = rig_attach(RIG_PCI_B, "mac=" RIG_OTHER);
	REQUIRE(vf != NULL);
	CU_ASSERT_FALSE(rig_seen(RIG_PCI_B)); /* it is reserved as soon as it comes */
	CU_ASSERT_EQUAL(neighbour.setup.dev->held, fake_vf_port(vf));
	rig_neighbour_end(&neighbour);
	CU_ASSERT_EQUAL(fake_command(RIG_PCI_B " remove", NULL, 0), 0);
	tree_remove();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"VFs that come at the same moment are attached one by one",
			test_vfs_that_come_at_the_same_moment_are_attached_one_by_one},
		{"VF that goes while another comes is detached later",
			test_vf_that_goes_while_another_comes_is_detached_later},
		{"port that is closed during a probe leaves no VF behind",
			test_port_that_is_closed_during_a_probe_leaves_no_vf_behind},
		{"port that comes while the last one goes hears of VFs",
			test_port_that_comes_while_the_last_one_goes_hears_of_vfs},
	};

	return UNIT_RUN("netvsc_vf_plug", tests);
}
