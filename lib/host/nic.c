/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One host NIC: life of the NIC and its channels, what control commands ask and change. Its turn is
 * in nic_poll.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/host/nic_internal.h"

int
host_nic_create_with_port(const struct host_nic_config *config,
	const struct host_transport *transport, struct host_port *port, struct host_nic **out)
{
	struct host_nic *nic = calloc(1, sizeof(*nic));

	if (nic == NULL)
		return -ENOMEM;
	nic->config = *config;
	nic->transport = *transport;
	nic->port = port;
	nic->link_up = true;
	nic->arena = malloc(NIC_ARENA);
	nic->segments = malloc(NIC_SEGMENTS);
	nic->scratch = malloc(NIC_SCRATCH);
	if (nic->arena == NULL || nic->segments == NULL || nic->scratch == NULL) {
		free(nic->arena);
		free(nic->segments);
		free(nic->scratch);
		free(nic);
		return -ENOMEM;
	}
	nic_knobs_init(&nic->knobs);
	nic_profile_apply(nic);
	nic->knobs.lenient = config->lenient;
	nic->knobs.spoof = config->spoof;
	nic_nvsp_reset(nic);
	host_nic_publish(nic);
	*out = nic;
	return 0;
}

int
host_nic_create(const struct host_nic_config *config, const struct host_transport *transport,
	struct host_nic **nic, char *errbuf, size_t errlen)
{
	struct host_port *port, *vf_port = NULL;
	int rc;

	*nic = NULL;
	rc = host_port_prepare(config->port, config->mac, &port, errbuf, errlen);
	if (rc != 0)
		return rc;
	if (config->vf_port[0] != '\0')
		rc = host_port_prepare(config->vf_port, config->mac, &vf_port, errbuf, errlen);
	if (rc != 0)
		goto fail;
	rc = host_nic_create_with_port(config, transport, port, nic);
	if (rc != 0) {
		snprintf(errbuf, errlen, "no memory for a NIC; give fewer NICs or channels");
		goto fail;
	}
	if (vf_port != NULL)
		nic_vf_attach(*nic, vf_port);
	return 0;
fail:
	if (vf_port != NULL)
		vf_port->ops->close(vf_port);
	port->ops->close(port);
	return rc;
}

void
host_nic_destroy(struct host_nic *nic)
{
	unsigned int i;

	if (nic == NULL)
		return;
	for (i = HOST_MAX_CHANNELS; i-- > 0;)
		if (host_nic_channel_is_open(nic, i))
			host_nic_channel_close(nic, i);
	nic_lanes_destroy(nic);
	nic_trace_end(nic);
	nic->port->ops->close(nic->port);
	if (nic->vf.port != NULL)
		nic->vf.port->ops->close(nic->vf.port);
	free(nic->arena);
	free(nic->segments);
	free(nic->scratch);
	free(nic);
}

/* ---- channels ---- */

int
host_nic_channel_open(struct host_nic *nic, unsigned int index, const struct vmbus_ring *tx,
	const struct vmbus_ring *rx)
{
	struct nic_channel *ch;
	struct host_nic *lane;
	int rc;

	if (index >= nic->config.channels || host_nic_channel_is_open(nic, index))
		return -EINVAL;
	if (index > 0 && (!nic->channels[0].open || index > nic->granted))
		return -EINVAL;
	lane = nic_lane_of(nic, index);
	ch = &lane->channels[index];
	memset(ch, 0, sizeof(*ch));
	rc = vmbus_ring_reader_init(&ch->in, tx);
	if (rc == 0)
		rc = vmbus_ring_writer_init(&ch->out, rx);
	if (rc != 0)
		return rc;
	ch->done = malloc(NIC_DONE_QUEUE * sizeof(*ch->done));
	if (ch->done == NULL)
		return -ENOMEM;
	/* Awake: no signals for new packets until host_nic_sleep(). */
	vmbus_ring_reader_mask(&ch->in);
	ch->open = true;
	lane->channels_open++;
	if (index >= lane->channels_top)
		lane->channels_top = index + 1;
	if (index == 0) {
		nic_nvsp_reset(nic);
		nic->lanes.seen = false;
		nic->state = NIC_OPEN;
	}
	if (nic->tap != NULL)
		nic_trace_event(nic, index, true);
	nic_nvsp_channel_opened(nic);
	return 0;
}

static void
channel_close_one(struct host_nic *nic, unsigned int index)
{
	struct host_nic *lane = nic_lane_of(nic, index);
	struct nic_channel *ch = &lane->channels[index];

	if (!ch->open)
		return;
	/* Frames of this channel that were taken but not sent lose only their completion. */
	nic_tx_flush(lane);
	nic_rx_reclaim(lane, index);
	free(ch->done);
	ch->done = NULL;
	ch->open = false;
	lane->channels_open--;
	if (nic->tap != NULL)
		nic_trace_event(nic, index, false);
	while (lane->channels_top > 0 && !lane->channels[lane->channels_top - 1].open)
		lane->channels_top--;
}

