/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The inbound direction. rx.c is a burst, from the ring to the caller's array; rx_place.c places
 * frames that do not go into one mbuf as they are, rx_describe.h says what their mbufs tell;
 * rx_ring.c is what else comes in: dispatch of completions and control messages, scanning ahead of
 * receive; rx_done.c completes what was received; rx_transfer.c lets others than the burst read a
 * transfer packet; rxq.c sets queues up, and rx_offload.c says what for.
 */
#ifndef HP_NETVSC_RX_H
#define HP_NETVSC_RX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/stats.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"

#define NETVSC_RX_BURST 32u /**< mbufs fetched from the pool at a time */
/** Words of receive checksums there are: 9 bits (spec/rndis.md §4.2). */
#define NETVSC_RX_CSUM_WORDS 512u

struct netvsc_port;

/**
 * What mbufs tell of their frames, by the queue's offloads and the port's packet types. All zero is
 * a burst of its own, which pays for none of it.
 */
struct netvsc_rx_wants {
	uint32_t words;	 /**< RNDIS_HAS_*: what the host says */
	uint32_t csum;	 /**< RNDIS_RX_CSUM_*: of the checksum word */
	uint32_t ptypes; /**< RTE_PTYPE_*_MASK: layers of the packet type */
};

/**
 * What is done with a frame of the usual shape: worked out once for what is wanted and what the
 * shape has, so that a frame asks for neither. Places are bytes from the message's start; where
 * nothing is to be told they name the first word, of which nothing is taken.
 */
struct netvsc_rx_plan {
	struct netvsc_rx_wants wants; /**< that it was made for */
	uint32_t copy_max;	      /**< longest frame that goes into one mbuf as it is */
	uint32_t hash_at, csum_at;
	uint32_t csum_bits; /**< of the checksum word: all, or none */
	uint32_t vlan_at;
	bool more;	/**< a tag or a packet type is told */
	bool tag;	/**< a tag is */
	uint64_t flags; /**< ol_flags, those of the checksum word aside */
};

/** Which burst a receive queue has. */
enum netvsc_rx_mode {
	NETVSC_RX_PLAIN, /**< its mbufs tell nothing */
	NETVSC_RX_TELLS,
	NETVSC_RX_TRACED, /**< as that, and the packets are traced (wire.h) */
	NETVSC_RX_ANEW,	  /**< something has been set: the next burst makes another plan */
};

/** A frame that takes several mbufs, while it is put together. */
struct netvsc_rx_chain {
	struct rte_mbuf *head, *last; /**< NULL: there is none */
};

struct netvsc_rxq {
	struct netvsc_channel *ch;
	struct netvsc_port *port;
	struct rte_mempool *mp;
	uint64_t rearm;
	uint64_t pool_flags;	      /**< ol_flags that every mbuf of the pool keeps */
	uint32_t room;		      /**< bytes that fit each mbuf of the pool */
	uint32_t copybreak;	      /**< bytes of a frame above which it is lent */
	uint32_t copy_max;	      /**< bytes of a frame that rx.c places; longer: rx_place.c */
	struct netvsc_rx_wants wants; /**< the control side's; bursts go by the plan */
	struct netvsc_rx_plan plan;   /**< under rx_lock */
	uint16_t port_id, queue_id;
	uint16_t nb_desc;
	uint16_t lock_misses;
	uint16_t n_mbufs;
	uint8_t mode;		    /**< enum netvsc_rx_mode, changes while the queue runs */
	bool chains;		    /**< a frame may take several mbufs */
	bool over;		    /**< released; kept for who has it in hand in another process */
	struct netvsc_rx_chain rsc; /**< fragments of one frame so far: netvsc_rx_cursor.rsc */
	struct rndis_shape shape;   /**< of the last frame's message */
	struct rte_mbuf *mbufs[NETVSC_RX_BURST];   /**< fetched, not used yet */
	struct netvsc_rxq_stats stats;		   /**< goes on from the queue before it */
	struct rte_eth_rxconf conf;		   /**< with the queue's own offloads */
	bool keeps_tags;			   /**< it strips none, though the port does */
	uint16_t csum_flags[NETVSC_RX_CSUM_WORDS]; /**< ol_flags by checksum word, as wanted */
};

