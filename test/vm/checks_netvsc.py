# SPDX-License-Identifier: BSD-3-Clause
"""Linux's own hv_netvsc against lib/host: proves the host honest (checks of one guest, one boot)."""
import os
import re
import shutil
import socket
import sys
import time

from guest import GuestError
from network import Flood, Receiver, Sniffer, csum_errors, ping, send_blob, sh
from report import Skip

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))
import wire  # noqa: E402  # pylint: disable=wrong-import-position

HOST, GUEST = "10.9.0.1", "10.9.0.2"
MEGABYTE = 1 << 20


def need(condition, text):
    if not condition:
        raise AssertionError(text)


def counters(guest):
    """Packet counters of ethtool -S by name; only these, as each line takes its time."""
    return {n.strip(): int(v) for n, v in
            re.findall(r"^\s*(\S+): (\d+)$", guest.check("ethtool -S eth0 | grep packets:"), re.M)}


def set_up(guest):
    """Give eth0 its address again; it forgets it when the driver goes."""
    guest.poll("test -e /sys/class/net/eth0")
    guest.check("ip addr replace %s/24 dev eth0 && ip link set eth0 up" % GUEST)
    guest.poll("test $(cat /sys/class/net/eth0/carrier) = 1")


class Netvsc:
    def __init__(self, machine, guest):
        self.machine, self.guest = machine, guest

    def detected(self):
        # Only the lines in question: the serial port takes 20 ms a line.
        log = self.guest.check("dmesg | grep -E 'Hyper-V|Vmbus version'")
        # 7.2 has "ext" flags in between.
        for text in ("Hypervisor detected: Microsoft Hyper-V",
                     "privilege flags low 0xaf7, high 0x30, ", ", hints 0x228, misc 0x510",
                     "hv_vmbus: Vmbus version:5.3"):
            need(text in log, "the guest's log lacks '%s'" % text)

    def link(self):
        set_up(self.guest)
        need(self.guest.check("cat /sys/class/net/eth0/address").strip() == self.machine.stats()["mac"],
             "the MAC address differs")
        return self.machine.stats()["state"]

    def dhcp(self):
        """An address from a DHCP server at the TAP (busybox's), then the static one again."""
        sh("printf 'start 10.9.0.50\\nend 10.9.0.59\\ninterface %s\\nlease_file /tmp/leases\\n"
           "option subnet 255.255.255.0\\n' > /tmp/udhcpd.conf; : > /tmp/leases" % self.machine.tap)
        server = self.machine.background(["/bin/busybox", "udhcpd", "-f", "/tmp/udhcpd.conf"])
        try:
            out = self.guest.check("udhcpc -i eth0 -n -q -t 8 -T 2 -s /bin/true 2>&1", 40)
        finally:
            server.terminate()
            server.wait(5)
        need(re.search(r"lease of 10\.9\.0\.5\d obtained", out), "no lease: " + out[-200:])

    def ping_out(self):
        self.guest.check("ping -c 3 -W 5 %s" % HOST, 40)

    def ping_in(self):
        ping(GUEST)
        ping(GUEST, 20, 1472, 0.05)

    def ethtool(self):
        out = self.guest.check("ethtool -i eth0")
        need("driver: hv_netvsc" in out, out)
        names = ("rx-checksumming", "tx-checksumming", "tcp-segmentation-offload", "scatter-gather",
                 "rx-vlan-offload", "tx-vlan-offload")
        features = self.guest.check("ethtool -k eth0 | grep -E '^(%s):'" % "|".join(names))
        for name in names:
            need(re.search(r"^%s: on" % name, features, re.M), "feature %s is not on" % name)
        before = counters(self.guest)
        ping(GUEST, 5)
        after = counters(self.guest)
        moved = [sum(c[n] for c in (after,) for n in c if re.match(r"%s_queue_\d+_packets" % d, n)) -
                 sum(c[n] for c in (before,) for n in c if re.match(r"%s_queue_\d+_packets" % d, n))
                 for d in ("rx", "tx")]
        need(min(moved) >= 5, "5 pings moved the queue counters by %s" % moved)

    def tcp_out(self):
        """Guest to TAP with segmentation offload: content, frame sizes, checksums of every frame."""
        length = 2 * MEGABYTE
        need("tcp-segmentation-offload: on" in self.guest.check("ethtool -k eth0 | grep ^tcp-seg"), "TSO is off")
        self.guest.check("head -c %d /dev/urandom > /tmp/blob" % length)
        digest = self.guest.check("sha256sum < /tmp/blob").split()[0]
        receiver, sniffer = Receiver(5001), Sniffer(self.machine.tap)
        before, packets = csum_errors(), self.machine.stats()
        self.guest.check("socat -u FILE:/tmp/blob TCP:%s:5001" % HOST, 90)
        receiver.join(30)
        sniffer.end()
        packets = {k: self.machine.stats()[k] - packets[k] for k in ("tx_frames", "tx_packets", "tx_errors")}
        need(receiver.digest == digest, "content differs: %d of %d bytes" % (receiver.length, length))
        need(sniffer.longest <= 1514, "a frame of %d bytes" % sniffer.longest)
        need(sniffer.full > 0, "no full-size segment was seen")
        need(sniffer.bad_checksums == 0, "%d of %d segments with a wrong checksum"
             % (sniffer.bad_checksums, sniffer.tcp))
        need(csum_errors() == before, "the receiving kernel counts checksum errors")
        need(packets["tx_errors"] == 0, "the host refused sends")
        return "%d segments seen, %d full" % (sniffer.tcp, sniffer.full)

    def tcp_in(self):
        """TAP to guest, first with the guest's kernel checking all checksums itself."""
        for rx in ("off", "on"):
            self.guest.check("ethtool -K eth0 rx %s" % rx)
            before = csum_errors(self.guest.check("cat /proc/net/snmp"))
            self.guest.check("rm -f /tmp/in; socat -u TCP-LISTEN:5002,reuseaddr CREATE:/tmp/in & "
                             "for i in $(seq 50); do grep -q :138A /proc/net/tcp && break; sleep 0.2; done")
            digest = send_blob(GUEST, 5002, 2 * MEGABYTE, seed=len(rx))
            self.guest.check("wait", 60)
            got = self.guest.check("sha256sum < /tmp/in").split()[0]
            need(got == digest, "content differs with rx checksum %s" % rx)
            need(csum_errors(self.guest.check("cat /proc/net/snmp")) == before,
                 "the guest counts checksum errors with rx checksum %s" % rx)

    def udp_checksum(self):
        """Checksums filled in by the host for UDP and for fragments the guest made itself."""
        before = csum_errors()
        self.guest.check("ping -c 3 -s 4000 %s" % HOST, 30)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((HOST, 5003))
            s.settimeout(10)
            self.guest.check("head -c 1000 /tmp/blob | socat -u - UDP:%s:5003" % HOST)
            data = s.recv(2000)
        need(len(data) == 1000, "%d of 1000 bytes arrived" % len(data))
        need(csum_errors() == before, "the receiving kernel counts checksum errors")

    def channels(self):
        for n in (1, 2):
            self.guest.check("ethtool -L eth0 combined %d" % n)
            need("Combined:\t%d" % n in self.guest.check("ethtool -l eth0").split("Current")[1],
                 "the change to %d did not happen" % n)
            mapping = self.guest.poll("cat /sys/bus/vmbus/devices/*/channel_vp_mapping | tee /tmp/map; "
                                      "test $(grep -c . /tmp/map) = %d" % n)
            self.guest.poll("test $(cat /sys/class/net/eth0/carrier) = 1")
            ping(GUEST)
        return " ".join(mapping.split())

    def spreading(self):
        """
        Many connections must arrive on both channels, and the answers leave on both. Before any
        ethtool -L: that makes Linux 6.1 ask for an all-zero hash key, which spreads nothing.
        """
        before = counters(self.guest)
        for i in range(48):
            with socket.socket() as s:
                s.settimeout(5)
                s.connect_ex((GUEST, 9000 + i))
        after = counters(self.guest)
        seen = {}
        for name in ("rx_queue_0_packets", "rx_queue_1_packets", "tx_queue_0_packets", "tx_queue_1_packets"):
            seen[name] = after[name] - before[name]
            need(seen[name] > 0, "%s did not move: %s" % (name, seen))
        return "rx %d/%d, tx %d/%d" % tuple(seen.values())

    def target_vp(self):
        """Moving a channel to another processor (MODIFYCHANNEL) and back."""
        base = "/sys/bus/vmbus/devices/*/channels"
        relid = self.guest.check("ls %s" % base).split()[0]
        for cpu in (1, 0):
            self.guest.check("for f in %s/%s/cpu; do echo %d > $f; done" % (base, relid, cpu))
            need("%s:%d" % (relid, cpu) in self.guest.check("cat /sys/bus/vmbus/devices/*/channel_vp_mapping"),
                 "channel %s did not move to %d" % (relid, cpu))
            ping(GUEST)

    def mtu(self):
        for mtu in (1400, 4000, 1500):
            sh("ip link set %s mtu %d" % (self.machine.tap, mtu))
            self.guest.check("ip link set eth0 mtu %d" % mtu)
            self.guest.poll("test $(cat /sys/class/net/eth0/carrier) = 1")
            ping(GUEST, 3, mtu - 28, fragment=False)

    def vlan(self):
        sh("ip link add link %s name %s.5 type vlan id 5; ip addr add 10.9.5.1/24 dev %s.5; "
           "ip link set %s.5 up" % ((self.machine.tap,) * 4))
        self.guest.check("ip link add link eth0 name eth0.5 type vlan id 5 && "
                         "ip addr add 10.9.5.2/24 dev eth0.5 && ip link set eth0.5 up")
        try:
            ping("10.9.5.2")
            ping("10.9.5.2", 3, 1472)
            receiver = Receiver(5004)
            self.guest.check("head -c 300000 /tmp/blob | socat -u - TCP:10.9.5.1:5004", 40)
            receiver.join(20)
            need(receiver.length == 300000, "%d of 300000 bytes over TCP" % receiver.length)
        finally:
            self.guest.run("ip link del eth0.5")
            sh("ip link del %s.5" % self.machine.tap)

    def down_up_under_flood(self):
        mac = self.machine.stats()["mac"]
        sh("ip neigh replace %s lladdr %s dev %s nud permanent" % (GUEST, mac, self.machine.tap))
        flood = Flood(GUEST)
        try:
            for _ in range(5):
                self.guest.check("ip link set eth0 down && sleep 0.2 && ip link set eth0 up && sleep 0.2", 60)
        finally:
            flood.end()
            sh("ip neigh del %s dev %s" % (GUEST, self.machine.tap))
        set_up(self.guest)
        need(flood.sent > 500, "only %d frames were sent" % flood.sent)
        ping(GUEST)
        return "%d frames sent meanwhile" % flood.sent

    def cable(self):
        for up in ("false", "true"):
            self.machine.control("link", "0", "up=" + up)
            self.guest.poll("test $(cat /sys/class/net/eth0/carrier) = %d" % (up == "true"))
        ping(GUEST)

    def virtual_function(self):
        """
        Linux logs each association and each end of one, as the host said them, and again after it has
        opened the channel anew. There is no PCI here: it never switches to the function.
        """
        def log():
            return re.findall(r"VF slot (\d+ \w+)", self.guest.run("dmesg | grep 'VF slot'")[1])

        def say(*words):
            self.machine.control("vf", "0", *words)

        need(log() == [], "a function before there was one: %s" % log())
        say("present=true", "serial=3")
        self.guest.poll("dmesg | grep -q 'VF slot 3 added'")
        say("path=synthetic")
        say("present=false")
        say("present=true", "serial=4")
        say("present=true", "serial=5")
        self.guest.poll("dmesg | grep -q 'VF slot 5 added'")
        ping(GUEST)
        self.guest.check("ethtool -L eth0 combined 1")
        self.guest.poll("test $(dmesg | grep -c 'VF slot 5 added') = 2")
        say("present=false")
        self.guest.poll("dmesg | grep -q 'VF slot 5 removed'")
        self.guest.check("ethtool -L eth0 combined 2")
        self.guest.poll("test $(cat /sys/class/net/eth0/carrier) = 1")
        ping(GUEST)
        need(log() == ["3 added", "3 removed", "4 added", "5 added", "5 added", "5 removed"],
             "the log says %s" % log())
        need(not self.machine.stats()["path_is_vf"], "the path is on a function that is not there")
        return ", ".join(log())

    def rescind(self):
        """The NIC is taken away under traffic and given back; the guest's driver finds it again."""
        flood = Flood(GUEST, 2)
        try:
            self.machine.control("rescind", "0")
            self.guest.poll("! test -e /sys/class/net/eth0")
        finally:
            flood.end()
        self.machine.control("offer", "0")
        set_up(self.guest)
        ping(GUEST)

    def reload(self):
        for i in range(10):
            self.guest.check("rmmod hv_netvsc", 60)
            self.guest.check("insmod /modules/hv_netvsc.ko", 60)
            if i % 5 == 4:
                set_up(self.guest)
                ping(GUEST)

    def unload_bus(self):
        if self.guest.run("grep -q '^hv_vmbus ' /proc/modules")[0] != 0:
            raise Skip("hv_vmbus is built into this kernel")
        self.guest.check("rmmod hv_netvsc && rmmod hv_vmbus", 60)
        self.guest.check("insmod /modules/hv_vmbus.ko && insmod /modules/hv_netvsc.ko", 60)
        set_up(self.guest)
        ping(GUEST)

    def honest(self):
        """What both sides counted: no errors anywhere."""
        stats = self.machine.stats()
        need(stats["protocol_errors"] == 0, "the host counts %d protocol errors" % stats["protocol_errors"])
        need(stats["tx_errors"] == 0, "the host refused %d sends" % stats["tx_errors"])
        bad = [line for line in self.guest.check("dmesg | grep -E 'hv_netvsc|hv_vmbus'").splitlines()
               if re.search(r"[Ii]nvalid|unable|failed|error|timed? ?out|mismatch", line)]
        need(not bad, "the guest's log: %s" % bad[:3])


