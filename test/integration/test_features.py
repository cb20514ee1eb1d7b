# SPDX-License-Identifier: BSD-3-Clause
"""The feature table says what the driver advertises, no more and no less."""
import os

from harness import BUILD, ROOT, Case, memory_args


class Features(Case):
    def table(self, text):
        return [" ".join(line.split()) for line in text.splitlines()
                if " = " in line and not line.startswith(";")]

    def test_feature_table_is_what_the_driver_advertises(self):
        host = self.host("sink")
        tool = self.own(self.program("features", [
            os.path.join(BUILD, "test/features/features"), "-l", "0", "--no-pci", "--no-telemetry",
            *memory_args(), "-a", host.device(0)]))
        self.assertEqual(tool.wait(30), 0, tool.tail())
        with open(os.path.join(ROOT, "doc/features/netvsc.ini")) as file:
            documented = self.table(file.read())
        advertised = self.table(tool.text[tool.text.index("[Features]"):])
        self.assertIn("Basic stats = Y", advertised)
        self.assertEqual(documented, advertised)
