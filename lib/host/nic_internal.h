/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State of one host NIC, shared by the nic*.c files and by tests; not for transports. A NIC owns
 * all of it and is used by one thread at a time (see nic.h). What lies in the guest's memory (ring,
 * receive buffer, send buffer, pages) is only ever referred to by the ring objects and struct
 * host_buffer.
 */
#ifndef HP_HOST_NIC_INTERNAL_H
#define HP_HOST_NIC_INTERNAL_H

#include "lib/host/nic.h"
#include "lib/host/nic_lanes.h"
#include "lib/host/nic_vf.h"
#include "lib/host/offload.h"
#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"
#include "lib/netvsp/toeplitz.h"
#include "lib/trace/trace_vmbus.h"
#include "lib/vmbus/clock.h"

#define NIC_NONE       UINT32_MAX
#define NIC_BUFFER_MAX NVSP_MAX_RECV_BUF
#define NIC_MTU_MAX    65521u
/* Smallest section that holds headers and a 1514-byte frame with a tag and the 36-byte tail. */
#define NIC_SECTION_MIN 1688u

/* Receive sections kept for control messages (spec/nvsp.md §5). */
#define NIC_CONTROL_SECTIONS 16u
/* Control answers and notices that may wait for room in the primary ring. */
#define NIC_CONTROL_QUEUE 32u
#define NIC_CONTROL_BYTES 640u
/* One control message of the guest makes at most this many answers. */
#define NIC_CONTROL_BURST 6u
/* Send completions that may wait per channel; a power of two. Beyond, sends are not read. */
#define NIC_DONE_QUEUE 4096u
/* Sends whose frames are with us but not yet with the port. */
#define NIC_PENDING 256u
/* Largest RNDIS stream of one send, and messages in it (spec/rndis.md §10). */
#define NIC_STREAM_MAX	 (128u << 10)
#define NIC_MESSAGES_MAX 64u
/* Larger alignment factors are invalid (spec/rndis.md §2). */
#define NIC_ALIGN_FACTOR_MAX 12u
#define NIC_GPA_RANGES	     128u
/* What hosts take of page ranges (spec/hosts.md §2); knob lenient: up to NIC_GPA_RANGES. */
#define NIC_STRICT_RANGES 32u
/*
 * A turn of host_nic_poll() ends at this cost: bytes copied and segmented, and what a packet and a
 * frame cost beside, so that a guest cannot hold the thread with tiny segments or large sends. One
 * send may pass it by what it holds itself: a stream of NIC_STREAM_MAX in segments of the MSS
 * floor.
 */
#define NIC_TURN_COST	(1u << 20)
#define NIC_FRAME_COST	1024u
#define NIC_PACKET_COST 256u
/* Largest packet taken from a ring: 128 ranges of 128 KiB in all, each with its page numbers. */
#define NIC_PACKET_MAX (16u << 10)
/*
 * Frames of a port that can wait which are with the guest, per channel. More would be spread over
 * more memory than the caches hold.
 */
#define NIC_OUTSTANDING 128u
/* Room for the longest message header in front of the frames of an arena. */
#define NIC_ARENA    (512u << 10)
#define NIC_SEGMENTS (256u << 10)
/* Ring bytes that received frames leave free for completions and control. */
#define NIC_RX_RESERVE 512u
#define NIC_BATCH_MAX  NVSP_MAX_XFER_RANGES
/* Room for a frame that is received only to be dropped. */
#define NIC_SCRATCH (64u << 10)
/* Entries of the multicast list. */
#define NIC_MULTICAST_MAX 32u
/* Frame bytes at the end of a section that stay unused (spec/rndis.md §4). */
#define NIC_SECTION_TAIL 36u

/* Transaction ids of notices that ask for an answer (spec/nvsp.md §2). */
#define NIC_TID_VF     UINT64_C(0x8000000000000000)
#define NIC_TID_SWITCH UINT64_C(0x8000000000000001)

/* spec/nvsp.md §12. */
enum nic_state {
	NIC_OFFERED,	/* the primary channel is closed */
	NIC_OPEN,	/* no version yet */
	NIC_NEGOTIATED, /* version agreed, buffers missing */
	NIC_READY,
	NIC_REVOKED, /* a buffer was taken back: drain only */
};

