# SPDX-License-Identifier: BSD-3-Clause
"""Stock testpmd's queues: stopped and started alone, counted, and reconfigured time and again."""
import re

import frames
from harness import Case, wait_until


class Queues(Case):
    def test_queues_stop_and_start_while_frames_come(self):
        host = self.host("gen:size=60-1514,flows=64,rate=20K")
        pmd = self.guest(host, mode="rxonly", queues=4)
        pmd.start()
        wait_until(lambda: pmd.xstats()["rx_q1_packets"] > 100, 15, "queue 1 receives")
        # testpmd asks for its forwarding to stop first; frames come all the time.
        pmd.stop()
        self.assertNotIn("lease stop", pmd.cmd("port 0 rxq 1 stop"))
        pmd.start()
        before = pmd.xstats()["rx_q1_packets"]
        others = pmd.stats()["RX-packets"]
        wait_until(lambda: pmd.stats()["RX-packets"] > others + 500, 15, "the others receive")
        self.assertEqual(pmd.xstats()["rx_q1_packets"], before)
        pmd.stop()
        pmd.cmd("port 0 rxq 1 start")
        pmd.start()
        wait_until(lambda: pmd.xstats()["rx_q1_packets"] > before, 15, "queue 1 receives again")
        # The poller of a queue may ask how much waits in it, or anybody when there is none.
        pmd.stop()
        wait_until(lambda: re.search(r"(?i)used desc count = [1-9]",
                                     pmd.cmd("show port 0 rxq 0 desc used count")), 15, "frames wait")
        self.assertRegex(pmd.cmd("show port 0 rxq 0 desc 511 status"), "AVAILABLE|DONE")
        self.assertRegex(pmd.cmd("show port 0 txq 0 desc 0 status"), "DONE")
        self.assertIn("Scalar", pmd.cmd("show rxq info 0 0"))

    def test_counts_and_frames_survive_many_reconfigurations(self):
        """1, 4, 2 and 8 queues in turn; every frame comes back as it was, and is counted."""
        sent = frames.every_size()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}")
        host.hold()
        pmd = self.guest(host)
        for turn in range(52):
            queues = (1, 4, 2, 8)[turn % 4]
            pmd.cmd("port stop all")
            pmd.cmd(f"port config all rxq {queues}")
            pmd.cmd(f"port config all txq {queues}")
            self.assertNotRegex(pmd.cmd("port start all", 30), "Fail|fail|rror")
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15, "all frames are back")
        pmd.stop()
        self.assertEqual(pmd.stats()["RX-packets"], len(sent))
        self.assertEqual(pmd.stats()["TX-packets"], len(sent))
        xstats = pmd.xstats()
        spread = [xstats[key] for key in xstats if re.fullmatch(r"rx_q\d_packets", key)]
        self.assertEqual(sum(spread), len(sent))
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent, ordered=False)

    def test_frames_through_64_channels(self):
        """The most that a host has: every queue receives and sends, and frames come back as they were."""
        sent = frames.every_size(flows=2048)
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(("channels=64", f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')}"))
        host.hold()
        pmd = self.guest(host, queues=64, args=("--rss-udp", "--rxd=64", "--txd=64"))
        pmd.start(patient="io")
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 30, "all frames are back")
        # What testpmd has counted itself, of each queue that has a frame.
        own = {int(queue): (int(rx), int(tx)) for queue, rx, tx in re.findall(
            r"RX Port= 0/Queue= *(\d+) .*\n +RX-packets: (\d+) +TX-packets: (\d+) +TX-dropped: 0 ", pmd.stop())}
        self.assertEqual(sorted(own), list(range(64)))
        xstats = pmd.xstats()
        for queue in range(64):
            told = tuple(xstats[f"{way}_q{queue}_packets"] for way in ("rx", "tx"))
            self.assertEqual(told, own[queue], queue)
        self.assertEqual(sum(rx for rx, _ in own.values()), len(sent))
        for count in ("packets", "bytes"):
            for way in ("rx", "tx"):
                self.assertEqual(sum(xstats[f"{way}_q{queue}_{count}"] for queue in range(64)),
                                 xstats[f"{way}_good_{count}"])
        self.assertEqual(pmd.quit(), 0)
        host.stop()
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), sent, ordered=False)
