#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Line coverage of source files by the unit tests that have run: coverage.py BUILDDIR FILE...

BUILDDIR is configured with -Db_coverage=true and its tests have been run. A line counts when any of
the programs reached it. What is not reached is listed.
"""
import glob
import json
import os
import subprocess
import sys


def main():
    build, wanted = os.path.abspath(sys.argv[1]), {os.path.abspath(p) for p in sys.argv[2:]}
    lines = {path: {} for path in wanted}
    # The sources lie outside of their program's folder: meson puts ".." into the objects' names.
    for data in glob.glob(f"{build}/test/unit/*.p/.*.gcda") + glob.glob(f"{build}/**/*.gcda",
                                                                        recursive=True):
        out = subprocess.run(["gcov", "--json-format", "--stdout", data], cwd=build,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        for text in out.decode().splitlines():
            for file in json.loads(text)["files"]:
                path = os.path.abspath(os.path.join(build, file["file"]))
                for line in file["lines"] if path in wanted else []:
                    n = line["line_number"]
                    lines[path][n] = lines[path].get(n, 0) + line["count"]
    for path in sorted(wanted):
        missed = [n for n, count in sorted(lines[path].items()) if count == 0]
        total = len(lines[path])
        share = 100 * (total - len(missed)) / total if total else 0
        print(f"{os.path.relpath(path)}: {share:.1f} % of {total} lines, not reached: {missed}")


main()
