/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The PMD's own structures. Ownership and threads:
 *
 * - struct netvsc_port belongs to the control side: ethdev operations, serialised by the
 *   application, take @a control_lock because the housekeeping alarm is an extra caller.
 * - struct netvsc_channel owns both directions of one channel. Everything inbound is under
 *   @a rx_lock, the outbound ring under @a tx_lock; each is taken at most once per burst. Order:
 *   rx_lock before tx_lock; a holder of tx_lock never takes an rx_lock.
 * - struct netvsc_rxq and netvsc_txq belong to the lcore that polls them; they refer to a channel.
 *   What a receiving lcore learns about sends (completions) travels to the sending lcore through
 *   netvsc_txq.completed, a single-producer (rx_lock) single-consumer ring.
 */
#ifndef HP_NETVSC_H
#define HP_NETVSC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_memzone.h>
#include <rte_spinlock.h>
#include <ethdev_driver.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/sections.h"
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"

extern int netvsc_logtype;
#define NETVSC_LOG(level, port, ...)                                                               \
	rte_log(RTE_LOG_##level, netvsc_logtype,                                                   \
		RTE_FMT("hyperpoll: %s: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", (port)->bus->name,     \
			RTE_FMT_TAIL(__VA_ARGS__, )))

#define NETVSC_DEFAULT_MTU  1500u
#define NETVSC_DEFAULT_DESC 1024u
#define NETVSC_MIN_DESC	    64u
#define NETVSC_MAX_DESC	    8192u
#define NETVSC_TX_COPYBREAK 512u /**< larger frames go by reference */
#define NETVSC_TX_MAX_SEGS  24u	 /**< segments a send by reference may have; more are copied */
#define NETVSC_RX_BURST	    32u	 /**< mbufs fetched from the pool at a time */
#define NETVSC_DMA_RUNS	    128u /**< pieces of memory that a send queue remembers, 2 MiB each */
#define NETVSC_HANDLED_MAX  32u	 /**< control messages handled ahead of receive */
#define NETVSC_MAX_TRANSFER 0x4000u
#define NETVSC_UNDIVIDED    UINT32_MAX
#define NETVSC_RETA_MAX	    NDIS_RSS_TABLE_ENTRIES
#define NETVSC_RSS_KEY_LEN  40u
/** Ring bytes that transmit leaves to receive completions (spec/nvsp.md §6). */
#define NETVSC_RING_RESERVE (64u * 32u)
/** Failed try-locks in a row before a burst waits for the lock (pitfall T20). */
#define NETVSC_TRYLOCK_LIMIT 8u
/** Room for an RNDIS header with its PPIs; never crosses a page (spec/nvsp.md §7). */
#define NETVSC_HEADER_ROOM 256u
/** Header as copied: 44 + 16, rounded up; what is behind the header is overwritten by the frame. */
#define NETVSC_HEADER_TEMPLATE 64u
/** Most an RNDIS header and PPIs of ours take: 44 + 4 * 16, kept 8-aligned. */
#define NETVSC_HEADER_MAX 112u

/** Bits of netvsc_port.state, the one word that a queue reads once per burst. */
#define NETVSC_STATE_RUNNING 0x1u
#define NETVSC_STATE_GONE    0x2u /**< the host or the device went away */
#define NETVSC_STATE_BROKEN  0x4u /**< the host broke the protocol; needs reset */

/** Bits of netvsc_port.events: set anywhere, handled by the housekeeping alarm. */
#define NETVSC_EVENT_LINK  0x1u
#define NETVSC_EVENT_GONE  0x2u
#define NETVSC_EVENT_RESET 0x4u
#define NETVSC_EVENT_FLAP  0x8u /**< announce the link as down, then up (network change) */

/** Ids of control requests have bit 63, transmit ids do not; both are never 0. */
#define NETVSC_TID_CONTROL (UINT64_C(1) << 63)

/*
 * How long each kind of operation may take, all its requests together. Busy hosts took up to 15 s
 * for an answer (pitfall N2); one that is silent while a port is taken down is left behind quickly.
 */
