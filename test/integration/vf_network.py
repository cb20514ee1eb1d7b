# SPDX-License-Identifier: BSD-3-Clause
"""A NIC of hvsim with a virtual function: a TAP whose interface testpmd opens as another ethdev.

The network is a generator: testpmd sends its frames back, by whichever path, and every one that the
generator does not get back must have been counted by somebody.
"""
import json
import os

import round_trip
from harness import Namespace, wait_until

MAC = "00:15:5d:48:00:01"  # of the harness' first NIC
VF = "vf0"
# An interface of the kernel's own, behind which DPDK sits; a wire leads from there to the TAP.
BEHIND = "vf0x"
FRAMES = 8192  # in rings of af_packet: what waits while a busy machine does something else


def prepare(space, name, mac=MAC):
    """Make an interface a VF: up, with a MAC address, and the kernel itself silent on it."""
    space.run("sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    space.run("ip", "link", "set", name, "address", mac, "txqueuelen", 10000)
    space.run("ip", "link", "set", name, "up")


def af_packet(queues=1, iface=VF, number=0):
    """EAL's argument for a VF as an ethdev."""
    return f"net_af_packet{number},iface={iface},qpairs={queues},blocksz=4096,framesz=2048," \
           f"framecnt={FRAMES // queues}"


class VfNetwork:
    """A namespace with hvsim, whose NIC 0 has the VF; close() removes it.

    @param others ports of further NICs; @param outlives: the interface outlives hvsim
    """

    def __init__(self, case, settings="", port="gen:size=60-1514,flows=16,rate=4K", others=(), outlives=False):
        self.space = Namespace()
        case.addCleanup(self.space.close)
        settings = ",".join(filter(None, ("" if "spoof=" in settings else "spoof=off", settings,
                                         f"vf-port=tap:{VF}")))
        self.case = case
        self.nics = ((settings, port), *others)
        self.forgotten = 0  # of the frames that testpmd dropped, as its own counters begin at 0 with each start
        if outlives:
            self.space.run("ip", "tuntap", "add", VF, "mode", "tap")
        self.host = case.host(*self.nics, prefix=self.space.prefix)
        prepare(self.space, VF)

    def add_tap(self, name, mac=MAC):
        """Another interface, which is nobody's VF."""
        self.space.run("ip", "tuntap", "add", name, "mode", "tap")
        prepare(self.space, name, mac)

    # ---- the guest ----

    def guest(self, queues=1, vf="net_af_packet0", vdevs=None, ports=1, timed=None, **keys):
        eal = [f"--vdev={vdev}" for vdev in ([af_packet(queues)] if vdevs is None else vdevs)]
        eal += keys.pop("eal", ())
        return self.case.guest(
            [self.host.device(0, f",vf={vf}" if vf else "")], mode="macswap", queues=queues,
            eal=eal, ports=ports, prefix=self.space.prefix, timed=timed,
            args=["--portmask=0x1", *keys.pop("args", ())], **keys)

    def restart(self, pmd):
        """The port stops and starts while no frames are on their way; then they flow."""
        self.settle()
        self.forgotten += pmd.dropped()
        pmd.stop()
        pmd.cmd("port stop 0")
        pmd.cmd("port start 0")
        pmd.start()
        self.host.hold(False)

    # ---- the host ----

    def vf(self, **members):
        self.host.request("vf", 0, **members)

    def on_vf(self):
        return self.host.stats()["path_is_vf"]

    def await_path(self, vf, timeout=15):
        wait_until(lambda: self.on_vf() == vf, timeout,
                   f"the data path is {'the VF' if vf else 'synthetic'}")

    def await_frames(self, n=200, timeout=10):
        """The generator has n frames more."""
        start = self.host.port()["verified"]
        wait_until(lambda: self.host.port()["verified"] >= start + n, timeout, "frames come back")

    def await_frames_on(self, vf, n=200, timeout=10):
        """That many go both ways by the VF, or by the synthetic path."""
        keys = ("vf_rx_frames", "vf_tx_frames") if vf else ("rx_frames", "tx_frames")
        start = self.host.stats()
        wait_until(lambda: all(self.host.stats()[key] >= start[key] + n for key in keys), timeout,
                   f"frames move {keys}")

    # ---- the books ----

    def interface(self, name=VF):
        """What the kernel lost at an interface, by name of the counter."""
        stats = json.loads(self.space.run("ip", "-j", "-s", "link", "show", name))[0]["stats64"]
        return {f"{name} {way} {key}": stats[way][key] for way in ("rx", "tx")
                for key in ("dropped", "errors")}

    def mtu(self, name=VF):
        return json.loads(self.space.run("ip", "-j", "link", "show", name))[0]["mtu"]

    def losses(self, pmd=None, interfaces=(VF,)):
        """Every counter of lost frames that is not 0."""
        found = {}
        for number in range(len(self.nics)):
            nic = self.host.stats(number)
            found.update({f"NIC {number} {key}": nic[key] for key in nic
                          if "_dropped_" in key or key == "tx_errors"})
        nic = self.host.stats()
        found.update({f"VF's port {key}": nic["vf_port_stats"][key]
                      for key in ("tx_dropped_full", "tx_dropped_error", "rx_dropped_size")})
        for name in interfaces:
            found.update(self.interface(name))
        if pmd is not None:
            stats = pmd.stats()
            found.update({f"guest {key}": stats[key]
                          for key in ("RX-missed", "RX-nombuf", "RX-errors")})
            # With what testpmd drops because a burst, at a flip, did not take it.
            found["guest TX-dropped"] = self.forgotten + pmd.dropped()
        return {key: value for key, value in found.items() if value}

    def settle(self):
        """No new frames; wait until those on their way have arrived somewhere."""
        round_trip.settle(self.host, len(self.nics))

    def check_books(self, pmd, interfaces=(VF,)):
        """Nothing corrupted, nothing twice, every lost frame counted. @return how many were lost"""
        def look():
            port = self.host.port()
            counted = self.losses(pmd, interfaces)
            return port, counted, port["rx_frames"] - port["verified"]

        def balance():
            _, counted, lost = look()
            return lost == sum(counted.values())

        self.settle()
        try:
            # On a busy machine one may sleep with frames in its hands.
            wait_until(balance, 10, "the books balance")
        except TimeoutError:
            pass
        port, counted, lost = look()
        check = self.case
        check.assertEqual((port["corrupt"], port["duplicate"], port["foreign"]), (0, 0, 0), port)
        check.assertEqual(lost, sum(counted.values()), f"counted: {counted}")
        self.host.hold(False)
        return lost


class TapVf(VfNetwork):
    """The VF is DPDK's net_tap behind a wire: it can be stopped and started, and has a link."""

    DEVICE = "net_tap0"
    VDEV = f"{DEVICE},iface={BEHIND},mac={MAC}"

    def wire(self):
        """Between the TAP of DPDK, which testpmd has made, and that of hvsim."""
        self.space.run("sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{BEHIND}/disable_ipv6")
        for a, b in ((VF, BEHIND), (BEHIND, VF)):
            self.space.run("tc", "qdisc", "add", "dev", a, "ingress")
            self.space.run("tc", "filter", "add", "dev", a, "parent", "ffff:", "protocol", "all",
                           "u32", "match", "u32", "0", "0", "action", "mirred", "egress",
                           "redirect", "dev", b)


FLIPS = int(os.environ.get("HYPERPOLL_FLIPS", "100"))
