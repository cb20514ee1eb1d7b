/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device goes away and comes back, against a scripted host: as it was, as another one, or not at
 * all.
 */
#include <errno.h>
#include <limits.h>

#include <rte_version.h>

#include "test/unit/netvsc_recover_rig.h"

/* ---- as it was ---- */

static void
test_a_started_port_goes_on_as_it_was(void)
{
	static const enum rte_eth_event_type events[] = {
		RTE_ETH_EVENT_ERR_RECOVERING, RTE_ETH_EVENT_RECOVERY_SUCCESS};
	struct rte_eth_stats stats = {0};
	struct rte_mbuf *m[1];

	REQUIRE(recover_start());
	recover_check_frames(100);
	/* One is on its way: it is over, and was sent as far as anybody knows. */
	m[0] = fixture_mbuf(&f, 1000, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], m, 1), 1);
	recover_go_away();
	WAIT_FOR(atomic_load(&recover_tries) >= 2);
	CU_ASSERT_TRUE(recover_told(RTE_ETH_EVENT_ERR_RECOVERING));
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_DOWN);
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 0);
	/* Bursts do nothing, and whatever needs the device is told to wait. */
	m[0] = fixture_mbuf(&f, 100, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[0], m, 1), 0);
	rte_pktmbuf_free(m[0]);
	CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[0], m, 1), 0);
	CU_ASSERT_EQUAL(netvsc_promiscuous_enable(&f.eth), -EBUSY);
	CU_ASSERT_EQUAL(netvsc_mtu_set(&f.eth, 576), 0); /* asks for nothing */
	CU_ASSERT_EQUAL(netvsc_ops.dev_reset(&f.eth), -EBUSY);
	host.filter = 77;
	atomic_store(&recover_open_rc, 0);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	recover_check_told(events, RTE_DIM(events));
	recover_check_running();
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_UP);
	recover_check_frames(1514);
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
	CU_ASSERT_EQUAL(stats.ipackets, 2 * CHANNELS);
	CU_ASSERT_EQUAL(stats.opackets, 2 * CHANNELS + 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.failed), 0);
	recover_check_noted(0);
	recover_finish();
}

static void
test_a_stopped_port_comes_back_and_starts(void)
{
	REQUIRE(recover_start());
	recover_stop();
	recover_go_away();
	WAIT_FOR(atomic_load(&recover_tries) >= 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), -EBUSY);
	atomic_store(&recover_open_rc, 0);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	recover_check_running();
	recover_check_frames(200);
	recover_finish();
}

static void
test_it_goes_away_again_before_it_is_back(void)
{
	static const enum rung rungs[] = {INIT, SEND_BUF, RSS, SUBCHANNELS, FILTER};
	unsigned int i;

	for (i = 0; i < RTE_DIM(rungs); i++) {
		REQUIRE(recover_start());
		ladder_script(rungs[i], VANISH);
		atomic_store(&recover_open_rc, 0);
		recover_go_away();
		WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
		CU_ASSERT(atomic_load(&recover_tries) >= 2);
		CU_ASSERT(host.asked[rungs[i]] >= 2);
		CU_ASSERT_FALSE(recover_told(RTE_ETH_EVENT_INTR_RESET));
		recover_check_running();
		recover_check_frames(100);
		recover_finish();
	}
}

static void
test_it_goes_away_many_times(void)
{
	unsigned int i;

	REQUIRE(recover_start());
	atomic_store(&recover_open_rc, 0);
	for (i = 1; i <= 5; i++) {
		atomic_store(&recover_n_told, 0);
		recover_go_away();
		WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
		CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), i);
		recover_check_running();
		recover_check_frames(100 + i);
	}
	CU_ASSERT_EQUAL(f.closes, 5);
	recover_finish();
}

/* Frames of the receive buffer that the application holds are its own, whatever becomes of it. */
static void
test_frames_that_are_lent_stay(void)
{
	struct rte_mbuf *m[1];

	REQUIRE(recover_start_as((struct fixture_conf){.rx_copybreak = 64}, 60));
	CU_ASSERT_EQUAL(fixture_frames(&f, 1, 500, 4, 1, 1000, 70), 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[1], m, 1), 1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 1);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	recover_check_frames(900);
	CU_ASSERT_TRUE(fixture_mbuf_is(m[0], 1000, 70));
	rte_pktmbuf_free(m[0]);
	recover_finish();
}

/* ---- receive interrupts ---- */

static unsigned int intr_installs, intr_installed;

/* As over vfio-user and with uio: of channels that are there. */
static int
install_intr(struct hpbus_device *dev, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!f.host[i].open)
			return -ENOTSUP;
	intr_installs++;
	intr_installed = n;
	return 0;
}

static bool
start_sleepy(void)
{
	if (!recover_begin_as((struct fixture_conf){0}, 60))
		return false;
	intr_installs = intr_installed = 0;
	f.backend.intr_open = install_intr;
	f.data.dev_conf.intr_conf.rxq = 1;
	CU_ASSERT_EQUAL(vfu_signaller_init(&f.signaller), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installs, 1);
	CU_ASSERT_EQUAL(intr_installed, CHANNELS);
	return true;
}

