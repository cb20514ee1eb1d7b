#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The drill's schedule and books (test/drill), without running one."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test/drill"))

import books
import schedule
from proxy import Proxy
from samples import growth


def source(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Suite(unittest.TestCase):
    def test_a_suite_without_seeds_passed(self):
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "test/drill/run.py"), "--suite", "nosuch"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("drill: error: no seeds of a suite 'nosuch'", done.stderr)


class Schedule(unittest.TestCase):
    def test_a_seed_is_a_schedule(self):
        self.assertEqual(schedule.schedule(7, 200), schedule.schedule(7, 200))
        self.assertEqual(schedule.schedule(7, 200)[:50], schedule.schedule(7, 50))
        self.assertNotEqual(schedule.schedule(7, 200), schedule.schedule(8, 200))

    def test_it_stays_the_same(self):
        """A seed that failed once is worth something only while it means the same events."""
        self.assertEqual([str(event) for event in schedule.schedule(1, 3)], [
            "1: malformed NIC 0 165 ms pct=30 defect=data_length_wraps",
            "2: stall NIC 1 85 ms",
            "3: overrun NIC 0 18 ms"])

    def test_what_cannot_be_done_changes_nothing_else(self):
        without = schedule.schedule(3, 100, ("vf_flip",))
        self.assertFalse([event for event in without if event.kind == "vf_flip"])
        everything = schedule.schedule(3, 200)
        self.assertEqual(without, [event for event in everything if event.kind != "vf_flip"][:100])

    def test_every_kind_comes(self):
        self.assertEqual({event.kind for event in schedule.schedule(1, 3000)}, set(schedule.FAULTS))

    def test_every_kind_is_done_by_the_drill(self):
        done = re.findall(r"def do_(\w+)\(", source("test/drill/drill.py") + source("test/drill/functions.py"))
        self.assertEqual(sorted(done), sorted(schedule.FAULTS))

    def test_every_knob_of_the_host_has_a_place(self):
        """A new knob belongs into a fault, or into the list of those that no drill turns."""
        text = source("lib/host/nic_knobs.c")
        knobs = set(re.findall(r"^\t(?:KNOB|FLAG)\((\w+)", text, re.M)) | set(re.findall(r'^\t\{"(\w+)", ', text, re.M))
        self.assertGreater(len(knobs), 50)
        placed = set(schedule.SHAPE) | set(schedule.RENEWED) | set(schedule.UNFIT) | set(schedule.OTHER)
        self.assertEqual(knobs, placed)
        self.assertEqual({fault for fault in schedule.OTHER.values() if fault} - set(schedule.FAULTS), set())
        self.assertEqual([name for name in knobs if name.startswith("vf_") and schedule.OTHER.get(name) is None], [])

    def test_knobs_are_put_back_to_what_they_were(self):
        text = source("lib/host/nic_knobs.c")
        for name, initial in re.findall(r"^\tKNOB\((\w+), (\d+),", text, re.M):
            if name in schedule.INITIAL:
                self.assertEqual(schedule.INITIAL[name], int(initial), name)
        turned = set(schedule.SHAPE) | set(schedule.RENEWED) | set(schedule.UNFIT)
        self.assertEqual(turned - set(schedule.INITIAL), set())

    def test_defects_are_the_hosts(self):
        text = re.search(r"#define NIC_DEFECTS\(X\)(.*?)\n\n", source("lib/host/nic_internal.h"), re.S).group(1)
        self.assertEqual(["all", *re.findall(r"X\((\w+)\)", text)], schedule.DEFECTS)

    def test_the_table_is_in_the_documentation(self):
        self.assertIn("\n".join(schedule.table()), source("doc/reliability.md"))

    def test_nothing_may_break_that_recovers(self):
        for kind, fault in schedule.FAULTS.items():
            self.assertFalse(fault.recovers and fault.error_state, kind)


def counters(**changes):
    """Of a NIC through which 100 frames went there and back."""
    d = {"host": {"rx_frames": 100, "tx_frames": 100, "rx_dropped_link": 0, "tx_dropped_link": 0,
                  "rx_dropped_vf": 0, "vf_tx_dropped_path": 0,
                  "port_stats": {"rx_frames": 100, "tx_frames": 100, "verified": 100, "corrupt": 0, "duplicate": 0,
                                 "foreign": 0}},
         "guest": {"ipackets": 100, "opackets": 100, "imissed": 0, "rx_nombuf": 0, "ierrors": 0, "oerrors": 0,
                   "rx_dropped_unpolled": 0, "rx_dropped_stopped": 0, "tx_q0_unanswered": 0},
         "app": {"dropped": 0}}
    for path, n in changes.items():
        where, name = path.split("__")
        (d["host"]["port_stats"] if where == "port" else d[where])[name] += n
    return d


def unexplained(sessions=0, **changes):
    return {hop.name: hop.unexplained() for hop in books.hops(counters(**changes), sessions) if hop.unexplained()}


