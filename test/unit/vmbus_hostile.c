/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A peer that breaks the ring (spec/vmbus-ring.md §12): each row from both ends. Corrupt means
 * -EIO now and for ever, nothing stored, nothing touched outside the ring (run under
 * AddressSanitizer: heap rings have exact redzones).
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "test/unit/vmbus_fixture.h"

#define SIZE	   4096u
#define PATIENCE_S 60 /* on a busy machine */

static uint32_t
ends_send(struct ends *e, uint32_t max)
{
	uint32_t n = ends_write(e, max);

	vmbus_ring_writer_publish(&e->w);
	return n;
}

/* The reader refuses everything, now and after the peer has repaired the ring. */
static void
reader_is_dead(struct ends *e)
{
	struct vmbus_packet p;
	uint32_t r, mask;
	int i;

	test_ring_place(&e->t, e->r.published_r, e->r.published_r);
	for (i = 0; i < 2; i++) {
		r = atomic_load(&e->t.ring.ctl->read_index);
		mask = atomic_load(&e->t.ring.ctl->interrupt_mask);
		CU_ASSERT_EQUAL(vmbus_ring_peek(&e->r, &p), -EIO);
		vmbus_ring_consume(&e->r, 8);
		CU_ASSERT_FALSE(vmbus_ring_reader_publish(&e->r, false));
		CU_ASSERT_TRUE(vmbus_ring_reader_unmask(&e->r)); /* never sleep on it */
		CU_ASSERT_EQUAL(atomic_load(&e->t.ring.ctl->read_index), r);
		CU_ASSERT_EQUAL(atomic_load(&e->t.ring.ctl->interrupt_mask), mask);
		CU_ASSERT_TRUE(e->r.corrupt);
	}
}

static void
writer_is_dead(struct ends *e)
{
	uint32_t before = e->w.published_w, i;
	uint8_t *copy = malloc(SIZE);

	REQUIRE(copy != NULL);
	memcpy(copy, e->t.ring.data, SIZE);
	test_ring_place(&e->t, before, before); /* repaired, and even empty */
	for (i = 0; i < 2; i++) {
		CU_ASSERT_FALSE(vmbus_ring_writer_room(&e->w, 16, 0));
		CU_ASSERT_EQUAL(vmbus_ring_write(&e->w, e->pkt, 16, 0), -EIO);
		CU_ASSERT_FALSE(vmbus_ring_writer_publish(&e->w));
		CU_ASSERT_TRUE(vmbus_ring_writer_wait_room(&e->w, 64)); /* never sleep on it */
		CU_ASSERT_EQUAL(atomic_load(&e->t.ring.ctl->write_index), before);
		CU_ASSERT_EQUAL(atomic_load(&e->t.ring.ctl->pending_send_sz), 0);
		CU_ASSERT_EQUAL(memcmp(copy, e->t.ring.data, SIZE), 0);
		CU_ASSERT_TRUE(e->w.corrupt);
	}
	free(copy);
}

/* ---- indices ---- */

static const uint32_t bad_index[] = {
	SIZE, SIZE + 8, 1, 4, 7, SIZE - 1, SIZE - 4, 0x80000000u, UINT32_MAX, UINT32_MAX - 7};

static void
reader_refuses_bad_write_index(void)
{
	struct vmbus_packet p;
	struct ends e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_index); i++) {
		/* Found by peek. */
		REQUIRE(ends_open(&e, SIZE, 0));
		atomic_store(&e.t.ring.ctl->write_index, bad_index[i]);
		CU_ASSERT_EQUAL(vmbus_ring_peek(&e.r, &p), -EIO);
		reader_is_dead(&e);
		test_ring_free(&e.t);

		/* Found by the space check: no signal comes of it. */
		REQUIRE(ends_open(&e, SIZE, 0));
		CU_ASSERT_EQUAL(ends_send(&e, UINT32_MAX), SIZE / END_PACKET - 1);
		CU_ASSERT_FALSE(vmbus_ring_writer_wait_room(&e.w, END_PACKET));
		CU_ASSERT_EQUAL(ends_read(&e, 1), 1);
		atomic_store(&e.t.ring.ctl->write_index, bad_index[i]);
		CU_ASSERT_FALSE(vmbus_ring_reader_publish(&e.r, false));
		reader_is_dead(&e);
		test_ring_free(&e.t);

		/* Found going to sleep: go on polling, then the peek says it. */
		REQUIRE(ends_open(&e, SIZE, 0));
		atomic_store(&e.t.ring.ctl->write_index, bad_index[i]);
		CU_ASSERT_TRUE(vmbus_ring_reader_unmask(&e.r));
		CU_ASSERT_EQUAL(vmbus_ring_peek(&e.r, &p), -EIO);
		reader_is_dead(&e);
		test_ring_free(&e.t);
	}
}

