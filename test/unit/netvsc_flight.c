/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flight recorder: what is kept, by how many writers at a time, and that nobody reads half of
 * one event and half of another. Two functions that it calls are this program's: the clock's rate,
 * and strnlen(), which a writer calls between its number and its slot.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <rte_cycles.h>

#include "drivers/net/netvsc/flight.h"
#include "lib/netvsp/rndis.h"
#include "test/unit/unit.h"

#define HZ	UINT64_C(2500000000)
#define WRITERS 4u
#define NOTES	200000u /* of each writer */

static struct netvsc_flight flight;

uint64_t
rte_get_tsc_hz(void)
{
	return HZ;
}

/* Runs once, on the thread that sets it, within its next note. */
static __thread void (*inside)(void);

size_t
strnlen(const char *s, size_t max)
{
	void (*run)(void) = inside;
	size_t n = 0;

	inside = NULL;
	if (run != NULL)
		run();
	while (n < max && s[n] != '\0')
		n++;
	return n;
}

static void
begin(void)
{
	memset(&flight, 0, sizeof(flight));
	netvsc_flight_init(&flight, 3);
}

static void
note(uint64_t value)
{
	netvsc_flight_note(&flight, NETVSC_FLIGHT_STATE, (uint32_t)value, (int64_t)value, "text");
}

static void
lap(void)
{
	unsigned int i;

	for (i = 0; i < NETVSC_FLIGHT_EVENTS; i++)
		note(1000 + i);
}

static uint64_t
lost(void)
{
	return atomic_load(&flight.lost);
}

/* ---- what is kept ---- */

static void
test_the_newest_events_are_kept(void)
{
	struct netvsc_flight_event event;
	uint64_t n, before = 0;

	begin();
	CU_ASSERT_EQUAL(netvsc_flight_total(&flight), 0);
	CU_ASSERT_FALSE(netvsc_flight_read(&flight, 0, &event));
	CU_ASSERT_FALSE(netvsc_flight_last(&flight, NETVSC_FLIGHT_STATE, &event));
	for (n = 0; n < 3 * NETVSC_FLIGHT_EVENTS + 5; n++) {
		note(n);
		CU_ASSERT_TRUE(netvsc_flight_last(&flight, NETVSC_FLIGHT_STATE, &event));
		CU_ASSERT_EQUAL(event.value, (int64_t)n);
	}
	CU_ASSERT_EQUAL(netvsc_flight_total(&flight), 3 * NETVSC_FLIGHT_EVENTS + 5);
	CU_ASSERT_EQUAL(atomic_load(&flight.count[NETVSC_FLIGHT_STATE]), n);
	CU_ASSERT_EQUAL(lost(), 0);
	for (n = 0; n < 3 * NETVSC_FLIGHT_EVENTS + 6; n++) {
		bool kept = n >= 2 * NETVSC_FLIGHT_EVENTS + 5 && n < 3 * NETVSC_FLIGHT_EVENTS + 5;

		CU_ASSERT_EQUAL_FATAL(netvsc_flight_read(&flight, n, &event), kept);
		if (!kept)
			continue;
		CU_ASSERT_EQUAL(event.kind, NETVSC_FLIGHT_STATE);
		CU_ASSERT_EQUAL(event.code, (uint32_t)n);
		CU_ASSERT_EQUAL(event.value, (int64_t)n);
		CU_ASSERT_STRING_EQUAL(event.text, "text");
		CU_ASSERT(event.tsc >= before);
		before = event.tsc;
	}
}

static void
test_a_text_is_cut_and_has_an_end(void)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	struct netvsc_flight_event event;

	begin();
	netvsc_flight_note(&flight, NETVSC_FLIGHT_BROKEN, 0, 0, letters);
	CU_ASSERT_TRUE(netvsc_flight_read(&flight, 0, &event));
	CU_ASSERT_EQUAL(strlen(event.text), NETVSC_FLIGHT_TEXT - 1);
	CU_ASSERT_EQUAL(strncmp(event.text, letters, NETVSC_FLIGHT_TEXT - 1), 0);
	/* Whoever has written to the memory of another process. */
	memset((void *)&flight.ring[0].words, 'x', sizeof(flight.ring[0].words));
	CU_ASSERT_TRUE(netvsc_flight_read(&flight, 0, &event));
	CU_ASSERT_EQUAL(strlen(event.text), NETVSC_FLIGHT_TEXT - 1);
}

