# SPDX-License-Identifier: BSD-3-Clause
"""Virtual functions under traffic: the host's messages in every order, every frame accounted for.

The VF is stock DPDK: net_af_packet on the interface of a TAP that hvsim serves as vf-port=.
"""
import itertools
import shutil
import signal
import threading
import unittest

import stacks
from harness import Case, Testpmd, needs_root, wait_until
from telemetry import Telemetry
from vf_network import BEHIND, FLIPS, TapVf, VfNetwork, af_packet, prepare

# Milliseconds: longer than any test, which sets the knob to 0 when it has seen enough.
HELD = 600000


@needs_root
class Vf(Case):
    limit = 60 + FLIPS

    def network(self, settings="", **keys):
        return VfNetwork(self, settings, **keys)

    def started(self, settings="", queues=1, **keys):
        """A network and a guest that forwards on the VF."""
        net = self.network(settings)
        pmd = net.guest(queues, **keys)
        pmd.start()
        net.await_path(True)
        net.await_frames_on(True)
        return net, pmd

    # ---- flips ----

    def check_flips(self, queues, removal):
        """The VF goes and comes back under traffic; now and then as another one."""
        net, pmd = self.started(f"channels={queues}", queues, timed=2 * FLIPS)
        net.host.set("vf_removal", removal)
        for flip in range(FLIPS):
            net.vf(present=False)
            net.await_path(False)
            net.vf(present=True, serial=1 + flip // 10)
            net.await_path(True)
            if flip % 10 == 0:
                net.await_frames(50)
        net.await_frames_on(True)
        lost = net.check_books(pmd)
        print(f"     {FLIPS} flips, {lost} of {net.host.port()['rx_frames']} frames lost, counted",
              flush=True)
        nic = net.host.stats()
        self.assertGreaterEqual(nic["path_switches"], 2 * FLIPS)
        self.assertEqual(nic["protocol_errors"], 0)
        if removal == "ask":
            # The guest moves the path when nothing is on its way.
            self.assertEqual((nic["vf_tx_dropped_path"], nic["rx_dropped_vf"]), (0, 0))
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_flips_1q(self):
        self.check_flips(1, "path_first")

    def test_flips_4q(self):
        self.check_flips(4, "path_first")

    def test_flips_that_the_guest_is_asked_for_1q(self):
        self.check_flips(1, "ask")

    def test_flips_that_the_guest_is_asked_for_4q(self):
        self.check_flips(4, "ask")

    def test_bursts_that_take_too_long_are_found(self):
        """As if the driver worked for 3 ms in some of them."""
        net, pmd = self.started(env={"BURSTS_BURN": "500"}, timed=1)
        net.await_frames(500)
        with self.assertRaisesRegex(AssertionError, "receive bursts took more than 1 ms"):
            pmd.quit()

    # ---- both paths ----

    def test_frames_follow_the_path(self):
        net, pmd = self.started()
        before = net.host.stats()
        net.await_frames(500)
        after = net.host.stats()
        self.assertEqual(after["rx_frames"], before["rx_frames"], "unicast on the synthetic path")
        self.assertEqual(after["tx_frames"], before["tx_frames"], "sends on the synthetic path")
        # The first frames of flows come on the synthetic path, and are answered on the VF.
        net.host.set("vf_first", 255)
        net.await_frames(500)
        self.assertGreater(net.host.stats()["rx_frames"], after["rx_frames"])
        net.host.set("vf_first", 0)
        self.assertEqual(net.check_books(pmd), net.host.stats()["vf_tx_dropped_path"])
        self.assertEqual(pmd.quit(), 0)
        self.assertFalse(net.on_vf(), "the path was left on the VF")

    def test_mtu_is_the_interfaces_too(self):
        """One that was set at configure, before the VF is started, and one that comes while it runs."""
        net = self.network(port="gen:size=60-1314,flows=16,rate=4K")
        pmd = net.guest(args=["--max-pkt-len=1418"])
        pmd.start()
        net.await_path(True)
        self.assertEqual(net.mtu(), 1400)
        net.await_frames_on(True)
        pmd.cmd("port config mtu 0 1300")
        wait_until(lambda: net.mtu() == 1300, 10, "the interface has the MTU")
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_stop_and_start(self):
        """The path is synthetic before queues stop (pitfalls V13), and the VF's after the start."""
        net = TapVf(self)
        pmd = net.guest(vf=TapVf.DEVICE, vdevs=[TapVf.VDEV])
        net.wire()
        pmd.start()
        net.await_path(True)
        for _ in range(3):
            net.await_frames_on(True)
            net.settle()
            pmd.stop()
            pmd.cmd("port stop 0")
            self.assertFalse(net.on_vf(), "the port is stopped and the path is the VF's")
            pmd.cmd("port start 0")
            pmd.start()
            net.host.hold(False)
            net.await_path(True)
        net.await_frames_on(True)
        self.assertEqual(pmd.quit(), 0)

    # ---- the host's ways ----

    def test_removals(self):
        """Path first, VF first, or the VF alone and the guest is to switch."""
        net, pmd = self.started()
        for removal in ("path_first", "vf_first", "ask"):
            with self.subTest(removal):
                net.host.set("vf_removal", removal)
                net.vf(present=False)
                net.await_path(False)
                net.await_frames_on(False)
                net.vf(present=True, serial=7)
                net.await_path(True)
                net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_messages_in_odd_orders(self):
        """Told twice, another serial without an end of the first, an end without a beginning."""
        net = self.network()
        net.vf(present=False)
        pmd = net.guest()
        pmd.start()
        net.await_frames_on(False)
        orders = (
            ("gone before it came", ({"present": False},), False),
            ("twice", ({"present": True, "serial": 2},) * 2, True),
            ("another one", ({"present": True, "serial": 3},), True),
            ("gone twice", ({"present": False},) * 2, False),
            ("gone and back", ({"present": True, "serial": 4}, {"present": False},
                               {"present": True, "serial": 5}), True),
            ("back and gone", ({"present": False}, {"present": True, "serial": 5},
                               {"present": False}), False),
        )
        for name, commands, vf in orders:
            with self.subTest(name):
                for command in commands:
                    net.vf(**command)
                net.await_path(vf)
                net.await_frames_on(vf)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_path_taken_back(self):
        """The host moves the path by itself and the VF stays: the guest asks again, later."""
        net, pmd = self.started()
        net.vf(path="synthetic")
        self.assertFalse(net.on_vf())
        net.await_frames_on(False)
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_switch_fails(self):
        """Answered, and then the host says that it did not do it."""
        net = self.network()
        net.host.set("vf_switch", "fail")
        pmd = net.guest()
        pmd.start()
        net.await_frames_on(False, 1000)
        self.assertFalse(net.on_vf())
        net.host.set("vf_switch", "take")
        net.await_path(True, 30)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_switch_refused_without_a_word(self):
        """Answered and not done: the host sends on one path, the guest on the other."""
        net = self.network()
        net.host.set("vf_switch", "refuse")
        net.host.set("vf_any_path", 1)
        pmd = net.guest()
        pmd.start()
        wait_until(lambda: net.host.stats()["vf_tx_frames"] > 200, 10, "the guest sends on the VF")
        net.await_frames(500)
        self.assertFalse(net.on_vf())
        self.assertEqual(net.host.stats()["vf_rx_frames"], 0)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_switch_answered_late(self):
        """Everything goes on until the answer is there, which is when the test says so."""
        net = self.network()
        net.host.set("vf_switch_ms", HELD)
        pmd = net.guest(telemetry=True)
        telemetry = Telemetry(pmd)
        self.addCleanup(telemetry.close)
        port = telemetry.cmd("/netvsc/list")[0]
        pmd.start()
        # First for the path that it has: the session before may have left another one.
        wait_until(lambda: any(line.startswith("sent SWITCH_DATA_PATH")
                               for line in telemetry.flight(port)), 15, "the guest has asked")
        net.await_frames_on(False, 1000)
        self.assertFalse(net.on_vf())
        self.assertEqual(net.host.stats()["vf_tx_frames"], 0)
        self.assertEqual(net.host.stats()["vf_tx_dropped_path"], 0, "it did not wait")
        info = telemetry.cmd("/netvsc/info", port)
        self.assertEqual((info["path"], info["vf_used"], info["vf_associated"], info["vf_found"]),
                         ("synthetic", 0, 1, 1))
        self.assertEqual(info["vf_name"], "net_af_packet0")
        net.host.set("vf_switch_ms", 0)
        net.await_path(True)
        net.await_frames_on(True)
        info = telemetry.cmd("/netvsc/info", port)
        self.assertEqual((info["vf_used"], info["vf_receives"], info["vf_link_up"], info["vf_unused_because"]),
                         (1, 1, 1, ""))
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_switch_never_answered(self):
        """The synthetic path goes on, and the end does not wait for the answer."""
        net = self.network()
        net.host.set("vf_switch", "ignore")
        pmd = net.guest()
        pmd.start()
        net.await_frames(2000)
        self.assertEqual(net.host.stats()["vf_tx_frames"], 0)
        self.assertEqual(net.check_books(pmd), 0)
        self.assertEqual(pmd.quit(), 0)

    def test_association_comes_late(self):
        net = self.network("profile=ws2022")
        net.host.set("vf_offer_ms", HELD)
        pmd = net.guest()
        pmd.start()
        net.await_frames_on(False)
        self.assertFalse(net.on_vf())
        net.host.set("vf_offer_ms", 0)
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_host_that_never_offers(self):
        net = self.network()
        net.host.set("vf_offer", 0)
        pmd = net.guest()
        pmd.start()
        net.await_frames_on(False, 1000)
        self.assertEqual((net.on_vf(), net.host.stats()["vf_tx_dropped_path"]), (False, 0))
        self.assertEqual(net.check_books(pmd), 0)
        self.assertEqual(pmd.quit(), 0)

    def test_telemetry_says_why_no_vf_is_used(self):
        """One after another: what is in the way, until nothing is."""
        net = self.network()
        net.vf(present=False)
        pmd = net.guest(vdevs=[], telemetry=True)
        telemetry = Telemetry(pmd)
        self.addCleanup(telemetry.close)
        port = telemetry.cmd("/netvsc/list")[0]

        def await_reason(words):
            wait_until(lambda: words in telemetry.cmd("/netvsc/info", port)["vf_unused_because"], 15,
                       f"the reason is {words!r}")

        await_reason("the host offers none")
        net.vf(present=True)
        await_reason("no port is found yet: none is called 'net_af_packet0'")
        self.assertEqual(telemetry.cmd("/netvsc/info", port)["vf_associated"], 1)
        net.host.set("vf_switch", "ignore")
        pmd.cmd(f"port attach {af_packet()}")
        await_reason("has not answered")
        pmd.stop()
        pmd.cmd("port stop 0")
        await_reason("the port is stopped")
        self.assertEqual(pmd.quit(), 0)

    # ---- which one ----

    def test_decoys(self):
        """Interfaces with the same MAC address: the VF is the one that was named, or none."""
        net = self.network()
        net.add_tap("decoy")
        decoy = af_packet(iface="decoy", number=1)
        pmd = net.guest(vdevs=[decoy, af_packet()], ports=2)
        pmd.start()
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)
        # Without a name there is no VF among such devices: all of them stay the application's.
        pmd = net.guest(vf=None, vdevs=[decoy, af_packet()], ports=3)
        pmd.start()
        net.await_frames_on(False)
        self.assertFalse(net.on_vf())
        self.assertEqual(pmd.quit(), 0)

    def test_vf_that_is_attached_late(self):
        net = self.network()
        pmd = net.guest(vdevs=[])
        pmd.start()
        net.await_frames_on(False)
        pmd.cmd(f"port attach {af_packet()}")
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_vf_that_is_memif(self):
        """It has no promiscuous mode and takes no address, and leads to another process."""
        net = self.network()
        memif = f"net_memif0,role={{}},socket={self.path('memif.sock')},socket-abstract=no,rsize=12"
        pmd = net.guest(vf="net_memif0", vdevs=[memif.format("server")])
        self.assertIn("Promiscuous mode: enabled", pmd.cmd("show port info 0"))
        wire = self.own(Testpmd([], eal=[f"--vdev={memif.format('client')}", f"--vdev={af_packet()}"],
                                ports=2, plugin=None, prefix=net.space.prefix)).ready()
        wire.start()
        pmd.start()
        net.await_path(True)
        net.await_frames_on(True, 2000)
        net.settle()
        port, counted = net.host.port(), net.losses(pmd)
        counted["between"] = sum(wire.dropped(n) for n in range(2))
        self.assertEqual((port["corrupt"], port["duplicate"], port["foreign"]), (0, 0, 0), port)
        self.assertEqual(port["rx_frames"] - port["verified"], sum(counted.values()), counted)
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(wire.quit(), 0)

    # ---- trouble ----

    def test_vf_that_the_application_detaches(self):
        """Its driver frees its queues first and ethdev tells then: bursts are out of it before that, and
        what was on its way by it has been received, or is counted."""
        net, pmd = self.started()
        for _ in range(3):
            self.assertIn("is detached", pmd.cmd("device detach net_af_packet0"))
            net.await_path(False)
            net.await_frames_on(False)
            pmd.cmd(f"port attach {af_packet()}")
            net.await_path(True)
            net.await_frames_on(True)
        lost = net.check_books(pmd)
        print(f"     {lost} frames lost, counted", flush=True)
        self.assertEqual(pmd.quit(), 0)

    def test_vf_whose_link_goes_down(self):
        net = TapVf(self)
        pmd = net.guest(vf=TapVf.DEVICE, vdevs=[TapVf.VDEV])
        net.wire()
        pmd.start()
        net.await_path(True)
        for _ in range(3):
            net.await_frames_on(True)
            net.space.run("ip", "link", "set", BEHIND, "down")
            net.await_path(False)
            net.await_frames_on(False)
            net.space.run("ip", "link", "set", BEHIND, "up")
            net.await_path(True)
        net.await_frames_on(True)
        self.assertEqual(pmd.quit(), 0)

    def test_guest_killed_on_the_vf(self):
        """OpenVMM: the path is where the guest left it, and the next one finds it so."""
        net, pmd = self.started("profile=openhcl")
        pmd.signal(signal.SIGKILL)
        pmd.wait()
        wait_until(lambda: net.host.stats()["channels"] == 0, 10, "the session has ended")
        self.assertTrue(net.on_vf())
        pmd = net.guest()
        pmd.start()
        net.await_path(True)
        net.await_frames_on(True)
        self.assertEqual(pmd.quit(), 0)
        self.assertFalse(net.on_vf())

    def test_host_loses_the_vf_without_a_word(self):
        """Every frame is lost and counted, until the host says something."""
        net, pmd = self.started()
        net.host.set("vf_dead", 1)
        wait_until(lambda: net.host.stats()["rx_dropped_vf"] > 500, 10, "frames are lost")
        net.vf(path="synthetic")
        net.host.set("vf_dead", 0)
        net.await_frames_on(False)
        net.await_path(True)
        net.await_frames_on(True)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)

    def test_cable_of_the_adapter(self):
        """The link command is for both paths; the interface of the VF knows nothing of it."""
        net, pmd = self.started()
        for _ in range(3):
            net.host.request("link", 0, up=False)
            net.settle()
            self.assertTrue(net.on_vf())
            before = net.host.port()["tx_frames"]
            net.host.hold(False)
            # The generator has nothing for a cable that is not there.
            net.settle()
            self.assertEqual(net.host.port()["tx_frames"], before)
            net.host.request("link", 0, up=True)
            net.host.hold(False)
            net.await_frames(200)
        net.check_books(pmd)
        self.assertEqual(pmd.quit(), 0)


