# SPDX-License-Identifier: BSD-3-Clause
"""The distribution's Open vSwitch with DPDK, from a folder of its own: no service, nothing outside."""
import os
import re
import subprocess

from harness import PLUGIN, Program, wait_until

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OpenVSwitch:
    """ovsdb-server and ovs-vswitchd with one bridge, br0, of these devices. `own` takes each program;
    `prefix` puts the switch into a network namespace, in which it makes its bridge's interface, `eal` are further
    arguments of EAL."""

    def __init__(self, folder, own, devices, memory, prefix, eal=()):
        self.dir = folder
        self.db = f"unix:{folder}/db.sock"
        self.environ = {**os.environ, **{f"OVS_{kind}DIR": folder for kind in ("RUN", "LOG", "DB", "SYSCONF")}}
        self.call("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA)
        own(Program("ovsdb-server", [
            "ovsdb-server", f"{folder}/conf.db", f"--remote=p{self.db}", "--no-chdir",
            f"--pidfile={folder}/db.pid", f"--unixctl={folder}/db.ctl"], env=self.environ))
        wait_until(lambda: os.path.exists(f"{folder}/db.sock"), 10, "ovsdb-server listens")
        extra = " ".join(["--no-pci", "--no-telemetry", "-d", PLUGIN, *memory,
                          *(f"-a {device}" for device in devices), *eal])
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f"other_config:dpdk-extra=\"{extra}\"")
        self.switch = own(Program("ovs-vswitchd", [
            VSWITCHD, self.db, "--no-chdir", f"--pidfile={folder}/vswitchd.pid",
            f"--unixctl={folder}/vswitchd.ctl", f"--log-file={folder}/vswitchd.log"],
            env=self.environ, prefix=prefix))
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

    def call(self, *argv, timeout=30):
        done = subprocess.run([str(word) for word in argv], env=self.environ, capture_output=True,
                              text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr or done.stdout}")
        return done.stdout

    def vsctl(self, *argv):
        return self.call("ovs-vsctl", f"--db={self.db}", "--timeout=25", *argv)

    def appctl(self, *argv):
        return self.call("ovs-appctl", "--timeout=10", f"--target={self.dir}/vswitchd.ctl", *argv)

    def add_port(self, name, mac, *settings):
        # DPDK finds ports by bus and device on some buses only, and vmbus is not among them.
        self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk",
                   f"options:dpdk-devargs=\"class=eth,mac={mac}\"", *settings)

    def set(self, name, *settings):
        self.vsctl("set", "Interface", name, *settings)

    def get(self, name, column):
        """A column of an interface, as text; "" when it is empty."""
        text = self.vsctl("--if-exists", "get", "Interface", name, column).strip()
        return "" if text == "[]" else text.strip('"')

    def openflow(self, command, *argv):
        return self.call("ovs-ofctl", "--names", command, f"unix:{self.dir}/br0.mgmt", *argv)

    def only_between(self, a, b):
        """What comes from one of two interfaces leaves by the other one, whatever it is."""
        a, b = (self.get(name, "ofport") for name in (a, b))
        self.openflow("del-flows")
        for source, sink in ((a, b), (b, a)):
            self.openflow("add-flow", f"in_port={source},actions=output:{sink}")

    def queues(self, name):
        """Receive queues that the switch polls of a port."""
        return len(re.findall(rf"port: {name} +queue-id:", self.appctl("dpif-netdev/pmd-rxq-show")))

    def log(self):
        with open(f"{self.dir}/vswitchd.log", encoding="utf-8") as file:
            return file.read()

    def stop(self):
        self.call("ovs-appctl", "--timeout=10", f"--target={self.dir}/vswitchd.ctl", "exit", "--cleanup")
        self.switch.wait(20)
