/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest made of bytes for hvsim-vm's bus with lib/host's real NICs behind it: no KVM. It posts
 * VMBus messages, takes the answers from its slot, and speaks NVSP and RNDIS over rings in its own
 * memory. One thread; where the bus thread runs too, the guest takes the bus lock as a vCPU does.
 */
#ifndef HP_TEST_VM_GUEST_H
#define HP_TEST_VM_GUEST_H

#include "app/hvsim-vm/nics.h"
#include "lib/host/nic_internal.h"
#include "test/unit/unit.h"

#define VM_GUEST_CHANNELS 4u
/* The guest's memory: areas of 64 pages from AREA_PFN on. */
#define VM_GUEST_BYTES (UINT64_C(64) << 20)
#define AREA_PAGES     64u
#define AREA_PFN(n)    (0x400u + (n)*AREA_PAGES)
#define AREA_PAGE      AREA_PFN(0) /* what RNDIS requests are sent from */
#define AREA_RING(ch)  AREA_PFN(1 + (ch))
#define AREA_FREE      AREA_PFN(1 + VM_GUEST_CHANNELS)

struct vm_guest_channel {
	uint32_t relid; /* current offer, 0 none */
	bool open;
	struct vmbus_ring_writer out;
	struct vmbus_ring_reader in;
};

struct vm_guest {
	struct ram ram;
	struct synic synic;
	struct vbus bus;
	struct bus_lock lock;
	struct nics nics;
	int kick_fd;
	bool threaded; /* the bus thread polls, not vm_guest_poll() */
	bool release;  /* answer a rescind with RELID_RELEASED at once */
	struct vm_guest_channel ch[VM_GUEST_CHANNELS];
	uint64_t tid;
	/* Of the last messages taken. */
	uint32_t created_status, open_status, torndown;
	uint32_t offers, rescinds;
	/* Of the last packets read. */
	uint32_t completions, transfers;
	uint32_t status; /* of the last buffer completion */
	uint64_t done_tid;
};

/* @p nic: the text of --nic. */
void vm_guest_start(struct vm_guest *g, const char *nic);
void vm_guest_stop(struct vm_guest *g);

/* ---- VMBus ---- */

enum hv_status vm_guest_post(struct vm_guest *g, const void *msg, size_t len);
/* INITIATE_CONTACT and REQUESTOFFERS: whatever was is forgotten. */
void vm_guest_connect(struct vm_guest *g);
/* GPADL of @p bytes at @p offset of consecutive pages from @p pfn. @return the host's status */
uint32_t vm_guest_gpadl(struct vm_guest *g, unsigned int channel, uint32_t id, uint64_t pfn,
	uint32_t offset, uint32_t bytes);
/* @return true when it was answered */
bool vm_guest_teardown(struct vm_guest *g, unsigned int channel, uint32_t id);
/* Open with ring GPADL @p id, made of AREA_RING(channel). @return success */
bool vm_guest_open_with(struct vm_guest *g, unsigned int channel, uint32_t id);
/* The GPADL too, VM_GUEST_RING + channel. */
bool vm_guest_open(struct vm_guest *g, unsigned int channel);
#define VM_GUEST_RING 0xe2000u
void vm_guest_close(struct vm_guest *g, unsigned int channel);
void vm_guest_released(struct vm_guest *g, uint32_t relid);

/* ---- NVSP and RNDIS ---- */

/* One bus turn without the bus thread; reads and acknowledges what the rings hold. */
void vm_guest_poll(struct vm_guest *g);
/* Only send. @return 0, or the ring's error */
int vm_guest_post_nvsp(struct vm_guest *g, const struct nvsp_message *msg);
/*
 * Send and poll; with the bus thread, wait for the completion too. @return 0, or the ring's error;
 * -ETIMEDOUT when the bus thread does not answer within 20 s
 */
int vm_guest_nvsp(struct vm_guest *g, const struct nvsp_message *msg);
/* INIT, NDIS_CONFIG, NDIS_VERSION on a channel just opened. */
void vm_guest_ladder(struct vm_guest *g);
/* SEND_RECV_BUF or SEND_SEND_BUF. @return the host's NVSP status, 0 when there was no answer */
uint32_t vm_guest_recv_buf(struct vm_guest *g, uint32_t id);
uint32_t vm_guest_send_buf(struct vm_guest *g, uint32_t id);
/* RNDIS INITIALIZE and the promiscuous filter, from AREA_PAGE. */
void vm_guest_rndis(struct vm_guest *g);
/* One keep-alive: the answer needs the receive buffer. */
void vm_guest_keepalive(struct vm_guest *g);

/* With the bus thread: return when it has done one whole turn at least. @return false: it hangs */
bool vm_guest_wait_turn(struct vm_guest *g);

static inline struct host_nic *
vm_guest_nic(struct vm_guest *g)
{
	return g->nics.nic[0].nic;
}

static inline uint8_t *
vm_guest_page(struct vm_guest *g, uint64_t pfn)
{
	return ram_at(&g->ram, pfn << 12, 4096);
}

/* The GPADL @p id, or NULL. */
struct vbus_gpadl *vm_guest_find(struct vm_guest *g, uint32_t id);
/*
 * What must hold between any two messages: a buffer that the NIC uses is a view of a GPADL that
 * is there; views have exactly their users; memory areas are counted.
 */
void vm_guest_check(struct vm_guest *g);

#endif
