# SPDX-License-Identifier: BSD-3-Clause
"""
doc/messages.md is true and whole: each message in it is one that the sources have, and each error and
warning of the driver and its bus is in it.

In the table "…" stands for what differs (a conversion of printf, or some more words). A message of the table is one
of the sources when its pieces are in that one's text, in this order.
"""
import glob
import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = "doc/messages.md"

# Nothing but sentences that come from elsewhere, where they are asked for.
PASSED_ON = re.compile(r"^[…:;() ]*$")
EXCEPTIONS = {"…: …; the port …"}  # has rows for the pieces
CONVERSION = re.compile(r"%[-+ #0]*(\*|\d+)?(\.(\*|\d+))?(hh|h|ll|l|z|j|t)?[diouxXcsp]")
# Calls of the driver that are an error or a warning, with the arguments in front of the text.
CALLS = re.compile(r"\b(?:(?:NETVSC_LOG|HPBUS_LOG|NETVSC_VF_LOG|RTE_LOG)\(\s*(?:ERR|WARNING)|netvsc_vf_say\(|netvsc_port_broken\("
                   r"|vmbus_sysfs_report\([^\"]*?VMBUS_SYSFS_(?:ERROR|WARN)\w*|hpbus_device_(?:mark_)?gone\()")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def arguments(source, start):
    """Those of the call whose opening parenthesis is in front of start, each as it is written."""
    depth, quoted, found, first = 1, False, [], start
    at = start
    while depth:
        char = source[at]
        if quoted:
            at += char == "\\"
            quoted = char != '"' or source[at - 1] == "\\" and source[at] != '"'
        elif char == '"':
            quoted = True
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if not quoted and (depth == 0 or depth == 1 and char == ","):
            found.append(source[first:at])
            first = at + 1
        at += 1
    return found


def sentence(text):
    """A string of C with "…" for each conversion, and for macros within."""
    parts = re.split(r'"((?:[^"\\]|\\.)*)"', text)
    whole = parts[0].strip() and "…"
    for number, part in enumerate(parts[1:]):
        if number % 2 == 0:
            whole += part
        elif part.strip() and number != len(parts) - 2:
            whole += "…"
    whole = CONVERSION.sub("…", whole.replace("%%", "%"))
    whole = re.sub(r"%[-+ #0]*(?=…)|%$", "", whole)
    return re.sub(r"…+", "…", whole.replace('\\"', '"').replace("\\n", ""))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def sources(*folders):
    return sorted(os.path.relpath(path, ROOT) for folder in folders
                  for path in glob.glob(os.path.join(ROOT, folder, "**", "*.[ch]"), recursive=True))


def said(source):
    """Errors and warnings of a source of the driver."""
    found = []
    for call in CALLS.finditer(source):
        start = source.index("(", call.start()) + 1
        text = next((argument for argument in arguments(source, start) if argument.lstrip().startswith('"')), None)
        if text is not None:
            found.append(sentence(text.strip()))
    return found


def table(text):
    """Messages of the page: what stands in the first column, in backquotes."""
    return [message for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
            for message in re.findall(r"`([^`]+)`", row)]


def covers(message, text):
    """Is the message of the table this one of the sources?"""
    at = 0
    for piece in filter(None, message.split("…")):
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


class Messages(unittest.TestCase):
    def setUp(self):
        self.table = table(read(PAGE))

    def test_every_error_of_the_driver_is_in_the_table(self):
        texts = {text for path in sources("drivers") for text in said(read(path))}
        self.assertLessEqual(EXCEPTIONS, texts)
        self.assertEqual(sorted(text for text in texts - EXCEPTIONS if not PASSED_ON.match(text)
                                and not any(covers(message, text) for message in self.table)), [])

    def test_every_message_of_the_table_is_in_the_sources(self):
        texts = [sentence(text[0]) for path in sources("drivers", "lib", "app")
                 for text in re.finditer(r'"(?:[^"\\]|\\.)*"(?:\s*(?:PRI\w+|RTE_ETHER_ADDR_PRT_FMT)?\s*"(?:[^"\\]|\\.)*")*',
                                         read(path))]
        self.assertEqual([message for message in self.table if not any(covers(message, text) for text in texts)], [])

    def test_a_message_of_the_table_tells_something(self):
        short = [message for message in self.table if len(re.sub(r"[^A-Za-z]", "", message)) < 6]
        self.assertEqual(short, [])
        self.assertEqual(len(self.table), len(set(self.table)))

    def test_what_is_found_in_sources(self):
        self.assertEqual(said('NETVSC_LOG(ERR, port, "a %s: %#" PRIx64 ", b" " c", f("no"), 1);\n'
                              'NETVSC_LOG(NOTICE, port, "not");\nHPBUS_LOG(WARNING,\n\t"%s: \\"d\\" %.20s",\n\tx);\n'
                              'netvsc_port_broken(port, "e, (f)");'),
                         ["a …: …, b c", '…: "d" …', "e, (f)"])
        self.assertEqual(table("| message | x |\n|---|---|\n| `a …`, `b` | `c` |\n"), ["a …", "b"])
        self.assertTrue(covers("a … c", "x: a … b c"))
        self.assertFalse(covers("c … a", "x: a … b c"))


if __name__ == "__main__":
    unittest.main()
