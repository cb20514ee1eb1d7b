/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hvsim's NIC with lanes on other workers: they are woken, stopped and left by whoever has the NIC,
 * whatever the guest does meanwhile. Sends are refused, for RNDIS is not up, and answered.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/netvsp/nvsp.h"
#include "lib/vfio_user/client.h"
#include "lib/vmbus/ring_map.h"
#include "test/unit/hvsim_guest.h"
#include "test/unit/hvsim_rig.h"
#include "test/unit/unit.h"

#define CHANNELS 4u
/* Only a failure takes so long. */
#define PATIENCE_MS 60000

static char dir[] = "/tmp/hvsim_lanes.XXXXXX";

struct channel {
	struct vmbus_ring tx, rx;
	struct vmbus_ring_writer out;
	struct vmbus_ring_reader in;
};

static struct guest g;
static struct channel channels[CHANNELS];

static void
host_start(unsigned int workers, bool busy)
{
	rig.lanes = workers;
	rig_start(dir, 1, "channels=4,ring=64K,recv=1M,send=1M,port=sink", NULL, busy);
	CU_ASSERT_EQUAL_FATAL(rig.device[0].n_lanes, workers);
}

static void
host_stop(void)
{
	rig_stop();
	rig.lanes = 0;
}

/* Write what is ready, and ring if the host sleeps. */
static void
send_on(struct vmbus_ring_writer *out, unsigned int k, const struct nvsp_message *msg, uint64_t tid)
{
	struct {
		struct vmbus_packet desc;
		uint8_t payload[NVSP_MESSAGE_SIZE];
	} pkt;
	uint64_t one = 1;

	memset(&pkt, 0, sizeof(pkt));
	memcpy(pkt.payload, msg, NVSP_MESSAGE_SIZE);
	vmbus_packet_init(&pkt.desc, VMBUS_PACKET_INBAND, sizeof(pkt.desc), sizeof(pkt),
		VMBUS_FLAG_COMPLETION, tid);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_write(out, &pkt, sizeof(pkt), 0), 0);
	if (vmbus_ring_writer_publish(out))
		CU_ASSERT_EQUAL(write(g.io.fds[g.io.entry[k].fd_index], &one, sizeof(one)), 8);
}

/* Take packets until the completion of @p tid, sleeping for the channel's interrupt. */
static void
wait_on(struct vmbus_ring_reader *in, unsigned int k, uint64_t tid, struct nvsp_message *msg)
{
	struct pollfd p = {g.irq[k], POLLIN, 0};
	struct vmbus_packet pkt;
	uint64_t count;
	int total;

	for (;;) {
		while ((total = vmbus_ring_peek(in, &pkt)) > 0) {
			uint32_t start = pkt.offset8 * 8u, len = pkt.len8 * 8u - start;

			memset(msg, 0, sizeof(*msg));
			vmbus_ring_copy_out(&in->ring,
				vmbus_ring_advance(in->ring.size, in->next_r, start), msg,
				len < sizeof(*msg) ? len : (uint32_t)sizeof(*msg));
			vmbus_ring_consume(in, (uint32_t)total);
			vmbus_ring_reader_publish(in, true);
			if (pkt.type == VMBUS_PACKET_COMPLETION && pkt.trans_id == tid)
				return;
		}
		CU_ASSERT_EQUAL_FATAL(total, 0);
		if (vmbus_ring_reader_unmask(in))
			continue;
		CU_ASSERT_EQUAL_FATAL(poll(&p, 1, PATIENCE_MS), 1);
		CU_ASSERT_EQUAL(read(g.irq[k], &count, sizeof(count)), 8);
		vmbus_ring_reader_mask(in);
	}
}

static void
ask(const struct nvsp_message *msg, struct nvsp_message *answer)
{
	static uint64_t tid = 1000;

	send_on(&g.out, 0, msg, ++tid);
	wait_on(&g.in, 0, tid, answer);
}

static void
send_many(unsigned int k, unsigned int n)
{
	struct nvsp_message msg;

	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, 0, 64);
	for (unsigned int i = 1; i <= n; i++)
		send_on(&channels[k].out, k, &msg, i);
}

