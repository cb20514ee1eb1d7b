#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per function and frame: functions.py FRAMES FILE..., files of callgrind's.

Self cost of each function, summed over who calls it. What FRAMES is for, see pmdbench.
"""
import collections
import re
import sys

SHOWN = 14


def self_costs(path):
    """Instructions by function name; cost lines behind "calls=" are the callee's and do not count."""
    names, costs = {}, collections.Counter()
    function, called = None, False
    with open(path) as file:
        for line in file:
            match = re.match(r"(c?)fn=\((\d+)\)(?: (.*))?", line)
            if match:
                if match[3]:
                    names[match[2]] = match[3].strip()
                if not match[1]:
                    function = match[2]
            elif line.startswith("calls="):
                called = True
            elif re.match(r"[-+*\d]\S* \d+$", line):
                if not called:
                    costs[function] += int(line.split()[1])
                called = False
    return {names.get(number, number): cost for number, cost in costs.items()}


def show(path, frames, out=sys.stdout):
    costs = collections.Counter(self_costs(path))
    total = sum(costs.values())
    print(f"{total / frames:10.1f}  all", file=out)
    for name, cost in costs.most_common(SHOWN):
        if cost / frames >= 0.05:
            print(f"{cost / frames:10.1f}  {name}", file=out)
