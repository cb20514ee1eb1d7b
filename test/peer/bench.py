#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Frames per second of our driver and of the in-tree one; writes doc/bench.md.

hvsim generates, DPDK's l2fwd sends every frame back out of the port it came from, hvsim verifies.
hvsim is on one core and l2fwd on another. Drivers take turns in every round, so that what else the
machine does meets them all.
"""
import argparse
import os
import platform
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peer  # noqa: E402
import rig  # noqa: E402
from harness import PLUGIN, ROOT, SERIAL, Host, Program, memory_args  # noqa: E402

SIZES = (64, 1514)
WINDOW = 2048  # frames on their way: enough to keep both ends busy, too few to lose any
TITLES = {"vfio": "ours, vfio-user", "uio": "ours, uio (rig)", "intree": "in-tree, uio (rig)"}

TEXT = """# Frames per second: this driver and the in-tree one

Written by `./run bench`; do not edit.

One core runs hvsim, which generates UDP frames, at most {window} on their way at a time, and verifies
what comes back; another runs DPDK's l2fwd on one port, which sends every frame back (one queue,
bursts of 32). A frame counts when it is back and intact. Sizes are without FCS. The drivers take
turns in {rounds} rounds of {seconds:g} s each; figures are million frames per second: the median, and in
brackets the slowest and fastest round.

| frame | {titles} | uio: ours / in-tree |
|---|{dashes}---|
{rows}

Where hvsim is the slower end, all drivers look alike above. What a driver takes of its core shows
here: cycles per frame for receiving and sending it, in the forwarder of `test/peer/forward.c`,
counted over the rounds of its loop that found frames ({hz:.2f} GHz).

| frame | {titles} | uio: in-tree / ours |
|---|{dashes}---|
{cycle_rows}

- Ours over the rig uses physical addresses, as on Hyper-V; the in-tree driver uses virtual ones, kept
  below 16 TiB because it cuts page numbers to 32 bits. On the wire this makes no difference.
- The rig plays a kernel that masks interrupts when the device is opened. The in-tree driver never
  does it itself (pitfall R10): on kernels that leave the mask alone it would be slower than here.
- hvsim never sleeps here (`--poll busy`).
{notes}
Machine: {machine}.
"""


class Run:
    """One driver on one frame size."""

    def __init__(self, driver, size, cpus, cycles=False):
        self.dir = tempfile.mkdtemp(prefix="hyperpoll-bench-")
        self.host = self.app = None
        try:
            self.start(driver, size, cpus, cycles)
        except BaseException:
            self.close()
            raise

    def start(self, driver, size, cpus, cycles):
        os.environ["RUNTIME_DIRECTORY"] = self.dir
        self.host = Host(self.dir, f"gen:size={size},flows=64,window={WINDOW}",
                         args=["--poll", "busy"], prefix=["taskset", "-c", str(cpus[0])]).ready()
        guid = self.host.guids[0]
        rig.mode = "pa" if driver == "uio" else "copy"
        memory = memory_args()
        env = {**rig.environment([guid]), "RIG_MASK_AT_OPEN": "1"}
        eal = ["-d", PLUGIN, "-a", f"vmbus:{guid}"]
        if driver == "vfio":
            env = {"LD_PRELOAD": "", "RIG_SOCKETS": ""}
            eal[-1] += f",vfio-user={self.host.socket()}"
        elif driver == "intree":
            eal = [peer.LOW_MEMORY]
        program, args = peer.example("l2fwd"), peer.l2fwd_args("--no-mac-updating", ports=1,
                                                              queues=1)
        if cycles:
            program, args = peer.FORWARD, ["--", "1", "io"]
        self.app = Program(driver, [
            program, "--file-prefix", f"bench{next(SERIAL)}", "-l", str(cpus[1]), "--no-pci",
            "--no-telemetry", *memory, *eal, *args],
            env=env, prefix=["taskset", "-c", str(cpus[1])])
        self.app.expect("forwarding on 1 ports" if cycles else "entering main loop", 30)

    def cycles(self, seconds):
        """Cycles of the guest's core per frame."""
        time.sleep(seconds)
        self.app.signal(signal.SIGINT)
        self.app.wait()
        busy = int(re.search(r"busy (\d+) cycles", self.app.text).group(1))
        return busy / int(re.search(r"queue 0 received (\d+)", self.app.text).group(1))

    def measure(self, seconds):
        """Frames per second that came back, and how many did not."""
        time.sleep(0.5)
        before, began = self.host.port(), time.monotonic()
        time.sleep(seconds)
        after, ended = self.host.port(), time.monotonic()
        if after["corrupt"] or after["duplicate"]:
            raise RuntimeError(f"frames came back damaged: {after}")
        return ((after["verified"] - before["verified"]) / (ended - began),
                after["lost"] - before["lost"])

    def close(self):
        for program in (self.app, self.host):
            if program is not None:
                program.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def machine(load):
    """What the figures were measured on."""
    model = platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return (f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}, "
            f"load before the run {load:.1f}")


