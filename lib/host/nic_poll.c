/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn of one host NIC: packets of its channels, completions, what the port has; and how it
 * goes to sleep. Frames are in nic_rx.c and nic_tx.c, the protocol in nic_nvsp.c and nic_rndis.c.
 */
#include "lib/host/nic_internal.h"

/* While something waits for room that the guest may never signal, look this often. */
#define NIC_RETRY_NS UINT64_C(1000000)
/* A turn also ends by time, looked at every few packets. */
#define NIC_TURN_NS	UINT64_C(500000)
#define NIC_CLOCK_EVERY 8u
/* In-band control and completions fit in this; the excess of longer ones is ignored. */
#define NIC_INBAND_MAX 64u
/* While there is always work, others see the NIC as it was at most so many turns ago. */
#define NIC_PUBLISH_EVERY 16u

/* Copy the packet out of the ring; what is not needed of long in-band packets stays there. */
static uint32_t
packet_copy(struct host_nic *nic, struct nic_channel *ch, const struct vmbus_packet *pkt)
{
	uint32_t len = (uint32_t)pkt->len8 * 8, start = (uint32_t)pkt->offset8 * 8, max;

	max = pkt->type == VMBUS_PACKET_GPA_DIRECT ? NIC_PACKET_MAX : start + NIC_INBAND_MAX;
	if (len > max)
		len = max;
	if (len > NIC_PACKET_MAX)
		return 0;
	vmbus_ring_copy_out(&ch->in.ring, ch->in.next_r, nic->packet, len);
	return len;
}

/* Of packet_dispatch(): it waits until the lanes have stopped, and nothing has happened. */
static const char not_now[] = "not now";

/* Returns NULL, not_now, or why the channel must stop. */
static const char *
packet_dispatch(struct host_nic *nic, unsigned int index, const struct vmbus_packet *pkt)
{
	struct nic_channel *ch = &nic->channels[index];
	uint32_t len, start = (uint32_t)pkt->offset8 * 8;
	const uint8_t *payload;
	uint32_t type = 0;

	if ((pkt->flags & ~VMBUS_FLAG_COMPLETION) != 0)
		return "unknown descriptor flags";
	if (pkt->type != VMBUS_PACKET_INBAND && pkt->type != VMBUS_PACKET_GPA_DIRECT &&
		pkt->type != VMBUS_PACKET_COMPLETION)
		return "packet type that guests do not send";
	len = packet_copy(nic, ch, pkt);
	if (len < start)
		return "packet longer than any send";
	payload = nic->packet + start;
	len -= start;
	if (pkt->type == VMBUS_PACKET_COMPLETION)
		return nic_rx_ack(nic, index, pkt->trans_id, payload, len);
	if (len >= sizeof(type))
		memcpy(&type, payload, sizeof(type));
	if (type == NVSP_TYPE_RNDIS)
		return nic_tx_packet(nic, index, pkt, payload, len) ? NULL : not_now;
	if (index != 0)
		return "NVSP control on a subchannel";
	if (pkt->type != VMBUS_PACKET_INBAND)
		return "NVSP control with guest pages";
	if (!nic_may_change(nic))
		return not_now;
	return nic_nvsp_message(nic, pkt, payload, len);
}

/* Has the NIC had its turn? Asked after @p n packets of a channel. */
static bool
turn_is_over(struct host_nic *nic, unsigned int n)
{
	uint64_t now;

	if (nic->turn_cost >= NIC_TURN_COST)
		return true;
	if (n % NIC_CLOCK_EVERY != 0)
		return false;
	now = monotonic_ns();
	if (nic->turn_until == 0)
		nic->turn_until = now + NIC_TURN_NS;
	return now >= nic->turn_until;
}

static unsigned int
channel_read(struct host_nic *nic, unsigned int index, unsigned int budget)
{
	struct nic_channel *ch = &nic->channels[index];
	struct vmbus_packet pkt;
	const char *why;
	unsigned int n;
	int total;

	for (n = 0; n < budget; n++) {
		total = vmbus_ring_peek(&ch->in, &pkt);
		if (total == 0)
			break;
		/*
		 * Back-pressure is not reading on (spec/nvsp.md §7): completions and answers fit.
		 * But what the guest gives back is always taken, for that is what makes room again.
		 */
		if (total > 0 && pkt.type != VMBUS_PACKET_COMPLETION &&
			(nic_sends_full(nic, ch) ||
				(index == 0 && nic_control_room(nic) < NIC_CONTROL_BURST)))
			break;
		if (nic->tap != NULL && total > 0 && !(index == 0 && nic->lanes.seen))
			nic_trace_in(nic, index, (uint32_t)total);
		why = total < 0 ? "the guest's ring is corrupt" : packet_dispatch(nic, index, &pkt);
		if (index == 0)
			nic->lanes.seen = why == not_now;
		if (why == not_now)
			break;
		if (why != NULL) {
			nic_channel_break(nic, index, why);
			break;
		}
		vmbus_ring_consume(&ch->in, (uint32_t)total);
		nic->turn_cost += NIC_PACKET_COST;
		if (turn_is_over(nic, n))
			return n + 1;
	}
	return n;
}