@unittest.skipUnless(shutil.which("iperf3"), "iperf3 is not installed (./run setup test)")
@needs_root
class VfIperf(Case):
    """Linux stacks on both sides of two ports whose VFs come and go every second."""

    seconds = max(10, FLIPS * 60 // 1000)
    flips = seconds // 2  # at least; one takes a second where the machine has nothing else to do
    limit = 120 + 2 * seconds

    def test_tcp_while_vfs_flip(self):
        names = ("vfa", "vfb")
        made = stacks.Stacks(vnet=False, settings=[f"vf-port=tap:{name}" for name in names])
        self.programs = made.programs
        self.addCleanup(made.close)
        space, host = made.spaces[0], made.host
        for number, name in enumerate(names):
            prepare(space, name, f"00:15:5d:48:00:0{number + 1}")
        pmd = made.own(self.guest(
            [host.device(n, f",vf=net_af_packet{n}") for n in range(2)], prefix=space.prefix,
            eal=[f"--vdev={af_packet(iface=name, number=n)}" for n, name in enumerate(names)],
            args=["--portmask=0x3"]))
        pmd.start()
        done = []
        run = threading.Thread(target=lambda: done.append(made.iperf(seconds=self.seconds)))
        run.start()
        flip = 0
        try:
            while run.is_alive() or flip < self.flips:
                for number in range(2):
                    wait_until(lambda n=number: host.stats(n)["path_is_vf"], 15,
                               "the path is the VF's")
                run.join(1)
                number = flip % 2
                host.set("vf_removal", ("path_first", "ask")[flip // 2 % 2], number)
                host.request("vf", number, present=False)
                wait_until(lambda n=number: not host.stats(n)["path_is_vf"], 15, "it is synthetic")
                host.request("vf", number, present=True, serial=flip)
                flip += 1
        finally:
            run.join()  # iperf() has a deadline of its own
        self.assertEqual(len(done), 1, "iperf3 failed")
        intervals, rate = stacks.moved(done[0])
        runs = itertools.groupby(intervals, lambda moved: moved == 0)
        still = max((len(list(these)) for empty, these in runs if empty), default=0)
        self.assertLess(still, len(intervals) // 2, "it stalled")
        self.assertEqual(made.errors(), {})
        by_vf = sum(host.stats(n)["vf_rx_frames"] + host.stats(n)["vf_tx_frames"] for n in range(2))
        self.assertGreater(by_vf, 1000)
        retransmits = done[0]["end"]["sum_sent"]["retransmits"]
        print(f"     {flip} flips, {self.seconds} s of TCP: {rate / 1e6:.0f} Mbit/s, {retransmits} "
              f"segments again, longest silence {still * 0.2:.1f} s", flush=True)
        self.assertEqual(pmd.quit(), 0)
