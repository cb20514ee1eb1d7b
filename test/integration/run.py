#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the integration tests: run.py [PATTERN...]. Ends with "N passed, N failed".

Without HYPERPOLL_LONG (./run test --long) those marked long_run are left out, unless a pattern has their name.
"""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from selection import selected  # noqa: E402  from this folder


class Result(unittest.TestResult):
    """One line per test, and what its programs printed when it failed."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.bad = False

    def _bad(self, test, error):
        self.bad = True
        print(f"FAIL {test.id()}: {error[0].__name__}: {error[1]}")
        print(self._exc_info_to_string(error, test))
        for program in getattr(test, "programs", []):
            print(program.tail())
        sys.stdout.flush()

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._bad(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad(subtest.test_case, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.bad = True
        print(f"skip {test.id()}: {reason}", flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        if not self.bad:
            self.passed += 1
            print(f"ok   {test.id()} {time.monotonic() - self.began:.1f} s", flush=True)


def main():
    loaded = unittest.TestLoader().discover(os.path.dirname(os.path.abspath(__file__)))
    wanted = selected(loaded, sys.argv[1:])
    result = Result()
    unittest.TestSuite(wanted).run(result)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    if result.skipped:
        print(f"{len(result.skipped)} skipped")
    print(f"{result.passed} passed, {failed} failed")
    return failed != 0 or (result.passed == 0 and not result.skipped)


if __name__ == "__main__":
    sys.exit(main())
