#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ./run says to arguments that it cannot do with: one sentence, before anything is installed or built."""
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "lib"))

import arguments  # noqa: E402
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
    def refused(self, *arguments, cwd=ROOT, **environment):
        """@return the sentence"""
        done = run(*arguments, cwd=cwd, **environment)
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

        self.assertIn("HYPERPOLL_KERNEL is how a version starts", self.refused("test", "vm", HYPERPOLL_KERNEL="six"))

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

    def test_fuzz(self):
        for words in (["all", "x"], ["all", "0"], ["all", "1", "2"]):
            self.assertIn("fuzz needs a target or all, and seconds", self.refused("fuzz", *words))
        self.assertIn("no target 'nosuch'; there are: control driver_control driver_data driver_data_flip host_nic",
                      self.refused("fuzz", "nosuch", "10"))

    def test_words_were_looked_at_after_a_build(self):
        """With the sets of packages, the compiler's minutes and, of a benchmark, its own before."""
        for words in ("demo --bogus", "bench --json /nonexistent/x", "profile --bogus", "coverage nosuch", "lint nosuch",
                      "drill x", "soak x", "vm nosuch"):
            self.refused(*words.split())

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


class Words(unittest.TestCase):
    """What test/lib/arguments.py takes."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def test_what_is_right_is_taken(self):
        for words in ("demo", "demo tap --seconds 3", "demo --rings --size 60-9014 --queues 64", "demo --size imix", "bench",
                      "bench --quick --alone", "profile", "profile --pmd ours --size=64 --count --cpu 1", "coverage",
                      "coverage unit ring", "coverage netvsc_attach,netvsc_detach drivers/net/netvsc/attach.c", "lint", "lint --long tidy",
                      "fuzz", "fuzz host_nic_flip", "fuzz all 1", "drill", "drill 7", "drill 7 20 stall cut", "soak .5",
                      "vm", "vm testpmd --kernel 6.12", "vm --kernel newest"):
            with self.subTest(words), mock.patch("sys.stderr", io.StringIO()) as said:
                verb, *words = words.split()
                arguments.VERBS[verb](words)
                self.assertEqual(said.getvalue(), "")

    def test_what_is_not_is_told_in_a_sentence(self):
        for words, why in (
                ("demo --bogus", "unrecognized arguments: --bogus"), ("demo tip", "invalid choice: 'tip'"),
                ("demo --size 59", "'59' is no size"), ("demo --size 60-", "'60-' is no size"),
                ("demo --seconds 0", "'0' is no number from 1"), ("demo --seconds -5", "'-5' is no number from 1"),
                ("demo tap --seconds 0", "'0' is no number from 1"), ("demo --queues 0", "'0' is no number from 1 to 64"), ("demo tap --rings", "no --rings and no --size"),
                ("demo tap --size 60", "no --rings and no --size"), ("bench --bogus", "unrecognized arguments: --bogus"),
                ("bench --json /nonexistent/x", "/nonexistent/x cannot be written: No such file or directory"),
                ("bench --out /nonexistent/x/y", "/nonexistent/x/y is no folder"),
                ("profile --bogus 1", "'--bogus' is no option of pmdbench: --set --op"), ("profile --op", "--op needs a value"),
                ("profile rx", "'rx' is no option of pmdbench"), ("profile --keep /tmp", "call pmdbench"),
                ("coverage nosuch", "no part, unit test or fuzz target 'nosuch'; parts: unit fuzz; targets: control "),
                ("coverage a/b", "which unit test, and of which sources?"),
                ("coverage nosuch lib/vmbus/ring.c", "no unit test 'nosuch'; there are: bus_mp"),
                ("coverage vmbus_ring lib/vmbus/nosuch.c", "no source 'lib/vmbus/nosuch.c' in the checkout"),
                ("lint nosuch", "no check 'nosuch'; there are: format shell"), ("lint --short", "no check '--short'"),
                ("drill x", "seed and events are numbers, not 'x'"), ("drill 1 0", "at least one event, of these kinds: stall"),
                ("drill 1 1 nosuch", "at least one event, of these kinds: stall"), ("drill --suite", "are numbers"),
                ("soak", "how many minutes?"), ("soak x", "how many minutes?"), ("soak 0", "how many minutes?"),
                ("soak 1 2", "how many minutes?"), ("vm nosuch", "invalid choice: 'nosuch'"),
                ("vm --kernel six", "'six' is not how a version starts"), ("vm --bogus", "unrecognized arguments: --bogus")):
            with self.subTest(words):
                verb, *words = words.split()
                with mock.patch("sys.stderr", io.StringIO()) as said, self.assertRaises(SystemExit) as end:
                    arguments.VERBS[verb](words)
                # sys.exit() with a sentence prints it later.
                said = said.getvalue() or f"{end.exception}\n"
                self.assertRegex(said, rf"^{verb}: error: [^\n]+\n$")
                self.assertIn(why, said)

    def take(self, *words, **environment):
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "test/lib/arguments.py"), *words],
                              capture_output=True, text=True, check=False, env={**os.environ, **environment})
        return done.returncode, done.stdout + done.stderr

    def test_a_file_is_relative_to_the_caller_and_only_looked_at(self):
        with open(f"{self.folder}/old", "w", encoding="ascii") as file:
            file.write("figures")
        for name in ("old", "new"):
            self.assertEqual(self.take("bench", "--json", name, HYPERPOLL_HERE=self.folder), (0, ""))
        self.assertEqual(os.listdir(self.folder), ["old"])
        self.assertEqual(os.path.getsize(f"{self.folder}/old"), 7)
        self.assertEqual(self.take("bench", "--json", "old/x", HYPERPOLL_HERE=self.folder),
                         (2, "bench: error: argument --json: old/x cannot be written: Not a directory\n"))

    def test_every_unit_test_and_fuzz_target_is_known(self):
        """They are read off meson's files, before there is a build folder to ask."""
        for part, listed in (("unit", arguments.unit_tests), ("fuzz", arguments.fuzz_targets)):
            with open(os.path.join(ROOT, f"test/{part}/meson.build"), encoding="utf-8") as file:
                lines = len(re.findall(r"^ *(?:unit_tests \+= )?\[+'", file.read(), re.M))
            self.assertEqual(len({name.removesuffix("_flip") for name in listed()}), lines)


