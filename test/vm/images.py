# SPDX-License-Identifier: BSD-3-Clause
"""Builds the initramfs of the emulated machine (L1) and of the guest with the synthetic NIC (L2)."""
import glob
import os
import subprocess

import kernels
import mounts
from cpio import Archive, libraries

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("HYPERPOLL_BUILD", "build"))

# In the order in which they are loaded.
L1_MODULES = ("virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci netfs fscache "
              "9pnet 9p 9pnet_virtio irqbypass kvm ccp kvm-amd tun llc mrp stp garp 8021q").split()
L1_TARGET = "job.target"
L2_MODULES = "hv_vmbus hv_netvsc uio uio_hv_generic llc mrp stp garp 8021q".split()
L2_PROGRAMS = ("/usr/sbin/ethtool", "/bin/ip", "/usr/bin/socat")

SYSTEMD_FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/run/alice:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\nalice:x:1000:\nnogroup:x:65534:\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    # There is no journal; what the kernel's log has is not all shown on the console.
    "etc/systemd/system.conf": "[Manager]\nLogTarget=kmsg\nDefaultStandardOutput=kmsg\nShowStatus=no\n",
    "etc/systemd/system/default.target": "[Unit]\nRequires=console.service\nAllowIsolate=yes\n",
    "etc/systemd/system/console.service":
        "[Unit]\nDefaultDependencies=no\nRequires=udev.service\nAfter=udev.service\n[Service]\nExecStart=/init\n"
        "StandardInput=tty-force\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\n",
    "etc/systemd/system/udev.service":
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=notify\nExecStart=/usr/lib/systemd/systemd-udevd\n",
}


def base(kernel, modules, init):
    archive = Archive()
    for d in ("proc", "sys", "dev", "run", "tmp", "root", "mnt/huge"):
        archive.directory(d)
    archive.file("bin/busybox", "/bin/busybox", 0o755)
    archive.link("bin/sh", "busybox")
    archive.link("var/run", "../run")
    archive.file("init", os.path.join(HERE, init), 0o755)
    for merged in ("/lib", "/lib64"):
        if os.path.islink(merged):
            archive.link(merged[1:], os.readlink(merged))
    # The names that are asked for keep their spelling.
    asked = {name.replace("-", "_"): name for name in modules}
    files = [(asked.get(name, name), path) for name, path in kernels.module_files(kernel, modules)]
    for name, path in files:
        archive.module(name, kernels.module_data(path))
    archive.data("modules/order", "".join(name + "\n" for name, _ in files))
    # What other kernels have in modules of their own.
    archive.data("modules/needed", ",".join(name for name, _ in files if name not in modules) + "\n")
    return archive


def l1(path, listed, job, systemd=False):
    """The machine in which KVM is: shows files of this one as listed (mounts.py), runs script `job`."""
    archive = base(kernels.installed(), L1_MODULES + ["overlay"] * systemd, "init-l1.sh")
    if systemd:
        archive.data("systemd/" + L1_TARGET, "[Unit]\nAllowIsolate=yes\nRequires=basic.target job.service\nAfter=basic.target\n")
        archive.data("systemd/job.service", "[Unit]\nAfter=basic.target\n[Service]\nExecStart=/bin/sh %s\n"
                     "ExecStopPost=/bin/systemctl --force --force poweroff\n" % job.replace("%", "%%"))
    archive.data("mounts", mounts.table(listed))
    archive.data("job", job + "\n")
    archive.write(path)


def add_dpdk(archive, build):
    """testpmd, the plugins it loads by itself, and ours from build folder `build`."""
    libdir = "/usr/lib/x86_64-linux-gnu"
    archive.program("/usr/bin/dpdk-testpmd")
    for plugin in ("librte_bus_vdev.so*", "librte_bus_vmbus.so*", "librte_bus_pci.so*",
                   "librte_net_netvsc.so*", "librte_mempool_ring.so*", "librte_net_tap.so*"):
        for source in glob.glob(os.path.join(libdir, "dpdk", "pmds-*", plugin)):
            archive.library(source)
            for needed in libraries(source):
                archive.library(needed)
    # Plugins need one another under the names the package has in the library folder.
    for entry in [e for e in archive.entries if "/dpdk/pmds-" in e and e.startswith(libdir[1:])]:
        archive.link("%s/%s" % (libdir[1:], os.path.basename(entry)), os.path.relpath(entry, libdir[1:]))
    archive.library(libdir + "/libgcc_s.so.1")
    ours = os.path.join(build, "drivers", "librte_hyperpoll.so")
    if os.path.exists(ours):
        archive.program(ours, "opt/librte_hyperpoll.so")
    for name in ("l2fwd", "l3fwd-power"):
        archive.program(example(name, build), "opt/" + name)
    archive.program(os.path.join(build, "app", "vmbusctl", "vmbusctl"), "opt/vmbusctl")


def example(name, build):
    """DPDK's own example, built from the distribution's sources as is."""
    folder = "/usr/share/dpdk/examples/"
    sources = glob.glob(folder + name + "/*.c")
    out = os.path.join(build, "examples", name)
    if not os.path.exists(out) or os.path.getmtime(out) < max(map(os.path.getmtime, sources)):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libdpdk"], check=True,
                               capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-O2", "-w", "-DALLOW_EXPERIMENTAL_API", "-I%scommon" % folder, "-o", out] +
                       sources + flags + ["-lm"], check=True)
    return out


def add_systemd(archive, build):
    """systemd and udev, which run init-l2.sh as a service; an installed vmbusctl, as --persist wants it."""
    for program in ("/usr/lib/systemd/systemd", "/usr/bin/udevadm", "/usr/bin/systemctl", "/usr/bin/setpriv",
                    "/usr/bin/stdbuf", "/usr/libexec/coreutils/libstdbuf.so"):
        archive.program(os.path.realpath(program), program[1:])
    archive.link("usr/lib/systemd/systemd-udevd", "../../bin/udevadm")
    for path, text in SYSTEMD_FILES.items():
        archive.data(path, text)
    archive.program(os.path.join(build, "app", "vmbusctl", "vmbusctl"), "usr/sbin/vmbusctl")
    archive.directory("etc/udev/rules.d")


def l2(path, kernel, build=None, autorun=None, systemd=False):
    """The guest; with `build` also testpmd and our plugin; `autorun` is run before its shell."""
    archive = base(kernel, L2_MODULES, "init-l2.sh")
    for program in L2_PROGRAMS:
        archive.program(os.path.realpath(program), "bin/" + os.path.basename(program))
    # Started by other programs than busybox's shell.
    for applet in ("true", "modprobe"):
        archive.link("bin/" + applet, "busybox")
    if build is not None:
        add_dpdk(archive, build)
    if systemd:
        add_systemd(archive, build)
    if autorun is not None:
        archive.data("autorun", autorun + "\n")
    archive.write(path)
