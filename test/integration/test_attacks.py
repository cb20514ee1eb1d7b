# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on hvsim, and how long the frames of another NIC pause meanwhile.

The other NIC plays a capture through a stock testpmd and records what comes back, with the times: every
frame must come, in order, and none later after the one before it than BOUND. test_shares.py has the
attacks on single resources.
"""
import itertools
import os
import signal
import time

import attacks
import frames
from harness import Case, connect, wait_until

RATE = 2000
# Seconds without a frame at another NIC.
BOUND = 0.25
SECONDS = 0.75  # for each attack
SMALL = "channels=4,ring=64K,recv=1M,send=1M"


class Attacks(Case):
    limit = 300

    def setUp(self):
        super().setUp()
        self.sent = frames.every_size()[::5]
        frames.pcap_write(self.path("in.pcap"), self.sent)
        self.out = self.path("out.pcap")
        # One NIC to attack, one that is not.
        self.host_ = self.host((SMALL, "sink"),
                               (SMALL, f"pcap:in={self.path('in.pcap')},out={self.out},loop=0,rate={RATE}"))
        self.pmd = self.guest([self.host_.device(1)])
        self.pmd.start("io")
        self.grows()

    def grows(self, by=200):
        before = self.host_.port(1)["tx_frames"]
        wait_until(lambda: self.host_.port(1)["tx_frames"] >= before + by, 20, "the other NIC's frames flow")

    def longest_pause(self, began, ended):
        """Of the record; @return seconds, and checks the frames."""
        self.host_.set("stall_rx", 1, 1)

        def back():
            nic = self.host_.stats(1)
            return nic["tx_frames"] == nic["rx_frames"]

        def recorded():
            """All, once the record has been flushed, which it is when traffic pauses."""
            try:
                found = frames.pcap_records(self.out)
            except ValueError:
                return None
            return found if len(found) == self.host_.stats(1)["tx_frames"] else None

        wait_until(back, 30, "all are back")
        records = wait_until(recorded, 30, "all are recorded")
        self.host_.set("stall_rx", 0, 1)
        # Those from before the guest was up were dropped.
        first = self.sent.index(records[0][1])
        for (_, frame), sent in zip(records, itertools.cycle(self.sent[first:] + self.sent[:first])):
            if frame != sent:
                self.fail("a frame at the other NIC is lost, doubled or changed")
        times = [when for when, _ in records if began <= when <= ended]
        return max(b - a for a, b in zip(times, times[1:]))

    def once(self, attack):
        """The attack again and again, for a while. @return how often, and the longest pause"""
        began, n = time.time(), 0
        while time.time() < began + SECONDS:
            attack()
            n += 1
        self.grows()
        return n, self.longest_pause(began, time.time())

    def measured(self, name, attack):
        """What an attack does it does each time; what a busy machine does it does now and then."""
        pauses = []
        while not pauses or (pauses[-1] >= BOUND and len(pauses) < 5):
            n, pause = self.once(attack)
            pauses.append(pause)
        print(f"     {name}: {n} times, longest pause at the other NIC {pauses[-1] * 1000:.0f} ms" +
              (f" (before: {pauses[:-1]})" if pauses[1:] else ""), flush=True)
        self.assertLess(pauses[-1], BOUND, name)
        self.assertTrue(self.pmd.alive() and self.host_.alive())

    def test_no_attack_holds_up_another_nic(self):
        for name, attack in attacks.ATTACKS.items():
            with self.subTest(name):
                self.measured(name, lambda f=attack: f(self, self.host_, 0))
        for how in ("truncate", "punch", "host"):
            with self.subTest(how):
                self.measured(f"memory: {how}", lambda h=how: attacks.truncated(self, self.host_, 0, h))
        # And the attacked one is as it was.
        attacks.client(self, self.host_, 0).close()
        self.assertEqual(self.pmd.quit(), 0)
        self.assertEqual(self.host_.stop(), 0)

    def test_thousands_of_connections(self):
        """As fast as they can be made, to both kinds of socket; one more is served."""
        made = 0

        def attack():
            nonlocal made
            made += attacks.connections(self, self.host_, 0)
            for _ in range(50):
                with connect(f"{self.host_.dir}/control.sock"):
                    made += 1

        self.measured("thousands of connections", attack)
        while made < 2000:
            attack()
        print(f"     {made} connections", flush=True)
        attacks.client(self, self.host_, 0).close()
        self.assertEqual(self.host_.stats(0)["state"], "offered")

    def test_memory_of_a_running_guest_is_cut_off(self):
        """The guest dies of it, as anybody who maps a file that shrinks; its host and the others do not."""
        for size in (0, 1 << 21):
            victim = self.guest([self.host_.device(0)], mode="txonly", memory=["--no-huge", "-m", "256"])
            victim.start()
            wait_until(lambda: self.host_.stats(0)["tx_frames"] > 1000, 10, "the guest sends")

            def attack():
                folder = f"/proc/{victim.child.pid}/fd"
                for name in os.listdir(folder) if victim.alive() else ():
                    try:
                        if "memfd" in os.readlink(f"{folder}/{name}"):
                            with open(f"{folder}/{name}", "r+b") as file:
                                os.ftruncate(file.fileno(), size)
                    except OSError:
                        pass  # sealed, or the guest is dead
                time.sleep(0.1)

            self.measured(f"memory cut off at {size}", attack)
            if victim.alive():
                victim.signal(signal.SIGKILL)
            victim.wait()
            wait_until(lambda: self.host_.stats(0)["state"] == "offered", 10, "the NIC is free")
