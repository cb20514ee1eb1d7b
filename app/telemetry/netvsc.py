# SPDX-License-Identifier: BSD-3-Clause
"""Ports of the netvsc driver for dpdk-telemetry-exporter.py (DPDK 23.11 and later).

    dpdk-telemetry-exporter.py -p FOLDER_OF_THIS_FILE:/usr/share/dpdk/telemetry-endpoints

Every number that /netvsc/info and /netvsc/queue answer becomes a metric with the port as a label,
and the queue; doc/guide.md says what they are.
"""

GAUGES = {
    "info": {
        "running": "1 while the port carries frames",
        "attached": "1 while there is a session with the host",
        "link_up": "1 while the link is up",
        "link_mbps": "Speed of the link, Mbit/s",
        "mtu": "MTU",
        "channels": "Open channels",
        "recv_sections": "Sections of the receive buffer",
        "recv_sections_lent": "Sections that the application holds (rx_copybreak)",
        "send_sections": "Sections of the send buffer",
        "send_sections_used": "Sections of the send buffer that the host has",
        "send_tables": "Send indirection tables of the host in this session",
        "path_is_vf": "1 while data takes the virtual function",
        "vf_associated": "1 while the host offers a virtual function",
        "vf_found": "1 while there is a port for it",
        "vf_running": "1 while that is started",
        "vf_link_up": "1 while its link is up",
        "vf_recovering": "1 while it resets itself",
        "vf_receives": "1 while frames are received from it",
        "vf_used": "1 while frames are sent through it",
        "last_recovery_ms": "Milliseconds that the last recovery that succeeded took",
        "last_recovery_failed": "1 if the last recovery failed",
        "last_recovery_age_seconds": "Seconds since the last recovery, 0 if there was none",
        "age_seconds": "Seconds since the port came",
    },
    "queue": {
        "rx_ring_bytes": "Bytes of the ring from the host",
        "rx_ring_used": "Bytes in the ring from the host",
        "tx_ring_bytes": "Bytes of the ring to the host",
        "tx_ring_used": "Bytes in the ring to the host",
        "rx_frames_per_100_batches": "Frames in 100 bursts that took any",
        "tx_frames_per_100_sends": "Frames in 100 packets to the host",
        "rx_completions_waiting": "Receive completions that wait for room in the ring",
        "tx_completions_outstanding": "Packets that the host has not completed",
        "tx_sections_used": "Sections of the send buffer that the queue uses",
        "tx_sections_free": "Sections of the send buffer that the queue has ready",
        "tx_send_table_entries": "Entries of the host's send table (16) that name the queue",
    },
}
COUNTERS = {
    "info": {
        "path_switches": "Switches between the synthetic path and the virtual function",
        "vf_changes": "Changes of the virtual function",
        "vf_failed_starts": "Starts of the virtual function that failed",
        "vf_moved_back_by_host": "Times that the host took the data path away from it",
        "vf_refused_by_host": "Times that the host refused the data path",
        "vf_unanswered_by_host": "Switches that the host did not answer in time",
        "recoveries": "Recoveries after the host had taken the device away",
        "recoveries_failed": "Recoveries that did not succeed",
        "breaks": "Times that the host broke the protocol",
        "fences": "Resets of the device",
        "messages_sent": "Control messages to the host",
        "messages_received": "Control messages of the host",
        "messages_unanswered": "Requests without an answer",
        "events": "Events of the flight recorder",
    },
    "queue": {
        "rx_frames": "Frames received",
        "rx_bytes": "Bytes received",
        "rx_polls": "Receive bursts",
        "rx_batches": "Receive bursts that took any frame",
        "rx_by_reference": "Frames received without a copy",
        "rx_no_mbuf": "Frames dropped without an mbuf",
        "rx_too_long": "Frames dropped that do not fit an mbuf",
        "rx_malformed": "Frames that made no sense",
        "rx_dropped_unpolled": "Frames dropped because nobody received",
        "rx_dropped_stopped": "Frames dropped because the queue was stopped",
        "rx_completions_deferred": "Receive completions that had to wait",
        "rx_doorbells": "Signals to the host of the receiving side",
        "tx_frames": "Frames sent",
        "tx_bytes": "Bytes sent",
        "tx_sends": "Packets to the host that they went in",
        "tx_by_reference": "Frames sent without a copy",
        "tx_errors": "Frames not sent",
        "tx_refused": "Frames that the host refused",
        "tx_ring_full": "Bursts cut short: no room in the ring",
        "tx_no_descriptor": "Bursts cut short: all descriptors in flight",
        "tx_no_section": "Bursts cut short: no section of the send buffer",
        "tx_doorbells": "Signals to the host of the sending side",
    },
}


def info():
    """The description and type of every metric."""
    return {
        name: (text, kind)
        for kind, tables in (("gauge", GAUGES), ("counter", COUNTERS))
        for table in tables.values()
        for name, text in table.items()
    }


def values(answer, what, labels):
    """The metrics that are in an answer: some are left out while the host is being talked to."""
    names = [*GAUGES[what], *COUNTERS[what]]
    return [(name, answer[name], labels) for name in names if name in answer]


def metrics(sock):
    """The metrics of all ports. One that goes away meanwhile has none."""
    out = []
    for port in sock.cmd("/netvsc/list") or []:
        answer = sock.cmd("/netvsc/info", port)
        if answer is None:
            continue
        labels = {"port": answer["name"]}
        out += values(answer, "info", labels)
        for queue in range(max(answer["rx_queues"], answer["tx_queues"])):
            counts = sock.cmd("/netvsc/queue", f"{port},{queue}")
            if counts is not None:
                out += values(counts, "queue", {**labels, "queue": queue})
    return out
