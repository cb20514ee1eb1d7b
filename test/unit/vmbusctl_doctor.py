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
note  vf          virtual function 0001:00:02.0 (serial 2) with driver mlx5_core: hyperpoll uses it when its adapter \
is bound to uio_hv_generic
6 ok, 4 notes, 0 warnings, 0 failures
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

    def test_colour_on_a_terminal_that_has_it(self):
        self.tree()
        terminal = (sys.executable, "-c", "import os, pty, sys\n"
                    "sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))")
        plain = DOCTOR_HEAD + DOCTOR_TAIL
        for more, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": ""}, True),
                               ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
                               ({"TERM": "vt100"}, False), ({"TERM": ""}, False)):
            code, out, _ = self.run_ctl("doctor", wrap=terminal, **{"NO_COLOR": "", **more})
            out = out.replace("\r\n", "\n")
            self.assertEqual(code, 0)
            self.assertEqual("\033" in out, coloured, more)
            self.assertEqual("\033[32mok  \033[0m  vmbus" in out, coloured)
            for code in ("\033[32m", "\033[36m", "\033[33m", "\033[31m", "\033[0m"):
                out = out.replace(code, "")
            self.assertEqual(out, plain)

    def tree(self, tree=None, **kwargs):
        """With the PMDs of the functions here."""
        t = super().tree(tree, **kwargs)
        for pmd in ("mana", "mlx5"):
            t.put(f"usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_{pmd}.so", "")
        return t

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
                ("6.12.53", "fail", "Linux 6.12.53 crashes on an interrupt of a subchannel: use one "
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
        for version in ("5.4.284", "5.10.247", "5.15.167", "5.15.194", "5.15.197", "6.1.112", "6.1.155", "6.1.159",
                        "6.6.51", "6.6.111", "6.6.118", "6.10.10", "6.11.0", "6.12.52", "6.12.59", "6.12.95", "6.17.7", "6.18.0",
                        "7.0.1", "7.2.12"):
            t = self.tree()
            t.kernel(version, f"Linux version {version} (gcc)")
            self.assertEqual(self.lines("kernel", code=0), [
                f"ok    kernel      Linux {version} ({version}), no known bugs in uio_hv_generic"])

    def test_stable_kernels_with_the_same_back_ports_were_not_judged(self):
        for version in ("5.4.301", "5.10.246", "5.15.195", "5.15.196", "6.1.156", "6.1.157", "6.6.112", "6.6.117",
                        "6.12.58"):
            t = self.tree()
            t.kernel(version, f"Linux version {version} (gcc)")
            self.assertEqual(self.lines("kernel")[0], f"fail  kernel      Linux {version} crashes on an interrupt "
                             "of a subchannel: use one queue only, or not this kernel")

    def test_a_kernel_newer_than_the_table_was_called_free_of_bugs(self):
        for version in ("7.3.0", "7.10.2", "8.0.1"):
            t = self.tree()
            t.kernel(version, f"Linux version {version} (gcc)")
            self.assertEqual(self.lines("kernel", code=0), [
                f"note  kernel      Linux {version} ({version}) is newer than those known here, which end with 7.2: "
                "whether its uio_hv_generic has bugs is not known"])

    def test_rescind_fixes_of_stable_kernels(self):
        for version in ("5.4.283", "5.10.225", "5.15.166", "6.6.50", "6.8.12", "6.10.9"):
            t = self.tree()
            t.kernel(version, f"Linux version {version} (gcc)")
            self.assertIn(f"warn  kernel      Linux {version} may have (fixed in 6.11 and stable kernels since "
                          "September 2024) CVE-2024-46739", self.lines("kernel", code=0)[0])

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
        t.remove("boot/config-6.1.192")
        t.put("lib/modules/6.1.192/config", "CONFIG_UIO=m\n# CONFIG_UIO_HV_GENERIC is not set\n")
        self.assertEqual(self.lines("module")[0],
                         "fail  module      the kernel 6.1.192 was built without uio_hv_generic")
        t.put("lib/modules/6.1.192/config", "CONFIG_UIO_HV_GENERIC=m\n")
        self.assertIn("built with uio_hv_generic but the module is not installed", self.lines("module")[0])
        t.remove("lib/modules/6.1.192/config")
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
        t.kernel("6.12.52", "Linux version 6.12.52")
        self.assertIn(f"warn  nic {FREE_NIC}  has no monitor bit, and kernels before 6.17 cannot signal "
                      "its subchannels", self.lines(f"nic {FREE_NIC}", code=0))
        for version in ("6.12.59", "6.18.1", "7.2.12"):
            t.kernel(version, f"Linux version {version}")
            self.assertEqual(len(self.lines(f"nic {FREE_NIC}", code=0)), 2)

    def function(self, pci="0001:00:02.0", interface=None, driver="mlx5_core", ids=("0x15b3", "0x1016"), mac=None):
        t = self.t
        t.put(f"sys/bus/pci/devices/{pci}/vendor", ids[0] + "\n")
        t.put(f"sys/bus/pci/devices/{pci}/device", ids[1] + "\n")
        t.remove(f"sys/bus/pci/devices/{pci}/driver")
        if driver:
            t.link(f"sys/bus/pci/devices/{pci}/driver", f"../../drivers/{driver}")
        if interface:
            t.put(f"sys/bus/pci/devices/{pci}/net/{interface}/address", (mac or "02:00:00:00:00:01") + "\n")

    def test_virtual_function(self):
        t = self.tree()
        what = "virtual function 0001:00:02.0 (serial 2) as enP1s2 with driver mlx5_core"
        self.function(interface="enP1s2")
        t.link("sys/class/net/enP1s2/master", "../eth1")
        self.assertEqual(self.lines("vf", code=0), [
            f"note  vf          {what} carries the packets of eth1 while the host offers it; when that is bound to "
            "uio_hv_generic, hyperpoll uses it"])
        t.remove("sys/class/net/enP1s2")
        # By MAC address: the GUID's, when the adapter has no interface, else the interface's.
        self.function(interface="enP1s2", mac="00:0D:3A:11:22:33")
        self.assertEqual(self.lines("vf", code=0), [
            f"warn  vf          {what} belongs to {UIO_NIC}, but nothing keeps NetworkManager, DHCP clients and the "
            "like from its interface", " " * 18 + f"fix: vmbusctl bind {UIO_NIC}"])
        t.put(f"run/vmbusctl/{UIO_NIC}.json", "[]")
        self.assertEqual(self.lines("vf", code=0), [
            f"ok    vf          {what} belongs to {UIO_NIC}: packets take it while the host offers it, and the "
            "synthetic path else"])
        self.function(interface="enP1s2", mac="7c:1e:52:aa:bb:cc")
        t.put(t.device(FREE_NIC, "net/eth1/address"), "7c:1e:52:aa:bb:cc\n")
        self.assertIn("carries the packets of eth1", self.lines("vf", code=0)[0])

    def test_virtual_function_whose_pmd_is_missing(self):
        t = self.tree()
        t.remove("usr")
        self.assertEqual(self.lines("vf", code=0)[1:], [
            "warn  vf          librte_net_mlx5.so is not installed in the usual places: without it packets take the "
            "synthetic path", " " * 18 + "fix: install rdma-core and a DPDK with the mlx5 PMD"])
        t.put("usr/lib64/librte_net_mlx5.so.23", "")
        self.assertEqual(len(self.lines("vf", code=0)), 1)

    def test_virtual_function_for_vfio(self):
        self.tree()
        self.function(driver="vfio-pci")
        self.assertEqual(self.lines("vf", code=0), [
            "note  vf          virtual function 0001:00:02.0 (serial 2) is bound to vfio-pci: packets of its adapter take "
            "it while the host offers it, if DPDK has a PMD for it"])
        self.function(interface="enP1s2", driver="iavf", mac="00:0D:3A:11:22:33")
        self.assertEqual(self.lines("vf", code=0), [
            f"warn  vf          virtual function 0001:00:02.0 (serial 2) as enP1s2 with driver iavf belongs to {UIO_NIC}, "
            "but its PMD wants vfio-pci: packets take the synthetic path",
            " " * 18 + f"fix: vmbusctl bind {UIO_NIC} --vf vfio-pci"])

    def test_virtual_function_without_driver(self):
        t = self.tree()
        self.function(driver=None)
        self.assertEqual(self.lines("vf", code=0), [
            "warn  vf          virtual function 0001:00:02.0 (serial 2) has no driver: all packets take the "
            "synthetic path, under hv_netvsc too",
            " " * 18 + "fix: load its driver (modprobe mlx5_core), or bind it to vfio-pci"])
        t.remove("sys/bus/pci/slots/2")
        self.assertEqual(self.lines("vf", code=0),
                         ["note  vf          no virtual function: packets take the synthetic path"])

    def test_mana_was_not_recognised(self):
        t = self.tree()
        t.remove("sys/bus/pci/slots/2")
        explained = ("note  mana        PCI 1414:00ba is the Microsoft Azure Network Adapter: DPDK's fast path on it "
                     "needs Linux 6.14 or later (or back-ported Ethernet and InfiniBand drivers), rdma-core and "
                     "the mana PMD; without them all packets of DPDK take the synthetic path")
        old = "; this is Linux 6.1, so only back-ported drivers would do"
        self.function("7870:00:00.0", driver=None, ids=("0x1414", "0x00ba"))
        self.assertEqual(self.lines("vf", "mana", code=0), [
            "warn  vf          MANA function 7870:00:00.0 has no driver: all packets take the synthetic path, "
            "under hv_netvsc too", " " * 18 + "fix: use Linux 6.14 or later, or back-ported drivers", explained + old])
        self.function("7870:00:00.0", "enP30832s1", "mana", ids=("0x1414", "0x00ba"))
        self.function("7870:00:00.0", "enP30832s1d1", "mana", ids=("0x1414", "0x00ba"), mac="00:0d:3a:11:22:33")
        t.link("sys/class/net/enP30832s1/master", "../eth0")
        t.kernel("6.14.2", "Linux version 6.14.2")
        what = "MANA function 7870:00:00.0 as %s"
        self.assertEqual(self.lines("vf", "mana", code=0), [
            f"note  vf          {what % 'enP30832s1'} with driver mana carries the packets of eth0 while the host offers "
            "it; when that is bound to uio_hv_generic, hyperpoll uses it",
            f"warn  vf          {what % 'enP30832s1d1'} with driver mana belongs to {UIO_NIC}, but nothing keeps "
            "NetworkManager, DHCP clients and the like from its interface",
            " " * 18 + f"fix: vmbusctl bind {UIO_NIC}", explained])
        t.put("sys/class/net/enP30832s1d1/flags", "0x1003\n")
        self.assertEqual(self.lines("vf", code=0)[1:], [
            f"warn  vf          {what % 'enP30832s1d1'} belongs to {UIO_NIC} and its interface is up, which keeps the "
            "mana PMD from it: packets take the synthetic path", " " * 18 + f"fix: vmbusctl bind {UIO_NIC}"])

    def test_other_functions_of_microsoft_are_not_mana(self):
        t = self.tree()
        t.remove("sys/bus/pci/slots/2")
        self.function("c05b:00:00.0", driver="nvme", ids=("0x1414", "0xb111"))
        self.assertEqual(self.lines("vf", "mana", code=0),
                         ["note  vf          no virtual function: packets take the synthetic path"])

    def test_one_warning_was_plural(self):
        t = self.tree()
        t.remove(t.device(FREE_NIC))
        t.remove("sys/bus/pci/slots/2/address")
        t.kernel("6.17.3", "Linux version 6.17.3")
        t.remove("dev/uio0")
        out = self.run_ctl("doctor")[1]
        self.assertTrue(out.endswith("5 ok, 3 notes, 1 warning, 1 failure\n"), out)
        t.remove(t.device(ROUTE_NIC))
        t.remove("sys/bus/vmbus/devices/f8b3781a-1e82-4818-a1c3-63d806ec15bb")
        self.assertTrue(self.run_ctl("doctor")[1].startswith("ok    vmbus       1 device, 1 of them a network adapter\n"))

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
        fix = " " * 18 + "fix: run this in a Hyper-V guest, with hv_vmbus loaded"
        missing = "fail  vmbus       no VMBus: @/sys/bus/vmbus/devices is missing"
        for kernel in ("6.1.192", "7.2.12"):
            t.kernel(kernel, f"Linux version {kernel} (gcc)")
            self.assertEqual(self.lines("vmbus"), [missing, fix])
        t.kernel("7.3.1", "Linux version 7.3.1 (gcc)")
        self.assertEqual(self.lines("vmbus"), [
            missing + "; from 7.3 on Linux has none on Windows Server 2012 R2 and older hosts", fix])


if __name__ == "__main__":
    main(__doc__)
