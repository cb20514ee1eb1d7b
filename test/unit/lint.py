#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How ./run lint reads what its tools say, and what it passes over."""
import importlib.util
import os
import shutil
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
spec = importlib.util.spec_from_file_location("lint_run", os.path.join(ROOT, "test", "lint", "run.py"))
lint = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lint)

TIDY = "/x/build/../lib/a.c:12:5: error: it is odd [bugprone-odd,-warnings-as-errors]\n  line\n    ^\n"
CPPCHECK = "lib/a.c:12: portability: it is odd [oddId]\n"
TIDY = "5 warnings generated.\n" + TIDY
GCC = "../lib/a.c:12:5: warning: it is odd [CWE-1] [-Wanalyzer-odd]\n../lib/a.c:11:1: note: (1) here\n"


class Complaints(unittest.TestCase):
    def suppressed(self, text=""):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("# A reason.\n\n" + text)
            file.flush()
            return lint.Suppressed(file.name)

    def test_each_tool_is_understood(self):
        for text, name in ((TIDY.replace("/x/build", lint.BUILD), "bugprone-odd,-warnings-as-errors"),
                           (CPPCHECK, "oddId"), (GCC, "-Wanalyzer-odd")):
            left = self.suppressed().left("check", text)
            self.assertEqual(len(left), 1, text)
            self.assertTrue(left[0].startswith("lib/a.c:12: it is odd"), left)
            self.assertTrue(left[0].endswith(f"[{name}]"), left)

    def test_an_entry_is_of_one_check_and_its_files(self):
        for entry, passed in (("cppcheck odd lib/*", True), ("tidy odd lib/*", False), ("cppcheck odd app/*", False)):
            entries = self.suppressed(entry + "\n")
            self.assertEqual(entries.left("cppcheck", CPPCHECK) == [], passed, entry)

    def test_an_entry_that_suppresses_nothing_is_a_complaint(self):
        entries = self.suppressed("cppcheck oddId lib/a.c\ncppcheck other lib/a.c\n")
        self.assertEqual(entries.left("cppcheck", CPPCHECK), [])
        self.assertEqual(entries.unused("cppcheck"),
                         ["test/lint/suppressed.txt: nothing to suppress for 'cppcheck other lib/a.c'"])
        self.assertEqual(entries.unused("tidy"), [])

    def test_entries_have_reasons(self):
        with open(os.path.join(ROOT, "test", "lint", "suppressed.txt"), encoding="utf-8") as file:
            parts = file.read().strip().split("\n\n")
        for part in parts[1:]:
            self.assertTrue(part.startswith("# "), part)

    def test_builds_and_caches_are_no_sources(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in ("lib/a.c", "build/b.c", "build-sdk/c.h", ".cache/d.c", "test/e.py"):
                os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(folder, path), "w", encoding="utf-8"):
                    pass
            self.assertEqual(lint.files("*.c", "*.h", root=folder), ["lib/a.c"])


@unittest.skipUnless(shutil.which("clang"), "no clang")
class Narrow(unittest.TestCase):
    def complaints(self, source):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.c"), "w", encoding="utf-8") as file:
                file.write(source)
            check = lint.Lint.__new__(lint.Lint)
            check.suppressed = lint.Suppressed(os.devnull)
            # As meson has it, with colours.
            check.commands = {"lib/a.c": {"directory": folder, "command": (
                "gcc -Wall -Werror -fdiagnostics-color=always -MD -MQ a.o -MF a.o.d -o a.o -c a.c")}}
            found = [line for piece in check.narrow() for line in piece()]
            self.assertEqual(os.listdir(folder), ["a.c"])
            return found

    def test_a_number_that_loses_bits_in_silence_is_a_complaint(self):
        found = self.complaints("unsigned f(unsigned long n);\nunsigned f(unsigned long n)\n{\n\treturn n;\n}\n")
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], r"a\.c:4: implicit conversion loses integer precision.* \[-Wshorten-64-to-32\]$")

    def test_a_cast_is_none(self):
        self.assertEqual(self.complaints("unsigned f(unsigned long n);\nunsigned f(unsigned long n)\n"
                                         "{\n\treturn (unsigned)n;\n}\n"), [])

    def test_what_does_not_compile_is_one(self):
        self.assertTrue(self.complaints("int f(\n"))


class Includes(unittest.TestCase):
    def wrong(self, path, header):
        return lint.wrong_includes(path, f'/* x */\n  #  include {header}\n')

    def test_lib_never_includes_dpdk(self):
        for folder in (name for name in lint.INCLUDES if name.startswith("lib/")):
            for header in ("<rte_mbuf.h>", "<ethdev_driver.h>", '"bus_driver.h"'):
                self.assertEqual(len(self.wrong(folder + "/a.c", header)), 1, (folder, header))

    def test_includes_run_from_app_by_drivers_to_lib(self):
        for path, header in (("lib/host/a.c", '"drivers/bus/vmbus/sysfs.h"'), ("lib/vmbus/a.h", '"lib/host/nic.h"'),
                             ("drivers/net/netvsc/a.c", '"app/common/colour.h"'), ("app/hvsim/a.c", '"test/unit/unit.h"')):
            self.assertEqual(len(self.wrong(path, header)), 1, (path, header))

    def test_guest_and_host_include_not_each_other(self):
        for path, header in (("drivers/net/netvsc/a.c", '"lib/host/nic.h"'), ("drivers/bus/vmbus/a.c", '"lib/host/log.h"'),
                             ("app/vmbusctl/a.c", '"lib/host/nic.h"'), ("app/hvsim/a.c", '"drivers/bus/vmbus/sysfs.h"')):
            folder = os.path.dirname(path)
            self.assertEqual(self.wrong(path, header), [f"{path}:2: {folder} may not include {header[1:-1]}"])

    def test_a_folder_may_include_itself_libc_and_what_is_below(self):
        for path, header in (("lib/host/a.c", '"lib/host/nic.h"'), ("lib/host/a.c", "<stdio.h>"),
                             ("drivers/net/netvsc/a.c", '"drivers/bus/vmbus/bus.h"'), ("app/hvsim/a.c", "<numa.h>"),
                             ("drivers/net/netvsc/a.c", '"lib/netvsp/nvsp.h"'), ("app/vmbusctl/a.c", '"drivers/bus/vmbus/sysfs.h"')):
            self.assertEqual(self.wrong(path, header), [], (path, header))

    def test_one_header_is_no_folder_and_one_name_no_prefix(self):
        for path, header in (("app/vmbusctl/a.c", '"drivers/bus/vmbus/bus.h"'), ("lib/netvsp/a.c", '"lib/vmbus_other/a.h"')):
            self.assertEqual(len(self.wrong(path, header)), 1, (path, header))

    def test_a_new_folder_is_asked_for(self):
        self.assertIn("INCLUDES does not have", self.wrong("lib/new/a.c", "<stdio.h>")[0])

    def test_folders_of_the_table_exist(self):
        for folder in lint.INCLUDES:
            self.assertTrue(os.path.isdir(os.path.join(ROOT, folder)), folder)


if __name__ == "__main__":
    unittest.main()
