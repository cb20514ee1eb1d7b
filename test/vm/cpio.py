# SPDX-License-Identifier: BSD-3-Clause
"""Writes an initramfs: a cpio archive ("newc") of files collected from this system. Not compressed:
unpacking in an emulated machine takes longer than reading."""
import os
import re
import stat
import subprocess


class Archive:
    """Collects files in memory; paths inside are relative to the root, without a leading slash."""

    def __init__(self):
        self.entries = {}

    def _parents(self, path):
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self._parents(parent)
            self.entries[parent] = (stat.S_IFDIR | 0o755, b"")

    def directory(self, path):
        self._parents(path)
        self.entries.setdefault(path, (stat.S_IFDIR | 0o755, b""))

    def data(self, path, data, mode=0o644):
        self._parents(path)
        self.entries[path] = (stat.S_IFREG | mode, data if isinstance(data, bytes) else data.encode())

    def file(self, path, source, mode=None):
        with open(source, "rb") as f:
            self.data(path, f.read(), mode or stat.S_IMODE(os.stat(source).st_mode))

    def link(self, path, target):
        self._parents(path)
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def program(self, source, path=None):
        """A program or shared object with everything it needs, at the places it expects."""
        self.file(path or source.lstrip("/"), source, 0o755)
        for library in libraries(source):
            self.library(library)

    def library(self, path):
        """One shared library and the links that lead to it: one file must stay one file."""
        inside = os.path.realpath(os.path.dirname(path)).lstrip("/") + "/" + os.path.basename(path)
        if inside in self.entries:
            return
        if os.path.islink(path):
            target = os.readlink(path)
            self.link(inside, target)
            self.library(os.path.join(os.path.dirname("/" + inside), target))
        else:
            self.file(inside, path, 0o755)

    def module(self, name, data):
        self.data("modules/%s.ko" % name, data)

    def write(self, path):
        inode = 0
        temporary = "%s.%d" % (path, os.getpid())
        with open(temporary, "wb") as out:
            for name, (mode, data) in list(self.entries.items()) + [("TRAILER!!!", (0, b""))]:
                inode += 1
                fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
                head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
                out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))
        os.replace(temporary, path)


def libraries(program):
    """Paths of the shared libraries a program is linked with, its interpreter included."""
    run = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(?:=> |^\s+)(/\S+) \(0x", run.stdout, re.M)
