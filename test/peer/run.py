#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The in-tree driver on the rig: run.py [PATTERN...]. Ends with "N passed, N failed"."""
import importlib.util
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import peer  # noqa: E402  before any test module


def main():
    spec = importlib.util.spec_from_file_location(
        "integration_run", os.path.join(os.path.dirname(HERE), "integration", "run.py"))
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    print(f"-- in-tree driver of DPDK {peer.VERSION}", flush=True)
    result = runner.Result()
    modules = ("test_cost", "test_coexist", "test_intree", "test_moving", "test_releases")
    wanted = runner.selected(map(unittest.defaultTestLoader.loadTestsFromName, modules), sys.argv[1:])
    unittest.TestSuite(wanted).run(result)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    print(f"{result.passed} passed, {failed} failed")
    return failed != 0 or result.passed == 0


if __name__ == "__main__":
    sys.exit(main())
