# SPDX-License-Identifier: BSD-3-Clause
"""Client of the control socket of hvsim and hvsim-vm, the simulated Hyper-V hosts of hyperpoll.

Nothing but the standard library is needed. Statistics are dictionaries, as hvsim(1) has them under
COUNTERS; what the host refuses is a HostError with its sentence. Without a path the only running host is
meant, as "hvsim ctl" means it.

    >>> import hvsim
    >>> with hvsim.Control(path) as host:          # path: see _example() below
    ...     host.set("stall_rx", 1)
    ...     host.link(0, up=False)
    ...     host.stats(0)["link_up"]
    ...     host.link(7, up=True)
    Traceback (most recent call last):
        ...
    hvsim.HostError: there is no such NIC
    >>> with hvsim.Control(path) as host:
    ...     host.wait(0, lambda stats: not stats["link_up"])["state"]
    'offered'
    >>> host.stats()                               # a connection is made when it is needed
    [{'link_up': False, 'state': 'offered', 'rx_frames': 0}]
    >>> host.close()
"""
import glob
import json
import os
import re
import socket
import stat
import struct
import time

__all__ = ["Control", "HostError", "NoHost", "connect", "find"]

_ANSWER_MAX = 1 << 20  # several times what 64 NICs have to say


class HostError(RuntimeError):
    """The host refused a request; the text is its sentence."""


class NoHost(RuntimeError):
    """No host, or several, where one was meant; the text says which and how to choose."""


def _only_of(user, directory):
    status = os.lstat(directory)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o022


def _is_roots(directory):
    """Nobody but root can change where this path leads to."""
    while _only_of(0, directory):
        if directory == "/":
            return True
        directory = os.path.dirname(directory)
    return False


def _may_be_asked(client, path, listed):
    """Is the server root's, ours, or of whom whoever named the path chose? As "hvsim ctl" has it (doc/security.md)."""
    user = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    if user in (0, os.geteuid()):
        return True
    directory = os.path.dirname(path)
    if not listed:
        return _only_of(user, os.path.realpath(directory))
    return _is_roots(directory) or (os.path.dirname(directory) == "/run/hyperpoll" and
                                    _is_roots("/run/hyperpoll") and _only_of(user, directory))


def connect(path, seconds=10, listed=False):
    """A connected stream socket, whose calls end after so many seconds, too.

    A server of another user is a PermissionError, unless it serves in a folder that is its user's alone
    and the path was not just found in a list (listed). A socket whose queue is full refuses at once (EAGAIN), and nothing tells when it is not any more.
    """
    deadline = time.monotonic() + seconds
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(seconds)
    while True:
        try:
            client.connect(path)
            if not _may_be_asked(client, path, listed):
                raise PermissionError(f"{path}: a host of another user serves it")
            return client
        except BlockingIOError:
            if time.monotonic() > deadline:
                client.close()
                raise
            time.sleep(0.01)
        except OSError:
            client.close()
            raise


def _directories():
    """Where hosts are by default, or where they are said to be."""
    named = os.environ.get("HYPERPOLL_VFIO_USER_DIRS")
    if named is not None:
        return [directory for directory in named.split(":") if directory]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return ["/run/hyperpoll", *([os.path.join(runtime, "hyperpoll")] if runtime else [])]


def _listed():
    """Sockets called control.sock that somebody listens at, by the kernel's list; of hosts only."""
    if "HYPERPOLL_VFIO_USER_DIRS" in os.environ:
        return []
    inodes = {}
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
            for line in file:
                # Num RefCount Protocol Flags Type St Inode Path; 0x10000: it listens.
                fields = line.split(None, 7)
                if len(fields) == 8 and fields[7].strip().endswith("/control.sock") and \
                        int(fields[3], 16) & 0x10000:
                    inodes[f"socket:[{fields[6]}]"] = fields[7].strip()
    except (OSError, ValueError):
        return []
    found = []
    for process in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{process}/comm", encoding="utf-8") as file:
                if not file.read().startswith("hvsim"):
                    continue
            for fd in os.listdir(f"{process}/fd"):
                path = inodes.get(os.readlink(f"{process}/fd/{fd}"))
                if path is not None:
                    found.append(os.path.realpath(path))
        except OSError:
            continue  # it ended, or is another user's
    return found


