/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * lib/vmbus/ring.h against the golden packets, tables and properties of spec/vmbus-ring.md §16.
 * One thread plays both ends. The signals are in vmbus_signal.c, races in vmbus_stress.c, bad peers
 * in vmbus_hostile.c.
 */
#include "test/unit/vmbus_fixture.h"

static const uint32_t sizes[] = {4096, 8192, 127 * 4096, 511 * 4096};

/* ---- golden packets ---- */

#define NVSP_RNDIS_HEX "6b00000000000000 ffffffff00000000"
#define ZERO_24	       "0000000000000000 0000000000000000 0000000000000000"
#define NVSP_HEX       NVSP_RNDIS_HEX " " ZERO_24

static const uint8_t nvsp[40] = {0x6b, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};

static uint32_t
build_a(uint8_t *buf)
{
	uint32_t i;

	vmbus_packet_init(
		(struct vmbus_packet *)buf, VMBUS_PACKET_INBAND, 16, 28, VMBUS_FLAG_COMPLETION, 1);
	for (i = 0; i < 12; i++)
		buf[16 + i] = (uint8_t)(i + 1);
	return 28;
}

static uint32_t
build_b(uint8_t *buf)
{
	static const uint32_t payload[2] = {0x6c, 1};

	vmbus_packet_init((struct vmbus_packet *)buf, VMBUS_PACKET_COMPLETION, 16, 24, 0, 0x11);
	memcpy(buf + 16, payload, sizeof(payload));
	return 24;
}

static uint32_t
build_c(uint8_t *buf)
{
	static const struct vmbus_xfer_header xfer = {.set_id = 0xcafe, .range_count = 2};
	static const struct vmbus_xfer_range range[2] = {{106, 0}, {1514, 0x6a0}};

	vmbus_packet_init((struct vmbus_packet *)buf, VMBUS_PACKET_XFER_PAGES, 40, 80,
		VMBUS_FLAG_COMPLETION, 0x11);
	memcpy(buf + 16, &xfer, sizeof(xfer));
	memcpy(buf + 24, range, sizeof(range));
	memcpy(buf + 40, nvsp, sizeof(nvsp));
	return 80;
}

static uint32_t
build_d(uint8_t *buf)
{
	static const struct vmbus_gpa_header gpa = {.range_count = 1};
	struct vmbus_gpa_range *range = (struct vmbus_gpa_range *)(buf + 24);
	uint32_t n = (uint32_t)vmbus_gpa_pages(0x800, 0x1800), header = 24 + 8 + 8 * n;

	vmbus_packet_init((struct vmbus_packet *)buf, VMBUS_PACKET_GPA_DIRECT, header, header + 40,
		VMBUS_FLAG_COMPLETION, 2);
	memcpy(buf + 16, &gpa, sizeof(gpa));
	range->byte_count = 0x1800;
	range->byte_offset = 0x800;
	range->pfn[0] = 0x12345;
	range->pfn[1] = 0x12346;
	memcpy(buf + header, nvsp, sizeof(nvsp));
	return header + 40;
}

static uint32_t
build_e(uint8_t *buf)
{
	static const struct vmbus_gpa_header gpa = {.range_count = 2};
	static const uint64_t list[4] = {UINT64_C(0x80000000800), 0x12345, 0x1000, 0x12346};

	vmbus_packet_init((struct vmbus_packet *)buf, VMBUS_PACKET_GPA_DIRECT, 56, 96,
		VMBUS_FLAG_COMPLETION, 2);
	memcpy(buf + 16, &gpa, sizeof(gpa));
	memcpy(buf + 24, list, sizeof(list));
	memcpy(buf + 56, nvsp, sizeof(nvsp));
	return 96;
}

static const struct golden {
	uint32_t (*build)(uint8_t *buf);
	uint32_t at, total;
	const char *hex;
} golden[] = {
	{build_a, 0x40, 40,
		"0600 0200 0400 0100 0100000000000000 0102030405060708 090a0b0c00000000 "
		"0000000040000000"},
	{build_b, 0x68, 32,
		"0b00 0200 0300 0000 1100000000000000 6c00000001000000 0000000068000000"},
	{build_c, 0, 88,
		"0700 0500 0a00 0100 1100000000000000 feca000002000000 6a00000000000000 "
		"ea050000a0060000 " NVSP_HEX " 0000000000000000"},
	{build_d, 0xff0, 96,
		"0900 0600 0b00 0100 0200000000000000 0000000001000000 0018000000080000 "
		"4523010000000000 4623010000000000 " NVSP_HEX " 00000000f00f0000"},
	{build_e, 0xff0, 104,
		"0900 0700 0c00 0100 0200000000000000 0000000002000000 0008000000080000 "
		"4523010000000000 0010000000000000 4623010000000000 " NVSP_HEX " 00000000f00f0000"},
};

