/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What telemetry answers of a port, and that a port can go while it is asked. DPDK's telemetry
 * library is this program: it calls the driver's commands and keeps what they say.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include "test/unit/netvsc_fixture.h"

#define PORT 7u /* the fixture's */

static struct fixture f;

/* ---- the library ---- */

struct rte_tel_data {
	char kind; /* 'n' nothing, 'd' dictionary, 'i' array of numbers, 's' of strings */
	unsigned int n;
	struct {
		char name[64], text[128];
		uint64_t value;
		bool is_text;
	} at[128];
};

static struct {
	char name[32];
	telemetry_cb run;
} commands[8];
static unsigned int n_commands;
static struct rte_tel_data said, lines;
static bool lines_given;

int
rte_telemetry_register_cmd(const char *cmd, telemetry_cb run, const char *help)
{
	/* DPDK's libraries have theirs. */
	if (strncmp(cmd, "/netvsc/", 8) != 0)
		return 0;
	CU_ASSERT_FATAL(n_commands < RTE_DIM(commands));
	CU_ASSERT(help != NULL && strlen(help) < 128);
	snprintf(commands[n_commands].name, sizeof(commands[0].name), "%s", cmd);
	commands[n_commands++].run = run;
	return 0;
}

int
rte_tel_data_start_dict(struct rte_tel_data *d)
{
	d->kind = 'd';
	d->n = 0;
	return 0;
}

int
rte_tel_data_start_array(struct rte_tel_data *d, enum rte_tel_value_type type)
{
	d->kind = type == RTE_TEL_STRING_VAL ? 's' : 'i';
	d->n = 0;
	return 0;
}

static int
tel_add(struct rte_tel_data *d, const char *name, const char *text, uint64_t value)
{
	/* The library's limits (spec/dpdk-driver-api.md §12). */
	CU_ASSERT_FATAL(d->n < RTE_DIM(d->at));
	CU_ASSERT(text == NULL || strlen(text) < 128);
	CU_ASSERT_EQUAL(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
	snprintf(d->at[d->n].name, sizeof(d->at[0].name), "%s", name);
	snprintf(d->at[d->n].text, sizeof(d->at[0].text), "%s", text == NULL ? "" : text);
	d->at[d->n].is_text = text != NULL;
	d->at[d->n++].value = value;
	return 0;
}

int
rte_tel_data_add_dict_string(struct rte_tel_data *d, const char *name, const char *text)
{
	return tel_add(d, name, text, 0);
}

/* In the spelling and with the types of this release. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
typedef int64_t tel_int;
#define tel_add_dict_number rte_tel_data_add_dict_uint
#else
typedef int tel_int;
#define tel_add_dict_number rte_tel_data_add_dict_u64
#endif

int
tel_add_dict_number(struct rte_tel_data *d, const char *name, uint64_t value)
{
	return tel_add(d, name, NULL, value);
}

int
rte_tel_data_add_array_int(struct rte_tel_data *d, tel_int x)
{
	return tel_add(d, "", NULL, (uint64_t)x);
}

int
rte_tel_data_add_array_string(struct rte_tel_data *d, const char *text)
{
	return tel_add(d, "", text, 0);
}

struct rte_tel_data *
rte_tel_data_alloc(void)
{
	memset(&lines, 0, sizeof(lines));
	return &lines;
}

int
rte_tel_data_add_dict_container(
	struct rte_tel_data *d, const char *name, struct rte_tel_data *val, int keep)
{
	CU_ASSERT_PTR_EQUAL(val, &lines);
	CU_ASSERT_EQUAL(keep, 0);
	lines_given = true;
	return tel_add(d, name, "lines", 0);
}

static int
ask(const char *cmd, const char *params)
{
	unsigned int i;

	memset(&said, 0, sizeof(said));
	said.kind = 'n';
	lines_given = false;
	for (i = 0; i < n_commands; i++)
		if (strcmp(commands[i].name, cmd) == 0)
			return commands[i].run(cmd, params, &said);
	CU_FAIL_FATAL(no such command);
	return -ENOENT;
}

static bool
has(const char *name)
{
	unsigned int i;

	for (i = 0; i < said.n; i++)
		if (strcmp(said.at[i].name, name) == 0)
			return true;
	return false;
}

static uint64_t
number(const char *name)
{
	unsigned int i;

	for (i = 0; i < said.n; i++)
		if (strcmp(said.at[i].name, name) == 0) {
			CU_ASSERT_FALSE(said.at[i].is_text);
			return said.at[i].value;
		}
	printf("no %s\n", name);
	CU_FAIL(a number is missing);
	return UINT64_MAX;
}

static const char *
text(const char *name)
{
	unsigned int i;

	for (i = 0; i < said.n; i++)
		if (strcmp(said.at[i].name, name) == 0 && said.at[i].is_text)
			return said.at[i].text;
	printf("no %s\n", name);
	CU_FAIL(a text is missing);
	return "";
}

/* ---- a port ---- */

static char eth_name[] = "hp0";

static bool
begin(void)
{
	const struct fixture_conf conf = {.channels = 2, .send_count = 64};

	if (!fixture_begin(&f, &conf))
		return false;
	snprintf(f.data.name, sizeof(f.data.name), "%s", eth_name);
	snprintf(f.bus.where, sizeof(f.bus.where), "/run/x.sock");
	netvsc_flight_init(&f.port.flight, PORT);
	netvsc_telemetry_add(&f.port);
	return true;
}

static void
end(void)
{
	CU_ASSERT_TRUE(netvsc_telemetry_remove(&f.port));
	fixture_end(&f);
}

static unsigned int
receive(unsigned int q, unsigned int n)
{
	struct rte_mbuf *m[32];
	unsigned int got = netvsc_rx_burst(f.rx_queues[q], m, (uint16_t)n);

	rte_pktmbuf_free_bulk(m, got);
	return got;
}

static void
test_list_has_ports_that_are_there(void)
{
	REQUIRE(begin());
	CU_ASSERT_EQUAL(ask("/netvsc/list", NULL), 0);
	CU_ASSERT_EQUAL(said.kind, 'i');
	CU_ASSERT_EQUAL_FATAL(said.n, 1);
	CU_ASSERT_EQUAL(said.at[0].value, PORT);
	end();
	CU_ASSERT_EQUAL(ask("/netvsc/list", NULL), 0);
	CU_ASSERT_EQUAL(said.n, 0);
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), -ENODEV);
	/* Commands stay, and are not there twice. */
	REQUIRE(begin());
	CU_ASSERT_EQUAL(n_commands, 4);
	end();
}

