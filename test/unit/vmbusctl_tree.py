# SPDX-License-Identifier: BSD-3-Clause
"""Fixture for the tests of vmbusctl: a guest's sysfs, proc and dev as plain files, and a stand-in
for the kernel that answers writes to bind, unbind, new_id and drivers_probe (the order of events
and the errors are those of spec/linux-uio-vmbus.md §3)."""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

NIC_CLASS = "f8615163-df3e-46c5-913f-f2d2f965ed0e"
SCSI_CLASS = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"

UIO_NIC = "000d3a11-2233-000d-3a11-2233000d3a11"  # the device of §12
ROUTE_NIC = "6045bd00-0001-6045-bd00-00016045bd00"  # eth0, carries the default route
# What bind says last, unless the adapter is bound again by itself.
REOFFER_NOTE = ("note: hv_netvsc gets it when the host takes it away and offers it again, and at the next boot; "
                "with --persist it is bound again by itself\n")
FREE_NIC = "7c1e5200-0002-7c1e-5200-00027c1e5200"  # eth1
SCSI = "f8b3781a-1e82-4818-a1c3-63d806ec15bb"

ROUTE_HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


class Tree:
    def __init__(self, override=True, kernel="6.1.192"):
        self.root = tempfile.mkdtemp(prefix="hyperpoll-ctl.")
        self.override = override
        for folder in ("dev", "proc", "etc"):
            os.makedirs(self.path(folder))
        for driver in ("hv_netvsc", "uio_hv_generic", "hv_storvsc"):
            for attr in ("bind", "unbind", "new_id", "remove_id"):
                self.put(f"sys/bus/vmbus/drivers/{driver}/{attr}", "")
        self.put("sys/bus/vmbus/drivers_probe", "")
        self.kernel(kernel, f"Linux version 6.1.0-50-amd64 (Debian) #1 SMP Debian {kernel}-1 (2025-12-20)")
        self.put("proc/self/status", "Name:\tvmbusctl\nCapEff:\t000001ffffffffff\n")
        self.put("proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n")
        self.put("proc/net/route", ROUTE_HEADER
                 + "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                 + "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
                 + "eth1\t0001000A\t00000000\t0001\t0\t0\t101\t00FFFFFF\t0\t0\t0\n")
        self.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "512\n")
        self.put("sys/devices/system/node/node0/cpulist", "0-3\n")
        self.put("sys/bus/pci/slots/2/address", "0001:00:02\n")
        self.put("sys/bus/pci/slots/2-1/address", "0002:00:02\n")
        self.link("sys/bus/pci/devices/0001:00:02.0/driver", "../../drivers/mlx5_core")

    def kernel(self, release, version):
        self.put("proc/sys/kernel/osrelease", release + "\n")
        self.put("proc/version", version + "\n")

    def path(self, relative):
        return os.path.join(self.root, relative)

    def device(self, name, attr=""):
        return f"sys/bus/vmbus/devices/{name}/{attr}".rstrip("/")

    def put(self, relative, text):
        full = self.path(relative)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        # Attributes change whole, as the kernel's do.
        new = os.path.join(os.path.dirname(full), ".new")
        with open(new, "w", encoding="ascii") as f:
            f.write(text)
        os.rename(new, full)

    def put_bytes(self, relative, data):
        with open(self.path(relative), "wb") as f:
            f.write(data)

    def get(self, relative):
        with open(self.path(relative), encoding="ascii") as f:
            return f.read(1 << 16)

    def link(self, relative, target):
        full = self.path(relative)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if os.path.lexists(full):
            os.unlink(full)
        os.symlink(target, full)

    def remove(self, relative):
        full = self.path(relative)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        elif os.path.lexists(full):
            os.unlink(full)

    def close(self):
        shutil.rmtree(self.root)

    def environment(self):
        """Of a vmbusctl that is in this guest."""
        return {**{k: v for k, v in os.environ.items() if not k.startswith(("HYPERPOLL", "SSH"))},
                "HYPERPOLL_SYSFS_ROOT": self.path("sys"), "HYPERPOLL_DEV_ROOT": self.path("dev"),
                "HYPERPOLL_PROC_ROOT": self.path("proc"), "HYPERPOLL_ROOT": self.root,
                "HYPERPOLL_ISOLATION": "0", "HYPERPOLL_MODPROBE": "/bin/false", "LC_ALL": "C"}

    def add(self, name, relid, class_guid=NIC_CLASS, monitor=3, state=3, numa=0):
        put = lambda attr, text: self.put(self.device(name, attr), text + "\n")
        put("class_id", "{" + class_guid + "}")
        put("device_id", "{" + name + "}")
        put("id", str(relid))
        put("state", str(state))
        if monitor is not None:
            put("monitor_id", str(monitor))
        put("numa_node", str(numa))
        if self.override:
            put("driver_override", "(null)")
        self.channel(name, relid, 0, monitor, ring=False)

    def channel(self, name, relid, index, monitor, ring=True):
        put = lambda attr, text: self.put(self.device(name, f"channels/{relid}/{attr}"), text + "\n")
        put("subchannel_id", str(index))
        if monitor is not None:
            put("monitor_id", str(monitor))
        put("cpu", str(index))
        if ring:
            put("ring", "")
            os.truncate(self.path(self.device(name, f"channels/{relid}/ring")), 4194304)

    def set_driver(self, name, driver):
        if driver is None:
            self.remove(self.device(name, "driver"))
        else:
            self.link(self.device(name, "driver"), f"../../../../bus/vmbus/drivers/{driver}")

    def make_netdev(self, name, interface):
        self.put(self.device(name, f"net/{interface}/flags"), "0x1003\n")
        self.set_driver(name, "hv_netvsc")

    def make_uio(self, name, number):
        put = lambda attr, text: self.put(self.device(name, f"uio/uio{number}/{attr}"), text + "\n")
        put("name", "uio_hv_generic")
        put("dev", f"245:{number}")
        maps = (("txrx_rings", 0x108000000, 0x400000),
                ("int_page", 0xffff8b2c01a2b000, 0x1000),
                ("monitor_page", 0xffff8b2c01a2c000, 0x1000),
                (f"recv:{925213 + 2 * number}", 0xffffb5a1c2400000, 0x1f00000),
                (f"send:{925214 + 2 * number}", 0xffffb5a1c4400000, 0x1000000))
        for i, (label, address, size) in enumerate(maps):
            put(f"maps/map{i}/name", label)
            put(f"maps/map{i}/addr", f"0x{address:016x}")
            put(f"maps/map{i}/size", f"0x{size:016x}")
            put(f"maps/map{i}/offset", "0x0")
        self.put(f"dev/uio{number}", "")
        self.set_driver(name, "uio_hv_generic")

    def make_user(self, pid, command, number, how="fd"):
        self.put(f"proc/{pid}/comm", command + "\n")
        if how == "fd":
            self.link(f"proc/{pid}/fd/0", "/dev/null")
            self.link(f"proc/{pid}/fd/17", f"/dev/uio{number}")
        else:
            self.put(f"proc/{pid}/maps",
                     "55d0c0000000-55d0c0001000 r--p 00000000 fe:01 1 /usr/bin/x\n"
                     f"7f0000000000-7f0000400000 rw-s 00000000 00:05 300 /dev/uio{number}\n")