/* D = 4096 makes D and E wrap after their descriptor; 8192 keeps them in one piece. */
static void
golden_in(uint32_t size, bool mirrored, const struct golden *g)
{
	_Alignas(8) uint8_t pkt[256] = {0};
	uint8_t want[256], got[256];
	struct vmbus_ring_writer w;
	struct vmbus_ring_reader r;
	struct vmbus_packet p;
	struct test_ring t;

	REQUIRE(test_ring_make(&t, size, mirrored));
	test_ring_place(&t, g->at, g->at);
	CU_ASSERT_EQUAL(vmbus_ring_writer_init(&w, &t.ring), 0);
	CU_ASSERT_EQUAL(vmbus_ring_reader_init(&r, &t.ring), 0);
	CU_ASSERT_EQUAL(unhex(g->hex, want, sizeof(want)), g->total);

	CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, g->build(pkt), 0), 0);
	CU_ASSERT_EQUAL(vmbus_ring_peek(&r, &p), 0); /* written is not yet published */
	CU_ASSERT_TRUE(vmbus_ring_writer_publish(&w));
	CU_ASSERT_EQUAL(atomic_load(&t.ring.ctl->write_index), (g->at + g->total) % size);
	vmbus_ring_copy_out(&t.ring, g->at, got, g->total);
	CU_ASSERT_EQUAL(memcmp(got, want, g->total), 0);

	CU_ASSERT_EQUAL(vmbus_ring_peek(&r, &p), (int)g->total);
	CU_ASSERT_EQUAL(memcmp(&p, want, sizeof(p)), 0);
	vmbus_ring_consume(&r, g->total);
	CU_ASSERT_FALSE(vmbus_ring_reader_publish(&r, false));
	CU_ASSERT_EQUAL(atomic_load(&t.ring.ctl->read_index), (g->at + g->total) % size);
	CU_ASSERT_EQUAL(vmbus_ring_peek(&r, &p), 0);
	test_ring_free(&t);
}

static void
golden_packets(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(golden); i++) {
		golden_in(4096, false, &golden[i]);
		golden_in(4096, true, &golden[i]);
		golden_in(8192, false, &golden[i]);
		golden_in(8192, true, &golden[i]);
	}
}

/* ---- arithmetic ---- */

static void
index_arithmetic(void)
{
	CU_ASSERT_EQUAL(vmbus_ring_advance(4096, 4080, 40), 24);
	CU_ASSERT_EQUAL(vmbus_ring_advance(4096, 4088, 8), 0);
	CU_ASSERT_EQUAL(vmbus_ring_advance(4096, 0, 4096), 0);
	CU_ASSERT_EQUAL(vmbus_ring_used(4096, 4080, 1000), 3080);
	CU_ASSERT_EQUAL(4096 - vmbus_ring_used(4096, 4080, 1000), 1016);
	CU_ASSERT_EQUAL(vmbus_ring_used(4096, 0, 8), 4088);
	CU_ASSERT_EQUAL(vmbus_ring_used(511 * 4096, 8, 511 * 4096 - 8), 16); /* no power of two */
	CU_ASSERT_EQUAL(vmbus_ring_advance(511 * 4096, 511 * 4096 - 8, 24), 16);
}

static void
page_counts(void)
{
	CU_ASSERT_EQUAL(vmbus_gpa_pages(0, 4096), 1);
	CU_ASSERT_EQUAL(vmbus_gpa_pages(1, 4096), 2);
	CU_ASSERT_EQUAL(vmbus_gpa_pages(4095, 1), 1);
	CU_ASSERT_EQUAL(vmbus_gpa_pages(4095, 2), 2);
	CU_ASSERT_EQUAL(vmbus_gpa_pages(0x800, 0x1800), 2);
	CU_ASSERT_EQUAL(vmbus_gpa_pages(4095, UINT32_MAX), 0x100001); /* 64-bit maths */
}

