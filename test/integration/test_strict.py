# SPDX-License-Identifier: BSD-3-Clause
"""The host's rules, with stock testpmd: source MACs, announced limits, the link, and the books."""
import random

import frames
from harness import SANITIZED, Case, wait_until

COUNT = 400


def some_frames():
    """Small frames to the guest from an address that is not its own."""
    rand = random.Random(7)
    return [frames.udp_frame(60 + n % 40, n % 16, rand) for n in range(COUNT)]


class Strict(Case):
    hvsim = SANITIZED

    def forward(self, mode, settings, knobs=(), args=()):
        """Play a capture through testpmd; (frames that came out, NIC's counters, host)."""
        frames.pcap_write(self.path("in.pcap"), some_frames())
        host = self.host((settings, f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}"))
        for name, value in knobs:
            host.set(name, value)
        host.hold()
        pmd = self.guest(host, mode=mode, args=args)
        pmd.start(patient=mode)
        host.hold(False)
        nic = wait_until(lambda: self.all_back(host.stats()), 15, f"all came back: {host.stats()}")
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        return frames.pcap_read(self.path("out.pcap")), nic, host

    @staticmethod
    def all_back(nic):
        lost = sum(value for key, value in nic.items() if "tx_dropped_" in key)
        return nic if nic["tx_frames"] + lost >= COUNT else None

    def test_foreign_source_macs_are_dropped_and_counted(self):
        out, nic, host = self.forward("io", "spoof=off")
        self.assertEqual(out, [])
        self.assertEqual((nic["tx_dropped_spoof"], nic["tx_frames"], nic["tx_errors"]),
                         (COUNT, 0, 0))
        self.assertEqual(nic["port_stats"]["tx_frames"], 0)
        # Said, but not for every frame.
        self.assertEqual(host.text.count("foreign source MAC"), 1, host.text)
        self.assertIn("spoof=on", host.text)
        self.assertIn(f"tx_dropped_spoof {COUNT}", host.text)

    def test_totals_name_what_was_lost(self):
        """The totals have each counter that is not 0 by its name, and no "1 frames"."""
        host = self.host("pcap:out=" + self.path("out.pcap"))
        host.stop()
        self.assertIn("no drops", host.text)
        self.assertNotRegex(host.text, r"\b[01] [a-z]+s\b")

    def test_spoofing_is_off_unless_it_is_allowed(self):
        """Without spoof= on the command line: as on Windows."""
        out, nic, host = self.forward("io", None)
        self.assertNotIn("spoof", " ".join(host.argv))
        self.assertEqual((out, nic["tx_dropped_spoof"]), ([], COUNT))

    def test_own_source_mac_passes(self):
        out, nic, _ = self.forward("mac", "spoof=off")
        self.assertEqual(len(out), COUNT)
        self.assertTrue(all(frame[6:12] == frames.GUEST_MAC for frame in out))
        self.assert_same_frames([f[12:] for f in out], [f[12:] for f in some_frames()])
        self.assertEqual(nic["tx_dropped_spoof"], 0)

    def limits(self, *knobs):
        out, nic, _ = self.forward("io", "", knobs)
        self.assert_same_frames(out, some_frames())
        self.assertEqual((nic["tx_errors"], nic["tx_frames"]), (0, COUNT), nic)
        return nic

    def test_one_message_per_send(self):
        nic = self.limits(("max_messages", 1))
        self.assertGreaterEqual(nic["tx_packets"], COUNT)

    def test_few_messages_per_send(self):
        self.limits(("max_messages", 3))

    def test_wide_alignment(self):
        self.limits(("align_factor", 5))

    def test_small_transfer_size(self):
        self.limits(("max_transfer", 300))

    def test_frames_sent_while_the_link_is_down(self):
        host = self.host(f"pcap:out={self.path('out.pcap')}")
        pmd = self.guest(host, mode="txonly")
        pmd.start()
        wait_until(lambda: host.stats()["tx_frames"] > 100, 10, "frames come out")
        host.request("link", 0, up=False)
        before = host.stats()
        wait_until(lambda: host.stats()["tx_dropped_link"] > 100, 10, "frames are lost")
        after = host.stats()
        self.assertEqual(after["tx_frames"], before["tx_frames"])
        self.assertEqual(after["tx_errors"], 0)
        host.request("link", 0, up=True)
        wait_until(lambda: host.stats()["tx_frames"] > before["tx_frames"], 10, "it goes on")
        pmd.stop()
        sent = pmd.stats()["TX-packets"]
        nic = wait_until(lambda: self.settled(host, sent), 10, f"{sent} frames are accounted for")
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        self.assertEqual(len(frames.pcap_read(self.path("out.pcap"))), nic["tx_frames"])

    @staticmethod
    def settled(host, sent):
        nic = host.stats()
        return nic if nic["tx_frames"] + nic["tx_dropped_link"] == sent else None

    def test_the_books_balance(self):
        """Under load with a guest that comes and goes: every frame of the port is accounted for."""
        host = self.host("gen:size=60-1514,flows=16,rate=200K")
        host.set("recv_sections", 64)
        pmd = self.guest(host)
        pmd.start()
        wait_until(lambda: host.stats()["rx_frames"] > 2000, 10, "frames arrive")
        host.request("link", 0, up=False)
        host.request("link", 0, up=True)
        pmd.stop()
        pmd.quit()
        nic = host.stats()
        lost = sum(value for key, value in nic.items() if key.startswith("rx_dropped_"))
        self.assertEqual(nic["port_stats"]["rx_frames"], nic["rx_frames"] + lost, nic)
        self.assertEqual(nic["port_stats"]["tx_frames"], nic["tx_frames"], nic)
        refused = sum(value for key, value in nic.items() if key.startswith("tx_refused_"))
        self.assertEqual(nic["tx_errors"], refused, nic)
