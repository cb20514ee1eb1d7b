/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VF that holds up its callers, a host that does not answer, and frames of other threads while
 * the VF comes and goes.
 */
#include <errno.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/vf_dev.h"
#include "test/unit/netvsc_vf_world.h"

/* One at a time: what NVSP answers is asked when the answer to a switch has come. */
static unsigned int waits;

static void
answer_in_a_moment(struct fixture *fixture)
{
	if (++waits == 20) {
		CU_ASSERT_EQUAL(host.requests, 0);
		host.holds = false;
		host_answer();
	}
	turn();
}

static void
test_a_request_waits_for_the_answer_to_a_switch(void)
{
	struct hpbus_op op;
	unsigned int granted;

	REQUIRE(begin());
	host.holds = true;
	join();
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	host_associate(true, SERIAL);
	UNTIL(host.tid != 0);
	waits = 0;
	f.on_signal_again = answer_in_a_moment;
	CU_ASSERT_EQUAL_FATAL(netvsc_control_begin(&f.port, &op, &netvsc_op_setting), 0);
	CU_ASSERT_EQUAL(netvsc_nvsp_subchannels(&f.port, 1, &granted), 0);
	netvsc_control_end(&f.port, &op);
	CU_ASSERT(waits >= 20);
	CU_ASSERT_EQUAL(host.requests, 1);
	CU_ASSERT_FALSE(netvsc_vf_switching(&f.port));
	end();
}

/* Pitfall V5: a VF that takes its time to start holds up nobody. */
static void
test_a_start_that_lasts_holds_up_nobody(void)
{
	int64_t began;

	REQUIRE(begin());
	atomic_store(&vf.hold_start, true);
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	join();
	UNTIL(atomic_load(&vf.in_start));
	CU_ASSERT_FALSE(goes_to_vf(1));
	began = hpbus_now_ms();
	CU_ASSERT_TRUE(leave());
	join();
	CU_ASSERT(hpbus_now_ms() - began < PATIENCE);
	CU_ASSERT_FALSE(goes_to_vf(2));
	/* The port has been stopped meanwhile: it is not what it was configured for. */
	atomic_store(&vf.hold_start, false);
	UNTIL(used());
	CU_ASSERT_EQUAL(atomic_load(&vf.starts), 2);
	CU_ASSERT_EQUAL(atomic_load(&vf.stops), 1);
	end();
}

/* Pitfall V6: nor does one whose stop never returns; the port is closed without it. */
static void
test_a_stop_that_hangs_holds_up_nobody(void)
{
	int64_t began;
	unsigned int i;

	REQUIRE(begin_used());
	atomic_store(&vf.hold_stop, true);
	CU_ASSERT_TRUE(leave());
	UNTIL(atomic_load(&vf.in_stop));
	join();
	CU_ASSERT_FALSE(goes_to_vf(1));
	CU_ASSERT_TRUE(leave());
	began = hpbus_now_ms();
	CU_ASSERT_TRUE(netvsc_vf_close(&f.port));
	CU_ASSERT(hpbus_now_ms() - began < PATIENCE);
	f.port.vf->has_thread = false; /* left alone */
	end();
	/* The port is gone when the call returns, and what is left is done. */
	atomic_store(&vf.hold_stop, false);
	for (i = 0; i < PATIENCE && atomic_load(&vf.disowns) == 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(atomic_load(&vf.disowns), 1);
}

/* A burst that does not come out of the VF's driver: the VF is not taken away from under it. */
static void *
burst_once(void *arg)
{
	struct rte_mbuf *m[1];

	netvsc_vf_rx_burst(f.rx_queues[0], m, 0);
	netvsc_vf_rx_burst(f.rx_queues[0], m, 1);
	return NULL;
}

/* Who was inside has come out: what he might have touched may go. */
static void
end_stuck(void)
{
	UNTIL(netvsc_channels_free(&f.port));
	CU_ASSERT_FALSE(fixture_channel(&f, 0)->stuck);
	end();
}

static void
test_a_burst_that_stays_inside_keeps_the_vf(void)
{
	pthread_t thread;
	int64_t began;

	REQUIRE(begin_used());
	atomic_store(&vf.hold_burst, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, burst_once, NULL), 0);
	UNTIL(atomic_load(&vf.in_burst));
	began = hpbus_now_ms();
	CU_ASSERT_FALSE(leave());
	CU_ASSERT(hpbus_now_ms() - began < PATIENCE);
	CU_ASSERT_FALSE(host.path_vf);
	CU_ASSERT_EQUAL(send_one(1), 0); /* nor any other way: the port is broken */
	CU_ASSERT_EQUAL(seen_vf, 0);
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	CU_ASSERT_FALSE(netvsc_vf_close(&f.port)); /* all stays */
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	atomic_store(&vf.hold_burst, false);
	pthread_join(thread, NULL);
	UNTIL(atomic_load(&vf.stops) == 1);
	end_stuck();
}