/* What a completion of ours carries. */
enum nic_answer { NIC_ANSWER_SUCCESS, NIC_ANSWER_FAILURE };

struct nic_done {
	uint64_t tid;
	uint32_t answer; /* enum nic_answer */
};

/* Frames of one kind: [0] directed, [1] multicast, [2] broadcast. */
struct nic_oid_count {
	uint64_t frames, bytes;
};

/* Part of a frame in a receive section. */
struct nic_piece {
	uint32_t section, data_at, len; /* data_at counts from the section's first byte */
};

/* Most sections that one coalesced frame takes: IP's limit, and two always fill more than one. */
#define NIC_RSC_PIECES 96u

/* A frame that is being coalesced (nic_rsc.c); it lives no longer than a poll. */
struct nic_rsc {
	uint32_t n;	   /* pieces; 0: nothing is held */
	uint32_t segments; /* frames of the port in it */
	uint32_t bytes;	   /* of the frame */
	uint32_t header;   /* bytes before TCP's data */
	uint32_t next_seq, ack;
	uint16_t l3, l4;
	uint8_t ip;			/* 4 or 6 */
	struct rndis_packet_info first; /* what the guest hears of the first segment */
	uint8_t head[OFFLOAD_HEAD_MAX]; /* headers of the frame */
	struct nic_piece pieces[NIC_RSC_PIECES];
};

/* Frames of a transfer-page packet. */
struct nic_batch_count {
	struct nic_oid_count kind[3];
	uint32_t large, segments; /* of these: coalesced, and from how many of the port */
};

struct nic_channel {
	bool open;
	bool dead;		      /* broken: untouched until it is closed */
	bool frozen;		      /* knob corrupt_ring: publish no more */
	bool waits;		      /* asked for a space signal before sleeping */
	const char *why;	      /* not yet reported to the transport */
	struct vmbus_ring_reader in;  /* guest to host */
	struct vmbus_ring_writer out; /* host to guest */

	/* Completions of sends that wait for room: a queue of NIC_DONE_QUEUE. */
	struct nic_done *done;
	uint32_t done_head, done_tail;
	uint32_t pending; /* sends of this poll that will be in it: host_nic.pending */

	uint32_t outstanding; /* frames with the guest */
	/* Received frames gathered for one transfer-page packet. */
	uint32_t batch_n, batch_first, batch_last;
	struct nic_batch_count batch_count;
	struct vmbus_xfer_range batch[NIC_BATCH_MAX];
	struct nic_rsc rsc;
	uint16_t rsc_id; /* of the last coalesced frame of several ranges */
};

/*
 * One receive section. Those of one packet are a chain, and so are the free ones: what a guest
 * gives back is put in front of these as it is. The first of a packet carries the packet's state.
 */
struct nic_section {
	uint32_t next;
	uint32_t last; /* of the packet */
	uint16_t n;    /* sections of the packet */
	uint8_t channel;
	uint8_t lane;	  /* whose it is */
	bool outstanding; /* the packet is with the guest */
};

enum nic_control_kind { NIC_CONTROL_INBAND, NIC_CONTROL_COMPLETION, NIC_CONTROL_RNDIS };

struct nic_control {
	enum nic_control_kind kind;
	uint16_t flags;
	bool offer; /* the subchannel answer: offer the channels behind it */
	uint32_t len;
	uint64_t tid;
	uint64_t due_ns;
	uint8_t data[NIC_CONTROL_BYTES];
};

/* One PACKET message of a send, validated; @a base is private memory. */
struct nic_tx_message {
	uint8_t *base;
	struct rndis_packet_info info;
	struct offload_lso lso;	     /* begun, when the message asks for it */
	struct host_frame_work work; /* left to the port */
};

/* Sentences for the log: one kind per refusal, and foreign source MACs. */
enum { NIC_COMPLAINT_SPOOF = HOST_REFUSALS, NIC_COMPLAINTS };
struct nic_complaint {
	uint64_t said_ns, said_count;
};

/* Knob vlan_ppi: where the tags of frames are. */
enum nic_vlan {
	NIC_VLAN_PPI,	 /* in per-packet information, both ways (spec/rndis.md §4) */
	NIC_VLAN_INLINE, /* received ones in the frame */
	NIC_VLAN_DROP,	 /* lost, both ways (spec/hosts.md §2) */
};

