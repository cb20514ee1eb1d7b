# SPDX-License-Identifier: BSD-3-Clause
"""The result lines of one scenario, read while it runs."""
import os


class Results:
    """Reads lines 'KIND SCENARIO: TEXT' (see report.py); `show` prints each as it comes."""

    def __init__(self, path, show=print):
        self.path, self.show = path, show
        self.offset = 0
        self.lines = []
        self.ended = False

    def read(self):
        """@return the new lines, as (kind, text)"""
        new = []
        if not os.path.exists(self.path):
            return new
        with open(self.path, "rb") as f:
            f.seek(self.offset)
            for line in f:
                if not line.endswith(b"\n"):
                    break
                self.offset += len(line)
                kind, text = line.decode("utf-8", "replace").strip().split(" ", 1)
                if kind == "end":
                    self.ended = True
                elif kind != "begin":
                    new.append((kind, text))
                    self.show("  %-4s %s" % (kind, text))
        self.lines += new
        return new

    def count(self, kind):
        return sum(k == kind for k, _ in self.lines)
