# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's failsafe driver on top of our port: it polls what it remembers of a removed port."""
import glob
import os
import signal
import unittest

from harness import PLUGIN, Case, Program, lcore_args, memory_args, wait_until

FAILSAFE = "/usr/lib/*/dpdk/pmds-*/librte_net_failsafe.so"


@unittest.skipUnless(glob.glob(FAILSAFE), "net_failsafe is not installed")
class Failsafe(Case):
    def test_removal_under_failsafe(self):
        """The port goes while failsafe forwards: nothing crashes, and the port is taken back."""
        host = self.host("gen:size=60-1514,flows=16,rate=20K")
        # The plugin by -d; the device belongs to failsafe, which names it to EAL itself.
        pmd = self.own(Program("testpmd", [
            "dpdk-testpmd", *lcore_args(), "-n", "1", "--no-pci", "--no-telemetry",
            "--file-prefix", f"failsafe{id(self)}", *memory_args(), "-d", PLUGIN,
            "-b", f"vmbus:{host.guids[0]}",
            "--vdev", f"net_failsafe0,hotplug_poll=100,dev({host.device()})", "--", "-i",
            "--total-num-mbufs=16384", "--no-flush-rx"]))
        pmd.expect("testpmd> ", 30)
        pmd.send("start\n")
        wait_until(lambda: host.port()["verified"] >= 2000, 15, "frames come back")
        for _ in range(3):
            host.signal(signal.SIGKILL)
            host.wait()
            for name in os.listdir(host.dir):  # sockets that nobody listens at
                os.remove(os.path.join(host.dir, name))
            host = self.host("gen:size=60-1514,flows=16,rate=20K", directory=host.dir)
            # testpmd stops its forwarding at the event; failsafe starts our port again.
            wait_until(lambda: host.stats()["state"] == "running" and host.stats()["rx_frames"],
                       15, "failsafe has the port back")
        self.assertTrue(pmd.alive())
        pmd.send("quit\n")
        self.assertEqual(pmd.wait(20), 0)
