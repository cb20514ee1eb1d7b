/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A VMBus device on top of vfio-user: regions, interrupts, the descriptor and its channel table
 * (spec/vmbus-over-vfio-user.md §7-§9).
 *
 * Layouts, the client's validator and the server's builder. Owns nothing. The builder and the
 * snapshot function touch the shared descriptor page; all others work on private memory. Any
 * thread.
 */
#ifndef HP_VMBUS_DEVICE_H
#define HP_VMBUS_DEVICE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Region indices, §7; 0-4 equal the map numbers of uio_hv_generic. */
#define VMBUS_REGION_RINGS	  0u
#define VMBUS_REGION_INT_PAGE	  1u
#define VMBUS_REGION_MONITOR	  2u
#define VMBUS_REGION_RECV	  3u
#define VMBUS_REGION_SEND	  4u
#define VMBUS_REGION_DESCRIPTOR	  5u
#define VMBUS_REGION_DOORBELL	  6u
#define VMBUS_REGION_FIXED_COUNT  7u  /* present in every session */
#define VMBUS_REGION_CHANNEL_BASE 16u /* + k: rings of subchannel k */

/* Region type capability, §7. Kinds are index + 1; subchannel rings are kind 1. */
#define VMBUS_REGION_TYPE     0x80001414u
#define VMBUS_KIND_RINGS      1u
#define VMBUS_KIND_INT_PAGE   2u
#define VMBUS_KIND_MONITOR    3u
#define VMBUS_KIND_RECV	      4u
#define VMBUS_KIND_SEND	      5u
#define VMBUS_KIND_DESCRIPTOR 6u
#define VMBUS_KIND_DOORBELL   7u

#define VMBUS_DEVICE_MAX_CHANNELS    64u
#define VMBUS_DEVICE_DESCRIPTOR_SIZE 8192u
#define VMBUS_DEVICE_DOORBELL_SIZE   4096u
#define VMBUS_DEVICE_PAGE	     4096u
#define VMBUS_DEVICE_MIN_RING	     8192u
#define VMBUS_DEVICE_MAX_RING	     (64u << 20)
#define VMBUS_DEVICE_MAX_BUFFER	     (64u << 20)
/** Regions of a device with this many channels. */
#define VMBUS_DEVICE_REGIONS(max_channels) (VMBUS_REGION_CHANNEL_BASE + (max_channels))

/* Defaults of §7, for servers only: a client takes the sizes it is told. */
#define VMBUS_DEVICE_DEFAULT_RING   (2u << 20)
#define VMBUS_DEVICE_DEFAULT_BUFFER (16u << 20)

/* irq indices, §9 */
#define VMBUS_IRQ_CHANNEL 0u
#define VMBUS_IRQ_DEVICE  1u
#define VMBUS_IRQ_COUNT	  2u

/* Descriptor, §8 */
#define VMBUS_DESC_MAJOR	1u
#define VMBUS_DESC_MINOR	0u
#define VMBUS_DESC_TABLE_OFFSET 0x100u
#define VMBUS_DESC_ENTRY_LEN	64u
#define VMBUS_DESC_VERSION_5_3	0x00050003u

/** Device state. */
#define VMBUS_DEVICE_DEAD      0u
#define VMBUS_DEVICE_OFFERED   1u
#define VMBUS_DEVICE_RESCINDED 2u

/** Channel state. */
#define VMBUS_CHANNEL_NONE	0u
#define VMBUS_CHANNEL_OPEN	1u
#define VMBUS_CHANNEL_RESCINDED 2u

/** Device flags. */
#define VMBUS_DEVICE_FLAG_MONITOR  1u /**< the host looks at the monitor page */
#define VMBUS_DEVICE_FLAG_DOORBELL 2u /**< eventfds from IO_FDS */
#define VMBUS_DEVICE_FLAG_BUSY	   4u /**< the host polls now (information) */

#define VMBUS_MONITOR_NONE 0xffu
#define VMBUS_VP_UNKNOWN   0xffffffffu

