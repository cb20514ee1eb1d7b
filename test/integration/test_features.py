# SPDX-License-Identifier: BSD-3-Clause
"""The feature tables say what the driver advertises, no more and no less."""
import feature_table
from harness import RELEASE, Case


class Features(Case):
    def setUp(self):
        super().setUp()
        self.sections = feature_table.advertised(
            self.host, lambda argv: self.own(self.program("features", argv)))
        self.assertEqual(self.sections["Features"].get("Basic stats"), "Y")

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
