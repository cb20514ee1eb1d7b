# SPDX-License-Identifier: BSD-3-Clause
"""hvsim top: what its screen shows while frames go, and that its keys do what they say."""
import json
import os
import re
import subprocess
import unittest

import picture
from harness import BUILD, Case, HVSIM, ROOT, wait_until
from screens import Screen, pyte

VMBUSCTL = os.path.join(BUILD, "app/vmbusctl/vmbusctl")


def row(lines, nic):
    """The words of a NIC's line in the table, or None."""
    for line in lines:
        match = re.match(rf"[ >]{nic} ", line)
        if match:
            return line[1:].split()
    return None


def frame(lines):
    """What does not depend on what happens: the heading of the table, and the keys."""
    return [line for line in lines if line.startswith((" NIC   STATE", " q quit"))]


def picture_of(name):
    with open(os.path.join(ROOT, "doc", name), encoding="utf-8") as file:
        return frame(picture.text_of(file.read()))


def number(text):
    if text == "-":
        return 0
    scale = {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1])
    return float(text[:-1]) * scale if scale else float(text)


@unittest.skipUnless(pyte, "no pyte (python3-pyte)")
class Top(Case):
    def top(self, host, *words, env=None, **keys):
        return self.own(Screen("top", [HVSIM, "top", "--interval", "0.2", *words,
                                       f"{host.dir}/control.sock"], env=env, **keys))

    def forwarding(self):
        host = self.host("gen:rate=20K,flows=8", "sink")
        pmd = self.guest(host)
        pmd.start()
        return host, pmd

    def test_traffic_and_keys(self):
        host, _ = self.forwarding()
        top = self.top(host)
        # testpmd sends what NIC 0 receives on NIC 1.
        top.shows(lambda lines: (row(lines, 0) or [""])[1:4] == ["running", "up", "synthetic"]
                  and number(row(lines, 0)[4]) > 1000 and number(row(lines, 1)[6]) > 1000)
        top.shows(lambda lines: len(lines) == 24 and "q quit" in lines[23] and any("ch 0 to guest" in x for x in lines)
                  and any("recv sections" in x for x in lines))
        self.assertIn("green", top.colours())
        # What is lost, and why.
        host.set("refuse_pct", 50, 1)
        top.shows(lambda lines: number(row(lines, 1)[8]) > 100
                  and any("NIC 1: drops, tx_refused_knob" in x for x in lines))
        host.set("refuse_pct", 0, 1)
        # The link goes down for the guest and comes back.
        top.send("l")
        wait_until(lambda: not host.stats(0)["link_up"], 10, "the link is down")
        top.shows(lambda lines: row(lines, 0)[2] == "down" and any("you: NIC 0 link down" in x for x in lines))
        top.send("l")
        wait_until(lambda: host.stats(0)["link_up"], 10, "the link is up")
        # The other NIC, by j and by the arrow key.
        top.send("j")
        top.shows(lambda lines: any(line.startswith(">1 ") for line in lines) and any("port=sink" in x for x in lines))
        top.send("s")
        wait_until(lambda: host.stats(1)["stalled"], 10, "NIC 1 is stalled")
        top.shows(lambda lines: row(lines, 1)[1] == "stalled")
        top.send("s")
        wait_until(lambda: not host.stats(1)["stalled"], 10, "NIC 1 goes on")
        top.send("\x1bOA")
        top.shows(lambda lines: any(line.startswith(">0 ") for line in lines))
        top.send("r")
        wait_until(lambda: host.stats(0)["rescinded"], 10, "NIC 0 is rescinded")
        top.shows(lambda lines: row(lines, 0)[1] == "rescinded")
        top.send("o")
        wait_until(lambda: not host.stats(0)["rescinded"], 10, "NIC 0 is offered")
        # What the host refuses is said, and nothing else happens.
        top.send("o")
        top.shows(lambda lines: any("refused: NIC 0" in x for x in lines))
        top.send("q")
        self.assertEqual(top.wait(), 0)
        self.assertIn(b"\x1b[?1049l", top.raw)  # the terminal is as it was

    def test_resize_and_a_small_terminal(self):
        host = self.host("sink", "sink", "sink")
        top = self.top(host)
        top.shows(lambda lines: row(lines, 2))
        top.resize(40, 120)
        top.shows(lambda lines: len(lines) == 40 and "q quit" in lines[39] and "q quit" not in lines[23])
        top.resize(6, 30)
        top.shows(lambda lines: len(lines) == 6 and "q quit" in lines[5] and "/" in lines[0])
        top.resize(24, 80)
        top.shows(lambda lines: len(lines) == 24 and "q quit" in lines[23] and row(lines, 2))
        top.send("q")
        self.assertEqual(top.wait(), 0)

    def test_the_picture_in_the_readme_is_of_this_view(self):
        top = self.top(self.host("sink"), rows=picture.ROWS, columns=picture.COLUMNS)
        lines = top.shows(lambda lines: row(lines, 0) and lines)
        self.assertEqual(len(frame(lines)), 2)
        self.assertEqual(picture_of("hvsim-top.svg"), frame(lines))

    def test_no_colour(self):
        host = self.host("sink")
        for env in ({"NO_COLOR": "1"}, {"TERM": "vt100"}):
            top = self.top(host, env=env)
            top.shows(lambda lines: row(lines, 0))
            self.assertEqual(top.colours(), set(), env)
            self.assertNotRegex(top.raw, rb"\x1b\[[0-9;]*[34][0-8]m")
            top.send("q")
            self.assertEqual(top.wait(), 0)

    def test_a_signal_gives_the_terminal_back(self):
        host = self.host("sink")
        top = self.top(host)
        top.shows(lambda lines: row(lines, 0))
        top.signal(15)
        self.assertEqual(top.wait(), 0)
        self.assertIn(b"\x1b[?1049l", top.raw)

    def test_the_host_goes_and_comes(self):
        host = self.host("sink")
        top = self.top(host)
        top.shows(lambda lines: row(lines, 0))
        host.stop()
        top.shows(lambda lines: any("no answer from" in x for x in lines))
        self.host("sink", "sink", directory=host.dir)
        top.shows(lambda lines: row(lines, 1) and not any("no answer from" in x for x in lines))
        top.send("q")
        self.assertEqual(top.wait(), 0)


