# SPDX-License-Identifier: BSD-3-Clause
"""A guest in hvsim-vm, driven through its serial console. Runs where hvsim-vm runs."""
import os
import queue
import re
import subprocess
import sys
import threading
import time

TROUBLE = re.compile(r"WARNING: CPU|BUG:|Oops|general protection|Kernel panic|Call Trace|"
                     r"blocked for more than|soft lockup|rcu: INFO|stack guard page|KVM internal error")


# Deadlines are for a machine that boots in that time; where it takes longer, they are longer too.
USUAL_BOOT_SECONDS, MOST = 30, 6


class GuestError(Exception):
    """The guest did not do what was asked, in time or at all."""


class Guest:
    """One running machine; commands go to a shell on its console, one line each."""

    def __init__(self, command, log, boot_seconds=300):
        self.log = open(log, "w", encoding="utf-8", errors="replace")
        self.lines = queue.Queue()
        self.trouble = []
        self.slowness = 1
        self.started = time.monotonic()
        self.process = subprocess.Popen(["timeout", "--foreground", "-k", "5", "900"] + command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self._until("@@ready", boot_seconds, "boot")
        self.boot_time = time.monotonic() - self.started
        self.slowness = min(MOST, max(1, self.boot_time / USUAL_BOOT_SECONDS))

    def _read(self):
        pending = b""
        while True:
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                break
            pending += chunk
            while b"\n" in pending:
                raw, pending = pending.split(b"\n", 1)
                self._line(raw.decode("utf-8", "replace").rstrip("\r"))
        if pending:
            self._line(pending.decode("utf-8", "replace"))
        self.lines.put(None)

    def _line(self, line):
        self.log.write("%7.2f %s\n" % (time.monotonic() - self.started, line))
        self.log.flush()
        if TROUBLE.search(line) and not line.startswith("hvsim-vm: "):
            self.trouble.append(line)
        self.lines.put(line)

    def _until(self, marker, seconds, what):
        """Lines up to the one with `marker`; the rest of that line is returned with them."""
        seconds *= self.slowness
        end = time.monotonic() + seconds
        got = []
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise GuestError("%s: no answer within %d s; last line: %s"
                                 % (what, seconds, got[-1] if got else "none")) from None
            if line is None:
                raise GuestError("%s: the machine ended; last line: %s" % (what, got[-1] if got else "none"))
            if marker in line:
                # A line of the kernel may share the marker's line.
                before, after = line.split(marker, 1)
                if before:
                    got.append(before)
                return got, after.strip()
            got.append(line)

    def start(self, command):
        """Send a command without waiting for its end; finish() waits."""
        assert "\n" not in command and len(command) < 4000
        self.log.write("%7.2f >>> %s\n" % (time.monotonic() - self.started, command))
        try:
            self.process.stdin.write(command.encode() + b"\n")
        except BrokenPipeError:
            raise GuestError("%s: the machine ended before" % command[:60]) from None

    def finish(self, seconds=30, what="command"):
        """@return exit status and output of the command that start() sent"""
        got, status = self._until("@@status", seconds, what)
        return int(status.split()[0]), "\n".join(got)

    def run(self, command, seconds=30):
        self.start(command)
        return self.finish(seconds, command[:60])

    def check(self, command, seconds=30):
        """Output of a command that must succeed."""
        status, out = self.run(command, seconds)
        if status != 0:
            raise GuestError("%s: exit status %d: %s" % (command[:80], status, out[-300:]))
        return out

    def poll(self, command, seconds=20, pause=0.3):
        """Repeat a command until it succeeds; its output."""
        end = time.monotonic() + seconds * self.slowness
        while True:
            status, out = self.run(command, seconds)
            if status == 0:
                return out
            if time.monotonic() > end:
                raise GuestError("%s: not true within %d s: %s" % (command[:80], seconds, out[-200:]))
            time.sleep(pause)

    def power_off(self, seconds=40):
        """@return exit status of hvsim-vm"""
        self.start("poweroff -f")
        return self.wait(seconds)

    def wait(self, seconds):
        try:
            status = self.process.wait(seconds * self.slowness)
        except subprocess.TimeoutExpired:
            self.kill()
            raise GuestError("hvsim-vm did not end within %d s" % seconds) from None
        self.reader.join(5)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                print("guest: hvsim-vm did not end after SIGTERM", file=sys.stderr)
