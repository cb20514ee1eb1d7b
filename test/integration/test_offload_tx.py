# SPDX-License-Identifier: BSD-3-Clause
"""Offloads of sends as stock testpmd asks for them, seen at the host's port: every checksum is
computed anew, segments are put together again, tags are looked for."""
import random
import struct

import frames
from harness import SANITIZED, Case, wait_until

PEER = bytes.fromhex("020000000000")
TSO_MSS = 536
CHECKSUMS = ("csum set ip hw 0", "csum set tcp hw 0", "csum set udp hw 0")


def pseudo(ip):
    """(pseudo header without the length's last bytes, L4 part) of an IP packet, padding cut."""
    if ip[0] >> 4 == 4:
        length = struct.unpack(">H", ip[2:4])[0]
        head, l4 = ip[12:20], ip[(ip[0] & 15) * 4:length]
        proto = ip[9]
    else:
        length = struct.unpack(">H", ip[4:6])[0]
        head, l4 = ip[8:40], ip[40:40 + length]
        proto = ip[6]
    return head + struct.pack(">IBBH", len(l4), 0, 0, proto), l4, proto


def l3(frame):
    return 18 if frame[12:14] == b"\x81\0" else 14


def assert_sums(case, frame):
    ip = frame[l3(frame):]
    if ip[0] >> 4 == 4:
        case.assertEqual(frames.checksum(ip[:(ip[0] & 15) * 4]), 0, frame.hex())
    head, l4, proto = pseudo(ip)
    case.assertIn(frames.checksum(head + l4), (0, 0xFFFF) if proto == 17 else (0,), frame.hex())


def tcp(payload, sport=1000, seq=1, flags=0x18):
    """A TCP header with 4 bytes of options and a checksum that is wrong."""
    return struct.pack(">HHIIBBHHH", sport, 80, seq, 7, 6 << 4, flags, 512, 0xDEAD, 0) + \
        b"\1\1\1\0" + payload


def bad_udp(payload, sport=1024):
    return struct.pack(">HHHH", sport, 2048, 8 + len(payload), 0xBEEF) + payload


def capture(size, count, seed):
    """TCP and UDP over IPv4 and IPv6 of several sizes, no checksum right."""
    rand = random.Random(seed)
    sent = []
    for n in range(count):
        payload = rand.randbytes(size if size else rand.randrange(20, 1400))
        l4 = (tcp(payload, 1000 + n, n * 77), bad_udp(payload, 3000 + n))[n // 2 % 2]
        proto = (6, 17)[n // 2 % 2]
        if n % 2:
            sent.append(frames.ether(0x86DD, frames.ipv6(proto, l4)))
        else:
            ip = frames.ipv4(proto, l4, ident=n)
            sent.append(frames.ether(0x0800, ip[:10] + b"\x55\xAA" + ip[12:]))
    return sent


class OffloadTx(Case):
    hvsim = SANITIZED

    def play(self, sent, mode, commands, expect, devargs=""):
        """Forward a capture after commands to a stopped port; the frames recorded."""
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}")
        host.hold()
        pmd = self.guest([host.device(options=devargs)], mode=mode)
        pmd.cmd("port stop 0")
        for command in commands:
            text = pmd.cmd(command)
            self.assertNotRegex(text, "(?i)bad argument|not supported|error")
        self.assertNotIn("Fail", pmd.cmd("port start 0"))
        pmd.start(patient=mode)
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= expect, 15, f"{expect} frames are out")
        pmd.stop()
        stats = pmd.stats()
        self.assertEqual((stats["RX-packets"], stats["TX-packets"]), (len(sent), len(sent)))
        self.assertEqual(stats["TX-errors"], 0)
        self.assertEqual(pmd.xstats()["tx_q0_bad_offload"], 0)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        got = frames.pcap_read(self.path("out.pcap"))
        self.assertEqual(len(got), expect)
        return got

    def assert_payloads(self, got, sent):
        for a, b in zip(got, sent):
            self.assertEqual(a[:12], PEER + frames.GUEST_MAC)
            ours, theirs = bytearray(a), bytearray(b)
            at = l3(a)
            v4 = a[at] >> 4 == 4
            l4 = at + (20 if v4 else 40)
            udp = a[at + (9 if v4 else 6)] == 17
            for frame in (ours, theirs):
                frame[:12] = b"\0" * 12
                if v4:
                    frame[at + 10:at + 12] = b"\0\0"
                place = l4 + (6 if udp else 16)
                frame[place:place + 2] = b"\0\0"
            self.assertEqual(ours, theirs)

    def check_checksums(self, devargs=""):
        sent = capture(0, 400, 3)
        got = self.play(sent, "csum", CHECKSUMS, len(sent), devargs)
        self.assert_payloads(got, sent)
        for frame in got:
            assert_sums(self, frame)

    def test_checksums(self):
        self.check_checksums()

    def test_checksums_of_frames_by_reference(self):
        self.check_checksums(devargs=",tx_copybreak=0")

    def check_tso(self, devargs=""):
        sent = [frame for frame in capture(1400, 200, 4) if frame[14 + 9] == 6 or
                (frame[12:14] == b"\x86\xdd" and frame[14 + 6] == 6)]
        parts = -(-1400 // TSO_MSS)
        got = self.play(sent, "csum", [*CHECKSUMS, f"tso set {TSO_MSS} 0"], parts * len(sent),
                        devargs)
        for n, frame in enumerate(sent):
            v4 = frame[14] >> 4 == 4
            l4 = 14 + (20 if v4 else 40)
            payload = b""
            for k in range(parts):
                part = got[n * parts + k]
                assert_sums(self, part)
                self.assertEqual(part[:14], PEER + frames.GUEST_MAC + frame[12:14])
                self.assertEqual(part[l4:l4 + 4], frame[l4:l4 + 4])
                seq = struct.unpack(">I", frame[l4 + 4:l4 + 8])[0] + k * TSO_MSS
                self.assertEqual(struct.unpack(">I", part[l4 + 4:l4 + 8])[0], seq)
                # PSH is the last one's.
                self.assertEqual(part[l4 + 13], 0x18 if k == parts - 1 else 0x10)
                if v4:
                    ident = struct.unpack(">H", frame[18:20])[0] + k
                    self.assertEqual(struct.unpack(">H", part[18:20])[0], ident)
                payload += part[l4 + 24:]
            self.assertEqual(payload, frame[l4 + 24:])

    def test_tso(self):
        self.check_tso()

    def test_tso_of_frames_by_reference(self):
        self.check_tso(devargs=",tx_copybreak=0")

    def check_vlan_insert(self, devargs=""):
        sent = frames.every_size()
        got = self.play(sent, "macswap", ["tx_vlan set 0 291"], len(sent), devargs)
        self.assert_same_frames(got, [
            frame[6:12] + frame[:6] + b"\x81\0\x01\x23" + frame[12:] for frame in sent])

    def test_vlan_insert(self):
        self.check_vlan_insert()

    def test_vlan_insert_by_reference(self):
        self.check_vlan_insert(devargs=",tx_copybreak=0")

    def test_tags_of_others(self):
        """Frames that come with a tag leave with it, checksums filled behind it."""
        sent = [frame[:12] + b"\x81\0\xa0\x64" + frame[12:] for frame in capture(0, 200, 6)]
        got = self.play(sent, "csum", CHECKSUMS, len(sent))
        for frame in got:
            self.assertEqual(frame[12:16], b"\x81\0\xa0\x64")
            assert_sums(self, frame)
        self.assert_payloads(got, sent)