/* R13: writing exactly the free space would make a full ring look empty. */
static void
r13_fill_to_the_last_8_bytes(void)
{
	_Alignas(8) static uint8_t pkt[4096];
	uint32_t at, n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vmbus_ring_writer w;
		struct vmbus_ring_reader r;
		struct vmbus_packet p;
		struct test_ring t;

		REQUIRE(test_ring_heap(&t, sizes[i]));
		at = sizes[i] - 16; /* wraps early */
		test_ring_place(&t, at, at);
		CU_ASSERT_EQUAL(vmbus_ring_writer_init(&w, &t.ring), 0);
		CU_ASSERT_EQUAL(vmbus_ring_reader_init(&r, &t.ring), 0);

		CU_ASSERT_TRUE(vmbus_ring_writer_room(&w, sizes[i] - 16, 0)); /* total D-8 */
		CU_ASSERT_FALSE(vmbus_ring_writer_room(&w, sizes[i] - 8, 0)); /* total D */
		CU_ASSERT_FALSE(vmbus_ring_writer_room(&w, sizes[i] - 16, 8));
		CU_ASSERT_FALSE(vmbus_ring_writer_room(&w, 16, UINT32_MAX));

		/* 24-byte packets, then one that leaves exactly 8 bytes. */
		for (n = 0; vmbus_ring_writer_free(&w) > 64; n++) {
			test_packet(pkt, 16, n);
			CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, 16, 0), 0);
		}
		at = vmbus_ring_writer_free(&w);
		test_packet(pkt, at - 16, n++);
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, at - 8, 0), -EAGAIN);
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, at - 16, 8), -EAGAIN);
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, at - 16, 0), 0);
		CU_ASSERT_EQUAL(vmbus_ring_writer_free(&w), 8);
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, 16, 0), -EAGAIN);
		CU_ASSERT_TRUE(vmbus_ring_writer_publish(&w));

		/* Full, not empty: everything comes out, and only then is there room again. */
		for (at = 0;; at++) {
			int total = vmbus_ring_peek(&r, &p);

			if (total <= 0) {
				CU_ASSERT_EQUAL(total, 0);
				break;
			}
			if (p.trans_id != at)
				CU_ASSERT_EQUAL(p.trans_id, at);
			vmbus_ring_consume(&r, (uint32_t)total);
		}
		CU_ASSERT_EQUAL(at, n);
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, 16, 0), -EAGAIN);
		CU_ASSERT_FALSE(vmbus_ring_reader_publish(&r, false));
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, 16, 0), 0);
		test_ring_free(&t);
	}
}

/* ---- property: mapped once or twice, the bytes are the same ---- */

#define PROPERTY_MAX   1600u /* bytes of packet without trailer */
#define PROPERTY_WRAPS 10u
#define PROPERTY_STEPS 2000000u

struct pair {
	struct test_ring ring[2]; /* mapped once, mapped twice */
	struct vmbus_ring_writer w[2];
	struct vmbus_ring_reader r[2];
	uint64_t sent, received;
	uint32_t at_the_edge; /* packets whose descriptor starts at D-8 */
	uint32_t wraps;
	uint32_t length[4096]; /* of packet i, at i % 4096 */
};

/* Next packet's length; sometimes what brings the packet after it to D-8. */
static uint32_t
property_length(struct pair *p, uint32_t size, uint64_t *rnd)
{
	uint32_t to_edge = size - 8 - p->w[0].next_w;

	if (to_edge >= 24 && to_edge <= PROPERTY_MAX && rnd_below(rnd, 2) == 0)
		return to_edge - VMBUS_TRAILER_SIZE;
	return 16 + rnd_below(rnd, PROPERTY_MAX - 16 + 1);
}

/* @return false when something differs */
static bool
property_send(struct pair *p, uint32_t size, uint64_t *rnd)
{
	_Alignas(8) static uint8_t pkt[PROPERTY_MAX + 8];
	uint32_t len = property_length(p, size, rnd), old = p->w[0].next_w;
	bool signal[2];
	int rc[2], i;

	test_packet(pkt, len, p->sent);
	for (i = 0; i < 2; i++)
		rc[i] = vmbus_ring_write(&p->w[i], pkt, len, 0);
	if (rc[0] == 0) {
		p->at_the_edge += old == size - 8;
		p->wraps += p->w[0].next_w < old;
		p->length[p->sent++ % ARRAY_SIZE(p->length)] = len;
	}
	if (rc[0] != 0 || rnd_below(rnd, 4) == 0) {
		for (i = 0; i < 2; i++)
			signal[i] = vmbus_ring_writer_publish(&p->w[i]);
		if (signal[0] != signal[1])
			return false;
	}
	return rc[0] == rc[1] && (rc[0] == 0 || rc[0] == -EAGAIN) &&
	       p->w[0].next_w == p->w[1].next_w && p->w[0].cached_r == p->w[1].cached_r;
}