extern const struct hpbus_op_kind netvsc_op_probe, netvsc_op_bring_up, netvsc_op_setting,
	netvsc_op_stop, netvsc_op_close, netvsc_op_reset, netvsc_op_farewell;

struct netvsc_port;
struct netvsc_txq;

/** A transfer packet of which a burst has taken some ranges but not all. */
struct netvsc_rx_cursor {
	bool active;
	bool bad;	     /**< a range was malformed: complete with failure */
	uint32_t total;	     /**< bytes of the packet in the ring */
	uint32_t next_range; /**< ring index of the next range */
	uint32_t left;	     /**< ranges not taken */
	uint64_t trans_id;
};

/** A receive completion that waits for room in the outbound ring. */
struct netvsc_rx_done {
	uint64_t trans_id;
	uint32_t status;
};

struct netvsc_channel_stats {
	uint64_t rx_malformed;	       /**< frames (or packets of them) that made no sense */
	uint64_t rx_control_malformed; /**< control messages that made no sense */
	uint64_t rx_dropped_unpolled;  /**< dropped unread so that completions could pass (X1) */
	uint64_t rx_dropped_stopped;   /**< ... or because the port was being stopped */
	uint64_t rx_unknown_packets;   /**< ring packets of a type nobody sends */
	uint64_t tx_bad_completions;   /**< completions with an id that is not in flight */
	uint64_t doorbells;	       /**< signals sent to the host */
	uint64_t done_deferred;	       /**< receive completions that had to wait for ring room */
};

struct netvsc_channel {
	struct netvsc_port *port;
	struct netvsc_txq *_Atomic txq; /**< whose sends complete here, or NULL */
	struct hpbus_channel bus;
	uint16_t index;
	bool open;

	/* Inbound, under rx_lock. */
	rte_spinlock_t rx_lock __rte_cache_aligned;
	struct vmbus_ring_reader in;
	uint64_t consumed, scanned; /**< bytes since open; scanned >= consumed */
	uint32_t scan_at;	    /**< ring index that belongs to @a scanned */
	struct netvsc_rx_cursor cursor;
	uint32_t n_handled;
	uint64_t handled[NETVSC_HANDLED_MAX]; /**< positions of control packets done ahead */
	struct netvsc_rx_done *done;	      /**< ring of completions to send */
	uint32_t done_head, done_tail, done_mask;
	uint64_t polls; /**< receive bursts so far */
	uint64_t high_polls, high_since;
	struct netvsc_channel_stats stats, base; /**< base: as of the last reset */
	uint64_t tick_polls;			 /**< polls as of the last housekeeping tick */

	/* Outbound, under tx_lock. */
	rte_spinlock_t tx_lock __rte_cache_aligned;
	struct vmbus_ring_writer out;
};

/** Counted by the receiving lcore. */
struct netvsc_rxq_stats {
	uint64_t packets, bytes;
	uint64_t no_mbuf;  /**< frames dropped because the pool was empty */
	uint64_t too_long; /**< ... because they do not fit one mbuf */
};

struct netvsc_rxq {
	struct netvsc_channel *ch;
	struct netvsc_port *port;
	struct rte_mempool *mp;
	uint64_t rearm;
	uint64_t pool_flags; /**< ol_flags that every mbuf of the pool keeps */
	uint16_t port_id, queue_id;
	uint16_t nb_desc;
	uint16_t lock_misses;
	uint16_t n_mbufs;
	uint32_t data_hint;			 /**< where the last frame was in its message */
	struct rte_mbuf *mbufs[NETVSC_RX_BURST]; /**< fetched, not used yet */
	struct netvsc_rxq_stats stats;		 /**< goes on from the queue before it */
	struct rte_eth_rxconf conf;
};

enum netvsc_slot_state { NETVSC_SLOT_FREE, NETVSC_SLOT_INFLIGHT, NETVSC_SLOT_DONE };

