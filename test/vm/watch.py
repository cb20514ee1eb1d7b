# SPDX-License-Identifier: BSD-3-Clause
"""
Watches a machine while a scenario runs in it: notices a crash by the machine's own console, a
stand-still by heartbeats that stop, and a scenario that takes too long.
"""
import collections
import os
import re
import time

# Until the first heartbeat; and how long any of them may be missing. A quiet boot of a guest takes
# 40 s and more without a line anywhere, so output says nothing about life.
START_SECONDS, SILENT_SECONDS = 100, 60
# A check that fails while a heartbeat is that late may have failed because of it.
LATE_SECONDS = 10
# Longer than this nobody looked: this machine itself was stopped, or too busy to tell.
STEP_SECONDS = 5

CRASH = re.compile(rb"Kernel panic|stack guard page|BUG: (?:unable to handle|kernel NULL)|Oops: |"
                   rb"double fault|general protection fault, |invalid opcode: ")

# `machine` tells whether the emulated machine is to blame, not what was tested in it.
Trouble = collections.namedtuple("Trouble", "machine text")


class Watch:
    """Looks at the console and the heartbeat files (alive*) in a machine's folder."""

    def __init__(self, folder, limit, clock=time.monotonic):
        self.folder, self.limit, self.clock = folder, limit, clock
        self.offset = 0
        self.looked = clock()
        self.seconds = 0
        # What each heartbeat file said last, and for how long already.
        self.beats = {}

    def console(self):
        try:
            with open(os.path.join(self.folder, "console.log"), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def crash(self):
        """@return the line with which the machine's kernel died, or None"""
        text = self.console()
        found = CRASH.search(text, self.offset)
        if found:
            line = text[text.rfind(b"\n", 0, found.start()) + 1:].split(b"\n")[0]
            return Trouble(True, "its own kernel crashed: " + line.decode("ascii", "replace").strip())
        # The last line may be incomplete: it is looked at again.
        self.offset = text.rfind(b"\n") + 1
        return None

    def listen(self):
        now = self.clock()
        step, self.looked = min(now - self.looked, STEP_SECONDS), now
        self.seconds += step
        for name in os.listdir(self.folder):
            if not name.startswith("alive"):
                continue
            with open(os.path.join(self.folder, name), "rb") as f:
                beat = f.read()
            said, silent = self.beats.get(name, (None, 0))
            self.beats[name] = (beat, silent + step if beat == said else 0)

    def silent(self):
        """Seconds for which the latest of the heartbeats has been missing."""
        return max((silent for _, silent in self.beats.values()), default=self.seconds)

    def late(self):
        return self.silent() > LATE_SECONDS

    def trouble(self):
        """@return what is wrong, or None. To be called every second or so."""
        self.listen()
        crash = self.crash()
        if crash:
            return crash
        if not self.beats and self.seconds > START_SECONDS:
            return Trouble(True, "it showed no life within %d s of its start" % START_SECONDS)
        if self.beats and self.silent() > SILENT_SECONDS:
            return Trouble(True, "it stood still for %d s" % SILENT_SECONDS)
        if self.seconds > self.limit:
            return Trouble(False, "it took more than %d s" % self.limit)
        return None
