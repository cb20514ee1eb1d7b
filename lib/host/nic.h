/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One synthetic NIC as the host sees it: the VSP. NVSP state machine, RNDIS and OIDs, receive
 * sections, RSS, offloads, link, VF association; it moves frames between its channels and its port.
 * It does not know how the guest is reached: a *transport* (the vfio-user server of hvsim, the
 * KVM machine of hvsim-vm) maps the memory, opens channels and carries signals.
 *
 * Threads: a NIC is single-threaded; every function here but host_nic_status() must be called with
 * the same lock held or on the same thread. The guest's memory may change at any time and is never
 * trusted.
 */
#ifndef HP_HOST_NIC_H
#define HP_HOST_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/vmbus/ring.h"
#include "lib/host/port.h"

#define HOST_MAX_CHANNELS 64u

/** What the user says about one NIC with --nic (key=value list). */
struct host_nic_config {
	uint8_t instance[16]; /**< instance GUID in Hyper-V memory order */
	uint8_t mac[6];
	uint32_t channels;   /**< most channels including the primary, 1..64 */
	uint32_t ring_bytes; /**< one ring with its control page, page multiple */
	uint32_t recv_bytes, send_bytes;
	uint32_t section_bytes;	     /**< receive section; the default depends on nothing: 1728 */
	uint32_t send_section_bytes; /**< 6144 */
	uint32_t mtu;		     /**< largest IP MTU a guest may ask for */
	uint32_t outstanding; /**< frames of a waiting port with the guest, per channel; 0: any */
	uint32_t nvsp_max;    /**< newest NVSP version offered */
	uint32_t profile;     /**< which host it plays; 0: none in particular */
	bool lenient;	      /**< sends may break announced limits (spec/hosts.md §2) */
	bool spoof;	      /**< foreign source MACs are forwarded: MAC spoofing is on */
	bool spread;	      /**< its channels may be on several threads */
	char port[256];	      /**< SPEC of port= */
	char vf_port[256];    /**< SPEC of vf-port=; empty: none */
	unsigned int number;  /**< of the NIC */
	uint32_t snaplen;     /**< bytes of a message in the trace, of a frame in the capture */
	char trace[256];      /**< file for its VMBus packets; empty: none */
	char capture[256];    /**< file for its frames; empty: none */
};

/**
 * Parse one --nic argument. Everything but port= has a default; GUID and MAC are derived from
 * @p number so that they are stable between runs. port= comes last and takes the rest of the
 * string; vf-port= comes before it and takes what is between. The ports' arguments are checked, but
 * nothing is opened.
 * @return 0, or a negative errno with one sentence in @p errbuf, which does not name the option
 */
int host_nic_config_parse(const char *arg, unsigned int number, struct host_nic_config *config,
	char *errbuf, size_t errlen);

/**
 * Can the @p n NICs be in one host? No two may have one GUID or one MAC address.
 * @return 0, or -EINVAL with one sentence in @p errbuf that names both
 */
int host_nic_configs_check(
	const struct host_nic_config *configs, unsigned int n, char *errbuf, size_t errlen);

/** Help text for the keys of --nic. */
extern const char *const host_nic_config_help;

/** A buffer of the guest as the host maps it: contiguous in our address space. */
struct host_buffer {
	uint8_t *base;
	size_t len;
	void *owner; /**< the transport's own */
};

/** How the NIC reaches its guest. @a ctx is the transport's own. */
struct host_transport {
	void *ctx;
	/** Signal the guest on a channel (the ring rules have been applied already). */
	void (*signal)(void *ctx, unsigned int channel);
	/**
	 * Host address of the 4 KiB guest page @p pfn for reading, or NULL. Valid until the poll
	 * that asked returns. Called for every page of every GPA-direct packet: must be cheap.
	 */
	const void *(*page)(void *ctx, uint64_t pfn);
	/** Map the buffer of GPADL @p handle. @return 0, -ENOENT for an unknown handle. */
	int (*buffer)(void *ctx, uint32_t handle, struct host_buffer *buffer);
	/** The NIC is done with what buffer() gave: called once for each success. May be NULL. */
	void (*release)(void *ctx, const struct host_buffer *buffer);
	/**
	 * The guest asked for @p count subchannels (1..count). Prepare them; called before the
	 * answer is written. A transport whose regions must be valid with the answer opens the
	 * channels here (host_nic_channel_open()).
	 * @return channels granted, <= @p count, or a negative errno
	 */
	int (*subchannels)(void *ctx, unsigned int count);
	/** The answer is in the ring: offer the channels now (VMBus). May be NULL. */
	void (*offer)(void *ctx, unsigned int count);
	/** The guest broke the protocol or a ring: the NIC has stopped the channel. May be NULL. */
	void (*broken)(void *ctx, unsigned int channel, const char *why);
	/**
	 * The guest does what it must not, and loses frames by it; @p what is one sentence. At most
	 * once in ten seconds for each kind, and lane. May be NULL.
	 */
	void (*complain)(void *ctx, const char *what);
	/**
	 * Of a NIC that is spread: keep the lanes' threads away until host_nic_poll() has returned,
	 * without waiting for them. NULL: they are, while the NIC is polled.
	 * @return false: one is at it. It is kept from beginning another turn, and the NIC asks
	 *         again in each of its own
	 */
	bool (*stop_lanes)(void *ctx);
	/** Of a lane: the NIC is to be polled, though it sleeps. May be NULL. */
	void (*wake)(void *ctx);
};

