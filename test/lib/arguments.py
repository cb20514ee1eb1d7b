#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What may follow a verb of ./run: arguments.py VERB [WORD...] says in a sentence what may not.

./run asks before anything is installed or built, on machines that have nothing but Python. A verb is a function here,
which its script calls, too. Files are relative to where ./run was called (HYPERPOLL_HERE).
"""
import argparse
import importlib.util
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.environ.get("HYPERPOLL_HERE", "")
FRAME_MIN, FRAME_MAX = 60, 9014  # of hvsim's generator
CHANNELS = 64
DRILL_EVENTS = 100


class Words(argparse.ArgumentParser):
    """One sentence, without usage: that is in ./run help."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def parser(verb, description=None):
    return Words(prog=verb, description=description, allow_abbrev=False)


def fail(verb, sentence):
    parser(verb).error(sentence)


def load(path):
    """A script as a module; several are called run.py."""
    spec = importlib.util.spec_from_file_location("words_" + re.sub(r"\W", "_", path), os.path.join(ROOT, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def unit_tests():
    """Those in C, by name."""
    return sorted(re.findall(r"^ *(?:unit_tests \+= )?\[+'(\w+)', files\(", text_of("test/unit/meson.build"), re.M))


def fuzz_targets():
    found = re.findall(r"^ *\['(\w+)', files\(.*(true|false)\],?$", text_of("test/fuzz/meson.build"), re.M)
    return sorted(name + end for name, flip in found for end in ["", "_flip"][:1 + (flip == "true")])


def number(low, high):
    def take(text):
        if not re.fullmatch("[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is no number from {low} to {high}")
        return int(text)
    return take


def frame_size(text):
    """BYTES, A-B or imix."""
    sizes = re.fullmatch("([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
    low, high = (int(sizes[1]), int(sizes[2] or sizes[1])) if sizes else (0, 0)
    if text != "imix" and not FRAME_MIN <= low <= high <= FRAME_MAX:
        raise argparse.ArgumentTypeError(f"'{text}' is no size from {FRAME_MIN} to {FRAME_MAX} bytes, range A-B or imix")
    return text


def kernel_version(text):
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*|newest", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not how a version starts, such as 6.12, nor newest")
    return text


def written_file(text):
    """A file that can be written; it is neither made nor emptied."""
    path = os.path.join(HERE, text)
    there = os.path.exists(path)
    try:
        with open(path, "a", encoding="utf-8"):
            pass
        if not there:
            os.unlink(path)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {error.strerror}") from None
    return path


def folder(text):
    """One that is there, or whose place is."""
    path = os.path.abspath(os.path.join(HERE, text))
    above = path if os.path.exists(path) else os.path.dirname(path)
    if not os.path.isdir(above) or not os.access(above, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} is no folder that can be written to, nor can it be made")
    return path


def demo(words):
    words_of = parser("demo")
    words_of.add_argument("what", nargs="?", choices=["gen", "tap"], default="gen")
    words_of.add_argument("--rings", action="store_true", help="print the rings from both ends")
    words_of.add_argument("--seconds", type=number(1, 86400), default=10)
    words_of.add_argument("--size", type=frame_size, help="bytes per frame, or a range A-B")
    words_of.add_argument("--queues", type=number(1, CHANNELS), default=1, help="queue pairs (channels)")
    args = words_of.parse_args(words)
    if args.what == "tap" and (args.rings or args.size):
        words_of.error("a ping (tap) has no --rings and no --size")
    args.size = args.size or str(FRAME_MIN)
    return args


def bench(words):
    words_of = parser("bench")
    words_of.add_argument("--quick", action="store_true",
                          help="the cells with goals and few rounds, under 4 minutes; doc/bench/ is left alone")
    words_of.add_argument("--alone", action="store_true",
                          help="the driver alone: not end to end, no round trips, which mean nothing on a busy machine")
    words_of.add_argument("--json", metavar="FILE", type=written_file, help="write the figures there too")
    words_of.add_argument("--out", metavar="DIR", type=folder, help="the page and its plots (doc/bench)")
    return words_of.parse_args(words)


def profile(words):
    """pmdbench's options, as its source has them; it looks at the values itself."""
    known = {name: has != "no" for name, has in re.findall(
        r'\{"([a-z-]+)", (no|required|optional)_argument, ', text_of("app/pmdbench/main.c"))}
    optional = re.findall(r'\{"([a-z-]+)", optional_argument, ', text_of("app/pmdbench/main.c"))
    value = False
    for word in words:
        if value:
            value = False
            continue
        name, equals, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in known or (equals and not known[name]):
            fail("profile", f"'{word}' is no option of pmdbench: {' '.join('--' + name for name in known)}")
        if name == "keep":
            fail("profile", "what is kept is shown here; to keep it, call pmdbench")
        value = known[name] and not equals and name not in optional
    if value:
        fail("profile", f"{words[-1]} needs a value")
    return words


def coverage(words):
    """@return the words, if they are parts, or a unit test and sources."""
    tests, targets = unit_tests(), fuzz_targets()
    if not any("/" in word for word in words):
        for word in words:
            if word not in ("unit", "fuzz", *tests, *targets):
                fail("coverage", f"no part, unit test or fuzz target '{word}'; parts: unit fuzz; "
                                 f"targets: {' '.join(targets)}; tests: {' '.join(tests)}")
        return words
    if len(words) < 2:
        fail("coverage", "which unit test, and of which sources? netvsc_attach drivers/net/netvsc/attach.c")
    for test in words[0].split(","):
        if test not in tests:
            fail("coverage", f"no unit test '{test}'; there are: {' '.join(tests)}")
    for source in words[1:]:
        if not os.path.isfile(os.path.join(ROOT, source)):
            fail("coverage", f"no source '{source}' in the checkout")
    return words


def lint(words):
    """@return the names of the checks"""
    return load("test/lint/run.py").chosen(words)


def fuzz(words):
    target, seconds = (words + ["all", "60"][len(words):])[:2]
    if len(words) > 2 or not re.fullmatch("[1-9][0-9]{0,8}", seconds):
        fail("fuzz", "fuzz needs a target or all, and seconds: fuzz driver_data 600")
    if target not in ("all", *fuzz_targets()):
        fail("fuzz", f"no target '{target}'; there are: {' '.join(fuzz_targets())}")
    return target, int(seconds)


def drill(words):
    """@return seed (or None), events, kinds"""
    faults = load("test/drill/schedule.py").FAULTS
    for word in words[:2]:
        if not re.fullmatch("[0-9]{1,18}", word):
            fail("drill", f"seed and events are numbers, not '{' '.join(words)}'")
    events = int(words[1]) if len(words) > 1 else DRILL_EVENTS
    if events < 1 or not set(words[2:]) <= set(faults):
        fail("drill", f"at least one event, of these kinds: {' '.join(faults)}")
    return int(words[0]) if words else None, events, words[2:]


def soak(words):
    """@return minutes"""
    if len(words) != 1 or not re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?|\.[0-9]+", words[0]) or float(words[0]) == 0:
        fail("soak", "how many minutes? soak 30")
    return float(words[0])


def vm(words):
    words_of = parser("vm", "A guest with a synthetic NIC on a TAP.")
    words_of.add_argument("--build", help="another build folder")
    words_of.add_argument("--kernel", metavar="VERSION", type=kernel_version,
                          default=os.environ.get("HYPERPOLL_KERNEL") or None, help="of the guest; see run.py")
    words_of.add_argument("what", nargs="?", default="shell", choices=("shell", "testpmd"))
    return words_of.parse_args(words)


VERBS = {verb.__name__: verb for verb in (bench, coverage, demo, drill, fuzz, lint, profile, soak, vm)}


if __name__ == "__main__":
    if sys.argv[1] in VERBS:
        VERBS[sys.argv[1]](sys.argv[2:])
