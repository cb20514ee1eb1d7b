# SPDX-License-Identifier: BSD-3-Clause
"""Which tests run, and which are left to a long run (HYPERPOLL_LONG, ./run test --long)."""
import os
import unittest


def long_run(test):
    """Only in a long run, or where its name is in a pattern: what it shows, another shows in less time."""
    test.long_run = True
    return test


def tests_in(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_in(item)
        else:
            yield item


def selected(suite, patterns, prefix=""):
    """The tests of a suite that are to run: all, or those with a pattern in prefix and name."""
    tests = [test for test in tests_in(suite)
             if not patterns or any(word in prefix + test.id() for word in patterns)]
    chosen = [test for test in tests
              if "HYPERPOLL_LONG" in os.environ or not hasattr(method(test), "long_run")
              or any(method(test).__name__ in word for word in patterns)]
    if len(chosen) != len(tests):
        print(f"left to a long run: {len(tests) - len(chosen)}", flush=True)
    return chosen


def method(test):
    """The test's function; none where its module could not be loaded."""
    return getattr(test, test.id().rpartition(".")[2], None)