class Suites(unittest.TestCase):
    """What ./run test makes of its suites (test/lib/suites.sh), with suites of our own."""

    def run_suites(self, folder, text, *names):
        with open(f"{folder}/run", "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\necho ran $2 >>log\n{text}\n')
        os.chmod(file.name, 0o755)
        script = f"set -eu; verb=test; . {ROOT}/test/lib/setup.sh; . {ROOT}/test/lib/suites.sh; " \
                 f"record_run() {{ :; }}; run_suites {' '.join(names)}"
        done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        with open(f"{folder}/log", encoding="ascii") as file:
            return done.returncode, done.stdout.splitlines(), file.read().split("\n")

    def test_a_suite_that_tested_nothing_was_no_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            text = 'if [ $2 = unit ]; then echo "0 passed, 0 failed"; else echo "3 passed, 0 failed"; fi'
            status, lines, _ = self.run_suites(folder, text, "unit", "fuzz")
            self.assertEqual((status, lines[-1]), (1, "3 passed, 1 failed"))
            self.assertIn("unit: nothing was tested", lines)
            # What was skipped says why.
            text = text.replace('"0 passed', '"skip it\n0 passed')
            status, lines, _ = self.run_suites(folder, text.replace("echo", "printf '%b\\n'"), "unit", "fuzz")
            self.assertEqual((status, lines[-1]), (0, "3 passed, 0 failed"))

    def test_a_suite_that_was_named_twice_ran_twice(self):
        """./run test --long --long, too."""
        with tempfile.TemporaryDirectory() as folder:
            status, lines, log = self.run_suites(folder, "echo 1 passed, 0 failed", "unit", "fuzz", "unit")
            self.assertEqual((status, lines[-1], log), (0, "2 passed, 0 failed", ["ran unit", "ran fuzz", ""]))


class Demo(unittest.TestCase):
    def test_no_frame_was_every_frame_back_intact(self):
        demo, host, pmd = arguments.load("test/demo.py"), mock.MagicMock(), mock.MagicMock()
        for frames, verdict in ((0, "NOTHING was shown"), (9, "every generated frame came back intact, in order")):
            host.port.return_value = {"rx_frames": frames, "tx_frames": frames, "verified": frames, "reordered": 0}
            host.stats.return_value = {"port_stats": {}}
            pmd.stats.return_value = dict.fromkeys(("RX-packets", "TX-packets", *demo.GUEST_DROPS), 0)
            with mock.patch.object(demo, "start", return_value=(host, pmd)), mock.patch.object(demo.time, "sleep"), \
                    mock.patch("sys.stdout", io.StringIO()) as said:
                self.assertEqual(demo.demo_generator(None, arguments.demo(["--seconds", "1"])), frames == 0)
            self.assertIn("verdict: " + verdict, said.getvalue())


class Offline(unittest.TestCase):
    """Packages are built with headers that are here."""

    def setup_sdk(self, folder, have=None, environment=()):
        """setup_sdk with an installed DPDK 22.11.11 that has none of its own, and `have` fetched before."""
        os.makedirs(f"{folder}/bin", exist_ok=True)
        os.makedirs(f"{folder}/sdk", exist_ok=True)
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

    def test_headers_of_which_some_are_missing_passed_for_all_of_them(self):
        """VERSION came first: the next one believed it."""
        with tempfile.TemporaryDirectory() as folder:
            tree = f"{folder}/tree"
            os.makedirs(f"{tree}/lib/eal/include")
            with open(f"{tree}/lib/eal/include/bus_driver.h", "w", encoding="ascii") as file:
                file.write("/* */\n")
            with open(f"{tree}/VERSION", "w", encoding="ascii") as file:
                file.write("22.11.11\n")
            for words in ("init -q", "add lib VERSION", "commit -q -m one", "tag v22.11.11", "rm -q VERSION"):
                subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words.split()], cwd=tree, check=True)
            for named in ({"DPDK_SDK": tree}, {}):
                done = self.setup_sdk(folder, environment=named)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("driver headers of DPDK 22.11", done.stderr)
            self.assertEqual(os.path.exists(f"{folder}/sdk/VERSION"), False)

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
        for words in (["--help"], ["test", "--help"], ["demo", "-h"], ["vm", "testpmd", "--help"], ["setup", "-h"]):
            self.assertEqual((run(*words).stdout, run(*words).returncode), (text, 0), words)

    def test_it_lists_all_verbs_suites_and_options(self):
        text = run("help").stdout
        for word in ("setup", "build", "demo", "bench", "vm", "test", "chroot", "fuzz", "coverage", "drill", "soak",
                     "--long", "--dpdk", "--kernel", "lint unit fuzz integration uio peer drill vm",
                     "arm64 drill-long tsan suricata vm-6.12 vm-newest packages dpdk-tree", "DPDK_SDK"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
