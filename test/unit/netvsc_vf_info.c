/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an application is told of a port that asks as soon as EAL has begun: a VF whose bus is
 * probed behind the port's was announced a moment ago, and the control thread has met it in the
 * middle of its probe. The control thread is the driver's own.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/net/netvsc/ops.h"
#include "test/unit/netvsc_vf_rig.h"

#define PATIENCE 20000 /* ms, on a busy machine */

static int
found_before(struct netvsc_port *port, struct netvsc_vf_setup *setup)
{
	return 0;
}

/* The rig's port has a thread from now on. */
static void
thread_begin(void)
{
	static struct netvsc_vf_calls calls;

	calls = netvsc_vf_calls;
	calls.find_start = found_before;
	rig.vf.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&rig.vf.lock, NULL);
	netvsc_vf_machine_init(&rig.vf.machine);
	atomic_store(&rig.vf.references, 1);
	rig.vf.port = &rig.f.port;
	rig.vf.calls = &calls;
	rig.vf.setup = rig.setup;
	memset(&rig.setup, 0, sizeof(rig.setup));
	netvsc_vf_open(&rig.f.port);
	CU_ASSERT_TRUE(rig.vf.has_thread);
}

static void
thread_end(void)
{
	CU_ASSERT_TRUE(netvsc_vf_close(&rig.f.port));
	close(rig.vf.wake);
	pthread_mutex_destroy(&rig.vf.lock);
}

static bool
has_tried(void)
{
	bool has;

	pthread_mutex_lock(&rig.vf.lock);
	has = rig.vf.machine.own.after != 0;
	pthread_mutex_unlock(&rig.vf.lock);
	return has;
}

static bool
has_owned(void)
{
	struct netvsc_vf_status s;

	netvsc_vf_status(&rig.f.port, &s);
	return s.owned;
}

static bool
comes(bool (*what)(void))
{
	int64_t end = hpbus_now_ms() + PATIENCE;

	while (!what() && hpbus_now_ms() < end)
		usleep(100);
	return what();
}

static uint16_t
queues_told(void)
{
	struct rte_eth_dev_info info = {0};

	CU_ASSERT_EQUAL(netvsc_infos_get(&rig.f.eth, &info), 0);
	return info.max_rx_queues;
}

static void
test_vf_that_was_met_before_its_probe_was_over_limits_the_port(void)
{
	static const struct rte_driver driver = {.name = "net_fakevf"};
	static struct rte_bus vdev = {.name = "vdev"};
	static struct rte_device ring = {.name = "net_ring0", .bus = &vdev};
	unsigned int i;

	for (i = 0; i < 10; i++) {
		REQUIRE(rig_begin(NULL, "net_ring0", NULL));
		rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 0; /* not configured */
		thread_begin();
		ring.driver = NULL;
		CU_ASSERT_EQUAL(fake_vf_make(&ring, "net_ring0"), 0);
		fake_vf_knobs(fake_vf_find("net_ring0"))->queues = 2;
		CU_ASSERT_TRUE(comes(has_tried));
		/* Nobody knows, and nobody waits until he does. */
		CU_ASSERT_EQUAL(queues_told(), FIXTURE_CHANNELS);
		__atomic_store_n(&ring.driver, &driver, __ATOMIC_RELEASE);
		CU_ASSERT_EQUAL(queues_told(), 2);
		CU_ASSERT_TRUE(comes(has_owned));
		CU_ASSERT_EQUAL(queues_told(), 2);
		thread_end();
		rig.f.data.nb_rx_queues = rig.f.data.nb_tx_queues = 1;
		rig_end();
		CU_ASSERT_EQUAL(fake_vf_unmake(&ring), 0);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"VF that was met before its probe was over limits the port",
			test_vf_that_was_met_before_its_probe_was_over_limits_the_port},
	};

	return UNIT_RUN("netvsc_vf_info", tests);
}
