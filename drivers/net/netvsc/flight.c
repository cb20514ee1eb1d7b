/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flight recorder; see flight.h. Writers take a number each and then the slot that goes with
 * it. turn is 2 * number + 1 while the event is being written, and one more when it is there.
 *
 * A writer that is not scheduled for a whole lap meets another one in its slot. Who comes to a slot
 * that is being written, or has a newer event, gives up and is counted: so there is never more than
 * one writer in a slot, nobody waits, and one who dies inside costs one slot of the ring.
 *
 * The last event of a kind is in one of a few slots of that kind, for the ring has it no longer
 * than a lap. A writer goes from a slot that is being written to the next one, so who dies inside
 * does not keep the others from telling theirs; and a reader takes the newest of those that are
 * whole, so what a writer is just putting down has the one before it in another slot.
 *
 * A reader takes a slot's words between two looks at turn. That both saw the same complete number
 * means that the words are that event's: a writer's odd turn is before its words (release fence),
 * so who read one of its words sees that turn, or a later one, behind an acquire fence.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_common.h>
#include <rte_cycles.h>

#include "drivers/net/netvsc/flight.h"
#include "drivers/net/netvsc/trace.h"
#include "lib/netvsp/rndis.h"

#define WORDS RTE_DIM(((struct netvsc_flight_slot *)NULL)->words)

static_assert(sizeof(struct netvsc_flight_event) % 8 == 0, "events are copied in words");
static_assert((NETVSC_FLIGHT_EVENTS & (NETVSC_FLIGHT_EVENTS - 1)) == 0, "slots by mask");

void
netvsc_flight_init(struct netvsc_flight *flight, uint16_t port_id)
{
	flight->epoch = rte_rdtsc();
	flight->port_id = port_id;
}

/* ---- one slot ---- */

static bool
slot_write(struct netvsc_flight_slot *slot, uint64_t n, const struct netvsc_flight_event *event)
{
	uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
	uint64_t words[WORDS];
	unsigned int i;

	do {
		if ((turn & 1) != 0 || turn > 2 * n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&slot->turn, &turn, 2 * n + 1, memory_order_relaxed, memory_order_relaxed));
	atomic_thread_fence(memory_order_release); /* pairs with slot_read()'s fence */
	memcpy(words, event, sizeof(words));
	for (i = 0; i < WORDS; i++)
		atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&slot->turn, 2 * n + 2, memory_order_release);
	return true;
}

/* @return whether there is a whole event, whose number is at @n */
static bool
slot_read(const struct netvsc_flight_slot *slot, uint64_t *n, struct netvsc_flight_event *event)
{
	uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
	uint64_t words[WORDS];
	unsigned int i;

	if (turn == 0 || (turn & 1) != 0)
		return false;
	for (i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire); /* pairs with slot_write()'s fence */
	if (atomic_load_explicit(&slot->turn, memory_order_relaxed) != turn)
		return false;
	memcpy(event, words, sizeof(words));
	event->text[sizeof(event->text) - 1] = '\0';
	*n = turn / 2 - 1;
	return true;
}

/*
 * Where the last one of a kind is kept; @at: which slot is tried first, the one after the newest.
 * @return whether this event is there, or a newer one
 */
static bool
last_write(struct netvsc_flight_slot *slots, uint64_t at, uint64_t n,
	const struct netvsc_flight_event *event)
{
	unsigned int i;

	for (i = 0; i < NETVSC_FLIGHT_LAST; i++) {
		struct netvsc_flight_slot *slot = &slots[(at + i) % NETVSC_FLIGHT_LAST];
		uint64_t turn;

		if (slot_write(slot, n, event))
			return true;
		turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
		if ((turn & 1) == 0 && turn > 2 * n)
			return true;
	}
	return false;
}

/* ---- noting ---- */

static bool
kind_is_sent(uint32_t kind)
{
	return kind == NETVSC_FLIGHT_SENT || kind == NETVSC_FLIGHT_RNDIS_SENT;
}

static bool
kind_is_message(uint32_t kind)
{
	return kind <= NETVSC_FLIGHT_RNDIS_RECEIVED;
}

