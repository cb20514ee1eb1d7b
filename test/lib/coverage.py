# SPDX-License-Identifier: BSD-3-Clause
"""coverage.py BUILD TEST SOURCE...: line coverage of sources by one unit test alone.

BUILD was set up with -Db_coverage=true. Prints a line for each source, with the lines not run, and
fails when the test does or when a source is none of its parts.
"""
import os
import subprocess
import sys


def main(build, test, *sources):
    target = f"test/unit/unit_{test}"
    subprocess.run(["ninja", "-C", build, target], check=True, stdout=subprocess.DEVNULL)
    objects = os.path.join(build, target + ".p")
    for old in os.listdir(objects):
        if old.endswith(".gcda"):
            os.unlink(os.path.join(objects, old))
    with open(os.path.join(build, f"{test}.log"), "w") as log:
        done = subprocess.run([os.path.join(build, target)], stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        sys.exit(f"{test} fails: {build}/{test}.log")
    for source in sources:
        found = [name for name in os.listdir(objects)
                 if name.endswith(source.replace("/", "_") + ".gcda")]
        if len(found) != 1:
            sys.exit(f"{test} has no part {source}")
        out = subprocess.run(["gcov", "--stdout", os.path.join(target + ".p", found[0])], cwd=build,
                             check=True, capture_output=True, text=True).stdout
        # Of this source alone, not of headers: the text behind the line that names it.
        run, missed, here = 0, [], False
        for line in out.splitlines():
            count, _, rest = line.partition(":")
            number = rest.partition(":")[0].strip()
            if number == "0" and "Source:" in rest:
                here = rest.endswith(f"/{source}")
            elif here and number.isdigit() and number != "0":
                if count.strip() == "#####":
                    missed.append(int(number))
                elif count.strip() != "-":
                    run += 1
        total = run + len(missed)
        print(f"{source}: {100 * run / total:.1f} % of {total} lines"
              + (f"; not {', '.join(map(str, missed))}" if missed else ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
