/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The host's end of VMBus: connection, channels and GPADLs of one guest
 * (spec/hyperv-host-on-kvm.md §9-§11). Devices (NICs) hang off it through a table of functions.
 *
 * Everything runs under the bus lock: control messages come from vCPU threads, the rest from the
 * bus thread. Everything a guest sent is copied first, then validated; it can hurt only itself.
 */
#ifndef HVSIM_VM_VBUS_H
#define HVSIM_VM_VBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/hvsim-vm/ram.h"
#include "app/hvsim-vm/synic.h"
#include "app/hvsim-vm/vbus_msg.h"
#include "lib/host/nic.h"
#include "lib/vmbus/monitor.h"

/** Most GPADLs of a guest, and most pages in all of them (Windows: about 1280 MB). */
#define VBUS_MAX_GPADLS	     1024u
#define VBUS_MAX_GPADL_PAGES (UINT32_C(1280) << 8)
/** Most memory areas we spend on views of guest memory; the kernel's limit is 65,530. */
#define VBUS_MAX_MAPS 48000u
/** More answers than this waiting: POST_MESSAGE is refused until the guest has read some. */
#define VBUS_MAX_QUEUED 512u

struct vbus;
struct vbus_device;

/**
 * The pages of a GPADL as one contiguous piece, counted by its users: it is unmapped when the last
 * of them is gone, whatever the guest has done with the GPADL meanwhile.
 */
struct vbus_view {
	struct vbus_device *device; /**< whose buffer it is */
	struct ram_view map;
	unsigned int users; /**< the GPADL until its teardown, and each vbus_view_get() */
	uint8_t *base;	    /**< first byte of the buffer, in the first page */
	size_t len;	    /**< bytes of the buffer */
};

/** One GPADL: a list of guest pages the guest has shared for one channel. */
struct vbus_gpadl {
	struct vbus_gpadl *next;
	uint32_t id, relid;
	uint32_t byte_count, byte_offset;
	uint32_t n_pages, have; /**< pages announced and received */
	struct vbus_view *view; /**< made when somebody asks for it, kept for the next time */
	uint64_t pfn[];
};

enum vbus_channel_state { VBUS_OFFERED, VBUS_OPEN, VBUS_RESCINDED };

/** One channel offer; lives until the guest has released its relid. */
struct vbus_channel {
	struct vbus_device *device;
	enum vbus_channel_state state;
	unsigned int index; /**< 0 primary */
	uint32_t relid, connection_id;
	uint8_t monitor_id; /**< VMBUS_MONITOR_NONE: none */
	uint32_t target_vp; /**< UINT32_MAX: no interrupts */
	uint32_t ring_gpadl;
	struct ram_view ring[2]; /**< guest to host, host to guest */
};

/** What a device does with its channels. Called under the bus lock. */
struct vbus_device_ops {
	/** @return 0, or a negative errno: the guest's open fails */
	int (*open)(void *ctx, unsigned int index, const struct vmbus_ring *tx,
		const struct vmbus_ring *rx);
	/** Stop touching the channel's rings at once. Only for channels whose open succeeded. */
	void (*close)(void *ctx, unsigned int index);
	/**
	 * The guest tears down the GPADL behind a view that the device uses: stop touching it
	 * and put it, before the guest is answered (spec/nvsp.md §10).
	 */
	void (*revoked)(void *ctx, struct vbus_view *view);
};

/** A device on the bus. The owner fills in the first block before vbus_device_add(). */
struct vbus_device {
	uint8_t type[16], instance[16];
	unsigned int max_channels; /**< <= HOST_MAX_CHANNELS */
	const struct vbus_device_ops *ops;
	void *ctx;

	/* Ours. */
	struct vbus_device *next;
	struct vbus_channel *channel[HOST_MAX_CHANNELS]; /**< current offer by index */
	unsigned int unreleased; /**< rescinded primaries the guest has not released yet */
	bool present;		 /**< shall be offered */
	bool primary_first;	 /**< is rescinded in this order */
};

/** How the bus makes event connections known to the hypervisor. May both be NULL (tests). */
struct vbus_hypervisor {
	void *ctx;
	/** Signals on connection @p id shall wake the bus thread, or no longer. */
	int (*connect)(void *ctx, uint32_t id, bool on);
	/** One line for the log. */
	void (*log)(void *ctx, const char *text);
};

struct vbus_options {
	uint32_t max_version;
	bool monitor; /**< offer channels with monitor ids */
};