def example(**kwargs):
    """Four devices: one NIC in use by testpmd, two of the kernel, a disk."""
    tree = Tree(**kwargs)
    tree.add(UIO_NIC, 14)
    for relid, index in ((21, 1), (22, 2), (23, 3)):
        tree.channel(UIO_NIC, relid, index, 11 + index)
    tree.make_uio(UIO_NIC, 0)
    if tree.override:
        tree.put(tree.device(UIO_NIC, "driver_override"), "uio_hv_generic\n")
    tree.make_user(4242, "dpdk-testpmd", 0)
    tree.add(ROUTE_NIC, 40, monitor=7)
    tree.make_netdev(ROUTE_NIC, "eth0")
    tree.add(FREE_NIC, 41, monitor=8)
    tree.make_netdev(FREE_NIC, "eth1")
    tree.add(SCSI, 9, class_guid=SCSI_CLASS, monitor=1, numa=-1)
    tree.set_driver(SCSI, "hv_storvsc")
    return tree


class Kernel:
    """Looks at the writable files every few milliseconds and does what Linux does on a write. The
    content stays, so that a test can compare it."""

    def __init__(self, tree, refuse=()):
        self.tree, self.refuse = tree, refuse
        self.seen, self.uio = {}, 5
        self.log = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.poll(react=False)
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()
        self.poll()

    def run(self):
        while not self.stop.is_set():
            self.poll()
            time.sleep(0.002)

    def files(self):
        yield "sys/bus/vmbus/drivers_probe"
        base = "sys/bus/vmbus/drivers"
        for driver in sorted(os.listdir(self.tree.path(base))):
            for attr in ("unbind", "new_id", "remove_id", "bind"):
                yield f"{base}/{driver}/{attr}"

    def changes(self):
        found = []
        for name in self.files():
            full = self.tree.path(name)
            if not os.path.isfile(full):
                continue  # /dev/full stands in for a write that fails
            stamp = os.stat(full).st_mtime_ns
            text = self.tree.get(name).strip()
            if text and self.seen.get(name) != stamp:
                found.append((stamp, not name.endswith("unbind"), name, text))
        return sorted(found)

    def poll(self, react=True):
        if not self.changes():
            return
        # Looked at twice: of two writes the first pass may have caught only the later one. Stamps
        # are coarse; of two equal ones the unbind was first, as nobody binds what is bound.
        for stamp, _, name, text in self.changes():
            self.seen[name] = stamp
            if react:
                self.react(name, text)

    def react(self, name, text):
        tree, parts = self.tree, name.split("/")
        action, driver = parts[-1], parts[-2]
        self.log.append((action, text))
        if action == "unbind":
            tree.set_driver(text, None)
            tree.put(tree.device(text, "state"), "2\n")
            tree.remove(tree.device(text, "net"))
            tree.remove(tree.device(text, "uio"))
        elif action == "drivers_probe":
            wanted = tree.get(tree.device(text, "driver_override")).strip()
            self.bind(text, wanted if wanted not in ("", "(null)") else "hv_netvsc")
        elif action == "bind":
            self.bind(text, driver)

    def bind(self, name, driver):
        if driver in self.refuse:
            return
        if driver == "uio_hv_generic":
            self.tree.make_uio(name, self.uio)
        else:
            self.tree.make_netdev(name, "eth9")


