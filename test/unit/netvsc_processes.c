/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port that several processes have: one program plays them all, by being now this one, now
 * another.
 */
#include <errno.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/process.h"
#include "test/unit/netvsc_fixture.h"

static struct fixture f;
static struct rte_mbuf *got[32];

static const struct netvsc_process primary = {NETVSC_PRIMARY, 1}, second = {2, 2}, third = {4, 3};

static struct netvsc_channel *
channel(void)
{
	return fixture_channel(&f, 0);
}

static void
a_frame_comes(uint64_t tid)
{
	fixture_frames(&f, 0, tid, 0, 1, 100, tid);
	fixture_publish(&f, 0);
}

/* Frames that a receive burst of a process takes. */
static uint16_t
receive_as(struct netvsc_process process)
{
	uint16_t n;

	netvsc_process = process;
	n = netvsc_rx_burst(fixture_rxq(&f, 0), got, 32);
	netvsc_process = primary;
	rte_pktmbuf_free_bulk(got, n);
	return n;
}

static uint16_t
send_as(struct netvsc_process process)
{
	struct rte_mbuf *m = fixture_mbuf(&f, 100, 1);
	uint16_t n;

	netvsc_process = process;
	n = netvsc_tx_burst(fixture_txq(&f, 0), &m, 1);
	netvsc_process = primary;
	if (n == 0)
		rte_pktmbuf_free(m);
	return n;
}

static void
begin(void)
{
	fixture_processes = 0;
	REQUIRE(fixture_begin(&f, NULL));
	f.bus.driver_data = &f.port;
}

static void
end(void)
{
	fixture_processes = 0;
	fixture_end(&f);
}

/* Its rings may be elsewhere, or nowhere. */
static void
who_has_not_mapped_all_does_nothing(void)
{
	begin();
	a_frame_comes(1);
	CU_ASSERT_EQUAL(receive_as(second), 0);
	CU_ASSERT_EQUAL(send_as(second), 0);
	fixture_processes = second.bit;
	netvsc_process_ready(&f.bus);
	CU_ASSERT_EQUAL(receive_as(third), 0);
	CU_ASSERT_EQUAL(send_as(third), 0);
	CU_ASSERT_EQUAL(receive_as(second), 1);
	CU_ASSERT_EQUAL(send_as(second), 1);
	a_frame_comes(2);
	CU_ASSERT_EQUAL(receive_as(primary), 1);
	/* It has left. */
	fixture_processes = 0;
	netvsc_process_ready(&f.bus);
	a_frame_comes(3);
	CU_ASSERT_EQUAL(receive_as(second), 0);
	CU_ASSERT_EQUAL(receive_as(primary), 1);
	end();
}

/* It would unmap rings under its own bursts. */
static void
who_leaves_hears_that_a_channel_is_busy(void)
{
	begin();
	fixture_processes = second.bit;
	CU_ASSERT_TRUE(netvsc_process_ready(&f.bus));
	fixture_processes = 0;
	netvsc_process = third;
	CU_ASSERT_TRUE(netvsc_trylock(&channel()->rx_lock));
	netvsc_process = primary;
	CU_ASSERT_FALSE(netvsc_process_ready(&f.bus));
	CU_ASSERT_FALSE(netvsc_process_ended(&f.bus, 1));
	CU_ASSERT_EQUAL(channel()->live, NETVSC_PRIMARY | second.bit);
	netvsc_channel_unlock(&channel()->rx_lock);
	CU_ASSERT_TRUE(netvsc_process_ready(&f.bus));
	CU_ASSERT_EQUAL(channel()->live, NETVSC_PRIMARY);
	end();
}

static void
who_comes_starts_no_queue(void)
{
	begin();
	netvsc_channel_run(channel(), false, true);
	fixture_processes = second.bit;
	netvsc_process_ready(&f.bus);
	a_frame_comes(1);
	CU_ASSERT_EQUAL(receive_as(second), 0);
	CU_ASSERT_EQUAL(send_as(second), 1);
	netvsc_channel_set(channel(), NETVSC_CHANNEL_OPEN);
	netvsc_process_ready(&f.bus);
	CU_ASSERT_EQUAL(channel()->live, 0);
	CU_ASSERT_EQUAL(send_as(second), 0);
	netvsc_channel_set(channel(), NETVSC_CHANNEL_RUNNING);
	CU_ASSERT_EQUAL(channel()->live, NETVSC_PRIMARY | second.bit);
	end();
}

