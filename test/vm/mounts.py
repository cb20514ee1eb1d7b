# SPDX-License-Identifier: BSD-3-Clause
"""What the emulated machine shows of this one's files: see init-l1.sh, which mounts it."""
import collections
import os

# kind: 9p (what: the tag), bind or tmpfs. mode: mount options of a 9p one. path: inside and out.
Mount = collections.namedtuple("Mount", "kind what mode path")

READ_ONLY, WRITABLE = "ro,cache=loose", "rw"
OF_ITS_OWN = ("/proc", "/sys", "/dev")
EMPTY = ("/dev/shm", "/tmp", "/run", "/root", "/mnt")


def mounts(job, *folders):
    """
    The whole file system, read-only, but for folders the machine must have for itself; then `job`,
    writable, and `folders`, read-only: at their own paths, which the others may have hidden.
    """
    result = [Mount("9p", "root", READ_ONLY, "/")]
    result += [Mount("bind", path, "-", path) for path in OF_ITS_OWN]
    result += [Mount("tmpfs", "tmpfs", "-", path) for path in EMPTY]
    shares = {os.path.realpath(path): READ_ONLY for path in folders}
    shares[os.path.realpath(job)] = WRITABLE
    shares.pop("/", None)
    # Outer folders first, or they would hide the inner ones.
    for i, path in enumerate(sorted(shares, key=lambda path: path.count("/"))):
        result.append(Mount("9p", "share%d" % i, shares[path], path))
    return result


def qemu_options(listed):
    """QEMU's side of the 9p mounts."""
    options = []
    for mount in listed:
        if mount.kind == "9p":
            options += ["-virtfs", "local,security_model=none,multidevs=remap,path=%s,mount_tag=%s%s" % (
                mount.path.replace(",", ",,"), mount.what,
                ",readonly=on" if mount.mode == READ_ONLY else "")]
    return options


def table(listed):
    """The list as init-l1.sh reads it; a path may hold blanks."""
    return "".join("%s %s %s %s\n" % mount for mount in listed)
