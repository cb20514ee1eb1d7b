/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * VMBus control messages as they travel in SynIC messages (spec/hyperv-host-on-kvm.md §9).
 * Layouts only; nobody owns data here.
 */
#ifndef HVSIM_VM_VBUS_MSG_H
#define HVSIM_VM_VBUS_MSG_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum vbus_msg_type {
	VBUS_OFFERCHANNEL = 1,
	VBUS_RESCIND_CHANNELOFFER = 2,
	VBUS_REQUESTOFFERS = 3,
	VBUS_ALLOFFERS_DELIVERED = 4,
	VBUS_OPENCHANNEL = 5,
	VBUS_OPENCHANNEL_RESULT = 6,
	VBUS_CLOSECHANNEL = 7,
	VBUS_GPADL_HEADER = 8,
	VBUS_GPADL_BODY = 9,
	VBUS_GPADL_CREATED = 10,
	VBUS_GPADL_TEARDOWN = 11,
	VBUS_GPADL_TORNDOWN = 12,
	VBUS_RELID_RELEASED = 13,
	VBUS_INITIATE_CONTACT = 14,
	VBUS_VERSION_RESPONSE = 15,
	VBUS_UNLOAD = 16,
	VBUS_UNLOAD_RESPONSE = 17,
	VBUS_MODIFYCHANNEL = 22,
	VBUS_MODIFYCHANNEL_RESPONSE = 24,
};

/** major << 16 | minor */
#define VBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))

/** Message connections: 1 below VMBus 5.0, 4 from 5.0 on. */
#define VBUS_CONNECTION_OLD 1u
#define VBUS_CONNECTION_NEW 4u

/** Answer to a GPADL or an OPENCHANNEL that cannot be. */
#define VBUS_STATUS_OK	   0u
#define VBUS_STATUS_FAILED 0x8000ffffu

/** Hypercall results of HvCallPostMessage (spec §8). */
enum hv_status {
	HV_STATUS_OK = 0,
	HV_STATUS_BAD_CODE = 2,
	HV_STATUS_BAD_INPUT = 3,
	HV_STATUS_BAD_ALIGNMENT = 4,
	HV_STATUS_BAD_PARAMETER = 5,
	HV_STATUS_BAD_CONNECTION = 18,
	HV_STATUS_NO_BUFFERS = 19, /**< the guest waits a little and tries again */
};

struct vbus_header {
	uint32_t type;
	uint32_t padding;
};

struct vbus_offer {
	struct vbus_header h;
	uint8_t type[16];
	uint8_t instance[16];
	uint8_t reserved[16];
	uint16_t flags;
	uint16_t mmio_megabytes;
	uint8_t user[120];
	uint16_t sub_channel_index;
	uint16_t reserved2;
	uint32_t relid;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	uint16_t dedicated_interrupt;
	uint32_t connection_id;
};

static_assert(sizeof(struct vbus_offer) == 196, "OFFERCHANNEL");
static_assert(offsetof(struct vbus_offer, sub_channel_index) == 180, "sub_channel_index");
static_assert(offsetof(struct vbus_offer, connection_id) == 192, "connection_id");

/** RESCIND_CHANNELOFFER, CLOSECHANNEL, RELID_RELEASED. */
struct vbus_relid {
	struct vbus_header h;
	uint32_t relid;
};

struct vbus_open {
	struct vbus_header h;
	uint32_t relid;
	uint32_t openid;
	uint32_t ring_gpadl;
	uint32_t target_vp;
	uint32_t downstream_offset; /**< pages */
	uint8_t user[120];
};

static_assert(sizeof(struct vbus_open) == 148, "OPENCHANNEL");

/** OPENCHANNEL_RESULT and GPADL_CREATED: @a id is the openid or the GPADL. */
struct vbus_result {
	struct vbus_header h;
	uint32_t relid;
	uint32_t id;
	uint32_t status;
};

struct vbus_gpadl_header {
	struct vbus_header h;
	uint32_t relid;
	uint32_t gpadl;
	uint16_t range_buflen;
	uint16_t range_count;
	uint32_t byte_count;
	uint32_t byte_offset;
	/* uint64_t pfn[] follow at byte 28: not aligned */
};

static_assert(sizeof(struct vbus_gpadl_header) == 28, "GPADL_HEADER");

struct vbus_gpadl_body {
	struct vbus_header h;
	uint32_t msgnumber;
	uint32_t gpadl;
	/* uint64_t pfn[] follow */
};

static_assert(sizeof(struct vbus_gpadl_body) == 16, "GPADL_BODY");

struct vbus_gpadl_teardown {
	struct vbus_header h;
	uint32_t relid;
	uint32_t gpadl;
};

struct vbus_gpadl_torndown {
	struct vbus_header h;
	uint32_t gpadl;
};

struct vbus_initiate_contact {
	struct vbus_header h;
	uint32_t version;
	uint32_t target_vcpu;
	uint64_t interrupt_page; /**< < 5.0; else SINT, VTL */
	uint64_t monitor_parent_to_child;
	uint64_t monitor_child_to_parent;
};

static_assert(sizeof(struct vbus_initiate_contact) == 40, "INITIATE_CONTACT");

struct vbus_version_response {
	struct vbus_header h;
	uint8_t supported;
	uint8_t state;
	uint16_t reserved;
	uint32_t connection_or_version;
};

static_assert(sizeof(struct vbus_version_response) == 16, "VERSION_RESPONSE");

/** MODIFYCHANNEL (value = target VP) and its response (value = status). */
struct vbus_modify {
	struct vbus_header h;
	uint32_t relid;
	uint32_t value;
};

#endif