/* Nor is it while others than the lcores of its queues are inside: any number of them. */
static atomic_bool hold_question;
static atomic_uint in_question;

static __typeof__(((eth_rx_queue_count_t)NULL)(NULL))
vf_counts_slowly(void *queue)
{
	atomic_fetch_add(&in_question, 1);
	while (atomic_load(&hold_question))
		usleep(100);
	return 5;
}

static void *
ask_how_much_waits(void *arg)
{
	*(int *)arg = (int)f.eth.rx_queue_count(f.rx_queues[0]);
	return NULL;
}

static void
test_questions_that_stay_inside_keep_the_vf(void)
{
	const eth_rx_queue_count_t before = rte_eth_fp_ops[VF].rx_queue_count;
	int answers[2] = {0};
	pthread_t threads[2];
	unsigned int i;

	REQUIRE(begin_used());
	netvsc_set_status_calls(&f.eth);
	rte_eth_fp_ops[VF].rx_queue_count = vf_counts_slowly;
	atomic_store(&hold_question, true);
	atomic_store(&in_question, 0);
	for (i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&threads[i], NULL, ask_how_much_waits, &answers[i]), 0);
	UNTIL(atomic_load(&in_question) == 2);
	/* A burst may be inside at the same time, and its coming out is not theirs. */
	burst_once(NULL);
	CU_ASSERT_FALSE(leave());
	CU_ASSERT_TRUE(atomic_load(&vf.started));
	atomic_store(&hold_question, false);
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(answers[i], 5);
	}
	UNTIL(atomic_load(&vf.stops) == 1);
	/* Nobody asks a VF that frames do not come from. */
	CU_ASSERT_EQUAL((int)f.eth.rx_queue_count(f.rx_queues[0]), 0);
	CU_ASSERT_EQUAL(atomic_load(&in_question), 2);
	rte_eth_fp_ops[VF].rx_queue_count = before;
	end_stuck();
}

/* It comes back to the queue, which is not freed, and the application is told that it stays. */
static void
test_a_queue_stays_whose_burst_hangs_inside_of_the_vf(void)
{
	static const struct hpbus_op_kind soon = {"a test", 150, 50, true};
	static _Alignas(64) uint8_t pages[2 * VMBUS_PAGE_SIZE];
	static const struct rte_memzone zone = {.addr = pages, .len = sizeof(pages)};
	struct netvsc_rxq *rxq;
	struct hpbus_op op;
	pthread_t thread;

	REQUIRE(begin_used());
	f.port.control_zone = &zone; /* where a stop writes what it does not get rid of */
	rxq = fixture_rxq(&f, 0);
	atomic_store(&vf.hold_burst, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, burst_once, NULL), 0);
	UNTIL(atomic_load(&vf.in_burst));
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_EQUAL(netvsc_ops.dev_stop(&f.eth), -EBUSY);
	CU_ASSERT_EQUAL(f.data.dev_started, 0); /* all the same: a close refuses what is started */
	CU_ASSERT_TRUE(fixture_channel(&f, 0)->stuck);
	CU_ASSERT_EQUAL(netvsc_ops.dev_reset(&f.eth), -EBUSY);
	hpbus_op_end(&op);
	netvsc_rx_queue_release(&f.eth, 0);
	CU_ASSERT_PTR_NULL(f.rx_queues[0]);
	CU_ASSERT_PTR_EQUAL(rxq->port, &f.port); /* rte_free() clears what it frees */
	CU_ASSERT_FALSE(netvsc_channels_free(&f.port));
	atomic_store(&vf.hold_burst, false);
	pthread_join(thread, NULL);
	f.rx_queues[0] = rxq;
	f.port.control_zone = NULL;
	UNTIL(atomic_load(&vf.stops) == 1);
	end_stuck();
}

