/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * DPDK bus "vmbus": what it offers to the netvsc PMD.
 *
 * A device is the same whichever backend serves it: two rings per channel, a receive buffer, a send
 * buffer, and a way to signal the host. The bus owns devices and their mappings; a driver owns its
 * channels from backend->channel_open() to backend->channel_close().
 *
 * Threads: control functions (open, close, reset, channel_open, channel_close) are called by one
 * control thread at a time per device; hpbus_channel_signal() and hpbus_dma_usable() on any thread.
 *
 * Global symbols start with hpbus_ so that a static link line which also takes in the in-tree bus
 * does not clash (spec/dpdk-driver-api.md §1).
 */
#ifndef HP_BUS_VMBUS_BUS_H
#define HP_BUS_VMBUS_BUS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_dev.h>
#include <rte_memory.h>
#include <bus_driver.h>
#include <dev_driver.h>

#include "drivers/bus/vmbus/op.h"
#include "lib/vmbus/guid.h"
#include "lib/vmbus/monitor.h"
#include "lib/vmbus/ring.h"

extern int hpbus_logtype;
#define HPBUS_LOG(level, ...)                                                                      \
	rte_log(RTE_LOG_##level, hpbus_logtype,                                                    \
		RTE_FMT("hyperpoll: vmbus: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n",                     \
			RTE_FMT_TAIL(__VA_ARGS__, )))

#define HPBUS_MAX_CHANNELS 64u
/** That may share a device; the primary has slot 0. */
#define HPBUS_MAX_PROCESSES 64u
/** How long secondaries are waited for. */
#define HPBUS_GATHER_MS 1000u

/** A receive or send buffer shared with the host. */
struct hpbus_buffer {
	uint8_t *base;
	size_t len;
	uint32_t gpadl; /**< handle to name it by in NVSP messages */
};

/** How a channel's guest-to-host signals travel; chosen when the channel opens (pitfall R8). */
enum hpbus_signal {
	HPBUS_SIGNAL_NONE = 0,
	HPBUS_SIGNAL_MONITOR, /**< bit in the monitor page */
	HPBUS_SIGNAL_EVENTFD, /**< an eventfd, which the host holds too */
	HPBUS_SIGNAL_CALL,    /**< the backend's own way, slow */
};

struct hpbus_device;

/**
 * One open channel. The driver reads it; the bus fills it in. It may lie in memory that processes
 * share: what is not the same in all of them is in their struct hpbus_device.
 */
struct hpbus_channel {
	struct hpbus_device *dev; /**< of the process that opened it */
	uint16_t index;		  /**< 0 primary, else subchannel index */
	uint16_t relid;
	struct vmbus_ring tx, rx; /**< guest-to-host, host-to-guest */
	enum hpbus_signal signal;
	uint8_t monitor_id;
	atomic_bool armed; /**< the backend's own: leave the inbound ring's mask alone */
	uint32_t doorbell; /**< the backend's own: where to write for HPBUS_SIGNAL_CALL */
};

struct hpbus_dma_own;
struct hpbus_dma_run;
struct rte_eth_dev;

/**
 * What a way of reaching devices must do; return values are 0 or a negative errno. What waits ends
 * with the operation of the calling thread (op.h): reset and close with its fence, the rest with
 * its talk.
 */
