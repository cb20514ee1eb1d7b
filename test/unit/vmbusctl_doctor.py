#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl doctor finds.
Usage: vmbusctl_doctor.py VMBUSCTL"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, ROUTE_NIC, UIO_NIC, Case, main

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


if __name__ == "__main__":
    main(__doc__)
