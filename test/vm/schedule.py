# SPDX-License-Identifier: BSD-3-Clause
"""Runs scenarios, each in a machine of its own, several at a time; gives each its attempts."""

# A machine that crashed or stood still is not what is tested: that many are tried.
ATTEMPTS = 3


class Schedule:
    """
    `start(scenario, number)` starts an attempt (see attempt.py); poll() is to be called every so
    often until it returns False. The end of one scenario never touches another.
    """

    def __init__(self, scenarios, start, places=1, show=print):
        self.waiting, self.start, self.places, self.show = list(scenarios), start, places, show
        self.running = {}
        self.tries = dict.fromkeys(scenarios, 0)
        self.machines = 0
        self.counts = {"ok": 0, "FAIL": 0, "skip": 0}
        self.failures = []
        self.retries = []

    def poll(self):
        """@return whether anything is left to do"""
        while self.waiting and len(self.running) < self.places:
            name = self.waiting.pop(0)
            self.tries[name] += 1
            self.machines += 1
            self.running[name] = self.start(name, self.tries[name])
        for name, attempt in list(self.running.items()):
            verdict = attempt.poll()
            if verdict is not None:
                attempt.end()
                del self.running[name]
                self.settle(name, verdict)
        return bool(self.running or self.waiting)

    def settle(self, name, verdict):
        trouble = verdict.trouble
        if trouble is not None and trouble.machine:
            if self.tries[name] < ATTEMPTS:
                text = "%s, attempt %d of %d: %s" % (name, self.tries[name], ATTEMPTS, trouble.text)
                self.retries.append(text)
                self.show("vm: RETRY of " + text)
                self.waiting.insert(0, name)
                return
            trouble = trouble._replace(text="the machine failed %d times, last: %s"
                                       % (ATTEMPTS, trouble.text))
        lines = list(verdict.lines)
        if trouble is not None:
            lines.append(("FAIL", "%s: %s" % (name, trouble.text)))
            self.show("  %-4s %s" % lines[-1])
        for kind, text in lines:
            self.counts[kind] += 1
            if kind == "FAIL":
                self.failures.append(text)

    def end(self):
        """Ends what still runs, when there is no time to wait for it."""
        for attempt in self.running.values():
            attempt.end()
        self.running = {}