static bool
property_receive(struct pair *p, uint32_t size, uint64_t *rnd)
{
	_Alignas(8) static uint8_t want[PROPERTY_MAX + 8], got[PROPERTY_MAX + 8];
	uint32_t budget = 1 + rnd_below(rnd, 32), len;
	struct vmbus_packet desc[2];
	uint64_t trailer;
	int total[2], i;

	while (budget-- > 0) {
		for (i = 0; i < 2; i++)
			total[i] = vmbus_ring_peek(&p->r[i], &desc[i]);
		if (total[0] != total[1] || total[0] < 0)
			return false;
		if (total[0] == 0)
			break;
		len = p->length[p->received % ARRAY_SIZE(p->length)];
		if (desc[0].trans_id != p->received || desc[0].len8 != (len + 7) / 8 ||
			memcmp(&desc[0], &desc[1], sizeof(desc[0])) != 0)
			return false;
		test_packet(want, len, p->received++);
		for (i = 0; i < 2; i++) {
			uint32_t at = p->r[i].next_r;

			vmbus_ring_copy_out(&p->ring[i].ring, at, got, desc[i].len8 * 8u);
			if (memcmp(got, want, desc[i].len8 * 8u) != 0)
				return false;
			vmbus_ring_copy_out(&p->ring[i].ring,
				vmbus_ring_advance(size, at, desc[i].len8 * 8u), &trailer, 8);
			if (trailer != (uint64_t)at << 32)
				return false;
			vmbus_ring_consume(&p->r[i], (uint32_t)total[i]);
		}
	}
	for (i = 0; i < 2; i++)
		if (vmbus_ring_reader_publish(&p->r[i], false))
			return false; /* nobody waits for space */
	return true;
}

static bool
zero(const uint8_t *bytes, size_t n)
{
	while (n > 0)
		if (bytes[--n] != 0)
			return false;
	return true;
}

static void
property_of_size(uint32_t size)
{
	uint64_t rnd = UINT64_C(0x5eed0000) + size;
	uint32_t compared = 0, steps = 0;
	struct pair *p = calloc(1, sizeof(*p));
	bool same = true;
	int i;

	REQUIRE(p != NULL);
	for (i = 0; i < 2; i++) {
		REQUIRE(test_ring_make(&p->ring[i], size, i == 1));
		CU_ASSERT_EQUAL(vmbus_ring_writer_init(&p->w[i], &p->ring[i].ring), 0);
		CU_ASSERT_EQUAL(vmbus_ring_reader_init(&p->r[i], &p->ring[i].ring), 0);
	}
	while (same && (p->wraps < PROPERTY_WRAPS || p->at_the_edge < 3)) {
		same = rnd_below(&rnd, 3) != 0 ? property_send(p, size, &rnd)
					       : property_receive(p, size, &rnd);
		if (++steps == PROPERTY_STEPS)
			same = false; /* nothing moves any more */
		if (same && p->wraps > compared) {
			compared = p->wraps;
			same = memcmp(p->ring[0].ring.data, p->ring[1].ring.data, size) == 0 &&
			       memcmp(p->ring[0].ring.ctl, p->ring[1].ring.ctl, VMBUS_PAGE_SIZE) ==
				       0;
		}
	}
	for (i = 0; i < 2; i++)
		vmbus_ring_writer_publish(&p->w[i]);
	while (same && p->received < p->sent) {
		uint64_t before = p->received;

		same = property_receive(p, size, &rnd) && p->received > before;
	}
	CU_ASSERT_TRUE(same);
	CU_ASSERT_TRUE(p->wraps >= PROPERTY_WRAPS);
	CU_ASSERT_TRUE(p->at_the_edge >= 3);
	CU_ASSERT_EQUAL(p->received, p->sent);
	/* Reserved fields of the control page: write nothing (§1). */
	CU_ASSERT_TRUE(zero((uint8_t *)p->ring[0].ring.ctl + 16, 48));
	CU_ASSERT_TRUE(zero((uint8_t *)p->ring[0].ring.ctl + 68, VMBUS_PAGE_SIZE - 68));
	for (i = 0; i < 2; i++)
		test_ring_free(&p->ring[i]);
	free(p);
}

static void
property_mapped_once_or_twice(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		property_of_size(sizes[i]);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden packets A to E", golden_packets},
		{"index arithmetic", index_arithmetic},
		{"page counts", page_counts},
		{"R13 fill to the last 8 bytes", r13_fill_to_the_last_8_bytes},
		{"property: mapped once or twice", property_mapped_once_or_twice},
	};

	return UNIT_RUN("vmbus_ring", tests);
}