/* ---- writers that meet ---- */

static void
test_who_is_overtaken_by_a_lap_gives_up(void)
{
	struct netvsc_flight_event event;
	unsigned int n;

	begin();
	inside = lap;
	note(7);
	/* Number 0 was taken, then a whole lap came, the last of which has the same slot. */
	CU_ASSERT_EQUAL(netvsc_flight_total(&flight), NETVSC_FLIGHT_EVENTS + 1);
	CU_ASSERT_EQUAL(lost(), 1);
	CU_ASSERT_FALSE(netvsc_flight_read(&flight, 0, &event));
	for (n = 1; n <= NETVSC_FLIGHT_EVENTS; n++) {
		CU_ASSERT_TRUE(netvsc_flight_read(&flight, n, &event));
		CU_ASSERT_EQUAL(event.value, 999 + n);
	}
	CU_ASSERT_TRUE(netvsc_flight_last(&flight, NETVSC_FLIGHT_STATE, &event));
	CU_ASSERT_EQUAL(event.value, 999 + NETVSC_FLIGHT_EVENTS);
}

static void
test_who_died_inside_costs_one_slot(void)
{
	struct netvsc_flight_event event;
	unsigned int n, i;

	begin();
	/* As its turn is when somebody is in the middle of event 5. */
	atomic_store(&flight.ring[5].turn, 2 * 5 + 1);
	for (i = 0; i < 3; i++)
		lap();
	CU_ASSERT_EQUAL(lost(), 3);
	for (n = 2 * NETVSC_FLIGHT_EVENTS; n < 3 * NETVSC_FLIGHT_EVENTS; n++)
		CU_ASSERT_EQUAL(
			netvsc_flight_read(&flight, n, &event), n != 2 * NETVSC_FLIGHT_EVENTS + 5);
}

static bool
last_is(int64_t value)
{
	struct netvsc_flight_event event;

	return netvsc_flight_last(&flight, NETVSC_FLIGHT_STATE, &event) && event.value == value;
}

/* The last one of a kind may be the last for months: it is not to be an older one for good. */
static void
test_who_died_inside_leaves_the_last_of_a_kind_right(void)
{
	struct netvsc_flight_slot *slots = flight.last[NETVSC_FLIGHT_STATE];
	struct netvsc_flight_event event;
	unsigned int dead, i;

	for (dead = 0; dead < NETVSC_FLIGHT_LAST; dead++) {
		begin();
		note(1);
		note(2);
		atomic_store(&slots[dead].turn, 2 * 2 + 1);
		for (i = 3; i < 20; i++) {
			note(i);
			CU_ASSERT_TRUE(last_is(i));
		}
		CU_ASSERT_EQUAL(lost(), 0);
	}
	/* All but one. */
	begin();
	for (dead = 1; dead < NETVSC_FLIGHT_LAST; dead++)
		atomic_store(&slots[dead].turn, 2 * dead + 1);
	for (i = 0; i < 20; i++) {
		note(i);
		CU_ASSERT_TRUE(last_is(i));
	}
	CU_ASSERT_EQUAL(lost(), 0);
	/* And that one: nothing is told, and that is counted. */
	atomic_store(&slots[0].turn, 2 * 100 + 1);
	CU_ASSERT_FALSE(netvsc_flight_last(&flight, NETVSC_FLIGHT_STATE, &event));
	note(21);
	CU_ASSERT_EQUAL(lost(), 1);
}

