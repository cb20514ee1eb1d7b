#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""coverage.py BUILD TEST[,TEST...] SOURCE...: line coverage of sources by these unit tests alone.

BUILD was set up with -Db_coverage=true. Prints a line for each source, with the lines not run, and
fails when a test does or when a source is part of none. A line counts when any of the tests ran it.
"""
import json
import os
import subprocess
import sys


# What tests of the PMD share is compiled once, for all of them.
FIXTURE = "test/unit/libnetvsc_fixture.a"


def counted(build, target):
    """Files with what was counted in the program and the fixture, below build."""
    return [os.path.join(part + ".p", name) for part in (target, FIXTURE)
            if os.path.isdir(os.path.join(build, part + ".p"))
            for name in os.listdir(os.path.join(build, part + ".p")) if name.endswith(".gcda")]


def run(build, test):
    """Run one test by itself; the files with what it counted."""
    target = f"test/unit/unit_{test}"
    subprocess.run(["ninja", "-C", build, target], check=True, stdout=subprocess.DEVNULL)
    for old in counted(build, target):
        os.unlink(os.path.join(build, old))
    with open(os.path.join(build, f"{test}.log"), "w", encoding="utf-8") as log:
        done = subprocess.run([os.path.join(build, target)], stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        sys.exit(f"{test} fails: {build}/{test}.log")
    return counted(build, target)


def main(build, tests, *sources):
    build = os.path.abspath(build)
    lines = {os.path.abspath(source): {} for source in sources}
    for data in (data for test in tests.split(",") for data in run(build, test)):
        out = subprocess.run(["gcov", "--json-format", "--stdout", data], cwd=build, check=True,
                             capture_output=True, text=True).stdout
        for file in (file for text in out.splitlines() for file in json.loads(text)["files"]):
            seen = lines.get(os.path.abspath(os.path.join(build, file["file"])))
            for line in file["lines"] if seen is not None else []:
                seen[line["line_number"]] = seen.get(line["line_number"], 0) + line["count"]
    for path, seen in lines.items():
        if not seen:
            sys.exit(f"{os.path.relpath(path)} is part of none of {tests}")
        missed = [number for number, count in sorted(seen.items()) if count == 0]
        print(f"{os.path.relpath(path)}: {100 * (1 - len(missed) / len(seen)):.1f} % of {len(seen)} lines"
              + (f"; not {', '.join(map(str, missed))}" if missed else ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
