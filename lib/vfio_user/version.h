/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The capabilities JSON of VERSION; internal to lib/vfio_user (spec/vmbus-over-vfio-user.md §3).
 *
 * Owns nothing; any thread. Parsing uses the heap (json-c), within bounds.
 */
#ifndef HP_VFIO_USER_VERSION_H
#define HP_VFIO_USER_VERSION_H

#include <stddef.h>
#include <stdint.h>

/* Bits of vfu_caps.named: the peer's JSON had the key. */
#define VFU_CAP_MAX_MSG_FDS   1u
#define VFU_CAP_MAX_DATA_XFER 2u
#define VFU_CAP_MAX_DMA_MAPS  4u
#define VFU_CAP_PGSIZES	      8u
#define VFU_CAP_ALL	      15u

struct vfu_caps {
	unsigned int named;
	uint32_t max_msg_fds; /**< what the peer can receive; 0 = send it none */
	uint32_t max_dma_maps;
	uint64_t max_data_xfer; /**< bytes */
	uint64_t pgsizes;	/**< mask */
};

/**
 * @param json what follows major and minor; 0 bytes give the defaults
 * @return 0, or -EINVAL: no NUL at the end, over 4096 bytes, nested deeper than 8, wrong type or
 * range
 */
int vfu_caps_parse(const char *json, size_t len, struct vfu_caps *caps);

/**
 * Our own capabilities, those of @p named only.
 * @return length with the NUL; @p size >= 160 suffices
 */
size_t vfu_caps_format(char *json, size_t size, uint32_t max_msg_fds, unsigned int named);

#endif
