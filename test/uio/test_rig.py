# SPDX-License-Identifier: BSD-3-Clause
"""What only the rig can show: masks, late files, a second process, removal, the kernel's events."""
import os
import re
import time

import rig
import test_ethdev
import test_life
from harness import (Program, Testpmd, all_are, descriptors, lcore_args, memory_args, resident_kib,
                     wait_until)

REMOVALS = int(os.environ.get("HYPERPOLL_REMOVALS", "50"))  # more in a long run
NO_RECOVERY = ",recovery_s=0"


class Rig(test_life.Traffic):
    limit = 240

    def masks(self, host):
        return [channel["rx"]["interrupt_mask"] for channel in host.request("rings", 0)["rings"]]

    def check_masks(self, **env):
        """Pitfall R10: no interrupt on any channel while we poll, whatever the kernel did."""
        host = self.host("gen:size=60-1514,flows=64,rate=20K")
        pmd = self.guest(host, queues=4, env=env)
        self.assertEqual(self.masks(host), [1] * 4)
        signals = host.stats()["signals"]
        pmd.start()
        self.grows(host, "verified", 5000)
        self.assertEqual(self.masks(host), [1] * 4)
        self.assertEqual(host.stats()["signals"], signals)
        self.assertEqual(pmd.quit(), 0)

    def test_masks(self):
        self.check_masks()

    def test_masks_of_a_kernel_that_masks_at_open(self):
        self.check_masks(RIG_MASKS="1")

    def test_no_monitor(self):
        """The host is called by a write to the device, which also unmasks: we mask again."""
        host = self.host("gen:size=60-1514,flows=64,rate=5K,count=10000")
        host.hold()
        pmd = self.guest(host, queues=4, env={"RIG_MONITOR": "none"})
        pmd.start()
        host.hold(False)
        wait_until(lambda: host.port()["verified"] >= 10000, 20, "all frames are back")
        self.assert_intact(host.port(), 10000)
        self.assertEqual(self.masks(host), [1] * 4)
        self.assertEqual(pmd.quit(), 0)

    def test_no_monitor_and_a_kernel_that_calls_for_the_primary_only(self):
        """One queue works; a second one that nobody could signal is refused with a reason."""
        env = {"RIG_MONITOR": "none", "RIG_CALL": "primary"}
        host = self.host("gen:size=60-1514,flows=64,rate=5K,count=5000")
        host.hold()
        pmd = self.guest(host, env=env)
        pmd.start()
        host.hold(False)
        wait_until(lambda: host.port()["verified"] >= 5000, 20, "all frames are back")
        self.assertEqual(pmd.quit(), 0)
        pmd = self.own(Testpmd(self.host("sink"), queues=2, env=env))
        pmd.expect("this kernel cannot signal it: use one queue", 20)

    def test_monitor_wakes_a_sleeping_host(self):
        """One frame now and then: each is signalled through the monitor page."""
        host = self.host("gen:rate=20,count=40")
        pmd = self.guest(host)
        pmd.start()
        wait_until(lambda: host.port()["finished"], 10, "everything is generated")
        wait_until(lambda: host.port()["verified"] >= 40, 2, "all frames are back", probe=True)
        self.assertEqual(pmd.quit(), 0)

    def second(self, host, **env):
        """The device is in use: another process is refused and the first one goes on."""
        tree = self.mkdtemp()
        first = self.guest(host, env={"RIG_DIR": tree, **env})
        first.start()
        self.grows(host, "verified", 1000)
        second = self.own(Program("second", [
            "dpdk-testpmd", *lcore_args(), "--file-prefix", f"second{os.getpid()}", "--no-pci",
            "--no-telemetry", *memory_args(), "-d", os.path.join(rig.harness.PLUGIN), "-a",
            host.device(), "--", "-i"], env={"RIG_DIR": tree, **env}))
        second.expect("No probed ethernet devices", 20)
        second.send("quit\n")
        self.assertEqual(second.wait(), 0)
        self.grows(host, "verified", 1000)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.assertEqual(first.quit(), 0)
        return second.text

    def test_second_process_sees_that_the_channel_is_open(self):
        text = self.second(self.host("gen:rate=20K"))
        self.assertRegex(text, "open already: another process uses the device")

    def test_second_process_is_locked_out(self):
        """Before the first has opened the channel only the lock on the device tells."""
        text = self.second(self.host("gen:rate=20K"), RIG_STATE="2")
        self.assertRegex(text, "in use by another process")

    # ---- queues that sleep ----

    def sleeps(self, case, **env):
        """A case of test/ethdev/interrupts.c on another kind of kernel."""
        program = test_ethdev.Ethdev.ethdev(self, case, env=env)
        self.assertEqual(program.wait(60), 0)
        self.assertIn(f"ok {case}", program.text)

    def test_sleep_with_a_kernel_that_masks_in_interrupts(self):
        """It may mask what has just been armed, and tells of an event after that."""
        self.sleeps("sleep_every_frame_wakes", RIG_MASKS="1")

    def test_sleep_of_several_queues_with_a_kernel_that_masks_in_interrupts(self):
        self.sleeps("sleep_queues_wake_apart", RIG_MASKS="1")

    def test_sleep_without_monitor(self):
        """Each call of the host unmasks all channels; those that are armed stay so."""
        self.sleeps("sleep_queues_wake_apart", RIG_MONITOR="none")

    def test_sleep_with_a_kernel_whose_subchannels_cannot_interrupt(self):
        """One queue works; arming a second would end the machine, so it is refused with a reason."""
        self.sleeps("sleep_every_frame_wakes", RIG_CALL="primary")
        program = test_ethdev.Ethdev.ethdev(self, "sleep_queues_wake_apart",
                                            env={"RIG_CALL": "primary"})
        self.assertNotEqual(program.wait(30), 0)
        self.assertIn("this kernel cannot take interrupts of other channels than the first: use one "
                      "receive queue", program.text)

    # ---- removal ----

    def remove(self, host, pmd, number=0, running=True):
        """Withdraw the NIC and wait until testpmd has detached it. @return whether it forwards on."""
        with pmd.changed:
            start = len(pmd.text)
        host.request("rescind", number)
        pmd.expect("device removal event", 5, start)
        # testpmd detaches it a little later, on EAL's interrupt thread, and says a lot meanwhile.
        pmd.expect("Device is detached", 10, start)
        if not running:
            pmd.expect(r"Now total ports is \d+\nDone", 5, start)
            return False
        goes_on = pmd.expect(r"nb forwarding cores=\d+ - nb forwarding ports=(\d+)", 5, start)
        # It launches its lcores, if there is a port left, behind the last of its lines, on EAL's
        # interrupt thread: commands that stop and start them must not come at the same time.
        wait_until(lambda: all_are("S", "intr", pmd), 5, "testpmd has done all for the removal")
        if goes_on.group(1) == "0":
            return False
        wait_until(lambda: all_are("R", "worker", pmd), 5, "testpmd forwards again")
        return True

    def attach(self, host, pmd, number=0):
        """The host offers the NIC again: attach and forward."""
        host.request("offer", number)
        time.sleep(0.05)
        end = time.monotonic() + 5
        while True:
            text = pmd.cmd(f"port attach {host.device(number, NO_RECOVERY)}")
            if "is attached" in text or time.monotonic() > end:
                break
            time.sleep(0.05)
        self.assertIn("is attached", text)
        port = re.search(r"Port (\d+) is attached", text).group(1)
        self.assertIn("Done", pmd.cmd(f"port start {port}"))
        self.forward(pmd, port)

    def forward(self, pmd, port):
        """testpmd goes on with the ports it has left, which it takes to be none."""
        pmd.cmd("stop")
        pmd.cmd(f"set portlist {port}")
        pmd.start()

    def test_removal_under_full_traffic(self):
        host = self.host("gen:size=60-1514,flows=64")
        pmd = self.guest([host.device(0, NO_RECOVERY)], queues=2)
        pmd.start()
        before = None
        for n in range(REMOVALS):
            self.grows(host, "verified", 500)
            self.remove(host, pmd)
            if n == REMOVALS // 4:
                before = resident_kib(pmd), descriptors(pmd)
            self.attach(host, pmd)
            # The log of all removals is of no use to anyone, and searching it takes time.
            with pmd.changed:
                pmd.text = pmd.text[-20000:]
        self.grows(host, "verified", 20000)
        self.remove(host, pmd)
        grown = resident_kib(pmd) - before[0]
        self.assertEqual(descriptors(pmd), before[1], "descriptors leak")
        self.assertLess(grown, 4096, f"{grown} KiB more after {REMOVALS * 3 // 4} removals")
        self.assertEqual(pmd.quit(), 0)

    def test_removal_leaves_the_other_port(self):
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([host.device(n, NO_RECOVERY) for n in range(2)], queues=2,
                         args=["--port-topology=loop"])
        pmd.start()
        for _ in range(3):
            self.grows(host, "verified", 500)
            if not self.remove(host, pmd, 0):
                self.forward(pmd, "1")
            self.grows(host, "verified", 5000, number=1)
            self.attach(host, pmd, 0)
        self.assertEqual(pmd.quit(), 0)

    def test_removal_before_and_between_starts(self):
        """Withdrawn while nobody polls."""
        host = self.host("gen:rate=50K")
        pmd = self.guest([host.device(0, NO_RECOVERY)], queues=2)
        self.remove(host, pmd, running=False)
        self.attach(host, pmd)
        self.grows(host, "verified", 500)
        pmd.stop()
        self.remove(host, pmd, running=False)
        self.assertEqual(pmd.quit(), 0)

    def test_unbound_and_bound_again(self):
        """As by vmbusctl, or when the module is loaded anew: another uio number, the same port."""
        host = self.host("gen:size=60-1514,flows=64,rate=20K")
        unbound = self.path("unbound")
        pmd = self.guest(host, queues=4, env={"RIG_UNBOUND": unbound},
                         eal=["--log-level=bus.hyperpoll:info"])
        pmd.start()
        opened = None
        for n in range(10):
            self.grows(host, "verified", 500)
            start = len(pmd.text)
            with open(unbound, "w", encoding="ascii"):
                pass
            pmd.expect("waits for it to come back", 5, start)
            before = host.port()["verified"]
            os.unlink(unbound)
            pmd.expect("the port has recovered", 10, start)
            wait_until(lambda b=before: host.port()["verified"] > b + 100, 10, "it forwards")
            if n == 2:
                opened = descriptors(pmd)
        self.assertEqual(descriptors(pmd), opened, "descriptors leak")
        self.assertNotIn("removal event", pmd.text)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.mempool_is_whole(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_hot_add_is_announced(self):
        """Our own listener hears the kernel's events, and EAL's callbacks hear of the device."""
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest([host.device(n, NO_RECOVERY) for n in range(2)],
                         eal=["--log-level=bus.hyperpoll:info"], args=["--port-topology=loop"])
        host.request("rescind", 1)
        pmd.expect("device removal event", 5)
        host.request("offer", 1)
        pmd.expect(re.escape(host.guids[1]) + ": bound to uio_hv_generic", 5)