static void
wait_many(unsigned int k, unsigned int n)
{
	struct nvsp_message msg;

	wait_on(&channels[k].in, k, n, &msg);
	CU_ASSERT_EQUAL(msg.type, NVSP_TYPE_RNDIS_COMPLETE);
}

/* All channels open; the rings are empty. */
static void
bring_up(void)
{
	struct nvsp_message msg, answer;

	nvsp_build_init(&msg, NVSP_VERSION_61);
	ask(&msg, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.init_complete.status, NVSP_STATUS_SUCCESS);
	nvsp_build_ndis_config(&msg, 1500, 0);
	send_on(&g.out, 0, &msg, 1);
	nvsp_build_ndis_version(&msg, NVSP_VERSION_61);
	send_on(&g.out, 0, &msg, 2);
	nvsp_build_send_recv_buf(&msg, 0xe1e10, NVSP_RECV_BUF_ID);
	ask(&msg, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.recv_buf_complete.status, NVSP_STATUS_SUCCESS);
	nvsp_build_send_send_buf(&msg, 0xe1e11, NVSP_SEND_BUF_ID);
	ask(&msg, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.send_buf_complete.status, NVSP_STATUS_SUCCESS);
	nvsp_build_subchannel(&msg, CHANNELS - 1);
	ask(&msg, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.subchannel_complete.granted, CHANNELS - 1);
	for (unsigned int k = 1; k < CHANNELS; k++) {
		struct channel *c = &channels[k];

		CU_ASSERT_EQUAL_FATAL(guest_map_rings(&g, 16 + k, &c->tx, &c->rx), 0);
		CU_ASSERT_EQUAL_FATAL(vmbus_ring_writer_init(&c->out, &c->tx), 0);
		CU_ASSERT_EQUAL_FATAL(vmbus_ring_reader_init(&c->in, &c->rx), 0);
	}
}

static void
take_down(void)
{
	for (unsigned int k = 1; k < CHANNELS; k++) {
		vmbus_ring_unmap(&channels[k].tx);
		vmbus_ring_unmap(&channels[k].rx);
	}
}

static void
guest_come(void)
{
	guest_connect(&g, rig.device[0].path);
	for (unsigned int i = 0; i < 5; i++)
		g.irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_EQUAL(vfu_client_set_irqs(g.client, VMBUS_IRQ_CHANNEL, 0, 4, g.irq), 0);
	bring_up();
}

static uint64_t
refused(void)
{
	struct host_nic_status status;

	device_refresh(&rig.device[0]);
	host_nic_status(rig.device[0].nic, &status);
	return status.stats.tx_errors;
}

/* Of a NIC or a lane that stands. */
static uint64_t
errors_of(struct host_nic *nic)
{
	struct host_nic_stats stats;

	host_nic_get_stats(nic, &stats, NULL);
	return stats.tx_errors;
}

/* ---- tests ---- */

/* Each channel is served, by whichever worker, awake or woken by the guest's doorbell. */
static void
every_channel_is_served_from_sleep(void)
{
	for (unsigned int workers = 2; workers <= CHANNELS; workers++) {
		host_start(workers, false);
		guest_come();
		for (unsigned int n = 0; n < 5; n++)
			for (unsigned int k = 1; k < CHANNELS; k++) {
				usleep(3000);
				send_many(k, 1);
				wait_many(k, 1);
			}
		pthread_mutex_lock(&rig.lock);
		device_lock(&rig.device[0]);
		device_unlock(&rig.device[0]);
		CU_ASSERT_EQUAL(refused(), 5 * (CHANNELS - 1));
		pthread_mutex_unlock(&rig.lock);
		guest_close(&g);
		take_down();
		host_stop();
	}
}

