#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind --persist writes for root, and what it trusts.
Usage: vmbusctl_persist.py VMBUSCTL"""
import json
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, Installed, Kernel, main

RULE = f"etc/udev/rules.d/70-hyperpoll-{FREE_NIC}.rules"
UNIT = f"etc/systemd/system/hyperpoll-bind-{FREE_NIC}.service"
FIRST_LINE = "# Written by vmbusctl bind --persist; vmbusctl unbind --persist removes it.\n"
CHOWN = ": only root may be able to change what root reads at boot (chown root, chmod go-w)"


def is_roots(path):
    if not os.path.isdir(path) or os.path.realpath(path) != path:
        return False
    st = os.stat(path)
    return st.st_uid == 0 and not st.st_mode & 0o022 and (path == "/" or is_roots(os.path.dirname(path)))


class Persist(Installed):
    def refused(self, reason, program=None):
        """Refused before anything was changed."""
        self.program = self.program if program is None else program
        for more in ([], ["--dry-run"], ["--force"]):
            code, out, err = self.run_ctl("bind", "eth1", "--persist", *more)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(reason, err)
            self.assertEqual(len(err.splitlines()), 1, err)
        self.assertEqual(self.t.get(self.t.device(FREE_NIC, "net/eth1/flags")), "0x1003\n")
        self.assertEqual(self.t.get(self.t.device(FREE_NIC, "driver_override")), "(null)\n")

    def wrote_nothing(self):
        for name in (RULE, UNIT):
            self.assertFalse(os.path.lexists(self.t.path(name)), name)

    def test_bind_and_unbind(self):
        t = self.tree()
        with Kernel(t):
            self.check(["bind", "eth1", "--persist"], 0,
                       f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                       f"undo: vmbusctl unbind {FREE_NIC} --persist\n")
            self.assertEqual(t.get(RULE), FIRST_LINE + (
                f'ACTION=="add", SUBSYSTEM=="vmbus", KERNEL=="{FREE_NIC}", TAG+="systemd", '
                f'ENV{{SYSTEMD_WANTS}}+="hyperpoll-bind-{FREE_NIC}.service"\n'))
            text = t.get(UNIT)
            self.assertTrue(text.startswith(FIRST_LINE + "[Unit]\n"))
            self.assertTrue(text.endswith("[Service]\nType=oneshot\n"
                                          f"ExecStart={self.installed} bind --force {FREE_NIC}\n"), text)
            self.assertIn("Before=network-pre.target\n", text)
            for name in (RULE, UNIT):
                self.assertEqual(os.stat(t.path(name)).st_mode & 0o7777, 0o644)
            self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is bound to hv_netvsc as eth9\n"
                       f"undo: vmbusctl bind {FREE_NIC}\n"
                       f"note: a rule binds it again at the next boot; vmbusctl unbind {FREE_NIC} "
                       "--persist removes it\n")
            self.check(["unbind", FREE_NIC, "--persist"], 0,
                       f"{FREE_NIC} is already bound to hv_netvsc as eth9\n")
        self.wrote_nothing()

    def test_json_and_a_second_time(self):
        t = self.tree()
        with Kernel(t):
            for changed in (True, False):
                code, out, err = self.run_ctl("bind", FREE_NIC, "--json", "--persist")
                self.assertEqual((code, err), (0, ""))
                self.assertEqual(json.loads(out), {
                    "device": FREE_NIC, "driver": "uio_hv_generic", "node": "/dev/uio5",
                    "changed": changed, "persistent": True})

    def test_unit_ran_the_program_of_the_build_folder(self):
        self.tree()
        self.refused("--persist would have root run vmbusctl at every boot, but ", program=self.built)
        self.assertIn(f": install it (meson install) and use {self.installed}\n",
                      self.run_ctl("bind", "eth1", "--persist")[2])
        self.wrote_nothing()

    def test_build_folder_and_checkout_of_root(self):
        for mark in ("meson-private", "meson-info", ".git"):
            t = self.tree()
            os.makedirs(t.path(f"usr/{mark}"))
            self.refused("but @/usr is a folder to build in: install it")

    def test_program_that_others_may_change(self):
        for what, mode in ((lambda t: self.program, 0o775), (lambda t: os.path.dirname(self.program), 0o757),
                           (lambda t: t.path("usr"), 0o1777), (lambda t: t.root, 0o770)):
            t = self.tree()
            os.chmod(what(t), mode)
            self.refused(f"(mode {mode:o}): install it")
            self.wrote_nothing()

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_program_of_another_user(self):
        for what in (lambda: self.program, lambda: os.path.dirname(self.program)):
            self.tree()
            os.chown(what(), 65534, -1)
            self.refused(" belongs to user 65534 and not to root: install it")

    @unittest.skipUnless(os.geteuid() == 0, "only root can install")
    def test_really_installed(self):
        t = self.tree()
        places = [p for p in ("/usr/local/lib", "/usr/lib", "/opt") if is_roots(p)]
        if not places:
            self.skipTest("no folder of which only root may change the content")
        folder = tempfile.mkdtemp(prefix="hyperpoll-ctl.", dir=places[0])
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        self.program = os.path.join(folder, "vmbusctl")
        shutil.copy(self.built, self.program)
        os.chmod(self.program, 0o755)
        with Kernel(t):
            code, _, err = self.run_ctl("bind", "eth1", "--persist")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"ExecStart={self.program} bind", t.get(UNIT))
        os.chmod(folder, 0o777)
        code, _, err = self.run_ctl("bind", FREE_NIC, "--persist")
        self.assertEqual(code, 1)
        self.assertIn(f"others than root may write to {folder} (mode 777): install it", err)

    def test_folder_in_the_way_is_a_link(self):
        for name in (UNIT, RULE):
            t = self.tree()
            folder = os.path.dirname(name)
            os.makedirs(t.path("elsewhere"))
            t.link(folder, "/".join([".."] * folder.count("/") + ["elsewhere"]))
            self.refused(f"cannot write @/{name}: @/{folder} is a symbolic link")
            self.assertEqual(os.listdir(t.path("elsewhere")), [])

    def test_folder_in_the_way_is_a_file(self):
        t = self.tree()
        t.put("etc/systemd", "a file")
        self.refused(f"cannot write @/{UNIT}: @/etc/systemd: Not a directory")

    def test_folder_that_others_may_write_to(self):
        for name in (UNIT, RULE):
            t = self.tree()
            os.makedirs(t.path(os.path.dirname(name)))
            os.chmod(t.path(os.path.dirname(name)), 0o777)
            self.refused(f"cannot write @/{name}: others than root may write to @/{os.path.dirname(name)} "
                         f"(mode 777){CHOWN}")

    def test_links_were_followed(self):
        for name in (UNIT, RULE):
            t = self.tree()
            t.put("victim", "precious")
            t.link(name, t.path("victim"))
            self.refused(f"cannot write @/{name}: it is a symbolic link: remove it first")
            t.remove(name)
            t.link(name + ".new", t.path("victim"))
            with Kernel(t):
                code, _, err = self.run_ctl("bind", "eth1", "--persist")
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(t.get("victim"), "precious")
            self.assertFalse(os.path.islink(t.path(name)))
            self.assertFalse(os.path.lexists(t.path(name + ".new")))

    def test_files_of_others_were_overwritten(self):
        for name in (UNIT, RULE):
            t = self.tree()
            t.put(name, "# mine\n")
            self.refused(f"cannot write @/{name}: it was not written by vmbusctl: move it away first")
            t.put(t.device(FREE_NIC, "net/eth1/flags"), "0x1003\n")
            with Kernel(t):
                code, _, err = self.run_ctl("unbind", "eth1", "--persist")
            self.assertEqual((code, err), (1, f"vmbusctl: cannot remove @/{name}: it was not written by "
                                           f"vmbusctl: move it away first\nvmbusctl: {FREE_NIC} is bound to "
                                           "hv_netvsc, but only until the next boot\n"))
            self.assertEqual(t.get(name), "# mine\n")


if __name__ == "__main__":
    main(__doc__)