static void
test_bad_parameters_are_errors(void)
{
	static const char *const ports[] = {NULL, "", "x", "-1", "7x", " 7", "7,", "7,0,0", "7 0",
		"99999999999999999999", "0x7"};
	static const char *const queues[] = {NULL, "7", "7,", "7,x", "7,-1", ",0", "7,0,", "7,0,1",
		"7,0x0", "7,2", "7,64", "7,4294967296", "7,99999999999999999999"};
	unsigned int i;

	REQUIRE(begin());
	for (i = 0; i < RTE_DIM(ports); i++) {
		CU_ASSERT_EQUAL(ask("/netvsc/info", ports[i]), -EINVAL);
		CU_ASSERT_EQUAL(said.kind, 'n');
		CU_ASSERT_EQUAL(ask("/netvsc/flight", ports[i]), -EINVAL);
		CU_ASSERT_EQUAL(said.kind, 'n');
	}
	for (i = 0; i < RTE_DIM(queues); i++) {
		CU_ASSERT_EQUAL(ask("/netvsc/queue", queues[i]), -EINVAL);
		CU_ASSERT_EQUAL(said.kind, 'n');
	}
	/* Of another driver, or nobody's. */
	CU_ASSERT_EQUAL(ask("/netvsc/info", "0"), -ENODEV);
	CU_ASSERT_EQUAL(ask("/netvsc/info", "4294967303"), -ENODEV);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "0,0"), -ENODEV);
	CU_ASSERT_EQUAL(ask("/netvsc/flight", "8,5"), -ENODEV);
	end();
}

