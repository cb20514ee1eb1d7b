# SPDX-License-Identifier: BSD-3-Clause
"""Frames through stock testpmd in each forwarding mode, with 1, 2 and 4 queue pairs."""
from collections import Counter

import frames
from harness import RELEASE, Case, wait_until

QUEUES = (1, 2, 4)
PEER = bytes.fromhex("020000000000")  # where testpmd's mac mode sends what leaves port 0


def as_is(frame):
    return frame


def mac(frame):
    return PEER + frames.GUEST_MAC + frame[12:]


def macswap(frame):
    return frame[6:12] + frame[:6] + frame[12:]


class Forward(Case):
    def play(self, sent, mode, queues, devargs="", **keys):
        """Forward a capture; (frames recorded, per-queue receive counts)."""
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}")
        host.hold()
        pmd = self.guest([host.device(options=devargs)], mode=mode, queues=queues, **keys)
        pmd.start(patient=mode)
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15,
                   f"{len(sent)} frames are back")
        pmd.stop()
        stats, xstats = pmd.stats(), pmd.xstats()
        self.assertEqual((stats["RX-packets"], stats["TX-packets"]), (len(sent), len(sent)))
        self.assertEqual((stats["RX-missed"], stats["RX-errors"], stats["RX-nombuf"],
                          stats["TX-errors"]), (0, 0, 0, 0))
        octets = sum(map(len, sent))
        self.assertEqual((stats["RX-bytes"], stats["TX-bytes"]), (octets, octets))
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        self.assertIn("NIC", host.text, "hvsim prints totals at its end")
        spread = [xstats[f"rx_q{n}_packets"] for n in range(queues)]
        self.assertEqual(sum(spread), len(sent))
        return frames.pcap_read(self.path("out.pcap")), spread

    def check(self, mode, change, queues):
        sent = frames.every_size()
        got, spread = self.play(sent, mode, queues)
        self.assert_same_frames(got, [change(frame) for frame in sent], ordered=queues == 1)
        self.assertGreaterEqual(sum(n > 0 for n in spread), min(queues, 2), spread)

    def test_capture_identity(self):
        """ARP, IPv4, IPv6, VLAN, fragments, unknown types and odd sizes."""
        sent = frames.mixed_capture()
        got, _ = self.play(sent, "io", 1)
        self.assert_same_frames(got, sent)

    def test_capture_identity_without_copies(self):
        """The same with every frame sent as page ranges."""
        sent = frames.mixed_capture()
        got, _ = self.play(sent, "io", 1, devargs=",tx_copybreak=0")
        self.assert_same_frames(got, sent)

    def check_recycling(self):
        """testpmd offers to recycle mbufs, which the driver leaves to the pool's cache."""
        sent = frames.every_size()
        got, _ = self.play(sent, "recycle_mbufs", 1)
        self.assert_same_frames(got, sent)

    def check_generated(self, queues):
        """Random sizes, many flows, several rings full."""
        count = 40000
        host = self.host(f"gen:size=60-1514,flows=64,seed=5,count={count}")
        host.set("rx_wait", 1)
        pmd = self.guest(host, queues=queues)
        pmd.start(patient="io")
        wait_until(lambda: host.port()["tx_frames"] >= count, 20, f"{count} frames are back")
        port = host.port()
        self.assert_intact(port, count)
        self.assertEqual(port["reordered"], 0)
        stats = pmd.stats()
        self.assertEqual((stats["RX-packets"], stats["TX-packets"]), (count, count))
        self.assertEqual((stats["RX-bytes"], stats["TX-bytes"]),
                         (port["rx_bytes"], port["tx_bytes"]))

    def check_rxonly(self, queues):
        count = 30000
        host = self.host(f"gen:size=60-1514,flows=64,count={count}")
        host.set("rx_wait", 1)
        pmd = self.guest(host, mode="rxonly", queues=queues)
        pmd.start()
        wait_until(lambda: pmd.stats()["RX-packets"] >= count, 20, f"{count} frames are received")
        stats, port = pmd.stats(), host.port()
        self.assertEqual((stats["RX-packets"], stats["RX-bytes"]), (count, port["rx_bytes"]))
        self.assertEqual((stats["TX-packets"], port["tx_frames"]), (0, 0))

    def check_txonly(self, queues, lengths="60"):
        host = self.host(f"pcap:out={self.path('out.pcap')}")
        pmd = self.guest(host, mode="txonly", queues=queues)
        pmd.cmd(f"set txpkts {lengths}")
        pmd.start()

        def all_send():
            xstats = pmd.xstats()
            return all(xstats[f"tx_q{n}_packets"] > 100 for n in range(queues))

        wait_until(all_send, 15, "each queue sends")
        pmd.stop()
        sent = pmd.stats()["TX-packets"]
        wait_until(lambda: host.port()["tx_frames"] >= sent, 15, f"the host has {sent} frames")
        xstats = pmd.xstats()
        self.assertTrue(all(xstats[f"tx_q{n}_packets"] > 0 for n in range(queues)), xstats)
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        got = Counter(frames.pcap_read(self.path("out.pcap")))
        self.assertEqual(sum(got.values()), sent)
        self.assertGreater(sent, 100)
        size = sum(map(int, lengths.split(",")))
        for frame in got:
            self.assertEqual(len(frame), size)
            self.assertEqual(frame[:14], PEER + frames.GUEST_MAC + b"\x08\0")
            self.assertEqual(frames.checksum(frame[14:34]), 0)
            self.assertEqual(int.from_bytes(frame[16:18], "big"), size - 14)
            # testpmd leaves the payload as it finds the mbuf; its UDP header it writes.
            self.assertEqual(int.from_bytes(frame[38:40], "big"), size - 34)

    def test_txonly_chained_mbufs(self):
        self.check_txonly(1, "60,100,1354")

    def test_two_nics_in_one_process(self):
        sent = [frames.every_size(seed=10), frames.every_size(seed=11)]
        ports = []
        for n in range(2):
            frames.pcap_write(self.path(f"in{n}.pcap"), sent[n])
            ports.append(f"pcap:in={self.path(f'in{n}.pcap')},out={self.path(f'out{n}.pcap')}")
        host = self.host(*ports)
        host.hold()
        pmd = self.guest(host, queues=2)
        pmd.start(patient="io")
        host.hold(False)
        for n in range(2):
            wait_until(lambda: host.port(n)["tx_frames"] >= len(sent[1 - n]), 15,
                       f"NIC {n} has the frames of the other")
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        for n in range(2):
            self.assert_same_frames(frames.pcap_read(self.path(f"out{n}.pcap")), sent[1 - n],
                                    ordered=False)


def add(name, check, *args):
    setattr(Forward, "test_" + name, lambda self: check(self, *args))


for q in QUEUES:
    for mode_name, changed in (("io", as_is), ("mac", mac), ("macswap", macswap)):
        add(f"{mode_name}_{q}q_every_size", Forward.check, mode_name, changed, q)
    add(f"io_{q}q_generated", Forward.check_generated, q)
    add(f"rxonly_{q}q", Forward.check_rxonly, q)
    add(f"txonly_{q}q", Forward.check_txonly, q)
if RELEASE >= (23, 11):
    add("recycle_mbufs", Forward.check_recycling)
