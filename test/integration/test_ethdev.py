# SPDX-License-Identifier: BSD-3-Clause
"""The ethdev contract: test/ethdev, linked with the driver, under the sanitizers."""
import os
import subprocess

from harness import ASAN_BUILD, SERIAL, Case, lcore_args, memory_args

TOOL = os.path.join(ASAN_BUILD, "test/ethdev/ethdev")
# More of them, or other ones, in a long run: HYPERPOLL_SEQUENCES=1000000 HYPERPOLL_SEED=1.
SEQUENCES = int(os.environ.get("HYPERPOLL_SEQUENCES", "2500"))
PROCESSES = 4  # at a time: they wait more than they compute
# These wait for seconds, for a host that is silent or for time to pass: all of them at once.
WAITING = ("a_session_that_failed_leaves_nothing_behind", "a_stop_is_not_charged_to_a_later_reset",
           "counts_are_of_frames_that_wait", "sends_of_a_quarantined_queue_are_not_missing")
SEED = int(os.environ.get("HYPERPOLL_SEED", "1"))
# EAL and the libraries below it keep what they have until the process ends.
LEAKS = "".join(f"leak:{name}\n" for name in ("librte_eal", "librte_", "libnuma", "libjson-c"))


class Ethdev(Case):
    limit = max(120, SEQUENCES // 50)

    def ethdev(self, *what, port="gen:size=60-1514,flows=64,rate=20K", env=None):
        """The program at work, against a host of its own."""
        if not os.path.exists(TOOL):
            self.fail(f"{TOOL} is missing: ./run test makes it")
        with open(self.path("leaks"), "w") as file:
            file.write(LEAKS)
        host = self.host(port)
        # What the other cases say of a device that is gone is true at once.
        device = host.device(options="" if "recovery" in what[0] else ",recovery_s=0")
        if f"vfio-user={host.socket()}" in device:
            # Since DPDK 24.11.8 and 26.07 EAL attaches by 127 characters at most, arguments included.
            short = os.path.join(host.dir, "s")
            os.symlink(host.socket(), short)
            device = device.replace(host.socket(), short)
        env = {**(env or {}), "HYPERPOLL_CONTROL": f"{host.dir}/control.sock",
               "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
               "LSAN_OPTIONS": f"suppressions={self.path('leaks')}:print_suppressions=0",
               "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
        return self.own(self.program("ethdev", [
            TOOL, *lcore_args(), "--file-prefix", f"ethdev{next(SERIAL)}", "--no-pci",
            "--no-telemetry", *memory_args(), "-a", device, "--", *what], env=env))

    def finish(self, program, said, timeout=60):
        self.assertEqual(program.wait(timeout), 0, said)
        self.assertIn(said, program.text)

    def run_case(self, name):
        self.finish(self.ethdev(name), f"ok {name}")

    def test_cases_that_wait(self):
        programs = [(name, self.ethdev(name)) for name in WAITING]
        for name, program in programs:
            with self.subTest(name):
                self.finish(program, f"ok {name}")

    def test_random_calls(self):
        """No order of calls crashes or leaks; every refusal is a negative errno with a sentence."""
        share = SEQUENCES // PROCESSES
        programs = [self.ethdev("random", share, SEED + n * share,
                                port="gen:size=60-1514,flows=64,rate=5K")
                    for n in range(PROCESSES)]
        for program in programs:
            self.finish(program, f"ok {share} sequences", self.limit)


def add_cases():
    """A test for each case that the program knows."""
    def case(name):
        return lambda self: self.run_case(name)

    if os.path.exists(TOOL):
        names = subprocess.run([TOOL, "list"], check=True, capture_output=True, text=True).stdout
        for name in set(names.split()) - set(WAITING):
            setattr(Ethdev, f"test_{name}", case(name))


add_cases()
