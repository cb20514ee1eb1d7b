# SPDX-License-Identifier: BSD-3-Clause
"""test/fake_vf in a testpmd: an ethdev that is slow, hangs or vanishes as it is told."""
import os
import socket

from harness import BUILD, loadable
from vf_network import VF

FAKE_VF = loadable(os.path.join(BUILD, "test/fake_vf/libfake_vf.so"))


class FakeVf:
    """Commands to the one in a testpmd: test/fake_vf/fake_vf.h."""

    def __init__(self, case):
        self.path = case.path("fake")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.bind(case.path("asker"))
        self.socket.settimeout(15)

    def ask(self, command):
        """@return what it said, as a dictionary"""
        self.socket.sendto(f"{VF} {command}".encode(), self.path)
        done, *lines = self.socket.recv(4096).decode().splitlines()
        if done != "ok":
            raise RuntimeError(f"{command}: {done}")
        return dict(line.split(" ", 1) for line in lines)
