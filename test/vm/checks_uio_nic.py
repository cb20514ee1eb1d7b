# SPDX-License-Identifier: BSD-3-Clause
"""What our driver asks of the host through the real uio_hv_generic: offloads, jumbo frames, interrupts."""
import hashlib
import struct
import time

from checks_netvsc import need
from checks_uio import APPEND, EAL, PLUGIN, SPOOF, Program, Uio, swap, testpmd
from network import checksum, exchange, listener, mac_bytes, numbered_frames, received, sh

UDP, TCP = 17, 6
FRAMES = 200
CHECKSUMS = ["csum set %s hw 0" % layer for layer in ("ip", "udp", "tcp")]
# Polling takes all of a processor; waking up every 10 ms takes 0.4 of an emulated one on a busy machine.
IDLE_SHARE = 0.8


def ipv4(proto, payload, number, to="10.9.0.77"):
    """A packet whose checksums are wrong: who asks for the right ones gets them."""
    ports = struct.pack(">HH", 1000 + number % 7, 2000)
    if proto == UDP:
        segment = ports + struct.pack(">HH", 8 + len(payload), 0x1234) + payload
    else:
        segment = ports + struct.pack(">IIBBHHH", number, 1, 5 << 4, 0x10, 4096, 0x1234, 0) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), number & 0xffff, 0, 64, proto, 0xdead,
                       bytes([10, 9, 0, 1]), bytes(int(b) for b in to.split(".")))
    return head + segment


def checksums_ok(packet):
    proto, segment = packet[9], packet[20:struct.unpack(">H", packet[2:4])[0]]
    pseudo = packet[12:20] + struct.pack(">BBH", 0, proto, len(segment))
    return checksum(packet[:20]) == 0 and checksum(pseudo + segment) == 0


def is_ours(frame):
    """IPv4 to or from the made addresses, and nothing that the kernel sends by itself."""
    return frame[12:14] == b"\x08\x00" and frame[26:30] == bytes([10, 9, 0, 1]) and frame[23] in (UDP, TCP)


def payload_of(packet):
    return packet[28 if packet[9] == UDP else 40:struct.unpack(">H", packet[2:4])[0]]


