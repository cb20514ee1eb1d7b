#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What can be said of the sources without running them: ./run lint [--long] [CHECK...].

  format     clang-format would change nothing
  shell      shellcheck, of scripts together with what they source
  python     pyflakes: it compiles, names exist, imports are used
  includes   who includes whom: each folder only what INCLUDES says, ours and of libraries
  c, c++     each public header alone, by gcc as C11 and by g++ as C++23 (the first with <stdatomic.h>)
  narrow     clang's warnings that are too many for the build, where there are none: numbers that lose bits in silence,
             and those in NARROW; lib, and of app what has no DPDK
  cppcheck   lib, drivers and app; it reads no headers but ours, what it must know of others is in cppcheck.h
  tidy       clang-tidy on lib, drivers and app, with the checks of .clang-tidy
--long:
  clang      clang's static analyzer, on the same
  fanalyzer  gcc's

What is suppressed stands with its reason in suppressed.txt; an entry that suppresses nothing is a complaint, too.
Needs a build folder (HYPERPOLL_BUILD, or build) that meson has set up.
"""
import concurrent.futures
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("HYPERPOLL_BUILD", "build"))
# Of lib's headers these are for nobody else, as their first comments say.
PRIVATE = ("*_internal.h", "*_priv.h", "lib/vfio_user/session.h", "lib/host/nic_batch.h",
           "lib/host/port_queue.h", "lib/host/port_spec.h")
# What a folder may include besides its own headers and those of libc and Linux: folders, single headers, libraries.
# doc/design.md says why. A folder that is not here (test/ and what is in it) may include everything.
INCLUDES = {
    "lib/vmbus": "",
    "lib/netvsp": "lib/vmbus",
    "lib/trace": "lib/vmbus lib/netvsp",
    "lib/vfio_user": "lib/vmbus json-c",
    "lib/host": "lib json-c pcap",
    "drivers/bus/vmbus": "lib/vmbus lib/vfio_user DPDK",
    "drivers/net/netvsc": "drivers/bus/vmbus lib/vmbus lib/netvsp lib/trace DPDK",
    "app/common": "lib json-c",
    "app/example": "DPDK",
    "app/hvsim": "lib app/common app/top json-c numa",
    "app/hvsim-vm": "lib app/common app/top app/hvsim/top.h",
    "app/pmdbench": "lib app/common app/hvsim/hvsim.h json-c DPDK",
    "app/top": "app/common lib/vmbus/clock.h json-c curses",
    # Those headers of the bus that know no DPDK.
    "app/vmbusctl": "app/common app/top lib/vmbus/clock.h drivers/bus/vmbus/sysfs.h drivers/bus/vmbus/isolation.h json-c numa",
}
LIBRARIES = {"DPDK": r"rte_\w+\.h|(ethdev|bus|dev)_\w+\.h", "json-c": r"json.*\.h|json-c/.*", "pcap": r"pcap.*",
             "numa": r"numa\w*\.h", "curses": r"n?curses\w*\.h|ncursesw?/.*"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', re.M)
# Not: what says of each strcpy(), strcat() or memcpy() only that it is one. Lengths are checked where a text is
# copied, and whether the bounds hold is for other checks: gcc's warnings and analyzer, cppcheck, the sanitizers.
ANALYZER = ("-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,"
            "-clang-analyzer-security.insecureAPI.strcpy")
NARROW = ("-Wconversion -Wno-sign-conversion -Wformat=2 -Wno-format-nonliteral -Wvla -Wundef -Wcomma -Wloop-analysis "
          "-Wunreachable-code -Wmissing-variable-declarations -Wpointer-arith").split()
# FILE:LINE:[COLUMN:] KIND: TEXT [NAME], of all these tools.
COMPLAINT = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(\d+:)? (?:\w+ )?(?:warning|error|style|performance|"
                       r"portability): (?P<text>.*?) \[(?P<name>[\w.,+-]+)(?:=)?\]$", re.M)


def files(*patterns, root=ROOT):
    """Sources, also of a copy of the checkout that has no git."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not re.match(r"build|\.cache$|\.git$|__pycache__$", name)]
        paths = (os.path.relpath(os.path.join(folder, name), root) for name in names)
        found += [path for path in paths if any(fnmatch.fnmatch(path, pattern) for pattern in patterns)]
    return sorted(found)