/** One VMBus packet in flight: up to 8 copied frames in a section, or one frame by reference. */
struct netvsc_tx_slot {
	atomic_uchar state; /**< enum netvsc_slot_state */
	uint8_t frames;
	bool failed;	  /**< the host refused it */
	uint32_t section; /**< NETVSC_SECTION_NONE when sent by reference */
	uint32_t generation;
	uint32_t bytes;
	uint64_t first; /**< frames counted as sent before this packet */
	struct rte_mbuf *mbuf;
};

/** Counted by the sending lcore; see stats.c for what is reported of them. */
struct netvsc_txq_stats {
	uint64_t packets, bytes;	 /**< written to the ring */
	uint64_t errors;		 /**< not sent: refused by the host, or never sendable */
	uint64_t refused, refused_bytes; /**< of those in @a packets since the last reset */
	uint64_t failed;		 /**< refused by the host, whenever sent */
	uint64_t over, over_bytes;	 /**< of @a packets: not in flight any more */
};

struct netvsc_tx_drops {
	uint64_t ring_full;   /**< bursts cut short: no room in the ring */
	uint64_t no_slot;     /**< ... every descriptor is in flight */
	uint64_t no_section;  /**< ... no send-buffer section and not sendable by reference */
	uint64_t runt;	      /**< frames dropped: shorter than an Ethernet header */
	uint64_t oversize;    /**< ... longer than the host takes */
	uint64_t bad_mbuf;    /**< ... the mbuf contradicts itself */
	uint64_t unsendable;  /**< ... can be sent neither by copy nor by reference */
	uint64_t dma_lookups; /**< pieces of memory looked up, not found in @a netvsc_txq.runs */
	uint64_t by_reference, aggregated; /**< frames sent each way */
	uint64_t doorbells;		   /**< signals sent to the host */
};

struct netvsc_txq {
	struct netvsc_channel *ch;
	struct netvsc_port *port;
	struct netvsc_section_cache sections;
	uint16_t queue_id, nb_desc;
	uint16_t free_thresh;
	uint16_t lock_misses;
	uint16_t n_free;
	uint32_t header_len;			  /**< of @a template */
	uint8_t template[NETVSC_HEADER_TEMPLATE]; /**< RNDIS header, lengths to be filled in */
	uint16_t *free;				  /**< stack of free slots */
	struct netvsc_tx_slot *slots;
	uint8_t *headers;	  /**< NETVSC_HEADER_ROOM per slot */
	rte_iova_t *headers_iova; /**< of each page of them */
	bool headers_usable;	  /**< the host can read them: sends by reference are possible */
	uint32_t max_frame;	  /**< longest frame that the host takes, tag included */
	uint32_t generation;	  /**< hpbus_dma_generation() that @a runs belongs to */
	/** What is known of memory, by window of the address (NETVSC_DMA_RUNS of them). */
	struct hpbus_dma_run runs[NETVSC_DMA_RUNS];
	struct netvsc_txq_stats stats; /**< goes on from the queue before it, as does @a drops */
	struct netvsc_tx_drops drops;
	_Atomic uint64_t counted_from; /**< stats.packets as of the last reset */
	struct rte_eth_txconf conf;
	struct netvsc_txq *next; /**< in netvsc_port.quarantine */

	/* Completed slots, from whoever holds rx_lock to the sending lcore. */
	uint16_t *completed; /**< nb_desc rounded up to a power of two */
	uint32_t completed_mask;
	_Atomic uint32_t completed_head __rte_cache_aligned;
	_Atomic uint32_t completed_tail __rte_cache_aligned;
};

enum netvsc_answer {
	NETVSC_ANSWER_NONE,
	NETVSC_ANSWER_HERE, /**< in reply */
	NETVSC_ANSWER_BAD,  /**< it came, and makes no sense */
};

/** What has been counted for a queue number, whichever queues had it; under stats_lock. */
struct netvsc_rxq_counts {
	struct netvsc_rxq *queue;	    /**< counts now, or NULL: @a kept has it all */
	struct netvsc_rxq_stats kept, base; /**< base: as of the last reset */
};