/** What became of a range, when no frame did. */
enum netvsc_rx_odd {
	NETVSC_RX_MALFORMED = -1,
	NETVSC_RX_DROPPED = -2,
	NETVSC_RX_CONTROL = -3,
	NETVSC_RX_HELD = -4, /**< it is part of a frame that is not complete */
};

/* ---- rx.c and rxq.c ---- */

uint16_t netvsc_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
int netvsc_rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *mp);
/** Give mbufs that were fetched and not used back to the pool; while the queue is stopped. */
void netvsc_rx_give_back(struct netvsc_rxq *rxq);
void netvsc_rx_queue_release(struct rte_eth_dev *eth, uint16_t queue);
void netvsc_rxq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_rxq_info *info);

/* ---- rx_place.c ---- */

/**
 * Place a frame that is longer than one mbuf or than what is copied, or whose tag goes back in, or
 * a fragment of one; rx_lock held.
 * @param msg  its message
 * @param slot an mbuf of the pool for it; receives the frame's first one. NULL: there is none
 * @param last it is the last range of its transfer packet
 * @return bytes of the frame as the caller gets it, or what became of the range
 */
int netvsc_rx_place_other(struct netvsc_rxq *rxq, const uint8_t *msg,
	const struct rndis_packet_info *info, struct rte_mbuf **slot, bool last);
/** Free what is held of a frame that will not become complete. */
void netvsc_rx_chain_free(struct netvsc_rx_chain *chain);

/* ---- rx_zero_copy.c ---- */

/** rx_copybreak of who only asks for external buffers: the in-tree driver's. */
#define NETVSC_RX_COPYBREAK 256u
#define NETVSC_RX_COPY_ALL  UINT32_MAX

/**
 * Have frames lent to the application, if that is configured and there is no lender yet; control
 * side, the port does not run. Without memory for it receive copies all.
 */
void netvsc_rx_lender_begin(struct netvsc_port *port);
/** Frames that the application holds in the receive buffer just now. */
uint32_t netvsc_rx_lent(const struct netvsc_port *port);
/** @return 0, or -EBUSY with a message: the host must not get the receive buffer anew */
int netvsc_rx_lender_check(struct netvsc_port *port);
/**
 * The port is being closed, its channels are; before backend->close(). What the application still
 * holds keeps its memory until it is freed, on whichever thread.
 * @return false: a thread that gives something back does not go on, and all stays
 */
bool netvsc_rx_lender_end(struct netvsc_port *port);
/**
 * The same before backend->reset(), if frames are lent: the host has the receive buffer for others.
 * @return 0; -EBUSY: somebody is inside who gives a frame back; or a negative errno: there is no
 * memory for them, and the device has no buffer
 */
int netvsc_rx_lender_fence(struct netvsc_port *port);
/**
 * Give an mbuf a frame where it lies; rx_lock held.
 * @param m an mbuf of the queue's pool, with a buffer of its own
 * @return false: it must be copied
 */
bool netvsc_rx_lend(struct netvsc_rxq *rxq, const uint8_t *msg,
	const struct rndis_packet_info *info, struct rte_mbuf *m);

/* ---- rx_offload.c ---- */

/** Packet types are told of these layers. */
#define NETVSC_RX_PTYPES (RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK)

