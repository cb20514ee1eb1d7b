#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per function and frame, by callgrind: the same in every run of one build.

Options are pmdbench's; without any: our driver, rx, tx and fwd, 64 and 1514 bytes, bursts of 32.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(os.path.dirname(HERE), name) for name in ("integration", "lib"))]

import arguments  # noqa: E402
import functions  # noqa: E402
from harness import BUILD, PLUGIN  # noqa: E402

NAME = re.compile(r"(.+?)-((?:host-)?[a-z]+)-(\d+)-burst(\d+)-ppis(\d+)-queues(\d+)-flows\d+-"
                  r"offloads-([a-z]+)-frames(\d+)\.callgrind")


def main():
    options = arguments.profile(sys.argv[1:]) or ["--pmd", "ours", "--op", "rx,tx,fwd", "--size", "64,1514"]
    with tempfile.TemporaryDirectory(prefix="hyperpoll-profile-") as folder:
        status = subprocess.call([
            os.path.join(BUILD, "app/pmdbench/pmdbench"), "--plugin", PLUGIN, "--rounds", "0",
            "--count", "--keep", folder, *options], cwd=arguments.HERE or None)
        if status != 0:
            return status
        for name in sorted(os.listdir(folder)):
            pmd, op, size, burst, ppis, queues, offloads, frames = NAME.match(name).groups()
            size = "IMIX" if size == "0" else f"{size} bytes"
            print(f"\n{pmd}: {op} {size}, burst {burst}, {ppis} PPIs, {queues} queues, offloads {offloads}: instructions "
                  f"per {'poll' if op == 'idle' else 'frame'}")
            functions.show(os.path.join(folder, name), int(frames))
    return 0


if __name__ == "__main__":
    sys.exit(main())
