# SPDX-License-Identifier: BSD-3-Clause
"""iperf3 between two Linux stacks whose frames go TAP - hvsim - testpmd - hvsim - TAP."""
import shutil
import unittest

import stacks
from harness import Case, needs_root

@unittest.skipUnless(shutil.which("iperf3"), "iperf3 is not installed (./run setup test)")
@needs_root
class Iperf(Case):
    def stacks(self, vnet, **keys):
        made = stacks.Stacks(vnet, **keys)
        self.programs = made.programs
        self.addCleanup(made.close)
        return made

    def check(self, made, runs):
        """Each run moves bytes to its end, and no stack finds a frame broken."""
        for options, ipv6 in runs:
            with self.subTest(options=options, ipv6=ipv6):
                intervals, rate = stacks.moved(made.iperf(*options, ipv6=ipv6))
                self.assertGreaterEqual(len(intervals), 3)
                self.assertGreater(sum(intervals[2:]), 0, "it stalled")
                print(f"     {' '.join(options) or 'TCP'}{', IPv6' if ipv6 else ''}: "
                      f"{rate / 1e6:.0f} Mbit/s", flush=True)
        self.assertEqual(made.errors(), {})

    TCP = (((), False), (("-R",), False), ((), True))
    UDP = ((("-u", "-b", "50M", "-l", "1400"), False), (("-u", "-b", "50M", "-l", "1400"), True))

    def test_plain_frames(self):
        """No offload anywhere: what the stacks send has its checksums and fits the MTU."""
        made = self.stacks(vnet=False)
        pmd = made.own(self.guest(made.host))
        pmd.start()
        self.check(made, [self.TCP[0], self.UDP[0], (("-u", "-b", "50M", "-l", "8000"), False)])
        self.assertEqual(pmd.quit(), 0)

    def test_host_cuts_and_fills_for_a_plain_guest(self):
        """Large and unfilled frames of the stacks for a guest that asked for nothing."""
        made = self.stacks(vnet=True)
        pmd = made.own(self.guest(made.host))
        pmd.start()
        self.check(made, [*self.TCP, *self.UDP])
        self.assertEqual(made.host.stats(0)["tx_large"], 0)
        self.assertEqual(pmd.quit(), 0)

    def test_offloads(self):
        """Checksums are left to the NIC in both directions, cutting and joining of TCP, too."""
        made = self.stacks(vnet=True)
        pmd = made.own(self.guest(made.host, mode="csum", args=stacks.OFFLOAD_ARGS))
        stacks.use_offloads(pmd)
        pmd.start()
        self.check(made, [*self.TCP, *self.UDP])
        for number in range(2):
            nic = made.host.stats(number)
            self.assertGreater(nic["tx_large"], 0)
            self.assertGreater(nic["rx_large"], 0)
        self.assertEqual(pmd.quit(), 0)
