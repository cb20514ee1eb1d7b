# SPDX-License-Identifier: BSD-3-Clause
"""Trace points: stock testpmd with --trace writes those of the control path."""
import glob
import re

from harness import Case, wait_until

CONTROL = {"sent", "received", "state"}
BURSTS = {"rx.burst", "tx.burst", "doorbell"}  # registered always, compiled in where DPDK has them


class Trace(Case):
    def test_trace_of_a_port_names_its_points(self):
        host = self.host("gen:rate=20K")
        pmd = self.guest(host, eal=["--trace=pmd.net.hyperpoll.*", f"--trace-dir={self.dir}"])
        pmd.start()
        wait_until(lambda: host.port()["verified"] >= 500, 10, "frames are back")
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
        metadata = glob.glob(f"{self.dir}/*/metadata") + glob.glob(f"{self.dir}/metadata")
        self.assertEqual(len(metadata), 1)
        with open(metadata[0], errors="replace") as file:
            names = set(re.findall(r'name = "pmd\.net\.hyperpoll\.([\w.]+)"', file.read()))
        self.assertEqual(names, CONTROL | BURSTS)
        stream = b""
        for name in glob.glob(metadata[0].replace("metadata", "channel*")):
            with open(name, "rb") as file:
                stream += file.read()
        # The texts of events: what was sent, what was received, what the port became.
        for text in (b"INIT\0", b"INIT_COMPLETE\0", b"SEND_RECV_BUF\0", b"QUERY_C\0", b"started\0",
                     b"stopped\0"):
            self.assertIn(text, stream)