struct netvsc_txq_counts {
	struct netvsc_txq *queue;
	struct netvsc_txq_stats kept, base;
	struct netvsc_tx_drops drops_kept, drops_base;
	uint64_t told_packets, told_bytes; /**< most that was reported since the last reset */
};

/** The one request that may be outstanding on the control path (spec/nvsp.md §2). */
struct netvsc_request {
	_Atomic uint64_t trans_id; /**< VMBus completion waited for, 0 none */
	uint32_t expect;	   /**< NVSP type of the answer, 0 = an empty completion */
	_Atomic uint32_t answered;
	uint32_t answer_len;
	struct nvsp_message answer;

	_Atomic uint32_t rndis_id; /**< RNDIS completion waited for, 0 none */
	uint32_t rndis_type;
	_Atomic uint32_t rndis_answered; /**< enum netvsc_answer */
	uint32_t reply_len;
	uint8_t reply[RNDIS_MAX_REQUEST];
};

struct netvsc_port {
	struct hpbus_device *bus;
	struct rte_eth_dev *eth;
	_Atomic uint32_t state;
	_Atomic uint32_t events;
	atomic_bool alarm_stop;
	pthread_mutex_t control_lock; /**< recursive */
	rte_spinlock_t stats_lock;    /**< innermost, held for a few loads and stores */
	struct netvsc_rxq_counts rx_counts[HPBUS_MAX_CHANNELS];
	struct netvsc_txq_counts tx_counts[HPBUS_MAX_CHANNELS];

	/**
	 * The host may still read what was sent: a reset that should have fenced it off failed.
	 * Until the device is closed (or a reset succeeds) nothing in flight is freed or used
	 * again.
	 */
	bool unfenced;
	struct netvsc_txq *quarantine; /**< released with sends in flight while unfenced */

	/* Protocol, known after attach. */
	bool attached;
	uint32_t nvsp_version;
	uint32_t recv_section, recv_count; /**< bytes of a section, sections */
	uint32_t send_section, send_count;
	uint32_t max_messages;	 /**< RNDIS messages per send */
	uint32_t max_transfer;	 /**< bytes of RNDIS per send */
	uint32_t alignment;	 /**< of messages in one send */
	uint32_t asked_mtu, mtu; /**< what we asked for, and what the host allows of it */
	uint32_t max_queues;
	uint32_t n_channels; /**< open, including the primary */
	uint32_t filter;     /**< packet filter as last set */
	bool recv_connected, send_connected;
	struct rte_ether_addr mac;
	struct netvsc_section_pool sections;
	uint32_t section_queues;  /**< queues the pool is divided for, or NETVSC_UNDIVIDED */
	uint32_t control_section; /**< section kept for control messages in copy-only mode */
	_Atomic uint32_t link_up;
	_Atomic uint32_t link_speed; /**< units of 100 bit/s */

	struct netvsc_request request;
	uint64_t next_trans_id;
	uint32_t next_rndis_id;
	const struct rte_memzone *control_zone; /**< one page that requests are sent from */
	bool control_usable;

	/* RSS as the user set it; survives stop and start. */
	uint32_t reta_size;
	uint32_t rss_caps; /**< NDIS capability flags, 0 = the host has none */
	uint64_t rss_hf;
	bool reta_user; /**< the table is the user's, not derived */
	uint16_t reta[NETVSC_RETA_MAX];
	uint8_t rss_key[NETVSC_RSS_KEY_LEN];

	/* Devargs. */
	uint32_t tx_copybreak;
	uint32_t latency_ns;

	struct netvsc_channel *channels[HPBUS_MAX_CHANNELS];
};

static inline struct netvsc_port *
netvsc_port_of(const struct rte_eth_dev *eth)
{
	return eth->data->dev_private;
}

/* ---- channel.c: both directions of a channel ---- */

