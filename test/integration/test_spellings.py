# SPDX-License-Identifier: BSD-3-Clause
"""Commands whose spelling differs between releases of testpmd."""
import unittest

from harness import Testpmd


class OtherTestpmd(Testpmd):
    """Answers as a testpmd that knows one command."""

    def __init__(self, known):  # pylint: disable=super-init-not-called
        self.known = known

    def cmd(self, line, timeout=15):
        if line == self.known:
            return f"{line}\nmempool <mb_pool_0>@0x1\n"
        return f"{line}\n{'Bad arguments' if self.known.split()[0] == line.split()[0] else 'Command not found'}\n"


class Spellings(unittest.TestCase):
    def test_dump_mempool_of_either_release(self):
        for known in ("dump_mempool", "dump mempool"):
            self.assertIn("mempool <mb_pool_0>", OtherTestpmd(known).dump_mempool())

    def test_an_unknown_command_is_no_answer(self):
        with self.assertRaisesRegex(AssertionError, "knows none of"):
            OtherTestpmd("dump something").dump_mempool()
