# SPDX-License-Identifier: BSD-3-Clause
"""What a drill plays with: hvsim with five NICs, two stock testpmds, and who reads their counters.

NIC 0 is reached through a wire that can be cut (proxy.py), NIC 1 has a virtual function (as root);
testpmd A forwards what their generators make. NIC 2 is a bystander and NIC 3 plays and records a
capture, both testpmd B's. NIC 4 is left to clients that do not behave.
"""
import json
import os
import re
import time

import frames
from books import difference, hops
from harness import BUILD, Host, Namespace, Testpmd, descriptors, loadable, memory_args, wait_until
from processes import mappings, waited
from proxy import Proxy
from schedule import ATTACKED, BYSTANDER, DIRECT, PROXIED, RECORDER, RECOVERY
from telemetry import Telemetry
from test_life import Traffic
from vf_network import VF, af_packet, prepare

SMALL = "recv=2M,send=1M"
QUEUES = 2
ROOT = os.geteuid() == 0
HUNGER = loadable(os.path.join(BUILD, "test/drill/libhunger.so"))
COUNTED = (PROXIED, DIRECT, BYSTANDER, RECORDER)


class Guest(Testpmd):
    """testpmd with its counters; what a stop sets to 0 is added up."""

    def __init__(self, devices, nics, **keys):
        self.nics = nics  # by port
        self.kept = dict.fromkeys(nics, 0)
        self.forwarding = False
        self.telemetry = None
        super().__init__(devices, queues=QUEUES, telemetry=True, **keys)

    def ready(self):
        super().ready()
        self.telemetry = Telemetry(self)
        return self

    def port(self, nic):
        return self.nics.index(nic)

    def info(self, nic):
        return self.telemetry.cmd("/netvsc/info", self.port(nic))

    def counters(self, nic):
        """Statistics of both kinds. opackets leaves out what nobody has looked at since the host completed it, once it
        has refused something; so it is what was sent but for what was refused."""
        port = self.port(nic)
        told = {**self.telemetry.cmd("/ethdev/xstats", port), **self.telemetry.cmd("/ethdev/stats", port)}
        sent = sum(queue["tx_frames"] - queue["tx_refused"] for queue in self.telemetry.queues(port))
        return {**told, "opackets": sent + told.get("tx_vf_packets", 0)}

    def _dropped(self, text):
        """TX-dropped by NIC, added up over streams: those of a port have the driver's errors in them."""
        found = dict.fromkeys(self.nics, 0)
        for port, n in re.findall(r"-> TX Port= *(\d+)/Queue= *\d+ -+\s+RX-packets:.*TX-dropped: *(\d+)", text):
            found[self.nics[int(port)]] += int(n)
        return found

    def dropped(self):
        """What the application could not send, by NIC."""
        now = self._dropped(self.cmd("show fwd stats all")) if self.forwarding else dict.fromkeys(self.nics, 0)
        return {nic: self.kept[nic] + now[nic] for nic in self.nics}

    def go(self, patient=None):
        self.start(patient)
        self.forwarding = True

    def halt(self):
        if self.forwarding:
            self.forwarding = False
            for nic, n in self._dropped(self.stop()).items():
                self.kept[nic] += n

    def close(self):
        if self.telemetry is not None:
            self.telemetry.close()
        super().close()


