# SPDX-License-Identifier: BSD-3-Clause
"""pmdbench: each kind of cell moves every frame intact, and says so in the agreed words; and what
measures from one process to another says what it has seen.

How fast is no test's business.
"""
import json
import os
import shutil
import sys
import unittest

from harness import BUILD, PLUGIN, Case

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))

import end_to_end  # noqa: E402

PMDBENCH = os.path.join(BUILD, "app/pmdbench/pmdbench")
KEYS = {"pmd": str, "op": str, "size": (int, str), "burst": int, "ppis": int, "queues": int,
        "cross": bool, "cycles_per_packet": float, "median": float, "spread": float,
        "instructions": (float, type(None))}


class Bench(Case):
    limit = 120

    def bench(self, *options, pmds="ours,floor"):
        """A few short rounds; the cells of the JSON, plain ones and others."""
        path = self.path("bench.json")
        status, text = self.run_program("pmdbench", [
            PMDBENCH, "--plugin", PLUGIN, "--pmd", pmds, "--rounds", "3", "--frames", "500",
            "--json", path, *options], timeout=90)
        # Frames are compared and counted by the program: one lost or damaged is its failure.
        self.assertEqual(status, 0, text)
        with open(path) as file:
            result = json.load(file)
        self.assertEqual(set(result), {"machine", "cells", "more_cells"})
        for key in ("cpu", "cpus", "kernel", "load", "date", "unit"):
            self.assertIn(key, result["machine"])
        for cell in result["cells"]:
            self.assertEqual(set(cell), set(KEYS))
        for cell in result["more_cells"]:
            self.assertEqual(set(cell), set(KEYS) | {"backend", "flows", "offloads"})
        for cell in result["cells"] + result["more_cells"]:
            for key, kind in KEYS.items():
                self.assertIsInstance(cell[key], kind, f"{key} of {cell}")
            self.assertLessEqual(cell["cycles_per_packet"], cell["median"])
            self.assertGreater(cell["median"], 0)
        return result["cells"], result["more_cells"]

    def found(self, cells, *keys):
        return sorted(tuple(str(cell[key]) if key == "size" else cell[key] for key in keys)
                      for cell in cells)

    def test_receiving_sending_forwarding_and_idle_polls(self):
        cells, more = self.bench("--op", "rx,tx,fwd,idle", "--size", "60,1514,imix",
                                 "--burst", "1,32,64")
        self.assertEqual(more, [])
        self.assertEqual(self.found(cells, "pmd", "op", "burst", "size"),
                         sorted(((pmd, op, burst, size) for pmd in ("hyperpoll", "floor")
                                 for op in ("rx", "tx", "fwd", "idle") for burst in (1, 32, 64)
                                 for size in ("60", "1514", "imix"))))

    def test_ppis_and_flows(self):
        cells, more = self.bench("--op", "rx,fwd", "--ppis", "0,1,2", "--flows", "1,1000")
        self.assertEqual(self.found(cells, "pmd", "op", "ppis"),
                         sorted((pmd, op, ppis) for pmd in ("hyperpoll", "floor")
                                for op in ("rx", "fwd") for ppis in (0, 1, 2)))
        self.assertEqual({cell["flows"] for cell in more}, {1000})
        self.assertEqual(len(more), len(cells))

    def test_many_queues(self):
        cells, _ = self.bench("--op", "rx,tx,fwd,idle", "--queues", "1,4", "--ppis", "0,2")
        self.assertEqual(self.found(cells, "pmd", "queues", "ppis", "op"),
                         sorted((pmd, queues, ppis, op) for pmd in ("hyperpoll", "floor")
                                for queues in (1, 4) for ppis in (0, 2)
                                for op in ("rx", "tx", "fwd", "idle")))

    def test_offloads_of_the_port_and_of_another_queue(self):
        cells, more = self.bench("--op", "rx,fwd", "--ppis", "0,2", "--offloads", "none,all,types,others")
        self.assertEqual(self.found(cells, "pmd", "ppis", "op"),
                         sorted((pmd, ppis, op) for pmd in ("hyperpoll", "floor") for ppis in (0, 2)
                                for op in ("rx", "fwd")))
        self.assertEqual(self.found(more, "pmd", "offloads", "ppis", "op"),
                         sorted((pmd, offloads, ppis, op)
                                for pmd, which in (("hyperpoll", ("all", "types", "others")), ("floor", ("all", "types")))
                                for offloads in which for ppis in (0, 2) for op in ("rx", "fwd")))

    def test_the_simulated_host_alone(self):
        cells, more = self.bench("--set", "host")
        self.assertEqual(cells, [])
        self.assertEqual(self.found(more, "pmd", "op", "size"),
                         sorted((pmd, op, size) for pmd in ("hyperpoll", "floor")
                                for op in ("host-gen", "host-sink", "host-verify")
                                for size in ("64", "1514")))

    def test_the_hosts_half_on_another_core(self):
        cells, _ = self.bench("--op", "rx,tx,fwd,idle", "--cross", "1")
        self.assertEqual(self.found(cells, "pmd", "op"),
                         sorted((pmd, op) for pmd in ("hyperpoll", "floor")
                                for op in ("rx", "tx", "fwd", "idle")))
        self.assertTrue(all(cell["cross"] for cell in cells))

    @unittest.skipUnless(shutil.which("valgrind"), "needs valgrind")
    def test_instructions_are_the_same_in_every_run(self):
        counts = []
        for number in range(2):
            path = self.path(f"count{number}.json")
            status, text = self.run_program("pmdbench", [
                PMDBENCH, "--plugin", PLUGIN, "--pmd", "ours", "--rounds", "0", "--count",
                "--op", "rx,tx,fwd", "--json", path], timeout=100)
            self.assertEqual(status, 0, text)
            with open(path) as file:
                cells = json.load(file)["cells"]
            self.assertEqual(len(cells), 3)
            counts.append([(cell["pmd"], cell["op"], cell["instructions"]) for cell in cells])
        self.assertEqual(*counts)
        for pmd, op, instructions in counts[0]:
            self.assertGreater(instructions, 0, f"{pmd}, {op}")

    def test_kept_files_are_not_overwritten(self):
        """A folder with another run's is refused before anything runs; one that is new is made."""
        folder = self.path("kept")
        os.mkdir(folder)
        theirs = os.path.join(folder, "hyperpoll-rx-64.callgrind")
        with open(theirs, "w") as file:
            file.write("theirs")
        keep = [PMDBENCH, "--plugin", self.path("none.so"), "--pmd", "ours", "--keep"]
        status, text = self.run_program("pmdbench", [*keep, folder])
        self.assertEqual(status, 2, text)
        self.assertIn(f"{theirs} is there from another run; give another folder", text)
        with open(theirs) as file:
            self.assertEqual(file.read(), "theirs")
        status, text = self.run_program("pmdbench", [*keep, self.path("none/kept")])
        self.assertEqual(status, 2, text)
        self.assertIn("cannot make the folder", text)
        status, text = self.run_program("pmdbench", [*keep, self.path("new")])
        self.assertEqual(status, 1, text)
        self.assertEqual(os.listdir(self.path("new")), [])

    def test_wrong_options_are_named(self):
        for options, named in ((["--size", "59"], "'59' is no value of --size"),
                               (["--op", "rx,txx"], "'rx,txx' is no value of --op"),
                               (["--burst", "65"], "'65' is no value of --burst"),
                               (["--set", "all"], "'all' is no value of --set"),
                               (["stray"], "unexpected 'stray'"),
                               # Nothing was measured, and that was a success.
                               (["--pmd", ""], "'' is no value of --pmd"),
                               (["--pmd", "ours,"], "'ours,' is no value of --pmd"),
                               (["--pmd", "ours", "--count="], "'' is no value of --count"),
                               (["--op", "rx,"], "'rx,' is no value of --op"),
                               (["--offloads", "some"], "'some' is no value of --offloads"),
                               (["--pmd", "floor", "--offloads", "others"], "--offloads others is for our driver"),
                               (["--frames", "0"], "'0' is no value of --frames"),
                               (["--rounds", "0"], "--rounds 0 measures nothing without --count"),
                               (["--rounds", "0", "--count", "--cross", "1"], "of another core's half nothing is counted"),
                               (["--pmd", "ours", "--count=floor"], "--count has a driver that --pmd has not")):
            status, text = self.run_program("pmdbench", [PMDBENCH, *options])
            self.assertEqual(status, 2, text)
            self.assertIn(named, text)

    def test_a_file_that_cannot_be_written_is_named_before_anything_is_measured(self):
        status, text = self.run_program("pmdbench", [PMDBENCH, "--json", self.path("nosuch/bench.json")])
        self.assertEqual(status, 1, text)
        self.assertRegex(text.strip(), r"^pmdbench: \S*/nosuch/bench.json cannot be written: No such file or directory$")

    def test_a_driver_that_does_not_start_is_named(self):
        status, text = self.run_program(
            "pmdbench", [PMDBENCH, "--plugin", self.path("none.so"), "--pmd", "ours"])
        self.assertEqual(status, 1, text)
        self.assertIn("hyperpoll with 1 queues does not start", text)


class AcrossProcesses(Case):
    limit = 90

    def check(self, result, keys):
        self.assertEqual(set(result), {"rate", "p50_us", "p99_us", "p99_9_us", *keys})
        self.assertGreater(result["p50_us"], 0)
        self.assertLessEqual(result["p50_us"], result["p99_us"])
        self.assertLessEqual(result["p99_us"], result["p99_9_us"])

    def test_round_trips_of_an_lcore_that_sleeps(self):
        result = end_to_end.latency("latency", False, True, 200, 1, self.cpus())
        self.check(result, ("sent", "returned", "first_frame_ms"))
        self.assertTrue(0 < result["returned"] <= result["sent"], result)

    def test_wake_ups_are_of_frames_that_found_the_lcore_asleep(self):
        result = end_to_end.wake_ups("wake-ups", False, 200, 1, self.cpus())
        self.check(result, ("frames", "wake_ups"))
        self.assertTrue(0 < result["wake_ups"] <= result["frames"], result)

    def cpus(self):
        return (sorted(os.sched_getaffinity(0)) * 2)[-2:]
