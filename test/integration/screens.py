# SPDX-License-Identifier: BSD-3-Clause
"""Programs that draw on a terminal: what stands on their screen, as pyte makes it of what they write."""
import fcntl
import signal
import struct
import sys
import termios
import time

from harness import Program, patience

try:
    import pyte
except ImportError:
    # Debian's modules, for a python3 of one's own in front.
    sys.path.append("/usr/lib/python3/dist-packages")
    try:
        import pyte
    except ImportError:
        pyte = None


class Screen(Program):
    """A child on a terminal of its own size. pyte knows no REP, which xterm has."""

    def __init__(self, name, argv, rows=24, columns=80, env=None, **keys):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        super().__init__(name, ["sh", "-c", f"stty sane rows {rows} cols {columns}; exec \"$@\"", "sh", *argv],
                         env={"TERM": "screen-256color", "NO_COLOR": "", **(env or {})}, **keys)

    def _take(self, data):
        self.raw += data
        self.stream.feed(data)
        self.text = "\n".join(line.rstrip() for line in self.screen.display)

    def shows(self, condition, timeout=15):
        """Wait until condition(lines of the screen) is true; its value."""
        timeout = patience(timeout)
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                value = condition(self.text.split("\n"))
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{self.name} does not show it after {timeout} s:\n{self.text}")
                self.changed.wait(min(left, 0.5))

    def resize(self, rows, columns):
        with self.changed:
            self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # The kernel tells whose controlling terminal it is; this one is nobody's.
        self.signal(signal.SIGWINCH)

    def colours(self):
        """Colours on the screen but the terminal's own."""
        with self.changed:
            return {cell.fg for line in self.screen.buffer.values() for cell in line.values()} - {"default"}
