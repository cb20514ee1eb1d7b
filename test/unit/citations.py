# SPDX-License-Identifier: BSD-3-Clause
"""
Whoever follows a reference arrives: every document, section and pitfall that the sources and the
documents name exists, and every pitfall of doc/pitfalls.md says what proves it: a test that exists,
one of few exceptions with a reason, or the feature that is not there yet.
"""
import glob
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ("run", "meson.build", *(f"{folder}/**/{name}" for folder in ("app", "doc", "drivers", "lib", "test")
                                   for name in ("*.c", "*.h", "*.py", "*.sh", "*.pml", "meson.build")))
DOCUMENTS = ("*.md", "doc/**/*.md", "test/**/*.md")
CHAPTERS, PITFALLS = "doc/spec", "doc/pitfalls" ".md"
MAX_EXCEPTIONS = 10

NUMBER = r"\d+(?:\.\d+)?"
# A document, then any of: sections and ranges of them, parts, and quoted words that stand in it.
WHERE = rf'§{NUMBER}(?:-§?{NUMBER})?|part \d+|"[^"]{{1,60}}"'
CITATION = re.compile(rf"(?<![\w./:-])([\w./-]+\.md)\b((?:(?:,|;)? +(?:and +|to +)?(?:{WHERE}))*)")
ID = r"[A-Z]\d{1,2}"
CITED_IDS = re.compile(rf"\b[Pp]itfalls? +({ID}(?:(?: *,| and| to)+ +{ID})*)\b")
TEST = re.compile(r"([\w./-]+)::(\w+)")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def flat(text):
    """On one line, comment marks blanked, with every character where it was."""
    return re.sub(r"\n[ \t]*(?:(?:\*(?!/)|//|#)[ \t])?[ \t]*", lambda m: " " * len(m.group()), text)


def has_section(text, number):
    return re.search(rf"^#+ {re.escape(number)}[. ]", text, re.MULTILINE) is not None


def defines(path, function):
    """Is there a function of that name in C, Python, shell or Promela?"""
    name = re.escape(function)
    pattern = {".c": rf"^{name}\(", ".py": rf"^ *def {name}\(", ".sh": rf"^{name}\(\)",
               ".pml": rf"^(?:active +)?(?:proctype|ltl|inline) {name}\b"}.get(os.path.splitext(path)[1])
    return pattern is not None and re.search(pattern, read(path), re.MULTILINE) is not None