static const char *
message_name(uint32_t kind, uint32_t code)
{
	return kind == NETVSC_FLIGHT_SENT || kind == NETVSC_FLIGHT_RECEIVED ? nvsp_type_name(code)
									    : rndis_type_name(code);
}

static const char *
kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[NETVSC_FLIGHT_SENT] = "sent",
		[NETVSC_FLIGHT_RECEIVED] = "received",
		[NETVSC_FLIGHT_RNDIS_SENT] = "sent",
		[NETVSC_FLIGHT_RNDIS_RECEIVED] = "received",
		[NETVSC_FLIGHT_UNANSWERED] = "unanswered",
		[NETVSC_FLIGHT_STATE] = "port",
		[NETVSC_FLIGHT_BROKEN] = "broken",
		[NETVSC_FLIGHT_LINK] = "link",
		[NETVSC_FLIGHT_MTU] = "mtu",
		[NETVSC_FLIGHT_FENCE] = "fence",
		[NETVSC_FLIGHT_PATH] = "path",
		[NETVSC_FLIGHT_VF] = "vf",
		[NETVSC_FLIGHT_RECOVERY] = "recovery",
	};

	static_assert(RTE_DIM(names) == NETVSC_FLIGHT_KINDS, "a name for each");
	return kind < RTE_DIM(names) ? names[kind] : "unknown";
}

static void
note_trace(uint16_t port, const struct netvsc_flight_event *e)
{
	if (!kind_is_message(e->kind))
		netvsc_trace_state(port, kind_name(e->kind), e->text, e->value);
	else if (kind_is_sent(e->kind))
		netvsc_trace_sent(port, message_name(e->kind, e->code), e->value);
	else
		netvsc_trace_received(port, message_name(e->kind, e->code), e->value);
}

void
netvsc_flight_note(struct netvsc_flight *flight, enum netvsc_flight_kind kind, uint32_t code,
	int64_t value, const char *text)
{
	struct netvsc_flight_event event = {.tsc = rte_rdtsc(), .kind = kind, .code = code};
	uint64_t n = atomic_fetch_add_explicit(&flight->next, 1, memory_order_relaxed);
	uint64_t before = atomic_load_explicit(&flight->count[kind], memory_order_relaxed);
	bool kept;

	event.value = value;
	if (text != NULL)
		memcpy(event.text, text, strnlen(text, sizeof(event.text) - 1));
	kept = slot_write(&flight->ring[n % NETVSC_FLIGHT_EVENTS], n, &event);
	if (!last_write(flight->last[kind], before, n, &event) || !kept)
		atomic_fetch_add_explicit(&flight->lost, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&flight->count[kind], 1, memory_order_relaxed);
	note_trace(flight->port_id, &event);
}

/* Of a message, the number that says most. */
static int64_t
nvsp_value(const struct nvsp_message *m, bool sent)
{
	switch (m->type) {
	case NVSP_TYPE_INIT:
		return m->init.version;
	case NVSP_TYPE_INIT_COMPLETE:
		return m->init_complete.status;
	case NVSP_TYPE_NDIS_VERSION:
		return m->ndis_version.minor;
	case NVSP_TYPE_NDIS_CONFIG:
		return m->ndis_config.mtu;
	case NVSP_TYPE_SEND_RECV_BUF:
	case NVSP_TYPE_SEND_SEND_BUF:
		return m->send_buf.gpadl;
	case NVSP_TYPE_RECV_BUF_COMPLETE:
		return m->recv_buf_complete.status;
	case NVSP_TYPE_SEND_BUF_COMPLETE:
		return m->send_buf_complete.status;
	case NVSP_TYPE_REVOKE_RECV_BUF:
	case NVSP_TYPE_REVOKE_SEND_BUF:
		return m->revoke.id;
	case NVSP_TYPE_SUBCHANNEL:
		return sent ? m->subchannel.count : m->subchannel_complete.granted;
	case NVSP_TYPE_VF_ASSOCIATION:
		/* The serial, and in bit 32 whether it is there. */
		return (int64_t)(m->vf_association.allocated != 0) << 32 | m->vf_association.serial;
	case NVSP_TYPE_SWITCH_DATA_PATH:
		return m->switch_data_path.path;
	default:
		return 0;
	}
}