/* Defects of received messages, knob malformed_rx_kind: each must be found by the guest. */
#define NIC_DEFECTS(X)                                                                             \
	X(length_zero)                                                                             \
	X(length_short) /* less than the frame needs */                                            \
	X(length_past_range)                                                                       \
	X(length_huge)                                                                             \
	X(type_unknown)                                                                            \
	X(data_offset_zero)                                                                        \
	X(data_offset_past) /* the frame begins where the message ends */                          \
	X(data_offset_wraps)                                                                       \
	X(data_length_zero)                                                                        \
	X(data_length_runt)                                                                        \
	X(data_length_past)                                                                        \
	X(data_length_wraps)                                                                       \
	X(ppi_area_in_header)                                                                      \
	X(ppi_area_odd)                                                                            \
	X(ppi_area_wraps)                                                                          \
	X(ppi_area_short)                                                                          \
	X(ppi_area_past)                                                                           \
	X(ppi_size_zero) /* some guests loop for ever */                                           \
	X(ppi_size_short)                                                                          \
	X(ppi_size_odd)                                                                            \
	X(ppi_size_past)                                                                           \
	X(ppi_value_in_header)                                                                     \
	X(ppi_value_odd)                                                                           \
	X(ppi_value_past)                                                                          \
	X(range_empty)                                                                             \
	X(range_short)                                                                             \
	X(range_past_section)                                                                      \
	X(range_over_end) /* begins in the receive buffer, ends outside */                         \
	X(range_outside)                                                                           \
	/* Of the packet, which then has no other frame: */                                        \
	X(packet_no_ranges)                                                                        \
	X(packet_many_ranges) /* than are there */                                                 \
	X(packet_other_buffer)

#define NIC_DEFECT_ENUM(name) NIC_DEFECT_##name,
enum nic_defect { NIC_DEFECT_ALL, NIC_DEFECTS(NIC_DEFECT_ENUM) NIC_DEFECT_END };

/* Behaviour knobs; nic_knobs.c has the table. */
struct nic_knobs {
	uint32_t stall, stall_rx, no_complete, refuse_pct, batch, range_slot, malformed_rx_pct,
		malformed_rx_kind;
	uint32_t legacy28, silence, silence_rndis, delay_ms, accept_split_header, recv_sections;
	uint32_t table_layout, table_offset, rx_wait, loose_filter, udp_hash, mss_floor,
		max_messages;
	uint32_t rss_caps, rss_entries, offload_notice, refuse_recv, refuse_send, num_sections;
	uint32_t max_mtu, clamp_mtu;
	uint32_t send_section, strict_rss, link_mbps, inject, refuse_rss;
	uint32_t lenient, spoof, max_transfer, align_factor;
	uint32_t vlan_ppi, same_host, rsc, rsc_max, oid_stats, hash_ppi;
	uint32_t data_offset, section_align, tx_inflight, multicast_max, rescind_primary;
	uint32_t vf_switch, vf_switch_ms, vf_offer, vf_offer_ms, vf_removal, vf_leave_ms;
	uint32_t vf_outlives, vf_dead, vf_first, vf_any_path, vf_multicast;
	uint64_t tid_base;
	int32_t grant;	     /* channels granted; see grant_mode */
	uint32_t grant_mode; /* 0 off, 1 absolute, 2 relative to what was asked */
};

/* struct host_nic_status in words that can be read while they are written. */
#define NIC_STATUS_WORDS ((sizeof(struct host_nic_status) + 7) / 8)
union nic_status_words {
	struct host_nic_status status;
	uint64_t words[NIC_STATUS_WORDS];
};
struct nic_published {
	_Atomic uint32_t sequence; /* odd while the words change */
	_Atomic uint64_t words[NIC_STATUS_WORDS];
};

/* What the statistics OIDs count: frames that went on, by kind. */
struct nic_oid_stats {
	struct nic_oid_count xmit[3], rcv[3];
};
/* All that was counted, on all lanes, when statistics began at 0 (knob oid_restart). */
struct nic_oid_since {
	struct host_nic_stats stats;
	struct nic_oid_stats kinds;
};

