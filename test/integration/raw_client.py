# SPDX-License-Identifier: BSD-3-Clause
"""A vfio-user client made of raw messages, for clients that do not behave.

spec/vmbus-over-vfio-user.md §1-§5: header u16 id, u16 command, u32 size, u32 flags, u32 error.
"""
import array
import os
import socket
import struct

from harness import connect, patience

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO = 1, 2, 3, 4
SET_IRQS, REGION_READ, RESET = 8, 9, 13
NO_REPLY = 0x10
ERROR = 0x20


def message(command, payload=b"", ident=1, flags=0):
    return struct.pack("<HHIII", ident, command, 16 + len(payload), flags, 0) + payload


def dma_map(address, size, offset=0, flags=1):
    return struct.pack("<IIQQQ", 32, flags, offset, address, size)


def dma_unmap(address, size):
    return struct.pack("<IIQQ", 24, 0, address, size)


def set_irqs(index, start, count, flags=0x24):
    return struct.pack("<IIIII", 20, flags, index, start, count)


def region_read(region, count, offset=0):
    return struct.pack("<QII", offset, region, count)


class RawClient:
    """One connection; every wait ends after ten seconds."""

    def __init__(self, path, version=True):
        self.socket = connect(path)
        if version and self.ask(VERSION, struct.pack("<HH", 0, 1)) != 0:
            raise OSError("VERSION was refused")

    def send(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        return self.socket.sendmsg([data], control)

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionResetError("the host closed the connection")
            data += part
        return data

    def reply(self):
        """(errno, payload) of the next reply."""
        _, _, size, flags, error = struct.unpack("<HHIII", self.receive(16))
        return (error if flags & ERROR else 0), self.receive(size - 16)

    def ask(self, command, payload=b"", fds=()):
        """Send, wait, and give the errno of the answer; 0 is success."""
        self.send(message(command, payload), fds)
        return self.reply()[0]

    def closed_within(self, seconds, probe=False):
        """Does the host hang up? A probe may well end without."""
        self.socket.settimeout(patience(seconds, probe))
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self):
        self.socket.close()


def memory(size):
    """A memfd; sparse, so any size."""
    fd = os.memfd_create("guest", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd
