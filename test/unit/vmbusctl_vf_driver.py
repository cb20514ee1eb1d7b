#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind and unbind do with the driver of the virtual function below an adapter.
Usage: vmbusctl_vf_driver.py VMBUSCTL"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_functions import PCI, MAC, interface, Functions, note
from vmbusctl_tree import FREE_NIC, main


class Vfio(Functions):
    """A function whose PMD wants vfio-pci."""
    STEPS = (f"echo Y > @/sys/module/vfio/parameters/enable_unsafe_noiommu_mode\n"
             f"echo {PCI} > @/sys/bus/pci/drivers/iavf/unbind\n"
             f"echo vfio-pci > @/sys/bus/pci/devices/{PCI}/driver_override\n"
             f"echo {PCI} > @/sys/bus/pci/drivers_probe\n"
             f"# {PCI} is bound to vfio-pci now\n")
    MODE = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

    def tree(self, tree=None, driver="iavf", ids=("0x8086", "0x1889"), **kwargs):
        t = super().tree(tree, driver, ids, **kwargs)
        t.put(self.MODE, "N\n")
        return t

    def test_goes_there_and_comes_back(self):
        t = self.tree()
        code, out, err = self.run_ctl("bind", "eth1", "-n")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(note("nobody", "goes to vfio-pci", "iavf"), out)
        self.assertIn(f"\n# {PCI} has no IOMMU: vfio's unsafe no-IOMMU mode is switched on, which taints the "
                      "kernel\n", out)
        self.assertIn(self.STEPS, out)
        self.bind()
        driver = lambda: os.path.basename(os.readlink(t.path(f"sys/bus/pci/devices/{PCI}/driver")))
        self.assertEqual((driver(), t.get(self.MODE)), ("vfio-pci", "Y\n"))
        self.unbind()
        self.assertEqual((driver(), t.get(self.MODE)), ("iavf", "N\n"))
        self.assertEqual(t.get(f"sys/bus/pci/devices/{PCI}/driver_override"), "\n")
        self.is_as_it_was()

    def test_function_in_use_is_not_waited_for(self):
        """The kernel's write to unbind does not return while a process has the function open."""
        for node in ("7", "noiommu-7"):
            t = self.tree()
            self.bind()
            t.link(f"sys/bus/pci/devices/{PCI}/iommu_group", "../../../kernel/iommu_groups/7")
            t.put("proc/5151/comm", "dpdk-testpmd\n")
            t.link("proc/5151/fd/9", f"/dev/vfio/{node}")
            self.check(["unbind", FREE_NIC], 1, "", f"the virtual function {PCI} is in use by dpdk-testpmd (pid 5151): "
                       "end it first")
            self.assertEqual(os.path.basename(os.readlink(t.path(t.device(FREE_NIC, "driver")))), "uio_hv_generic")
            t.link("proc/5151/fd/9", "/dev/vfio/17")
            self.unbind()

    def left_by_a_bind(self):
        """Which was killed before the adapter left its driver."""
        t = self.tree()
        self.bind()
        t.remove(t.device(FREE_NIC, "uio"))
        t.make_netdev(FREE_NIC, "eth1")
        t.put(t.device(FREE_NIC, "net/eth1/address"), MAC + "\n")
        return t

    def test_a_function_stayed_with_its_driver_after_a_killed_bind(self):
        """The plan was made when it was with vfio-pci, and carried out when it was not any more."""
        t = self.left_by_a_bind()
        self.bind()
        self.assertEqual(self.kernel.log[:4], [("vfio-pci", PCI), ("pci probe", ""), ("iavf", PCI),
                                               ("pci probe", "vfio-pci")])
        self.assertEqual((os.path.basename(os.readlink(t.path(f"sys/bus/pci/devices/{PCI}/driver"))),
                          t.get(self.MODE)), ("vfio-pci", "Y\n"))
        self.unbind()
        self.is_as_it_was()

    def test_function_in_use_after_a_killed_bind_is_not_waited_for(self):
        t = self.left_by_a_bind()
        t.link(f"sys/bus/pci/devices/{PCI}/iommu_group", "../../../kernel/iommu_groups/7")
        t.put("proc/5151/comm", "dpdk-testpmd\n")
        t.link("proc/5151/fd/9", "/dev/vfio/7")
        self.check(["bind", FREE_NIC], 1, "", f"the virtual function {PCI} is in use by dpdk-testpmd (pid 5151): "
                   "end it first")

    def test_another_way_needs_an_unbind_first(self):
        self.tree()
        self.bind("--vf", "keep")
        _, err = self.bind("--vf", "vfio-pci")
        self.assertEqual(err, f"vmbusctl: note: --vf changes nothing of what was seen to when {FREE_NIC} was bound: "
                         "unbind it first\n")

    def test_with_an_iommu_the_mode_stays(self):
        t = self.tree()
        t.put(f"sys/bus/pci/devices/{PCI}/iommu_group/type", "DMA\n")
        self.bind()
        self.assertEqual(t.get(self.MODE), "N\n")

    def test_module_is_loaded(self):
        t = self.tree()
        t.remove("sys/bus/pci/drivers/vfio-pci")
        self.fake("modprobe", f"mkdir -p {t.path('sys/bus/pci/drivers/vfio-pci')}\n"
                  f": >{t.path('sys/bus/pci/drivers/vfio-pci/unbind')}")
        self.bind()
        self.assertEqual(self.ran(), ["modprobe vfio-pci"])

    def test_module_that_cannot_be_loaded_changes_nothing(self):
        t = self.tree()
        t.remove("sys/bus/pci/drivers/vfio-pci")
        self.fake("modprobe", code=1)
        _, err = self.bind(code=1)
        self.assertEqual(err, "vmbusctl: cannot load vfio-pci (modprobe vfio-pci): exit status 1\n"
                         "vmbusctl: undone: the virtual function is as it was\n")
        self.assertEqual(self.kernel.log, [])
        self.is_as_it_was()

    def test_function_that_vfio_does_not_take_comes_back(self):
        t = self.tree()
        _, err = self.bind(code=1, refuse=("vfio-pci",))
        self.assertIn(f"cannot see the function with vfio-pci (# {PCI} is bound to vfio-pci now): ", err)
        self.assertIn("undone: the virtual function is as it was\n", err)
        self.assertNotIn(("drivers_probe", FREE_NIC), self.kernel.log)
        self.assertEqual(os.path.basename(os.readlink(t.path(f"sys/bus/pci/devices/{PCI}/driver"))), "iavf")
        self.is_as_it_was()

    def test_kept_when_asked(self):
        self.tree()
        out, _ = self.bind("--vf", "keep")
        self.assertIn(note("nobody", driver="iavf"), out)
        self.assertNotIn(("iavf", PCI), self.kernel.log)

    def test_function_of_two_adapters_stays(self):
        t = self.tree()
        interface(t, "other0", mac="7c:1e:52:99:99:99")
        self.check(["bind", "eth1"], 1, "", f"{PCI} cannot go to vfio-pci: it carries other0 too, which is no "
                   f"part of {FREE_NIC}; --vf keep leaves it with iavf")
        self.bind("--vf", "keep")

    def test_function_whose_pmd_works_beside_the_driver(self):
        self.tree(driver="mlx5_core")
        self.check(["bind", "eth1", "--vf", "vfio-pci"], 1, "", f"{PCI} has driver mlx5_core, whose PMD works "
                   "beside it and not on vfio-pci: --vf keep; --force does it all the same")
        code, out, _ = self.run_ctl("bind", "eth1", "--vf", "vfio-pci", "-n", "-f")
        self.assertEqual(code, 0)
        self.assertIn(f"echo {PCI} > @/sys/bus/pci/drivers/mlx5_core/unbind\n", out)


if __name__ == "__main__":
    main(__doc__)
