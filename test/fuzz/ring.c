/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of a ring whose shared half belongs to somebody who writes anything into it: indices,
 * descriptors, masks (lib/vmbus/ring.h).
 */
#include "test/fuzz/fuzz.h"
#include "test/unit/vmbus_fixture.h"

#define RING 8192u

static struct test_ring ring;
static struct vmbus_ring_writer writer;
static struct vmbus_ring_reader reader;

static void
begin(struct fuzz *in)
{
	FUZZ_CHECK(test_ring_make(&ring, RING, fuzz_bool(in)));
	test_ring_place(&ring, fuzz_u16(in) & ~7u, 0);
	if (fuzz_bool(in))
		test_ring_place(&ring, fuzz_word(in), fuzz_word(in));
	vmbus_ring_writer_init(&writer, &ring.ring);
	vmbus_ring_reader_init(&reader, &ring.ring);
}

static void
write_packet(struct fuzz *in)
{
	_Alignas(8) uint8_t pkt[1024] = {0};
	uint32_t len = 16 + fuzz_u16(in) % (sizeof(pkt) - 16);

	vmbus_packet_init((struct vmbus_packet *)pkt, VMBUS_PACKET_INBAND, 16, len, 1, 5);
	fuzz_scribble(in, pkt, 16);
	if (writer.ring.mirrored && fuzz_bool(in)) {
		len = (len + 7) & ~7u;
		if (!vmbus_ring_writer_room(&writer, len, 0))
			return;
		memcpy(vmbus_ring_writer_at(&writer), pkt, len);
		vmbus_ring_writer_end(&writer, len);
		return;
	}
	vmbus_ring_write(&writer, pkt, len, fuzz_u8(in) * 8);
}

static void
read_packets(struct fuzz *in)
{
	static uint8_t copy[RING];
	struct vmbus_packet desc;
	uint32_t n = 1 + fuzz_below(in, 16), used;
	int total;

	while (n-- != 0 && (total = vmbus_ring_peek(&reader, &desc)) > 0) {
		used = vmbus_ring_used(RING, reader.cached_w, reader.next_r);
		FUZZ_CHECK((uint32_t)total <= used && total >= 24 && total % 8 == 0);
		FUZZ_CHECK(desc.offset8 >= 2 && desc.len8 >= desc.offset8);
		vmbus_ring_copy_out(&reader.ring, reader.next_r, copy, (uint32_t)total);
		if (reader.ring.mirrored)
			memcpy(copy, vmbus_ring_view(&reader.ring, reader.next_r), (size_t)total);
		vmbus_ring_consume(&reader, (uint32_t)total);
	}
}

static void
peer(struct fuzz *in)
{
	struct vmbus_ring_control *ctl = ring.ring.ctl;
	uint32_t value = fuzz_word(in);

	switch (fuzz_below(in, 6)) {
	case 0:
		atomic_store(&ctl->write_index, value);
		break;
	case 1:
		atomic_store(&ctl->read_index, value);
		break;
	case 2:
		atomic_store(&ctl->interrupt_mask, value);
		break;
	case 3:
		atomic_store(&ctl->pending_send_sz, value);
		break;
	case 4:
		atomic_store(&ctl->feature_bits, value);
		break;
	case 5:
		fuzz_scribble(in, ring.ring.data, RING);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};

	begin(&in);
	while (in.left != 0) {
		switch (fuzz_below(&in, 9)) {
		case 0:
		case 1:
			write_packet(&in);
			break;
		case 2:
			vmbus_ring_writer_publish(&writer);
			break;
		case 3:
			read_packets(&in);
			break;
		case 4:
			vmbus_ring_reader_publish(&reader, fuzz_bool(&in));
			break;
		case 5:
			peer(&in);
			break;
		case 6:
			vmbus_ring_publish_both(&writer, &reader, fuzz_bool(&in));
			break;
		case 7:
			if (!vmbus_ring_reader_unmask(&reader))
				vmbus_ring_reader_mask(&reader);
			break;
		case 8:
			vmbus_ring_writer_wait_room(&writer, fuzz_word(&in));
			break;
		}
		FUZZ_CHECK(vmbus_ring_index_ok(RING, writer.next_w) || writer.corrupt);
		FUZZ_CHECK(vmbus_ring_index_ok(RING, reader.next_r) || reader.corrupt);
	}
	test_ring_free(&ring);
	return 0;
}
