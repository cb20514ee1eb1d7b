/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Builds and takes apart a sysfs tree as different kernels show it, in a folder of its own under
 * /tmp (spec/linux-uio-vmbus.md §8, §12). One tree at a time, one thread; the caller calls
 * tree_remove(). A failure to build ends the test program: it is no result.
 */
#ifndef HP_TEST_SYSFS_TREE_H
#define HP_TEST_SYSFS_TREE_H

#include <stdbool.h>
#include <stddef.h>

/** Device of §12, and a second NIC that has to survive whatever is done to the first. */
#define TREE_NIC       "000d3a11-2233-000d-3a11-2233000d3a11"
#define TREE_NEIGHBOUR "6045bd00-0001-6045-bd00-00016045bd00"
/** The host's file copy service: no NIC, on uio_hv_generic all the same. */
#define TREE_FCOPY	   "eb765408-105f-49b6-b4aa-c123b64d17d4"
#define TREE_NIC_DIR	   "sys/bus/vmbus/devices/" TREE_NIC
#define TREE_NEIGHBOUR_DIR "sys/bus/vmbus/devices/" TREE_NEIGHBOUR

/** What differs between kernel generations. */
struct tree_kernel {
	const char *release;
	const char *prefix;	 /**< of device names */
	bool channels;		 /**< channels/ */
	bool subchannel_id;	 /**< in channels/<relid>/ */
	bool override;		 /**< driver_override */
	bool monitor;		 /**< the host offers a monitor bit */
	bool fcopy;		 /**< uio_hv_generic takes the file copy device by itself */
	unsigned int maps;	 /**< UIO maps */
	const char *map2;	 /**< name of the monitor map */
	const char *buf_size[2]; /**< of maps 3 and 4 */
};

extern const struct tree_kernel tree_kernels[];
extern const size_t tree_n_kernels;

/** Kernel whose tree §12 is. */
#define TREE_6_1 3

/** Root folder of the current tree. */
extern char tree_root[256];

/** A tree with the two NICs and the VF slot of §12; the roots in the environment lead to it. */
void tree_build(const struct tree_kernel *kernel);
void tree_remove(void);

/** Paths are relative to the tree; folders on the way are made. */
void tree_put(const char *path, const char *text);
void tree_put_bytes(const char *path, const void *bytes, size_t n);
void tree_size(const char *path, long bytes);
void tree_link(const char *path, const char *target);
void tree_mkdir(const char *path);
/** Remove a file, link or folder with all in it, if it is there. */
void tree_delete(const char *path);

#endif
