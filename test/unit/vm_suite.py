#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How the suite with real guests (test/vm) watches its machines, and what these show of the checkout."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
VM = os.path.join(os.path.dirname(HERE), "vm")
sys.path.insert(0, VM)
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import attempt
import machine
import mounts
import run
import schedule
import watch
from attempt import Attempt, Verdict
from watch import Trouble, Watch


class Folder(unittest.TestCase):
    """A machine's folder, written by the test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hyperpoll-vm-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.now = 0.0
        self.beat = 0

    def put(self, name, text, mode="w"):
        with open(os.path.join(self.folder, name), mode, encoding="utf-8") as f:
            f.write(text)

    def clock(self):
        return self.now


class Watching(Folder):
    def setUp(self):
        super().setUp()
        self.put("console.log", "")
        self.watch = Watch(self.folder, 600, self.clock)

    def pass_time(self, seconds, beating=()):
        """@return the first trouble, or None"""
        for _ in range(seconds):
            self.now += 1
            self.beat += 1
            for name in beating:
                self.put(name, str(self.beat))
            trouble = self.watch.trouble()
            if trouble:
                return trouble
        return None

    def test_a_quiet_boot_is_no_hang(self):
        self.assertIsNone(self.pass_time(40))
        self.assertIsNone(self.pass_time(100, ["alive1", "alive2"]))

    def test_a_machine_that_never_comes_up(self):
        trouble = self.pass_time(watch.START_SECONDS + 2)
        self.assertTrue(trouble.machine)
        self.assertIn("no life", trouble.text)

    def test_a_stand_still_is_noticed_after_a_minute(self):
        self.pass_time(30, ["alive1", "alive2"])
        before = self.now
        trouble = self.pass_time(600)
        self.assertTrue(trouble.machine)
        self.assertIn("stood still", trouble.text)
        self.assertLess(self.now - before, 65)

    def test_one_processor_that_stands_still(self):
        self.pass_time(30, ["alive1", "alive2"])
        before = self.now
        trouble = self.pass_time(600, ["alive1"])
        self.assertIn("stood still", trouble.text)
        self.assertLess(self.now - before, 65)

    def test_a_crash_line_is_noticed_at_once(self):
        for line in ("[    9.1] Kernel panic - not syncing: Fatal exception in interrupt",
                     "[   20.5] BUG: stack guard page was hit at 0000000012345678",
                     "[   20.5] BUG: unable to handle page fault for address: ffff",
                     "[   20.5] traps: PANIC: double fault, error_code: 0x0",
                     "[    3.0] general protection fault, probably for non-canonical address 0x1: 0000 [#1]"):
            self.setUp()
            self.pass_time(5, ["alive1"])
            self.put("console.log", "SeaBIOS\nBooting from ROM\n" + line + "\nRIP: 0010:x\n")
            trouble = self.pass_time(1, ["alive1"])
            self.assertTrue(trouble.machine, line)
            self.assertIn(line, trouble.text)

    def test_a_crash_line_that_comes_in_pieces(self):
        self.put("console.log", "Booting\n[ 1.0] Kernel pa")
        self.assertIsNone(self.pass_time(1, ["alive1"]))
        self.put("console.log", "nic - not syncing\n", "a")
        self.assertIn("Kernel panic - not syncing", self.pass_time(1, ["alive1"]).text)

    def test_a_late_scenario_is_not_the_machines_fault(self):
        trouble = self.pass_time(700, ["alive1"])
        self.assertFalse(trouble.machine)
        self.assertIn("more than 600 s", trouble.text)

    def test_a_suspended_computer_is_no_stand_still(self):
        self.pass_time(5, ["alive1"])
        self.now += 3600
        self.assertIsNone(self.watch.trouble())
        self.assertIsNone(self.pass_time(5, ["alive1"]))


class Judging(Folder):
    """Real processes stand in for the machine; only the clock of the watch is the test's."""

    def attempt(self, command="sleep 60"):
        self.shown = []
        made = Attempt(["sh", "-c", command], self.folder, 600, self.shown.append)
        made.watch = Watch(self.folder, 600, self.clock)
        self.addCleanup(made.end)
        return made

    def wait(self, made):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            verdict = made.poll()
            if verdict:
                return verdict
            time.sleep(0.01)
        self.fail("no verdict")

    def test_a_scenario_that_ends(self):
        made = self.attempt()
        self.put("alive1", "1")
        self.put("results", "begin x: \nok x: one (0.1 s)\nskip x: two: why\nFAIL x: thr")
        self.assertIsNone(made.poll())
        self.put("results", "ee\nend x: 3 s\n", "a")
        self.assertEqual(made.poll(), Verdict(None, [
            ("ok", "x: one (0.1 s)"), ("skip", "x: two: why"), ("FAIL", "x: three")]))
        self.assertEqual(len(self.shown), 3)

    def test_a_job_that_cannot_start_is_reported_with_its_own_words(self):
        made = self.attempt()
        self.put("alive1", "1")
        self.put("inside.log", "/usr/bin/python3: can't open file '/x/inside.py': [Errno 2] No such file\n")
        self.put("status", "2\n")
        trouble = self.wait(made).trouble
        self.assertFalse(trouble.machine)
        self.assertIn("status 2", trouble.text)
        self.assertIn("can't open file '/x/inside.py'", trouble.text)

    def test_a_machine_without_its_job_is_reported_with_its_console(self):
        made = self.attempt("echo 'init-l1: cannot mount share0 at /x'; "
                            "echo 'init-l1: job ended with status 127'")
        trouble = self.wait(made).trouble
        self.assertFalse(trouble.machine)
        self.assertIn("cannot mount share0 at /x", trouble.text)

    def test_an_emulator_that_does_not_start(self):
        made = self.attempt("echo 'qemu: cannot allocate memory'; exit 1")
        trouble = self.wait(made).trouble
        self.assertFalse(trouble.machine)
        self.assertIn("cannot allocate memory", trouble.text)

    def test_a_machine_that_resets_silently(self):
        made = self.attempt("echo Booting")
        self.put("alive1", "1")
        self.assertTrue(self.wait(made).trouble.machine)

    def test_a_panic_that_ends_the_emulator(self):
        made = self.attempt("echo 'Kernel panic - not syncing: x'")
        trouble = self.wait(made).trouble
        self.assertTrue(trouble.machine)
        self.assertIn("Kernel panic - not syncing: x", trouble.text)

    def test_a_check_that_failed_stays_failed_when_the_machine_dies_later(self):
        made = self.attempt()
        self.put("alive1", "1")
        self.put("results", "FAIL x: one: wrong\n")
        self.assertIsNone(made.poll())
        self.put("console.log", "Kernel panic - not syncing\n", "a")
        verdict = made.poll()
        self.assertFalse(verdict.trouble.machine)
        self.assertIn(("FAIL", "x: one: wrong"), verdict.lines)

    def stand_still(self, made, seconds):
        for _ in range(seconds):
            self.now += 1
            verdict = made.poll()
            if verdict:
                return verdict
        return None

    def test_a_check_that_fails_in_a_machine_that_stands_still_is_the_machines_fault(self):
        made = self.attempt()
        self.put("alive1", "1")
        self.put("alive2", "1")
        self.assertIsNone(self.stand_still(made, watch.LATE_SECONDS + 5))
        self.put("results", "FAIL x: one: no answer within 30 s\nend x: \n")
        verdict = self.stand_still(made, watch.SILENT_SECONDS)
        self.assertTrue(verdict.trouble.machine)
        self.assertIn("stood still", verdict.trouble.text)

    def test_a_check_that_fails_while_a_heartbeat_is_only_late_has_failed(self):
        made = self.attempt()
        self.put("alive1", "1")
        self.assertIsNone(self.stand_still(made, watch.LATE_SECONDS + 5))
        self.put("results", "FAIL x: one: no answer within 30 s\nend x: \n")
        self.assertIsNone(self.stand_still(made, 5))
        self.put("alive1", "2")
        verdict = self.stand_still(made, 5)
        self.assertIsNone(verdict.trouble)
        self.assertEqual(verdict.lines, [("FAIL", "x: one: no answer within 30 s")])

    # A guest's log as two machines left it, shortened: (vector, flags of what was interrupted).
    TRACE = """
  69.81 [   44.156031]  ? early_xen_iret_patch+0xc/0xc
  69.83 [   44.156270]  sysvec_%(name)s+0xa/0x110
  69.84 [   44.156419]  asm_sysvec_%(name)s+0x16/0x20
  69.85 [   44.156543] RIP: 0010:asm_sysvec_%(name)s+%(at)s/0x20
  69.89 [   44.156667] Code: e9 25 07 00 00 <0f> 01 ca fc 6a ff
  69.90 [   44.156772] RSP: 0000:fffffe0000002fd8 EFLAGS: %(flags)s
  70.05 [   44.157504] RIP: 0033:0x432e8e
  70.06 [   44.159095] RSP: 002b:00007ffcddda1460 EFLAGS: 00010202
  70.35 [   56.949033] Kernel panic - not syncing: Fatal exception in interrupt
"""

    def died(self, results, name="reschedule_ipi", at="0x0", flags="00000002"):
        made = self.attempt()
        self.put("alive1", "1")
        self.put("guest.log", self.TRACE % {"name": name, "at": at, "flags": flags})
        self.put("results", results + "end x: 9 s\n")
        return made.poll()

    GONE = "ok x: one\nFAIL x: two: true: the machine ended before\n"

    def test_a_guest_that_was_interrupted_with_interrupts_off_is_the_machines_fault(self):
        for name in ("reschedule_ipi", "apic_timer_interrupt"):
            trouble = self.died(self.GONE, name).trouble
            self.assertTrue(trouble.machine)
            self.assertIn("RIP: 0010:asm_sysvec_%s+0x0/0x20, EFLAGS 00000002" % name, trouble.text)

    def test_a_guest_that_died_of_anything_else_has_failed(self):
        for other in ({"flags": "00000202"}, {"at": "0x8"}):
            verdict = self.died(self.GONE, **other)
            self.assertIsNone(verdict.trouble, other)
            self.assertEqual(verdict.lines[-1][0], "FAIL")

    def test_a_check_that_failed_before_the_guest_died_has_failed(self):
        for results in ("FAIL x: one: wrong\n" + self.GONE, "FAIL x: one: wrong\n", "ok x: one\n"):
            self.assertIsNone(self.died(results).trouble, results)

    def test_the_end_of_an_attempt_ends_all_its_processes(self):
        made = self.attempt("sh -c 'trap \"\" TERM; echo $$ >%s/pid; sleep 60' & wait" % self.folder)
        end = time.monotonic() + 20
        while not attempt.last_lines(os.path.join(self.folder, "pid")) and time.monotonic() < end:
            time.sleep(0.01)
        pid = attempt.last_lines(os.path.join(self.folder, "pid"))
        made.end()
        # Gone, or waiting for whoever inherited it.
        while time.monotonic() < end:
            state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True,
                                   check=False).stdout.strip()
            if state in ("", "Z"):
                return
            time.sleep(0.01)
        self.fail("process %s still is %s" % (pid, state))


