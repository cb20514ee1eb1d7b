# SPDX-License-Identifier: BSD-3-Clause
"""What clients of hvsim that do not behave do to it, each in a moment. @param case collects what fails;
NIC number nic of host is the attacker's."""
import ctypes
import errno
import json
import os
import select
import socket
import struct
import time

from harness import connect, wait_until
from raw_client import (DMA_MAP, DMA_UNMAP, RESET, SET_IRQS, VERSION, RawClient, dma_map, dma_unmap, memory, message,
                        set_irqs)

PAGE = 4096
HOSTILE_JSON = (
    b"", b"{", b"[]", b"null", b"7", b'"stats"', b"{}", b'{"cmd":7}', b'{"cmd":"stats","nic":-1}',
    b'{"cmd":"stats","nic":4294967296}', b'{"cmd":"stats","nic":"0"}', b'{"cmd":"set","nic":0}',
    b'{"cmd":"set","nic":0,"name":[],"value":{}}', b'{"cmd":"set","nic":0,"name":"%s%n","value":"1"}',
    b'{"cmd":"vf","nic":0,"serial":1e999}', b'{"cmd":"nonsense"}', b'{"cmd":"st\\u0000ats"}',
    b"[" * 100 + b"]" * 100, b"\xff\xfe\x00\x01", b'{"cmd":"' + b"x" * 3000 + b'"}',
    b'{"cmd":"set","nic":0,"name":"batch","value":"99999999999999999999"}',
)


def client(case, host, nic, version=True):
    """A client of the NIC, once the one before it is gone."""
    def connected():
        try:
            return RawClient(host.socket(nic), version)
        except OSError:
            return None

    return wait_until(connected, 10, f"NIC {nic} takes a client")


def garbage(case, host, nic):
    for data in (b"\xff" * 16, bytes(16), message(VERSION, b"\xff" * 4), message(77, b"x" * 100), b"\0" * 4096):
        raw = client(case, host, nic, version=False)
        try:
            raw.send(data)
            raw.closed_within(0.2, probe=True)
        finally:
            raw.close()


def half_a_message(case, host, nic):
    raw = client(case, host, nic)
    raw.send(message(DMA_MAP, dma_map(0, PAGE))[:20])
    raw.close()


def half_a_first_message(case, host, nic):
    raw = client(case, host, nic, version=False)
    raw.send(message(VERSION, struct.pack("<HH", 0, 1))[:9])
    raw.close()


class Descriptors:
    """One of each kind that is neither an eventfd nor a memfd."""

    def __init__(self, folder):
        self.owners = [*socket.socketpair(), socket.socket(socket.AF_UNIX), select.epoll()]
        ends = os.pipe()
        plain = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        os.ftruncate(plain, PAGE)
        self.own = {
            "read end of a pipe": ends[0], "write end of a pipe": ends[1], "file": plain,
            "folder": os.open(folder, os.O_RDONLY | os.O_DIRECTORY), "path": os.open(folder, os.O_PATH),
            "/dev/null": os.open("/dev/null", os.O_RDWR), "/dev/zero": os.open("/dev/zero", os.O_RDWR),
            "/proc/self/mem": os.open("/proc/self/mem", os.O_RDONLY), "process": os.pidfd_open(os.getpid()),
        }
        names = ("connected socket", "another", "unbound socket", "epoll instance")
        self.all = {**self.own, **dict(zip(names, (one.fileno() for one in self.owners)))}

    def close(self):
        for owner in self.owners:
            owner.close()
        for fd in self.own.values():
            os.close(fd)


def wrong_descriptors(case, host, nic):
    raw = client(case, host, nic)
    found = Descriptors(case.dir)
    try:
        for what, fd in found.all.items():
            case.assertNotEqual(raw.ask(SET_IRQS, set_irqs(0, 0, 1), [fd]), 0, f"{what} as an eventfd")
            case.assertNotEqual(raw.ask(DMA_MAP, dma_map(0, PAGE), [fd]), 0, f"{what} as memory")
        case.assertEqual(raw.ask(RESET), 0)
    finally:
        found.close()
        raw.close()


