# SPDX-License-Identifier: BSD-3-Clause
"""DPDK on the real uio_hv_generic: our plugin, then the distribution's own netvsc PMD."""
import re
import time

from checks_netvsc import GUEST, HOST, need, set_up
from guest import GuestError
from network import exchange, mac_bytes, numbered_frames, ping, sh
from report import Skip

PLUGIN = "/opt/librte_hyperpoll.so"
EAL = "-l 0-1 -n 1 --no-pci --no-telemetry --file-prefix=vm --log-level=pmd,7"
GUID = "$(ls /sys/bus/vmbus/devices | head -n 1)"
# The guest sends frames of others back: the port must allow MAC spoofing.
SPOOF = "spoof=on,"
# What the guest needs for DPDK beside the modules.
APPEND = "load=hv_vmbus,hv_netvsc,uio,uio_hv_generic default_hugepagesz=2M hugepages=112"
FRAMES = 600


class Program:
    """A DPDK program in the background of the guest; its input is a pipe, its output a file."""

    def __init__(self, guest, command):
        self.guest = guest
        guest.check("rm -f /tmp/in /tmp/out; mkfifo /tmp/in; sleep 100000 > /tmp/in & echo $! > /tmp/feeder")
        guest.check("%s < /tmp/in > /tmp/out 2>&1 & echo $! > /tmp/pid" % command)

    def wait_for(self, pattern, seconds=60):
        try:
            self.guest.poll("grep -qE '%s' /tmp/out || ! kill -0 $(cat /tmp/pid)" % pattern, seconds, 0.5)
            self.guest.check("grep -qE '%s' /tmp/out" % pattern)
        except GuestError:
            raise AssertionError("no '%s' in its output: %s" % (pattern, self.tail())) from None

    def tail(self):
        return " / ".join(self.guest.run("tail -n 12 /tmp/out")[1].split("\n"))[-900:]

    def say(self, text):
        self.guest.check("echo '%s' > /tmp/in" % text)

    def answered(self, line, seconds=60):
        """
        Say a line to testpmd and wait for the prompt behind it. testpmd writes its prompt and the line's
        echo at once, but what a command prints may be in its buffer for long.
        """
        self.say(line)
        try:
            self.guest.poll("grep -q 'testpmd> %s' /tmp/out && tail -n 1 /tmp/out | grep -q 'testpmd> $'"
                            " || ! kill -0 $(cat /tmp/pid)" % line, seconds, 0.5)
            self.guest.check("kill -0 $(cat /tmp/pid)")
        except GuestError:
            raise AssertionError("no prompt after '%s': %s" % (line, self.tail())) from None

    def alive(self):
        return self.guest.run("kill -0 $(cat /tmp/pid)")[0] == 0

    def end(self, how):
        """End it by a command, or a signal given as -N."""
        if how.startswith("-"):
            self.guest.run("kill %s $(cat /tmp/pid)" % how)
        else:
            self.say(how)
        self.guest.poll("! kill -0 $(cat /tmp/pid) 2>/dev/null", 30)
        self.guest.run("kill $(cat /tmp/feeder); rm -f /dev/hugepages/* /mnt/huge/*")


def testpmd(guest, mode, queues, plugin=True, options="", arguments="", commands=(), before="", eal=EAL):
    """
    @param options of the device
    @param before what starts it
    @param arguments of testpmd
    @param commands said while the port is stopped, before forwarding starts
    """
    program = Program(guest, before + "dpdk-testpmd %s %s %s -- -i --nb-cores=1 --total-num-mbufs=8192 "
                      "--rxq=%d --txq=%d --forward-mode=%s --port-topology=loop %s"
                      % (eal, "-d " + PLUGIN if plugin else "",
                         "-a vmbus:%s,%s" % (GUID, options) if options else "", queues, queues,
                         mode, arguments))
    program.wait_for("testpmd> $|No probed ethernet devices", 90)
    if commands:
        for command in ["port stop 0", *commands, "port start 0"]:
            program.answered(command)
    program.answered("start")
    return program


def l2fwd(guest, plugin=True):
    program = Program(guest, "/opt/l2fwd %s %s -- -p 1 -q 1 -T 0 --no-mac-updating"
                      % (EAL, "-d " + PLUGIN if plugin else ""))
    program.wait_for("entering main loop on lcore", 90)
    return program


