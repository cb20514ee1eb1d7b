/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The driver's data path in one process: a port with its channels over real rings in memory,
 * receive and send buffers, a real mempool, and below it a bus of the test's own. The host's end of
 * the rings is scripted: write transfer packets, completions and control messages, read what the
 * driver wrote.
 *
 * A program links the driver's sources and netvsc_fixture.c, which stands in the place of
 * drivers/bus/vmbus. One fixture at a time; everything runs on the calling thread unless a test
 * starts another. The rings of a closed channel cannot be accessed: who touches what is gone ends
 * with SIGSEGV.
 */
#ifndef HP_TEST_NETVSC_FIXTURE_H
#define HP_TEST_NETVSC_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <ethdev_driver.h>

#include "drivers/bus/vmbus/bus.h"
#include "drivers/net/netvsc/attach.h"
#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "lib/vfio_user/signal.h"
#include "test/unit/unit.h"
#include "test/unit/vmbus_fixture.h"

#define FIXTURE_CHANNELS 4u
/** Where a frame lies in its message unless a test says otherwise: behind header and four PPIs. */
#define FIXTURE_DATA_AT 128u
#define FIXTURE_PPIS	16u
/** The longest packet that fixture_read() copies out. */
#define FIXTURE_PACKET_MAX 2048u

/** What a test may choose; 0 means the value in brackets. */
struct fixture_conf {
	unsigned int channels;		   /**< [1] */
	uint32_t ring;			   /**< bytes of the data area of each ring [64 KiB] */
	uint32_t recv_section, recv_count; /**< bytes [2048], sections [256] */
	uint32_t send_section, send_count; /**< bytes [6144], sections [64]; see no_send_buffer */
	uint32_t max_messages;		   /**< RNDIS messages per send [8] */
	uint32_t alignment;		   /**< of messages in one send [8] */
	uint32_t max_transfer;		   /**< bytes of one send [NETVSC_MAX_TRANSFER] */
	uint64_t tx_offloads;		   /**< of every send queue; the host can all */
	uint32_t nvsp_version;		   /**< [NVSP_VERSION_61] */
	uint32_t tx_copybreak;		   /**< [NETVSC_TX_COPYBREAK] */
	uint16_t mtu;			   /**< [1500] */
	uint16_t nb_desc;		   /**< of either direction [256] */
	uint16_t tx_free_thresh;	   /**< [what the driver takes for 0] */
	uint32_t mbufs;			   /**< in the pool [1023] */
	uint16_t room;	       /**< bytes of an mbuf's data room, headroom not counted [2048] */
	uint32_t mbuf_cache;   /**< per lcore [0] */
	bool pinned;	       /**< a pool whose buffers are external memory */
	uint32_t rx_copybreak; /**< [all is copied] */
	uint64_t rx_offloads;  /**< RTE_ETH_RX_OFFLOAD_* of the port */
	uint32_t ptypes;       /**< RTE_PTYPE_*_MASK: layers that packet types are told of */
	bool no_send_buffer;
	bool copy_only; /**< no guest memory can be named in packets */
};

struct fixture;

/** The host's end of one channel. */
struct fixture_host {
	struct test_ring in, out; /**< as the guest sees them: host to guest, guest to host */
	struct vmbus_ring_writer to_guest;
	struct vmbus_ring_reader from_guest;
	bool open;
	unsigned int opens, closes;
	atomic_uint signals; /**< that the driver sent, from whatever thread */
};

struct fixture {
	struct fixture_conf conf; /**< with the values chosen for 0 */
	struct netvsc_port port;
	struct hpbus_device bus;
	struct hpbus_backend backend;
	struct rte_eth_dev eth;
	struct rte_eth_dev_data data;
	void *rx_queues[FIXTURE_CHANNELS], *tx_queues[FIXTURE_CHANNELS];
	struct rte_mempool *pool;
	struct fixture_host host[FIXTURE_CHANNELS];

	/* The test's, called where the driver calls the bus; NULL: nothing happens. */
	void (*on_signal)(struct fixture *f, unsigned int ch); /**< a doorbell has rung */
	void (*on_signal_again)(struct fixture *f);	       /**< a control operation waits */
	int (*on_open)(struct fixture *f); /**< the backend's open(); its return value */
	/** What the host can read at an address; NULL: all of it, unless copy_only. */
	struct hpbus_dma_run (*on_lookup)(struct fixture *f, uintptr_t addr);
	void *priv;
	int reset_rc, open_rc, intr_rc, renew_rc; /**< what the backend's operations return */
	struct vfu_signaller signaller;		  /**< raises events, from fixture_sleepy() on */
	unsigned int resets, renews, closes;	  /**< of the backend */
	unsigned int losses;			  /**< devices that EAL was told not to come back */
	void *pinned_memory;
};

struct fixture_ppi {
	uint32_t type, value;
};

/** A frame as the host puts it into a section. Its bytes depend on @a seed. */
struct fixture_frame {
	uint32_t len; /**< bytes, >= 14 unless that is what is tested */
	uint64_t seed;
	uint32_t data_at; /**< 0: FIXTURE_DATA_AT */
	unsigned int n_ppis;
	struct fixture_ppi ppis[FIXTURE_PPIS];
};

