# SPDX-License-Identifier: BSD-3-Clause
"""Traces of VMBus, as Wireshark's dissector tells them (doc/trace.md)."""
import os
import shutil
import subprocess
import unittest

from harness import ROOT

DISSECTOR = os.path.join(ROOT, "wireshark/hyperpoll.lua")
needs_tshark = unittest.skipUnless(shutil.which("tshark"), "needs tshark")


def tshark(path, *args):
    """What tshark prints of a trace; every complaint of the dissector's is an error."""
    done = subprocess.run(["tshark", "-2", "-X", f"lua_script:{DISSECTOR}", "-r", path, *args],
                          capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 or "Lua" in done.stderr:
        raise RuntimeError(f"tshark {args}: {done.stderr}")
    if "Lua Error" in done.stdout:
        raise RuntimeError(done.stdout[done.stdout.index("Lua Error"):][:500])
    return done.stdout


class Frame(dict):
    """Fields of a frame, by their names; one that is not there is ""."""

    def __getattr__(self, name):
        return self[name.replace("__", ".")]


def frames(path, *fields, only=None):
    """The frames of a trace: number, info, and expert's messages, and fields as they are asked for."""
    names = ["frame.number", "_ws.col.Info", "_ws.expert.message", *fields]
    args = ["-T", "fields", "-E", "separator=/t", "-E", "aggregator=;"]
    for name in names:
        args += ["-e", name]
    if only:
        args += ["-Y", only]
    found = []
    for line in tshark(path, *args).splitlines():
        values = line.split("\t")
        values += [""] * (len(names) - len(values))
        found.append(Frame(zip(["number", "info", "expert", *fields], values)))
    return found