struct host_nic {
	struct host_nic_config config;
	struct host_transport transport;
	struct host_port *port;
	struct host_nic_stats stats;
	struct nic_oid_stats oid_stats;
	struct nic_oid_since oid_since;
	bool link_notice;
	struct trace_tap *tap; /* NULL: not traced */
	char *trace_path;      /* of the tap, or of the last one; NULL: there was none */
	uint32_t trace_snaplen;
	bool have_ndis_version, have_ndis_config, have_recv, have_send;
	uint32_t free_control[NIC_CONTROL_SECTIONS], free_control_n;
	/* Sections for received frames that are this lane's, and those of them that are free. */
	uint32_t own_n, free_first, free_n;

	/* Subchannels. */
	bool subchannels_asked, subchannels_answered, table_sent, offer_now;
	struct nic_vf vf;

	/* From here to settings_end: settings, of which each lane has a copy (nic_lanes.c). */
	struct nic_knobs knobs;
	bool link_up;
	enum nic_state state;
	uint32_t version, ndis_version, message_size;
	uint32_t mtu_field; /* NDIS_CONFIG's mtu: IP MTU + 14 */
	uint64_t capabilities;
	struct host_buffer recv, send;
	uint16_t recv_id, send_id;
	uint32_t send_section, send_sections;
	/* Receive sections; [0, reserved) are for control. */
	uint32_t section_bytes, sections_n, data_offset, reserved;
	struct nic_section *sections;
	uint32_t granted;

	/* RNDIS. */
	bool rndis_up;
	struct {
		uint32_t messages, transfer, alignment;
	} announced; /* by INITIALIZE_C to this guest: a knob counts from the next one on */
	uint32_t filter, multicast_n;
	uint8_t multicast[NIC_MULTICAST_MAX][6];
	uint8_t mac[6];
	uint32_t offloads_on; /* NDIS_CAN_*, of OID_TCP_OFFLOAD_PARAMETERS */
	struct ndis_rss_config rss;
	struct toeplitz toeplitz; /* of rss.key */
	uint8_t settings_end;

	struct nic_lanes lanes;

	struct nic_channel channels[HOST_MAX_CHANNELS];
	uint32_t channels_top; /* highest open channel + 1 */
	uint32_t channels_open;

	/* This turn: where it began, what it cost, when it ends (0: not yet known). */
	uint32_t turn_first;
	uint64_t turn_cost, turn_until;
	struct nic_published published;
	bool worked;	       /* in the last turn */
	uint32_t turns_unseen; /* that worked since something was published */

	struct nic_control control[NIC_CONTROL_QUEUE];
	uint32_t control_head, control_tail;

	/* Frames of the guest gathered for the port. */
	uint8_t *arena, *segments;
	uint32_t arena_used, segments_used, frames_n, pending_n;
	struct host_frame frames[HOST_PORT_BURST];
	uint8_t heads[HOST_PORT_BURST][HOST_FRAME_HEAD]; /* of frames in the guest's memory */
	struct {
		uint64_t tid;
		uint32_t channel, answer;
	} pending[NIC_PENDING];
	uint32_t refuse_acc, malform_acc;
	enum nic_defect last_defect; /* of the knob "all" */
	enum nic_defect lie;	     /* of the next packet, NIC_DEFECT_ALL: none */

	uint32_t complaints_due; /* bit per kind */
	struct nic_complaint complaints[NIC_COMPLAINTS];

	uint8_t *scratch; /* frames received only to be dropped */
	uint8_t packet[NIC_PACKET_MAX] __attribute__((aligned(16)));
	struct nic_tx_message messages[NIC_MESSAGES_MAX];
};

/**
 * Create a NIC on a port that is open already; the NIC closes it. Used by host_nic_create() and by
 * tests that bring their own port.
 */
int host_nic_create_with_port(const struct host_nic_config *config,
	const struct host_transport *transport, struct host_port *port, struct host_nic **out);

/* ---- nic.c ---- */

/* Stop touching a channel whose ring or protocol is broken; reported at the end of the poll. */
void nic_channel_break(struct host_nic *nic, unsigned int index, const char *why);
/* Counters of this lane alone. */
void nic_own_stats(
	struct host_nic *nic, struct host_nic_stats *stats, struct host_port_stats *port);

/* ---- nic_lanes.c: see nic_lanes.h ---- */

