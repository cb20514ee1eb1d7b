# SPDX-License-Identifier: BSD-3-Clause
"""
hvsim-vm's command line: vm_options.py HVSIM_VM. What is wrong is said in one sentence, with the exit
status of hvsim-vm(1), before /dev/kvm is touched: the same on a machine without it.
"""
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import unittest

HVSIM_VM = None
USAGE, FAILED = 2, 1


def run(*arguments, prefix=()):
    wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
    done = subprocess.run([*prefix, *wrapper, HVSIM_VM, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


class Options(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # As much of a bzImage as is looked at without a machine.
        image = bytearray(4096)
        image[0x201] = 0x6a
        image[0x202:0x206] = b"HdrS"
        struct.pack_into("<H", image, 0x206, 0x20f)
        image[0x211] = 1
        self.kernel = self.file("kernel", image)

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def expect(self, status, sentence, *arguments, **keys):
        got, out, err = run(*arguments, **keys)
        self.assertEqual((got, out), (status, ""), err)
        self.assertRegex(err, sentence)
        self.assertNotIn("kvm", err.lower())
        self.assertTrue(err.startswith("hvsim-vm: "), err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_user(self):
        """Whom to become is known before anything is opened."""
        for name, why in (("nosuchuser", "no user 'nosuchuser'"), ("root", "that is root"),
                          ("nobody:nosuchgroup", "no group 'nosuchgroup'")):
            self.expect(USAGE, f"--user {name}: .*{why}", "--kernel", self.kernel, "--user", name)

    def test_scenario(self):
        """As hvsim's: what is wrong in the file is said by its line, before there is a machine."""
        scenario = self.file("scenario", b"0 link 0 up=true\n")
        wrong = self.file("wrong", b"# fine\n0 dance 0\n")
        for arguments, sentence in (
                (("--exit-after-scenario",), "--exit-after-scenario needs --scenario FILE"),
                (("--scenario", os.path.join(self.folder, "none")), "none: No such file"),
                (("--scenario", wrong, "--nic", "port=sink"), "wrong:2: 'dance' is no command"),
                (("--scenario", scenario), "scenario:1: there is no NIC 0"),
                (("--scenario", scenario, "--scenario", scenario), "--scenario .*: this option is there twice")):
            with self.subTest(arguments=arguments):
                self.expect(USAGE, sentence, "--kernel", self.kernel, *arguments)

    def test_version_and_help(self):
        got, out, err = run("--version")
        self.assertEqual((got, err), (0, ""))
        self.assertRegex(out, r"^hvsim-vm \d+\.\d+")
        got, out, err = run("--help")
        self.assertEqual((got, err), (0, ""))
        self.assertIn("Exit status:", out)
        self.assertIn("--version", out)

    def test_wrong_usage_is_2(self):
        kernel = ("--kernel", self.kernel)
        for arguments, sentence in [
                ((), "no kernel given"),
                (("--nonsense",), "--nonsense is no option"),
                (("-z",), "-z is no option"),
                (("--kernel",), "--kernel needs a value"),
                (("--check=1",), "--check=1 takes no value"),
                ((*kernel, "word"), "what is 'word'"),
                (("--verbose", "ctl", "stats"), "'ctl' is the first word, before all options"),
                (("--verbose", "ctl", "--json"), "'ctl' is the first word, before all options"),
                ((*kernel, "--mem", "12x"), "--mem 12x: give 64M"),
                ((*kernel, "--mem", "63M"), "--mem 63M: give 64M"),
                ((*kernel, "--mem", "-1"), "--mem -1: give 64M"),
                ((*kernel, "--mem", " 128"), "--mem  128: give 64M"),
                ((*kernel, "--mem", "99999999999999999999"), "--mem 9+: give 64M"),
                ((*kernel, "--cpus", "0"), "--cpus 0: give a number from 1 to 32"),
                ((*kernel, "--cpus", "+2"), "--cpus .2: give a number from 1 to 32"),
                ((*kernel, "--cpus", "4294967297"), "--cpus 4294967297: give a number"),
                ((*kernel, "--timeout", "1s"), "--timeout 1s: give a number"),
                ((*kernel, "--vmbus-version", "3.5"), "--vmbus-version 3.5: give 2.4, 3.0"),
                ((*kernel, "--vmbus-version", "5.3x"), "--vmbus-version 5.3x: give"),
                ((*kernel, "--vmbus-version", " 5.3"), "--vmbus-version  5.3: give"),
                ((*kernel, "--vmbus-version", ""), "--vmbus-version : give"),
                ((*kernel, "--monitor", "trap"), "--monitor trap: give poll or none"),
                ((*kernel, "--xsave", "yes"), "--xsave yes: give on or off"),
                ((*kernel, "--append", "x" * 2048), "the kernel command line takes 2047"),
                ((*kernel, "--nic", "nonsense=1"), "nonsense"),
                ((*kernel, "--nic", "channels=65"), "channels=65"),
                ((*kernel, "--nic", "guid=123"), "123"),
                ((*kernel, *("--nic", "port=sink") * 17), "there can be 16 NICs"),
                ((*kernel, "--nic", "guid=00000000-0000-4000-8000-000000000001", "--nic",
                  "guid=00000000-0000-4000-8000-000000000001"), "the same guid="),
                ((*kernel, "--nic", "port=sink", "--nic", "mac=00:15:5d:48:00:00"), "the same mac="),
                *(((*kernel, f"--{option}", first, f"--{option}", second), f"--{option} {second}: this option is there twice")
                  for option, first, second in (
                      ("initrd", "a", "b"), ("mem", "128M", "256M"), ("cpus", "1", "2"),
                      ("control", "a", "b"), ("user", "nobody", "nobody"), ("trace", "a", "b"),
                      ("vmbus-version", "5.3", "5.2"), ("monitor", "poll", "none"), ("xsave", "on", "off"),
                      ("timeout", "1", "2"))),
                ((*kernel, *kernel), "--kernel .*: this option is there twice"),
                # What is wrong is said wherever it stands, and nothing is done before.
                (("--check", "--cpus", "99"), "--cpus 99"),
        ]:
            with self.subTest(arguments=arguments):
                self.expect(USAGE, sentence, *arguments)

    def test_nic_errors_name_the_option_once(self):
        got, _, err = run("--kernel", self.kernel, "--nic", "channels=65")
        self.assertEqual(got, USAGE)
        self.assertEqual(len(re.findall("--nic", err)), 1, err)

    def test_what_cannot_be_opened_is_1(self):
        missing = os.path.join(self.folder, "missing")
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        short = self.file("short", b"MZ")
        text = self.file("text", b"no kernel\n" * 1000)
        for arguments, sentence in [
                (("--kernel", missing), "cannot open the kernel .*No such file"),
                (("--kernel", self.folder), "cannot open the kernel .*not a regular file"),
                (("--kernel", fifo), "cannot open the kernel .*not a regular file"),
                (("--kernel", short), "is not a Linux bzImage"),
                (("--kernel", text), "is not a Linux bzImage"),
                (("--kernel", self.kernel, "--initrd", missing),
                 "cannot open the initrd .*No such file"),
                (("--kernel", self.kernel, "--nic", "port=pcap:in=" + missing),
                 "No such file"),
        ]:
            with self.subTest(arguments=arguments):
                self.expect(FAILED, sentence, *arguments)

    def test_what_does_not_fit_into_memory_is_1(self):
        """The sizes are known before there is a machine."""
        def image(name, size, init_size=1 << 20, setup_sects=1):
            with open(self.kernel, "rb") as f:
                content = bytearray(f.read())
            content[0x1f1] = setup_sects
            struct.pack_into("<I", content, 0x22c, 0x7fffffff)  # initrd_addr_max
            struct.pack_into("<I", content, 0x260, init_size)
            path = self.file(name, content)
            os.truncate(path, size)
            return path

        small, large = image("small", 4096), image("large", 65 << 20)
        unpacked, cut_off = image("unpacked", 4096, 100 << 20), image("cut_off", 1024)
        initrd = self.file("initrd", b"")
        os.truncate(initrd, 63 << 20)
        for arguments, sentence in [
                (("--kernel", large), "large needs 66 MiB of memory or more: use a larger --mem"),
                (("--kernel", unpacked), "unpacked needs 102 MiB of memory or more: use a larger --mem"),
                (("--kernel", cut_off), "there is no kernel in .*cut_off: it is cut off"),
                (("--kernel", small, "--initrd", initrd),
                 "initrd does not fit into memory beside the kernel: use a larger --mem"),
        ]:
            with self.subTest(arguments=arguments):
                self.expect(FAILED, sentence, "--mem", "64M", *arguments)

    def test_limit_of_open_files_too_low_to_start(self):
        """One sentence that names the limit, and not what would have been opened last."""
        for limit in (10, 20):
            self.expect(FAILED, f"file descriptors are needed .*ulimit -Hn, now {limit}\\)",
                        "--kernel", self.kernel, "--nic", "port=sink",
                        prefix=["prlimit", f"--nofile={limit}:{limit}", "--"])

    def test_check_tells_scripts_what_it_tells_people(self):
        """Whatever this machine has."""
        status, out, err = run("--check")
        as_json = run("--json", "--check")
        self.assertEqual((as_json[0], as_json[2], as_json[1].count("\n")), (status, "", 1))
        report = json.loads(as_json[1])
        self.assertEqual((report["report"], report["ok"]), ("check", status == 0))
        self.assertEqual(report["capabilities"], {line.split()[0]: line.split()[1] == "yes" for line in out.splitlines()})
        self.assertEqual("error" in report, status != 0)
        if status != 0:
            self.assertEqual(err, f"hvsim-vm: {report['error']}\n")

    def test_top_and_ctl_are_those_of_hvsim(self):
        nowhere = ["env", "HYPERPOLL_VFIO_USER_DIRS=" + self.folder]
        self.assertEqual(run("top", "--once", prefix=nowhere)[0::2],
                         (FAILED, "hvsim-vm top: no running host found; start hvsim, or name its control socket if "
                                  "--control put it elsewhere\n"))
        for words, usage in (("top --help", "Usage: hvsim-vm top "), ("ctl --help", "Usage: hvsim-vm ctl ")):
            status, out, err = run(*words.split(), prefix=nowhere)
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.startswith(usage), out)

    def test_ctl_without_a_host(self):
        got, _, err = run("ctl", os.path.join(self.folder, "missing"), "stats")
        self.assertEqual(got, FAILED)
        self.assertNotEqual(err, "")


if __name__ == "__main__":
    HVSIM_VM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
