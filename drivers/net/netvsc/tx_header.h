/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The RNDIS header of a frame: the queue's template, and behind it what the frame's own ol_flags
 * ask for. All that can stand in front of a frame is written here, and here is the bound on it
 * that the section and the by-reference path keep room for. Inline parts of tx.c; the sending
 * lcore only.
 */
#ifndef HP_NETVSC_TX_HEADER_H
#define HP_NETVSC_TX_HEADER_H

#include <assert.h>
#include <string.h>

#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/tx_offload.h"
#include "lib/netvsp/rndis.h"

/** PPIs of a frame itself: checksums or segmentation, and a tag. */
#define NETVSC_FRAME_PPIS 2u
/** Most bytes that netvsc_tx_header() writes: the template goes as a whole. */
#define NETVSC_HEADER_MAX                                                                          \
	(NETVSC_HEADER_TEMPLATE + NETVSC_FRAME_PPIS * (uint32_t)sizeof(struct rndis_ppi))

static_assert(sizeof(struct rndis_packet) + sizeof(struct rndis_ppi) <= NETVSC_HEADER_TEMPLATE,
	"the template holds the queue's part");
static_assert(NETVSC_HEADER_MAX + NETVSC_TYPE_AT <= NETVSC_HEADER_ROOM,
	"a header by reference has room, and addresses behind it when a tag is left out");
static_assert(NETVSC_HEADER_MAX + NETVSC_TX_HEADERS_MAX <= NETVSC_HEADER_ROOM_TSO,
	"... and all headers of a large frame");

/** Write the queue's part. */
static inline void
netvsc_tx_header_template(struct netvsc_txq *txq)
{
	const struct netvsc_session *session = &txq->port->session;
	struct rndis_packet_builder b;

	rndis_packet_begin(&b, txq->template);
	/* The queue, so that the host completes and answers here; with one there is no choice. */
	if (session->nvsp_version >= NVSP_VERSION_5 && session->n_channels > 1)
		rndis_packet_add(&b, RNDIS_PPI_HASH_VALUE, txq->queue_id);
	txq->header_len = rndis_packet_end(&b, 0);
}

/** Write a PPI. @return its bytes */
static inline uint32_t
netvsc_tx_header_ppi(uint8_t *dst, uint32_t type, uint32_t value)
{
	const struct rndis_ppi ppi = {sizeof(ppi), type, RNDIS_PPI_HEADER, value};

	memcpy(dst, &ppi, sizeof(ppi));
	return sizeof(ppi);
}

/**
 * Write the header of a frame: the template, then a PPI for each thing that the frame asks.
 * The template is copied and words are stored over it: building it in place would read back what is
 * still in the store buffer. The message's length is the caller's to set, who knows of padding.
 * @param dst has room for NETVSC_HEADER_MAX bytes; those behind the header are the frame's
 * @param asks NULL: nothing
 * @return bytes of it
 */
static inline uint32_t
netvsc_tx_header(const struct netvsc_txq *txq, uint8_t *dst, const struct netvsc_tx_asks *asks,
	uint32_t frame_len)
{
	uint32_t len = txq->header_len;

	memcpy(dst, txq->template, NETVSC_HEADER_TEMPLATE);
	memcpy(dst + offsetof(struct rndis_packet, data_length), &frame_len, sizeof(frame_len));
	if (asks == NULL)
		return len;
	if (asks->word != 0)
		len += netvsc_tx_header_ppi(dst + len, asks->type, asks->word);
	if (asks->tagged)
		len += netvsc_tx_header_ppi(dst + len, RNDIS_PPI_VLAN, asks->vlan);
	rndis_packet_set_ppis(dst, len);
	return len;
}

#endif
