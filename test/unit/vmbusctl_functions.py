# SPDX-License-Identifier: BSD-3-Clause
"""A virtual function below an adapter, in a fixture tree with fake programs that record what they are told."""
import json
import os

from vmbusctl_tree import FREE_NIC, Installed, Kernel

PCI = "0001:00:02.0"
VF = "enP1s2"
MAC = "7c:1e:52:00:00:02"
DEVICES = "@/sys/bus/vmbus/devices"
DRIVERS = "@/sys/bus/vmbus/drivers"
CONF = f"@/proc/sys/net/ipv6/conf/{VF}/disable_ipv6"
FLAGS = f"sys/bus/pci/devices/{PCI}/net/{VF}/flags"
BINDS = (f"echo 0x1002 > {DEVICES}/{FREE_NIC}/net/eth1/flags\n"
         f"echo uio_hv_generic > {DEVICES}/{FREE_NIC}/driver_override\n"
         f"echo {FREE_NIC} > {DRIVERS}/hv_netvsc/unbind\n"
         f"echo {FREE_NIC} > @/sys/bus/vmbus/drivers_probe\n")
STATE = f"run/vmbusctl/{FREE_NIC}.json"
NM_FILE = f"run/NetworkManager/conf.d/70-hyperpoll-{FREE_NIC}.conf"
NM_TEXT = ("# Written by vmbusctl bind; vmbusctl unbind removes it.\n"
           f"[device-hyperpoll-{FREE_NIC}]\nmatch-device=mac:{MAC},except:driver:hv_netvsc\nmanaged=0\n")
NETWORKD_FILE = f"run/systemd/network/00-hyperpoll-{FREE_NIC}.network"
NETWORKD_TEXT = ("# Written by vmbusctl bind; vmbusctl unbind removes it.\n"
                 f"[Match]\nMACAddress={MAC}\nDriver=!hv_netvsc\n\n[Link]\nUnmanaged=yes\n")
ADDRESSES = [{"ifname": VF, "addr_info": [
    {"family": "inet", "local": "10.0.1.5", "prefixlen": 24, "broadcast": "10.0.1.255",
     "scope": "global", "label": VF},
    {"family": "inet", "local": "10.0.9.5", "prefixlen": 24, "scope": "global", "label": VF + ":b"},
    {"family": "inet", "local": "10.0.7.5", "prefixlen": 24, "scope": "global", "dynamic": True},
    {"family": "inet6", "local": "fd00::5", "prefixlen": 64, "scope": "global", "noprefixroute": True},
    {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}]}]
ROUTES = ("10.0.1.0/24 proto kernel scope link src 10.0.1.5 \n"
          "192.0.2.0/24 via 10.0.1.1 proto static metric 100 linkdown \n"
          "198.51.100.0/24 via 10.0.1.1 table 77 \n"
          "203.0.113.0/24 via 10.0.1.1 proto dhcp metric 100 \n"
          "203.0.113.9 proto static \\\tnexthop via 10.0.1.1 weight 1 \\\tnexthop via 10.0.0.1 dev eth0 weight 1 \n")


class Machine(Kernel):
    """And the PCI bus."""

    def files(self):
        yield from super().files()
        yield "sys/bus/pci/drivers_probe"
        for driver in ("iavf", "mlx5_core", "vfio-pci"):
            yield f"sys/bus/pci/drivers/{driver}/unbind"

    def react(self, name, text):
        if not name.startswith("sys/bus/pci"):
            super().react(name, text)
            return
        tree, parts = self.tree, name.split("/")
        folder = f"sys/bus/pci/devices/{text}"
        if parts[-1] == "unbind":
            self.log.append((parts[-2], text))
            tree.remove(f"{folder}/driver")
            tree.remove(f"{folder}/net")
            tree.remove(f"sys/class/net/{VF}")
            return
        wanted = tree.get(f"{folder}/driver_override").strip()
        self.log.append(("pci probe", wanted))
        if wanted in self.refuse:
            return
        if wanted in ("", "(null)"):
            interface(tree)
        tree.link(f"{folder}/driver", f"../../drivers/{wanted or 'iavf'}")


def interface(tree, name=VF, pci=PCI, mac=MAC):
    folder = f"sys/bus/pci/devices/{pci}/net/{name}"
    tree.put(f"{folder}/address", mac + "\n")
    tree.put(f"{folder}/flags", "0x1803\n")
    tree.put(f"{folder}/ifindex", "7\n")
    tree.link(f"sys/class/net/{name}", f"../../bus/pci/devices/{pci}/net/{name}")
    tree.put(f"proc/sys/net/ipv6/conf/{name}/disable_ipv6", "0\n")