static void
test_info_is_what_the_port_is(void)
{
	REQUIRE(begin());
	f.port.limits.nvsp_version = NVSP_VERSION_61;
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_EQUAL(said.kind, 'd');
	CU_ASSERT_STRING_EQUAL(text("name"), "hp0");
	CU_ASSERT_STRING_EQUAL(text("device"), "fixture");
	CU_ASSERT_STRING_EQUAL(text("where"), "/run/x.sock");
	CU_ASSERT_STRING_EQUAL(text("backend"), "test");
	CU_ASSERT_STRING_EQUAL(text("nvsp_version"), "6.1");
	CU_ASSERT_STRING_EQUAL(text("state"), "running");
	CU_ASSERT_EQUAL(number("running"), 1);
	CU_ASSERT_EQUAL(number("link_mbps"), 10000);
	CU_ASSERT_EQUAL(number("channels"), 2);
	CU_ASSERT_EQUAL(number("recv_sections"), 256);
	CU_ASSERT_EQUAL(number("send_sections"), 64);
	CU_ASSERT_EQUAL(number("send_sections_used"), 0);
	CU_ASSERT_STRING_EQUAL(text("send_table"), "none");
	CU_ASSERT_EQUAL(number("send_tables"), 0);
	/* What never happened. */
	CU_ASSERT_STRING_EQUAL(text("path"), "synthetic");
	CU_ASSERT_EQUAL(number("path_is_vf"), 0);
	CU_ASSERT_STRING_EQUAL(text("vf"), "none");
	CU_ASSERT_STRING_EQUAL(text("last_recovery"), "none");
	CU_ASSERT_EQUAL(number("recoveries"), 0);
	CU_ASSERT_STRING_EQUAL(text("last_broken"), "none");
	CU_ASSERT_EQUAL(number("vf_associated"), 0);
	CU_ASSERT_EQUAL(number("vf_used"), 0);
	CU_ASSERT_FALSE(has("vf_serial"));
	CU_ASSERT_FALSE(has("vf_port"));
	CU_ASSERT_STRING_EQUAL(text("vf_name"), "");
	f.port.config.ignore_vf = true;
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_STRING_EQUAL(
		text("vf_unused_because"), "ignore_vf forbids it: the devarg, or an isolated VM");
	/* And what did. */
	netvsc_flight_note(&f.port.flight, NETVSC_FLIGHT_VF, 0, 0, "started");
	netvsc_vf_path_on(f.port.vf_tx, 3);
	netvsc_flight_note(&f.port.flight, NETVSC_FLIGHT_PATH, 0, 1, NULL);
	netvsc_flight_note(&f.port.flight, NETVSC_FLIGHT_RECOVERY, 0, -EIO, "does not fit");
	atomic_store(&f.port.recovery.done, 2);
	atomic_store(&f.port.recovery.failed, 3);
	netvsc_port_broken(&f.port, "a test said so");
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_STRING_EQUAL(text("state"), "broken");
	CU_ASSERT_EQUAL(number("running"), 0);
	CU_ASSERT_STRING_EQUAL(text("path"), "vf");
	CU_ASSERT_EQUAL(number("path_is_vf"), 1);
	CU_ASSERT_EQUAL(number("path_switches"), 1);
	CU_ASSERT_STRING_EQUAL(text("vf"), "started");
	CU_ASSERT_STRING_EQUAL(text("last_recovery"), "does not fit");
	CU_ASSERT_EQUAL(number("recoveries"), 2);
	CU_ASSERT_EQUAL(number("recoveries_failed"), 3);
	CU_ASSERT_EQUAL(number("last_recovery_failed"), 1);
	CU_ASSERT_STRING_EQUAL(text("last_broken"), "a test said so");
	CU_ASSERT_EQUAL(number("breaks"), 1);
	CU_ASSERT_EQUAL(number("events"), 4);
	netvsc_vf_path_off(f.port.vf_tx);
	end();
}

/* Who would send as the host wishes can: the channels, and how many of the entries a queue has. */
static void
test_the_send_table_of_the_host_is_told(void)
{
	unsigned int i;

	REQUIRE(begin());
	netvsc_send_table_forget(&f.port);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("tx_send_table_entries"), 0);
	for (i = 0; i < NVSP_SEND_TABLE_ENTRIES; i++)
		atomic_store(&f.port.send_table.channel[i], i < 5 ? 0 : 1);
	atomic_store(&f.port.send_table.tables, 3);
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_STRING_EQUAL(text("send_table"), "0 0 0 0 0 1 1 1 1 1 1 1 1 1 1 1");
	CU_ASSERT_EQUAL(number("send_tables"), 3);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("tx_send_table_entries"), 5);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,1"), 0);
	CU_ASSERT_EQUAL(number("tx_send_table_entries"), 11);
	end();
}

