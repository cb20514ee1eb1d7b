# SPDX-License-Identifier: BSD-3-Clause
"""The tutorial and the how-tos, command by command."""
import glob
import os
import shutil
import tempfile

import documents
from harness import ROOT, Case, memory_args, needs_root, system_folder


@needs_root
class Documents(Case):
    limit = 240

    def read(self, name):
        if memory_args() != ["--in-memory"] or not {0, 1} <= os.sched_getaffinity(0):
            self.skipTest("the documents' commands want huge pages and processors 0 and 1")
        folder = tempfile.mkdtemp(prefix="hyperpoll-reader-", dir=system_folder())
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        reader = documents.Reader(folder)
        self.addCleanup(reader.close)
        reader.fill()
        document = documents.Document(os.path.join(ROOT, name), folder, self.own, reader.prefix)
        self.assertGreater(document.run(), 0, f"{name} has no command")


def add(name):
    def test(self):
        self.read(name)
    test.__doc__ = f"{name} as a new user types it."
    setattr(Documents, "test_" + os.path.basename(name)[:-len(".md")].replace("-", "_"), test)


for path in sorted(glob.glob(f"{ROOT}/doc/tutorial*") + glob.glob(f"{ROOT}/doc/howto/*")):
    with open(path, encoding="utf-8") as file:
        if "\n```console" in file.read():
            add(os.path.relpath(path, ROOT))
