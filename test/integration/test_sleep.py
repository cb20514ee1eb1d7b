# SPDX-License-Identifier: BSD-3-Clause
"""l3fwd-power as DPDK ships it: forwards while its lcore sleeps most of the time."""
import os
import re
import shutil
import signal
import struct
import time
import unittest

import examples
import frames
from harness import PLUGIN, SERIAL, Case, lcore_args, wait_until

ROUNDS = 100
ADAPTER_MB = 3000  # the event adapter's test makes half a million mbufs
IDLE_SHARE = 0.25  # of a core's time at most, without traffic; polling takes all of it


def routed(port, size, rand):
    """A frame that l3fwd-power's table sends out of the port."""
    payload = frames.udp(rand.randbytes(size - 42))
    return frames.ether(0x0800, frames.ipv4(17, payload, dst=f"{port + 1}.1.1.{1 + size % 200}"))


def forwarded(frame, port, checked):
    """The same as it leaves: addresses of the port, one hop less, and what l3fwd-power makes of the
    checksum: one more as x86 counts, from 0 if it had to check it itself."""
    source = frames.GUEST_MAC[:5] + bytes([port + 1])
    checksum = struct.unpack_from("<H", frame, 24)[0] if checked else 0
    return (bytes([2, 0, 0, 0, 0, port]) + source + frame[12:22] + bytes([frame[22] - 1]) +
            frame[23:24] + struct.pack("<H", (checksum + 1) & 0xFFFF) + frame[26:])


def dpdk_test():
    """The distribution's program with DPDK's own tests, of the DPDK that is tested here, or None."""
    found = [shutil.which(name) for name in ("dpdk-test", "dpdk-testpmd")]
    same = None not in found and len(set(map(os.path.dirname, found))) == 1
    return found[0] if same else None


def megabytes_available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"MemAvailable: +(\d+)", file.read()).group(1)) // 1024


class Sleep(Case):
    def l3fwd(self, host, *options, queues=1):
        config = ",".join(f"({port},{queue},0)" for port in range(2) for queue in range(queues))
        app = self.own(self.program("l3fwd-power", examples.argv(
            "l3fwd-power", [host.device(0), host.device(1)], "-p", "3", "-P", "--config", config,
            "--parse-ptype", *options)))
        app.expect("entering main .*loop on lcore 0", 40)
        return app

    def leave(self, app):
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)

    def captures(self, sent, rate):
        """A port specification for each list of frames."""
        ports = []
        for n, some in enumerate(sent):
            frames.pcap_write(self.path(f"in{n}.pcap"), some)
            ports.append(f"pcap:in={self.path(f'in{n}.pcap')},out={self.path(f'out{n}.pcap')},"
                         f"rate={rate}")
        return ports

    def check(self, port, sent, ordered=True):
        """What has left through a port is what was sent to it."""
        got = frames.pcap_read(self.path(f"out{port}.pcap"))
        # With a port that checks checksums of IPv4 it relies on that, for all frames.
        checked = got[0][24:26] != struct.pack("<H", 1)
        self.assert_same_frames(got, [forwarded(frame, port, checked) for frame in sent], ordered)

    def check_sizes(self, *options, queues=1):
        """Both ways, every size: what is sent on a port leaves through the other."""
        rand = frames.random.Random(31)
        sent = [[routed(1 - n, size, rand) for size in range(60, 1515)] for n in range(2)]
        host = self.host(*self.captures(sent, "10K"))
        host.hold()
        app = self.l3fwd(host, *options, queues=queues)
        host.hold(False)
        for n in range(2):
            wait_until(lambda: host.port(n)["tx_frames"] >= len(sent[1 - n]), 20,
                       f"NIC {n} has the frames of the other")
        self.leave(app)
        host.stop()
        for n in range(2):
            self.check(n, sent[1 - n], ordered=queues == 1)

    def test_l3fwd_power_with_interrupts(self):
        self.check_sizes("--interrupt-only")

    def test_l3fwd_power_with_interrupts_of_several_queues(self):
        self.check_sizes("--interrupt-only", queues=2)

    def test_l3fwd_power_that_pauses(self):
        """librte_power asks the port for nothing but its bursts and its queues' state."""
        self.check_sizes("--pmd-mgmt=pause")

    def lcore_seconds(self, app):
        """CPU time of the main lcore's thread."""
        pid = app.child.pid
        with open(f"/proc/{pid}/task/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def busy(self, app):
        """What share of a core the main lcore uses, of a second or what a busy machine makes of it."""
        before, begun = self.lcore_seconds(app), time.monotonic()
        time.sleep(1)
        return (self.lcore_seconds(app) - before) / (time.monotonic() - begun)

    def test_idle_when_idle(self):
        """Frames one by one, each behind idleness: the lcore sleeps, and each frame wakes it."""
        rand = frames.random.Random(32)
        sent = [[routed(1, 60 + n, rand) for n in range(ROUNDS)], []]
        host = self.host(*self.captures(sent, "25"))
        host.hold()
        app = self.l3fwd(host, "--interrupt-only")
        wait_until(lambda: self.busy(app) < IDLE_SHARE, 5, f"less than {IDLE_SHARE} of a core is used")
        host.hold(False)
        wait_until(lambda: host.port(1)["tx_frames"] >= ROUNDS, 20, "all frames are through")
        wakes = len(re.findall("waked up from rx interrupt on port 0 queue 0", app.text))
        self.leave(app)
        host.stop()
        self.check(1, sent[0])
        # The program also wakes by itself every 10 ms, and a busy machine may let frames meet: those of
        # 300 ms are eight. Without interrupts there is no such line.
        self.assertGreater(wakes, ROUNDS // 4)

    @unittest.skipUnless(dpdk_test(), "no dpdk-test beside this dpdk-testpmd")
    @unittest.skipUnless(megabytes_available() > ADAPTER_MB + 1000, "not enough memory")
    def test_event_adapter(self):
        """DPDK's own test of the adapter that receives behind interrupts, with queues of ours."""
        host = self.host("gen:rate=20K")
        status, text = self.run_program("dpdk-test", [
            dpdk_test(), *lcore_args(), "--file-prefix", f"adapter{next(SERIAL)}", "--no-pci",
            "--no-telemetry", "--no-huge", "-m", ADAPTER_MB, "-d", PLUGIN, "-a", host.device()],
            timeout=50, env={"DPDK_TEST": "event_eth_rx_intr_adapter_autotest"})
        self.assertEqual(status, 0)
        self.assertRegex(text, r"Tests Passed : +[1-9]")
        self.assertRegex(text, r"Tests Failed : +0\b")
