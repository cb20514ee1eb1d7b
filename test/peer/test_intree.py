# SPDX-License-Identifier: BSD-3-Clause
"""The distribution's in-tree netvsc driver against the same host: what it forwards, and what not.

What it cannot do is in doc/peer.md, with the evidence; tests of such cases assert what it does.
"""
import re
import signal
import time

import frames
import peer
from exchange import exchange
from harness import Case, wait_until
from test_forward import as_is, mac, macswap

STALLS = 20
PATIENCE = 120  # seconds, within which its faults show


class InTree(Case):
    def forward(self, sent, options, change):
        exchange(self, sent, "5000", lambda host: peer.intree(host, *options), change,
                 args=["--poll", "busy"])

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
        nic = (settings, f"gen:size={size},flows=64,seed=5,rate=40K,window=256,count={count}")
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
        # A busy machine makes few of many: one event per change from empty.
        wait_until(lambda: host.stats(0)["signals"] > 100, 20, "the guest is interrupted again and again")

    def test_stalled_host(self):
        """Pitfalls T1 and X2: its faults under a host that stops for a moment, doc/peer.md.

        In rings of two pages it frees frames that it reports as unsent, which l2fwd frees again, so
        that frames go out twice; and it drops receive completions, which costs sections for good.
        """
        twice, acks, end = 0, False, time.monotonic() + PATIENCE
        # It begins anew now and then: with most sections lost there is little left to fail.
        while not (twice and acks) and time.monotonic() < end:
            more, failed = self.under_stalls()
            twice, acks = twice + more, acks or failed
        self.assertTrue(twice and acks, f"{twice} duplicates, failed acknowledgement: {acks}; correct doc/peer.md")

    def under_stalls(self):
        """@return frames that went out twice, and whether it failed to acknowledge some"""
        nic = ("ring=8K", "gen:size=60,flows=16,seed=5,rate=100K")
        host = self.host(nic, nic, args=["--poll", "busy"])
        app = self.own(peer.intree(host, "--no-mac-updating"))
        app.expect("entering main loop", 20)
        for _ in range(STALLS):
            host.set("stall", 1, 1)
            time.sleep(0.1)
            host.set("stall", 0, 1)
            time.sleep(0.1)
            twice = host.port(0)["duplicate"] + host.port(1)["duplicate"]
            failed = "RXBUF ack failed" in app.text
            if twice and failed:
                break
        app.signal(signal.SIGINT)
        app.wait()
        host.stop()
        return twice, failed


class Forwarder(Case):
    """The forwarding tests of the integration suite, with a forwarder that polls all queues.

    Rates and windows are such that its staging rings never overflow, doc/peer.md.
    """

    def check(self, mode, change, queues):
        sent = frames.every_size()
        frames.pcap_write(self.path("in.pcap"), sent)
        host = self.host(f"pcap:in={self.path('in.pcap')},out={self.path('out.pcap')},rate=5000",
                         args=["--poll", "busy"])
        host.hold()
        app = self.own(peer.forwarder(host, queues, mode))
        app.expect("forwarding on 1 ports", 20)
        host.hold(False)
        wait_until(lambda: host.port()["tx_frames"] >= len(sent), 15, f"{len(sent)} frames are back")
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)
        self.assertEqual(host.stop(), 0)
        spread = [int(n) for n in re.findall(r"queue \d+ received (\d+)", app.text)]
        self.assertEqual((len(spread), sum(spread)), (queues, len(sent)))
        self.assertGreaterEqual(sum(n > 0 for n in spread), min(queues, 2), spread)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")),
                                [change(frame) for frame in sent], ordered=queues == 1)

    def check_generated(self, queues):
        count = 40000
        host = self.host(f"gen:size=60-1514,flows=64,seed=5,window=256,count={count}",
                         args=["--poll", "busy"])
        host.hold()
        app = self.own(peer.forwarder(host, queues))
        app.expect("forwarding on 1 ports", 20)
        host.hold(False)
        wait_until(lambda: host.port()["verified"] >= count, 20, f"{count} frames are back")
        self.assert_intact(host.port(), count)
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)

    def paused(self, ours):
        """The guest stands still while frames arrive that rings and receive buffer have room for."""
        count = 8000
        host = self.host(("outstanding=0", f"gen:rate=50K,flows=16,count={count}"),
                         args=["--poll", "busy"])
        host.hold()
        app = self.own(peer.forwarder(host, 1, eal=["-d", peer.harness.PLUGIN] if ours else ()))
        app.expect("forwarding on 1 ports", 20)
        app.signal(signal.SIGSTOP)
        host.hold(False)
        wait_until(lambda: host.port()["finished"], 10, "everything is generated")
        nic = host.stats()
        self.assertEqual(sum(value for key, value in nic.items() if "dropped" in key), 0, nic)
        app.signal(signal.SIGCONT)
        time.sleep(1)
        app.signal(signal.SIGINT)
        self.assertEqual(app.wait(), 0)
        missed = int(re.search(r"port 0 received \d+ missed (\d+)", app.text).group(1))
        return count - host.port()["verified"], missed

    def test_paused_guest(self):
        """It drops in its staging ring what the host has delivered, doc/peer.md."""
        lost, missed = self.paused(ours=False)
        self.assertGreater(missed, 1000)
        self.assertEqual(lost, missed)

    def test_paused_guest_ours(self):
        self.assertEqual(self.paused(ours=True), (0, 0))

    def test_late_ring_files(self):
        """A subchannel's ring file comes some time after its folder: both drivers wait."""
        host = self.host("gen:rate=5K", args=["--poll", "busy"])
        for eal in ((), ("-d", peer.harness.PLUGIN)):
            app = self.own(peer.forwarder(host, 4, eal=eal, env={"RIG_RING_LATE_MS": "300"}))
            app.expect("forwarding on 1 ports", 20)
            self.assertEqual(host.stats()["channels"], 4)
            app.signal(signal.SIGINT)
            self.assertEqual(app.wait(), 0)


def add(name, check, *args):
    setattr(Forwarder, "test_" + name, lambda self: check(self, *args))


for q in (1, 2, 4):
    for mode_name, changed in (("io", as_is), ("mac", mac), ("macswap", macswap)):
        add(f"{mode_name}_{q}q_every_size", Forwarder.check, mode_name, changed, q)
    add(f"io_{q}q_generated", Forwarder.check_generated, q)