struct vmbus_desc_header {
	uint8_t magic[4]; /* "VMBD" */
	uint16_t major, minor;
	uint32_t total_len;
	uint32_t generation; /* odd while being changed */
	uint8_t class_guid[16];
	uint8_t instance[16];
	uint32_t state;
	uint32_t flags;
	uint32_t vmbus_version;
	uint32_t epoch;
	uint32_t relid;
	uint8_t monitor_id;
	uint8_t reserved1[3];
	int32_t numa_node;
	uint32_t max_channels;
	uint32_t num_channels;
	uint32_t table_offset;
	uint32_t entry_len;
	uint32_t reserved2;
	uint32_t recv_gpadl;
	uint32_t send_gpadl;
	uint64_t recv_size;
	uint64_t send_size;
	uint64_t rings_size;
};
static_assert(sizeof(struct vmbus_desc_header) == 0x80, "");
static_assert(offsetof(struct vmbus_desc_header, total_len) == 0x08, "");
static_assert(offsetof(struct vmbus_desc_header, generation) == 0x0c, "");
static_assert(offsetof(struct vmbus_desc_header, class_guid) == 0x10, "");
static_assert(offsetof(struct vmbus_desc_header, instance) == 0x20, "");
static_assert(offsetof(struct vmbus_desc_header, state) == 0x30, "");
static_assert(offsetof(struct vmbus_desc_header, flags) == 0x34, "");
static_assert(offsetof(struct vmbus_desc_header, vmbus_version) == 0x38, "");
static_assert(offsetof(struct vmbus_desc_header, epoch) == 0x3c, "");
static_assert(offsetof(struct vmbus_desc_header, relid) == 0x40, "");
static_assert(offsetof(struct vmbus_desc_header, monitor_id) == 0x44, "");
static_assert(offsetof(struct vmbus_desc_header, numa_node) == 0x48, "");
static_assert(offsetof(struct vmbus_desc_header, max_channels) == 0x4c, "");
static_assert(offsetof(struct vmbus_desc_header, num_channels) == 0x50, "");
static_assert(offsetof(struct vmbus_desc_header, table_offset) == 0x54, "");
static_assert(offsetof(struct vmbus_desc_header, entry_len) == 0x58, "");
static_assert(offsetof(struct vmbus_desc_header, recv_gpadl) == 0x60, "");
static_assert(offsetof(struct vmbus_desc_header, send_gpadl) == 0x64, "");
static_assert(offsetof(struct vmbus_desc_header, recv_size) == 0x68, "");
static_assert(offsetof(struct vmbus_desc_header, send_size) == 0x70, "");
static_assert(offsetof(struct vmbus_desc_header, rings_size) == 0x78, "");

struct vmbus_desc_channel {
	uint32_t state;
	uint32_t relid;
	uint16_t index;
	uint8_t monitor_id;
	uint8_t reserved1;
	uint32_t region;
	uint64_t region_size;
	uint32_t tx_off, tx_bytes;
	uint32_t rx_off, rx_bytes;
	uint32_t doorbell;
	uint32_t irq;
	uint32_t target_vp;
	uint32_t epoch;
	uint64_t reserved2;
};
static_assert(sizeof(struct vmbus_desc_channel) == VMBUS_DESC_ENTRY_LEN, "");
static_assert(offsetof(struct vmbus_desc_channel, index) == 8, "");
static_assert(offsetof(struct vmbus_desc_channel, monitor_id) == 10, "");
static_assert(offsetof(struct vmbus_desc_channel, region) == 12, "");
static_assert(offsetof(struct vmbus_desc_channel, region_size) == 16, "");
static_assert(offsetof(struct vmbus_desc_channel, tx_off) == 24, "");
static_assert(offsetof(struct vmbus_desc_channel, rx_bytes) == 36, "");
static_assert(offsetof(struct vmbus_desc_channel, doorbell) == 40, "");
static_assert(offsetof(struct vmbus_desc_channel, irq) == 44, "");
static_assert(offsetof(struct vmbus_desc_channel, target_vp) == 48, "");
static_assert(offsetof(struct vmbus_desc_channel, epoch) == 52, "");

