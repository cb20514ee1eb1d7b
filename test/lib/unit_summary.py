#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sum what CUnit printed in meson's testlog.json files: one line per program, then the total."""
import json
import re
import sys

TESTS = re.compile(r"^ +tests +\d+ +\d+ +(\d+) +(\d+)", re.M)


def count(test):
    """(passed, failed) of one program; one that ended badly has failed at least once."""
    row = TESTS.search(test.get("stdout", ""))
    passed, failed = map(int, row.groups()) if row else (0, 0)
    if test["result"] != "OK":
        failed = max(failed, 1)
    elif not row:
        passed = 1
    return passed, failed


total = [0, 0]
for name in sys.argv[1:]:
    with open(name) as log:
        for test in map(json.loads, log):
            if test["result"] == "SKIP":
                print(f"skip {name.split('/')[0]:10} {test['name']}: {test.get('stderr', '').strip()}")
                continue
            passed, failed = count(test)
            total[0] += passed
            total[1] += failed
            print(f"{'FAIL' if failed else 'ok':4} {name.split('/')[0]:10} {test['name']}: "
                  f"{passed} passed, {failed} failed, {test['duration']:.1f} s")
print(f"{total[0]} passed, {total[1]} failed")
sys.exit(total[1] != 0)