/* The lane that has channel @p index. */
static inline struct host_nic *
nic_lane_of(struct host_nic *nic, unsigned int index)
{
	unsigned int k = nic->lanes.n == 0 ? 0 : index % nic->lanes.n;

	return k == 0 ? nic : nic->lanes.lane[k];
}
/* Is the channel open and whole? Lanes stopped, or a channel of this lane. */
static inline bool
nic_channel_works(struct host_nic *nic, unsigned int index)
{
	const struct nic_channel *ch = &nic_lane_of(nic, index)->channels[index];

	return ch->open && !ch->dead;
}
/* May this turn change settings? Asked before a message of the guest's has had any effect. */
static inline bool
nic_may_change(struct host_nic *nic)
{
	return nic->lanes.n == 0 || nic_lanes_stop(nic);
}

/* ---- nic_trace.c: to be called only while nic->tap is there ---- */

/* The packet of @p total bytes at the channel's read position. */
void nic_trace_in(struct host_nic *nic, unsigned int channel, uint32_t total);
/* A packet that has been written, but not published; readable to a multiple of 8. */
void nic_trace_out(struct host_nic *nic, unsigned int channel, const void *packet, uint32_t len);
void nic_trace_event(struct host_nic *nic, unsigned int channel, bool opened);
void nic_trace_end(struct host_nic *nic);

/* ---- nic_poll.c ---- */

/* Does a channel hold as many sends as the host has places for? Then it is not read. */
static inline bool
nic_sends_full(const struct host_nic *nic, const struct nic_channel *ch)
{
	return ch->done_tail - ch->done_head + ch->pending >= nic->knobs.tx_inflight;
}
/* Queue a completion of a send; never fails because reading stops before the queue is full. */
void nic_done_add(struct nic_channel *ch, uint64_t tid, enum nic_answer answer);
static inline uint32_t
nic_done_room(const struct nic_channel *ch)
{
	return NIC_DONE_QUEUE - (ch->done_tail - ch->done_head);
}

/* ---- nic_stats.c ---- */

/* Count a refused send. @return -1, so that a failing function can return the call */
int nic_refuse(struct host_nic *nic, enum host_refusal why);
/* Say what is due to be said about the guest. */
void nic_complain(struct host_nic *nic);
/* Nanoseconds until something is due to be said, UINT64_MAX: nothing is. */
uint64_t nic_complain_deadline(const struct host_nic *nic);
/* Kind of a frame for struct nic_oid_stats. */
static inline unsigned int
nic_frame_kind(const uint8_t dst[6])
{
	return dst[0] & 1 ? 1 + (memcmp(dst, "\xff\xff\xff\xff\xff\xff", 6) == 0) : 0;
}

/* ---- nic_control.c ---- */

static inline uint32_t
nic_control_room(const struct host_nic *nic)
{
	return NIC_CONTROL_QUEUE - (nic->control_tail - nic->control_head);
}
/* Do notices wait, so that answers have room? */
static inline bool
nic_control_is_crowded(const struct host_nic *nic)
{
	return nic_control_room(nic) < NIC_CONTROL_QUEUE / 2;
}
/* Queue a message for the primary channel; NULL when the queue is full. Length is @p len. */
struct nic_control *nic_control_add(
	struct host_nic *nic, enum nic_control_kind kind, const void *data, uint32_t len);
/* Answer the request @p tid with @p msg, padded to the size class; knob silence applies. */
void nic_control_answer(
	struct host_nic *nic, uint64_t tid, uint32_t request, const struct nvsp_message *msg);
/* Notify the guest outside of any request. */
void nic_control_notify(
	struct host_nic *nic, const struct nvsp_message *msg, uint16_t flags, uint64_t tid);
/* Write what is due to the primary ring. Returns messages written. */
unsigned int nic_control_flush(struct host_nic *nic);
uint64_t nic_control_deadline(const struct host_nic *nic);

/* ---- nic_nvsp.c ---- */

/*
 * A control message of the guest (anything but 107/108).
 * Returns NULL or why the channel must stop.
 */
const char *nic_nvsp_message(
	struct host_nic *nic, const struct vmbus_packet *pkt, const void *payload, uint32_t len);
/* May data and RNDIS control flow? A first 107 counts as "no send buffer" (spec/nvsp.md §4). */
bool nic_nvsp_rndis_allowed(struct host_nic *nic);
void nic_nvsp_reset(struct host_nic *nic);
/* Stop using a buffer of the guest and tell the transport. */
void nic_nvsp_drop_buffer(struct host_nic *nic, struct host_buffer *buffer);
void nic_nvsp_channel_opened(struct host_nic *nic);

