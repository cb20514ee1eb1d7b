#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run a program under the system call rules of a systemd unit, without systemd: confined.py UNIT CMD...

SystemCallFilter= as systemd-analyze expands its groups, MemoryDenyWriteExecute= and
RestrictAddressFamilies=AF_UNIX. What is not allowed kills here, so that no refusal goes unseen.
"""
import ctypes
import os
import socket
import subprocess
import sys

KILL_PROCESS, ALLOW = 0x80000000, 0x7FFF0000
EQUAL, MASKED_EQUAL = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings(unit, key):
    with open(unit, encoding="utf-8") as file:
        return [line.split("=", 1)[1].strip() for line in file if line.startswith(key + "=")]


def group(name):
    """The system calls of a group such as @aio, and those of the groups in it."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True,
                          text=True, check=True)
    calls = set()
    for word in map(str.strip, done.stdout.splitlines()[1:]):
        if word and not word.startswith("#"):
            calls |= group(word) if word.startswith("@") else {word}
    return calls


def allowed(unit):
    # What systemd allows in any case.
    calls = group("@default") | {"execve"}
    for value in settings(unit, "SystemCallFilter"):
        deny = value.startswith("~")
        for word in value.lstrip("~").split():
            words = group(word) if word.startswith("@") else {word}
            calls = calls - words if deny else calls | words
    return calls


def confine(unit):
    lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(KILL_PROCESS)))

    def allow(name, *compare):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and lib.seccomp_rule_add_array(
                context, ctypes.c_uint32(ALLOW), number, len(compare),
                (Compare * len(compare))(*compare)) != 0:
            raise OSError(f"no rule for {name}")

    calls = allowed(unit)
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        for protection in (0, PROT_WRITE, PROT_EXEC):
            allow("mmap", Compare(2, MASKED_EQUAL, both, protection))
        for name in ("mprotect", "pkey_mprotect"):
            allow(name, Compare(2, MASKED_EQUAL, PROT_EXEC, 0))
        calls -= {"mmap", "mprotect", "pkey_mprotect"}
    if settings(unit, "RestrictAddressFamilies") == ["AF_UNIX"]:
        allow("socket", Compare(0, EQUAL, socket.AF_UNIX, 0))
        calls -= {"socket"}
    for name in sorted(calls):
        allow(name)
    if lib.seccomp_load(context) != 0:
        raise OSError("the filter cannot be loaded")


if __name__ == "__main__":
    confine(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