struct hpbus_backend {
	const char *name;
	/** Take the device: connect, map the buffers. The primary channel is openable after. */
	int (*open)(struct hpbus_device *dev);
	/**
	 * Give it back: the host sees the channel closed; nothing stays mapped or registered.
	 * Harmless when it is not open.
	 */
	void (*close)(struct hpbus_device *dev);
	/**
	 * Close and re-open the channel with the host: rings empty, all NVSP state gone. All
	 * hpbus_channel objects must have been closed. When it returns the host no longer touches
	 * guest memory named in old packets; when it fails, the host was cut off and is gone, or
	 * with -EBUSY goes on: another process keeps the channel open.
	 */
	int (*reset)(struct hpbus_device *dev);
	/** reset() maps the buffers anew: it needs none of those that there were. */
	bool reset_maps;
	int (*channel_open)(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch);
	void (*channel_close)(struct hpbus_device *dev, struct hpbus_channel *ch);
	/** Signal the host when the method is EVENTFD or CALL. Never waits for the host. */
	void (*signal)(struct hpbus_device *dev, struct hpbus_channel *ch);
	/** Try again what signal() could not deliver at once. Any thread; never waits. May be NULL.
	 */
	void (*signal_again)(struct hpbus_device *dev);
	/** May GPA-direct packets name [addr, addr+len)? NULL: never (copy-only). */
	bool (*dma_usable)(struct hpbus_device *dev, const void *addr, size_t len);
	/**
	 * Have packets name memory of the application's own (rte_dev_dma_map()), and not any more.
	 * NULL: it is copied. @return 0; -ENOTSUP: nobody can be told of it, and it is copied;
	 * negative errno
	 */
	int (*dma_map)(struct hpbus_device *dev, uintptr_t addr, uint64_t iova, size_t len);
	void (*dma_unmap)(struct hpbus_device *dev, uintptr_t addr, size_t len);
	/** Is an address in such memory? @param run narrowed to it, and usable, if so */
	bool (*dma_own)(struct hpbus_device *dev, uintptr_t addr, struct hpbus_dma_run *run);
	/**
	 * dev->intr.fd has descriptors of channels 0 to n - 1, which are open: have them signalled.
	 * Says in a message why it cannot.
	 */
	int (*intr_open)(struct hpbus_device *dev, unsigned int n);
	/** Make one of them readable. Any thread; never waits. */
	int (*intr_raise)(struct hpbus_device *dev, int fd);
	/** hpbus_channel_arm() and hpbus_channel_disarm(); NULL: the ring's mask is all. */
	bool (*arm)(struct hpbus_channel *ch, struct vmbus_ring_reader *in);
	void (*disarm)(struct hpbus_channel *ch);
	/** Free the backend's data of a device that is not open. */
	void (*release)(struct hpbus_device *dev);
};

struct hpbus_place_entry;

/** What of a device is mapped where, for other processes (place.h). */
struct hpbus_places {
	struct hpbus_place_entry *list;
	unsigned int n, room;
	uint32_t generation;
	_Atomic uint64_t mapped; /**< processes that have all of it */
};

struct hpbus_shared;

/** A device that secondary processes may have, too (mp.h). */
struct hpbus_sharing {
	bool on; /**< changed with the device list locked; in a secondary: the primary has it */
	char port[RTE_DEV_NAME_MAX_LEN]; /**< the driver's name for it */
	struct hpbus_shared *shared;	 /**< NULL unless @a on */
	_Atomic uint64_t attached;	 /**< processes that are waited for, by slot */
	_Atomic uint64_t known;		 /**< that have ever opened it, and live: they are told */
};

/** Descriptors of receive interrupts. */
struct hpbus_intr {
	unsigned int n;		/**< how many there are; only grows until hpbus_intr_close() */
	unsigned int installed; /**< of which the host has the first ones */
	int fd[HPBUS_MAX_CHANNELS];
};

/** One VMBus NIC. Made by a scan, freed by unplug or cleanup. */
struct hpbus_device {
	TAILQ_ENTRY(hpbus_device) next;
	struct rte_device device;
	char name[VMBUS_GUID_LEN + 1]; /**< instance GUID, lower case */
	uint8_t instance[16];	       /**< the same in memory order */
	const struct hpbus_backend *backend;
	void *backend_data;
	char where[128]; /**< socket path or sysfs folder, for messages */

	/* Valid from backend->open() to backend->close(). */
	struct hpbus_buffer recv, send;
	struct vmbus_monitor_page *monitor; /**< NULL when there is none */
	unsigned int max_channels;
	bool copy_only;	     /**< no guest memory can be named in packets */
	bool want_copy_only; /**< devarg copy_only=1; set before backend->open() */
	/**
	 * The host or the device went away: rings are silent, memory stays valid. Set once by the
	 * backend, read once per burst by the driver.
	 */
	atomic_bool gone;
	atomic_bool told; /**< the driver knows */
	/**
	 * Set by the driver while it waits for a device that went away: backend->close() leaves
	 * what wakes those who sleep, and backend->open() looks for the device wherever it may be
	 * by now, and does not complain when it is not there: -ENOENT.
	 */
	bool returning;
	/**
	 * Set by the driver instead of backend->close(): a thread may still be inside. All of the
	 * device stays, also after a cleanup, until the process ends.
	 */
	bool kept;

	/**
	 * After backend->close(): another process has the device mapped, which keeps the channel
	 * open. The host goes on with what it has: the close was no fence.
	 */
	bool held;

