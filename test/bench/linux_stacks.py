# SPDX-License-Identifier: BSD-3-Clause
"""One TCP connection between two Linux stacks through TAP, hvsim, testpmd, hvsim, TAP."""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

import stacks  # noqa: E402
from harness import Testpmd  # noqa: E402


def missing():
    """Why it cannot be measured here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    return None if shutil.which("iperf3") else "iperf3 is not installed"


def measure(offloads, seconds):
    """Bits per second at the receiver. With offloads, the stacks and testpmd leave to their NICs what they can."""
    made = stacks.Stacks(vnet=offloads)
    try:
        if offloads:
            pmd = made.own(Testpmd(made.host, mode="csum", args=stacks.OFFLOAD_ARGS)).ready()
            stacks.use_offloads(pmd)
        else:
            pmd = made.own(Testpmd(made.host)).ready()
        pmd.start()
        return stacks.moved(made.iperf(seconds=seconds))[1]
    finally:
        made.close()
