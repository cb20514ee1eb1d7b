/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device goes away and comes back, against a scripted host: as it was, as another one, or not at
 * all; in the middle of operations, and with an application that closes its port at once. The alarm
 * and the thread of the recovery are the real ones; the host talks on whichever thread asks it.
 */
#include <errno.h>

#include <rte_cycles.h>
#include <rte_power_intrinsics.h>
#include <rte_version.h>

#include "drivers/net/netvsc/attach.h"
#include "test/unit/netvsc_ladder.h"

#define PATIENCE_MS 20000 /* on a busy machine */
#define FILTER_	    (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST)

/* ---- what the application is told ---- */

static _Atomic unsigned int n_told, told_event[16];
/* An event at which it closes the port, within the callback. */
static enum rte_eth_event_type closes_at = RTE_ETH_EVENT_MAX;
static _Atomic int closed;

int
rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event, void *ret)
{
	unsigned int n = atomic_load(&n_told);

	if (n < RTE_DIM(told_event))
		atomic_store(&told_event[n], event);
	atomic_store(&n_told, n + 1);
	if (event == closes_at)
		atomic_store(&closed, netvsc_ops.dev_close(dev));
	return 0;
}

static bool
told(enum rte_eth_event_type event)
{
	unsigned int i, n = RTE_MIN(atomic_load(&n_told), (unsigned int)RTE_DIM(told_event));

	for (i = 0; i < n; i++)
		if (atomic_load(&told_event[i]) == event)
			return true;
	return false;
}

/* These and no others, in this order. */
static void
check_told(const enum rte_eth_event_type *events, unsigned int n)
{
	unsigned int i;

	CU_ASSERT_EQUAL(atomic_load(&n_told), n);
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(atomic_load(&told_event[i]), events[i]);
}

#define WAIT_FOR(condition)                                                                        \
	do {                                                                                       \
		int64_t until_ = hpbus_now_ms() + PATIENCE_MS;                                     \
		while (!(condition) && hpbus_now_ms() < until_)                                    \
			rte_delay_us_sleep(1000);                                                  \
		CU_ASSERT_FATAL(condition);                                                        \
	} while (0)

/* ---- the device ---- */

static _Atomic int open_rc;
static _Atomic unsigned int tries;

static int
on_open(struct fixture *fixture)
{
	atomic_fetch_add(&tries, 1);
	return atomic_load(&open_rc);
}

static int
on_open_there(struct fixture *fixture)
{
	atomic_store(&f.bus.gone, false);
	return on_open(fixture);
}

/* As the bus does when it hears of it. */
static void
go_away(void)
{
	atomic_store(&f.bus.gone, true);
	if (!atomic_exchange(&f.bus.told, true))
		netvsc_recover_note(&f.port);
}

/* The host does one thing at a time: the alarm, the recovery's thread and the test all ask it. */
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;

/* The host vanishes at a rung of the ladder (once), and the bus hears of it. */
static void
on_signal_again(struct fixture *fixture)
{
	if (pthread_mutex_trylock(&host_lock) != 0)
		return; /* who waits asks again */
	ladder_turn();
	if (atomic_load(&f.bus.gone) && !atomic_load(&f.bus.told)) {
		host.deed = ANSWER;
		go_away();
	}
	pthread_mutex_unlock(&host_lock);
}

static void
on_signal(struct fixture *fixture, unsigned int ch)
{
	if (ch == 0)
		on_signal_again(fixture);
}

static bool
begin_as(struct fixture_conf conf, uint32_t recovery_s)
{
	atomic_store(&n_told, 0);
	atomic_store(&closed, 1);
	atomic_store(&open_rc, -ENOENT);
	atomic_store(&tries, 0);
	closes_at = RTE_ETH_EVENT_MAX;
	if (!ladder_begin_as(conf))
		return false;
	f.port.config.recovery_s = recovery_s;
	f.bus.driver_data = &f.port;
	f.on_open = on_open;
	f.on_signal = on_signal;
	f.on_signal_again = on_signal_again;
	f.port.recovery = (struct netvsc_recovery){0};
	f.port.limits.max_queues = CHANNELS;
	f.data.dev_conf.intr_conf.rmv = 1;
	CU_ASSERT_EQUAL(netvsc_events_start(&f.port), 0);
	return true;
}

