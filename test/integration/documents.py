# SPDX-License-Identifier: BSD-3-Clause
"""Documents that are run as a new user would type them.

A block ```console [NAME] [stays] is what stands in a terminal: lines that begin with "$ " are typed
into the shell, those that begin with another program's prompt ("testpmd> ") into the program that
runs in the terminal; all other lines are what is to be seen next, in this order, where "..." stands
for anything. A block without a prompt is what comes next of what runs there. A line that ends with a backslash goes on in the next one. Terminals of different names
are open at the same time; without a name it is the one named "first". With "stays" the last command
that is typed into the block's shell keeps running. Every command that returns must succeed.
A block ```console not-run is one that cannot be typed here: it is counted and told, and the text in front of it says that
it is not run, and why (test/unit/howtos.py, which also has how many of them each document may have).

A block ```LANGUAGE FILE is put into that file.

Commands run in a folder in which everything of the checkout is, with a network, a /run/hyperpoll, a /run/dpdk and a
/usr/local of their own, so that nothing of it is left.
"""
import os
import re
import subprocess

from harness import BUILD, PLUGIN, ROOT, Program, die_with_parent

FENCE = re.compile(r"^( *)(```+)(.*)$")
PROMPT = re.compile(r"^(\$|[a-z-]+>) (.*)$")
SECONDS = 60
LOOK = 0.5  # how long a program's prompt is waited for before another is asked for


class Wrong(AssertionError):
    """What a document says is not so."""


class Block:
    """What stands between two fences; number: of its first line."""

    def __init__(self, info, lines, number):
        self.words, self.lines, self.number = info.split(), lines, number
        self.language = self.words[0] if self.words else ""

    def is_left(self):
        """Is it a console that nobody types here?"""
        return self.words[:2] == ["console", "not-run"]

    def steps(self):
        """(prompt, what is typed, lines to be seen then, line number) of a console."""
        steps, number = [], self.number
        lines = iter(self.lines)
        for line in lines:
            at, typed = number, PROMPT.match(line)
            number += 1
            if typed is None:
                if not steps:
                    steps.append((None, None, [], at))
                steps[-1][2].append(line)
                continue
            text = typed[2]
            while text.endswith("\\"):
                text += "\n" + next(lines)
                number += 1
            steps.append((typed[1], text, [], at))
        return steps


def blocks(text):
    """All fenced blocks of a document."""
    found, fence = [], None
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence, info, lines, first = mark[2], mark[3], [], number + 1
        elif fence is not None and mark and mark[2] == fence and not mark[3]:
            found.append(Block(info, lines, first))
            fence = None
        elif fence is not None:
            lines.append(line)
    if fence is not None:
        raise Wrong(f"line {first - 1}: the block has no end")
    return found


