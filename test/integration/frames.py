# SPDX-License-Identifier: BSD-3-Clause
"""Ethernet frames and capture files, written by hand so that every byte is ours to compare."""
import random
import struct

HOST_MAC = bytes.fromhex("021122334455")
GUEST_MAC = bytes.fromhex("00155d480001")
BROADCAST = b"\xff" * 6


def checksum(data):
    """The Internet checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(ethertype, payload, dst=GUEST_MAC, src=HOST_MAC, vlan=None):
    tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
    return (dst + src + tag + struct.pack(">H", ethertype) + payload).ljust(60, b"\0")


def ipv4(protocol, payload, src="192.0.2.1", dst="192.0.2.2", ident=0, fragment=0):
    def address(text):
        return bytes(map(int, text.split(".")))

    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0)
    header += address(src) + address(dst)
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def ipv6(protocol, payload, last_src=1, last_dst=2):
    prefix = bytes.fromhex("20010db8") + b"\0" * 11
    return (struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64) +
            prefix + bytes([last_src]) + prefix + bytes([last_dst]) + payload)


def udp(payload, sport=1024, dport=2048):
    """UDP without checksum, as IPv4 allows."""
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def arp(sender="192.0.2.1", target="192.0.2.2"):
    def address(text):
        return bytes(map(int, text.split(".")))

    return (struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + HOST_MAC + address(sender) + b"\0" * 6 +
            address(target))


def udp_frame(size, flow, rand):
    """A UDP frame of exactly size bytes with random payload."""
    return ether(0x0800, ipv4(17, udp(rand.randbytes(size - 42), sport=1024 + flow),
                              src=f"192.0.2.{1 + flow % 200}"))


def every_size(flows=16, seed=1):
    """One frame of each size without FCS that a 1500-byte MTU has room for."""
    rand = random.Random(seed)
    return [udp_frame(size, size % flows, rand) for size in range(60, 1515)]


def mixed_capture(seed=2):
    """ARP, IPv4, IPv6, VLAN, fragments, unknown types and odd sizes."""
    rand = random.Random(seed)
    frames = [
        ether(0x0806, arp(), dst=BROADCAST),
        ether(0x0800, ipv4(1, b"\x08\0\0\0" + rand.randbytes(56))),
        ether(0x0800, ipv4(17, udp(rand.randbytes(1472)))),
        ether(0x0800, ipv4(6, rand.randbytes(20))),
        ether(0x86DD, ipv6(17, udp(rand.randbytes(333)))),
        ether(0x86DD, ipv6(58, b"\x87\0\0\0" + rand.randbytes(20)),
              dst=bytes.fromhex("3333ff000002")),
        ether(0x86DD, ipv6(44, struct.pack(">BBHI", 17, 0, 1, 7) + rand.randbytes(1232))),
        ether(0x0800, ipv4(17, udp(rand.randbytes(100))), vlan=100),
        ether(0x86DD, ipv6(17, udp(rand.randbytes(1001))), vlan=0xE000 | 4094),
        ether(0x0806, arp(), vlan=1),
        ether(0x88CC, rand.randbytes(77), dst=bytes.fromhex("0180c200000e")),
        ether(0x8100, struct.pack(">HHH", 5, 0x8100, 6) + struct.pack(">H", 0x0800) +
              ipv4(17, udp(rand.randbytes(50)))),
        ether(0x0027, rand.randbytes(39)),  # 802.3 length instead of a type
    ]
    # A datagram of 4000 bytes in three fragments.
    datagram = udp(rand.randbytes(3992))
    for start in range(0, len(datagram), 1480):
        more = 0x2000 if start + 1480 < len(datagram) else 0
        frames.append(ether(0x0800, ipv4(17, datagram[start:start + 1480], ident=77,
                                         fragment=more | start // 8)))
    for size in (60, 61, 63, 64, 65, 127, 128, 129, 255, 257, 511, 513, 1023, 1025, 1513, 1514):
        frames.append(ether(0x88B5, rand.randbytes(size - 14)))
    rand.shuffle(frames)
    return frames * 20


def pcap_write(path, frames, step=1):
    """A capture with a frame every `step` microseconds."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for n, frame in enumerate(frames):
            out.write(struct.pack("<IIII", *divmod(n * step, 1000000), len(frame), len(frame)))
            out.write(frame)


def pcap_read(path):
    """Frames of a capture of either byte order and resolution."""
    return [frame for _, frame in pcap_records(path)]


def pcap_records(path):
    """(seconds, frame) of each, likewise."""
    with open(path, "rb") as file:
        data = file.read()
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    resolution = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}.get(struct.unpack(order + "I", magic)[0])
    if resolution is None:
        raise ValueError(f"{path} is no capture")
    frames, at = [], 24
    while at < len(data):
        seconds, parts, stored, length = struct.unpack_from(order + "IIII", data, at)
        if stored != length or at + 16 + stored > len(data):
            raise ValueError(f"{path}: frame {len(frames)} is cut off")
        frames.append((seconds + parts * resolution, data[at + 16:at + 16 + stored]))
        at += 16 + stored
    return frames
