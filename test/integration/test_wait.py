# SPDX-License-Identifier: BSD-3-Clause
"""Nobody can make the guest wait: silent, late and hostile hosts, and bounds of operations."""
import os
import signal
import time

from harness import BUILD, Case, Testpmd, wait_until
from selection import long_run

HOSTILE = os.path.join(BUILD, "test/preload/libhyperpoll-hostile.so")
SLACK = 1.0  # for a busy machine
OURS = ["--no-rmv-interrupt"]  # the test closes a port that is gone, not testpmd


def hostile(*what):
    return {"LD_PRELOAD": HOSTILE, "HOSTILE": " ".join(what)}


class Waits(Case):
    def grows(self, host, field, by, timeout=10, number=0):
        """Wait until a counter of a port has grown."""
        before = host.port(number)[field]
        wait_until(lambda: host.port(number)[field] >= before + by, timeout, f"{by} more {field}")

    def within(self, seconds, pmd, line):
        """A command of testpmd's that must end in time; what it printed."""
        began = time.monotonic()
        text = pmd.cmd(line, seconds + 30)
        self.assertLess(time.monotonic() - began, seconds + SLACK, line)
        return text


class Silent(Waits):
    limit = 120

    def running(self):
        host = self.host("gen:size=60-1514,flows=64,rate=20K")
        pmd = self.guest(host, queues=2, args=OURS)
        pmd.start()
        self.grows(host, "verified", 1000)
        pmd.stop()
        return host, pmd

    def test_host_that_reads_no_ring(self):
        """The vfio-user side answers, so the port survives each stop and is as new in the end."""
        host, pmd = self.running()
        host.set("stall", 1)
        self.within(3, pmd, "port stop 0")
        self.assertIn("no answer to INIT", self.within(5, pmd, "port reset 0"))
        host.set("stall", 0)
        pmd.cmd("port reset 0")
        self.assertIn("Done", pmd.cmd("port start 0"))
        pmd.start()
        self.grows(host, "verified", 5000)
        self.assertEqual(host.port()["corrupt"], 0)
        pmd.stop()
        host.set("stall", 1)
        self.within(3, pmd, "port stop 0")
        self.within(3, pmd, "port close 0")
        self.assertEqual(pmd.quit(), 0)

    def test_close_of_a_started_port(self):
        """The end of the program stops and closes the port: two operations."""
        host, pmd = self.running()
        host.set("stall", 1)
        began = time.monotonic()
        self.assertEqual(pmd.quit(30), 0)
        self.assertLess(time.monotonic() - began, 6 + 2 * SLACK)

    def test_host_that_is_frozen(self):
        """Not even the fence is answered: the host is cut off, and the port is gone."""
        host, pmd = self.running()
        host.signal(signal.SIGSTOP)
        try:
            self.within(3, pmd, "port stop 0")
            pmd.expect("the host is cut off")
            pmd.expect("did not answer in time and was cut off")
            self.assertNotIn("the host closed the connection", pmd.text)
            self.within(5, pmd, "port reset 0")
            self.within(3, pmd, "port close 0")
            self.assertEqual(pmd.quit(), 0)
        finally:
            host.signal(signal.SIGCONT)

    def test_close_at_a_frozen_host(self):
        host, pmd = self.running()
        host.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.assertEqual(pmd.quit(30), 0)
            self.assertLess(time.monotonic() - began, 6 + 2 * SLACK)
        finally:
            host.signal(signal.SIGCONT)

    @long_run
    def test_answer_that_takes_20_seconds_at_bring_up(self):
        """Busy hosts take their time (pitfall N2)."""
        host = self.host("gen:rate=20K")
        host.set("delay_ms", 20000)
        pmd = self.own(Testpmd(host))
        pmd.expect("still waiting for the host", 40)
        host.set("delay_ms", 0)
        pmd.ready()
        pmd.start()
        self.grows(host, "verified", 1000)
        self.assertEqual(pmd.quit(), 0)


class Doorbells(Waits):
    def passes(self, host, pmd, frames):
        """Frames come back whole, from a host that sleeps in between."""
        pmd.start(patient="io")
        self.grows(host, "verified", frames, timeout=30)
        self.assertEqual(host.port()["corrupt"], 0)
        pmd.stop()
        self.assertIn("Done", pmd.cmd("port stop 0"))
        self.assertIn("Done", pmd.cmd("port start 0"))

    def test_full_doorbell_made_blocking(self):
        """As a hostile host does it, at the moment between a look and the signal."""
        host = self.host("gen:size=60-1514,flows=64,rate=2K")
        pmd = self.guest(host, queues=2, args=OURS, env=hostile("full"))
        self.passes(host, pmd, 1000)
        # Nobody drains it any more: a write() would never return.
        host.signal(signal.SIGSTOP)
        try:
            self.within(3, pmd, "port stop 0")
            self.within(3, pmd, "port close 0")
            self.assertEqual(pmd.quit(), 0)
        finally:
            host.signal(signal.SIGCONT)

    def test_full_pipes_as_doorbells(self):
        """EAL came to no end when it signalled one; now the host is called without a reply."""
        host = self.host("gen:size=60-1514,flows=64,rate=2K",
                         prefix=["env", *(f"{k}={v}" for k, v in hostile("pipe").items())])
        pmd = self.guest(host, queues=2, args=OURS)
        pmd.expect("doorbells are not eventfds")
        self.passes(host, pmd, 1000)
        self.assertEqual(pmd.quit(), 0)

    def test_without_asynchronous_io(self):
        host = self.host("gen:size=60-1514,flows=64,rate=2K")
        pmd = self.guest(host, queues=2, args=OURS, env=hostile("noaio"))
        self.assertEqual(pmd.text.count("no asynchronous I/O here"), 1)
        self.assertIn("fs.aio-max-nr", pmd.text)
        self.passes(host, pmd, 1000)
        # A call that waited for a reply would hold the lcore: 5 s each.
        pmd.start()
        host.signal(signal.SIGSTOP)
        try:
            self.within(3, pmd, "stop")
            self.within(3, pmd, "port stop 0")
            self.within(3, pmd, "port close 0")
            self.assertEqual(pmd.quit(), 0)
        finally:
            host.signal(signal.SIGCONT)