/* Bursts of any thread cut the path, and events may be lost: the path is told as it is. */
static void
test_the_path_is_where_frames_go(void)
{
	REQUIRE(begin());
	netvsc_vf_path_on(f.port.vf_tx, 3);
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_STRING_EQUAL(text("path"), "vf");
	CU_ASSERT_EQUAL(number("path_is_vf"), 1);
	netvsc_flight_note(&f.port.flight, NETVSC_FLIGHT_PATH, 0, 1, NULL);
	netvsc_vf_path_cut(f.port.vf_tx, netvsc_vf_path(f.port.vf_tx));
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_STRING_EQUAL(text("path"), "synthetic");
	CU_ASSERT_EQUAL(number("path_is_vf"), 0);
	CU_ASSERT_EQUAL(number("path_switches"), 1);
	end();
}

/* A process that was killed while it noted that the port broke. */
static void
test_why_a_port_broke_is_told_beside_one_who_died(void)
{
	struct netvsc_flight_slot *slots = f.port.flight.last[NETVSC_FLIGHT_BROKEN];

	REQUIRE(begin());
	atomic_store(&slots[0].turn, 1);
	netvsc_port_broken(&f.port, "a test said so");
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_STRING_EQUAL(text("last_broken"), "a test said so");
	end();
}

static void
test_queue_counts_frames_batches_and_what_waits(void)
{
	struct fixture_packet pkt;
	struct rte_mbuf *m[8];
	unsigned int i;

	REQUIRE(begin());
	/* Two bursts with frames, one without. */
	CU_ASSERT_EQUAL(fixture_frames(&f, 1, 9, 8, 6, 100, 1), 0);
	fixture_publish(&f, 1);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,1"), 0);
	CU_ASSERT(number("rx_ring_used") > 0);
	CU_ASSERT_EQUAL(receive(1, 4), 4);
	CU_ASSERT_EQUAL(receive(1, 4), 2);
	CU_ASSERT_EQUAL(receive(1, 4), 0);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,1"), 0);
	CU_ASSERT_EQUAL(number("queue"), 1);
	CU_ASSERT_EQUAL(number("rx_frames"), 6);
	CU_ASSERT_EQUAL(number("rx_bytes"), 600);
	CU_ASSERT_EQUAL(number("rx_polls"), 3);
	CU_ASSERT_EQUAL(number("rx_batches"), 2);
	CU_ASSERT_EQUAL(number("rx_frames_per_100_batches"), 300);
	CU_ASSERT_EQUAL(number("rx_ring_used"), 0);
	CU_ASSERT_EQUAL(number("rx_ring_bytes"), 64 << 10);
	/* Its completion is in the other ring. */
	CU_ASSERT(number("tx_ring_used") > 0);
	CU_ASSERT_EQUAL(fixture_completions(&f, 1, NULL, NULL, 0), 1);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("rx_frames"), 0);
	CU_ASSERT_EQUAL(number("rx_frames_per_100_batches"), 0);
	/* Eight frames in one section, and the host has it. */
	for (i = 0; i < RTE_DIM(m); i++)
		m[i] = fixture_mbuf(&f, 60, i);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[0], m, 8), 8);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("tx_frames"), 8);
	CU_ASSERT_EQUAL(number("tx_sends"), 1);
	CU_ASSERT_EQUAL(number("tx_frames_per_100_sends"), 800);
	CU_ASSERT_EQUAL(number("tx_completions_outstanding"), 1);
	CU_ASSERT_EQUAL(number("tx_sections_used"), 1);
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_EQUAL(number("send_sections_used"), 1);
	/* The host stands still. */
	fixture_fill_out(&f, 0);
	m[0] = fixture_mbuf(&f, 60, 0);
	CU_ASSERT_EQUAL(netvsc_tx_burst(f.tx_queues[0], m, 1), 0);
	rte_pktmbuf_free(m[0]);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("tx_ring_full"), 1);
	CU_ASSERT(number("tx_ring_used") > number("tx_ring_bytes") / 2);
	CU_ASSERT_TRUE(fixture_read(&f, 0, &pkt));
	fixture_complete(&f, 0, pkt.desc.trans_id, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	receive(0, 4);
	netvsc_tx_burst(f.tx_queues[0], NULL, 0);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("tx_completions_outstanding"), 0);
	CU_ASSERT_EQUAL(number("tx_sections_used"), 0);
	end();
}

