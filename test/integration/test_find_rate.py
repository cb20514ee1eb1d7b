# SPDX-License-Identifier: BSD-3-Clause
"""The example of the Python client, examples/find_rate.py, against a running testpmd."""
import json
import os
import re
import subprocess
import sys

from harness import Case, ROOT


class FindRate(Case):
    def find_rate(self, host, *words):
        run = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "examples/find_rate.py"), "--socket",
                              f"{host.dir}/control.sock", "--seconds", "0.2", *words],
                             capture_output=True, text=True, timeout=40, check=False)
        return run.returncode, run.stdout, run.stderr

    def test_application(self):
        host = self.host("gen:rate=1K,flows=8")
        status, out, err = self.find_rate(host)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("start the application first", err)
        pmd = self.guest(host)
        pmd.start()
        words = ("--low", "100", "--high", "8K", "--tolerance", "0.5", "--precision", "0.5")
        for more in ((), ("--round-trip",)):
            before = host.port()["rx_frames"]
            status, out, err = self.find_rate(host, *words, *more)
            self.assertEqual((status, err), (0, ""), out)
            rate = int(re.search(r"^(\d+) frames per second with at most 50 % lost$", out, re.M).group(1))
            self.assertTrue(100 <= rate <= 8000, out)
            # It did run what it says.
            made = sum(0.2 * float(pps.replace(",", "")) for pps in re.findall(r": +([\d,]+) made", out))
            self.assertGreaterEqual(host.port()["rx_frames"] - before, 0.9 * made)
        # The same for scripts: each line is JSON, and the rate is the best of the trials without a loss.
        status, out, err = self.find_rate(host, *words, "--json")
        self.assertEqual((status, err), (0, ""), out)
        *trials, result = [json.loads(line) for line in out.splitlines()]
        trials = [trial["trial"] for trial in trials]
        self.assertGreater(len(trials), 0)
        kept = [trial["rate"] for trial in trials if trial["lost"] <= 0.5 * trial["frames"] and not trial["slow"]]
        self.assertEqual(result, {"rate": max(kept)})
        # Frames go on as before, and all that came back is sound.
        self.assertFalse(host.stats()["stalled"])
        self.assertEqual(host.port()["corrupt"], 0)
        # An application that sends nothing back loses all.
        pmd.stop()
        pmd.cmd("set fwd rxonly")
        pmd.start()
        status, out, err = self.find_rate(host, *words, "--round-trip")
        self.assertEqual(status, 1, out)
        self.assertIn("it loses frames at 100 pps already", err)
        self.assertIn("100.0000 % lost", out)
        self.assertEqual(pmd.quit(), 0)

    def test_a_port_without_a_rate(self):
        host = self.host("sink")
        pmd = self.guest(host)
        pmd.start()
        status, out, err = self.find_rate(host)
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, "bad value for knob rate")
        self.assertFalse(host.stats()["stalled"])