class Played:
    """An attempt whose verdict is known beforehand."""

    def __init__(self, *verdicts):
        self.verdicts, self.ended = list(verdicts), False

    def poll(self):
        return self.verdicts.pop(0) if self.verdicts else None

    def end(self):
        self.ended = True


PASSED = Verdict(None, [("ok", "one"), ("ok", "two"), ("skip", "three")])
FAILED = Verdict(None, [("ok", "one"), ("FAIL", "x: two: wrong")])
CRASHED = Verdict(Trouble(True, "its own kernel crashed: Kernel panic"), [("ok", "one")])
LATE = Verdict(Trouble(False, "it took more than 600 s"), [("ok", "one")])


class Scheduling(unittest.TestCase):
    def play(self, scenarios, places=1):
        """Run to the end. @return the schedule and, in order, the attempts as (scenario, number)"""
        started, self.shown = [], []
        self.busiest = 0

        def start(name, number):
            started.append((name, number))
            self.made[name] = Played(*scenarios[name][number - 1])
            return self.made[name]
        self.made = {}
        plan = schedule.Schedule(scenarios, start, places, self.shown.append)
        for _ in range(1000):
            if not plan.poll():
                return plan, started
            self.busiest = max(self.busiest, len(plan.running))
        self.fail("it does not end")

    def test_a_failing_check_is_not_tried_again(self):
        plan, started = self.play({"x": [[FAILED]]})
        self.assertEqual(started, [("x", 1)])
        self.assertEqual(plan.counts, {"ok": 1, "FAIL": 1, "skip": 0})
        self.assertEqual(plan.failures, ["x: two: wrong"])

    def test_a_crash_is_tried_again_and_said(self):
        plan, started = self.play({"x": [[CRASHED], [PASSED]]})
        self.assertEqual(started, [("x", 1), ("x", 2)])
        self.assertEqual(plan.counts, {"ok": 2, "FAIL": 0, "skip": 1})
        self.assertEqual(plan.retries, ["x, attempt 1 of 3: its own kernel crashed: Kernel panic"])
        self.assertIn("vm: RETRY of " + plan.retries[0], self.shown)

    def test_three_attempts_and_no_more(self):
        plan, started = self.play({"x": [[CRASHED]] * 4})
        self.assertEqual(started, [("x", 1), ("x", 2), ("x", 3)])
        self.assertEqual(len(plan.retries), 2)
        self.assertEqual(plan.counts["FAIL"], 1)
        self.assertIn("failed 3 times", plan.failures[0])
        self.assertEqual(plan.machines, 3)

    def test_a_late_scenario_is_not_tried_again(self):
        plan, started = self.play({"x": [[LATE]]})
        self.assertEqual(started, [("x", 1)])
        self.assertEqual(plan.failures, ["x: it took more than 600 s"])

    def test_the_end_of_one_scenario_takes_no_other_with_it(self):
        wait = [None] * 5
        plan, started = self.play({"x": [wait + [CRASHED]] * 3, "y": [wait * 10 + [PASSED]],
                                   "z": [wait + [LATE]], "w": [wait + [PASSED]]}, places=2)
        self.assertEqual(len(started), 6)
        self.assertEqual(started.count(("y", 1)), 1)
        self.assertEqual(plan.counts, {"ok": 6, "FAIL": 2, "skip": 2})
        self.assertEqual(self.busiest, 2)
        self.assertTrue(all(made.ended for made in self.made.values()))