class World(Traffic):
    """The programs of a drill, and what can be asked of them."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.demolish)

    def build(self, seed):
        self.seed, self.lives = seed, getattr(self, "lives", 0)
        self.space = Namespace() if ROOT else None
        if ROOT:
            self.space.run("ip", "tuntap", "add", VF, "mode", "tap")
            self.space.run("sysctl", "-qw", f"net.ipv6.conf.{VF}.disable_ipv6=1")
        self.capture = self.path("in.pcap")
        frames.pcap_write(self.capture, frames.every_size()[::7])
        self.disk = self.path("disk")
        os.makedirs(self.disk, exist_ok=True)
        self.folder = self.mkdtemp()
        self.host = self.start_host()
        self.proxy = Proxy(self.path("wire.sock"), self.host.socket(PROXIED))
        self.vf = True
        self.guest_b = self.start_guest(
            [self.host.device(BYSTANDER), self.host.device(RECORDER)], (BYSTANDER, RECORDER))
        self.guest_b.go("io")
        self.guest_a = self.start_guest_a()

    def demolish(self):
        """What build() has made, but the programs."""
        if getattr(self, "proxy", None):
            self.proxy.close()
            os.unlink(self.proxy.path)
            self.proxy = None
        if getattr(self, "space", None):
            self.space.close()
            self.space = None

    # ---- programs ----

    def nics(self):
        def gen(rate, flows):
            # Frames of a host that died are of another stream than those of the next one.
            return f"gen:size=60-1514,flows={flows},rate={rate},seed={self.seed % 1000 * 1000 + self.lives}"

        vf = f",vf-port=tap:{VF}" if ROOT else ""
        return [
            (f"{SMALL},channels=4,spoof=off", gen("20K", 16)),
            (f"{SMALL},channels=4,ring=64K,spoof=off{vf}", gen("4K", 16)),
            (f"{SMALL},channels=2", gen("5K", 8)),
            (f"{SMALL},channels=2", f"pcap:in={self.capture},loop=0,rate=500,out={self.disk}/out.pcap"),
            ("channels=4,ring=64K,recv=1M,send=1M", "sink"),
        ]

    def start_host(self):
        """hvsim, with a disk of its own for what it records."""
        self.lives += 1
        prefix = []
        if ROOT:
            prefix = [*self.space.prefix, "unshare", "-m", "sh", "-c",
                      'mount -t tmpfs -o size=16M none "$0" && exec "$@"', self.disk]
        host = self.own(Host(self.folder, *self.nics(), prefix=prefix))

        def serves():
            try:
                return host.stats()
            except (OSError, ValueError):
                if not host.alive():
                    raise RuntimeError("hvsim ended at its start") from None
                return None  # the sockets are still those of the one before

        host.ready()
        wait_until(serves, 10, "hvsim answers")
        if ROOT:
            prepare(self.space, VF, mac="00:15:5d:48:00:02")
        return host

    def start_guest(self, devices, nics, **keys):
        return self.own(Guest(devices, nics, **{"mode": "io", **keys, "args": [
            "--port-topology=loop", *keys.pop("args", ())]})).ready()

    def start_guest_a(self):
        keys = {"eal": [f"--vdev={af_packet(QUEUES)}"], "prefix": self.space.prefix,
                "args": ["--portmask=0x3"]} if ROOT else {}
        direct = self.host.device(DIRECT, ",vf=net_af_packet0" if ROOT else "")
        # What takes its memory away, of which it may have so much (MB of a socket; without hugepages there is no more).
        keys.setdefault("eal", []).extend(["-d", HUNGER])
        if "--in-memory" in memory_args():
            keys["eal"].append("--socket-limit=64,64,64,64")
        # Half of the frames by reference, and not more mbufs than can be in flight.
        keys.setdefault("args", []).extend(["--total-num-mbufs=1400", "--mbcache=16", "--txd=1024"])
        guest = self.start_guest(
            [f"vmbus:{self.host.guids[PROXIED]},vfio-user={self.proxy.path},tx_copybreak=512", direct],
            ATTACKED, mode="macswap", **keys)
        guest.go()
        return guest

    def guest_of(self, nic):
        return self.guest_a if nic in ATTACKED else self.guest_b

    # ---- counters ----

    def host_counters(self):
        return self.host.request("stats")["nics"]

    def interface(self):
        stats = json.loads(self.space.run("ip", "-j", "-s", "link", "show", VF))[0]["stats64"]
        return {way: stats[way]["dropped"] + stats[way]["errors"] for way in ("rx", "tx")}

    def moment(self):
        """All counters, by NIC; right when nothing moves."""
        host = self.host_counters()
        dropped = {**self.guest_a.dropped(), **self.guest_b.dropped()}
        found = {nic: {"host": host[nic], "guest": self.guest_of(nic).counters(nic),
                       "app": {"dropped": dropped[nic]}} for nic in COUNTED}
        if ROOT:
            # Of the kernel's view: rx of the interface is what hvsim wrote into the TAP's other end.
            lost = self.interface()
            found[DIRECT]["interface"] = {"rx": lost["rx"], "tx": lost["tx"]}
        return found

    def moved(self):
        """What changes while frames are on their way."""
        return [(n["rx_frames"], n["tx_frames"], n.get("vf_rx_frames"), n.get("vf_tx_frames"),
                 n["port_stats"]["rx_frames"], n["port_stats"]["tx_frames"]) for n in self.host_counters()]

    def hold(self, on=True):
        for nic in COUNTED:
            self.host.set("stall_rx", int(on), nic)

    def books(self, before, sessions):
        """Hops of every NIC since before. @return counters, {NIC: hops}"""
        now = self.moment()
        return now, {nic: hops(difference(before[nic], now[nic]), sessions.get(nic, 0)) for nic in before}

    def settle(self, before, sessions, seconds=8):
        """No new frames; wait until those on their way have arrived, and the books balance.

        @return counters, {NIC: hops}
        """
        self.hold()
        last, quiet = None, 0
        end = time.monotonic() + seconds
        while True:
            seen = self.moved()
            quiet = quiet + 1 if seen == last else 0
            last = seen
            if quiet >= 2:
                now, found = self.books(before, sessions)
                if not any(hop.unexplained() for nic in found for hop in found[nic]) or time.monotonic() > end:
                    return now, found
            time.sleep(0.005)

    # ---- waiting ----

    def verified(self, nic):
        port = self.host.port(nic)
        return port["verified"] if "verified" in port else port["tx_frames"]

    def flows(self, nic, frames_=50, since=None, seconds=RECOVERY):
        """Wait for frames that came back; @return seconds since the end of the fault.

        The time that the threads in between wait for a processor is not theirs, but for so long at most.
        """
        since = time.monotonic() if since is None else since
        start = self.verified(nic)
        pids = [self.host.child.pid, self.guest_of(nic).child.pid]
        before = waited(pids)
        while self.verified(nic) < start + frames_:
            took = time.monotonic() - since
            if took > seconds:
                now = waited(pids)
                starved = sum(sorted((now[t] - before.get(t, 0) for t in now), reverse=True)[:3])
                if took > seconds + min(starved, 2 * seconds):
                    return None
            time.sleep(0.01)
        return time.monotonic() - since

    def awaits_state(self, nic, states, seconds=RECOVERY):
        guest = self.guest_of(nic)
        wait_until(lambda: guest.info(nic)["state"] in states, seconds * 3, f"NIC {nic} is {' or '.join(states)}")

    # ---- what must not grow ----

    def footprint(self):
        """Descriptors and mappings of every program, and what ports hold of the host's."""
        found = {}
        for name, program in (("host", self.host), ("guest A", self.guest_a), ("guest B", self.guest_b)):
            found[f"{name} descriptors"] = descriptors(program)
            found[f"{name} mappings"] = mappings(program, "memfd:hvsim")
        for nic in COUNTED:
            info = self.guest_of(nic).info(nic)
            found[f"NIC {nic} sections lent"] = info["recv_sections_lent"]
        return found