def run(machine, report):
    """First boot: everything with hv_netvsc."""
    guest = machine.boot("load=hv_vmbus,hv_netvsc,llc,mrp,stp,garp,8021q", nic="mtu=9000,")
    n = Netvsc(machine, guest)
    report.line("ok", "boots with 2 vCPUs (%.1f s)" % guest.boot_time)
    report.check("Hyper-V is detected, VMBus 5.3", n.detected)
    if not report.check("link comes up", n.link):
        return
    report.check("DHCP lease through the TAP", n.dhcp)
    report.check("ping out", n.ping_out)
    report.check("ping in", n.ping_in)
    report.check("ethtool -i, -k, -S", n.ethtool)
    report.check("TCP out, segmented by the host", n.tcp_out)
    report.check("TCP in, checksums verified by the guest", n.tcp_in)
    report.check("UDP and fragments out", n.udp_checksum)
    report.check("RSS spreads over the channels", n.spreading)
    report.check("ethtool -L: 1 channel and 2", n.channels)
    report.check("channel moves to another processor", n.target_vp)
    report.check("MTU 1400, 4000, 1500", n.mtu)
    report.check("VLAN interface", n.vlan)
    report.check("ip link down/up under flood", n.down_up_under_flood)
    report.check("cable pulled and plugged", n.cable)
    report.check("virtual function associated, taken away, replaced", n.virtual_function)
    report.check("rescinded under traffic and offered again", n.rescind)
    report.check("rmmod and insmod 10 times", n.reload)
    report.check("hv_vmbus unloaded and loaded again", n.unload_bus)
    report.check("no errors counted or logged", n.honest)
    machine.end(guest, report)


