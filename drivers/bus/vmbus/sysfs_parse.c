/* SPDX-License-Identifier: BSD-3-Clause */
/* Pure functions on text and words that the kernel prints (spec/linux-uio-vmbus.md). */
#include "drivers/bus/vmbus/sysfs.h"
#include "lib/vmbus/number.h"

#include <errno.h>
#include <string.h>

/* n hex digits at text, no more than 16. */
static int
parse_hex(const char *text, unsigned int n, uint64_t *value)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		int nibble = vmbus_guid_nibble(text[i]);

		if (nibble < 0)
			return -EINVAL;
		v = v << 4 | (unsigned int)nibble;
	}
	*value = v;
	return 0;
}

/* The kernel pads nothing. */
static int
parse_u64(const char *text, uint64_t max, uint64_t *value)
{
	if (text[0] == '0' && text[1] != '\0')
		return -EINVAL;
	return number_parse(text, NUMBER_PLAIN, 0, max, value) == 0 ? 0 : -EINVAL;
}

int
vmbus_parse_u32(const char *text, uint32_t max, uint32_t *value)
{
	uint64_t v;

	if (parse_u64(text, max, &v) < 0)
		return -EINVAL;
	*value = (uint32_t)v;
	return 0;
}

int
vmbus_parse_int(const char *text, int min, int max, int *value)
{
	bool negative = text[0] == '-';
	uint64_t v;
	int64_t s;

	if (parse_u64(text + negative, UINT32_MAX, &v) < 0)
		return -EINVAL;
	s = negative ? -(int64_t)v : (int64_t)v;
	if (s < min || s > max)
		return -EINVAL;
	*value = (int)s;
	return 0;
}

int
vmbus_parse_hex64(const char *text, uint64_t *value)
{
	size_t n = strlen(text);

	if (n < 3 || n > 18 || text[0] != '0' || text[1] != 'x')
		return -EINVAL;
	return parse_hex(text + 2, (unsigned int)n - 2, value);
}

int
vmbus_parse_guid(const char *text, uint8_t guid[16])
{
	char bare[VMBUS_GUID_LEN + 1];

	if (text[0] != '{')
		return vmbus_guid_parse(text, guid);
	if (strlen(text) != VMBUS_GUID_LEN + 2 || text[VMBUS_GUID_LEN + 1] != '}')
		return -EINVAL;
	memcpy(bare, text + 1, VMBUS_GUID_LEN);
	bare[VMBUS_GUID_LEN] = '\0';
	return vmbus_guid_parse(bare, guid);
}

int
vmbus_parse_modalias(const char *text, uint8_t guid[16])
{
	unsigned int i;
	uint64_t byte;

	if (strncmp(text, "vmbus:", 6) != 0 || strlen(text) != 6 + 32)
		return -EINVAL;
	for (i = 0; i < 16; i++) {
		if (parse_hex(text + 6 + 2 * i, 2, &byte) < 0)
			return -EINVAL;
		guid[i] = (uint8_t)byte;
	}
	return 0;
}

int
vmbus_parse_gpadl(const char *text, const char *prefix, uint32_t *gpadl)
{
	size_t n = strlen(prefix);

	if (strncmp(text, prefix, n) != 0 || vmbus_parse_u32(text + n, UINT32_MAX, gpadl) < 0)
		return -EINVAL;
	return *gpadl == 0 ? -EINVAL : 0;
}

int
vmbus_parse_uio_name(const char *text)
{
	uint32_t n;

	if (strncmp(text, "uio", 3) != 0 || vmbus_parse_u32(text + 3, VMBUS_UIO_MAX, &n) < 0)
		return -EINVAL;
	return (int)n;
}

int
vmbus_parse_slot(const char *text, uint32_t *serial)
{
	return vmbus_parse_u32(text, UINT32_MAX, serial);
}

int
vmbus_parse_slot_address(const char *text, struct vmbus_pci_address *address)
{
	const char *colon = strchr(text, ':');
	size_t digits = colon == NULL ? 0 : (size_t)(colon - text);
	uint64_t domain, bus, device;

	/* A domain above 0xffff is printed with more digits. */
	if (digits < 4 || digits > 8 || strlen(colon) != 6 || colon[3] != ':' ||
		parse_hex(text, (unsigned int)digits, &domain) < 0 ||
		parse_hex(colon + 1, 2, &bus) < 0 || parse_hex(colon + 4, 2, &device) < 0 ||
		device > 31)
		return -EINVAL;
	address->domain = (uint32_t)domain;
	address->bus = (uint8_t)bus;
	address->device = (uint8_t)device;
	address->function = 0;
	return 0;
}

