# SPDX-License-Identifier: BSD-3-Clause
"""Receive offloads with stock testpmd: what mbufs tell, and frames byte by byte at the port."""
import random
import re
import struct

import frames
from harness import SANITIZED, Case, Testpmd, wait_until

TAGGED = 0xB123  # priority 5, DEI, VLAN 291


def l4_sum(packet, protocol, at):
    """An IPv4 packet with the checksum of its L4 header, at this offset in it, filled in."""
    head = packet[:20]
    segment = packet[20:20 + at] + b"\0\0" + packet[22 + at:]
    pseudo = head[12:20] + struct.pack(">BBH", 0, protocol, len(segment))
    total = frames.checksum(pseudo + segment)
    return head + segment[:at] + struct.pack(">H", total or 0xFFFF) + segment[at + 2:]


def tcp_packet(size=200, seed=1):
    header = struct.pack(">HHIIHHHH", 1, 2, 3, 4, 0x5010, 512, 0, 0)
    payload = random.Random(seed).randbytes(size)
    return l4_sum(frames.ipv4(6, header + payload), 6, 16)


def udp_packet(size=200, seed=2):
    payload = random.Random(seed).randbytes(size)
    return l4_sum(frames.ipv4(17, frames.udp(payload)), 17, 6)


def spoiled(packet, at):
    return packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1:]


def ip(packet, vlan=None):
    return frames.ether(0x0800, packet, vlan=vlan)


