# SPDX-License-Identifier: BSD-3-Clause
"""hvsim's threads beside each other: polling, control, reports. Suite tsan runs this with hvsim built with
ThreadSanitizer (HYPERPOLL_HVSIM_BUILD); what that has to say is its own affair (test/tsan/run.py)."""
import threading

from harness import Case, wait_until


class Commands(threading.Thread):
    """Every command that there is, over and over, on NICs that others do not count on."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.host, self.rounds, self.error, self.over = host, 0, None, False

    def run(self):
        try:
            while not self.over:
                self.round()
                self.rounds += 1
        except (OSError, RuntimeError, ValueError) as error:
            self.error = error

    def round(self):
        request = self.host.request
        request("stats")
        request("knobs")
        for nic in range(4):
            request("stats", nic)
            request("rings", nic)
        # Of those that forward, too, but nothing that loses frames.
        for nic in range(4):
            request("set", nic, name="stall_rx", value="0")
        for up in (False, True):
            request("link", 2, up=up)
        for present in (True, False):
            request("vf", 3, present=present)
        request("rescind", 3)
        request("offer", 3)


class Threads(Case):
    limit = 120

    def test_commands_beside_traffic(self):
        """Frames of a generator go through two NICs of two threads while commands come for all."""
        self.commands_beside_traffic(2)

    def test_commands_beside_traffic_of_a_nic_on_several_threads(self):
        """More threads than NICs: the generator's channels are on all of them."""
        self.commands_beside_traffic(6, queues=4, args=("--rss-udp",))

    def commands_beside_traffic(self, threads, queues=2, args=()):
        host = self.host("gen:size=60-1514,flows=64,rate=5K", "echo", "switch:a", "switch:a",
                         args=["--threads", str(threads), "--stats-interval", "1", "--rings"])
        pmd = self.guest([host.device(0), host.device(1)], queues=queues, args=args)
        pmd.start()
        commands = Commands(host)
        commands.start()

        def forwarded(more):
            before = host.port()["verified"]
            wait_until(lambda: host.port()["verified"] >= before + more, 50,
                       f"{more} frames more are back")

        forwarded(5000)
        rounds = commands.rounds
        wait_until(lambda: commands.rounds >= rounds + 3 or commands.error, 30, "commands go on")
        # A NIC that forwards is taken away and comes back.
        host.request("rescind", 1)
        host.request("offer", 1)
        wait_until(lambda: host.stats(1)["state"] == "running", 40, "the guest is back")
        forwarded(2000)
        commands.over = True
        commands.join(20)
        self.assertFalse(commands.is_alive())
        self.assertIsNone(commands.error)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        pmd.quit()
        self.assertEqual(host.stop(), 0)
