/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptor of a device (spec/vmbus-over-vfio-user.md §7, §8, §17). */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

#define DESC 8192
#define TEXT 256

static struct vmbus_device_expect
expectation(const struct rig_device *d)
{
	return (struct vmbus_device_expect){.instance = d->info.instance,
		.region_size = {4u << 20, 4096, 4096, 16u << 20, 16u << 20, 8192, 4096},
		.num_regions = 20,
		.irq_count = 4};
}

static void
test_golden_descriptor(void)
{
	static const char header[] =
		"564d4244 01000000 00020000 02000000 635161f8 3edfc546 913ff2d2 f965ed0e"
		"113a0d00 33220d00 3a112233 000d3a11 01000000 07000000 03000500 01000000"
		"0e000000 03000000 00000000 04000000 01000000 00010000 40000000 00000000"
		"101e0e00 111e0e00 00000001 00000000 00000001 00000000 00004000 00000000";
	static const char entry[] =
		"01000000 0e000000 00000300 00000000 00004000 00000000 00000000 00002000"
		"00002000 00002000 00000000 00000000 ffffffff 01000000 00000000 00000000";
	uint8_t want[DESC] = {0}, copy[DESC];
	struct vmbus_device_expect expect;
	struct vmbus_device_info info;
	struct rig_device d;
	char err[TEXT];

	rig_device_open(&d);
	CU_ASSERT_EQUAL(rig_hex(header, want, 128), 128);
	CU_ASSERT_EQUAL(rig_hex(entry, want + 256, 64), 64);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, copy), 0);
	CU_ASSERT_EQUAL(memcmp(copy, want, DESC), 0);

	expect = expectation(&d);
	CU_ASSERT_EQUAL_FATAL(
		vmbus_device_describe(copy, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(memcmp(&info, &d.info, sizeof(info)), 0);
	CU_ASSERT_EQUAL(info.ignored, 0);
	CU_ASSERT_EQUAL(info.generation, 2);
	/* The table alone is enough; less is not. */
	CU_ASSERT_EQUAL(vmbus_device_describe(copy, 0x200, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(
		vmbus_device_describe(copy, 0x1ff, &expect, &info, err, sizeof(err)), -EPROTO);

	/* A grant: generation + 2, entry 2 appears. */
	d.info.channel[2] = (struct vmbus_device_channel){.state = VMBUS_CHANNEL_OPEN,
		.relid = 16,
		.monitor_id = VMBUS_MONITOR_NONE,
		.region = 18,
		.ring_bytes = 8192,
		.doorbell = 8,
		.irq = 2,
		.target_vp = 3,
		.epoch = 1};
	d.info.num_channels = 2;
	vmbus_device_publish(d.descriptor, &d.info);
	CU_ASSERT_EQUAL(vmbus_device_generation(d.descriptor), 4);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, copy), 0);
	CU_ASSERT_EQUAL(vmbus_device_describe(copy, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(memcmp(&info, &d.info, sizeof(info)), 0);
	rig_device_close(&d);
}

/* One change to a good descriptor with channels 0 and 2. */
struct patch {
	const char *what;
	unsigned int offset, bytes;
	uint64_t value;
	int want;	  /* of vmbus_device_describe() */
	uint64_t ignored; /* when want is 0 */
};

#define ENTRY(k, off) (0x100 + 64 * (k) + (off))

static const struct patch patches[] = {
	{"magic", 0, 1, 'v', -EPROTO, 0},
	{"major 0", 4, 2, 0, -ENOTSUP, 0},
	{"major 2", 4, 2, 2, -ENOTSUP, 0},
	{"minor 7 is fine", 6, 2, 7, 0, 0},
	{"total_len over the region", 8, 4, 8193, -EPROTO, 0},
	{"total_len 0", 8, 4, 0, -EPROTO, 0},
	{"total_len cuts the table", 8, 4, 0x1f8, -EPROTO, 0},
	{"odd generation", 12, 4, 3, -EPROTO, 0},
	{"another class", 0x10, 1, 0x64, -ENODEV, 0},
	{"another instance", 0x2f, 1, 0x12, -ENODEV, 0},
	{"state 3", 0x30, 4, 3, -EPROTO, 0},
	{"unknown flags are fine", 0x34, 4, 0xfffffff8, 0, 0},
	{"relid 0", 0x40, 4, 0, -EPROTO, 0},
	{"relid 2048", 0x40, 4, 2048, -EPROTO, 0},
	{"relid not that of entry 0", 0x40, 4, 15, -EPROTO, 0},
	{"monitor 128", 0x44, 1, 128, -EPROTO, 0},
	{"no monitor is fine", 0x44, 1, 255, 0, 0},
	{"reserved bytes are ignored", 0x45, 3, 0xffffff, 0, 0},
	{"no channels", 0x4c, 4, 0, -EPROTO, 0},
	{"more channels than regions", 0x4c, 4, 5, -EPROTO, 0},
	{"65 channels", 0x4c, 4, 65, -EPROTO, 0},
	{"2^31 channels", 0x4c, 4, 1u << 31, -EPROTO, 0},
	{"more valid than there can be", 0x50, 4, 5, -EPROTO, 0},
	{"table behind the end", 0x54, 4, 0x108, -EPROTO, 0},
	{"table offset wraps in 32 bits", 0x54, 4, 0xffffff00, -EPROTO, 0},
	{"table over the header", 0x54, 4, 0x40, -EPROTO, 0},
	{"entries of 56 bytes", 0x58, 4, 56, -EPROTO, 0},
	{"entries of 68 bytes", 0x58, 4, 68, -EPROTO, 0},
	{"entries of 72 bytes in too few", 0x58, 4, 72, -EPROTO, 0},
	{"entry length wraps in 32 bits", 0x58, 4, 0x40000000, -EPROTO, 0},
	{"GPADL 0", 0x60, 4, 0, -EPROTO, 0},
	{"equal GPADLs", 0x64, 4, 0xe1e10, -EPROTO, 0},
	{"receive buffer not the region's", 0x68, 8, 8u << 20, -EPROTO, 0},
	{"send buffer not the region's", 0x70, 8, UINT64_C(1) << 40, -EPROTO, 0},
	{"rings not the region's", 0x78, 8, 2u << 20, -EPROTO, 0},

	{"primary missing", ENTRY(0, 0), 4, 0, -EPROTO, 0},
	{"primary with region 16", ENTRY(0, 12), 4, 16, -EPROTO, 0},
	{"primary with rings of another size", ENTRY(0, 16), 8, 2u << 20, -EPROTO, 0},
	{"primary with tx_off", ENTRY(0, 24), 4, 4096, -EPROTO, 0},

	{"state 3 of an entry", ENTRY(2, 0), 4, 3, 0, 4},
	{"relid of the primary", ENTRY(2, 4), 4, 14, 0, 4},
	{"relid 0 of an entry", ENTRY(2, 4), 4, 0, 0, 4},
	{"index of another", ENTRY(2, 8), 2, 1, 0, 4},
	{"monitor 200", ENTRY(2, 10), 1, 200, 0, 4},
	{"region of another", ENTRY(2, 12), 4, 17, 0, 4},
	{"region 0", ENTRY(2, 12), 4, 0, 0, 4},
	{"region size not the sum", ENTRY(2, 16), 8, 16384 + 4096, 0, 4},
	{"tx ring not at 0", ENTRY(2, 24), 4, 4096, 0, 4},
	{"tx ring of 4096 bytes", ENTRY(2, 28), 4, 4096, 0, 4},
	{"tx ring of half pages", ENTRY(2, 28), 4, 8192 + 2048, 0, 4},
	{"tx ring of 4 GiB - 4096", ENTRY(2, 28), 4, 0xfffff000, 0, 4},
	{"rx ring elsewhere", ENTRY(2, 32), 4, 4096, 0, 4},
	{"rx ring of another size", ENTRY(2, 36), 4, 16384, 0, 4},
	{"doorbell outside", ENTRY(2, 40), 4, 4096, 0, 4},
	{"doorbell between", ENTRY(2, 40), 4, 6, 0, 4},
	{"irq subindex 4 of 4", ENTRY(2, 44), 4, 4, 0, 4},
	{"reserved end is ignored", ENTRY(2, 56), 8, UINT64_MAX, 0, 0},
	{"an absent entry may hold anything", ENTRY(1, 4), 4, 0xffffffff, 0, 0},
};

static void
test_malformed_descriptors(void)
{
	struct vmbus_device_expect expect;
	struct vmbus_device_info info;
	uint8_t good[DESC], bad[DESC];
	struct rig_device d;
	char err[TEXT];

	rig_device_open(&d);
	expect = expectation(&d);
	d.info.channel[2] = (struct vmbus_device_channel){.state = VMBUS_CHANNEL_OPEN,
		.relid = 16,
		.monitor_id = VMBUS_MONITOR_NONE,
		.region = 18,
		.ring_bytes = 8192,
		.doorbell = 8,
		.irq = 2,
		.target_vp = VMBUS_VP_UNKNOWN,
		.epoch = 1};
	vmbus_device_publish(d.descriptor, &d.info);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, good), 0);
	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
		const struct patch *p = &patches[i];
		int got;

		memcpy(bad, good, DESC);
		memcpy(bad + p->offset, &p->value, p->bytes);
		err[0] = '\0';
		got = vmbus_device_describe(bad, DESC, &expect, &info, err, sizeof(err));
		if (got != p->want || (got == 0 && info.ignored != p->ignored))
			printf("\n    %s: %d, ignored %llx\n", p->what, got,
				(unsigned long long)info.ignored);
		CU_ASSERT_EQUAL(got, p->want);
		if (got < 0) {
			CU_ASSERT_NOT_EQUAL(err[0], '\0');
			continue;
		}
		CU_ASSERT_EQUAL(info.ignored, p->ignored);
		CU_ASSERT_EQUAL(info.channel[0].state, VMBUS_CHANNEL_OPEN);
		CU_ASSERT_EQUAL(info.channel[2].state,
			p->ignored ? VMBUS_CHANNEL_NONE : VMBUS_CHANNEL_OPEN);
	}
	/* Every short length, from a buffer that ends there (for ASan). */
	for (size_t len = 0; len < 0x200; len += 8) {
		uint8_t *exact = malloc(len + 1);

		memcpy(exact, good, len);
		CU_ASSERT_EQUAL(vmbus_device_describe(exact, len, &expect, &info, err, sizeof(err)),
			-EPROTO);
		free(exact);
	}
	/* Longer entries of a later minor version. */
	memcpy(bad, good, DESC);
	memset(bad + 0x100, 0xee, 0x200);
	for (unsigned int k = 0; k < 4; k++)
		memcpy(bad + 0x100 + 72 * k, good + ENTRY(k, 0), 64);
	bad[0x58] = 72;
	bad[0x08] = 0x20;
	CU_ASSERT_EQUAL(vmbus_device_describe(bad, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(info.channel[2].relid, 16);
	/* Rescinded: known, not an error; the primary may be gone. */
	memcpy(bad, good, DESC);
	bad[0x30] = VMBUS_DEVICE_RESCINDED;
	bad[ENTRY(0, 0)] = VMBUS_CHANNEL_RESCINDED;
	CU_ASSERT_EQUAL(vmbus_device_describe(bad, DESC, &expect, &info, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(info.channel[0].state, VMBUS_CHANNEL_RESCINDED);
	rig_device_close(&d);
}

static void *
publisher(void *arg)
{
	struct rig_device *d = arg;

	for (uint32_t i = 0; i < 20000; i++) {
		d->info.epoch = d->info.channel[0].epoch = d->info.channel[0].target_vp = i;
		vmbus_device_publish(d->descriptor, &d->info);
	}
	return NULL;
}

/* A reader never sees half a change, whatever it costs the two. */
static void
test_snapshot_is_consistent(void)
{
	struct vmbus_desc_header h;
	struct vmbus_desc_channel e;
	unsigned int good = 0;
	uint8_t copy[DESC];
	struct rig_device d;
	pthread_t thread;

	rig_device_open(&d);
	d.info.channel[0].target_vp = 1;
	vmbus_device_publish(d.descriptor, &d.info);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, publisher, &d), 0);
	do {
		if (vmbus_device_snapshot(d.descriptor, copy) < 0)
			continue;
		memcpy(&h, copy, sizeof(h));
		memcpy(&e, copy + 0x100, sizeof(e));
		if (h.generation & 1 || h.epoch != e.epoch || e.target_vp != e.epoch)
			break;
		good++;
	} while (h.epoch < 19999);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(good > 0);
	CU_ASSERT_EQUAL(h.epoch, 19999);
	CU_ASSERT_EQUAL(vmbus_device_generation(d.descriptor), 4 + 2 * 20000);
	/* A server that died inside a change. */
	__atomic_store_n((uint32_t *)d.descriptor + 3, 7, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(vmbus_device_snapshot(d.descriptor, copy), -EAGAIN);
	rig_device_close(&d);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"golden descriptor", test_golden_descriptor},
		{"malformed descriptors", test_malformed_descriptors},
		{"a snapshot is consistent", test_snapshot_is_consistent},
		{"no descriptor left open", rig_test_no_descriptor_left},
	};

	return RIG_RUN("vfio-user device", tests);
}
