# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's bonding and failsafe drivers, as they are, on top of two of our ports.

A generator's numbered frames go through testpmd into the upper port, out of one of the NICs below, whose
network returns them, and the same way back: what one of them loses, doubles or changes is seen.
"""
import glob
import unittest

import round_trip
from harness import Case, pmd_folder, wait_until
from selection import long_run

TRAFFIC = "gen:size=60-1514,flows=16,rate=4K"
UP, DOWN = True, False


def installed(driver):
    return unittest.skipUnless(glob.glob(f"{pmd_folder()}/librte_net_{driver}.so*"),
                               f"DPDK's driver {driver} is not installed (./run setup test)")


class Upper(Case):
    """NIC 0 has the generator, NICs 1 and 2 are below the port `upper` of testpmd."""

    limit = 120
    below = (1, 2)

    def network(self):
        self.net = self.host(TRAFFIC, "echo", "echo")
        return self.net

    def sent(self):
        return [self.net.stats(nic)["tx_frames"] for nic in self.below]

    def await_frames(self, *nics, n=300, timeout=15):
        """Frames come back to the generator, and all of `nics` had some of them."""
        verified = self.net.port()["verified"]
        before = {nic: self.net.stats(nic)["tx_frames"] for nic in nics}
        wait_until(lambda: self.net.port()["verified"] >= verified + n, timeout, "frames come back")
        wait_until(lambda: all(self.net.stats(nic)["tx_frames"] >= was + n // 4
                               for nic, was in before.items()), timeout, f"frames by NICs {nics}")

    def check_nothing_is_lost(self, *nics):
        """All frames that are sent from now on come back, by exactly these NICs."""
        lost = round_trip.lost(self, self.net, 3)
        before = self.sent()
        self.await_frames(*nics, n=2000)
        for nic, was, now in zip(self.below, before, self.sent()):
            if nic not in nics:
                self.assertEqual(now, was, f"frames by NIC {nic}")
        self.assertEqual(round_trip.lost(self, self.net, 3), lost)

    def link(self, nic, up):
        self.net.request("link", nic, up=up)

    def rescind(self, nic):
        self.net.request("rescind", nic)
        wait_until(lambda: self.net.stats(nic)["state"] == "offered", 10, "the session is over")


@installed("bond")
class Bond(Upper):
    BACKUP, ROUND_ROBIN = 1, 0

    def bond(self, mode):
        """testpmd with the bond as port 3; forwards between it and port 0."""
        net = self.network()
        pmd = self.guest([net.device(nic) for nic in range(3)], args=["--port-topology=chained"])
        pmd.cmd("port stop all")
        self.assertIn("Created new bond", pmd.any_of(f"create bonded device {mode} 0",
                                                    f"create bonding device {mode} 0"))
        for nic in self.below:
            self.assertNotIn("Failed", pmd.any_of(f"add bonding slave {nic} 3",
                                                  f"add bonding member {nic} 3"))
        if mode == self.BACKUP:
            pmd.cmd("set bonding primary 1 3")
        pmd.cmd("port start 0")
        pmd.cmd("port start 3")
        pmd.cmd("set portlist 0,3")
        pmd.start()
        return net, pmd

    def check(self, mode, both, one):
        """@param both NICs that have the frames while both links are up; @param one: ... that of 1 is not"""
        _, pmd = self.bond(mode)
        self.await_frames(*both)
        self.check_nothing_is_lost(*both)
        for _ in range(3):
            self.link(1, DOWN)
            self.await_frames(one)
            self.check_nothing_is_lost(one)
            self.link(1, UP)
            self.await_frames(*both)
        self.check_nothing_is_lost(*both)
        for _ in range(3):
            start = len(pmd.text)
            self.rescind(1)
            pmd.expect("waits for it to come back", 10, start)
            self.await_frames(one)
            self.check_nothing_is_lost(one)
            self.net.request("offer", 1)
            pmd.expect("the port has recovered", 10, start)
            self.await_frames(*both)
        self.check_nothing_is_lost(*both)
        # And the other one.
        self.link(2, DOWN)
        self.await_frames(1)
        self.check_nothing_is_lost(1)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_active_backup(self):
        self.check(self.BACKUP, (1,), 2)

    @long_run
    def test_round_robin(self):
        self.check(self.ROUND_ROBIN, (1, 2), 2)


@installed("failsafe")
class Failsafe(Upper):
    def failsafe(self):
        """testpmd with the failsafe port above NICs 1 and 2; forwards between it and that of NIC 0."""
        net = self.network()
        devices = ",".join(f"dev({net.device(nic)})" for nic in self.below)
        pmd = self.guest([net.device(0)], ports=2, eal=[f"--vdev=net_failsafe0,{devices},hotplug_poll=100"],
                         args=["--port-topology=chained"])
        pmd.start()
        return net, pmd

    def test_rescinded_and_offered_again(self):
        """The port below recovers by itself."""
        _, pmd = self.failsafe()
        self.check_nothing_is_lost(1)
        for _ in range(3):
            start = len(pmd.text)
            self.rescind(1)
            pmd.expect("waits for it to come back", 10, start)
            self.net.request("offer", 1)
            pmd.expect("the port has recovered", 10, start)
            self.await_frames(1)
        self.check_nothing_is_lost(1)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
