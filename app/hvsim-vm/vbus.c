/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "app/hvsim-vm/vbus.h"

void
vbus_log(struct vbus *bus, const char *format, ...)
{
	char text[256];
	va_list ap;

	if (bus->hypervisor.log == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	bus->hypervisor.log(bus->hypervisor.ctx, text);
}

void
vbus_init(struct vbus *bus, const struct ram *ram, struct synic *synic,
	const struct vbus_hypervisor *hypervisor, const struct vbus_options *options)
{
	memset(bus, 0, sizeof(*bus));
	bus->ram = ram;
	bus->synic = synic;
	bus->hypervisor = *hypervisor;
	bus->options = *options;
	bus->next_relid = 1;
}

void
vbus_reset(struct vbus *bus)
{
	vbus_channels_free(bus);
	vbus_gpadls_free(bus, 0);
	synic_drop(bus->synic);
	bus->monitor_page = NULL;
	bus->next_relid = 1;
	bus->state = VBUS_IDLE;
}

bool
vbus_version_known(uint32_t version)
{
	switch (version) {
	case VBUS_VERSION(2, 4):
	case VBUS_VERSION(3, 0):
	case VBUS_VERSION(4, 0):
	case VBUS_VERSION(4, 1):
	case VBUS_VERSION(5, 0):
	case VBUS_VERSION(5, 1):
	case VBUS_VERSION(5, 2):
	case VBUS_VERSION(5, 3):
		return true;
	default:
		return false;
	}
}

/* Announce all groups and a scan interval of 100 us, as hosts do (spec/vmbus-ring.md §9.2). */
static void
monitor_page_init(struct vmbus_monitor_page *page)
{
	unsigned int i;

	for (i = 0; i < VMBUS_MONITOR_IDS; i++)
		atomic_store_explicit(&page->latency[i], 1000, memory_order_relaxed);
	page->trigger_state = 0xf;
}

static void
initiate_contact(struct vbus *bus, const struct vbus_initiate_contact *msg)
{
	struct vbus_version_response response = {.h = {.type = VBUS_VERSION_RESPONSE}};
	uint64_t monitor = msg->monitor_child_to_parent;

	/* A new contact starts over, whatever was (kexec, crash kernel). */
	vbus_reset(bus);
	bus->synic->target = 0;
	if (msg->version >= VBUS_VERSION(3, 0) && msg->target_vcpu < bus->synic->n_vps)
		bus->synic->target = msg->target_vcpu;
	if (vbus_version_known(msg->version) && msg->version <= bus->options.max_version) {
		response.supported = 1;
		response.connection_or_version =
			msg->version >= VBUS_VERSION(5, 0) ? VBUS_CONNECTION_NEW : msg->version;
		bus->version = msg->version;
		bus->state = VBUS_CONNECTED;
		/* A guest gives both pages or neither (spec §8). */
		if (bus->options.monitor && monitor != 0 && msg->monitor_parent_to_child != 0 &&
			(monitor & 0xfff) == 0)
			bus->monitor_page = ram_at(bus->ram, monitor, 4096);
		if (bus->monitor_page != NULL)
			monitor_page_init(bus->monitor_page);
		vbus_log(bus, "VMBus %u.%u connected, messages to VP %u%s", msg->version >> 16,
			msg->version & 0xffff, bus->synic->target,
			bus->monitor_page != NULL ? "" : ", no monitor page");
	} else {
		vbus_log(bus, "VMBus %u.%u refused", msg->version >> 16, msg->version & 0xffff);
	}
	synic_post(bus->synic, &response, sizeof(response));
}

static void
unload(struct vbus *bus)
{
	struct vbus_header response = {.type = VBUS_UNLOAD_RESPONSE};

	vbus_log(bus, "VMBus unloaded by the guest");
	vbus_reset(bus);
	synic_post(bus->synic, &response, sizeof(response));
}

static void
request_offers(struct vbus *bus)
{
	struct vbus_header done = {.type = VBUS_ALLOFFERS_DELIVERED};

	if (bus->state != VBUS_CONNECTED) {
		bus->bad_messages++;
		return;
	}
	bus->state = VBUS_OFFERING;
	vbus_offer_all(bus);
	synic_post(bus->synic, &done, sizeof(done));
}

/* Bytes every message must have; 0: not ours, ignored (spec §9: accept longer, refuse shorter). */
static size_t
message_size(uint32_t type)
{
	switch (type) {
	case VBUS_REQUESTOFFERS:
	case VBUS_UNLOAD:
		return sizeof(struct vbus_header);
	case VBUS_OPENCHANNEL:
		return sizeof(struct vbus_open);
	case VBUS_CLOSECHANNEL:
	case VBUS_RELID_RELEASED:
		return sizeof(struct vbus_relid);
	case VBUS_GPADL_HEADER:
		return sizeof(struct vbus_gpadl_header);
	case VBUS_GPADL_BODY:
		return sizeof(struct vbus_gpadl_body);
	case VBUS_GPADL_TEARDOWN:
		return sizeof(struct vbus_gpadl_teardown);
	case VBUS_INITIATE_CONTACT:
		return sizeof(struct vbus_initiate_contact);
	case VBUS_MODIFYCHANNEL:
		return sizeof(struct vbus_modify);
	default:
		return 0;
	}
}

/* One control message of @p len bytes; the copy is ours, so it cannot change under us. */
static void
dispatch(struct vbus *bus, const uint8_t *msg, size_t len)
{
	union {
		struct vbus_header h;
		struct vbus_relid relid;
		struct vbus_open open;
		struct vbus_gpadl_teardown teardown;
		struct vbus_initiate_contact contact;
		struct vbus_modify modify;
		uint8_t bytes[SYNIC_MAX_PAYLOAD];
	} m = {0};
	size_t need;

	if (len < sizeof(m.h)) {
		bus->bad_messages++;
		return;
	}
	memcpy(m.bytes, msg, len);
	need = message_size(m.h.type);
	if (need == 0 || len < need) {
		bus->bad_messages++;
		return;
	}
	if (m.h.type == VBUS_INITIATE_CONTACT) {
		initiate_contact(bus, &m.contact);
		return;
	}
	/* rmmod still releases relids after UNLOAD: ignored like everything else. */
	if (bus->state == VBUS_IDLE) {
		bus->bad_messages += m.h.type != VBUS_RELID_RELEASED;
		return;
	}
	switch (m.h.type) {
	case VBUS_REQUESTOFFERS:
		request_offers(bus);
		break;
	case VBUS_OPENCHANNEL:
		vbus_channel_open(bus, &m.open);
		break;
	case VBUS_CLOSECHANNEL:
		vbus_channel_close(bus, m.relid.relid);
		break;
	case VBUS_RELID_RELEASED:
		vbus_channel_released(bus, m.relid.relid);
		break;
	case VBUS_GPADL_HEADER:
		vbus_gpadl_header(bus, m.bytes, len);
		break;
	case VBUS_GPADL_BODY:
		vbus_gpadl_body(bus, m.bytes, len);
		break;
	case VBUS_GPADL_TEARDOWN:
		vbus_gpadl_teardown(bus, &m.teardown);
		break;
	case VBUS_UNLOAD:
		if (bus->version >= VBUS_VERSION(3, 0))
			unload(bus);
		break;
	case VBUS_MODIFYCHANNEL:
		if (bus->version >= VBUS_VERSION(4, 1))
			vbus_channel_modify(bus, &m.modify);
		break;
	}
}

enum hv_status
vbus_hypercall_post(struct vbus *bus, const uint8_t input[256])
{
	uint32_t connection, type, size;

	memcpy(&connection, input, 4);
	memcpy(&type, input + 8, 4);
	memcpy(&size, input + 12, 4);
	connection &= 0xffffff;
	if (connection != VBUS_CONNECTION_OLD &&
		(connection != VBUS_CONNECTION_NEW ||
			bus->options.max_version < VBUS_VERSION(5, 0)))
		return HV_STATUS_BAD_CONNECTION;
	if (size > SYNIC_MAX_PAYLOAD)
		return HV_STATUS_BAD_PARAMETER;
	if (type != 1)
		return HV_STATUS_BAD_PARAMETER;
	/* The guest makes us queue answers; it shall read some before it makes more. */
	if (bus->synic->queued > VBUS_MAX_QUEUED)
		return HV_STATUS_NO_BUFFERS;
	dispatch(bus, input + 16, size);
	return HV_STATUS_OK;
}

unsigned int
vbus_monitor_poll(struct vbus *bus)
{
	unsigned int group, n = 0;

	if (bus->monitor_page == NULL)
		return 0;
	for (group = 0; group < VMBUS_MONITOR_GROUPS; group++) {
		uint32_t bits = vmbus_monitor_take(bus->monitor_page, group);

		for (; bits != 0; bits &= bits - 1) {
			unsigned int id = group * 32 + (unsigned int)__builtin_ctz(bits);

			/* A bit without a channel is the guest's business; nothing to wake. */
			n += bus->by_monitor[id] != NULL;
		}
	}
	bus->monitor_signals += n;
	return n;
}