/* Old packets everywhere, so that only the index check can tell. */
static void
fill_with_good_packets(struct ends *e, uint32_t at)
{
	uint32_t i;

	for (i = 0; i < SIZE / END_PACKET; i++) {
		vmbus_ring_copy_in(&e->t.ring, at, e->pkt, sizeof(e->pkt));
		at = vmbus_ring_advance(SIZE, at, END_PACKET);
	}
}

/* The step back is refused wherever the wrap lies, also into what was read but not yet given back.
 */
static void
reader_refuses_write_index_going_backwards(void)
{
	static const uint32_t start[] = {0, 1024, SIZE - 3 * END_PACKET, SIZE - 8};
	struct vmbus_packet p;
	uint32_t back, read;
	struct ends e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(start); i++)
		for (back = 1; back <= 6; back++)
			for (read = 0; read <= 6; read += 3) {
				REQUIRE(ends_open(&e, SIZE, start[i]));
				fill_with_good_packets(&e, start[i]);
				CU_ASSERT_EQUAL(ends_send(&e, 6), 6);
				CU_ASSERT_TRUE(vmbus_ring_peek(&e.r, &p) > 0); /* w seen */
				CU_ASSERT_EQUAL(ends_read(&e, read), read);
				atomic_store(&e.t.ring.ctl->write_index,
					vmbus_ring_advance(
						SIZE, start[i], (6 - back) * END_PACKET));
				/* What was seen already is served, then it comes out. */
				CU_ASSERT_EQUAL(ends_read(&e, 99), 6 - read);
				CU_ASSERT_EQUAL(vmbus_ring_peek(&e.r, &p), -EIO);
				reader_is_dead(&e);
				test_ring_free(&e.t);
			}
}

static void
writer_refuses_bad_read_index(void)
{
	struct ends e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_index); i++) {
		/* Found looking for room. */
		REQUIRE(ends_open(&e, SIZE, 0));
		CU_ASSERT_EQUAL(ends_send(&e, UINT32_MAX), SIZE / END_PACKET - 1);
		atomic_store(&e.t.ring.ctl->read_index, bad_index[i]);
		CU_ASSERT_EQUAL(vmbus_ring_write(&e.w, e.pkt, sizeof(e.pkt), 0), -EIO);
		writer_is_dead(&e);
		test_ring_free(&e.t);

		/* Found publishing, with plenty of cached room: still the end of it. */
		REQUIRE(ends_open(&e, SIZE, 0));
		CU_ASSERT_EQUAL(vmbus_ring_write(&e.w, e.pkt, sizeof(e.pkt), 0), 0);
		atomic_store(&e.t.ring.ctl->read_index, bad_index[i]);
		CU_ASSERT_FALSE(vmbus_ring_writer_publish(&e.w));
		CU_ASSERT_TRUE(vmbus_ring_writer_free(&e.w) > 1024);
		writer_is_dead(&e);
		test_ring_free(&e.t);

		/* Found going to wait: no wait, no request left behind. */
		REQUIRE(ends_open(&e, SIZE, 0));
		CU_ASSERT_EQUAL(ends_send(&e, UINT32_MAX), SIZE / END_PACKET - 1);
		atomic_store(&e.t.ring.ctl->read_index, bad_index[i]);
		CU_ASSERT_TRUE(vmbus_ring_writer_wait_room(&e.w, END_PACKET));
		writer_is_dead(&e);
		test_ring_free(&e.t);
	}
}

