/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC whose channels are on several threads. What serves some of the channels is a *lane*: as far
 * as frames go a NIC of its own, with channels, receive sections, buffers, counters and a part of
 * the port, so that lanes share nothing that a frame touches. The NIC itself is the first lane, and
 * has besides what there is once: channel 0, the protocol, and the settings, of which the others
 * have copies. Channel k belongs to lane k modulo their number.
 *
 * Who changes a setting, or opens or closes a channel, has stopped all lanes: the control thread by
 * its lock, the NIC's own turn by host_transport.stop_lanes(), which does not wait. A message of
 * the guest's that would change something stays in the ring until that has succeeded, and its
 * answer is written behind the lanes' new copies.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "lib/host/nic_internal.h"
#include "lib/host/verify.h"

#define SETTINGS     offsetof(struct host_nic, knobs)
#define SETTINGS_LEN (offsetof(struct host_nic, settings_end) - SETTINGS)

static_assert(NIC_TURN_COST / NIC_FRAME_COST + NIC_MESSAGES_MAX < VERIFY_TURN,
	"a part of a port has room for a turn");

/* ---- life ---- */

void
nic_lanes_destroy(struct host_nic *nic)
{
	for (unsigned int k = 1; k < nic->lanes.n; k++) {
		nic->lanes.lane[k]->tap = NULL; /* the NIC's */
		host_nic_destroy(nic->lanes.lane[k]);
	}
	nic->lanes.n = 0;
}

int
host_nic_spread(struct host_nic *nic, unsigned int n, const struct host_transport *transport,
	void *const *ctx)
{
	struct host_port *ports[HOST_MAX_LANES];
	struct host_transport own = *transport;
	unsigned int k;
	int rc;

	if (n < 2 || n > HOST_MAX_LANES || n > nic->config.channels || nic->lanes.n != 0 ||
		nic->channels_open != 0)
		return -EINVAL;
	/* Of the two ports one would have to wait for the other. */
	if (nic->port->ops->split == NULL || nic->vf.port != NULL)
		return -ENOTSUP;
	rc = nic->port->ops->split(nic->port, ports, n);
	if (rc != 0)
		return rc;
	nic->lanes.n = 1;
	for (k = 1; k < n; k++) {
		struct host_nic *lane;

		own.ctx = ctx[k];
		rc = host_nic_create_with_port(&nic->config, &own, ports[k], &lane);
		if (rc != 0)
			break;
		lane->lanes.lead = nic;
		lane->lanes.number = k;
		nic->lanes.lane[k] = lane;
		nic->lanes.n = k + 1;
	}
	if (rc != 0) {
		for (; k < n; k++)
			ports[k]->ops->close(ports[k]);
		nic_lanes_destroy(nic);
		return rc;
	}
	nic_lanes_sync(nic);
	return 0;
}

struct host_nic *
host_nic_lane(struct host_nic *nic, unsigned int k)
{
	return k == 0 ? nic : nic->lanes.lane[k];
}

/* ---- settings ---- */

/* Give a lane its share of the receive sections. */
static void
share_sections(struct host_nic *nic, struct host_nic *lane)
{
	uint32_t n = (nic->sections_n - nic->reserved) / nic->lanes.n, at = nic->free_first, i;
	uint32_t last = NIC_NONE;

	if (n > nic->free_n)
		n = nic->free_n;
	if (n == 0)
		return;
	lane->free_first = at;
	for (i = 0; i < n; i++) {
		last = at;
		nic->sections[at].lane = (uint8_t)lane->lanes.number;
		at = nic->sections[at].next;
	}
	nic->sections[last].next = NIC_NONE;
	nic->free_first = at;
	nic->free_n -= n;
	nic->own_n -= n;
	lane->free_n = lane->own_n = n;
}

void
nic_lanes_release(struct host_nic *nic)
{
	for (unsigned int k = 1; k < nic->lanes.n; k++) {
		struct host_nic *lane = nic->lanes.lane[k];

		lane->sections = NULL;
		lane->sections_n = lane->own_n = lane->free_n = 0;
		for (unsigned int i = 0; i < HOST_MAX_CHANNELS; i++)
			lane->channels[i].batch_n = 0;
	}
}

/* Lane that a frame of the port belongs to. */
static unsigned int
lane_of_frame(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct host_nic *nic = ctx;

	return nic_rx_channel_of(nic, frame, len) % nic->lanes.n;
}

