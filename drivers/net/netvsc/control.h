/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Control operations, requests to the host and their answers. One operation at a time: each entry
 * point of the driver begins and ends one, and what is below it runs with the port's control_lock
 * and never takes it. One request is outstanding at a time (spec/nvsp.md §2).
 */
#ifndef HP_NETVSC_CONTROL_H
#define HP_NETVSC_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/bus/vmbus/bus.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"

struct netvsc_port;

#define NETVSC_MAX_TRANSFER 0x4000u /**< bytes of RNDIS that the host may send at a time */

/** Ids of control requests have bit 63, transmit ids do not; both are never 0. */
#define NETVSC_TID_CONTROL (UINT64_C(1) << 63)

/*
 * How long each kind of operation may take, all its requests together. Busy hosts took up to 15 s
 * for an answer (pitfall N2); one that is silent while a port is taken down is left behind quickly.
 */
extern const struct hpbus_op_kind netvsc_op_probe, netvsc_op_bring_up, netvsc_op_setting,
	netvsc_op_stop, netvsc_op_close, netvsc_op_reset, netvsc_op_farewell, netvsc_op_path;

enum netvsc_answer {
	NETVSC_ANSWER_NONE,
	NETVSC_ANSWER_HERE, /**< in reply */
	NETVSC_ANSWER_BAD,  /**< it came, and makes no sense */
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

/* ---- operations.c ---- */

/**
 * A control operation begins: no other one runs until it ends, and it has the time of its kind. Not
 * within another one, nor on the housekeeping alarm, which must not wait.
 * @return 0; -EBUSY, with a message: there is another one, which does not end, or the device is
 *         away and waited for, and the operation does not take the port down
 */
__rte_warn_unused_result int netvsc_control_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind);
/** The same for one that began at @p since (CLOCK_MONOTONIC, milliseconds). */
__rte_warn_unused_result int netvsc_control_begin_at(struct netvsc_port *port, struct hpbus_op *op,
	const struct hpbus_op_kind *kind, int64_t since);
/** The same for who does not wait. @return false: there is another operation */
__rte_warn_unused_result bool netvsc_control_try_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind);
void netvsc_control_end(struct netvsc_port *port, struct hpbus_op *op);
/**
 * Who only looks keeps control operations away, if there is none just now. A secondary, which may
 * be killed any time, does without: netvsc_channel_look().
 */
bool netvsc_control_try(struct netvsc_port *port);
void netvsc_control_try_end(struct netvsc_port *port);

/**
 * For what needs no operation: is the device here, if it is the port's?
 * @param what of the message
 * @return 0; -EBUSY, with a message: it is away and waited for
 */
int netvsc_check_here(struct netvsc_port *port, const char *what);

/* ---- control.c ---- */

/** Write a message that is not answered. */
int netvsc_nvsp_post(struct netvsc_port *port, const struct nvsp_message *msg);
/**
 * Write a message and wait for its answer, of type @p expect, in netvsc_request.answer.
 * @return 0; -EPROTO: another answer; -ETIMEDOUT: none, the port is broken; -ENODEV, -ENOTCONN
 */
int netvsc_nvsp_request(struct netvsc_port *port, const struct nvsp_message *msg, uint32_t expect);
/** Ids of the next request. */
uint64_t netvsc_control_next_tid(struct netvsc_port *port);
uint32_t netvsc_rndis_next_id(struct netvsc_port *port);
#define NETVSC_RNDIS_PACKET_MAX 80u
/**
 * The packet that sends a request: by its page when the host can read that (the only way Windows is
 * known to take), else by a section, to which it is copied.
 * @param at      where it stands in control_zone, at the beginning of a page
 * @param section that is kept for it, or NETVSC_SECTION_NONE
 * @return bytes of the packet; -EOPNOTSUPP there is no way
 */
int netvsc_rndis_packet(const struct netvsc_port *port, uint8_t pkt[NETVSC_RNDIS_PACKET_MAX],
	uint32_t at, uint32_t section, uint32_t len, uint64_t tid);
/**
 * Write a message now and let its completion come later: @p awaited is its id until somebody who
 * looks at completions takes it. @return 0; -EAGAIN: the ring is full; -ENODEV, -ENOTCONN
 */
int netvsc_nvsp_post_awaited(
	struct netvsc_port *port, const struct nvsp_message *msg, _Atomic uint64_t *awaited);
/** Look for what the host says, unless an lcore does: for who waits. */
void netvsc_control_scan(struct netvsc_port *port);
int netvsc_rndis_init(struct netvsc_port *port);
int netvsc_rndis_halt(struct netvsc_port *port);
int netvsc_query(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len, void *out,
	uint32_t out_len, uint32_t *got);
int netvsc_set(struct netvsc_port *port, uint32_t oid, const void *in, uint32_t in_len);

/* ---- nvsp.c: the steps of attaching and detaching ---- */

int netvsc_nvsp_init(struct netvsc_port *port);
int netvsc_nvsp_configure(struct netvsc_port *port);
/** @return 0; -E2BIG: no receive sections for an MTU of more than 1500; or a negative errno */
int netvsc_nvsp_buffers(struct netvsc_port *port);
/** @param granted 0..want; a host that refuses grants 0 */
int netvsc_nvsp_subchannels(struct netvsc_port *port, unsigned int want, unsigned int *granted);
int netvsc_nvsp_revoke(struct netvsc_port *port);
/**
 * Ask the host to move the data path; the completion is NETVSC_VF_HOST_ANSWERED.
 * @return as netvsc_nvsp_post_awaited()
 */
int netvsc_nvsp_switch(struct netvsc_port *port, bool to_vf);

/* ---- answers.c ---- */

/** Completion of a control request, from the dispatcher; rx_lock of channel 0 held. */
void netvsc_control_completion(
	struct netvsc_port *port, uint64_t trans_id, const void *payload, uint32_t len);
/**
 * In-band notice of the host; rx_lock of channel 0 held.
 * @param pkt its descriptor: a host may want a completion
 */
void netvsc_control_notice(struct netvsc_port *port, const struct vmbus_packet *pkt,
	const void *payload, uint32_t len);
/** RNDIS control message, a private copy; rx_lock of channel 0 held. */
void netvsc_control_rndis(struct netvsc_port *port, const void *msg, uint32_t len);

/* ---- answers.c: the send indirection table ---- */

#define NETVSC_SEND_TABLE_TEXT 128u /**< bytes of one in words */

/** The next session begins: its host has named none. */
void netvsc_send_table_forget(struct netvsc_port *port);
/** Any thread. @param table channels, UINT32_MAX: none. @return tables that came in this session */
uint32_t netvsc_send_table_read(
	const struct netvsc_port *port, uint32_t table[NVSP_SEND_TABLE_ENTRIES]);
/** How many of its entries name a channel. */
unsigned int netvsc_send_table_share(
	const uint32_t table[NVSP_SEND_TABLE_ENTRIES], uint32_t channel);
/** Channels, separated by spaces, "-" where none is named; or "none". */
void netvsc_send_table_text(
	const uint32_t table[NVSP_SEND_TABLE_ENTRIES], char text[NETVSC_SEND_TABLE_TEXT]);

#endif
