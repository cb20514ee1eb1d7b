# SPDX-License-Identifier: BSD-3-Clause
"""A device that goes away and comes back, under traffic: the port goes on by itself.

Of each cycle the time is told from when the host serves the NIC again until frames flow. Frames that
were on their way are lost; none is damaged or comes twice, and afterwards none is missing.
"""
import os
import re
import signal
import time

import test_life
from harness import descriptors, resident_kib, wait_until
from selection import long_run

# More in a long run.
CYCLES = int(os.environ.get("HYPERPOLL_RECOVERIES", "20"))
BOUND = 10  # seconds until frames flow again; a second is what it should be, on a quiet machine
TRAFFIC = "gen:size=60-1514,flows=64,rate=20K"


def mappings(program):
    """Mappings of memory that a host has made."""
    with open(f"/proc/{program.child.pid}/maps", encoding="ascii") as file:
        return sum("memfd:hvsim" in line for line in file)


class Recovery(test_life.Traffic):
    limit = 60 + 4 * CYCLES

    def flows_again(self, host, since):
        """Wait for frames that came back through the guest; seconds since the host was back."""
        wait_until(lambda: host.port()["verified"] > 0, BOUND, "frames flow again")
        return time.monotonic() - since

    def told(self, pmd, start, *words):
        for word in words:
            pmd.expect(word, BOUND, start)

    def rescind_and_offer(self, host, pmd):
        """The host takes the NIC and gives it back. @return the host, and the time it took"""
        start = len(pmd.text)
        host.request("rescind", 0)
        pmd.expect("error recovering event", BOUND, start)
        wait_until(lambda: host.stats()["state"] == "offered", BOUND, "the session is over")
        before = host.port()["verified"]
        host.request("offer", 0)
        since = time.monotonic()
        wait_until(lambda: host.port()["verified"] > before + 100, BOUND, "frames flow again")
        return host, time.monotonic() - since

    def another(self, host, port):
        """The host dies with everything it knows; another one has taken its place."""
        host.signal(signal.SIGKILL)
        host.wait()
        again = self.host(port, directory=host.dir)

        def serves():
            try:
                return again.stats()
            except OSError:
                return None  # the sockets are still those of the one before

        wait_until(serves, 10, "hvsim serves")
        return again

    def kill_and_restart(self, host, pmd, port=TRAFFIC):
        """@return the other host, and the time it took"""
        again = self.another(host, port)
        return again, self.flows_again(again, time.monotonic())

    def configure(self, pmd):
        """What is not as it would be without having been asked for."""
        pmd.cmd("set promisc 0 off")
        pmd.cmd("set allmulti 0 on")
        return self.shown(pmd)

    def shown(self, pmd):
        """The port as its application sees it, but its link, which has a moment's time."""
        text = pmd.cmd("show port info 0") + pmd.cmd("show port 0 rss-hash key")
        # Events may be printed in between.
        return [line for line in text.splitlines()
                if line and not re.search("Link|show|event|hyperpoll", line)]

    def check_cycles(self, cycle, queues, device=""):
        host = self.host(TRAFFIC)
        pmd = self.guest([host.device(0, device)], queues=queues, timed=CYCLES)
        before = self.configure(pmd)
        pmd.start()
        self.grows(host, "verified", 500)
        times, counted, resident = [], 0, 0
        for n in range(CYCLES):
            start = len(pmd.text)
            host, seconds = cycle(host, pmd)
            times.append(seconds)
            self.told(pmd, start, "[Rr]ecover", "the port has recovered")
            if n == CYCLES // 4:
                opened, mapped, resident = descriptors(pmd), mappings(pmd), resident_kib(pmd)
            stats = pmd.stats()
            self.assertGreater(stats["RX-packets"], counted, "counters go on")
            counted = stats["RX-packets"]
            port = host.port()
            self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.assertEqual((descriptors(pmd), mappings(pmd)), (opened, mapped))
        self.assertGreater(mapped, 0)
        self.assertLess(resident_kib(pmd) - resident, 8192, "KiB more")
        self.assertEqual(self.shown(pmd), before)
        # And now nothing is lost: what was is known once every flow has gone on.
        self.grows(host, "verified", 5000)
        lost = host.port()["lost"]
        self.grows(host, "verified", 5000)
        self.assertEqual(host.port()["lost"], lost)
        xstats = pmd.xstats()
        for queue in range(queues):
            self.assertGreater(xstats[f"rx_q{queue}_packets"], 0)
        times.sort()
        self.assertLess(times[len(times) // 2], BOUND)
        print(f"{len(times)} recoveries, seconds until frames flow: median "
              f"{times[len(times) // 2]:.2f}, longest {times[-1]:.2f}")
        self.mempool_is_whole(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_rescinded_and_offered_again(self):
        self.check_cycles(self.rescind_and_offer, 1)

    @long_run
    def test_rescinded_and_offered_again_with_queues(self):
        self.check_cycles(self.rescind_and_offer, 4)

    def test_host_killed_and_restarted(self):
        self.check_cycles(self.kill_and_restart, 1)

    @long_run
    def test_host_killed_and_restarted_with_queues(self):
        self.check_cycles(self.kill_and_restart, 4)

    def test_never_offered_again(self):
        """After the time for it the port is removed, as one is that nobody waits for."""
        host = self.host(TRAFFIC)
        pmd = self.guest([host.device(0, ",recovery_s=2")])
        pmd.start()
        self.grows(host, "verified", 500)
        start = len(pmd.text)
        host.request("rescind", 0)
        pmd.expect("waits for it to come back", 5, start)
        pmd.expect("did not come back within 2 s", 6, start)
        pmd.expect("device removal event", 5, start)
        pmd.expect("Now total ports is 0", 15, start)
        self.assertEqual(pmd.quit(), 0)

    def test_stopped_and_closed_while_it_is_away(self):
        host = self.host(TRAFFIC)
        pmd = self.guest(host)
        pmd.start()
        self.grows(host, "verified", 500)
        start = len(pmd.text)
        host.request("rescind", 0)
        pmd.expect("waits for it to come back", 5, start)
        self.assertIn("the device is away", pmd.cmd("set promisc 0 off"))
        pmd.stop()
        self.assertIn("Done", pmd.cmd("port stop 0"))
        # Back while it is stopped: it starts as if nothing had been.
        host.request("offer", 0)
        pmd.expect("error recovery successful", BOUND, start)
        self.assertIn("Done", pmd.cmd("port start 0"))
        pmd.start()
        self.grows(host, "verified", 500)
        start = len(pmd.text)
        host.request("rescind", 0)
        pmd.expect("waits for it to come back", 5, start)
        self.mempool_is_whole(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_another_host_with_fewer_channels(self):
        """What is configured cannot be had: that is told, and the application configures anew."""
        host = self.host(TRAFFIC)
        pmd = self.guest(host, queues=4)
        pmd.start()
        self.grows(host, "verified", 500)
        start = len(pmd.text)
        host = self.another(host, ("channels=2", TRAFFIC))
        pmd.expect("what is configured cannot be had there any more", BOUND, start)
        pmd.stop()
        pmd.cmd("port stop 0")
        pmd.cmd("port config all rxq 2")
        pmd.cmd("port config all txq 2")
        self.assertIn("Done", pmd.cmd("port start 0"))
        pmd.start()
        self.grows(host, "verified", 500)
        self.mempool_is_whole(pmd)

    def test_an_older_host_with_other_limits(self):
        """Another NVSP version, other sections and rings: whatever fits is used."""
        host = self.host(TRAFFIC)
        pmd = self.guest(host)
        pmd.start()
        self.grows(host, "verified", 500)
        host = self.another(host, ("profile=ws2016,ring=64K", TRAFFIC))
        self.grows(host, "verified", 500)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        self.mempool_is_whole(pmd)

    def test_live_migration_loses_nothing_uncounted(self):
        """Channels stay, the link flaps, the network behind it is another one."""
        count = 40000
        host = self.host(("", f"gen:size=60-1514,flows=16,rate=20K,count={count}"))
        pmd = self.guest(host)
        pmd.start()
        start = len(pmd.text)
        for _ in range(5):
            self.grows(host, "verified", 500)
            host.set("stall", 1)
            time.sleep(0.05)
            host.request("link", 0, up=False)
            host.set("stall", 0)
            wait_until(lambda: "Link status: down" in pmd.cmd("show port info 0"), 5, "link down")
            host.request("link", 0, up=True)
            wait_until(lambda: "Link status: up" in pmd.cmd("show port info 0"), 5, "link up")
        wait_until(lambda: host.port()["finished"], 20, "everything is generated")

        def received():
            stats = pmd.stats()
            return stats["RX-packets"] + stats["RX-missed"] + dropped(host.stats()) == count

        wait_until(received, 5, "everything is received or counted")
        wait_until(lambda: pmd.stats()["TX-packets"] == arrived(host.stats()), 5,
                   "the host has counted what was sent")
        self.assertNotIn("waits for it to come back", pmd.text[start:])
        stats, port = pmd.stats(), host.port()
        self.assertEqual((port["corrupt"], port["duplicate"]), (0, 0), port)
        # io forwards all that it receives, or the lcore counts it.
        self.assertEqual(stats["TX-packets"], stats["RX-packets"])
        self.mempool_is_whole(pmd)


def dropped(nic):
    """Frames for the guest that the host itself dropped, by whatever reason."""
    return sum(value for name, value in nic.items() if name.startswith("rx_dropped"))


def arrived(nic):
    """Frames of the guest, those included that the host dropped."""
    return sum(value for name, value in nic.items()
               if name == "tx_frames" or name.startswith("tx_dropped"))
