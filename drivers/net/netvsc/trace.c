/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of the trace points. First of all includes, because it gives trace.h another meaning.
 */
#include <rte_trace_point_register.h>

#include "drivers/net/netvsc/trace.h"

RTE_TRACE_POINT_REGISTER(netvsc_trace_sent, pmd.net.hyperpoll.sent)
RTE_TRACE_POINT_REGISTER(netvsc_trace_received, pmd.net.hyperpoll.received)
RTE_TRACE_POINT_REGISTER(netvsc_trace_state, pmd.net.hyperpoll.state)
RTE_TRACE_POINT_REGISTER(netvsc_trace_rx_burst, pmd.net.hyperpoll.rx.burst)
RTE_TRACE_POINT_REGISTER(netvsc_trace_tx_burst, pmd.net.hyperpoll.tx.burst)
RTE_TRACE_POINT_REGISTER(netvsc_trace_doorbell, pmd.net.hyperpoll.doorbell)