/** RTE_ETH_RX_OFFLOAD_* that a queue can have for itself: the host coalesces for all or none. */
#define NETVSC_RXQ_OFFLOADS (~(uint64_t)RTE_ETH_RX_OFFLOAD_TCP_LRO)
/** Of a queue that is set up: the port's and its own, without what it was told to leave. */
uint64_t netvsc_rxq_offloads(const struct netvsc_rxq *rxq);
/** Have a queue do what the port's settings and its own say now; control side. */
void netvsc_rxq_apply(struct netvsc_rxq *rxq);
int netvsc_vlan_offload_set(struct rte_eth_dev *eth, int mask);
void netvsc_vlan_strip_queue_set(struct rte_eth_dev *eth, uint16_t queue, int on);
const uint32_t *netvsc_ptypes_get(struct rte_eth_dev *eth, size_t *count);
int netvsc_ptypes_set(struct rte_eth_dev *eth, uint32_t mask);

/** Does any mbuf tell anything? Control side. */
static inline bool
netvsc_rxq_tells(const struct netvsc_rxq *rxq)
{
	return (rxq->wants.words | rxq->wants.ptypes) != 0;
}

/** Go by what is wanted now; a burst in NETVSC_RX_ANEW, rx_lock held. */
void netvsc_rx_plan_wants(struct netvsc_rxq *rxq);
/** The shape is another one; rx_lock held. */
void netvsc_rx_plan_shape(struct netvsc_rxq *rxq);

/* ---- rx_ring.c ---- */

/** The inbound ring is another one, and empty. Control side. */
void netvsc_rx_begin(struct netvsc_channel *ch);
/**
 * Handle completions and control messages without consuming frames; rx_lock held. When nobody
 * receives and the ring is nearly full, frames are completed unread, oldest first.
 */
void netvsc_rx_scan(struct netvsc_channel *ch);
/** Complete everything in the ring unread (the port is stopping); rx_lock held. */
void netvsc_rx_drain(struct netvsc_channel *ch);
/**
 * Scan or drain each channel of the session that is open, whoever receives there; control side.
 * @return whether completions of what was received still wait for room in the outbound ring
 */
bool netvsc_rx_each_channel(struct netvsc_port *port, void (*look)(struct netvsc_channel *ch));
/** Scan if the lock can be had; @p misses bounds how often it may fail. */
void netvsc_rx_try_scan(struct netvsc_channel *ch, uint16_t *misses);
/**
 * Anything but a transfer packet, at ring index @p at; rx_lock held.
 * @param pkt its descriptor, checked
 */
void netvsc_rx_other_packet(struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at);
/**
 * The header of a transfer packet at ring index @p at: it is ours, and its ranges are all there.
 * @return ranges, which begin at @p first, or -EBADMSG
 */
static inline int
netvsc_rx_transfer_header(const struct netvsc_channel *ch, const struct vmbus_packet *pkt,
	uint32_t at, const uint8_t **first)
{
	const uint8_t *header = vmbus_ring_view(&ch->in.ring, at) + sizeof(*pkt);

	*first = header + sizeof(struct vmbus_xfer_header);
	return nvsp_xfer_parse(header, (uint32_t)pkt->offset8 * 8 - (uint32_t)sizeof(*pkt),
		NVSP_RECV_BUF_ID, NVSP_MAX_XFER_RANGES_RSC);
}
/**
 * The only range of a transfer packet: handle it if it is a control message, which come alone and
 * on the primary channel (spec/rndis.md §1). rx_lock held. @return whether it was
 */
bool netvsc_rx_control_range(struct netvsc_channel *ch, struct vmbus_xfer_range range);
/** Was the transfer packet at the consume position handled ahead by a scan? rx_lock held. */
bool netvsc_rx_was_handled(struct netvsc_channel *ch);
/** Move consume past a packet; rx_lock held. */
static inline void
netvsc_rx_consume(struct netvsc_channel *ch, uint32_t total)
{
	vmbus_ring_consume(&ch->in, total);
	/* A host that changes lengths between scan and receive gets no more than it deserves. */
	ch->ahead = ch->ahead > total ? ch->ahead - total : 0;
}

/* ---- rx_done.c ---- */

