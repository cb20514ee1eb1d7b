/* SPDX-License-Identifier: BSD-3-Clause */
/* Pure parsers: values of spec/linux-uio-vmbus.md §14, and events built as §4 lays them out. */
#include "test/unit/unit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/bus/vmbus/sysfs.h"

#define NIC	    "000d3a11-2233-000d-3a11-2233000d3a11"
#define PARENT	    "/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/MSFT1000:00/"
#define NIC_PATH    PARENT NIC
#define MODALIAS    "vmbus:635161f83edfc546913ff2d2f965ed0e"
#define FROM_KERNEL (VMBUS_UEVENT_FROM_KERNEL | VMBUS_UEVENT_FROM_ROOT)

static void
test_numbers(void)
{
	uint64_t v64;
	uint32_t v;
	int i;

	CU_ASSERT_EQUAL(vmbus_parse_u32("0", 10, &v), 0);
	CU_ASSERT_EQUAL(v, 0);
	CU_ASSERT_EQUAL(vmbus_parse_u32("4294967295", UINT32_MAX, &v), 0);
	CU_ASSERT_EQUAL(v, UINT32_MAX);
	CU_ASSERT_EQUAL(vmbus_parse_u32("4294967296", UINT32_MAX, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_u32("18446744073709551616", UINT32_MAX, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_u32("11", 10, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_u32("", 10, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_u32("+1", 10, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_u32(" 1", 10, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_u32("01", 10, &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_int("-1", -1, 5, &i), 0);
	CU_ASSERT_EQUAL(i, -1);
	CU_ASSERT_EQUAL(vmbus_parse_int("-2", -1, 5, &i), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_int("--1", -9, 5, &i), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_int("-", -9, 5, &i), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_hex64("0xffffb5a1c2400000", &v64), 0);
	CU_ASSERT_EQUAL(v64, UINT64_C(0xffffb5a1c2400000));
	CU_ASSERT_EQUAL(vmbus_parse_hex64("0x10000000000000000", &v64), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_hex64("0x", &v64), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_hex64("1000", &v64), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_hex64("0x1g", &v64), -EINVAL);
}

static void
test_guids(void)
{
	static const uint8_t instance[16] = {0x11, 0x3a, 0x0d, 0x00, 0x33, 0x22, 0x0d, 0x00, 0x3a,
		0x11, 0x22, 0x33, 0x00, 0x0d, 0x3a, 0x11};
	uint8_t guid[16];

	CU_ASSERT_EQUAL(vmbus_parse_modalias(MODALIAS, guid), 0);
	CU_ASSERT_EQUAL(memcmp(guid, vmbus_nic_class, 16), 0);
	CU_ASSERT_EQUAL(vmbus_parse_modalias(MODALIAS "0", guid), -EINVAL);
	CU_ASSERT_EQUAL(
		vmbus_parse_modalias("pci:635161f83edfc546913ff2d2f965ed0e00", guid), -EINVAL);
	CU_ASSERT_EQUAL(
		vmbus_parse_modalias("vmbus:63516gf83edfc546913ff2d2f965ed0e", guid), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_guid("{" NIC "}", guid), 0);
	CU_ASSERT_EQUAL(memcmp(guid, instance, 16), 0);
	CU_ASSERT_EQUAL(vmbus_parse_guid("000D3A11-2233-000D-3A11-2233000D3A11", guid), 0);
	CU_ASSERT_EQUAL(memcmp(guid, instance, 16), 0);
	CU_ASSERT_EQUAL(vmbus_parse_guid("{" NIC, guid), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_guid(NIC "}", guid), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_guid("{}", guid), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_guid("{" NIC "}}", guid), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_guid("{{" NIC "}}", guid), -EINVAL);
	CU_ASSERT_STRING_EQUAL(vmbus_class_name(vmbus_nic_class), "Synthetic NIC");
	CU_ASSERT_EQUAL(vmbus_parse_guid("44c4f61d-4444-4400-9d52-802e27ede19f", guid), 0);
	CU_ASSERT_STRING_EQUAL(vmbus_class_name(guid), "PCI pass-through");
	CU_ASSERT_STRING_EQUAL(vmbus_class_name(instance), "unknown");
}

static void
test_names(void)
{
	struct vmbus_pci_address a;
	uint32_t v;

	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv:925213", "recv:", &v), 0);
	CU_ASSERT_EQUAL(v, 925213);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv:4294967295", "recv:", &v), 0);
	CU_ASSERT_EQUAL(v, 4294967295u);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv:", "recv:", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv:0", "recv:", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv:4294967296", "recv:", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv:1x", "recv:", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("recv: 1", "recv:", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_gpadl("send:1", "recv:", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_uio_name("uio0"), 0);
	CU_ASSERT_EQUAL(vmbus_parse_uio_name("uio1048575"), 1048575);
	CU_ASSERT_EQUAL(vmbus_parse_uio_name("uio1048576"), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_uio_name("uio"), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_uio_name("uio-1"), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot("2", &v), 0);
	CU_ASSERT_EQUAL(v, 2);
	CU_ASSERT_EQUAL(vmbus_parse_slot("2-1", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot("x", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot("4294967296", &v), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("a1b2:3c:1f", &a), 0);
	CU_ASSERT_EQUAL(a.domain, 0xa1b2);
	CU_ASSERT_EQUAL(a.bus, 0x3c);
	CU_ASSERT_EQUAL(a.device, 0x1f);
	CU_ASSERT_EQUAL(a.function, 0);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("12345:00:02", &a), 0);
	CU_ASSERT_EQUAL(a.domain, 0x12345);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("0001:00:20", &a), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("0001:00", &a), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("0001:00:02.0", &a), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("1:00:02", &a), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_parse_slot_address("", &a), -EINVAL);
}

static void
test_pagemap(void)
{
	uint64_t gpa = 0;

	CU_ASSERT_EQUAL(
		vmbus_pagemap_decode(UINT64_C(0xa080000000123456), 0x7f0000001345, 4096, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, 0x123456345);
	CU_ASSERT_EQUAL(
		vmbus_pagemap_decode(UINT64_C(0xa080000000123456), 0x7f0000001345, 65536, &gpa), 0);
	CU_ASSERT_EQUAL(gpa, 0x1234561345);
	/* Page frame hidden, not present, swapped. */
	CU_ASSERT_EQUAL(vmbus_pagemap_decode(UINT64_C(0x8000000000000000), 0, 4096, &gpa), -ENXIO);
	CU_ASSERT_EQUAL(vmbus_pagemap_decode(UINT64_C(0x0000000000123456), 0, 4096, &gpa), -ENXIO);
	CU_ASSERT_EQUAL(vmbus_pagemap_decode(UINT64_C(0xc000000000123456), 0, 4096, &gpa), -ENXIO);
}

static char event_buffer[1024];

/* ACTION@PATH and the pairs, each ended by a NUL; a NULL ends the list. */
static size_t
build_event(const char *action, const char *path, ...)
{
	const char *pair;
	size_t n;
	va_list ap;

	memset(event_buffer, 'x', sizeof(event_buffer));
	n = (size_t)sprintf(event_buffer, "%s@%s", action, path) + 1;
	n += (size_t)sprintf(event_buffer + n, "ACTION=%s", action) + 1;
	n += (size_t)sprintf(event_buffer + n, "DEVPATH=%s", path) + 1;
	va_start(ap, path);
	while ((pair = va_arg(ap, const char *)) != NULL)
		n += (size_t)sprintf(event_buffer + n, "%s", pair) + 1;
	va_end(ap);
	return n;
}

static void
test_golden_events(void)
{
	static const uint8_t start[] = {0x61, 0x64, 0x64, 0x40, 0x2f, 0x64, 0x65, 0x76, 0x69, 0x63,
		0x65, 0x73, 0x2f, 0x4c, 0x4e, 0x58};
	struct vmbus_uevent e;
	size_t n;

	n = build_event("add", NIC_PATH, "SUBSYSTEM=vmbus", "MODALIAS=" MODALIAS, "SEQNUM=4711",
		(char *)NULL);
	CU_ASSERT_EQUAL(n, 287);
	CU_ASSERT_EQUAL(memcmp(event_buffer, start, sizeof(start)), 0);
	CU_ASSERT_PTR_NOT_NULL(memmem(event_buffer, n, "SUBSYSTEM=vmbus", 16));
	CU_ASSERT_EQUAL_FATAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.action, VMBUS_UEVENT_ADD);
	CU_ASSERT_EQUAL(e.subsystem, VMBUS_UEVENT_VMBUS);
	CU_ASSERT_STRING_EQUAL(e.devpath, NIC_PATH);
	CU_ASSERT_STRING_EQUAL(e.device, NIC);
	CU_ASSERT_PTR_NULL(e.driver);
	CU_ASSERT_TRUE(e.has_class);
	CU_ASSERT_EQUAL(memcmp(e.class_guid, vmbus_nic_class, 16), 0);
	CU_ASSERT_FALSE(e.synthetic);
	CU_ASSERT_EQUAL(e.seqnum, 4711);

	n = build_event("bind", NIC_PATH, "SUBSYSTEM=vmbus", "DRIVER=uio_hv_generic",
		"MODALIAS=" MODALIAS, "SEQNUM=4713", (char *)NULL);
	CU_ASSERT_EQUAL(n, 311);
	CU_ASSERT_EQUAL_FATAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.action, VMBUS_UEVENT_BIND);
	CU_ASSERT_STRING_EQUAL(e.driver, "uio_hv_generic");

	n = build_event("add", NIC_PATH "/uio/uio0", "SUBSYSTEM=uio", "MAJOR=245", "MINOR=0",
		"DEVNAME=uio0", "SEQNUM=4712", (char *)NULL);
	CU_ASSERT_EQUAL(n, 286);
	CU_ASSERT_EQUAL_FATAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.subsystem, VMBUS_UEVENT_UIO);
	CU_ASSERT_STRING_EQUAL(e.device, NIC);
	CU_ASSERT_EQUAL(e.uio, 0);
	CU_ASSERT_EQUAL(e.major, 245);
	CU_ASSERT_EQUAL(e.minor, 0);

	n = build_event(
		"add", NIC_PATH "/channels/21", "SUBSYSTEM=channels", "SEQNUM=4715", (char *)NULL);
	CU_ASSERT_EQUAL(n, 266);
	CU_ASSERT_EQUAL_FATAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.subsystem, VMBUS_UEVENT_CHANNELS);
	CU_ASSERT_STRING_EQUAL(e.device, NIC);
	CU_ASSERT_EQUAL(e.relid, 21);

	n = build_event("unbind", NIC_PATH, "SUBSYSTEM=vmbus", "SEQNUM=4720", (char *)NULL);
	CU_ASSERT_EQUAL_FATAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.action, VMBUS_UEVENT_UNBIND);
	CU_ASSERT_FALSE(e.has_class);

	n = build_event("change", NIC_PATH, "SUBSYSTEM=vmbus", "SYNTH_UUID=0", "MODALIAS=" MODALIAS,
		"SEQNUM=4721", (char *)NULL);
	CU_ASSERT_EQUAL_FATAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.action, VMBUS_UEVENT_CHANGE);
	CU_ASSERT_TRUE(e.synthetic);

	n = build_event("offline", NIC_PATH, "SUBSYSTEM=vmbus", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(e.action, VMBUS_UEVENT_OTHER);
	CU_ASSERT_EQUAL(e.seqnum, 0);
}

static void
test_ignored_events(void)
{
	struct vmbus_uevent e;
	size_t n, cut;

	n = build_event("add", NIC_PATH, "SUBSYSTEM=vmbus", "SEQNUM=1", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, VMBUS_UEVENT_FROM_ROOT, &e), -EPERM);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, VMBUS_UEVENT_FROM_KERNEL, &e), -EPERM);
	CU_ASSERT_EQUAL(
		vmbus_uevent_parse(event_buffer, n, FROM_KERNEL | VMBUS_UEVENT_TRUNCATED, &e),
		-EMSGSIZE);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n - 1, FROM_KERNEL, &e), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, 0, FROM_KERNEL, &e), -EINVAL);
	/* Cut anywhere it is never taken for whole, unless only SEQNUM is missing. */
	for (cut = 1; cut < n - 9; cut++)
		CU_ASSERT_NOT_EQUAL(vmbus_uevent_parse(event_buffer, cut, FROM_KERNEL, &e), 0);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n - 9, FROM_KERNEL, &e), 0);

	CU_ASSERT_EQUAL(vmbus_uevent_parse("libudev", 8, FROM_KERNEL, &e), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse("@/x", 4, FROM_KERNEL, &e), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse("add@x", 6, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", "/devices/pci0000:00/0000:00:1f.2", "SUBSYSTEM=pci", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -ENOENT);
	/* The path is cut short when the whole device goes. */
	n = build_event("remove", "/channels/21", "SUBSYSTEM=channels", "SEQNUM=2", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -ENOENT);

	n = build_event("add", NIC_PATH "/channels/2048", "SUBSYSTEM=channels", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", NIC_PATH "/rings/21", "SUBSYSTEM=channels", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", NIC_PATH "/uio/uio0x", "SUBSYSTEM=uio", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", "/uio0", "SUBSYSTEM=uio", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", NIC_PATH "/uio/uio0", "SUBSYSTEM=uio", "MAJOR=-1", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", NIC_PATH, "SUBSYSTEM=vmbus", "MODALIAS=vmbus:63", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", NIC_PATH, "SUBSYSTEM=vmbus", "SEQNUM=x", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	/* A device name longer than any. */
	n = build_event("add",
		PARENT "0123456789012345678901234567890123456789012345678901234567890123456789",
		"SUBSYSTEM=vmbus", (char *)NULL);
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	/* Header and keys disagree. */
	n = build_event("add", NIC_PATH, "SUBSYSTEM=vmbus", (char *)NULL);
	event_buffer[2] = 'D';
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
	n = build_event("add", NIC_PATH, "SUBSYSTEM=vmbus", (char *)NULL);
	event_buffer[strlen(NIC_PATH) + 3] = '2';
	CU_ASSERT_EQUAL(vmbus_uevent_parse(event_buffer, n, FROM_KERNEL, &e), -EINVAL);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"numbers", test_numbers},
		{"GUIDs, modalias, classes", test_guids},
		{"GPADL, uio and slot names", test_names},
		{"pagemap entries", test_pagemap},
		{"golden uevents", test_golden_events},
		{"uevents that must be ignored", test_ignored_events},
	};

	return UNIT_RUN("sysfs_parse", tests);
}
