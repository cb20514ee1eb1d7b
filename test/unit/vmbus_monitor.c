/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Layouts of lib/vmbus, the monitor page, the interrupt page and GUIDs, against the tables of
 * spec/vmbus-ring.md §16 and spec/linux-uio-vmbus.md §14.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "lib/vmbus/guid.h"
#include "lib/vmbus/monitor.h"
#include "test/unit/vmbus_fixture.h"

static uint8_t *
new_page(void)
{
	uint8_t *page = aligned_alloc(VMBUS_PAGE_SIZE, VMBUS_PAGE_SIZE);

	if (page != NULL)
		memset(page, 0, VMBUS_PAGE_SIZE);
	return page;
}

/* All bytes zero but those of the 32-bit word at @p at, which is @p word. */
static bool
only_word(const uint8_t *page, size_t at, uint32_t word)
{
	size_t i;

	for (i = 0; i < VMBUS_PAGE_SIZE; i++) {
		uint8_t want = i >= at && i < at + 4 ? (uint8_t)(word >> (8 * (i - at))) : 0;

		if (page[i] != want)
			return false;
	}
	return true;
}

static void
layout_of_packets_and_control_page(void)
{
	CU_ASSERT_EQUAL(offsetof(struct vmbus_packet, type), 0);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_packet, offset8), 2);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_packet, len8), 4);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_packet, flags), 6);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_packet, trans_id), 8);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_xfer_header, range_count), 4);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_xfer_range, byte_count), 0);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_gpa_header, range_count), 4);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_gpa_range, byte_count), 0);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_gpa_range, byte_offset), 4);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_gpa_range, pfn), 8);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_ring_control, write_index), 0);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_ring_control, read_index), 4);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_ring_control, interrupt_mask), 8);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_ring_control, pending_send_sz), 12);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_ring_control, feature_bits), 64);
}

static void
sizes_on_the_ring(void)
{
	static const uint32_t page_pfns[] = {1, 2, 32};
	size_t i;

	/* spec/vmbus-ring.md §4: 40-byte NVSP payload. */
	CU_ASSERT_EQUAL(vmbus_packet_ring_size(16 + 40), 64);
	CU_ASSERT_EQUAL(vmbus_packet_ring_size(16 + 28), 56);
	CU_ASSERT_EQUAL(vmbus_packet_ring_size(16 + 8), 32);
	for (i = 0; i < ARRAY_SIZE(page_pfns); i++) {
		uint32_t k = page_pfns[i];

		CU_ASSERT_EQUAL(vmbus_packet_ring_size(24 + 8 * k + 40), 72 + 8 * k);
		CU_ASSERT_EQUAL(vmbus_packet_ring_size(24 + 16 * k + 40), 72 + 16 * k);
		CU_ASSERT_EQUAL(vmbus_packet_ring_size(24 + 8 + 8 * k + 40), 80 + 8 * k);
	}
}

static void
monitor_bit_of_each_id(void)
{
	static const struct {
		unsigned int id;
		size_t at;
		uint32_t word;
	} row[] = {
		{0, 0x08, 0x1},
		{37, 0x10, 0x20},
		{45, 0x10, 0x2000},
		{64, 0x18, 0x1},
		{127, 0x20, 0x80000000},
	};
	uint8_t *page = new_page();
	struct vmbus_monitor_page *mon = (struct vmbus_monitor_page *)page;
	size_t i;

	REQUIRE(page != NULL);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		vmbus_monitor_signal(mon, row[i].id);
		vmbus_monitor_signal(mon, row[i].id); /* setting it twice is one signal */
		CU_ASSERT_TRUE(only_word(page, row[i].at, row[i].word));
		CU_ASSERT_EQUAL(vmbus_monitor_take(mon, row[i].id / 32), row[i].word);
		CU_ASSERT_EQUAL(vmbus_monitor_take(mon, row[i].id / 32), 0);
		CU_ASSERT_TRUE(only_word(page, 0, 0));
	}
	/* Other bits of the group belong to other devices and stay. */
	vmbus_monitor_signal(mon, 33);
	vmbus_monitor_signal(mon, 37);
	vmbus_monitor_signal(mon, 70);
	CU_ASSERT_EQUAL(vmbus_monitor_take(mon, 0), 0);
	CU_ASSERT_EQUAL(vmbus_monitor_take(mon, 1), 0x22);
	CU_ASSERT_EQUAL(vmbus_monitor_take(mon, 2), 0x40);
	free(page);
}

