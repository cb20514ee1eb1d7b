# SPDX-License-Identifier: BSD-3-Clause
"""Two NICs play a capture each; every byte of what comes out of the other is compared."""
import signal

import frames
from harness import wait_until


def exchange(case, sent, rate, forwarder, change, args=()):
    """
    forwarder(host) is started between the two NICs of a host that plays sent[n] on NIC n, rate
    frames per second; change(frame, n) is what it makes of a frame that leaves through NIC n.
    """
    ports = []
    for n in range(2):
        frames.pcap_write(case.path(f"in{n}.pcap"), sent[n])
        ports.append(f"pcap:in={case.path(f'in{n}.pcap')},out={case.path(f'out{n}.pcap')},rate={rate}")
    host = case.host(*ports, args=list(args))
    host.hold()
    app = case.own(forwarder(host))
    app.expect("entering main loop", 30)
    host.hold(False)
    for n in range(2):
        wait_until(lambda: host.port(n)["tx_frames"] >= len(sent[1 - n]), 20,
                   f"NIC {n} has the frames of the other: {host.port(n)}")
    app.signal(signal.SIGINT)
    case.assertEqual(app.wait(), 0)
    host.stop()
    for n in range(2):
        case.assert_same_frames(frames.pcap_read(case.path(f"out{n}.pcap")),
                                [change(frame, n) for frame in sent[1 - n]])