/* Each host must get the descriptors, or nobody who sleeps is ever woken. */
static void
test_who_sleeps_is_woken_by_the_host_that_came_back(void)
{
	REQUIRE(start_sleepy());
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(intr_installs, 2);
	/* One that comes back to a port that is stopped gets them when it is started. */
	recover_stop();
	atomic_store(&recover_n_told, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(intr_installs, 2);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installs, 3);
	CU_ASSERT_EQUAL(intr_installed, CHANNELS);
	/* It has them. */
	recover_stop();
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installs, 3);
	recover_finish();
}

/* What the port had before it was configured with fewer queues is not asked for. */
static void
test_interrupts_of_queues_that_are_no_more(void)
{
	REQUIRE(start_sleepy());
	recover_stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = 1;
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS) ||
		 recover_told(RTE_ETH_EVENT_RECOVERY_FAILED));
	CU_ASSERT_TRUE(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(intr_installed, 1);
	recover_stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = CHANNELS;
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installed, CHANNELS);
	recover_finish();
}

/* ---- as another one ---- */

static void
test_what_does_not_fit_is_told_and_can_be_configured_anew(void)
{
	static const enum rte_eth_event_type events[] = {
		RTE_ETH_EVENT_ERR_RECOVERING, RTE_ETH_EVENT_RECOVERY_FAILED};

	REQUIRE(recover_start());
	host.grants = 1;
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_FAILED));
	recover_check_told(events, RTE_DIM(events));
	recover_check_noted(-ENOSPC);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.failed), 1);
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 0);
	CU_ASSERT_EQUAL(f.losses, 0);
	recover_stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = 2;
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 2);
	recover_stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = CHANNELS;
	recover_finish();
}

/* No room for the device now may be some later. */
static void
test_a_device_that_cannot_be_opened_is_tried_again(void)
{
	REQUIRE(recover_start());
	f.on_open = recover_on_open_there;
	atomic_store(&recover_open_rc, -ENOSPC);
	recover_go_away();
	WAIT_FOR(atomic_load(&recover_tries) >= 2 || recover_told(RTE_ETH_EVENT_RECOVERY_FAILED));
	CU_ASSERT_FALSE(recover_told(RTE_ETH_EVENT_RECOVERY_FAILED));
	atomic_store(&recover_open_rc, 0);
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

/* Or all packets in it would be copied from then on. */
static void
test_memory_that_cannot_be_shared_again_yet_is_tried_again(void)
{
	REQUIRE(recover_start());
	f.on_open = recover_on_open_there;
	atomic_store(&fixture_dma_busy, 2);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&fixture_dma_busy), 0);
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

/* Threads that cannot be had yet, of those that the driver asks for. */
static _Atomic unsigned int threads_short;

static bool
thread_refused(void)
{
	unsigned int left = atomic_load(&threads_short);

	return left != 0 && atomic_compare_exchange_strong(&threads_short, &left, left - 1);
}

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
int __real_rte_thread_create_control(
	rte_thread_t *thread, const char *name, rte_thread_func run, void *arg);
int __wrap_rte_thread_create_control(
	rte_thread_t *thread, const char *name, rte_thread_func run, void *arg);

int
__wrap_rte_thread_create_control(
	rte_thread_t *thread, const char *name, rte_thread_func run, void *arg)
{
	return thread_refused() ? -EAGAIN
				: __real_rte_thread_create_control(thread, name, run, arg);
}
#else
int __real_rte_ctrl_thread_create(pthread_t *thread, const char *name, const pthread_attr_t *attr,
	void *(*run)(void *arg), void *arg);
int __wrap_rte_ctrl_thread_create(pthread_t *thread, const char *name, const pthread_attr_t *attr,
	void *(*run)(void *arg), void *arg);

int
__wrap_rte_ctrl_thread_create(pthread_t *thread, const char *name, const pthread_attr_t *attr,
	void *(*run)(void *arg), void *arg)
{
	return thread_refused() ? -EAGAIN
				: __real_rte_ctrl_thread_create(thread, name, attr, run, arg);
}
#endif

/* Memory had run out for a moment, and the device was gone for good. */
static void
test_without_a_thread_for_a_moment_it_begins_later(void)
{
	static const enum rte_eth_event_type events[] = {
		RTE_ETH_EVENT_ERR_RECOVERING, RTE_ETH_EVENT_RECOVERY_SUCCESS};

	REQUIRE(recover_start());
	atomic_store(&recover_open_rc, 0);
	atomic_store(&threads_short, 3);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS) ||
		 recover_told(RTE_ETH_EVENT_INTR_RMV));
	CU_ASSERT_EQUAL(atomic_load(&threads_short), 0);
	recover_check_told(events, RTE_DIM(events));
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

/* The log is where a removal can come between the two. */
static ssize_t
on_log(void *cookie, const char *text, size_t len)
{
	if (memmem(text, len, "cannot be had there", 19) != NULL) {
		host.grants = CHANNELS - 1;
		recover_go_away();
	}
	return (ssize_t)len;
}

