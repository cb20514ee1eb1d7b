/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What Linux shows of VMBus in sysfs, read and validated (spec/linux-uio-vmbus.md §1-§6, §10).
 *
 * Plain C without DPDK: the bus's uio backend and vmbusctl both stand on it. Nothing here opens a
 * device, maps memory or changes the system. Three files: sysfs.c (attributes and the scan),
 * sysfs_uio.c (channels, UIO maps, VF slots), sysfs_parse.c (pure functions on text).
 *
 * The caller owns every object. A struct vmbus_sysfs may be used by one thread at a time; the pure
 * functions by any thread. Values that the host chose (relid, monitor id, subchannel index) are
 * range-checked here and nowhere trusted. Every problem is reported through the callback with one
 * sentence and costs at most the device it was found on.
 */
#ifndef HP_VMBUS_SYSFS_H
#define HP_VMBUS_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/vmbus/guid.h"

#define VMBUS_SYSFS_ROOT_MAX 256
#define VMBUS_SYSFS_PATH_MAX 768
/** Longest device, driver or attribute name kept, with its NUL. */
#define VMBUS_SYSFS_NAME_MAX 64
#define VMBUS_SYSFS_NETDEVS  4
/** Kernel array of channels is 2048 long and 0 is the control channel. */
#define VMBUS_RELID_MAX	     2047u
#define VMBUS_MONITOR_ID_MAX 127
#define VMBUS_UIO_MAX	     1048575u
#define VMBUS_UIO_MAPS	     5
#define VMBUS_UIO_DRIVER     "uio_hv_generic"
#define VMBUS_NETVSC_DRIVER  "hv_netvsc"

enum vmbus_sysfs_level {
	VMBUS_SYSFS_DEBUG,
	VMBUS_SYSFS_INFO,
	VMBUS_SYSFS_WARN,
	VMBUS_SYSFS_ERROR,
};

/**
 * Receives each message.
 * @param device  name of the device concerned, "" when none
 * @param sentence  what, where, what to do; no newline; valid during the call only
 */
typedef void (*vmbus_sysfs_log_fn)(
	void *opaque, enum vmbus_sysfs_level level, const char *device, const char *sentence);

/** Where to look. No trailing slash; "" is the root of the file system. */
struct vmbus_sysfs {
	char sys[VMBUS_SYSFS_ROOT_MAX];
	char dev[VMBUS_SYSFS_ROOT_MAX];
	char proc[VMBUS_SYSFS_ROOT_MAX];
	vmbus_sysfs_log_fn log; /**< may be NULL */
	void *opaque;
	/** Asked by whoever waits: true ends the wait with -ECANCELED. May be NULL. */
	bool (*given_up)(void);
	bool denied; /**< a missing permission was reported; it is reported once */
};

/** Kernel's view of the primary channel (`state`). */
enum vmbus_channel_state {
	VMBUS_STATE_OFFERED = 0,
	VMBUS_STATE_OPENING = 1,
	VMBUS_STATE_READY = 2, /**< not open */
	VMBUS_STATE_OPEN = 3,
};

struct vmbus_sysfs_channel {
	uint16_t relid;
	uint16_t subchannel; /**< 0 is the primary */
	int monitor_id;	     /**< 0..127, -1 without one */
	int cpu;	     /**< -1 unknown */
	bool has_ring;	     /**< the `ring` file exists and is not empty */
	uint64_t
		ring_size; /**< bytes, both rings; st_size of `ring`, which old kernels overstate */
};

struct vmbus_sysfs_device {
	char name[VMBUS_SYSFS_NAME_MAX]; /**< directory name, for paths; identity is `instance` */
	uint8_t class_guid[16];		 /**< memory order */
	uint8_t instance[16];		 /**< memory order */
	uint16_t relid;
	enum vmbus_channel_state state;
	int monitor_id;			   /**< 0..127, -1 without one */
	int numa_node;			   /**< -1 unknown */
	char driver[VMBUS_SYSFS_NAME_MAX]; /**< "" when unbound */
	bool has_override;		   /**< the kernel has driver_override */
	bool override_unknown;		   /**< it is there, but what it says is not known */
	char driver_override[VMBUS_SYSFS_NAME_MAX]; /**< "" when unset, or unknown */
	int uio;				    /**< N of uio<N>, -1 without one */
	unsigned int n_netdevs;
	char netdevs[VMBUS_SYSFS_NETDEVS][16];
	bool has_channels; /**< the kernel has channels/ (4.14) */
	unsigned int n_channels;
	struct vmbus_sysfs_channel *channels; /**< by subchannel index; malloc */
};

/** One UIO map. */
struct vmbus_sysfs_map {
	char name[32];
	uint64_t addr; /**< of map 0 the guest-physical address on most kernels; else useless */
	uint64_t size; /**< bytes */
};

enum vmbus_uio_map {
	VMBUS_MAP_RINGS,
	VMBUS_MAP_INTERRUPT,
	VMBUS_MAP_MONITOR,
	VMBUS_MAP_RECV,
	VMBUS_MAP_SEND,
};

