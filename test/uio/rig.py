# SPDX-License-Identifier: BSD-3-Clause
"""Runs programs on the rig: their NICs look as if bound to uio_hv_generic.

Importing this module changes the integration harness, so that its tests and helpers work through
the UIO backend as they are. Import it before any test module.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import harness  # noqa: E402

LIBRARY = os.path.join(harness.BUILD, "test/uio/libhyperpoll-rig.so")

# How the driver names memory to the host (design.md): by physical address, or not at all.
MODES = {
    "pa": (["--iova-mode=pa"], {"RIG_IOVA": "pa"}),
    "copy": (["--iova-mode=va"], {}),
}
mode = "pa"

sockets = {}  # of NICs, by GUID: the latest host that serves it
plain_memory_args = harness.memory_args
plain_init = harness.Program.__init__


def environment(guids, **options):
    """The variables that put a program on the rig, with the NICs it may see."""
    return {"LD_PRELOAD": LIBRARY, "RIG_SOCKETS": ":".join(sockets[guid] for guid in guids),
            **MODES[mode][1], **options}


def memory_args():
    args = plain_memory_args()
    return args + MODES[mode][0] if "--no-huge" not in args else args


def device(host, number=0, options=""):
    """Found in sysfs: no socket in the arguments."""
    return f"vmbus:{host.guids[number]}{options}"


def init(program, name, argv, env=None, prefix=()):
    argv = [str(arg) for arg in argv]
    if isinstance(program, harness.Host):
        for guid in program.guids:
            sockets[guid] = program.socket(program.guids.index(guid))
    else:
        guids = [guid for guid in dict.fromkeys(re.findall(r"vmbus:([0-9a-f-]{36})",
                                                           " ".join(argv))) if guid in sockets]
        if guids:
            given = (env or {}).get("LD_PRELOAD")
            env = {**environment(guids), **(env or {})}
            if given:
                env["LD_PRELOAD"] = f"{LIBRARY}:{given}"
    plain_init(program, name, argv, env=env, prefix=prefix)


harness.Program.__init__ = init
harness.Host.device = device
harness.Host.where = lambda host, number=0: f"uio{number}"
harness.Host.backend = "uio"
harness.memory_args = memory_args