class Books(unittest.TestCase):
    def test_all_came_back(self):
        self.assertEqual(unexplained(), {})

    def test_a_frame_that_nobody_counted_is_found_where_it_was_lost(self):
        for changes, hop in (
                ({"port__verified": -1}, "host to port"),
                ({"port__verified": -1, "host__tx_frames": -1}, "driver to host"),
                ({"port__verified": -1, "host__tx_frames": -1, "guest__opackets": -1},
                 "driver to application to driver"),
                ({"port__verified": -1, "host__tx_frames": -1, "guest__opackets": -1, "guest__ipackets": -1},
                 "host to driver"),
                ({"port__rx_frames": 1}, "generator to host")):
            self.assertEqual(unexplained(**changes), {hop: 1})

    def test_a_frame_from_nowhere(self):
        self.assertEqual(unexplained(port__verified=1), {"host to port": 1})

    def test_counted_losses_are_explained(self):
        back = {"port__verified": -3, "host__tx_frames": -3}
        for counted in ({"host__tx_dropped_link": 3}, {"guest__opackets": -3, "guest__oerrors": 3},
                        {"guest__opackets": -3, "app__dropped": 3}):
            self.assertEqual(unexplained(**back, **counted), {})
        lost = {**back, "guest__opackets": -3, "guest__ipackets": -3}
        for counted in ({"guest__rx_nombuf": 3}, {"guest__ierrors": 3},
                        {"guest__imissed": 3, "guest__rx_dropped_stopped": 3}, {"guest__imissed": 3}):
            self.assertEqual(unexplained(**lost, **counted), {})

    def test_what_a_dead_function_loses_is_explained(self):
        """On its way to the guest, and from there."""
        back = {"port__verified": -3, "host__tx_frames": -3}
        self.assertEqual(unexplained(**back, host__vf_tx_dropped_path=3), {})
        there = {**back, "guest__opackets": -3, "guest__ipackets": -3, "host__rx_frames": -3}
        self.assertEqual(unexplained(**there, host__rx_dropped_vf=3), {})

    def test_a_count_too_many(self):
        self.assertEqual(unexplained(guest__oerrors=1), {"driver to application to driver": 1})

    def test_in_flight_when_a_session_ended(self):
        lost = {"port__verified": -9, "host__tx_frames": -9}
        self.assertEqual(unexplained(1, **lost), {"driver to host": 9})
        self.assertEqual(unexplained(1, **lost, guest__tx_q0_unanswered=9), {})
        self.assertEqual(unexplained(1, **lost, guest__tx_q0_unanswered=8), {"driver to host": 1})

    def test_only_what_is_a_number_is_subtracted(self):
        before = {"a": 1, "b": {"c": 2}, "name": "x", "flag": True}
        after = {"a": 4, "b": {"c": 7, "new": 5}, "name": "x", "flag": True}
        self.assertEqual(books.difference(before, after), {"a": 3, "b": {"c": 5, "new": 5}})

    def test_corrupt_and_doubled_frames_are_told(self):
        self.assertEqual(books.broken_frames(counters(port__corrupt=1, port__duplicate=2)),
                         {"corrupt": 1, "duplicate": 2})


class Growth(unittest.TestCase):
    def test_what_breathes_has_not_grown(self):
        self.assertEqual(growth([{"descriptors": 9 + n % 3} for n in range(40)]), {"descriptors": 0})

    def test_what_warms_up_has_not_grown(self):
        self.assertEqual(growth([{"mappings": 5}] * 3 + [{"mappings": 90}] * 37), {"mappings": 0})

    def test_a_leak_is_seen_while_it_breathes(self):
        self.assertGreater(growth([{"descriptors": 9 + n // 5 + n % 2} for n in range(40)])["descriptors"], 0)
        self.assertGreater(growth([{"KiB resident": 9000 + 40 * n} for n in range(40)])["KiB resident"], 256)

    def test_one_step_late(self):
        self.assertEqual(growth([{"mappings": 5}] * 25 + [{"mappings": 6}] * 15), {"mappings": 1})

    def test_too_few_samples(self):
        self.assertRaises(ValueError, growth, [{"mappings": 5}] * 3)


class Wire(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.server.close)
        self.server.settimeout(10)
        self.server.bind(f"{folder.name}/host")
        self.server.listen(4)
        self.wire = Proxy(f"{folder.name}/wire", f"{folder.name}/host")
        self.addCleanup(self.wire.close)

    def ends(self):
        guest = socket.socket(socket.AF_UNIX)
        guest.settimeout(10)
        guest.connect(self.wire.path)
        host, _ = self.server.accept()
        host.settimeout(10)
        self.addCleanup(guest.close)
        self.addCleanup(host.close)
        return guest, host

    def test_bytes_and_descriptors_pass_both_ways(self):
        guest, host = self.ends()
        for one, other in ((guest, host), (host, guest)):
            with tempfile.TemporaryFile() as file:
                file.write(b"the same file")
                file.flush()
                socket.send_fds(one, [b"hello"], [file.fileno()])
                data, fds, _, _ = socket.recv_fds(other, 100, 4)
            self.assertEqual((data, len(fds)), (b"hello", 1))
            self.assertEqual(os.pread(fds[0], 100, 0), b"the same file")
            os.close(fds[0])

    def test_a_cut_ends_both(self):
        guest, host = self.ends()
        self.wire.cut()
        self.assertEqual((guest.recv(10), host.recv(10)), (b"", b""))

    def test_the_next_connections_are_cut_after_so_many_bytes(self):
        self.wire.cut((3, 0))
        for left in (b"hel", b""):
            guest, host = self.ends()
            guest.sendall(b"hello")
            got = b""
            while data := host.recv(10):
                got += data
            self.assertEqual((got, guest.recv(10)), (left, b""))
        guest, host = self.ends()
        guest.sendall(b"hello")
        self.assertEqual(host.recv(10), b"hello")

    def test_without_a_host_the_guest_is_hung_up_on(self):
        self.server.close()
        guest = socket.socket(socket.AF_UNIX)
        guest.settimeout(10)
        guest.connect(self.wire.path)
        self.addCleanup(guest.close)
        self.assertEqual(guest.recv(10), b"")


if __name__ == "__main__":
    unittest.main()
