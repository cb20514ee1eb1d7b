# SPDX-License-Identifier: BSD-3-Clause
"""Every way EAL can lay out memory either works, by sharing or by copying, or is refused clearly
(spec/vmbus-over-vfio-user.md §11)."""
import os
import unittest

from harness import HUGEPAGES, HUGEPAGES_NEEDED, Case, needs_root, wait_until

COUNT = 20000


def free_hugepages():
    try:
        with open(HUGEPAGES) as file:
            return int(file.read())
    except OSError:
        return 0


needs_hugepages = unittest.skipUnless(free_hugepages() >= HUGEPAGES_NEEDED, "needs hugepages")


class Memory(Case):
    def forward(self, *eal, prefix=(), **keys):
        host = self.host(f"gen:size=60-1514,flows=16,count={COUNT}")
        host.set("rx_wait", 1)
        # Large frames by reference: what is copied works with any memory.
        pmd = self.guest([host.device(options=",tx_copybreak=512")], memory=list(eal),
                         prefix=prefix, **keys)
        pmd.start(patient="io")
        wait_until(lambda: host.port()["tx_frames"] >= COUNT, 20, f"{COUNT} frames are back")
        self.assert_intact(host.port(), COUNT)
        self.assertEqual(host.stats()["tx_errors"], 0)
        self.assertEqual(pmd.quit(), 0)
        return pmd

    def mounted(self, *eal):
        """With a hugetlbfs of its own, in a mount namespace that ends with testpmd."""
        mount = self.path("huge")
        os.mkdir(mount)
        return self.forward("--huge-dir", mount, *eal, prefix=[
            "unshare", "-m", "sh", "-c", 'mount -t hugetlbfs none "$0" && exec "$@"', mount])

    def test_no_huge(self):
        self.forward("--no-huge", "-m", "256")

    @needs_hugepages
    def test_in_memory(self):
        self.forward("--in-memory")

    @needs_hugepages
    def test_in_memory_single_file_segments(self):
        self.forward("--in-memory", "--single-file-segments")

    @needs_hugepages
    def test_in_memory_allocated_at_start(self):
        self.forward("--in-memory", "-m", "200")

    @needs_root
    @needs_hugepages
    def test_in_memory_physical_addresses(self):
        self.forward("--in-memory", "--iova-mode=pa")

    @needs_root
    @needs_hugepages
    def test_hugetlbfs(self):
        self.mounted()

    @needs_root
    @needs_hugepages
    def test_hugetlbfs_single_file_segments(self):
        self.mounted("--single-file-segments")

    @needs_root
    @needs_hugepages
    def test_hugetlbfs_legacy(self):
        self.mounted("--legacy-mem", "-m", "200")

    @needs_root
    @needs_hugepages
    def test_hugetlbfs_legacy_single_file_segments(self):
        """No memory has a file descriptor: everything is copied, and the log says why."""
        pmd = self.mounted("--legacy-mem", "--single-file-segments", "-m", "200")
        self.assertRegex(pmd.text, "single-file-segments")

    @needs_root  # testpmd locks this memory
    @needs_hugepages
    def test_anonymous_mbufs(self):
        """Memory that EAL did not allocate cannot be shared: its mbufs are copied."""
        self.forward("--in-memory", args=["--mp-alloc=anon"])

    @needs_hugepages
    def test_external_memory(self):
        self.forward("--in-memory", args=["--mp-alloc=xmem"])
