/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that a user names and that are none: refused or read, and never waited for in open(). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/host/file_open.h"
#include "lib/host/scenario.h"
#include "test/unit/host_port.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/host_files.XXXXXX";
static char fifo[64], spec[128], why[512];

static int
open_spec(const char *way, const char *path)
{
	struct host_port *port = NULL;
	int rc;

	snprintf(spec, sizeof(spec), "pcap:%s=%s", way, path);
	why[0] = '\0';
	rc = host_port_open(spec, guest_mac, &port, why, sizeof(why));
	if (port != NULL)
		port->ops->close(port);
	return rc;
}

static void
capture_from_a_fifo_without_a_writer_is_refused(void)
{
	CU_ASSERT_EQUAL(open_spec("in", fifo), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, fifo));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "it is a pipe to which nobody writes"));
}

static void
recording_into_a_pipe_is_refused(void)
{
	int reader;

	CU_ASSERT_EQUAL(open_spec("out", fifo), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, fifo));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "it is no file but a pipe"));
	/* A reader that stops would hold up the thread of the NIC. */
	reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CU_ASSERT_EQUAL(open_spec("out", fifo), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "it is no file but a pipe"));
	close(reader);
	CU_ASSERT_EQUAL(open_spec("out", "/dev/null"), 0);
}

static int
load(const char *path)
{
	struct host_scenario *s = NULL;
	int rc = host_scenario_load(&s, path, 1, why, sizeof(why));

	host_scenario_free(s);
	return rc;
}

static void
scenario_from_what_has_no_end_is_refused(void)
{
	CU_ASSERT_EQUAL(load(fifo), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, fifo));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "it is a pipe to which nobody writes"));
	CU_ASSERT_EQUAL(load("/dev/zero"), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "cannot read the scenario /dev/zero: it is a device");
	CU_ASSERT_EQUAL(load(dir), -EISDIR);
	CU_ASSERT_EQUAL(load("/nowhere"), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "No such file"));
}

/* As a shell's <(...) is. */
static void
piped_in(const void *bytes, size_t len, char *path, size_t room)
{
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(write(ends[1], bytes, len), (ssize_t)len);
	close(ends[1]);
	snprintf(path, room, "/dev/fd/%d", ends[0]);
}

static void
pipe_that_was_written_is_read(void)
{
	static const char scenario[] = "1 link 0 up=false\n2 link 0 up=true\n";
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, sigfigs, snaplen, link;
		struct {
			uint32_t sec, usec, caplen, len;
		} frame;
		uint8_t bytes[60];
	} capture = {0xa1b2c3d4, 2, 4, 0, 0, 65535, 1, {1, 0, 60, 60}, {1, 2, 3}};
	uint8_t room[2048];
	struct host_frame frame = {.data = room, .room = sizeof(room)};
	struct host_port *port;
	char path[32];
	int ends[2];

	piped_in(scenario, strlen(scenario), path, sizeof(path));
	CU_ASSERT_EQUAL(load(path), 0);
	close(atoi(path + strlen("/dev/fd/")));

	piped_in(&capture, sizeof(capture), path, sizeof(path));
	snprintf(spec, sizeof(spec), "pcap:in=%s", path);
	port = open_port(spec);
	CU_ASSERT_EQUAL(port->ops->receive(port, &frame, 1), 1);
	CU_ASSERT_EQUAL(frame.len, sizeof(capture.bytes));
	CU_ASSERT_EQUAL(memcmp(room, capture.bytes, sizeof(capture.bytes)), 0);
	port->ops->close(port);
	close(atoi(path + strlen("/dev/fd/")));

	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	CU_ASSERT_EQUAL(load(path), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "nobody writes"));
	close(ends[0]);
}

/* Nothing is in it yet, and its writer has it open. */
static void
pipe_that_is_written_later_is_read(void)
{
	int writer = open(fifo, O_RDWR | O_CLOEXEC);
	const char *reason = NULL;
	FILE *f = file_open_read(fifo, &reason);
	char line[16] = "";

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(write(writer, "later\n", 6), 6);
	close(writer);
	CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof(line), f));
	CU_ASSERT_STRING_EQUAL(line, "later\n");
	CU_ASSERT_PTR_NULL(fgets(line, sizeof(line), f));
	CU_ASSERT(feof(f));
	fclose(f);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"capture from a FIFO without a writer is refused",
			capture_from_a_fifo_without_a_writer_is_refused},
		{"recording into a pipe is refused", recording_into_a_pipe_is_refused},
		{"scenario from what has no end is refused",
			scenario_from_what_has_no_end_is_refused},
		{"pipe that was written is read", pipe_that_was_written_is_read},
		{"pipe that is written later is read", pipe_that_is_written_later_is_read},
	};

	int rc;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	if (mkfifo(fifo, 0600) != 0)
		return EXIT_FAILURE;
	/* What waits for ever ends here. */
	alarm(60);
	rc = UNIT_RUN("host_files", tests);
	unlink(fifo);
	return rmdir(dir) == 0 ? rc : EXIT_FAILURE;
}