/* While the next one is being put down, the last one is the one before. */
static void
test_the_last_of_a_kind_is_there_while_the_next_is_written(void)
{
	struct netvsc_flight_slot *slots = flight.last[NETVSC_FLIGHT_STATE];
	unsigned int i;

	begin();
	for (i = 0; i < 20; i++) {
		_Atomic uint64_t *turn = &slots[(i + 1) % NETVSC_FLIGHT_LAST].turn;
		uint64_t was;

		note(i);
		was = atomic_exchange(turn, 2 * (i + 1) + 1);
		CU_ASSERT_TRUE(last_is(i));
		atomic_store(turn, was);
	}
}

/* An event tells one number in all of its words: any mixture of two is seen. */
static bool
is_whole(const struct netvsc_flight_event *e)
{
	char text[NETVSC_FLIGHT_TEXT];

	snprintf(text, sizeof(text), "%032u", e->code);
	return e->kind == e->code % NETVSC_FLIGHT_KINDS &&
	       e->value == (int64_t)e->code * INT64_C(1000003) && strcmp(e->text, text) == 0;
}

static atomic_uint writing;
static atomic_uint torn;

static void *
writer(void *arg)
{
	uint32_t code = (uint32_t)(uintptr_t)arg, end = code + WRITERS * NOTES;
	char text[NETVSC_FLIGHT_TEXT];

	for (; code < end; code += WRITERS) {
		snprintf(text, sizeof(text), "%032u", code);
		netvsc_flight_note(&flight, code % NETVSC_FLIGHT_KINDS, code,
			(int64_t)code * INT64_C(1000003), text);
	}
	atomic_fetch_sub(&writing, 1);
	return NULL;
}

/* @return events that were there */
static unsigned int
look(void)
{
	uint64_t total = netvsc_flight_total(&flight), n;
	struct netvsc_flight_event event;
	unsigned int found = 0, kind;

	for (n = total > NETVSC_FLIGHT_EVENTS ? total - NETVSC_FLIGHT_EVENTS : 0; n < total; n++)
		if (netvsc_flight_read(&flight, n, &event)) {
			found++;
			if (!is_whole(&event))
				atomic_fetch_add(&torn, 1);
		}
	for (kind = 0; kind < NETVSC_FLIGHT_KINDS; kind++)
		if (netvsc_flight_last(&flight, kind, &event) &&
			(event.kind != kind || !is_whole(&event)))
			atomic_fetch_add(&torn, 1);
	return found;
}

static void
test_writers_at_a_time_leave_no_torn_event(void)
{
	pthread_t threads[WRITERS];
	uint64_t counted = 0;
	unsigned int i, found = 0;

	begin();
	atomic_store(&writing, WRITERS);
	for (i = 0; i < WRITERS; i++)
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&threads[i], NULL, writer, (void *)(uintptr_t)i), 0);
	while (atomic_load(&writing) != 0)
		found += look();
	for (i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT(found > 0);
	CU_ASSERT_EQUAL(atomic_load(&torn), 0);
	CU_ASSERT_EQUAL(netvsc_flight_total(&flight), WRITERS * NOTES);
	for (i = 0; i < NETVSC_FLIGHT_KINDS; i++)
		counted += atomic_load(&flight.count[i]);
	CU_ASSERT_EQUAL(counted, WRITERS * NOTES);
	/* What is not there when all is quiet was counted as lost. */
	found = look();
	CU_ASSERT(found + lost() >= NETVSC_FLIGHT_EVENTS);
	CU_ASSERT_EQUAL(atomic_load(&torn), 0);
}

/* ---- text ---- */

static void
line_is(const char *want)
{
	struct netvsc_flight_event event;
	char line[NETVSC_FLIGHT_LINE], *rest;

	CU_ASSERT_TRUE_FATAL(netvsc_flight_read(&flight, netvsc_flight_total(&flight) - 1, &event));
	netvsc_flight_line(&flight, &event, line);
	rest = strchr(line, ' ');
	CU_ASSERT_PTR_NOT_NULL_FATAL(rest);
	CU_ASSERT_STRING_EQUAL(rest + 1, want);
}

