/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The rig: an LD_PRELOAD library that shows a process a sysfs tree and /dev/uioN of NICs that hvsim
 * serves, as uio_hv_generic would show them (spec/linux-uio-vmbus.md §1, §4-§7), and is itself the
 * vfio-user client (spec/vmbus-over-vfio-user.md). See README.md for its environment.
 *
 * Threads: every call of the process may come on any thread. All state below is guarded by one
 * recursive lock (rig_lock), but for rig_files[], which is read without it. One thread of the rig's
 * own (rig_device.c) plays the kernel's part: interrupts, late files, removal. The lock is held
 * while a command travels to hvsim; none of this is the data path.
 */
#ifndef HP_TEST_RIG_H
#define HP_TEST_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "lib/vfio_user/client.h"
#include "lib/vfio_user/vmbus_device.h"

#define RIG_MAX_SLOTS 8u
#define RIG_MAX_FDS   65536
#define RIG_MAPS      5u
#define RIG_PATH      512u

/* ---- options and paths (rig_calls.c) ---- */

struct rig_options {
	char sockets[RIG_MAX_SLOTS][108];
	unsigned int n_sockets;
	char dir[256];	      /**< holds the tree; private unless the user named it */
	bool own_dir;	      /**< ours to remove */
	bool physical;	      /**< RIG_IOVA=pa: hvsim knows memory by physical address */
	bool masks;	      /**< RIG_MASKS=1: at open and in interrupts, as before 6.18 */
	bool no_monitor;      /**< RIG_MONITOR=none */
	bool call_primary;    /**< RIG_CALL=primary: a write reaches only the primary, as in 6.10 */
	unsigned int late_ms; /**< RIG_RING_LATE_MS: the "ring" file after its folder; 20 */
	bool deny_node;	      /**< RIG_DENY=node: /dev/uioN is nobody's until somebody gives it */
	bool deny_rings;      /**< RIG_DENY=rings: so are the "ring" files of subchannels */
	int state;	      /**< RIG_STATE: what "state" always says; -1 = the truth */
	bool verbose;	      /**< RIG_VERBOSE=1 */
	char unbound[256];    /**< RIG_UNBOUND: while there is this file, no driver is bound */
};
extern struct rig_options rig_options;
extern pthread_mutex_t rig_lock;

void rig_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- devices (rig_device.c) ---- */

struct rig_channel {
	bool listed;	  /**< its folder is there */
	uint64_t ring_at; /**< when the file "ring" appears, monotonic ns; 0 = it is there */
	uint32_t relid;
	uint32_t ring_bytes;
	uint64_t calls;	  /**< signals by the kernel: the attribute "events" */
	int fd;		  /**< of the region; -1 = none */
	uint64_t offset;  /**< in @a fd */
	void *rx_control; /**< our own view of the inbound ring's control page */
};

/** One offer of a NIC: from its appearance to its removal. Freed when nothing refers to it. */
struct rig_device {
	LIST_ENTRY(rig_device) next;
	struct rig_slot *slot;
	int number;   /**< of uioN */
	bool foreign; /**< another process has the connection: only the tree is here */
	bool gone;
	bool open;		  /**< the channel is open with the host (state 3) */
	unsigned int opens, maps; /**< what keeps it open */
	unsigned int ring_files;  /**< open "ring" files, which do not */
	int32_t events;

	struct vfu_client *client;
	struct vmbus_device_expect expect;
	struct vmbus_device_info info;
	int region_fd[RIG_MAPS];
	uint64_t region_size[RIG_MAPS], region_offset[RIG_MAPS];
	uint8_t *monitor; /**< our view of map 2 */
	struct vfu_io_fds doorbells;
	int interrupt_fd, change_fd; /**< eventfds of irq 0 and irq 1 */
	uint64_t clean_at;	     /**< when folders of old subchannels vanish; 0 = done */
	struct rig_channel channel[VMBUS_DEVICE_MAX_CHANNELS];
};

/** One socket of the environment; at most one living offer at a time. */
struct rig_slot {
	char path[108];
	uint8_t guid[16];
	char name[40];
	int owner_fd;		   /**< locked file: this process plays the kernel for the NIC */
	struct rig_device *device; /**< NULL: withdrawn, waiting for the socket to come back */
};

/** What a descriptor of the process stands for. */
enum rig_kind {
	RIG_FILE_UIO,
	RIG_FILE_RING,
	RIG_FILE_UEVENT,
};

struct rig_file {
	LIST_ENTRY(rig_file) next;
	enum rig_kind kind;
	struct rig_device *device;
	unsigned int channel; /**< of a device of another process: its relid */
	int peer;	/**< our end of the socket pair; -1 = closed, which reads as a hang-up */
	int lock_fd;	/**< what flock() works on; -1 = not yet */
	int foreign_fd; /**< memory of another process's device; -1 = none */
	int32_t seen;
};