class Checker:
    """All findings of a checkout, one line each."""

    def __init__(self, root):
        self.root = root
        self.findings = []
        self.pitfalls = set()
        self.exceptions = 0

    def files(self, patterns):
        found = set()
        for pattern in patterns:
            for path in glob.glob(os.path.join(self.root, pattern), recursive=True):
                if os.path.isfile(path):
                    found.add(os.path.relpath(path, self.root))
        return sorted(found)

    def report(self, name, text, at, what):
        self.findings.append(f"{name}:{text.count(chr(10), 0, at) + 1}: {what}")

    def document(self, name, cited):
        """Where a document is that file @p name cites: from the root, in doc/, a chapter, beside it."""
        for folder in ("", "doc", CHAPTERS, os.path.dirname(name)):
            path = os.path.normpath(os.path.join(self.root, folder, cited))
            if os.path.isfile(path):
                return path
        return None

    def check_where(self, path, where):
        """@return what of @p where, as WHERE has it, is not in the document."""
        text = read(path)
        missing = []
        for first, last in re.findall(rf"§({NUMBER})(?:-§?({NUMBER}))?", where):
            numbers = [first, *([last] if last else [])]
            if last and "." not in first + last:
                numbers = [str(n) for n in range(int(first), int(last) + 1)]
            missing += [f"§{n}" for n in numbers if not has_section(text, n)]
        for part in re.findall(r"part (\d+)", where):
            if not re.search(rf"^# Part {part}\b", text, re.MULTILINE):
                missing.append(f"part {part}")
        words = " ".join(text.split())
        for quoted in re.findall(r'"([^"]+)"', where):
            if " ".join(quoted.split()) not in words:
                missing.append(f'"{quoted}"')
        return missing

    def check_documents(self, name, text, line):
        for m in CITATION.finditer(line):
            path = self.document(name, m.group(1))
            if path is None:
                self.report(name, text, m.start(), f"there is no document {m.group(1)}")
                continue
            for missing in self.check_where(path, m.group(2)):
                self.report(name, text, m.start(), f"{m.group(1)} has no {missing}")

    def check_ids(self, name, text, line):
        for m in CITED_IDS.finditer(line):
            ids = set(re.findall(ID, m.group(1)))
            for first, last in re.findall(rf"({ID}) +to +({ID})", m.group(1)):
                ids |= {f"{first[0]}{n}" for n in range(int(first[1:]), int(last[1:]))}
            for missing in sorted(ids - self.pitfalls):
                self.report(name, text, m.start(), f"there is no pitfall {missing}")

    def check_chapter(self, name, text, line):
        """A section without a document is one of the same chapter."""
        for m in re.finditer(rf"§({NUMBER})", CITATION.sub(lambda m: " " * len(m.group()), line)):
            if not has_section(text, m.group(1)):
                self.report(name, text, m.start(), f"the chapter has no §{m.group(1)}")

    def check_file(self, name):
        text = read(os.path.join(self.root, name))
        line = flat(text)
        self.check_documents(name, text, line)
        self.check_ids(name, text, line)
        if os.path.dirname(name) == CHAPTERS:
            self.check_chapter(name, text, line)

    def check_pitfall(self, name, text, at, cells):
        number, tests, otherwise = cells[0], cells[3], cells[4]
        if number in self.pitfalls:
            self.report(name, text, at, f"{number} is there twice")
        self.pitfalls.add(number)
        named = TEST.findall(tests)
        for file, function in named:
            path = os.path.join(self.root, "test", file)
            if not os.path.isfile(path) or not defines(path, function):
                self.report(name, text, at, f"{number} names a test that is not there: {file}::{function}")
        if tests and not named:
            self.report(name, text, at, f"{number} names its test without file::function")
        kind, _, reason = otherwise.partition(":")
        if otherwise and (kind not in ("open", "exception") or not reason.strip()):
            self.report(name, text, at, f"{number}: not 'open: FEATURE' or 'exception: REASON'")
        if not named and not otherwise:
            self.report(name, text, at, f"{number} has no test, exception or open feature")
        self.exceptions += kind == "exception"

    def check_pitfalls(self):
        path = os.path.join(self.root, PITFALLS)
        text = read(path) if os.path.isfile(path) else ""
        for m in re.finditer(rf"^\| *({ID}) *\|.*$", text, re.MULTILINE):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", m.group())[1:-1]]
            if len(cells) == 5:
                self.check_pitfall(PITFALLS, text, m.start(), cells)
            else:
                self.report(PITFALLS, text, m.start(), f"{m.group(1)} has {len(cells)} cells, not 5")
        if self.exceptions > MAX_EXCEPTIONS:
            self.report(PITFALLS, text, 0, f"{self.exceptions} exceptions, {MAX_EXCEPTIONS} at most")

    def run(self):
        self.check_pitfalls()
        for name in self.files(SOURCES + DOCUMENTS):
            self.check_file(name)
        return self.findings


class Project(unittest.TestCase):
    def test_everything_cited_is_there(self):
        checker = Checker(ROOT)
        self.assertEqual(checker.run(), [])
        self.assertGreater(len(checker.pitfalls), 100)
        self.assertGreater(len(checker.files(SOURCES)), 100)


# Names of the made trees, put together so that the check of the real one passes them by.
RING = "ring" + ".md"
WORD = "Pit" + "fall"
CHAPTER = "# Ring\n\n## 1. Memory\n\nsee §2.1\n\n## 2. Packets\n\n### 2.1 Types\n\n# Part 1: all\n\nfull and\nempty\n"
ROW = "| {} | breaks | rule | {} | {} |\n"