def run(*command, cwd=ROOT):
    """@return (succeeded, what it printed)"""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=cwd)
    return done.returncode == 0, done.stdout


def lines(*command):
    """The complaints of a tool that prints nothing else."""
    good, text = run(*command)
    return [] if good else text.splitlines() or [f"{command[0]} failed and says nothing"]


def wrong_includes(path, text):
    """What a source includes that its folder may not, or whose folder is not in the table."""
    folder = next((name for name in INCLUDES if path.startswith(name + "/")), None)
    if folder is None:
        return [f"{path}: a folder that test/lint/run.py's INCLUDES does not have"]
    wrong = []
    for match in INCLUDE.finditer(text):
        header = match[1]
        library = next((name for name, headers in LIBRARIES.items() if re.fullmatch(headers, header)), None)
        ours = re.match(r"(lib|drivers|app|test|examples)/", header)
        if not any(header == name or header.startswith(name + "/") or library == name
                   for name in [folder, *INCLUDES[folder].split()]) and (library or ours):
            number = text.count("\n", 0, match.start()) + 1
            wrong.append(f"{path}:{number}: {folder} may not include {header}"
                         + (f" ({library})" if library else ""))
    return wrong


class Suppressed:
    """suppressed.txt: "CHECK NAME FILE-PATTERN", below a comment with the reason."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.entries = {tuple(line.split()): 0 for line in file if line.strip() and line[0] != "#"}

    def left(self, check, text):
        """The complaints in a tool's output that are not suppressed, each once."""
        left = []
        for match in COMPLAINT.finditer(text):
            path = os.path.relpath(os.path.join(BUILD, match["file"]), ROOT) \
                if match["file"].startswith("..") or match["file"].startswith("/") else match["file"]
            for entry in self.entries:
                if entry[0] == check and match["name"].startswith(entry[1]) and fnmatch.fnmatch(path, entry[2]):
                    self.entries[entry] += 1
                    break
            else:
                left.append(f"{path}:{match['line']}: {match['text']} [{match['name']}]")
        return left

    def unused(self, check):
        return [f"test/lint/suppressed.txt: nothing to suppress for '{' '.join(entry)}'"
                for entry, count in self.entries.items() if entry[0] == check and count == 0]


