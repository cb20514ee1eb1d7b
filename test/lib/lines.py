#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""lines.py BUILD CORPORA: line coverage of lib/, drivers/ and app/ by unit tests and fuzz corpora.

BUILD was compiled by clang with -fprofile-instr-generate -fcoverage-mapping. Runs each unit test's
program, then each fuzz target on its inputs in CORPORA (as ./run fuzz leaves them) or on its seeds.
Prints a line per source file, the least covered first, and leaves HTML in BUILD/html. Fails when a
program does.
"""
import json
import os
import shutil
import subprocess
import sys

TEST_SECONDS = 300
# Inputs on one command line.
CHUNK = 500


def programs(folder, prefix):
    """Programs in this folder whose names begin so."""
    return sorted(os.path.join(folder, name) for name in os.listdir(folder)
                  if name.startswith(prefix) and os.path.isfile(os.path.join(folder, name)))


def run(profile, log, *command, **environment):
    """Run a program, what it counts goes to profile. Returns what is wrong with it, or None."""
    environment = {**os.environ, "LLVM_PROFILE_FILE": os.path.join(profile, "%m.profraw"), **environment}
    try:
        status = subprocess.run(command, stdout=log, stderr=log, env=environment, stdin=subprocess.DEVNULL,
                                timeout=TEST_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        status = f"none after {TEST_SECONDS} s"
    return None if status == 0 else f"{os.path.basename(command[0])}: status {status}"


def run_all(build, corpora, profile, log):
    """Run everything. Returns the programs and what failed."""
    tests = programs(os.path.join(build, "test/unit"), "unit_")
    targets = programs(os.path.join(build, "test/fuzz"), "fuzz_")
    failed = [run(profile, log, test) for test in tests]
    failed += [run(profile, log, test, PORT_IN_PLACE="1") for test in tests if "host_nic" in test]
    seeds = os.path.join(build, "seeds")
    shutil.rmtree(seeds, ignore_errors=True)
    os.mkdir(seeds)
    failed.append(run(profile, log, os.path.join(build, "test/fuzz/seeds"), seeds))
    for target in targets:
        name = os.path.basename(target)[5:]
        inputs = [os.path.join(top, name, file) for top in (seeds, corpora)
                  if os.path.isdir(os.path.join(top, name)) for file in os.listdir(os.path.join(top, name))]
        for at in range(0, len(inputs), CHUNK):
            failed.append(run(profile, log, target, *inputs[at:at + CHUNK]))
    return tests + targets, [why for why in failed if why]


def show(build, profile, ran):
    """Merge what was counted; print the files, write the HTML."""
    data = os.path.join(build, "lines.profdata")
    raw = [os.path.join(profile, name) for name in os.listdir(profile)]
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", data, *raw], check=True)
    source = os.path.dirname(build)
    about = [ran[0], *(f"-object={program}" for program in ran[1:]), f"-instr-profile={data}",
             "-ignore-filename-regex=(/test/|/usr/)"]
    text = subprocess.run(["llvm-cov", "export", "-summary-only", *about], check=True,
                          capture_output=True, text=True).stdout
    files = [(file["summary"]["lines"], os.path.relpath(file["filename"], source))
             for file in json.loads(text)["data"][0]["files"]]
    for lines, name in sorted(files, key=lambda file: (file[0]["percent"], file[1])):
        print(f"{lines['percent']:6.1f} % of {lines['count']:4} lines  {name}")
    html = os.path.join(build, "html")
    subprocess.run(["llvm-cov", "show", "-format=html", f"-output-dir={html}", *about], check=True,
                   stdout=subprocess.DEVNULL)
    print(f"{os.path.relpath(html)}/index.html")


def main(build, corpora):
    build = os.path.abspath(build)
    profile = os.path.join(build, "profile")
    shutil.rmtree(profile, ignore_errors=True)
    os.mkdir(profile)
    with open(os.path.join(build, "lines.log"), "w", encoding="utf-8") as log:
        ran, failed = run_all(build, corpora, profile, log)
    show(build, profile, ran)
    for why in failed:
        print(f"FAIL {why} ({os.path.relpath(build)}/lines.log)")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
