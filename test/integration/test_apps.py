# SPDX-License-Identifier: BSD-3-Clause
"""Other applications than testpmd, and a real Linux network stack on the other side."""
import os
import re
import signal

import examples
import frames
from exchange import exchange
from harness import BUILD, Case, Namespace, memory_args, needs_root, wait_until


class Apps(Case):
    def l2fwd_mac(self, frame, port):
        """l2fwd's rewriting: from the port it leaves through, to 02:00:00:00:00:PORT."""
        source = frames.GUEST_MAC[:5] + bytes([port + 1])
        return bytes([2, 0, 0, 0, 0, port]) + source + frame[12:]

    def check_l2fwd(self, options, change):
        def l2fwd(host):
            return self.program("l2fwd", examples.argv(
                "l2fwd", [host.device(0), host.device(1)], "-p", "3", "-P", "-q", "2", "-T", "0", *options))

        # l2fwd drops what does not fit into its send queue at once.
        exchange(self, [frames.every_size(seed=20), frames.every_size(seed=21)], "10K", l2fwd, change)

    def test_l2fwd(self):
        self.check_l2fwd(["--no-mac-updating"], lambda frame, port: frame)

    def test_l2fwd_mac_updating(self):
        self.check_l2fwd([], self.l2fwd_mac)

    @needs_root
    def test_ping_through_tap(self):
        """The Linux stack on a TAP pings testpmd's icmpecho, with every payload size."""
        net = Namespace()
        self.addCleanup(net.close)
        host = self.host("tap:hp0", prefix=net.prefix)
        net.run("ip", "addr", "add", "192.0.2.1/24", "dev", "hp0")
        net.run("ip", "link", "set", "hp0", "up")
        pmd = self.guest(host, mode="icmpecho")
        pmd.start()
        for size in (0, 56, 1000, 1472):
            out = net.run("ping", "-c", "5", "-i", "0.05", "-W", "2", "-s", size, "192.0.2.2")
            self.assertRegex(out, "5 packets transmitted, 5 received, 0% packet loss")
            self.assertNotIn("wrong data", out)
        self.assertTrue(re.search(r"rtt|round-trip|64 bytes|1480 bytes", out))
        self.assertEqual(pmd.quit(), 0)

    def test_example_application(self):
        """The application that links the driver instead of loading it."""
        app = os.path.join(BUILD, "app/example/hyperpoll-forward")
        host = self.host("gen:count=5000")
        program = self.own(self.program("example", [
            app, "-l", "0", "--no-pci", "--no-telemetry", *memory_args(), "-a", host.device()]))
        wait_until(lambda: host.port()["verified"] >= 5000, 15, "5000 frames are back")
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), 0)
