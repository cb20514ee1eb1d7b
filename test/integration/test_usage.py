# SPDX-License-Identifier: BSD-3-Clause
"""hvsim's command line: one message, and status 2 for a wrong command line, 1 for a failure."""
import os
import re

from harness import Case, HVSIM, ROOT, wait_until

GUID = "48795065-7230-4000-8000-000000000001"


class Usage(Case):
    def ends(self, status, argv, *patterns):
        got, text = self.run_program("hvsim", [HVSIM, *argv], timeout=10)
        self.assertEqual(got, status, text)
        messages = [line for line in text.splitlines() if not line.startswith("Try ")]
        self.assertEqual(len(messages), 1, text)
        for pattern in patterns:
            self.assertRegex(text, pattern)
        for bad in (r"--nic.*--nic", r"multiple of 1\b", r"\b1 [a-z]+s\b"):
            self.assertNotRegex(text, bad)

    def nic(self, status, spec, *patterns):
        self.ends(status, ["--dir", self.dir, "--nic", spec], *patterns)

    def test_port_comes_last(self):
        self.nic(2, "port=gen,channels=4", "port= comes last", "channels=4,port=gen")

    def test_wrong_command_line_is_2(self):
        self.nic(2, "channels=0,port=sink", "from 1 to 64")
        self.nic(2, "chanels=2,port=sink", "unknown key 'chanels'")
        self.nic(2, "port=genn", "unknown port 'genn'")
        self.nic(2, "port=gen:size=6O", "size=6O")
        self.nic(2, "port=tap:a/b", "a/b")
        self.nic(2, "port=pcap:rate=5", "in=FILE")
        self.ends(2, ["--dir", self.dir, "--nic", "port=sink", "--threads", "-1"], "--threads -1")
        self.ends(2, ["--dir", self.dir, "--nic", "port=sink", "--duration", "1x"], "--duration 1x")
        self.ends(2, ["--dir", self.dir, "--nic", "port=sink", "sink"], "what is 'sink'")
        self.ends(2, ["--dir", self.dir, "--nik", "port=sink"], "nik")
        self.ends(2, ["--dir", self.dir], "no NIC given")
        self.ends(2, ["--dir", "/" + 120 * "x", "--nic", "port=sink"], "too long")
        # Long enough for one file in it, not for the socket of a NIC.
        self.ends(2, ["--dir", "/" + 80 * "x", "--nic", "port=sink"], "too long")

    def test_a_verb_behind_an_option_is_said_to_come_first(self):
        """hvsim --json ctl stats asked what 'ctl' was."""
        for words in ("--json ctl stats", "--json top --once", "--rings top", "--nic port=sink ctl list"):
            got, text = self.run_program("hvsim", [HVSIM, *words.split()], timeout=10)
            verb = re.search("ctl|top", words).group()
            self.assertEqual(got, 2)
            self.assertEqual(text.splitlines()[-1],
                             f"hvsim: '{verb}' is the first word, before all options: hvsim {verb} --help")

    def test_two_nics_with_one_mac(self):
        nic = ["--nic", "mac=00:15:5d:00:00:01,port=sink"]
        self.ends(2, ["--dir", self.dir, *nic, *nic], "NICs 0 and 1", "00:15:5d:00:00:01")

    def test_two_nics_with_one_guid(self):
        nic = ["--nic", f"guid={GUID},port=sink"]
        self.ends(2, ["--dir", self.dir, *nic, *nic], "NICs 0 and 1", GUID)

    def test_failure_is_1(self):
        self.ends(1, ["--dir", self.path("no/such"), "--nic", "port=sink"], "no/such")
        self.nic(1, f"port=pcap:in={self.path('none.pcap')}", "none.pcap", "No such file")
        with open(self.path("text.pcap"), "w") as file:
            file.write("not a capture at all, and longer than a header\n")
        self.nic(1, f"port=pcap:in={self.path('text.pcap')}", "text.pcap")
        self.nic(1, f"port=pcap:out={self.path('no/such.pcap')}", "no/such.pcap")

    def test_host_twice_is_1(self):
        host = self.host("sink")
        self.ends(1, ["--dir", host.dir, "--nic", f"guid={host.guids[0]},port=sink"], host.dir)

    def test_manual_has_every_key_and_counter(self):
        with open(os.path.join(ROOT, "doc/man/hvsim.1.md")) as file:
            text = file.read()
        manual = {*re.findall(r"[a-z0-9_]+", text),
                  *re.findall(r"[a-z]+-[a-z]+", text)}
        nic = self.host(("vf-port=echo", "gen:count=1")).stats()
        _, text = self.run_program("hvsim", [HVSIM, "--help"], timeout=10)
        keys = text[text.index("Keys of --nic:"):text.index("Ports:")]
        names = {*nic, *nic["port_stats"], *nic["vf_port_stats"],
                 *re.findall(r"^  ([\w-]+)=", keys, re.M)}
        missing = names - manual - {"path_is_vf", "finished"}
        self.assertEqual(missing, set(), "not in doc/man/hvsim.1.md")

    def test_commands_of_a_virtual_function(self):
        host = self.host(("vf-port=echo", "sink"), "sink")
        # What stats tells a worker has published, with its next turn.
        wait_until(lambda: host.stats(0)["vf_present"], 10, "it is there")
        self.assertFalse(host.stats(1)["vf_present"])
        self.assertEqual((host.stats()["vf_port"], "vf_port" in host.stats(1)), ("echo", False))
        for present in (False, False, True):
            host.request("vf", 0, present=present)
            wait_until(lambda: host.stats()["vf_present"] == present, 10, f"it is there: {present}")
        host.request("vf", 0, path="synthetic")
        for members, words in (({}, "present=true"), ({"path": "vf"}, "path=synthetic"),
                               ({"present": "no"}, "present=true"),
                               ({"present": True, "serial": 1 << 32}, "32 bits"),
                               ({"present": True, "serial": "x"}, "32 bits")):
            with self.assertRaisesRegex(RuntimeError, words):
                host.request("vf", 0, **members)
        self.assertTrue(host.stats()["vf_present"])

    def test_help_and_version_are_0(self):
        for option in ("--help", "--version"):
            status, text = self.run_program("hvsim", [HVSIM, option], timeout=10)
            self.assertEqual(status, 0)
            self.assertIn("hvsim", text)
