# SPDX-License-Identifier: BSD-3-Clause
"""What port gen can beyond plain frames, and captures in their own time, through stock testpmd."""
import re
import time

import frames
from harness import Case, wait_until


class Generator(Case):
    def there_and_back(self, spec, count, **keys):
        """All frames of a generator come back intact; its counters, and what hvsim printed."""
        host = self.host(f"gen:{spec},count={count}", **keys)
        host.set("rx_wait", 1)
        pmd = self.guest(host)
        pmd.start(patient="io")
        wait_until(lambda: host.port()["tx_frames"] >= count, 30, f"{count} frames are back")
        port = host.port()
        self.assert_intact(port, count)
        self.assertEqual((port["foreign"], port["finished"]), (0, True))
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        return port, host.text

    def test_latency_is_measured_and_reported(self):
        port, text = self.there_and_back("latency=on,size=68-1514,flows=16,rate=1K:200ms/5K-50K:1/50K", 10000)
        latency = port["latency_ns"]
        self.assertEqual(latency["frames"], 10000)
        order = [latency[name] for name in ("min", "p50", "p99", "p99.9", "max")]
        self.assertEqual(order, sorted(order))
        self.assertGreater(latency["min"], 0)
        self.assertTrue(latency["min"] <= latency["mean"] <= latency["max"], latency)
        self.assertIn(f"latency p50 {latency['p50'] / 1000:.1f} p99 {latency['p99'] / 1000:.1f} "
                      f"p99.9 {latency['p99.9'] / 1000:.1f} max {latency['max'] / 1000:.1f} us", text)
        # The histogram has each of them once; its quantiles are those.
        histogram = latency["histogram"]
        self.assertEqual(histogram, sorted(histogram))
        self.assertEqual(sum(count for _, count in histogram), 10000)
        self.assertTrue(all(count > 0 for _, count in histogram))
        self.assertGreaterEqual(histogram[-1][0], latency["max"])
        for name, rank in (("p50", 5000), ("p99", 9900), ("p99.9", 9990)):
            below = sum(count for end, count in histogram if end < latency[name])
            upto = sum(count for end, count in histogram if end * 4 < (latency[name] + 1) * 5 + 4)
            self.assertTrue(below < rank <= upto, (name, latency))
        # So have the lines at the end, whose longest bar is 40.
        lines = re.findall(r"^  latency to +([\d.]+) (us|ms|s ) +(\d+) (#+)$", text, re.M)
        self.assertEqual(sum(int(count) for _, _, count, _ in lines), 10000, text)
        self.assertEqual(max(len(bar) for *_, bar in lines), 40)
        self.assertLess(len(lines), 37)

    def test_without_latency_there_is_none(self):
        port, text = self.there_and_back("flows=16", 1000)
        self.assertNotIn("latency_ns", port)
        self.assertNotIn("latency", text)

    def test_ipv6_in_vlans_with_100000_flows(self):
        self.there_and_back("ip=6,vlan=5-8,flows=100000,size=80-200", 150000)

    def test_a_capture_in_its_own_time(self):
        """No frame before its time; and the same frames, in their order."""
        sent = frames.mixed_capture()[:20]
        frames.pcap_write(self.path("in.pcap"), sent, step=50000)
        begun = time.monotonic()
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')},rate=capture")
        host.set("rx_wait", 1)
        pmd = self.guest(host)
        pmd.start(patient="io")
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 20, "all frames are back")
        self.assertGreaterEqual(time.monotonic() - begun, (len(sent) - 1) * 0.05)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent)