class Nic(Uio):
    def made(self, packets):
        """Frames for the guest with these packets."""
        with open("/sys/class/net/%s/address" % self.machine.tap, encoding="ascii") as f:
            ours = mac_bytes(f.read().strip())
        return [mac_bytes(self.mac) + ours + b"\x08\x00" + packet for packet in packets]

    def with_testpmd(self, mode, arguments, commands, check):
        program = testpmd(self.guest, mode, 1, arguments=arguments, commands=commands)
        try:
            return check()
        except AssertionError as error:
            raise AssertionError("%s; testpmd: %s" % (error, program.tail())) from None
        finally:
            program.end("quit")

    def checksums(self):
        """Wrong ones come in, right ones go out, and nothing else changes."""
        sent = self.made(ipv4((UDP, TCP)[i % 2], hashlib.shake_256(b"%d" % i).digest(18 + i * 7), i)
                         for i in range(FRAMES))

        def check():
            got = exchange(self.machine.tap, sent, keep=is_ours)
            need(len(got) == len(sent), "%d of %d frames came back" % (len(got), len(sent)))
            for n, (frame, was) in enumerate(zip(got, sent)):
                need(checksums_ok(frame[14:]), "frame %d has a wrong checksum" % n)
                need(payload_of(frame[14:]) == payload_of(was[14:]), "frame %d has other contents" % n)
            return "%d frames of UDP and TCP" % len(got)
        return self.with_testpmd("csum", "", CHECKSUMS, check)

    def segments(self):
        """Frames of 1,400 bytes of payload become segments of 500, whole and in order."""
        count, length, mss = 60, 1400, 500
        sent = self.made(ipv4(TCP, hashlib.shake_256(b"t%d" % i).digest(length), i * length)
                         for i in range(count))
        each = -(-length // mss)

        def check():
            got = exchange(self.machine.tap, sent, keep=is_ours, each=each)
            need(len(got) == count * each, "%d of %d segments came back" % (len(got), count * each))
            stream = b""
            for n, frame in enumerate(got):
                packet = frame[14:]
                need(checksums_ok(packet), "segment %d has a wrong checksum" % n)
                need(struct.unpack(">I", packet[24:28])[0] == len(stream), "segment %d has another number" % n)
                need(len(payload_of(packet)) <= mss, "segment %d has %d bytes" % (n, len(payload_of(packet))))
                stream += payload_of(packet)
            need(stream == b"".join(payload_of(frame[14:]) for frame in sent), "the stream differs")
            return "%d frames, %d segments" % (count, len(got))
        return self.with_testpmd("csum", "", CHECKSUMS + ["tso set %d 0" % mss], check)

    def tags(self):
        """
        Tags are kept, stripped and inserted, as set. A socket on the TAP sees frames without them, so
        that one on its VLAN device says which had one.
        """
        tap, tagged = self.machine.tap, self.machine.tap + ".5"
        sh("ip link add link %s name %s type vlan id 5; ip link set %s up" % (tap, tagged, tagged))
        with open("/sys/class/net/%s/address" % tap, encoding="ascii") as f:
            frames = numbered_frames(mac_bytes(self.mac), mac_bytes(f.read().strip()), FRAMES)

        def through(sender, tags, what, change=lambda frame: frame):
            with listener(tagged) as behind:
                got = exchange(sender, frames, taker=tap)
                need(got == [change(frame) for frame in frames], "%s: %d frames came back, not all as they "
                     "should be" % (what, len(got)))
                had = received(behind, tags)
            need(had == tags, "%s: %d frames had a tag" % (what, had))
        try:
            self.with_testpmd("io", "", [], lambda: through(tagged, FRAMES, "kept"))
            self.with_testpmd("io", "--enable-hw-vlan-strip", [], lambda: through(tagged, 0, "stripped"))
            self.with_testpmd("macswap", "", ["tx_vlan set 0 5"],
                              lambda: through(tap, FRAMES, "inserted", swap))
        finally:
            sh("ip link del %s" % tagged)
        return "kept, stripped, inserted: %d frames each" % len(frames)

    def jumbo(self):
        """By reference where a section does not hold them: up to an MTU of 9000."""
        with open("/sys/class/net/%s/address" % self.machine.tap, encoding="ascii") as f:
            frames = numbered_frames(mac_bytes(self.mac), mac_bytes(f.read().strip()), FRAMES, 9014)
        frames[-1] = (frames[-1] + bytes(9014))[:9014]

        def check():
            got = exchange(self.machine.tap, frames, burst=8)
            need(got == frames, "%d of %d frames as they should be"
                 % (sum(g == f for g, f in zip(got, frames)), len(frames)))
            return "%d frames of up to %d bytes" % (len(got), max(map(len, got)))
        sh("ip link set %s mtu 9000" % self.machine.tap)
        try:
            return self.with_testpmd("io", "--mbuf-size=9728 --max-pkt-len=9018 --total-num-mbufs=4096", [], check)
        finally:
            sh("ip link set %s mtu 1500" % self.machine.tap)

    def sleeping(self):
        """l3fwd-power waits for interrupts: idle without frames, and no frame waits for ever."""
        program = Program(self.guest, "/opt/l3fwd-power %s -d %s -- -p 1 -P --config='(0,0,0)' --parse-ptype "
                          "--interrupt-only" % (EAL.replace("0-1", "0"), PLUGIN))
        sent = self.made(ipv4(UDP, hashlib.shake_256(b"s%d" % i).digest(100 + i), i, to="1.1.1.9")
                         for i in range(40))
        try:
            program.wait_for("entering main .*loop on lcore 0", 90)
            busy = self.share_of_a_processor(3)
            need(busy < IDLE_SHARE, "%d %% of a processor without frames" % (busy * 100))
            before = self.interrupts()
            got = []
            for frame in sent:
                got += exchange(self.machine.tap, [frame], keep=lambda f: f[30:34] == bytes([1, 1, 1, 9]))
                time.sleep(0.05)
            need([payload_of(f[14:]) for f in got] == [payload_of(f[14:]) for f in sent],
                 "%d of %d frames came through" % (len(got), len(sent)))
            woken = self.interrupts() - before
            need(woken >= len(sent) // 2, "%d interrupts for %d frames" % (woken, len(sent)))
            return "%d %% busy without frames, %d interrupts for %d frames" % (busy * 100, woken, len(sent))
        except AssertionError as error:
            raise AssertionError("%s; l3fwd-power: %s" % (error, program.tail())) from None
        finally:
            program.end("-2")

    def share_of_a_processor(self, seconds):
        """Of the guest's time that the program takes, by the guest's own clock."""
        look = "cut -d' ' -f14,15 /proc/$(cat /tmp/pid)/stat; cut -d' ' -f1 /proc/uptime"

        def ticks_and_time():
            words = self.guest.check(look).split()
            return int(words[0]) + int(words[1]), float(words[2])
        ticks, began = ticks_and_time()
        time.sleep(seconds)
        more, now = ticks_and_time()
        return (more - ticks) / 100 / (now - began)


def run(machine, report):
    """Our plugin in stock programs on uio_hv_generic."""
    guest = machine.boot(APPEND, SPOOF, mem="768M", image="l2-dpdk.cpio")
    if guest.run("test -e " + PLUGIN)[0] != 0:
        report.line("skip", "the plugin has not been built")
        guest.power_off()
        return
    nic = Nic(machine, guest)
    if not report.check("vmbusctl bind", nic.bind):
        return
    report.check("VLAN tags", nic.tags)
    report.check("receive interrupts: l3fwd-power", nic.sleeping)
    report.check("MTU 9000", nic.jumbo)
    report.check("large sends are segmented by the host", nic.segments)
    report.check("checksums of sends are the host's", nic.checksums)
    machine.end(guest, report)


SCENARIOS = {"uio-nic": run}