/** A packet that the driver wrote. */
struct fixture_packet {
	struct vmbus_packet desc;
	uint32_t len; /**< bytes with descriptor, without trailer */
	_Alignas(8) uint8_t bytes[FIXTURE_PACKET_MAX];
};

/**
 * A port that is attached and started, with a receive and a send queue per channel.
 * @param conf NULL: all as in brackets. @return false (and a failed assertion) when that fails
 */
bool fixture_begin(struct fixture *f, const struct fixture_conf *conf);
/** Let the receive queues have interrupts, as a start does. @return what netvsc_intr_start() says
 */
int fixture_sleepy(struct fixture *f);
/** Secondaries that have everything mapped, by slot as bits; read by netvsc_process_ready(). */
extern uint64_t fixture_processes;
/** What the driver has registered with the bus. */
extern struct hpbus_driver *fixture_driver;
/** The backend of a fixture as it begins; a test changes that of its own fixture. */
extern const struct hpbus_backend fixture_backend;
/** Release everything; asserts that every mbuf is back in the pool. */
void fixture_end(struct fixture *f);
/** Mbufs that are not in the pool, those that a receive queue keeps ready not counted. */
unsigned int fixture_mbufs_out(const struct fixture *f);

static inline struct netvsc_rxq *
fixture_rxq(struct fixture *f, unsigned int q)
{
	return f->rx_queues[q];
}

static inline struct netvsc_txq *
fixture_txq(struct fixture *f, unsigned int q)
{
	return f->tx_queues[q];
}

static inline struct netvsc_channel *
fixture_channel(struct fixture *f, unsigned int ch)
{
	return f->port.channels[ch];
}

/* ---- frames ---- */

void fixture_fill(uint8_t *dst, uint32_t len, uint64_t seed);
/** Are these the bytes of fixture_fill()? */
bool fixture_same(const uint8_t *bytes, uint32_t len, uint64_t seed);
/** Is it one segment with exactly this frame? */
bool fixture_mbuf_is(const struct rte_mbuf *m, uint32_t len, uint64_t seed);
/** An mbuf of the pool with such a frame, or NULL. */
struct rte_mbuf *fixture_mbuf(struct fixture *f, uint32_t len, uint64_t seed);

/* ---- the host's end. What it writes is seen after fixture_publish(). ---- */

/** Put a message into a receive section. @return its range */
struct vmbus_xfer_range fixture_message(
	struct fixture *f, uint32_t section, const struct fixture_frame *frame);
/** Put bytes into a receive section. @return their range */
struct vmbus_xfer_range fixture_bytes(
	struct fixture *f, uint32_t section, const void *bytes, uint32_t len);
/**
 * Any packet. @param header_len bytes of the type header behind the descriptor
 * @return 0, -EAGAIN the ring is full
 */
int fixture_packet(struct fixture *f, unsigned int ch, enum vmbus_packet_type type, uint64_t tid,
	const void *rest, uint32_t header_len, uint32_t len);
/** A transfer packet that says of itself what it likes. @param room ranges its header has room for
 */
int fixture_xfer_as(struct fixture *f, unsigned int ch, uint64_t tid, uint16_t set_id,
	uint32_t count, const struct vmbus_xfer_range *ranges, uint32_t room);
int fixture_xfer(struct fixture *f, unsigned int ch, uint64_t tid,
	const struct vmbus_xfer_range *ranges, uint32_t n);
/** A transfer packet with @p n frames, in sections @p section and on, with seeds @p seed and on. */
int fixture_frames(struct fixture *f, unsigned int ch, uint64_t tid, uint32_t section, uint32_t n,
	uint32_t len, uint64_t seed);
/** A send completion. @param status NVSP_STATUS_* */
int fixture_complete(struct fixture *f, unsigned int ch, uint64_t tid, uint32_t status);
int fixture_inband(struct fixture *f, unsigned int ch, const void *payload, uint32_t len);
/** Show the driver what was written. @return whether a sleeping guest would be signalled */
bool fixture_publish(struct fixture *f, unsigned int ch);

/** The same, and signal a sleeping guest. @return whether that was done */
bool fixture_publish_signal(struct fixture *f, unsigned int ch);

/** Take the next packet that the driver has published. @return false when there is none */
bool fixture_read(struct fixture *f, unsigned int ch, struct fixture_packet *pkt);
/** Of a completion or send: its NVSP message. */
struct nvsp_message fixture_nvsp(const struct fixture_packet *pkt);
/**
 * Take receive completions until there is none; other packets fail the test.
 * @param tids,statuses NULL: only counted. @return how many, more than @p max not stored
 */
unsigned int fixture_completions(
	struct fixture *f, unsigned int ch, uint64_t *tids, uint32_t *statuses, unsigned int max);
/** Fill the driver's outbound ring (the host does not read). @return packets written */
unsigned int fixture_fill_out(struct fixture *f, unsigned int ch);

#endif
