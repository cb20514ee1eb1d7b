#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./run says to arguments that it cannot do with: one sentence, before anything is installed or built."""
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What looks for packages, installs or compiles.
WORK = ("apt-cache", "apt-get", "cc", "clang", "dpkg-query", "gcc", "meson", "ninja", "pandoc")


def run(*arguments, cwd=ROOT, **environment):
    """./run where nothing of WORK can be done."""
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith(("HYPERPOLL_", "DPDK_"))}, **environment}
    with tempfile.TemporaryDirectory() as folder:
        for name in WORK:
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\necho {name} $* >&2\nexit 99\n")
            os.chmod(file.name, 0o755)
        environment["PATH"] = folder + ":" + environment["PATH"]
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
        verbs = re.findall(r"^  ([a-z-]+)\b", run("help").stdout.partition("usage:")[2], re.M)
        with open(os.path.join(ROOT, "run"), encoding="utf-8") as file:
            accepted = re.search(r"^([a-z |-]+)\) \"do_\$verb\"", file.read(), re.M).group(1).split(" | ")
        self.assertIn("test", verbs)
        self.assertEqual(sorted(set(verbs) - {"help"}), sorted(accepted))

    def test_an_unknown_suite_or_option(self):
        self.assertIn("no suite 'foo'; there are: lint unit", self.refused("test", "unit", "foo"))
        self.assertIn("no option '--foo'", self.refused("test", "--foo"))
        self.assertIn("no set of packages 'foo'; there are: ", self.refused("setup", "build", "foo"))

    def test_dpdk_that_is_no_folder(self):
        for words in ([], [""], ["/nonexistent"], [os.path.join(ROOT, "run")]):
            self.assertIn(f"'{(words or [''])[0]}' is no folder", self.refused("test", "--dpdk", *words))

    def test_a_folder_without_dpdk_also_from_elsewhere(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "prefix"))
            self.assertIn(f"no DPDK is installed in {os.path.realpath(folder)}/prefix",
                          self.refused("test", "--dpdk", "prefix", "unit", cwd=folder))

    def test_a_kernel_that_is_no_version(self):
        for words in ([], [""], ["six"], ["6..1"], ["6.12-amd64"], ["--long"]):
            self.assertIn(f"not '{(words or [''])[0]}'", self.refused("test", "vm", "--kernel", *words))

    def test_a_kernel_without_a_guest(self):
        self.assertIn("not among: unit", self.refused("test", "--kernel", "6.12", "unit"))

    def test_a_kernel_for_suites_that_have_one_of_their_own(self):
        """They ran with theirs, whatever was said."""
        for suites in (["vm-6.12"], ["vm-newest"], ["unit", "vm-6.12", "vm-newest"]):
            self.assertIn(f"is not among: {' '.join(suites)}", self.refused("test", "--kernel", "6.1", *suites))

    def test_a_dpdk_that_build_would_not_have_built_with(self):
        self.assertIn("build has no arguments", self.refused("build", "--dpdk", "/opt/dpdk"))

    def test_more_than_is_done(self):
        self.assertIn("one --dpdk at a time", self.refused("test", "--dpdk", "/usr", "--dpdk", "/opt", "unit"))
        self.assertIn("one --kernel at a time", self.refused("test", "vm", "--kernel", "6.1", "--kernel", "6.12"))
        self.assertIn("doc has no arguments", self.refused("doc", "guide.md"))
        self.assertIn("one DPDK source tree at a time, not also '/usr'", self.refused("dpdk-tree", "/", "/usr"))

    def test_fuzz_for_no_time(self):
        for words in (["all", "x"], ["all", "0"], ["all", "1", "2"]):
            self.assertIn("fuzz needs a target or all, and seconds", self.refused("fuzz", *words))

    def test_no_such_release(self):
        self.assertIn("which Debian release?", self.refused("chroot"))
        self.assertIn("no Debian release '11'", self.refused("chroot", "11", "true"))


    def test_a_tree_that_is_none_of_dpdk(self):
        self.assertIn("which DPDK source tree?", self.refused("dpdk-tree"))
        self.assertIn("no option '--undo-it'", self.refused("dpdk-tree", "--undo-it"))
        self.assertIn("no folder '/nonexistent'", self.refused("dpdk-tree", "/nonexistent"))
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn(f"{os.path.realpath(folder)} is no source tree of DPDK", self.refused("dpdk-tree", ".", cwd=folder))

    def test_packages_of_something(self):
        self.assertIn("deb has no arguments", self.refused("deb", "hvsim"))


