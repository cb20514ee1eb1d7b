# SPDX-License-Identifier: BSD-3-Clause
"""What the in-tree driver and testpmd do in some DPDK releases only: doc/peer.md."""
import re
import signal

import frames
import peer
from harness import Case, wait_until
from test_forward import as_is, mac, macswap


class Releases(Case):
    def grows(self, host, field, by, timeout=10):
        before = host.port()[field]
        wait_until(lambda: host.port()[field] >= before + by, timeout, f"{by} more {field}")

    def test_polls(self):
        """testpmd of 22.11 skips queues that their driver does not say are started."""
        count = 200  # what its staging ring holds
        host = self.host(("outstanding=0", f"gen:rate=2K,count={count}"), args=["--poll", "busy"])
        host.hold()
        pmd = self.own(peer.testpmd(host)).ready()
        pmd.start()
        host.hold(False)
        wait_until(lambda: host.port()["finished"], 10, "everything is generated")
        if peer.TESTPMD_POLLS:
            wait_until(lambda: host.port()["verified"] >= count, 10, "all frames are back")
            self.assert_intact(host.port(), count)
        else:
            stopped = pmd.stop()  # it has had the time of all that follows the last frame
            self.assertRegex(stopped, r"RX-packets: 0 ")
            self.assertEqual(host.port()["tx_frames"], 0)
        self.assertEqual(pmd.quit(), 0)

    def check(self, mode, change, queues):
        """As Forward.check() of the integration suite, at a rate that its staging rings bear."""
        sent = frames.every_size()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')},rate=5000",
                         args=["--poll", "busy"])
        host.hold()
        pmd = self.own(peer.testpmd(host, queues, mode)).ready()
        pmd.start(patient=mode)
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15, f"{len(sent)} frames are back")
        pmd.stop()
        xstats = pmd.xstats()
        # What it has sent it counts when it comes to look at the completion: not in time for us.
        self.assertEqual(pmd.stats()["RX-packets"], len(sent))
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        spread = [xstats[f"rx_q{n}_packets"] for n in range(queues)]
        self.assertGreaterEqual(sum(n > 0 for n in spread), min(queues, 2), spread)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")),
                                [change(frame) for frame in sent], ordered=queues == 1)

    def test_detach_and_attach(self):
        """Until 26.03 its bus has no unplug, so that the device stays."""
        host = self.host("gen:rate=5K", args=["--poll", "busy"])
        pmd = self.own(peer.testpmd(host)).ready()
        for line in ("port stop 0", "port close 0"):
            pmd.cmd(line)
        text = pmd.cmd(f"device detach {host.guids[0]}")
        if not peer.UNPLUG:
            self.assertNotIn("is detached", text)
            self.assertEqual(pmd.quit(), 0)
            return
        for _ in range(3):
            self.assertIn("is detached", text)
            self.assertIn("Number of available ports: 0", pmd.cmd("show port summary all"))
            text = pmd.cmd(f"port attach {host.device()}")
            self.assertIn("is attached", text)
            port = re.search(r"Port (\d+) is attached", text).group(1)
            self.assertIn("Done", pmd.cmd(f"port start {port}"))
            pmd.cmd(f"set portlist {port}")
            pmd.start()
            self.grows(host, "verified", 1000)
            for line in ("stop", f"port stop {port}", f"port close {port}"):
                pmd.cmd(line)
            text = pmd.cmd(f"device detach {host.guids[0]}")
        self.assertEqual(pmd.quit(), 0)


    def test_withdrawn_nic(self):
        """Pitfall B4: no release tells the application; test_removal* of the rig do it with ours."""
        host = self.host("gen:rate=5K", args=["--poll", "busy"])
        pmd = self.own(peer.testpmd(host, env={"RIG_VERBOSE": "1"})).ready()
        pmd.start()
        host.request("rescind", 0)
        pmd.expect("withdrawn", 10)
        # Not by what shows the link: it asks the host for that, and waits for an answer for up to a minute.
        self.assertIn("NIC statistics for port 0", pmd.cmd("show port stats 0"))
        self.assertNotIn("removal event", pmd.text)

    def test_without_a_monitor_page(self):
        """Kernels since 6.10 have channels without one; until 25.07 its bus passes them over."""
        host = self.host("gen:rate=5K", args=["--poll", "busy"])
        app = self.own(peer.forwarder(host, 1, env={"RIG_MONITOR": "none"}))
        if peer.NO_MONITOR:
            app.expect("forwarding on 1 ports", 20)
            self.grows(host, "verified", 1000)
        else:
            app.expect("forwarding on 0 ports", 20)
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)


def add(name, check, *args):
    setattr(Releases, "test_" + name, lambda self: check(self, *args))


if peer.TESTPMD_POLLS:
    for q in (1, 2, 4):
        for mode_name, changed in (("io", as_is), ("mac", mac), ("macswap", macswap)):
            add(f"{mode_name}_{q}q_every_size", Releases.check, mode_name, changed, q)
