# SPDX-License-Identifier: BSD-3-Clause
"""What went over the wire: traces of hvsim through Wireshark's dissector, and captures of frames."""
import json
import re
import subprocess

from harness import Case, HVSIM, wait_until
from wire import frames, needs_tshark, unknown

# spec/nvsp.md §4 and spec/rndis.md §8, as our driver goes up.
LADDER = [
    "channel opened", "INIT version 6.1", "INIT_COMPLETE success", "NDIS_CONFIG MTU",
    "NDIS_VERSION 6.30", "SEND_RECV_BUF", "RECV_BUF_COMPLETE success", "SEND_SEND_BUF",
    "SEND_BUF_COMPLETE success, sections of 6144 bytes", "INITIALIZE",
    "INITIALIZE_C 8 messages, alignment 8", "SET GEN_CURRENT_PACKET_FILTER 0x0",
    "SET_C GEN_CURRENT_PACKET_FILTER success", "QUERY 802_3_PERMANENT_ADDRESS",
    "QUERY_C 802_3_PERMANENT_ADDRESS", "QUERY GEN_MAXIMUM_FRAME_SIZE",
    "QUERY_C GEN_MAXIMUM_FRAME_SIZE 9216", "QUERY TCP_OFFLOAD_HARDWARE_CAPABILITIES",
    "QUERY_C TCP_OFFLOAD_HARDWARE_CAPABILITIES", "SET TCP_OFFLOAD_PARAMETERS",
    "SET_C TCP_OFFLOAD_PARAMETERS success", "QUERY GEN_MEDIA_CONNECT_STATUS",
    "QUERY_C GEN_MEDIA_CONNECT_STATUS", "QUERY GEN_LINK_SPEED", "QUERY_C GEN_LINK_SPEED",
    "QUERY GEN_RECEIVE_SCALE_CAPABILITIES", "QUERY_C GEN_RECEIVE_SCALE_CAPABILITIES",
    # Another session, for another number of queues.
    "HALT", "REVOKE_RECV_BUF", "REVOKE_SEND_BUF", "channel closed", "channel opened", "INIT version 6.1",
    "SUBCHANNEL of 1", "channel opened", "SUBCHANNEL success, 1 granted", "SEND_INDIRECTION_TABLE",
    "SET GEN_RECEIVE_SCALE_PARAMETERS", "SET_C GEN_RECEIVE_SCALE_PARAMETERS success",
    "SET GEN_CURRENT_PACKET_FILTER 0x9", "SET_C GEN_CURRENT_PACKET_FILTER success",
]


