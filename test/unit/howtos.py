# SPDX-License-Identifier: BSD-3-Clause
"""
Links of the documents lead to files and headings that are there; every command of the tutorial and the how-tos is typed
by a test, or is one of those that are listed here; and what types them (test/integration/documents.py) notices a
document that is wrong.
"""
import glob
import os
import re
import sys
import tempfile
import unittest
from xml.etree import ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "test/integration"), os.path.join(ROOT, "test/packages")]

import container  # noqa: E402  from the folders above
import documents  # noqa: E402

DOCUMENTS = ("*.md", ".github/**/*.md", "doc/**/*.md", "test/**/*.md", "app/**/*.md")
PAGE = "a" ".md"  # put together, as there is none (citations.py)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")

# How many commands of a document nobody types, and why.
NOT_RUN = {
    "doc/howto/azure.md": 2,  # a user's account, adapters in a kernel
    "doc/howto/container.md": 6,  # podman and a registry; suite packages has them by buildah
    "doc/howto/distributions.md": 5,  # other distributions
    "doc/howto/openvswitch.md": 2,  # the machine's service
}
NOT_YET = {"doc/howto/vpp.md"}  # VPP is not built


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

    def test_pictures_of_the_design_are_readable(self):
        """In the dark, too, and by those who cannot see them."""
        pictures = glob.glob(f"{ROOT}/doc/design-*.svg")
        with open(os.path.join(ROOT, "doc/design.md"), encoding="utf-8") as file:
            shown = re.findall(r"!\[.{20,}\]\((design-.*?)\)", file.read())
        self.assertEqual(sorted(shown), sorted(map(os.path.basename, pictures)))
        for path in pictures:
            root = ElementTree.parse(path).getroot()
            style = root.findtext("{*}style")
            self.assertTrue(root.findtext("{*}title"), path)
            light, dark = (set(re.findall(r"(\S+)\{[^}]*(?:fill|stroke):#", part))
                           for part in style.split("@media (prefers-color-scheme:dark){"))
            self.assertEqual(light - {"marker"}, dark, path)

    def test_broken_links_are_found(self):
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(f"{root}/doc")
            with open(f"{root}/doc/{PAGE}", "w", encoding="utf-8") as file:
                file.write(f"# What it *is*, today\n[ok]({PAGE}#what-it-is-today) [no](b{PAGE}) [ok](#what-it-is-today)\n"
                           "[no](#gone) [ok](https://example.org/none) [ok](../doc)\n")
            self.assertEqual(broken(root), [f"doc/{PAGE}: b{PAGE}", f"doc/{PAGE}: #gone"])


def left(path):
    """Commands of a document that nobody types, each on one line."""
    document = documents.Document(path, None, None)
    return [re.sub(r"(\\\n|\s)+", " ", command) for _, command in document.left()]


def escaped(text):
    """Lines that look like commands and stand in no console: neither typed nor counted."""
    plain = re.sub(r"^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    return [number for number, line in enumerate(plain.splitlines(), 1) if re.match(r"    \S", line)]


def unsaid(text):
    """Lines of not-run consoles of which neither the introduction nor the section says that they are not run."""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    said = lambda part: re.search(r"\bnot run\b", re.sub(r"^```.*$", "", part, flags=re.MULTILINE), re.IGNORECASE)
    return [part.splitlines()[0] for part in parts
            if "```console not-run" in part and not said(part) and not said(parts[0])]


class Typed(unittest.TestCase):
    """What of the tutorial and the how-tos test_documents types."""

    PATHS = sorted(os.path.relpath(path, ROOT) for path in
                   [os.path.join(ROOT, "doc/tutorial.md"), *glob.glob(f"{ROOT}/doc/howto/*.md")])

    def test_every_command_is_typed_or_counted(self):
        found = {}
        for name in self.PATHS:
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                text = file.read()
            if name not in NOT_YET:
                self.assertEqual(escaped(text), [], f"{name}: a command outside of a console")
                self.assertIn("```console", text, name)
            self.assertEqual(unsaid(text), [], f"{name}: nothing says that it is not run")
            for command in left(os.path.join(ROOT, name)):
                found[name] = found.get(name, 0) + 1
                print(f"not run: {name}: {command}")
        self.assertEqual({name: count for name, count in found.items() if name not in NOT_YET}, NOT_RUN)

    def test_containers_run_what_their_page_says(self):
        commands = left(os.path.join(ROOT, "doc/howto/container.md"))
        for words in (container.HOST, container.GUEST):
            self.assertTrue(any(command.endswith(" hyperpoll " + " ".join(words)) for command in commands), words)

    def test_what_escapes_is_found(self):
        self.assertEqual(escaped("a\n\n    ls\n```sh x\n    fine\n```\n    rm\n"), [3, 7])
        block = "\n```console not-run\n$ a\n```\n"
        self.assertEqual(unsaid(f"# Title\n## One\nIt is not run.{block}## Two\n{block}"), ["## Two"])
        self.assertEqual(unsaid(f"# Title\n**Not run:** all.\n## One\n{block}"), [])


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

    def test_a_console_that_is_not_run(self):
        text = "```console not-run\n$ false\n$ a \\\n  b\n```\n```console\n$ true\n```\n"
        self.assertEqual(self.run_document(text), 1)
        with tempfile.NamedTemporaryFile("w", suffix=".md") as file:
            file.write(text)
            file.flush()
            self.assertEqual(left(file.name), ["false", "a b"])

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