class Case(unittest.TestCase):
    maxDiff = None
    program = None  # path of vmbusctl

    def tree(self, tree=None, **kwargs):
        self.t = example(**kwargs) if tree is None else tree
        self.addCleanup(self.t.close)
        return self.t

    def run_ctl(self, *arguments, wrap=(), **more):
        t = self.t
        environment = {**t.environment(), **more}
        # meson sets this in cross builds whose programs do not run here by themselves.
        wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
        done = subprocess.run([*wrap, *wrapper, self.program, *arguments], env=environment, capture_output=True,
                              text=True, timeout=60, check=False)
        clean = lambda text: text.replace(t.root, "@").replace(self.program, "vmbusctl")
        return done.returncode, clean(done.stdout), clean(done.stderr)

    def check(self, arguments, code, out="", err="", **more):
        """Exact result; `err` without the program's name in front of each line."""
        lines = "".join(f"vmbusctl: {line}\n" for line in err.splitlines())
        self.assertEqual(self.run_ctl(*arguments, **more), (code, out, lines))


class Installed(Case):
    """The fixture's owner stands in for root, and the program is installed in it."""

    def setUp(self):
        self.built = self.program

    def tree(self, tree=None, **kwargs):
        t = super().tree(tree, **kwargs)
        self.program = self.built
        said = self.run_ctl("bind", "eth1", "--persist", "--dry-run")[2]
        match = re.search(r"use (/\S+)$", said)
        self.installed = match.group(1) if match else "/usr/local/sbin/vmbusctl"
        self.program = t.path(self.installed[1:])
        os.makedirs(os.path.dirname(self.program))
        shutil.copy(self.built, self.program)
        os.chmod(self.program, 0o755)
        return t


def has_namespaces():
    return os.geteuid() == 0 and all(map(shutil.which, ("unshare", "ip"))) and subprocess.run(
        ["unshare", "-n", "true"], check=False, capture_output=True).returncode == 0


def main(doc):
    if len(sys.argv) < 2:
        sys.exit(doc)
    Case.program = os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=1)