	/** Of channels with HPBUS_SIGNAL_EVENTFD; shared with the host. */
	int signal_fd[HPBUS_MAX_CHANNELS];

	/** What the application has mapped for the device (dma.c). */
	struct hpbus_dma_own *own;
	unsigned int n_own;
	pthread_mutex_t own_turn;

	/* From hpbus_intr_open() to hpbus_intr_close(). */
	struct hpbus_intr intr;

	struct hpbus_places places; /**< of the primary process */
	struct hpbus_sharing sharing;
	atomic_bool dma_partial; /**< the host has not got all of DPDK's memory */

	/* The driver's. */
	void *driver_data;
	struct rte_eth_dev *driver_eth; /**< in a secondary, which shares @a driver_data */
	bool removed; /**< set by changed(): removed() is to be called; the device list's lock */
	/**
	 * The device is gone; on the EAL interrupt thread. @return whether the driver waits for it:
	 * then it calls hpbus_device_lost() or backend->open() in the end
	 */
	bool (*on_gone)(struct hpbus_device *dev);
};

/** A driver on this bus; there is one class of device and one driver. */
struct hpbus_driver {
	struct rte_driver driver;
	int (*probe)(struct hpbus_device *dev);
	int (*remove)(struct hpbus_device *dev);

	/** Stands for the layout of what the driver has in memory that processes share. */
	uint32_t abi;
	/*
	 * In the primary, with the device list locked, of a device with driver_data: a secondary
	 * has come; one has mapped all that there is, or wants nothing more: hpbus_processes() is
	 * another; one has ended, wherever it was. @return whether that holds for all of the
	 * device: if not, who wants nothing more may still be inside
	 */
	void (*process_came)(struct hpbus_device *dev);
	bool (*process_ready)(struct hpbus_device *dev);
	bool (*process_ended)(struct hpbus_device *dev, unsigned int slot);
	/** Signal the host of these channels for a secondary. @return those that must wait */
	uint64_t (*call)(struct hpbus_device *dev, uint64_t channels);
	/** In a secondary, the same: the primary has changed something, or is gone. */
	void (*changed)(struct hpbus_device *dev);
	/** Tell the application. On EAL's interrupt thread without a lock: it may detach the port.
	 */
	void (*removed)(struct rte_eth_dev *eth);
};

/** Register the driver; called once, from a constructor. */
void hpbus_register_driver(struct hpbus_driver *driver);

static inline struct hpbus_device *
hpbus_device_of(struct rte_device *dev)
{
	return (struct hpbus_device *)((char *)dev - offsetof(struct hpbus_device, device));
}

/**
 * Set or (with NULLs) take back what the driver keeps with the device. After it was taken back,
 * on_gone runs at most until backend->close() returns, and not from hot-plug events any more.
 */
void hpbus_device_set_driver_data(
	struct hpbus_device *dev, void *data, bool (*on_gone)(struct hpbus_device *dev));
/** A device that the driver waited for does not come back: tell EAL. Interrupt thread. */
void hpbus_device_lost(struct hpbus_device *dev);

/**
 * The NUMA node of an open device: the backend's answer, else the node that its receive buffer lies
 * on, else the first node of the machine. Never negative.
 */
int hpbus_device_node(const struct hpbus_device *dev);

/**
 * Before backend->close(): who reads in the receive buffer goes on. Its memory, at the same
 * address, becomes private, with the contents as of now; the bus lets go of it.
 * @return 0, or a negative errno: the memory is the bus's no more, but what was shared
 */
int hpbus_recv_keep(struct hpbus_device *dev);
/**
 * Before backend->reset(), all channels closed: the same, and the device has a receive buffer after
 * the reset, at another address.
 * @return 0, or a negative errno: as hpbus_recv_keep(), and the device has none: it must be closed
 */
int hpbus_recv_renew(struct hpbus_device *dev);
/** Free memory that these two left behind. Any thread. */
void hpbus_recv_free(void *base, size_t len);

/**
 * Tell the host that a channel of @p dev, this process's device, has work for it. Call only when
 * the ring rules say so. Never waits for the host.
 */
void hpbus_channel_signal(struct hpbus_device *dev, struct hpbus_channel *ch);
/** Deliver signals that the host had no room for; to be called now and then. Never waits. */
void hpbus_signal_again(struct hpbus_device *dev);

/* ---- other processes: mp.c in the primary, secondary.c in others (doc/design.md "Processes") ----
 */