static bool
is_same(const struct nic_lanes_dealt *a, const struct nic_lanes_dealt *b)
{
	return a->works == b->works && a->enabled == b->enabled && a->hash_info == b->hash_info &&
	       a->udp_hash == b->udp_hash && memcmp(a->table, b->table, sizeof(a->table)) == 0 &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

/* Deal the port's frames anew, if they go other ways now. */
static void
deal(struct host_nic *nic)
{
	struct nic_lanes_dealt by = {0};

	if (nic->port->ops->deal == NULL)
		return;
	by.enabled = nic->rss.enabled;
	if (by.enabled) {
		by.hash_info = nic->rss.hash_info;
		by.udp_hash = nic->knobs.udp_hash;
		memcpy(by.table, nic->rss.table, sizeof(by.table));
		memcpy(by.key, nic->rss.key, sizeof(by.key));
		for (unsigned int i = 0; i < HOST_MAX_CHANNELS; i++)
			by.works |= (uint64_t)nic_channel_works(nic, i) << i;
	}
	if (nic->lanes.is_dealt && is_same(&by, &nic->lanes.dealt))
		return;
	nic->lanes.dealt = by;
	nic->lanes.is_dealt = true;
	nic->port->ops->deal(nic->port, lane_of_frame, nic);
}

void
nic_lanes_sync(struct host_nic *nic)
{
	if (nic->lanes.n == 0)
		return;
	atomic_store(&nic->lanes.stale, false);
	for (unsigned int k = 1; k < nic->lanes.n; k++) {
		struct host_nic *lane = nic->lanes.lane[k];

		memcpy((uint8_t *)lane + SETTINGS, (const uint8_t *)nic + SETTINGS, SETTINGS_LEN);
		lane->tap = nic->tap;
		lane->lanes.primary_works = nic_channel_works(nic, 0);
		if (nic->sections != NULL && lane->own_n == 0 && lane->channels_open != 0)
			share_sections(nic, lane);
	}
	deal(nic);
}

void
host_nic_settle(struct host_nic *nic)
{
	nic_lanes_sync(nic);
	for (unsigned int k = 1; k < nic->lanes.n; k++)
		host_nic_publish(nic->lanes.lane[k]);
	host_nic_publish(nic);
}

/* ---- turns ---- */

bool
nic_lanes_stop(struct host_nic *nic)
{
	if (!nic->lanes.stopped)
		nic->lanes.stopped = nic->transport.stop_lanes == NULL ||
				     nic->transport.stop_lanes(nic->transport.ctx);
	return nic->lanes.stopped;
}

unsigned int
nic_lanes_turn(struct host_nic *nic)
{
	unsigned int work = 0;

	if (nic->port->ops->gather != NULL)
		work = nic->port->ops->gather(nic->port);
	if (atomic_load_explicit(&nic->lanes.stale, memory_order_relaxed))
		nic_lanes_stop(nic);
	if (nic->lanes.stopped)
		nic_lanes_sync(nic);
	nic->lanes.stopped = false;
	return work;
}

void
nic_lanes_stale(struct host_nic *nic)
{
	struct host_nic *lead = nic->lanes.lead != NULL ? nic->lanes.lead : nic;

	if (lead->lanes.n != 0)
		atomic_store_explicit(&lead->lanes.stale, true, memory_order_relaxed);
}

void
nic_lanes_tell(struct host_nic *lane)
{
	struct host_nic *nic = lane->lanes.lead;

	/*
	 * What is left for the NIC comes before this look; pairs with the fence in
	 * nic_lanes_asleep(): either we see that it sleeps, or it sees what we have left.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&nic->lanes.asleep, memory_order_relaxed) &&
		atomic_exchange(&nic->lanes.asleep, false) && lane->transport.wake != NULL)
		lane->transport.wake(lane->transport.ctx);
}

bool
nic_lanes_asleep(struct host_nic *nic)
{
	atomic_store_explicit(&nic->lanes.asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	return !atomic_load_explicit(&nic->lanes.stale, memory_order_relaxed) &&
	       (nic->port->ops->left == NULL || !nic->port->ops->left(nic->port));
}

/* ---- sums ---- */

void
nic_stats_add(struct host_nic_stats *sum, const struct host_nic_stats *more)
{
	uint64_t words[sizeof(*sum) / 8], add[sizeof(*sum) / 8];

	static_assert(sizeof(*sum) % 8 == 0, "counters and nothing else");
	memcpy(words, sum, sizeof(*sum));
	memcpy(add, more, sizeof(*more));
	for (size_t i = 0; i < sizeof(*sum) / 8; i++)
		words[i] += add[i];
	memcpy(sum, words, sizeof(*sum));
}

void
nic_port_stats_add(struct host_port_stats *sum, const struct host_port_stats *more)
{
	const struct host_counter *c;

	for (c = host_port_counters; c->name != NULL; c++) {
		uint64_t value = host_counter(sum, c) + host_counter(more, c);

		memcpy((uint8_t *)sum + c->offset, &value, sizeof(value));
	}
	sum->verified += more->verified;
	sum->corrupt += more->corrupt;
	sum->lost += more->lost;
	sum->duplicate += more->duplicate;
	sum->reordered += more->reordered;
	sum->foreign += more->foreign;
	sum->verifies |= more->verifies;
	sum->finished &= more->finished;
}

void
nic_lanes_oid_stats(const struct host_nic *nic, struct nic_oid_stats *sum)
{
	*sum = nic->oid_stats;
	for (unsigned int k = 1; k < nic->lanes.n; k++)
		for (unsigned int i = 0; i < 3; i++) {
			const struct nic_oid_stats *more = &nic->lanes.lane[k]->oid_stats;

			sum->xmit[i].frames += more->xmit[i].frames;
			sum->xmit[i].bytes += more->xmit[i].bytes;
			sum->rcv[i].frames += more->rcv[i].frames;
			sum->rcv[i].bytes += more->rcv[i].bytes;
		}
}