class Mounts(unittest.TestCase):
    """What a process in the emulated machine finds at a path, worked out from the list of mounts."""
    HIDDEN = mounts.OF_ITS_OWN + mounts.EMPTY

    def setUp(self):
        # Paths need not exist here.
        self.addCleanup(setattr, os.path, "realpath", os.path.realpath)
        os.path.realpath = os.path.normpath

    def found(self, listed, path):
        """@return (the mount that shows `path`, the path here of what it shows)"""
        covering = [m for m in listed
                    if path == m.path or path.startswith(m.path.rstrip("/") + "/")]
        shown = covering[-1]
        if shown.kind == "tmpfs":
            return shown, None
        return shown, path

    def test_a_checkout_below_a_hidden_folder_is_seen(self):
        for hidden in self.HIDDEN:
            root, build, job = hidden + "/me/hyperpoll", hidden + "/elsewhere/build", "/tmp/hyperpoll-vm-1/x-1"
            listed = mounts.mounts(job, root, build, "/tmp/hyperpoll-vm-1")
            for path in (root + "/test/vm/inside.py", build + "/app/hvsim-vm/hvsim-vm",
                         "/tmp/hyperpoll-vm-1/l2.cpio"):
                shown, there = self.found(listed, path)
                self.assertEqual(there, path)
                self.assertEqual((shown.kind, shown.mode), ("9p", mounts.READ_ONLY), path)
            shown, there = self.found(listed, job + "/results")
            self.assertEqual((there, shown.mode), (job + "/results", mounts.WRITABLE))
            # What it must have for itself, it still has.
            for path in self.HIDDEN:
                self.assertNotEqual(self.found(listed, path + "/other")[0].kind, "9p")

    def test_a_checkout_that_is_a_hidden_folder(self):
        listed = mounts.mounts("/tmp/job", "/root", "/root/build")
        self.assertEqual(self.found(listed, "/root/test/vm/inside.py")[1], "/root/test/vm/inside.py")
        self.assertEqual(self.found(listed, "/root/build/x")[1], "/root/build/x")

    def test_a_job_within_the_checkout_stays_writable(self):
        listed = mounts.mounts("/home/me/tmp/job", "/home/me", "/home/me/build")
        self.assertEqual(self.found(listed, "/home/me/tmp/job/results")[0].mode, mounts.WRITABLE)
        self.assertEqual(self.found(listed, "/home/me/test/vm/inside.py")[0].mode, mounts.READ_ONLY)

    def test_everything_listed_is_offered_by_the_emulator(self):
        listed = mounts.mounts("/tmp/job", "/root/a, b", "/usr/src/x")
        options = " ".join(mounts.qemu_options(listed))
        for mount in listed:
            if mount.kind == "9p":
                self.assertRegex(options, "path=%s,mount_tag=%s(,readonly=on)?( |$)" % (
                    re.escape(mount.path.replace(",", ",,")), mount.what))
        writable = [o for o in options.split("-virtfs ")[1:] if "readonly" not in o]
        self.assertEqual(len(writable), 1)

    def first_process(self, listed, systemd=False):
        """init-l1.sh itself, with a busybox that only writes down what it is asked for. @return the lines"""
        with tempfile.TemporaryDirectory() as folder:
            busybox, log = os.path.join(folder, "busybox"), os.path.join(folder, "log")
            with open(busybox, "w", encoding="ascii") as f:
                f.write('#!/bin/sh\n[ "$1" = cat ] && { echo "quiet npt=0"; exit; }\n'
                        'for a; do printf "[%%s]" "$a"; done >>%s\necho >>%s\n' % (log, log))
            os.chmod(busybox, 0o755)
            for name, text in (("mounts", mounts.table(listed)), ("job", "/tmp/job/job.sh\n"), ("order", "kvm-amd\n")):
                with open(os.path.join(folder, name), "w", encoding="ascii") as f:
                    f.write(text)
            if systemd:
                os.mkdir(os.path.join(folder, "units"))
            with open(os.path.join(VM, "init-l1.sh"), encoding="ascii") as f:
                script = f.read()
            for name, path in (("mounts", "/mounts"), ("job", "/job"), ("order", "/modules/order")):
                script = script.replace("<" + path + "\n", "<'%s'\n" % os.path.join(folder, name))
            script = script.replace("B=/bin/busybox", "B=" + busybox)
            script = script.replace("-e /systemd ", "-e '%s' " % os.path.join(folder, "units"))
            subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL)
            with open(log, encoding="ascii") as f:
                return f.read().splitlines()

    def mounted(self, said, below):
        found = (re.search(r"^\[mount\].*\[%s(/.*)?\]$" % below, line) for line in said)
        return [match.group(1) for match in found if match]

    def test_the_first_process_mounts_what_is_listed(self):
        listed = mounts.mounts("/tmp/job", "/root/with blank/x")
        said = self.first_process(listed)
        self.assertEqual(self.mounted(said, "/host"), [mount.path for mount in listed])
        self.assertIn("[mkdir][-p][/host/root/with blank/x]", said)
        self.assertIn("[insmod][/modules/kvm-amd.ko][npt=0]", said)
        self.assertIn("[chroot][/host][/bin/sh][/tmp/job/job.sh]", said)
        self.assertEqual([line for line in said if "switch_root" in line], [])

    def test_systemd_gets_a_root_it_can_write_to_with_all_that_is_listed(self):
        listed = mounts.mounts("/tmp/job", "/root/with blank/x")
        said = self.first_process(listed, systemd=True)
        self.assertEqual(self.mounted(said, "/host"), ["/"])
        self.assertEqual(self.mounted(said, "/new"), [None, *(mount.path for mount in listed[1:])])
        self.assertIn("[overlay]", "".join(line for line in said if "lowerdir=/host" in line))
        self.assertIn("[switch_root][/new][/lib/systemd/systemd]", said)