/* Shares run out and the pool is borrowed from: used is used, whichever it came from. */
static void
test_sections_that_are_borrowed_count_as_used(void)
{
	struct fixture_packet pkt;
	struct rte_mbuf *m[48];
	unsigned int i, sent;

	REQUIRE(begin());
	/* A section each. */
	for (i = 0; i < RTE_DIM(m); i++) {
		m[i] = fixture_mbuf(&f, 1400, i);
		sent = netvsc_tx_burst(f.tx_queues[0], &m[i], 1);
		CU_ASSERT_EQUAL_FATAL(sent, 1);
		CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
		CU_ASSERT_EQUAL(number("tx_sections_used"), i + 1);
		CU_ASSERT_EQUAL(number("tx_completions_outstanding"), i + 1);
	}
	while (fixture_read(&f, 0, &pkt))
		fixture_complete(&f, 0, pkt.desc.trans_id, NVSP_STATUS_SUCCESS);
	fixture_publish(&f, 0);
	receive(0, 4);
	netvsc_tx_burst(f.tx_queues[0], NULL, 0);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("tx_sections_used"), 0);
	end();
}

/* An index that cannot be is the bursts' to find; here it is no number out of bounds. */
static void
test_indices_out_of_the_ring_count_as_nothing(void)
{
	REQUIRE(begin());
	atomic_store(&f.host[0].in.ring.ctl->write_index, 0xfffffff8u);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_EQUAL(number("rx_ring_used"), 0);
	atomic_store(&f.host[0].in.ring.ctl->write_index, 0);
	end();
}

/* Whoever looks at a hang does not hang with it, and touches no ring that may go. */
static void
test_rings_are_left_out_under_a_control_operation(void)
{
	REQUIRE(begin());
	pthread_mutex_lock(&f.port.control_lock);
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_FALSE(has("rx_ring_used"));
	CU_ASSERT_TRUE(has("rx_frames"));
	CU_ASSERT_EQUAL(ask("/netvsc/info", "7"), 0);
	CU_ASSERT_EQUAL(ask("/netvsc/flight", "7"), 0);
	pthread_mutex_unlock(&f.port.control_lock);
	/* The fixture's rings of a closed channel cannot be accessed. */
	netvsc_channel_set(fixture_channel(&f, 0), NETVSC_CHANNEL_OPEN);
	CU_ASSERT_TRUE(netvsc_channel_close(fixture_channel(&f, 0)));
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,0"), 0);
	CU_ASSERT_FALSE(has("rx_ring_used"));
	CU_ASSERT_EQUAL(ask("/netvsc/queue", "7,1"), 0);
	CU_ASSERT_TRUE(has("rx_ring_used"));
	end();
}

static void
test_flight_has_the_last_lines(void)
{
	unsigned int i;

	REQUIRE(begin());
	for (i = 0; i < 300; i++)
		netvsc_flight_note(&f.port.flight, NETVSC_FLIGHT_MTU, 0, 1000 + i, NULL);
	CU_ASSERT_EQUAL(ask("/netvsc/flight", "7,2"), 0);
	CU_ASSERT_EQUAL(number("events"), 300);
	CU_ASSERT_TRUE(lines_given);
	CU_ASSERT_EQUAL_FATAL(lines.n, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines.at[0].text, " mtu 1298"));
	CU_ASSERT_PTR_NOT_NULL(strstr(lines.at[1].text, " mtu 1299"));
	CU_ASSERT_EQUAL(ask("/netvsc/flight", "7"), 0);
	CU_ASSERT_EQUAL(lines.n, 50);
	/* No more than an answer has room for. */
	CU_ASSERT_EQUAL(ask("/netvsc/flight", "7,1000000"), 0);
	CU_ASSERT_EQUAL_FATAL(lines.n, 100);
	CU_ASSERT_PTR_NOT_NULL(strstr(lines.at[99].text, " mtu 1299"));
	CU_ASSERT_EQUAL(ask("/netvsc/flight", "7,0"), 0);
	CU_ASSERT_EQUAL(lines.n, 0);
	end();
}

