#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What hvsim and its verbs say to what is not right: in one sentence, with an exit status that is not 0.
Usage: hvsim_usage.py HVSIM [HVSIM-VM] [PMDBENCH]"""
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import unittest

USAGE, FAILED = 2, 1
PATIENCE = 60  # only a failure takes so long

# poll() of six descriptors, which are the control thread's of two NICs, answers ENOMEM; then the program
# of the arguments.
NO_POLL = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("<HBBI", *line) for line in (
    (0x20, 0, 0, 0), (0x15, 0, 3, 7), (0x20, 0, 0, 24), (0x15, 0, 1, 6), (0x06, 0, 0, 0x50000 | 12),
    (0x06, 0, 0, 0x7fff0000)))
text = ctypes.create_string_buffer(code)
program = struct.pack("@HP", 6, ctypes.addressof(text))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def command(*words, program=None):
    return [*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), program or HVSIM, *words]


def run(*words, program=None, **keys):
    done = subprocess.run(command(*words, program=program), stdin=subprocess.DEVNULL, stdout=keys.pop("stdout", subprocess.PIPE),
                          stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False, **keys)
    return done.returncode, done.stdout, done.stderr


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.control = os.path.join(self.folder, "control.sock")

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def host(self, *options, nics=2, **keys):
        """A host that serves its NICs."""
        child = subprocess.Popen(command("--dir", self.folder, *("--nic", "port=sink") * nics, *options),
                                 stdout=keys.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, text=True, **keys)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        if child.stdout is not None:
            self.addCleanup(child.stdout.close)
            for _ in range(nics):
                self.assertRegex(child.stdout.readline(), "^NIC ")
        return child


class Requests(Case):
    """What would be ignored is refused, and nothing is done."""

    def stats(self):
        return json.loads(self.ask(b'{"cmd":"stats"}\n'))["nics"]

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.control)
            client.settimeout(PATIENCE)
            client.sendall(line)
            with client.makefile() as lines:
                return lines.readline()

    def unchanged(self):
        self.assertEqual([(nic["link_up"], nic["vf_present"], nic["rescinded"]) for nic in self.stats()],
                         [(True, False, False)] * 2)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "trace")))

    def test_words(self):
        self.host()
        trace = f"file={self.folder}/trace"
        for status, sentence, words in (
                (USAGE, "'nic=1': the command and the NIC's number stand before the keys", "link 0 nic=1 up=false"),
                (USAGE, "'nic=1': the command and", "link nic=1 up=false"),
                (USAGE, "'cmd=rescind': the command and", "stats 0 cmd=rescind"),
                (USAGE, "up is there twice", "link 0 up=true up=false"),
                (FAILED, "vf knows no 'serail'; it takes present and serial and path", "vf 0 present=true serail=7"),
                (FAILED, "vf takes either path or present", "vf 0 path=synthetic present=true"),
                (FAILED, "rings knows no 'up'", "rings 0 up=false"),
                (FAILED, "rescind knows no 'wait'", "rescind 0 wait=true"),
                (FAILED, "knobs knows no 'nic'", "knobs 7"),
                (FAILED, "link knows no 'Up'; it takes up", "link 0 up=false Up=true"),
                (FAILED, "trace takes file=FILE, or on, or off", f"trace 0 {trace} on=false"),
                (FAILED, "snaplen is for a trace that begins", "trace 0 snaplen=256"),
                (FAILED, "trace knows no 'snaplan'", f"trace 0 {trace} snaplan=256")):
            with self.subTest(words=words):
                got, out, err = run("ctl", self.control, *words.split())
                self.assertEqual((got, out), (status, ""), err)
                self.assertTrue(err.startswith(f"ctl: {sentence}"), err)
                self.assertEqual(err.count("\n"), 1)
        self.unchanged()

    def test_lines(self):
        self.host()
        down = b'{"cmd":"link","nic":0,"up":false}'
        for sentence, line in (
                ("a request is one JSON object", down + b" garbage"), ("a request is one JSON object", down + down),
                ("a request is one JSON object", down + b"\0"), ("a request is one JSON object", b"[" + down + b"]"),
                ("a request is one JSON object", b'{"cmd":null,"nic":0}'),
                ("a request is one JSON object", b'{"nic":0}'),
                ("a key is there twice", b'{"cmd":"link","nic":1,"nic":0,"up":false}'),
                ("a key is there twice", b'{"cmd":"stats","cmd":"rescind","nic":0}'),
                ("a key is there twice", b'{"cmd":"link","nic":0,"up":true,"u\\u0070":false}'),
                ("there is no such command", b'{"cmd":"Link","nic":0,"up":false}'),
                ("there is no such NIC", b'{"cmd":"link","nic":2,"up":false}'),
                ("link knows no 'down'; it takes up", b'{"cmd":"link","nic":0,"up":false,"down":{"a":[1,"}"]}}'),
                ("stats knows no ''", b'{"cmd":"stats","":1}')):
            with self.subTest(line=line):
                answer = json.loads(self.ask(line + b"\n"))
                self.assertFalse(answer["ok"])
                self.assertTrue(answer["error"].startswith(sentence), answer)
        self.unchanged()
        # Nothing is too much that JSON has: blanks, escapes, the end of a line of other systems.
        for line in (b' { "cmd" : "stats" } \r', b'{"cmd":"set","nic":0,"name":"stall","value":":\\"{}"}'):
            answer = json.loads(self.ask(line + b"\n"))
            self.assertNotIn(answer.get("error", ""), ("a key is there twice", "a request is one JSON object, with a member cmd"))


class CommandLine(Case):
    def test_words_are_sent_as_they_are(self):
        """A file of digits has the name that was said; numbers and truth are JSON's."""
        self.host(cwd=self.folder)
        for name in ("007", "7", "-0", "true"):
            status, out, err = run("ctl", "--json", self.control, "trace", "0", f"file={name}")
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f'"file":"{name}"', out)
            self.assertEqual(run("ctl", self.control, "trace", "0", "on=false")[0], 0)
            self.assertTrue(os.path.exists(os.path.join(self.folder, name)))
        status, _, err = run("ctl", self.control, "vf", "0", "present=true", "serial=007")
        self.assertEqual((status, err), (FAILED, "ctl: serial is a number of 32 bits\n"))
        self.assertEqual(run("ctl", self.control, "link", "01", "up=false")[0], 0)

    def test_a_scenario_that_had_not_ended(self):
        scenario = self.file("scenario", "0 link 0 up=false\n30 link 0 up=true\n")
        end = ("--scenario", scenario, "--exit-after-scenario")
        said = f"hvsim: scenario {scenario}: had not ended\n"
        host = self.host(*end, "--duration", "1")
        self.assertEqual((host.wait(PATIENCE), host.stderr.read()), (FAILED, said))
        host = self.host(*end)
        host.terminate()
        self.assertEqual((host.wait(PATIENCE), host.stderr.read()), (FAILED, said))
        # Without the option a scenario may be cut off.
        host = self.host("--scenario", scenario, "--duration", "1")
        self.assertEqual((host.wait(PATIENCE), host.stderr.read()), (0, ""))

    @unittest.skipUnless(os.uname().machine == "x86_64" and not os.environ.get("MESON_EXE_WRAPPER"),
                         "the filter is made for x86_64")
    def test_a_loop_that_cannot_go_on(self):
        words = command("--dir", self.folder, "--nic", "port=sink", "--nic", "port=sink")
        done = subprocess.run([sys.executable, "-c", NO_POLL, *words], capture_output=True, text=True, timeout=PATIENCE,
                              check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (FAILED, "hvsim: cannot wait for events: Cannot allocate memory\n"))

    def test_an_option_that_is_there_twice(self):
        nic = ("--nic", "port=sink")
        for option, first, second in (
                ("dir", self.folder, "/tmp"), ("threads", "1", "2"), ("control", self.control, self.control),
                ("poll", "busy", "adaptive"), ("user", "nobody", "nobody"), ("client-maps", "10", "20"),
                ("client-memory", "1M", "2M"), ("client-fds", "1", "2"), ("duration", "1", "2"),
                ("stats-interval", "1", "2"), ("trace", "a", "b"), ("scenario", "a", "b")):
            with self.subTest(option=option):
                # Refused in any case: nothing is to be opened.
                status, out, err = run(*nic, f"--{option}", first, f"--{option}", second, "--nonsense")
                self.assertEqual((status, out, err),
                                 (USAGE, "", f"hvsim: --{option} {second}: this option is there twice\n"))
        status, out, err = run("top", "--once", "--interval", "1", "--interval", "2", self.control)
        self.assertEqual((status, out, err), (USAGE, "", "hvsim top: --interval 2: this option is there twice\n"))


