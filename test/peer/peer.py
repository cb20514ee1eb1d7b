# SPDX-License-Identifier: BSD-3-Clause
"""DPDK programs with DPDK's own netvsc driver, unmodified, on the rig.

It is the distribution's, or that of the DPDK of ./run test --dpdk. Two things it needs: EAL memory
below 16 TiB, because it cuts page numbers to 32 bits, and a host that does not wait for an eventfd,
because it only ever sets the monitor bit.
"""
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "uio"),
                os.path.join(os.path.dirname(HERE), "integration")]

import rig  # noqa: E402  before any test module
import harness  # noqa: E402
import examples  # noqa: E402

rig.mode = "copy"  # virtual addresses


VERSION = harness.libdpdk("--modversion")
RELEASE = harness.RELEASE
# What the in-tree driver and testpmd learned, and in which release (doc/peer.md).
TESTPMD_POLLS = RELEASE >= (23, 11)
NO_MONITOR = RELEASE >= (25, 11)
UNPLUG = RELEASE >= (26, 7)
FORWARD = os.path.join(harness.BUILD, "test/peer/peer-forward")
LOW_MEMORY = "--base-virtaddr=0x100000000"
OURS = ("rx_malformed", "tx_q0_aggregated")  # extended statistics that only one of them has
INTREE = ("tx_q0_size_64_packets",)


def l2fwd_args(*options, ports=3, queues=2):
    """l2fwd on one lcore: two ports forward to each other, one to itself."""
    portmap = [] if ports == 3 else ["--portmap", "(0,0)"]
    return ["--", "-p", str(ports), "-P", "-q", str(queues), "-T", "0", *portmap, *options]


def intree(host, *options, eal=(), env=None, **keys):
    """l2fwd with the in-tree driver on all NICs of the host; an EAL that finds it by itself."""
    argv = [examples.build("l2fwd"), "--file-prefix", f"peer{next(harness.SERIAL)}", "-l", "0", "--no-pci",
            "--no-telemetry", *harness.memory_args(), LOW_MEMORY, *eal, *l2fwd_args(*options)]
    return harness.Program("l2fwd (in-tree)", argv,
                           env={**rig.environment(host.guids), **(env or {})}, **keys)


def forwarder(host, queues, mode="io", eal=(), env=None):
    """Our own small forwarder (forward.c) with the in-tree driver on all NICs of the host."""
    argv = [FORWARD, "--file-prefix",
            f"peer{next(harness.SERIAL)}", "-l", "0", "--no-pci", "--no-telemetry",
            *harness.memory_args(), LOW_MEMORY, *eal, "--", queues, mode]
    return harness.Program("forwarder (in-tree)", argv,
                           env={**rig.environment(host.guids), **(env or {})})


def testpmd(host, queues=1, mode="io", **keys):
    """testpmd without our plugin."""
    return harness.Testpmd(host, mode=mode, queues=queues, plugin=None, eal=[LOW_MEMORY], **keys)


def in_tree_plugins():
    """EAL options that load the in-tree pair first, as when it is linked."""
    found = []
    for name in ("bus_vmbus", "net_netvsc"):
        folder = os.path.join(harness.libdpdk("--variable=libdir"), "dpdk", "pmds-*")
        found += ["-d", sorted(glob.glob(f"{folder}/librte_{name}.so"))[0]]
    return found
