/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Files that a user has named, opened without waiting: a FIFO keeps open(2) until somebody opens
 * its other end, some devices keep it until there is a carrier. Any thread.
 */
#ifndef HP_HOST_FILE_OPEN_H
#define HP_HOST_FILE_OPEN_H

#include <stdio.h>

/**
 * Open @p path to be read to its end: a regular file, or a pipe or terminal such as /dev/stdin.
 * Whether a pipe has a writer is asked once; reads of one that has wait for what it writes.
 * @param why when it fails: what is the matter with the file, in a few words
 * @return a stream, or NULL with errno set
 */
FILE *file_open_read(const char *path, const char **why);

/**
 * Open @p path to be written, made with the mode 0666 where it does not exist and not emptied. Only
 * what does not make a write wait for a reader: a regular file or a device such as /dev/null.
 * @param why as above
 * @return a descriptor or a negative errno
 */
int file_open_write(const char *path, const char **why);

#endif
