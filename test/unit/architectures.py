#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Machines that this is not for: meson refuses them in one sentence, before it looks for anything."""
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The machine is what the file says; the compiler is whichever there is.
CROSS = """[binaries]
c = 'cc'
[host_machine]
system = 'linux'
cpu_family = '{family}'
cpu = '{family}'
endian = '{endian}'
"""


class Architectures(unittest.TestCase):
    def setup_errors(self, family, endian):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cross.ini")
            with open(path, "w", encoding="utf-8") as file:
                file.write(CROSS.format(family=family, endian=endian))
            done = subprocess.run(["meson", "setup", os.path.join(folder, "build"), ROOT, "--cross-file", path],
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0)
            # Meson puts the place in front, and the log's name behind.
            return [line.partition("ERROR: ")[2] for line in done.stdout.splitlines() if "ERROR: " in line]

    def test_a_32_bit_machine_is_refused(self):
        for family in ("arm", "x86"):
            self.assertEqual(self.setup_errors(family, "little"), [
                "Problem encountered: hyperpoll is for 64-bit machines (x86-64, arm64), and "
                f"{family} is none: build it with a 64-bit compiler"])

    def test_a_big_endian_machine_is_refused(self):
        for family in ("s390x", "aarch64"):
            self.assertEqual(self.setup_errors(family, "big"), [
                "Problem encountered: hyperpoll is for little-endian machines, as VMBus is (x86-64, arm64), and "
                f"{family} here is big-endian"])


if __name__ == "__main__":
    unittest.main()
