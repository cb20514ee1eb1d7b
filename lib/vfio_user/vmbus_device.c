/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/vmbus_device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/vmbus/guid.h"

#define MAX_RELID     2047u
#define MAX_MONITOR   127u
#define SNAPSHOT_RUNS 1000u

static const uint8_t magic[4] = {'V', 'M', 'B', 'D'};

__attribute__((format(printf, 4, 5))) static int
refuse(int err, char *errbuf, size_t errlen, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (errlen > 0)
		vsnprintf(errbuf, errlen, format, ap);
	va_end(ap);
	return err;
}

static bool
buffer_ok(uint64_t size, uint64_t region_size)
{
	return size == region_size && size > 0 && size <= VMBUS_DEVICE_MAX_BUFFER &&
	       size % VMBUS_DEVICE_PAGE == 0;
}

/* Identity and sizes; everything here refuses the device. */
static int
check_header(const struct vmbus_desc_header *h, size_t len,
	const struct vmbus_device_expect *expect, char *errbuf, size_t errlen)
{
	const uint64_t *region = expect->region_size;

	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: no VMBD magic");
	if (h->major != VMBUS_DESC_MAJOR)
		return refuse(-ENOTSUP, errbuf, errlen,
			"descriptor: version %u.%u, this client knows %u", h->major, h->minor,
			VMBUS_DESC_MAJOR);
	if (h->total_len > len || h->total_len > region[VMBUS_REGION_DESCRIPTOR] ||
		h->total_len < sizeof(*h))
		return refuse(-EPROTO, errbuf, errlen, "descriptor: total length %u of %zu bytes",
			h->total_len, len);
	if (h->generation & 1)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: caught while being changed");
	if (memcmp(h->class_guid, vmbus_nic_class, sizeof(vmbus_nic_class)) != 0)
		return refuse(-ENODEV, errbuf, errlen, "descriptor: not a network device");
	if (memcmp(h->instance, expect->instance, sizeof(h->instance)) != 0) {
		char guid[VMBUS_GUID_LEN + 1];

		vmbus_guid_format(h->instance, guid);
		return refuse(-ENODEV, errbuf, errlen, "descriptor: it is device %s", guid);
	}
	if (h->state > VMBUS_DEVICE_RESCINDED)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: state %u", h->state);
	if (h->max_channels == 0 || h->max_channels > VMBUS_DEVICE_MAX_CHANNELS ||
		VMBUS_DEVICE_REGIONS(h->max_channels) > expect->num_regions)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: %u channels with %u regions",
			h->max_channels, expect->num_regions);
	if (h->num_channels > h->max_channels)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: %u channels of %u",
			h->num_channels, h->max_channels);
	/* The whole table in 64 bits: entry_len is the peer's. */
	if (h->entry_len < VMBUS_DESC_ENTRY_LEN || h->entry_len % 8 != 0 ||
		h->table_offset < sizeof(*h) || h->table_offset % 8 != 0 ||
		h->table_offset + (uint64_t)h->entry_len * h->max_channels > h->total_len)
		return refuse(-EPROTO, errbuf, errlen,
			"descriptor: table at %u with entries of %u bytes in %u", h->table_offset,
			h->entry_len, h->total_len);
	if (h->relid == 0 || h->relid > MAX_RELID ||
		(h->monitor_id > MAX_MONITOR && h->monitor_id != VMBUS_MONITOR_NONE))
		return refuse(-EPROTO, errbuf, errlen, "descriptor: relid %u, monitor %u", h->relid,
			h->monitor_id);
	if (h->recv_gpadl == 0 || h->send_gpadl == 0 || h->recv_gpadl == h->send_gpadl)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: GPADLs %#x and %#x",
			h->recv_gpadl, h->send_gpadl);
	if (!buffer_ok(h->recv_size, region[VMBUS_REGION_RECV]) ||
		!buffer_ok(h->send_size, region[VMBUS_REGION_SEND]))
		return refuse(-EPROTO, errbuf, errlen,
			"descriptor: receive and send buffer of %llu and %llu bytes",
			(unsigned long long)h->recv_size, (unsigned long long)h->send_size);
	if (h->rings_size != region[VMBUS_REGION_RINGS])
		return refuse(-EPROTO, errbuf, errlen, "descriptor: rings of %llu bytes",
			(unsigned long long)h->rings_size);
	return 0;
}

