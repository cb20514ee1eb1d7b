#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Tests with real Linux guests in hvsim-vm: run.py [--build DIR] [--kernel VERSION|newest] [SCENARIO...].
Prints a line per check and 'N passed, N failed' last. Logs stay in <build>/vm-logs.
"""
import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import images
import kernels
import machine
from attempt import Attempt
from schedule import Schedule

# Longest first, as several run at a time; and the seconds after which a scenario has failed even if
# its machine lives. A busy machine takes several times the usual.
SECONDS = {"uio": 900, "uio-away": 900, "service": 600, "netvsc": 600, "uio-nic": 480, "uio-intree": 360, "netvsc-wide": 300, "netvsc-old": 300}
# Only in a long run (./run test --long), or where they are named.
LONG = ("uio-away", "service")


def say(text):
    print(text, flush=True)


def chosen(named, long):
    return [n for n in SECONDS if (n in named if named else long or n not in LONG)]


def places():
    """How many machines can run at a time: one whose guest is busy keeps two processors busy."""
    with open("/proc/meminfo", encoding="ascii") as f:
        free = next(int(line.split()[1]) // 1024 for line in f if line.startswith("MemAvailable"))
    return max(1, min(2, len(os.sched_getaffinity(0)) // 2, free // machine.MEGABYTES))


def settings(build, names):
    hvsim_vm = os.path.join(build, "app", "hvsim-vm", "hvsim-vm")
    if not os.access(hvsim_vm, os.X_OK):
        sys.exit("vm: %s is missing: run ./run build first" % hvsim_vm)
    if ("service" in names or not machine.direct(hvsim_vm)) and shutil.which(machine.QEMU) is None:
        sys.exit("vm: no %s, for scenario service and where KVM has no Hyper-V support: apt-get install qemu-system-x86"
                 % machine.QEMU)
    return hvsim_vm


def install(build, folder):
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, DESTDIR=folder))


def starter(work, build, hvsim_vm, kernel, npt):
    """@return the function that starts an attempt in a folder of its own below `work`"""
    def start(scenario, number):
        folder = os.path.join(work, "%s-%d" % (scenario, number))
        os.mkdir(folder)
        service = scenario == "service"
        if service:
            install(build, os.path.join(folder, "installed"))
        with open(os.path.join(folder, "settings.json"), "w", encoding="utf-8") as f:
            json.dump({"hvsim_vm": hvsim_vm, "images": work, "kernel": kernel.image}, f)
        command = "/usr/bin/python3 -B %s \"$JOB\" %s >\"$JOB/inside.log\" 2>&1" % (
            shlex.quote(os.path.join(images.HERE, "inside.py")), scenario)
        seconds = SECONDS[scenario]
        return Attempt(machine.job_command(command, hvsim_vm, seconds + 120, folder,
                                           [images.ROOT, build, work], npt=npt, systemd=service), folder, seconds, say)
    return start


def keep_logs(work, keep):
    shutil.rmtree(keep, ignore_errors=True)
    for top, _, files in os.walk(work):
        for name in files:
            if name.endswith(".log"):
                to = os.path.join(keep, os.path.relpath(top, work))
                os.makedirs(to, exist_ok=True)
                shutil.copy(os.path.join(top, name), to)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=images.BUILD)
    parser.add_argument("--npt", type=int, choices=(0, 1), default=machine.NPT,
                        help="with 1 the emulated machine uses nested page tables: guests boot faster, "
                        "and die now and then")
    parser.add_argument("--kernel", metavar="VERSION", default=os.environ.get("HYPERPOLL_KERNEL") or None,
                        help="of the guests: the newest Debian kernel whose version starts so (of a series, 6.12, one "
                        "that is unpacked already), or \"newest\", unpacked below .cache/; else the installed one")
    parser.add_argument("--places", type=int, help="how many machines run at a time")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=" ".join(SECONDS))
    arguments = parser.parse_args()
    build = os.path.realpath(arguments.build)
    for name in arguments.scenarios:
        if name not in SECONDS:
            parser.error("no scenario %s; there are: %s" % (name, " ".join(SECONDS)))
    names = chosen(arguments.scenarios, "HYPERPOLL_LONG" in os.environ)
    # Ended from outside, it still ends its machines.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        kernel = kernels.select(arguments.kernel)
    except (OSError, RuntimeError) as error:
        sys.exit("vm: %s" % error)
    with machine.work_folder() as work:
        hvsim_vm = settings(build, names)
        say("vm: guests have Linux %s" % kernel.version)
        say("vm: guests run %s" % ("on this machine's KVM" if machine.direct(hvsim_vm) else
                                   "in machines emulated by QEMU (this one's KVM lacks Hyper-V support)"))
        images.l2(os.path.join(work, "l2.cpio"), kernel)
        if any(n.startswith("uio") for n in names):
            images.l2(os.path.join(work, "l2-dpdk.cpio"), kernel, build)
        if "uio-away" in names:
            images.l2(os.path.join(work, "l2-systemd.cpio"), kernel, build, systemd=True)
        schedule = Schedule(names, starter(work, build, hvsim_vm, kernel, arguments.npt),
                            arguments.places or places(), say)
        keep = os.path.join(build, "vm-logs")
        try:
            while schedule.poll():
                time.sleep(0.3)
        finally:
            schedule.end()
            keep_logs(work, keep)
    passed, failed = schedule.counts["ok"], schedule.counts["FAIL"]
    if schedule.counts["skip"]:
        say("vm: %d skipped" % schedule.counts["skip"])
    for text in schedule.retries:
        say("vm: retried: %s" % text)
    for text in schedule.failures:
        say("vm: failed: %s" % text)
    if failed or schedule.retries:
        say("vm: logs are in %s" % keep)
    say("vm: %d machines, %.0f s" % (schedule.machines, time.monotonic() - began))
    say("%d passed, %d failed" % (passed, failed))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