void
netvsc_flight_nvsp(
	struct netvsc_flight *flight, enum netvsc_flight_kind kind, const struct nvsp_message *msg)
{
	netvsc_flight_note(
		flight, kind, msg->type, nvsp_value(msg, kind == NETVSC_FLIGHT_SENT), NULL);
}

/* ---- reading ---- */

bool
netvsc_flight_read(
	const struct netvsc_flight *flight, uint64_t n, struct netvsc_flight_event *event)
{
	uint64_t is;

	return slot_read(&flight->ring[n % NETVSC_FLIGHT_EVENTS], &is, event) && is == n;
}

bool
netvsc_flight_last(const struct netvsc_flight *flight, enum netvsc_flight_kind kind,
	struct netvsc_flight_event *event)
{
	struct netvsc_flight_event one;
	uint64_t is, newest = 0;
	bool found = false;
	unsigned int i;

	for (i = 0; i < NETVSC_FLIGHT_LAST; i++)
		if (slot_read(&flight->last[kind][i], &is, &one) && (!found || is > newest)) {
			*event = one;
			newest = is;
			found = true;
		}
	return found;
}

uint64_t
netvsc_flight_us(const struct netvsc_flight *flight, const struct netvsc_flight_event *event)
{
	uint64_t cycles = event->tsc - flight->epoch, hz = rte_get_tsc_hz();

	/* In two parts, because cycles * 10^6 passes 64 bits within hours. */
	return hz == 0 ? 0 : cycles / hz * 1000000 + cycles % hz * 1000000 / hz;
}

/* What stands behind the name of a kind. */
static void
line_rest(const struct netvsc_flight_event *e, char *to, size_t size)
{
	const char *fail = e->value < 0 ? strerror((int)-e->value) : NULL;

	switch ((enum netvsc_flight_kind)e->kind) {
	case NETVSC_FLIGHT_SENT:
	case NETVSC_FLIGHT_RECEIVED:
	case NETVSC_FLIGHT_RNDIS_SENT:
	case NETVSC_FLIGHT_RNDIS_RECEIVED:
		snprintf(to, size, "%s 0x%" PRIx64, message_name(e->kind, e->code),
			(uint64_t)e->value);
		break;
	case NETVSC_FLIGHT_LINK:
		snprintf(to, size, "%s %" PRId64 " Mbit/s", e->text, e->value);
		break;
	case NETVSC_FLIGHT_MTU:
		snprintf(to, size, "%" PRId64 "%s%s", e->value, e->code != 0 ? ": " : "",
			e->code != 0 ? strerror((int)e->code) : "");
		break;
	case NETVSC_FLIGHT_PATH:
		snprintf(to, size, "%s", e->value == 0 ? "synthetic" : "vf");
		break;
	case NETVSC_FLIGHT_FENCE:
		snprintf(to, size, "%s", fail != NULL ? fail : "done");
		break;
	default:
		snprintf(to, size, "%s%s%s", e->text, fail != NULL ? ": " : "",
			fail != NULL ? fail : "");
	}
}

void
netvsc_flight_line(const struct netvsc_flight *flight, const struct netvsc_flight_event *event,
	char line[NETVSC_FLIGHT_LINE])
{
	uint64_t us = netvsc_flight_us(flight, event);
	int n = snprintf(line, NETVSC_FLIGHT_LINE, "%" PRIu64 ".%06" PRIu64 " %s ", us / 1000000,
		us % 1000000, kind_name(event->kind));

	line_rest(event, line + n, NETVSC_FLIGHT_LINE - (size_t)n);
}

void
netvsc_flight_dump(const struct netvsc_flight *flight, FILE *f)
{
	uint64_t total = netvsc_flight_total(flight), n;
	struct netvsc_flight_event event;
	char line[NETVSC_FLIGHT_LINE];

	fprintf(f, "flight recorder: %" PRIu64 " events, %" PRIu64 " lost; seconds since attach\n",
		total, atomic_load_explicit(&flight->lost, memory_order_relaxed));
	for (n = total > NETVSC_FLIGHT_EVENTS ? total - NETVSC_FLIGHT_EVENTS : 0; n < total; n++)
		if (netvsc_flight_read(flight, n, &event)) {
			netvsc_flight_line(flight, &event, line);
			fprintf(f, "  %s\n", line);
		}
}