static bool
start_as(struct fixture_conf conf, uint32_t recovery_s)
{
	if (!begin_as(conf, recovery_s))
		return false;
	CU_ASSERT_EQUAL(netvsc_session_want(&f.port, CHANNELS, 1500), 0);
	netvsc_rss_default(&f.port);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	return true;
}

static bool
start(void)
{
	return start_as((struct fixture_conf){0}, 60);
}

static void
stop(void)
{
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), 0);
	f.data.dev_started = 0;
}

static void
finish(void)
{
	struct hpbus_op op;

	if (f.data.dev_started)
		stop();
	netvsc_events_stop(&f.port);
	hpbus_op_begin(&op, &netvsc_op_close);
	CU_ASSERT_EQUAL(netvsc_recover_end(&f.port), 0);
	hpbus_op_end(&op);
	f.bus.driver_data = NULL;
	ladder_end();
}

static void
check_running(void)
{
	unsigned int i;

	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(f.port.session.n_channels, CHANNELS);
	CU_ASSERT_EQUAL(host.filter, FILTER_);
	for (i = 0; i < CHANNELS; i++)
		CU_ASSERT_EQUAL(fixture_channel(&f, i)->state, NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_FALSE(f.bus.returning);
}

/* The flight recorder has how it ended. */
static void
check_noted(int64_t value)
{
	struct netvsc_flight_event event = {.value = 1};

	CU_ASSERT_TRUE(netvsc_flight_last(&f.port.flight, NETVSC_FLIGHT_RECOVERY, &event));
	CU_ASSERT_EQUAL(event.value, value);
}

/* A frame goes each way on every queue, byte by byte. */
static void
check_frames(uint32_t len)
{
	struct rte_mbuf *m[4], *out;
	struct fixture_packet pkt;
	unsigned int q;

	pthread_mutex_lock(&host_lock);
	for (q = 0; q < CHANNELS; q++) {
		ladder_turn(); /* acks of the control path */
		CU_ASSERT_EQUAL(fixture_frames(&f, q, 500 + q, 4 + q, 1, len, 70 + q), 0);
		fixture_publish(&f, q);
		CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 1);
		CU_ASSERT_TRUE(fixture_mbuf_is(m[0], len, 70 + q));
		rte_pktmbuf_free(m[0]);
		out = fixture_mbuf(&f, len, 90 + q);
		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		CU_ASSERT_EQUAL_FATAL(netvsc_tx_burst(f.tx_queues[q], &out, 1), 1);
		do {
			CU_ASSERT_TRUE_FATAL(fixture_read(&f, q, &pkt));
		} while (pkt.desc.type == VMBUS_PACKET_COMPLETION);
		CU_ASSERT_EQUAL(fixture_complete(&f, q, pkt.desc.trans_id, NVSP_STATUS_SUCCESS), 0);
		fixture_publish(&f, q);
		CU_ASSERT_EQUAL(netvsc_rx_burst(f.rx_queues[q], m, RTE_DIM(m)), 0);
		CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[q], NULL, 0), 0);
		CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[q]), 0);
	}
	pthread_mutex_unlock(&host_lock);
}

/* ---- it comes back ---- */

static void
test_a_started_port_goes_on_as_it_was(void)
{
	static const enum rte_eth_event_type events[] = {
		RTE_ETH_EVENT_ERR_RECOVERING, RTE_ETH_EVENT_RECOVERY_SUCCESS};
	struct rte_eth_stats stats = {0};
	struct rte_mbuf *m[1];

	REQUIRE(start());
	check_frames(100);
	/* One is on its way: it is over, and was sent as far as anybody knows. */
	m[0] = fixture_mbuf(&f, 1000, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], m, 1), 1);
	go_away();
	WAIT_FOR(atomic_load(&tries) >= 2);
	CU_ASSERT_TRUE(told(RTE_ETH_EVENT_ERR_RECOVERING));
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
	atomic_store(&open_rc, 0);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	check_told(events, RTE_DIM(events));
	check_running();
	CU_ASSERT_EQUAL(f.data.dev_link.link_status, RTE_ETH_LINK_UP);
	check_frames(1514);
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
	CU_ASSERT_EQUAL(stats.ipackets, 2 * CHANNELS);
	CU_ASSERT_EQUAL(stats.opackets, 2 * CHANNELS + 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.failed), 0);
	check_noted(0);
	finish();
}