static void
monitor_offsets_of_id_37(void)
{
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, next_checktime[37]), 0xd4);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, latency[37]), 0x28a);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, parameter[37]), 0x568);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, latency[45]), 0x29a);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, latency[127]), 0x33e);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, group[1].armed), 0x14);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, parameter[1].connection_id), 0x448);
	CU_ASSERT_EQUAL(offsetof(struct vmbus_monitor_page, parameter[1].flag_number), 0x44c);
}

static void
monitor_latency_is_in_100_ns(void)
{
	uint8_t *page = new_page();
	struct vmbus_monitor_page *mon = (struct vmbus_monitor_page *)page;

	REQUIRE(page != NULL);
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, 37, 50000), 0);
	CU_ASSERT_TRUE(only_word(page, 0x288, 0x01f4u << 16)); /* u16 at 0x28a */
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, 37, 0), 0);
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, 127, 6553500), 0);
	CU_ASSERT_TRUE(only_word(page, 0x33c, 0xffffu << 16));
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, 127, 6553501), -ERANGE);
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, 127, UINT32_MAX), -ERANGE);
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, 128, 100), -ERANGE);
	CU_ASSERT_EQUAL(vmbus_monitor_set_latency(mon, VMBUS_MONITOR_NONE, 100), -ERANGE);
	CU_ASSERT_TRUE(only_word(page, 0x33c, 0xffffu << 16)); /* refused means untouched */
	free(page);
}

/* ---- R15 ---- */

#define SETTERS	      2
#define SETTER_ROUNDS 20000

struct setters {
	struct vmbus_monitor_page *mon;
	pthread_barrier_t barrier;
	_Atomic unsigned int index;
	unsigned int lost;
};

/* Each thread sets its own 16 bits of group 3; afterwards all 32 must be there. */
static void *
setter(void *arg)
{
	struct setters *s = arg;
	unsigned int me = atomic_fetch_add(&s->index, 1), round, bit;

	for (round = 0; round < SETTER_ROUNDS; round++) {
		pthread_barrier_wait(&s->barrier);
		for (bit = 0; bit < 32 / SETTERS; bit++)
			vmbus_monitor_signal(s->mon, 96 + bit * SETTERS + me);
		pthread_barrier_wait(&s->barrier);
		if (me == 0 && vmbus_monitor_take(s->mon, 3) != UINT32_MAX)
			s->lost++;
	}
	return NULL;
}

static void
r15_disjoint_bits_are_never_lost(void)
{
	struct setters s = {.mon = (struct vmbus_monitor_page *)new_page()};
	pthread_t thread;

	REQUIRE(s.mon != NULL);
	REQUIRE(pthread_barrier_init(&s.barrier, NULL, SETTERS) == 0);
	REQUIRE(pthread_create(&thread, NULL, setter, &s) == 0);
	setter(&s);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(s.lost, 0);
	pthread_barrier_destroy(&s.barrier);
	free(s.mon);
}

struct taker {
	struct vmbus_monitor_page *mon;
	_Atomic uint32_t seen[2]; /* signals the host took, per setter */
	_Atomic bool stop;
	uint32_t foreign;
};

static void *
host_takes(void *arg)
{
	struct taker *t = arg;

	while (!atomic_load(&t->stop)) {
		uint32_t bits = vmbus_monitor_take(t->mon, 0);

		if (bits & 1)
			atomic_fetch_add(&t->seen[0], 1);
		if (bits & 2)
			atomic_fetch_add(&t->seen[1], 1);
		t->foreign |= bits & ~3u;
		if (bits == 0)
			sched_yield();
	}
	return NULL;
}

/* Taking must not swallow a bit set meanwhile: a signal is seen before the next one is set. */
static void
r15_host_takes_while_guests_set(void)
{
	struct taker t = {.mon = (struct vmbus_monitor_page *)new_page()};
	uint32_t round, id, missing = 0;
	time_t deadline, over = time(NULL) + 5;
	pthread_t thread;

	REQUIRE(t.mon != NULL);
	REQUIRE(pthread_create(&thread, NULL, host_takes, &t) == 0);
	/* Fewer where others have the processors. */
	for (round = 1; round <= 20000 && missing == 0 && time(NULL) <= over; round++) {
		vmbus_monitor_signal(t.mon, 0);
		vmbus_monitor_signal(t.mon, 1);
		deadline = time(NULL) + 10;
		for (id = 0; id < 2; id++)
			while (atomic_load(&t.seen[id]) != round && missing == 0) {
				sched_yield();
				if (time(NULL) > deadline)
					missing = round;
			}
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(t.foreign, 0);
	CU_ASSERT(round > 1);
	CU_ASSERT_EQUAL(atomic_load(&t.seen[0]), round - 1);
	CU_ASSERT_EQUAL(atomic_load(&t.seen[1]), round - 1);
	free(t.mon);
}

static void
interrupt_page_bit_of_each_relid(void)
{
	static const struct {
		unsigned int relid;
		size_t at;
		uint32_t word;
	} row[] = {
		{1, 0x800, 0x2},
		{19, 0x800, 0x80000},
		{21, 0x800, 0x200000},
		{32, 0x804, 0x1},
		{2047, 0x8fc, 0x80000000},
	};
	uint8_t *page = new_page();
	size_t i;

	REQUIRE(page != NULL);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		memset(page, 0, VMBUS_PAGE_SIZE);
		vmbus_int_page_signal(page, row[i].relid);
		CU_ASSERT_TRUE(only_word(page, row[i].at, row[i].word));
	}
	memset(page, 0, VMBUS_PAGE_SIZE);
	vmbus_int_page_signal(page, 19);
	CU_ASSERT_EQUAL(page[2050], 1u << 3);
	free(page);
}

