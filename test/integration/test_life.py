# SPDX-License-Identifier: BSD-3-Clause
"""Starting, stopping, dying and starving, under traffic."""
import re
import resource
import signal
import time

from harness import Case, all_are, wait_until


class Traffic(Case):
    def grows(self, host, field, by, timeout=10, number=0):
        """Wait until a counter of a port has grown."""
        before = host.port(number)[field]
        wait_until(lambda: host.port(number)[field] >= before + by, timeout, f"{by} more {field}")

    def mempool_is_whole(self, pmd):
        """With the port closed, every mbuf is back in testpmd's pools."""
        pmd.cmd("stop")
        pmd.cmd("port stop 0")
        pmd.cmd("port close 0")
        text = pmd.dump_mempool()
        pools = re.findall(r"mempool <mb_pool.*?\n  size=(\d+).*?total_cache_count=(\d+)"
                           r".*?common_pool_count=(\d+)", text, re.S)
        self.assertTrue(pools, text)
        for size, cached, pooled in pools:
            self.assertEqual(int(size), int(cached) + int(pooled))


class Life(Traffic):
    def test_limit_of_open_files_below_what_is_open(self):
        """hvsim ended: with a lower limit poll() refuses to wait. Who is there is served, and nobody else until it is back."""
        host = self.host("gen:size=60,window=32")
        pmd = self.guest(host)
        pmd.start()
        before = resource.prlimit(host.child.pid, resource.RLIMIT_NOFILE)
        with host.control() as control:
            control.stats(0)
            resource.prlimit(host.child.pid, resource.RLIMIT_NOFILE, (3, before[1]))
            control.link(0, up=False)  # an event to wake it
            control.link(0, up=True)
            host.expect("the limit of open files is lower")
            count = control.stats(0)["port_stats"]["verified"]
            control.wait(0, lambda stats: stats["port_stats"]["verified"] > count + 1000)
            self.assertEqual(pmd.quit(), 0)
            control.wait(0, lambda stats: stats["state"] == "offered")
            resource.prlimit(host.child.pid, resource.RLIMIT_NOFILE, before)
        pmd = self.guest(host)
        pmd.start()
        self.grows(host, "verified", 1000)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.text.count("the limit of open files"), 1)
        self.assertEqual(host.stop(), 0)

    def test_start_stop_cycles_under_traffic(self):
        host = self.host("gen:size=60-1514,flows=64,rate=100K")
        pmd = self.guest(host, queues=2)
        for _ in range(20):
            pmd.start()
            self.grows(host, "verified", 200)
            pmd.stop()
            pmd.cmd("port stop 0")
            self.assertIn("Done", pmd.cmd("port start 0"))
        pmd.start()
        self.grows(host, "verified", 20000)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0))
        # No receive section may have been lost on the way.
        dropped = host.stats()["rx_dropped_no_section"]
        self.grows(host, "verified", 20000)
        self.assertEqual(host.stats()["rx_dropped_no_section"], dropped)
        self.mempool_is_whole(pmd)

    def test_other_queue_counts_after_stop(self):
        host = self.host("gen:flows=64,rate=50K")
        pmd = self.guest(host, queues=4)
        for queues in (1, 4, 2, 3):
            pmd.cmd("port stop 0")
            pmd.cmd(f"port config all rxq {queues}")
            pmd.cmd(f"port config all txq {queues}")
            self.assertIn("Done", pmd.cmd("port start 0"))
            pmd.cmd("clear port xstats 0")
            pmd.start()
            self.grows(host, "verified", 5000)
            pmd.stop()
            xstats = pmd.xstats()
            for n in range(queues):
                self.assertGreater(xstats[f"rx_q{n}_packets"], 0, f"queue {n} of {queues}")
        self.assertEqual(host.port()["corrupt"], 0)

    def test_guest_killed_and_restarted(self):
        host = self.host("gen:size=60-1514,flows=64,rate=100K")
        for _ in range(3):
            pmd = self.guest(host, queues=4)
            pmd.start()
            self.grows(host, "verified", 5000)
            pmd.signal(signal.SIGKILL)
            pmd.wait()
        self.assertEqual(host.port()["corrupt"], 0)
        self.assertEqual(host.stop(), 0)

    def test_host_killed(self):
        """A user who has told not to wait for it: its port is removed."""
        host = self.host("gen:rate=100K", "gen:rate=100K")
        pmd = self.guest([host.device(n, ",recovery_s=0") for n in range(2)])
        pmd.start()
        self.grows(host, "verified", 1000)
        host.signal(signal.SIGKILL)
        host.wait()
        # testpmd's own handler of the event closes and detaches the port.
        pmd.expect("device removal event|[Rr]emov", 5)
        pmd.expect("Now total ports is 0", 15)
        self.assertEqual(pmd.quit(), 0)

    def test_host_stops_and_another_takes_its_place(self):
        host = self.host("gen:rate=50K")
        pmd = self.guest([host.device(0, ",recovery_s=0")])
        pmd.start()
        self.grows(host, "verified", 1000)
        self.assertEqual(host.stop(), 0)
        pmd.expect("device removal event|[Rr]emov", 5)
        again = self.host("gen:rate=50K", directory=host.dir)
        said = pmd.expect("Now total ports is 0", 15).start()
        # It says on, on EAL's interrupt thread: across the prompt.
        pmd.expect(r"nb forwarding cores=\d+ - nb forwarding ports=0", 5, said)
        wait_until(lambda: all_are("S", "intr", pmd), 5, "testpmd has done all for the removal")
        self.assertIn("is attached", pmd.cmd(f"port attach {again.device()}"))
        port = re.search(r"Port (\d+) is attached", pmd.text).group(1)
        pmd.cmd("stop")
        pmd.cmd(f"port start {port}")
        pmd.cmd(f"set portlist {port}")
        pmd.start()
        self.grows(again, "verified", 1000)

    def test_link_down_and_up(self):
        host = self.host("gen:rate=50K")
        pmd = self.guest(host)
        pmd.start()
        host.request("link", 0, up=False)
        wait_until(lambda: "Link status: down" in pmd.cmd("show port info 0"), 5, "link is down")
        host.request("link", 0, up=True)
        wait_until(lambda: "Link status: up" in pmd.cmd("show port info 0"), 5, "link is up")
        self.grows(host, "verified", 1000)


