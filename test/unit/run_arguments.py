#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./run says to arguments that it cannot do with: one sentence, before anything is installed or built."""
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run(*arguments, cwd=ROOT):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HYPERPOLL_", "DPDK_"))}
    return subprocess.run([os.path.join(ROOT, "run"), *arguments], capture_output=True, text=True, check=False,
                          timeout=60, cwd=cwd, env=environment)


class Arguments(unittest.TestCase):
    def refused(self, *arguments, cwd=ROOT):
        """@return the sentence"""
        done = run(*arguments, cwd=cwd)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith(f"{arguments[0]}: error: "), done.stderr)
        return done.stderr

    def test_every_verb_that_help_names_is_one(self):
        """One that a merge had dropped from the list printed the help."""
        verbs = re.findall(r"^  ([a-z]+)\b", run("help").stdout.partition("usage:")[2], re.M)
        with open(os.path.join(ROOT, "run"), encoding="utf-8") as file:
            accepted = re.search(r"^([a-z |]+)\) \"do_\$verb\"", file.read(), re.M).group(1).split(" | ")
        self.assertIn("test", verbs)
        self.assertEqual(sorted(set(verbs) - {"help"}), sorted(accepted))

    def test_an_unknown_suite_or_option(self):
        self.assertIn("no suite 'foo'; there are: lint unit", self.refused("test", "unit", "foo"))
        self.assertIn("no option '--foo'", self.refused("test", "--foo"))
        self.assertIn("no set of packages 'foo'", run("setup", "foo").stderr)

    def test_dpdk_that_is_no_folder(self):
        for words in ([], [""], ["/nonexistent"], [os.path.join(ROOT, "run")]):
            self.assertIn(f"'{(words or [''])[0]}' is no folder", self.refused("test", "--dpdk", *words))

    def test_a_folder_without_dpdk_also_from_elsewhere(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "prefix"))
            self.assertIn(f"no DPDK is installed below {os.path.realpath(folder)}/prefix",
                          self.refused("test", "--dpdk", "prefix", "unit", cwd=folder))

    def test_a_kernel_that_is_no_version(self):
        for words in ([], [""], ["six"], ["6..1"], ["6.12-amd64"], ["--long"]):
            self.assertIn(f"not '{(words or [''])[0]}'", self.refused("test", "vm", "--kernel", *words))

    def test_a_kernel_without_a_guest(self):
        self.assertIn("not among: unit", self.refused("test", "--kernel", "6.12", "unit"))

    def test_fuzz_for_no_time(self):
        for words in (["all", "x"], ["all", "0"], ["all", "1", "2"]):
            self.assertIn("fuzz needs a target or all, and seconds", self.refused("fuzz", *words))

    def test_no_such_release(self):
        self.assertIn("which Debian release?", self.refused("chroot"))
        self.assertIn("no Debian release '11'", self.refused("chroot", "11", "true"))


class Help(unittest.TestCase):
    def test_it_is_the_same_everywhere_and_installs_nothing(self):
        text = run("help").stdout
        for arguments in (["--help"], ["test", "--help"], ["demo", "-h"], ["vm", "testpmd", "--help"], ["setup", "-h"]):
            self.assertEqual((run(*arguments).stdout, run(*arguments).returncode), (text, 0), arguments)

    def test_it_lists_all_verbs_suites_and_options(self):
        text = run("help").stdout
        for word in ("setup", "build", "demo", "bench", "vm", "test", "chroot", "fuzz", "coverage", "drill", "soak",
                     "--long", "--dpdk", "--kernel", "lint unit integration uio peer drill vm fuzz",
                     "arm64 drill-long suricata vm-6.12 vm-newest", "DPDK_SDK"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
