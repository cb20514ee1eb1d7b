# SPDX-License-Identifier: BSD-3-Clause
"""The flight recorder: a bring-up in its order (spec/nvsp.md §4), and what happens to a port."""
import os
import re

from harness import needs_root, wait_until
from telemetry import Telemetry, by_script
from test_telemetry import Asked
from vf_network import VfNetwork

LADDER = [
    "sent INIT 0x60001", "received INIT_COMPLETE 0x1", "sent NDIS_CONFIG",
    "sent NDIS_VERSION 0x1e", "sent SEND_RECV_BUF", "received RECV_BUF_COMPLETE 0x1",
    "sent SEND_SEND_BUF", "received SEND_BUF_COMPLETE 0x1", "sent INITIALIZE",
    "received INITIALIZE_C 0x0",
    "sent SET 0x1010e", "received SET_C 0x0",  # the filter: some hosts begin with an old one
    "sent QUERY 0x1010101", "received QUERY_C 0x0",  # the address
    "sent QUERY 0x10106", "received QUERY_C 0x0",  # the MTU
]


class Flight(Asked):
    def in_order(self, lines, wanted):
        """Each of the wanted lines begins one, in this order; others may be between."""
        at = iter(lines)
        for want in wanted:
            self.assertTrue(any(re.match(re.escape(want) + r"\b", line) for line in at),
                            f"'{want}' is not there, or not behind the one before, in\n" +
                            "\n".join(lines))

    def test_bring_up_is_in_its_order(self):
        pmd, telemetry = self.guest_asked(self.host("sink"), queues=4)
        answer = telemetry.cmd("/netvsc/flight", "0,100")
        self.assertEqual(answer["events"], len(answer["last"]))
        self.assertEqual(answer["events_lost"], 0)
        times = [float(line.split()[0]) for line in answer["last"]]
        self.assertEqual(times, sorted(times))
        self.assertLess(times[-1], 60)
        lines = telemetry.flight()
        # Nothing is between the first: a host ends with whoever sends anything else.
        for line, want in zip(lines, LADDER):
            self.assertRegex(line, f"^{want}")
        self.in_order(lines, [*LADDER, "port attached", "sent SUBCHANNEL 0x3",
                              "received SUBCHANNEL 0x3", "link up", "port started"])
        # Every request of which the ladder waits for the answer has one behind it.
        waiting = [line.split()[1] for line in lines if re.match(r"(sent|received) (SET|QUERY)", line)]
        self.assertEqual(waiting[1::2], [f"{name}_C" for name in waiting[::2]])
        self.assertEqual(by_script(pmd, "/netvsc/flight,0,100")[0]["/netvsc/flight"]["last"],
                         answer["last"])

    def test_older_versions_are_tried_in_turn(self):
        _, telemetry = self.guest_asked(self.host(("nvsp=4", "sink")))
        lines = telemetry.flight()
        self.assertEqual(lines[:8:2], [f"sent INIT 0x{v}" for v in ("60001", "60000", "50000", "40000")])
        for line in lines[1:7:2]:
            self.assertRegex(line, "^received INIT_COMPLETE 0x[^1]")
        self.assertEqual(lines[7], "received INIT_COMPLETE 0x1")

    def test_link_mtu_and_reset(self):
        host = self.host("sink")
        pmd, telemetry = self.guest_asked(host, args=["--mbuf-size=9400"])
        host.request("link", 0, up=False)
        wait_until(lambda: any(line.startswith("link down") for line in telemetry.flight()), 5,
                   "the link's end is there")
        host.request("link", 0, up=True)
        wait_until(lambda: telemetry.flight()[-1].startswith("link up"), 5, "it is up again")
        self.in_order(telemetry.flight(), ["received INDICATE_STATUS 0x4001000c", "link down",
                                           "received INDICATE_STATUS 0x4001000b", "link up"])
        pmd.cmd("port config mtu 0 9000")
        self.assertEqual(telemetry.flight()[-1], "mtu 9000")
        pmd.cmd("port stop 0")
        pmd.cmd("port reset 0")
        self.in_order(telemetry.flight(), ["mtu 9000", "port stopped", "port detached", "sent INIT",
                                           "port attached", "port reset"])

    def test_a_port_that_breaks_says_why(self):
        host = self.host("gen:rate=20K")
        pmd, telemetry = self.guest_asked(host)
        pmd.start()
        host.set("corrupt_ring", 0)
        wait_until(lambda: telemetry.cmd("/netvsc/info", 0)["state"] == "broken", 10, "it is broken")
        # The state is first, so that bursts end; then it is said and noted.
        wait_until(lambda: telemetry.cmd("/netvsc/info", 0)["breaks"], 5, "it is noted")
        self.assertIn("broken the host broke the inbound ring", telemetry.flight())
        info = telemetry.cmd("/netvsc/info", 0)
        self.assertEqual(info["breaks"], 1)
        self.assertEqual(info["last_broken"], "the host broke the inbound ring")

    def test_a_recovery_is_there_with_its_time(self):
        host = self.host("gen:rate=20K")
        pmd, telemetry = self.guest_asked(host, queues=2)
        pmd.start()
        wait_until(lambda: host.port()["verified"] > 100, 10, "frames flow")
        self.assertEqual(telemetry.cmd("/netvsc/info", 0)["last_recovery"], "none")
        host.request("rescind", 0)
        wait_until(lambda: telemetry.cmd("/netvsc/info", 0)["state"] == "recovering", 10,
                   "the port recovers")
        wait_until(lambda: not os.path.exists(host.socket()), 5, "the socket is gone")
        host.request("offer", 0)
        info = wait_until(lambda: (i := telemetry.cmd("/netvsc/info", 0))["recoveries"] and i, 20,
                          "it has recovered")
        self.assertRegex(info["last_recovery"], r"^done after \d+ ms$")
        self.assertEqual(info["last_recovery"], f"done after {info['last_recovery_ms']} ms")
        self.assertEqual((info["recoveries"], info["last_recovery_failed"]), (1, 0))
        wait_until(lambda: telemetry.cmd("/netvsc/info", 0)["state"] == "running", 5, "it runs")
        # The alarm looks at the link a moment later.
        wait_until(lambda: telemetry.flight()[-1].startswith("link up"), 5, "the link is up")
        self.in_order(telemetry.flight(), ["port started", "port away", *LADDER, "port attached",
                                           f"recovery {info['last_recovery']}", "link up"])

    @needs_root
    def test_a_virtual_function_is_there_with_its_path(self):
        net = VfNetwork(self)
        pmd = net.guest(telemetry=True)
        telemetry = Telemetry(pmd)
        self.addCleanup(telemetry.close)
        port = telemetry.cmd("/netvsc/list")[0]
        info = telemetry.cmd("/netvsc/info", port)
        # testpmd has started the port, so that the function may be in use already.
        self.assertIn((info["path"], info["path_is_vf"]), (("synthetic", 0), ("vf", 1)))
        pmd.start()
        net.await_path(True)
        wait_until(lambda: telemetry.cmd("/netvsc/info", port)["path_is_vf"], 10, "telemetry says so")
        self.assertEqual(telemetry.cmd("/netvsc/info", port)["vf"], "started")
        net.vf(present=False)
        net.await_path(False)
        # The path is told as it is, before the event that counts is noted.
        wait_until(lambda: (i := telemetry.cmd("/netvsc/info", port))["path"] == "synthetic"
                   and i["path_switches"] >= 2, 10, "it is back")
        self.in_order(telemetry.flight(port), [
            "received VF_ASSOCIATION 0x100000001", "vf taken", "vf started",
            "sent SWITCH_DATA_PATH 0x1", "path vf", "path synthetic"])

    def test_dump_has_the_same_lines(self):
        _, telemetry = self.guest_asked(self.host("sink"))
        dumped = telemetry.cmd("/ethdev/dump_priv", 0)
        lines = telemetry.cmd("/netvsc/flight", "0,100")["last"]
        self.assertIn("flight recorder: ", dumped)
        for line in lines[:20]:
            self.assertIn(f"  {line}\n", dumped)