def pattern(line):
    """The regular expression for a line that is to be seen: blanks of any width, "..." is anything."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in line.strip().split("...")]
    return r"[ \t]*[^\n]*".join(parts) if parts != ["", ""] else None


class Terminal(Program):
    """A shell whose prompt tells how the last command ended."""

    READY = r"\[\[(\d+)\]\]\$ \Z"

    def __init__(self, name, folder, prefix, env=None):
        super().__init__(f"terminal {name}", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env=env,
                         prefix=[*prefix, "env", "-u", "RUNTIME_DIRECTORY", "-C", folder,
                                 "PS1=[[$?]]$ ", "PS2=", "PROMPT_COMMAND="])
        self.seen = 0
        self.expect(self.READY)

    def is_at(self, end, seconds):
        try:
            return self.expect(end, seconds, probe=True)
        except TimeoutError:
            return None

    def is_ready(self, prompt):
        """Has the program this prompt? What it says unasked may stand behind it; Enter brings another."""
        # Nothing echoes what is typed: a program's first words may stand behind the shell's prompt.
        begin = rf"(?m:^)(?:\[\[\d+\]\]\$ )?{re.escape(prompt)} "
        for _ in range(int(SECONDS / LOOK)):
            if self.is_at(begin + r"\Z", LOOK):
                return True
            # Not into a program that is being started.
            if re.search(begin, self.text):
                self.send("\n")
        return False

    def step(self, prompt, typed, lines, number, stays):
        """Type one line and wait for what it is said to print; of None, only wait."""
        if typed is not None:
            self.type(prompt, typed, number, prompt == "$" and not stays)
        for line in filter(None, map(pattern, lines)):
            found = None
            try:
                if prompt == "$" and not stays:
                    found = self.expect(f"(?P<seen>{line})", 0, self.seen, probe=True)
                else:
                    found = self.expect(f"(?P<seen>{line})|{self.READY}", SECONDS, self.seen)
            except TimeoutError:
                pass
            if found is None or found["seen"] is None:
                raise Wrong(f"line {number}: after '{typed}' there is no '{line}'")
            self.seen = found.end()

    def type(self, prompt, typed, number, returns):
        if not (self.is_at(self.READY, SECONDS) if prompt == "$" else self.is_ready(prompt)):
            raise Wrong(f"line {number}: there is no prompt '{prompt}' in {self.name}")
        self.seen = len(self.text)
        self.send(typed + "\n")
        if returns:
            end = self.expect(self.READY, SECONDS, self.seen)
            if end[1] != "0":
                raise Wrong(f"line {number}: {typed} ended with status {end[1]}")


class Document:
    """A document and the terminals that its reader has open; env: further variables of these."""

    def __init__(self, path, folder, own, prefix=(), env=None):
        with open(path, encoding="utf-8") as file:
            self.blocks = blocks(file.read())
        self.folder, self.own, self.prefix, self.env = folder, own, prefix, env
        self.terminals = {}

    def left(self):
        """(line number, command) of what it says and nobody types here."""
        return [(number, typed) for block in self.blocks if block.is_left()
                for _, typed, _, number in block.steps()]

    def run(self):
        """Do all that it says and can be done here; the number of steps."""
        done = 0
        for block in self.blocks:
            if block.is_left():
                continue
            if block.language == "console":
                done += self.console(block)
            elif len(block.words) == 2:
                with open(os.path.join(self.folder, block.words[1]), "w", encoding="utf-8") as file:
                    file.write("\n".join(block.lines) + "\n")
        return done

    def console(self, block):
        stays = "stays" in block.words
        name = next((word for word in block.words[1:] if word != "stays"), "first")
        if name not in self.terminals:
            self.terminals[name] = self.own(Terminal(name, self.folder, self.prefix, self.env))
        steps = block.steps()
        last = max((n for n, step in enumerate(steps) if step[0] == "$"), default=None)
        for n, step in enumerate(steps):
            self.terminals[name].step(*step, stays and n == last)
        return len(steps)


class Reader:
    """A namespace of mounts and network in which a document's commands run; close() ends all of it."""

    def __init__(self, folder):
        self.folder = folder
        script = ("ip link set lo up; for dir in /run/hyperpoll /run/dpdk; do mkdir -p $dir;"
                  "mount -t tmpfs -o mode=755 none $dir; done;"
                  "mount -t tmpfs -o mode=755,exec none /usr/local;"
                  "echo ready; exec sleep 3600")
        self.child = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--mount-proc", "--fork",
                                       "--kill-child", "sh", "-ec", script], stdout=subprocess.PIPE, text=True,
                                      preexec_fn=die_with_parent)
        if self.child.stdout.readline().strip() != "ready":
            raise RuntimeError("no namespaces can be made here")
        with open(f"/proc/{self.child.pid}/task/{self.child.pid}/children", encoding="ascii") as file:
            inner = file.read().split()[0]
        self.prefix = ["nsenter", "-t", inner, "-m", "-n", "-p", "--"]

    def fill(self):
        """The checkout, with the plugin where EAL loads it from."""
        drivers = os.path.join(self.folder, "build/drivers")
        os.makedirs(drivers)
        for source, target, but in ((ROOT, self.folder, "build"), (BUILD, f"{self.folder}/build", "drivers"),
                                    (f"{BUILD}/drivers", drivers, "librte_hyperpoll.so")):
            for name in os.listdir(source):
                if name != but and not os.path.lexists(os.path.join(target, name)):
                    os.symlink(os.path.join(source, name), os.path.join(target, name))
        os.symlink(PLUGIN, os.path.join(drivers, "librte_hyperpoll.so"))

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
