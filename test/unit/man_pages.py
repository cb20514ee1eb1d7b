#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Man pages as they are built: whole, without a warning of the formatter, and with every option of the program's help.
Usage: man_pages.py FOLDER-OF-PAGES VERSION PROGRAM..."""
import os
import re
import shutil
import subprocess
import sys
import unittest

SECTIONS = {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"}


def path_of(program):
    name = os.path.basename(program)
    return os.path.join(FOLDER, f"{name}.{8 if name == 'vmbusctl' else 1}")


def output(*words, **keys):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True, timeout=60, **keys)


class Pages(unittest.TestCase):
    def test_options_and_sections_are_there(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                text = output("pandoc", "-f", "man", "-t", "plain", "--wrap=none", path_of(program)).stdout
                headings = set(re.findall(r"^[A-Z][A-Z ]+$", text, re.M))
                self.assertEqual(SECTIONS - headings, set())
                options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", output(program, "--help").stdout))
                self.assertGreater(len(options), 3)
                self.assertEqual(options - set(re.findall(r"--[a-z][a-z-]+", text)), set(), "not in the man page")
                # What is left of a mark that was not understood.
                self.assertNotRegex(text, r"\*\*|\\[_*$|]")

    def test_the_version_is_the_programs(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                with open(path_of(program), encoding="utf-8") as file:
                    self.assertRegex(file.read(), rf'(?m)^\.TH "[A-Z\\-]+" "[18]" .*"hyperpoll {re.escape(VERSION)}"')
                self.assertIn(VERSION, output(program, "--version").stdout)

    @unittest.skipUnless(shutil.which("man") and shutil.which("groff"), "no man and groff")
    def test_the_formatter_has_no_warning(self):
        for program in PROGRAMS:
            with self.subTest(program=program):
                done = output("man", "--warnings", "-l", path_of(program),
                              env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"})
                self.assertEqual(done.stderr, "")
                self.assertIn("SEE ALSO", done.stdout)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    FOLDER, VERSION, *PROGRAMS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
