# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's examples as they are: what they ask of a port is granted, and each frame is as it must be."""
import ipaddress
import random
import signal
import struct

import examples
import frames
from harness import Case, lcore_args, wait_until
from selection import long_run

MACS = [bytes.fromhex(f"00155d4800{number:02x}") for number in (1, 2)]  # as harness.Host gives them


def ipv6(protocol, payload, src, dst):
    return struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64) + \
        ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed + payload


def udp6(payload, src, dst, sport, dport):
    """UDP over IPv6, whose checksum is not optional."""
    header = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0)
    pseudo = ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed + \
        struct.pack(">II", 8 + len(payload), 17)
    total = frames.checksum(pseudo + header + payload) or 0xFFFF
    return ipv6(17, header[:6] + struct.pack(">H", total) + payload, src, dst)


class Examples(Case):
    limit = 120  # compiling is part of the first test of an example

    def run_example(self, name, sent, *options, eal=(), settings=("", ""), ready="entering main loop",
                    count=None, idle=(), lcores=("-l", "0")):
        """Frames `sent` to NIC 0 (and `idle` to NIC 1) through the example: what comes out of each."""
        given = [sent, list(idle)]
        ports, outs = [], []
        for number in range(2):
            path = self.path(f"{name}-in{number}.pcap")
            frames.pcap_write(path, given[number])
            outs.append(self.path(f"{name}-out{number}.pcap"))
            ports.append((settings[number], f"pcap:in={path},out={outs[number]},rate=2K"))
        host = self.host(*ports)
        host.hold()
        app = self.own(self.program(name, examples.argv(
            name, [host.device(number) for number in range(2)], *options, eal=eal, lcores=lcores)))
        app.expect(ready, 60)
        host.hold(False)
        wait_until(lambda: host.port(1)["tx_frames"] >= (len(sent) if count is None else count) and
                   host.port(0)["tx_frames"] >= len(idle), 40, f"{name} has forwarded")
        app.signal(signal.SIGINT)
        # Some end by themselves then, some have no handler.
        self.assertIn(app.wait(), (0, -signal.SIGINT))
        host.stop()
        return [frames.pcap_read(out) for out in outs]

    def rewritten(self, frame, port, dst=None):
        """With the addresses of routers: theirs as the source, 02:00:00:00:00:PORT as the destination."""
        return (dst or bytes([2, 0, 0, 0, 0, port])) + MACS[port] + frame[12:]

    # ---- l3fwd ----

    def l3fwd_frames(self, port, seed):
        """UDP to the other port, over IPv4 and IPv6, of all sizes from the least up."""
        rand, out = random.Random(seed), []
        to = 1 - port
        for size in (*range(0, 100), *range(100, 1400, 61), 1400):
            payload = rand.randbytes(size)
            out.append(frames.ether(0x0800, frames.ipv4(17, frames.udp(payload, 9, 9), src=f"198.18.{to}.1",
                                                        dst=f"198.18.{to}.0", ident=size), dst=MACS[port]))
            out.append(frames.ether(0x86DD, udp6(payload, f"2001:200:0:{to}::1", f"2001:200:0:{to}::", 9, 9),
                                    dst=MACS[port]))
        return out

    def routed(self, frame, port):
        """As l3fwd sends a frame out of `port`: one hop of IPv4's less."""
        frame = self.rewritten(frame, port)
        if frame[12:14] == b"\x08\0":
            header = bytearray(frame[14:34])
            header[8] -= 1
            header[10:12] = b"\0\0"
            header[10:12] = struct.pack(">H", frames.checksum(bytes(header)))
            frame = frame[:14] + bytes(header) + frame[34:]
        return frame

    POLL = {"options": ("--config=(0,0,0),(1,0,0)",)}
    # Frames are events of the software event device, which a service lcore moves from adapter to worker to adapter.
    # Not with em, nor with --event-vector: there l3fwd of 22.11 itself crashes (doc/howto/l3fwd.md).
    EVENTS = {"options": ("--mode=eventdev", "--eventq-sched=ordered"), "ready": "_event_loop.* on lcore",
              "eal": ("--vdev", "event_sw0", "-S", "1"), "lcores": lcore_args()}

    def check_l3fwd(self, lookup, mode=None):
        rules = {"em": ("R198.18.{0}.0 198.18.{0}.1 9 9 0x11 {0}",
                        "R2001:0200:0000:000{0}:0000:0000:0000:0000 2001:0200:0000:000{0}:0000:0000:0000:0001 9 9 0x11 {0}")}
        rules = rules.get(lookup, ("R198.18.{0}.0/24 {0}", "R2001:0200:0000:000{0}:0000:0000:0000:0000/64 {0}"))
        options = []
        for family, rule in zip((4, 6), rules):
            with open(self.path(f"rules{family}"), "w", encoding="ascii") as file:
                file.write("".join(rule.format(port) + "\n" for port in range(2)))
            options.append(f"--rule_ipv{family}={self.path(f'rules{family}')}")
        sent = [self.l3fwd_frames(port, seed=30 + port) for port in range(2)]
        runs = [(sent, [])]
        if lookup == "em":  # one table at a time
            runs = [([[frame for frame in which if frame[12:14] == ethertype] for which in sent], more)
                    for ethertype, more in ((b"\x08\0", []), (b"\x86\xdd", ["--ipv6"]))]
        for given, more in runs:
            how = dict(mode or self.POLL)
            got = self.run_example("l3fwd", given[0], "-p", "3", "-P", *how.pop("options"),
                                   f"--lookup={lookup}", *options, *more, idle=given[1], **how)
            for port in range(2):
                self.assert_same_frames(got[port], [self.routed(frame, port) for frame in given[1 - port]])

    def test_l3fwd_lpm(self):
        self.check_l3fwd("lpm")

    @long_run
    def test_l3fwd_em(self):
        self.check_l3fwd("em")

    @long_run
    def test_l3fwd_fib(self):
        self.check_l3fwd("fib")

    def test_l3fwd_eventdev_lpm(self):
        self.check_l3fwd("lpm", self.EVENTS)

    @long_run
    def test_l3fwd_eventdev_fib(self):
        self.check_l3fwd("fib", self.EVENTS)

    def test_l3fwd_acl(self):
        """Rules of five fields; frames to port 7 are for nobody."""
        for family, any_net, net in ((4, "0.0.0.0/0", "198.18.{0}.0/24"),
                                     (6, "0:0:0:0:0:0:0:0/0", "2001:200:0:{0}:0:0:0:0/64")):
            with open(self.path(f"rules{family}"), "w", encoding="ascii") as file:
                file.write(f"@{any_net} {any_net} 0 : 65535 7 : 7 0x11/0xff\n")
                for port in range(2):
                    file.write(f"R{any_net} {net.format(port)} 0 : 65535 9 : 9 0x11/0xff {port}\n")
        sent = [self.l3fwd_frames(port, seed=50 + port) for port in range(2)]
        denied = [frames.ether(0x0800, frames.ipv4(17, frames.udp(bytes(size), 9, 7), src="198.18.1.1", dst="198.18.1.0"),
                               dst=MACS[0]) for size in range(20)]
        got = self.run_example("l3fwd", denied + sent[0], "-p", "3", "-P", "--config=(0,0,0),(1,0,0)", "--lookup=acl",
                               *(f"--rule_ipv{family}={self.path(f'rules{family}')}" for family in (4, 6)),
                               count=len(sent[0]), idle=sent[1])
        for port in range(2):
            expected = [self.routed(frame, port) for frame in sent[1 - port]]
            for ethertype in (b"\x08\0", b"\x86\xdd"):  # it sorts each burst by them
                self.assert_same_frames(*([frame for frame in which if frame[12:14] == ethertype]
                                          for which in (got[port], expected)))
            self.assertEqual(len(got[port]), len(expected))

    # ---- fragments ----

    def datagrams(self, largest, seed=40):
        rand, out = random.Random(seed), []
        for number, size in enumerate((0, 1000, 1472, 1473, 3000, 5555, largest)):
            payload = rand.randbytes(size)
            out.append(frames.ether(0x0800, frames.ipv4(17, frames.udp(payload), src="100.10.0.1", dst="100.20.0.1",
                                                        ident=100 + number), dst=MACS[0]))
        return out

    def fragments(self, frame):
        """Of an IPv4 frame, as a router with an MTU of 1500 cuts it."""
        header, payload = frame[14:34], frame[34:14 + struct.unpack(">H", frame[16:18])[0]]
        if len(payload) <= 1480:
            return [frame]
        out = []
        for start in range(0, len(payload), 1480):
            part = payload[start:start + 1480]
            more = 0x2000 if start + 1480 < len(payload) else 0
            head = bytearray(header)
            head[2:4] = struct.pack(">H", 20 + len(part))
            head[6:8] = struct.pack(">H", more | start // 8)
            head[10:12] = b"\0\0"
            head[10:12] = struct.pack(">H", frames.checksum(bytes(head)))
            out.append((frame[:14] + bytes(head) + part).ljust(60, b"\0") if not out else
                       frame[:14] + bytes(head) + part)
        return out

    def test_ip_fragmentation(self):
        """Datagrams larger than the MTU of the way, in chains of mbufs, are cut."""
        whole = self.datagrams(8900)
        cut = [self.rewritten(part, 1) for frame in whole for part in self.fragments(frame)]
        got = self.run_example("ip_fragmentation", whole, "-p", "3", "-q", "2", settings=("mtu=9000",) * 2,
                               count=len(cut))
        self.assert_same_frames(got[1], cut)

    def test_ip_reassembly(self):
        """Put together again; and the example ends in the handler of a signal that interrupts its burst."""
        whole = [frame for frame in self.datagrams(1958) if len(frame) <= 2014]
        cut = [part for frame in whole for part in self.fragments(frame)]
        got = self.run_example("ip_reassembly", cut, "-p", "3", "-q", "2", "--maxflows=64",
                               settings=("mtu=2000",) * 2, count=len(whole))
        self.assert_same_frames(got[1], [self.rewritten(frame, 1) for frame in whole])

    # ---- others ----

    def test_qos_meter(self):
        """Slower than its meter: every frame is green, which the last byte of its destination says."""
        rand = random.Random(50)
        sent = [frames.ether(0x0800, frames.ipv4(17, frames.udp(rand.randbytes(size)), dst=f"192.0.2.{size % 200}"),
                             dst=bytes([2, 0, 0, 0, 0, 0])) for size in range(18, 1472, 5)]
        got = self.run_example("qos_meter", sent, "-p", "3", ready="port RX = 0, port TX = 1")
        self.assert_same_frames(got[1], sent)
        self.assertEqual(got[0], [])

    SECGW = """sp ipv4 out esp protect 5 pri 1 dst 192.168.105.0/24 sport 0:65535 dport 0:65535
sp ipv4 in esp protect 5 pri 1 dst 192.168.105.0/24 sport 0:65535 dport 0:65535
sa out 5 {algorithms} mode ipv4-tunnel src 172.16.1.5 dst 172.16.2.5
sa in 5 {algorithms} mode ipv4-tunnel src 172.16.1.5 dst 172.16.2.5
rt ipv4 dst 172.16.2.5/32 port 1
rt ipv4 dst 192.168.105.0/24 port {inside}
neigh port 0 02:00:00:00:00:00
neigh port 1 02:00:00:00:00:01
"""

    def check_ipsec(self, vdev, algorithms):
        """One run encrypts what another then decrypts: the packets are the same again."""
        rand = random.Random(60)
        sent = [frames.ether(0x0800, frames.ipv4(17, frames.udp(rand.randbytes(size)), src="192.168.115.1",
                                                 dst="192.168.105.10", ident=size), dst=MACS[0])
                for size in (18, 100, 333, 512, 777, 1000, 1300)]
        got = sent
        for step, inside in (("out", 0), ("in", 1)):
            with open(self.path("secgw.cfg"), "w", encoding="ascii") as file:
                file.write(self.SECGW.format(algorithms=algorithms, inside=inside))
            # Frames come in at port 0 in both steps. The unprotected port is that of the ESP packets.
            unprotected = "0x2" if step == "out" else "0x1"
            got = self.run_example("ipsec-secgw", got, "-p", "0x3", "-P", "-u", unprotected, "-l",
                                   "--config=(0,0,0),(1,0,0)", "-f", self.path("secgw.cfg"), eal=["--vdev", vdev])[1]
            if step == "out":
                for frame, plain in zip(got, sent):
                    self.assertEqual(frame[14 + 9], 50, "ESP")
                    self.assertEqual(frame[26:34], bytes([172, 16, 1, 5, 172, 16, 2, 5]))
                    same = plain[42:60] in frame
                    self.assertEqual(same, "null" in algorithms, "the payload is encrypted")
                got = [MACS[0] + frame[6:] for frame in got]
        self.assertEqual(len(got), len(sent))
        for frame, plain in zip(got, sent):
            length = struct.unpack(">H", plain[16:18])[0]
            self.assertEqual(frame[14 + 20:14 + length], plain[14 + 20:14 + length])
            self.assertEqual(frames.checksum(frame[14:34]), 0)
            self.assertEqual(frame[14 + 12:14 + 20], plain[14 + 12:14 + 20])

    @long_run
    def test_ipsec_secgw_null(self):
        self.check_ipsec("crypto_null", "cipher_algo null auth_algo null")

    def test_ipsec_secgw_openssl(self):
        key = ":".join(["a0"] * 16)
        self.check_ipsec("crypto_openssl", f"cipher_algo aes-128-cbc cipher_key {key} auth_algo sha1-hmac auth_key "
                         + ":".join(["b1"] * 20))
