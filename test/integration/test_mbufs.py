# SPDX-License-Identifier: BSD-3-Clause
"""Mbufs of every kind through the ethdev API: whose memory they are in, how they lie, and which are
wrong. The program test/ethdev/mbufs has the cases; here their frames are compared at the port."""
import os
import random
import struct

import frames
import harness
from harness import Case, lcore_args, memory_args, needs_root, wait_until

MBUFS = os.path.join(harness.BUILD, "test/ethdev/mbufs")


class Mbufs(Case):
    def start(self, host, case, memory=None, env=None, options=""):
        """A program that runs one case on the host's first NIC."""
        return self.own(self.program("mbufs", [
            MBUFS, case, *lcore_args(0), "--file-prefix", f"hyperpoll{next(harness.SERIAL)}",
            "--no-pci", "--no-telemetry", *(memory_args() if memory is None else memory),
            "-d", harness.PLUGIN, "-a",
            host.device(options=("" if "tx_copybreak" in options else ",tx_copybreak=512") + options)],
            env={"MBUFS_EXPECT": self.path("expect"), **(env or {})}))

    def recorder(self, settings="", sent=(), play=""):
        """A host that records what the guest sends, and plays what it is given."""
        port = f"pcap:out={self.path('out.pcap')}"
        if sent:
            frames.pcap_write(self.path("in.pcap"), sent)
            port += f",in={self.path('in.pcap')}{play}"
        return self.host((settings, port))

    def expected(self):
        with open(self.path("expect"), "rb") as file:
            data = file.read()
        out, at = [], 0
        while at < len(data):
            size, = struct.unpack_from("=I", data, at)
            out.append(data[at + 4:at + 4 + size])
            at += 4 + size
        return out

    def finish(self, host, program, expected=None, ordered=True):
        """All checks of the case hold, and the port saw just the frames that were sent."""
        self.assertEqual(program.wait(40), 0, "checks of the case")
        expected = self.expected() if expected is None else expected
        self.assertEqual(host.stats()["tx_errors"], 0, "sends that the host refused")
        self.assertEqual(host.stop(), 0)
        self.assert_same_frames(frames.pcap_read(self.path("out.pcap")), expected, ordered)

    def check(self, case, settings="", **keys):
        host = self.recorder(settings)
        self.finish(host, self.start(host, case, **keys))

    def forward(self, case):
        """Frames from the port, of this guest so that it may send them again."""
        sent = [frame[:6] + frames.GUEST_MAC + frame[12:] for frame in frames.every_size()]
        host = self.recorder(sent=sent)
        host.set("rx_wait", 1)
        self.finish(host, self.start(host, case, env={"MBUFS_COUNT": str(len(sent))}), sent)

    def test_pinned_external_buffers_are_forwarded_and_cloned(self):
        self.forward("forward_pinned")

    def test_pinned_external_buffers_outside_eal_are_forwarded_and_cloned(self):
        self.forward("forward_pinned_foreign")

    def test_a_port_as_vpp_has_it(self):
        """VPP's order of calls, its buffers, MTU 9000: every frame comes back as it was."""
        rand = random.Random(11)
        sent = [frames.udp_frame(size, size % 50, rand) for size in range(60, 9015, 6)]
        sent = [frame[:6] + frames.GUEST_MAC + frame[12:] for frame in sent]
        host = self.recorder(sent=sent, play=",rate=2K")
        host.hold()
        program = self.start(host, "vpp", env={"MBUFS_COUNT": str(len(sent))},
                             options=",tx_copybreak=65535")
        program.expect("up", 20)
        host.hold(False)
        program.send("\n")
        self.finish(host, program, sent, ordered=False)

    def test_received_frames_that_are_kept_stay_as_they_were(self):
        """Not copied on receive, and held over stop, start and close."""
        sent = frames.every_size()
        host = self.recorder("outstanding=0", sent=sent)
        host.set("rx_wait", 1)
        self.finish(host, self.start(host, "held", env={"MBUFS_COUNT": str(len(sent))},
                                     options=",rx_copybreak=200"), [])

    def test_attached_external_buffers_are_judged_by_their_address(self):
        self.check("attached")

    def test_indirect_mbufs_are_judged_by_where_their_bytes_are(self):
        self.check("indirect")

    def test_indirect_mbufs_without_hugepages(self):
        self.check("indirect", memory=["--no-huge", "-m", "256"])

    def test_indirect_mbufs_all_copied(self):
        self.check("indirect", options=",copy_only=1")

    def with_hugepages(self, program):
        if "no hugepages" in program.text:
            self.skipTest("no hugepages were left for the application's own memory")

    def test_registered_memory_goes_by_reference_when_the_host_can_be_told_of_it(self):
        host = self.recorder()
        program = self.start(host, "registered")
        self.finish(host, program)
        self.with_hugepages(program)

    def test_registered_memory_is_told_to_a_device_that_comes_back(self):
        host = self.recorder()
        program = self.start(host, "registered_returns")
        for what in ("sent first", "sent second"):
            program.expect(f"{what}|no hugepages", 20)
            self.with_hugepages(program)
            host.request("rescind", 0)
            wait_until(lambda: host.stats()["state"] == "offered", 10, "the session is over")
            host.request("offer", 0)
            program.send("\n")
        self.finish(host, program)

    def test_registered_memory_is_copied_by_a_port_that_copies(self):
        self.check("registered", options=",copy_only=1")

    def test_forty_pools_do_not_push_each_other_out(self):
        self.check("forty_pools")

    def test_pool_that_takes_the_address_of_another_is_looked_at_anew(self):
        self.check("pool_reborn_foreign")

    @needs_root
    def test_memory_that_comes_back_in_other_pages(self):
        if "--in-memory" not in memory_args():
            self.skipTest("needs hugepages")
        self.check("pages_reborn")

    def test_wrong_mbufs_cost_their_neighbours_nothing(self):
        self.check("bad")

    def test_smallest_ring_takes_large_frames_by_reference(self):
        self.check("smallest_ring", "ring=8K")

    def test_wrong_mbufs_on_the_smallest_ring(self):
        self.check("bad", "ring=8K")

    def chains(self, mtu, options="", case="chains"):
        self.check(case, f"mtu={mtu}", env={"MBUFS_MTU": str(mtu)}, options=options)

    def test_chains_of_every_length_by_reference(self):
        """1 to 24 segments of 0 to 9,000 bytes, empty ones anywhere, every byte compared."""
        self.chains(9000)

    def test_chains_where_the_host_cannot_read(self):
        """VPP's buffers: frames that fit no section of the send buffer are copied all the same."""
        self.chains(9000, case="chains_foreign")

    def test_chains_of_every_length_with_small_copies(self):
        """Nearly every frame that fits a section is copied into it."""
        self.chains(9000, ",tx_copybreak=4096")

    def test_chains_of_every_length_copied(self):
        """In copy-only mode no more than a section holds."""
        self.chains(4000, ",copy_only=1")

    def test_tx_done_cleanup_frees_what_was_asked_and_says_so(self):
        host = self.recorder()
        program = self.start(host, "done_cleanup")
        program.expect("^started", 20)
        host.set("no_complete", 1)
        program.send("\n")
        program.expect("^held", 20)
        before = self.written(host)
        host.set("no_complete", 0)
        wait_until(lambda: self.written(host) != before, 10, "completions are in the ring")
        program.send("\n")
        self.finish(host, program)

    def written(self, host):
        return host.request("rings", 0)["rings"][0]["rx"]["write_index"]

    def test_memory_of_a_queue_pair(self):
        """What the driver itself takes, with as many descriptors as it prefers."""
        host = self.recorder("channels=8")
        self.finish(host, self.start(host, "memory"), [])

    def test_stop_gives_all_mbufs_back(self):
        host = self.recorder(sent=[frames.udp_frame(300, 1, random.Random(3))],
                             play=",loop=0,rate=2K")
        host.set("rx_wait", 1)
        self.finish(host, self.start(host, "stop_gives_all_back"))
