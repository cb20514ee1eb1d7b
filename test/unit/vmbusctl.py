#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vmbusctl against fixture trees: exact output, exact writes, and what it refuses.
Usage: vmbusctl.py VMBUSCTL"""
import json
import os
import stat
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import (FREE_NIC, NIC_CLASS, ROUTE_HEADER, ROUTE_NIC, SCSI, UIO_NIC, Case, Kernel, Tree,
                           example)

DEVICES = "@/sys/bus/vmbus/devices"
DRIVERS = "@/sys/bus/vmbus/drivers"

UIO_STATUS = f"""\
{UIO_NIC}  Synthetic NIC
    driver       uio_hv_generic (override uio_hv_generic)
    uio          /dev/uio0
    in use by    dpdk-testpmd (pid 4242)
    state        open, relid 14, monitor 3
    NUMA node    0 (CPUs 0-3)
    channels     relid 14, primary, cpu 0, monitor 3, rings 2 x 2048 KiB
                 relid 21, subchannel 1, cpu 1, monitor 12, rings 2 x 2048 KiB
                 relid 22, subchannel 2, cpu 2, monitor 13, rings 2 x 2048 KiB
                 relid 23, subchannel 3, cpu 3, monitor 14, rings 2 x 2048 KiB
    buffers      receive 31744 KiB, send 16384 KiB
"""
STATUS = UIO_STATUS + f"""\
{ROUTE_NIC}  Synthetic NIC
    driver       hv_netvsc
    interface    eth0
    carries      default route (eth0)
    state        open, relid 40, monitor 7
    NUMA node    0 (CPUs 0-3)
    channels     relid 40, primary, cpu 0, monitor 7
{FREE_NIC}  Synthetic NIC
    driver       hv_netvsc
    interface    eth1
    state        open, relid 41, monitor 8
    NUMA node    0 (CPUs 0-3)
    channels     relid 41, primary, cpu 0, monitor 8
{SCSI}  SCSI
    driver       hv_storvsc
    state        open, relid 9, monitor 1
    channels     relid 9, primary, cpu 0, monitor 1
"""
DOCTOR_HEAD = """\
ok    vmbus       4 devices, 3 of them network adapters
ok    kernel      Linux 6.1.192 (6.1.192), no known bugs in uio_hv_generic
ok    module      uio_hv_generic is loaded
ok    hugepages   1024 MiB free
ok    privileges  CAP_SYS_ADMIN: physical addresses can be read from pagemap
note  plugin      librte_hyperpoll.so is not installed in the usual places
                  fix: meson install, or give the application -d PATH/librte_hyperpoll.so
"""
DOCTOR_TAIL = f"""\
ok    nic {UIO_NIC}  bound to uio_hv_generic as /dev/uio0, in use by dpdk-testpmd
note  nic {ROUTE_NIC}  bound to hv_netvsc, carries the default route (eth0): keep it
note  nic {FREE_NIC}  bound to hv_netvsc as eth1, free for hyperpoll
                  fix: vmbusctl bind {FREE_NIC}
