#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What has threads, under ThreadSanitizer: run.py BUILD [PART...]. Ends with "N passed, N failed".

Parts: unit (meson's suite "threads"), hvsim (integration tests against a hvsim of that build), ethdev
(test/ethdev, the driver linked in; by name only, as not all of it has been seen clean yet). A report is
a failure whatever the test itself thought; what is left out stands in suppressions.txt with its reason.

The sanitizer sees what clang compiled here. DPDK's spinlocks and atomics are inlined from its headers as
assembler and its rings as plain stores between fences, neither of which it understands: the build has
RTE_FORCE_INTRINSICS and RTE_USE_C11_MEM_MODEL, and they are builtins. DPDK's own libraries are not
instrumented; calls from them are not looked at (ignore_noninstrumented_modules). Nor does it understand
atomic_thread_fence(): a word that is plain, and ordered by a fence alone, would be reported. Here each of
these is atomic.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SUM = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
HVSIM = ["test_threads", "test_spread", "test_trace", "test_scenario", "test_ctl"]
ETHDEV = ["test_ethdev"]
SEQUENCES = "200"  # random calls: under the sanitizer each costs


class Reports:
    """What the sanitizer wrote while a part ran."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="hyperpoll-tsan-")
        os.chmod(self.folder, 0o777)  # programs may be other users'
        # A report must not change what a test sees: the exit status is the program's own.
        self.options = ":".join([
            f"log_path={self.folder}/report", "exitcode=0", "halt_on_error=0", "history_size=4",
            "ignore_noninstrumented_modules=1", "second_deadlock_stack=1",
            f"suppressions={HERE}/suppressions.txt"])

    def take(self):
        """The texts since the last call."""
        texts = []
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                texts += re.findall(r"WARNING: ThreadSanitizer:.*?(?=^={18})", file.read() + "=" * 18,
                                    re.M | re.S)
            os.unlink(path)
        return texts


def unit(build, env):
    log = os.path.join(build, "meson-logs/testlog.json")
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--suite", "threads", "-t", "10"],
                   env=env, stdout=subprocess.DEVNULL, check=False)
    return subprocess.run([sys.executable, os.path.join(ROOT, "test/lib/unit_summary.py"), log],
                          env=env, capture_output=True, text=True, check=False).stdout


def integration(patterns, env):
    """Prints what they say while they run, as they take long. @return the sum"""
    found = ""
    with subprocess.Popen([sys.executable, "-B", os.path.join(ROOT, "test/integration/run.py"), *patterns],
                          env=env, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if SUM.match(line):
                found += line
            else:
                print(line, end="", flush=True)
    return found


RACE = """
#include <pthread.h>
static int shared;
static void *add(void *arg) { shared++; return arg; }
int main(void)
{
	pthread_t t;
	pthread_create(&t, 0, add, 0);
	shared++;
	return pthread_join(t, 0);
}
"""


def race_is_seen(reports, env):
    """Does the sanitizer work here, and do its words come to us? If not, silence means nothing."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "race")
        subprocess.run(["clang", "-g", "-fsanitize=thread", "-o", program, "-x", "c", "-"],
                       input=RACE, text=True, check=True)
        subprocess.run([program], env=env, timeout=60, check=True)
    return len(reports.take()) == 1


def main():
    build, parts = sys.argv[1], sys.argv[2:] or ["unit", "hvsim"]
    reports = Reports()
    env = {**os.environ, "TSAN_OPTIONS": reports.options}
    runs = {
        "unit": lambda: unit(build, env),
        "hvsim": lambda: integration(HVSIM, {**env, "HYPERPOLL_HVSIM_BUILD": build}),
        "ethdev": lambda: integration(ETHDEV, {**env, "HYPERPOLL_ASAN_BUILD": build, "HYPERPOLL_SEQUENCES": SEQUENCES}),
    }
    if not race_is_seen(reports, env):
        print("ThreadSanitizer does not report a race that is there\n0 passed, 1 failed")
        return 1
    passed = failed = 0
    for part in parts:
        text = runs[part]()
        print(SUM.sub("", text).rstrip(), flush=True)
        counts = SUM.findall(text)
        passed += int(counts[-1][0]) if counts else 0
        failed += int(counts[-1][1]) if counts else 1
        for report in reports.take():
            failed += 1
            print(f"FAIL {part}: {report}", flush=True)
    os.rmdir(reports.folder)
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