/** One channel, validated. state == VMBUS_CHANNEL_NONE: nothing else means anything. */
struct vmbus_device_channel {
	uint32_t state; /**< VMBUS_CHANNEL_* */
	uint32_t relid;
	uint8_t monitor_id;  /**< 0..127 or VMBUS_MONITOR_NONE */
	uint32_t region;     /**< vfio-user region of the rings */
	uint32_t ring_bytes; /**< one ring with its control page; TX first, RX right behind it */
	uint32_t doorbell;   /**< offset in region 6 */
	uint32_t irq;	     /**< subindex of irq 0 */
	uint32_t target_vp;  /**< VMBUS_VP_UNKNOWN */
	uint32_t epoch;
};

/** A device in the words of the descriptor: what the server publishes and the client understood. */
struct vmbus_device_info {
	uint32_t generation;
	uint8_t instance[16]; /**< Hyper-V memory order */
	uint32_t state;	      /**< VMBUS_DEVICE_* */
	uint32_t flags;	      /**< VMBUS_DEVICE_FLAG_* */
	uint32_t vmbus_version;
	uint32_t epoch;
	uint32_t relid;
	uint8_t monitor_id;
	int32_t numa_node;
	uint32_t max_channels; /**< 1..64 */
	uint32_t num_channels; /**< as the server counts; trust channel[].state */
	uint32_t recv_gpadl, send_gpadl;
	uint64_t recv_size, send_size; /**< bytes */
	uint64_t rings_size;	       /**< region 0, bytes */
	/** Client only: bit k = entry k was there but did not hold water and is reported as NONE.
	 */
	uint64_t ignored;
	struct vmbus_device_channel channel[VMBUS_DEVICE_MAX_CHANNELS];
};

/** What the client knows from elsewhere and the descriptor must agree with. */
struct vmbus_device_expect {
	const uint8_t *instance; /**< GUID of the socket's name or of the devargs */
	uint64_t region_size[VMBUS_REGION_FIXED_COUNT]; /**< from REGION_INFO */
	uint32_t num_regions;				/**< from GET_INFO */
	uint32_t irq_count;				/**< of irq 0, from IRQ_INFO */
};

/**
 * Validate a private copy of the descriptor (never the shared page itself), §8 "Client accepts".
 * A bad header refuses the device; a bad entry only loses its channel (info->ignored), the
 * primary's excepted: without it there is no device. The size of region 16+k must still be compared
 * with REGION_INFO by the caller when it maps it: 2 * ring_bytes.
 * @param bytes,len what REGION_READ or vmbus_device_snapshot() gave
 * @param errbuf    one sentence when it fails
 * @return 0, or -EPROTO (malformed), -ENOTSUP (other major version), -ENODEV (not a NIC, or another
 *         instance)
 */
int vmbus_device_describe(const void *bytes, size_t len, const struct vmbus_device_expect *expect,
	struct vmbus_device_info *info, char *errbuf, size_t errlen);

/**
 * Consistent copy of the mapped descriptor page, §8.
 * @param page mapped region 5, VMBUS_DEVICE_DESCRIPTOR_SIZE bytes
 * @return 0; -EAGAIN after 1000 tries: use REGION_READ
 */
int vmbus_device_snapshot(const void *page, void *copy);
/** Generation of the mapped descriptor page (acquire). Odd = being changed. */
uint32_t vmbus_device_generation(const void *page);

/**
 * Server: write @p info to the descriptor page and advance the generation by 2. The only writer of
 * the page; readers may run at the same time.
 * @param page RW mapping of VMBUS_DEVICE_DESCRIPTOR_SIZE bytes
 */
void vmbus_device_publish(void *page, struct vmbus_device_info *info);

#endif