def run_old(machine, report):
    """Old bus, no monitor page: signals by hypercall. Ends with a crash of the guest."""
    guest = machine.boot("load=hv_vmbus,hv_netvsc", options=["--vmbus-version", "4.0", "--monitor", "none"])

    def version():
        need("Vmbus version:4.0" in guest.check("dmesg | grep 'Vmbus version'"), "not negotiated")
        need(guest.run("cat /sys/bus/vmbus/devices/*/monitor_id")[0] != 0, "there is a monitor id")

    def traffic():
        set_up(guest)
        guest.check("ping -c 3 -W 5 %s" % HOST, 40)
        ping(GUEST)

    def crash():
        guest.start("echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger")
        status = guest.wait(60)
        need(status == 4, "exit status %d instead of 4" % status)

    report.check("VMBus 4.0 without monitor page", version)
    report.check("ping both ways, signals by hypercall", traffic)
    machine.trouble(guest, report)
    report.check("a panic is reported and ends the machine", crash)


# What Linux says of itself when it comes up, in its order (spec/nvsp.md §4, spec/rndis.md §8).
LINUX_LADDER = (
    "channel opened", "INIT version 6.1", "INIT_COMPLETE success", "NDIS_CONFIG MTU 1514",
    "NDIS_VERSION 6.30", "SEND_RECV_BUF", "RECV_BUF_COMPLETE success", "SEND_SEND_BUF",
    "SEND_BUF_COMPLETE success", "INITIALIZE", "INITIALIZE_C", "QUERY GEN_MAXIMUM_FRAME_SIZE",
    "QUERY_C GEN_MAXIMUM_FRAME_SIZE 1500", "QUERY 802_3_PERMANENT_ADDRESS",
    "QUERY_C 802_3_PERMANENT_ADDRESS", "QUERY TCP_OFFLOAD_HARDWARE_CAPABILITIES",
    "QUERY_C TCP_OFFLOAD_HARDWARE_CAPABILITIES", "SET TCP_OFFLOAD_PARAMETERS",
    "SET_C TCP_OFFLOAD_PARAMETERS success", "QUERY GEN_RECEIVE_SCALE_CAPABILITIES",
    "QUERY_C GEN_RECEIVE_SCALE_CAPABILITIES", "SUBCHANNEL of 3", "SUBCHANNEL success, 3 granted",
    "SEND_INDIRECTION_TABLE", "SET GEN_RECEIVE_SCALE_PARAMETERS",
    "SET_C GEN_RECEIVE_SCALE_PARAMETERS success")