/* ---- a port that goes meanwhile ---- */

static atomic_bool reader_waits, reader_out, remover_waits, remover_done;

/* In the place of EAL's: who waits for a lock sleeps here. */
void
rte_delay_us_sleep(unsigned int us)
{
	const struct timespec ts = {0, (long)us * 1000};

	atomic_store(hpbus_op_current() == NULL ? &reader_waits : &remover_waits, true);
	nanosleep(&ts, NULL);
}

static void *
reader(void *arg)
{
	struct rte_tel_data d = {0};

	CU_ASSERT_EQUAL(commands[2].run("/netvsc/queue", "7,0", &d), 0);
	atomic_store(&reader_out, true);
	return NULL;
}

static void *
unlock_later(void *arg)
{
	while (!atomic_load(&remover_waits) && !atomic_load(&remover_done))
		sched_yield();
	rte_spinlock_unlock(&f.port.counts.lock);
	return NULL;
}

static void
read_and_stand_still(pthread_t *thread)
{
	atomic_store(&reader_waits, false);
	atomic_store(&reader_out, false);
	atomic_store(&remover_waits, false);
	atomic_store(&remover_done, false);
	rte_spinlock_lock(&f.port.counts.lock);
	CU_ASSERT_EQUAL_FATAL(pthread_create(thread, NULL, reader, NULL), 0);
	while (!atomic_load(&reader_waits))
		sched_yield();
}

static void
test_a_close_waits_for_who_reads(void)
{
	static const struct hpbus_op_kind kind = {"a test", 20000, 50, true};
	pthread_t thread, other;
	struct hpbus_op op;

	REQUIRE(begin());
	CU_ASSERT_STRING_EQUAL(commands[2].name, "/netvsc/queue");
	read_and_stand_still(&thread);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, unlock_later, NULL), 0);
	hpbus_op_begin(&op, &kind);
	CU_ASSERT_TRUE(netvsc_telemetry_remove(&f.port));
	hpbus_op_end(&op);
	/* Otherwise it would be freed with the reader inside. */
	CU_ASSERT_TRUE(atomic_load(&remover_waits));
	atomic_store(&remover_done, true);
	pthread_join(thread, NULL);
	pthread_join(other, NULL);
	fixture_end(&f);
}

static void
test_a_reader_who_does_not_go_on_is_told(void)
{
	static const struct hpbus_op_kind soon = {"a test", 150, 50, true};
	struct hpbus_op op;
	pthread_t thread;

	REQUIRE(begin());
	read_and_stand_still(&thread);
	hpbus_op_begin(&op, &soon);
	CU_ASSERT_FALSE(netvsc_telemetry_remove(&f.port));
	hpbus_op_end(&op);
	CU_ASSERT_FALSE(atomic_load(&reader_out));
	/* Nobody else finds it. */
	CU_ASSERT_EQUAL(ask("/netvsc/list", NULL), 0);
	CU_ASSERT_EQUAL(said.n, 0);
	rte_spinlock_unlock(&f.port.counts.lock);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(netvsc_telemetry_remove(&f.port));
	fixture_end(&f);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"list has ports that are there", test_list_has_ports_that_are_there},
		{"bad parameters are errors", test_bad_parameters_are_errors},
		{"info is what the port is", test_info_is_what_the_port_is},
		{"the send table of the host is told", test_the_send_table_of_the_host_is_told},
		{"the path is where frames go", test_the_path_is_where_frames_go},
		{"why a port broke is told beside one who died",
			test_why_a_port_broke_is_told_beside_one_who_died},
		{"queue counts frames, batches and what waits",
			test_queue_counts_frames_batches_and_what_waits},
		{"sections that are borrowed count as used",
			test_sections_that_are_borrowed_count_as_used},
		{"indices out of the ring count as nothing",
			test_indices_out_of_the_ring_count_as_nothing},
		{"rings are left out under a control operation",
			test_rings_are_left_out_under_a_control_operation},
		{"flight has the last lines", test_flight_has_the_last_lines},
		{"a close waits for who reads", test_a_close_waits_for_who_reads},
		{"a reader who does not go on is told", test_a_reader_who_does_not_go_on_is_told},
	};

	return UNIT_RUN("netvsc_telemetry", tests);
}
