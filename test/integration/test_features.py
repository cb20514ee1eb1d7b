# SPDX-License-Identifier: BSD-3-Clause
"""The feature tables say what the driver advertises, no more and no less."""
import os
import re

import feature_table
from harness import RELEASE, ROOT, Case


class Features(Case):
    def setUp(self):
        super().setUp()
        self.sections = feature_table.advertised(
            self.host, lambda argv: self.own(self.program("features", argv)))
        self.assertEqual(self.sections["Features"].get("Basic stats"), "Y")

    def test_rows_that_a_test_shows_name_one(self):
        named = [path for value in self.sections["VMBus"].values() for path in re.findall(r"\(`(test/[\w/.]+)`\)", value)]
        self.assertEqual(len(named), 4)
        for path in named:
            self.assertIn("    def test_", self.written(os.path.join(ROOT, path)), path)

    def written(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def test_feature_table_is_what_the_driver_advertises(self):
        self.assertEqual(self.written(feature_table.INI), feature_table.ini(self.sections),
                         "write it anew: python3 -B test/integration/feature_table.py")

    def test_feature_page_is_what_the_driver_advertises(self):
        if RELEASE != (22, 11):
            self.skipTest("the page has the limits of DPDK 22.11")
        self.assertEqual(self.written(feature_table.PAGE), feature_table.page(self.sections),
                         "write it anew: python3 -B test/integration/feature_table.py")
