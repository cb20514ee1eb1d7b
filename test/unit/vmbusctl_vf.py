#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind and unbind do with the virtual function below an adapter: fake programs in a
fixture tree record what they are told.
Usage: vmbusctl_vf.py VMBUSCTL"""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_tree import FREE_NIC, ROUTE_HEADER, Installed, Kernel, has_namespaces, main

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


class Functions(Installed):
    def tree(self, tree=None, driver="mlx5_core", ids=("0x15b3", "0x1016"), **kwargs):
        t = super().tree(tree, **kwargs)
        t.put(t.device(FREE_NIC, "net/eth1/address"), MAC + "\n")
        t.put(f"sys/bus/pci/devices/{PCI}/vendor", ids[0] + "\n")
        t.put(f"sys/bus/pci/devices/{PCI}/device", ids[1] + "\n")
        t.put(f"sys/bus/pci/devices/{PCI}/driver_override", "(null)\n")
        t.link(f"sys/bus/pci/devices/{PCI}/driver", f"../../drivers/{driver}")
        for name in ("iavf", "mlx5_core", "vfio-pci"):
            t.put(f"sys/bus/pci/drivers/{name}/unbind", "")
        t.put("sys/bus/pci/drivers_probe", "")
        interface(t)
        t.link(f"sys/bus/pci/devices/{PCI}/net/{VF}/master", "../eth1")
        return t

    def fake(self, name, script="", code=0):
        """A program that writes down how it was called, in words."""
        self.t.put(f"bin/{name}", f"""#!/bin/sh
echo {name} "$@" >>{self.t.path('ran')}
{script}
exit {code}
""")
        os.chmod(self.t.path(f"bin/{name}"), 0o700)

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
        os.makedirs(self.t.path("run/NetworkManager"))
        self.fake("nmcli", f"""case "$*" in
