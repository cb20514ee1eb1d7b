#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The UIO backend on the rig: run.py [PATTERN...]. Ends with "N passed, N failed".

The integration tests of forwarding and of life under traffic in both address modes, then what only
the rig can show.
"""
import importlib.util
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
INTEGRATION = os.path.join(os.path.dirname(HERE), "integration")
sys.path[:0] = [HERE, INTEGRATION]

import rig  # noqa: E402  before any test module

# Which modules run in which mode. Copying is the send path only: the forwarding tests show it.
PLAN = (
    ("pa", ("test_forward", "test_offload_tx", "test_receive", "test_life", "test_apps",
             "test_examples", "test_flight", "test_iperf", "test_mbufs", "test_coalescing",
             "test_profiles", "test_malformed", "test_mtu", "test_processes", "test_queues",
             "test_recovery", "test_rig", "test_ethdev", "test_sleep", "test_vf", "test_wire", "test_vf_trouble",
             "test_bond_vf",
             "test_host_counters", "test_telemetry", "test_old_hosts", "test_strict")),
    ("copy", ("test_forward", "test_offload_tx", "test_user", "test_host_counters")),
)


def integration_runner():
    """integration/run.py under a name of its own: this file is run.py too."""
    spec = importlib.util.spec_from_file_location("integration_run",
                                                  os.path.join(INTEGRATION, "run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    runner = integration_runner()
    passed = failed = 0
    for mode, modules in PLAN:
        rig.mode = mode
        wanted = runner.selected(map(unittest.defaultTestLoader.loadTestsFromName, modules), sys.argv[1:], f"{mode}.")
        if not wanted:
            continue
        print(f"-- {'physical addresses' if mode == 'pa' else 'copy-only'}", flush=True)
        result = runner.Result()
        unittest.TestSuite(wanted).run(result)
        passed += result.passed
        failed += len({str(test) for test, _ in result.failures + result.errors})
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