/* A queue alone; the path of the others may still be on. */
static void
test_a_queue_stop_tells_of_a_burst_that_hangs_inside_of_the_vf(void)
{
	pthread_t thread;

	REQUIRE(begin_used());
	atomic_store(&vf.hold_burst, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, burst_once, NULL), 0);
	UNTIL(atomic_load(&vf.in_burst));
	CU_ASSERT_EQUAL(netvsc_rx_queue_stop(&f.eth, 0), -EBUSY);
	CU_ASSERT_TRUE(fixture_channel(&f, 0)->stuck);
	CU_ASSERT(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	atomic_store(&vf.hold_burst, false);
	pthread_join(thread, NULL);
	UNTIL(atomic_load(&vf.stops) == 1);
	end_stuck();
}

/* Whatever breaks it: a port that is broken sends through no VF. */
static void
test_a_channel_that_is_stuck_takes_the_port_off_the_vf(void)
{
	static const struct hpbus_op_kind soon = {"a test", 150, 50, false};
	struct netvsc_channel *ch;
	struct hpbus_op op;

	REQUIRE(begin_used());
	ch = fixture_channel(&f, 0);
	rte_spinlock_lock(&ch->tx_lock);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_FALSE(netvsc_channel_lock(ch, &ch->tx_lock));
	hpbus_op_end(&op);
	CU_ASSERT_EQUAL(netvsc_vf_path(f.port.vf_tx), 0);
	CU_ASSERT_EQUAL(send_one(1), 0);
	rte_spinlock_unlock(&ch->tx_lock);
	CU_ASSERT_TRUE(leave());
	end_stuck();
}

/* The handler of a signal closes the port; the thread that it interrupted has a lock. */
static void
test_a_close_ends_that_interrupts_a_look_at_the_vf(void)
{
	static const struct hpbus_op_kind soon = {"a test", 150, 50, true};
	struct netvsc_vf_status s;
	struct hpbus_op op;

	REQUIRE(begin_used());
	hpbus_op_begin(&op, &soon);
	pthread_mutex_lock(&f.port.vf->lock);
	CU_ASSERT_FALSE(netvsc_vf_leave(&f.port, true));
	CU_ASSERT_FALSE(netvsc_vf_close(&f.port)); /* all stays */
	netvsc_vf_status(&f.port, &s);
	CU_ASSERT_TRUE(s.found);
	netvsc_vf_session_ends(&f.port, false);
	pthread_mutex_unlock(&f.port.vf->lock);
	rte_spinlock_lock(&netvsc_vf_lock);
	CU_ASSERT_FALSE(netvsc_vf_close(&f.port));
	rte_spinlock_unlock(&netvsc_vf_lock);
	hpbus_op_end(&op);
	CU_ASSERT_TRUE(leave());
	end_stuck();
}

/* Pitfall V7: at any moment of a VF's coming. */
static void
test_a_close_ends_whatever_the_vf_does(void)
{
	unsigned int i;
	int64_t began;

	for (i = 0; i < 60; i++) {
		REQUIRE(begin());
		host_associate(true, SERIAL);
		scan();
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		join();
		usleep(i * 20);
		if (i % 3 == 0)
			turn();
		if (i % 3 == 1)
			netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		CU_ASSERT_TRUE(leave());
		began = hpbus_now_ms();
		CU_ASSERT_TRUE(netvsc_vf_close(&f.port));
		CU_ASSERT(hpbus_now_ms() - began < PATIENCE);
		CU_ASSERT_FALSE(atomic_load(&vf.owned));
		CU_ASSERT_FALSE(atomic_load(&vf.started));
		end();
	}
}

/* ---- flips under bursts of other threads ---- */

static struct {
	atomic_bool stop;
	_Atomic uint32_t sent; /* numbers from 0 */
	_Atomic uint32_t received, twice, foreign;
	uint8_t got[FRAMES];
} traffic;

static void *
sender(void *arg)
{
	struct rte_mbuf *m[8];
	uint32_t next = 0;
	uint16_t n, i;

	while (!atomic_load(&traffic.stop) && next < FRAMES - 8) {
		for (n = 0; n < 8; n++) {
			m[n] = numbered(next + n);
			if (m[n] == NULL)
				break;
		}
		i = netvsc_vf_tx_burst(f.tx_queues[0], m, n);
		next += i;
		rte_pktmbuf_free_bulk(m + i, n - i);
		atomic_store(&traffic.sent, next);
		usleep(i < n || n == 0 ? 50 : 20);
	}
	return NULL;
}

