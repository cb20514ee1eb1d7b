#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind and unbind do with the virtual function below an adapter, and with what manages it.
Usage: vmbusctl_vf.py VMBUSCTL"""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_functions import (PCI, VF, DEVICES, DRIVERS, CONF, FLAGS, BINDS, STATE, NM_FILE, NM_TEXT,
                                NETWORKD_FILE, NETWORKD_TEXT, ADDRESSES, ROUTES, Machine, interface, Functions,
                                note)
from vmbusctl_tree import FREE_NIC, ROUTE_HEADER, has_namespaces, main


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