int netvsc_channel_open(struct netvsc_port *port, unsigned int index);
/** The host must not touch the channel any more (reset), or be told right after. */
void netvsc_channel_close(struct netvsc_channel *ch);

/** The host broke the ring or the protocol: stop the port, tell the application once. */
void netvsc_port_broken(struct netvsc_port *port, const char *why);

/**
 * Handle completions and control messages without consuming frames; rx_lock held. When nobody
 * receives and the ring is nearly full, frames are completed unread, oldest first.
 */
void netvsc_channel_scan(struct netvsc_channel *ch);
/** Complete everything in the ring unread (the port is stopping); rx_lock held. */
void netvsc_channel_drain(struct netvsc_channel *ch);
/** Scan if the lock can be had; @p misses bounds how often it may fail. */
void netvsc_channel_try_scan(struct netvsc_channel *ch, uint16_t *misses);
/** Remember that a transfer packet must be completed; rx_lock held. */
void netvsc_channel_done(struct netvsc_channel *ch, uint64_t trans_id, bool ok);
/** Room for one more netvsc_channel_done()? rx_lock held. */
static inline bool
netvsc_channel_done_room(const struct netvsc_channel *ch)
{
	return ch->done_head - ch->done_tail <= ch->done_mask;
}
/** Publish what was consumed and send waiting completions; rx_lock held. */
void netvsc_channel_flush(struct netvsc_channel *ch);
/** A completion or control message at the head of the ring; rx_lock held. */
void netvsc_channel_control_packet(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at);
/** Handle a transfer packet if it carries control. @return whether it did; rx_lock held. */
bool netvsc_channel_control_transfer(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at);
/** Was the packet at the consume position handled ahead by a scan? rx_lock held. */
bool netvsc_channel_was_handled(struct netvsc_channel *ch);
/** Move consume (and scan with it) past a packet; rx_lock held. */
static inline void
netvsc_channel_consume(struct netvsc_channel *ch, uint32_t total)
{
	vmbus_ring_consume(&ch->in, total);
	ch->consumed += total;
	if (ch->scanned < ch->consumed) {
		ch->scanned = ch->consumed;
		ch->scan_at = ch->in.next_r;
	}
}
/** Header of a transfer packet: ranges, and that it is ours. @return ranges or -EBADMSG */
int netvsc_transfer_header(
	struct netvsc_channel *ch, const struct vmbus_packet *pkt, uint32_t at, uint32_t *first);

/* ---- attach.c: the bring-up ladder ---- */

/** Bring the device up: NVSP and RNDIS negotiation with @p channels channels. */
int netvsc_attach(struct netvsc_port *port, unsigned int channels, uint32_t mtu);
/**
 * Take it down (spec/nvsp.md §10) and close all channels; idempotent, bounded.
 * @param reset fence off what is in flight and stay open; false: backend->close() follows and does
 * @return 0, or why the fence failed: port->unfenced is set
 */
int netvsc_detach(struct netvsc_port *port, bool reset);
/** Make the host let go of all memory; the channels are closed. Sets port->unfenced. */
int netvsc_fence(struct netvsc_port *port);
int netvsc_set_filter(struct netvsc_port *port, uint32_t filter);
/** Switch every offload of the host off that was not asked for (NDIS_CAN_*). */
int netvsc_set_offloads(struct netvsc_port *port, uint32_t want);
/** Ask the host for link state and speed. */
int netvsc_query_link(struct netvsc_port *port);

/* ---- control.c: requests and their answers ---- */

int netvsc_nvsp_init(struct netvsc_port *port);
int netvsc_nvsp_configure(struct netvsc_port *port, uint32_t mtu);
int netvsc_nvsp_buffers(struct netvsc_port *port);
/** @param granted 0..want; a host that refuses grants 0 */
int netvsc_nvsp_subchannels(struct netvsc_port *port, unsigned int want, unsigned int *granted);
int netvsc_nvsp_revoke(struct netvsc_port *port);
int netvsc_rndis_init(struct netvsc_port *port);
int netvsc_rndis_halt(struct netvsc_port *port);
/** Completion of a control request, from the dispatcher; rx_lock of channel 0 held. */
void netvsc_control_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len);
/** In-band notice of the host; rx_lock of channel 0 held. */
void netvsc_control_notice(struct netvsc_port *port, const void *payload, uint32_t len);
/** RNDIS control message, a private copy; rx_lock of channel 0 held. */
void netvsc_control_rndis(struct netvsc_port *port, const void *msg, uint32_t len);

