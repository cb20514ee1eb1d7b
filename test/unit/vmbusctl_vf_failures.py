#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind and unbind leave of the virtual function below an adapter where something fails.
Usage: vmbusctl_vf_failures.py VMBUSCTL"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_functions import PCI, VF, CONF, STATE, NM_FILE, NM_TEXT, interface, Functions
from vmbusctl_tree import FREE_NIC, main


class Failures(Functions):
    def test_a_manager_that_refuses_undoes_all(self):
        self.tree()
        self.network_manager(code=3)
        _, err = self.bind(code=1)
        self.assertEqual(err, f"vmbusctl: cannot take the interface from NetworkManager (nmcli device set {VF} "
                         "managed no): exit status 3\nvmbusctl: undone: the virtual function is as it was\n")
        self.assertEqual(self.kernel.log, [])
        self.assertEqual(self.ran(), ["nmcli general reload conf", f"nmcli device set {VF} managed no",
                                      "nmcli general reload conf"])
        self.is_as_it_was()

    def test_an_adapter_that_stays_has_its_function_back(self):
        t = self.tree()
        self.network_manager()
        t.remove("sys/bus/vmbus/drivers/hv_netvsc/unbind")
        _, err = self.bind(code=1)
        self.assertIn(f"undone: {FREE_NIC} is back as it was (driver hv_netvsc)\n", err)
        self.assertEqual(self.ran()[-2:], [f"nmcli device set {VF} managed yes", "nmcli general reload conf"])
        self.is_as_it_was()

    def test_function_of_a_bound_adapter_that_cannot_be_given_stayed_taken(self):
        t = self.tree()
        t.remove(f"sys/bus/pci/devices/{PCI}/net")
        t.remove(f"sys/class/net/{VF}")
        self.bind()
        interface(t)
        self.network_manager()
        _, err = self.bind("--user", "4321", code=1)  # whose node is a plain file here
        self.assertRegex(err, "cannot change the owner of|did not start")
        self.assertEqual(self.ran()[-2:], [f"nmcli device set {VF} managed yes", "nmcli general reload conf"])
        self.assertEqual(os.path.basename(os.readlink(t.path(t.device(FREE_NIC, "driver")))), "uio_hv_generic")
        self.is_as_it_was()

    def test_what_cannot_be_undone_is_kept_for_another_time(self):
        t = self.tree()
        self.network_manager()
        self.bind()
        self.fake("nmcli", code=9)
        self.ran()
        _, err = self.unbind(code=1)
        self.assertIn("cannot bring back what was (nmcli device set enP1s2 managed yes): exit status 9\n", err)
        self.assertIn(f"the rest is kept for another 'vmbusctl unbind {FREE_NIC}'\n", err)
        self.assertEqual(t.get(CONF[2:]), "0\n")
        self.assertFalse(os.path.exists(t.path(NM_FILE)))
        self.ran()
        self.fake("nmcli")
        self.unbind()
        self.assertEqual(self.ran(), [f"nmcli device set {VF} managed yes"])
        self.is_as_it_was()

    def test_a_function_that_the_host_took_away_is_left_out(self):
        t = self.tree()
        self.network_manager()
        self.bind()
        self.ran()
        t.remove(f"sys/bus/pci/devices/{PCI}/net")
        t.remove(f"sys/class/net/{VF}")
        _, err = self.unbind()
        self.assertEqual(err, f"vmbusctl: note: {VF} is gone: what was changed of it went with it\n")
        self.assertEqual(self.ran(), ["nmcli general reload conf"])
        self.assertFalse(os.path.exists(t.path(STATE)))

    def test_what_a_killed_bind_left_is_undone_first(self):
        t = self.tree()
        self.network_manager()
        self.bind()
        kept = t.get(STATE)
        self.unbind()
        self.ran()
        t.put(CONF[2:], "1\n")
        t.put(STATE, kept)
        out = self.run_ctl("bind", FREE_NIC, "-n")[1]
        self.assertIn("\n# what an earlier bind left changed is undone first: what is done with its virtual function then "
                      f"may differ\necho 0 > {CONF}\n", out)
        self.assertEqual((self.ran(), t.get(CONF[2:])), ([], "1\n"))
        self.bind()
        self.assertEqual(self.ran()[:3], [f"nmcli device set {VF} managed yes", "nmcli general reload conf",
                                          "nmcli general reload conf"])
        self.assertEqual((t.get(CONF[2:]), t.get(NM_FILE)), ("1\n", NM_TEXT))
        self.unbind()
        self.is_as_it_was()

    def test_a_manager_that_does_not_know_the_command(self):
        """nmcli before 1.22 and networkctl before 244 cannot be told; the interface is taken all the same."""
        t = self.tree()
        os.makedirs(t.path("run/NetworkManager"))
        self.fake("nmcli", "case $1 in -g) echo yes;; general) exit 2;; esac")
        _, err = self.bind()
        self.assertEqual(err, "vmbusctl: note: nmcli did not do as it was told (exit status 2): it may take the virtual "
                         "function until it is started again\n")
        self.assertEqual(self.ran()[-1], f"nmcli device set {VF} managed no")
        self.unbind()
        self.is_as_it_was()

    def test_a_manager_that_hangs(self):
        """Ten seconds are enough for it."""
        self.tree()
        os.makedirs(self.t.path("run/NetworkManager"))
        self.fake("nmcli", "case $1 in -g) echo yes;; device) exec sleep 100;; esac")
        _, err = self.bind(code=1)
        self.assertIn(f"cannot take the interface from NetworkManager (nmcli device set {VF} managed no): Connection timed "
                      "out\n", err)
        self.is_as_it_was()

    def test_what_others_may_write_is_not_run(self):
        t = self.tree()
        self.network_manager()
        self.bind()
        self.ran()
        os.chmod(t.path("run/vmbusctl"), 0o777)
        _, err = self.unbind(code=1)
        self.assertIn(f"what bind changed around {FREE_NIC} cannot be read: its virtual function is left as it is\n", err)
        self.assertEqual(self.ran(), [])

    def test_a_damaged_record_is_survived(self):
        t = self.tree()
        for record in ("", "{", "{}", "[1]", '[{"undo": 1}]', '[{"undo": ["fly", "away"]}]', '[{"undo": ["write"]}]',
                       '[{"undo": ["run"]}]', '[{"undo": [1, 2]}]', '[{"undo": ["run", "../../bin/sh", "-c", "x"]}]',
                       '[{"undo": []}]', '[null]', '[{"interface": 7, "undo": ["stop", "1", "1"]}]'):
            t.put(STATE, record)
            code, _, err = self.run_ctl("unbind", FREE_NIC)
            self.assertEqual(code, 1, record)
            self.assertIn(f"{FREE_NIC} is bound to hv_netvsc, but not all around it is as it was\n", err, record)


if __name__ == "__main__":
    main(__doc__)