class Choice(unittest.TestCase):
    def test_long_scenarios_wait_for_a_long_run(self):
        short, every = run.chosen([], False), run.chosen([], True)
        self.assertEqual(every, list(run.SECONDS))
        self.assertEqual(sorted(short + list(run.LONG)), sorted(every))

    def test_what_is_named_runs_whatever_it_takes(self):
        self.assertEqual(run.chosen([run.LONG[0], "uio"], False), [n for n in run.SECONDS if n in (run.LONG[0], "uio")])


class Script(Folder):
    def test_the_job_beats_while_it_runs_and_tells_its_end(self):
        script = machine.job_script("sleep 0.3; echo done; exit 3", self.folder, False)
        run = subprocess.run(["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, check=False)
        if "unshare" in run.stderr:
            self.skipTest(run.stderr.strip())
        self.assertEqual((run.stdout, run.returncode), ("done\n", 3))
        self.assertEqual(attempt.last_lines(os.path.join(self.folder, "status")), "3")
        self.assertGreaterEqual(int(attempt.last_lines(os.path.join(self.folder, "alive"))), 1)

    def test_no_guest_runs_on_processor_0_of_the_emulated_machine(self):
        script = machine.job_script("run", self.folder, True)
        self.assertNotIn(0, machine.JOB_PROCESSORS)
        self.assertLess(script.index("taskset -cp 1,2 $$"), script.index("(run)"))


if __name__ == "__main__":
    unittest.main()
