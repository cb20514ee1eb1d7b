# SPDX-License-Identifier: BSD-3-Clause
"""TCP segments that the host coalesces (spec/rndis.md §4.3) and that are cut again on their way back:
what leaves is what came."""
import random
import shutil
import struct
import unittest

import frames
import stacks
from harness import Case, needs_root, wait_until

PEER = bytes.fromhex("020000000000")  # where testpmd's csum mode sends
MSS = 536


def offloads(port, mss):
    """Commands to a stopped port: coalesce, and cut again."""
    return (*(f"port config {port} rx_offload {name} on" for name in ("tcp_lro", "ipv4_cksum", "tcp_cksum")),
            *(f"csum set {name} hw {port}" for name in ("ip", "tcp", "udp")), f"tso set {mss} {port}")


def tcp(source, target, port, seq, payload, push):
    """A TCP header with its checksum, over the pseudo header of these addresses."""
    head = struct.pack(">HHIIBBHHH", port, 80, seq, 7, 5 << 4, 0x18 if push else 0x10, 512, 0, 0)
    pseudo = source + target + struct.pack(">II", len(head + payload), 6)
    total = frames.checksum(pseudo + head + payload)
    return head[:16] + struct.pack(">H", total) + head[18:] + payload


def run_of(version, flow, start, count, ident, rand):
    """Segments that follow each other, the last one short and pushed."""
    out = []
    for n in range(count):
        last = n == count - 1
        payload = rand.randbytes(100 if last else MSS)
        if version == 4:
            ip = frames.ipv4(6, b"", ident=ident + n)
            l4 = tcp(ip[12:16], ip[16:20], 1000 + flow, start + n * MSS, payload, last)
            out.append(frames.ether(0x0800, frames.ipv4(6, l4, ident=ident + n)))
        else:
            ip = frames.ipv6(6, b"")
            l4 = tcp(ip[8:24], ip[24:40], 1000 + flow, start + n * MSS, payload, last)
            out.append(frames.ether(0x86DD, frames.ipv6(6, l4)))
    return out


def streams(count=40):
    """Runs of several lengths of both versions, with other frames between some."""
    rand, sent = random.Random(11), []
    for n in range(count):
        sent += run_of(4 if n % 2 else 6, n % 5, n * 100000, rand.randrange(1, 30), n * 64, rand)
        if n % 3 == 0:
            sent.append(frames.udp_frame(80 + n, n % 4, rand))
    return sent


class Coalescing(Case):
    def check_there_and_back(self, settings="", knobs=(), devargs="", args=(), coalesced=True):
        sent = streams()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host((settings, f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}"))
        for name, value in knobs:
            host.set(name, value)
        host.hold()
        pmd = self.guest([host.device(options=devargs)], mode="csum", args=args)
        pmd.cmd("port stop 0")
        for line in offloads(0, MSS):
            self.assertNotRegex(pmd.cmd(line), "(?i)bad argument|not supported|error|fail")
        self.assertNotIn("Fail", pmd.cmd("port start 0"))
        pmd.start(patient="csum")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15, f"{len(sent)} frames are out")
        pmd.stop()
        nic, stats = host.stats(), pmd.stats()
        self.assertEqual(pmd.xstats()["rx_malformed"], 0)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        self.assertEqual(nic["rx_frames"] - nic["rx_large"] + nic["rx_segments"], len(sent))
        self.assertEqual((stats["RX-packets"], stats["RX-bytes"]), (nic["rx_frames"], nic["rx_bytes"]))
        self.assertEqual(nic["tx_errors"], 0, nic)
        if coalesced:
            self.assertGreater(nic["rx_segments"], len(sent) // 2)
        else:
            self.assertEqual(nic["rx_segments"], 0)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")),
                                [PEER + frames.GUEST_MAC + frame[12:] for frame in sent])

    def test_what_was_coalesced_leaves_as_it_came(self):
        self.check_there_and_back()

    def test_what_was_coalesced_leaves_by_reference(self):
        self.check_there_and_back(devargs=",tx_copybreak=0")

    def test_one_frame_in_a_packet(self):
        """A coalesced frame is whole in its packet, however few frames others hold."""
        self.check_there_and_back("profile=ws2019", (("batch", 1),))

    def test_sections_that_hold_several_segments(self):
        self.check_there_and_back("section=9216,outstanding=0", (("range_slot", 1),))

    def test_who_takes_less_than_the_host_makes_gets_segments(self):
        self.check_there_and_back(args=["--max-lro-pkt-size=16000"], coalesced=False)

    def test_who_takes_all_that_ip_has_gets_what_there_is(self):
        self.check_there_and_back(args=["--max-lro-pkt-size=65535"])

    def test_host_that_does_not_coalesce(self):
        """The application asks for less from such a host, and gets what is there."""
        host = self.host(("profile=ws2016", "sink"))
        pmd = self.guest(host)
        self.assertNotIn("TCP_LRO", pmd.cmd("show port 0 rx_offload capabilities"))
        self.assertEqual(pmd.quit(), 0)


@unittest.skipUnless(shutil.which("iperf3"), "iperf3 is not installed (./run setup test)")
@needs_root
class BetweenStacks(Case):
    def test_tcp_of_two_kernels(self):
        """Large frames all the way: of the sender's stack, coalesced, forwarded, of the other's."""
        made = stacks.Stacks(vnet=True)
        self.programs = made.programs
        self.addCleanup(made.close)
        pmd = made.own(self.guest(made.host, mode="csum"))
        pmd.cmd("port stop all")
        for port in (0, 1):
            # The longest segment that fits with IPv6, which is shorter than IPv4's.
            for line in (*offloads(port, 1428), f"csum mac-swap off {port}"):
                self.assertNotRegex(pmd.cmd(line), "(?i)bad argument|not supported|error|fail")
        self.assertNotIn("Fail", pmd.cmd("port start all"))
        pmd.start()
        for ipv6 in (False, True):
            intervals, rate = stacks.moved(made.iperf(ipv6=ipv6))
            self.assertGreater(sum(intervals[2:]), 0, "it stalled")
            print(f"     TCP, coalesced{', IPv6' if ipv6 else ''}: {rate / 1e6:.0f} Mbit/s", flush=True)
        self.assertEqual(made.errors(), {})
        for number in (0, 1):
            nic = made.host.stats(number)
            self.assertEqual((nic["tx_errors"], nic["protocol_errors"]), (0, 0), nic)
        self.assertGreater(made.host.stats(0)["rx_segments"], 1000)
        self.assertGreater(made.host.stats(1)["tx_large"], 100)
        self.assertEqual(pmd.quit(), 0)