/**
 * An open device of the primary is there for secondaries, too.
 * @param port the driver's name for it
 * @return 0 or -ENOMEM
 */
int hpbus_share(struct hpbus_device *dev, const char *port);
/**
 * It is not any more: the backend is closed. Waits for who has it, a while.
 * @return memory to be freed when no other process looks at it any more
 */
void *hpbus_unshare(struct hpbus_device *dev);
/** Secondaries, by slot as bits, that have mapped all of the device as it is now. Any thread. */
uint64_t hpbus_processes(const struct hpbus_device *dev);
/** Is there any secondary, with whatever device? */
bool hpbus_has_peers(void);
/**
 * Something has changed: have secondaries map what is there now.
 * @return false: one has not done so for @p ms; it may do so later
 */
bool hpbus_gather(struct hpbus_device *dev, unsigned int ms);
/** Of a secondary: its slot. */
unsigned int hpbus_process_slot(void);

/* ---- receive interrupts: intr.c ---- */

/**
 * Have a descriptor for each of the channels 0 to @p n - 1, which are open: dev->intr.fd. It
 * becomes readable when the host has written to the inbound ring of an armed channel, and at times
 * for nothing. Others may hold it, too: never read() or write() it. It stays the same, over resets
 * and with further calls, until hpbus_intr_close(). Control side, within an operation.
 * @return 0; -ENOTSUP, -EMFILE, ...: with a message
 */
int hpbus_intr_open(struct hpbus_device *dev, unsigned int n);
/** The backend is closed, the descriptors stay: a device that comes back has none of them yet. */
void hpbus_intr_lost(struct hpbus_device *dev);
/** The backend is closed, and no other thread uses the descriptors. */
void hpbus_intr_close(struct hpbus_device *dev);
/** Make the descriptor of a channel readable. Any thread; never waits. @return 0 or -EAGAIN */
int hpbus_intr_raise(struct hpbus_device *dev, unsigned int channel);
/** Take back what was signalled so far; before arming only. Never waits. */
void hpbus_intr_clear(struct hpbus_device *dev, unsigned int channel);
/**
 * Have the host signal the next packet. All calls for one inbound ring are serialised by the
 * caller, who has published what it has consumed.
 * @return false: not armed, because there is a packet already or it could not be found out without
 *         waiting; go on receiving (hpbus_intr_raise() says so to who sleeps)
 */
bool hpbus_channel_arm(struct hpbus_channel *ch, struct vmbus_ring_reader *in);
/** No signals any more; one that is on its way may still come. Serialised as above. */
void hpbus_channel_disarm(struct hpbus_channel *ch);

/** May GPA-direct packets name all of this memory? May be slow: see hpbus_dma_lookup(). */
bool hpbus_dma_usable(struct hpbus_device *dev, const void *addr, size_t len);

/** A lookup answers for no more than the aligned window around the address, in bytes. */
#define HPBUS_DMA_WINDOW (UINT64_C(2) << 20)

/**
 * After backend->open(), for a device that came back: share what the application had mapped.
 * @return 0, or -ETIMEDOUT or -ECANCELED: somebody else talks to the host about it
 */
int hpbus_dma_again(struct hpbus_device *dev);
/** The port is closed: forget what it had mapped. Waits for no host. */
void hpbus_dma_forget(struct hpbus_device *dev);

/** A piece of memory, [start, start + len), that is of one kind to the host. */
struct hpbus_dma_run {
	uintptr_t start;
	size_t len;
	/** Added to a virtual address it gives the one to put into packets; pages stay pages. */
	uint64_t offset;
	bool usable; /**< GPA-direct packets may name it */
};

/**
 * What the host can read at an address: the largest piece of one kind around it. Any thread, not
 * per packet: the answer may be kept until hpbus_dma_generation() changes.
 * @param addr address of a byte of the caller's: its memory is not being freed
 */
struct hpbus_dma_run hpbus_dma_lookup(struct hpbus_device *dev, uintptr_t addr);

extern _Atomic uint32_t hpbus_dma_generation_word; /**< for hpbus_dma_generation() only */

/**
 * Number that changes whenever memory comes or goes. Whoever got a buffer after its memory came
 * sees another number than before it.
 */
static inline uint32_t
hpbus_dma_generation(void)
{
	/* Acquire: pairs with the release in hpbus_dma_changed(). */
	return atomic_load_explicit(&hpbus_dma_generation_word, memory_order_acquire);
}

#endif
