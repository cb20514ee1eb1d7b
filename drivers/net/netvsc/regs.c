/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers: a port has none, so that these are the words that decide whether frames move. Their
 * order is documented in doc/guide.md; who changes it raises REGS_VERSION.
 */
#include <errno.h>
#include <string.h>

#include <rte_dev_info.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"

#define REGS_VERSION 2u
#define REGS_PORT    32u
#define REGS_CHANNEL 16u
/* Of the port's words: the channels of the send indirection table, all ones where there is none. */
#define REGS_SEND_TABLE (REGS_PORT - NVSP_SEND_TABLE_ENTRIES)

static void
regs_port(struct netvsc_port *port, uint32_t w[REGS_PORT])
{
	const struct netvsc_session *s = &port->session;
	const uint32_t words[REGS_SEND_TABLE] = {
		REGS_VERSION,
		REGS_CHANNEL,
		s->n_channels,
		atomic_load(&port->state),
		s->nvsp_version,
		s->asked_mtu,
		s->mtu,
		s->recv_section,
		s->recv_count,
		s->send_section,
		s->send_count,
		s->max_messages,
		s->max_transfer,
		s->filter,
		atomic_load(&port->link.up),
		atomic_load(&port->link.speed),
	};

	memcpy(w, words, sizeof(words));
	netvsc_send_table_read(port, w + REGS_SEND_TABLE);
}

static void
regs_channel(const struct netvsc_channel *ch, uint32_t w[REGS_CHANNEL])
{
	const struct vmbus_ring_control *in = ch->bus.rx.ctl, *out = ch->bus.tx.ctl;
	const uint32_t words[REGS_CHANNEL] = {
		ch->index,
		ch->bus.relid,
		ch->state,
		ch->bus.rx.size,
		atomic_load(&in->write_index),
		atomic_load(&in->read_index),
		atomic_load(&in->interrupt_mask),
		atomic_load(&in->pending_send_sz),
		ch->in.next_r,
		ch->ahead,
		ch->bus.tx.size,
		atomic_load(&out->write_index),
		atomic_load(&out->read_index),
		atomic_load(&out->interrupt_mask),
		atomic_load(&out->pending_send_sz),
		ch->out.next_w,
	};

	memcpy(w, words, sizeof(words));
}

int
netvsc_get_reg(struct rte_eth_dev *eth, struct rte_dev_reg_info *info)
{
	struct netvsc_port *port = netvsc_port_of(eth);
	uint32_t length = REGS_PORT + REGS_CHANNEL * port->limits.max_queues, *w = info->data;
	unsigned int i;

	info->width = sizeof(uint32_t);
	info->version = REGS_VERSION;
	if (w == NULL) {
		info->length = length;
		return 0;
	}
	if (info->offset != 0 || (info->length != 0 && info->length != length)) {
		NETVSC_LOG(ERR, port, "registers %u to %u: only all %u of them can be read",
			info->offset, info->offset + info->length, length);
		return -ENOTSUP;
	}
	/* Somebody who looks at a hang must not hang with it. */
	if (!netvsc_control_try(port))
		return -EAGAIN;
	memset(w, 0, length * sizeof(*w));
	regs_port(port, w);
	for (i = 0; i < port->session.n_channels && i < port->limits.max_queues; i++)
		if (netvsc_channel_look(port->channels[i])) {
			regs_channel(port->channels[i], w + REGS_PORT + i * REGS_CHANNEL);
			netvsc_channel_look_end(port->channels[i]);
		}
	info->length = length;
	netvsc_control_try_end(port);
	return 0;
}
