#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py BUILD TARGET|all SECONDS: run fuzz targets for so many seconds together, two at a time.

Each begins with its corpus in BUILD/corpus/TARGET, to which it adds; inputs that find something are
left in BUILD/findings. One line per target, then "N passed, M failed".
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# An input that takes this long is a finding; the machine may be busy.
INPUT_SECONDS = 60
# The same inputs each time, where others wait for the result.
SEED = [f"-seed={os.environ['HYPERPOLL_FUZZ_SEED']}"] if "HYPERPOLL_FUZZ_SEED" in os.environ else []
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=16",
               "UBSAN_OPTIONS": "print_stacktrace=1"}
REASON = re.compile(r"does not hold: .*|runtime error: .*|ERROR: (?:libFuzzer|\w+Sanitizer): .*|"
                    r"fixture: .*")


def targets(build):
    """Names of what was built."""
    folder = os.path.join(build, "test/fuzz")
    return sorted(name[5:] for name in os.listdir(folder)
                  if name.startswith("fuzz_") and os.access(os.path.join(folder, name), os.X_OK)
                  and os.path.isfile(os.path.join(folder, name)))


def command(build, target, *options):
    """A command line; without options it runs single inputs."""
    line = [os.path.join(build, "test/fuzz", "fuzz_" + target), f"-timeout={INPUT_SECONDS}",
            f"-report_slow_units={INPUT_SECONDS}", "-rss_limit_mb=3072", *options]
    words = os.path.join(HERE, target.removesuffix("_flip") + ".dict")
    return line + ([f"-dict={words}"] if options and os.path.exists(words) else [])


def numbers(text):
    """Runs, edges that were covered, and edges there are."""
    edges = re.search(r"\((\d+) inline 8-bit counters\)|\((\d+) guards\)", text)
    progress = re.findall(r"^#(\d+)\t.*? cov: (\d+)", text, re.M)
    runs, covered = progress[-1] if progress else (0, 0)
    done = re.search(r"stat::number_of_executed_units: (\d+)", text)
    return int(done.group(1) if done else runs), int(covered), int(edges.group(1) if edges else 0)


def run(build, target, seconds):
    """Run one target. Returns whether it found nothing, and a line about it."""
    corpus = os.path.join(build, "corpus", target)
    findings = os.path.join(build, "findings")
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    prefix = os.path.join(findings, target + "-")
    before = set(os.listdir(findings))
    log = os.path.join(build, target + ".log")
    started = time.monotonic()
    with open(log, "w", encoding="utf-8", errors="replace") as out:
        try:
            status = subprocess.run(
                command(build, target, f"-max_total_time={seconds}", "-print_final_stats=1", *SEED,
                        f"-artifact_prefix={prefix}", corpus), stdout=out, stderr=out,
                env={**os.environ, **ENVIRONMENT}, timeout=seconds + 5 * INPUT_SECONDS,
                check=False).returncode
        except subprocess.TimeoutExpired:
            status = "no end"
    with open(log, encoding="utf-8", errors="replace") as out:
        text = out.read()
    runs, covered, edges = numbers(text)
    found = sorted(name for name in os.listdir(findings)
                   if name not in before and name.startswith(target + "-"))
    line = (f"{target}: {runs} runs in {time.monotonic() - started:.0f} s, {covered} of {edges} edges, "
            f"{len(found)} findings")
    if status == 0 and not found:
        return True, line
    why = REASON.search(text)
    for name in found:
        line += f"\n     {why.group(0) if why else 'status ' + str(status)}\n     " + \
            " ".join(map(os.path.relpath, [command(build, target)[0], os.path.join(findings, name)]))
    if not found:
        line += f"\n     ended with status {status}: {os.path.relpath(log)}"
    return False, line


def main(build, which, seconds):
    names = targets(build)
    if which != "all":
        if which not in names:
            sys.exit(f"fuzz: no target '{which}'; there are: {' '.join(names)}")
        names = [which]
    jobs = min(len(names), 2)
    each = max(1, int(seconds) * jobs // len(names))
    print(f"fuzz: {len(names)} targets, {each} s each, {jobs} at a time; what they find is left in "
          f"{os.path.relpath(build)}/findings", flush=True)
    subprocess.run([os.path.join(build, "test/fuzz/seeds"), os.path.join(build, "corpus")], check=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for good, line in pool.map(lambda name: run(build, name, each), names):
            print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)
            failed += not good
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    os.makedirs(os.path.join(sys.argv[1], "corpus"), exist_ok=True)
    sys.exit(main(os.path.abspath(sys.argv[1]), *sys.argv[2:]))