struct host_nic;

/** Why a send of the guest was refused: answered with a failure, nothing of it forwarded. */
enum host_refusal {
	HOST_REFUSED_STATE,	/**< before the NIC is ready, or after a buffer was revoked */
	HOST_REFUSED_ANSWER,	/**< asks for no completion, or is shorter than its type */
	HOST_REFUSED_SECTION,	/**< no such send section, or more bytes than it has */
	HOST_REFUSED_RANGES,	/**< more page ranges than may be named */
	HOST_REFUSED_PAGES,	/**< page ranges that make no sense or cannot be read */
	HOST_REFUSED_SIZE,	/**< more bytes than the announced transfer size */
	HOST_REFUSED_MESSAGES,	/**< more RNDIS messages than were announced */
	HOST_REFUSED_ALIGNMENT, /**< a message does not start at the announced alignment */
	HOST_REFUSED_HEADER,	/**< RNDIS header too long, or split over ranges */
	HOST_REFUSED_MALFORMED, /**< RNDIS message that makes no sense */
	HOST_REFUSED_OFFLOAD,	/**< an offload that was never enabled */
	HOST_REFUSED_LSO,	/**< cannot be segmented, too long, one segment, or a bad MSS */
	HOST_REFUSED_CHECKSUM,	/**< headers to be summed are not in the frame */
	HOST_REFUSED_CONTROL,	/**< RNDIS control that makes no sense, or on a subchannel */
	HOST_REFUSED_KNOB,	/**< refused on purpose, knob refuse_pct */
	HOST_REFUSALS,
};

/**
 * Counters of a NIC; "rx" and "tx" are the guest's. Units: frames unless named. Every frame that
 * comes from the port is in rx_frames (rx_segments of them made rx_large), in vf_rx_frames or in
 * one rx_dropped; every frame of a send that is not refused is in tx_frames or in one tx_dropped;
 * every frame that comes from the VF's port is in vf_tx_frames or in one vf_tx_dropped.
 */
struct host_nic_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_dropped_no_section; /**< every receive section is with the guest */
	uint64_t rx_dropped_ring_full;
	uint64_t rx_dropped_filter;    /**< packet filter 0 or not for this guest */
	uint64_t rx_dropped_link;      /**< link down */
	uint64_t rx_dropped_not_ready; /**< no guest, or it has not set the NIC up */
	uint64_t rx_dropped_channel;   /**< the channel is broken */
	uint64_t rx_dropped_size; /**< frame shorter than a header or longer than the guest's MTU */
	uint64_t rx_dropped_vf;	  /**< for the VF that the path is on, and that has gone */
	uint64_t rx_spoiled;	  /**< of rx_frames: broken on purpose, knob malformed_rx_pct */
	uint64_t rx_large;	  /**< of rx_frames: coalesced from segments */
	uint64_t rx_segments;	  /**< frames of the port that became these */
	uint64_t tx_dropped_link; /**< sent while the link is down */
	uint64_t tx_dropped_spoof; /**< source MAC is not the guest's, and spoof=off */
	uint64_t tx_large;    /**< of tx_frames: large TCP sends, cut unless the port takes all */
	uint64_t tx_segments; /**< segments that the port got for them */
	uint64_t tx_errors;   /**< sends refused, answered with a failure: the sum of tx_refused */
	uint64_t tx_refused[HOST_REFUSALS]; /**< sends refused, by enum host_refusal */
	uint64_t tx_packets;		    /**< VMBus packets with RNDIS data taken from rings */
	uint64_t rx_packets;		    /**< VMBus packets with RNDIS data written to rings */
	uint64_t vf_rx_frames, vf_rx_bytes; /**< of the port, given to the VF's */
	uint64_t vf_tx_frames, vf_tx_bytes; /**< of the VF's port, given to the port */
	uint64_t vf_tx_dropped_path;  /**< sent by the VF while the path is synthetic, or after its
					 end */
	uint64_t vf_tx_dropped_link;  /**< sent by the VF while the link is down */
	uint64_t vf_tx_dropped_size;  /**< shorter than a header */
	uint64_t vf_tx_dropped_spoof; /**< as tx_dropped_spoof */
	uint64_t path_switches;	      /**< times the data path moved, either way */
	uint64_t signals;	      /**< signals sent to the guest */
	uint64_t protocol_errors;
};