static void
killed_outside_of_a_burst(void)
{
	begin();
	fixture_processes = second.bit;
	netvsc_process_ready(&f.bus);
	fixture_processes = 0;
	netvsc_process_ended(&f.bus, 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(atomic_load(&f.port.events), 0);
	a_frame_comes(1);
	CU_ASSERT_EQUAL(receive_as(primary), 1);
	CU_ASSERT_EQUAL(send_as(primary), 1);
	end();
}

/* The port would be stuck for ever; instead it is broken, and another session helps. */
static void
killed_inside_of_a_burst(bool rx)
{
	rte_spinlock_t *lock;

	begin();
	lock = rx ? &channel()->rx_lock : &channel()->tx_lock;
	netvsc_process = second;
	CU_ASSERT_TRUE(netvsc_trylock(lock));
	netvsc_process = primary;
	/* Another one's death is nothing to it. */
	netvsc_process_ended(&f.bus, 2);
	CU_ASSERT_TRUE(rte_spinlock_is_locked(lock));
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	netvsc_process_ended(&f.bus, 1);
	CU_ASSERT_FALSE(rte_spinlock_is_locked(lock));
	CU_ASSERT_TRUE(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	CU_ASSERT_TRUE(atomic_load(&f.port.events) & NETVSC_EVENT_RESET);
	CU_ASSERT_TRUE(netvsc_channels_free(&f.port));
	a_frame_comes(1);
	CU_ASSERT_EQUAL(receive_as(primary), 0);
	CU_ASSERT_EQUAL(send_as(primary), 0);
	CU_ASSERT_TRUE(netvsc_channel_set(channel(), NETVSC_CHANNEL_OPEN));
	end();
}

static void
killed_inside_of_a_receive_burst(void)
{
	killed_inside_of_a_burst(true);
}

static void
killed_inside_of_a_send_burst(void)
{
	killed_inside_of_a_burst(false);
}

/* Who reads statistics has no part in the rings. */
static void
killed_while_it_read_statistics(void)
{
	struct rte_eth_stats stats;

	begin();
	netvsc_process = second;
	CU_ASSERT_TRUE(netvsc_trylock(&f.port.counts.lock));
	netvsc_process = primary;
	netvsc_process_ended(&f.bus, 1);
	CU_ASSERT_EQUAL(atomic_load(&f.port.state), NETVSC_STATE_RUNNING);
	CU_ASSERT_EQUAL(netvsc_stats_get(&f.eth, &stats, NULL), 0);
	end();
}

/* Sections are lent to queues under a lock that bursts wait for. */
static void
killed_while_it_borrowed_sections(void)
{
	begin();
	f.port.sections.lock = second.holder;
	netvsc_process_ended(&f.bus, 1);
	CU_ASSERT_EQUAL(f.port.sections.lock, 0);
	CU_ASSERT_TRUE(atomic_load(&f.port.state) & NETVSC_STATE_BROKEN);
	end();
}

/* A burst of another process has the queue in hand while the primary sets it up anew. */
static void
a_released_queue_is_over_for_who_has_it_in_hand(void)
{
	const struct rte_eth_rxconf rxconf = {.rx_drop_en = 1};
	const struct rte_eth_txconf txconf = {0};
	struct netvsc_rxq *rxq;
	struct netvsc_txq *txq;
	struct rte_mbuf *m;

	begin();
	rxq = fixture_rxq(&f, 0);
	txq = fixture_txq(&f, 0);
	fixture_processes = second.bit;
	netvsc_channel_set(channel(), NETVSC_CHANNEL_OPEN);
	netvsc_rx_queue_release(&f.eth, 0);
	netvsc_tx_queue_release(&f.eth, 0);
	CU_ASSERT_EQUAL(netvsc_rx_queue_setup(&f.eth, 0, 256, 0, &rxconf, f.pool), 0);
	CU_ASSERT_EQUAL(netvsc_tx_queue_setup(&f.eth, 0, 256, 0, &txconf), 0);
	netvsc_tx_template(fixture_txq(&f, 0));
	atomic_store(&channel()->txq, fixture_txq(&f, 0));
	CU_ASSERT_PTR_NOT_EQUAL(fixture_rxq(&f, 0), rxq);
	netvsc_channel_set(channel(), NETVSC_CHANNEL_RUNNING);
	a_frame_comes(1);
	m = fixture_mbuf(&f, 100, 1);
	netvsc_process = second;
	CU_ASSERT_EQUAL(netvsc_rx_burst(rxq, got, 32), 0);
	CU_ASSERT_EQUAL(netvsc_tx_burst(txq, &m, 1), 0);
	netvsc_process = primary;
	rte_pktmbuf_free(m);
	CU_ASSERT_EQUAL(receive_as(second), 1);
	CU_ASSERT_EQUAL(send_as(second), 1);
	end();
}

/* The function that takes it back is one process's. */
static void
with_others_no_frame_is_lent(void)
{
	const struct fixture_conf lending = {.rx_copybreak = 256};

	fixture_processes = 0;
	REQUIRE(fixture_begin(&f, &lending));
	f.bus.driver_data = &f.port;
	fixture_frames(&f, 0, 1, 0, 1, 800, 1);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(fixture_rxq(&f, 0), got, 32), 1);
	CU_ASSERT(RTE_MBUF_HAS_EXTBUF(got[0]) != 0);
	rte_pktmbuf_free(got[0]);
	netvsc_process_came(&f.bus);
	fixture_frames(&f, 0, 2, 0, 1, 800, 2);
	fixture_publish(&f, 0);
	CU_ASSERT_EQUAL(netvsc_rx_burst(fixture_rxq(&f, 0), got, 32), 1);
	CU_ASSERT(RTE_MBUF_HAS_EXTBUF(got[0]) == 0);
	CU_ASSERT_TRUE(fixture_mbuf_is(got[0], 800, 2));
	rte_pktmbuf_free(got[0]);
	end();
}

/* The primary waits for a device that a secondary has found to be gone. */
static void
a_secondary_polls_on_while_a_device_is_away(void)
{
	struct rte_eth_fp_ops *fp;

	begin();
	fp = &rte_eth_fp_ops[f.eth.data->port_id];
	f.eth.process_private = &f.bus;
	f.bus.driver_eth = &f.eth;
	f.eth.rx_pkt_burst = netvsc_rx_burst;
	f.eth.tx_pkt_burst = netvsc_tx_burst;
	atomic_store(&f.bus.gone, true);
	netvsc_secondary_changed(&f.bus);
	CU_ASSERT(fp->rx_pkt_burst == netvsc_rx_burst && fp->tx_pkt_burst == netvsc_tx_burst);
	fp->rx_pkt_burst = NULL;
	atomic_store(&f.bus.gone, false);
	netvsc_secondary_changed(&f.bus);
	CU_ASSERT(fp->rx_pkt_burst == netvsc_rx_burst && fp->tx_pkt_burst == netvsc_tx_burst);
	end();
}

static unsigned int removals;

static int
on_removal(uint16_t port, enum rte_eth_event_type event, void *arg, void *ret)
{
	removals++;
	return 0;
}

/* The bus calls when it has no lock; no alarm is set, for which there may be no memory. */
static void
the_application_of_a_secondary_hears_of_a_removal(void)
{
	struct rte_eth_dev *eth;

	begin();
	eth = rte_eth_dev_allocate("removed");
	CU_ASSERT_PTR_NOT_NULL_FATAL(eth);
	eth->data->dev_private = &f.port;
	snprintf(f.bus.sharing.port, sizeof(f.bus.sharing.port), "removed");
	CU_ASSERT_EQUAL_FATAL(netvsc_secondary_probe(&f.bus), 0);
	netvsc_process = primary;
	removals = 0;
	CU_ASSERT_EQUAL(rte_eth_dev_callback_register(
				eth->data->port_id, RTE_ETH_EVENT_INTR_RMV, on_removal, NULL),
		0);
	atomic_store(&f.bus.told, true);
	netvsc_secondary_changed(&f.bus);
	CU_ASSERT_TRUE(f.bus.removed);
	CU_ASSERT_EQUAL(removals, 0);
	netvsc_secondary_removed(eth);
	CU_ASSERT_EQUAL(removals, 1);
	eth->data->dev_private = NULL; /* the fixture's, which ethdev would free */
	CU_ASSERT_EQUAL(netvsc_secondary_remove(&f.bus), 0);
	/* It was closed meanwhile. */
	netvsc_secondary_removed(eth);
	CU_ASSERT_EQUAL(removals, 1);
	end();
}

static void
hosts_are_signalled_for_others(void)
{
	begin();
	CU_ASSERT_EQUAL(netvsc_process_call(&f.bus, 1 | 1u << 9), 0);
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	/* Not while somebody may close it; later. */
	rte_spinlock_lock(&channel()->tx_lock);
	CU_ASSERT_EQUAL(netvsc_process_call(&f.bus, 1), 1);
	rte_spinlock_unlock(&channel()->tx_lock);
	CU_ASSERT_EQUAL(f.host[0].signals, 1);
	end();
}

/* As ethdev has it between the driver's close and the end of its name. */
static void
a_port_that_is_being_closed_is_no_port_for_a_secondary(void)
{
	struct rte_eth_dev *eth;

	begin();
	eth = rte_eth_dev_allocate("closing");
	CU_ASSERT_PTR_NOT_NULL_FATAL(eth);
	snprintf(f.bus.sharing.port, sizeof(f.bus.sharing.port), "closing");
	CU_ASSERT_EQUAL(netvsc_secondary_probe(&f.bus), -ENODEV);
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_PTR_NULL(f.bus.driver_eth);
	CU_ASSERT_PTR_NULL(rte_eth_dev_allocated("closing"));
	end();
}

static size_t
allocated(void)
{
	struct rte_malloc_socket_stats stats;
	size_t bytes = 0;
	int socket;

	for (socket = 0; socket < RTE_MAX_NUMA_NODES; socket++)
		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			bytes += stats.heap_allocsz_bytes;
	return bytes;
}

/* Another session, of one size or of another, as a device has that comes back again and again. */
static void
a_session(unsigned int i)
{
	struct netvsc_section_pool sections = {0};
	struct netvsc_rx_pool done = {0};

	CU_ASSERT_EQUAL(netvsc_section_pool_init(&sections, i % 2 == 0 ? 64 : 640, 6144, 1), 0);
	CU_ASSERT_EQUAL(netvsc_rx_pool_init(&done, i % 2 == 0 ? 256 : 512, SOCKET_ID_ANY), 0);
	netvsc_section_pool_free(&sections);
	netvsc_rx_pool_free(&done);
}

/* What others may be about to look at is kept while they live, and is the next session's. */
static void
recoveries_under_a_secondary_take_no_more_memory(void)
{
	size_t before, most;
	unsigned int i;

	begin();
	before = allocated();
	fixture_processes = second.bit;
	for (i = 0; i < 2; i++)
		a_session(i);
	most = allocated();
	for (i = 0; i < 100; i++)
		a_session(i);
	CU_ASSERT_EQUAL(allocated(), most);
	CU_ASSERT(most > before);
	fixture_processes = 0;
	netvsc_session_memory_free(NULL);
	CU_ASSERT_EQUAL(allocated(), before);
	end();
}

static const struct unit_test tests[] = {
	{"a port that is being closed is no port for a secondary",
		a_port_that_is_being_closed_is_no_port_for_a_secondary},
	{"who has not mapped all does nothing", who_has_not_mapped_all_does_nothing},
	{"who leaves hears that a channel is busy", who_leaves_hears_that_a_channel_is_busy},
	{"who comes starts no queue", who_comes_starts_no_queue},
	{"killed outside of a burst", killed_outside_of_a_burst},
	{"killed inside of a receive burst", killed_inside_of_a_receive_burst},
	{"killed inside of a send burst", killed_inside_of_a_send_burst},
	{"killed while it read statistics", killed_while_it_read_statistics},
	{"killed while it borrowed sections", killed_while_it_borrowed_sections},
	{"a released queue is over", a_released_queue_is_over_for_who_has_it_in_hand},
	{"recoveries under a secondary take no more memory",
		recoveries_under_a_secondary_take_no_more_memory},
	{"with others no frame is lent", with_others_no_frame_is_lent},
	{"a secondary polls on while a device is away",
		a_secondary_polls_on_while_a_device_is_away},
	{"the application of a secondary hears of a removal",
		the_application_of_a_secondary_hears_of_a_removal},
	{"hosts are signalled for others", hosts_are_signalled_for_others},
};

int
main(void)
{
	return UNIT_RUN("netvsc_processes", tests);
}
