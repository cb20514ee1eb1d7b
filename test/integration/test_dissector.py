# SPDX-License-Identifier: BSD-3-Clause
"""Wireshark's dissector and what breaks the protocol: traces made by hand (doc/trace.md)."""
import struct

from harness import Case
from wire import frames, needs_tshark, packet, write_trace


def nvsp(kind, *words, size=40):
    return struct.pack(f"<{len(words) + 1}I", kind, *words).ljust(size, b"\0")


def rndis_frame(length=60):
    """A PACKET message around a frame."""
    frame = bytes.fromhex("00155d480001" "00155d480002" "88b5").ljust(length, b"\0")
    return struct.pack("<11I", 1, 44 + length, 36, length, 0, 0, 0, 0, 0, 0, 0) + frame


SETUP = [
    "opened",
    (0, packet(6, 1, nvsp(101, 7, 0xcafe)), []),
    (1, packet(11, 1, nvsp(102, 1, 1, 0, 2048, 512, 1 << 20), 0), []),
    (0, packet(6, 2, nvsp(104, 8, 0xface)), []),
    (1, packet(11, 2, nvsp(105, 1, 4096), 0), []),
]


def send(tid, section, content):
    return (0, packet(6, tid, nvsp(107, 0, section, len(content))), [(1, 0, section, content)])


def receive(tid, offset, content, kind=0):
    header = struct.pack("<HHIII", 0xcafe, 0, 1, len(content), offset)
    return (1, packet(7, tid, nvsp(107, kind, 0xffffffff, 0), header=header), [(3, 0, offset, content)])


def done(to_guest, tid):
    return (to_guest, packet(11, tid, nvsp(108, 1), 0), [])


def query(tid, number):
    message = struct.pack("<7I", 4, 28, number, 0x00010107, 0, 20, 0)
    header = struct.pack("<IIIIQ", 0, 1, len(message), 0, 5)
    return (0, packet(9, tid, nvsp(107, 1, 0xffffffff, 0), header=header), [(2, 0, 0, message)])


def answer(tid, number):
    return receive(tid, 0, struct.pack("<7I", 0x80000004, 28, number, 0, 4, 16, 100000), kind=1)


@needs_tshark
class Marks(Case):
    """What nobody here sends, as records made by hand: each violation has its mark, at its frame."""

    limit = 150

    def marks(self, *records, before=SETUP):
        """The mark of each record that has one, by its place."""
        path = self.path("made.pcapng")
        write_trace(path, [*before, *records])
        found = frames(path, "vmbus.answer_in", "rndis.answer_in", "rndis.answer_time")
        self.found = found[len([r for r in before if not isinstance(r, int)]):]
        return {i: f.expert for i, f in enumerate(self.found) if f.expert}

    def test_what_is_right_has_no_mark(self):
        self.assertEqual(self.marks(
            send(5, 0, rndis_frame()), done(1, 5), send(5, 0, rndis_frame()), done(1, 5),
            query(6, 1), done(1, 6), answer(0, 1), done(0, 0),
            receive(9, 4096, rndis_frame()), done(0, 9), receive(9, 4096, rndis_frame())), {})
        self.assertEqual(self.found[0].vmbus__answer_in, "7")
        self.assertEqual(self.found[4].rndis__answer_in, "12")
        self.assertEqual(float(self.found[4].rndis__answer_time), 0.000002)

    def test_answers_without_a_question(self):
        self.assertEqual(self.marks(answer(0, 1)), {0: "Nobody has asked with this request id"})
        self.assertEqual(self.marks(query(5, 1), answer(0, 1), answer(1, 1)),
                         {2: "Frame 7 has it and is not completed;Nobody has asked with this request id"})
        # In the middle of a session it may have been asked before.
        self.assertEqual(self.marks(answer(0, 1), before=[]), {})

    def test_an_answer_of_another_kind(self):
        self.assertEqual(self.marks((0, packet(6, 3, nvsp(1, 0x60001, 0x60001)), []), done(1, 3)),
                         {1: "The question was INIT"})

    def test_completions_without_a_packet(self):
        mark = "No packet with this transaction id is outstanding"
        self.assertEqual(self.marks(done(1, 77), done(0, 78)), {0: mark, 1: mark})
        self.assertEqual(self.marks(send(5, 0, rndis_frame()), done(1, 5), done(1, 5)), {2: mark})
        self.assertEqual(self.marks(done(1, 77), before=[]), {})

    def test_nothing_is_said_of_what_was_lost(self):
        self.assertEqual(self.marks(3, done(1, 77), done(0, 78)),
                         {0: "3 records are missing before this one"})

    def test_sections_and_transaction_ids_in_use(self):
        self.assertEqual(self.marks(send(5, 0, rndis_frame()), send(6, 0, rndis_frame())),
                         {1: "Frame 6 has it and is not completed"})
        self.assertEqual(self.marks(send(5, 0, rndis_frame()), send(5, 1, rndis_frame())),
                         {1: "Frame 6 has it and is not completed"})
        self.assertEqual(self.marks(receive(5, 4096, rndis_frame()), receive(6, 5000, rndis_frame())),
                         {1: "Frame 6 has it and is not completed"})

    def test_sections_out_of_range(self):
        self.assertEqual(self.marks(send(5, 256, rndis_frame())), {0: "The send buffer has 256 sections"})
        self.assertEqual(self.marks(send(5, 0, rndis_frame(5000))),
                         {0: "5044 bytes of a section of 4096"})
        self.assertEqual(self.marks(receive(5, (1 << 20) - 8, rndis_frame())),
                         {0: "The receive buffer has 1048576 bytes"})

    def test_streams_that_do_not_tile(self):
        self.assertEqual(self.marks(send(5, 0, rndis_frame() + b"\1\2\3\4")),
                         {0: "4 bytes behind the last message"})

    def test_types_flags_and_lengths(self):
        self.assertEqual(self.marks((0, packet(8, 1, nvsp(1)), [])),
                         {0: "A packet of type 8 is not sent this way"})
        self.assertEqual(self.marks((0, packet(6, 9, nvsp(99)), [])), {0: "There is no message of type 99"})
        self.assertEqual(self.marks((0, packet(6, 9, nvsp(1), 3), [])), {0: "Flags 0x3"})
        self.assertEqual(self.marks((0, packet(6, 9, nvsp(1, 2, size=8)), [])),
                         {0: "INIT takes 12 bytes, there are 8"})
        self.assertEqual(self.marks((1, packet(6, 9, nvsp(100, 6, 30), 0), [])),
                         {0: "NDIS_VERSION goes the other way"})
