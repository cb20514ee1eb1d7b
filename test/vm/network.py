# SPDX-License-Identifier: BSD-3-Clause
"""The outside of a TAP: addresses, pings, TCP transfers, and a look at the frames."""
import hashlib
import itertools
import os
import select
import socket
import struct
import subprocess
import threading
import time

SO_RCVBUFFORCE = 33
PINGS = itertools.count(os.getpid())


def sh(command, seconds=30, check=True):
    run = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=seconds, check=False)
    if check and run.returncode != 0:
        raise RuntimeError("%s: %s" % (command, (run.stderr or run.stdout).strip()[-300:]))
    return run.stdout


def echo_request(ident, number, data):
    request = struct.pack(">BBHHH", 8, 0, 0, ident, number) + data
    return request[:2] + struct.pack(">H", 0xffff - checksum(request)) + request[4:]


def resolve(address, seconds=30):
    """
    Wait until the kernel knows the neighbour's link-layer address. It asks three times in as many seconds,
    for which a guest on a busy machine may well stand still, and then drops what was to be sent.
    """
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        while time.monotonic() < end:
            with open("/proc/net/arp", encoding="ascii") as f:
                if any(line.split()[0] == address and int(line.split()[2], 16) & 2 for line in f.readlines()[1:]):
                    return
            try:
                s.sendto(echo_request(next(PINGS) & 0xffff, 0, b""), (address, 0))
            except OSError:
                pass  # what the last attempt came to
            time.sleep(0.2)
    raise RuntimeError("ping %s: nobody says in %d s that the address is his" % (address, seconds))


def ping(address, count=3, size=56, interval=0.2, fragment=True, seconds=30):
    """
    Every echo request is answered with its own bytes, however late. (ping(8) waits for the last
    answer no longer than two round trips, and a busy machine now and then stands still for more.)
    """
    ident = next(PINGS) & 0xffff
    sent = {}
    resolve(address, seconds)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.setsockopt(socket.IPPROTO_IP, 10, 0 if fragment else 2)  # IP_MTU_DISCOVER: never, always
        due = time.monotonic()
        end = due + seconds
        missing = set(range(count))
        while missing and time.monotonic() < end:
            now = time.monotonic()
            if len(sent) < count and now >= due:
                number = len(sent)
                sent[number] = bytes((number + i) & 0xff for i in range(size))
                s.sendto(echo_request(ident, number, sent[number]), (address, 0))
                due = now + interval
            left = (due if len(sent) < count else end) - time.monotonic()
            if not select.select([s], [], [], max(left, 0))[0]:
                continue
            packet, source = s.recvfrom(1 << 16)
            reply = packet[(packet[0] & 15) * 4:]
            kind, _, _, of, number = struct.unpack(">BBHHH", reply[:8])
            if kind == 0 and of == ident and source[0] == address and number in missing:
                if reply[8:] != sent[number]:
                    raise RuntimeError("ping %s: answer %d has other bytes" % (address, number))
                missing.remove(number)
    if missing:
        raise RuntimeError("ping %s: %d of %d answered in %d s, not %s"
                           % (address, count - len(missing), count, seconds, sorted(missing)))


def csum_errors(text=None):
    """Checksum errors of TCP, UDP and ICMP in the text of /proc/net/snmp."""
    if text is None:
        with open("/proc/net/snmp", encoding="ascii") as f:
            text = f.read()
    total = 0
    lines = text.strip().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        total += sum(int(v) for n, v in zip(names.split()[1:], values.split()[1:]) if n == "InCsumErrors")
    return total


