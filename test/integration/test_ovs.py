# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch of the distribution with two of our ports on a bridge, Linux stacks behind them."""
import os
import shutil
import unittest

import ovs
import stacks
from harness import Case, memory_args, needs_root, wait_until

JUMBO = 9000
MACS = [f"00:15:5d:48:00:{number:02x}" for number in (1, 2)]  # as harness.Host gives them


@unittest.skipUnless(os.path.exists(ovs.VSWITCHD), "Open vSwitch with DPDK is not installed (./run setup ovs)")
@unittest.skipUnless(shutil.which("iperf3"), "iperf3 is not installed (./run setup test)")
@needs_root
class Ovs(Case):
    limit = 120

    def bridge(self, **keys):
        """Two stacks and a bridge with a port to each: (stacks, switch)."""
        made = stacks.Stacks(vnet=True, **keys)
        self.programs = made.programs
        self.addCleanup(made.close)
        devices = [made.host.device(number) for number in range(2)]
        switch = ovs.OpenVSwitch(self.dir, made.own, devices, memory_args(), made.spaces[0].prefix)
        for number in range(2):
            switch.add_port(f"dpdk{number}", MACS[number])
        return made, switch

    def settled(self, switch, **columns):
        """Both interfaces say what is expected of them, and have no complaint."""
        for name in ("dpdk0", "dpdk1"):
            wait_until(lambda n=name: all(switch.get(n, column) == value
                                          for column, value in columns.items()), 20,
                       f"{name} has {columns}")
            self.assertEqual(switch.get(name, "error"), "")

    def test_bridge(self):
        made, switch = self.bridge()
        self.settled(switch, mtu="1500", admin_state="up")
        self.assertTrue(made.ping(size=1472))
        for options in ((), ("-R",), ("-u", "-b", "50M", "-l", "1400")):
            intervals, _ = stacks.moved(made.iperf(*options))
            self.assertGreater(sum(intervals[2:]), 0, f"iperf3 {options} stalled")

        # More queues, while frames go.
        for queues in (4, 1):
            for name in ("dpdk0", "dpdk1"):
                switch.set(name, f"options:n_rxq={queues}")
            wait_until(lambda: all(switch.queues(name) == queues for name in ("dpdk0", "dpdk1")), 20,
                       f"{queues} queues")
            self.assertTrue(made.ping())

        # A port that goes and comes back.
        switch.vsctl("del-port", "br0", "dpdk1")
        self.assertFalse(made.ping(count=1, wait=1))
        switch.add_port("dpdk1", MACS[1])
        self.settled(switch, mtu="1500")
        self.assertTrue(made.ping())
        self.assertEqual(made.errors(), {})
        switch.stop()
        self.assertNotIn("|EMER|", switch.log())
