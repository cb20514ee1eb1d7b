# SPDX-License-Identifier: BSD-3-Clause
"""Our plugin and the in-tree pair in one process (spec/dpdk-driver-api.md §2)."""
import re
import signal

import peer
from harness import PLUGIN, Case, Testpmd, wait_until


class Coexist(Case):
    def check_ours(self, pmd, host):
        self.assertEqual(pmd.text.count("took the place of the in-tree bus"), 1)
        self.assertIn("Number of available ports: 1", pmd.cmd("show port summary all"))
        self.assertIn("Driver name: net_netvsc", pmd.cmd("show port info 0"))
        xstats = pmd.xstats()
        for name in peer.OURS:
            self.assertIn(name, xstats)
        for name in peer.INTREE:
            self.assertNotIn(name, xstats)
        pmd.start()
        wait_until(lambda: host.port()["verified"] >= 5000, 10, "frames come back")
        self.assertEqual(pmd.quit(), 0)

    def test_ours_serves_the_device(self):
        host = self.host("gen:rate=50K")
        self.check_ours(self.guest(host), host)

    def test_ours_serves_the_device_though_loaded_last(self):
        host = self.host("gen:rate=50K")
        # -d of the in-tree pair must come before ours: through the memory options.
        memory = [*peer.in_tree_plugins(), *peer.harness.memory_args()]
        self.check_ours(self.guest(host, memory=memory), host)

    def test_in_tree_serves_the_device_when_we_yield(self):
        """testpmd sees the port; whether it forwards with this driver: test_intree.py."""
        host = self.host("gen:rate=50K", args=["--poll", "busy"])
        pmd = self.own(Testpmd(host, env={"HYPERPOLL_YIELD": "1"}, eal=[peer.LOW_MEMORY])).ready()
        self.assertNotIn("hyperpoll:", pmd.text)
        self.assertIn("Number of available ports: 1", pmd.cmd("show port summary all"))
        self.assertIn("Driver name: net_netvsc", pmd.cmd("show port info 0"))
        xstats = pmd.xstats()
        for name in peer.INTREE:
            self.assertIn(name, xstats)
        for name in peer.OURS:
            self.assertNotIn(name, xstats)
        self.assertEqual(pmd.quit(), 0)

    def check_l2fwd(self, count, *eal, env=None):
        nic = f"gen:size=60-1514,rate=20K,window=256,count={count}"
        host = self.host(nic, nic, args=["--poll", "busy"])
        host.hold()
        app = self.own(peer.intree(host, "--no-mac-updating", eal=["-d", PLUGIN, *eal], env=env))
        app.expect("entering main loop", 20)
        host.hold(False)
        for n in range(2):
            wait_until(lambda: host.port(n)["tx_frames"] >= count, 15, f"NIC {n} has all frames")
            port = host.port(n)
            self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.assertEqual(len(re.findall(r"^Initializing port", app.text, re.M)), 2)
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)
        return app

    def test_in_tree_forwards_when_we_yield(self):
        app = self.check_l2fwd(10000, env={"HYPERPOLL_YIELD": "1"})
        self.assertNotIn("hyperpoll:", app.text)

    def test_ours_forwards_without_device_arguments(self):
        """The same command line without the variable: both NICs found in sysfs, none twice."""
        app = self.check_l2fwd(10000)
        self.assertEqual(app.text.count("took the place of the in-tree bus"), 1)