/* ---- GUIDs ---- */

static void
guid_in_memory_order(void)
{
	static const struct {
		const char *text, *memory;
	} row[] = {
		{VMBUS_NIC_CLASS, "635161f83edfc546913ff2d2f965ed0e"},
		{"000d3a11-2233-000d-3a11-2233000d3a11", "113a0d0033220d003a112233000d3a11"},
		{"00112233-4455-6677-8899-aabbccddeeff", "33221100554477668899aabbccddeeff"},
	};
	char text[VMBUS_GUID_LEN + 1];
	uint8_t guid[16], want[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		CU_ASSERT_EQUAL(unhex(row[i].memory, want, sizeof(want)), 16);
		memset(guid, 0x5a, sizeof(guid));
		CU_ASSERT_EQUAL(vmbus_guid_parse(row[i].text, guid), 0);
		CU_ASSERT_EQUAL(memcmp(guid, want, 16), 0);
		memset(text, 'x', sizeof(text));
		vmbus_guid_format(want, text);
		CU_ASSERT_STRING_EQUAL(text, row[i].text);
	}
	CU_ASSERT_EQUAL(unhex(row[0].memory, want, sizeof(want)), 16);
	CU_ASSERT_EQUAL(memcmp(vmbus_nic_class, want, 16), 0);
	CU_ASSERT_EQUAL(vmbus_guid_parse("F8615163-DF3E-46c5-913F-F2D2F965ED0E", guid), 0);
	CU_ASSERT_EQUAL(memcmp(guid, vmbus_nic_class, 16), 0);
}

static void
guid_refused(void)
{
	static const char *const bad[] = {
		"",
		"f",
		"f8615163",
		"f8615163-",
		"f8615163-df3e-46c5-913f-f2d2f965ed0",	 /* 35 characters */
		"f8615163-df3e-46c5-913f-f2d2f965ed0e ", /* trailing text */
		"f8615163-df3e-46c5-913f-f2d2f965ed0e0",
		"{f8615163-df3e-46c5-913f-f2d2f965ed0e", /* unclosed brace */
		"{f8615163-df3e-46c5-913f-f2d2f965ed0e}",
		"f8615163df3e-46c5-913f-f2d2f965ed0e0a",
		"f8615163-df3e-46c5-913f_f2d2f965ed0e",
		"f861516g-df3e-46c5-913f-f2d2f965ed0e",
		"f861516--df3e-46c5-913f-f2d2f965ed0e",
		" f8615163-df3e-46c5-913f-f2d2f965ed0e",
		"f8615163-df3e-46c5-913f-f2d2f965ed\377e",
		"0xf86151-df3e-46c5-913f-f2d2f965ed0e",
	};
	uint8_t guid[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* An exact copy, so that a read beyond the NUL is seen by AddressSanitizer. */
		char *text = strdup(bad[i]);

		REQUIRE(text != NULL);
		CU_ASSERT_EQUAL(vmbus_guid_parse(text, guid), -EINVAL);
		free(text);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"layout of packets and control page", layout_of_packets_and_control_page},
		{"sizes on the ring", sizes_on_the_ring},
		{"monitor bit of each id", monitor_bit_of_each_id},
		{"monitor offsets", monitor_offsets_of_id_37},
		{"monitor latency in 100 ns", monitor_latency_is_in_100_ns},
		{"R15 disjoint bits are never lost", r15_disjoint_bits_are_never_lost},
		{"R15 host takes while guests set", r15_host_takes_while_guests_set},
		{"interrupt page bit of each relid", interrupt_page_bit_of_each_relid},
		{"GUID in memory order", guid_in_memory_order},
		{"GUID refused", guid_refused},
	};

	return UNIT_RUN("vmbus_monitor", tests);
}