def _find():
    """The control socket of the only running host, and whether only the kernel's list names it."""
    served, foreign = {}, None
    for path, listed in [*((os.path.join(directory, "control.sock"), False) for directory in _directories()),
                         *((path, True) for path in _listed())]:
        try:
            status = os.stat(path)
            connect(path, 1, listed).close()
        except PermissionError:
            foreign = path
            continue
        except OSError:
            continue
        served.setdefault((status.st_dev, status.st_ino), (path, listed))
    hosts = list(served.values())
    if len(hosts) == 1:
        return hosts[0]
    if hosts:
        raise NoHost(f"{len(hosts)} hosts run: name the control socket of one, " + ", ".join(path for path, _ in hosts))
    if foreign is not None:
        raise NoHost(f"no host of yours runs; {foreign!r} is another user's")
    raise NoHost("no running host found; start hvsim, or name its control socket")


def find():
    """The control socket of the only running host, or NoHost."""
    return _find()[0]


class Control:
    """A host, by its control socket. NICs are numbered from 0 in the order of --nic.

    The connection is made with the first request and again after a failed one; close(), or the end
    of a with statement, ends it. An answer must be there as a whole within so many seconds (timeout).
    One thread at a time.
    """

    def __init__(self, path=None, timeout=10):
        self.path, self._is_listed = _find() if path is None else (path, False)
        self.timeout = timeout
        self._socket, self._left = None, b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the connection; the next request makes another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._left = None, b""

    def _wait_until(self, deadline):
        """What is done next with the socket ends by then."""
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError(f"{self.path}: no answer within {self.timeout} s")
        self._socket.settimeout(seconds)

    def _line(self, deadline):
        """The answer, in whatever pieces it comes; who serves the socket may be anybody."""
        while b"\n" not in self._left:
            if len(self._left) > _ANSWER_MAX:
                raise ConnectionError(f"{self.path}: an answer of more than {_ANSWER_MAX} bytes")
            self._wait_until(deadline)
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError(f"{self.path}: the host hung up")
            self._left += piece
        line, self._left = self._left.split(b"\n", 1)
        return line.decode()

    def request(self, cmd, nic=None, **members):
        """One request, as hvsim(1) has them under CONTROL; the answer. HostError, OSError."""
        line = {"cmd": cmd, **({} if nic is None else {"nic": nic}), **members}
        deadline = time.monotonic() + self.timeout
        try:
            if self._socket is None:
                self._socket = connect(self.path, self.timeout, self._is_listed)
            self._wait_until(deadline)
            self._socket.sendall(json.dumps(line).encode() + b"\n")
            text = self._line(deadline)
            answer = json.loads(text)
        except (OSError, ValueError):
            self.close()
            raise
        if not answer.get("ok"):
            raise HostError(answer.get("error", text))
        return answer

    def stats(self, nic=None):
        """Counters and state of a NIC; without a number a list, of all."""
        answer = self.request("stats", nic)
        return answer["nics"] if nic is None else answer["stats"]

    def rings(self, nic=0):
        """Indices and masks of all open channels."""
        return self.request("rings", nic)["rings"]

    def knobs(self):
        """What set() knows: a dictionary of names and values with what they are."""
        text = self.request("knobs")["knobs"]
        return {name: line for line in text.splitlines()
                for name in re.findall(r"(?:^|, )([a-z0-9_]+)=", re.split(r"  +", line)[0])}

    def set(self, name, value, nic=0):
        """Turn a knob."""
        self.request("set", nic, name=name, value=str(value))

    def link(self, nic=0, up=True):
        """Connect or disconnect the cable."""
        self.request("link", nic, up=bool(up))

    def vf(self, nic=0, present=True, serial=1):
        """The virtual function appears, or goes."""
        self.request("vf", nic, present=bool(present), serial=serial)

    def take_path_back(self, nic=0):
        """Move the data path back from the virtual function, which stays."""
        self.request("vf", nic, path="synthetic")

    def trace(self, nic=0, file=None, on=None, snaplen=None):
        """Begin a trace in a file, which is made anew; with on=False end it; with on=True go on in its
        file. How it goes then: a dictionary, or None without a trace. Messages are cut to snaplen bytes."""
        members = {"file": file, "on": on, "snaplen": snaplen}
        return self.request("trace", nic, **{key: value for key, value in members.items() if value is not None})["trace"]

    def rescind(self, nic=0):
        """Take the device away from the guest."""
        self.request("rescind", nic)

    def offer(self, nic=0):
        """Give it back."""
        self.request("offer", nic)

    def wait(self, nic, condition, timeout=10):
        """Look at the statistics until condition(stats) is true; the statistics. TimeoutError."""
        end = time.monotonic() + timeout
        while True:
            stats = self.stats(nic)
            if condition(stats):
                return stats
            if time.monotonic() > end:
                raise TimeoutError(f"NIC {nic}: not so within {timeout} s")
            time.sleep(0.02)
