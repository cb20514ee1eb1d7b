# SPDX-License-Identifier: BSD-3-Clause
"""What Linux tells of processes: how long their threads could not run, what they have mapped and open."""
import ctypes
import os
import re


def waited(pids):
    """Seconds that threads have waited for a processor so far, by thread."""
    found = {}
    for pid in pids:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                    found[thread] = int(file.read().split()[1]) / 1e9
        except OSError:
            pass  # it ended
    return found


def mappings(program, what):
    """Mappings in whose line this word is."""
    with open(f"/proc/{program.child.pid}/maps", encoding="ascii") as file:
        return sum(what in line for line in file)


def eventfds(pid):
    """Descriptors of a process that are eventfds, by the kernel's number of the eventfd."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
                match = re.search(r"^eventfd-id:\s*(\d+)", file.read(), re.M)
        except OSError:
            continue  # closed meanwhile
        if match:
            found[int(match[1])] = int(fd)
    return found


def borrow(pid, fd):
    """Another process' descriptor as one of ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        ours = libc.syscall(438, process, fd, 0)  # pidfd_getfd(2)
        if ours < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        return ours
    finally:
        os.close(process)
