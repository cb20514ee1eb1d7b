#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vmbusctl on what newer kernels show: driver_override of the driver core (7.2), a file copy device that
uio_hv_generic takes by itself (Debian's 7.2), and overrides that cannot be read.
Usage: vmbusctl_kernels.py VMBUSCTL"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, NIC_CLASS, REOFFER_NOTE, UIO_NIC, Case, Kernel, Tree, main

FCOPY_CLASS = "34d14be3-dee4-41c8-9ae7-6b174977c192"
FCOPY = "eb765408-105f-49b6-b4aa-c123b64d17d4"
DEVICES = "@/sys/bus/vmbus/devices"
DRIVERS = "@/sys/bus/vmbus/drivers"
# What an unset override reads as: VMBus's own and the driver core's for it, and other buses'.
UNSET = ("(null)\n", "\n")


def newest(**kwargs):
    """As 7.2 shows a guest: the file copy device has uio0, our adapter uio1, another is hv_netvsc's."""
    tree = Tree(kernel="7.2.12", **kwargs)
    tree.kernel("7.2.12+deb14-amd64", "Linux version 7.2.12+deb14-amd64 (debian-kernel@lists.debian.org) "
                "#1 SMP PREEMPT_DYNAMIC Debian 7.2.12-1 (2026-11-01)")
    tree.add(FCOPY, 9, class_guid=FCOPY_CLASS, monitor=None, state=2)
    tree.make_uio(FCOPY, 0)
    for i in (3, 4):
        tree.remove(tree.device(FCOPY, f"uio/uio0/maps/map{i}"))
    tree.put(tree.device(FCOPY, "channels/9/ring"), "")
    os.truncate(tree.path(tree.device(FCOPY, "channels/9/ring")), 32768)
    tree.add(UIO_NIC, 14, state=2)
    tree.put(tree.device(UIO_NIC, "channels/14/ring"), "")
    os.truncate(tree.path(tree.device(UIO_NIC, "channels/14/ring")), 4194304)
    tree.make_uio(UIO_NIC, 1)
    if tree.override:
        tree.put(tree.device(UIO_NIC, "driver_override"), "uio_hv_generic\n")
    tree.add(FREE_NIC, 41, monitor=8)
    tree.make_netdev(FREE_NIC, "eth1")
    return tree


class Newest(Case):
    def test_status(self):
        self.tree(newest())
        self.check(["status", "uio1"], 0, f"""\
{UIO_NIC}  Synthetic NIC
    driver       uio_hv_generic (override uio_hv_generic)
    uio          /dev/uio1
    state        ready, relid 14, monitor 3
    NUMA node    0 (CPUs 0-3)
    channels     relid 14, primary, cpu 0, monitor 3, rings 2 x 2048 KiB
    buffers      receive 31744 KiB, send 16384 KiB
""")
        self.check(["status", "uio0"], 0, f"""\
{FCOPY}  File copy
    driver       uio_hv_generic
    uio          /dev/uio0
    state        ready, relid 9, no monitor
    NUMA node    0 (CPUs 0-3)
    channels     relid 9, primary, cpu 0, no monitor, rings 2 x 16 KiB
""")

    def test_doctor(self):
        self.tree(newest())
        code, out, err = self.run_ctl("doctor")
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("ok    vmbus       3 devices, 2 of them network adapters\n", out)
        self.assertIn("ok    kernel      Linux 7.2.12 (7.2.12+deb14-amd64), no known bugs in uio_hv_generic\n", out)
        self.assertIn(f"ok    nic {UIO_NIC}  bound to uio_hv_generic as /dev/uio1, free\n", out)
        self.assertNotIn(FCOPY, out)

    def test_the_file_copy_device_stays(self):
        self.tree(newest())
        for verb in ("bind", "unbind"):
            self.check([verb, "uio0", "--force"], 1, "",
                       f"{FCOPY} is no network adapter but 'File copy': only network adapters are bound")

    def test_the_file_copy_device_keeps_no_class(self):
        self.tree(newest(override=False))
        self.check(["unbind", "uio1", "-n"], 0,
                   f"echo {NIC_CLASS} > {DRIVERS}/uio_hv_generic/remove_id\n"
                   f"echo {UIO_NIC} > {DRIVERS}/uio_hv_generic/unbind\n"
                   f"echo {UIO_NIC} > {DRIVERS}/hv_netvsc/bind\n")

    def test_bind_and_back(self):
        for unset in UNSET:
            t = self.tree(newest())
            t.put(t.device(FREE_NIC, "driver_override"), unset)
            with Kernel(t) as kernel:
                self.check(["bind", "eth1"], 0, f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                           f"undo: vmbusctl unbind {FREE_NIC}\n" + REOFFER_NOTE)
                self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "uio_hv_generic\n")
                self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is bound to hv_netvsc as eth9\n"
                           f"undo: vmbusctl bind {FREE_NIC}\n")
                # The kernel clears it at that; it says so from then on.
                t.put(t.device(FREE_NIC, "driver_override"), unset)
                self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is already bound to hv_netvsc as eth9\n")
            self.assertEqual(kernel.log, [("unbind", FREE_NIC), ("drivers_probe", FREE_NIC),
                                          ("unbind", FREE_NIC), ("bind", FREE_NIC)])

    def test_an_override_for_another_driver_comes_back_when_bind_fails(self):
        t = self.tree(newest())
        t.put(t.device(FREE_NIC, "driver_override"), "hv_netvsc\n")
        with Kernel(t, refuse=("uio_hv_generic",)):
            code, out, err = self.run_ctl("bind", "eth1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"undone: {FREE_NIC} is back as it was (driver hv_netvsc)\n", err)
        self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "hv_netvsc\n")


class UnreadableOverride(Case):
    """A device was left out of everything because nobody could say what its override was."""
    NOTE = (f"note: the driver_override of {FREE_NIC} cannot be read, so nothing will bring it back; "
            "unbind clears it")

    def said(self, err):
        """Without the reader's own warning."""
        return [line for line in err.splitlines() if "what it says is not known" not in line]

    def test_status(self):
        for text in ("x" * 300 + "\n", ""):
            t = self.tree(newest())
            t.put(t.device(FREE_NIC, "driver_override"), text)
            code, out, err = self.run_ctl("status", "eth1")
            self.assertEqual((code, self.said(err)), (0, []))
            self.assertIn("    driver       hv_netvsc (override unknown)\n", out)
            device = json.loads(self.run_ctl("status", "eth1", "--json")[1])["devices"][0]
            self.assertEqual((device["driver_override"], device["driver_override_unknown"]), (None, True))

    def test_bind_says_that_it_is_lost(self):
        t = self.tree(newest())
        t.put(t.device(FREE_NIC, "driver_override"), "x" * 300 + "\n")
        with Kernel(t):
            code, out, err = self.run_ctl("bind", "eth1")
        self.assertEqual((code, self.said(err)), (0, ["vmbusctl: " + self.NOTE]))
        self.assertIn(f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n", out)
        self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "uio_hv_generic\n")

    def test_unbind_clears_it(self):
        t = self.tree(newest())
        t.put(t.device(UIO_NIC, "driver_override"), "x" * 300 + "\n")
        with Kernel(t):
            code, out, err = self.run_ctl("unbind", "uio1")
        self.assertEqual((code, self.said(err)), (0, []))
        self.assertIn(f"{UIO_NIC} is bound to hv_netvsc as eth9\n", out)
        self.assertEqual(t.get(t.device(UIO_NIC, "driver_override")), "\n")


if __name__ == "__main__":
    main(__doc__)
