/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which files the ports and traces of this process use, so that none of them empties or overwrites
 * another's. Files are known by device and inode, whatever they are called. Any thread.
 */
#ifndef HP_HOST_FILE_CLAIM_H
#define HP_HOST_FILE_CLAIM_H

#include <stddef.h>
#include <sys/types.h>

/** A file that is in use; all zero: none. Belongs to who uses the file. */
struct file_claim {
	struct file_claim *next;
	dev_t device;
	ino_t inode;
	char *path; /**< of one that is not open any more, or NULL */
	const char *what;
};

/**
 * Say that @p fd is written from now on: to be asked after it was opened, and before it is emptied.
 * Files that hold nothing (devices, pipes) are anybody's.
 * @param what how others are told, as in "a trace goes into it"
 * @return 0, or -EBUSY and in @p who what another one does with the file
 */
int file_claim_written(struct file_claim *claim, int fd, const char *what, const char **who);
/**
 * Say that what @p fd holds is not to be lost, although it may be closed: as long as @p path leads
 * to it.
 * @return 0 or -ENOMEM
 */
int file_claim_read(struct file_claim *claim, int fd, const char *path, const char *what);
/** It is used no longer; before a descriptor of a written one is closed, or after. */
void file_claim_end(struct file_claim *claim);

#endif
