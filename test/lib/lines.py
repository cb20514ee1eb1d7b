#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""lines.py BUILD CORPORA [PART...]: line coverage of lib/, drivers/ and app/.

Parts: unit (every unit test), fuzz (every fuzz target on its inputs in CORPORA, as ./run fuzz leaves them,
and on its seeds), or the name of one unit test or target; unit and fuzz when none is named. BUILD was
compiled by clang with -fprofile-instr-generate -fcoverage-mapping. Prints a line per source file, the least
covered first, then one per folder and one for each of the kinds below; HTML is left in BUILD/html. Fails
when a program does.
"""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

# Together for all inputs of a target, and for a test.
SECONDS = 600
# Inputs on one command line.
CHUNK = 500
# What has an aim, in percent of its lines: what reads bytes or texts that others wrote, and what keeps a
# protocol's state or moves frames. The rest are tools, and what opens, binds and maps.
KINDS = {
    "parsers": (95, re.compile(
        r"lib/netvsp/|lib/vmbus/|lib/vfio_user/(msg|version)\.|lib/host/(config|control_cmd|control_json|rate_profile|"
        r"scenario_parse|port_pcap|profile|offload)\.|drivers/bus/vmbus/sysfs_parse\.|"
        r"drivers/net/netvsc/(devargs|rx_transfer|offload)\.|app/hvsim/top_parse\.|app/vmbusctl/top_parse\.")),
    "state machines and data paths": (90, re.compile(
        r"lib/host/(nic|memmap)|lib/vfio_user/(?!msg|version)|drivers/net/netvsc/(?!devargs|rx_transfer|"
        r"offload\.)|app/hvsim-vm/(vbus|synic)")),
}


class Build:
    """Programs that count lines, and where their counts go."""

    def __init__(self, folder):
        self.folder = folder
        self.profile = os.path.join(folder, "profile")
        self.log = os.path.join(folder, "lines.log")
        # One file per program, to which each of its runs adds.
        self.environment = {**os.environ, "LLVM_PROFILE_FILE": os.path.join(self.profile, "%m.profraw")}
        for name in self.profile, os.path.join(folder, "seeds"):
            shutil.rmtree(name, ignore_errors=True)
            os.mkdir(name)
        self.tools = [os.path.join(folder, "app", name, name) for name in ("vmbusctl", "hvsim", "hvsim-vm")]

    def programs(self, place, prefix=""):
        """Programs in this folder, by name without the prefix."""
        place = os.path.join(self.folder, place)
        return {name.removeprefix(prefix): os.path.join(place, name) for name in sorted(os.listdir(place))
                if name.startswith(prefix) and os.path.isfile(os.path.join(place, name))
                and os.access(os.path.join(place, name), os.X_OK)}

    def run(self, *command, **environment):
        """Run a program. Returns what is wrong with it, or None."""
        with open(self.log, "a", encoding="utf-8") as log:
            try:
                status = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                        env={**self.environment, **environment}, timeout=SECONDS,
                                        check=False).returncode
            except subprocess.TimeoutExpired:
                status = f"none after {SECONDS} s"
        return None if status == 0 else f"{os.path.basename(command[0])}: status {status}"

    def unit(self):
        """All of them, those in scripts among them. Returns what failed."""
        # Scripts run tools as other users, too, who add to the same files.
        for tool in filter(os.path.exists, self.tools):
            self.run(tool, "--help")
        os.chmod(self.profile, 0o777)
        for name in os.listdir(self.profile):
            os.chmod(os.path.join(self.profile, name), 0o666)
        results = os.path.join(self.folder, "meson-logs/testlog.json")
        if os.path.exists(results):
            os.unlink(results)  # of an earlier run
        subprocess.run(["meson", "test", "-C", self.folder, "--no-rebuild", "--suite", "unit", "-t", "10"],
                       env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        with open(results, encoding="utf-8") as log:
            runs = [json.loads(line) for line in log]
        return [f"{run['name']}: {run['result']}" for run in runs if run["result"] not in ("OK", "SKIP")]

    def target(self, name, program, corpora):
        """One fuzz target on its inputs. Returns what failed."""
        inputs = [os.path.join(top, name, file) for top in (os.path.join(self.folder, "seeds"), corpora)
                  if os.path.isdir(os.path.join(top, name)) for file in os.listdir(os.path.join(top, name))]
        return [self.run(program, *inputs[at:at + CHUNK]) for at in range(0, len(inputs), CHUNK)]


def run_all(build, corpora, parts):
    """Run these parts. Returns the programs, and what failed."""
    tests, targets = build.programs("test/unit", "unit_"), build.programs("test/fuzz", "fuzz_")
    ran, failed = [], []
    for part in parts:
        if part not in ("unit", "fuzz", *tests, *targets):
            sys.exit(f"coverage: no part, unit test or fuzz target '{part}'; parts: unit fuzz; "
                     f"targets: {' '.join(targets)}; tests: {' '.join(tests)}")
    if "unit" in parts:
        failed += build.unit()
        ran += [*tests.values(), *build.tools]
    seeds = build.programs("test/fuzz", "seeds")[""]
    failed.append(build.run(seeds, os.path.join(build.folder, "seeds")))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = []
        for name, program in tests.items():
            if name in parts:
                jobs.append(pool.submit(lambda program=program: [build.run(program)]))
                ran.append(program)
        for name, program in targets.items():
            if name in parts or "fuzz" in parts:
                jobs.append(pool.submit(build.target, name, program, corpora))
                ran.append(program)
        failed += [why for job in jobs for why in job.result()]
    return [program for program in dict.fromkeys(ran) if os.path.exists(program)], [why for why in failed if why]


def summary(title, files):
    """One line of a number of files."""
    count, covered = (sum(lines[key] for lines, _ in files) for key in ("count", "covered"))
    return f"{100 * covered / max(count, 1):6.1f} % of {count:5} lines  {title}"


def show(build, ran):
    """Merge what was counted; print the files, write the HTML."""
    data = os.path.join(build.folder, "lines.profdata")
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", data, build.profile], check=True)
    source = os.path.dirname(build.folder)
    about = [ran[0], *(f"-object={program}" for program in ran[1:]), f"-instr-profile={data}",
             r"-ignore-filename-regex=(\.\./test/|^/usr/|build-sdk/|\.cache/|-lines/[^.])"]
    text = subprocess.run(["llvm-cov", "export", "-summary-only", *about], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    files = [(file["summary"]["lines"], os.path.relpath(file["filename"], source))
             for file in json.loads(text)["data"][0]["files"] if file["summary"]["lines"]["count"]]
    files.sort(key=lambda file: (file[0]["percent"], file[1]))
    for file in files:
        print(summary(file[1], [file]))
    print()
    for folder in sorted({os.path.dirname(name) for _, name in files}):
        print(summary(folder + "/", [file for file in files if os.path.dirname(file[1]) == folder]))
    print()
    for kind, (aim, names) in KINDS.items():
        these = [file for file in files if names.match(file[1])]
        print(summary(f"{kind} (aim: {aim} %)", these))
        for lines, name in these:
            if lines["percent"] < aim:
                print(f"{lines['percent']:8.1f} % {name}")
    html = os.path.join(build.folder, "html")
    subprocess.run(["llvm-cov", "show", "-format=html", f"-output-dir={html}", *about], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"{os.path.relpath(html)}/index.html")


def main(folder, corpora, *parts):
    build = Build(os.path.abspath(folder))
    ran, failed = run_all(build, os.path.abspath(corpora), parts or ("unit", "fuzz"))
    show(build, ran)
    for why in failed:
        print(f"FAIL {why} ({os.path.relpath(build.log)} or meson-logs there)")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