def wire_is_known(trace):
    """The trace of a whole life, through Wireshark's dissector (doc/trace.md)."""
    if shutil.which("tshark") is None:
        raise Skip("there is no tshark")
    strange = wire.unknown(trace, 120)
    need(not strange, "not known: %s" % strange[:3])
    found = wire.frames(trace, timeout=120)
    wrong = [(f["number"], f["info"], f["expert"]) for f in found if f["expert"]]
    need(not wrong, "expert information: %s" % wrong[:3])
    infos = iter([f["info"].split("  ", 1)[1] for f in found])
    for want in LINUX_LADDER:
        need(any(info.startswith(want) for info in infos), "'%s' does not come when it should" % want)
    channels = {f["info"].split("  ")[0] for f in found if "PACKET, " in f["info"]}
    return "%d records, data on %s" % (len(found), ", ".join(sorted(channels)))


def run_wide(machine, report):
    """Four processors and four channels on VMBus 5.2. Ends with a reboot of the guest."""
    trace = os.path.join(machine.folder, "wire.pcapng")
    guest = machine.boot("load=hv_vmbus,hv_netvsc",
                         options=["--vmbus-version", "5.2", "--trace", trace], cpus=4)

    def traffic():
        set_up(guest)
        mapping = guest.poll("cat /sys/bus/vmbus/devices/*/channel_vp_mapping | tee /tmp/map; "
                             "test $(grep -c . /tmp/map) = 4")
        need(sorted(line.split(":")[1] for line in mapping.split()) == list("0123"),
             "channels are on " + mapping)
        ping(GUEST, 10)

    def reboot():
        began = time.monotonic()
        guest.start("reboot -f")
        status = guest.wait(60)
        need(status == 3, "exit status %d instead of 3" % status)
        return "%.1f s" % (time.monotonic() - began)

    report.check("4 vCPUs, one channel on each", traffic)
    machine.trouble(guest, report)
    report.check("a reboot ends the machine", reboot)
    report.check("all that it said is known to the dissector", wire_is_known, trace)


SCENARIOS = {"netvsc": run, "netvsc-old": run_old, "netvsc-wide": run_wide}
__all__ = ["SCENARIOS", "GuestError"]
