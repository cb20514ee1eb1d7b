# SPDX-License-Identifier: BSD-3-Clause
"""
A device that goes away and comes back on the real uio_hv_generic, in a guest with systemd and udev; and a
user without privileges.
"""
import re

from checks_netvsc import need
from checks_uio import APPEND, EAL, GUID, PLUGIN, SPOOF, Uio, testpmd
from guest import GuestError
from report import Skip

VMBUSCTL = "/usr/sbin/vmbusctl"
# Long enough for whatever somebody does meanwhile.
OPTIONS = "recovery_s=600"
GONE, BACK = "error recovering event", "error recovery successful"
ALICE, NOBODY, CAP_CHOWN = 1000, 65534, 1
AS_ALICE = "XDG_RUNTIME_DIR=/run/alice /usr/bin/setpriv --reuid=%d --regid=%d --clear-groups " % (ALICE, ALICE)


class Away(Uio):
    program = None
    recovered, frames, notes = 0, 0, 0

    def start(self):
        # Whole lines, at once.
        self.program = testpmd(self.guest, "io", 2, options=OPTIONS, before="/usr/bin/stdbuf -oL ")
        self.recovered, self.frames, self.notes = 0, 0, 0
        self.note()

    def note(self, count=200):
        """Frames come back, and testpmd writes down how it sees its port."""
        self.same_frames(count=count)
        self.frames += count
        self.notes += 1
        for line in ("show port info 0", "show port stats 0"):
            self.program.answered(line)

    def seen(self, what, times, seconds):
        look = "test $(grep -c '%s' /tmp/out) -ge %d" % (what, times)
        try:
            self.guest.poll(look + " || ! kill -0 $(cat /tmp/pid)", seconds, 0.5)
            self.guest.check(look)
        except GuestError:
            raise AssertionError("not '%s' %d times: %s" % (what, times, self.program.tail())) from None

    def goes(self):
        """The host takes the NIC, and offers it again."""
        self.machine.control("rescind", "0")
        self.seen(GONE, self.recovered + 1, 30)
        self.guest.poll("! ls /sys/bus/vmbus/devices/* >/dev/null 2>&1")
        self.machine.control("offer", "0")

    def comes(self):
        self.recovered += 1
        self.seen(BACK, self.recovered, 60)
        self.note()

    def bound_again(self):
        """Somebody binds it, as nothing else does: what is not --persist lasts until the device goes."""
        self.goes()
        self.guest.poll("test -e /sys/class/net/eth0")
        need("hv_netvsc" in self.guest.check("readlink /sys/bus/vmbus/devices/*/driver"), "hv_netvsc has not taken it")
        need(self.guest.run("grep -c '%s' /tmp/out" % BACK)[1].strip() == "0", "it is back although hv_netvsc has it")
        self.guest.check(VMBUSCTL + " bind eth0", 60)
        self.comes()

    def persisted(self):
        """udev and systemd bind it, as often as it comes."""
        self.guest.check("%s bind %s --persist && systemctl daemon-reload && udevadm control --reload"
                         % (VMBUSCTL, GUID), 60)
        for _ in range(2):
            self.goes()
            self.comes()
        return "twice"

    def kept(self):
        """What would take the memory of a live port from under it is refused."""
        status, out = self.guest.run("%s unbind %s" % (VMBUSCTL, GUID), 60)
        need(status != 0 and "testpmd" in out, "unbind ended with %d: %s" % (status, out))
        status, out = self.guest.run("rmmod uio_hv_generic")
        need(status != 0, "the module could be removed: " + out)
        self.note()

    def hibernation(self):
        states = self.guest.check("cat /sys/power/state")
        if "disk" not in states.split():
            raise Skip("this kernel cannot hibernate: /sys/power/state has '%s'" % states.strip())
        status, out = self.guest.run("echo disk > /sys/power/state", 120)
        need(status != 0 and "not supported" in out, "hibernating ended with %d: %s" % (status, out))
        said = self.guest.check("dmesg | grep -iE 'vmbus.*(freeze|suspend|error)|PM: .*(freeze|error)' | tail -n 3")
        gone = self.guest.run("grep -c '%s' /tmp/out" % GONE)[1].strip()
        need(gone == str(self.recovered), "the port has gone: " + self.program.tail())
        self.note()
        return " / ".join(said.split("\n"))

    def same_port(self):
        """All of it was one port, with one configuration and counters that went on."""
        self.program.end("quit")
        look = "MAC address|Device name|MTU|Promiscuous mode|Allmulticast mode|Current number of .X queues"
        infos = self.guest.check("grep -aE '^(%s): ' /tmp/out" % look).split("\n")
        each = len(infos) // self.notes
        need(each > 5 and len(infos) == each * self.notes, "%d lines in %d looks" % (len(infos), self.notes))
        for n in range(1, self.notes):
            need(infos[n * each:(n + 1) * each] == infos[:each], "look %d: %s" % (n, infos[n * each:(n + 1) * each]))
        packets = [int(word) for word in re.findall(
            r"RX-packets: (\d+)", self.guest.check("grep -a 'RX-packets:.*RX-missed' /tmp/out"))]
        need(packets == sorted(packets) and packets[-1] >= self.frames,
             "of %d frames it counted %s" % (self.frames, packets))
        return "%d frames, %d counted, %d looks" % (self.frames, packets[-1], self.notes)

    def reloaded(self):
        """When nobody has it open any more."""
        self.guest.check("%s unbind %s --persist" % (VMBUSCTL, GUID), 60)
        self.guest.check("rmmod uio_hv_generic && insmod /modules/uio_hv_generic.ko")
        self.guest.poll("test -e /sys/class/net/eth0")

    # ---- a user without privileges ----

    def testpmd_of_alice(self, queues):
        return testpmd(self.guest, "io", queues, options=OPTIONS, before=AS_ALICE, eal=EAL + " --in-memory")

    def helper(self):
        """@return the process that hands over the ring files, or None"""
        return self.guest.run("pidof vmbusctl")[1].strip() or None

    def given(self):
        self.guest.check("mkdir -p /run/alice; chown %d /run/alice; %s bind eth0 --user alice"
                         % (ALICE, VMBUSCTL), 60)
        pid = self.helper()
        need(pid is not None, "no helper")
        status = dict(line.split(":", 1) for line in
                      self.guest.check("grep -E '^(Uid|CapEff|NoNewPrivs):' /proc/%s/status" % pid).split("\n"))
        need(status["Uid"].split() == [str(NOBODY)] * 4 and int(status["CapEff"], 16) == CAP_CHOWN and
             status["NoNewPrivs"].strip() == "1", "the helper may %s" % status)

    def without_privileges(self, queues):
        program = self.testpmd_of_alice(queues)
        try:
            status = self.guest.check("grep -E '^(Uid|Cap...):' /proc/$(cat /tmp/pid)/status").split("\n")
            need(status[0].split()[1:] == [str(ALICE)] * 4, status[0])
            need(all(int(line.split()[1], 16) == 0 for line in status[1:-2]), str(status))
            rings = self.guest.check("stat -c '%u %a' /sys/bus/vmbus/devices/*/channels/*/ring").split("\n")
            need(len(rings) >= queues, "%d ring files for %d queues" % (len(rings), queues))
            return self.same_frames()
        except AssertionError as error:
            raise AssertionError("%s; testpmd: %s" % (error, program.tail())) from None
        finally:
            program.end("quit")

    def without_helper(self):
        """One queue, and a sentence about more."""
        self.guest.check("kill %s" % self.helper())
        self.guest.poll("! pidof vmbusctl")
        program = None
        try:
            program = self.testpmd_of_alice(2)
        except AssertionError:
            pass  # as it should be
        need(program is None, "two queues work without the helper")
        said = self.guest.check("grep -aE 'ring|helper' /tmp/out | tail -n 3")
        self.guest.run("kill -9 $(cat /tmp/pid) $(cat /tmp/feeder)")
        self.guest.poll("! kill -0 $(cat /tmp/pid) 2>/dev/null", 30)
        self.without_privileges(1)
        return said


