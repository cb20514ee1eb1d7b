#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the driver and the simulated host cost, and how that compares; writes doc/bench/.

Parts: pmdbench (one driver alone, against the in-tree one and a bare loop), two processes on two
cores end to end (against memif and virtio-user/vhost), round trips, wake-ups, the time to the first frame,
iperf3 between two Linux stacks without and with offloads, and the gap when a virtual function comes or goes.
Whoever is compared takes turns in rounds, so that what else the machine does meets all.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(os.path.dirname(HERE), name) for name in ("integration", "lib"))]

import arguments  # noqa: E402
import end_to_end  # noqa: E402
import flips  # noqa: E402
import linux_stacks  # noqa: E402
import page  # noqa: E402
from harness import BUILD, PLUGIN, ROOT  # noqa: E402

SIZES = (64, 1514)
RATES = (1_000, 50_000, 500_000)  # round trips per second
WAKE_RATE = 1_000  # frames per second, each of which finds the guest asleep
FLIP_RATE = 20_000  # frames per second


def say(text):
    print(text, flush=True)


def driver_alone(quick, failures):
    """pmdbench's JSON; its table goes to the terminal."""
    with tempfile.TemporaryDirectory(prefix="hyperpoll-bench-") as folder:
        path = os.path.join(folder, "cells.json")
        argv = [os.path.join(BUILD, "app/pmdbench/pmdbench"), "--plugin", PLUGIN, "--json", path,
                *(("--set", "quick", "--count=ours") if quick else
                  ("--set", "full", "--count", "--pmd", "ours,ours-uio,in-tree,floor"))]
        if subprocess.call(argv) != 0:
            failures.append("pmdbench: a driver or a cell failed, see its table")
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            sys.exit("bench: pmdbench has left no figures")
        with open(path) as file:
            return json.load(file)


def attempt(failures, what, measure, *args, **keys):
    try:
        return measure(*args, **keys)
    except (OSError, RuntimeError, TimeoutError, StopIteration) as error:
        failures.append(f"{what}: {error}")
        return None


def figures(result, path):
    with open(path, "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


def across(cpus, rounds, seconds, failures):
    """Millions of frames per second end to end: a list of dictionaries."""
    kinds = [(name, direction, size, False) for size in SIZES
             for direction in end_to_end.DIRECTIONS for name in end_to_end.SYSTEMS]
    kinds += [("ours", "loop", size, True) for size in SIZES]
    rates = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            name, direction, size, verified = kind
            what = f"{name}, {direction}{' verified' if verified else ''}, {size} bytes"
            rate = attempt(failures, what, end_to_end.measure, name, direction, size, cpus,
                           seconds, verified)
            if rate is not None:
                rates[kind].append(rate / 1e6)
                say(f"round {number + 1}: {what}: {rate / 1e6:.3f} M frames/s")
    return [{"system": name, "direction": direction, "size": size, "verified": verified,
             "median": round(statistics.median(values), 4), "least": round(min(values), 4),
             "most": round(max(values), 4), "rounds": len(values)}
            for (name, direction, size, verified), values in rates.items() if values]


def round_trips(cpus, seconds, failures):
    results = []
    habits = {True: "sleeping", False: "polling"}
    for host_sleeps, guest_sleeps in ((False, False), (True, False), (False, True), (True, True)):
        # Asleep there is one frame at a time.
        for rate in RATES[:1] if guest_sleeps else RATES:
            what = f"round trips, {habits[host_sleeps]} host, {habits[guest_sleeps]} guest, {rate}/s"
            result = attempt(failures, what, end_to_end.latency, "latency", not host_sleeps,
                             guest_sleeps, rate, seconds, cpus)
            if result is not None:
                results.append({"host": habits[host_sleeps], "guest": habits[guest_sleeps], **result})
                say(f"{what}: p50 {result['p50_us']} us, p99 {result['p99_us']} us, p99.9 "
                    f"{result['p99_9_us']} us; first frame after {result['first_frame_ms']} ms")
    return results


def wake_ups(cpus, seconds, failures):
    """From the host's frame to the lcore that has slept: a list of dictionaries."""
    results = []
    for host in ("polling", "sleeping"):
        what = f"wake-ups, {host} host"
        result = attempt(failures, what, end_to_end.wake_ups, "wake-ups", host == "polling",
                         WAKE_RATE, seconds, cpus)
        if result is not None:
            results.append({"host": host, **result})
            say(f"{what}: p50 {result['p50_us']} us, p99 {result['p99_us']} us, p99.9 "
                f"{result['p99_9_us']} us, of {result['wake_ups']}")
    return results


def between_stacks(rounds, seconds, failures):
    """Mbit/s of one TCP connection between two Linux stacks, without offloads and with all of them."""
    rates = {kind: [] for kind in ("plain", "offloads")}
    for number in range(rounds):
        for kind, found in rates.items():
            rate = attempt(failures, f"iperf3, {kind}", linux_stacks.measure, kind == "offloads", seconds)
            if rate is not None:
                found.append(rate / 1e6)
                say(f"round {number + 1}: iperf3, {kind}: {rate / 1e6:.0f} Mbit/s")
    return [{"frames": kind, "median": round(statistics.median(found)), "least": round(min(found)),
             "most": round(max(found))} for kind, found in rates.items() if found]


def at_flips(number, failures):
    """Milliseconds without a frame while a virtual function goes and comes; None: not measured."""
    result = attempt(failures, "flips of a virtual function", flips.measure, number, FLIP_RATE)
    if result is not None:
        say(f"{number} flips: gaps of p50 {result['p50_ms']} ms, p99 {result['p99_ms']} ms, at most "
            f"{result['max_ms']} ms; without a flip p99 {result['still']['p99_ms']} ms")
    return result


def main():
    options = arguments.bench(sys.argv[1:])
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("bench: needs two CPUs, one for each end")
    cpus = cpus[-2:]
    failures = []
    result = driver_alone(options.quick, failures)
    rounds, seconds = (1, 0.5) if options.quick else (5, 2)
    result["end_to_end"] = [] if options.alone else across(cpus, rounds, seconds, failures)
    result["round_trips"] = [] if options.alone else \
        round_trips(cpus, 1 if options.quick else 5, failures)
    result["wake_ups"] = [] if options.alone else \
        wake_ups(cpus, 1 if options.quick else 5, failures)
    result["stacks"] = [] if options.alone or linux_stacks.missing() else \
        between_stacks(rounds, 1 if options.quick else 5, failures)
    result["flips"] = None if options.alone or flips.missing() else \
        at_flips(20 if options.quick else 200, failures)
    result["failures"] = failures
    if options.json:
        attempt(failures, options.json, figures, result, options.json)
    out = options.out or (None if options.quick else os.path.join(ROOT, "doc/bench"))
    if out:
        page.write(result, out)
        say(f"\nwritten to {os.path.relpath(out)}/")
    say("\n" + page.reach(result))
    for failure in failures:
        say(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
