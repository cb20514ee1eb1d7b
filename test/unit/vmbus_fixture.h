/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Rings, random numbers and golden bytes for the tests of lib/vmbus. Each test owns the ring it
 * makes and frees it; nothing here is shared between threads but the ring memory itself.
 */
#ifndef HP_TEST_VMBUS_FIXTURE_H
#define HP_TEST_VMBUS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vmbus/ring.h"
#include "lib/vmbus/ring_map.h"
#include "test/unit/unit.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/** A test that cannot go on ends here; CUnit counts the failure. */
#define REQUIRE(cond)                                                                              \
	do {                                                                                       \
		bool require_ok = (cond);                                                          \
                                                                                                   \
		CU_ASSERT_TRUE(require_ok);                                                        \
		if (!require_ok)                                                                   \
			return;                                                                    \
	} while (0)

/** xorshift64: the same seed gives the same test on every machine. */
static inline uint64_t
rnd_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint32_t
rnd_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((rnd_next(state) >> 32) % n);
}

/** A ring and what backs it: heap (redzones around the data) or a memfd mapped twice. */
struct test_ring {
	struct vmbus_ring ring;
	int fd; /**< -1: heap */
};

/**
 * Mapped once. Control page and data are separate exact-size heap blocks, so that AddressSanitizer
 * sees the first byte beyond either.
 */
static inline bool
test_ring_heap(struct test_ring *t, uint32_t size)
{
	t->fd = -1;
	t->ring.ctl = calloc(1, VMBUS_PAGE_SIZE);
	t->ring.data = calloc(1, size);
	t->ring.size = size;
	t->ring.mirrored = false;
	return t->ring.ctl != NULL && t->ring.data != NULL;
}

/** Data area mapped twice back to back. */
static inline bool
test_ring_mirrored(struct test_ring *t, uint32_t size)
{
	memset(t, 0, sizeof(*t));
	t->fd = memfd_create("ring", MFD_CLOEXEC);
	if (t->fd < 0)
		return false;
	if (ftruncate(t->fd, (off_t)VMBUS_PAGE_SIZE + size) != 0 ||
		vmbus_ring_map(t->fd, 0, (uint64_t)VMBUS_PAGE_SIZE + size, VMBUS_PAGE_SIZE,
			&t->ring) != 0) {
		close(t->fd);
		return false;
	}
	return true;
}

/* Not inlined: gcc 14 takes the NULL of a failed allocation for the ring of a successful one. */
static __attribute__((noinline, unused)) bool
test_ring_make(struct test_ring *t, uint32_t size, bool mirrored)
{
	return mirrored ? test_ring_mirrored(t, size) : test_ring_heap(t, size);
}

static inline void
test_ring_free(struct test_ring *t)
{
	if (t->fd >= 0) {
		vmbus_ring_unmap(&t->ring);
		close(t->fd);
		return;
	}
	free(t->ring.ctl);
	free(t->ring.data);
}

/** Put both indices somewhere, as a peer or an earlier open would have left them. */
static inline void
test_ring_place(struct test_ring *t, uint32_t w, uint32_t r)
{
	atomic_store(&t->ring.ctl->write_index, w);
	atomic_store(&t->ring.ctl->read_index, r);
}

/** Hex digits to bytes; blanks are skipped. @return bytes written */
static inline size_t
unhex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;
	unsigned int byte;

	while (*text != '\0') {
		if (*text == ' ') {
			text++;
			continue;
		}
		if (n == max || sscanf(text, "%2x", &byte) != 1)
			return 0;
		out[n++] = (uint8_t)byte;
		text += 2;
	}
	return n;
}

/** Fill @p buf with an in-band packet of @p len bytes whose payload depends on @p seed. */
static inline void
test_packet(uint8_t *buf, uint32_t len, uint64_t seed)
{
	struct vmbus_packet p;
	uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint32_t i;

	vmbus_packet_init(&p, VMBUS_PACKET_INBAND, sizeof(p), len, 0, seed);
	memset(buf, 0, (len + 7u) & ~7u);
	memcpy(buf, &p, sizeof(p));
	for (i = sizeof(p); i < len; i++)
		buf[i] = (uint8_t)(rnd_next(&state) >> 40);
}

/** A ring with both ends in one thread; each packet takes END_PACKET bytes of it. */
struct ends {
	struct test_ring t;
	struct vmbus_ring_writer w;
	struct vmbus_ring_reader r;
	_Alignas(8) uint8_t pkt[56];
};

#define END_PACKET 64u

static inline bool
ends_open(struct ends *e, uint32_t size, uint32_t at)
{
	memset(e, 0, sizeof(*e));
	test_packet(e->pkt, sizeof(e->pkt), 1);
	if (!test_ring_heap(&e->t, size))
		return false;
	test_ring_place(&e->t, at, at);
	return vmbus_ring_writer_init(&e->w, &e->t.ring) == 0 &&
	       vmbus_ring_reader_init(&e->r, &e->t.ring) == 0;
}

/** Write up to @p max packets without publishing. The ring's size bounds a writer that errs. */
static inline uint32_t
ends_write(struct ends *e, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && n <= e->t.ring.size &&
		vmbus_ring_write(&e->w, e->pkt, sizeof(e->pkt), 0) == 0)
		n++;
	return n;
}

/** Consume up to @p max packets without publishing. */
static inline uint32_t
ends_read(struct ends *e, uint32_t max)
{
	struct vmbus_packet p;
	uint32_t n = 0;
	int total;

	for (; n < max && (total = vmbus_ring_peek(&e->r, &p)) > 0; n++)
		vmbus_ring_consume(&e->r, (uint32_t)total);
	return n;
}

#endif