/* Who has the NIC has its lanes, and they go on behind it, though they fell asleep meanwhile. */
static void
lanes_stand_while_the_nic_is_held(void)
{
	host_start(3, false);
	guest_come();
	pthread_mutex_lock(&rig.lock);
	device_lock(&rig.device[0]);
	for (unsigned int k = 1; k < CHANNELS; k++)
		send_many(k, 3);
	usleep(20000);
	CU_ASSERT_EQUAL(errors_of(rig.device[0].nic), 0);
	for (unsigned int k = 1; k < 3; k++)
		CU_ASSERT_EQUAL(errors_of(rig.device[0].lanes[k]->nic), 0);
	device_unlock(&rig.device[0]);
	for (unsigned int k = 1; k < CHANNELS; k++)
		wait_many(k, 3);
	pthread_mutex_unlock(&rig.lock);
	guest_close(&g);
	take_down();
	host_stop();
}

static _Atomic bool over;

/* All that the control thread does with a NIC, over and over. */
static void *
command_run(void *arg)
{
	struct hvsim_device *device = &rig.device[0];
	struct host_channel_state state;

	for (unsigned int i = 0; !atomic_load(&over); i++) {
		pthread_mutex_lock(&rig.lock);
		device_lock(device);
		host_nic_set_link(device->nic, i & 1);
		CU_ASSERT_EQUAL(host_nic_knob(device->nic, "stall_rx", i & 1 ? "1" : "0"), 0);
		CU_ASSERT_EQUAL(host_nic_channel_state(device->nic, i % CHANNELS, &state), 0);
		device_unlock(device);
		refused();
		pthread_mutex_unlock(&rig.lock);
		usleep(500);
	}
	return NULL;
}

static void
take_away(bool really)
{
	char err[HVSIM_ERRLEN];

	pthread_mutex_lock(&rig.lock);
	if (really)
		CU_ASSERT_EQUAL(device_rescind(&rig.device[0], err, sizeof(err)), 0);
	pthread_mutex_unlock(&rig.lock);
}

static void
give_back(bool really)
{
	char err[HVSIM_ERRLEN];

	pthread_mutex_lock(&rig.lock);
	if (really)
		CU_ASSERT_EQUAL(device_offer(&rig.device[0], err, sizeof(err)), 0);
	pthread_mutex_unlock(&rig.lock);
}

/* Guests reset, go in order and die with sends in flight, beside commands. */
static void
guests_come_and_go_beside_commands(bool busy)
{
	pthread_t commands;
	uint64_t sent = 0;

	host_start(3, busy);
	atomic_store(&over, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&commands, NULL, command_run, NULL), 0);
	for (unsigned int i = 0; i < 4; i++) {
		guest_come();
		for (unsigned int n = 0; n < 3; n++) {
			for (unsigned int k = 1; k < CHANNELS; k++)
				send_many(k, 100);
			for (unsigned int k = 1; k < CHANNELS; k++)
				wait_many(k, 100);
			sent += 100 * (CHANNELS - 1);
			/* The next ones are lost with the session, some of them. */
			send_many(1, 50);
			take_down();
			CU_ASSERT_EQUAL_FATAL(vfu_client_reset(g.client), 0);
			guest_rings_open(&g);
			bring_up();
		}
		send_many(2, 50);
		/* Every other one has its device taken away. */
		take_away(i & 1);
		guest_close(&g);
		take_down();
		give_back(i & 1);
	}
	atomic_store(&over, true);
	pthread_join(commands, NULL);
	pthread_mutex_lock(&rig.lock);
	device_lock(&rig.device[0]);
	device_unlock(&rig.device[0]);
	CU_ASSERT(refused() >= sent);
	pthread_mutex_unlock(&rig.lock);
	host_stop();
}

static void
guests_come_and_go_beside_workers_that_sleep(void)
{
	guests_come_and_go_beside_commands(false);
}

static void
guests_come_and_go_beside_workers_that_do_not(void)
{
	guests_come_and_go_beside_commands(true);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"every channel is served from sleep", every_channel_is_served_from_sleep},
		{"lanes stand while the NIC is held", lanes_stand_while_the_nic_is_held},
		{"guests come and go beside workers that sleep",
			guests_come_and_go_beside_workers_that_sleep},
		{"guests come and go beside workers that do not",
			guests_come_and_go_beside_workers_that_do_not},
	};
	int rc;

	if (mkdtemp(dir) == NULL)
		return 1;
	rc = UNIT_RUN("hvsim_lanes", tests);
	rmdir(dir);
	return rc;
}
