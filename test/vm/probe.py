# SPDX-License-Identifier: BSD-3-Clause
"""
Run in the place of hvsim by its unit: tries what that forbids, and writes how it ended to the file that is named.
'done' is what a thing that was not refused ends with.
"""
import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))


def written(path):
    opened(path, os.O_WRONLY | os.O_CREAT)


def seen(path):
    if not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, path)


def privileged():
    """A program with the set-user-ID bit is root's, and root may read this."""
    subprocess.run(["/usr/bin/su", "-c", "cat /etc/shadow"], check=True, capture_output=True, timeout=20)


def core():
    if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0):
        raise OSError(errno.EPERM, "no core")


TRIES = {
    "control": lambda: written(sys.argv[1]),
    "internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "set-user-ID program": privileged,
    "write to /etc": lambda: written("/etc/of-hvsim"),
    "write to /usr": lambda: written("/usr/of-hvsim"),
    "write to /var/lib": lambda: written("/var/lib/of-hvsim"),
    "another's /tmp": lambda: seen("/tmp/of-root"),
    "another's home": lambda: seen("/home/of-root"),
    "/dev/kmsg": lambda: opened("/dev/kmsg"),
    "/dev/mem": lambda: opened("/dev/mem"),
    "/dev/kvm": lambda: opened("/dev/kvm", os.O_RDWR),
    "a terminal": lambda: opened("/dev/ttyS0", os.O_WRONLY),
    "/proc of others": lambda: seen("/proc/1/status"),
    "kernel's settings": lambda: opened("/proc/sys/kernel/printk", os.O_WRONLY),
    "control groups": lambda: written("/sys/fs/cgroup/of-hvsim"),
    "memory to write and execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "namespace": lambda: call("unshare", 0x10000000),
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "chroot": lambda: os.chroot("/"),
    "chown": lambda: os.chown(sys.argv[1], os.getuid(), os.getgid()),
    "another user": lambda: os.setuid(0),
    "host name": lambda: socket.sethostname("hvsim"),
    "personality": lambda: call("personality", 8),
    "set-group-ID file": lambda: os.chmod(sys.argv[1], 0o2700),
    "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "reboot": lambda: call("reboot", 0),
    "core dump": core,
}


def attempt(function):
    try:
        function()
    except subprocess.CalledProcessError:
        return "failed"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"


said = {name: attempt(function) for name, function in TRIES.items()}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(said, file)
