/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Somebody else detaches the device of a VF in use, or closes its ethdev: what the driver of the VF
 * frees is not freed under a burst. The port's control thread is the test's.
 */
#include "test/unit/netvsc_vf_rig.h"

#define PATIENCE 20000 /* ms, on a busy machine */

bool __real_netvsc_vf_is_inside(const struct netvsc_port *port, unsigned int queue);
bool __wrap_netvsc_vf_is_inside(const struct netvsc_port *port, unsigned int queue);

static struct {
	atomic_bool hold, inside; /* a burst, in the VF's driver */
	atomic_bool early;	  /* the device was removed while it was */
	atomic_uint looks;	  /* whether it is, */
	atomic_uint removals;	  /* ... and removals that have begun in the bus */
	pthread_t burst, removal, thread;
	struct rte_device *device;
	uint16_t id;
	int rc;
} t;

#define WAIT_FOR(cond)                                                                             \
	do {                                                                                       \
		int64_t wait_end = hpbus_now_ms() + PATIENCE;                                      \
                                                                                                   \
		while (!(cond) && hpbus_now_ms() < wait_end)                                       \
			usleep(100);                                                               \
		CU_ASSERT(cond);                                                                   \
	} while (0)

bool
__wrap_netvsc_vf_is_inside(const struct netvsc_port *port, unsigned int queue)
{
	atomic_fetch_add(&t.looks, queue == 0);
	return __real_netvsc_vf_is_inside(port, queue);
}

static void
meanwhile(const char *device)
{
	if (atomic_load(&t.inside))
		atomic_store(&t.early, true);
	atomic_fetch_add(&t.removals, 1);
}

/* ---- bursts that stay inside ---- */

static _Thread_local bool bursts; /* this thread is an lcore; the control thread polls, too */

static void
hold(void)
{
	if (!bursts)
		return;
	atomic_store(&t.inside, true);
	while (atomic_load(&t.hold))
		usleep(100);
	atomic_store(&t.inside, false);
	/* Its driver has nothing any more that it could go on with. */
	if (!rte_eth_dev_is_valid_port(t.id))
		pthread_exit(NULL);
}

static uint16_t
hold_rx(uint16_t id, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, uint16_t max, void *arg)
{
	hold();
	return n;
}

static uint16_t
hold_tx(uint16_t id, uint16_t queue, struct rte_mbuf **pkts, uint16_t n, void *arg)
{
	hold();
	return n;
}

static void *
receive(void *arg)
{
	struct rte_mbuf *m[1];

	bursts = true;
	netvsc_vf_rx_burst(rig.f.rx_queues[1], m, 1);
	netvsc_vf_rx_burst(rig.f.rx_queues[1], m, 1);
	return NULL;
}

static void *
transmit(void *arg)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.f.pool);

	bursts = true;
	if (m != NULL && netvsc_vf_tx_burst(rig.f.tx_queues[1], &m, 1) != 1)
		rte_pktmbuf_free(m);
	return NULL;
}

/* ---- the control thread: a VF that is lost is stopped and left ---- */

static bool
is_lost(void)
{
	return netvsc_vf_facts_found(atomic_load(&rig.f.port.vf_shared.facts)) == NETVSC_VF_NONE;
}

static void *
leave(void *arg)
{
	while (!is_lost())
		usleep(100);
	netvsc_vf_stop(&rig.setup, t.id);
	netvsc_vf_disown(&rig.setup, t.id);
	return NULL;
}

static void
thread_begins(void)
{
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t.thread, NULL, leave, NULL), 0);
}

/* ---- a VF in use, and who removes it ---- */

static bool
begin_used(void)
{
	struct rte_eth_dev_info info;

	memset(&t, 0, sizeof(t));
	if (!rig_begin_found(NULL) || rig_own_and_start() != 0)
		return false;
	t.id = (uint16_t)rig.last;
	if (rte_eth_dev_info_get(t.id, &info) != 0)
		return false;
	t.device = info.device;
	netvsc_vf_path_on(rig.f.port.vf_rx, t.id);
	netvsc_vf_path_on(rig.f.port.vf_tx, t.id);
	fake_bus_meanwhile = meanwhile;
	return true;
}

static bool
begin_inside(bool tx)
{
	if (!begin_used())
		return false;
	if ((tx ? (const void *)rte_eth_add_tx_callback(t.id, 1, hold_tx, NULL)
		: (const void *)rte_eth_add_rx_callback(t.id, 1, hold_rx, NULL)) == NULL)
		return false;
	atomic_store(&t.hold, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t.burst, NULL, tx ? transmit : receive, NULL), 0);
	WAIT_FOR(atomic_load(&t.inside));
	return true;
}

static void
comes_out(void)
{
	atomic_store(&t.hold, false);
	pthread_join(t.burst, NULL);
}

static void *
detach(void *arg)
{
	t.rc = rte_dev_remove(t.device);
	return NULL;
}

static void *
close_it(void *arg)
{
	rte_eth_dev_stop(t.id);
	t.rc = rte_eth_dev_close(t.id);
	return NULL;
}

static void
removal_begins(void *(*how)(void *arg))
{
	atomic_store(&t.looks, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t.removal, NULL, how, NULL), 0);
}

static int
removal_ends(void)
{
	pthread_join(t.removal, NULL);
	return t.rc;
}

static void
end(void)
{
	fake_bus_meanwhile = NULL;
	rig_end();
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
}

/* ---- tests ---- */

