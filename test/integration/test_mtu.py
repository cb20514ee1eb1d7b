# SPDX-License-Identifier: BSD-3-Clause
"""MTU: frames of each size up to the host's largest, changes of it stopped and started, refusals."""
import random

import frames
from harness import Case, wait_until

JUMBO = 9000
BIG = ["--mbuf-size=10240"]  # room for a frame of 9,216 bytes of IP


def sizes(largest, seed=3):
    """Frames of 14 bytes to the largest: all small ones, all near a limit, and some between."""
    rand = random.Random(seed)
    limits = (128, 1514, 1518, 2048, 4096, 6144, 8192, 9014, largest)
    lengths = set(range(14, 130)) | {
        n + d for n in limits for d in range(-9, 6) if 14 <= n + d <= largest}
    lengths |= set(rand.sample(range(60, largest), 200))
    # Addresses and an EtherType that nobody looks into, or UDP with flows for RSS.
    return [frames.udp_frame(n, n % 16, rand) if n >= 60 else
            (frames.GUEST_MAC + frames.HOST_MAC + b"\x88\xb5" + rand.randbytes(n))[:n]
            for n in sorted(lengths)]


class Mtu(Case):
    limit = 90

    def play(self, sent, mtu, queues, devargs="", nic="", ordered=True):
        """Forward a capture by a port whose MTU was set at configure; what came back."""
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host((nic, f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}"))
        host.set("rx_wait", 1)
        host.hold()
        pmd = self.guest([host.device(options=devargs)], queues=queues,
                         args=[*BIG, f"--max-pkt-len={mtu + 18}"])
        self.assertIn(f"MTU: {mtu}\n", pmd.cmd("show port info 0"))
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 20, f"{len(sent)} frames are back")
        pmd.stop()
        stats = pmd.stats()
        self.assertEqual((stats["RX-missed"], stats["RX-errors"], stats["TX-errors"]), (0, 0, 0))
        self.assertEqual(stats["RX-bytes"], sum(map(len, sent)))
        xstats = pmd.xstats()
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent, ordered=ordered)
        return xstats

    def check_sizes(self, mtu, queues, **keys):
        return self.play(sizes(mtu + 14), mtu, queues, ordered=queues == 1, **keys)

    def test_every_size_to_1500_1q(self):
        self.check_sizes(1500, 1)

    def test_every_size_to_9000_1q(self):
        xstats = self.check_sizes(JUMBO, 1)
        # What no section of the send buffer holds goes by reference.
        self.assertGreater(xstats["tx_q0_by_reference"], 0)
        self.assertGreater(xstats["tx_q0_aggregated"], 0)

    def test_every_size_to_9000_4q(self):
        xstats = self.check_sizes(JUMBO, 4)
        self.assertGreater(sum(xstats[f"rx_q{n}_packets"] > 0 for n in range(4)), 1)

    def test_every_size_to_the_hosts_largest(self):
        self.check_sizes(9216, 1)

    def test_every_size_by_reference(self):
        self.check_sizes(JUMBO, 1, devargs=",tx_copybreak=0")

    def test_every_size_through_large_sections(self):
        """A host whose send sections hold a jumbo frame: all are copied."""
        xstats = self.check_sizes(JUMBO, 1, nic="send_section=16384")
        self.assertEqual(xstats["tx_q0_by_reference"], 0)

    def test_max_mtu_is_what_the_host_allows(self):
        """Also of a host that silently has 1,500, or its largest, when it is asked for more
        (spec/nvsp.md §3)."""
        for mtu, clamp in ((9216, 0), (4000, 0), (4000, 1), (1500, 0)):
            host = self.host((f"mtu={9216 if clamp else mtu}", "sink"))
            host.set("max_mtu", mtu)
            host.set("clamp_mtu", clamp)
            pmd = self.guest(host, args=BIG)
            pmd.cmd("port stop 0")
            pmd.cmd(f"port config mtu 0 {mtu}")
            self.assertIn(f"MTU: {mtu}\n", pmd.cmd("show port info 0"))
            text = pmd.cmd(f"port config mtu 0 {mtu + 1}")
            self.assertRegex(text, "(?i)invalid|larger|failed|max")
            self.assertIn(f"MTU: {mtu}\n", pmd.cmd("show port info 0"))
            self.assertEqual(pmd.quit(), 0)
            host.stop()

    # ---- changes ----

    def forwarding(self, queues, mtu=1500, size="60-9014", nic=""):
        host = self.host((nic, f"gen:size={size},flows=64,seed=8,rate=20K"))
        host.set("rx_wait", 1)
        pmd = self.guest(host, queues=queues, args=[*BIG, f"--max-pkt-len={mtu + 18}"])
        pmd.start()
        return host, pmd

    def grows(self, host, field, by, timeout=15):
        before = host.port()[field]
        wait_until(lambda: host.port()[field] >= before + by, timeout, f"{by} more {field}")

    def check_change(self, queues):
        """Under traffic of all sizes, with the port started and stopped by turns."""
        host, pmd = self.forwarding(queues)
        self.grows(host, "verified", 100)
        dropped = host.stats()["rx_dropped_size"]
        self.assertGreater(dropped, 0, "frames above the MTU stay with the host")
        for turn, mtu in enumerate((JUMBO, 1500, JUMBO)):
            if turn == 2:
                pmd.stop()
                pmd.cmd("port stop 0")
            text = pmd.cmd(f"port config mtu 0 {mtu}")
            self.assertNotRegex(text, "(?i)fail|error|cannot")
            if turn == 2:
                pmd.cmd("port start 0")
                pmd.start()
            self.assertIn(f"MTU: {mtu}\n", pmd.cmd("show port info 0"))
            self.grows(host, "verified", 2000)
            before = host.stats()["rx_dropped_size"]
            self.grows(host, "verified", 2000)
            if mtu == JUMBO:
                self.assertEqual(host.stats()["rx_dropped_size"], before)
            else:
                self.assertGreater(host.stats()["rx_dropped_size"], before)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_change_under_traffic_1q(self):
        self.check_change(1)

    def test_change_under_traffic_4q(self):
        self.check_change(4)

    def test_refused_mtu_keeps_forwarding(self):
        """The host has no room for such sections any more: the port goes on with the old MTU."""
        host, pmd = self.forwarding(1, size="60-1514")
        self.grows(host, "verified", 1000)
        host.set("max_mtu", 1500)
        for started in (True, False):
            if not started:
                pmd.stop()
                pmd.cmd("port stop 0")
            self.assertIn("MTU 9000: the host allows 1500", pmd.cmd("port config mtu 0 9000"))
            if not started:
                pmd.cmd("port start 0")
                pmd.start()
            self.assertIn("MTU: 1500\n", pmd.cmd("show port info 0"))
            self.grows(host, "verified", 2000)
            host.set("max_mtu", 0)
            pmd.cmd("port config mtu 0 4000")
            self.grows(host, "verified", 1000)
            pmd.cmd("port config mtu 0 1500")
            host.set("max_mtu", 1500)
        self.assertEqual(host.port()["corrupt"], 0)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_pool_too_small_names_itself(self):
        host = self.host("gen:size=60-1514,flows=64,rate=20K")
        pmd = self.guest(host)
        pmd.start()
        self.grows(host, "verified", 500)
        self.assertRegex(pmd.cmd("port config mtu 0 9000"),
                         r"mbufs of pool \S+ hold 2048 bytes, frames of MTU 9000 need 9018")
        self.grows(host, "verified", 500)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_what_is_configured_survives(self):
        """MAC address, promiscuous mode, RSS table and counters are as they were."""
        host, pmd = self.forwarding(4)
        self.grows(host, "verified", 500)
        pmd.cmd("set promisc 0 off")
        pmd.cmd("set allmulti 0 on")
        pmd.cmd("mac_addr set 0 02:00:00:00:00:77")
        pmd.cmd("port config 0 rss reta (0,3),(1,3)")
        before = pmd.stats()
        self.assertGreater(before["RX-packets"], 0)
        pmd.cmd("port config mtu 0 9000")
        info = pmd.cmd("show port info 0")
        self.assertIn("MTU: 9000\n", info)
        self.assertIn("02:00:00:00:00:77", info)
        self.assertIn("Promiscuous mode: disabled", info)
        self.assertIn("Allmulticast mode: enabled", info)
        self.assertRegex(pmd.cmd("show port 0 rss reta 128 (0x3,0x0)"),
                         r"hash index=0, queue=3\s+RSS RETA configuration: hash index=1, queue=3")
        after = pmd.stats()
        self.assertEqual({name: count for name, count in after.items() if count < before[name]}, {})
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
