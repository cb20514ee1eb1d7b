# SPDX-License-Identifier: BSD-3-Clause
"""What a drill does to the virtual function of NIC DIRECT (a part of Drill)."""
import time

from harness import wait_until
from schedule import DIRECT, INITIAL


class Functions:
    """self.vf: the host has one for the guest."""

    def do_vf_flip(self, event, detail):
        host = self.host
        host.set("vf_multicast", detail["vf_multicast"], DIRECT)
        host.set("vf_first", detail["vf_first"], DIRECT)
        host.set("vf_removal", detail["removal"], DIRECT)
        host.set("vf_leave_ms", 200, DIRECT)
        self.vf = not self.vf
        host.request("vf", DIRECT, present=self.vf)
        time.sleep(event.ms / 1000)
        if not self.vf and detail["removal"] == "silent":
            # Nobody has told the guest; now the host does.
            host.set("vf_removal", "path_first", DIRECT)
            host.request("vf", DIRECT, present=False)
            host.request("vf", DIRECT, path="synthetic")
        if not self.vf and detail["removal"] == "ask":
            wait_until(lambda: not host.stats(DIRECT)["path_is_vf"], 10, "the path is synthetic")
        for name in ("vf_first", "vf_multicast", "vf_removal", "vf_leave_ms"):
            host.set(name, INITIAL[name], DIRECT)

    def do_vf_path(self, _, __):
        self.host.request("vf", DIRECT, path="synthetic")

    def do_vf_stubborn(self, event, detail):
        host = self.host
        if self.vf:
            host.request("vf", DIRECT, present=False)
        if detail["switch"] == "late":
            host.set("vf_switch_ms", 600000, DIRECT)
        else:
            host.set("vf_switch", detail["switch"], DIRECT)
        host.request("vf", DIRECT, present=True)
        self.vf = True
        time.sleep(event.ms / 1000)
        host.set("vf_switch", "take", DIRECT)
        host.set("vf_switch_ms", 0, DIRECT)
        if detail["switch"] == "refuse":
            # The guest sends on the function until the host says where the path is.
            host.request("vf", DIRECT, path="synthetic")

    def on_function(self):
        """The host has a function, and the guest has moved the path to it."""
        if not self.vf:
            self.host.request("vf", DIRECT, present=True)
            self.vf = True
        self.awaits_path(True)

    def awaits_path(self, vf):
        wait_until(lambda: self.host.stats(DIRECT)["path_is_vf"] == vf, 15,
                   f"the path is {'the function' if vf else 'synthetic'}")

    def grows(self, name):
        """Wait until a counter of the host has grown: the event is what it says."""
        start = self.host.stats(DIRECT)[name]
        wait_until(lambda: self.host.stats(DIRECT)[name] > start, 10, f"{name} grows")

    def do_vf_dead(self, event, detail):
        self.on_function()
        self.host.set("vf_dead", 1, DIRECT)
        self.grows("rx_dropped_vf")
        time.sleep(event.ms / 1000)
        if detail["told"]:
            self.host.request("vf", DIRECT, path="synthetic")
        self.host.set("vf_dead", INITIAL["vf_dead"], DIRECT)

    def do_vf_any_path(self, event, detail):
        """Whether the guest is on the function and the host is not, or the other way round."""
        host = self.host
        self.on_function()
        host.set("vf_any_path", 1, DIRECT)
        if detail["how"] == "refuse":
            host.set("vf_switch", "refuse", DIRECT)
        host.request("vf", DIRECT, path="synthetic")
        if detail["how"] == "refuse":
            self.grows("vf_tx_frames")
        time.sleep(event.ms / 1000)
        if detail["how"] == "refuse":
            self.assertFalse(host.stats(DIRECT)["path_is_vf"])
            host.set("vf_switch", "take", DIRECT)
            host.request("vf", DIRECT, path="synthetic")
        self.on_function()
        host.set("vf_any_path", INITIAL["vf_any_path"], DIRECT)

    def do_vf_outlives(self, event, _):
        """What the network sends meanwhile is the function's, whose driver nobody asks."""
        self.on_function()
        self.host.set("vf_outlives", 1, DIRECT)
        self.away(DIRECT)
        self.assertTrue(self.host.stats(DIRECT)["path_is_vf"])
        time.sleep(event.ms / 1000)
        self.offered(DIRECT)
        self.flows(DIRECT)
        self.host.set("vf_outlives", INITIAL["vf_outlives"], DIRECT)

    def do_vf_late(self, event, _):
        self.on_function()
        self.away(DIRECT)
        self.host.set("vf_offer_ms", 600000, DIRECT)
        self.offered(DIRECT)
        self.assertIsNotNone(self.flows(DIRECT, since=self.calm), f"event {event}: nothing flows without the function")
        self.assertFalse(self.host.stats(DIRECT)["path_is_vf"])
        time.sleep(event.ms / 1000)
        self.host.set("vf_offer_ms", INITIAL["vf_offer_ms"], DIRECT)
        self.calm = time.monotonic()
        self.awaits_path(True)
