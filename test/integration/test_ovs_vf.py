# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch of the distribution on two of our ports while the host does with them what hosts do.

A generator's numbered frames go through the bridge, come back from another NIC, and the same way again.
"""
import os
import signal
import unittest

import ovs
import round_trip
from harness import Case, memory_args, needs_root, wait_until
from vf_network import MAC, VfNetwork, af_packet, prepare

QUEUES = 2  # of both directions: one for each thread of the switch


class SwitchNetwork(VfNetwork):
    """NIC 0 has the generator and the VF, NIC 1 returns what it gets."""

    def __init__(self, case):
        super().__init__(case, "spoof=on,channels=2", others=("echo",), outlives=True)
        self.switch = ovs.OpenVSwitch(
            case.dir, case.own, [self.host.device(0, ",vf=net_af_packet0"), self.host.device(1)], memory_args(),
            self.space.prefix, eal=[f"--vdev={af_packet(QUEUES)}"])
        for number, mac in enumerate((MAC, "00:15:5d:48:00:02")):
            self.switch.add_port(f"dpdk{number}", mac, f"options:n_rxq={QUEUES}")
        self.switch.only_between("dpdk0", "dpdk1")

    def killed_and_restarted(self):
        """Another host with the same NICs has taken the place of this one."""
        self.host.signal(signal.SIGKILL)
        self.host.wait()
        self.host = self.case.host(*self.nics, directory=self.host.dir, prefix=self.space.prefix)
        prepare(self.space, "vf0")

        def serves():
            try:
                return self.host.stats()
            except OSError:
                return None  # the sockets are still those of the one before

        wait_until(serves, 10, "hvsim serves")


@unittest.skipUnless(os.path.exists(ovs.VSWITCHD), "Open vSwitch with DPDK is not installed (./run setup ovs)")
@needs_root
class OvsVf(Case):
    limit = 150

    def nothing_is_lost(self, net):
        """Of frames that begin now."""
        lost = round_trip.lost(self, net.host, len(net.nics))
        net.await_frames(2000)
        self.assertEqual(round_trip.lost(self, net.host, len(net.nics)), lost)

    def ended(self, net):
        self.assertTrue(net.switch.switch.alive())
        net.switch.stop()
        self.assertNotIn("|EMER|", net.switch.log())

    def test_rescinded_and_offered_again(self):
        net = SwitchNetwork(self)
        for _ in range(3):
            net.await_path(True, 20)
            net.await_frames_on(True)
            net.host.request("rescind", 0)
            wait_until(lambda: net.host.stats()["state"] == "offered", 10, "the session is over")
            net.host.request("offer", 0)
            net.await_frames(500, 15)
        net.await_path(True, 20)
        net.await_frames_on(True)
        self.nothing_is_lost(net)
        self.ended(net)

    def test_host_killed_and_restarted(self):
        net = SwitchNetwork(self)
        for _ in range(3):
            net.await_path(True, 20)
            net.await_frames_on(True)
            net.killed_and_restarted()
            net.await_frames(500, 15)
        net.await_path(True, 20)
        net.await_frames_on(True)
        self.nothing_is_lost(net)
        self.ended(net)
