#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs drills: run.py [SEED [EVENTS [KIND...]]], or run.py --suite [long] for those of the file seeds.

Ends with a line of figures and "N passed, M failed".
"""
import os
import secrets
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(os.path.dirname(HERE), name) for name in ("integration", "lib"))]

import arguments


def seeds(which, path=os.path.join(HERE, "seeds")):
    """(seed, events) of each line of one suite."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return [(int(seed), int(events)) for suite, seed, events, *_ in lines if suite == which]


def main(words):
    # This process' own run.py of the integration tests, for its lines.
    import importlib.util
    spec = importlib.util.spec_from_file_location("integration_run", os.path.join(HERE, "../integration/run.py"))
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    from drill import Drill

    if words[:1] == ["--suite"]:
        wanted, only = seeds(*words[1:] or ["drill"]), []
        if not wanted:
            sys.exit(f"drill: error: no seeds of a suite '{words[1]}'")
    else:
        seed, events, only = arguments.drill(words)
        wanted = [(secrets.randbelow(1000000) if seed is None else seed, events)]
    print("drill: a simulated host and two testpmds with the plugin forward numbered frames; hosts, guests, wires and "
          "memory\ndrill: fail as the seed says, and each lost frame must be in somebody's count", flush=True)
    drills = []
    for seed, events in wanted:
        print(f"drill: seed {seed}, {events} events; again by ./run drill {seed} {events}", flush=True)
        drills.append(Drill(seed, events, only))
    result = runner.Result()
    unittest.TestSuite(drills).run(result)
    failed = len(result.failures) + len(result.errors)
    for drill in drills:
        print(f"drill {drill.number}: {drill.figures.line()}")
        # Once more, as far more has been said since.
        for problem in drill.problems:
            print(f"drill {drill.number}: {problem.splitlines()[0]}")
    print(f"{result.passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