int netvsc_query(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len, void *out,
	uint32_t out_len, uint32_t *got);
int netvsc_set(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len);

/* ---- rss.c ---- */

/** Read the host's capabilities; a host without RSS leaves one queue. */
int netvsc_rss_query(struct netvsc_port *port);
/** Send key, table and hash types to the host, or switch RSS off. */
int netvsc_rss_apply(struct netvsc_port *port);
void netvsc_rss_default(struct netvsc_port *port);
uint64_t netvsc_rss_offloads(const struct netvsc_port *port);
int netvsc_rss_hash_update(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf);
int netvsc_rss_hash_conf_get(struct rte_eth_dev *eth, struct rte_eth_rss_conf *conf);
int netvsc_reta_update(
	struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size);
int netvsc_reta_query(
	struct rte_eth_dev *eth, struct rte_eth_rss_reta_entry64 *reta, uint16_t size);

/* ---- conf.c: refuse what is not there ---- */

/** @return 0, or -EINVAL or -ENOTSUP with a message that names the setting */
int netvsc_check_conf(struct netvsc_port *port, const struct rte_eth_conf *conf);
int netvsc_check_rxconf(
	struct netvsc_port *port, uint16_t queue, const struct rte_eth_rxconf *conf);
int netvsc_check_txconf(struct netvsc_port *port, uint16_t queue, uint16_t nb_desc,
	const struct rte_eth_txconf *conf);
/** All queues are set up, and receive queues take frames of @p mtu. */
int netvsc_check_queues(struct netvsc_port *port);
int netvsc_check_pool(
	struct netvsc_port *port, uint16_t queue, struct rte_mempool *mp, uint32_t mtu);
int netvsc_check_pools(struct netvsc_port *port, uint32_t mtu);
/** Bytes that an mbuf must have room for: a frame with a tag. */
static inline uint32_t
netvsc_rx_room(uint32_t mtu)
{
	return mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

/* ---- rx.c ---- */

uint16_t netvsc_rx_burst(void *rxq, struct rte_mbuf **pkts, uint16_t n);
int netvsc_rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *mp);
/** Give mbufs that were fetched and not used back to the pool; while the queue is stopped. */
void netvsc_rx_give_back(struct netvsc_rxq *rxq);
void netvsc_rx_queue_release(struct rte_eth_dev *eth, uint16_t queue);
void netvsc_rxq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_rxq_info *info);

/* ---- tx.c ---- */

uint16_t netvsc_tx_burst(void *txq, struct rte_mbuf **pkts, uint16_t n);
int netvsc_tx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_txconf *conf);
void netvsc_tx_queue_release(struct rte_eth_dev *eth, uint16_t queue);
void netvsc_txq_info_get(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_txq_info *info);
/** The host is fenced off: free what was released with sends in flight. */
void netvsc_tx_quarantine_free(struct netvsc_port *port);
/** Address of a slot's header, which does not cross a page. */
static inline rte_iova_t
netvsc_tx_header_iova(const struct netvsc_txq *txq, uint16_t slot)
{
	const uint32_t per_page = VMBUS_PAGE_SIZE / NETVSC_HEADER_ROOM;

	return txq->headers_iova[slot / per_page] +
	       (rte_iova_t)(slot % per_page) * NETVSC_HEADER_ROOM;
}
/**
 * Free what the host has completed of frames sent by reference; copied ones were freed when sent.
 * @param count most packets to free, 0 = all that can be
 * @return packets freed
 */
