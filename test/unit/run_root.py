#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./run does as root for a user with sudo (test/lib/setup.sh)."""
import os
import subprocess
import tempfile
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


class Chroot(unittest.TestCase):
    def test_what_an_interrupted_one_left_could_not_be_removed(self):
        """It is root's, as debootstrap is: for a user with sudo that release was out of reach from then on."""
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(f"{folder}/.cache/chroot-13/half")
            os.makedirs(f"{folder}/build-sdk")
            script = f"""
                verb=chroot
                . {ROOT}/test/lib/setup.sh
                . {ROOT}/test/lib/chroot.sh
                rm() {{ echo "not as root: rm $*" >&2; return 1; }}
                apt-get() {{ echo 'http://deb Debian'; }}
                debootstrap() {{ ls "$4" >>ran; }}
                as_root() {{ echo "$1" >>ran; if [ "$1" = rm ]; then command "$@"; else "$@"; fi; }}
                chroot_make 13
                """
            done = subprocess.run(["bash", "-euc", script], cwd=folder, check=False, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            with open(f"{folder}/ran", encoding="ascii") as file:
                self.assertEqual(file.read().split(), ["rm", "debootstrap", "touch"])
            self.assertEqual(sorted(os.listdir(f"{folder}/.cache/chroot-13")), [".complete"])


class Build(unittest.TestCase):
    def test_a_build_folder_in_the_environment_was_tested_and_not_compiled(self):
        """Suites took it, ./run compiled another one."""
        with open(os.path.join(ROOT, "run"), encoding="utf-8") as file:
            text = file.read()
        begin = text[text.index("verb=${1:-help}"):text.index(". test/lib/setup.sh")]
        begin += text[text.index("build=build sdk="):text.index("# What the record of a run says of it")]
        for verb, seen in (("test", "build none"), ("_suite", "build build-other")):
            done = subprocess.run(["bash", "-euc", begin + 'echo "$build" "${HYPERPOLL_BUILD-none}"', "run", verb], check=True,
                                  capture_output=True, text=True, env={**os.environ, "HYPERPOLL_BUILD": "build-other"})
            self.assertEqual(done.stdout.strip(), seen)


if __name__ == "__main__":
    unittest.main()