"-g GENERAL.NM-MANAGED device show {VF}") echo {managed};;
*" set "*) exit {code};;
esac""")

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


class Kept(Functions):
    """A function whose PMD works beside the kernel's driver."""

    def test_network_manager_took_the_function_with_the_adapters_address(self):
        t = self.tree()
        self.network_manager()
        self.check(["bind", "eth1", "-n"], 0, "# " + note("NetworkManager")
                   + f"cat > @/{NM_FILE} <<'END'\n{NM_TEXT}END\nnmcli general reload conf\n"
                   f"nmcli device set {VF} managed no\necho 1 > {CONF}\n" + BINDS)
        self.assertEqual(self.ran(), [])
        out, _ = self.bind()
        self.assertIn(note("NetworkManager"), out)
        self.assertEqual(self.ran(), ["nmcli general reload conf", f"nmcli device set {VF} managed no"])
        self.assertEqual((t.get(NM_FILE), t.get(CONF[2:])), (NM_TEXT, "1\n"))
        self.assertEqual(t.get(FLAGS), "0x1803\n")
        self.check(["unbind", FREE_NIC, "-n"], 0,
                   f"echo > {DEVICES}/{FREE_NIC}/driver_override\n"
                   f"echo {FREE_NIC} > {DRIVERS}/uio_hv_generic/unbind\n"
                   f"echo {FREE_NIC} > {DRIVERS}/hv_netvsc/bind\n"
                   f"echo 0 > {CONF}\nnmcli device set {VF} managed yes\nrm -f @/{NM_FILE}\n"
                   "nmcli general reload conf\n")
        self.unbind()
        self.assertEqual(self.ran(), [f"nmcli device set {VF} managed yes", "nmcli general reload conf"])
        self.is_as_it_was()

    def test_network_manager_that_leaves_it_alone_is_told_of_later_ones_only(self):
        self.tree()
        self.network_manager(managed="no")
        out, _ = self.bind()
        self.assertIn(note("nobody"), out)
        self.assertEqual(self.ran(), ["nmcli general reload conf"])
        self.unbind()
        self.is_as_it_was()

    def test_a_function_that_comes_later_is_kept_from_managers_too(self):
        t = self.tree()
        t.remove(f"sys/bus/pci/devices/{PCI}/net")
        t.remove(f"sys/class/net/{VF}")
        self.network_manager()
        self.bind()
        self.assertEqual(t.get(NM_FILE), NM_TEXT)
        self.unbind()
        self.assertFalse(os.path.exists(t.path(NM_FILE)))

    def test_networkd(self):
        for state, who in (("configured", "systemd-networkd"), ("unmanaged", "nobody")):
            t = self.tree()
            t.put("run/systemd/netif/links/7", f"ADMIN_STATE={state}\nOPER_STATE=routable\n")
            self.fake("networkctl")
            out, _ = self.bind()
            self.assertIn(note(who), out)
            self.assertEqual(t.get(NETWORKD_FILE), NETWORKD_TEXT)
            self.assertEqual(self.ran(), ["networkctl reload"])
            self.unbind()
            self.assertEqual(self.ran(), ["networkctl reload"])
            self.is_as_it_was()

    def test_ifupdown(self):
        t = self.tree()
        t.put("run/network/ifstate", f"lo=lo\n{VF}={VF}\n")
        for name in ("ifup", "ifdown"):
            self.fake(name)
        out, _ = self.bind()
        self.assertIn(note("ifupdown"), out)
        self.assertEqual(self.ran(), [f"ifdown --force {VF}"])
        self.unbind()
        self.assertEqual(self.ran(), [f"ifup {VF}"])
        self.is_as_it_was()

    def test_dhcp_client_is_ended_and_started_again(self):
        t = self.tree()
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        with open(f"/proc/{child.pid}/stat", encoding="ascii") as stat:
            self.process(child.pid, ["/usr/sbin/dhclient", "-4", "-pf", "/run/it's.pid", VF], stat.read())
        self.process(7777, ["/usr/sbin/dhclient", "eth0"])
        self.fake("dhclient")
        code, out, _ = self.run_ctl("bind", "eth1", "-n")
        self.assertEqual(code, 0)
        self.assertIn(f"kill {child.pid}\n", out)
        out, _ = self.bind()
        self.assertIn(note(f"a DHCP client (pid {child.pid})"), out)
        self.assertEqual(child.wait(5), -15)
        t.remove(f"proc/{child.pid}")
        self.assertIn(f"dhclient -4 -pf '/run/it'\\''s.pid' {VF}\n", self.run_ctl("unbind", FREE_NIC, "-n")[1])
        self.unbind()
        self.assertEqual(self.ran(), [f"dhclient -4 -pf /run/it's.pid {VF}"])
        self.is_as_it_was()

    def test_dhcp_client_that_stays_in_the_foreground_or_has_no_lease_was_killed(self):
        """As long as it runs it is started; one that ends with an error is not."""
        for script, code, alive in (("exec sleep 100", 0, True), ("exit 2", 1, False)):
            t = self.tree()
            self.process(0x7fffffff, ["dhclient", "-d", VF])  # no process of the machine
            self.fake("dhclient")
            self.bind()
            t.remove(f"proc/{0x7fffffff}")
            self.fake("dhclient", f"echo $$ >{t.path('client')}; {script}")
            _, err = self.unbind(code)
            self.assertEqual(self.ran(), [f"dhclient -d {VF}"])
            self.assertEqual(f"cannot bring back what was (dhclient -d {VF}): exit status 2\n" in err, not alive, err)
            if alive:
                pid = int(t.get("client"))
                with open(f"/proc/{pid}/cmdline", encoding="ascii") as cmdline:
                    self.assertEqual(cmdline.read(), "sleep\000100\0")
                self.assertEqual(os.getsid(pid), pid)
                os.kill(pid, signal.SIGKILL)
                self.is_as_it_was()

    def test_a_number_that_another_process_has_is_not_ended(self):
        self.tree()
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.process(child.pid, ["dhclient", VF], f"{child.pid} (dhclient) S 1 " + "1 " * 20 + "\n")
        self.fake("dhclient")
        self.assertIn(f"a DHCP client (pid {child.pid})", self.bind()[0])
        self.assertIsNone(child.poll())

    def test_what_calls_itself_a_dhcp_client_was_run_as_root_at_unbind(self):
        """Anybody can start a setuid program under a client's name and with arguments of his own."""
        for more in ({"uid": "1000\t0\t0\t0"}, {"uid": "0\t0\t1000\t0"}, {"exe": "/bin/true"}):
            t = self.tree()
            self.fake("dhcpcd")
            self.process(7777, ["dhcpcd", "-c", "/tmp/evil", VF], **more)
            out, _ = self.bind()
            self.assertNotIn("DHCP client", out)
            self.assertIn(note("nobody"), out)
            self.assertNotIn("evil", t.get(STATE), more)
            self.unbind()
            self.assertEqual(self.ran(), [], more)

    def test_addresses_and_routes_by_hand_come_back_in_order(self):
        self.tree()
        self.fake_ip(ADDRESSES, ROUTES)
        out, _ = self.bind()
        self.assertIn(note("somebody by hand"), out)
        self.assertEqual(self.ran(), [f"ip address flush dev {VF} scope global"])
        self.unbind()
        self.assertEqual(self.ran(), [
            f"ip address replace 10.0.1.5/24 broadcast 10.0.1.255 dev {VF}",
            f"ip address replace 10.0.9.5/24 label {VF}:b dev {VF}",
            f"ip address replace fd00::5/64 dev {VF} noprefixroute",
            f"ip -4 route replace 198.51.100.0/24 via 10.0.1.1 table 77 dev {VF}",
            f"ip -4 route replace 192.0.2.0/24 via 10.0.1.1 proto static metric 100 dev {VF}"])
        self.is_as_it_was()

    def test_addresses_of_a_manager_are_not_brought_back_by_hand(self):
        self.tree()
        self.network_manager()
        self.fake_ip(ADDRESSES, ROUTES)
        self.bind()
        self.assertIn(f"ip address flush dev {VF} scope global", self.ran())
        self.unbind()
        self.assertFalse([line for line in self.ran() if line.startswith("ip")])

    def test_mana_is_taken_down_and_brought_up(self):
        t = self.tree(driver="mana", ids=("0x1414", "0x00ba"))
        t.remove("sys/bus/pci/slots/2")
        out, _ = self.bind()
        self.assertIn(note("nobody", driver="mana"), out)
        self.assertEqual(t.get(FLAGS), "0x1802\n")
        self.unbind()
        self.is_as_it_was()

    def test_only_the_interface_of_this_adapter_of_a_mana_function(self):
        t = self.tree(driver="mana", ids=("0x1414", "0x00ba"))
        interface(t, "enP1s2d1", mac="7c:1e:52:99:99:99")
        self.bind()
        self.assertEqual(t.get(f"sys/bus/pci/devices/{PCI}/net/enP1s2d1/flags"), "0x1803\n")
        self.assertEqual(t.get("proc/sys/net/ipv6/conf/enP1s2d1/disable_ipv6"), "0\n")

    def test_cloud_init_is_named(self):
        t = self.tree()
        t.put("run/cloud-init/status.json", "{}")
        self.assertIn("\n# cloud-init wrote the network configuration at boot; what applies it is told\n",
                      self.run_ctl("bind", "eth1", "-n")[1])
        t.put("var/lib/cloud/hotplug.enabled", "")
        self.assertIn("\n# cloud-init configures interfaces that come (its hot-plug hook is enabled)",
                      self.run_ctl("bind", "eth1", "-n")[1])

    def test_json(self):
        self.tree()
        self.network_manager()
        code, out, _ = self.run_ctl("bind", "eth1", "-n", "-j")
        self.assertEqual(code, 0)
        self.assertIn(f"nmcli device set {VF} managed no", json.loads(out)["commands"])
        self.assertEqual(json.loads(out)["notes"], [note("NetworkManager").strip()])

    def test_status_names_it(self):
        self.tree()
        self.assertIn(f"    function     {PCI}, mlx5_core as {VF}\n", self.run_ctl("status", "eth1")[1])
        code, out, _ = self.run_ctl("status", "eth1", "-j")
        self.assertEqual((code, json.loads(out)["devices"][0]["functions"]),
                         (0, [{"pci": PCI, "driver": "mlx5_core", "interface": VF}]))

    def test_default_route_of_a_function_that_is_no_slave_was_not_seen(self):
        t = self.tree()
        t.remove(f"sys/bus/pci/devices/{PCI}/net/{VF}/master")
        t.put("proc/net/route", ROUTE_HEADER + f"{VF}\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
        self.check(["bind", "eth1"], 1, "", f"{FREE_NIC} ({VF}) carries the default route: the machine "
                   "would lose its network; --force does it all the same")

    def test_a_bound_adapter_whose_function_nobody_saw_to(self):
        """It came later: bind again."""
        t = self.tree()
        t.remove(f"sys/bus/pci/devices/{PCI}/net")
        t.remove(f"sys/class/net/{VF}")
        self.bind()
        interface(t)
        self.fake_ip(ADDRESSES)
        out, _ = self.bind()
        self.assertIn("already bound", out)
        self.assertEqual(self.ran(), [f"ip address flush dev {VF} scope global"])
        out, _ = self.bind()
        self.assertEqual(self.ran(), [])
        self.unbind()
        self.is_as_it_was()


@unittest.skipUnless(has_namespaces(), "needs root, unshare and ip")
class Kernels(Functions):
    """The kernel's own addresses and routes: the function is a real interface of a real namespace."""

    def test_addresses_and_routes_are_the_same_afterwards(self):
        t = self.tree()
        os.makedirs(t.path("bin"))
        os.symlink(shutil.which("ip"), t.path("bin/ip"))
        t.put("ns.sh", f"""set -e
ip link set lo up
ip link add {VF} type veth peer name peer; ip link set {VF} up; ip link set peer up
ip address add 10.0.1.5/24 brd + dev {VF}; ip address add 10.0.1.6/24 dev {VF}
ip address add 10.0.9.5 peer 10.0.9.6/32 label {VF}:b metric 30 dev {VF}
 ip address add fd00::5/64 dev {VF} nodad
ip route add 192.0.2.0/24 via 10.0.1.1 metric 7; ip route add 198.51.100.0/24 via 10.0.1.1 table 77
ip -6 route add fd01::/64 via fd00::1 metric 9
look() {{ ip -o address show dev {VF} scope global; for f in -4 -6; do ip $f route show table all dev {VF}; done |
	grep -v ^local.fe80; }}  # the kernel's own, and not there at once
look >{t.path('before')}
"$@" bind {FREE_NIC} >&2
ip -o address show dev {VF} scope global >{t.path('during')}
"$@" unbind {FREE_NIC} >&2
look >{t.path('after')}
""")
        with Machine(t):
            done = self.run_ctl(wrap=["unshare", "-n", "sh", t.path("ns.sh")])
        self.assertEqual(done[0], 0, done)
        self.assertEqual(t.get("during"), "")
        self.assertGreater(len(t.get("before").splitlines()), 8)
        self.assertEqual(t.get("after"), t.get("before"))


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


class Lasting(Functions):
    def test_managers_are_told_for_the_next_boot_too(self):
        t = self.tree()
        for name in ("etc/NetworkManager", "etc/systemd/network"):
            os.makedirs(t.path(name))
        files = {NM_FILE: NM_TEXT, NETWORKD_FILE: NETWORKD_TEXT}
        files = {name.replace("run/", "etc/", 1): text for name, text in files.items()}
        out = self.run_ctl("bind", "eth1", "-p", "-n", "--vf", "keep")[1]
        for name, text in files.items():
            self.assertIn(f"cat > @/{name} <<'END'\n{text}END\n", out)
        commands = json.loads(self.run_ctl("bind", "eth1", "-p", "-n", "-j", "--vf", "keep")[1])["commands"]
        self.assertEqual("".join(command + "\n" for command in commands),
                         "".join(line for line in out.splitlines(True) if not line.startswith(f"# {VF} ")))
        self.bind("--persist", "--vf", "keep")
        for name, text in files.items():
            self.assertEqual(t.get(name), text)
        self.assertIn(f" bind --force --vf keep {FREE_NIC}\n",
                      t.get(f"etc/systemd/system/hyperpoll-bind-{FREE_NIC}.service"))
        commands = json.loads(self.run_ctl("unbind", FREE_NIC, "-p", "-n", "-j")[1])["commands"]
        self.assertLessEqual({f"rm -f @/{name}" for name in files}, set(commands))
        with Machine(t):
            code, _, err = self.run_ctl("unbind", FREE_NIC, "--persist")
        self.assertEqual((code, err), (0, ""))
        for name in files:
            self.assertFalse(os.path.exists(t.path(name)))

    def test_wrong_use(self):
        self.tree()
        see = "; see vmbusctl --help"
        self.check(["bind", "eth1", "--vf", "uio"], 2, "", "--vf is auto, keep or vfio-pci, not 'uio'" + see)
        self.check(["unbind", "eth1", "--vf", "keep"], 2, "", "unbind takes no --user or --vf" + see)
        self.check(["status", "--user", "daemon"], 2, "", "status takes no --user or --vf" + see)


if __name__ == "__main__":
    main(__doc__)