class Output(Case):
    """What a program prints has arrived, or it says so and its exit status is not 0."""

    def lost(self, words, prefix, program=None, **keys):
        with open("/dev/full", "w", encoding="ascii") as full:
            status, _, err = run(*words, program=program, stdout=full, **keys)
        self.assertEqual(status, FAILED, err)
        self.assertRegex(err, f"(?m)^{prefix}: cannot write the output")
        self.assertEqual(err.count("cannot write"), 1, err)

    def test_of_verbs_and_help(self):
        self.host(nics=16)
        for prefix, *words in (
                ("hvsim", "--help"), ("hvsim", "--version"),
                # Short, and so long that the descriptor hears of it at once.
                ("ctl", "ctl", self.control, "link", "0", "up=true"), ("ctl", "ctl", self.control, "stats"),
                ("ctl", "ctl", "--json", self.control, "stats"), ("ctl", "ctl", self.control, "knobs"),
                ("hvsim top", "top", "--help"), ("hvsim top", "top", "--once", self.control),
                ("hvsim top", "top", "--once", "--json", self.control),
                ("hvsim top", "top", "--interval", "0.1", "--json", self.control)):
            with self.subTest(words=words):
                self.lost(words, prefix)

    def test_of_others(self):
        self.host()
        for program in OTHERS:
            name = os.path.basename(program)
            for words in (("--help",), *([("--version",)] if name == "hvsim-vm" else [])):
                with self.subTest(program=name, words=words):
                    self.lost(words, name, program)
            if name == "hvsim-vm":
                self.lost(("ctl", self.control, "stats"), "ctl", program)

    def test_of_reports(self):
        scenario = self.file("scenario", "0 link 0 up=true\n")
        options = ("--dir", self.folder, "--nic", "port=sink")
        for more in ((), ("--json",), ("--rings", "--stats-interval", "1")):
            with self.subTest(more=more):
                self.lost((*options, *more, "--exit-after-scenario", "--scenario", scenario), "hvsim")
                self.lost((*options, *more, "--duration", "1"), "hvsim")

    def test_whose_reader_has_gone(self):
        host = self.host("--duration", "1")
        host.stdout.close()
        self.assertEqual(host.wait(PATIENCE), FAILED)
        self.assertEqual(host.stderr.read(), "hvsim: cannot write the output: Broken pipe\n")

    def test_that_arrives(self):
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))
        self.assertGreater(len(out), 4096)
        host = self.host("--duration", "1")
        self.assertIn("to guest", host.stdout.read())
        self.assertEqual((host.wait(PATIENCE), host.stderr.read()), (0, ""))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    HVSIM, *OTHERS = [os.path.realpath(program) for program in sys.argv[1:]]
    unittest.main(argv=sys.argv[:1], verbosity=1)