class Offline(unittest.TestCase):
    """Packages are built with headers that are here."""

    def setup_sdk(self, folder, have=None, environment=()):
        """setup_sdk with an installed DPDK 22.11.11 that has none of its own, and `have` fetched before."""
        os.makedirs(f"{folder}/bin")
        os.makedirs(f"{folder}/sdk")
        with open(f"{folder}/bin/pkg-config", "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\ncase $1 in --modversion) echo 22.11.11;; *) echo {folder}/include;; esac\n')
        os.chmod(f"{folder}/bin/pkg-config", 0o755)
        if have:
            with open(f"{folder}/sdk/VERSION", "w", encoding="ascii") as file:
                file.write(have + "\n")
        script = f"verb=deb sdk={folder}/sdk; . test/lib/setup.sh; package_sdk() {{ echo FETCHED; }}; setup_sdk offline"
        return subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
                              env={"PATH": f"{folder}/bin:/usr/bin:/bin", **dict(environment)})

    def test_no_headers_is_said_and_nothing_fetched(self):
        for have in (None, "23.11.1"):
            with tempfile.TemporaryDirectory() as folder:
                done = self.setup_sdk(folder, have)
                self.assertNotEqual(done.returncode, 0)
                self.assertNotIn("FETCHED", done.stdout)
                self.assertRegex(done.stderr, r"^deb: error: there are no driver headers of DPDK 22.11.11 here.*"
                                              r"\./run setup.*DPDK_SDK=DIR \./run deb\n$")

    def test_headers_of_the_series_will_do(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.setup_sdk(folder, "22.11.3")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertNotIn("FETCHED", done.stdout)

    def test_headers_of_a_tree_that_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("lib/eal/include/bus_driver.h", "lib/eal/include/dev_driver.h", "lib/ethdev/ethdev_driver.h"):
                os.makedirs(os.path.dirname(f"{folder}/tree/{name}"), exist_ok=True)
                with open(f"{folder}/tree/{name}", "w", encoding="ascii") as file:
                    file.write("/* */\n")
            with open(f"{folder}/tree/VERSION", "w", encoding="ascii") as file:
                file.write("22.11.7\n")
            done = self.setup_sdk(folder, environment={"DPDK_SDK": f"{folder}/tree"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(sorted(os.listdir(f"{folder}/sdk")),
                             ["VERSION", "bus_driver.h", "dev_driver.h", "ethdev_driver.h"])


class Help(unittest.TestCase):
    def test_it_is_the_same_everywhere_and_installs_nothing(self):
        text = run("help").stdout
        for arguments in (["--help"], ["test", "--help"], ["demo", "-h"], ["vm", "testpmd", "--help"], ["setup", "-h"]):
            self.assertEqual((run(*arguments).stdout, run(*arguments).returncode), (text, 0), arguments)

    def test_it_lists_all_verbs_suites_and_options(self):
        text = run("help").stdout
        for word in ("setup", "build", "demo", "bench", "vm", "test", "chroot", "fuzz", "coverage", "drill", "soak",
                     "--long", "--dpdk", "--kernel", "lint unit fuzz integration uio peer drill vm",
                     "arm64 drill-long tsan suricata vm-6.12 vm-newest packages dpdk-tree", "DPDK_SDK"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