class Faults(unittest.TestCase):
    """Each tree has one fault, and the check finds it and nothing else."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.put(f"doc/spec/{RING}", CHAPTER)
        self.put(PITFALLS, ROW.format("R1", "unit/a.c::works", "") + ROW.format("R2", "", "open: VF") +
                 ROW.format("R3", "", "exception: cannot be made to happen"))
        self.put("test/unit/a.c", "static void\nworks(void)\n{\n}\n")

    def put(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def finds(self, *expected):
        findings = Checker(self.root).run()
        self.assertEqual(len(findings), len(expected), findings)
        for finding, words in zip(findings, expected):
            self.assertIn(words, finding)

    def comment(self, *lines):
        self.put("lib/a.h", "/*\n * " + "\n * ".join(lines) + "\n */\n")

    def pitfall(self, tests, otherwise=""):
        self.put(PITFALLS, ROW.format("R1", tests, otherwise))

    def test_no_fault(self):
        self.comment(f"(spec/{RING} §1-§2, §2.1, part 1); {RING} §2 \"full", "and empty\" tells, and",
                     f"doc/spec/{RING}", f"§1. {WORD}s R1", f"and R3, {WORD.lower()}s R1 to R3.")
        self.put("README" + ".md", f"[ring](doc/spec/{RING}), {WORD.lower()} R2")
        self.finds()

    def test_no_such_chapter(self):
        self.comment(f"spec/no{RING} §1")
        self.finds(f"lib/a.h:2: there is no document spec/no{RING}")

    def test_no_such_document(self):
        self.comment("text", f"doc/no{RING}")
        self.finds(f"lib/a.h:3: there is no document doc/no{RING}")

    def test_no_such_section(self):
        self.comment(f"spec/{RING} §1, §3")
        self.finds(f"lib/a.h:2: spec/{RING} has no §3")

    def test_no_such_section_on_the_next_line(self):
        self.comment(f"(spec/{RING}", "§2.2)")
        self.finds("has no §2.2")

    def test_section_beyond_a_range(self):
        self.comment(f"spec/{RING} §1-§4")
        self.finds("has no §3", "has no §4")

    def test_no_such_part(self):
        self.comment(f"spec/{RING} part 2")
        self.finds("has no part 2")

    def test_no_such_words(self):
        self.comment(f'doc/spec/{RING} "half full"')
        self.finds('has no "half full"')

    def test_no_such_section_in_its_own_chapter(self):
        self.put(f"doc/spec/{RING}", CHAPTER.replace("§2.1", "§9"))
        self.finds(f"doc/spec/{RING}:5: the chapter has no §9")

    def test_a_link_of_a_document_leads_nowhere(self):
        self.put("README" + ".md", f"[ring]({RING}x) and [ring](doc/un{RING})")
        self.finds(f"README" f".md:1: there is no document doc/un{RING}")

    def test_no_such_pitfall(self):
        self.comment("text", f"({WORD.lower()}s R1,", "R7)")
        self.finds(f"lib/a.h:3: there is no {WORD.lower()} R7")

    def test_no_such_pitfall_within_a_range(self):
        self.comment(f"{WORD.lower()}s R1 to R5")
        self.put(PITFALLS, "".join(ROW.format(n, "unit/a.c::works", "") for n in ("R1", "R2", "R3", "R5")))
        self.finds(f"there is no {WORD.lower()} R4")

    def test_a_test_whose_file_is_gone(self):
        self.pitfall("unit/b.c::works")
        self.finds("R1 names a test that is not there: unit/b.c::works")

    def test_a_test_that_has_another_name(self):
        self.pitfall("unit/a.c::work")
        self.finds("R1 names a test that is not there: unit/a.c::work")

    def test_a_test_that_is_only_mentioned(self):
        self.put("test/unit/b.py", "# works()\n")
        self.pitfall("unit/b.py::works")
        self.finds("R1 names a test that is not there")

    def test_a_test_without_its_function(self):
        self.pitfall("unit/a.c", "open: VF")
        self.finds("R1 names its test without file::function")

    def test_neither_test_nor_exception_nor_open(self):
        self.pitfall("")
        self.finds("R1 has no test, exception or open feature")

    def test_an_exception_without_a_reason(self):
        self.pitfall("", "exception: ")
        self.finds("not 'open: FEATURE' or 'exception: REASON'")

    def test_another_excuse(self):
        self.pitfall("", "later")
        self.finds("not 'open: FEATURE' or 'exception: REASON'")

    def test_a_pitfall_that_is_there_twice(self):
        self.put(PITFALLS, 2 * ROW.format("R1", "unit/a.c::works", ""))
        self.finds("R1 is there twice")

    def test_a_row_that_lacks_a_cell(self):
        self.put(PITFALLS, "| R1 | breaks | rule | unit/a.c::works |\n")
        self.finds("R1 has 4 cells, not 5")

    def test_more_exceptions_than_there_may_be(self):
        rows = [ROW.format(f"R{n}", "", "exception: cannot") for n in range(MAX_EXCEPTIONS)]
        self.put(PITFALLS, "".join(rows))
        self.finds()
        self.put(PITFALLS, "".join(rows) + ROW.format("R99", "", "exception: cannot"))
        self.finds(f"{MAX_EXCEPTIONS + 1} exceptions, {MAX_EXCEPTIONS} at most")


if __name__ == "__main__":
    if sys.argv[1:] == ["list"]:
        print("\n".join(Checker(ROOT).run()))
    else:
        unittest.main()