/** A counter by name, for whoever prints all of them. */
struct host_counter {
	const char *name;
	size_t offset; /**< of an uint64_t in the structure */
};
/** All of struct host_nic_stats and of struct host_port_stats; the last has no name. */
extern const struct host_counter host_nic_counters[], host_port_counters[];
static inline uint64_t
host_counter(const void *stats, const struct host_counter *counter)
{
	return *(const uint64_t *)((const char *)stats + counter->offset);
}

/**
 * Create a NIC and open its ports, but for the files that are to be written: host_nic_record()
 * opens these, which comes before anything else. Starts no thread.
 * @param errbuf one sentence when it fails
 * @return 0 and *nic, or a negative errno and *nic is NULL
 */
int host_nic_create(const struct host_nic_config *config, const struct host_transport *transport,
	struct host_nic **nic, char *errbuf, size_t errlen);
/**
 * Open what the NIC writes: captures of its ports (out=, capture=), its trace. Once, before it has
 * a channel or is polled, and as the user that the host becomes (privileges_drop()): he may be the
 * owner of the folder, and put a link to a file of root's in the place of ours. Starts threads.
 * @return 0, or a negative errno and one sentence; the NIC is to be destroyed then
 */
int host_nic_record(struct host_nic *nic, char *errbuf, size_t errlen);
void host_nic_destroy(struct host_nic *nic);

/**
 * A channel was opened by the guest: serve its rings from now on.
 * @param index 0 primary, 1.. as granted
 * @param tx    guest-to-host ring, @param rx host-to-guest ring; both stay mapped until the
 *              channel is closed
 * @return 0, or a negative errno (bad index, bad ring)
 */
int host_nic_channel_open(struct host_nic *nic, unsigned int index, const struct vmbus_ring *tx,
	const struct vmbus_ring *rx);
/** Stop touching a channel. Closing channel 0 closes all and forgets all NVSP and RNDIS state. */
void host_nic_channel_close(struct host_nic *nic, unsigned int index);
bool host_nic_channel_is_open(struct host_nic *nic, unsigned int index);

/** The GPADL or mapping behind a buffer goes away: stop using both at once, and release them. */
void host_nic_buffers_revoked(struct host_nic *nic);

/**
 * Serve the NIC once: at most @p budget packets per channel and @p budget frames of the port. A
 * turn is also bounded in bytes and time (nic_poll.c), whatever the guest sends; the next one goes
 * on with the channel after the last served.
 * @return units of work done; 0 = idle
 */
unsigned int host_nic_poll(struct host_nic *nic, unsigned int budget);

/**
 * About to sleep: ask the guest to signal new packets (ring steps I1-I4).
 * @return true when there is work after all; then the rings are masked again
 */
bool host_nic_sleep(struct host_nic *nic);
/** Awake again: mask the rings. */
void host_nic_wake(struct host_nic *nic);
/** Nanoseconds until the NIC wants a poll without being signalled; UINT64_MAX = never. */
uint64_t host_nic_deadline(struct host_nic *nic);
/** The port's descriptor to wait for, or -1. */
int host_nic_port_fd(struct host_nic *nic);
/** The same of the VF's port. */
int host_nic_vf_port_fd(struct host_nic *nic);

/* ---- channels on several threads ---- */

/** Most threads that can have channels of one NIC. */
#define HOST_MAX_LANES 16u

/**
 * Spread the channels over @p n lanes, each of which may be polled by a thread of its own: channel
 * k is in lane k modulo @p n. Lane 0 is the NIC itself; the others are polled, put to sleep and
 * published by the same functions (host_nic_lane()). All functions below take the NIC, no lane, and
 * so do those of channels and buffers; while they run, and within host_transport.stop_lanes(), no
 * lane is polled. Before the first channel; once.
 * @param transport of lanes: signal, page, broken, complain, wake
 * @param ctx       of each lane's transport; the first is not used
 * @return 0; -ENOTSUP: the port is one thread's; -EINVAL, -ENOMEM. Nothing has changed then
 */
