/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The outbound direction. tx.c is a burst, from the caller's array to the ring, and what becomes of
 * completions; tx_frame.h judges a frame, tx_gpa.h names its bytes; txq.c sets queues up.
 */
#ifndef HP_NETVSC_TX_H
#define HP_NETVSC_TX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/sections.h"
#include "drivers/net/netvsc/stats.h"

#define NETVSC_DEFAULT_DESC 1024u /**< of either direction, as the next two */
#define NETVSC_MIN_DESC	    64u
#define NETVSC_MAX_DESC	    8192u
/** Frames up to this size are copied where a section holds them; larger ones go by reference. */
#define NETVSC_TX_COPYBREAK UINT16_MAX
/** Segments a send by reference may have, one range being the header's; more are copied. */
#define NETVSC_TX_MAX_SEGS 31u
#define NETVSC_DMA_RUNS	   128u /**< pieces of memory that a send queue remembers, 2 MiB each */
/** Ring bytes that transmit leaves to receive completions (spec/nvsp.md §6). */
#define NETVSC_RING_RESERVE (64u * 32u)
/** Room for an RNDIS header by reference; never crosses a page (spec/nvsp.md §7). */
#define NETVSC_HEADER_ROOM 128u
/** The same on queues that segment: with a frame's own headers behind it. */
#define NETVSC_HEADER_ROOM_TSO 256u
#define NETVSC_TX_HEADERS_MAX  160u /**< bytes of those */
/** Header as copied: 44 + 16, rounded up; what is behind the header is overwritten by the frame. */
#define NETVSC_HEADER_TEMPLATE 64u

struct netvsc_channel;
struct netvsc_port;

enum netvsc_slot_state { NETVSC_SLOT_FREE, NETVSC_SLOT_INFLIGHT, NETVSC_SLOT_DONE };

/** One VMBus packet in flight: up to 8 copied frames in a section, or one frame by reference. */
struct netvsc_tx_slot {
	atomic_uchar state; /**< enum netvsc_slot_state */
	uint8_t frames;
	bool failed;	  /**< the host refused it: valid when it is done */
	uint32_t section; /**< NETVSC_SECTION_NONE when sent by reference */
	uint32_t generation;
	uint32_t bytes;
	uint64_t first; /**< frames counted as sent before this packet */
	struct rte_mbuf *mbuf;
};

struct netvsc_txq {
	struct netvsc_channel *ch;
	struct netvsc_port *port;
	struct netvsc_section_cache sections;
	uint16_t queue_id, nb_desc;
	uint16_t free_thresh;
	uint16_t lock_misses;
	bool over; /**< released; kept for who has it in hand in another process */
	uint16_t n_free;
	uint16_t *free; /**< stack of free slots */
	struct netvsc_tx_slot *slots;

	/* What this attach allows, and what is made of it: netvsc_tx_template(). */
	uint8_t *send_base;
	uint32_t send_section;
	uint32_t max_transfer; /**< bytes of messages in one packet */
	uint32_t limit;	       /**< ... in one section */
	uint32_t max_messages; /**< messages in one section */
	uint32_t align_mask;   /**< alignment of messages in a section, less 1 */
	uint32_t max_frame;    /**< longest frame that the host takes, tag included */
	uint32_t max_copy;     /**< longest frame that is copied when there is a choice */
	uint32_t copy_lengths; /**< lengths that those have */
	uint64_t work;	       /**< ol_flags that mean something on this queue */
	uint32_t tso_max[2];   /**< longest large frame, IPv4 and IPv6; 0: none */
	uint32_t header_len;   /**< of @a template */
	uint8_t template[NETVSC_HEADER_TEMPLATE]; /**< RNDIS header, lengths to be filled in */

	struct netvsc_txq_stats stats; /**< goes on from the queue before it, as does @a drops */
	struct netvsc_tx_drops drops;
	_Atomic uint64_t counted_from; /**< stats.packets as of the last reset */
	struct rte_eth_txconf conf;
	struct netvsc_txq *next; /**< in netvsc_port.quarantine */

	/* Sends by reference. */
	uint8_t *headers; /**< @a header_room for each slot */
	uint32_t header_room;
	rte_iova_t *headers_iova; /**< of each page of them */
	bool headers_usable;	  /**< the host can read them: sends by reference are possible */
	uint32_t generation;	  /**< hpbus_dma_generation() that @a runs belongs to */
	/** What is known of memory, by window of the address (NETVSC_DMA_RUNS of them). */
	struct hpbus_dma_run runs[NETVSC_DMA_RUNS];

	/* Completed slots, from whoever holds rx_lock to whoever has the slots (tx_slot.h). */
	uint16_t *completed; /**< nb_desc rounded up to a power of two */
	uint32_t completed_mask;
	_Atomic uint32_t completed_head __rte_cache_aligned;
	_Atomic uint32_t completed_tail __rte_cache_aligned;
};

uint16_t netvsc_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
int netvsc_tx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_txconf *conf);
void netvsc_tx_queue_release(struct rte_eth_dev *eth, uint16_t queue);
void netvsc_txq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_txq_info *info);
/** The backend is closed: release all queues. What the host may still read stays (bus->held). */
void netvsc_tx_queues_close(struct rte_eth_dev *eth);
/** The host is fenced off: free what was released with sends in flight. */
void netvsc_tx_quarantine_free(struct netvsc_port *port);
/** Address of a slot's header, which does not cross a page. */
static inline rte_iova_t
netvsc_tx_header_iova(const struct netvsc_txq *txq, uint16_t slot)
{
	size_t at = (size_t)slot * txq->header_room;

	return txq->headers_iova[at / VMBUS_PAGE_SIZE] + at % VMBUS_PAGE_SIZE;
}
/**
 * Free what the host has completed of frames sent by reference; copied ones were freed when sent.
 * @param count most packets to free, 0 = all that can be
 * @return packets freed
 */
int netvsc_tx_done_cleanup(void *queue, uint32_t count);
/** What this queue's sends depend on: header, limits, known memory; after attach, before start. */
void netvsc_tx_template(struct netvsc_txq *txq);
/** Whether the host can read the queue's headers, which another host may not. */
void netvsc_txq_see_headers(struct netvsc_txq *txq);
/**
 * Free what the host has completed. Under tx_lock while the queue's bursts may send (ask
 * netvsc_channel_sends() with it); a control thread when they may not, without.
 */
void netvsc_tx_reap(struct netvsc_txq *txq);
/** Packets that the host has not completed; any thread, while the queue is there (queue_status.c).
 */
uint32_t netvsc_tx_outstanding(const struct netvsc_txq *txq);
/** Slots in flight; the queue is stopped. */
unsigned int netvsc_tx_inflight(const struct netvsc_txq *txq);
/** The channel is closed, nothing is in flight any more: free everything. */
void netvsc_tx_forget(struct netvsc_txq *txq);
/** What is in flight stays where it is, and counts as over: nobody will hear of it. */
void netvsc_tx_abandon(struct netvsc_txq *txq);
/** Dispatcher: a send completed; rx_lock held. @return false for an id that is not in flight */
bool netvsc_tx_complete(struct netvsc_txq *txq, uint64_t trans_id, bool ok);

#endif
