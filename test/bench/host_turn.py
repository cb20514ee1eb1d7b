#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the host's turn costs per frame (test/bench/host_turn.c): instructions under callgrind,
which are the same in every run, or cycles.

    host_turn.py [CASE[:SIZE]...]             instructions
    host_turn.py --against OTHER [CASE...]    the same, and those of another build's binary
    host_turn.py --cycles --against OTHER     cycles of both in alternating rounds, and their ratio
    host_turn.py --cross ...                  cycles with the guest on another processor
"""
import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CASES = ("gen", "gen-rss", "loop", "sink", "loop-none", "sink-none", "echo", "switch")
SIZES = (64, 1514)


def run(command, case, size, turns, *more):
    """Frames and ticks per frame."""
    done = subprocess.run([*command, case, str(size), str(turns), *more], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} {case} {size} failed:\n{done.stdout}{done.stderr}")
    frames, ticks = re.search(r"frames (\d+) ticks ([\d.]+)", done.stdout).groups()
    return int(frames), float(ticks), done.stderr


def instructions(binary, case, size):
    with tempfile.TemporaryDirectory() as folder:
        frames, _, said = run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_turn",
                               f"--callgrind-out-file={folder}/out", binary], case, size, 500)
    return int(re.search(r"Collected : (\d+)", said).group(1)) / frames


def cycles(binaries, case, size, cross, rounds=9):
    """Lower quartile of each binary, in alternating rounds."""
    seen = [[] for _ in binaries]
    for _ in range(rounds):
        for got, binary in zip(seen, binaries):
            got.append(run([binary], case, size, 4000, *cross)[1])
    return [statistics.quantiles(got, n=4)[0] for got in seen]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE[:SIZE]")
    parser.add_argument("--cycles", action="store_true")
    parser.add_argument("--cross", action="store_true")
    parser.add_argument("--binary", default=str(HERE / "../../build/test/bench/host_turn"))
    parser.add_argument("--against", metavar="OTHER")
    args = parser.parse_args()
    binaries = [args.against, args.binary] if args.against else [args.binary]
    cells = []
    for case in args.cases or CASES:
        name, _, size = case.partition(":")
        cells += [(name, int(s)) for s in ([size] if size else SIZES)]
    for name, size in cells:
        values = cycles(binaries, name, size, ["cross"] * args.cross) \
            if args.cycles or args.cross else \
            [instructions(binary, name, size) for binary in binaries]
        ratio = f"  x {values[1] / values[0]:.2f}" if len(values) == 2 else ""
        print(f"{name:8}{size:6}", "".join(f"{value:10.1f}" for value in values) + ratio, flush=True)


if __name__ == "__main__":
    main()
