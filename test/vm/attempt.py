# SPDX-License-Identifier: BSD-3-Clause
"""One machine that runs one scenario, and the verdict on it."""
import collections
import os
import signal
import subprocess

from emulator import interrupted_while_off
from report import GUEST_GONE
from results import Results
from watch import Trouble, Watch

# `trouble` is None when the scenario came to its end; `lines` are the results that count.
Verdict = collections.namedtuple("Verdict", "trouble lines")


def last_lines(path, count=3):
    """The last lines of a file that say anything, as one."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return " / ".join([line.strip() for line in f if line.strip()][-count:])[-400:]
    except FileNotFoundError:
        return ""


class Attempt:
    """
    Started by the constructor, asked by poll() until there is a verdict. `folder` is the job's: its
    console.log, inside.log, results, status and heartbeats are there.
    """

    def __init__(self, command, folder, limit, show=print):
        self.folder = folder
        self.console = open(os.path.join(folder, "console.log"), "ab")
        # A group of its own, so that all of it can be ended.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.console,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.results = Results(os.path.join(folder, "results"), show)
        self.watch = Watch(folder, limit)
        # A check failed while the machine lived: that stands, whatever happens to it later.
        self.failed = False

    def poll(self):
        """@return the verdict, or None while it runs"""
        gone = self.process.poll()
        trouble = self.watch.trouble()
        new = self.results.read()
        late = self.watch.late()
        if not late and any(kind == "FAIL" for kind, _ in new):
            self.failed = True
        if self.results.ended:
            impossible = self.died_of_the_emulator()
            if impossible:
                return Verdict(impossible, self.results.lines)
            if self.failed or self.results.count("FAIL") == 0:
                return Verdict(None, self.results.lines)
            # Its heartbeat was missing when a check failed: is that why, or does it come back?
            if trouble is None:
                return None if late and gone is None else Verdict(None, self.results.lines)
        trouble = trouble or self.ended_early(gone)
        if trouble is None:
            return None
        if self.failed and trouble.machine:
            trouble = Trouble(False, trouble.text + " (after a check had failed: not tried again)")
        return Verdict(trouble, self.results.lines)

    def died_of_the_emulator(self):
        """Only the guest's death failed, and it died of what no processor does."""
        failures = [text for kind, text in self.results.lines if kind == "FAIL"]
        if len(failures) != 1 or not any(said in failures[0] for said in GUEST_GONE):
            return None
        try:
            with open(os.path.join(self.folder, "guest.log"), encoding="utf-8", errors="replace") as f:
                seen = interrupted_while_off(f.read())
        except FileNotFoundError:
            return None
        return Trouble(True, "it interrupted its guest with interrupts off: " + seen) if seen else None

    def ended_early(self, gone):
        """The job or its machine ended without the scenario's end: what did they say?"""
        status = last_lines(os.path.join(self.folder, "status"), 1)
        if status:
            return Trouble(False, "the job in it ended with status %s: %s" % (
                status, last_lines(os.path.join(self.folder, "inside.log")) or "it said nothing"))
        if gone is None:
            return None
        said = last_lines(os.path.join(self.folder, "console.log")) or "nothing"
        if "init-l1: job ended" in said or (gone != 0 and not self.watch.beats):
            return Trouble(False, "no job could be run in it (status %d); its console: %s" % (gone, said))
        return Trouble(True, "it ended by itself (status %d); its console: %s" % (gone, said))

    def end(self):
        """Whatever still runs is of no use any more."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        self.process.wait()
        self.console.close()
