# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's bonding driver on top of two of our ports, each of which has a virtual function.

A generator's numbered frames go through testpmd into the upper port, and out of one of the NICs below. The second of
these, which has the frames while nothing happens, is of a host of its own, that can be killed.
"""
import json
import re
import signal

import round_trip
from harness import Case, Namespace, needs_root, wait_until
from selection import long_run
from test_bond import installed
from vf_network import af_packet, prepare

NAMES = "vfa", "vfb"  # interfaces of the VFs, which outlive their hosts
MAC = "02:00:00:00:00:77"
MTU = 1400  # af_packet takes none above 1500
TRAFFIC = f"gen:size=60-{MTU + 14},flows=16,rate=4K"
BACKUP, FIRST = 0, 1  # of the ports below


@installed("bond")
@needs_root
class BondOverVfs(Case):
    """hosts[0]: NIC 0 has the generator, NIC 1 is below; hosts[1]: NIC 0 is below."""

    limit = 400
    below = (0, 1), (1, 0)

    def network(self):
        self.space = Namespace()
        self.addCleanup(self.space.close)
        for name in NAMES:
            self.space.run("ip", "tuntap", "add", name, "mode", "tap")
        nics = [(f"vf-port=tap:{name}", "echo") for name in NAMES]
        prefix = self.space.prefix
        self.hosts = [self.host(TRAFFIC, nics[0], prefix=prefix), self.host(nics[1], first=3, prefix=prefix)]
        for number, name in enumerate(NAMES, 2):
            prepare(self.space, name, f"00:15:5d:48:00:0{number}")
        self.vdevs = [f"--vdev={af_packet(iface=name, number=n)}" for n, name in enumerate(NAMES)]

    def device(self, below):
        host, nic = self.below[below]
        return self.hosts[host].device(nic, f",vf=net_af_packet{below}")

    def stats(self, below):
        host, nic = self.below[below]
        return self.hosts[host].stats(nic)

    def request(self, cmd, below, **members):
        host, nic = self.below[below]
        return self.hosts[host].request(cmd, nic, **members)

    # ---- frames ----

    def await_path(self, below, vf):
        wait_until(lambda: self.stats(below)["path_is_vf"] == vf, 20,
                   f"port {below} is on the {'VF' if vf else 'synthetic path'}")

    def await_frames(self, below, vf, n=200):
        """They come back by this port and its path."""
        key = "vf_tx_frames" if vf else "tx_frames"
        verified, sent = self.hosts[0].port()["verified"], self.stats(below)[key]
        wait_until(lambda: self.hosts[0].port()["verified"] >= verified + n, 15, "frames come back")
        wait_until(lambda: self.stats(below)[key] >= sent + n // 4, 15, f"frames by {key} of port {below}")

    def settled(self):
        """All frames have arrived somewhere, none of them twice or changed. @return how many did not come back"""
        return round_trip.lost(self, self.hosts[0], 2)

    def counted(self, pmd):
        """Every counter of lost frames that is not 0."""
        found = {}
        for name, nic in ("generator", self.hosts[0].stats(0)), *((NAMES[n], self.stats(n)) for n in range(2)):
            found.update({f"{name} {key}": value for key, value in nic.items() if "_dropped_" in key or key == "tx_errors"})
            if name in NAMES:
                found.update({f"{name}'s port {key}": nic["vf_port_stats"][key]
                              for key in ("tx_dropped_full", "tx_dropped_error", "rx_dropped_size")})
                kernel = json.loads(self.space.run("ip", "-j", "-s", "link", "show", name))[0]["stats64"]
                found.update({f"{name} {way} {key}": kernel[way][key] for way in ("rx", "tx")
                              for key in ("dropped", "errors")})
        for port in range(3):
            found.update({f"port {port} {key}": value for key, value in pmd.stats(port).items()
                          if key in ("RX-missed", "RX-nombuf", "RX-errors")})
        found.update({f"testpmd to {port}": pmd.dropped(port) for port in (0, self.upper)})
        return {key: value for key, value in found.items() if value}

    def check_books(self, pmd):
        """Every frame that is missing was counted by somebody."""
        lost, counted = self.settled(), self.counted(pmd)
        # What came meanwhile may have been lost since, and counted.
        if lost != sum(counted.values()):
            lost, counted = self.settled(), self.counted(pmd)
        self.assertEqual(lost, sum(counted.values()), counted)
        return lost

    def check_nothing_is_lost(self, below, vf):
        lost = self.settled()
        self.await_frames(below, vf, 1000)
        self.assertEqual(self.settled(), lost)

    # ---- what happens ----

    def flips(self, pmd, n):
        """The VF goes and comes: the upper port sees nothing of it."""
        for flip in range(n):
            self.request("set", FIRST, name="vf_removal", value=("path_first", "ask", "vf_first")[flip % 3])
            self.request("vf", FIRST, present=False)
            self.await_path(FIRST, False)
            self.await_frames(FIRST, False, 50)
            self.request("vf", FIRST, present=True, serial=flip + 1)
            self.await_path(FIRST, True)
            self.await_frames(FIRST, True, 50)

    def interface(self, name):
        return json.loads(self.space.run("ip", "-j", "link", "show", name))[0]

    def settings(self, pmd):
        """What the bond is told reaches the VF of who has the frames, and frames flow on."""
        name = NAMES[FIRST]
        for state in ("off", "on"):
            pmd.cmd(f"set promisc {self.upper} {state}")
            wait_until(lambda: ("PROMISC" in self.interface(name)["flags"]) == (state == "on"), 10, f"promiscuous {state}")
        pmd.cmd(f"set bonding mac_addr {self.upper} {MAC}")
        wait_until(lambda: self.interface(name)["address"] == MAC, 10, "the VF has the MAC address")
        self.assertNotRegex(pmd.cmd(f"port config mtu {self.upper} {MTU}"), "[Ff]ail|[Ee]rror")
        wait_until(lambda: self.interface(name)["mtu"] == MTU, 10, "the VF has the MTU")
        self.await_path(FIRST, True)
        self.check_nothing_is_lost(FIRST, True)

    def away(self, pmd, start):
        """The other one has the frames. The interface is what it was before anybody set anything."""
        pmd.expect("waits for it to come back", 10, start)
        self.await_frames(BACKUP, True)
        self.space.run("ip", "link", "set", NAMES[FIRST], "mtu", 1500)

    def rescind(self, pmd):
        start = len(pmd.text)
        self.request("rescind", FIRST)
        self.away(pmd, start)
        wait_until(lambda: self.stats(FIRST)["state"] == "offered", 10, "the session is over")
        self.request("offer", FIRST)
        self.comes_back(pmd, start)

    def kill(self, pmd):
        start = len(pmd.text)
        host = self.hosts[1]
        host.signal(signal.SIGKILL)
        host.wait()
        self.away(pmd, start)
        self.hosts[1] = self.host((f"vf-port=tap:{NAMES[FIRST]}", "echo"), first=3, prefix=self.space.prefix,
                                  directory=host.dir)
        self.comes_back(pmd, start)

    def comes_back(self, pmd, start):
        pmd.expect("the port has recovered", 10, start)
        self.await_path(FIRST, True)
        self.assertEqual(self.interface(NAMES[FIRST])["mtu"], MTU)
        self.check_nothing_is_lost(FIRST, True)

    # ---- the tests ----

    def bond(self, timed):
        """testpmd with an active-backup bond of ports 1 and 2; forwards between it and port 0."""
        self.network()
        self.hosts[0].hold()
        pmd = self.guest([self.hosts[0].device(0), self.device(0), self.device(1)], ports=3, eal=self.vdevs,
                         args=["--port-topology=chained", "--portmask=0x7"], prefix=self.space.prefix, timed=timed)
        pmd.cmd("port stop all")
        made = pmd.any_of("create bonded device 1 0", "create bonding device 1 0")
        self.upper = int(re.search(r"Created new bond\w* device .*\(port (\d+)\)", made).group(1))
        for port in (1, 2):
            self.assertNotIn("Failed", pmd.any_of(f"add bonding slave {port} {self.upper}",
                                                  f"add bonding member {port} {self.upper}"))
        pmd.cmd(f"set bonding primary 2 {self.upper}")
        pmd.cmd("port start 0")
        pmd.cmd(f"port start {self.upper}")
        pmd.cmd(f"set portlist 0,{self.upper}")
        pmd.start()
        self.hosts[0].hold(False)
        for below in (BACKUP, FIRST):
            self.await_path(below, True)
        self.await_frames(FIRST, True)
        return pmd

    def check(self, flips, *losses):
        """@param losses of the device or the host, one after the other"""
        pmd = self.bond(2 * (flips + len(losses)))
        backup = self.stats(BACKUP)
        self.flips(pmd, flips)
        self.settings(pmd)
        lost = self.check_books(pmd)
        for key in ("tx_frames", "vf_tx_frames"):
            self.assertEqual(self.stats(BACKUP)[key], backup[key], "the bond went to the other port")
        for lose in losses:
            lose(pmd)
        self.assertEqual(self.interface(NAMES[FIRST])["address"], MAC)
        print(f"     {flips} flips, {lost} frames lost, counted", flush=True)
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)

    def test_active_backup(self):
        self.check(1)

    @long_run
    def test_active_backup_many_times(self):
        self.check(30, *10 * (self.rescind, self.kill))
