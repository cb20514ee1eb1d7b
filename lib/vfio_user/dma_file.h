/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which files a client may share as its memory (spec/vmbus-over-vfio-user.md §12): the one check
 * for the server and for whoever maps the file. Owns nothing; any thread; waits for nobody.
 */
#ifndef HP_VFIO_USER_DMA_FILE_H
#define HP_VFIO_USER_DMA_FILE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * @param fd     what the peer sent; may be anything
 * @param offset,size bytes that will be mapped
 * @param write  they will be written, too
 * @param[out] block the file's page size: mappings begin and end at its multiples; NULL not needed
 * @return 0; -EINVAL not a file of tmpfs, memfd or hugetlbfs, or too short; -EPERM access mode
 */
int vfu_dma_file_check(int fd, uint64_t offset, uint64_t size, bool write, uint64_t *block);

#endif