int host_nic_spread(struct host_nic *nic, unsigned int n, const struct host_transport *transport,
	void *const *ctx);
/** A lane of a NIC that is spread; 0 is the NIC. They live as long as the NIC. */
struct host_nic *host_nic_lane(struct host_nic *nic, unsigned int k);
/** No lane is polled: let them and host_nic_status() see what was changed. */
void host_nic_settle(struct host_nic *nic);

/* ---- control commands (link, stats, rings, faults) ---- */

int host_nic_set_link(struct host_nic *nic, bool up);
/**
 * A VF of this NIC appears or goes (spec/nvsp.md §9). The guest is told when it asked for SR-IOV,
 * in the order and after the times that the knobs vf_* say; again, when the command is repeated.
 */
int host_nic_set_vf(struct host_nic *nic, bool present, uint32_t serial);
/** Move the data path back to the synthetic NIC and tell the guest; the VF stays. */
void host_nic_take_path_back(struct host_nic *nic);
/** Has the guest switched its data path to the VF? */
bool host_nic_path_is_vf(const struct host_nic *nic);
void host_nic_get_stats(
	struct host_nic *nic, struct host_nic_stats *stats, struct host_port_stats *port);

/** What others may know of a NIC while it is polled. */
struct host_nic_status {
	struct host_nic_stats stats;
	struct host_port_stats port;
	const char *state; /**< as host_nic_state_name() */
	uint32_t channels_open;
	uint32_t sections, sections_used; /**< for received frames, and those that the guest has */
	bool path_is_vf, vf_present;
	bool link_up;
	bool stalled;			/**< by the knobs stall or stall_rx */
	struct host_port_stats vf_port; /**< zero without vf-port= */
	/** Of @a port.latency and @a vf_port.latency, whose own pointers are NULL; zero without. */
	uint64_t latency[LATENCY_STEPS], vf_latency[LATENCY_STEPS];
};
/**
 * Let host_nic_status() see the NIC as it is now. host_nic_poll() and host_nic_sleep() do it
 * themselves, of turns that have work one after the other in the first, in some of them, and in the
 * one without work that follows; after other changes it is the caller's to do.
 */
void host_nic_publish(struct host_nic *nic);
/** What was published last. Any thread, no lock; does not stop the NIC. */
void host_nic_status(struct host_nic *nic, struct host_nic_status *status);

struct trace;
/**
 * Trace all packets of the NIC from now on.
 * @param trace   the caller's, who may take it back only with the next call; NULL: no more
 * @param snaplen bytes of each message
 * @param[out] old the one before, or NULL
 * @return 0 or -ENOMEM, and nothing has changed
 */
int host_nic_trace(struct host_nic *nic, struct trace *trace, uint32_t snaplen, struct trace **old);
/** The trace of the NIC, or NULL. */
struct trace *host_nic_traced(const struct host_nic *nic);
/** File and @p snaplen of its trace, or of its last one; NULL: it has had none. */
const char *host_nic_trace_last(const struct host_nic *nic, uint32_t *snaplen);

/** State of one channel for "ctl rings" and --rings: both rings' shared and private indices. */
struct host_ring_state {
	uint32_t size, write_index, read_index, interrupt_mask, pending_send_sz, feature_bits;
	uint32_t private_index; /**< our own next index: read in tx, write in rx */
};
struct host_channel_state {
	bool open;
	struct host_ring_state tx, rx;
};
int host_nic_channel_state(
	struct host_nic *nic, unsigned int index, struct host_channel_state *state);

/** Drivers' and protocol state in words, for "ctl stats". */
const char *host_nic_state_name(const struct host_nic *nic);
const struct host_nic_config *host_nic_config(const struct host_nic *nic);

/**
 * Fault and behaviour knobs for tests ("ctl set NAME VALUE"); see nic_knobs.c for the list:
 * stall (stop reading the guest's rings), stall_rx (stop delivering), no_complete, refuse_pct,
 * batch, ...
 * @return 0, -ENOENT for an unknown name, -EINVAL for a bad value
 */
int host_nic_knob(struct host_nic *nic, const char *name, const char *value);
/** Is there a knob of this name? */
bool host_nic_has_knob(const char *name);
/** When its device is taken away, does the primary channel go before its subchannels? */
bool host_nic_rescinds_primary_first(const struct host_nic *nic);
/** Names of the knobs with one line of help each, NULL-terminated pairs. */
extern const char *const host_nic_knob_help;

#endif
