# SPDX-License-Identifier: BSD-3-Clause
"""pmdbench: each kind of cell moves every frame intact, and says so in the agreed words.

How fast is no test's business.
"""
import json
import os
import shutil
import unittest

from harness import BUILD, PLUGIN, Case

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
            self.assertEqual(set(cell), set(KEYS) | {"backend", "flows"})
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
