# SPDX-License-Identifier: BSD-3-Clause
"""A user without any capability runs hvsim and testpmd on it."""
import os
import re
import unittest

from harness import HUGEPAGES, HUGEPAGES_NEEDED, wait_until
from unprivileged import USER, Unprivileged

FRAMES = 10000


def has_hugepages():
    try:
        with open(HUGEPAGES, encoding="ascii") as file:
            return int(file.read()) >= HUGEPAGES_NEEDED
    except OSError:
        return False


class User(Unprivileged):
    limit = 90

    def forwards(self, memory, queues):
        """Every frame comes back unchanged, and nothing of the run is anybody else's."""
        shared = set(os.listdir("/run/hyperpoll")) if os.path.isdir("/run/hyperpoll") else set()
        host = self.user_host(f"gen:size=60-1514,flows=64,rate=20K,count={FRAMES}")
        self.assert_no_privileges(host)
        host.hold()
        pmd = self.user_testpmd(host, queues=queues, memory=memory).ready()
        self.assert_no_privileges(pmd)
        pmd.start("io")
        host.hold(False)
        wait_until(lambda: host.port()["verified"] >= FRAMES, 40, "all frames are back")
        self.assert_intact(host.port(), FRAMES)
        files = [os.path.join(folder, name) for folder, folders, names in os.walk(self.home)
                 for name in folders + names]
        self.assertTrue([name for name in files if "/dpdk/" in name], "EAL's files")
        self.assertEqual({os.lstat(name).st_uid for name in files}, {USER})
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        now = set(os.listdir("/run/hyperpoll")) if os.path.isdir("/run/hyperpoll") else set()
        self.assertFalse([name for name in now - shared if name.startswith(tuple(host.guids))])

    @unittest.skipUnless(has_hugepages(), "needs free huge pages")
    def test_huge_pages(self):
        """--in-memory: no right to any mount is needed."""
        self.forwards(["--in-memory"], 2)

    def test_without_huge_pages(self):
        self.forwards(["--no-huge", "-m", "256"], 1)

    @unittest.skipUnless(os.geteuid() == 0, "needs a second user")
    def test_host_of_another_user(self):
        """One sentence says what is in the way."""
        host = self.host("sink")
        memory = ["--no-huge", "-m", "256"]
        pmd = self.user_testpmd(host, memory=memory)
        pmd.expect(f"{host.guids[0]}: no such device: neither bound to uio_hv_generic nor served over vfio-user", 20)
        pmd.close()
        pmd = self.user_testpmd(host, memory=memory, devices=[host.device()])
        pmd.expect(f"cannot connect to {re.escape(host.socket())}: Permission denied: run as the user who serves it, "
                   "or as root", 20)