/* Does entry @p k hold water? Only what an open channel needs is looked at. */
static bool
entry_ok(const struct vmbus_desc_channel *e, uint32_t k, const struct vmbus_desc_header *h,
	const struct vmbus_device_expect *expect)
{
	if (e->state > VMBUS_CHANNEL_RESCINDED || e->index != k)
		return false;
	if (e->relid == 0 || e->relid > MAX_RELID ||
		(e->monitor_id > MAX_MONITOR && e->monitor_id != VMBUS_MONITOR_NONE))
		return false;
	if (e->region != (k == 0 ? VMBUS_REGION_RINGS : VMBUS_REGION_CHANNEL_BASE + k))
		return false;
	if (k == 0 && (e->relid != h->relid || e->region_size != h->rings_size))
		return false;
	if (e->tx_bytes < VMBUS_DEVICE_MIN_RING || e->tx_bytes > VMBUS_DEVICE_MAX_RING ||
		e->tx_bytes % VMBUS_DEVICE_PAGE != 0)
		return false;
	if (e->tx_off != 0 || e->rx_off != e->tx_bytes || e->rx_bytes != e->tx_bytes ||
		e->region_size != 2 * (uint64_t)e->tx_bytes)
		return false;
	return e->irq < expect->irq_count && e->doorbell % 4 == 0 &&
	       e->doorbell <= VMBUS_DEVICE_DOORBELL_SIZE - 4;
}

static bool
relid_taken(const struct vmbus_device_info *info, uint32_t k, uint32_t relid)
{
	for (uint32_t i = 0; i < k; i++)
		if (info->channel[i].state != VMBUS_CHANNEL_NONE && info->channel[i].relid == relid)
			return true;
	return false;
}

int
vmbus_device_describe(const void *bytes, size_t len, const struct vmbus_device_expect *expect,
	struct vmbus_device_info *info, char *errbuf, size_t errlen)
{
	struct vmbus_desc_header h;
	int ret;

	memset(info, 0, sizeof(*info));
	if (len < sizeof(h))
		return refuse(-EPROTO, errbuf, errlen, "descriptor: only %zu bytes", len);
	memcpy(&h, bytes, sizeof(h));
	ret = check_header(&h, len, expect, errbuf, errlen);
	if (ret < 0)
		return ret;
	info->generation = h.generation;
	memcpy(info->instance, h.instance, sizeof(info->instance));
	info->state = h.state;
	info->flags = h.flags;
	info->vmbus_version = h.vmbus_version;
	info->epoch = h.epoch;
	info->relid = h.relid;
	info->monitor_id = h.monitor_id;
	info->numa_node = h.numa_node;
	info->max_channels = h.max_channels;
	info->num_channels = h.num_channels;
	info->recv_gpadl = h.recv_gpadl;
	info->send_gpadl = h.send_gpadl;
	info->recv_size = h.recv_size;
	info->send_size = h.send_size;
	info->rings_size = h.rings_size;

	for (uint32_t k = 0; k < h.max_channels; k++) {
		struct vmbus_device_channel *c = &info->channel[k];
		struct vmbus_desc_channel e;

		memcpy(&e, (const uint8_t *)bytes + h.table_offset + (size_t)k * h.entry_len,
			sizeof(e));
		if (e.state == VMBUS_CHANNEL_NONE)
			continue;
		if (!entry_ok(&e, k, &h, expect) || relid_taken(info, k, e.relid)) {
			info->ignored |= UINT64_C(1) << k;
			continue;
		}
		*c = (struct vmbus_device_channel){.state = e.state,
			.relid = e.relid,
			.monitor_id = e.monitor_id,
			.region = e.region,
			.ring_bytes = e.tx_bytes,
			.doorbell = e.doorbell,
			.irq = e.irq,
			.target_vp = e.target_vp,
			.epoch = e.epoch};
	}
	if (info->channel[0].state == VMBUS_CHANNEL_NONE && h.state == VMBUS_DEVICE_OFFERED)
		return refuse(-EPROTO, errbuf, errlen, "descriptor: no usable primary channel");
	return 0;
}

uint32_t
vmbus_device_generation(const void *page)
{
	const struct vmbus_desc_header *h = page;

	/* Pairs with the release store at the end of vmbus_device_publish(). */
	return __atomic_load_n(&h->generation, __ATOMIC_ACQUIRE);
}

