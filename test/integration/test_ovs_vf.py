# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch of the distribution on two of our ports while the host does with them what hosts do.

A generator's numbered frames go through the bridge, come back from another NIC, and the same way again.
"""
import os
import re
import signal
import unittest

import ovs
import round_trip
from harness import Case, memory_args, needs_root, wait_until
from vf_network import MAC, VfNetwork, af_packet, prepare

FLIPS = 20
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

    # ---- the books: what each hop was given, and what it has passed on ----

    def switch_counts(self):
        """Frames of each port of the bridge: {port: {"rx pkts": ..., "tx drop": ...}}."""
        counts = {}
        text = self.switch.openflow("dump-ports")
        for name, rx, tx in re.findall(r"port +\"?(dpdk\d)\"?: rx (.*)\n +tx (.*)", text):
            counts[name] = {f"{way} {key}": int(n) for way, line in (("rx", rx), ("tx", tx))
                            for key, n in re.findall(r"(\w+)=(\d+)", line)}
        return counts

    def hops(self):
        """{hop: (frames that have not come through it, frames that it has counted as lost)}."""
        port, lost = self.host.port(), self.losses()
        zero, one = (self.switch_counts()[name] for name in ("dpdk0", "dpdk1"))
        echo = sum(n for key, n in lost.items() if key.startswith("NIC 1 "))
        threads = self.switch.appctl("dpif-netdev/pmd-stats-show")
        upcalls = sum(int(n) for n in re.findall(r"miss with failed upcall: (\d+)", threads))
        return {
            "NIC 0, its VF and the network": (
                port["rx_frames"] - zero["rx pkts"] + zero["tx pkts"] - port["verified"],
                sum(lost.values()) - echo + zero["rx drop"] + zero["rx errs"]),
            "the switch": (zero["rx pkts"] - one["tx pkts"] + one["rx pkts"] - zero["tx pkts"],
                           zero["tx drop"] + one["tx drop"] + upcalls),
            "NIC 1 and its echo": (one["tx pkts"] - one["rx pkts"], echo + one["rx drop"] + one["rx errs"]),
        }

    def settled_hops(self):
        self.settle()
        hops = self.hops()
        self.host.hold(False)
        return hops

    def check_hops(self, before):
        """Nothing corrupted, nothing twice, and each hop has counted what it lost since `before`. @return how much"""
        def since():
            return {hop: (missing - before[hop][0], lost - before[hop][1])
                    for hop, (missing, lost) in self.hops().items()}

        self.settle()
        try:
            wait_until(lambda: all(missing == lost for missing, lost in since().values()), 10, "the books balance")
        except TimeoutError:
            pass
        hops, port = since(), self.host.port()
        self.case.assertEqual((port["corrupt"], port["duplicate"], port["foreign"]), (0, 0, 0), port)
        for hop, (missing, lost) in hops.items():
            self.case.assertEqual(missing, lost, f"{hop}: {hops}; {self.losses()}; {self.switch_counts()}")
        self.host.hold(False)
        return {hop: lost for hop, (_, lost) in hops.items()}


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

    def test_every_hop_counts_what_it_loses_at_flips(self):
        net = SwitchNetwork(self)
        net.await_path(True, 20)
        net.await_frames_on(True)
        # Before it had both ports and its flows the switch dropped as it pleased.
        before = net.settled_hops()
        for flip in range(FLIPS):
            net.host.set("vf_removal", ("path_first", "vf_first", "ask")[flip % 3])
            net.vf(present=False)
            net.await_path(False)
            if flip % 5 == 0:
                net.await_frames_on(False, 50)
            net.vf(present=True, serial=1 + flip // 10)
            net.await_path(True)
        net.await_frames_on(True)
        print(f"     {FLIPS} flips, {net.host.port()['rx_frames']} frames; lost and counted: {net.check_hops(before)}",
              flush=True)
        self.nothing_is_lost(net)
        self.ended(net)
