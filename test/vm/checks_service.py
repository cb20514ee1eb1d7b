# SPDX-License-Identifier: BSD-3-Clause
"""hvsim as a service of a real systemd: it serves, holds to its unit's rules, comes back and ends."""
import glob
import json
import os
import re
import shutil
import subprocess
import time

from checks_netvsc import need
import network
from network import exchange, mac_bytes, numbered_frames

PREFIX, UNITS = "/usr/local", "/etc/systemd/system"
RUN = "/run/hyperpoll/lab"
HERE = os.path.dirname(os.path.realpath(__file__))
# Without ports that need the network.
ALONE = "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\nPrivateNetwork=yes\nPrivateUsers=yes\n"
MOST_EXPOSED = 1.3
# An emulated machine takes its time, on a busy one several times as much.
WAIT = 90


def sh(command, check=True):
    return network.sh("export SYSTEMD_BUS_TIMEOUT=%d; %s" % (WAIT, command), WAIT, check)


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        need(time.monotonic() < end, "not within %d s: %s" % (seconds, what))
        time.sleep(0.1)


class Client:
    """testpmd on the service's NIC."""

    def __init__(self, folder, guid, start="start", socket=None):
        self.out = os.path.join(folder, "testpmd.log")
        plugin, = glob.glob(PREFIX + "/lib/*/librte_hyperpoll.so")
        with open(self.out, "wb") as out:
            self.child = subprocess.Popen(
                ["dpdk-testpmd", "-l", "1,2", "-n", "1", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "-d", plugin,
                 "-a", "vmbus:%s,vfio-user=%s,recovery_s=600" % (guid, socket or "%s/%s.sock" % (RUN, guid)), "--", "-i", "--nb-cores=1",
                 "--total-num-mbufs=4096", "--port-topology=loop", "--forward-mode=io"],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
        self.wait_for("testpmd> $")
        self.say(start)

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def say(self, line):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def wait_for(self, pattern, seconds=WAIT):
        wait_until(lambda: re.search(pattern, self.text()) or self.child.poll() is not None, seconds, pattern)
        need(self.child.poll() is None, "testpmd ended: " + self.text()[-600:])

    def end(self):
        if self.child.poll() is None:
            self.say("quit")
        try:
            self.child.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.child.kill()


class Service:
    def __init__(self, machine):
        self.machine = machine
        self.client = None

    def unit(self, name="lab", what="hvsim"):
        words = "MainPID Result ExecMainCode ExecMainStatus ActiveState NRestarts".split()
        text = sh("systemctl show %s@%s %s" % (what, name, " ".join("-p " + w for w in words)))
        return dict(line.split("=", 1) for line in text.split())

    def journal(self, name="hvsim@lab"):
        return sh("journalctl -q -b -o cat -u %s | tail -n 8" % name).replace("\n", " / ")

    def start(self, name="lab", options="--nic spoof=on,port=tap:hp0"):
        with open("/etc/hyperpoll/%s.conf" % name, "w", encoding="ascii") as f:
            f.write("OPTIONS=%s\n" % options)
        try:
            sh("systemctl daemon-reload; systemctl start hvsim@%s" % name)
        except RuntimeError as error:
            raise AssertionError("%s; journal: %s" % (error, self.journal("hvsim@" + name))) from None
        need(self.unit(name)["ActiveState"] == "active", str(self.unit(name)))

    def guid(self, name="lab"):
        sockets = glob.glob("/run/hyperpoll/%s/*-*.sock" % name)
        need(len(sockets) == 1, "sockets: %s" % sockets)
        return os.path.basename(sockets[0])[:-len(".sock")]

    def stats(self, name="lab"):
        return json.loads(sh("%s/bin/hvsim ctl --json /run/hyperpoll/%s/control.sock stats 0" % (PREFIX, name)))["stats"]

    # ---- checks ----

    def install(self):
        """As the guide says: what was built, where it belongs, and the user."""
        shutil.copytree(os.path.join(self.machine.folder, "installed"), "/", symlinks=True, dirs_exist_ok=True)
        sh("systemd-sysusers")
        os.makedirs("/etc/hyperpoll", exist_ok=True)
        return sh("systemctl --version | head -n 1; id hyperpoll").replace("\n", " ")

    def served(self):
        self.start()
        pid = self.unit()["MainPID"]
        tasks = os.listdir("/proc/%s/task" % pid)
        for task in tasks:
            with open("/proc/%s/task/%s/status" % (pid, task), encoding="ascii") as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
            need(all(int(status[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapInh", "CapAmb")), "capabilities: %s" % status)
            need(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", "%s" % status)
            need("0" not in status["Uid"].split() + status["Gid"].split(), "%s" % status)
        need(oct(os.stat(RUN).st_mode & 0o777) == "0o700", "mode of " + RUN)
        return "%d threads without capabilities" % len(tasks)

    def frames(self, count=300):
        with open("/sys/class/net/hp0/address", encoding="ascii") as f:
            ours = mac_bytes(f.read().strip())
        sent = numbered_frames(mac_bytes(self.stats()["mac"]), ours, count)
        got = exchange("hp0", sent, WAIT)
        need(got == sent, "%d of %d frames came back" % (len(got), len(sent)))
        return "%d frames" % count

    def forwards(self):
        sh("ip link set hp0 up")
        self.client = Client(self.machine.folder, self.guid())
        return self.frames()

    def killed(self):
        """systemd starts it again, and the client's port goes on by itself."""
        before = self.unit()
        sh("kill -9 " + before["MainPID"])
        self.client.wait_for("error recovery successful")
        after = self.unit()
        need(after["MainPID"] != before["MainPID"] and after["NRestarts"] == "1", str(after))
        return self.frames()

    def refused(self, name="probe"):
        """What runs below the unit's rules in hvsim's place."""
        folder = "%s/hvsim@%s.service.d" % (UNITS, name)
        os.makedirs(folder, exist_ok=True)
        shutil.copy(os.path.join(HERE, "probe.py"), "/usr/local/bin/hyperpoll-probe")
        with open(folder + "/probe.conf", "w", encoding="ascii") as f:
            f.write("[Service]\nType=oneshot\nRestart=no\nExecStart=\n"
                    "ExecStart=/usr/bin/python3 -B /usr/local/bin/hyperpoll-probe /var/lib/hyperpoll/%s/said\n" % name)
        with open("/etc/hyperpoll/%s.conf" % name, "w", encoding="ascii") as f:
            f.write("OPTIONS=\n")
        for path in ("/tmp/of-root", "/home/of-root"):
            with open(path, "w", encoding="ascii") as f:
                f.write("x")
        try:
            sh("systemctl daemon-reload; systemctl start hvsim@" + name)
        except RuntimeError:
            raise AssertionError(self.journal("hvsim@" + name)) from None
        with open("/var/lib/hyperpoll/%s/said" % name, encoding="utf-8") as f:
            said = json.load(f)
        need(said.pop("control") == "done", "what may be done could not be")
        done = [what for what, how in said.items() if how == "done"]
        need(not done and len(said) > 15, "not refused: %s" % done)
        return "%d things: %s" % (len(said), ", ".join("%s %s" % pair for pair in said.items()))

    def stops(self):
        sh("systemctl stop hvsim@lab")
        # Of a unit that has ended well nothing is left but what was logged.
        need(self.unit()["ActiveState"] == "inactive", str(self.unit()))
        need("Deactivated successfully" in self.journal(), self.journal())
        need(not os.path.exists(RUN), RUN + " is still there")
        self.client.wait_for("(?s:error recovering.*error recovering)")
        self.start()
        wait_until(lambda: self.client.text().count("error recovery successful") == 2, WAIT, "the port goes on")
        return self.frames()

    def alone(self):
        """Without TAPs: no network, no users but its own, no capability."""
        folder = UNITS + "/hvsim@alone.service.d"
        os.makedirs(folder)
        with open(folder + "/alone.conf", "w", encoding="ascii") as f:
            f.write(ALONE)
        self.start("alone", "--nic port=echo")
        pid = self.unit("alone")["MainPID"]
        for kind in ("net", "user", "mnt", "ipc"):
            need(os.readlink("/proc/%s/ns/%s" % (pid, kind)) != os.readlink("/proc/self/ns/" + kind), kind + " is not its own")
        guid = self.guid("alone")
        client = Client(self.machine.folder, guid, "start tx_first", "/run/hyperpoll/alone/%s.sock" % guid)
        wait_until(lambda: self.stats("alone")["tx_frames"] > 0, WAIT, "frames go")
        time.sleep(1)
        client.end()
        packets = max(map(int, re.findall(r"RX-packets: (\d+)", client.text())), default=0)
        need(packets > 0, "%d frames came back: %s" % (packets, client.text()[-300:]))
        sh("systemctl stop hvsim@alone")
        return "%d frames" % packets

    def machine_check(self):
        """hvsim-vm below its unit's rules has what it needs of the kernel."""
        folder = UNITS + "/hvsim-vm@check.service.d"
        os.makedirs(folder)
        with open(folder + "/check.conf", "w", encoding="ascii") as f:
            f.write("[Service]\nType=oneshot\nRestart=no\nRestartForceExitStatus=\nExecStart=\n"
                    "ExecStart=%s/bin/hvsim-vm --check\n" % PREFIX)
        with open("/etc/hyperpoll/check.conf", "w", encoding="ascii") as f:
            f.write("OPTIONS=\n")
        sh("systemctl daemon-reload; udevadm trigger --name-match=kvm --settle")
        try:
            sh("systemctl start hvsim-vm@check")
        except RuntimeError:
            raise AssertionError(self.journal("hvsim-vm@check")) from None

    def score(self):
        said = []
        for name in ("hvsim@lab", "hvsim@alone", "hvsim-vm@check"):
            text = sh("systemd-analyze security --no-pager %s.service 2>&1" % name, check=False)
            score = re.search(r"exposure level for \S+: ([0-9.]+)", text)
            need(score is not None, "%s: %s" % (name, text[-300:]))
            need(float(score.group(1)) <= MOST_EXPOSED, "%s: %s" % (name, score.group(1)))
            said.append("%s %s" % (name, score.group(1)))
        return ", ".join(said)


def run(machine, report):
    s = Service(machine)
    if not report.check("installed", s.install):
        return
    report.check("what the unit forbids is refused", s.refused)
    report.check("hvsim-vm has /dev/kvm", s.machine_check)
    if not report.check("systemctl start: a NIC is served", s.served):
        return
    try:
        if report.check("a client attaches and forwards", s.forwards):
            report.check("killed: systemd starts it again, the client goes on", s.killed)
            report.check("systemctl stop ends it in order, start has it back", s.stops)
    finally:
        if s.client is not None:
            s.client.end()
    report.check("without TAPs: no network, no users, no capability", s.alone)
    report.check("systemd-analyze security", s.score)


SCENARIOS = {"service": run}
