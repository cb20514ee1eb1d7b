#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind --persist writes for root, and what it trusts.
Usage: vmbusctl_persist.py VMBUSCTL"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, Case, Kernel, main


class Persist(Case):
    def test_persist(self):
        t = self.tree()
        rule = f"etc/udev/rules.d/70-hyperpoll-{FREE_NIC}.rules"
        unit = f"etc/systemd/system/hyperpoll-bind-{FREE_NIC}.service"
        with Kernel(t):
            self.check(["bind", "eth1", "--persist"], 0,
                       f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                       f"undo: vmbusctl unbind {FREE_NIC} --persist\n")
            self.assertEqual(t.get(rule), (
                "# Written by vmbusctl bind --persist; vmbusctl unbind --persist removes it.\n"
                f'ACTION=="add", SUBSYSTEM=="vmbus", KERNEL=="{FREE_NIC}", TAG+="systemd", '
                f'ENV{{SYSTEMD_WANTS}}+="hyperpoll-bind-{FREE_NIC}.service"\n'))
            text = t.get(unit)
            self.assertTrue(text.endswith(f"[Service]\nType=oneshot\nExecStart={self.program} bind --force {FREE_NIC}\n"))
            self.assertIn("Before=network-pre.target\n", text)
            self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is bound to hv_netvsc as eth9\n"
                       f"undo: vmbusctl bind {FREE_NIC}\n"
                       f"note: a rule binds it again at the next boot; vmbusctl unbind {FREE_NIC} "
                       "--persist removes it\n")
            self.check(["unbind", FREE_NIC, "--persist"], 0,
                       f"{FREE_NIC} is already bound to hv_netvsc as eth9\n")
        self.assertFalse(os.path.exists(t.path(rule)) or os.path.exists(t.path(unit)))

    def test_persist_that_cannot_be_written(self):
        t = self.tree()
        t.put("etc/systemd", "a file")
        with Kernel(t):
            code, out, err = self.run_ctl("bind", "eth1", "--persist")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, "vmbusctl: cannot write @/etc/systemd/system/hyperpoll-bind-"
                         f"{FREE_NIC}.service: Not a directory\nvmbusctl: {FREE_NIC} is bound to "
                         "uio_hv_generic, but only until the next boot\n")


if __name__ == "__main__":
    main(__doc__)
