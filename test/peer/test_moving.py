# SPDX-License-Identifier: BSD-3-Clause
"""doc/moving.md against both drivers: names of statistics, and arguments of scripts."""
import os
import re

import peer
from harness import Case, ROOT, wait_until

# What the in-tree driver's documentation has, with values that mean something to it and that do not.
ARGUMENTS = [
    "latency=20,rx_copybreak=256,tx_copybreak=512,rx_extmbuf_enable=0",
    "latency=0,rx_copybreak=0,tx_copybreak=0,rx_extmbuf_enable=1",
    "latency=100000,rx_copybreak=4294967295,tx_copybreak=100000",
    *(["numa_aware=1", "numa_aware=0,latency=50"] if peer.RELEASE >= (25, 11) else []),
]


def table(heading):
    """Rows of a table of doc/moving.md: sets of names in backticks, for each of its cells."""
    with open(os.path.join(ROOT, "doc/moving.md")) as file:
        part = re.search(rf"^## {heading}$(.*?)^## ", file.read(), re.M | re.S)[1]
    rows = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]
    return [[re.findall(r"`([^`]+)`", cell.replace("\\|", "/")) for cell in row] for row in rows]


def names(xstats):
    """Names without the number of a queue; blanks, which 22.11 has, as underscores."""
    return {re.sub(r"_q\d+_", "_qN_", name).replace(" ", "_") for name in xstats}


def xstats(pmd):
    return re.findall(r"^(\w[\w ]*): \d+$", pmd.cmd("show port xstats 0"), re.M)


class Moving(Case):
    def intree(self, options=""):
        host = self.host("sink", args=["--poll", "busy"])
        pmd = self.own(peer.testpmd([host.device(options=options)])).ready()
        self.assertIn("Driver name: net_netvsc", pmd.cmd("show port info 0"))
        return pmd

    def ours(self, options="", port="sink"):
        host = self.host(port)
        return host, self.guest([host.device(options=options)])

    def test_table_has_the_statistics_of_both(self):
        theirs = names(xstats(self.intree()))
        ours = names(xstats(self.ours(",size_stats=1")[1]))
        generic = {name for name in theirs & ours if "_qN_" not in name}
        rows = table("Extended statistics")
        left = {name for row in rows for name in row[0]}
        self.assertEqual(theirs - generic - left - {f"{way}_qN_{what}" for way in ("rx", "tx")
                                                    for what in ("packets", "bytes")},
                         set(), "not in the table, though the in-tree driver has it")
        self.assertEqual(left - theirs, set(), "in the table, though the in-tree driver has it not")
        for row in rows:
            for name in row[1] + [n for n in row[2] if not re.search(r" |=|_q\d", n)]:
                self.assertIn(name, ours, row)

    def test_table_has_the_arguments(self):
        listed = {name.split("=")[0] for row in table("Device arguments") for name in row[0]}
        given = {pair.split("=")[0] for text in ARGUMENTS for pair in text.split(",")}
        self.assertEqual(given - listed, set())
        if peer.RELEASE >= (25, 11):
            self.assertEqual(listed, given)

    def test_arguments_are_accepted_by_both(self):
        for arguments in ARGUMENTS:
            with self.subTest(arguments):
                pmd = self.intree("," + arguments)
                self.assertEqual(pmd.quit(), 0)
                host, pmd = self.ours("," + arguments, "gen:size=60-1514,rate=5K")
                pmd.start()
                wait_until(lambda host=host: host.port()["verified"] >= 500, 10, "frames are back")
                self.assertEqual(host.port()["corrupt"], 0)
                self.assertEqual(pmd.quit(), 0)
                # What has no meaning here, or not that one, is told once.
                self.assertEqual(pmd.text.count("a host waits 6553 us at most"),
                                 int("latency=100000" in arguments), pmd.text)
                self.assertEqual(pmd.text.count("numa_aware has no effect"),
                                 int("numa_aware" in arguments), pmd.text)

    def test_the_way_back_is_the_same_command_line(self):
        host = self.host("sink", args=["--poll", "busy"])
        device = host.device(options=",latency=20,tx_copybreak=256")
        for env, mine, others in (({}, peer.OURS, peer.INTREE),
                                  ({"HYPERPOLL_YIELD": "1"}, peer.INTREE, peer.OURS)):
            pmd = self.guest([device], env=env, eal=[peer.LOW_MEMORY])
            self.assertIn("Driver name: net_netvsc", pmd.cmd("show port info 0"))
            found = pmd.xstats()
            for name in mine:
                self.assertIn(name, found)
            for name in others:
                self.assertNotIn(name, found)
            self.assertEqual(pmd.quit(), 0)