static void
test_a_stopped_port_comes_back_and_starts(void)
{
	REQUIRE(start());
	stop();
	go_away();
	WAIT_FOR(atomic_load(&tries) >= 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), -EBUSY);
	atomic_store(&open_rc, 0);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	check_running();
	check_frames(200);
	finish();
}

static void
test_it_goes_away_again_before_it_is_back(void)
{
	static const enum rung rungs[] = {INIT, SEND_BUF, RSS, SUBCHANNELS, FILTER};
	unsigned int i;

	for (i = 0; i < RTE_DIM(rungs); i++) {
		REQUIRE(start());
		ladder_script(rungs[i], VANISH);
		atomic_store(&open_rc, 0);
		go_away();
		WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
		CU_ASSERT(atomic_load(&tries) >= 2);
		CU_ASSERT(host.asked[rungs[i]] >= 2);
		CU_ASSERT_FALSE(told(RTE_ETH_EVENT_INTR_RESET));
		check_running();
		check_frames(100);
		finish();
	}
}

static void
test_it_goes_away_many_times(void)
{
	unsigned int i;

	REQUIRE(start());
	atomic_store(&open_rc, 0);
	for (i = 1; i <= 5; i++) {
		atomic_store(&n_told, 0);
		go_away();
		WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
		CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), i);
		check_running();
		check_frames(100 + i);
	}
	CU_ASSERT_EQUAL(f.closes, 5);
	finish();
}

/* Frames of the receive buffer that the application holds are its own, whatever becomes of it. */
static void
test_frames_that_are_lent_stay(void)
{
	struct rte_mbuf *m[1];

	REQUIRE(start_as((struct fixture_conf){.rx_copybreak = 64}, 60));
	CU_ASSERT_EQUAL(fixture_frames(&f, 1, 500, 4, 1, 1000, 70), 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL_FATAL(netvsc_rx_burst(f.rx_queues[1], m, 1), 1);
	CU_ASSERT_EQUAL(netvsc_rx_lent(&f.port), 1);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	check_frames(900);
	CU_ASSERT_TRUE(fixture_mbuf_is(m[0], 1000, 70));
	rte_pktmbuf_free(m[0]);
	finish();
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
	if (!begin_as((struct fixture_conf){0}, 60))
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
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(intr_installs, 2);
	/* One that comes back to a port that is stopped gets them when it is started. */
	stop();
	atomic_store(&n_told, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(intr_installs, 2);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installs, 3);
	CU_ASSERT_EQUAL(intr_installed, CHANNELS);
	/* It has them. */
	stop();
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installs, 3);
	finish();
}

/* What the port had before it was configured with fewer queues is not asked for. */
static void
test_interrupts_of_queues_that_are_no_more(void)
{
	REQUIRE(start_sleepy());
	stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = 1;
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS) || told(RTE_ETH_EVENT_RECOVERY_FAILED));
	CU_ASSERT_TRUE(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(intr_installed, 1);
	stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = CHANNELS;
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(intr_installed, CHANNELS);
	finish();
}

/* ---- as another one ---- */

static void
test_what_does_not_fit_is_told_and_can_be_configured_anew(void)
{
	static const enum rte_eth_event_type events[] = {
		RTE_ETH_EVENT_ERR_RECOVERING, RTE_ETH_EVENT_RECOVERY_FAILED};

	REQUIRE(start());
	host.grants = 1;
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_FAILED));
	check_told(events, RTE_DIM(events));
	check_noted(-ENOSPC);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.failed), 1);
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 0);
	CU_ASSERT_EQUAL(f.losses, 0);
	stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = 2;
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(f.port.session.n_channels, 2);
	stop();
	f.data.nb_rx_queues = f.data.nb_tx_queues = CHANNELS;
	finish();
}

/* No room for the device now may be some later. */
static void
test_a_device_that_cannot_be_opened_is_tried_again(void)
{
	REQUIRE(start());
	/* A backend that got as far as to find the device there. */
	f.on_open = on_open_there;
	atomic_store(&open_rc, -ENOSPC);
	go_away();
	WAIT_FOR(atomic_load(&tries) >= 2 || told(RTE_ETH_EVENT_RECOVERY_FAILED));
	CU_ASSERT_FALSE(told(RTE_ETH_EVENT_RECOVERY_FAILED));
	atomic_store(&open_rc, 0);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	check_running();
	check_frames(100);
	finish();
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

	REQUIRE(start());
	atomic_store(&open_rc, 0);
	atomic_store(&threads_short, 3);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS) || told(RTE_ETH_EVENT_INTR_RMV));
	CU_ASSERT_EQUAL(atomic_load(&threads_short), 0);
	check_told(events, RTE_DIM(events));
	check_running();
	check_frames(100);
	finish();
}