/* Words of the shared page are accessed one by one: memcpy() may not race with a writer. */
static void
copy_words(uint64_t *to, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(
			to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

int
vmbus_device_snapshot(const void *page, void *copy)
{
	for (unsigned int run = 0; run < SNAPSHOT_RUNS; run++) {
		uint32_t before = vmbus_device_generation(page);
		uint64_t words[VMBUS_DEVICE_DESCRIPTOR_SIZE / 8];
		const struct vmbus_desc_header *h = page;

		if (before & 1)
			continue;
		copy_words(words, page, VMBUS_DEVICE_DESCRIPTOR_SIZE / 8);
		/* Pairs with the release fence behind the odd store in vmbus_device_publish(): a
		 * word of the new contents seen above makes the odd generation visible here. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&h->generation, __ATOMIC_RELAXED) == before) {
			memcpy(copy, words, sizeof(words));
			return 0;
		}
	}
	return -EAGAIN;
}

static void
build_channel(struct vmbus_desc_channel *e, const struct vmbus_device_channel *c, uint32_t k)
{
	*e = (struct vmbus_desc_channel){.state = c->state,
		.relid = c->relid,
		.index = (uint16_t)k,
		.monitor_id = c->monitor_id,
		.region = c->region,
		.region_size = 2 * (uint64_t)c->ring_bytes,
		.tx_bytes = c->ring_bytes,
		.rx_off = c->ring_bytes,
		.rx_bytes = c->ring_bytes,
		.doorbell = c->doorbell,
		.irq = c->irq,
		.target_vp = c->target_vp,
		.epoch = c->epoch};
}

void
vmbus_device_publish(void *page, struct vmbus_device_info *info)
{
	union {
		uint64_t words[VMBUS_DEVICE_DESCRIPTOR_SIZE / 8];
		struct vmbus_desc_header h;
		uint8_t bytes[VMBUS_DEVICE_DESCRIPTOR_SIZE];
	} image;
	struct vmbus_desc_header *h = &image.h, *shared = page;
	uint32_t max = info->max_channels;

	if (max > VMBUS_DEVICE_MAX_CHANNELS)
		max = VMBUS_DEVICE_MAX_CHANNELS;
	memset(&image, 0, sizeof(image));
	memcpy(h->magic, magic, sizeof(magic));
	h->major = VMBUS_DESC_MAJOR;
	h->minor = VMBUS_DESC_MINOR;
	h->total_len = VMBUS_DESC_TABLE_OFFSET + max * VMBUS_DESC_ENTRY_LEN;
	h->generation = info->generation + 1;
	memcpy(h->class_guid, vmbus_nic_class, sizeof(h->class_guid));
	memcpy(h->instance, info->instance, sizeof(h->instance));
	h->state = info->state;
	h->flags = info->flags;
	h->vmbus_version = info->vmbus_version;
	h->epoch = info->epoch;
	h->relid = info->relid;
	h->monitor_id = info->monitor_id;
	h->numa_node = info->numa_node;
	h->max_channels = max;
	h->num_channels = info->num_channels;
	h->table_offset = VMBUS_DESC_TABLE_OFFSET;
	h->entry_len = VMBUS_DESC_ENTRY_LEN;
	h->recv_gpadl = info->recv_gpadl;
	h->send_gpadl = info->send_gpadl;
	h->recv_size = info->recv_size;
	h->send_size = info->send_size;
	h->rings_size = info->rings_size;
	for (uint32_t k = 0; k < max; k++)
		if (info->channel[k].state != VMBUS_CHANNEL_NONE)
			build_channel((struct vmbus_desc_channel *)(image.bytes +
								    VMBUS_DESC_TABLE_OFFSET +
								    k * VMBUS_DESC_ENTRY_LEN),
				&info->channel[k], k);

	/* Odd first; the fence keeps the new words behind it (see vmbus_device_snapshot()). The
	 * image holds the odd generation too, so copying it does not end the change early. */
	__atomic_store_n(&shared->generation, info->generation + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	copy_words(page, image.words, VMBUS_DEVICE_DESCRIPTOR_SIZE / 8);
	info->generation += 2;
	/* Pairs with the acquire load of vmbus_device_generation(). */
	__atomic_store_n(&shared->generation, info->generation, __ATOMIC_RELEASE);
}
