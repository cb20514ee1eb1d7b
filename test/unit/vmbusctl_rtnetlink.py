# SPDX-License-Identifier: BSD-3-Clause
"""Messages of rtnetlink as the kernel would send them, for a fixture's proc/net/rtnetlink. Numbers
are those of linux/rtnetlink.h, linux/if_link.h and linux/nexthop.h."""
import socket
import struct

NEWLINK, NEWADDR, NEWROUTE, NEWNEXTHOP = 16, 20, 24, 104
UNICAST, UNREACHABLE = 1, 7
MAIN = 254
IFLA_IFNAME, IFLA_LINK, IFLA_MASTER = 3, 5, 10
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_MULTIPATH, RTA_TABLE, RTA_NH_ID = 1, 4, 9, 15, 30
NHA_ID, NHA_GROUP, NHA_OIF = 1, 2, 5


def pad(data):
    return data + bytes(-len(data) % 4)


def u32(value):
    return struct.pack("=I", value)


def attributes(*pairs):
    return b"".join(pad(struct.pack("=HH", 4 + len(data), kind) + data) for kind, data in pairs)


def message(kind, header, *pairs):
    body = pad(header) + attributes(*pairs)
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 0, 0) + body


def link(index, name, master=0, lower=0):
    pairs = [(IFLA_IFNAME, name.encode() + b"\0")]
    if master:
        pairs.append((IFLA_MASTER, u32(master)))
    if lower:
        pairs.append((IFLA_LINK, u32(lower)))
    return message(NEWLINK, struct.pack("=BxHiII", 0, 1, index, 0x1003, 0), *pairs)


def address(index, text):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return message(NEWADDR, struct.pack("=BBBBI", family, 24, 0, 0, index),
                   (IFA_ADDRESS, socket.inet_pton(family, text)))


def route(*pairs, table=MAIN, v6=False, length=0, kind=UNICAST):
    family = socket.AF_INET6 if v6 else socket.AF_INET
    small = table if table < 256 else 0
    return message(NEWROUTE, struct.pack("=BBBBBBBBI", family, length, 0, 0, small, 3, 0, kind, 0),
                   (RTA_TABLE, u32(table)), *pairs)


def via(index):
    return RTA_OIF, u32(index)


def several(*indexes):
    return RTA_MULTIPATH, b"".join(struct.pack("=HBBi", 8, 0, 0, index) for index in indexes)


def by_object(number):
    return RTA_NH_ID, u32(number)


def nexthop(number, index):
    return message(NEWNEXTHOP, struct.pack("=BBBBI", 2, 0, 0, 0, 0), (NHA_ID, u32(number)), (NHA_OIF, u32(index)))


def group(number, *members):
    return message(NEWNEXTHOP, struct.pack("=BBBBI", 0, 0, 0, 0, 0), (NHA_ID, u32(number)),
                   (NHA_GROUP, b"".join(struct.pack("=IBBH", member, 0, 0, 0) for member in members)))
