# SPDX-License-Identifier: BSD-3-Clause
"""Which integration tests a short run leaves to a long one."""
import contextlib
import io
import os
import sys
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test/integration"))

import selection  # noqa: E402  from the folder above


class Example(unittest.TestCase):
    def test_short(self):
        self.assertTrue(hasattr(self, "test_long"))

    @selection.long_run
    def test_long(self):
        self.assertFalse(hasattr(self.test_short, "long_run"))


class Selection(unittest.TestCase):
    def selected(self, *patterns, **environment):
        """Names of Example's tests that would run, and what is said."""
        said = io.StringIO()
        kept = {name: value for name, value in os.environ.items() if name != "HYPERPOLL_LONG"}
        with mock.patch.dict(os.environ, {**kept, **environment}, clear=True), contextlib.redirect_stdout(said):
            tests = selection.selected(unittest.defaultTestLoader.loadTestsFromTestCase(Example), patterns, "pa.")
        return sorted(test.id().rpartition(".")[2] for test in tests), said.getvalue()

    def test_a_short_run_says_what_it_leaves_out(self):
        self.assertEqual(self.selected(), (["test_short"], "left to a long run: 1\n"))
        self.assertEqual(self.selected("Example"), (["test_short"], "left to a long run: 1\n"))

    def test_a_long_run_has_all(self):
        self.assertEqual(self.selected(HYPERPOLL_LONG="1"), (["test_long", "test_short"], ""))

    def test_a_name_is_meant(self):
        self.assertEqual(self.selected("test_long"), (["test_long"], ""))


if __name__ == "__main__":
    unittest.main()