int netvsc_tx_done_cleanup(void *txq, uint32_t count);
/** What this queue's sends depend on: header, limits, known memory; after attach, before start. */
void netvsc_tx_template(struct netvsc_txq *txq);
/** Free what the host has completed. The queue's lcore, or a control thread while stopped. */
void netvsc_tx_reap(struct netvsc_txq *txq);
/** Slots in flight; the queue is stopped. */
unsigned int netvsc_tx_inflight(const struct netvsc_txq *txq);
/** The channel is closed, nothing is in flight any more: free everything. */
void netvsc_tx_forget(struct netvsc_txq *txq);
/** What is in flight stays where it is, and counts as over: nobody will hear of it. */
void netvsc_tx_abandon(struct netvsc_txq *txq);
/** Dispatcher: a send completed; rx_lock held. @return false for an id that is not in flight */
bool netvsc_tx_complete(struct netvsc_txq *txq, uint64_t trans_id, bool ok);

/* ---- info.c: ethdev operations that look or set one value ---- */

/** Packet filter for the promiscuous and all-multicast flags of a port. */
uint32_t netvsc_filter_of(const struct rte_eth_dev_data *data);
int netvsc_infos_get(struct rte_eth_dev *eth, struct rte_eth_dev_info *info);
int netvsc_promiscuous_enable(struct rte_eth_dev *eth);
int netvsc_promiscuous_disable(struct rte_eth_dev *eth);
int netvsc_allmulticast_enable(struct rte_eth_dev *eth);
int netvsc_allmulticast_disable(struct rte_eth_dev *eth);
int netvsc_mac_addr_set(struct rte_eth_dev *eth, struct rte_ether_addr *mac);
int netvsc_mtu_set(struct rte_eth_dev *eth, uint16_t mtu);
int netvsc_burst_mode(struct rte_eth_dev *eth, uint16_t queue, struct rte_eth_burst_mode *mode);
int netvsc_fw_version(struct rte_eth_dev *eth, char *text, size_t size);

/* ---- events.c ---- */

int netvsc_link_update(struct rte_eth_dev *eth, int wait);
int netvsc_events_start(struct netvsc_port *port);
/** No tick runs after this; control_lock must not be held. */
void netvsc_events_stop(struct netvsc_port *port);

/* ---- stats.c ---- */

struct eth_queue_stats; /* compat.h, before 25.11 */
/** @param queues NULL: nobody asks for them */
int netvsc_stats_get(
	struct rte_eth_dev *eth, struct rte_eth_stats *stats, struct eth_queue_stats *queues);
int netvsc_stats_reset(struct rte_eth_dev *eth);
int netvsc_xstats_get(struct rte_eth_dev *eth, struct rte_eth_xstat *xstats, unsigned int n);
int netvsc_xstats_get_names(
	struct rte_eth_dev *eth, struct rte_eth_xstat_name *names, unsigned int n);
int netvsc_xstats_reset(struct rte_eth_dev *eth);
int netvsc_priv_dump(struct rte_eth_dev *eth, FILE *f);
/** A queue begins to count for its number, or (NULL) the one that did is released. */
void netvsc_stats_rxq(struct netvsc_port *port, uint16_t queue, struct netvsc_rxq *rxq);
void netvsc_stats_txq(struct netvsc_port *port, uint16_t queue, struct netvsc_txq *txq);
/** Count a packet that the host refused. The queue's lcore. */
void netvsc_stats_refused(struct netvsc_txq *txq, const struct netvsc_tx_slot *slot);

/* ---- devargs.c ---- */

/**
 * The name of a device's port: what the devargs say, else its GUID.
 * @return 0, or -EINVAL with a message: not a name, or another port's
 */
int netvsc_devargs_name(const struct hpbus_device *bus, char name[RTE_ETH_NAME_MAX_LEN]);
/** Read the devargs of a device. @return 0, or -EINVAL with a message that names the key. */
int netvsc_devargs_parse(struct netvsc_port *port, const struct rte_devargs *devargs);

#endif