ok    vf          virtual function 0001:00:02.0 (serial 2) with driver mlx5_core
7 ok, 3 notes, 0 warnings, 0 failures
"""


class Status(Case):
    def test_all(self):
        self.tree()
        self.check(["status"], 0, STATUS)

    def test_one_by_each_of_its_names(self):
        self.tree()
        for name in (UIO_NIC, "{" + UIO_NIC.upper() + "}", "uio0"):
            self.check(["status", name], 0, UIO_STATUS)

    def test_json(self):
        self.tree()
        code, out, err = self.run_ctl("status", "--json")
        self.assertEqual((code, err), (0, ""))
        devices = json.loads(out)["devices"]
        self.assertEqual([d["name"] for d in devices], [UIO_NIC, ROUTE_NIC, FREE_NIC, SCSI])
        channel = lambda relid, i, monitor: {"relid": relid, "subchannel": i, "cpu": i,
                                             "monitor_id": monitor, "ring_bytes": 2097152}
        self.assertEqual(devices[0], {
            "name": UIO_NIC, "instance": UIO_NIC, "class": NIC_CLASS, "class_name": "Synthetic NIC",
            "driver": "uio_hv_generic", "driver_override": "uio_hv_generic", "interfaces": [],
            "default_route": None, "ssh": None, "uio": "/dev/uio0",
            "users": [{"pid": 4242, "command": "dpdk-testpmd"}], "state": "open", "relid": 14,
            "monitor_id": 3, "numa_node": 0, "cpus": "0-3",
            "channels": [channel(14, 0, 3), channel(21, 1, 12), channel(22, 2, 13),
                         channel(23, 3, 14)],
            "receive_buffer": 0x1f00000, "send_buffer": 0x1000000})
        self.assertEqual(devices[1]["default_route"], "eth0")
        self.assertEqual(devices[2]["default_route"], None)
        self.assertEqual((devices[3]["numa_node"], devices[3]["class_name"]), (None, "SCSI"))

    def test_a_mapping_counts_as_use(self):
        t = self.tree()
        t.remove("proc/4242")
        t.make_user(77, "l2fwd", 0, how="maps")
        self.check(["status", "uio0"], 0, UIO_STATUS.replace("dpdk-testpmd (pid 4242)", "l2fwd (pid 77)"))

    def test_a_bad_device_is_reported_and_the_rest_shown(self):
        t = self.tree()
        t.put(t.device(SCSI, "id"), "2048\n")
        out = STATUS[:STATUS.index(SCSI)]
        self.check(["status"], 0, out, f"{SCSI}: id '2048' is not valid: device skipped")

    def test_no_vmbus(self):
        t = self.tree()
        t.remove("sys/bus/vmbus")
        self.check(["status"], 1, "", "no @/sys/bus/vmbus/devices: this is no Hyper-V guest, or "
                   "hv_vmbus is not loaded (modprobe hv_vmbus)")

    def test_no_devices(self):
        self.tree(Tree())
        os.makedirs(self.t.path("sys/bus/vmbus/devices"))
        self.check(["status"], 0, "no VMBus devices\n")


class Usage(Case):
    def test_bad_input(self):
        self.tree()
        see = "; see vmbusctl --help"
        for arguments, message in (
                ([], "no command: status, bind, unbind or doctor"),
                (["list"], "no command 'list': status, bind, unbind or doctor"),
                (["bind"], "bind needs a device"),
                (["unbind"], "unbind needs a device"),
                (["bind", "eth1", "eth2"], "'eth2' is one argument too many"),
                (["doctor", "eth1"], "'eth1' is one argument too many"),
                (["status", "--force"],
                 "status changes nothing: it takes no --dry-run, --force or --persist")):
            self.check(arguments, 2, "", message + see)
        self.check(["status", "--fast"], 2, "", "unrecognized option '--fast'\nsee vmbusctl --help")

    def test_no_such_device(self):
        self.tree()
        for name in ("eth7", "uio9", "00000000-0000-0000-0000-000000000001", ""):
            self.check(["bind", name], 1, "", f"no VMBus device '{name}': give a GUID, network "
                       "interface or uio device of 'vmbusctl status'")

    def test_help_and_version(self):
        self.tree()
        code, out, err = self.run_ctl("--help")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("vmbusctl bind DEVICE [--dry-run] [--force] [--persist] [--json]\n", out)
        code, out, _ = self.run_ctl("--version")
        self.assertRegex(out, r"^vmbusctl \d+\.\d+\.\d+\n$")


class DryRun(Case):
    def test_with_override(self):
        t = self.tree()
        before = t.get(t.device(FREE_NIC, "driver_override"))
        self.check(["bind", "eth1", "--dry-run"], 0,
                   f"echo 0x1002 > {DEVICES}/{FREE_NIC}/net/eth1/flags\n"
                   f"echo uio_hv_generic > {DEVICES}/{FREE_NIC}/driver_override\n"
                   f"echo {FREE_NIC} > {DRIVERS}/hv_netvsc/unbind\n"
                   f"echo {FREE_NIC} > @/sys/bus/vmbus/drivers_probe\n")
        self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), before)
        self.assertEqual(t.get("sys/bus/vmbus/drivers_probe"), "")

    def test_without_override(self):
        self.tree(override=False)
        self.check(["bind", "eth1", "-n"], 0,
                   f"echo 0x1002 > {DEVICES}/{FREE_NIC}/net/eth1/flags\n"
                   f"echo {NIC_CLASS} > {DRIVERS}/uio_hv_generic/new_id\n"
                   f"echo {FREE_NIC} > {DRIVERS}/hv_netvsc/unbind\n"
                   f"echo {FREE_NIC} > {DRIVERS}/uio_hv_generic/bind\n")

    def test_module_missing(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        t.put(t.device(FREE_NIC, "net/eth1/flags"), "0x1002\n")
        self.check(["bind", "eth1", "-n"], 0,
                   "modprobe uio_hv_generic\n"
                   f"echo uio_hv_generic > {DEVICES}/{FREE_NIC}/driver_override\n"
                   f"echo {FREE_NIC} > {DRIVERS}/hv_netvsc/unbind\n"
                   f"echo {FREE_NIC} > @/sys/bus/vmbus/drivers_probe\n")

    def test_json(self):
        self.tree(override=False)
        code, out, err = self.run_ctl("bind", "eth1", "-n", "-j")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out), {"device": FREE_NIC, "dry_run": True, "commands": [
            f"echo 0x1002 > {DEVICES}/{FREE_NIC}/net/eth1/flags",
            f"echo {NIC_CLASS} > {DRIVERS}/uio_hv_generic/new_id",
            f"echo {FREE_NIC} > {DRIVERS}/hv_netvsc/unbind",
            f"echo {FREE_NIC} > {DRIVERS}/uio_hv_generic/bind"]})

    def test_unbind(self):
        t = self.tree()
        t.remove("proc/4242")
        t.put(t.device(UIO_NIC, "state"), "2\n")
        self.check(["unbind", "uio0", "-n", "-p"], 0,
                   f"echo > {DEVICES}/{UIO_NIC}/driver_override\n"
                   f"echo {UIO_NIC} > {DRIVERS}/uio_hv_generic/unbind\n"
                   f"echo {UIO_NIC} > {DRIVERS}/hv_netvsc/bind\n"
                   f"rm -f @/etc/udev/rules.d/70-hyperpoll-{UIO_NIC}.rules\n"
                   f"rm -f @/etc/systemd/system/hyperpoll-bind-{UIO_NIC}.service\n")

    def test_nothing_to_do(self):
        self.tree()
        self.check(["bind", "uio0", "-n"], 0,
                   f"# nothing to do: {UIO_NIC} is already bound to uio_hv_generic\n")


class Lifeline(Case):
    ROUTE = (f"{ROUTE_NIC} (eth0) carries the default route: the machine would lose its network; "
             "--force does it all the same")

    def ssh(self, nic, interface):
        return (f"{nic} ({interface}) carries this SSH connection: it would be cut; --force does it "
                "all the same")

    def test_default_route(self):
        t = self.tree()
        self.check(["bind", "eth0"], 1, "", self.ROUTE)
        self.check(["bind", "eth0", "--dry-run"], 1, "", self.ROUTE)
        self.assertEqual(t.get(t.device(ROUTE_NIC, "driver_override")), "(null)\n")
        code, out, _ = self.run_ctl("bind", "eth0", "--dry-run", "--force")
        self.assertEqual((code, len(out.splitlines())), (0, 4))

    def test_default_route_of_ipv6(self):
        t = self.tree()
        zero, gateway = "0" * 32, "fe80" + "0" * 27 + "1"
        t.put("proc/net/route", ROUTE_HEADER)
        t.put("proc/net/ipv6_route",
              f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
              f"{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003     eth1\n")
        self.check(["bind", "eth1"], 1, "", self.ROUTE.replace("eth0", "eth1").replace(ROUTE_NIC, FREE_NIC))
        code, _, err = self.run_ctl("bind", "eth0", "-n")
        self.assertEqual((code, err), (0, ""))

    def test_default_route_of_a_bridge_on_a_vlan(self):
        t = self.tree()
        t.link(t.device(FREE_NIC, "net/eth1/upper_eth1.7"), "../eth1.7")
        t.link("sys/class/net/eth1.7/upper_br0", "../br0")
        t.put("proc/net/route", ROUTE_HEADER + "br0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
        self.check(["bind", "eth1"], 1, "", f"{FREE_NIC} (br0) carries the default route: the machine "
                   "would lose its network; --force does it all the same")

    def test_ssh_by_local_address(self):
        self.tree()
        self.check(["bind", "eth1"], 1, "", self.ssh(FREE_NIC, "eth1"),
                   SSH_CONNECTION="10.0.0.9 50000 10.0.1.4 22")

    def test_ssh_by_the_way_back(self):
        self.tree()
        self.check(["bind", "eth1"], 1, "", self.ssh(FREE_NIC, "eth1"),
                   SSH_CONNECTION="::ffff:10.0.1.9 50000 192.0.2.1 22")
        code, _, err = self.run_ctl("bind", "eth1", "-n", SSH_CONNECTION="10.0.0.9 5 10.0.0.4 22")
        self.assertEqual((code, err), (0, ""))

    def test_ssh_over_ipv6(self):
        t = self.tree()
        t.put("proc/net/if_inet6", "fd000000000000000000000000000002 03 40 00 80     eth1\n")
        for client, server in (("2001:db8::9", "fd00::2"), ("fe80::1%eth1", "fe80::2%eth1")):
            self.check(["bind", "eth1"], 1, "", self.ssh(FREE_NIC, "eth1"),
                       SSH_CONNECTION=f"{client} 50000 {server} 22")

    def test_sudo_hides_ssh_connection(self):
        t = self.tree()
        parent = os.getpid()
        t.put(f"proc/{parent}/environ", "HOME=/root\0TERM=x\0")
        t.put(f"proc/{parent}/stat", f"{parent} (su) do) S 900 1 1 0\n")
        t.put("proc/900/environ", "A=b\0SSH_CONNECTION=10.0.1.9 50000 10.0.1.4 22\0Z=\0")
        self.check(["bind", "eth1"], 1, "", self.ssh(FREE_NIC, "eth1"))

    def test_isolated_vm(self):
        self.tree()
        self.check(["bind", "eth1"], 1, "", "this is an isolated VM: user space cannot share memory "
                   "with the host here, the adapter would not work; --force does it all the same",
                   HYPERPOLL_ISOLATION="2")

    def test_only_network_adapters(self):
        self.tree()
        self.check(["bind", SCSI, "--force"], 1, "",
                   f"{SCSI} is no network adapter but 'SCSI': only network adapters are bound")


class Bind(Case):
    def test_with_override_and_back(self):
        t = self.tree()
        with Kernel(t) as kernel:
            self.check(["bind", "eth1"], 0, f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                       f"undo: vmbusctl unbind {FREE_NIC}\n")
            self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "uio_hv_generic\n")
            self.check(["bind", FREE_NIC], 0,
                       f"{FREE_NIC} is already bound to uio_hv_generic as /dev/uio5\n")
            self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is bound to hv_netvsc as eth9\n"
                       f"undo: vmbusctl bind {FREE_NIC}\n")
            self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "\n")
            self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is already bound to hv_netvsc as eth9\n")
        self.assertEqual(kernel.log, [("unbind", FREE_NIC), ("drivers_probe", FREE_NIC),
                                      ("unbind", FREE_NIC), ("bind", FREE_NIC)])

    def test_without_override_and_back(self):
        t = self.tree(override=False)
        t.set_driver(UIO_NIC, None)
        t.remove(t.device(UIO_NIC, "uio"))
        with Kernel(t) as kernel:
            self.check(["bind", "eth1"], 0, f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                       f"undo: vmbusctl unbind {FREE_NIC}\n",
                       f"note: this kernel has no driver_override, so {UIO_NIC}, which has no driver, "
                       "is bound too")
            self.check(["unbind", FREE_NIC], 0, f"{FREE_NIC} is bound to hv_netvsc as eth9\n"
                       f"undo: vmbusctl bind {FREE_NIC}\n")
        self.assertEqual(sorted(kernel.log), sorted([
            ("new_id", NIC_CLASS), ("unbind", FREE_NIC), ("bind", FREE_NIC),
            ("remove_id", NIC_CLASS), ("unbind", FREE_NIC), ("bind", FREE_NIC)]))
        self.assertFalse(os.path.exists(t.path(t.device(FREE_NIC, "driver_override"))))

    def test_json(self):
        t = self.tree()
        with Kernel(t):
            code, out, err = self.run_ctl("bind", "eth1", "--json", "--persist")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out), {"device": FREE_NIC, "driver": "uio_hv_generic",
                                           "node": "/dev/uio5", "changed": True, "persistent": True})

    def test_loads_the_module(self):
        t = self.tree()
        script = t.path("modprobe")
        driver = t.path("sys/bus/vmbus/drivers/uio_hv_generic")
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        t.put("modprobe", f"#!/bin/sh\n[ \"$1\" = uio_hv_generic ] && mkdir {driver}\n")
        os.chmod(script, stat.S_IRWXU)
        with Kernel(t):
            code, _, err = self.run_ctl("bind", "eth1", HYPERPOLL_MODPROBE=script)
        self.assertEqual((code, err), (0, ""))

    def test_module_that_cannot_be_loaded_changes_nothing(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        self.check(["bind", "eth1"], 1, "",
                   "cannot load uio_hv_generic (modprobe uio_hv_generic failed): install a kernel with "
                   "this module, see vmbusctl doctor\nnothing was changed")
        self.assertEqual(t.get(t.device(FREE_NIC, "net/eth1/flags")), "0x1003\n")

    def test_a_failed_write_is_undone(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers_probe")
        t.link("sys/bus/vmbus/drivers_probe", "/dev/full")
        with Kernel(t) as kernel:
            code, out, err = self.run_ctl("bind", "eth1")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(kernel.log, [("unbind", FREE_NIC), ("bind", FREE_NIC)])
        self.assertTrue(err.endswith(f"undone: {FREE_NIC} is back as it was (driver hv_netvsc)\n"), err)
        self.assertIn(f"cannot give the device to uio_hv_generic (echo {FREE_NIC} > "
                      "@/sys/bus/vmbus/drivers_probe): No space left on device\n", err)
        self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "\n")
        self.assertEqual(os.path.basename(os.readlink(t.path(t.device(FREE_NIC, "driver")))), "hv_netvsc")

    def test_an_interface_that_stays_is_brought_up_again(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/hv_netvsc/unbind")
        self.check(["bind", "eth1"], 1, "",
                   f"cannot release the device from hv_netvsc (echo {FREE_NIC} > "
                   f"{DRIVERS}/hv_netvsc/unbind): No such file or directory\n"
                   f"undone: {FREE_NIC} is back as it was (driver hv_netvsc)")
        self.assertEqual(t.get(t.device(FREE_NIC, "net/eth1/flags")), "0x1003\n")
        self.assertEqual(t.get(t.device(FREE_NIC, "driver_override")), "\n")

    def test_a_probe_that_fails_is_undone(self):
        t = self.tree()
        with Kernel(t, refuse=("uio_hv_generic",)) as kernel:
            code, out, err = self.run_ctl("bind", "eth1")
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith(f"vmbusctl: {FREE_NIC} did not come to uio_hv_generic: see dmesg\n"))
        self.assertIn(("bind", FREE_NIC), kernel.log)
        self.assertEqual(os.path.basename(os.readlink(t.path(t.device(FREE_NIC, "driver")))), "hv_netvsc")

    def test_an_undo_that_fails_says_how(self):
        t = self.tree()
        for name in ("drivers_probe", "drivers/hv_netvsc/bind"):
            t.remove(f"sys/bus/vmbus/{name}")
            t.link(f"sys/bus/vmbus/{name}", "/dev/full")
        t.put(t.device(FREE_NIC, "net/eth1/flags"), "0x1002\n")
        with Kernel(t):
            self.check(["bind", "eth1"], 1, "",
                       f"cannot give the device to uio_hv_generic (echo {FREE_NIC} > "
                       "@/sys/bus/vmbus/drivers_probe): No space left on device\n"
                       f"cannot give the device to hv_netvsc (echo {FREE_NIC} > "
                       f"{DRIVERS}/hv_netvsc/bind): No space left on device\n"
                       "not all could be undone; the whole undo is:\n"
                       f"  echo > {DEVICES}/{FREE_NIC}/driver_override\n"
                       f"  echo {FREE_NIC} > {DRIVERS}/hv_netvsc/bind")

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


class Unbind(Case):
    def test_refuses_while_in_use(self):
        t = self.tree()
        message = ("/dev/uio0 is in use by dpdk-testpmd (pid 4242)%s: end it first, unbinding an open "
                   "device corrupts memory")
        for more in ([], ["--force"], ["--dry-run"]):
            self.check(["unbind", "uio0", *more], 1, "", message % "")
        t.make_user(5000, "l2fwd", 0, how="maps")
        self.check(["unbind", UIO_NIC], 1, "", message % " and others")
        self.assertEqual(t.get("sys/bus/vmbus/drivers/uio_hv_generic/unbind"), "")

    def test_refuses_an_open_channel_without_a_process(self):
        t = self.tree()
        t.remove("proc/4242")
        self.check(["unbind", "uio0"], 1, "",
                   f"the channel of {UIO_NIC} is open although no process with /dev/uio0 was found: "
                   "run as root outside containers to see them all; on kernels before 4.20 it is "
                   "always open, there use --force")
        with Kernel(t):
            code, out, err = self.run_ctl("unbind", "uio0", "--force")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"{UIO_NIC} is bound to hv_netvsc as eth9\n", out)

    def test_another_driver_is_left_alone(self):
        t = self.tree()
        t.set_driver(FREE_NIC, "my_driver")
        self.check(["unbind", FREE_NIC], 1, "",
                   f"{FREE_NIC} is bound to my_driver, not to uio_hv_generic: left alone")

    def test_keeps_the_class_for_other_adapters(self):
        t = self.tree(override=False)
        t.remove("proc/4242")
        t.put(t.device(UIO_NIC, "state"), "2\n")
        t.remove(t.device(FREE_NIC, "net"))
        t.make_uio(FREE_NIC, 1)
        self.check(["unbind", "uio0", "-n"], 0,
                   f"echo {UIO_NIC} > {DRIVERS}/uio_hv_generic/unbind\n"
                   f"echo {UIO_NIC} > {DRIVERS}/hv_netvsc/bind\n")


class Doctor(Case):
    def test_all_well(self):
        self.tree()
        self.check(["doctor"], 0, DOCTOR_HEAD + DOCTOR_TAIL)

    def test_json(self):
        t = self.tree()
        t.remove("dev/uio0")
        code, out, err = self.run_ctl("doctor", "--json")
        self.assertEqual((code, err), (1, ""))
        report = json.loads(out)
        self.assertEqual((report["warnings"], report["failures"]), (0, 1))
        self.assertEqual([c for c in report["checks"] if c["verdict"] == "fail"],
                         [{"check": f"nic {UIO_NIC}", "verdict": "fail",
                           "text": "@/dev/uio0 does not exist", "fix": "udevadm trigger -c add -s uio"}])

    def lines(self, *starts, code=1, **more):
        """Findings of a check, with their fixes."""
        got, out, err = self.run_ctl("doctor", **more)
        self.assertEqual((got, err), (code, ""), out)
        found, taking = [], False
        for line in out.splitlines():
            taking = line[6:].startswith(starts) if line[:1] != " " else taking
            if taking:
                found.append(line)
        return found

    def test_kernels(self):
        newer = " " * 18 + "fix: install a newer kernel and reboot"
        cve = ("CVE-2024-46739: the kernel crashes when the host removes an adapter that is in use")
        for version, verdict, text in (
                ("6.1.111", "fail", f"Linux 6.1.111 has {cve}"),
                ("6.1.158", "fail", "Linux 6.1.158 crashes on an interrupt of a subchannel: use one "
                                    "queue only, or not this kernel"),
                ("6.12.57", "fail", "Linux 6.12.57 crashes on an interrupt of a subchannel: use one "
                                    "queue only, or not this kernel"),
                ("4.10.0", "fail", "Linux 4.10 has no uio_hv_generic with receive and send buffers: "
                                   "4.16 is the first"),
                ("4.18.0", "warn", "Linux 4.18 opens the channel at bind and not at open: an "
                                   "application can use the adapter once per bind"),
                ("5.15.90", "warn", "Linux 5.15.90 may have (fixed in 6.11 and stable kernels since "
                                    f"September 2024) {cve}"),
                ("6.17.3", "warn", "Linux 6.17.3 may crash on an interrupt of a subchannel: 6.17.7 is "
                                   "known good")):
            t = self.tree()
            t.kernel(version, f"Linux version {version} (gcc)")
            self.assertEqual(self.lines("kernel", code=1 if verdict == "fail" else 0),
                             [f"{verdict}  kernel      {text}", newer])
        for version in ("6.1.112", "6.1.159", "6.11.0", "6.12.58", "6.17.7", "6.18.0", "7.0.1"):
            t = self.tree()
            t.kernel(version, f"Linux version {version} (gcc)")
            self.assertEqual(self.lines("kernel", code=0), [
                f"ok    kernel      Linux {version} ({version}), no known bugs in uio_hv_generic"])

    def test_numbers_of_distributions(self):
        t = self.tree()
        t.kernel("6.1.0-40-amd64", "Linux version 6.1.0-40-amd64 (debian-kernel@lists.debian.org) "
                 "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)")
        self.assertIn("Linux 6.1.158 crashes", self.lines("kernel")[0])
        t.kernel("6.8.0-1041-azure", "Linux version 6.8.0-1041-azure (buildd@x) (x86_64) #1")
        t.put("proc/version_signature", "Ubuntu 6.8.0-1041.47-azure 6.12.57\n")
        self.assertIn("Linux 6.12.57 crashes", self.lines("kernel")[0])

    def test_module(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        self.assertEqual(self.lines("module"), [
            "fail  module      no module uio_hv_generic for kernel 6.1.192",
            " " * 18 + "fix: install a kernel with CONFIG_UIO_HV_GENERIC=m"])
        t.put("boot/config-6.1.192", "CONFIG_UIO=m\n# CONFIG_UIO_HV_GENERIC is not set\n")
        self.assertEqual(self.lines("module")[0],
                         "fail  module      the kernel 6.1.192 was built without uio_hv_generic")
        t.put("boot/config-6.1.192", "CONFIG_UIO_HV_GENERIC=m\n")
        self.assertIn("built with uio_hv_generic but the module is not installed", self.lines("module")[0])
        t.put("lib/modules/6.1.192/modules.dep", "kernel/drivers/uio/uio_hv_generic.ko: kernel/drivers/uio/uio.ko\n")
        self.assertEqual(self.lines("module", code=0), [
            "note  module      uio_hv_generic is installed and not loaded; vmbusctl bind loads it",
            " " * 18 + "fix: modprobe uio_hv_generic"])

    def test_hugepages(self):
        t = self.tree()
        t.put("proc/mounts", "proc /proc proc rw 0 0\n")
        self.assertEqual(self.lines("hugepages", code=0), [
            "warn  hugepages   1024 MiB of free huge pages, but no hugetlbfs is mounted",
            " " * 18 + "fix: mount -t hugetlbfs none /dev/hugepages (or --in-memory)"])
        t.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n")
        self.assertEqual(self.lines("hugepages", code=0), [
            "warn  hugepages   no free huge pages: sending without a copy needs them",
            " " * 18 + "fix: echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"])

    def test_privileges(self):
        t = self.tree()
        t.put("proc/self/status", "CapEff:\t00000000a80425fb\n")
        self.assertEqual(self.lines("privileges", code=0)[0],
                         "note  privileges  no CAP_SYS_ADMIN: pagemap hides physical addresses, packets "
                         "are copied (copy-only mode)")

    def test_numa(self):
        t = self.tree()
        t.put("sys/devices/system/node/node1/cpulist", "4-7\n")
        t.put("sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "512\n")
        t.put(t.device(UIO_NIC, "numa_node"), "1\n")
        self.assertEqual(self.lines(f"nic {UIO_NIC}", code=0)[1:], [
            f"warn  nic {UIO_NIC}  is on NUMA node 1 (CPUs 4-7), which has no free huge pages",
            " " * 18 + "fix: echo 256 > /sys/devices/system/node/node1/hugepages/"
            "hugepages-2048kB/nr_hugepages"])
        self.assertIn(f"note  nic {FREE_NIC}  is on NUMA node 0: use its CPUs (0-3)",
                      self.lines(f"nic {FREE_NIC}", code=0))

    def test_maps_of_an_old_kernel(self):
        t = self.tree()
        t.remove(t.device(UIO_NIC, "uio/uio0/maps/map3"))
        self.assertEqual(self.lines(f"nic {UIO_NIC}")[0],
                         f"fail  nic {UIO_NIC}  uio0 has no readable map 3 where a NIC has 5: use Linux "
                         "4.16 or later")

    def test_no_monitor(self):
        t = self.tree()
        t.remove(t.device(FREE_NIC, "monitor_id"))
        self.assertIn(f"fail  nic {FREE_NIC}  has no monitor bit, and kernels before 6.10 refuse such a "
                      "device", self.lines(f"nic {FREE_NIC}"))
        t.kernel("6.12.60", "Linux version 6.12.60")
        self.assertIn(f"warn  nic {FREE_NIC}  has no monitor bit, and kernels before 6.17 cannot signal "
                      "its subchannels", self.lines(f"nic {FREE_NIC}", code=0))
        t.kernel("6.18.1", "Linux version 6.18.1")
        self.assertEqual(len(self.lines(f"nic {FREE_NIC}", code=0)), 2)

    def test_vf(self):
        t = self.tree()
        t.remove("sys/bus/pci/devices/0001:00:02.0/driver")
        self.assertEqual(self.lines("vf", code=0)[0],
                         "warn  vf          virtual function 0001:00:02.0 (serial 2) has no driver")
        t.remove("sys/bus/pci/slots/2")
        self.assertEqual(self.lines("vf", code=0),
                         ["note  vf          no virtual function: packets take the synthetic path"])

    def test_isolation(self):
        self.tree()
        self.assertEqual(self.lines("isolation", HYPERPOLL_ISOLATION="2")[0],
                         "fail  isolation   this is an isolated VM (SEV-SNP): user space cannot share "
                         "memory with the host")

    def test_plugin(self):
        t = self.tree()
        t.put("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so", "")
        self.assertEqual(self.lines("plugin", code=0), [
            "ok    plugin      /usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_hyperpoll.so"])

    def test_no_vmbus(self):
        t = self.tree()
        t.remove("sys/bus/vmbus")
        self.assertEqual(self.lines("vmbus")[0],
                         "fail  vmbus       no VMBus: @/sys/bus/vmbus/devices is missing")


class CrossBuild(Case):
    def test_runs_under_the_exe_wrapper(self):
        t = self.tree()
        wrapper = f"sh -c 'echo \"$1\" >{t.path('ran')}; exec \"$@\"' wrapper"
        with mock.patch.dict(os.environ, MESON_EXE_WRAPPER=wrapper):
            self.check(["status", "uio0"], 0, UIO_STATUS)
        self.assertEqual(t.get("ran"), self.program + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    Case.program = os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=1)
