# SPDX-License-Identifier: BSD-3-Clause
"""One NIC whose channels are on several threads of hvsim (--threads beyond the number of NICs)."""
import os
import signal

from harness import Case, wait_until

QUEUES = 4


class Spread(Case):
    limit = 120

    def spread(self, spec, threads, *options):
        return self.host((",".join((f"channels={QUEUES}", *options)), spec), args=["--threads", str(threads)])

    def pollers(self, host):
        """Threads of hvsim that poll NICs."""
        tasks, count = f"/proc/{host.child.pid}/task", 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/comm", encoding="utf-8") as file:
                count += file.read().startswith("hvsim-w")
        return count

    def assert_books_balance(self, host):
        """Frames in are frames out plus drops by reason, both ways."""
        stats, port = host.stats(), host.port()
        drops = sum(stats[key] for key in stats if key.startswith("rx_dropped_"))
        self.assertEqual(port["rx_frames"], stats["rx_frames"] + drops, stats)
        self.assertEqual(port["tx_frames"], stats["tx_frames"], stats)

    def every_frame_is_verified(self, threads):
        host = self.spread("gen:size=60-1514,flows=64,count=40K", threads)
        host.hold()
        pmd = self.guest(host, queues=QUEUES, args=("--rss-udp",))
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["finished"] and host.port()["verified"] >= 40000, 60,
                   "all frames are back")
        pmd.stop()
        self.assert_intact(host.port(), 40000)
        self.assert_books_balance(host)
        xstats = pmd.xstats()
        for queue in range(QUEUES):
            self.assertGreater(xstats[f"rx_q{queue}_packets"], 0)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)

    def test_every_frame_is_verified_on_2_threads(self):
        self.every_frame_is_verified(2)

    def test_every_frame_is_verified_on_4_threads(self):
        self.every_frame_is_verified(4)

    def test_guests_that_are_killed_leave_a_nic_that_works(self):
        """Attach, traffic, SIGKILL: the next guest finds all channels, and numbers that go on."""
        host = self.spread("gen:size=60,flows=64,rate=20K", 4)
        for _ in range(3):
            pmd = self.guest(host, queues=QUEUES, args=("--rss-udp",))
            pmd.start()
            before = host.port()["verified"]
            wait_until(lambda before=before: host.port()["verified"] > before + 5000, 30, "frames come back")
            pmd.signal(signal.SIGKILL)
            pmd.wait()
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.assertEqual(host.stop(), 0)

    def test_a_nic_that_does_not_want_it_stays_with_one_thread(self):
        """As does one whose port cannot be divided: hvsim has no more threads than it has a use for."""
        for options, spec, pollers in (((), "gen:flows=64", 4), (("spread=off",), "gen:flows=64", 1),
                                       ((), "gen:flows=64,window=64", 1), ((), "echo", 1)):
            host = self.spread(spec, 4, *options)
            self.assertEqual(self.pollers(host), pollers, spec)
            self.assertEqual(host.stop(), 0)
