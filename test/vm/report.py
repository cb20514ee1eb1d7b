# SPDX-License-Identifier: BSD-3-Clause
"""Results of checks: one line each, written where the outer runner reads them."""
import time
import traceback

from guest import GuestError


# The guest hangs or has ended, in the words of guest.py.
GUEST_GONE = ("no answer", "machine ended")


class Aborted(Exception):
    """The scenario cannot go on: the guest hangs or is gone."""


class Skip(Exception):
    """The check does not apply here; the text says why."""


class Report:
    def __init__(self, path, scenario):
        self.file = open(path, "a", encoding="utf-8")
        self.scenario = scenario
        self.began = time.monotonic()

    def line(self, kind, text):
        # One line per result, whatever the text.
        self.file.write("%s %s: %s\n" % (kind, self.scenario, " ".join(text.split())))
        self.file.flush()

    def check(self, name, function, *arguments):
        """Run one check; @return whether it passed."""
        began = time.monotonic()
        try:
            detail = function(*arguments)
        except Skip as reason:
            self.line("skip", "%s: %s" % (name, reason))
            return False
        except GuestError as error:
            self.line("FAIL", "%s: %s" % (name, error))
            if any(said in str(error) for said in GUEST_GONE):
                raise Aborted("%s: %s" % (name, error)) from None
            return False
        except Exception as error:
            self.line("FAIL", "%s: %s: %s (%s)" % (
                name, type(error).__name__, error,
                " < ".join("%s:%d" % (f.name, f.lineno)
                           for f in reversed(traceback.extract_tb(error.__traceback__)[-3:]))))
            return False
        self.line("ok", "%s%s (%.1f s)" % (name, ": " + detail if detail else "", time.monotonic() - began))
        return True
