#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What ran where: a record of each ./run test, and the README's support table out of those that were kept.

support.py record FILE [SUITE:PASSED:FAILED:SKIPPED:KERNEL...]
                            what ./run test calls at its end; no suite: it only compiled
support.py keep FILE...     take records over into doc/support/ and write the README's table
support.py table            write the README's table

A kept file is one Debian with one DPDK. Of a suite, with one series of guest kernels, the last run stays.
"""
import json
import os
import platform
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN = "<!-- support table: written by test/lib/support.py from doc/support/ -->\n"
END = "<!-- end of support table -->\n"
SUITES = ("unit", "integration", "uio", "peer", "drill", "suricata", "packages", "dpdk-tree")


def distribution(release="/etc/os-release"):
    """Such as "Debian 13", or a codename where the release has no number yet."""
    with open(release, encoding="utf-8") as file:
        words = dict(re.findall(r'^(\w+)="?([^"\n]*)', file.read(), re.M))
    name = words.get("NAME", words.get("ID", "unknown")).split(" ")[0]
    return f"{name} {words.get('VERSION_ID') or words.get('VERSION_CODENAME', '')}".strip()


def series(version):
    """6.12 of 6.12.90+deb13-amd64, None of None."""
    return version and re.match(r"\d+\.\d+", version).group()


def numbers(text):
    """For sorting: 9 before 12."""
    return [int(n) for n in re.findall(r"\d+", text)] or [1 << 30]


def make_record(words, environ=os.environ):
    """The record of suites given as SUITE:PASSED:FAILED:SKIPPED:KERNEL; what else it says is asked here."""
    run = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "command": environ["HYPERPOLL_COMMAND"],
           "revision": environ["HYPERPOLL_REVISION"]}
    dpdk = subprocess.run(["pkg-config", "--modversion", "libdpdk"], stdout=subprocess.PIPE, text=True, check=True)
    runs = []
    for word in words or ["compiled:0:0:0:"]:
        name, passed, failed, skipped, kernel = word.split(":", 4)
        runs.append({"suite": re.sub("^(vm|drill)-.*", r"\1", name), "passed": int(passed), "failed": int(failed),
                     "skipped": int(skipped), **({"kernel": kernel} if kernel else {}), **run})
    return {"distribution": distribution(), "dpdk": dpdk.stdout.strip(), "arch": platform.machine(),
            "runs": runs}


def merged(old, new):
    """Record `new` after `old`, which may be None."""
    def key(run):
        return run["suite"], series(run.get("kernel"))
    runs = {key(run): run for record in filter(None, (old, new)) for run in record["runs"]}
    return {**new, "runs": [runs[k] for k in sorted(runs, key=str)]}


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(record, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.write("\n")


def keep(record, folder):
    os.makedirs(folder, exist_ok=True)
    name = "-".join((record["distribution"], "dpdk", record["dpdk"], record["arch"]))
    path = os.path.join(folder, re.sub(r"[^\w.-]", "-", name.lower()) + ".json")
    save(merged(load(path) if os.path.exists(path) else None, record), path)
    return path


def cell(run):
    """What became of one run."""
    if run is None:
        return "–"
    text = f"**{run['failed']} failed**, {run['passed']} passed" if run["failed"] else f"{run['passed']} passed"
    return text + (f", {run['skipped']} skipped" if run["skipped"] else "")


def emulated(record):
    """The record, and one of each other architecture whose unit tests ran in an emulator here."""
    others = [run for run in record["runs"] if run["suite"] == "arm64"]
    here = [run for run in record["runs"] if run not in others]
    return [{**record, "runs": here}] * bool(here) + [
        {**record, "arch": run["suite"] + " (cross-built, qemu-user)", "runs": [{**run, "suite": "unit"}]}
        for run in others]


def table(records):
    """The table's lines."""
    records = [part for record in records for part in emulated(record)]
    lines = ["| on | DPDK | " + " | ".join(f"`{name}`" for name in SUITES) +
             " | `vm`, guest's Linux | last run, with |", "|---" * (len(SUITES) + 4) + "|"]
    for record in sorted(records, key=lambda r: (numbers(r["distribution"]), numbers(r["dpdk"]),
                                                 r["arch"] != "x86_64", r["arch"])):
        runs = {run["suite"]: run for run in record["runs"]}
        guests = sorted((run for run in record["runs"] if run["suite"] == "vm"),
                        key=lambda run: numbers(run.get("kernel", "")))
        vm = "<br>".join(f"{series(run.get('kernel')) or '?'}: {cell(run)}" for run in guests)
        if set(runs) == {"compiled"}:
            vm = "only compiled"
        commands = sorted({run["command"] for run in record["runs"]})
        lines.append("| " + " | ".join((
            record["distribution"] + ("" if record["arch"] == "x86_64" else f", {record['arch']}"),
            record["dpdk"], *(cell(runs.get(name)) for name in SUITES), vm or "–",
            f"{max(run['date'] for run in record['runs'])}, " + ", ".join(f"`{c}`" for c in commands))) + " |")
    return "".join(line + "\n" for line in lines)


def with_table(text, records):
    """README `text` with the table of `records` between its markers."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + table(records) + END + rest.split(END)[1]


def kept(folder):
    if not os.path.isdir(folder):
        return []
    return [load(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if name.endswith(".json")]


def write_table(root=ROOT):
    readme = os.path.join(root, "README.md")
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    with open(readme, "w", encoding="utf-8") as file:
        file.write(with_table(text, kept(os.path.join(root, "doc", "support"))))


def main(argv):
    if argv[:1] == ["record"] and len(argv) > 1:
        save(make_record(argv[2:]), argv[1])
    elif argv[:1] == ["keep"] and len(argv) > 1:
        for path in argv[1:]:
            print(keep(load(path), os.path.join(ROOT, "doc", "support")))
        write_table()
    elif argv == ["table"]:
        write_table()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
