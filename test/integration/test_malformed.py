# SPDX-License-Identifier: BSD-3-Clause
"""Received messages with every defect that the host can give them: each is counted, none is lost."""
import re

from harness import SANITIZED, Case, wait_until


class Malformed(Case):
    hvsim = SANITIZED

    def kinds(self, host):
        text = host.request("knobs")["knobs"]
        return re.search(r"^malformed_rx_kind=all\|([\w|]+)", text, re.M).group(1).split("|")

    def check_kind(self, host, pmd, kind):
        spoiled, verified = host.stats()["rx_spoiled"], host.port()["verified"]
        counted = pmd.xstats()["rx_malformed"]
        host.set("malformed_rx_kind", kind)
        host.set("malformed_rx_pct", 40)
        wait_until(lambda: host.stats()["rx_spoiled"] >= spoiled + 100, 10, f"{kind} happens")
        host.set("malformed_rx_pct", 0)
        spoiled = host.stats()["rx_spoiled"] - spoiled
        wait_until(lambda: pmd.xstats()["rx_malformed"] - counted == spoiled, 5,
                   f"{spoiled} of kind {kind} are counted")
        wait_until(lambda: host.port()["verified"] > verified + 200, 10, "others are forwarded")

    def test_every_kind_is_counted_and_the_rest_forwarded(self):
        """With few sections, one that is not given back for each message would end reception."""
        host = self.host("gen:size=60-1514,flows=16,rate=20K")
        host.set("recv_sections", 128)
        pmd = self.guest(host, queues=2)
        pmd.start()
        kinds = self.kinds(host)
        self.assertGreater(len(kinds), 30)
        for kind in kinds:
            with self.subTest(kind=kind):
                self.check_kind(host, pmd, kind)
        port = host.port()
        self.assertEqual((port["corrupt"], port["duplicate"], port["foreign"]), (0, 0, 0))
        nic = host.stats()
        self.assertEqual((nic["protocol_errors"], nic["rx_dropped_no_section"]), (0, 0))
        self.assertEqual(pmd.quit(), 0)
