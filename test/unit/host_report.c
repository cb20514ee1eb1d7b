/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports of both hosts (app/common/report.h): what they say of a NIC, for readers and in JSON. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app/common/report.h"
#include "test/unit/host_one_nic.h"

static int pipe_fds[2];

static void
extra(void *ctx, unsigned int nic, struct report_extra *more)
{
	*more = (struct report_extra){.socket = "/run/x.sock", .has_sessions = true, .sessions = 7};
}

/* All reports of one host, as they arrive at the other end of a pipe. */
static const char *
reports(bool json, bool rings, bool has_extra)
{
	static char text[65536];
	struct report r = {
		.ops = &one_ops, .extra = has_extra ? extra : NULL, .json = json, .rings = rings};
	ssize_t len;

	one.rescinded = false;
	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fds, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(output_start(&report_output, pipe_fds[1], "test"), 0);
	guest_start(&one.guest, "recv=128K,send=64K,channels=2", 8);
	report_start(&r, true);
	guest_up(&one.guest, RNDIS_FILTER_PROMISCUOUS);
	/* After a turn without work all is published. */
	while (guest_poll(&one.guest) != 0)
		;
	report_rates(&r);
	one.rescinded = true;
	/* Nobody has published that. */
	CU_ASSERT_EQUAL(host_nic_set_link(one.guest.nic, false), 0);
	report_totals(&r);
	CU_ASSERT_TRUE(output_stop(&report_output));
	len = read(pipe_fds[0], text, sizeof(text) - 1);
	CU_ASSERT_FATAL(len > 0);
	text[len] = '\0';
	guest_stop(&one.guest);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return text;
}

static struct json_object *
nic_of(struct json_object *report, const char *kind)
{
	struct json_object *o;

	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(report, "report", &o));
	CU_ASSERT_STRING_EQUAL(json_object_get_string(o), kind);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(report, "seconds", &o));
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(report, "nics", &o));
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(o), 1);
	return json_object_array_get_idx(o, 0);
}

static const char *
said(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : "";
}

/* A host with sockets and sessions, and one that has neither. */
static void
lines_of_json(void)
{
	static const char *const kinds[] = {"start", "rates", "totals"};
	struct json_object *report, *nic, *rings;
	char *line, *save;

	for (unsigned int has_extra = 0; has_extra < 2; has_extra++) {
		line = strtok_r(
			(char *)(uintptr_t)reports(true, has_extra, has_extra), "\n", &save);
		for (unsigned int i = 0; i < 3; i++, line = strtok_r(NULL, "\n", &save)) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(line);
			report = json_tokener_parse(line);
			nic = nic_of(report, kinds[i]);
			CU_ASSERT_STRING_EQUAL(said(nic, "nic"), "0");
			CU_ASSERT_EQUAL(strlen(said(nic, "guid")), 36);
			CU_ASSERT_STRING_EQUAL(
				said(nic, "socket"), has_extra && i == 0 ? "/run/x.sock" : "");
			CU_ASSERT_STRING_EQUAL(
				said(nic, "sessions"), has_extra && i != 0 ? "7" : "");
			CU_ASSERT_STRING_EQUAL(said(nic, "state"), i == 0 ? "" : "running");
			CU_ASSERT_STRING_EQUAL(said(nic, "rescinded"), i == 0	? ""
								       : i == 1 ? "false"
										: "true");
			CU_ASSERT_STRING_EQUAL(said(nic, "link_up"), i == 0   ? ""
								     : i == 1 ? "true"
									      : "false");
			CU_ASSERT_EQUAL(said(nic, "rx_pps")[0] != '\0', i == 1);
			CU_ASSERT_EQUAL(json_object_object_get_ex(nic, "rings", &rings),
				has_extra && i != 0);
			json_object_put(report);
		}
		CU_ASSERT_PTR_NULL(line);
	}
}

static void
lines_for_a_reader(void)
{
	const char *text = reports(false, true, true);

	CU_ASSERT_EQUAL(strncmp(text, "NIC 0 at /run/x.sock port=", 26), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "NIC 0 running     to guest 0.000 Mpps"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "NIC 0 channel 0\n  tx (guest to host) w "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n  sessions   7\n  to guest   frames 0, bytes 0"));
	text = reports(false, false, false);
	CU_ASSERT_EQUAL(strncmp(text, "NIC 0 port=", 11), 0);
	CU_ASSERT_PTR_NULL(strstr(text, "sessions"));
	CU_ASSERT_PTR_NULL(strstr(text, "channel 0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n  to guest   frames 0, bytes 0"));
}

/* Rings and totals are looked at with the NIC's lock; nothing is left locked. */
static void
what_must_be_exact_is_locked(void)
{
	one.locks = one.unlocks = 0;
	reports(true, false, false);
	CU_ASSERT_EQUAL(one.locks, 1);
	reports(true, true, false);
	CU_ASSERT_EQUAL(one.locks, 1 + 3);
	CU_ASSERT_EQUAL(one.unlocks, one.locks);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"lines of JSON", lines_of_json},
		{"lines for a reader", lines_for_a_reader},
		{"what must be exact is locked", what_must_be_exact_is_locked},
	};

	return UNIT_RUN("host_report", tests);
}