enum vbus_state { VBUS_IDLE, VBUS_CONNECTED, VBUS_OFFERING };

struct vbus {
	const struct ram *ram;
	struct synic *synic;
	struct vbus_hypervisor hypervisor;
	struct vbus_options options;

	enum vbus_state state;
	uint32_t version;
	struct vmbus_monitor_page *monitor_page; /**< child to parent, or NULL */
	struct vbus_device *devices;
	struct vbus_channel *by_relid[SYNIC_MAX_RELID + 1];
	struct vbus_channel *by_monitor[VMBUS_MONITOR_IDS];
	uint32_t next_relid;
	struct vbus_gpadl *gpadls;
	unsigned int n_gpadls, n_gpadl_pages;
	unsigned int n_maps; /**< memory areas of all rings and views, also of orphaned ones */
	unsigned int n_views;
	uint64_t bad_messages; /**< refused or ignored because they made no sense */
	uint64_t monitor_signals;
};

/** Versions we speak (spec §9); anything else is refused, whatever lies between. */
bool vbus_version_known(uint32_t version);

void vbus_init(struct vbus *bus, const struct ram *ram, struct synic *synic,
	const struct vbus_hypervisor *hypervisor, const struct vbus_options *options);
/** Close every channel and forget everything about the guest, as after UNLOAD. */
void vbus_reset(struct vbus *bus);
/** Log one line (printf style) through the hypervisor's log function. */
void vbus_log(struct vbus *bus, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * HvCallPostMessage: @p input is the hypercall's 256 bytes, already copied from the guest.
 * @return result of the hypercall
 */
enum hv_status vbus_hypercall_post(struct vbus *bus, const uint8_t input[256]);

/** Take the guest's bits out of the monitor page. @return channels that were signalled. */
unsigned int vbus_monitor_poll(struct vbus *bus);

/* ---- devices (vbus_channel.c) ---- */

/** Add a device: offered at once when a guest is waiting for offers. */
void vbus_device_add(struct vbus *bus, struct vbus_device *device);
/** Offer the device again after vbus_device_rescind(); waits for the guest to let go of it. */
void vbus_device_present(struct vbus *bus, struct vbus_device *device);
/** Take the device away from the guest: subchannels first, or the primary as some hosts did. */
void vbus_device_rescind(struct vbus *bus, struct vbus_device *device);
/** Offer subchannels 1..@p count of an open device. */
void vbus_device_offer_subchannels(
	struct vbus *bus, struct vbus_device *device, unsigned int count);
/** Interrupt the guest for an open channel. */
void vbus_device_signal(struct vbus *bus, struct vbus_device *device, unsigned int index);

/* ---- channels (vbus_channel.c), called for the guest's messages ---- */

void vbus_offer_all(struct vbus *bus);
void vbus_channel_open(struct vbus *bus, const struct vbus_open *msg);
void vbus_channel_close(struct vbus *bus, uint32_t relid);
void vbus_channel_modify(struct vbus *bus, const struct vbus_modify *msg);
void vbus_channel_released(struct vbus *bus, uint32_t relid);
/** Stop serving an open channel and unmap its rings; OFFERED afterwards. */
void vbus_channel_stop(struct vbus *bus, struct vbus_channel *channel);
void vbus_channels_free(struct vbus *bus);
struct vbus_channel *vbus_channel_find(struct vbus *bus, uint32_t relid);

/* ---- GPADLs (vbus_gpadl.c) ---- */

/** Messages; @p len is the whole message's length, at least the fixed part. */
void vbus_gpadl_header(struct vbus *bus, const uint8_t *msg, size_t len);
void vbus_gpadl_body(struct vbus *bus, const uint8_t *msg, size_t len);
void vbus_gpadl_teardown(struct vbus *bus, const struct vbus_gpadl_teardown *msg);
/** A complete GPADL of channel @p relid, or NULL. */
struct vbus_gpadl *vbus_gpadl_find(struct vbus *bus, uint32_t relid, uint32_t id);
/**
 * A view of GPADL @p id of the device's open primary channel, valid until vbus_view_put().
 * @return 0, -ENOENT when there is no such complete GPADL, -ENOMEM when it cannot be mapped
 */
int vbus_view_get(
	struct vbus *bus, struct vbus_device *device, uint32_t id, struct vbus_view **view);
void vbus_view_put(struct vbus *bus, struct vbus_view *view);
/** Free the GPADLs of one channel, or all of them (@p relid 0). */
void vbus_gpadls_free(struct vbus *bus, uint32_t relid);

#endif