void
nic_done_add(struct nic_channel *ch, uint64_t tid, enum nic_answer answer)
{
	struct nic_done *done;

	if (!ch->open || ch->dead || nic_done_room(ch) == 0)
		return;
	done = &ch->done[ch->done_tail++ % NIC_DONE_QUEUE];
	done->tid = tid;
	done->answer = answer;
}

/* Write queued send completions while there is room. */
static unsigned int
done_flush(struct host_nic *nic, struct nic_channel *ch)
{
	struct {
		struct vmbus_packet desc;
		struct nvsp_message msg;
	} pkt;
	uint32_t len = (uint32_t)sizeof(pkt.desc) + nic->message_size;
	struct nic_done *done;
	unsigned int n = 0;

	if (ch->done_head == ch->done_tail || nic->knobs.no_complete)
		return 0;
	memset(&pkt, 0, sizeof(pkt));
	vmbus_packet_init(&pkt.desc, VMBUS_PACKET_COMPLETION, sizeof(pkt.desc), len, 0, 0);
	for (; ch->done_head != ch->done_tail; ch->done_head++, n++) {
		done = &ch->done[ch->done_head % NIC_DONE_QUEUE];
		pkt.desc.trans_id = done->tid;
		nvsp_build_rndis_complete(&pkt.msg, done->answer == NIC_ANSWER_SUCCESS
							    ? NVSP_STATUS_SUCCESS
							    : NVSP_STATUS_FAILURE);
		if (vmbus_ring_write(&ch->out, &pkt, len, 0) != 0)
			break;
		if (nic->tap != NULL)
			nic_trace_out(nic, (unsigned int)(ch - nic->channels), &pkt, len);
	}
	return n;
}

static void
channel_publish(struct host_nic *nic, unsigned int index)
{
	struct nic_channel *ch = &nic->channels[index];
	bool signal;

	if (ch->frozen)
		return;
	signal = vmbus_ring_reader_publish(&ch->in, false);
	signal |= vmbus_ring_writer_publish(&ch->out);
	if (ch->in.corrupt || ch->out.corrupt)
		nic_channel_break(nic, index, "the guest's ring is corrupt");
	if (signal) {
		nic->stats.signals++;
		nic->transport.signal(nic->transport.ctx, index);
	}
}

static void
channels_report_broken(struct host_nic *nic)
{
	const char *why;
	unsigned int i;

	for (i = 0; i < HOST_MAX_CHANNELS; i++) {
		why = nic->channels[i].why;
		nic->channels[i].why = NULL;
		if (why != NULL && nic->transport.broken != NULL)
			nic->transport.broken(nic->transport.ctx, i, why);
	}
}

/* Packets of all channels, from the one whose turn it is. */
static unsigned int
channels_read(struct host_nic *nic, unsigned int budget)
{
	unsigned int n = nic->channels_top, i, at, work = 0;

	nic->turn_cost = nic->turn_until = 0;
	for (i = 0; i < n; i++) {
		at = (nic->turn_first + i) % n;
		if (nic->channels[at].open && !nic->channels[at].dead && !nic->knobs.stall)
			work += channel_read(nic, at, budget);
		if (nic->turn_cost != 0 && turn_is_over(nic, 0)) {
			nic->turn_first = at + 1;
			return work;
		}
	}
	nic->turn_first = 0;
	return work;
}

/* Let others see what a turn has done: not at once when it is one of many that all have work. */
static void
turn_publish(struct host_nic *nic, bool worked)
{
	bool later = worked && nic->worked && ++nic->turns_unseen < NIC_PUBLISH_EVERY;

	nic->worked = worked;
	if (!later && (worked || nic->turns_unseen != 0))
		host_nic_publish(nic);
}

