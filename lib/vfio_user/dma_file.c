/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_user/dma_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/vfio_user/vfio_user.h"

int
vfu_dma_file_check(int fd, uint64_t offset, uint64_t size, bool write, uint64_t *block)
{
	struct stat st;
	int mode;

	/*
	 * Seals exist for tmpfs, memfd and hugetlbfs only. This comes before fstat(), which a file
	 * system that the client itself serves (FUSE) could leave unanswered.
	 */
	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	if (offset % VFIO_USER_PAGE != 0 || st.st_size < 0 || offset > (uint64_t)st.st_size ||
		size > (uint64_t)st.st_size - offset)
		return -EINVAL;
	mode = fcntl(fd, F_GETFL);
	if (mode < 0)
		return -EINVAL;
	mode &= O_ACCMODE;
	/* A shared mapping for writing needs both. */
	if (mode == O_WRONLY || (write && mode != O_RDWR))
		return -EPERM;
	if (block == NULL)
		return 0;
	/* Of hugetlbfs the huge page; tmpfs may say more than a page, which does no harm. */
	*block = st.st_blksize > (blksize_t)VFIO_USER_PAGE ? (uint64_t)st.st_blksize
							   : VFIO_USER_PAGE;
	return (*block & (*block - 1)) == 0 ? 0 : -EINVAL;
}
