#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Full rate for minutes: soak.py MINUTES. Nothing may grow after the first tenth of the time.

A generator sends as fast as the guest takes it, and verifies what comes back. Ends with a line of figures and
"N passed, M failed".
"""
import importlib.util
import os
import re
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(os.path.dirname(HERE), name) for name in ("integration", "lib"))]

import arguments
from harness import descriptors, resident_kib, wait_until
from processes import mappings
from samples import growth
from test_life import Traffic
from telemetry import Telemetry

INTERVAL = 5  # seconds between samples, at most; there are at least 20
SETTINGS, PORT = "recv=4M,send=4M", "gen:size=60-1514,flows=64"


class Soak(Traffic):
    def __init__(self, minutes):
        super().__init__("soak")
        self.seconds = minutes * 60
        self.limit = int(self.seconds) + 120
        self.line = "nothing was measured"

    def id(self):
        return f"soak {self.seconds / 60:g} minutes"

    def sample(self, host, pmd, telemetry):
        found = {}
        for name, program in (("hvsim", host), ("testpmd", pmd)):
            found[f"{name} KiB resident"] = resident_kib(program)
            found[f"{name} descriptors"] = descriptors(program)
            found[f"{name} mappings"] = mappings(program, "")
        info = telemetry.cmd("/netvsc/info", 0)
        found["sections lent"] = info["recv_sections_lent"]
        return found

    def soak(self):
        host = self.host((SETTINGS, PORT))
        # Half of the frames by reference in each direction.
        pmd = self.guest([host.device(0, ",tx_copybreak=512,rx_copybreak=512")], queues=2, telemetry=True)
        telemetry = Telemetry(pmd)
        self.addCleanup(telemetry.close)
        pmd.start("io")
        self.grows(host, "verified", 10000)
        interval = min(INTERVAL, self.seconds / 40)
        began, samples, frames = time.monotonic(), [], host.port()["verified"]
        while time.monotonic() < began + self.seconds:
            time.sleep(interval)
            now = host.port()
            self.assertGreater(now["verified"], frames, "frames flow")
            self.assertEqual((now["corrupt"], now["duplicate"]), (0, 0), now)
            frames = now["verified"]
            samples.append(self.sample(host, pmd, telemetry))
        took = time.monotonic() - began
        grown = growth(samples)
        port = host.port()
        self.line = (f"{took / 60:.1f} minutes, {len(samples)} samples, {port['verified']} frames "
                     f"({port['verified'] / took / 1e6:.2f} million a second), {port['lost']} lost; "
                     f"growth: {', '.join(f'{what} {n:+d}' for what, n in grown.items() if n) or 'none'}")
        self.assertFalse({what: n for what, n in grown.items() if n > 0}, "something grows")
        # What did not come back is in somebody's count.
        host.hold()
        last = None

        def still():
            nonlocal last
            before, last = last, (host.stats()["tx_frames"], host.stats()["rx_frames"])
            return before == last

        wait_until(still, 10, "the frames on their way have arrived")
        summary = pmd.stop()
        dropped = sum(map(int, re.findall(r"TX-dropped: (\d+)", summary.split("Accumulated")[1])))
        stats, port = pmd.stats(), host.port()
        counted = dropped + sum(stats[key] for key in ("RX-missed", "RX-errors", "RX-nombuf", "TX-errors"))
        counted += sum(n for name, n in host.stats().items() if re.match("[rt]x_dropped_", name))
        self.assertEqual(port["rx_frames"] - port["verified"], counted, f"{port} {stats}")
        self.mempool_is_whole(pmd)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)


def main(words):
    minutes = arguments.soak(words)
    spec = importlib.util.spec_from_file_location("integration_run", os.path.join(HERE, "../integration/run.py"))
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    print(f"soak: {minutes:g} minutes of frames at full rate through hvsim and testpmd; nothing may grow", flush=True)
    test, result = Soak(minutes), runner.Result()
    unittest.TestSuite([test]).run(result)
    print(f"soak: {test.line}")
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed")
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
