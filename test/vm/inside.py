# SPDX-License-Identifier: BSD-3-Clause
"""Runs a scenario where hvsim-vm works (see machine.py): inside.py FOLDER SCENARIO"""
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import checks_netvsc
import checks_service
from guest import Guest, GuestError
from network import sh
from report import Aborted, Report

try:
    import checks_uio
    import checks_uio_away
    import checks_uio_nic
except ImportError:
    checks_uio = checks_uio_away = checks_uio_nic = None


class Machine:
    """Boots guests, one at a time, with a TAP between them and the checks."""
    tap = "hp0"

    def __init__(self, folder, scenario):
        with open(os.path.join(folder, "settings.json"), encoding="utf-8") as f:
            self.settings = json.load(f)
        self.folder, self.scenario = folder, scenario
        self.socket = "/tmp/hvsim-vm-%d.sock" % os.getpid()
        self.guest = None
        self.children = []
        sh("ip link del %s 2>/dev/null; ip tuntap add %s mode tap && "
           "ip addr add 10.9.0.1/24 dev %s && ip link set %s up" % ((self.tap,) * 4))

    def boot(self, append, nic="", options=(), cpus=2, mem="512M", image="l2.cpio"):
        command = [self.settings["hvsim_vm"], "--kernel", self.settings["kernel"],
                   "--initrd", os.path.join(self.settings["images"], image), "--append", append, "--mem", mem,
                   "--cpus", str(cpus), "--control", self.socket, "--verbose",
                   "--nic", nic + "port=tap:" + self.tap] + list(options)
        self.guest = Guest(command, os.path.join(self.folder, "guest.log"))
        return self.guest

    def control(self, *words):
        run = subprocess.run([self.settings["hvsim_vm"], "ctl", self.socket] + list(words),
                             capture_output=True, text=True, timeout=20, check=False)
        if run.returncode != 0:
            raise RuntimeError("ctl %s: %s" % (" ".join(words), run.stderr.strip()))
        return json.loads(run.stdout)

    def stats(self):
        return self.control("stats", "0")["stats"]

    def background(self, command):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def trouble(self, guest, report):
        """Anything the kernel complained about fails the scenario."""
        def quiet():
            if guest.trouble:
                raise AssertionError("; ".join(guest.trouble[:3]))
            bad = guest.run("dmesg | grep -E 'WARNING: CPU|BUG:|Oops|Call Trace|blocked for more'")[1]
            if bad.strip():
                raise AssertionError(bad.strip()[:300])
        report.check("no oops, warning or hang in the guest's log", quiet)

    def end(self, guest, report):
        self.trouble(guest, report)

        def off():
            status = guest.power_off()
            if status != 0:
                raise AssertionError("exit status %d" % status)
        report.check("power-off ends the machine", off)

        def totals():
            with open(os.path.join(self.folder, "guest.log"), encoding="utf-8", errors="replace") as log:
                text = log.read()
            if re.search(r"NIC 0 \S+ .*port=tap:.*\n.*  to guest +frames \d+, bytes \d+, packets \d+$", text, re.M) is None:
                raise AssertionError("not there")
        report.check("the NIC's totals come at the end", totals)

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        if self.guest is not None:
            self.guest.kill()


def main():
    folder, name = sys.argv[1:]
    # So that the guest ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scenarios = {**checks_netvsc.SCENARIOS, **checks_service.SCENARIOS}
    if checks_uio is not None:
        scenarios.update(checks_uio.SCENARIOS)
        scenarios.update(checks_uio_nic.SCENARIOS)
        scenarios.update(checks_uio_away.SCENARIOS)
    report = Report(os.path.join(folder, "results"), name)
    report.line("begin", "")
    began = time.monotonic()
    machine = Machine(folder, name)
    try:
        scenarios[name](machine, report)
    except Aborted:
        pass  # said with the check that failed
    except GuestError as reason:
        report.line("FAIL", str(reason))
    except Exception as error:
        traceback.print_exc()
        report.line("FAIL", "%s: %s" % (type(error).__name__, error))
    finally:
        machine.close()
    report.line("end", "%.0f s" % (time.monotonic() - began))


if __name__ == "__main__":
    main()
