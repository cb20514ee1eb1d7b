/* SPDX-License-Identifier: BSD-3-Clause */
/* What a trace has of a packet of VMBus: the packet, and the memory that it names. */
#include "lib/netvsp/nvsp.h"
#include "lib/trace/trace_vmbus.h"
#include "test/unit/trace_image.h"

static uint8_t recv_buffer[8192], send_buffer[8192], page[4096] __attribute__((aligned(8)));

static const void *
one_page(void *ctx, uint64_t pfn)
{
	return pfn == 7 ? page : NULL;
}

static const struct trace_memory memory = {.recv = recv_buffer,
	.send = send_buffer,
	.recv_length = sizeof(recv_buffer),
	.send_length = sizeof(send_buffer),
	.send_section = 2048,
	.page = one_page};

/* The only record: where it is in the image. */
static size_t
only_record(void)
{
	size_t at = 0;

	load();
	CU_ASSERT_EQUAL_FATAL(blocks(PACKET_BLOCK, &at), 1);
	return at + 28;
}

static void
test_a_send_has_section_and_pages_behind_it(void)
{
	struct {
		struct vmbus_packet pkt;
		struct vmbus_gpa_header gpa;
		struct {
			struct vmbus_gpa_range range;
			uint64_t pfn;
		} r[2];
		struct nvsp_message msg;
	} p = {.gpa = {0, 2}, .r = {{{10, 100}, 7}, {{10, 100}, 8}}};
	struct trace *t = begin(path);
	struct trace_header h;
	struct trace_piece s;
	struct trace_tap tap;
	size_t at;

	vmbus_packet_init(&p.pkt, VMBUS_PACKET_GPA_DIRECT, offsetof(__typeof__(p), msg), sizeof(p),
		VMBUS_FLAG_COMPLETION, 5);
	nvsp_build_rndis(&p.msg, NVSP_CHANNEL_DATA, 1, 13);
	memcpy(send_buffer + 2048, "from a section", 13);
	memcpy(page + 100, "from a page", 10);
	trace_tap_init(&tap, t, "nic3", "test", TRACE_SNAPLEN);
	trace_packet(&tap, 2, TRACE_TO_HOST, &p, sizeof(p), &memory);
	CU_ASSERT_TRUE(trace_close(t));
	at = only_record();
	memcpy(&h, image + at, sizeof(h));
	CU_ASSERT_EQUAL(h.version, 1);
	CU_ASSERT_EQUAL(h.channel, 2);
	CU_ASSERT_EQUAL(h.direction, TRACE_TO_HOST);
	CU_ASSERT_EQUAL(h.pieces, 3);
	CU_ASSERT_EQUAL(h.packet_captured, sizeof(p));
	CU_ASSERT_EQUAL(h.recv_length, sizeof(recv_buffer));
	at += sizeof(h);
	CU_ASSERT_EQUAL(memcmp(image + at, &p, sizeof(p)), 0);
	at += sizeof(p);
	memcpy(&s, image + at, sizeof(s));
	CU_ASSERT_EQUAL(s.kind, TRACE_PIECE_SECTION);
	CU_ASSERT_EQUAL(s.offset, 1);
	CU_ASSERT_EQUAL(s.captured, 13);
	CU_ASSERT_EQUAL(memcmp(image + at + 16, "from a section", 13), 0);
	at += 32;
	memcpy(&s, image + at, sizeof(s));
	CU_ASSERT_EQUAL(s.kind, TRACE_PIECE_PAGES);
	CU_ASSERT_EQUAL(memcmp(image + at + 16, "from a page", 10), 0);
	at += 28;
	/* There is no such page. */
	memcpy(&s, image + at, sizeof(s));
	CU_ASSERT_EQUAL(s.kind, TRACE_PIECE_PAGES | TRACE_PIECE_UNREADABLE);
	CU_ASSERT_EQUAL(s.index, 1);
	CU_ASSERT_EQUAL(s.captured, 0);
}

