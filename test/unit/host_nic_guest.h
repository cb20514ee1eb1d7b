/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest on plain memory for the tests of lib/host: rings, buffers and pages are malloc'ed, the
 * port is two lists of frames. Everything is owned by struct guest and used by one thread; the host
 * runs only inside guest_poll().
 */
#ifndef HP_TEST_HOST_NIC_GUEST_H
#define HP_TEST_HOST_NIC_GUEST_H

#include "lib/host/nic_internal.h"
#include "test/unit/unit.h"

#define GUEST_CHANNELS 8u
#define GUEST_PAGES    64u
#define GUEST_PFN      1000u
#define GUEST_RECV     0xe1e10u
#define GUEST_SEND     0xe1e11u
/* Fuzz targets, which begin anew a thousand times a second, have fewer. */
#ifndef GUEST_FRAMES
#define GUEST_FRAMES  4096u
#define GUEST_PACKETS 2048u
#endif
#define GUEST_FRAME 2048u

/*
 * A port whose frames a test puts in and takes out. With the environment variable PORT_IN_PLACE
 * it takes them in the guest's memory.
 */
struct test_port {
	struct host_port port;
	uint32_t in_head, in_tail; /* frames for the guest */
	uint32_t out_n;		   /* frames of the guest */
	uint32_t sends, receives;  /* calls */
	bool any_size;		   /* drops what is longer than the room, as a real port does */
	const uint8_t *last;	   /* where the last frame of the guest lay */
	uint8_t *meanwhile;	   /* a byte that the guest changes before it is copied, or NULL */
	struct {
		uint32_t len;
		uint8_t data[GUEST_FRAME];
	} * in, *out;
};

/* One packet from the host, copied. */
struct guest_packet {
	struct vmbus_packet desc;
	unsigned int channel;
	uint32_t payload_len;
	struct nvsp_message msg;
	uint32_t ranges;
	int xfer_ranges; /* as nvsp_xfer_parse() has it: the same, or an error */
	struct vmbus_xfer_range range[NVSP_MAX_XFER_RANGES];
};

struct guest {
	struct host_nic *nic;
	struct host_nic_config config;
	struct test_port port;
	struct test_port vf_port; /* of guest_start_vf() */
	/*
	 * What the host said of the VF, in its order: "+3 " association with serial 3, "-3 " its
	 * end, "0 " path synthetic, "1 " path of the VF.
	 */
	char heard[128];
	uint32_t ring_pages;		   /* data pages of one ring */
	uint8_t *ring_mem[GUEST_CHANNELS]; /* not of mirrored rings */
	struct vmbus_ring_writer out[GUEST_CHANNELS];
	struct vmbus_ring_reader in[GUEST_CHANNELS];
	uint8_t *recv, *send, *pages;
	size_t recv_len, send_len;
	uint64_t next_tid;
	uint32_t section, sections, send_section;
	bool lies; /* the host may send packets that cannot be */
	bool hurt; /* the test writes into the rings, so that they may hold anything */
	bool ack;  /* acknowledge transfer-page packets at once */
	/* What arrived in the last guest_poll(). */
	struct guest_packet *packets;
	uint32_t packets_n;
	/* What the host called. */
	uint32_t signals, offers, granted, broken[GUEST_CHANNELS];
	const char *why;
	uint32_t complaints;
	char complaint[200]; /* the last */
	bool open_at_once;   /* subchannels() opens the channels */
	bool mirrored;	     /* rings are mapped twice over, as those of hvsim */
	int subchannels_rc;
	uint32_t released;     /* buffers */
	uint32_t out_released; /* frames that the port had when the last one went */
};

/* Text of --nic without port=; ring size in data pages. Fails the test when the NIC cannot be. */
void guest_start(struct guest *g, const char *nic, uint32_t ring_pages);
/* The same on a port of the host, which the NIC closes; with mirrored rings. */
void guest_start_port(
	struct guest *g, const char *nic, uint32_t ring_pages, struct host_port *port);
/* guest_start() with a VF whose frames are those of a second port. */
void guest_start_vf(struct guest *g, const char *nic, uint32_t ring_pages);
void guest_stop(struct guest *g);
void guest_open(struct guest *g, unsigned int channel);

/* Write and publish one packet; the host sees it at the next poll. */
int guest_send(struct guest *g, unsigned int channel, uint16_t type, uint64_t tid, uint16_t flags,
	const void *header, uint32_t header_len, const void *payload, uint32_t payload_len);
int guest_nvsp(struct guest *g, const struct nvsp_message *msg, uint64_t tid, bool completion);
/* A 107 in send section @p section. */
int guest_send_section(
	struct guest *g, unsigned int channel, uint32_t section, uint32_t bytes, uint64_t tid);
