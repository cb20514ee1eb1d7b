#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""doc/features/netvsc.ini and doc/features.md, of what the driver advertises when it runs.

feature_table.py            write both, with the driver of the build folder on a NIC of hvsim
"""
import json
import os
import sys
import tempfile

from harness import BUILD, ROOT, Host, Program, memory_args

TOOL = os.path.join(BUILD, "test/features/features")
NIC = "channels=64,mtu=9000"  # so that limits are the driver's
DPDK = os.path.join(ROOT, "doc/features/dpdk.json")
INI = os.path.join(ROOT, "doc/features/netvsc.ini")
PAGE = os.path.join(ROOT, "doc/features.md")

INI_HEAD = """;
; Supported features of the 'netvsc' network poll mode driver of hyperpoll.
; Written by test/integration/feature_table.py of what the driver advertises, and compared with it by
; ./run test integration.
;
"""

HEAD = """# Features

Written by `test/integration/feature_table.py`; do not edit. The column *hyperpoll* is what the driver advertises when it
runs on a NIC of hvsim (`test/features/features.c` reads it out of ethdev), and `./run test integration` compares it. The
rows are DPDK's own list ([dpdk.json](features/dpdk.json)), the in-tree columns what DPDK's own table claims for its
netvsc driver in these releases (Y: yes, P: in part); what that driver really does, measured on the same host, stands in
[peer.md](peer.md). *SR-IOV* is DPDK's word for a driver that makes virtual functions; using the one that a host gives is *accelerated
networking*, below. *Design doc* and *Perf doc* are [design.md](design.md) and [bench](bench/README.md).

| feature | hyperpoll |{releases}
|---|---|{lines}
"""

VMBUS = """
## Of VMBus

What the vocabulary has no rows for: ours as the port shows it on that NIC, the in-tree driver's by DPDK's guide of it, its release
notes and [peer.md](peer.md), where both ran on the same host (?: not known).

| | hyperpoll |{releases}
|---|---|{lines}
"""

LIMITS = """
## Limits

What the vocabulary has no words for, as dev_info gives it on a NIC with 64 channels and an MTU of 9000. Many of these are the host's: a NIC
on Hyper-V may have less.

| | hyperpoll |
|---|---|
"""


def advertised(start_host, start_program):
    """{"Features": {name: value}, "Limits": {...}} of the driver, through programs the caller makes."""
    host = start_host((NIC, "sink"))
    tool = start_program([TOOL, "-l", "0", "--no-pci", "--no-telemetry", *memory_args(), "-a", host.device(0)])
    if tool.wait(30) != 0:
        raise RuntimeError(tool.tail())
    sections, current = {}, None
    for line in tool.text.splitlines():
        if line in ("[Features]", "[VMBus]", "[Limits]"):
            current = sections.setdefault(line[1:-1], {})
        elif current is not None and " = " in line:
            name, _, value = line.partition(" = ")
            current[name.strip()] = value.strip()
    return sections


def ini(sections):
    return INI_HEAD + "[Features]\n" + "".join(
        f"{name:<20} = {value}\n" for name, value in sections["Features"].items())


def page(sections):
    with open(DPDK, encoding="utf-8") as file:
        dpdk = json.load(file)
    ours, in_tree = sections["Features"], dpdk["in-tree"]
    unknown = set(ours) - set(dpdk["vocabulary"])
    if unknown:
        raise ValueError(f"DPDK's list does not have {sorted(unknown)}")
    text = HEAD.format(releases="".join(f" in-tree {release} |" for release in in_tree), lines="---|" * len(in_tree))
    for name in dpdk["vocabulary"]:
        cells = [ours.get(name, "–"), *(table.get(name, "–") for table in in_tree.values())]
        text += f"| {name} | {' | '.join(cells)} |\n"
    vmbus = {release: dpdk["vmbus"][release] for release in in_tree}
    text += VMBUS.format(releases="".join(f" in-tree {release} |" for release in vmbus), lines="---|" * len(vmbus))
    for name, value in sections["VMBus"].items():
        text += f"| {name} | {' | '.join([value, *(table[name] for table in vmbus.values())])} |\n"
    text += LIMITS
    for name, value in sections["Limits"].items():
        text += f"| {name} | {value} |\n"
    return text


def main():
    programs = []

    def own(program):
        programs.append(program)
        return program

    with tempfile.TemporaryDirectory(prefix="hyperpoll-") as folder:
        os.environ["RUNTIME_DIRECTORY"] = folder
        try:
            sections = advertised(lambda nic: own(Host(folder, nic)).ready(),
                                  lambda argv: own(Program("features", argv)))
        finally:
            for program in reversed(programs):
                program.close()
    for path, text in ((INI, ini(sections)), (PAGE, page(sections))):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