def clock():
    """What the time stamp counter counts per second, in GHz."""
    with open("/proc/cpuinfo") as file:
        return float(re.search(r"cpu MHz\s*: ([\d.]+)", file.read()).group(1)) / 1000


def spread(values, unit=1, digits=2):
    low, mid, high = (f"{value / unit:.{digits}f}" for value in
                      (min(values), statistics.median(values), max(values)))
    return f"{mid} ({low}–{high})"


def table(results, above, below, unit=1, digits=2):
    """A row for each size: drivers, and the ratio of @above to @below in each round."""
    rows = []
    for size in SIZES:
        cells = [spread(results[driver, size], unit, digits) for driver in TITLES]
        ratios = [a / b for a, b in zip(results[above, size], results[below, size])]
        rows.append(f"| {size} | {' | '.join(cells)} | {spread(ratios)} |")
    return "\n".join(rows)


def report(results, cycles, lost, options, where, load):
    notes = "".join(f"- Frames lost, {TITLES[driver]}, {size} bytes: {count}.\n"
                    for (driver, size), count in lost.items() if count)
    if load > 0.5:
        notes += ("- The machine was busy with other work: look at the ratios of rounds, not at the"
                  " figures.\n")
    return TEXT.format(window=WINDOW, rounds=options.rounds, seconds=options.seconds,
                       titles=" | ".join(TITLES.values()), dashes="---|" * len(TITLES),
                       rows=table(results, "uio", "intree", 1e6), machine=where, notes=notes,
                       cycle_rows=table(cycles, "intree", "uio", digits=0), hz=clock())


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of measuring, each time")
    parser.add_argument("--out", default=os.path.join(ROOT, "doc/bench.md"))
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("bench: needs two CPUs, one for hvsim and one for l2fwd")
    load = os.getloadavg()[0]
    where = machine(load)
    results = {(driver, size): [] for driver in TITLES for size in SIZES}
    cycles = {key: [] for key in results}
    lost = dict.fromkeys(results, 0)
    order = list(TITLES)
    for number in range(options.rounds):
        for size in SIZES:
            for driver in order:
                run = Run(driver, size, cpus[-2:])
                try:
                    rate, gone = run.measure(options.seconds)
                finally:
                    run.close()
                results[driver, size].append(rate)
                lost[driver, size] += gone
                run = Run(driver, size, cpus[-2:], cycles=True)
                try:
                    cycles[driver, size].append(run.cycles(options.seconds))
                finally:
                    run.close()
                print(f"round {number + 1}: {size:4} bytes, {TITLES[driver]:19} "
                      f"{rate / 1e6:6.3f} M frames/s, "
                      f"{cycles[driver, size][-1]:5.0f} cycles per frame", flush=True)
        order = order[1:] + order[:1]
    text = report(results, cycles, lost, options, where, load)
    with open(options.out, "w") as file:
        file.write(text)
    print("\n" + "\n".join(line for line in text.splitlines() if line.startswith("|")))
    print(f"\nwritten to {os.path.relpath(options.out)}")


if __name__ == "__main__":
    main()