static void
test_ranges_are_cut_and_checked(void)
{
	struct {
		struct vmbus_packet pkt;
		struct vmbus_xfer_header xfer;
		struct vmbus_xfer_range r[3];
		struct nvsp_message msg;
	} p = {.xfer = {.set_id = 0xcafe, .range_count = 99},
		.r = {{1000, 0}, {8, sizeof(recv_buffer) - 7}, {UINT32_MAX, UINT32_MAX}}};
	struct trace *t = begin(path);
	struct trace_header h;
	struct trace_piece s;
	struct trace_tap tap;
	size_t at;

	vmbus_packet_init(&p.pkt, VMBUS_PACKET_XFER_PAGES, offsetof(__typeof__(p), msg), sizeof(p),
		VMBUS_FLAG_COMPLETION, 5);
	nvsp_build_rndis(&p.msg, NVSP_CHANNEL_DATA, NVSP_SECTION_NONE, 0);
	trace_tap_init(&tap, t, "nic0", "test", TRACE_SNAPLEN_MIN);
	trace_packet(&tap, 0, TRACE_TO_GUEST, &p, sizeof(p), &memory);
	CU_ASSERT_TRUE(trace_close(t));
	at = only_record();
	/* What it had before it was cut. */
	CU_ASSERT_EQUAL(word(at - 4), sizeof(h) + sizeof(p) + 3 * sizeof(s) + 1000);
	memcpy(&h, image + at, sizeof(h));
	/* As many as there is room for. */
	CU_ASSERT_EQUAL(h.pieces, 3);
	CU_ASSERT_EQUAL(h.flags, TRACE_INCOMPLETE);
	at += sizeof(h) + sizeof(p);
	memcpy(&s, image + at, sizeof(s));
	CU_ASSERT_EQUAL(s.length, 1000);
	CU_ASSERT_EQUAL(s.captured, TRACE_SNAPLEN_MIN);
	at += 16 + TRACE_SNAPLEN_MIN;
	memcpy(&s, image + at, sizeof(s));
	CU_ASSERT_EQUAL(s.kind, TRACE_PIECE_RECEIVE | TRACE_PIECE_UNREADABLE);
	memcpy(&s, image + at + 16, sizeof(s));
	CU_ASSERT_EQUAL(s.kind, TRACE_PIECE_RECEIVE | TRACE_PIECE_UNREADABLE);
	CU_ASSERT_EQUAL(s.length, UINT32_MAX);
}

static void
test_control_only_leaves_data_out(void)
{
	struct {
		struct vmbus_packet pkt;
		struct nvsp_message msg;
	} p = {0};
	struct trace *t = begin(path);
	struct trace_tap tap;
	size_t at = 0;

	trace_tap_init(&tap, t, "port0", "test", TRACE_SNAPLEN);
	tap.data = false;
	tap.control_ids = UINT64_C(1) << 63;
	vmbus_packet_init(&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), 0, 1);
	nvsp_build_rndis(&p.msg, NVSP_CHANNEL_DATA, 0, 100);
	trace_packet(&tap, 0, TRACE_TO_HOST, &p, sizeof(p), &memory);
	vmbus_packet_init(&p.pkt, VMBUS_PACKET_COMPLETION, sizeof(p.pkt), sizeof(p), 0, 1);
	trace_packet(&tap, 0, TRACE_TO_GUEST, &p, sizeof(p), &memory);
	/* These are. */
	p.pkt.trans_id = tap.control_ids | 1;
	trace_packet(&tap, 0, TRACE_TO_GUEST, &p, sizeof(p), &memory);
	vmbus_packet_init(&p.pkt, VMBUS_PACKET_INBAND, sizeof(p.pkt), sizeof(p), 0, 1);
	nvsp_build_rndis(&p.msg, NVSP_CHANNEL_CONTROL, 0, 100);
	trace_packet(&tap, 0, TRACE_TO_HOST, &p, sizeof(p), &memory);
	p.msg.type = NVSP_TYPE_INIT;
	trace_packet(&tap, 0, TRACE_TO_HOST, &p, sizeof(p), &memory);
	CU_ASSERT_TRUE(trace_close(t));
	load();
	CU_ASSERT_EQUAL(blocks(PACKET_BLOCK, &at), 3);
	CU_ASSERT_EQUAL(image[at + 28 + 4], TRACE_CONTROL_ONLY);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a send has section and pages behind it",
			test_a_send_has_section_and_pages_behind_it},
		{"ranges are cut and checked", test_ranges_are_cut_and_checked},
		{"control only leaves data out", test_control_only_leaves_data_out},
	};

	return run_with_file("trace_packets", tests, sizeof(tests) / sizeof(tests[0]));
}
