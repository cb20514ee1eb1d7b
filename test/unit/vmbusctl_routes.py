#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vmbusctl bind refuses, because the user would be cut off.
Usage: vmbusctl_routes.py VMBUSCTL"""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmbusctl_rtnetlink import (UNREACHABLE, address, by_object, group, link, nexthop, route, several,
                                via)
from vmbusctl_tree import FREE_NIC, ROUTE_HEADER, ROUTE_NIC, SCSI, Case, has_namespaces, main

LOSES = "the machine would lose its network; --force does it all the same"


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


class Captured(Case):
    """Routes that /proc/net/route does not show, from a captured dump that the same parser reads."""
    LINKS = link(1, "lo") + link(2, "eth0")
    ETH1 = link(3, "eth1")

    def capture(self, *messages, eth1=ETH1):
        t = self.tree()
        t.put("proc/net/route", ROUTE_HEADER)
        t.put_bytes("proc/net/rtnetlink", self.LINKS + eth1 + b"".join(messages))
        return t

    def refused(self, interface, table=None):
        of = "" if table is None else f" of table {table} (VRF or policy routing)"
        for more in ([], ["--dry-run"]):
            self.check(["bind", "eth1", *more], 1, "",
                       f"{FREE_NIC} ({interface}) carries the default route{of}: {LOSES}")
        code, out, _ = self.run_ctl("bind", "eth1", "--dry-run", "--force")
        self.assertEqual((code, len(out.splitlines())), (0, 4))

    def allowed(self):
        code, out, err = self.run_ctl("bind", "eth1", "--dry-run")
        self.assertEqual((code, len(out.splitlines()), err), (0, 4, ""))

    def test_default_route_of_another_table_was_not_seen(self):
        t = self.capture(route(via(3), table=77))
        self.refused("eth1", 77)
        self.assertEqual(t.get(t.device(FREE_NIC, "net/eth1/flags")), "0x1003\n")
        self.assertIn("    carries      default route of table 77 (eth1)\n", self.run_ctl("status", "eth1")[1])
        self.assertIn(f"note  nic {FREE_NIC}  bound to hv_netvsc, carries the default route of table 77 "
                      "(VRF or policy routing) (eth1): keep it\n", self.run_ctl("doctor")[1])

    def test_table_above_255(self):
        self.capture(route(via(3), table=1000))
        self.refused("eth1", 1000)

    def test_ipv6_default_route_of_another_table(self):
        self.capture(route(via(3), table=78, v6=True))
        self.refused("eth1", 78)

    def test_main_table_is_named_before_others(self):
        self.capture(route(via(3), table=78), route(via(3), v6=True))
        self.refused("eth1")

    def test_second_way_of_a_multipath_route(self):
        self.capture(route(several(2, 3)))
        self.refused("eth1")

    def test_nexthop_object(self):
        self.capture(nexthop(9, 3), route(by_object(9), table=79))
        self.refused("eth1", 79)

    def test_member_of_a_nexthop_group(self):
        self.capture(nexthop(8, 2), nexthop(9, 3), group(20, 8, 9), route(by_object(20)))
        self.refused("eth1")

    def test_halves_of_the_address_space(self):
        for one in (route(via(3), length=1), route(via(3), v6=True, length=3)):
            self.capture(one)
            self.refused("eth1")

    def test_virtual_function_below_the_adapter(self):
        self.capture(link(4, "enP1s1", master=3), route(via(4), table=77))
        self.refused("enP1s1", 77)

    def test_vlan_on_the_virtual_function(self):
        self.capture(link(4, "enP1s1", master=3), link(5, "vf.7", lower=4), route(via(5)))
        self.refused("vf.7")

    def test_vrf_that_others_are_routed_into(self):
        self.capture(link(7, "vrf0"), route(via(7)), eth1=link(3, "eth1", master=7))
        self.refused("vrf0")

    def test_more_vlans_than_a_table_of_32(self):
        vlans = [link(100 + i, f"eth1.{i}", lower=3) for i in range(200)]
        self.capture(*vlans, route(via(299)))
        self.refused("eth1.199")
        self.capture(*[link(100 + i, f"eth1.{i}", lower=3) for i in range(1100)])
        self.check(["bind", "eth1"], 1, "", f"{FREE_NIC} has more than 1024 interfaces on it, too many to "
                   "look for a default route on each; --force does it all the same")

    def test_other_routes_are_no_lifeline(self):
        self.capture(route(via(2)), route(via(2), table=77), route(via(3), length=24),
                     route(via(3), v6=True, length=64), route(via(3), kind=UNREACHABLE, table=10),
                     route(via(9)), nexthop(8, 3), route(by_object(7)))
        self.allowed()

    def test_the_other_end_of_a_veth_pair_does_not_stand_on_it(self):
        self.capture(link(4, "peer", lower=3), route(via(4)), eth1=link(3, "eth1", lower=4))
        self.allowed()

    def test_what_cannot_be_read_may_be_the_lifeline(self):
        for damage in (b"\x08\0\0\0" + bytes(12), route(via(3), length=24)[:-4],
                       b"\xff\xff\xff\xff" + bytes(12)):
            self.capture(damage)
            self.check(["bind", "eth1"], 1, "", "the routes of this machine cannot be read (rtnetlink: Bad "
                       f"message), so {FREE_NIC} may carry the default route; --force does it all the same")
        self.assertIn(f"warn  nic {FREE_NIC}  bound to hv_netvsc; whether it carries the default route cannot be "
                      "found out (rtnetlink: Bad message)\n", self.run_ctl("doctor")[1])

    def test_hostile_attributes(self):
        whole = link(4, "enP1s1", master=3) + nexthop(9, 3) + group(20, 9) + route(several(2, 3), table=77)
        t = self.capture()
        for i in range(0, len(whole), 2):
            changed = bytearray(whole)
            changed[i] = (0, 3, 0x7f, 0xff)[i // 2 % 4]
            t.put_bytes("proc/net/rtnetlink", self.LINKS + self.ETH1 + bytes(changed))
            code, _, err = self.run_ctl("bind", "eth1", "--dry-run")
            self.assertIn(code, (0, 1), err)

    def test_only_address_of_the_machine_is_said(self):
        self.capture(address(1, "127.0.0.1"), address(3, "10.0.1.4"))
        code, out, err = self.run_ctl("bind", "eth1", "--dry-run")
        self.assertEqual((code, len(out.splitlines()), err),
                         (0, 4, f"vmbusctl: note: no interface but those of {FREE_NIC} has an address: "
                          "nobody will reach this machine over the network\n"))
        self.capture(address(2, "10.0.0.4"), address(3, "10.0.1.4"))
        self.allowed()

    def test_ssh_to_an_address_of_a_vrf(self):
        self.capture(address(2, "10.0.0.4"), address(3, "192.0.2.4"), address(3, "2001:db8::4"))
        for connection in ("198.51.100.7 50000 192.0.2.4 22", "2001:db8:1::7 50000 2001:db8::4 22"):
            self.check(["bind", "eth1"], 1, "", f"{FREE_NIC} (eth1) carries this SSH connection: it would "
                       "be cut; --force does it all the same", SSH_CONNECTION=connection)

    def test_interface_in_another_network_namespace(self):
        t = self.capture()
        t.remove(t.device(FREE_NIC, "net"))
        self.check(["bind", FREE_NIC], 1, "", f"{FREE_NIC} has its interface in another network namespace, "
                   "where it may carry the default route: give it back first, or run this there; --force "
                   "does it all the same")
        self.assertIn(f"note  nic {FREE_NIC}  bound to hv_netvsc, its interface is in another network namespace\n",
                      self.run_ctl("doctor")[1])


class FilesOfProc(Case):
    def test_virtual_function_that_only_sysfs_knows(self):
        for how in ("lower", "master"):
            t = self.tree()
            t.put("proc/net/route", ROUTE_HEADER
                  + "enP1s1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n")
            if how == "lower":
                t.put(t.device(FREE_NIC, "net/eth1/lower_enP1s1"), "")
            else:
                t.link("sys/class/net/enP1s1/master", "../eth1")
            self.check(["bind", "eth1"], 1, "",
                       f"{FREE_NIC} (enP1s1) carries the default route: {LOSES}")


@unittest.skipUnless(has_namespaces(), "needs root, unshare and ip")
class Kernels(Case):
    """The kernel's own answers: eth1 of the fixture is a real interface of a real namespace."""
    BASE = """ip link set lo up
        ip link add eth0 type veth peer name p0; ip link add eth1 type veth peer name p1
        for i in eth0 p0 eth1 p1; do ip link set $i up; done
        ip addr add 10.0.0.4/24 dev eth0; ip addr add 10.0.1.4/24 dev eth1
        ip -6 addr add fd00:1::4/64 dev eth1 nodad
        """

    def in_namespace(self, script, *arguments, **more):
        t = self.tree()
        t.put("proc/net/route", ROUTE_HEADER)
        t.put("ns.sh", "set -e\n" + self.BASE + script + "\nexec \"$@\"\n")
        return self.run_ctl(*arguments, wrap=["unshare", "-n", "sh", t.path("ns.sh")], **more)

    def refused(self, script, interface, table=None):
        of = "" if table is None else f" of table {table} (VRF or policy routing)"
        self.assertEqual(self.in_namespace(script, "bind", "eth1"),
                         (1, "", f"vmbusctl: {FREE_NIC} ({interface}) carries the default route{of}: {LOSES}\n"))

    def can(self, script):
        return subprocess.run(["unshare", "-n", "sh", "-ec", self.BASE + script], check=False,
                              capture_output=True).returncode == 0

    def test_no_default_route(self):
        code, out, err = self.in_namespace("ip route add default via 10.0.0.1; "
                                           "ip route add 192.0.2.0/24 via 10.0.1.1", "bind", "eth1", "-n")
        self.assertEqual((code, len(out.splitlines()), err), (0, 4, ""))

    def test_main_table(self):
        self.refused("ip route add default via 10.0.1.1", "eth1")
        self.refused("ip -6 route add default via fd00:1::1", "eth1")

    def test_other_tables(self):
        self.refused("ip route add default via 10.0.1.1 table 77", "eth1", 77)
        self.refused("ip route add default via 10.0.1.1 table 70000", "eth1", 70000)
        self.refused("ip -6 route add default via fd00:1::1 table 78", "eth1", 78)

    def test_multipath(self):
        self.refused("ip route add default nexthop via 10.0.0.1 nexthop via 10.0.1.1", "eth1")
        self.refused("ip -6 addr add fd00:0::4/64 dev eth0 nodad; ip -6 route add default "
                     "nexthop via fd00:0::1 dev eth0 nexthop via fd00:1::1 dev eth1", "eth1")

    def test_nexthop_objects(self):
        for quiet in ("", "sysctl -qw net.ipv4.nexthop_compat_mode=0; "):
            objects = quiet + ("ip nexthop add id 8 via 10.0.0.1 dev eth0; "
                               "ip nexthop add id 9 via 10.0.1.1 dev eth1; ")
            if not self.can(objects):
                self.skipTest("the kernel has no nexthop objects")
            self.refused(objects + "ip route add default nhid 9 table 79", "eth1", 79)
            self.refused(objects + "ip nexthop add id 20 group 8/9; ip route add default nhid 20", "eth1")

    def test_bridge_and_macvlan(self):
        self.refused("ip addr flush dev eth1; ip link add br0 type bridge; ip link set eth1 master br0; "
                     "ip link set br0 up; ip addr add 10.0.1.4/24 dev br0; "
                     "ip route add default via 10.0.1.1", "br0")
        script = "ip link add link eth1 name mv0 type macvlan; ip link set mv0 up; ip route add default dev mv0"
        if self.can(script):
            self.refused(script, "mv0")

    def test_vrf(self):
        script = ("ip link add vrf0 type vrf table 10; ip link set vrf0 up; ip link set eth1 master vrf0; "
                  "ip route add default via 10.0.1.1 vrf vrf0")
        if not self.can(script):
            self.skipTest("the kernel has no VRF")
        self.refused(script, "eth1", 10)

    def test_ssh_by_a_routing_policy(self):
        script = ("ip route add default via 10.0.0.1; ip route add 198.51.100.0/24 via 10.0.1.1 table 77; "
                  "ip rule add to 198.51.100.0/24 table 77")
        self.assertEqual(
            self.in_namespace(script, "bind", "eth1", SSH_CONNECTION="198.51.100.7 50000 10.0.0.4 22"),
            (1, "", f"vmbusctl: {FREE_NIC} (eth1) carries this SSH connection: it would be cut; --force "
             "does it all the same\n"))
        code, _, err = self.in_namespace(script, "bind", "eth1", "-n",
                                         SSH_CONNECTION="203.0.113.7 50000 10.0.0.4 22")
        self.assertEqual((code, err), (0, ""))


if __name__ == "__main__":
    main(__doc__)
