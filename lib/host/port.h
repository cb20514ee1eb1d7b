/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A port: where a host NIC's frames come from and go to (tap, pcap, gen, sink, echo, switch).
 *
 * A port belongs to one NIC and is called only on the thread that polls that NIC, except where a
 * function says otherwise. Frames are Ethernet without FCS.
 */
#ifndef HP_HOST_PORT_H
#define HP_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/host/latency.h"

/** Most frames handed over in one call. */
#define HOST_PORT_BURST 64u

/** Bytes of host_frame.head: addresses, EtherType, and the number of a VLAN. */
#define HOST_FRAME_HEAD 16u

/** What is still to be done to a frame; all zero: nothing. In the terms of virtio_net_hdr. */
struct host_frame_work {
	/**
	 * Where the L4 header begins whose checksum field holds only the sum of the pseudo header
	 * (not inverted); 0: checksums are complete.
	 */
	uint16_t csum_start;
	uint16_t csum_offset; /**< of that field in the L4 header */
	uint16_t mss; /**< a TCP frame to be cut into this much payload each; 0: to be left */
	bool ipv6;    /**< with @a mss: over IPv6 */
};

/** One frame. For receive, the NIC gives @a data and @a room and the port fills in @a len. */
struct host_frame {
	uint8_t *data;
	uint32_t len;  /**< bytes of the frame */
	uint32_t room; /**< receive only: bytes that may be written at @a data */
	/**
	 * Send only. NULL, or @a data lies in memory that the guest still writes: then these are
	 * the first HOST_FRAME_HEAD bytes, as they were checked. @a len is at least as many.
	 */
	const uint8_t *head;
	/** Only of ports that say @a carries_work. A port gives the NIC no frames to be cut. */
	struct host_frame_work work;
};

/** The first bytes of a frame that is sent: what decides where it goes. */
static inline const uint8_t *
host_frame_head(const struct host_frame *frame)
{
	return frame->head != NULL ? frame->head : frame->data;
}

/** What went through a port, as the port itself counts it; "rx" is towards the guest. */
struct host_port_stats {
	uint64_t rx_frames, rx_bytes; /**< handed to the NIC for the guest */
	uint64_t tx_frames, tx_bytes; /**< taken from the NIC, sent by the guest */
	uint64_t tx_dropped;	      /**< lost by the port, either way: the sum of the next five */
	uint64_t rx_dropped_size;     /**< longer than the guest's receive section */
	uint64_t rx_dropped_full;     /**< for the guest, but its queue in the switch is full */
	uint64_t tx_dropped_full;     /**< of the guest, but there is no room for it */
	uint64_t tx_dropped_error;    /**< the interface or file does not take it; a runt */
	uint64_t tx_dropped_vlan;     /**< tagged, on an access port of a switch */
	/** Of the guest, for nobody: no out=, no other NIC, or its own side of the switch. */
	uint64_t tx_unclaimed;
	/** Of generated frames that came back (gen, sink): */
	uint64_t verified, corrupt, lost, duplicate, reordered;
	uint64_t foreign; /**< frames that no generator made; taken and thrown away */
	/** From the host to the guest and back, of frames that tell when they were sent. */
	struct latency_summary latency;
	bool verifies; /**< the fields above mean something */
	bool finished; /**< gen with count=, pcap with in=: nothing more will come */
};

struct host_port;