def function(t, nic=FREE_NIC, driver="mlx5_core", ids=("0x15b3", "0x1016")):
    """A virtual function below the adapter nic, which is eth1."""
    t.put(t.device(nic, "net/eth1/address"), MAC + "\n")
    t.put(f"sys/bus/pci/devices/{PCI}/vendor", ids[0] + "\n")
    t.put(f"sys/bus/pci/devices/{PCI}/device", ids[1] + "\n")
    t.put(f"sys/bus/pci/devices/{PCI}/driver_override", "(null)\n")
    t.link(f"sys/bus/pci/devices/{PCI}/driver", f"../../drivers/{driver}")
    for name in ("iavf", "mlx5_core", "vfio-pci"):
        t.put(f"sys/bus/pci/drivers/{name}/unbind", "")
    t.put("sys/bus/pci/drivers_probe", "")
    interface(t)
    t.link(f"sys/bus/pci/devices/{PCI}/net/{VF}/master", "../eth1")


def fake(t, name, script="", code=0):
    """A program that writes down how it was called, in words."""
    t.put(f"bin/{name}", f"""#!/bin/sh
echo {name} "$@" >>{t.path('ran')}
{script}
exit {code}
""")
    os.chmod(t.path(f"bin/{name}"), 0o700)


def network_manager(t, managed="yes", code=0):
    os.makedirs(t.path("run/NetworkManager"))
    fake(t, "nmcli", f"""case "$*" in
"-g GENERAL.NM-MANAGED device show {VF}") echo {managed};;
*" set "*) exit {code};;
esac""")


class Functions(Installed):
    def tree(self, tree=None, driver="mlx5_core", ids=("0x15b3", "0x1016"), **kwargs):
        t = super().tree(tree, **kwargs)
        function(t, driver=driver, ids=ids)
        return t

    def fake(self, name, script="", code=0):
        fake(self.t, name, script, code)

    def fake_ip(self, addresses=(), routes=""):
        self.t.put("addresses", json.dumps(list(addresses)))
        self.t.put("routes", routes)
        self.fake("ip", f"""case "$*" in
"-j address show dev {VF}") cat {self.t.path('addresses')};;
"-o -4 route show table all dev {VF}") cat {self.t.path('routes')};;
esac""")

    def process(self, pid, arguments, stat=None, uid="0\t0\t0\t0", exe=None):
        """In the fixture, with the program that its first argument names."""
        t = self.t
        t.put(f"proc/{pid}/cmdline", "".join(word + "\0" for word in arguments))
        t.put(f"proc/{pid}/stat", stat or f"{pid} (x) S 1 " + "0 " * 20 + "\n")
        t.put(f"proc/{pid}/status", f"Name:\tx\nUid:\t{uid}\n")
        t.link(f"proc/{pid}/exe", exe or t.path(f"bin/{os.path.basename(arguments[0])}"))

    def network_manager(self, managed="yes", code=0):
        network_manager(self.t, managed, code)

    def ran(self):
        """What the programs were told, but for questions; and forgotten."""
        if not os.path.exists(self.t.path("ran")):
            return []
        lines = self.t.get("ran").splitlines()
        self.t.remove("ran")
        return [line for line in lines if " show " not in line]

    def run_ctl(self, *arguments, **more):
        return super().run_ctl(*arguments, HYPERPOLL_COMMANDS=self.t.path("bin"), **more)

    def bind(self, *arguments, code=0, refuse=()):
        with Machine(self.t, refuse) as kernel:
            got, out, err = self.run_ctl("bind", FREE_NIC, *arguments)
        self.assertEqual(got, code, err)
        self.kernel = kernel
        return out, err

    def unbind(self, code=0):
        with Machine(self.t) as kernel:
            got, out, err = self.run_ctl("unbind", FREE_NIC)
        self.assertEqual(got, code, err)
        self.kernel = kernel
        return out, err

    def is_as_it_was(self):
        t = self.t
        self.assertEqual(t.get(CONF[2:]), "0\n")
        self.assertEqual(t.get(FLAGS), "0x1803\n")
        for name in (NM_FILE, NETWORKD_FILE, STATE):
            self.assertFalse(os.path.lexists(t.path(name)), name)


def note(who, becomes="stays with the driver, as its PMD needs that, and is left alone", driver="mlx5_core"):
    return f"{VF} is its virtual function {PCI} with driver {driver}, configured by {who}: {becomes}\n"
