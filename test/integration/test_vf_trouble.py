# SPDX-License-Identifier: BSD-3-Clause
"""A virtual function that does not behave, and a guest that is moved to another host, under numbered frames.

The VF is test/fake_vf in stock testpmd, on the interface of a TAP that hvsim serves as vf-port=.
"""
import os
import time

from fake_vf import FAKE_VF, FakeVf
from harness import Case, needs_root, wait_until
from selection import long_run
from vf_network import VF, VfNetwork

LONG = "HYPERPOLL_LONG" in os.environ
START = 3 if LONG else 1  # seconds that it takes to start
MIGRATIONS = 10 if LONG else 2


@needs_root
class VfTrouble(Case):
    limit = 120

    def check_slow_start_and_stop_that_hangs(self, queues):
        net = VfNetwork(self, f"channels={queues}")
        fake = FakeVf(self)
        pmd = net.guest(queues, vf=VF, vdevs=[], timed=4, env={"HYPERPOLL_FAKE_CONTROL": fake.path},
                        eal=["-d", FAKE_VF])
        pmd.start()
        net.await_frames_on(False)
        # Frames flow while it takes its time to start.
        began, looks = time.monotonic(), 0
        fake.ask(f"plug iface={VF},start_ms={START * 1000}")
        while not net.on_vf():
            net.await_frames(100)
            looks += 1
        self.assertGreaterEqual(time.monotonic() - began, START)
        self.assertGreater(looks, 4, "it stalled")
        net.await_frames_on(True)
        self.assertEqual(int(fake.ask("seen")["rx_queues"]), queues)
        # Its driver does not come back from the stop: the port's own stop and start do, and the host offers it again.
        fake.ask("stop_hangs 1")
        net.restart(pmd)
        self.assertFalse(net.on_vf())
        net.await_frames_on(False, 300)
        net.vf(present=False)
        net.await_frames_on(False, 300)
        net.vf(present=True, serial=3)
        net.await_frames_on(False, 300)
        self.assertFalse(net.on_vf())
        self.assertEqual(fake.ask("seen")["stops"], "0")
        fake.ask("start_ms 0")
        fake.ask("stop_hangs 0")
        net.await_path(True)
        net.await_frames_on(True)
        seen = fake.ask("seen")
        self.assertEqual((seen["starts"], seen["stops"]), ("2", "1"))
        lost = net.check_books(pmd)
        print(f"     {lost} of {net.host.port()['rx_frames']} frames lost, counted", flush=True)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_slow_start_and_stop_that_hangs_4q(self):
        self.check_slow_start_and_stop_that_hangs(4)

    @long_run
    def test_slow_start_and_stop_that_hangs_1q(self):
        self.check_slow_start_and_stop_that_hangs(1)


@needs_root
class Migration(Case):
    limit = 60 + 10 * MIGRATIONS

    def migrate(self, net, pmd, n):
        """The VF goes first; the link is down while the guest moves; there all counters begin at 0, and a VF comes."""
        net.host.set("vf_removal", ("path_first", "vf_first", "ask")[n % 3])
        net.vf(present=False)
        net.await_path(False)
        net.await_frames_on(False, 100)
        net.host.set("stall", 1)
        time.sleep(0.05)
        net.host.request("link", 0, up=False)
        net.host.set("oid_restart", 1)
        net.host.set("stall", 0)
        wait_until(lambda: "Link status: down" in pmd.cmd("show port info 0"), 5, "link down")
        net.host.request("link", 0, up=True)
        net.host.set("network_change", 1)
        wait_until(lambda: "Link status: up" in pmd.cmd("show port info 0"), 5, "link up")
        net.await_frames_on(False, 100)
        net.vf(present=True, serial=10 + n)
        net.await_path(True)
        net.await_frames_on(True)

    def hosts_counters(self, pmd):
        """Once all of them have been asked for from now on."""
        begun = pmd.xstats()["host_rounds"]
        wait_until(lambda: pmd.xstats()["host_rounds"] >= begun + 2, 20, "the host has been asked")
        return {name: value for name, value in pmd.xstats().items() if name.startswith("host_")}

    def check_migrations(self, queues):
        net = VfNetwork(self, f"channels={queues}")
        pmd = net.guest(queues, timed=2 * MIGRATIONS)
        pmd.start()
        net.await_path(True)
        net.await_frames_on(True)
        start, told = len(pmd.text), self.hosts_counters(pmd)
        for n in range(MIGRATIONS):
            self.migrate(net, pmd, n)
            was, told = told, self.hosts_counters(pmd)
            for name, value in told.items():
                self.assertGreaterEqual(value, was[name], name)
            # Those of the path on which frames came meanwhile, and not all of what the other host had counted again.
            self.assertGreater(told["host_rx_packets"], was["host_rx_packets"])
            self.assertLessEqual(told["host_rx_packets"], net.host.stats()["rx_frames"])
        self.assertNotIn("waits for it to come back", pmd.text[start:])
        lost = net.check_books(pmd)
        print(f"     {MIGRATIONS} migrations, {lost} of {net.host.port()['rx_frames']} frames lost, counted", flush=True)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_live_migration(self):
        self.check_migrations(4)

    @long_run
    def test_live_migration_1q(self):
        self.check_migrations(1)
