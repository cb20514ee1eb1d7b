/* SPDX-License-Identifier: BSD-3-Clause */
/* Every function on text of the sysfs readers, and uevents (drivers/bus/vmbus/sysfs_parse.c). */
#include "drivers/bus/vmbus/sysfs.h"
#include "test/fuzz/fuzz.h"

static void
texts(const char *text)
{
	struct vmbus_pci_address address;
	uint8_t guid[16];
	uint64_t hex;
	uint32_t n;
	int value;

	if (vmbus_parse_u32(text, 77, &n) == 0)
		FUZZ_CHECK(n <= 77);
	if (vmbus_parse_int(text, -1, 63, &value) == 0)
		FUZZ_CHECK(value >= -1 && value <= 63);
	vmbus_parse_hex64(text, &hex);
	if (vmbus_parse_guid(text, guid) == 0)
		FUZZ_CHECK(vmbus_class_name(guid) != NULL);
	vmbus_parse_modalias(text, guid);
	if (vmbus_parse_gpadl(text, "recv:", &n) == 0)
		FUZZ_CHECK(n != 0);
	value = vmbus_parse_uio_name(text);
	FUZZ_CHECK(value < 0 || value <= (int)VMBUS_UIO_MAX);
	vmbus_parse_slot(text, &n);
	vmbus_parse_slot_address(text, &address);
}

static void
uevent(const char *bytes, size_t len, unsigned int arrival)
{
	struct vmbus_uevent event;

	if (vmbus_uevent_parse(bytes, len, arrival, &event) != 0)
		return;
	FUZZ_CHECK(event.devpath >= bytes && event.devpath < bytes + len);
	FUZZ_CHECK(strlen(event.device) < sizeof(event.device));
	FUZZ_CHECK(strlen(event.devpath) < len);
	if (event.driver != NULL)
		FUZZ_CHECK(event.driver > bytes && event.driver < bytes + len);
	if (event.subsystem == VMBUS_UEVENT_CHANNELS)
		FUZZ_CHECK(event.relid <= VMBUS_RELID_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint8_t arrival = fuzz_u8(&in), *bytes;
	struct fuzz whole = in;
	uint64_t gpa;
	size_t len;
	char *text;

	text = fuzz_text(&in, 4096);
	texts(text);
	free(text);
	in = whole;
	bytes = fuzz_block(&in, 8192, &len);
	uevent((const char *)bytes, len,
		arrival < 128 ? VMBUS_UEVENT_FROM_KERNEL | VMBUS_UEVENT_FROM_ROOT : arrival);
	free(bytes);
	vmbus_pagemap_decode(fuzz_u64(&whole), fuzz_u64(&whole), 4096, &gpa);
	return 0;
}