class Scripts(Case):
    def run_top(self, *words, **env):
        run = subprocess.run([HVSIM, "top", *words], capture_output=True, text=True, timeout=20,
                             env={**os.environ, **env}, check=False)
        return run.returncode, run.stdout, run.stderr

    def test_once_and_json(self):
        host = self.host("gen", "sink")
        where = {"HYPERPOLL_VFIO_USER_DIRS": host.dir}
        status, out, err = self.run_top("--once", "--interval", "0.1", **where)
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(row(out.splitlines(), 0)[:4], ["0", "offered", "up", "synthetic"])
        status, out, err = self.run_top("--once", "--json", "--interval", "0.1", **where)
        self.assertEqual((status, err, out.count("\n")), (0, "", 1))
        nics = json.loads(out)["nics"]
        self.assertEqual([nic["device"] for nic in nics], host.guids)
        self.assertEqual([nic["rx_pps"] for nic in nics], [0, 0])

    def test_wrong_words_and_no_terminal(self):
        host = self.host("sink")
        where = {"HYPERPOLL_VFIO_USER_DIRS": host.dir}
        for words, status, says in (
                (["--interval", "0"], 2, "from 0.1 to 3600"), (["--interval", "1x"], 2, "from 0.1 to 3600"),
                (["a", "b"], 2, "one argument too many"), ([], 1, "needs a terminal"),
                ([self.path("none.sock"), "--once"], 1, "is the host running")):
            got, out, err = self.run_top(*words, **where)
            self.assertEqual((got, out), (status, ""), (words, err))
            self.assertIn(says, err)


@unittest.skipUnless(pyte, "no pyte (python3-pyte)")
class Application(Case):
    """vmbusctl top, which asks the driver."""

    def run_top(self, *words):
        run = subprocess.run([VMBUSCTL, "top", *words], capture_output=True, text=True, timeout=30, check=False)
        return run.returncode, run.stdout, run.stderr

    def test_traffic(self):
        status, out, err = self.run_top("--once")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"\Avmbusctl top: no DPDK application with netvsc ports answers in [^\n]*\n\Z")
        host = self.host("gen:rate=20K,flows=8", "sink")
        pmd = self.guest(host, telemetry=True)
        pmd.start()
        prefix = pmd.argv[pmd.argv.index("--file-prefix") + 1]
        top = self.own(Screen("top", [VMBUSCTL, "top", "--interval", "0.2"]))
        top.shows(lambda lines: (row(lines, 0) or [""])[1:4] == ["running", "up", "synthetic"]
                  and number(row(lines, 0)[4]) > 1000 and number(row(lines, 1)[6]) > 1000)
        top.shows(lambda lines: any("q 0 rx ring" in x for x in lines) and any("send sections" in x for x in lines)
                  and host.guids[0] in "".join(lines))
        self.assertEqual(picture_of("vmbusctl-top.svg"), top.shows(frame))
        host.request("link", 0, up=False)
        top.shows(lambda lines: row(lines, 0)[2] == "down" and any("NIC 0: link down (was up)" in x for x in lines))
        # A line for scripts, of the application that is named.
        status, out, err = self.run_top("--once", "--json", "--interval", "0.2", "--file-prefix", prefix)
        self.assertEqual((status, err, out.count("\n")), (0, "", 1))
        self.assertEqual([(nic["device"], nic["link"]) for nic in json.loads(out)["nics"]],
                         [(host.guids[0], "down"), (host.guids[1], "up")])
        self.assertEqual(self.run_top("--once", "--file-prefix", "other")[0], 1)
        # It ends, and the view says so and stays.
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
        top.shows(lambda lines: any("no DPDK application" in x or "no answer from" in x for x in lines))
        top.send("q")
        self.assertEqual(top.wait(), 0)

    def test_several_applications_are_named(self):
        host = self.host("sink", "sink")
        first = self.guest([host.device(0)], telemetry=True)
        second = self.guest([host.device(1)], telemetry=True)
        status, out, err = self.run_top("--once")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("2 DPDK applications have netvsc ports: choose one with --file-prefix", err)
        for pmd in first, second:
            prefix = pmd.argv[pmd.argv.index("--file-prefix") + 1]
            self.assertIn(prefix, err)
            status, out, err_of_one = self.run_top("--once", "--interval", "0.1", "--file-prefix", prefix)
            self.assertEqual((status, err_of_one), (0, ""))