/* ---- nic_rndis.c ---- */

/*
 * One control message of the guest, in private memory.
 * Returns 0, or -EINVAL: answer the send with a failure.
 */
int nic_rndis_control(struct host_nic *nic, const uint8_t *msg, uint32_t len);
void nic_rndis_reset(struct host_nic *nic);
/*
 * Tell the guest of link and VF changes. Kept for later while the control queue is short of room:
 * of many changes the last is never lost.
 */
void nic_rndis_notify(struct host_nic *nic);
void nic_rndis_indicate(struct host_nic *nic, uint32_t status, const void *buf, uint32_t len);
/* Notices that may come before any answer, for the knob "inject". */
void nic_nvsp_inject(struct host_nic *nic);
void nic_nvsp_send_table(struct host_nic *nic);
/* nic_oid.c: answer a query into @p out. Returns an RNDIS status; *out_len is set on success. */
uint32_t nic_oid_query(struct host_nic *nic, uint32_t oid, const uint8_t *in, uint32_t in_len,
	uint8_t *out, uint32_t out_size, uint32_t *out_len);
uint32_t nic_oid_set(struct host_nic *nic, uint32_t oid, const uint8_t *in, uint32_t in_len);
void nic_oid_indicate_offloads(struct host_nic *nic);
/* Statistics that the guest is told begin at 0. */
void nic_oid_restart(struct host_nic *nic);

/* ---- nic_sections.c ---- */

/* Cut the receive buffer into sections. Returns -EINVAL when it is too small. */
int nic_rx_sections(struct host_nic *nic);
void nic_rx_release(struct host_nic *nic);
/* The guest returned the packet @p tid on @p channel. Returns NULL or why the channel must stop. */
const char *nic_rx_ack(struct host_nic *nic, unsigned int channel, uint64_t tid,
	const void *payload, uint32_t len);
/* A channel closes: what it holds comes back. */
void nic_rx_reclaim(struct host_nic *nic, unsigned int channel);
/* One control section for an RNDIS message, NIC_NONE when all are out. */
uint32_t nic_rx_control_section(struct host_nic *nic);
void nic_rx_free_section(struct host_nic *nic, uint32_t section);
/*
 * Write a packet of the sections from @p first to @p last, a chain. Returns 0 or -EAGAIN, -EIO.
 */
int nic_rx_write(struct host_nic *nic, unsigned int channel, uint32_t channel_type, uint32_t first,
	uint32_t last, const struct vmbus_xfer_range *ranges, uint32_t n, uint32_t reserve);
/* The @p n sections from @p first to @p last, a chain, come back. Control goes out in single ones.
 */
void nic_rx_free_chain(struct host_nic *nic, uint32_t first, uint32_t last, uint32_t n);

/* ---- nic_rx.c ---- */

unsigned int nic_rx_poll(struct host_nic *nic, unsigned int budget);
/* Channel that a frame without a tag would go to; lanes stopped. */
unsigned int nic_rx_channel_of(struct host_nic *nic, const uint8_t *frame, uint32_t len);
/* A frame of the port that lies elsewhere, for the synthetic path; nic_rx_finish() hands it over.
 */
void nic_rx_copied(struct host_nic *nic, const struct host_frame *frame);
/* Hand over what the channels have gathered. */
void nic_rx_finish(struct host_nic *nic);
/* Would nic_rx_poll() ask the port for frames? */
bool nic_rx_wants_port(const struct host_nic *nic);

/* ---- nic_batch.c ---- */

/*
 * Hand a frame to the guest: it lies at info->data_abs of @p section, and the rest of @p info is
 * what the guest hears of it. @p kind as nic_frame_kind().
 */
void nic_rx_frame(struct host_nic *nic, unsigned int channel, uint32_t section,
	const struct rndis_packet_info *info, unsigned int kind);
/* The same for one of @p n pieces, made of @p segments frames of the port. */
void nic_rx_large_frame(struct host_nic *nic, unsigned int channel, const struct nic_piece *pieces,
	uint32_t n, uint32_t segments, const struct rndis_packet_info *info, unsigned int kind);

/* ---- nic_malform.c ---- */