static const struct {
	const char *guid;
	const char *name;
} classes[] = {
	{VMBUS_NIC_CLASS, "Synthetic NIC"},
	{"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "SCSI"},
	{"32412632-86cb-44a2-9b5c-50d1417354f5", "IDE"},
	{"2f9bcc4a-0069-4af3-b76b-6fd0be528cda", "Fibre Channel"},
	{"8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501", "NetworkDirect"},
	{"44c4f61d-4444-4400-9d52-802e27ede19f", "PCI pass-through"},
	{"da0a7802-e377-4aac-8e77-0558eb1073f8", "Video"},
	{"f912ad6d-2b17-48ea-bd65-f927a61c7684", "Keyboard"},
	{"cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a", "Mouse"},
	{"a9a0f4e7-5a45-4d96-b827-8a841e8c03e6", "KVP"},
	{"9527e630-d0ae-497b-adce-e80ab0175caf", "Time sync"},
	{"57164f39-9115-4e78-ab55-382f3bd5422d", "Heartbeat"},
	{"0e0b6031-5213-4934-818b-38d90ced39db", "Shutdown"},
	{"34d14be3-dee4-41c8-9ae7-6b174977c192", "File copy"},
	{"35fa2e29-ea23-4236-96ae-3a6ebacba440", "VSS"},
	{"525074dc-8985-46e2-8057-a307dc18a502", "Balloon"},
	{"f8e65716-3cb3-4a06-9a60-1889c5cccab5", "no Linux driver"},
	{"3375baf4-9e15-4b30-b765-67acb10d607b", "no Linux driver"},
	{"276aacf4-ac15-426c-98dd-7521ad3f01fe", "no Linux driver"},
	{"c376c1c3-d276-48d2-90a9-c04748072c60", "no Linux driver"},
};

const char *
vmbus_class_name(const uint8_t guid[16])
{
	char text[VMBUS_GUID_LEN + 1];
	size_t i;

	vmbus_guid_format(guid, text);
	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strcmp(classes[i].guid, text) == 0)
			return classes[i].name;
	return "unknown";
}

int
vmbus_pagemap_decode(uint64_t entry, uint64_t va, size_t page_size, uint64_t *gpa)
{
	uint64_t pfn = entry & ((UINT64_C(1) << 55) - 1);
	bool present = entry >> 63 & 1, swapped = entry >> 62 & 1;

	/* Without CAP_SYS_ADMIN the frame reads as 0, without an error (§9). */
	if (!present || swapped || pfn == 0)
		return -ENXIO;
	*gpa = pfn * page_size + va % page_size;
	return 0;
}

/* Directory name of the device: the path component that ends at `end`. */
static int
copy_component(const char *path, const char *end, char out[VMBUS_SYSFS_NAME_MAX])
{
	const char *start = end;
	size_t n;

	while (start > path && start[-1] != '/')
		start--;
	n = (size_t)(end - start);
	if (start == path || n == 0 || n >= VMBUS_SYSFS_NAME_MAX)
		return -EINVAL;
	memcpy(out, start, n);
	out[n] = '\0';
	return 0;
}

static enum vmbus_uevent_action
parse_action(const char *text, size_t n)
{
	static const char *const names[] = {
		[VMBUS_UEVENT_ADD] = "add",
		[VMBUS_UEVENT_REMOVE] = "remove",
		[VMBUS_UEVENT_CHANGE] = "change",
		[VMBUS_UEVENT_BIND] = "bind",
		[VMBUS_UEVENT_UNBIND] = "unbind",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && memcmp(names[i], text, n) == 0)
			return (enum vmbus_uevent_action)i;
	return VMBUS_UEVENT_OTHER;
}

/* Values of the keys we use; NULL when absent. */
struct uevent_keys {
	const char *action, *devpath, *subsystem, *driver, *modalias, *major, *minor, *seqnum,
		*synth;
};

static void
take_key(const char *pair, struct uevent_keys *k)
{
	const struct {
		const char *key;
		const char **value;
	} wanted[] = {
		{"ACTION=", &k->action},
		{"DEVPATH=", &k->devpath},
		{"SUBSYSTEM=", &k->subsystem},
		{"DRIVER=", &k->driver},
		{"MODALIAS=", &k->modalias},
		{"MAJOR=", &k->major},
		{"MINOR=", &k->minor},
		{"SEQNUM=", &k->seqnum},
		{"SYNTH_UUID=", &k->synth},
	};
	size_t i, n;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		n = strlen(wanted[i].key);
		if (*wanted[i].value == NULL && strncmp(pair, wanted[i].key, n) == 0)
			*wanted[i].value = pair + n;
	}
}

