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
        # With checksums filled in: Open vSwitch 3.1 sends frames on as they are of which the host says
        # that they are verified and their checksum is not in them (RTE_MBUF_F_RX_L4_CKSUM_NONE).
        made = stacks.Stacks(vnet=False, **keys)
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

    def test_mtu_request(self):
        """Another MTU on a bridge that forwards; one that the NIC has not changes nothing."""
        made, switch = self.bridge(mtu=JUMBO, settings=(f"mtu={JUMBO}",) * 2)
        self.settled(switch, mtu="1500")
        self.assertTrue(made.ping(size=1472))
        for mtu in (JUMBO, 1500, JUMBO):
            for name in ("dpdk0", "dpdk1"):
                switch.set(name, f"mtu_request={mtu}")
            self.settled(switch, mtu=str(mtu))
            self.assertTrue(made.ping(size=mtu - 28, more=("-M", "do")))
            if mtu != JUMBO:  # more than it is lost between the stacks, and nothing else
                self.assertFalse(made.ping(size=mtu - 27, count=1, wait=1, more=("-M", "do")))
                self.assertTrue(made.ping(size=mtu - 28, count=2))
        switch.set("dpdk0", "mtu_request=20000")
        wait_until(lambda: "unsupported MTU 20000" in switch.log(), 10, "the switch says that it is too much")
        self.assertEqual(switch.get("dpdk0", "mtu"), str(JUMBO))
        self.assertTrue(made.ping(size=JUMBO - 28))
        self.assertEqual(made.errors(), {})
        switch.stop()
