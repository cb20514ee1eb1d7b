#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which DPDK ./run builds with (test/lib/build.sh), with stubs of meson and of installed DPDKs."""
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MESON = """#!/bin/sh
mkdir -p "$2"
pkg-config --cflags libdpdk >>told
: >"$2/build.ninja"
"""


class Dpdk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)
        os.mkdir(f"{self.folder}/build-sdk")
        self.put("bin/meson", MESON)
        os.chmod(f"{self.folder}/bin/meson", 0o755)

    def put(self, name, text):
        os.makedirs(os.path.dirname(f"{self.folder}/{name}"), exist_ok=True)
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    def install(self, prefix, version="25.11.0", where="lib/x86_64-linux-gnu/pkgconfig", options=""):
        self.put(f"{prefix}/{where}/libdpdk.pc",
                 f"Name: DPDK\nDescription:\nVersion: {version}\nCflags: -I/{prefix}/include{options}\n")

    def run_with(self, prefix, *commands):
        """Commands of a ./run test --dpdk PREFIX."""
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        script = "; ".join((f"set -eu; verb=test; . {ROOT}/test/lib/setup.sh; . {ROOT}/test/lib/build.sh",
                            f"use_dpdk {self.folder}/{prefix}", *commands))
        return subprocess.run(["bash", "-c", script], cwd=self.folder, capture_output=True, text=True, check=False,
                              timeout=60, env={"PATH": path})

    def told(self):
        """What meson was told, each time it set up a folder."""
        with open(f"{self.folder}/told", encoding="ascii") as file:
            return file.read().split()

    def test_another_dpdk_of_the_same_version_was_tested_with_the_first_ones_build(self):
        self.install("a")
        self.install("b")
        for prefix in "abab":
            done = self.run_with(prefix, 'configure "$build"', 'echo "$sdk"')
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.told(), ["-I/a/include", "-I/b/include"])
        self.assertEqual(len([name for name in os.listdir(self.folder) if name.startswith("build-dpdk-25.11.0-")]), 2)
        self.assertEqual(len(os.listdir(f"{self.folder}/build-sdk")), 3)  # with meson's log

    def test_a_dpdk_that_is_installed_anew_has_its_build_set_up_anew(self):
        """What fuzz targets have found stays."""
        for options in ("", "", "/new"):
            self.install("a", options=options)
            done = self.run_with("a", 'configure "$build"', 'mkdir -p "$build/corpus"', 'touch "$build/corpus/$$"',
                                 'find "$build/corpus" -type f | wc -l')
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.told(), ["-I/a/include", "-I/a/include/new"])
        self.assertIn("was set up with another DPDK", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "3")

    def test_a_build_folder_that_was_set_up_by_hand_is_taken(self):
        self.install("a")
        done = self.run_with("a", 'mkdir "$build"', 'touch "$build/build.ninja"', 'configure "$build"', 'ls "$build"')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("build.ninja", done.stdout)
        self.assertFalse(os.path.exists(f"{self.folder}/told"))

    def test_a_build_folder_in_the_tree_is_not_what_is_installed(self):
        self.install("a", where="build/meson-private")
        self.install("a", where="lib64/pkgconfig")
        os.symlink("lib64", f"{self.folder}/a/lib")
        done = self.run_with("a", "echo $PKG_CONFIG_PATH")
        self.assertEqual(done.stdout.splitlines()[-1], f"{self.folder}/a/lib64/pkgconfig")

    def test_whichever_of_two_is_not_guessed(self):
        self.install("opt/a", where="lib/pkgconfig")
        self.install("opt/b", where="lib/pkgconfig")
        done = self.run_with("opt")
        self.assertRegex(done.stderr, rf"^test: error: no DPDK is installed in {self.folder}/opt .*; further below "
                                      rf"there is {self.folder}/opt/[ab]/lib/pkgconfig/libdpdk.pc\n$")
        self.install("a", where="lib/pkgconfig")
        self.install("a", where="lib64/pkgconfig")
        done = self.run_with("a")
        self.assertEqual(done.stderr, f"test: error: more than one DPDK is installed in {self.folder}/a: "
                                      f"{self.folder}/a/lib/pkgconfig {self.folder}/a/lib64/pkgconfig\n")
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