/* A read index beyond w, or behind what was seen, would make or unmake free space. */
static void
writer_refuses_read_index_outside_what_it_published(void)
{
	static const uint32_t start[] = {0, 1024, SIZE - 3 * END_PACKET, SIZE - 8};
	struct ends e;
	size_t i;
	int32_t step;

	for (i = 0; i < ARRAY_SIZE(start); i++)
		for (step = -4; step <= 12; step++) {
			uint32_t back = step < 0 ? (uint32_t)-step * END_PACKET : 0;
			uint32_t from = vmbus_ring_advance(SIZE, start[i], SIZE - back);
			bool bad = step < 3 || step > 8;

			REQUIRE(ends_open(&e, SIZE, start[i]));
			CU_ASSERT_EQUAL(ends_send(&e, 8), 8);
			CU_ASSERT_EQUAL(ends_read(&e, 3), 3);
			vmbus_ring_reader_publish(&e.r, false);
			CU_ASSERT_TRUE(vmbus_ring_writer_refresh(&e.w));
			atomic_store(&e.t.ring.ctl->read_index,
				step < 0 ? from
					 : vmbus_ring_advance(
						   SIZE, start[i], (uint32_t)step * END_PACKET));
			/* More than the cached room, so that it looks. */
			CU_ASSERT_EQUAL(
				vmbus_ring_writer_room(&e.w, SIZE - 16, 0), !bad && step == 8);
			CU_ASSERT_EQUAL(e.w.corrupt, bad);
			if (bad)
				writer_is_dead(&e);
			test_ring_free(&e.t);
		}
}

/* ---- descriptors ---- */

static void
reader_refuses_bad_descriptor(void)
{
	/* The ring holds 64 bytes: at most 7 words of packet and the trailer. */
	static const struct {
		uint16_t offset8, len8;
		bool ok;
	} row[] = {
		{2, 7, true},
		{7, 7, true},
		{2, 2, true},
		{0, 7, false},
		{1, 7, false},
		{3, 2, false},
		{8, 7, false},
		{0xffff, 7, false},
		{2, 8, false}, /* packet fits, its trailer does not */
		{2, 9, false},
		{2, 0, false},
		{0, 0, false},
		{2, 1, false},
		{2, SIZE / 8, false},
		{2, 0xffff, false},
		{0xffff, 0xffff, false},
	};
	static const uint32_t at[] = {0, SIZE - 8, SIZE - 16, SIZE - 64};
	struct vmbus_packet p;
	struct ends e;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(row); i++)
		for (j = 0; j < ARRAY_SIZE(at); j++) {
			REQUIRE(ends_open(&e, SIZE, at[j]));
			CU_ASSERT_EQUAL(ends_send(&e, 1), 1);
			vmbus_ring_copy_in(&e.t.ring, at[j] + 2, &row[i].offset8, 2);
			vmbus_ring_copy_in(&e.t.ring, at[j] + 4, &row[i].len8, 2);
			if (row[i].ok) {
				CU_ASSERT_EQUAL(vmbus_ring_peek(&e.r, &p), row[i].len8 * 8 + 8);
				CU_ASSERT_EQUAL(p.offset8, row[i].offset8);
			} else {
				CU_ASSERT_EQUAL(vmbus_ring_peek(&e.r, &p), -EIO);
				vmbus_ring_copy_in(&e.t.ring, at[j], e.pkt, 16);
				reader_is_dead(&e);
			}
			test_ring_free(&e.t);
		}
}

static void
reader_refuses_less_than_a_packet(void)
{
	struct vmbus_packet p;
	struct ends e;
	uint32_t used;

	for (used = 8; used <= 24; used += 8) {
		REQUIRE(ends_open(&e, SIZE, SIZE - 8));
		CU_ASSERT_EQUAL(vmbus_ring_write(&e.w, e.pkt, 16, 0), 0);
		vmbus_packet_init(&p, VMBUS_PACKET_INBAND, 16, 16, 0, 7);
		vmbus_ring_copy_in(&e.t.ring, SIZE - 8, &p, sizeof(p));
		atomic_store(&e.t.ring.ctl->write_index, vmbus_ring_advance(SIZE, SIZE - 8, used));
		CU_ASSERT_EQUAL(vmbus_ring_peek(&e.r, &p), used == 24 ? 24 : -EIO);
		if (used < 24)
			reader_is_dead(&e);
		test_ring_free(&e.t);
	}
}

/* ---- opening ---- */