static void *
receiver(void *arg)
{
	struct rte_mbuf *m[16];
	uint32_t number;
	uint16_t n, i;

	while (!atomic_load(&traffic.stop)) {
		n = netvsc_vf_rx_burst(f.rx_queues[0], m, 16);
		for (i = 0; i < n; i++) {
			memcpy(&number, rte_pktmbuf_mtod_offset(m[i], void *, 14), sizeof(number));
			if (m[i]->port != f.data.port_id || number >= FRAMES)
				atomic_fetch_add(&traffic.foreign, 1);
			else if (traffic.got[number]++ != 0)
				atomic_fetch_add(&traffic.twice, 1);
			atomic_fetch_add(&traffic.received, 1);
			rte_pktmbuf_free(m[i]);
		}
		if (n == 0)
			usleep(20);
	}
	return NULL;
}

/* A numbered frame to the guest, on either path. @return whether there was room */
static bool
inject(uint32_t number)
{
	static uint32_t section;
	struct fixture_frame frame = {.len = FRAME};
	struct vmbus_xfer_range range;
	struct rte_mbuf *m;

	if (number % 2 == 0) {
		m = numbered(number);
		if (m == NULL || rte_ring_enqueue(vf.rx, m) != 0) {
			rte_pktmbuf_free(m);
			return false;
		}
		return true;
	}
	section = (section + 1) % 64;
	range = fixture_message(&f, section, &frame);
	number_put(f.bus.recv.base + range.byte_offset + FIXTURE_DATA_AT, number);
	return fixture_xfer(&f, 0, number, &range, 1) == 0;
}

/* There and back, in one of the ways that there are. */
static void
flip(unsigned int i)
{
	uint64_t before = status().counts.to_vf;

	host.strict = i % 7 != 0;
	switch (i % 7) {
	case 0:
		host_force();
		UNTIL(!used());
		/* What a host does that wants it back soon. */
		host_associate(false, SERIAL);
		host_associate(true, SERIAL);
		break;
	case 1:
		atomic_store(&vf.link, false);
		netvsc_vf_event(&f.port, NETVSC_VF_LINK, 0);
		UNTIL(!host.path_vf);
		atomic_store(&vf.link, true);
		netvsc_vf_event(&f.port, NETVSC_VF_LINK, 1);
		break;
	case 2:
		host_associate(false, SERIAL);
		UNTIL(!host.path_vf);
		host_associate(true, SERIAL + i);
		break;
	case 3:
		netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		UNTIL(!atomic_load(&vf.owned));
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		break;
	case 4:
		netvsc_vf_event(&f.port, NETVSC_VF_RECOVERING, VF);
		UNTIL(!host.path_vf);
		netvsc_vf_event(&f.port, NETVSC_VF_RECOVERED, VF);
		break;
	case 5:
		CU_ASSERT_TRUE(leave());
		join();
		break;
	default:
		/* Faster than anybody looks. */
		netvsc_vf_event(&f.port, NETVSC_VF_LOST, VF);
		netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
		break;
	}
	UNTIL(status().counts.to_vf > before && used());
}

static void
test_flips_under_bursts_lose_and_double_nothing(void)
{
	const unsigned int flips = 140;
	pthread_t tx, rx;
	uint32_t injected = 0, i, missing = 0, doubled = 0;

	REQUIRE(begin_used());
	memset(&traffic, 0, sizeof(traffic));
	host.polled = true;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&tx, NULL, sender, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&rx, NULL, receiver, NULL), 0);
	for (i = 0; i < flips; i++) {
		flip(i);
		/* Some frames on each path, at most as many as are in the sections. */
		while (injected < FRAMES && injected - atomic_load(&traffic.received) < 48 &&
			inject(injected))
			injected++;
		turn();
	}
	UNTIL(atomic_load(&traffic.received) == injected);
	atomic_store(&traffic.stop, true);
	pthread_join(tx, NULL);
	pthread_join(rx, NULL);
	host.polled = false;
	host.strict = false;
	turn();
	for (i = 0; i < FRAMES; i++) {
		missing += i < atomic_load(&traffic.sent) && seen[i] == 0;
		doubled += seen[i] > (i < atomic_load(&traffic.sent));
	}
	printf("%u sent (%u by the VF), %u received ", atomic_load(&traffic.sent), seen_vf,
		injected);
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(doubled, 0);
	CU_ASSERT_EQUAL(damaged, 0);
	CU_ASSERT_EQUAL(atomic_load(&traffic.twice), 0);
	CU_ASSERT_EQUAL(atomic_load(&traffic.foreign), 0);
	CU_ASSERT(seen_vf != 0 && seen_synthetic != 0);
	/* Nor was anything sent there while the host had not opened it. */
	CU_ASSERT_EQUAL(host.early, 0);
	CU_ASSERT(status().counts.to_vf >= flips);
	end();
}