/* The log is where a removal can come between the two. */
static ssize_t
on_log(void *cookie, const char *text, size_t len)
{
	if (memmem(text, len, "cannot be had there", 19) != NULL) {
		host.grants = CHANNELS - 1;
		go_away();
	}
	return (ssize_t)len;
}

static void
test_away_again_while_it_is_found_not_to_fit(void)
{
	FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_log});

	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	setvbuf(log, NULL, _IONBF, 0);
	REQUIRE(start());
	host.grants = 1;
	rte_openlog_stream(log);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	rte_openlog_stream(NULL);
	fclose(log);
	check_running();
	check_frames(100);
	finish();
}

static void
test_an_older_host_does(void)
{
	REQUIRE(start());
	host.newest = NVSP_VERSION_5;
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(f.port.session.nvsp_version, NVSP_VERSION_5);
	CU_ASSERT_EQUAL(f.port.limits.nvsp_version, NVSP_VERSION_5);
	check_running();
	check_frames(100);
	finish();
}

/* The application's address goes with the port. */
static void
test_the_port_keeps_its_address(void)
{
	REQUIRE(start());
	CU_ASSERT(rte_is_same_ether_addr(&f.data.mac_addrs[0], &ladder_users));
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT(rte_is_same_ether_addr(&f.data.mac_addrs[0], &ladder_users));
	CU_ASSERT(rte_is_same_ether_addr(&f.port.session.mac, &ladder_users));
	/* A host that does not take it: the port has the device's own, and says so. */
	atomic_store(&n_told, 0);
	ladder_script(USER_MAC, REFUSE);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT(rte_is_same_ether_addr(&f.data.mac_addrs[0], &ladder_own));
	check_running();
	finish();
}

/* ---- not at all ---- */

static void
test_a_device_that_does_not_come_back_is_removed(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_ERR_RECOVERING,
		RTE_ETH_EVENT_RECOVERY_FAILED, RTE_ETH_EVENT_INTR_RMV};

	REQUIRE(start_as((struct fixture_conf){0}, 1));
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_INTR_RMV));
	check_told(events, RTE_DIM(events));
	check_noted(-ENODEV);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.done), 0);
	CU_ASSERT_EQUAL(atomic_load(&f.port.recovery.failed), 1);
	CU_ASSERT_EQUAL(netvsc_ops.is_removed(&f.eth), 1);
	CU_ASSERT_EQUAL(f.losses, 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), -ENODEV);
	finish();
}

static void
test_a_device_that_nobody_waits_for_is_removed_at_once(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_INTR_RMV};

	REQUIRE(start_as((struct fixture_conf){0}, 0));
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_INTR_RMV));
	check_told(events, RTE_DIM(events));
	CU_ASSERT_EQUAL(atomic_load(&tries), 0);
	/* The bus has told EAL of this one. */
	CU_ASSERT_EQUAL(f.losses, 0);
	finish();
}

/* ---- in the middle ---- */

static void
test_away_in_the_middle_of_configure(void)
{
	REQUIRE(begin_as((struct fixture_conf){0}, 60));
	ladder_script(RECV_BUF, VANISH);
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), -EAGAIN);
	atomic_store(&open_rc, 0);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(netvsc_ops.dev_configure(&f.eth), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	check_running();
	finish();
}

static void
test_away_in_the_middle_of_another_mtu(void)
{
	REQUIRE(start_as(
		(struct fixture_conf){
			.recv_section = 10240, .recv_count = 64, .room = 9216, .mbufs = 255},
		60));
	host.max_mtu = f.port.limits.mtu = 9216;
	ladder_script(RNDIS_INIT, VANISH);
	host.above = 1500;
	CU_ASSERT_EQUAL(netvsc_mtu_set(&f.eth, 9000), -EAGAIN);
	CU_ASSERT_FALSE(told(RTE_ETH_EVENT_INTR_RESET));
	atomic_store(&open_rc, 0);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	check_running();
	CU_ASSERT_EQUAL(f.port.session.mtu, 1500);
	check_frames(1000);
	finish();
}

