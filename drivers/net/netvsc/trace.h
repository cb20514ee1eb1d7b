/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Trace points of rte_trace, all called pmd.net.hyperpoll.*. Those of the control path come with
 * every event of the flight recorder. Those of bursts are compiled into nothing unless DPDK was
 * built with RTE_ENABLE_TRACE_FP (-Denable_trace_fp=true). Fields are named by the arguments.
 */
#ifndef HP_NETVSC_TRACE_H
#define HP_NETVSC_TRACE_H

#include <stdint.h>

#include <rte_trace_point.h>

/* clang-format off */

/* ---- control path ---- */

/** A message to the host. @p value as in the flight recorder */
RTE_TRACE_POINT(netvsc_trace_sent,
	RTE_TRACE_POINT_ARGS(uint16_t port_id, const char *message, int64_t value),
	rte_trace_point_emit_u16(port_id); rte_trace_point_emit_string(message);
	rte_trace_point_emit_i64(value);)
/** One of the host's. */
RTE_TRACE_POINT(netvsc_trace_received,
	RTE_TRACE_POINT_ARGS(uint16_t port_id, const char *message, int64_t value),
	rte_trace_point_emit_u16(port_id); rte_trace_point_emit_string(message);
	rte_trace_point_emit_i64(value);)
/** The port has become something: its kind, which is the first word of a recorder's line. */
RTE_TRACE_POINT(netvsc_trace_state,
	RTE_TRACE_POINT_ARGS(
		uint16_t port_id, const char *kind, const char *text, int64_t value),
	rte_trace_point_emit_u16(port_id); rte_trace_point_emit_string(kind);
	rte_trace_point_emit_string(text); rte_trace_point_emit_i64(value);)

/* ---- bursts ---- */

RTE_TRACE_POINT_FP(netvsc_trace_rx_burst,
	RTE_TRACE_POINT_ARGS(uint16_t port_id, uint16_t queue_id, uint16_t asked, uint16_t got),
	rte_trace_point_emit_u16(port_id); rte_trace_point_emit_u16(queue_id);
	rte_trace_point_emit_u16(asked); rte_trace_point_emit_u16(got);)
RTE_TRACE_POINT_FP(netvsc_trace_tx_burst,
	RTE_TRACE_POINT_ARGS(uint16_t port_id, uint16_t queue_id, uint16_t asked, uint16_t sent),
	rte_trace_point_emit_u16(port_id); rte_trace_point_emit_u16(queue_id);
	rte_trace_point_emit_u16(asked); rte_trace_point_emit_u16(sent);)
/** The host is signalled: what it reads or what it writes is @p outbound. */
RTE_TRACE_POINT_FP(netvsc_trace_doorbell,
	RTE_TRACE_POINT_ARGS(uint16_t port_id, uint16_t channel, uint8_t outbound),
	rte_trace_point_emit_u16(port_id); rte_trace_point_emit_u16(channel);
	rte_trace_point_emit_u8(outbound);)

#endif