extern _Atomic(struct rig_file *) rig_files[RIG_MAX_FDS];

/** What a descriptor of the process stands for, or NULL. Any thread, no lock. */
static inline struct rig_file *
rig_file_of(int fd)
{
	return fd < 0 || fd >= RIG_MAX_FDS
		       ? NULL
		       : atomic_load_explicit(&rig_files[fd], memory_order_acquire);
}

/** Connect, build the trees, start the thread. Once, at the first look at a redirected path. */
void rig_start(void);
/** At exit of the process. */
void rig_stop(void);

/* These set errno and return -1 as the calls do; lock not held. */
int rig_uio_open(int number, int flags);
int rig_ring_open(const char *path, int flags);
ssize_t rig_uio_read(int fd, void *buf, size_t len);
ssize_t rig_uio_write(int fd, const void *buf, size_t len);
int rig_file_flock(int fd, int operation);
int rig_file_close(int fd);

/** A descriptor on whose peer uevents arrive. */
int rig_uevent_socket(int type);
/** Tell all of them; @p len bytes with NULs inside. Lock held. */
void rig_uevent_send(const char *text, size_t len);

/** The living device uio@p number, or NULL; lock held. */
struct rig_device *rig_device_by_number(int number);
/** First open of a device. Lock held. */
void rig_device_open(struct rig_device *device);
/** As write() to the device does: interrupts on or off, and a call to the host. Lock held. */
void rig_device_control(struct rig_device *device, bool on);
/** Device and ring of a mapping; lock held. @return fd to map and *offset, or -1 with errno */
int rig_file_backing(struct rig_file *file, size_t len, off_t *offset);
/** Mappings or descriptors of the device have become fewer; lock held. */
void rig_device_released(struct rig_device *device);

/* ---- the connection (rig_connect.c); lock held ---- */

struct rig_device *rig_device_new(struct rig_slot *slot);
/** Learn everything about a connected device, install the interrupts. @return negative errno */
int rig_discover(struct rig_device *device);
/** Read the descriptor into device->info. @return negative errno */
int rig_read_descriptor(struct rig_device *device);
/** The memory of channel k is there: take our view of the inbound ring. Takes @p fd. */
void rig_adopt_channel(struct rig_device *device, unsigned int k, int fd, uint64_t offset);
/** Close the connection and everything that belongs to it. */
void rig_disconnect(struct rig_device *device);
/**
 * Memory of a NIC that another process with this folder has the connection of: map @p map of
 * /dev/uioN, or (RIG_MAPS + relid) a channel's rings. @return a new fd and *offset, *size; or -1
 */
int rig_foreign_memory(
	struct rig_device *device, unsigned int map, uint64_t *offset, uint64_t *size);
void rig_close_fd(int *fd);
/** Add one to an eventfd. */
void rig_poke(int fd);

/* ---- open files (rig_file.c); lock held ---- */

/** The device has counted another interrupt: wake who waits for it. */
void rig_files_wake(struct rig_device *device);
/** The device has been removed: its descriptors read as a hang-up. */
void rig_files_hang_up(struct rig_device *device);

/* ---- the tree (rig_tree.c); lock held ---- */

int rig_tree_build(struct rig_device *device);
void rig_tree_remove(struct rig_device *device);
void rig_tree_unbind(struct rig_device *device);
void rig_tree_state(struct rig_device *device, int state);
/** The folder of channel k, and with @p ring its file "ring" too. */
void rig_tree_channel(struct rig_device *device, unsigned int k, bool ring);
void rig_tree_ring(struct rig_device *device, unsigned int k);
void rig_tree_channel_remove(struct rig_device *device, unsigned int k);
/** Write the count of the kernel's signals. */
void rig_tree_calls(struct rig_device *device, unsigned int k);
/** Tell of the device as the kernel does: "add", "bind", "remove". */
void rig_tree_uevent(struct rig_device *device, const char *action);
/** Monitor of channel k: the host's, or one of our own numbering when it has none; -1 = none. */
int rig_monitor_id(const struct rig_device *device, unsigned int k);
void rig_remove_all(const char *path);

/* ---- mappings and shared memory (rig_memory.c); lock held ---- */

/** The process has mapped a device file. */
void rig_area_device(void *start, size_t len, struct rig_file *file);
/** The process has mapped [start, start + len) shared from @p fd: memory for the host? */
void rig_area_memory(void *start, size_t len, int fd, off_t offset);
/** The process unmaps or maps over the range. */
void rig_area_forget(void *start, size_t len);
/** Share everything with a newly connected device. */
void rig_memory_share(struct rig_slot *slot);
/** The connection of the slot is over: nothing is shared with it any more. */
void rig_memory_unshared(struct rig_slot *slot);
/** Take the rings of subchannels away as kernfs does: the next access is a SIGBUS. */
void rig_revoke_rings(struct rig_device *device);

extern struct rig_slot rig_slots[RIG_MAX_SLOTS];

#endif
