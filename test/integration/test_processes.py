# SPDX-License-Identifier: BSD-3-Clause
"""Several processes on one port: DPDK's own programs for that, unmodified, and what becomes of the others when one ends."""
import os
import re
import signal
import subprocess
import tempfile

import examples
import frames
from harness import Case, PLUGIN, SERIAL, libdpdk, needs_root, wait_until


@needs_root
class Processes(Case):
    limit = 150  # compiling is part of the first test of an example

    def setUp(self):
        super().setUp()
        # Memory that processes share is files.
        self.huge = tempfile.mkdtemp(prefix="hyperpoll-huge-", dir="/run")
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", self.huge], check=True)
        self.addCleanup(os.rmdir, self.huge)
        self.addCleanup(subprocess.run, ["umount", "-l", self.huge], check=True)
        self.prefix = f"hyperpoll{next(SERIAL)}"

    def shared(self, prefix=None):
        """EAL options of all processes of one group."""
        return ["--file-prefix", prefix or self.prefix, "--huge-dir", self.huge]

    def primary(self, devices, **keys):
        return self.guest(devices, memory=["-m", "192"], eal=["--proc-type=primary", *self.shared()], **keys)

    def secondary(self, name, *options, lcore=1, eal=(), prefix=None):
        """A program of its own that joins the primary's devices."""
        cpus = sorted(os.sched_getaffinity(0))
        argv = [name, "--lcores", f"{lcore}@{cpus[lcore % len(cpus)]}", *self.shared(prefix), "--no-pci",
                "-d", PLUGIN, *eal, "--", *options]
        return self.own(self.program(os.path.basename(name), argv))

    def proc_info(self, *options):
        program = self.secondary("dpdk-proc-info", *options)
        self.assertEqual(program.wait(30), 0, program.text)
        return program.text

    # ---- a reader ----

    def test_proc_info_reads_what_the_primary_does(self):
        """Statistics, link, RSS, registers: the numbers of the process that forwards."""
        host = self.host("gen:count=1000,rate=20K,size=60-1500", "sink")
        guest = self.primary(host)
        guest.start()
        wait_until(lambda: host.port(1)["tx_frames"] >= 1000, 30, "all are forwarded")
        text = self.proc_info("--stats")
        self.assertEqual([int(n) for n in re.findall(r"RX-packets: (\d+)", text)], [1000, 0], text)
        self.assertEqual([int(n) for n in re.findall(r"TX-packets: (\d+)", text)], [0, 1000], text)
        mine = guest.xstats(1)
        text = self.proc_info("--xstats")
        for name in ("tx_good_packets", "tx_good_bytes"):
            self.assertIn(f"{name}: {mine[name]}", text)
        text = self.proc_info("--show-port")
        self.assertIn("promiscuous mode", text)
        self.assertRegex(text, r"speed \d+")
        self.assertEqual(guest.quit(), 0)