void
host_nic_channel_close(struct host_nic *nic, unsigned int index)
{
	unsigned int i;

	if (index >= HOST_MAX_CHANNELS)
		return;
	if (index == 0) {
		for (i = HOST_MAX_CHANNELS; i-- > 1;)
			channel_close_one(nic, i);
		channel_close_one(nic, 0);
		/* Closing without a revoke is one (spec/nvsp.md §10). */
		nic_nvsp_reset(nic);
		return;
	}
	channel_close_one(nic, index);
}

bool
host_nic_channel_is_open(struct host_nic *nic, unsigned int index)
{
	return index < HOST_MAX_CHANNELS && nic_lane_of(nic, index)->channels[index].open;
}

void
host_nic_buffers_revoked(struct host_nic *nic)
{
	nic_rx_release(nic);
	nic_nvsp_drop_buffer(nic, &nic->recv);
	nic_nvsp_drop_buffer(nic, &nic->send);
	nic->send_sections = 0;
	if (nic->state == NIC_READY || nic->state == NIC_NEGOTIATED)
		nic->state = nic->have_recv ? NIC_REVOKED : nic->state;
}

void
nic_channel_break(struct host_nic *nic, unsigned int index, const char *why)
{
	struct nic_channel *ch = &nic->channels[index];

	if (ch->dead)
		return;
	ch->dead = true;
	ch->why = why;
	nic->stats.protocol_errors++;
	nic_lanes_stale(nic);
}

/* ---- control commands ---- */

int
host_nic_set_link(struct host_nic *nic, bool up)
{
	if (nic->link_up == up)
		return 0;
	nic->link_up = up;
	nic->link_notice = true;
	nic_rndis_notify(nic);
	return 0;
}

bool
host_nic_rescinds_primary_first(const struct host_nic *nic)
{
	return nic->knobs.rescind_primary;
}

void
nic_own_stats(struct host_nic *nic, struct host_nic_stats *stats, struct host_port_stats *port)
{
	if (stats != NULL)
		*stats = nic->stats;
	if (port != NULL) {
		memset(port, 0, sizeof(*port));
		if (nic->port->ops->stats != NULL)
			nic->port->ops->stats(nic->port, port);
	}
}

void
host_nic_get_stats(struct host_nic *nic, struct host_nic_stats *stats, struct host_port_stats *port)
{
	struct host_nic_stats more;
	struct host_port_stats port_more;

	nic_own_stats(nic, stats, port);
	for (unsigned int k = 1; k < nic->lanes.n; k++) {
		nic_own_stats(nic->lanes.lane[k], &more, &port_more);
		if (stats != NULL)
			nic_stats_add(stats, &more);
		if (port != NULL)
			nic_port_stats_add(port, &port_more);
	}
}

static void
ring_state(const struct vmbus_ring *ring, uint32_t private_index, struct host_ring_state *s)
{
	s->size = ring->size;
	s->write_index = atomic_load(&ring->ctl->write_index);
	s->read_index = atomic_load(&ring->ctl->read_index);
	s->interrupt_mask = atomic_load(&ring->ctl->interrupt_mask);
	s->pending_send_sz = atomic_load(&ring->ctl->pending_send_sz);
	s->feature_bits = atomic_load(&ring->ctl->feature_bits);
	s->private_index = private_index;
}

int
host_nic_channel_state(struct host_nic *nic, unsigned int index, struct host_channel_state *state)
{
	struct nic_channel *ch;

	memset(state, 0, sizeof(*state));
	if (index >= HOST_MAX_CHANNELS)
		return -EINVAL;
	ch = &nic_lane_of(nic, index)->channels[index];
	state->open = ch->open;
	if (!ch->open)
		return 0;
	ring_state(&ch->in.ring, ch->in.next_r, &state->tx);
	ring_state(&ch->out.ring, ch->out.next_w, &state->rx);
	return 0;
}

const char *
host_nic_state_name(const struct host_nic *nic)
{
	static const char *const names[] = {
		[NIC_OFFERED] = "offered",
		[NIC_OPEN] = "open",
		[NIC_NEGOTIATED] = "negotiated",
		[NIC_READY] = "ready",
		[NIC_REVOKED] = "revoked",
	};

	if (nic->channels[0].open && nic->channels[0].dead)
		return "broken";
	if (nic->state == NIC_READY && nic->rndis_up)
		return nic->filter != 0 ? "running" : "initialized";
	return names[nic->state];
}

const struct host_nic_config *
host_nic_config(const struct host_nic *nic)
{
	return &nic->config;
}
