/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket's command trace (lib/host/control_cmd.c): begin, tell, end, and what it
 * refuses. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "test/unit/host_one_nic.h"

static char dir[] = "/tmp/host_trace_command.XXXXXX";

/* The answer to a line, which is what host_control_execute() makes of it. */
static struct json_object *
answer_to(const char *line)
{
	char *text = host_control_execute(&one_ops, line);
	struct json_object *answer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	answer = json_tokener_parse(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	free(text);
	return answer;
}

static bool
is_ok(struct json_object *answer)
{
	struct json_object *ok;

	CU_ASSERT_FATAL(json_object_object_get_ex(answer, "ok", &ok));
	return json_object_get_boolean(ok);
}

static void
refused(const char *line, const char *why)
{
	struct json_object *answer = answer_to(line), *error;

	CU_ASSERT_FALSE(is_ok(answer));
	CU_ASSERT_FATAL(json_object_object_get_ex(answer, "error", &error));
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_get_string(error), why));
	json_object_put(answer);
}

/* What a trace says of itself; a NIC without one says null. @return its records, or -1 */
static int64_t
records(const char *line)
{
	struct json_object *answer = answer_to(line), *trace, *n;
	int64_t records = -1;

	CU_ASSERT_TRUE(is_ok(answer));
	CU_ASSERT_FATAL(json_object_object_get_ex(answer, "trace", &trace));
	if (trace != NULL) {
		CU_ASSERT_FATAL(json_object_object_get_ex(trace, "failed", &n));
		CU_ASSERT_FALSE(json_object_get_boolean(n));
		CU_ASSERT_FATAL(json_object_object_get_ex(trace, "records", &n));
		records = json_object_get_int64(n);
	}
	json_object_put(answer);
	return records;
}

static off_t
size_of(const char *path)
{
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	return st.st_size;
}

static void
test_a_trace_begins_tells_and_ends(void)
{
	char path[64], other[64], line[200];
	int64_t before;
	off_t size;

	snprintf(path, sizeof(path), "%s/a.pcapng", dir);
	snprintf(other, sizeof(other), "%s/b.pcapng", dir);
	one.locks = one.unlocks = 0;
	guest_start(&one.guest, "recv=128K,send=64K,channels=2", 8);
	CU_ASSERT_EQUAL(records("{\"cmd\":\"trace\"}"), -1);
	snprintf(line, sizeof(line), "{\"cmd\":\"trace\",\"file\":\"%s\",\"snaplen\":4096}", path);
	before = records(line);
	CU_ASSERT(before >= 0);
	guest_up(&one.guest, RNDIS_FILTER_PROMISCUOUS);
	/* At least a packet and an answer to each of NVSP's and RNDIS' five. */
	CU_ASSERT(records("{\"cmd\":\"trace\"}") >= before + 10);
	/* Another file in its place begins at nothing, the first one is complete. */
	snprintf(line, sizeof(line), "{\"cmd\":\"trace\",\"file\":\"%s\"}", other);
	CU_ASSERT(records(line) < before + 10);
	size = size_of(path);
	CU_ASSERT(size > 1000);
	CU_ASSERT_EQUAL(records("{\"cmd\":\"trace\",\"on\":false}"), -1);
	guest_poll(&one.guest);
	CU_ASSERT_EQUAL(size_of(path), size);
	/* Each change was made under the NIC's lock. */
	CU_ASSERT_EQUAL(one.locks, 3);
	CU_ASSERT_EQUAL(one.unlocks, one.locks);
	guest_stop(&one.guest);
	unlink(path);
	unlink(other);
}

static void
test_an_ended_trace_goes_on(void)
{
	char path[64], line[200];
	off_t size;
	int64_t n;

	snprintf(path, sizeof(path), "%s/a.pcapng", dir);
	guest_start(&one.guest, "recv=128K,send=64K,channels=2", 8);
	snprintf(line, sizeof(line), "{\"cmd\":\"trace\",\"file\":\"%s\",\"snaplen\":4096}", path);
	CU_ASSERT(records(line) >= 0);
	guest_up(&one.guest, RNDIS_FILTER_PROMISCUOUS);
	CU_ASSERT_EQUAL(records("{\"cmd\":\"trace\",\"on\":false}"), -1);
	size = size_of(path);
	CU_ASSERT(size > 1000);
	/* It counts anew, behind what is there; to say it again changes nothing. */
	n = records("{\"cmd\":\"trace\",\"on\":true}");
	CU_ASSERT(n >= 0 && n < 10);
	one.locks = 0;
	CU_ASSERT(records("{\"cmd\":\"trace\",\"on\":true}") >= n);
	CU_ASSERT_EQUAL(one.locks, 0);
	CU_ASSERT_EQUAL(records("{\"cmd\":\"trace\",\"on\":false}"), -1);
	CU_ASSERT(size_of(path) > size);
	/* A file is made anew. */
	CU_ASSERT(records(line) >= 0);
	CU_ASSERT_EQUAL(records("{\"cmd\":\"trace\",\"on\":false}"), -1);
	CU_ASSERT(size_of(path) < size);
	guest_stop(&one.guest);
	unlink(path);
}

static void
test_what_a_trace_refuses_leaves_none(void)
{
	guest_start(&one.guest, "recv=128K,send=64K,channels=2", 8);
	refused("{\"cmd\":\"trace\",\"on\":true}", "there is no trace that could go on");
	refused("{\"cmd\":\"trace\",\"on\":\"off\"}", "trace takes file=FILE, or on, or off");
	refused("{\"cmd\":\"trace\",\"on\":false,\"file\":\"/tmp/x\"}",
		"trace takes file=FILE, or");
	refused("{\"cmd\":\"trace\",\"file\":\"/tmp/x\",\"snaplen\":127}", "from 128 to 131072");
	refused("{\"cmd\":\"trace\",\"file\":\"/tmp/x\",\"snaplen\":131073}", "from 128 to 131072");
	refused("{\"cmd\":\"trace\",\"file\":\"/tmp/x\",\"snaplen\":\"all\"}",
		"from 128 to 131072");
	refused("{\"cmd\":\"trace\",\"file\":\"/nowhere/at/all\"}", "/nowhere/at/all");
	CU_ASSERT_EQUAL(records("{\"cmd\":\"trace\"}"), -1);
	guest_stop(&one.guest);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a trace begins, tells and ends", test_a_trace_begins_tells_and_ends},
		{"an ended trace goes on", test_an_ended_trace_goes_on},
		{"what a trace refuses leaves none", test_what_a_trace_refuses_leaves_none},
	};
	int rc;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	rc = UNIT_RUN("host_trace_command", tests);
	return rmdir(dir) == 0 ? rc : EXIT_FAILURE;
}
