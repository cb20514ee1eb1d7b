/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vfio-user wire format: constants and message layouts (spec/vmbus-over-vfio-user.md part 1).
 *
 * Nothing here owns data or runs anywhere; client and server both include it. All integers are
 * little-endian; big-endian machines are out of scope. Every payload follows the 16-byte header.
 */
#ifndef HP_VFIO_USER_WIRE_H
#define HP_VFIO_USER_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "layouts are little-endian");

/* Version proposed and spoken, §3. */
#define VFIO_USER_MAJOR 0u
#define VFIO_USER_MINOR 1u

/* §2 */
enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,  /* server to client; never sent by us */
	VFIO_USER_DMA_WRITE = 12, /* server to client; never sent by us */
	VFIO_USER_DEVICE_RESET = 13,
};

/* §1 header flags */
#define VFIO_USER_TYPE_MASK    0x0fu
#define VFIO_USER_TYPE_COMMAND 0x00u
#define VFIO_USER_TYPE_REPLY   0x01u
#define VFIO_USER_NO_REPLY     0x10u
#define VFIO_USER_ERROR	       0x20u

/* §3 and §5 limits */
#define VFIO_USER_MAX_DATA_XFER	    65536u
#define VFIO_USER_MAX_REQUEST	    65568u /* 16 header + 16 fixed part + 65536 data */
#define VFIO_USER_CLIENT_MAX_FDS    64u	   /* what our client can receive */
#define VFIO_USER_SERVER_MAX_FDS    16u	   /* what our server can receive; QEMU refuses more */
#define VFIO_USER_KERNEL_MAX_FDS    253u
#define VFIO_USER_MAX_JSON	    4096u /* bytes, with the NUL */
#define VFIO_USER_MAX_DMA_MAPS	    65535u
#define VFIO_USER_PAGE		    4096u
#define VFIO_USER_MAX_REGIONS	    128u
#define VFIO_USER_MAX_IRQS	    16u
#define VFIO_USER_MAX_CAPS	    16u
#define VFIO_USER_REGION_INFO_ARGSZ 4096u /* always ask with this: a small argsz loses the fd */

/* §4 device flags */
#define VFIO_USER_DEVICE_RESET_CAP 1u
#define VFIO_USER_DEVICE_PCI	   2u

/* §4 region flags */
#define VFIO_USER_REGION_FLAG_READ  1u
#define VFIO_USER_REGION_FLAG_WRITE 2u
#define VFIO_USER_REGION_FLAG_MMAP  4u
#define VFIO_USER_REGION_FLAG_CAPS  8u

/* §4 region capabilities */
#define VFIO_USER_CAP_SPARSE_MMAP 1u
#define VFIO_USER_CAP_TYPE	  2u

/* §4 irq info flags */
#define VFIO_USER_IRQ_EVENTFD	 1u
#define VFIO_USER_IRQ_MASKABLE	 2u
#define VFIO_USER_IRQ_AUTOMASKED 4u
#define VFIO_USER_IRQ_NORESIZE	 8u

/* §4 SET_IRQS flags: one data kind and one action */
#define VFIO_USER_IRQ_DATA_NONE	     0x01u
#define VFIO_USER_IRQ_DATA_BOOL	     0x02u
#define VFIO_USER_IRQ_DATA_EVENTFD   0x04u
#define VFIO_USER_IRQ_ACTION_MASK    0x08u
#define VFIO_USER_IRQ_ACTION_UNMASK  0x10u
#define VFIO_USER_IRQ_ACTION_TRIGGER 0x20u

/* §4 DMA flags */
#define VFIO_USER_DMA_READ_FLAG	 1u /* the server may read */
#define VFIO_USER_DMA_WRITE_FLAG 2u /* the server may write */
#define VFIO_USER_DMA_UNMAP_ALL	 2u

/* §4 IO_FDS */
#define VFIO_USER_IO_FD_EVENTFD	     0u
#define VFIO_USER_IO_FD_ENTRY_MIN    40u /* libvfio-user's entries are 48 bytes long */
#define VFIO_USER_IO_FD_ENTRY_PREFIX 28u /* what every dialect agrees on */

struct vfio_user_header {
	uint16_t msg_id;
	uint16_t command;
	uint32_t size; /* header and payload */
	uint32_t flags;
	uint32_t error;
};
static_assert(sizeof(struct vfio_user_header) == 16, "");
static_assert(offsetof(struct vfio_user_header, size) == 4, "");
static_assert(offsetof(struct vfio_user_header, flags) == 8, "");
static_assert(offsetof(struct vfio_user_header, error) == 12, "");

/* Followed by optional NUL-terminated JSON. */
struct vfio_user_version {
	uint16_t major;
	uint16_t minor;
};
static_assert(sizeof(struct vfio_user_version) == 4, "");

struct vfio_user_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};
static_assert(sizeof(struct vfio_user_device_info) == 16, "");

struct vfio_user_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset; /* from the start of this structure; 0 = none */
	uint64_t size;
	uint64_t offset; /* of the region inside its fd */
};
static_assert(sizeof(struct vfio_user_region_info) == 32, "");
static_assert(offsetof(struct vfio_user_region_info, cap_offset) == 12, "");
static_assert(offsetof(struct vfio_user_region_info, size) == 16, "");

struct vfio_user_cap {
	uint16_t id;
	uint16_t version;
	uint32_t next; /* from the start of the region info; 0 = end */
};
static_assert(sizeof(struct vfio_user_cap) == 8, "");

struct vfio_user_cap_type {
	struct vfio_user_cap cap;
	uint32_t type;
	uint32_t subtype;
};
static_assert(sizeof(struct vfio_user_cap_type) == 16, "");

struct vfio_user_sparse_area {
	uint64_t offset;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_sparse_area) == 16, "");

/* Followed by nr_areas areas. */
struct vfio_user_cap_sparse {
	struct vfio_user_cap cap;
	uint32_t nr_areas;
	uint32_t reserved;
};
static_assert(sizeof(struct vfio_user_cap_sparse) == 16, "");

struct vfio_user_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_irq_info) == 16, "");

/* Followed by count bytes for DATA_BOOL; fds travel beside the message. */
struct vfio_user_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_irq_set) == 20, "");

struct vfio_user_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset; /* in the file */
	uint64_t address;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_dma_map) == 32, "");
static_assert(offsetof(struct vfio_user_dma_map, address) == 16, "");

struct vfio_user_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};
static_assert(sizeof(struct vfio_user_dma_unmap) == 24, "");

/* Followed by the data in a read reply and in a write request. */
struct vfio_user_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_region_access) == 16, "");

/* Followed by count entries in the reply. */
struct vfio_user_io_fds {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vfio_user_io_fds) == 16, "");

struct vfio_user_io_fd {
	uint64_t offset;
	uint64_t size;
	uint32_t fd_index;
	uint32_t type;
	uint32_t flags;
	uint32_t pad;
	uint64_t datamatch;
};
static_assert(sizeof(struct vfio_user_io_fd) == 40, "");
static_assert(offsetof(struct vfio_user_io_fd, fd_index) == 16, "");
static_assert(offsetof(struct vfio_user_io_fd, flags) == 24, "");
static_assert(offsetof(struct vfio_user_io_fd, datamatch) == 32, "");

#endif