class Receive(Case):
    hvsim = SANITIZED

    def begin(self, sent, mode, args=(), queues=1):
        """testpmd that forwards nothing yet; the host holds its frames."""
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}")
        host.hold()
        return host, self.guest(host, mode=mode, args=args, queues=queues)

    def forward(self, host, pmd, count):
        """All frames through testpmd and back: what the host recorded."""
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= count, 20, f"{count} frames are back")
        pmd.stop()
        stats = pmd.stats()
        self.assertEqual((stats["RX-packets"], stats["TX-packets"]), (count, count))
        self.assertEqual((stats["RX-missed"], stats["RX-errors"], stats["RX-nombuf"]), (0, 0, 0))
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        return frames.pcap_read(self.path("out.pcap"))

    def told(self, sent, args=(), commands=()):
        """What testpmd prints of each mbuf."""
        host, pmd = self.begin(sent, "rxonly", args)
        for command in commands:
            pmd.cmd(command)
        pmd.cmd("set verbose 1")
        start = len(pmd.text)
        pmd.start()
        host.hold(False)
        wait_until(lambda: pmd.text[start:].count(" - pool=") + pmd.text[start:].count(
            " - nb_segs=") >= len(sent), 15, f"{len(sent)} frames are printed")
        pmd.stop()
        text = pmd.text[start:]
        self.assertEqual(pmd.quit(), 0)
        packets = [part for part in re.split(r"(?=src=[0-9A-F:]+ - dst=)", text)
                   if part.startswith("src=")]
        self.assertEqual(len(packets), len(sent), text)
        return packets

    def test_checksums_as_the_host_found_them(self):
        udp, tcp = udp_packet(), tcp_packet()
        cases = [
            (ip(udp), "IP_CKSUM_GOOD", "L4_CKSUM_GOOD"),
            (ip(tcp), "IP_CKSUM_GOOD", "L4_CKSUM_GOOD"),
            (ip(spoiled(udp, 100)), "IP_CKSUM_GOOD", "L4_CKSUM_BAD"),
            (ip(spoiled(tcp, 100)), "IP_CKSUM_GOOD", "L4_CKSUM_BAD"),
            (ip(spoiled(tcp, 10)), "IP_CKSUM_BAD", None),
            (frames.ether(0x0806, frames.arp()), "IP_CKSUM_UNKNOWN", "L4_CKSUM_UNKNOWN"),
        ]
        packets = self.told([case[0] for case in cases], ["--enable-rx-cksum"])
        for n, (packet, (_, l3, l4)) in enumerate(zip(packets, cases)):
            self.assertIn(f"RTE_MBUF_F_RX_{l3}", packet, n)
            if l4 is not None:
                self.assertIn(f"RTE_MBUF_F_RX_{l4}", packet, n)

    def test_checksums_that_nobody_asked_for(self):
        packets = self.told([ip(udp_packet()), ip(spoiled(tcp_packet(), 100))])
        for packet in packets:
            self.assertIn("RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN", packet)
            self.assertIn("RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN", packet)

    def test_packet_types(self):
        rand = random.Random(3)
        cases = [
            (ip(udp_packet()), "L2_ETHER L3_IPV4 L4_UDP"),
            (ip(tcp_packet()), "L2_ETHER L3_IPV4 L4_TCP"),
            (ip(tcp_packet(), vlan=TAGGED), "L2_ETHER_VLAN L3_IPV4 L4_TCP"),
            (frames.ether(0x86DD, frames.ipv6(17, frames.udp(rand.randbytes(50)))),
             "L2_ETHER L3_IPV6 L4_UDP"),
            (ip(frames.ipv4(17, rand.randbytes(64), fragment=0x2000)),
             "L2_ETHER L3_IPV4 L4_FRAG"),
            (frames.ether(0x0806, frames.arp()), "L2_ETHER "),
        ]
        sent = [case[0] for case in cases]
        packets = self.told(sent, commands=["set port 0 ptype_mask 0xfff"])
        for packet, (_, types) in zip(packets, cases):
            self.assertIn(f"hw ptype: {types}", packet)
        # As testpmd starts, without any; it prints its own.
        for packet in self.told(sent):
            self.assertNotRegex(packet, "hw ptype: L2")

    def test_tags_are_stripped_and_told(self):
        packets = self.told([ip(udp_packet(), vlan=TAGGED), ip(udp_packet())],
                            ["--enable-hw-vlan-strip"])
        self.assertIn("RTE_MBUF_F_RX_VLAN_STRIPPED", packets[0])
        self.assertRegex(packets[0], f"VLAN tci=0x{TAGGED:x}")
        self.assertNotIn("RTE_MBUF_F_RX_VLAN", packets[1])

    def check_strip(self, strip, args=(), commands=()):
        plain = [ip(udp_packet(size, seed=size)) for size in range(20, 1400, 7)]
        tagged = [ip(udp_packet(size, seed=size), vlan=TAGGED) for size in range(20, 1400, 7)]
        # Where Ethernet's padding was, taking a tag out leaves more of it.
        sent = [frame for pair in zip(tagged, plain) for frame in pair]
        host, pmd = self.begin(sent, "io", args)
        for command in commands:
            pmd.cmd(command)
        got = self.forward(host, pmd, len(sent))
        if strip:
            sent = [frame[:12] + frame[16:] if frame[12:14] == b"\x81\0" else frame
                    for frame in sent]
        self.assert_same_frames(got, sent)

    def test_forwarded_with_their_tags(self):
        self.check_strip(False)

    def test_forwarded_without_their_tags(self):
        self.check_strip(True, ["--enable-hw-vlan-strip"])

    def test_stripping_is_switched_at_run_time(self):
        self.check_strip(True, commands=["vlan set strip on 0"])
        self.check_strip(False, ["--enable-hw-vlan-strip"],
                         commands=["start", "vlan set strip off 0", "stop"])

    def test_a_queue_strips_for_itself(self):
        self.check_strip(True, commands=["vlan set stripq on 0,0"])

    def test_every_size_in_small_mbufs(self):
        """Frames in chains of mbufs of 128 bytes, headroom not counted."""
        sent = frames.every_size()
        host, pmd = self.begin(sent, "io", ["--enable-scatter", "--mbuf-size=256",
                                            "--tx-offloads=0x8000"])
        self.assert_same_frames(self.forward(host, pmd, len(sent)), sent)

    def test_forwarded_without_copies_on_receive(self):
        """Frames above rx_copybreak stay in the receive buffer until they have been sent."""
        sent = frames.every_size() + frames.mixed_capture()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}")
        host.hold()
        # Far fewer than there are frames: the host goes on with those that come back.
        host.set("recv_sections", 128)
        pmd = self.guest([host.device(options=",rx_copybreak=200")])
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 20, f"{len(sent)} are back")
        pmd.stop()
        xstats = pmd.xstats()
        self.assertGreater(xstats["rx_by_reference"], 1000)
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent)

    def test_mbufs_too_small_name_scatter(self):
        host = self.host("sink")
        pmd = self.own(Testpmd(host, args=["--mbuf-size=256"]))
        pmd.expect("RTE_ETH_RX_OFFLOAD_SCATTER", 40)
        pmd.send("quit\n")
        pmd.wait(20)

    def test_capabilities_by_port_and_queue(self):
        host = self.host("sink")
        pmd = self.guest(host, args=["--enable-rx-cksum", "--enable-hw-vlan-strip"])
        text = pmd.cmd("show port 0 rx_offload capabilities")
        port, queue = (re.search(rf"Per {what} *: *(.*)", text).group(1).split()
                       for what in ("Port", "Queue"))
        for name in ("VLAN_STRIP", "IPV4_CKSUM", "UDP_CKSUM", "TCP_CKSUM", "SCATTER", "RSS_HASH"):
            self.assertIn(name, queue)
            self.assertNotIn(name, port)
        text = pmd.cmd("show port 0 rx_offload configuration")
        for name in ("VLAN_STRIP", "IPV4_CKSUM", "UDP_CKSUM", "TCP_CKSUM"):
            self.assertIn(name, text)
        self.assertEqual(pmd.quit(), 0)
