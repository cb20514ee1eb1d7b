# SPDX-License-Identifier: BSD-3-Clause
"""hvsim --scenario: what is written happens, in its order, and is told; bad files are named by line."""
import os
import re

from harness import Case, HVSIM


class Scenario(Case):
    def run_hvsim(self, text, *words):
        with open(self.path("scenario"), "w", encoding="ascii") as file:
            file.write(text)
        return self.run_program("hvsim", [HVSIM, "--dir", self.dir, "--nic", "port=sink", "--nic", "port=sink",
                                          "--scenario", self.path("scenario"), *words], timeout=20)

    def test_commands_reach_the_host(self):
        host = self.host("sink", "sink", scenario="""
            # NIC 1 loses its link when NIC 0 is taken away.
            0      rescind 0
            wait 0 rescinded=true
            0      link 1 up=false
            wait 1 link_up=false
            +100ms offer 0""")
        host.scenario_ends(3)
        self.assertEqual([host.stats(n)["link_up"] for n in (0, 1)], [True, False])
        self.assertEqual(host.stats(0)["rescinded"], False)
        self.assertTrue(os.path.exists(host.socket(0)))
        self.assertEqual(host.stop(), 0)

    def test_hvsim_ends_with_it(self):
        status, text = self.run_hvsim("every 100ms to 500ms link 0 up=false\n0.6 link 0 up=true\n",
                                      "--exit-after-scenario")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"scenario \S+: ended after (?!0\.[0-5])\d+\.\d s, 6 commands, 0 failed")
        self.assertRegex(text, r"NIC 0 .*\n  sessions")

    def test_a_command_that_fails_is_named_and_the_rest_is_done(self):
        status, text = self.run_hvsim("0 set 0 name=stall value=much\n0.1 link 1 up=false\n",
                                      "--exit-after-scenario")
        self.assertEqual(status, 1, text)
        self.assertRegex(text, r"/scenario:1: set 0 name=stall value=much: bad value for knob stall")
        self.assertRegex(text, r", 2 commands, 1 failed")
        status, text = self.run_hvsim("wait within 200ms 0 state=running\n0 link 0 up=false\n", "--exit-after-scenario")
        self.assertEqual(status, 1, text)
        self.assertRegex(text, r"/scenario:1: wait within 200ms 0 state=running: not so within 0\.2 s")

    def test_wrong_files_are_2(self):
        for text, says in (("1 link 0 up=true\nsoon\n", r"/scenario:2: 'soon' is no time"), ("", "no command in it"),
                           ("1 link 2 up=true\n", "there is no NIC 2; the last one is 1")):
            status, out = self.run_hvsim(text)
            self.assertEqual(status, 2, out)
            self.assertEqual(out.count("\n"), 1, out)
            self.assertRegex(out, says)
        status, out = self.run_program("hvsim", [HVSIM, "--dir", self.dir, "--nic", "port=sink",
                                                 "--exit-after-scenario"])
        self.assertEqual(status, 2, out)
        self.assertTrue(re.search("needs --scenario", out), out)