unsigned int
host_nic_poll(struct host_nic *nic, unsigned int budget)
{
	uint64_t errors = nic->stats.protocol_errors;
	unsigned int i, work;
	bool worked;

	/* A lane that has work, but must let the NIC do its own first. */
	if (nic->lanes.lead != NULL && nic->port->ops->full != NULL &&
		nic->port->ops->full(nic->port))
		work = 1;
	else
		work = channels_read(nic, budget);
	nic_tx_flush(nic);
	work += nic_vf_from_guest(nic, budget);
	if (nic_vf_timed(nic))
		nic_vf_turn(nic);
	/* Completions first: they free the guest's resources and need the least room. */
	for (i = 0; i < nic->channels_top; i++)
		if (nic->channels[i].open && !nic->channels[i].dead)
			work += done_flush(nic, &nic->channels[i]);
	if (nic->lanes.lead == NULL)
		work += nic_control_flush(nic);
	work += nic_rx_poll(nic, budget);
	if (nic->port->ops->flush != NULL)
		nic->port->ops->flush(nic->port);
	if (nic->vf.port != NULL && nic->vf.port->ops->flush != NULL)
		nic->vf.port->ops->flush(nic->vf.port);
	/* Before answers are published: the lanes do as these say. */
	if (nic->lanes.n != 0)
		work += nic_lanes_turn(nic);
	for (i = 0; i < nic->channels_top; i++)
		if (nic->channels[i].open && !nic->channels[i].dead)
			channel_publish(nic, i);
	if (nic->offer_now) {
		/* The answer is published: now the channels may appear (spec/nvsp.md §8). */
		nic->offer_now = false;
		if (nic->transport.offer != NULL && nic->granted > 0)
			nic->transport.offer(nic->transport.ctx, nic->granted);
	}
	if (nic->stats.protocol_errors != errors)
		channels_report_broken(nic);
	if (nic->complaints_due != 0)
		nic_complain(nic);
	worked = work != 0 || nic->stats.protocol_errors != errors;
	turn_publish(nic, worked);
	if (nic->lanes.lead != NULL && worked)
		nic_lanes_tell(nic);
	return work;
}

/* ---- sleeping ---- */

/* Does the channel have something to write that waits for room? */
static bool
channel_waits(const struct host_nic *nic, unsigned int index)
{
	const struct nic_channel *ch = &nic->channels[index];

	if (ch->done_head != ch->done_tail && !nic->knobs.no_complete)
		return true;
	if (index != 0 || nic->control_head == nic->control_tail || nic_control_deadline(nic) != 0)
		return false;
	/* Without a free section only an acknowledgement helps, and that wakes us anyway. */
	return nic->control[nic->control_head % NIC_CONTROL_QUEUE].kind != NIC_CONTROL_RNDIS ||
	       nic->free_control_n != 0;
}

bool
host_nic_sleep(struct host_nic *nic)
{
	struct nic_channel *ch;
	bool work = nic->lanes.n != 0 && !nic_lanes_asleep(nic);
	unsigned int i;

	for (i = 0; i < nic->channels_top && !work; i++) {
		ch = &nic->channels[i];
		if (!ch->open || ch->dead)
			continue;
		if (channel_waits(nic, i)) {
			ch->waits = true;
			work |= vmbus_ring_writer_wait_room(
				&ch->out, vmbus_packet_ring_size(NIC_CONTROL_BYTES));
		}
		if (!nic->knobs.stall)
			work |= vmbus_ring_reader_unmask(&ch->in);
	}
	if (work)
		host_nic_wake(nic);
	host_nic_publish(nic);
	return work;
}

void
host_nic_wake(struct host_nic *nic)
{
	struct nic_channel *ch;
	unsigned int i;

	if (nic->lanes.n != 0)
		atomic_store_explicit(&nic->lanes.asleep, false, memory_order_relaxed);
	for (i = 0; i < nic->channels_top; i++) {
		ch = &nic->channels[i];
		if (!ch->open || ch->dead)
			continue;
		vmbus_ring_reader_mask(&ch->in);
		if (ch->waits)
			vmbus_ring_writer_clear_wait(&ch->out);
		ch->waits = false;
	}
}

uint64_t
host_nic_deadline(struct host_nic *nic)
{
	uint64_t when = UINT64_MAX, t;
	unsigned int i;

	if (atomic_load_explicit(&nic->lanes.stale, memory_order_relaxed))
		return 0;
	if (nic_rx_wants_port(nic) && nic->port->ops->deadline != NULL)
		when = nic->port->ops->deadline(nic->port);
	t = nic_vf_deadline(nic);
	when = t < when ? t : when;
	if (nic_vf_wants_port(nic) && nic->vf.port->ops->deadline != NULL) {
		t = nic->vf.port->ops->deadline(nic->vf.port);
		when = t < when ? t : when;
	}
	t = nic_control_deadline(nic);
	if (t != 0 && t < when)
		when = t;
	t = nic->complaints_due != 0 ? nic_complain_deadline(nic) : UINT64_MAX;
	if (t < when)
		when = t;
	for (i = 0; i < nic->channels_top; i++)
		if (nic->channels[i].open && !nic->channels[i].dead && channel_waits(nic, i) &&
			when > NIC_RETRY_NS)
			when = NIC_RETRY_NS;
	return when;
}

int
host_nic_port_fd(struct host_nic *nic)
{
	if (nic->port->ops->fd == NULL || nic->knobs.stall_rx)
		return -1;
	return nic->port->ops->fd(nic->port);
}

int
host_nic_vf_port_fd(struct host_nic *nic)
{
	if (nic->vf.port == NULL || nic->vf.port->ops->fd == NULL)
		return -1;
	return nic->vf.port->ops->fd(nic->vf.port);
}