static void
test_away_in_the_middle_of_a_stop(void)
{
	struct rte_mbuf *m;

	REQUIRE(start());
	/* In flight, so that the stop has something to wait for. */
	m = fixture_mbuf(&f, 100, 1);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[1], &m, 1), 1);
	ladder_script(FILTER, VANISH);
	stop();
	atomic_store(&open_rc, 0);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_EQUAL(netvsc_tx_inflight(f.tx_queues[1]), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	check_frames(100);
	finish();
}

/* The host is back and does not answer: who stops the port does not wait for it. */
static void
test_a_stop_ends_a_try(void)
{
	int64_t began;

	REQUIRE(start());
	ladder_script(SEND_BUF, SILENT);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(host.asked[SEND_BUF] > 0);
	began = hpbus_now_ms();
	stop();
	CU_ASSERT(hpbus_now_ms() - began < netvsc_op_stop.budget);
	ladder_script(OTHER, ANSWER);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_FALSE(told(RTE_ETH_EVENT_INTR_RESET));
	finish();
}

/* A thread that was killed in a burst, or stopped: what it may touch stays until it goes on. */
static void
test_a_burst_that_does_not_come_out(void)
{
	struct netvsc_channel *ch;
	int64_t began;

	REQUIRE(start());
	ch = fixture_channel(&f, 1);
	rte_spinlock_lock(&ch->tx_lock);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_ERR_RECOVERING));
	began = hpbus_now_ms();
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), -EBUSY);
	CU_ASSERT_EQUAL(f.data.dev_started, 0);
	CU_ASSERT(hpbus_now_ms() - began <= netvsc_op_stop.budget + 200);
	CU_ASSERT_EQUAL(f.closes, 0);
	CU_ASSERT_TRUE(f.host[1].open);
	rte_spinlock_unlock(&ch->tx_lock);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), 0);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	check_running();
	check_frames(100);
	finish();
}

/* An lcore that waits for a word in a ring reads it whenever it likes: the ring must be there. */
static void
test_a_word_that_is_waited_for_stays(void)
{
	struct rte_power_monitor_cond cond;

	REQUIRE(start());
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[1], &cond), 0);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(told(RTE_ETH_EVENT_ERR_RECOVERING));
	WAIT_FOR(f.port.recovery.said);
	CU_ASSERT_EQUAL(netvsc_get_monitor_addr(f.rx_queues[2], &cond), -EIO);
	CU_ASSERT_EQUAL(cond.fn(*(volatile uint32_t *)cond.addr, cond.opaque), 0);
	CU_ASSERT_EQUAL(f.closes, 0);
	stop();
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	check_frames(100);
	finish();
}

/* Nothing is left of a port that is closed, also when its recovery is at work. */
static void
check_closed(void)
{
	CU_ASSERT_EQUAL(atomic_load(&closed), 0);
	CU_ASSERT_FALSE(f.bus.kept);
	CU_ASSERT_FALSE(f.port.recovery.begun);
	CU_ASSERT_PTR_NULL(f.port.channels[0]);
	f.data.dev_started = 0;
	fixture_end(&f);
}

static void
test_a_close_ends_a_try(void)
{
	REQUIRE(start());
	ladder_script(SEND_BUF, SILENT);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(host.asked[SEND_BUF] > 0);
	f.data.mac_addrs = NULL;
	atomic_store(&closed, netvsc_ops.dev_close(&f.eth));
	check_closed();
}

/* ---- the backend waits for the host ---- */

static int (*channel_open)(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch);
static atomic_bool held, deaf;
static _Atomic unsigned int inside;

/* As a backend does while the host has no such channel; @deaf: a wait that cannot be ended. */
static int
held_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	while (atomic_load(&held)) {
		atomic_store(&inside, 1);
		if (!atomic_load(&deaf) && hpbus_op_given_up())
			return -ECANCELED;
		rte_delay_us_sleep(1000);
	}
	return channel_open(dev, index, ch);
}

static bool
start_held(bool is_deaf)
{
	if (!start())
		return false;
	channel_open = f.backend.channel_open;
	f.backend.channel_open = held_channel_open;
	atomic_store(&inside, 0);
	atomic_store(&deaf, is_deaf);
	atomic_store(&held, true);
	atomic_store(&open_rc, 0);
	go_away();
	WAIT_FOR(atomic_load(&inside) != 0);
	return true;
}

