#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long frames stay away when a virtual function goes or comes: flips.py [--flips N] [--rate PPS] [--json FILE]

testpmd sends back what hvsim's generator sends at a constant rate. The NIC has a virtual function, another
ethdev of testpmd's on a TAP; the host takes it away and gives it back, in either of its ways. A flip is both.
The capture of the generator's port says when each frame was there; a gap is the longest time between two of
them from before the flip until frames go by the virtual function again. The same is looked for while nothing
flips, for as long: what the machine alone does to frames.
"""
import argparse
import array
import bisect
import json
import math
import os
import statistics
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import vf_network  # noqa: E402
from harness import Case  # noqa: E402

REMOVALS = ("path_first", "ask")
INTERFACE, PACKET = 1, 6  # blocks of pcapng
NAME, FLAGS, DROPS = 2, 2, 4  # options of an interface, and of a packet
OUTBOUND = 2


def missing():
    """Why it cannot be measured here, or None."""
    return None if os.geteuid() == 0 else "needs root"


def options(data):
    """Codes and values, up to the end."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4:at + 4 + length]
        at += 4 + (length + 3 & ~3)


def arrivals(path, name):
    """Nanoseconds at which frames of a guest were at a port, from the capture of it."""
    times, names = array.array("q"), []
    with open(path, "rb") as file:
        while len(head := file.read(8)) == 8:
            kind, length = struct.unpack("<II", head)
            body = file.read(length - 8)[:-4]
            if kind == INTERFACE:
                names.append(dict(options(body[8:])).get(NAME, b"").decode())
            elif kind == PACKET:
                interface, high, low, captured = struct.unpack_from("<IIII", body)
                told = dict(options(body[20 + (captured + 3 & ~3):]))
                if DROPS in told:
                    raise RuntimeError(f"{path}: records are missing")
                if names[interface] == name and \
                        struct.unpack("<I", told[FLAGS])[0] & 3 == OUTBOUND:
                    times.append(high << 32 | low)
    return times


def longest_gap(times, begin, end):
    """Between two frames of which the second came from begin to end, or the first and the end, in milliseconds."""
    first = max(bisect.bisect_left(times, begin) - 1, 0)
    last = bisect.bisect_right(times, end)
    seen = [*times[first:last], end]
    return max(b - a for a, b in zip(seen, seen[1:])) / 1e6


def percentile(values, share):
    return sorted(values)[math.ceil(len(values) * share) - 1]


def summary(gaps):
    return {"p50_ms": round(statistics.median(gaps), 3), "p99_ms": round(percentile(gaps, 0.99), 3),
            "max_ms": round(max(gaps), 3)}


class Flips(Case):
    """One host and one guest; not a test."""

    limit = 600

    def flip(self, net, number):
        """@return when it began and ended"""
        net.host.set("vf_removal", REMOVALS[number % len(REMOVALS)])
        begin = time.time_ns()
        net.vf(present=False)
        net.await_path(False)
        net.await_frames_on(False, 100)
        net.vf(present=True, serial=1 + number)
        net.await_path(True)
        net.await_frames_on(True, 100)
        return begin, time.time_ns()

    def windows(self, flips, rate):
        """The capture, the times of flips and as many without, the host's counters, and frames lost."""
        capture = self.path("frames.pcapng")
        net = vf_network.VfNetwork(self, f"capture={capture},snaplen=128",
                                   port=f"gen:size=60,flows=16,rate={rate}")
        pmd = net.guest()
        pmd.start()
        net.await_path(True)
        net.await_frames_on(True)
        found, still = [], []
        for number in range(flips):
            found.append(self.flip(net, number))
            time.sleep((found[-1][1] - found[-1][0]) / 1e9)
            still.append((found[-1][1], time.time_ns()))
        net.settle()
        stats = net.host.stats()
        books = {"lost": stats["port_stats"]["rx_frames"] - stats["port_stats"]["verified"],
                 "counted": sum(net.losses(pmd).values())}
        pmd.stop()
        pmd.quit()
        net.host.stop()
        return capture, found, still, stats, books


def measure(flips, rate):
    """What doc/bench says of flips."""
    case = Flips()
    case.setUp()
    try:
        capture, found, still, stats, books = case.windows(flips, rate)
        times = arrivals(capture, "nic0")
    finally:
        case.doCleanups()
    port = stats["port_stats"]
    if stats["path_switches"] < 2 * flips or not times or port["corrupt"] or port["duplicate"]:
        raise RuntimeError(f"{len(times)} frames: {stats}")
    return {"flips": flips, "rate": rate, "frames": port["rx_frames"], **books,
            **summary([longest_gap(times, *window) for window in found]),
            "still": summary([longest_gap(times, *window) for window in still])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--rate", type=int, default=20000, help="frames per second")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    why = missing()
    if why:
        sys.exit(f"flips: {why}")
    result = measure(given.flips, given.rate)
    print(json.dumps(result))
    if given.json:
        with open(given.json, "w") as file:
            json.dump(result, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
