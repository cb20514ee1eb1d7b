# SPDX-License-Identifier: BSD-3-Clause
"""The distribution's in-tree netvsc driver against the same host: what it forwards, and what not.

What it cannot do is in doc/peer.md, with the evidence; tests of such cases assert what it does.
"""
import signal
import time

import frames
import peer
from harness import Case, wait_until


class InTree(Case):
    def forward(self, sent, options, change):
        """Two NICs play a capture each; every byte of what comes out of the other is compared."""
        ports = []
        for n in range(2):
            frames.pcap_write(self.path(f"in{n}.pcap"), sent[n])
            ports.append(f"pcap:in={self.path(f'in{n}.pcap')},out={self.path(f'out{n}.pcap')}"
                         ",rate=20000")
        host = self.host(*ports, args=["--poll", "busy"])
        host.hold()
        app = self.own(peer.intree(host, *options))
        app.expect("entering main loop", 20)
        host.hold(False)
        for n in range(2):
            wait_until(lambda: host.port(n)["tx_frames"] >= len(sent[1 - n]), 20,
                       f"NIC {n} has the frames of the other: {host.port(n)}")
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)
        host.stop()
        for n in range(2):
            self.assert_same_frames(frames.pcap_read(self.path(f"out{n}.pcap")),
                                    [change(frame, n) for frame in sent[1 - n]])

    def test_every_size(self):
        self.forward([frames.every_size(seed=20), frames.every_size(seed=21)],
                     ["--no-mac-updating"], lambda frame, port: frame)

    def test_every_size_mac_updating(self):
        def change(frame, port):
            source = frames.GUEST_MAC[:5] + bytes([port + 1])
            return bytes([2, 0, 0, 0, 0, port]) + source + frame[12:]

        self.forward([frames.every_size(seed=22), frames.every_size(seed=23)], [], change)

    def test_capture_identity(self):
        self.forward([frames.mixed_capture(seed=24), frames.mixed_capture(seed=25)],
                     ["--no-mac-updating"], lambda frame, port: frame)

    def generated(self, size, settings="", count=40000):
        nic = (settings, f"gen:size={size},flows=64,seed=5,rate=40K,window=512,count={count}")
        host = self.host(nic, nic, args=["--poll", "busy"])
        host.hold()
        app = self.own(peer.intree(host, "--no-mac-updating"))
        app.expect("entering main loop", 20)
        host.hold(False)
        # Each NIC verifies what the other generated.
        for n in range(2):
            wait_until(lambda: host.port(n)["tx_frames"] >= count, 20,
                       f"{count} frames came out of NIC {n}: {host.port(n)}")
        time.sleep(0.1)
        ports = [host.port(n) for n in range(2)]
        for port in ports:
            self.assertEqual((port["tx_frames"], port["corrupt"], port["duplicate"]),
                             (count, 0, 0), port)
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)

    def test_generated(self):
        self.generated("60-1514")

    def test_generated_small(self):
        self.generated("60")

    def test_generated_small_rings(self):
        self.generated("60-1514", "ring=64K")

    def test_killed_and_restarted(self):
        host = self.host("gen:rate=20K", "gen:rate=20K", args=["--poll", "busy"])
        for _ in range(3):
            app = self.own(peer.intree(host, "--no-mac-updating"))
            app.expect("entering main loop", 20)
            before = host.port(0)["tx_frames"]
            wait_until(lambda: host.port(0)["tx_frames"] >= before + 2000, 10, "frames come back")
            app.signal(signal.SIGKILL)
            app.wait()
        self.assertEqual(host.stop(), 0)

    def test_interrupts_stay_on(self):
        """Pitfall R10: it never masks, so a kernel that leaves the mask alone is interrupted."""
        host = self.host("gen:rate=5K", "gen:rate=5K", args=["--poll", "busy"])
        app = self.own(peer.intree(host, "--no-mac-updating"))
        app.expect("entering main loop", 20)
        wait_until(lambda: host.port(0)["tx_frames"] >= 5000, 10, "frames come back")
        channel = host.request("rings", 0)["rings"][0]
        self.assertEqual(channel["rx"]["interrupt_mask"], 0)
        self.assertGreater(host.stats(0)["signals"], 100)
