# SPDX-License-Identifier: BSD-3-Clause
"""README, the tutorial and the how-tos, command by command; what cannot be typed here is told, and counted by test/unit/howtos.py."""
import glob
import os
import shutil
import tempfile

import documents
import ovs
import simulated_guest
import test_suricata
from harness import ROOT, Case, memory_args, needs_root, system_folder
from selection import long_run

# Readers that are in a guest, and what virtual function this has.
GUESTS = {"README.md": simulated_guest.CONNECTX, "doc/howto/azure.md": simulated_guest.CONNECTX,
          "doc/howto/mana.md": simulated_guest.MANA}
# What others show, too: README's guest, test_ovs and test_suricata.
LONG = {"doc/howto/mana.md", "doc/howto/openvswitch.md", "doc/howto/suricata.md"}


def missing(name):
    """What a document wants installed that is not, or None."""
    if name == "doc/howto/openvswitch.md" and not os.path.exists(ovs.VSWITCHD):
        return "Open vSwitch with DPDK is not installed (./run setup ovs)"
    return test_suricata.missing() if name == "doc/howto/suricata.md" else None


@needs_root
class Documents(Case):
    limit = 240

    def reader(self):
        folder = tempfile.mkdtemp(prefix="hyperpoll-reader-", dir=system_folder())
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        reader = documents.Reader(folder)
        self.addCleanup(reader.close)
        reader.fill()
        return reader

    def guest(self, reader, function):
        """A guest around the reader; variables of his terminals."""
        guest = simulated_guest.Guest(self.host("gen:size=60-1514,rate=10K"), function)
        self.addCleanup(guest.close)
        done, said = self.run_program("prepare", ["sh", "-c", guest.prepare(reader.folder)], prefix=reader.prefix)
        self.assertEqual(done, 0, said)
        return guest.variables()

    def read(self, name):
        if missing(name):
            self.skipTest(missing(name))
        if memory_args() != ["--in-memory"] or not {0, 1} <= os.sched_getaffinity(0):
            self.skipTest("the documents' commands want huge pages and processors 0 and 1")
        reader = self.reader()
        env = self.guest(reader, GUESTS[name]) if name in GUESTS else None
        document = documents.Document(os.path.join(ROOT, name), reader.folder, self.own, reader.prefix, env)
        self.assertGreater(document.run(), 0, f"{name} has no command")
        for number, command in document.left():
            print(f"not run: {name}, line {number}: {command}")


def add(name):
    def test(self):
        self.read(name)
    test.__doc__ = f"{name} as a new user types it."
    test.__name__ = "test_" + os.path.basename(name)[:-len(".md")].replace("-", "_").lower()
    setattr(Documents, test.__name__, long_run(test) if name in LONG else test)


for path in sorted(glob.glob(f"{ROOT}/README*") + glob.glob(f"{ROOT}/doc/tutorial*") + glob.glob(f"{ROOT}/doc/howto/*")):
    with open(path, encoding="utf-8") as file:
        if any(block.language == "console" and not block.is_left() for block in documents.blocks(file.read())):
            add(os.path.relpath(path, ROOT))