/*
 * Give the message in @p range the next defect, or the range; the message is the guest's memory.
 * @return NIC_DEFECT_ALL, or the defect that its packet must get by nic->lie
 */
enum nic_defect nic_malform(struct host_nic *nic, struct vmbus_xfer_range *range);
/* Give a packet the defect nic->lie. */
void nic_malform_packet(const struct host_nic *nic, struct vmbus_xfer_header *header);
/* A defect by name, "all" included. @return 0 or -EINVAL */
int nic_malform_find(const char *name, uint32_t *defect);

/* ---- nic_rsc.c ---- */

/* Does the guest want TCP segments coalesced? */
static inline bool
nic_rsc_on(const struct host_nic *nic)
{
	return nic->offloads_on & (NDIS_CAN_RSC4 | NDIS_CAN_RSC6) && nic->knobs.rsc;
}
enum nic_rsc_took { NIC_RSC_NOT, NIC_RSC_KEPT, NIC_RSC_COPIED };
/*
 * A checked frame for @p channel, as for nic_rx_frame(), with its headers in @p head. NOT: it is
 * none to wait with, and nothing of its channel waits any more. COPIED: its section is free again.
 */
enum nic_rsc_took nic_rsc_take(struct host_nic *nic, unsigned int channel, uint32_t section,
	const struct rndis_packet_info *info, const struct offload_headers *headers,
	const uint8_t *head);
void nic_rsc_finish(struct host_nic *nic, unsigned int channel);
/* Hand over what is held. */
static inline void
nic_rsc_close(struct host_nic *nic, unsigned int channel)
{
	if (nic->channels[channel].rsc.n != 0)
		nic_rsc_finish(nic, channel);
}

/* ---- nic_tx.c ---- */

/*
 * A 107 of the guest; @p pkt_len bytes of the packet are in nic->packet. Returns false, and nothing
 * has happened: it is control, and the lanes go on.
 */
bool nic_tx_packet(struct host_nic *nic, unsigned int channel, const struct vmbus_packet *pkt,
	const void *payload, uint32_t payload_len);
/* Hand gathered frames to the port, then complete their sends. */
void nic_tx_flush(struct host_nic *nic);
/* The vSwitch port's MAC spoofing setting (spec/hosts.md §2). */
static inline bool
nic_source_is_foreign(const struct host_nic *nic, const uint8_t source[6])
{
	return memcmp(source, nic->mac, 6) != 0 && memcmp(source, nic->config.mac, 6) != 0;
}

/* ---- nic_vf.c, nic_vf_frames.c: see nic_vf.h ---- */

static inline bool
nic_vf_timed(const struct host_nic *nic)
{
	return nic->vf.requests_n != 0 || nic->vf.leave_ns != 0;
}
/* Do the frames of the network go to the VF's port, or what is left of it? */
static inline bool
nic_vf_carries(const struct host_nic *nic)
{
	return nic->vf.on && nic->vf.port != NULL;
}
/* Is there a VF that works? One that is to go does until the guest has left it. */
static inline bool
nic_vf_works(const struct host_nic *nic)
{
	return (nic->vf.present || nic->vf.leave_ns != 0) && !nic->knobs.vf_dead;
}
/* Does a VF take and send frames now? */
static inline bool
nic_vf_alive(const struct host_nic *nic)
{
	return nic->vf.on && nic_vf_works(nic);
}
/* Do frames of the VF go on to the network? */
static inline bool
nic_vf_may_send(const struct host_nic *nic)
{
	return nic_vf_works(nic) && (nic->vf.on || nic->knobs.vf_any_path);
}

/* ---- profile.c ---- */

/* A profile by its name, with its newest protocol version. @return 0 or -EINVAL */
int nic_profile_find(const char *name, uint32_t *profile, uint32_t *nvsp_max);
/* Set the knobs of the profile that the configuration names. */
void nic_profile_apply(struct host_nic *nic);

/* ---- nic_knobs.c ---- */

void nic_knobs_init(struct nic_knobs *knobs);
/* Knob percentages: true for @p pct of 100 calls, evenly spread. */
static inline bool
nic_percent(uint32_t *acc, uint32_t pct)
{
	*acc += pct;
	if (*acc < 100)
		return false;
	*acc -= 100;
	return true;
}

#endif