def overlapping_maps(case, host, nic):
    raw, fd = client(case, host, nic), memory(64 * PAGE)
    try:
        case.assertEqual(raw.ask(DMA_MAP, dma_map(16 * PAGE, 16 * PAGE), [fd]), 0)
        for address, size in ((16, 16), (16, 1), (31, 1), (0, 17), (31, 17), (0, 64), (20, 4)):
            case.assertNotEqual(raw.ask(DMA_MAP, dma_map(address * PAGE, size * PAGE), [fd]), 0, (address, size))
        # None is lost by what was refused, and the edges are free.
        for address, size in ((15, 1), (32, 1)):
            case.assertEqual(raw.ask(DMA_MAP, dma_map(address * PAGE, size * PAGE), [fd]), 0)
        for address, size in ((2**64 - PAGE, PAGE), (2**64 - PAGE, 2 * PAGE), (0, 2**64 - PAGE), (1, PAGE), (0, 1)):
            raw.ask(DMA_MAP, dma_map(address, size), [fd])
        case.assertEqual(raw.ask(DMA_UNMAP, dma_unmap(16 * PAGE, 16 * PAGE)), 0)
    finally:
        os.close(fd)
        raw.close()


def descending_maps(case, host, nic, maps=400):
    """Each new one in front of all others, which a sorted table likes least."""
    raw, fd = client(case, host, nic), memory(PAGE)
    try:
        for n in range(maps, 0, -1):
            error = raw.ask(DMA_MAP, dma_map(2 * n * PAGE, PAGE), [fd])
            case.assertIn(error, (0, errno.ENOSPC))
        for n in range(1, maps + 1):
            case.assertIn(raw.ask(DMA_UNMAP, dma_unmap(2 * n * PAGE, PAGE)), (0, errno.ENOENT, errno.EINVAL))
    finally:
        os.close(fd)
        raw.close()


def connections(case, host, nic, count=200):
    """As many as the socket takes, all at once, and all silent."""
    found = []
    try:
        for _ in range(count):
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            found.append(one)
            try:
                one.connect(host.socket(nic))
            except BlockingIOError:
                break
            except ConnectionError:
                pass
    finally:
        for one in found:
            one.close()
    return len(found)


def slow(case, host, nic):
    """A message byte by byte."""
    raw = client(case, host, nic, version=False)
    try:
        for byte in message(VERSION, struct.pack("<HH", 0, 1)):
            raw.send(bytes([byte]))
            time.sleep(0.01)
        case.assertEqual(raw.reply()[0], 0)
    finally:
        raw.close()


def silent_control(case, host, nic):
    """Nobody reads the answers, or says what it wants."""
    found = []
    try:
        for text in (b'{"cmd":"stats"}\n' * 50, b'{"cmd":', b""):
            found.append(connect(f"{host.dir}/control.sock"))
            found[-1].sendall(text)
        case.assertTrue(host.request("stats", 0)["ok"])
    finally:
        for one in found:
            one.close()


def hostile_json(case, host, nic):
    """Every line is answered by one line that says no, or the connection ends; the next one is served."""
    for line in HOSTILE_JSON:
        with connect(f"{host.dir}/control.sock") as control:
            control.sendall(line + b"\n")
            answer = control.makefile("rb").readline()
        case.assertTrue(not answer or not json.loads(answer)["ok"], (line[:40], answer))


def truncated(case, host, nic, how):
    """Memory that shrinks or gets holes while the host has it; the host's own cannot."""
    if how == "host":
        shared = 0
        folder = f"/proc/{host.child.pid}/fd"
        for name in os.listdir(folder):
            try:
                if not os.readlink(f"{folder}/{name}").startswith("/memfd:hvsim"):
                    continue
                fd = os.open(f"{folder}/{name}", os.O_RDWR)
            except OSError:
                continue
            shared += 1
            try:
                os.ftruncate(fd, 0)
                case.fail("memory of the host could be truncated")
            except PermissionError:
                pass
            finally:
                os.close(fd)
        case.assertGreater(shared, 0)
        return
    raw, fd = client(case, host, nic), memory(1 << 20)
    try:
        case.assertEqual(raw.ask(DMA_MAP, dma_map(0, 1 << 20), [fd]), 0)
        if how == "truncate":
            os.ftruncate(fd, 0)
        else:
            punch(fd, 0, 1 << 20)
        case.assertTrue(host.stats(nic))
        raw.ask(DMA_UNMAP, dma_unmap(0, 1 << 20))
    finally:
        os.close(fd)
        raw.close()


def punch(fd, offset, length):
    """fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, 3, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


ATTACKS = {
    "garbage": garbage, "half a message": half_a_message, "half a first message": half_a_first_message,
    "wrong descriptors": wrong_descriptors, "overlapping maps": overlapping_maps,
    "descending maps": descending_maps, "connections": connections, "slow": slow, "silent control": silent_control,
    "hostile JSON": hostile_json,
}
