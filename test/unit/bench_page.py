# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark's page says what was reached, what was not and what is missing."""
import io
import itertools
import json
import os
import struct
import sys
import tempfile
import unittest

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TEST, "bench"))

import flips  # noqa: E402
import functions  # noqa: E402
import page  # noqa: E402

CALLGRIND = """# callgrind format
events: Ir
fn=(1) netvsc_rx_burst
0 30
cfn=(2) memcpy
calls=2 0
0 400
+3 10

fn=(2)
0 400
"""


def block(kind, body, **tells):
    """One of pcapng, with options by their code."""
    for code, value in tells.items():
        body += struct.pack("<HH", int(code[1:]), len(value)) + value + bytes(-len(value) % 4)
    body += bytes(4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def packet(interface, time, direction, **tells):
    head = struct.pack("<IIIII", interface, time >> 32, time & 0xffffffff, 6, 60)
    return block(6, head + bytes(8), _2=struct.pack("<I", direction), **tells)


def cell(pmd, op="rx", size=64, ticks=None, instructions=None, ppis=0, queues=1):
    return {"pmd": pmd, "op": op, "size": size, "burst": 32, "ppis": ppis, "queues": queues,
            "cross": False, "cycles_per_packet": ticks, "median": ticks, "spread": 1.0 if ticks
            else None, "instructions": instructions}


def figures(*cells, load=0.1, failures=()):
    return {"machine": {"cpu": "A CPU", "cpus": 2, "mhz": "2500", "kernel": "6.1", "load": load,
                        "date": "2026-01-02T03:04:05Z"},
            "cells": list(cells), "more_cells": [], "failures": list(failures),
            "end_to_end": [{"system": system, "direction": "loop", "size": 64, "verified": False,
                            "median": rate, "least": rate, "most": rate, "rounds": 1}
                           for system, rate in (("ours", 3.0), ("memif", 2.0))],
            "round_trips": [{"host": "polling", "rate": 1000, "sent": 10, "returned": 9,
                             "p50_us": 1.0, "p99_us": 2.0, "p99_9_us": 3.0,
                             "first_frame_ms": 200.0}],
            "wake_ups": [{"host": "sleeping", "rate": 1000, "frames": 500, "wake_ups": 499, "p50_us": 4.04,
                          "p99_us": 15.0, "p99_9_us": 90.0}],
            "stacks": [{"frames": frames, "median": rate, "least": rate - 1, "most": rate + 1}
                       for frames, rate in (("plain", 500), ("offloads", 2000))],
            "flips": {"flips": 200, "rate": 20000, "frames": 10000, "lost": 10, "counted": 9, "p50_ms": 1.25,
                      "p99_ms": 12.5, "max_ms": 20.0,
                      "still": {"p50_ms": 0.5, "p99_ms": 2.0, "max_ms": 3.0}}}


class Page(unittest.TestCase):
    def row(self, text, start):
        return next(line for line in text.splitlines() if line.startswith(f"| {start} |"))

    def written(self, data):
        with tempfile.TemporaryDirectory() as folder:
            page.write(data, folder)
            with open(os.path.join(folder, "bench.json")) as file:
                self.assertEqual(json.load(file), data)
            with open(os.path.join(folder, "README.md")) as file:
                return file.read()

    def test_goals_are_met_or_not_met_or_not_measured(self):
        text = page.reach(figures(
            cell("hyperpoll", ticks=30.0, instructions=100.0), cell("in-tree", ticks=200.0),
            cell("floor", ticks=10.0)))
        self.assertEqual(self.row(text, "rx 64 B"),
                         "| rx 64 B | 6.67 (>= 5: met) | 3.00 (<= 2.0: **not met**) |")
        self.assertEqual(self.row(text, "tx 64 B"),
                         "| tx 64 B | not measured | not measured |")
        self.assertIn("100.00 (<= 115: met)", self.row(text, "rx 64 B, instructions per frame"))
        self.assertEqual(self.row(text, "64 B, loop"),
                         "| 64 B, loop | 1.50 (>= 1: met) | not measured |")

    def test_failures_and_a_busy_machine_are_not_hidden(self):
        text = self.written(figures(cell("hyperpoll", ticks=30.0), cell("floor", op="tx", ticks=9.0), load=7.0,
                                    failures=["memif, loop, 64 bytes: link up"]))
        self.assertIn("busy with other work (load 7.0)", text)
        self.assertIn("- memif, loop, 64 bytes: link up", text)
        self.assertIn("| 30.0 (30.0 ±1.0) |", self.row(text, "rx 64 B, burst 32"))
        self.assertIn("| failed |", self.row(text, "tx 64 B, burst 32"))
        self.assertIn("9 of 10", text)
        self.assertEqual(self.row(text, "sleeping"),
                         "| sleeping | 1000 | 4.0 | 15.0 | 90.0 | 499 | 500 |")
        self.assertEqual(self.row(text, "offloads"), "| offloads | 2000 (1999–2001) |")
        self.assertEqual(self.row(text, "offloads / plain"), "| offloads / plain | 4.00 (>= 3: met) |")
        quiet = self.written(figures(cell("hyperpoll", ticks=30.0)))
        self.assertNotIn("busy", quiet)
        self.assertNotIn("What failed", quiet)

    def test_offloads_are_compared_with_none(self):
        def with_offloads(which, **keys):
            return {**cell("hyperpoll", **keys), "backend": "vfio-user", "flows": 1, "offloads": which}
        data = figures(cell("hyperpoll", ticks=30.0, instructions=100.0), cell("floor", ticks=10.0),
                       cell("hyperpoll", ppis=2, ticks=40.0, instructions=130.0))
        data["more_cells"] = [with_offloads("all", ticks=31.5, instructions=111.0),
                              with_offloads("all", ppis=2, ticks=46.0, instructions=143.0),
                              with_offloads("others", ticks=30.0, instructions=100.04)]
        text = self.written(data)
        self.assertEqual(self.row(text, "rx 64 B: another queue's / no offloads"),
                         "| rx 64 B: another queue's / no offloads | 1.00 (<= 1: met) | 1.00 |")
        self.assertEqual(self.row(text, "rx 64 B: all receive offloads / none"),
                         "| rx 64 B: all receive offloads / none | 1.11 (<= 1.1: **not met**) | 1.05 |")
        self.assertEqual(self.row(text, "rx 64 B, 2 PPIs: all receive offloads / none"),
                         "| rx 64 B, 2 PPIs: all receive offloads / none | 1.10 (<= 1.1: met) | 1.15 |")
        self.assertEqual(self.row(text, "tx 64 B: another queue's / no offloads"),
                         "| tx 64 B: another queue's / no offloads | not measured | not measured |")
        # Others' offloads are nobody else's cells; a floor that is not there otherwise has failed.
        self.assertEqual(self.row(text, "rx 64 B, burst 32, another queue's offloads"),
                         "| rx 64 B, burst 32, another queue's offloads | 30.0 (30.0 ±1.0) / 100 |  |  |  |")
        self.assertIn("| failed |", self.row(text, "rx 64 B, burst 32, rx offloads"))

    def test_every_figure_of_the_json_is_on_the_page(self):
        """Each with ticks of its own, in the plain list and in the other one."""
        ticks, plain, more = 1000.0, [], []
        for pmd in ("hyperpoll", "in-tree", "floor"):
            for op, size, burst, ppis, queues, cross in itertools.product(
                    ("rx", "idle"), (64, "imix"), (1, 32), (0, 1, 2), (1, 16), (False, True)):
                if op == "idle" and (size, ppis) != (64, 0):
                    continue  # there is no frame
                ticks += 1
                plain.append({**cell(pmd, op, size, ticks, 7.0, ppis, queues), "burst": burst, "cross": cross})
        for extra in ({"flows": 100000}, {"backend": "uio"}, {"op": "host-gen"}, {"offloads": "all"},
                      {"offloads": "types"}, {"offloads": "others"}):
            ticks += 1
            more.append({**cell("hyperpoll", "tx", 1514, ticks, 7.0), "backend": "vfio-user", "flows": 1,
                         "offloads": "none", **extra})
        data = {**figures(*plain), "more_cells": more}
        text = page.cells(data)
        for each in plain + more:
            self.assertEqual(text.count(f"| {each['cycles_per_packet']:.1f} ("), 1, each)

    def test_flips_of_a_virtual_function_have_a_goal(self):
        text = self.written(figures(cell("hyperpoll", ticks=30.0)))
        self.assertEqual(self.row(text, "200 flips, 20000 frames/s"),
                         "| 200 flips, 20000 frames/s | 1.25 | 12.50 (<= 10: **not met**) | 20.00 | 10 of 10000 | 9 |")
        self.assertEqual(self.row(text, "nothing flips"), "| nothing flips | 0.50 | 2.00 | 3.00 |  |  |")
        self.assertNotIn("not measured", self.row(text, "nothing flips"))
        without = {**figures(cell("hyperpoll", ticks=30.0)), "flips": None}
        self.assertIn(f"core in time.\n\n{page.NOTHING}", self.written(without))

    def test_a_gap_is_between_frames_that_the_guest_sent_to_that_port(self):
        start = 1 << 32
        times = [start + ms * 1000000 for ms in (0, 1, 2, 9, 10, 11)]
        with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
            file.write(block(0x0a0d0d0a, bytes(16)))
            for name in (b"nic0", b"nic0 vf"):
                file.write(block(1, bytes(8), _2=name))
            for time in times:
                file.write(packet(0, time, 2))
                # The other way, and the other port.
                file.write(packet(0, time + 100, 1) + packet(1, time + 200, 2))
            file.flush()
            self.assertEqual(list(flips.arrivals(file.name, "nic0")), times)
            file.write(packet(0, times[-1] + 1, 2, _4=bytes(8)))
            file.flush()
            with self.assertRaises(RuntimeError):
                flips.arrivals(file.name, "nic0")
        self.assertEqual(flips.longest_gap(times, times[1] + 1, times[3] + 1), 7)
        # The frame before belongs to it, and so does the end when nothing comes.
        self.assertEqual(flips.longest_gap(times, times[3] - 1, times[3] + 1), 7)
        self.assertEqual(flips.longest_gap(times, times[4], times[5] + 3000000), 3)
        self.assertEqual(flips.summary(list(range(1, 101))), {"p50_ms": 50.5, "p99_ms": 99, "max_ms": 100})

    def test_a_profile_counts_what_a_function_does_itself(self):
        with tempfile.NamedTemporaryFile("w", suffix=".callgrind") as file:
            file.write(CALLGRIND)
            file.flush()
            self.assertEqual(functions.self_costs(file.name),
                             {"netvsc_rx_burst": 40, "memcpy": 400})
            out = io.StringIO()
            functions.show(file.name, 10, out)
        self.assertEqual(out.getvalue().split(),
                         ["44.0", "all", "40.0", "memcpy", "4.0", "netvsc_rx_burst"])


if __name__ == "__main__":
    unittest.main()
