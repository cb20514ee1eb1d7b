#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The records of what ran, and that the README's support table is what they say."""
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "lib"))

import support  # noqa: E402  pylint: disable=wrong-import-position


def run(suite, passed=1, failed=0, kernel=None, date="2026-01-01", skipped=0, command="./run test"):
    return {"suite": suite, "passed": passed, "failed": failed, "skipped": skipped, "date": date,
            "command": command, "revision": "0", **({"kernel": kernel} if kernel else {})}


def record(*runs, distribution="Debian 12", dpdk="22.11.11"):
    return {"distribution": distribution, "dpdk": dpdk, "arch": "x86_64", "runs": list(runs)}


class Records(unittest.TestCase):
    def test_suites_with_other_kernels_are_one_suite(self):
        record = support.make_record(["vm-6.12:1:0:0:6.12.1", "drill-long:1:0:0:", "dpdk-tree:1:0:0:"],
                                     {"HYPERPOLL_COMMAND": "./run test", "HYPERPOLL_REVISION": "x"})
        self.assertEqual([run["suite"] for run in record["runs"]], ["vm", "drill", "dpdk-tree"])

    def test_the_last_run_of_a_suite_stays(self):
        both = support.merged(record(run("unit", 5), run("peer", 3)), record(run("unit", 7, 1)))
        self.assertEqual({r["suite"]: (r["passed"], r["failed"]) for r in both["runs"]},
                         {"unit": (7, 1), "peer": (3, 0)})

    def test_guest_kernels_of_another_series_are_another_run(self):
        runs = support.merged(record(run("vm", 5, kernel="6.1.0-41-amd64"), run("vm", 6, kernel="6.12.1-amd64")),
                              record(run("vm", 8, kernel="6.1.0-42-amd64")))["runs"]
        self.assertEqual(sorted((r["kernel"], r["passed"]) for r in runs),
                         [("6.1.0-42-amd64", 8), ("6.12.1-amd64", 6)])

    def test_files_are_one_per_distribution_and_dpdk(self):
        with tempfile.TemporaryDirectory() as folder:
            for given in (record(run("unit", 1)), record(run("unit", 2)), record(run("unit"), dpdk="25.11.0")):
                support.keep(given, folder)
            self.assertEqual(sorted(os.listdir(folder)), ["debian-12-dpdk-22.11.11-x86_64.json",
                                                          "debian-12-dpdk-25.11.0-x86_64.json"])
            self.assertEqual(support.kept(folder)[0]["runs"][0]["passed"], 2)

    def test_a_release_without_a_number_has_its_codename(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write('PRETTY_NAME="Debian GNU/Linux forky/sid"\nNAME="Debian GNU/Linux"\nVERSION_CODENAME=forky\n')
            file.flush()
            self.assertEqual(support.distribution(file.name), "Debian forky")
            file.write('VERSION_ID="14"\n')
            file.flush()
            self.assertEqual(support.distribution(file.name), "Debian 14")


class Table(unittest.TestCase):
    def test_unit_tests_in_an_emulator_are_another_architecture(self):
        rows = support.table([record(run("unit", 9), run("arm64", 4, command="./run test arm64"))]).splitlines()[2:]
        self.assertEqual([row.split(" | ")[:3] for row in rows], [
            ["| Debian 12", "22.11.11", "9 passed"],
            ["| Debian 12, arm64 (cross-built, qemu-user)", "22.11.11", "4 passed"]])

    def row(self, *runs, **keys):
        return support.table([record(*runs, **keys)]).splitlines()[2]

    def test_what_failed_or_did_not_run_is_said(self):
        self.assertEqual(
            self.row(run("unit", 9), run("integration", 8, 2, skipped=1, date="2026-01-02", command="./run x")),
            "| Debian 12 | 22.11.11 | 9 passed | **2 failed**, 8 passed, 1 skipped | – | – | – | – | – | – | – | "
            "2026-01-02, `./run test`, `./run x` |")

    def test_guest_kernels_stand_below_each_other(self):
        self.assertIn("| 6.1: 2 passed<br>6.12: **1 failed**, 1 passed |",
                      self.row(run("vm", 1, 1, kernel="6.12.9-amd64"), run("vm", 2, kernel="6.1.0-42-amd64")))

    def test_a_run_that_reached_no_guest_is_shown(self):
        self.assertIn("| ?: **1 failed**, 0 passed |", self.row(run("vm", 0, 1)))

    def test_only_compiled(self):
        self.assertIn("| only compiled |", self.row(run("compiled", 0)))

    def test_rows_are_in_the_order_of_releases(self):
        given = [record(run("unit"), distribution=d, dpdk=p) for d, p in
                 (("Debian forky", "25.11.1"), ("Debian 13", "24.11.8"), ("Debian 12", "23.11.3"),
                  ("Debian 12", "22.11.11"))]
        rows = support.table(given).splitlines()[2:]
        self.assertEqual([row.split(" | ")[1] for row in rows], ["22.11.11", "23.11.3", "24.11.8", "25.11.1"])


class Readme(unittest.TestCase):
    def test_its_support_table_is_what_the_records_say(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            text = file.read()
        records = support.kept(os.path.join(ROOT, "doc", "support"))
        self.assertEqual(text, support.with_table(text, records), "test/lib/support.py table writes it")


if __name__ == "__main__":
    unittest.main()