/** Nothing waits on the channel, which is another one now. Control side. */
void netvsc_rx_done_begin(struct netvsc_channel *ch);
/** Remember that a transfer packet must be completed; there is room, rx_lock held. */
static inline void
netvsc_rx_complete(struct netvsc_channel *ch, uint64_t trans_id, bool ok)
{
	struct netvsc_rx_done *done = &ch->done[ch->done_head++ % NETVSC_DONE_MAX];

	done->trans_id = trans_id;
	done->status = ok ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE;
}
/** The channel's own memory for completions is full: move some to the port's. @return whether */
bool netvsc_rx_make_room(struct netvsc_channel *ch);
/** Room for one more netvsc_rx_complete()? rx_lock held. */
static inline bool
netvsc_rx_complete_room(struct netvsc_channel *ch)
{
	return likely(ch->done_head - ch->done_tail < NETVSC_DONE_MAX) || netvsc_rx_make_room(ch);
}

/** The rest of netvsc_rx_flush(). */
void netvsc_rx_flush_done(struct netvsc_channel *ch);
/** Is there anything to publish or to complete? rx_lock held. */
static inline bool
netvsc_rx_is_dirty(const struct netvsc_channel *ch)
{
	/* A hint: who takes those acquires, and what is missed now is seen by the next flush. */
	bool released = atomic_load_explicit(&ch->released, memory_order_relaxed) != NULL;

	return ch->in.next_r != ch->in.published_r || ch->done_tail != ch->done_head || released ||
	       ch->releasing != NULL;
}
/** Publish what was consumed and send waiting completions; rx_lock held. */
static inline void
netvsc_rx_flush(struct netvsc_channel *ch)
{
	if (netvsc_rx_is_dirty(ch))
		netvsc_rx_flush_done(ch);
}
/** The same for a channel that may be traced. */
void netvsc_rx_flush_any(struct netvsc_channel *ch);

/**
 * Memory of a port for completions that wait for the host to read.
 * @param sections of the receive buffer: the most that can be outstanding
 * @return 0 or -ENOMEM; control side
 */
int netvsc_rx_pool_init(struct netvsc_rx_pool *pool, uint32_t sections, int socket);
/** No channel is open, or none has completions that wait. Control side. */
void netvsc_rx_pool_free(struct netvsc_rx_pool *pool);

/* ---- rx_transfer.c ---- */

/**
 * A transfer packet that others than the burst read, too: external buffers of mbufs. It is
 * completed when the last reference goes. A burst that copies all makes none of these.
 */
struct netvsc_rx_transfer {
	struct netvsc_channel *ch;
	struct netvsc_rx_transfer *next; /**< while free or released */
	uint64_t trans_id;
	uint32_t opened; /**< which opening of the channel it belongs to */
	bool bad;	 /**< complete with failure */
	_Atomic uint32_t references;
	_Atomic uint32_t *withheld; /**< what it adds to, NULL: nothing */
	uint32_t ranges;
};

/** Make objects for a channel that has none; control side. @return 0 or -ENOMEM */
int netvsc_rx_transfers_make(struct netvsc_channel *ch, uint32_t count);
/** Nobody has a reference any more; control side. */
void netvsc_rx_transfers_free(struct netvsc_channel *ch);
/**
 * Nothing is lent and the counter they add to goes: those that wait for their completion, for long
 * if their channel is closed, let go of it; control side.
 * @return false: somebody is inside of the channel who may still use it
 */
bool netvsc_rx_transfers_forget(struct netvsc_channel *ch);
/**
 * A reference to the packet under the cursor; rx_lock held.
 * @return NULL: there is no object for it, copy instead
 */
struct netvsc_rx_transfer *netvsc_rx_hold(struct netvsc_channel *ch);
/** Give a reference back: any thread, the channel's locks not held. */
void netvsc_rx_put(struct netvsc_rx_transfer *transfer);
/** The burst is through with the packet under the cursor, which has an object; rx_lock held. */
void netvsc_rx_put_cursor(struct netvsc_channel *ch);
/** Remember completions of packets whose last reference went; rx_lock held. */
void netvsc_rx_take_released(struct netvsc_channel *ch);

#endif