static void
open_refuses_bad_indices_and_geometry(void)
{
	struct vmbus_ring_writer w;
	struct vmbus_ring_reader r;
	struct vmbus_packet p;
	struct vmbus_ring bad;
	struct test_ring t;
	uint8_t pkt[16] = {0};
	size_t i;

	REQUIRE(test_ring_heap(&t, SIZE));
	for (i = 0; i < 2 * ARRAY_SIZE(bad_index); i++) {
		uint32_t b = bad_index[i / 2];

		test_ring_place(&t, i & 1 ? b : 0, i & 1 ? 0 : b);
		atomic_store(&t.ring.ctl->pending_send_sz, 64);
		CU_ASSERT_EQUAL(vmbus_ring_writer_init(&w, &t.ring), -EIO);
		CU_ASSERT_EQUAL(vmbus_ring_reader_init(&r, &t.ring), -EIO);
		CU_ASSERT_EQUAL(atomic_load(&t.ring.ctl->pending_send_sz), 64);
		/* A caller that ignores the error gets no further. */
		CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, sizeof(pkt), 0), -EIO);
		CU_ASSERT_EQUAL(vmbus_ring_peek(&r, &p), -EIO);
	}
	test_ring_place(&t, 0, 0);
	for (i = 0; i < 6; i++) {
		bad = t.ring;
		if (i == 0)
			bad.ctl = NULL;
		else if (i == 1)
			bad.data = NULL;
		else
			bad.size = (const uint32_t[]){
				0, SIZE - 8, SIZE + 4, VMBUS_RING_DATA_MAX + 8}[i - 2];
		CU_ASSERT_EQUAL(vmbus_ring_writer_init(&w, &bad), -EINVAL);
		CU_ASSERT_EQUAL(vmbus_ring_reader_init(&r, &bad), -EINVAL);
	}
	CU_ASSERT_EQUAL(vmbus_ring_writer_init(&w, &t.ring), 0);
	CU_ASSERT_EQUAL(vmbus_ring_reader_init(&r, &t.ring), 0);
	test_ring_free(&t);
}

/* ---- values that are legal however odd ---- */

static void
any_pending_and_any_mask_are_legal(void)
{
	static const uint32_t odd[] = {1, 7, SIZE - 1, SIZE, 0x80000000u, UINT32_MAX};
	struct ends e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		REQUIRE(ends_open(&e, SIZE, 512));
		atomic_store(&e.t.ring.ctl->pending_send_sz, odd[i]);
		atomic_store(&e.t.ring.ctl->interrupt_mask, odd[i]);
		atomic_store(&e.t.ring.ctl->feature_bits, odd[i]);
		CU_ASSERT_EQUAL(vmbus_ring_write(&e.w, e.pkt, sizeof(e.pkt), 0), 0);
		CU_ASSERT_FALSE(vmbus_ring_writer_publish(&e.w)); /* non-zero is masked */
		CU_ASSERT_EQUAL(ends_read(&e, 9), 1);
		/* From 64 used to empty: only a wish in [D-64, D) is newly met. */
		CU_ASSERT_EQUAL(vmbus_ring_reader_publish(&e.r, false), odd[i] == SIZE - 1);
		CU_ASSERT_FALSE(e.r.corrupt || e.w.corrupt);
		test_ring_free(&e.t);
	}
}

/* ---- random damage ---- */

static void
random_damage_never_leaves_the_ring(void)
{
	uint64_t rnd = UINT64_C(0xbadc0de5);
	uint32_t i, dead = 0, packets = 0;
	uint8_t *out = malloc(SIZE);
	struct vmbus_packet p;
	struct ends e;
	int total;

	REQUIRE(out != NULL && ends_open(&e, SIZE, 0));
	for (i = 0; i < 200000; i++) {
		uint32_t value = rnd_below(&rnd, 3) ? rnd_below(&rnd, SIZE + 64) & ~7u
						    : (uint32_t)rnd_next(&rnd);

		switch (rnd_below(&rnd, 8)) {
		case 0:
			atomic_store(&e.t.ring.ctl->write_index, value);
			break;
		case 1:
			atomic_store(&e.t.ring.ctl->read_index, value);
			break;
		case 2:
			atomic_store(&e.t.ring.ctl->pending_send_sz, value);
			atomic_store(&e.t.ring.ctl->interrupt_mask, value & 3);
			break;
		case 3:
			memcpy(e.t.ring.data + rnd_below(&rnd, SIZE / 4) * 4, &value, 4);
			break;
		case 4:
			vmbus_ring_write(&e.w, e.pkt, 16 + rnd_below(&rnd, 41), value & 63);
			vmbus_ring_writer_publish(&e.w);
			break;
		default:
			total = vmbus_ring_peek(&e.r, &p);
			if (total > 0) {
				if (total < 24 || total > (int)SIZE - 8 || total != p.len8 * 8 + 8)
					CU_FAIL("a length outside the ring");
				vmbus_ring_copy_out(&e.t.ring, e.r.next_r, out, (uint32_t)total);
				vmbus_ring_consume(&e.r, (uint32_t)total);
				packets++;
			}
			vmbus_ring_reader_publish(&e.r, value & 1);
		}
		if (e.w.next_w >= SIZE || e.r.next_r >= SIZE)
			CU_FAIL("a private index outside the ring");
		if (!e.r.corrupt && !e.w.corrupt)
			continue;
		dead++;
		value = rnd_below(&rnd, SIZE) & ~7u;
		test_ring_place(&e.t, value, value);
		CU_ASSERT_EQUAL(vmbus_ring_writer_init(&e.w, &e.t.ring), 0);
		CU_ASSERT_EQUAL(vmbus_ring_reader_init(&e.r, &e.t.ring), 0);
	}
	CU_ASSERT_TRUE(dead > 1000);
	CU_ASSERT_TRUE(packets > 1000);
	test_ring_free(&e.t);
	free(out);
}