static void
test_lines_say_what_happened(void)
{
	struct nvsp_message msg;

	begin();
	nvsp_build_init(&msg, NVSP_VERSION_61);
	netvsc_flight_nvsp(&flight, NETVSC_FLIGHT_SENT, &msg);
	line_is("sent INIT 0x60001");
	nvsp_build_subchannel(&msg, 3);
	netvsc_flight_nvsp(&flight, NETVSC_FLIGHT_SENT, &msg);
	line_is("sent SUBCHANNEL 0x3");
	netvsc_flight_note(
		&flight, NETVSC_FLIGHT_RNDIS_SENT, RNDIS_TYPE_QUERY, OID_GEN_LINK_SPEED, NULL);
	line_is("sent QUERY 0x10107");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_RNDIS_RECEIVED, RNDIS_TYPE_SET_CMPLT,
		RNDIS_STATUS_NOT_SUPPORTED, NULL);
	line_is("received SET_C 0xc00000bb");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_UNANSWERED, 0, -ETIMEDOUT, "INIT");
	line_is("unanswered INIT: Connection timed out");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_STATE, 0, 0, "started");
	line_is("port started");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_STATE, 0, -ENOMEM, "started");
	line_is("port started: Cannot allocate memory");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_LINK, 0, 40000, "up");
	line_is("link up 40000 Mbit/s");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_MTU, 0, 9000, NULL);
	line_is("mtu 9000");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_MTU, EBUSY, 9000, NULL);
	line_is("mtu 9000: Device or resource busy");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_FENCE, 0, -ENODEV, NULL);
	line_is("fence No such device");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_PATH, 0, 1, NULL);
	line_is("path vf");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_VF, 0, -EBUSY, "started");
	line_is("vf started: Device or resource busy");
	netvsc_flight_note(&flight, NETVSC_FLIGHT_RECOVERY, 0, 0, "re-offered");
	line_is("recovery re-offered");
}

/* Cycles times a million pass 64 bits within hours. */
static void
test_times_of_a_port_that_is_up_for_months(void)
{
	const uint64_t seconds = 200 * 86400;
	struct netvsc_flight_event event = {.kind = NETVSC_FLIGHT_STATE, .text = "started"};
	char line[NETVSC_FLIGHT_LINE];

	begin();
	event.tsc = flight.epoch + seconds * HZ + HZ / 4;
	CU_ASSERT_EQUAL(netvsc_flight_us(&flight, &event), seconds * 1000000 + 250000);
	netvsc_flight_line(&flight, &event, line);
	CU_ASSERT_STRING_EQUAL(line, "17280000.250000 port started");
}

static void
test_dump_is_oldest_first(void)
{
	char *text = NULL, *at;
	size_t len, lines = 0;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	begin();
	lap();
	netvsc_flight_note(&flight, NETVSC_FLIGHT_STATE, 0, 0, "newest");
	netvsc_flight_dump(&flight, f);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "257 events, 0 lost"));
	for (at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	CU_ASSERT_EQUAL(lines, NETVSC_FLIGHT_EVENTS + 1);
	at = strstr(text, "port newest");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_STRING_EQUAL(at, "port newest\n");
	free(text);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the newest events are kept", test_the_newest_events_are_kept},
		{"a text is cut and has an end", test_a_text_is_cut_and_has_an_end},
		{"who is overtaken by a lap gives up", test_who_is_overtaken_by_a_lap_gives_up},
		{"who died inside costs one slot", test_who_died_inside_costs_one_slot},
		{"who died inside leaves the last of a kind right",
			test_who_died_inside_leaves_the_last_of_a_kind_right},
		{"the last of a kind is there while the next is written",
			test_the_last_of_a_kind_is_there_while_the_next_is_written},
		{"writers at a time leave no torn event",
			test_writers_at_a_time_leave_no_torn_event},
		{"lines say what happened", test_lines_say_what_happened},
		{"times of a port that is up for months",
			test_times_of_a_port_that_is_up_for_months},
		{"dump is oldest first", test_dump_is_oldest_first},
	};

	return UNIT_RUN("netvsc_flight", tests);
}
