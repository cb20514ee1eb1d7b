# SPDX-License-Identifier: BSD-3-Clause
"""Frames of a generator on NIC 0 that come back to it: which of them have not."""
import json

from harness import wait_until

QUIET = 25  # equal looks at all counters in a row, half a second: one that forwards may have had no processor


def settle(host, nics):
    """No new frames from NIC 0; wait until those on their way have arrived somewhere."""
    host.set("stall_rx", 1)
    seen = []

    def quiet():
        seen.append(json.dumps([host.stats(nic) for nic in range(nics)], sort_keys=True))
        return len(seen) > QUIET and len(set(seen[-QUIET:])) == 1

    wait_until(quiet, 30, "the frames on their way have arrived")


def lost(case, host, nics):
    """Frames that the generator does not have back, none of them being on its way; then it goes on."""
    settle(host, nics)
    port = host.port()
    case.assertEqual((port["corrupt"], port["duplicate"], port["foreign"]), (0, 0, 0), port)
    host.set("stall_rx", 0)
    return port["rx_frames"] - port["verified"]