static void
check_waits_for(bool tx)
{
	REQUIRE(begin_inside(tx));
	thread_begins();
	removal_begins(detach);
	WAIT_FOR(atomic_load(&t.looks) > 2 || atomic_load(&t.removals) != 0);
	CU_ASSERT_EQUAL(atomic_load(&t.removals), 0);
	CU_ASSERT_EQUAL(fake_vf_alive, 1);
	/* Nobody comes in any more. */
	CU_ASSERT_EQUAL(netvsc_vf_path(rig.f.port.vf_tx), 0);
	CU_ASSERT_EQUAL(netvsc_vf_path(rig.f.port.vf_rx), 0);
	comes_out();
	CU_ASSERT_EQUAL(removal_ends(), 0);
	CU_ASSERT_FALSE(atomic_load(&t.early));
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
	CU_ASSERT_EQUAL(rig.setup.dev->held, NETVSC_VF_NONE);
	end();
}

static void
test_removal_waits_for_a_receive_burst_that_is_inside(void)
{
	check_waits_for(false);
}

static void
test_removal_waits_for_a_send_burst_that_is_inside(void)
{
	check_waits_for(true);
}

/* Nor is the device removed while the control thread is in a call of its driver. */
static void
test_removal_waits_for_a_stop_that_lasts(void)
{
	REQUIRE(begin_used());
	fake_vf_key(rig.knobs, "stop_hangs", "1");
	thread_begins();
	removal_begins(detach);
	WAIT_FOR(atomic_load(&t.looks) > 2 || atomic_load(&t.removals) != 0);
	CU_ASSERT_EQUAL(atomic_load(&t.removals), 0);
	fake_vf_key(rig.knobs, "stop_hangs", "0");
	CU_ASSERT_EQUAL(removal_ends(), 0);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
	end();
}

/* What does not come out keeps the device, and the VF is used again afterwards. */
static void
test_removal_fails_while_a_burst_stays_inside(void)
{
	REQUIRE(begin_inside(true));
	thread_begins();
	removal_begins(detach);
	CU_ASSERT_EQUAL(removal_ends(), -EBUSY);
	CU_ASSERT_EQUAL(atomic_load(&t.removals), 0);
	CU_ASSERT_EQUAL(fake_vf_alive, 1);
	CU_ASSERT_FALSE(rig_seen(RIG_PCI)); /* it is still the port's */
	comes_out();
	pthread_join(t.thread, NULL);
	CU_ASSERT_FALSE(rte_eth_devices[t.id].data->dev_started);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 2);
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	CU_ASSERT_EQUAL(rig.seen->starts, 2);
	/* The next one has its way. */
	thread_begins();
	removal_begins(detach);
	CU_ASSERT_EQUAL(removal_ends(), 0);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(fake_vf_alive, 0);
	end();
}

/* While it is removed it is not looked for: what is found then would not be there. */
static void
test_vf_that_is_being_removed_is_not_found(void)
{
	REQUIRE(begin_inside(false));
	thread_begins();
	removal_begins(detach);
	WAIT_FOR(atomic_load(&t.looks) > 2);
	pthread_join(t.thread, NULL); /* it has left the VF, the removal waits for the burst */
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	CU_ASSERT_EQUAL(rig_own(), -ENODEV);
	comes_out();
	CU_ASSERT_EQUAL(removal_ends(), 0);
	/* It was the port's before it was removed; attached again it is so again. */
	REQUIRE(rig_attach(RIG_PCI, "mac=" RIG_MAC) != NULL);
	CU_ASSERT_FALSE(rig_seen(RIG_PCI));
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 2);
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	end();
}

/* A device whose ethdev is only reserved: nobody waits for anybody. */
static void
test_removal_of_what_nobody_uses(void)
{
	struct fake_vf *vf;

	memset(&t, 0, sizeof(t));
	REQUIRE(rig_begin(NULL, NULL, NULL));
	rig_function(RIG_PCI, 0);
	vf = rig_attach(RIG_PCI, "mac=" RIG_MAC);
	REQUIRE(vf != NULL);
	CU_ASSERT_EQUAL(rig.setup.dev->held, fake_vf_port(vf));
	CU_ASSERT_EQUAL(rig.found, 0);
	CU_ASSERT_EQUAL(fake_command(RIG_PCI " remove", NULL, 0), 0);
	rig_look();
	CU_ASSERT_EQUAL(rig.setup.dev->held, NETVSC_VF_NONE);
	end();
}

/* The ethdev alone: nothing can be refused, but the port's memory is there until bursts are out. */
static void
test_close_by_others_waits_for_a_burst_that_is_inside(void)
{
	REQUIRE(begin_inside(false));
	removal_begins(close_it);
	WAIT_FOR(atomic_load(&t.looks) > 2 || !rte_eth_dev_is_valid_port(t.id));
	CU_ASSERT_TRUE(rte_eth_dev_is_valid_port(t.id));
	CU_ASSERT_EQUAL(netvsc_vf_path(rig.f.port.vf_rx), 0);
	comes_out();
	CU_ASSERT_EQUAL(removal_ends(), 0);
	CU_ASSERT_FALSE(rte_eth_dev_is_valid_port(t.id));
	thread_begins();
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(rte_dev_remove(t.device), 0);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"removal waits for a receive burst that is inside",
			test_removal_waits_for_a_receive_burst_that_is_inside},
		{"removal waits for a send burst that is inside",
			test_removal_waits_for_a_send_burst_that_is_inside},
		{"removal waits for a stop that lasts", test_removal_waits_for_a_stop_that_lasts},
		{"removal fails while a burst stays inside",
			test_removal_fails_while_a_burst_stays_inside},
		{"VF that is being removed is not found",
			test_vf_that_is_being_removed_is_not_found},
		{"removal of what nobody uses", test_removal_of_what_nobody_uses},
		{"close by others waits for a burst that is inside",
			test_close_by_others_waits_for_a_burst_that_is_inside},
	};

	return UNIT_RUN("netvsc_vf_removal", tests);
}