class Receiver(threading.Thread):
    """Takes one TCP connection and hashes what comes."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("", port))
        self.socket.settimeout(60)
        self.digest = None
        self.length = 0
        self.start()

    def run(self):
        digest = hashlib.sha256()
        connection, _ = self.socket.accept()
        with connection, self.socket:
            connection.settimeout(60)
            while True:
                data = connection.recv(1 << 16)
                if not data:
                    break
                digest.update(data)
                self.length += len(data)
        self.digest = digest.hexdigest()


def send_blob(address, port, length, seed=1):
    """@return hash of `length` pseudo-random bytes sent over one TCP connection"""
    blob = hashlib.shake_256(b"%d" % seed).digest(length)
    with socket.create_connection((address, port), timeout=30) as s:
        s.settimeout(60)
        s.sendall(blob)
    return hashlib.sha256(blob).hexdigest()


class Sniffer(threading.Thread):
    """Counts frames that come in from a TAP, by length, and TCP flags of large ones."""

    def __init__(self, interface):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((interface, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        self.socket.setblocking(False)
        self.longest = 0
        self.tcp = 0
        self.full = 0
        self.bad_checksums = 0
        self.stop = False
        self.start()

    def run(self):
        while not self.stop:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            frame, address = self.socket.recvfrom(1 << 16)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            self.longest = max(self.longest, len(frame))
            if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                self.tcp += 1
                self.full += len(frame) == 1514
                self.bad_checksums += not tcp_checksum_ok(frame[14:])

    def end(self):
        self.stop = True
        self.join(2)
        self.socket.close()


def checksum(data):
    """The ones' complement sum is the remainder by 65535; 0 when the checksum within is right."""
    return int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xffff


def tcp_checksum_ok(packet):
    """Are the checksums of this IPv4 header and its TCP segment right?"""
    head = (packet[0] & 15) * 4
    length = struct.unpack(">H", packet[2:4])[0]
    segment = packet[head:length]
    pseudo = packet[12:20] + struct.pack(">BBH", 0, 6, len(segment))
    return checksum(packet[:head]) == 0 and checksum(pseudo + segment) == 0


class Flood(threading.Thread):
    """UDP to the guest at a bounded rate until stopped; needs a permanent neighbour entry."""

    def __init__(self, address, per_millisecond=10):
        super().__init__(daemon=True)
        self.target = (address, 9)
        self.burst = per_millisecond
        self.sent = 0
        self.stop = False
        self.start()

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            payload = os.urandom(600)
            while not self.stop:
                for _ in range(self.burst):
                    try:
                        s.sendto(payload, self.target)
                        self.sent += 1
                    except OSError:
                        pass
                time.sleep(0.001)

    def end(self):
        self.stop = True
        self.join(2)


def mac_bytes(text):
    return bytes(int(b, 16) for b in text.split(":"))


def is_numbered(frame):
    return frame[12:14] == b"\x88\xb5"


def listener(interface):
    """A socket that has every frame of an interface from now on."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((interface, 0))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)  # beyond net.core.rmem_max
    s.setblocking(False)
    return s


def arrived(s, keep=is_numbered):
    """Frames that are to be kept and have come to a listener by now, none of them sent by this side."""
    got = []
    while True:
        try:
            frame, address = s.recvfrom(1 << 16)
        except BlockingIOError:
            return got
        if address[2] != socket.PACKET_OUTGOING and keep(frame):
            got.append(frame)


def received(s, count, seconds=5):
    """How many numbered frames have come to a listener; those that are expected have some time."""
    got, end = len(arrived(s)), time.monotonic() + seconds
    while got < count and time.monotonic() < end:
        select.select([s], [], [], 0.2)
        got += len(arrived(s))
    return got


def exchange(interface, frames, seconds=20, burst=16, keep=is_numbered, each=1, taker=None):
    """
    Send Ethernet frames to the guest a few at a time and collect what comes back, as sent by the
    guest, `each` for one; on interface `taker` where that is another.
    @return frames that are to be kept, in order of arrival
    """
    got = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out, listener(taker or interface) as s:
        out.bind((interface, 0))
        end = time.monotonic() + seconds
        sent = 0
        while time.monotonic() < end and len(got) < len(frames) * each:
            # Never more on the way than the rings hold many times over.
            while sent < len(frames) and sent - len(got) // each < burst:
                out.send(frames[sent])
                sent += 1
            select.select([s], [], [], 0.2)
            got += arrived(s, keep)
    return got


def numbered_frames(destination, source, count, longest=1514):
    """Frames of all sizes with an experimental EtherType, numbered and with contents of their own."""
    frames = []
    for i in range(count):
        length = 60 + (i * 97) % (longest - 59)
        body = struct.pack(">I", i) + hashlib.shake_256(b"f%d" % i).digest(longest)
        frames.append((destination + source + b"\x88\xb5" + body)[:length])
    return frames