static void
test_a_stop_ends_a_wait_of_the_backend(void)
{
	REQUIRE(start_held(false));
	stop();
	atomic_store(&held, false);
	WAIT_FOR(told(RTE_ETH_EVENT_RECOVERY_SUCCESS));
	CU_ASSERT_EQUAL(netvsc_ops.dev_start(&f.eth), 0);
	f.data.dev_started = 1;
	check_running();
	check_frames(100);
	finish();
}

static void
test_a_close_ends_a_wait_of_the_backend(void)
{
	REQUIRE(start_held(false));
	atomic_store(&closed, netvsc_ops.dev_close(&f.eth));
	atomic_store(&held, false);
	check_closed();
}

/* Where it ends after the port is gone: nothing of ethdev's is there any more. */
static void
test_a_wait_of_the_backend_that_outlives_the_port(void)
{
	struct rte_eth_dev_data data;

	REQUIRE(start_held(true));
	CU_ASSERT_EQUAL(netvsc_ops.dev_close(&f.eth), -EBUSY);
	CU_ASSERT_TRUE(f.bus.kept);
	/* As ethdev releases it. */
	data = f.data;
	memset(&f.data, 0, sizeof(f.data));
	f.eth.data = NULL;
	f.eth.process_private = rte_eth_devices[f.port.port_id].process_private = NULL;
	atomic_store(&held, false);
	WAIT_FOR(atomic_load(&f.port.recovery.ended));
	netvsc_thread_join(f.port.recovery.thread);
	f.data = data;
	f.data.dev_private = &f.port;
	f.eth.data = &f.data;
	f.eth.process_private = rte_eth_devices[f.port.port_id].process_private = &f.bus;
	ladder_end();
}

static void
test_an_application_closes_when_it_is_told(void)
{
	static const enum rte_eth_event_type events[] = {RTE_ETH_EVENT_ERR_RECOVERING,
		RTE_ETH_EVENT_RECOVERY_SUCCESS, RTE_ETH_EVENT_RECOVERY_FAILED,
		RTE_ETH_EVENT_INTR_RMV};
	unsigned int i, n;

	for (i = 0; i < RTE_DIM(events); i++) {
		REQUIRE(start_as((struct fixture_conf){0}, 1));
		closes_at = events[i];
		if (events[i] == RTE_ETH_EVENT_RECOVERY_SUCCESS)
			atomic_store(&open_rc, 0);
		go_away();
		WAIT_FOR(atomic_load(&closed) != 1);
		check_closed();
		/* It was the last that the port said. */
		n = atomic_load(&n_told);
		rte_delay_us_sleep(100000);
		CU_ASSERT_EQUAL(atomic_load(&n_told), n);
		CU_ASSERT_EQUAL(atomic_load(&told_event[n - 1]), events[i]);
	}
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
		{"without a thread for a moment it begins later",
			test_without_a_thread_for_a_moment_it_begins_later},
		{"away again while it is found not to fit",
			test_away_again_while_it_is_found_not_to_fit},
		{"an older host does", test_an_older_host_does},
		{"the port keeps its address", test_the_port_keeps_its_address},
		{"a device that does not come back is removed",
			test_a_device_that_does_not_come_back_is_removed},
		{"a device that nobody waits for is removed at once",
			test_a_device_that_nobody_waits_for_is_removed_at_once},
		{"away in the middle of configure", test_away_in_the_middle_of_configure},
		{"away in the middle of another MTU", test_away_in_the_middle_of_another_mtu},
		{"away in the middle of a stop", test_away_in_the_middle_of_a_stop},
		{"a stop ends a try", test_a_stop_ends_a_try},
		{"a burst that does not come out", test_a_burst_that_does_not_come_out},
		{"a word that is waited for stays", test_a_word_that_is_waited_for_stays},
		{"a close ends a try", test_a_close_ends_a_try},
		{"a stop ends a wait of the backend", test_a_stop_ends_a_wait_of_the_backend},
		{"a close ends a wait of the backend", test_a_close_ends_a_wait_of_the_backend},
		{"a wait of the backend that outlives the port",
			test_a_wait_of_the_backend_that_outlives_the_port},
		{"an application closes when it is told",
			test_an_application_closes_when_it_is_told},
	};

	return UNIT_RUN("netvsc_recover", tests);
}
