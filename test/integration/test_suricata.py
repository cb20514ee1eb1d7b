# SPDX-License-Identifier: BSD-3-Clause
"""Suricata captures through the plugin: the distribution's own, where it is built with DPDK."""
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

import frames
from harness import PLUGIN, Case, memory_args, wait_until

# The name stands in that of a mempool, which has 25 characters.
NAME = "hp0"

CONFIG = """%YAML 1.1
---
dpdk:
  eal-params:
    proc-type: primary
    no-pci:
    no-telemetry:
{eal}
    d: {plugin}
    a: {device}
  interfaces:
    - interface: {name}
      threads: 1
      promisc: true
      multicast: true
      checksum-checks: false
      checksum-checks-offload: false
      mtu: 1500
      mempool-size: 16383
      mempool-cache-size: 256
      rx-descriptors: 1024
      tx-descriptors: 1024
      copy-mode: none
      copy-iface: none
threading:
  set-cpu-affinity: yes
  cpu-affinity:
    - management-cpu-set:
        cpu: [ {cpus[0]} ]
    - worker-cpu-set:
        cpu: [ {cpus[1]} ]
        mode: exclusive
runmode: workers
default-log-dir: {folder}
default-rule-path: {folder}
rule-files: []
stats:
  enabled: yes
  interval: 1
outputs:
  - eve-log:
      enabled: yes
      filename: eve.json
      types:
        - stats:
            totals: yes
  - pcap-log:
      enabled: yes
      filename: log.pcap
      limit: 1000mb
      mode: normal
      use-stream-depth: no
      honor-pass-rules: no
"""


@functools.lru_cache(None)
def missing():
    """Why Suricata cannot capture with DPDK here, or None."""
    if shutil.which("suricata") is None:
        return "suricata is not installed (./run setup suricata)"
    text = subprocess.run(["suricata", "--build-info"], capture_output=True, text=True, check=False).stdout
    if not re.search(r"DPDK support: +yes", text):
        return f"{text.splitlines()[0].rstrip('.') if text else 'suricata'}, which is built without DPDK"
    return None


class Suricata(Case):
    limit = 150

    def setUp(self):
        if missing():
            self.skipTest(missing())
        super().setUp()

    def suricata(self, host):
        """Suricata, capturing from the host's first NIC."""
        words = iter(memory_args())
        eal = "\n".join(f"    {word.lstrip('-')}: {next(words) if word == '-m' else ''}" for word in words)
        cpus = sorted(os.sched_getaffinity(0))
        with open(self.path("suricata.yaml"), "w", encoding="ascii") as file:
            file.write(CONFIG.format(eal=eal, plugin=PLUGIN, device=host.device(options=f",name={NAME}"),
                                     name=NAME, cpus=(cpus[0], cpus[-1]), folder=self.dir))
        program = self.own(self.program("suricata", [
            "suricata", "-c", self.path("suricata.yaml"), "--dpdk", "-l", self.dir]))
        program.expect("Engine started", 90)
        return program

    def captured(self, host, count):
        """End Suricata when it has taken `count` frames out of the ring; those that it logged."""
        def read():
            rings = host.request("rings", 0)["rings"]
            return host.stats()["rx_frames"] >= count and all(
                ring["rx"]["write_index"] == ring["rx"]["read_index"] for ring in rings)
        wait_until(read, 40, f"Suricata has read {count} frames")
        suricata = self.programs[-1]
        suricata.signal(signal.SIGINT)
        self.assertEqual(suricata.wait(40), 0)
        with open(self.path("eve.json"), encoding="utf-8") as file:
            seen = json.loads(file.readlines()[-1])["stats"]
        capture = seen["capture"]
        self.assertEqual((capture.pop("packets"), seen["decoder"]["pkts"]), (count, count))
        self.assertEqual(capture.pop("dpdk"), {"imissed": 0, "no_mbufs": 0, "ierrors": 0})
        self.assertEqual(set(capture.values()), {0}, capture)
        logs = [name for name in os.listdir(self.dir) if name.startswith("log.pcap")]
        self.assertEqual(len(logs), 1)
        stats = host.stats()
        self.assertEqual(stats["rx_frames"], count)
        self.assertEqual({k: v for k, v in stats.items() if k.startswith("rx_dropped_") and v}, {})
        return self.path(logs[0])

    def test_every_byte_of_a_capture(self):
        sent = frames.every_size() + frames.mixed_capture()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},rate=10K")
        host.hold()
        self.suricata(host)
        host.hold(False)
        self.assert_same_frames(frames.pcap_read(self.captured(host, len(sent))), sent)

    def test_generated_frames_without_a_drop(self):
        """What Suricata logged goes to a port that verifies generated frames, through testpmd."""
        count = 50000
        host = self.host(f"gen:size=60-1514,flows=64,count={count},rate=100K")
        host.set("rx_wait", 1)
        host.hold()
        self.suricata(host)
        host.hold(False)
        log = self.captured(host, count)
        host.stop()
        again = self.host(f"pcap:in={log},rate=20K", "sink")
        pmd = self.guest(again)
        pmd.start(patient="io")
        wait_until(lambda: again.port(1)["tx_frames"] >= count, 40, "the log has been played")
        self.assert_intact(again.port(1), count)
        self.assertEqual(again.port(1)["reordered"], 0)


if __name__ == "__main__":
    unittest.main()
