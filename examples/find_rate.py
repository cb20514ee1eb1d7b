#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Find the rate that an application drops at.

Run hvsim with a generator, and the application behind it, for example testpmd that sends each frame back:

    hvsim --dir /run/hyperpoll --nic spoof=on,port=gen:size=60,flows=64,rate=1K &
    dpdk-testpmd ... -- --forward-mode=macswap

then

    find_rate.py --low 10K --high 20M

tries rates, halving what is between the highest without a loss and the lowest with one. A frame is lost when the
guest leaves the host no room for it, or (--round-trip) when it does not come back. With --json each trial is a JSON
object on a line of its own, {"trial": {"rate", "seconds", "frames", "lost", "slow"}}, and the last line is {"rate": N}.
"""
import argparse
import json
import os
import sys
import time

try:
    import hvsim
except ImportError:  # not installed: the tree that this file is in
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
    import hvsim


def number(text):
    """1500, 10K, 2.5M"""
    scale = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:].lower())
    return int(float(text[:-1]) * scale) if scale else int(text)


def search(loses, low, high, precision=0.05):
    """The highest rate from low to high for which loses(rate) is false, within a share of it; 0: none."""
    if not loses(high):
        return high
    if loses(low):
        return 0
    while high - low > max(1, precision * low):
        middle = (low + high) // 2
        if loses(middle):
            high = middle
        else:
            low = middle
    return low


class Trial:
    """Runs the generator of a NIC at a rate and counts what was lost."""

    def __init__(self, host, nic, seconds, tolerance, round_trip, as_json=False):
        self.host, self.nic, self.seconds = host, nic, seconds
        self.tolerance, self.round_trip, self.as_json = tolerance, round_trip, as_json

    def counts(self):
        """(frames generated, frames lost) so far, with none on their way."""
        before = None
        for _ in range(20):
            stats = self.host.stats(self.nic)
            port = stats["port_stats"]
            if port["tx_frames"] == before:
                break
            before = port["tx_frames"]
            time.sleep(0.05)
        if self.round_trip:
            return port["rx_frames"], port["rx_frames"] - port["verified"]
        return port["rx_frames"], sum(value for name, value in stats.items() if name.startswith("rx_dropped_"))

    def hold(self, on):
        """Keep the generator's frames back; what is on its way comes to its end."""
        self.host.set("stall_rx", int(on), self.nic)

    def loses(self, rate):
        """Does the application lose frames at this rate? What the host could not make is said."""
        self.hold(True)
        before, lost_before = self.counts()
        self.host.set("rate", rate, self.nic)
        begun = time.monotonic()
        self.hold(False)
        time.sleep(self.seconds)
        self.hold(True)
        took = time.monotonic() - begun
        after, lost_after = self.counts()
        frames, lost = after - before, lost_after - lost_before
        share = lost / frames if frames else 1
        slow = frames < 0.9 * rate * took
        if self.as_json:
            print(json.dumps({"trial": {"rate": rate, "seconds": took, "frames": frames, "lost": lost, "slow": slow}}), flush=True)
            return share > self.tolerance or slow
        print(f"{rate:>12,} pps: {frames / took:>14,.0f} made, {100 * share:8.4f} % lost"
              f"{'  (the generator cannot make more)' if slow else ''}", flush=True)
        return share > self.tolerance or slow


def main():
    parser = argparse.ArgumentParser(description="Find the rate that an application drops at.")
    parser.add_argument("--socket", help="control socket of hvsim (that of the only one)")
    parser.add_argument("--nic", type=int, default=0, help="the NIC with port=gen (0)")
    parser.add_argument("--low", type=number, default=1000, help="frames per second to begin with (1K)")
    parser.add_argument("--high", type=number, default=20000000, help="and to end with (20M)")
    parser.add_argument("--seconds", type=float, default=1, help="of a trial (1)")
    parser.add_argument("--tolerance", type=float, default=0, help="share of frames that may be lost (0)")
    parser.add_argument("--precision", type=float, default=0.05, help="of the result (0.05)")
    parser.add_argument("--round-trip", action="store_true", help="frames that do not come back are lost, too")
    parser.add_argument("--json", action="store_true", help="trials and result as JSON, one object per line")
    args = parser.parse_args()
    if not 0 < args.low <= args.high:
        parser.error("--low is at least 1 and at most --high")
    if not (args.seconds > 0 and 0 <= args.tolerance < 1 and args.precision > 0):
        parser.error("--seconds and --precision are more than 0, --tolerance is from 0 to less than 1")
    try:
        with hvsim.Control(args.socket) as host:
            if host.stats(args.nic)["state"] != "running":
                sys.exit("find_rate: no guest runs on this NIC: start the application first")
            trial = Trial(host, args.nic, args.seconds, args.tolerance, args.round_trip, args.json)
            try:
                rate = search(trial.loses, args.low, args.high, args.precision)
            finally:
                trial.hold(False)
            host.set("rate", args.low, args.nic)
    except (hvsim.HostError, hvsim.NoHost, OSError) as error:
        sys.exit(f"find_rate: {error}")
    if args.json:
        print(json.dumps({"rate": rate}))
    if rate == 0:
        sys.exit(f"find_rate: it loses frames at {args.low:,} pps already; give a lower --low")
    if not args.json:
        lost = f"with at most {100 * args.tolerance:g} % lost" if args.tolerance else "without a loss"
        print(f"{rate} frames per second {lost}")


if __name__ == "__main__":
    main()
