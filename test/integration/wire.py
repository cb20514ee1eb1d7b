# SPDX-License-Identifier: BSD-3-Clause
"""Traces of VMBus, as Wireshark's dissector tells them (doc/trace.md)."""
import os
import re
import shutil
import struct
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DISSECTOR = os.path.join(ROOT, "wireshark/hyperpoll.lua")
needs_tshark = unittest.skipUnless(shutil.which("tshark"), "needs tshark")


def tshark(path, *args, timeout=60):
    """What tshark prints of a trace; every complaint of the dissector's is an error."""
    done = subprocess.run(["tshark", "-2", "-X", f"lua_script:{DISSECTOR}", "-r", path, *args],
                          capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0 or "Lua" in done.stderr:
        raise RuntimeError(f"tshark {args}: {done.stderr}")
    if "Lua Error" in done.stdout:
        raise RuntimeError(done.stdout[done.stdout.index("Lua Error"):][:500])
    return done.stdout


def unknown(path, timeout=60):
    """Lines of a trace in full that say that the dissector does not know something."""
    text = tshark(path, "-o", "hvtrace.frames:FALSE", "-V", timeout=timeout)
    return [line for line in text.splitlines() if re.search("(?i)unknown|malformed", line)]


class Frame(dict):
    """Fields of a frame, by their names; one that is not there is ""."""

    def __getattr__(self, name):
        return self[name.replace("__", ".")]


def frames(path, *fields, only=None, timeout=60):
    """The frames of a trace: number, info, and expert's messages, and fields as they are asked for."""
    names = ["frame.number", "_ws.col.Info", "_ws.expert.message", *fields]
    args = ["-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"]
    for name in names:
        args += ["-e", name]
    if only:
        args += ["-Y", only]
    found = []
    for line in tshark(path, *args, timeout=timeout).splitlines():
        values = line.split("\t")
        values += [""] * (len(names) - len(values))
        found.append(Frame(zip(["number", "info", "expert", *fields], values)))
    return found


# ---- traces made by hand ----

def _option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind, body):
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)


def packet(kind, tid, payload, flags=1, header=b""):
    """A VMBus packet (spec/vmbus-ring.md §4)."""
    payload += bytes(-len(payload) % 8)
    start = 16 + len(header)
    return struct.pack("<HHHHQ", kind, start // 8, (start + len(payload)) // 8, flags, tid) + header + payload


def write_trace(path, records, recv=1 << 20, send=1 << 20):
    """
    A trace of one channel. Records: "opened", (to_guest, packet, [(kind, index, offset, bytes)...]),
    or a number of records that are missing before the next.
    """
    data = _block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))
    data += _block(1, struct.pack("<HHI", 156, 0, 0) + _option(2, b"nic0 channel 0") + _option(9, b"\x09") +
                   _option(0, b""))
    lost = 0
    for time, record in enumerate(records, 1):
        if isinstance(record, int):
            lost = record
            continue
        if record == "opened":
            body = struct.pack("<BBHBBHQIIIIII", 1, 2, 0, 0, 1, 0, time * 1000, 0, 0, recv, send, 7, lost)
        else:
            to_guest, raw, pieces = record
            body = struct.pack("<BBHBBHQIIIIII", 1, to_guest, 0, 0, 0, len(pieces), time * 1000, len(raw),
                               len(raw), recv, send, 7, lost) + raw
            for kind, index, offset, content in pieces:
                body += struct.pack("<HHIII", kind, index, offset, len(content), len(content))
                body += content + bytes(-len(content) % 4)
        options = _option(4, struct.pack("<Q", lost)) + _option(0, b"") if lost else b""
        lost = 0
        data += _block(6, struct.pack("<IIIII", 0, 0, time * 1000, len(body), len(body)) + body + options)
    with open(path, "wb") as file:
        file.write(data)