class Starve(Traffic):
    def check_send_without_receive(self, settings):
        """Pitfall X1: txonly never polls the receive queue, where the send completions arrive."""
        host = self.host((settings, "gen:rate=300K,flows=64"))
        pmd = self.guest(host, mode="txonly")
        pmd.start()
        for _ in range(6):
            self.grows(host, "tx_frames", 50000)
            time.sleep(0.3)
        pmd.stop()
        # Receiving works again afterwards, and what arrives is sound.
        pmd.cmd("set fwd io")
        pmd.start()
        self.grows(host, "verified", 20000)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.mempool_is_whole(pmd)

    def test_send_without_receive(self):
        self.check_send_without_receive("")

    def test_send_without_receive_in_small_rings(self):
        self.check_send_without_receive("ring=64K")

    def check_host_stall(self, settings, devargs="", size="60-1514"):
        """Pitfalls T1, T2: every frame is sent or returned, exactly once, however full the ring."""
        count = 60000
        stalls = "".join(f"wait 0 port_stats.verified>={frames}\n"
                         "0 set 0 name=stall value=1\n150ms set 0 name=stall value=0\n"
                         for frames in (3000, 15000, 27000, 39000))
        host = self.host((settings, f"gen:size={size},flows=16,rate=40K,count={count}"),
                         scenario="0 set 0 name=rx_wait value=1\n" + stalls)
        pmd = self.guest([host.device(options=devargs)])
        pmd.start()
        host.scenario_ends(9)
        wait_until(lambda: host.port()["finished"], 20, "everything is generated")

        def received():
            stats = pmd.stats()
            return stats["RX-packets"] + stats["RX-missed"] >= count

        wait_until(received, 10, "everything is received or counted as missed")
        summary, stats = pmd.stop(), pmd.stats()
        sent = stats["TX-packets"]
        wait_until(lambda: host.port()["tx_frames"] >= sent, 5, "the host has what was sent")
        refused = sum(map(int, re.findall(r"TX-dropped: (\d+)", summary.split("Accumulated")[1])))
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.assertEqual((port["tx_frames"], port["verified"]), (sent, sent), port)
        self.assertEqual(sent + refused, stats["RX-packets"])
        self.assertEqual(stats["RX-packets"] + stats["RX-missed"], count)
        if not settings:
            # Only small rings fill so far that receive packets must make room for completions.
            self.assertEqual(stats["RX-missed"], 0)
        self.mempool_is_whole(pmd)

    def test_host_stalls(self):
        self.check_host_stall("")

    def test_host_stalls_small_frames(self):
        self.check_host_stall("", size="60")

    def test_host_stalls_in_small_rings(self):
        self.check_host_stall("ring=64K")

    def test_host_stalls_in_rings_of_two_pages(self):
        self.check_host_stall("ring=8K")

    def test_host_stalls_with_page_ranges_only(self):
        self.check_host_stall("ring=64K", ",tx_copybreak=0")

    def test_host_withholds_completions(self):
        """Pitfall T3: no send section is free; sending goes on when completions come again."""
        host = self.host("gen:size=60-1514,rate=100K,flows=16", scenario="""
            wait 0 port_stats.verified>=3000
            0 set 0 name=no_complete value=1
            1 set 0 name=no_complete value=0""")
        pmd = self.guest(host)
        pmd.start()
        host.scenario_ends(2)
        self.grows(host, "verified", 20000)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.mempool_is_whole(pmd)

    def test_one_broken_ring_leaves_the_other_port(self):
        """Pitfall R6: a corrupt ring stops its port only."""
        host = self.host("gen:rate=50K", "gen:rate=50K")
        pmd = self.guest(host, args=["--port-topology=loop"])
        pmd.start()
        self.grows(host, "verified", 1000)
        host.set("corrupt_ring", 0)
        pmd.expect("reset|error|broken", 5)
        self.grows(host, "verified", 5000, number=1)
        self.assertTrue(pmd.alive())
