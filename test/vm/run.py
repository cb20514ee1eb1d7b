#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Tests with real Linux guests in hvsim-vm: run.py [--build DIR] [SCENARIO...]. Prints a line per
check and 'N passed, N failed' last. Logs stay in <build>/vm-logs.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import images
import machine

ORDER = ["netvsc", "netvsc-old", "netvsc-wide", "uio", "uio-intree"]
SECONDS = {"netvsc": 240, "netvsc-old": 80, "netvsc-wide": 100, "uio": 300, "uio-intree": 160}
START_SECONDS = 40


class Results:
    """Reads the result lines while the job runs and prints them."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.done = []
        self.current = None
        self.pending = []
        self.aborted = None

    def read(self):
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding="utf-8") as f:
            f.seek(self.offset)
            for line in iter(f.readline, ""):
                if not line.endswith("\n"):
                    break
                self.offset += len(line.encode())
                self.take(line.strip())

    def take(self, line):
        kind, rest = line.split(" ", 1)
        scenario, _, text = rest.partition(": ")
        if kind == "begin":
            self.current, self.pending, self.aborted = scenario.rstrip(":"), [], None
            return
        if kind == "abort":
            self.aborted = text
            return
        if kind == "end":
            self.done.append(scenario)
            self.settle()
            return
        self.pending.append((kind, rest))
        print("  %-4s %s" % (kind, rest), flush=True)

    def settle(self):
        """Count the lines of the scenario that ended."""
        for kind, text in self.pending:
            self.passed += kind == "ok"
            self.failed += kind == "FAIL"
            self.skipped += kind == "skip"
            if kind == "FAIL":
                self.failures.append(text)
        self.pending = []


def attempt(names, work, hvsim_vm, results, npt):
    """One run of the machine over some scenarios. @return why it did not finish, or None"""
    seconds = START_SECONDS + sum(SECONDS[n] for n in names)
    command = machine.job_command(
        "timeout -k 5 %d /usr/bin/python3 -B %s $JOB %s > $JOB/inside.log 2>&1"
        % (seconds - 20, os.path.join(images.HERE, "inside.py"), " ".join(names)),
        hvsim_vm, seconds, work, npt=npt)
    with open(os.path.join(work, "console.log"), "ab") as console:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console,
                                   stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.3)
            results.read()
    results.read()
    missing = [n for n in names if n not in results.done]
    if not missing:
        return None
    return results.aborted or "the machine ended or ran out of time (%d s) in scenario %s" % (
        seconds, missing[0])


def settings(build, work):
    hvsim_vm = os.path.join(build, "app", "hvsim-vm", "hvsim-vm")
    if not os.access(hvsim_vm, os.X_OK):
        sys.exit("vm: %s is missing: run ./run build first" % hvsim_vm)
    if not machine.direct(hvsim_vm) and shutil.which(machine.QEMU) is None:
        sys.exit("vm: no KVM with Hyper-V support and no %s: apt-get install qemu-system-x86" % machine.QEMU)
    with open(os.path.join(work, "settings.json"), "w", encoding="utf-8") as f:
        json.dump({"hvsim_vm": hvsim_vm, "build": build}, f)
    return hvsim_vm


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(images.ROOT, "build"))
    parser.add_argument("--npt", action="store_true",
                        help="nested page tables in the emulated machine: boots faster, less reliable")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=" ".join(ORDER))
    arguments = parser.parse_args()
    build = os.path.realpath(arguments.build)
    for name in arguments.scenarios:
        if name not in ORDER:
            parser.error("no scenario %s; there are: %s" % (name, " ".join(ORDER)))
    names = [n for n in ORDER if n in (arguments.scenarios or ORDER)]
    if not os.path.exists(os.path.join(images.HERE, "checks_uio.py")):
        names = [n for n in names if not n.startswith("uio")]
    began = time.monotonic()
    retried = {}
    with machine.work_folder() as work:
        hvsim_vm = settings(build, work)
        print("vm: guests run %s" % ("on this machine's KVM" if machine.direct(hvsim_vm) else
                                     "in a machine emulated by QEMU (this one's KVM lacks Hyper-V support)"))
        images.l2(os.path.join(work, "l2.gz"))
        if any(n.startswith("uio") for n in names):
            images.l2(os.path.join(work, "l2-dpdk.gz"), build)
        results = Results(os.path.join(work, "results"))
        while names:
            reason = attempt(names, work, hvsim_vm, results, arguments.npt)
            names = [n for n in names if n not in results.done]
            if reason is None or not names:
                break
            # Nested emulation fails now and then: each scenario gets one more try, never silently.
            if names[0] in retried:
                results.settle()
                results.failed += 1
                results.failures.append("%s: aborted twice: %s" % (names[0], reason))
                names = names[1:]
                continue
            retried[names[0]] = reason
            results.pending = []
            print("vm: RETRY of %s: %s" % (names[0], reason), flush=True)
        keep = os.path.join(build, "vm-logs")
        os.makedirs(keep, exist_ok=True)
        for name in os.listdir(work):
            if name.endswith(".log"):
                shutil.copy(os.path.join(work, name), keep)
    if results.skipped:
        print("vm: %d skipped" % results.skipped)
    for name, reason in retried.items():
        print("vm: 1 retry of %s: %s" % (name, reason))
    for text in results.failures:
        print("vm: failed: %s" % text[:160])
    if results.failed:
        print("vm: logs are in %s" % keep)
    print("vm: %.0f s" % (time.monotonic() - began))
    print("%d passed, %d failed" % (results.passed, results.failed))
    return 1 if results.failed or results.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