static void
test_away_again_while_it_is_found_not_to_fit(void)
{
	FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_log});

	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	setvbuf(log, NULL, _IONBF, 0);
	REQUIRE(recover_start());
	host.grants = 1;
	rte_openlog_stream(log);
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	rte_openlog_stream(NULL);
	fclose(log);
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

static void
test_an_older_host_does(void)
{
	REQUIRE(recover_start());
	host.newest = NVSP_VERSION_5;
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(f.port.session.nvsp_version, NVSP_VERSION_5);
	CU_ASSERT_EQUAL(f.port.limits.nvsp_version, NVSP_VERSION_5);
	recover_check_running();
	recover_check_frames(100);
	recover_finish();
}

/* The application's address goes with the port. */
static void
test_the_port_keeps_its_address(void)
{
	REQUIRE(recover_start());
	CU_ASSERT(rte_is_same_ether_addr(&f.data.mac_addrs[0], &ladder_users));
	atomic_store(&recover_open_rc, 0);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT(rte_is_same_ether_addr(&f.data.mac_addrs[0], &ladder_users));
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &ladder_users));
	/* A host that does not take it: the port has the device's own, and says so. */
	atomic_store(&recover_n_told, 0);
	ladder_script(USER_MAC, REFUSE);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT(rte_is_same_ether_addr(&f.data.mac_addrs[0], &ladder_own));
	recover_check_running();
	recover_finish();
}

/* ---- not at all ---- */

static void
test_a_device_that_does_not_come_back_is_removed(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_ERR_RECOVERING,
		RTE_ETH_EVENT_RECOVERY_FAILED, RTE_ETH_EVENT_INTR_RMV};

	REQUIRE(recover_start_as((struct fixture_conf){0}, 1));
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_INTR_RMV));
	recover_check_told(events, RTE_DIM(events));
	recover_check_noted(-ENODEV);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.failed), 1);
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 1);
	CU_ASSERT_EQUAL(f.losses, 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), -ENODEV);
	recover_finish();
}

/* It is there, and no thread is for as long as it is waited for. */
static void
test_a_device_for_which_there_is_never_a_thread_is_removed(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_ERR_RECOVERING,
		RTE_ETH_EVENT_RECOVERY_FAILED, RTE_ETH_EVENT_INTR_RMV};

	REQUIRE(recover_start_as((struct fixture_conf){0}, 1));
	atomic_store(&recover_open_rc, 0);
	atomic_store(&threads_short, UINT_MAX);
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_INTR_RMV));
	atomic_store(&threads_short, 0);
	recover_check_told(events, RTE_DIM(events));
	CU_ASSERT_EQUAL(atomic_load(&recover_tries), 0);
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), -ENODEV);
	recover_finish();
}

static void
test_a_device_that_nobody_waits_for_is_removed_at_once(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_INTR_RMV};

	REQUIRE(recover_start_as((struct fixture_conf){0}, 0));
	recover_go_away();
	WAIT_FOR(recover_told(RTE_ETH_EVENT_INTR_RMV));
	recover_check_told(events, RTE_DIM(events));
	CU_ASSERT_EQUAL(atomic_load(&recover_tries), 0);
	/* The bus has told EAL of this one. */
	CU_ASSERT_EQUAL(f.losses, 0);
	recover_finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a started port goes on as it was", test_a_started_port_goes_on_as_it_was},
		{"a stopped port comes back and starts", test_a_stopped_port_comes_back_and_starts},
		{"it goes away again before it is back", test_it_goes_away_again_before_it_is_back},
		{"it goes away many times", test_it_goes_away_many_times},
		{"frames that are lent stay", test_frames_that_are_lent_stay},
		{"who sleeps is woken by the host that came back",
			test_who_sleeps_is_woken_by_the_host_that_came_back},
		{"interrupts of queues that are no more",
			test_interrupts_of_queues_that_are_no_more},
		{"what does not fit is told and can be configured anew",
			test_what_does_not_fit_is_told_and_can_be_configured_anew},
		{"a device that cannot be opened is tried again",
			test_a_device_that_cannot_be_opened_is_tried_again},
		{"memory that cannot be shared again yet is tried again",
			test_memory_that_cannot_be_shared_again_yet_is_tried_again},
		{"without a thread for a moment it begins later",
			test_without_a_thread_for_a_moment_it_begins_later},
		{"away again while it is found not to fit",
			test_away_again_while_it_is_found_not_to_fit},
		{"an older host does", test_an_older_host_does},
		{"the port keeps its address", test_the_port_keeps_its_address},
		{"a device that does not come back is removed",
			test_a_device_that_does_not_come_back_is_removed},
		{"a device for which there is never a thread is removed",
			test_a_device_for_which_there_is_never_a_thread_is_removed},
		{"a device that nobody waits for is removed at once",
			test_a_device_that_nobody_waits_for_is_removed_at_once},
	};

	return UNIT_RUN("netvsc_recover", tests);
}