static int
parse_uio_event(const struct uevent_keys *k, struct vmbus_uevent *event)
{
	const char *end = strrchr(event->devpath, '/'), *class_dir;
	uint32_t number;

	/* .../<device>/uio/uio<N> */
	if (end == NULL || (event->uio = vmbus_parse_uio_name(end + 1)) < 0)
		return -EINVAL;
	class_dir = end - 4;
	if (end - event->devpath < 5 || memcmp(class_dir, "/uio", 4) != 0 ||
		copy_component(event->devpath, class_dir, event->device) < 0)
		return -EINVAL;
	if (k->major != NULL) {
		if (vmbus_parse_u32(k->major, UINT32_MAX, &number) < 0)
			return -EINVAL;
		event->major = number;
	}
	if (k->minor != NULL) {
		if (vmbus_parse_u32(k->minor, UINT32_MAX, &number) < 0)
			return -EINVAL;
		event->minor = number;
	}
	return 0;
}

static int
parse_channel_event(struct vmbus_uevent *event)
{
	static const char dir[] = "/channels";
	const size_t n = sizeof(dir) - 1;
	const char *end = strrchr(event->devpath, '/');
	uint32_t relid;

	/* .../<device>/channels/<relid>; without the device when all of it is going away (§4). */
	if (end == NULL || vmbus_parse_u32(end + 1, VMBUS_RELID_MAX, &relid) < 0 || relid == 0)
		return -EINVAL;
	if ((size_t)(end - event->devpath) < n || memcmp(end - n, dir, n) != 0)
		return -EINVAL;
	event->relid = (uint16_t)relid;
	if (end - n == event->devpath)
		return -ENOENT;
	return copy_component(event->devpath, end - n, event->device);
}

int
vmbus_uevent_parse(
	const char *buffer, size_t length, unsigned int arrival, struct vmbus_uevent *event)
{
	struct uevent_keys k = {0};
	const char *at, *pair;

	if ((arrival & VMBUS_UEVENT_FROM_KERNEL) == 0 || (arrival & VMBUS_UEVENT_FROM_ROOT) == 0)
		return -EPERM;
	if ((arrival & VMBUS_UEVENT_TRUNCATED) != 0)
		return -EMSGSIZE;
	if (length == 0 || buffer[length - 1] != '\0')
		return -EINVAL;
	at = strchr(buffer, '@');
	if (at == NULL || at == buffer || at[1] != '/')
		return -EINVAL;
	for (pair = buffer + strlen(buffer) + 1; pair < buffer + length; pair += strlen(pair) + 1)
		take_key(pair, &k);
	if (k.subsystem == NULL)
		return -ENOENT;

	memset(event, 0, sizeof(*event));
	event->uio = -1;
	if (strcmp(k.subsystem, "vmbus") == 0)
		event->subsystem = VMBUS_UEVENT_VMBUS;
	else if (strcmp(k.subsystem, "uio") == 0)
		event->subsystem = VMBUS_UEVENT_UIO;
	else if (strcmp(k.subsystem, "channels") == 0)
		event->subsystem = VMBUS_UEVENT_CHANNELS;
	else
		return -ENOENT;
	/* The kernel says both twice; a datagram that disagrees with itself is not the kernel's. */
	if (k.action == NULL || strlen(k.action) != (size_t)(at - buffer) ||
		memcmp(k.action, buffer, (size_t)(at - buffer)) != 0 || k.devpath == NULL ||
		strcmp(k.devpath, at + 1) != 0)
		return -EINVAL;
	event->action = parse_action(buffer, (size_t)(at - buffer));
	event->devpath = at + 1;
	event->driver = k.driver;
	event->synthetic = k.synth != NULL;
	if (k.seqnum != NULL && parse_u64(k.seqnum, UINT64_MAX, &event->seqnum) < 0)
		return -EINVAL;
	if (k.modalias != NULL && event->subsystem == VMBUS_UEVENT_VMBUS) {
		if (vmbus_parse_modalias(k.modalias, event->class_guid) < 0)
			return -EINVAL;
		event->has_class = true;
	}

	switch (event->subsystem) {
	case VMBUS_UEVENT_UIO:
		return parse_uio_event(&k, event);
	case VMBUS_UEVENT_CHANNELS:
		return parse_channel_event(event);
	case VMBUS_UEVENT_VMBUS:
		break;
	}
	return copy_component(
		event->devpath, event->devpath + strlen(event->devpath), event->device);
}
