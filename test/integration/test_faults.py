# SPDX-License-Identifier: BSD-3-Clause
"""A host that breaks the rules: the guest counts, gives back, reports, and never ends."""
import os
import time

from harness import HVSIM, Case, wait_until


class Faults(Case):
    def grows(self, host, field, by, timeout=10, number=0):
        """Wait until a counter of a port has grown."""
        before = host.port(number)[field]
        wait_until(lambda: host.port(number)[field] >= before + by, timeout, f"{by} more {field}")

    def test_malformed_messages_cost_no_section(self):
        """With few sections, one lost per bad message would end reception at once."""
        host = self.host("gen:size=60-1514,flows=64,rate=50K", "gen:rate=10K")
        host.set("recv_sections", 256)
        host.set("malformed_rx_pct", 30)
        pmd = self.guest(host, queues=2, args=["--port-topology=loop"])
        pmd.start()
        self.grows(host, "verified", 10000)
        self.grows(host, "verified", 1000, number=1)
        self.assertGreater(pmd.xstats()["rx_malformed"], 256)
        host.set("malformed_rx_pct", 0)
        time.sleep(0.2)
        before = pmd.xstats()["rx_malformed"]
        self.grows(host, "verified", 10000)
        self.assertEqual(pmd.xstats()["rx_malformed"], before)
        self.assertEqual(host.port()["corrupt"], 0)
        self.assertEqual(pmd.quit(), 0)

    def test_refused_sends_are_errors(self):
        host = self.host("gen:size=60-1514,flows=64,rate=20K,count=20000")
        host.set("refuse_pct", 20)
        pmd = self.guest(host, queues=2)
        pmd.start(patient="io")
        wait_until(lambda: pmd.stats()["RX-packets"] == 20000, 10, "all frames received")
        pmd.stop()
        pmd.cmd("port stop 0")
        stats = pmd.stats()
        self.assertGreater(stats["TX-errors"], 1000)
        self.assertEqual(stats["TX-packets"] + stats["TX-errors"], 20000)
        self.assertEqual(stats["TX-packets"], host.port()["verified"])

    def test_corrupt_ring_ends_one_port_until_its_reset(self):
        host = self.host("gen:size=60-1514,flows=64,rate=50K", "gen:rate=50K")
        pmd = self.guest(host, queues=2, args=["--port-topology=loop"])
        for channel in (0, 1):
            pmd.start()
            self.grows(host, "verified", 2000)
            with pmd.changed:
                start = len(pmd.text)
            host.set("corrupt_ring", channel)
            pmd.expect("broke the inbound ring", 5, start)
            self.grows(host, "verified", 2000, number=1)
            pmd.stop()
            pmd.cmd("port stop 0")
            pmd.cmd("port reset 0")
            self.assertIn("Done", pmd.cmd("port start 0"))
        pmd.start()
        self.grows(host, "verified", 2000)
        self.grows(host, "verified", 2000, number=1)
        self.assertEqual(pmd.quit(), 0)

    def test_other_sections_and_fewer_channels_after_a_reset(self):
        """Sections are divided anew even where the channels do not suffice."""
        host = self.host("gen:size=60-1514,flows=64,rate=50K")
        pmd = self.guest(host, queues=2, args=["--rxq=4"])
        pmd.start()
        self.grows(host, "verified", 1000)
        host.set("corrupt_ring", 0)
        pmd.expect("broke the inbound ring", 5)
        pmd.stop()
        pmd.cmd("port stop 0")
        pmd.cmd("port reset 0")
        host.set("grant", 1)
        host.set("send_section", 32768)
        pmd.cmd("port start 0")
        pmd.expect("granted 2 of the 4 channels")
        pmd.cmd("port config all rxq 2")
        pmd.cmd("port config all txq 2")
        self.assertIn("Done", pmd.cmd("port start 0"))
        pmd.start()
        errors = host.stats()["tx_errors"]
        self.grows(host, "verified", 20000)
        self.assertEqual(host.stats()["tx_errors"], errors)
        self.assertEqual(host.port()["corrupt"], 0)
        self.assertEqual(pmd.quit(), 0)

    def test_notices_behind_unread_frames_do_not_stop_sends(self):
        """A scan remembers only so many messages that it handled ahead of receive."""
        # More than the host queues are lost.
        host = self.host("gen:size=60,flows=16,count=100", scenario="""
            wait 0 rx_frames>=100  # they wait in the ring
            every 25ms to 1 set 0 name=network_change value=1""")
        pmd = self.guest(host, mode="txonly")
        host.scenario_ends(40)
        pmd.start()
        self.grows(host, "tx_frames", 50000)
        pmd.stop()
        self.assertIn("Done", pmd.cmd("port stop 0"))
        self.assertEqual(pmd.xstats()["tx_bad_completions"], 0)
        self.assertEqual(pmd.quit(), 0)

    def test_guid_in_capitals(self):
        """Attaching a device that is there already, in another spelling, must not free its devargs."""
        guid = "48795065-7230-4000-8000-abcdefabcdef"
        path = f"{self.dir}/{guid}.sock"
        self.own(self.program("hvsim", [HVSIM, "--dir", self.dir, "--nic", f"guid={guid},port=sink"]))
        wait_until(lambda: os.path.exists(path), 10, "hvsim serves the NIC")
        pmd = self.guest([f"vmbus:{guid},vfio-user={path}"])
        capitals = f"vmbus:{guid.upper()},vfio-user={path}"
        for _ in range(2):
            pmd.cmd(f"port attach {capitals}")
            self.assertIn(f"vfio-user={path}", pmd.cmd("show device info all"))
            pmd.cmd("port stop 0")
            pmd.cmd("port close 0")
            self.assertIn("is detached", pmd.cmd(f"device detach vmbus:{guid}"))
            self.assertIn("Port 0 is attached", pmd.cmd(f"port attach {capitals}"))
        self.assertEqual(pmd.quit(), 0)