/* A frame in two mbufs, for a VF that takes one; in between neither an mbuf nor room in the VF's
 * queue. */
static void
test_a_chain_that_cannot_be_copied_yet_waits(void)
{
	static struct rte_mbuf *all[1 << 14];
	struct rte_mbuf *m[2], *part;
	unsigned int n = 0, filled = 0;

	REQUIRE(begin());
	f.port.vf->setup.mtu_segs = 1;
	join();
	host_associate(true, SERIAL);
	netvsc_vf_event(&f.port, NETVSC_VF_FOUND, VF);
	UNTIL(used());
	m[0] = numbered(0);
	m[1] = numbered(1);
	part = rte_pktmbuf_alloc(f.pool);
	REQUIRE(m[0] != NULL && m[1] != NULL && part != NULL);
	part->data_len = 10;
	memcpy(rte_pktmbuf_mtod(part, void *), rte_pktmbuf_mtod_offset(m[1], void *, FRAME - 10),
		10);
	m[1]->data_len = FRAME - 10;
	m[1]->next = part;
	m[1]->nb_segs = 2;
	while (n < RTE_DIM(all) && (all[n] = rte_pktmbuf_alloc(f.pool)) != NULL)
		n++;
	REQUIRE(n < RTE_DIM(all));
	CU_ASSERT_EQUAL(netvsc_vf_tx_burst(f.tx_queues[0], m, 2), 1);
	CU_ASSERT_EQUAL(netvsc_vf_tx_burst(f.tx_queues[0], m + 1, 1), 0);
	rte_pktmbuf_free_bulk(all, n);
	while (send_one(2 + filled) == 1)
		filled++;
	n = rte_mempool_in_use_count(f.pool);
	CU_ASSERT_EQUAL(netvsc_vf_tx_burst(f.tx_queues[0], m + 1, 1), 0);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(f.pool), n); /* the copy is back */
	turn();
	CU_ASSERT_EQUAL(netvsc_vf_tx_burst(f.tx_queues[0], m + 1, 1), 1);
	turn();
	CU_ASSERT_EQUAL(seen_vf, 2 + filled);
	CU_ASSERT_EQUAL(damaged, 0);
	CU_ASSERT(seen[0] == 1 && seen[1] == 1);
	CU_ASSERT_EQUAL(f.port.vf_tx[0].packets, 2 + filled);
	CU_ASSERT_EQUAL(fixture_txq(&f, 0)->drops.unsendable, 0);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a request waits for the answer to a switch",
			test_a_request_waits_for_the_answer_to_a_switch},
		{"a start that lasts holds up nobody", test_a_start_that_lasts_holds_up_nobody},
		{"a stop that hangs holds up nobody", test_a_stop_that_hangs_holds_up_nobody},
		{"a burst that stays inside keeps the VF",
			test_a_burst_that_stays_inside_keeps_the_vf},
		{"questions that stay inside keep the VF",
			test_questions_that_stay_inside_keep_the_vf},
		{"a queue stays whose burst hangs inside of the VF",
			test_a_queue_stays_whose_burst_hangs_inside_of_the_vf},
		{"a queue stop tells of a burst that hangs inside of the VF",
			test_a_queue_stop_tells_of_a_burst_that_hangs_inside_of_the_vf},
		{"a channel that is stuck takes the port off the VF",
			test_a_channel_that_is_stuck_takes_the_port_off_the_vf},
		{"a close ends that interrupts a look at the VF",
			test_a_close_ends_that_interrupts_a_look_at_the_vf},
		{"a close ends whatever the VF does", test_a_close_ends_whatever_the_vf_does},
		{"flips under bursts lose and double nothing",
			test_flips_under_bursts_lose_and_double_nothing},
		{"a chain that cannot be copied yet waits",
			test_a_chain_that_cannot_be_copied_yet_waits},
	};

	return UNIT_RUN("netvsc_vf_trouble", tests);
}
