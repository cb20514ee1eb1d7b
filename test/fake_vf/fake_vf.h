/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * An ethdev that stands for a virtual function, and misbehaves as it is told: a plugin for
 * applications as they are (-d), or linked into a test. fake_vf*.c are the ethdev, which remembers
 * what it was asked; fake_bus.c is where such devices come from and go to, and takes commands.
 *
 * Devices are on a bus "fakevf" with any name, or with HYPERPOLL_FAKE_BUS=pci on one called "pci"
 * that takes the place of EAL's: then names are addresses and a device exists while it is in
 * <HYPERPOLL_SYSFS_ROOT>/bus/pci/devices. Device arguments are the keys of fake_vf_key(), such as
 * -a fakevf:vf0,mac=00:15:5d:00:00:01,start_ms=3000; most can be set later, too.
 *
 * Frames: through rings that a test fills and empties (fake_vf_ring()), back to whoever sent them
 * (loop=1), or through a network interface of Linux (iface=NAME), such as a TAP of the host's.
 *
 * Commands (fake_command(), or datagrams to the socket HYPERPOLL_FAKE_CONTROL): "DEVICE KEY VALUE"
 * sets, "DEVICE event rmv|reset|lsc|recovering|recovered|failed", "DEVICE plug [ARGS]", "DEVICE
 * unplug" (it vanishes from the machine and says so), "DEVICE remove" (EAL detaches it), "DEVICE
 * seen" (what it was asked, as "key value" lines).
 */
#ifndef HP_TEST_FAKE_VF_H
#define HP_TEST_FAKE_VF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ring.h>

#define FAKE_VF_QUEUES 16u
#define FAKE_VF_RETA   512u
#define FAKE_VF_KEY    52u
#define FAKE_VF_LISTED 64u

/** What it can, and how it behaves. */
struct fake_vf_knobs {
	struct rte_ether_addr mac;
	uint64_t queues;		   /**< of either direction [16] */
	uint64_t max_mtu;		   /**< [9000] */
	uint64_t nb_desc;		   /**< most descriptors [1024] */
	uint64_t any_segs;		   /**< it says nothing of segments [0] */
	uint64_t reta, key;		   /**< entries [64], bytes [40]; 0: none */
	uint64_t rss;			   /**< types [all] */
	uint64_t rx_offloads, tx_offloads; /**< [all] */
	uint64_t lsc;			   /**< it tells of its link [1] */
	uint64_t link;			   /**< it is up [1] */
	uint64_t start_ms, stop_ms;	   /**< how long these take [0] */
	uint64_t start_fails;		   /**< so many starts to come [0] */
	uint64_t stop_hangs;		   /**< a stop does not end while this is set [0] */
	uint64_t refuses;		   /**< FAKE_VF_REFUSES_* [0] */
	uint64_t loop;			   /**< what is sent is received [0] */
	uint64_t counts_early; /**< frames when they come, not when they are fetched [0] */
	char iface[16];
};

#define FAKE_VF_REFUSES_PROMISCUOUS   0x1u
#define FAKE_VF_REFUSES_MULTICAST     0x2u /**< lists */
#define FAKE_VF_REFUSES_ALL_MULTICAST 0x4u
#define FAKE_VF_REFUSES_MAC	      0x8u
#define FAKE_VF_REFUSES_RETA	      0x10u
#define FAKE_VF_REFUSES_HASH	      0x20u
#define FAKE_VF_REFUSES_VLAN	      0x40u
#define FAKE_VF_REFUSES_QUEUES	      0x80u
#define FAKE_VF_REFUSES_CONFIGURE     0x100u
#define FAKE_VF_REFUSES_THRESHOLDS    0x200u /**< of queues, that are not its own */
#define FAKE_VF_REFUSES_MTU	      0x400u

/** What it was asked; what is atomic a test looks at while the driver sets it. */
struct fake_vf_seen {
	unsigned int configures, starts, stops, closes, resets, failed_starts;
	unsigned int while_recovering; /**< questions that came while it reset itself */
	unsigned int queue_calls;      /**< questions about queues, of status and clean-up */
	unsigned int prepared;	       /**< frames that it prepared */
	unsigned int while_started;    /**< settings that came while it was started */
	struct rte_eth_conf conf;
	uint8_t key[FAKE_VF_KEY];
	uint64_t hf;
	_Atomic uint16_t mtu; /**< that its operation set: a configuration alone changes none */
	uint16_t n_rx, n_tx, rx_desc[FAKE_VF_QUEUES], tx_desc[FAKE_VF_QUEUES];
	struct rte_eth_rxconf rx_conf[FAKE_VF_QUEUES];
	struct rte_eth_txconf tx_conf[FAKE_VF_QUEUES];
	struct rte_mempool *pool[FAKE_VF_QUEUES];
	uint32_t ptypes; /**< mask that was set, 0: none was */
	_Atomic bool promiscuous;
	bool all_multicast, strips[FAKE_VF_QUEUES];
	uint32_t n_multicast;
	struct rte_ether_addr multicast[FAKE_VF_LISTED];
	uint16_t reta[FAKE_VF_RETA];
};

struct fake_vf;

/** The ethdev of this name, or NULL; that of a device from the bus is called as the device. */
struct fake_vf *fake_vf_find(const char *name);
uint16_t fake_vf_port(const struct fake_vf *vf);
struct fake_vf_knobs *fake_vf_knobs(struct fake_vf *vf);
const struct fake_vf_seen *fake_vf_seen(const struct fake_vf *vf);
/** Frames to be received, or that were sent; NULL before the queue is set up. */
struct rte_ring *fake_vf_ring(struct fake_vf *vf, bool rx, uint16_t queue);
/** As with "DEVICE event". @return 0 or -EINVAL */
int fake_vf_event(struct fake_vf *vf, const char *event);

/* ---- between the ethdev and the bus ---- */

/**
 * Make an ethdev on a device, which may have several. @param name of the ethdev
 * @return 0 or a negative errno
 */
int fake_vf_make(struct rte_device *device, const char *name);
/** Close its ethdevs, if there are any. */
int fake_vf_unmake(struct rte_device *device);
/** Called when EAL attaches or detaches a device, before that is done; NULL: nothing is. */
extern void (*fake_bus_meanwhile)(const char *device);
/** Before EAL begins: have another name than HYPERPOLL_FAKE_BUS says. */
void fake_bus_take(const char *name);
/** Set a knob by its name. @return 0 or -EINVAL */
int fake_vf_key(struct fake_vf_knobs *knobs, const char *key, const char *value);
/** @return bytes written, at most @p size - 1 */
size_t fake_vf_tell(const struct fake_vf *vf, char *text, size_t size);
/** The device is not there any more. */
void fake_vf_vanish(struct fake_vf *vf);

/** @param reply NULL, or room for an answer. @return 0 or a negative errno */
int fake_command(const char *command, char *reply, size_t size);
/** Ports, devices that were made so far (and not unmade): nothing is left behind when 0. */
extern _Atomic unsigned int fake_vf_alive;

#endif