class Uio:
    def __init__(self, machine, guest):
        self.machine, self.guest = machine, guest
        self.mac = machine.stats()["mac"]

    def bind(self):
        set_up(self.guest)
        self.guest.check("mkdir -p /dev/hugepages; mount -t hugetlbfs none /dev/hugepages")
        self.guest.check("ip link set eth0 down; /opt/vmbusctl bind eth0", 40)
        out = self.guest.check("readlink /sys/bus/vmbus/devices/*/driver")
        need("uio_hv_generic" in out, "bound to " + out)
        maps = self.guest.check("cat /sys/class/uio/uio0/maps/map*/name")
        need(maps.split()[:3] == ["txrx_rings", "int_page", "monitor_page"], maps)

    def same_frames(self, change=lambda frame: frame, count=FRAMES):
        with open("/sys/class/net/%s/address" % self.machine.tap, encoding="ascii") as f:
            ours = mac_bytes(f.read().strip())
        sent = numbered_frames(mac_bytes(self.mac), ours, count)
        got = exchange(self.machine.tap, sent)
        need(len(got) == len(sent), "%d of %d frames came back" % (len(got), len(sent)))
        want = [change(frame) for frame in sent]
        wrong = [i for i, (g, w) in enumerate(zip(got, want)) if g != w]
        if wrong:
            need(sorted(got) == sorted(want), "%d frames differ, first number %d" % (len(wrong), wrong[0]))
            return "%d frames, order changed" % len(got)
        return "%d frames" % len(got)

    def interrupts(self):
        return sum(int(n) for n in
                   self.guest.check("cat /sys/bus/vmbus/devices/*/channels/*/interrupts").split())

    def icmpecho(self, queues):
        program = testpmd(self.guest, "icmpecho", queues)
        try:
            for i in range(2, 10 if queues > 1 else 3):
                ping("10.9.0.%d" % i, 3)
            ping(GUEST, 10, 1400)
            if queues > 1:
                relids = self.guest.check("ls -d /sys/bus/vmbus/devices/*/channels/*").split()
                need(len(relids) >= queues, "%d channels are open" % len(relids))
        finally:
            program.end("quit")
        need("Bye" in self.guest.check("tail -n 3 /tmp/out"), "no orderly end: " + program.tail())

    def forward(self, mode, queues, change):
        program = testpmd(self.guest, mode, queues)
        try:
            self.same_frames(change, 100)
            before = self.interrupts()
            detail = self.same_frames(change)
            moved = self.interrupts() - before
            need(moved == 0, "%d interrupts during %d frames" % (moved, FRAMES))
        except AssertionError as error:
            raise AssertionError("%s; testpmd: %s" % (error, program.tail())) from None
        finally:
            program.end("quit")
        return detail + ", 0 interrupts"

    def killed(self):
        program = testpmd(self.guest, "io", 1)
        self.same_frames(count=50)
        program.end("-9")
        program = testpmd(self.guest, "io", 1)
        try:
            return self.same_frames()
        finally:
            program.end("quit")

    def second_refused(self):
        program = testpmd(self.guest, "io", 1)
        try:
            status, out = self.guest.run(
                "dpdk-testpmd %s -d %s -- --rxq=1 < /dev/null 2>&1 | tail -n 20"
                % (EAL.replace("=vm", "=two"), PLUGIN), 60)
            need("Port 0:" not in out, "a second process got the port (%d)" % status)
            self.same_frames(count=50)
        finally:
            program.end("quit")

    def rescind(self):
        program = testpmd(self.guest, "io", 2, options="recovery_s=0")
        self.same_frames(count=50)
        self.machine.control("rescind", "0")
        time.sleep(2)
        need(program.alive(), "the process died: " + program.tail())
        program.wait_for("device removal event", 10)
        program.say("show port info all")
        time.sleep(1)
        need(program.alive(), "the process died: " + program.tail())
        program.end("quit")
        self.machine.control("offer", "0")
        self.guest.poll("test -n %s && readlink /sys/bus/vmbus/devices/*/driver" % GUID)

    def back(self):
        """Back to hv_netvsc; the device works as if nothing had happened."""
        self.guest.poll("test -e /sys/class/net/eth0 || /opt/vmbusctl unbind %s" % GUID, 40)
        set_up(self.guest)
        self.guest.check("ping -c 3 -W 5 %s" % HOST, 40)
        ping(GUEST)

    def intree_icmpecho(self):
        """Stock testpmd of 22.11 never polls this driver (its queues stay marked stopped)."""
        program = testpmd(self.guest, "icmpecho", 1, plugin=False)
        out = sh("ping -i 0.2 -c 3 -W 2 %s" % GUEST, check=False)
        program.end("quit")
        if re.search(r"\b0 received", out):
            raise Skip("testpmd 22.11 does not poll the in-tree PMD: queue state stays stopped")

    def forward_l2fwd(self, plugin):
        program = l2fwd(self.guest, plugin)
        try:
            self.same_frames(count=100)
            return self.same_frames()
        except AssertionError as error:
            raise AssertionError("%s; l2fwd: %s" % (error, program.tail())) from None
        finally:
            program.end("-2")


def swap(frame):
    return frame[6:12] + frame[0:6] + frame[12:]


def run(machine, report):
    """Our plugin in stock testpmd on uio_hv_generic."""
    guest = machine.boot(APPEND, SPOOF, mem="768M", image="l2-dpdk.cpio")
    if guest.run("test -e " + PLUGIN)[0] != 0:
        report.line("skip", "the plugin has not been built")
        guest.power_off()
        return
    u = Uio(machine, guest)
    if not report.check("vmbusctl bind", u.bind):
        return
    report.check("icmpecho, 1 queue: pings answered", u.icmpecho, 1)
    report.check("icmpecho, 2 queues", u.icmpecho, 2)
    report.check("io, 1 queue: every byte comes back", u.forward, "io", 1, lambda frame: frame)
    report.check("macswap, 2 queues", u.forward, "macswap", 2, swap)
    report.check("l2fwd", u.forward_l2fwd, True)
    report.check("killed with -9 and started again", u.killed)
    report.check("a second process is refused", u.second_refused)
    report.check("rescinded while running", u.rescind)
    report.check("vmbusctl unbind, hv_netvsc works again", u.back)
    machine.end(guest, report)


def run_intree(machine, report):
    """The in-tree PMD in the same guest, for comparison."""
    guest = machine.boot(APPEND, SPOOF, mem="768M", image="l2-dpdk.cpio")
    u = Uio(machine, guest)
    if not report.check("vmbusctl bind", u.bind):
        return
    report.check("in-tree PMD, testpmd icmpecho", u.intree_icmpecho)
    report.check("in-tree PMD, l2fwd", u.forward_l2fwd, False)
    report.check("vmbusctl unbind, hv_netvsc works again", u.back)
    machine.end(guest, report)


SCENARIOS = {"uio": run, "uio-intree": run_intree}