class Lint:
    def __init__(self, folder):
        self.folder = folder
        self.suppressed = Suppressed(os.path.join(ROOT, "test", "lint", "suppressed.txt"))
        self.commands = {}
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            for entry in json.load(file):
                # A file that is compiled more than once is looked at as the build has it, not a test.
                path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
                if re.match(r"(lib|drivers|app)/.*\.c$", path) and \
                        (path not in self.commands or not entry["output"].startswith("test/")):
                    self.commands[path] = dict(entry, command=re.sub(r"^\S*ccache ", "", entry["command"]))
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(list(self.commands.values()), file)

    # Each check: the pieces of work it consists of, whose results are complaints.

    def includes(self):
        def all_of():
            wrong = []
            for name in files("lib/*.[ch]", "drivers/*.[ch]", "app/*.[ch]"):
                with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                    wrong += wrong_includes(name, file.read())
            return wrong
        return [all_of]

    def format(self):
        # The model's are Promela.
        names = [name for name in files("*.c", "*.h") if not name.startswith("test/model/")]
        return [lambda: lines("clang-format", "--dry-run", "--Werror", *names)]

    def shell(self):
        scripts = ["run", ".ci/run"] + [name for name in files("*.sh") if not name.startswith(("test/lib/", "packaging/"))]
        # What they source is looked at with them, being not whole alone.
        return [lambda: lines("shellcheck", "-x", "-a", "-f", "gcc", *scripts)]

    def python(self):
        names = files("*.py")
        return [lambda: lines("pyflakes3", *names)]

    def headers(self, *command):
        names = [name for name in files("lib/*.h") if not any(fnmatch.fnmatch(name, p) for p in PRIVATE)]
        return [lambda name=name: [line for line in run(*command, "-I.", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                "-fsyntax-only", name)[1].splitlines() if "error:" in line] for name in names]

    def c(self):
        return self.headers("gcc", "-std=c11", "-Wno-unused-function", "-x", "c")

    def cxx(self):
        # Fields that an initializer leaves out are zero in both languages.
        return self.headers("g++", "-std=c++23", "-Wno-missing-field-initializers", "-x", "c++")

    def narrow(self):
        def one(entry):
            words = shlex.split(entry["command"])
            for option in ("-o", "-MF", "-MQ"):
                at = words.index(option)
                del words[at:at + 2]
            words[0] = "clang"
            words += ["-fsyntax-only", "-fno-color-diagnostics", "-Wno-error", "-Wno-unknown-warning-option", *NARROW]
            words.remove("-MD")
            good, text = run(*words, cwd=entry["directory"])
            return self.suppressed.left("narrow", text) if good else text.splitlines()
        return [lambda entry=entry: one(entry) for path, entry in self.commands.items()
                if re.match("lib/|app/(?!pmdbench|example)", path)]

    def cppcheck(self):
        return [lambda: self.suppressed.left("cppcheck", run(
            "cppcheck", "--quiet", "--enable=warning,performance,portability", "--std=c11", "-D_GNU_SOURCE",
            "-D__x86_64__", "-I.", "--include=test/lint/cppcheck.h",
            "--template={file}:{line}: {severity}: {message} [{id}]", *part)[1])
            for part in (["lib"], ["drivers"], ["app"])]

    def clang_tidy(self, check, *options):
        # -w: compilers' warnings are the build's, which has -Werror.
        def one(path):
            good, text = run("clang-tidy", "-p", self.folder, "--quiet", "--extra-arg=-w", *options, path)
            left = self.suppressed.left(check, text)
            broken = re.search(r"^.* error: .*$", text, re.M) if not good else None
            if good or left or COMPLAINT.search(text):
                return left
            return [broken.group() if broken else f"{path}: {options or 'clang-tidy'} failed and said nothing"]
        return [lambda path=path: one(path) for path in self.commands]

    def tidy(self):
        return self.clang_tidy("tidy")

    def clang(self):
        return self.clang_tidy("clang", "--checks=" + ANALYZER, "--warnings-as-errors=*")

    def fanalyzer(self):
        def one(entry):
            words = [word for word in shlex.split(entry["command"]) if word != "-Werror"]
            at = words.index("-o")
            words[at:at + 2] = ["-fanalyzer", "-fdiagnostics-plain-output", "-S", "-o", "/dev/null"]
            words.remove("-c")
            good, text = run(*words, cwd=entry["directory"])
            return self.suppressed.left("fanalyzer", text) if good else text.splitlines()
        return [lambda entry=entry: one(entry) for entry in self.commands.values()]


CHECKS = {"format": Lint.format, "shell": Lint.shell, "python": Lint.python, "includes": Lint.includes, "c": Lint.c,
          "c++": Lint.cxx, "narrow": Lint.narrow, "cppcheck": Lint.cppcheck, "tidy": Lint.tidy}
LONG = {"clang": Lint.clang, "fanalyzer": Lint.fanalyzer}


def chosen(words):
    """The names of the checks that these words mean."""
    names = [word for word in words if word != "--long"] or [*CHECKS, *(LONG if "--long" in words else {})]
    for name in names:
        if name not in CHECKS and name not in LONG:
            sys.exit(f"lint: error: no check '{name}'; there are: {' '.join([*CHECKS, *LONG])}")
    return names


def main(words):
    names, checks = chosen(words), {**CHECKS, **LONG}
    if not os.path.exists(os.path.join(BUILD, "compile_commands.json")):
        sys.exit(f"lint: error: {BUILD} is not set up; ./run lint does that")
    failed = 0
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        lint = Lint(folder)
        for name in names:
            start = time.monotonic()
            work = checks[name](lint)
            complaints = [line for found in pool.map(lambda piece: piece(), work) for line in found]
            complaints = list(dict.fromkeys(complaints)) + lint.suppressed.unused(name)
            for line in complaints:
                print(f"  {line}")
            failed += bool(complaints)
            print(f"{'FAIL' if complaints else 'ok':4} {name}: "
                  + (f"{len(complaints)} complaints, " if complaints else "")
                  + f"{time.monotonic() - start:.0f} s", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