def run(machine, report):
    """Everything in one machine, as that is what costs time."""
    guest = machine.boot(APPEND + " systemd", SPOOF, mem="768M", image="l2-systemd.cpio")
    if guest.run("test -e " + PLUGIN)[0] != 0:
        report.line("skip", "the plugin has not been built")
        guest.power_off()
        return
    a = Away(machine, guest)
    if not (report.check("vmbusctl bind", a.bind) and report.check("testpmd, 2 queues", a.start)):
        return
    report.check("offered again, and bound by somebody within recovery_s", a.bound_again)
    report.check("offered again, and bound by itself with --persist", a.persisted)
    report.check("unbinding and unloading are refused while a port is open", a.kept)
    report.check("hibernation is refused, and the port goes on", a.hibernation)
    report.check("the port kept its number, configuration and counters", a.same_port)
    report.check("unbound, module unloaded and loaded", a.reloaded)
    report.check("bind --user: the helper may change owners and nothing else", a.given)
    report.check("a user without capabilities, 2 queues", a.without_privileges, 2)
    report.check("a user without the helper: 1 queue, and told why", a.without_helper)
    report.check("vmbusctl unbind, hv_netvsc works again", Uio.back, a)
    machine.end(guest, report)


SCENARIOS = {"uio-away": run}
