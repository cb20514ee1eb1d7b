#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./run does as root for a user with sudo (test/lib/setup.sh)."""
import os
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = """
. test/lib/setup.sh
id() { echo 1000; }
sudo() { shift; env -i PATH=/usr/bin:/bin "$@"; } # as with env_reset and secure_path
as_root env
"""


class Root(unittest.TestCase):
    def test_sudo_lost_the_dpdk_that_was_named(self):
        """./run test --dpdk PREFIX integration ran the distribution's, and said nothing."""
        meant = {"PATH": "/opt/dpdk/bin:" + os.environ["PATH"], "LD_LIBRARY_PATH": "/opt/dpdk/lib",
                 "PKG_CONFIG_PATH": "/opt/dpdk/lib/pkgconfig",
                 "HYPERPOLL_BUILD": "build-dpdk-26.07.0", "HYPERPOLL_SEQUENCES": "100 000"}
        done = subprocess.run(["bash", "-euc", SCRIPT], cwd=ROOT, env=meant, check=True,
                              capture_output=True, text=True)
        seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.assertEqual({name: seen.get(name) for name in meant}, meant)


if __name__ == "__main__":
    unittest.main()