/* A 107 in guest pages: ranges {byte_count, byte_offset, first page index}. */
struct guest_range {
	uint32_t count, offset, page;
};
int guest_send_pages(struct guest *g, unsigned int channel, uint32_t channel_type,
	const struct guest_range *ranges, uint32_t n, uint64_t tid);
int guest_ack(struct guest *g, unsigned int channel, uint64_t tid);

/* Run the host once and read all rings. Returns the host's work. */
unsigned int guest_poll(struct guest *g);
/* The second half of it. */
void guest_drain(struct guest *g);
/* The completion of @p tid among the packets of the last poll, or NULL. */
const struct guest_packet *guest_completion(const struct guest *g, uint64_t tid);
/* What that says, an enum nvsp_status; fails the test when there is none. */
uint32_t guest_status(const struct guest *g, uint64_t tid);
/* Send @p bytes of send section 0; returns the status. */
uint32_t guest_send_first(struct guest *g, uint32_t bytes);
/* The n-th transfer-page packet of the last poll, or NULL. */
const struct guest_packet *guest_transfer(const struct guest *g, uint32_t n);
/* Inband message of a type among the packets of the last poll, or NULL. */
const struct guest_packet *guest_inband(const struct guest *g, uint32_t type);
/* RNDIS message of a range; NULL when it leaves the receive buffer. */
const uint8_t *guest_message(const struct guest *g, const struct guest_packet *p, uint32_t range);
/* Control message of type @p type among the transfer packets, or NULL. */
const uint8_t *guest_control(const struct guest *g, uint32_t type, uint32_t *len);

/* Ladder up to a version: INIT, NDIS, buffers (spec/nvsp.md §4, steps 2-6). */
void guest_nvsp_up(struct guest *g, uint32_t version, uint64_t capabilities, uint32_t ip_mtu);
/* RNDIS INITIALIZE, then packet filter @p filter. */
void guest_rndis_up(struct guest *g, uint32_t filter);
/* All of it at 6.1 with the given filter. */
void guest_up(struct guest *g, uint32_t filter);
/* A control request in page 0; returns the answer of @p type or NULL. */
const uint8_t *guest_request(
	struct guest *g, const void *msg, uint32_t len, uint32_t type, uint32_t *answer_len);
uint32_t guest_set(struct guest *g, uint32_t oid, const void *info, uint32_t len);
/* Returns the RNDIS status; info is copied to @p out. */
uint32_t guest_query(struct guest *g, uint32_t oid, void *out, uint32_t size, uint32_t *len);
/* The same with an input of @p asked bytes of zeros. */
uint32_t guest_query_sized(
	struct guest *g, uint32_t oid, uint32_t asked, void *out, uint32_t size, uint32_t *len);
/* Enable exactly these (NDIS_CAN_*) by OID_TCP_OFFLOAD_PARAMETERS. */
void guest_offloads(struct guest *g, uint32_t can);
uint32_t guest_query_word(struct guest *g, uint32_t oid);
/* guest_start() and guest_up() with the filter of an ordinary guest. */
void guest_start_up(struct guest *g, const char *nic, uint32_t ring_pages);
/* Ask for and open @p n subchannels. */
void guest_subchannels(struct guest *g, uint32_t n);

/* Sum of the counters whose name begins like this. */
uint64_t guest_sum(const struct host_nic_stats *s, const char *prefix);

/* Make one that is empty; its frames are the caller's to free. */
void test_port_init(struct test_port *p);
void test_port_put(struct test_port *p, const void *frame, uint32_t len);
/* Put a frame into the port for the guest. */
void guest_port_put(struct guest *g, const void *frame, uint32_t len);
/* A UDP/IPv4 frame of @p len bytes with correct checksums to the guest's MAC; @p flow varies it. */
uint32_t guest_make_udp(struct guest *g, uint8_t *frame, uint32_t len, uint32_t flow);
/*
 * A TCP frame of @p version 4 or 6 with @p payload bytes, correct checksums and the pattern of @p
 * seq on, to the guest's MAC; @p flow varies the source port.
 */
uint32_t guest_make_tcp(struct guest *g, uint8_t *frame, uint32_t version, uint32_t payload,
	uint32_t flow, uint32_t seq);
/* Put a tag behind the addresses of @p frame; returns its new length. */
uint32_t guest_tag(uint8_t *frame, uint32_t len, uint16_t tci);
/* The n-th data message of the last poll, parsed; NULL: there is none. Fails when it is malformed.
 */
const uint8_t *guest_data(const struct guest *g, uint32_t n, struct rndis_packet_info *info);
/* Build one PACKET message of @p frame at @p dst; returns its bytes. */
uint32_t guest_make_packet(uint8_t *dst, const void *frame, uint32_t len);

#endif
