# SPDX-License-Identifier: BSD-3-Clause
"""The host's own counters as extended statistics of the port: read in the background, one by one."""
import frames
from harness import Case, wait_until

COUNT = 300


class HostCounters(Case):
    def forward(self, **knobs):
        """Frames through testpmd and back. @return the host, testpmd, bytes of the frames"""
        rand = frames.random.Random(41)
        sent = [frames.udp_frame(60 + n * 3, n, rand) for n in range(COUNT)]
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}")
        for name, value in knobs.items():
            host.set(name, value)
        host.hold()
        pmd = self.guest([host.device()])
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= COUNT, 20, f"{COUNT} frames are back")
        return host, pmd, sum(map(len, sent))

    def after_a_round(self, pmd):
        """What the port says once all counters have been asked for from now on."""
        begun = pmd.xstats()["host_rounds"]
        wait_until(lambda: pmd.xstats()["host_rounds"] >= begun + 2, 20, "the host has been asked")
        return pmd.xstats()

    def test_counters_are_the_hosts(self):
        host, pmd, total = self.forward()
        told = self.after_a_round(pmd)
        self.assertEqual(told["host_rx_packets"], COUNT)
        self.assertEqual(told["host_tx_packets"], COUNT)
        self.assertEqual(told["host_rx_bytes"], total)
        self.assertEqual(told["host_tx_bytes"], total)
        self.assertEqual(told["host_tx_errors"] + told["host_rx_errors"] + told["host_rx_no_buffer"], 0)
        self.assertEqual(told["rx_control_malformed"] + told["tx_bad_completions"], 0)
        pmd.cmd("clear port xstats 0")
        self.assertEqual(self.after_a_round(pmd)["host_rx_packets"], 0)
        self.assertEqual(pmd.quit(), 0)
        host.stop()

    def test_a_host_without_counters(self):
        host, pmd, _ = self.forward(oid_stats=0)
        told = self.after_a_round(pmd)
        self.assertEqual((told["host_rx_packets"], told["host_tx_bytes"]), (0, 0))
        self.assertEqual(told["rx_control_malformed"], 0)
        self.assertEqual(pmd.quit(), 0)
        host.stop()