/* ---- values that change between check and use ---- */

struct mutator {
	uint8_t *alias; /* the same ring at another address, as a peer has it */
	_Atomic bool stop;
};

static void *
mutate(void *arg)
{
	volatile uint16_t *len8, *offset8;
	struct mutator *m = arg;
	uint64_t rnd = 77;

	offset8 = (volatile uint16_t *)(m->alias + VMBUS_PAGE_SIZE + 2);
	len8 = (volatile uint16_t *)(m->alias + VMBUS_PAGE_SIZE + 4);
	while (!atomic_load(&m->stop)) {
		*len8 = (uint16_t)rnd_next(&rnd);
		*offset8 = 0;
		*len8 = 7;
		*offset8 = 2;
	}
	return NULL;
}

/* What is returned agrees with the copy that was validated, whatever the memory says by now. */
static void
descriptor_changing_under_the_reader(void)
{
	struct mutator m = {0};
	struct vmbus_ring_writer w;
	struct vmbus_ring_reader r;
	struct vmbus_packet p;
	uint32_t i, good = 0, wrong = 0;
	_Alignas(8) uint8_t pkt[56];
	struct test_ring t;
	pthread_t thread;
	time_t until;

	REQUIRE(test_ring_mirrored(&t, SIZE));
	test_packet(pkt, sizeof(pkt), 3);
	CU_ASSERT_EQUAL(vmbus_ring_writer_init(&w, &t.ring), 0);
	CU_ASSERT_EQUAL(vmbus_ring_write(&w, pkt, sizeof(pkt), 0), 0);
	vmbus_ring_writer_publish(&w);
	m.alias = mmap(NULL, VMBUS_PAGE_SIZE + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
	REQUIRE(m.alias != MAP_FAILED);
	REQUIRE(pthread_create(&thread, NULL, mutate, &m) == 0);
	/* For as long the other thread may not be scheduled, in the middle of what it writes. */
	until = time(NULL) + PATIENCE_S;
	for (i = 0; i < 300000 || (good == 0 && time(NULL) < until); i++) {
		int total;

		if (i % 1024 == 0)
			sched_yield();
		vmbus_ring_reader_init(&r, &t.ring);
		total = vmbus_ring_peek(&r, &p);
		if (total > 0) {
			good++;
			wrong += total != p.len8 * 8 + 8 || total > (int)END_PACKET ||
				 p.offset8 < 2 || p.len8 < p.offset8;
		} else {
			wrong += total != -EIO || !r.corrupt;
		}
	}
	atomic_store(&m.stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(good > 0);
	munmap(m.alias, VMBUS_PAGE_SIZE + SIZE);
	test_ring_free(&t);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"reader: bad write index", reader_refuses_bad_write_index},
		{"reader: write index going backwards", reader_refuses_write_index_going_backwards},
		{"reader: bad descriptor", reader_refuses_bad_descriptor},
		{"reader: less than a packet", reader_refuses_less_than_a_packet},
		{"reader: descriptor changing", descriptor_changing_under_the_reader},
		{"writer: bad read index", writer_refuses_bad_read_index},
		{"writer: read index outside", writer_refuses_read_index_outside_what_it_published},
		{"open: bad indices and geometry", open_refuses_bad_indices_and_geometry},
		{"any pending and any mask", any_pending_and_any_mask_are_legal},
		{"random damage", random_damage_never_leaves_the_ring},
	};

	return UNIT_RUN("vmbus_hostile", tests);
}