/** What a kind of port can do. All are called on the NIC's thread. */
struct host_port_ops {
	const char *kind;
	/**
	 * Frames for the guest: write up to @p n <= HOST_PORT_BURST frames into the buffers given.
	 * NULL: there never are any.
	 * @return frames written; never blocks
	 */
	unsigned int (*receive)(struct host_port *port, struct host_frame *frames, unsigned int n);
	/**
	 * Frames from the guest; the data is valid only during the call. The port takes all of them
	 * (counting what it must drop).
	 */
	void (*send)(struct host_port *port, const struct host_frame *frames, unsigned int n);
	/** End of a poll: write out what was gathered. May be NULL. */
	void (*flush)(struct host_port *port);
	/**
	 * A descriptor that becomes readable when receive() has work, or -1, also of a port that
	 * had one: what was returned before is not to be waited for then. Of who has asked for
	 * deadline() since it last received.
	 */
	int (*fd)(struct host_port *port);
	/**
	 * Nanoseconds until receive() can have work without its fd becoming readable; 0 = now,
	 * UINT64_MAX = never.
	 */
	uint64_t (*deadline)(struct host_port *port);
	void (*stats)(struct host_port *port, struct host_port_stats *stats);
	void (*close)(struct host_port *port);
	/**
	 * Frames per second from now on, 0 = as fast as the guest takes them. NULL: they do not
	 * come at a rate.
	 */
	void (*set_rate)(struct host_port *port, uint64_t rate);
	/** See host_port_record(). NULL: it writes no file. */
	int (*record)(struct host_port *port, char *errbuf, size_t errlen);
	/**
	 * Split the port into @p n that may each be called on a thread of its own: itself is the
	 * first, others are put into @p others from index 1 on, and closed before it. Once, before
	 * anything else. NULL: it cannot be.
	 * @return 0; -ENOTSUP: not with these arguments; -ENOMEM. Nothing has changed then
	 */
	int (*split)(struct host_port *port, struct host_port **others, unsigned int n);
	/**
	 * Of the first: frames for the guest are to come from the parts that @p part_of says.
	 * Called while no part is. NULL: there are none.
	 */
	void (*deal)(struct host_port *port,
		unsigned int (*part_of)(void *ctx, const uint8_t *frame, uint32_t len), void *ctx);
	/** Of the first: do what others have left for it. @return units of work. May be NULL. */
	unsigned int (*gather)(struct host_port *port);
	/** Of the first: have they left anything? NULL: never. */
	bool (*left)(struct host_port *port);
	/** Of another: has it left so much that it must not send for now? NULL: never. */
	bool (*full)(struct host_port *port);
	/**
	 * Frames come into being only when receive() asks (gen, pcap): not asked while the guest
	 * cannot receive. Other ports are asked then too and their frames dropped.
	 */
	bool on_demand;
	/** send() knows of host_frame.head, and reads the rest of a frame at most once. */
	bool in_place;
	/** receive() fills in host_frame.work, send() does what it says. */
	bool carries_work;
};

/** Base of every port; the kinds embed it as their first member. */
struct host_port {
	const struct host_port_ops *ops;
};

/**
 * Open the port that @p spec describes ("tap:NAME", "pcap:in=FILE,out=FILE", "gen:size=..,...",
 * "sink", "echo", "switch:NAME[,vlan=N]").
 *
 * @param mac    the guest's MAC address (gen sends to it)
 * @param errbuf one sentence for the user when it fails: what, where, what to do
 * @return 0 and *port, or a negative errno
 */
int host_port_open(const char *spec, const uint8_t mac[6], struct host_port **port, char *errbuf,
	size_t errlen);

/**
 * The first half of host_port_open(): all but the files that the port writes, which are the
 * business of the user that a host becomes (privileges.h). Until host_port_record() has been called
 * nothing but close() may be.
 * @return 0 and *port, or a negative errno and one sentence
 */
int host_port_prepare(const char *spec, const uint8_t mac[6], struct host_port **port, char *errbuf,
	size_t errlen);
/**
 * The second half, once: open the files that the port writes. Any thread.
 * @return 0, or a negative errno and one sentence; the port is to be closed then
 */
int host_port_record(struct host_port *port, char *errbuf, size_t errlen);

/**
 * Would host_port_open() understand @p spec? Touches nothing: whether a file or an interface can be
 * opened is found out by opening it.
 * @return 0, or -EINVAL and one sentence
 */
int host_port_check(const char *spec, char *errbuf, size_t errlen);

/** One line per kind of port, for --help. */
extern const char *const host_port_help;

#endif
