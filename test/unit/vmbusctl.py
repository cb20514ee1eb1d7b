#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vmbusctl against fixture trees: exact output, exact writes.
Usage: vmbusctl.py VMBUSCTL"""
import json
import os
import signal
import stat
import sys
import time
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, NIC_CLASS, REOFFER_NOTE, ROUTE_NIC, SCSI, UIO_NIC, Case, Kernel, Tree, main

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
            "users": [{"pid": 4242, "command": "dpdk-testpmd"}], "given_to": None, "helper": None,
            "functions": [], "state": "open", "relid": 14,
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

    def test_a_bad_slot_is_no_matter_of_each_device(self):
        t = self.tree()
        t.put("sys/bus/pci/slots/3/address", "nowhere\n")
        self.check(["status"], 0, STATUS)
        self.assertEqual(self.run_ctl("doctor")[2], "vmbusctl: PCI slot 3 has address 'nowhere', which is none: VF "
                         "ignored\n")

    def test_no_vmbus(self):
        t = self.tree()
        t.remove("sys/bus/vmbus")
        self.check(["status"], 1, "", "no @/sys/bus/vmbus/devices: this is no Hyper-V guest, or "
                   "hv_vmbus is not loaded (modprobe hv_vmbus)")

    def test_no_devices(self):
        self.tree(Tree())
        os.makedirs(self.t.path("sys/bus/vmbus/devices"))
        self.check(["status"], 0, "no VMBus devices\n")


LIST = f"""\
DEVICE                                CLASS          DRIVER          NAME  USE
{UIO_NIC}  Synthetic NIC  uio_hv_generic  uio0  dpdk-testpmd (pid 4242)
{ROUTE_NIC}  Synthetic NIC  hv_netvsc       eth0  the default route
{FREE_NIC}  Synthetic NIC  hv_netvsc       eth1
{SCSI}  SCSI           hv_storvsc      -
"""


class List(Case):
    def test_a_line_for_each(self):
        self.tree()
        self.check(["list"], 0, LIST)

    def test_json(self):
        self.tree()
        code, out, err = self.run_ctl("list", "--json")
        self.assertEqual((code, err), (0, ""))
        devices = json.loads(out)["devices"]
        self.assertEqual(devices[0], {"device": UIO_NIC, "class": "Synthetic NIC", "driver": "uio_hv_generic",
                                      "name": "uio0", "use": "dpdk-testpmd (pid 4242)"})
        self.assertEqual(devices[3], {"device": SCSI, "class": "SCSI", "driver": "hv_storvsc", "name": None,
                                      "use": None})

    def test_no_devices(self):
        self.tree(Tree())
        os.makedirs(self.t.path("sys/bus/vmbus/devices"))
        self.check(["list"], 0, "DEVICE  CLASS  DRIVER  NAME  USE\n")

    def test_ssh(self):
        self.tree()
        out = self.run_ctl("list", SSH_CONNECTION="10.0.0.9 50000 10.0.1.4 22")[1]
        self.assertIn("  eth1  this SSH connection\n", out)


class Usage(Case):
    def test_bad_input(self):
        self.tree()
        see = "; see vmbusctl --help"
        for arguments, message in (
                ([], "no command: list, status, bind, unbind, doctor, report or top"),
                (["ls"], "no command 'ls': list, status, bind, unbind, doctor, report or top"),
                (["list", "eth1"], "'eth1' is one argument too many"),
                (["bind"], "bind needs a device"),
                (["unbind"], "unbind needs a device"),
                (["bind", "eth1", "eth2"], "'eth2' is one argument too many"),
                (["doctor", "eth1"], "'eth1' is one argument too many"),
                (["status", "--force"],
                 "status changes nothing: it takes no --dry-run, --force or --persist")):
            self.check(arguments, 2, "", message + see)
        self.check(["status", "--fast"], 2, "", "unrecognized option '--fast'\nsee vmbusctl --help")

    def test_top_behind_an_option_is_said_to_come_first(self):
        """It was no command, in a sentence that said it was one."""
        self.tree()
        first = "'top' is the first word, before all options: vmbusctl top --help"
        self.check(["--json", "top"], 2, "", first)
        self.check(["--json", "top", "--once"], 2, "", "unrecognized option '--once'\n" + first)

    def test_no_such_device(self):
        self.tree()
        for name in ("eth7", "uio9", "00000000-0000-0000-0000-000000000001", ""):
            self.check(["bind", name], 1, "", f"no VMBus device '{name}': give a GUID, network "
                       "interface or uio device of 'vmbusctl status'")

    def test_a_root_that_is_too_long_was_this_machines(self):
        self.tree()
        for name in ("ROOT", "SYSFS_ROOT", "DEV_ROOT", "PROC_ROOT"):
            for command in (["status"], ["bind", "eth1", "--dry-run"]):
                code, out, err = self.run_ctl(*command, **{f"HYPERPOLL_{name}": "/" + "x" * 5000})
                self.assertEqual((code, out), (2, ""))
                self.assertRegex(err, rf"^vmbusctl: HYPERPOLL_{name} is longer than 255 characters[^\n]*\n$")

    def test_a_root_that_is_missing_was_this_machines(self):
        """An empty one is a variable that was empty."""
        self.tree()
        for name in ("ROOT", "SYSFS_ROOT", "DEV_ROOT"):
            for command in (["bind", "eth1", "--dry-run"], ["unbind", "uio0", "-n"], ["report", "-n"]):
                code, out, err = self.run_ctl(*command, **{f"HYPERPOLL_{name}": ""})
                self.assertEqual((code, out), (2, ""))
                self.assertIn(f"HYPERPOLL_{name} is not set, another one of its kind is", err)
            self.assertNotEqual(self.run_ctl("list", **{f"HYPERPOLL_{name}": ""})[0], 2)
        # modprobe and the like would be this machine's.
        alone = {f"HYPERPOLL_{name}": "" for name in ("ROOT", "SYSFS_ROOT", "DEV_ROOT", "PROC_ROOT", "MODPROBE")}
        for name in ("COMMANDS", "MODPROBE"):
            code, out, err = self.run_ctl("bind", "eth1", "-n", **{**alone, f"HYPERPOLL_{name}": "/bin/false"})
            self.assertEqual((code, out), (2, ""))
        self.assertEqual(self.run_ctl("bind", "nosuch", "-n", **alone)[0], 1)

    def test_help_and_version(self):
        self.tree()
        code, out, err = self.run_ctl("--help")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("vmbusctl bind DEVICE [--dry-run] [--force] [--persist] [--json]\n", out)
        code, out, _ = self.run_ctl("--version")
        self.assertRegex(out, r"^vmbusctl \d+\.\d+\.\d+\n$")

    def test_output_that_is_lost_is_a_failure(self):
        self.tree()
        for arguments in (["--help"], ["--version"], ["status"], ["status", "--json"]):
            self.assertEqual(self.run_ctl(*arguments, wrap=["sh", "-c", 'exec "$@" >/dev/full', "sh"]),
                             (1, "", "vmbusctl: cannot write the output: No space left on device\n"))
        # Longer than the C library keeps: nothing is left to write at the end.
        for number in range(50):
            self.t.add(f"00000000-0000-4000-8000-{number:012}", 100 + number)
        self.assertGreater(len(self.run_ctl("status", "--json")[1]), 10000)
        for arguments in (["status"], ["status", "--json"], ["list", "--json"]):
            code, _, err = self.run_ctl(*arguments, wrap=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
            self.assertEqual(code, 1)
            self.assertRegex(err, "^vmbusctl: cannot write the output.*\n$")

    def test_long_output_that_is_lost_is_a_failure(self):
        """It goes to the descriptor at once, and nothing is left to be flushed."""
        t = self.tree()
        for number in range(16):
            t.add(f"f8615163-0000-1000-2000-{number:012x}", 50 + number)
        out = self.run_ctl("status", "--json")[1]
        self.assertGreater(len(out), 4096)
        code, _, err = self.run_ctl("status", "--json", wrap=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
        self.assertEqual(code, 1)
        self.assertRegex(err, r"\Avmbusctl: cannot write the output: [^\n]*\n\Z")


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


class Bind(Case):
    def test_with_override_and_back(self):
        t = self.tree()
        with Kernel(t) as kernel:
            self.check(["bind", "eth1"], 0, f"{FREE_NIC} is bound to uio_hv_generic as /dev/uio5\n"
                       f"undo: vmbusctl unbind {FREE_NIC}\n" + REOFFER_NOTE)
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
                       f"undo: vmbusctl unbind {FREE_NIC}\n" + REOFFER_NOTE,
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
            code, out, err = self.run_ctl("bind", "eth1", "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out), {"device": FREE_NIC, "driver": "uio_hv_generic",
                                           "node": "/dev/uio5", "changed": True, "persistent": False})

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

    def test_modprobe_took_options_from_the_environment(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        t.put("modprobe", f"#!/bin/sh\nenv >{t.path('environment')}\n")
        os.chmod(t.path("modprobe"), stat.S_IRWXU)
        self.run_ctl("bind", "eth1", HYPERPOLL_MODPROBE=t.path("modprobe"),
                     MODPROBE_OPTIONS="-C /home/user", LD_LIBRARY_PATH="/home/user")
        seen = t.get("environment")
        self.assertIn("PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", seen)
        for name in ("MODPROBE_OPTIONS", "LD_LIBRARY_PATH", "HYPERPOLL"):
            self.assertNotIn(name, seen)

    @unittest.skipIf(os.path.exists("/sys/bus/vmbus"), "would load the module on this machine")
    def test_modprobe_was_looked_for_in_the_users_path(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        t.put("bin/modprobe", f"#!/bin/sh\n: >{t.path('ran')}\n")
        os.chmod(t.path("bin/modprobe"), stat.S_IRWXU)
        code, _, _ = self.run_ctl("bind", "eth1", HYPERPOLL_MODPROBE="",
                                  PATH=t.path("bin") + ":" + os.environ["PATH"])
        self.assertEqual(code, 1)
        self.assertFalse(os.path.exists(t.path("ran")))

    def test_module_that_cannot_be_loaded_changes_nothing(self):
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        self.check(["bind", "eth1"], 1, "",
                   "cannot load uio_hv_generic (modprobe uio_hv_generic failed): install a kernel with "
                   "this module, see vmbusctl doctor\nnothing was changed")
        self.assertEqual(t.get(t.device(FREE_NIC, "net/eth1/flags")), "0x1003\n")

    def test_a_modprobe_that_hangs_was_waited_for_for_ever(self):
        """Also where SIGKILL does not help, as when a module's start hangs."""
        hostile = os.path.join(os.path.dirname(self.program), "../../test/preload/libhyperpoll-hostile.so")
        t = self.tree()
        t.remove("sys/bus/vmbus/drivers/uio_hv_generic")
        t.put("modprobe", f"#!/bin/sh\necho $$ >{t.path('pid')}\nexec sleep 300 >{t.path('out')} 2>&1\n")
        os.chmod(t.path("modprobe"), stat.S_IRWXU)
        for immortal in (False, True):
            if immortal and (os.environ.get("MESON_EXE_WRAPPER") or not os.path.exists(hostile)):
                self.skipTest("nothing to preload for this machine")
            began = time.monotonic()
            try:
                code, out, err = self.run_ctl("bind", "eth1", HYPERPOLL_MODPROBE=t.path("modprobe"),
                                              **({"LD_PRELOAD": hostile, "HOSTILE": "immortal"} if immortal else {}))
                took = time.monotonic() - began
            finally:
                alive = os.path.exists(f"/proc/{int(t.get('pid'))}")
                if alive:
                    os.kill(int(t.get("pid")), signal.SIGKILL)
            self.assertEqual((code, out, alive), (1, "", immortal))
            self.assertIn("cannot load uio_hv_generic (modprobe uio_hv_generic did not end within 10 s)", err)
            self.assertGreater(took, 9)

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


class CrossBuild(Case):
    def test_runs_under_the_exe_wrapper(self):
        t = self.tree()
        inner = os.environ.get("MESON_EXE_WRAPPER", "")  # this is a cross build
        wrapper = f"sh -c 'echo \"$1\" >{t.path('ran')}; exec {inner} \"$@\"' wrapper"
        with mock.patch.dict(os.environ, MESON_EXE_WRAPPER=wrapper):
            self.check(["status", "uio0"], 0, UIO_STATUS)
        self.assertEqual(t.get("ran"), self.program + "\n")


if __name__ == "__main__":
    main(__doc__)