/** UIO side of one device; everything in it has been checked. */
struct vmbus_sysfs_uio {
	int number;
	unsigned int major, minor;
	char path[VMBUS_SYSFS_PATH_MAX]; /**< of the device node */
	struct vmbus_sysfs_map maps[VMBUS_UIO_MAPS];
	uint32_t ring_bytes; /**< each of the two rings of map 0, its control page included */
	uint32_t recv_gpadl, send_gpadl;
};

/**
 * Roots from HYPERPOLL_SYSFS_ROOT, HYPERPOLL_DEV_ROOT and HYPERPOLL_PROC_ROOT, else /sys, /dev,
 * /proc.
 * @return 0, or -ENAMETOOLONG (reported)
 */
int vmbus_sysfs_init(struct vmbus_sysfs *fs, vmbus_sysfs_log_fn log, void *opaque);

/** Report through the callback; `device` may be NULL. */
void vmbus_sysfs_report(const struct vmbus_sysfs *fs, enum vmbus_sysfs_level level,
	const char *device, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * All devices, or those of one class (memory order; NULL for all), ordered by name. A device that
 * is malformed is reported and left out, one that vanishes meanwhile is left out silently.
 * @return 0 with *devices (vmbus_sysfs_free()) and *n set, -ENOENT when there is no VMBus,
 *         -EACCES, -ENOMEM
 */
int vmbus_sysfs_scan(struct vmbus_sysfs *fs, const uint8_t *class_guid,
	struct vmbus_sysfs_device **devices, size_t *n);

void vmbus_sysfs_free(struct vmbus_sysfs_device *devices, size_t n);

/**
 * One device by directory name. A class other than `class_guid` (NULL: any) is not reported.
 * @return 0 (release with vmbus_sysfs_device_clear()), -ENODEV vanished, -ESRCH another class,
 *         -EINVAL malformed (reported), -EACCES, -ENOMEM
 */
int vmbus_sysfs_device_read(struct vmbus_sysfs *fs, const char *name, const uint8_t *class_guid,
	struct vmbus_sysfs_device *device);

void vmbus_sysfs_device_clear(struct vmbus_sysfs_device *device);

/** @return the primary channel's state, -ENODEV vanished, -EINVAL unknown, -EACCES */
int vmbus_sysfs_state(struct vmbus_sysfs *fs, const char *name);

/**
 * Read one attribute, `path` relative to the sysfs root: one read, one trailing newline taken off.
 * @return length, -ENODEV not there, -EACCES, -EINVAL (empty, too long or with a NUL), -errno
 */
ssize_t vmbus_sysfs_read(const struct vmbus_sysfs *fs, const char *path, char *text, size_t size);

/**
 * Channels of a device as they are now, ordered by subchannel index. Malformed ones are reported
 * and left out, half-made ones are left out silently.
 * @param relid  of the primary
 * @param granted  highest subchannel index the host granted; UINT16_MAX when unknown
 * @return 0 with *channels (free()) and *n, -ENODEV without channels/, -ENOMEM
 */
int vmbus_sysfs_channels(struct vmbus_sysfs *fs, const char *name, uint16_t relid, uint16_t granted,
	struct vmbus_sysfs_channel **channels, unsigned int *n);

/** The two waits below look this often and, unless told otherwise, this long (§4). */
#define VMBUS_SYSFS_POLL_MS 10
#define VMBUS_SYSFS_WAIT_MS 10000

/**
 * Wait until the ring file of one subchannel is there; nothing announces it. The channel may still
 * fail to map (ENODEV) if it closes at once.
 * @param path  of the ring file, VMBUS_SYSFS_PATH_MAX bytes
 * @return 0 with *channel and path, -ETIMEDOUT (reported), -ENODEV device vanished, -ENOMEM
 */
int vmbus_sysfs_ring_wait(struct vmbus_sysfs *fs, const char *name, uint16_t relid,
	uint16_t granted, uint16_t subchannel, unsigned int timeout_ms,
	struct vmbus_sysfs_channel *channel, char *path);

/** How long a ring file may be root's before it is somebody else's (§9). */
#define VMBUS_SYSFS_GIVEN_MS 2000

/**
 * Open a ring file for reading and writing, and wait while it is not ours yet: nothing tells when
 * its owner changes.
 * @return file descriptor, -EACCES or -EPERM (reported), -errno
 */
int vmbus_sysfs_ring_open(
	struct vmbus_sysfs *fs, const char *name, const char *path, unsigned int timeout_ms);

/**
 * Wait until the subchannels of a previous owner are gone and only the primary remains (§7.2).
 * @return 0, -ETIMEDOUT (reported), -ENODEV device vanished, -ENOMEM
 */
int vmbus_sysfs_primary_wait(
	struct vmbus_sysfs *fs, const char *name, uint16_t relid, unsigned int timeout_ms);

/**
 * The UIO side of a device, its five maps checked (§5).
 * @param page_size  system page size in bytes
 * @return 0, -ENOENT not bound to uio_hv_generic (silent), -ENODEV vanished, -EINVAL refused
 *         (reported), -EACCES
 */
int vmbus_sysfs_uio_read(
	struct vmbus_sysfs *fs, const char *name, size_t page_size, struct vmbus_sysfs_uio *uio);

/**
 * Open the device node, O_RDWR|O_CLOEXEC|O_NONBLOCK, and make sure that it is the one the maps were
 * read from: uio numbers are reused. On real hardware this opens the channel.
 * @return file descriptor or -errno (reported)
 */
int vmbus_sysfs_uio_open(
	struct vmbus_sysfs *fs, const char *name, const struct vmbus_sysfs_uio *uio);

struct vmbus_pci_address {
	uint32_t domain;
	uint8_t bus, device, function;
};

/**
 * Address of the VF with the serial number the host announced (§10). The caller must still compare
 * MAC addresses.
 * @return 0, -ENODEV no such slot (yet), -EINVAL malformed address (reported)
 */
int vmbus_sysfs_vf(struct vmbus_sysfs *fs, uint32_t serial, struct vmbus_pci_address *address);

/* Pure functions. Each takes whole strings: nothing before, nothing after. */

/** Decimal without sign or padding. @return 0 or -EINVAL */
int vmbus_parse_u32(const char *text, uint32_t max, uint32_t *value);

/** Decimal, one minus allowed. @return 0 or -EINVAL */
int vmbus_parse_int(const char *text, int min, int max, int *value);

/** 0x and 1 to 16 hex digits. @return 0 or -EINVAL */
int vmbus_parse_hex64(const char *text, uint64_t *value);

/** GUID with both braces or none, any case. @return 0 or -EINVAL */
int vmbus_parse_guid(const char *text, uint8_t guid[16]);

/** vmbus: and 32 hex digits in memory order. @return 0 or -EINVAL */
int vmbus_parse_modalias(const char *text, uint8_t guid[16]);

/** `<prefix><handle>`, handle 1..2^32-1, as map names 3 and 4. @return 0 or -EINVAL */
int vmbus_parse_gpadl(const char *text, const char *prefix, uint32_t *gpadl);

/** "uio<N>". @return N or -EINVAL */
int vmbus_parse_uio_name(const char *text);

/** Name of a directory in /sys/bus/pci/slots. @return 0 or -EINVAL when it is no VF's serial */
int vmbus_parse_slot(const char *text, uint32_t *serial);

/** DDDD:BB:SS as a slot's address; the function is 0. @return 0 or -EINVAL */
int vmbus_parse_slot_address(const char *text, struct vmbus_pci_address *address);

/** Short name of a device class ("Synthetic NIC"), "unknown" when not in §2. */
const char *vmbus_class_name(const uint8_t guid[16]);

/**
 * Guest-physical address from one entry of /proc/self/pagemap (§9).
 * @param va  the virtual address looked up; its offset in the page is kept
 * @param page_size  system page size
 * @return 0, or -ENXIO when unavailable: not present, swapped, or hidden (page frame 0)
 */
int vmbus_pagemap_decode(uint64_t entry, uint64_t va, size_t page_size, uint64_t *gpa);

enum vmbus_uevent_action {
	VMBUS_UEVENT_ADD,
	VMBUS_UEVENT_REMOVE,
	VMBUS_UEVENT_CHANGE,
	VMBUS_UEVENT_BIND,
	VMBUS_UEVENT_UNBIND,
	VMBUS_UEVENT_OTHER,
};

enum vmbus_uevent_subsystem {
	VMBUS_UEVENT_VMBUS,    /**< a device */
	VMBUS_UEVENT_UIO,      /**< a uio<N>, of any UIO driver: compare `device` */
	VMBUS_UEVENT_CHANNELS, /**< a channel directory */
};

/** One event; the pointers go into the caller's buffer. */
struct vmbus_uevent {
	enum vmbus_uevent_action action;
	enum vmbus_uevent_subsystem subsystem;
	const char *devpath;		   /**< without /sys */
	const char *driver;		   /**< NULL when not given */
	char device[VMBUS_SYSFS_NAME_MAX]; /**< directory name of the VMBus device */
	bool has_class;			   /**< MODALIAS was given */
	uint8_t class_guid[16];
	bool synthetic; /**< asked for by user space (udevadm trigger): may repeat what is known */
	uint16_t relid; /**< CHANNELS */
	int uio;	/**< UIO: N */
	unsigned int major, minor; /**< UIO, add */
	uint64_t seqnum;	   /**< 0 when not given */
};

/** How a datagram arrived; all of KERNEL and ROOT and not TRUNCATED, or it is not believed. */
#define VMBUS_UEVENT_FROM_KERNEL 0x1u /**< sender's nl_pid is 0 */
#define VMBUS_UEVENT_FROM_ROOT	 0x2u /**< SCM_CREDENTIALS uid 0 */
#define VMBUS_UEVENT_TRUNCATED	 0x4u /**< MSG_TRUNC was set */

/**
 * One datagram of the kobject netlink group (§4).
 * @return 0, -ENOENT not about VMBus, -EPERM not from the kernel, -EMSGSIZE truncated, -EINVAL
 *         malformed
 */
int vmbus_uevent_parse(
	const char *buffer, size_t length, unsigned int arrival, struct vmbus_uevent *event);

#endif
