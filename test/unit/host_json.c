/* SPDX-License-Identifier: BSD-3-Clause */
/* A NIC's counters and rings in JSON (lib/host/control_json.h), as users' scripts read them. */
#include <string.h>

#include "lib/host/control_json.h"
#include "test/unit/host_nic_guest.h"

static struct guest g;

/* ---- a port with one value for each count ---- */

static unsigned int
nothing(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	return 0;
}

static void
sent(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
}

static const uint64_t steps[LATENCY_STEPS] = {[3] = 4, [LATENCY_STEPS - 1] = 5};

static void
counted(struct host_port *port, struct host_port_stats *stats)
{
	*stats = (struct host_port_stats){.rx_frames = 1,
		.tx_dropped_full = 2,
		.verifies = true,
		.verified = 3,
		.corrupt = 4,
		.lost = 5,
		.duplicate = 6,
		.reordered = 7,
		.foreign = 8,
		.latency = {.frames = 9,
			.min = 10,
			.mean = 11,
			.max = 12,
			.p50 = 13,
			.p99 = 14,
			.p999 = 15,
			.steps = steps},
		.finished = true};
}

static void
closed(struct host_port *port)
{
}

static const struct host_port_ops ops = {
	.kind = "counted", .receive = nothing, .send = sent, .stats = counted, .close = closed};
static struct host_port port = {.ops = &ops};

static uint64_t
number(struct json_object *o, const char *key)
{
	struct json_object *value;

	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(o, key, &value));
	return json_object_get_uint64(value);
}

static void
test_each_count_of_a_port_has_its_name(void)
{
	static const struct {
		const char *key;
		uint64_t value;
	} counts[] = {{"rx_frames", 1}, {"tx_dropped_full", 2}, {"verified", 3}, {"corrupt", 4},
		{"lost", 5}, {"duplicate", 6}, {"reordered", 7}, {"foreign", 8}},
	  times[] = {{"frames", 9}, {"min", 10}, {"mean", 11}, {"max", 12}, {"p50", 13},
		  {"p99", 14}, {"p99.9", 15}};
	struct json_object *o, *stats, *latency, *list;
	size_t i;

	guest_start_port(&g, "recv=128K,send=64K,channels=2", 8, &port);
	guest_poll(&g);
	o = control_json_stats(g.nic);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(o, "port_stats", &stats));
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		CU_ASSERT_EQUAL(number(stats, counts[i].key), counts[i].value);
	CU_ASSERT_EQUAL(number(stats, "finished"), 1);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(stats, "latency_ns", &latency));
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		CU_ASSERT_EQUAL(number(latency, times[i].key), times[i].value);
	/* Only what is not empty: the longest time, and how many. */
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(latency, "histogram", &list));
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN),
		"[[31,4],[1099511627775,5]]");
	CU_ASSERT_FALSE(json_object_object_get_ex(o, "vf_port_stats", NULL));
	json_object_put(o);
	guest_stop(&g);
}

static void
test_rings_are_those_of_open_channels(void)
{
	struct json_object *list, *o, *ring;
	struct vmbus_ring_control *ctl;

	guest_start_port(&g, "recv=128K,send=64K,channels=4", 8, &port);
	list = control_json_rings(g.nic);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(list), 1);
	o = json_object_array_get_idx(list, 0);
	CU_ASSERT_EQUAL(number(o, "channel"), 0);
	/* What the guest sent and the host has not read. */
	ctl = g.out[0].ring.ctl;
	json_object_put(list);
	guest_ack(&g, 0, 77);
	list = control_json_rings(g.nic);
	o = json_object_array_get_idx(list, 0);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(o, "tx", &ring));
	CU_ASSERT_EQUAL(number(ring, "size"), 8 * VMBUS_PAGE_SIZE);
	CU_ASSERT_EQUAL(number(ring, "write_index"), atomic_load(&ctl->write_index));
	CU_ASSERT_EQUAL(number(ring, "write_index"), 32);
	CU_ASSERT_EQUAL(number(ring, "read_index"), 0);
	CU_ASSERT_EQUAL(number(ring, "feature_bits"), VMBUS_RING_FEATURE_PENDING_SEND);
	json_object_put(list);
	guest_stop(&g);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"each count of a port has its name", test_each_count_of_a_port_has_its_name},
		{"rings are those of open channels", test_rings_are_those_of_open_channels},
	};

	return UNIT_RUN("host_json", tests);
}
