# SPDX-License-Identifier: BSD-3-Clause
"""
Links of the documents lead to files and headings that are there; and what runs the tutorial and the
how-tos (test/integration/documents.py) notices a document that is wrong.
"""
import glob
import os
import re
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test/integration"))

import documents  # noqa: E402  from the folder above

DOCUMENTS = ("*.md", ".github/**/*.md", "doc/**/*.md", "test/**/*.md", "app/**/*.md")
PAGE = "a" ".md"  # put together, as there is none (citations.py)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(path):
    """The names that a reader of Markdown gives to headings."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"^```.*?^```$", "", file.read(), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def broken(root):
    """Links of all documents below root to what is not there."""
    found = []
    for path in sorted({path for pattern in DOCUMENTS
                        for path in glob.glob(os.path.join(root, pattern), recursive=True)}):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            other = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(other) or anchor and anchor not in anchors(other):
                found.append(f"{os.path.relpath(path, root)}: {target}")
    return found


class Links(unittest.TestCase):
    def test_every_link_arrives(self):
        self.assertEqual(broken(ROOT), [])

    def test_broken_links_are_found(self):
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(f"{root}/doc")
            with open(f"{root}/doc/{PAGE}", "w", encoding="utf-8") as file:
                file.write(f"# What it *is*, today\n[ok]({PAGE}#what-it-is-today) [no](b{PAGE}) [ok](#what-it-is-today)\n"
                           "[no](#gone) [ok](https://example.org/none) [ok](../doc)\n")
            self.assertEqual(broken(root), [f"doc/{PAGE}: b{PAGE}", f"doc/{PAGE}: #gone"])


class Reading(unittest.TestCase):
    def test_blocks_and_steps(self):
        found = documents.blocks("text\n```console host stays\n$ a \\\n  b\nsees\n$ c\n```\n```yaml x.yaml\nk: v\n```\n")
        self.assertEqual([block.words for block in found], [["console", "host", "stays"], ["yaml", "x.yaml"]])
        self.assertEqual(found[0].steps(), [("$", "a \\\n  b", ["sees"], 3), ("$", "c", [], 6)])

    def test_a_block_without_an_end(self):
        with self.assertRaisesRegex(documents.Wrong, "line 2"):
            documents.blocks("text\n```console\n$ a\n")

    def test_patterns(self):
        self.assertRegex("RX-packets:   17 RX-missed: 0", documents.pattern("RX-packets: ... RX-missed: 0"))
        self.assertNotRegex("RX-packets:   17 RX-missed: 1", documents.pattern("RX-packets: ... RX-missed: 0"))
        self.assertIsNone(documents.pattern("..."))


class Running(unittest.TestCase):
    """Documents of a few lines, in a shell."""

    def run_document(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, PAGE)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            programs = []
            try:
                return documents.Document(path, folder, lambda p: programs.append(p) or p).run()
            finally:
                for program in programs:
                    program.close()

    def test_what_is_right(self):
        self.assertEqual(self.run_document(
            "```sh x.sh\nwhile read -r l; do echo \"got $l\"; printf 'x> '; done\n```\n"
            "```console\n$ echo one; echo three\none\n...\nthree\n$ true\n```\n"
            "```console second stays\n$ printf 'x> '; sh x.sh\nx> hello\ngot hello\n```\n"
            "```console second\nx> again\ngot again\n```\n"), 5)

    def test_a_program_that_says_something_behind_its_prompt(self):
        self.assertEqual(self.run_document(
            "```sh x.sh\nprintf 'x> '; sleep 0.1; echo event\n"
            "while read -r l; do [ -z \"$l\" ] || echo \"got $l\"; printf 'x> '; done\n```\n"
            "```console stays\n$ sh x.sh\nevent\n```\n"
            "```console\nx> hello\ngot hello\n```\n"), 2)

    def test_a_command_that_fails(self):
        with self.assertRaisesRegex(documents.Wrong, "line 2: false ended with status 1"):
            self.run_document("```console\n$ false\n```\n")

    def test_output_that_does_not_come(self):
        with self.assertRaisesRegex(documents.Wrong, "there is no 'two'"):
            self.run_document("```console\n$ echo one\ntwo\n```\n")

    def test_output_in_another_order(self):
        with self.assertRaisesRegex(documents.Wrong, "there is no 'one'"):
            self.run_document("```console\n$ echo one; echo two\ntwo\none\n```\n")

    def test_a_program_that_should_stay_and_ends(self):
        with self.assertRaisesRegex(documents.Wrong, "there is no 'two'"):
            self.run_document("```console stays\n$ echo one\none\ntwo\n```\n")


if __name__ == "__main__":
    unittest.main()