@needs_tshark
class Wire(Case):
    limit = 150

    def in_order(self, infos, wanted):
        at = iter(infos)
        for want in wanted:
            self.assertTrue(any(re.fullmatch(rf"ch \d+  {re.escape(want)}\b.*", info) for info in at),
                            f"'{want}' is not there, or not behind the one before, in\n" +
                            "\n".join(infos[:150]))

    def traced(self, port, guest=None, **keys):
        """A host with a trace, and a guest that has forwarded some frames on two queues."""
        trace = self.path("wire.pcapng")
        host = self.host(port, args=["--trace", trace])
        pmd = self.guest(host if guest is None else guest(host), queues=2, **keys)
        pmd.start()
        wait_until(lambda: host.port()["verified"] >= 300, 30, "frames are back")
        pmd.stop()
        self.assertEqual(host.request("trace", 0)["trace"]["lost"], 0)
        return trace, host, pmd

    def assert_clean(self, trace):
        """Nothing of it is unknown to the dissector, and nobody broke the protocol."""
        self.assertEqual(unknown(trace), [])
        wrong = [(f.number, f.info, f.expert) for f in frames(trace) if f.expert]
        self.assertEqual(wrong, [])

    def test_a_bring_up_and_frames_have_nothing_unknown(self):
        trace, host, pmd = self.traced("gen:size=60-1514,flows=16,rate=1K")
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        found = frames(trace, "vmbus.answer_in", "vmbus.answer_to", "rndis.answer_in",
                       "rndis.answer_to", "rndis.answer_time", "rndis.type", "rndis.oid",
                       "nvsp.section_count", "nvsp.section_size", "vmbus.type", "eth.dst")
        self.in_order([f.info for f in found], LADDER)
        self.assert_clean(trace)
        by_number = {f.number: f for f in found}
        # Requests and answers lead to each other.
        asked = [f for f in found if re.search(r"  (QUERY|SET|INITIALIZE)\b", f.info)]
        self.assertGreater(len(asked), 20)
        for f in asked:
            answer = by_number[f.rndis__answer_in]
            self.assertEqual(answer.rndis__answer_to, f.number)
            self.assertGreater(float(answer.rndis__answer_time), 0)
            self.assertEqual(int(answer.rndis__type, 0), int(f.rndis__type, 0) + 0x80000000)
            self.assertEqual(answer.rndis__oid.split(";")[0], f.rndis__oid)
        # So do packets of data and their completions, either way.
        data = [f for f in found if "PACKET, " in f.info]
        self.assertGreater(len(data), 100)
        self.assertEqual({f.vmbus__type for f in data}, {"0x0006", "0x0007"})
        for f in data:
            self.assertIn("RNDIS_PKT_COMPLETE success", by_number[f.vmbus__answer_in].info)
        self.assertIn("00:15:5d:48:00:01", {f.eth__dst.split(";")[0] for f in data})

    def test_messages_with_defects_are_marked(self):
        """A message with any defect has expert information; whole ones have none."""
        host = self.host("gen:size=60-1514,flows=16,rate=1K", args=["--trace", self.path("wire")])
        host.set("batch", 1)
        pmd = self.guest(host, queues=2)
        pmd.start()
        host.set("malformed_rx_pct", 50)
        wait_until(lambda: host.stats()["rx_spoiled"] >= 140, 30, "each kind of defect was there")
        host.set("malformed_rx_pct", 0)
        spoiled = host.stats()["rx_spoiled"]
        pmd.stop()
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        marked = [f for f in frames(self.path("wire")) if f.expert]
        self.assertEqual(len(marked), spoiled)
        said = "\n".join(f.expert for f in marked)
        for text in ("It says 0 bytes", "It says 4294967295 bytes", "type 0x7f", "Data begins at 0",
                     "Data of 4294967295 bytes", "Size 0 of 16", "The receive buffer has",
                     "A section has", "0 ranges, room for 1", "2 ranges, room for 1",
                     "The receive buffer is 0xcafe"):
            self.assertIn(text, said)

    def test_control_turns_it_on_and_off(self):
        host = self.host("gen:rate=1K,size=200", "sink")
        first, second = self.path("first"), self.path("second")
        self.assertIsNone(host.request("trace", 0)["trace"])
        answer = host.request("trace", 0, file=first)["trace"]
        self.assertEqual((answer["file"], answer["lost"], answer["failed"]), (first, 0, False))
        host.request("trace", 1, file=first)  # of both NICs
        pmd = self.guest([host.device(0)])
        other = self.guest([host.device(1)])
        pmd.start()
        wait_until(lambda: host.port()["verified"] >= 100, 30, "frames are back")
        # To another file without a gap.
        host.request("trace", 0, file=second, snaplen=128)
        records = host.request("trace", 1)["trace"]["records"]
        self.assertGreater(records, 200)
        verified = host.port()["verified"]
        wait_until(lambda: host.port()["verified"] >= verified + 100, 30, "more of them")
        self.assertIsNone(host.request("trace", 0, on=False)["trace"])
        host.request("trace", 1, on=False)
        pmd.stop()
        self.assertEqual(other.quit(), 0)
        names = {f["frame.interface_name"] for f in frames(first, "frame.interface_name")}
        self.assertEqual(names, {"nic0 channel 0", "nic1 channel 0"})
        # It begins in the middle of a session, which is no fault of anybody's.
        self.assert_clean(second)
        cut = {(f["rndis.data_length"], f["hvtrace.piece.captured"])
               for f in frames(second, "rndis.data_length", "hvtrace.piece.captured")}
        self.assertIn(("200", "128"), cut)
        with self.assertRaisesRegex(RuntimeError, "nowhere.*No such file"):
            host.request("trace", 0, file="/nowhere/at/all")
        with self.assertRaisesRegex(RuntimeError, "trace takes file=FILE, or on, or off"):
            host.request("trace", 0, on="yes")
        with self.assertRaisesRegex(RuntimeError, "snaplen is from"):
            host.request("trace", 0, file=first, snaplen=1)

    def ctl(self, host, *words):
        """The answer of hvsim ctl, as typed."""
        run = subprocess.run([HVSIM, "ctl", f"{host.dir}/control.sock", *words, "--json"], capture_output=True,
                             text=True, timeout=20, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""), words)
        return json.loads(run.stdout)

    def test_a_trace_that_ended_goes_on_in_its_file(self):
        """hvsim ctl trace off and on: another section of the same pcapng, whose frames are all there."""
        trace = self.path("wire.pcapng")
        host = self.host("gen:rate=1K,size=200", "sink", args=["--trace", trace])
        pmd = self.guest([host.device(0)])
        pmd.start()
        wait_until(lambda: host.port()["verified"] >= 50, 30, "frames are back")
        self.assertEqual([nic["trace"] for nic in self.ctl(host, "trace", "off")["nics"]], [None, None])
        with open(trace, "rb") as file:
            before = file.read()
        seen = len(frames(trace))
        self.assertGreater(seen, 150)
        self.assertEqual(self.ctl(host, "trace", "0", "on")["trace"]["file"], trace)
        verified = host.port()["verified"]
        wait_until(lambda: host.port()["verified"] >= verified + 50, 30, "more of them")
        pmd.stop()
        self.assertIsNone(self.ctl(host, "trace", "0", "off")["trace"])
        with open(trace, "rb") as file:
            self.assertTrue(file.read().startswith(before))
        self.assertGreater(len(frames(trace)), seen + 100)
        self.assert_clean(trace)
        # Both NICs again: the one whose guest is gone, too.
        self.assertEqual([nic["trace"]["file"] for nic in self.ctl(host, "trace", "on")["nics"]], [trace, trace])
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        names = {f["frame.interface_name"] for f in frames(trace, "frame.interface_name")}
        self.assertEqual(names, {"nic0 channel 0"})

    def test_a_full_disk_stops_no_frame(self):
        host = self.host("gen:rate=20K", args=["--trace", "/dev/full"])
        pmd = self.guest(host)
        pmd.start()
        host.expect("cannot write the trace /dev/full: No space left on device", 10)
        verified = host.port()["verified"]
        wait_until(lambda: host.port()["verified"] >= verified + 500, 30, "frames go on")
        answer = host.request("trace", 0)["trace"]
        self.assertTrue(answer["failed"])
        self.assertGreater(answer["lost"], 500)
        self.assertEqual(host.text.count("cannot write the trace"), 1)

    def test_capture_has_the_frames_of_both_directions(self):
        capture = self.path("frames.pcapng")
        host = self.host((f"capture={capture},snaplen=200", "gen:size=60-1514,count=400,rate=20K"))
        pmd = self.guest(host)
        pmd.start()
        wait_until(lambda: host.port()["verified"] == 400, 30, "all are back")
        self.assertEqual(pmd.quit(), 0)
        self.assertEqual(host.stop(), 0)
        found = frames(capture, "frame.packet_flags_direction", "frame.len", "frame.cap_len",
                       "frame.interface_name")
        self.assertEqual({f["frame.interface_name"] for f in found}, {"nic0"})
        ways = {way: [f["frame.len"] for f in found if int(f["frame.packet_flags_direction"], 0) == way]
                for way in (1, 2)}
        self.assertEqual(len(ways[1]), 400)
        self.assertEqual(ways[1], ways[2])
        for f in found:
            self.assertEqual(int(f["frame.cap_len"]), min(int(f["frame.len"]), 200))

    def test_the_guest_writes_the_same(self):
        """Devarg trace=FILE: control messages, and with trace_data=1 all that hvsim sees."""
        for data in (0, 1):
            with self.subTest(data=data):
                mine = self.path(f"guest{data}")
                theirs, host, pmd = self.traced(
                    "gen:size=60-1514,flows=16,rate=1K",
                    guest=lambda h, m=mine, d=data: [h.device(0, f",trace={m},trace_data={d}")])
                self.assertEqual(pmd.quit(), 0)
                self.assertEqual(host.stop(), 0)
                self.assert_clean(mine)
                found = frames(mine, "hvtrace.guest", "hvtrace.control_only", "vmbus.type",
                               "rndis.answer_in")
                self.assertEqual({f["hvtrace.guest"] for f in found}, {"1"})
                self.assertEqual({f["hvtrace.control_only"] for f in found}, {str(1 - data)})
                # It opens a subchannel when the host has answered, and of control there is none there.
                opens = LADDER.index("SUBCHANNEL of 1") + 1
                self.in_order([f.info for f in found], LADDER[:opens] + LADDER[opens + 1:])
                self.assertEqual("ch 1  channel opened" in [f.info for f in found], bool(data))
                both = [self.talk(trace) for trace in (mine, theirs)]
                if data:
                    self.assertEqual(both[0], both[1])
                else:
                    self.assertFalse([f for f in found if "PACKET," in f.info])

    def talk(self, trace):
        """
        How often each kind of message is in a trace. Not what the guest says last, which a host that
        is reset need not have read, nor events: a host has its channel ready for the next guest.
        """
        count = {}
        for f in frames(trace):
            kind = re.sub(r"\d+", "N", f.info)
            if not re.search("REVOKE|RNDIS_PKT_COMPLETE|channel", kind):
                count[kind] = count.get(kind, 0) + 1
        return count
