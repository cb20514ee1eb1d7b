/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace writer: what is in the file, and that nobody waits for it: a disk that is full, a
 * reader that does not read, more than the buffer holds, many at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test/unit/refused_poll.h"
#include "test/unit/threads.h"
#include "test/unit/trace_image.h"

#define STATISTICS 5u

static bool
put(struct trace *t, int interface, const void *data, uint32_t len)
{
	struct iovec part = {(void *)(uintptr_t)data, len};

	return trace_put(t, interface, trace_clock(), TRACE_FLAG_NONE, &part, 1, len);
}

/* What the records say is missing. */
static uint64_t
said_lost(void)
{
	uint64_t lost = 0, one;
	size_t at, len, option;

	for (at = 0; at < image_len; at += len) {
		len = word(at + 4);
		if (word(at) != PACKET_BLOCK)
			continue;
		for (option = at + 28 + ((word(at + 20) + 3) & ~3u); option + 4 < at + len;
			option += 4 + (((word(option) >> 16) + 3) & ~3u))
			if ((word(option) & 0xffff) == 4) {
				memcpy(&one, image + option + 4, 8);
				lost += one;
			}
	}
	return lost;
}

/* ---- tests ---- */

static void
test_records_are_in_the_file(void)
{
	struct trace *t = begin(path);
	struct trace_stats stats;
	size_t at = 0;
	int a, b;

	a = trace_interface(t, TRACE_LINK_VMBUS, "nic0 channel 0", "one");
	b = trace_interface(t, TRACE_LINK_ETHERNET, "nic0", "two");
	CU_ASSERT_EQUAL(a, 0);
	CU_ASSERT_EQUAL(b, 1);
	CU_ASSERT_TRUE(put(t, a, "first", 5));
	CU_ASSERT_TRUE(put(t, b, "second one", 10));
	trace_stats(t, &stats);
	CU_ASSERT_EQUAL(stats.records, 2);
	CU_ASSERT_EQUAL(stats.lost, 0);
	CU_ASSERT_TRUE(trace_close(t));
	load();
	CU_ASSERT_EQUAL(word(0), 0x0a0d0d0a);
	CU_ASSERT_EQUAL(blocks(1, &at), 2);
	CU_ASSERT_EQUAL(blocks(STATISTICS, &at), 2);
	CU_ASSERT_EQUAL(blocks(PACKET_BLOCK, &at), 2);
	CU_ASSERT_EQUAL(word(at + 8), 1);
	CU_ASSERT_EQUAL(word(at + 20), 10);
	CU_ASSERT_EQUAL(memcmp(image + at + 28, "second one\0\0", 12), 0);
	CU_ASSERT_EQUAL(complaints, 0);
}

static void
test_a_full_disk_costs_one_message_and_a_count(void)
{
	struct trace *t = begin("/dev/full");
	int a = trace_interface(t, TRACE_LINK_VMBUS, "a", "");
	struct trace_stats stats;
	unsigned int i;

	for (i = 0; i < 100000 && complaints == 0; i++) {
		put(t, a, "lost", 4);
		usleep(100);
	}
	CU_ASSERT_EQUAL(complaints, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(complaint, "/dev/full: No space left on device"));
	for (i = 0; i < 1000; i++)
		CU_ASSERT_FALSE(put(t, a, "lost", 4));
	trace_stats(t, &stats);
	CU_ASSERT_TRUE(stats.failed);
	CU_ASSERT_EQUAL(stats.bytes, 0);
	CU_ASSERT(stats.lost >= 1000);
	CU_ASSERT_TRUE(trace_close(t));
	CU_ASSERT_EQUAL(complaints, 1);
}

static void
test_a_reader_that_does_not_read_stops_nobody(void)
{
	static uint8_t data[4096];
	uint64_t began, taken = 0, refused = 0;
	struct trace_stats stats;
	struct trace *t;
	char fifo[80];
	unsigned int i;
	int fd, a;

	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	t = begin(fifo);
	a = trace_interface(t, TRACE_LINK_VMBUS, "a", "");
	for (i = 0; i < 4096; i++)
		*(put(t, a, data, sizeof(data)) ? &taken : &refused) += 1;
	/* What a pipe holds and what the buffer holds, and nothing behind it. */
	CU_ASSERT(taken >= TRACE_BUFFER / sizeof(data) / 2);
	CU_ASSERT(refused >= 2048);
	trace_stats(t, &stats);
	CU_ASSERT_EQUAL(stats.records, taken);
	CU_ASSERT_EQUAL(stats.lost, refused);
	/* Nor does the end wait for long. */
	began = trace_clock();
	CU_ASSERT_FALSE(trace_close_within(t, TRACE_CLOSE_MS));
	CU_ASSERT(trace_clock() - began < UINT64_C(20) * TRACE_CLOSE_MS * 1000000);
	/* The writer that was left behind ends by itself: what it writes goes nowhere now. */
	close(fd);
	CU_ASSERT_TRUE(threads_become(1));
	unlink(fifo);
}

/* What comes out of a FIFO, into the file that is looked at. */
static void *
drain(void *arg)
{
	int in = *(int *)arg, out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint8_t chunk[65536];
	ssize_t n;

	while ((n = read(in, chunk, sizeof(chunk))) > 0)
		CU_ASSERT_EQUAL(write(out, chunk, (size_t)n), n);
	close(out);
	return NULL;
}

/* A file that is full and does not wait, as whoever shares it may have made it. */
static void
test_a_writer_whose_poll_is_refused_sleeps(void)
{
	static uint8_t data[4096];
	struct trace_stats stats;
	pthread_t reader;
	struct trace *t;
	char fifo[80];
	int fd, a;

	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	t = begin(fifo);
	a = trace_interface(t, TRACE_LINK_VMBUS, "a", "");
	CU_ASSERT_EQUAL(fcntl(t->fd, F_SETFL, O_NONBLOCK), 0);
	atomic_store(&poll_refuses, true);
	/* More than a pipe holds. */
	while (atomic_load(&poll_refusals) < 5)
		put(t, a, data, sizeof(data));
	CU_ASSERT_EQUAL(atomic_load(&poll_spins), 0);
	fcntl(fd, F_SETFL, 0);
	pthread_create(&reader, NULL, drain, &fd);
	trace_stats(t, &stats);
	CU_ASSERT_FALSE(stats.failed);
	CU_ASSERT_TRUE(trace_close(t));
	atomic_store(&poll_refuses, false);
	pthread_join(reader, NULL);
	close(fd);
	unlink(fifo);
	CU_ASSERT_EQUAL(complaints, 0);
}

static void
test_what_is_missing_is_said_where_it_is(void)
{
	static uint8_t data[4096];
	uint64_t taken = 0, refused = 0;
	pthread_t reader;
	struct trace *t;
	char fifo[80];
	size_t at = 0;
	int fd, a;

	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	t = begin(fifo);
	a = trace_interface(t, TRACE_LINK_VMBUS, "a", "");
	while (refused == 0)
		*(put(t, a, data, sizeof(data)) ? &taken : &refused) += 1;
	fcntl(fd, F_SETFL, 0);
	pthread_create(&reader, NULL, drain, &fd);
	/* As soon as there is room again. */
	while (!put(t, a, data, sizeof(data)))
		refused++;
	taken++;
	CU_ASSERT_TRUE(trace_close(t));
	pthread_join(reader, NULL);
	close(fd);
	unlink(fifo);
	load();
	CU_ASSERT_EQUAL(blocks(PACKET_BLOCK, &at), taken);
	CU_ASSERT_EQUAL(said_lost(), refused);
}

#define THREADS 4u
#define EACH	20000u

struct many {
	struct trace *trace;
	int interface;
	uint32_t number, taken;
	pthread_t thread;
};

static void *
many_put(void *arg)
{
	struct many *m = arg;
	uint32_t words[8], i;

	for (i = 0; i < EACH; i++) {
		words[0] = m->number;
		words[1] = i;
		memset(&words[2], (int)m->number, 24);
		m->taken += put(m->trace, m->interface, words, 8 + i % 24);
	}
	return NULL;
}

static void
test_many_write_at_once_and_each_in_order(void)
{
	struct trace *t = begin(path);
	uint32_t next[THREADS] = {0}, found = 0, taken = 0, who, i;
	struct many many[THREADS];
	size_t at, len;

	for (i = 0; i < THREADS; i++) {
		many[i] = (struct many){t, trace_interface(t, TRACE_LINK_VMBUS, "x", ""), i, 0, 0};
		pthread_create(&many[i].thread, NULL, many_put, &many[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(many[i].thread, NULL);
		taken += many[i].taken;
	}
	CU_ASSERT_TRUE(trace_close(t));
	load();
	blocks(PACKET_BLOCK, &at);
	for (at = 0; at < image_len; at += len) {
		len = word(at + 4);
		if (word(at) != PACKET_BLOCK)
			continue;
		who = word(at + 28);
		CU_ASSERT_FATAL(who < THREADS);
		CU_ASSERT_EQUAL(word(at + 8), who);
		CU_ASSERT(word(at + 32) >= next[who]);
		CU_ASSERT_EQUAL(word(at + 20), 8 + word(at + 32) % 24);
		next[who] = word(at + 32) + 1;
		found++;
	}
	CU_ASSERT_EQUAL(found, taken);
	CU_ASSERT_EQUAL(said_lost() <= THREADS * EACH - taken, true);
}

static void
test_errors_name_the_file(void)
{
	const struct trace_options none = {.path = "/nowhere/at/all", .application = ""};
	struct trace_options fifo = {.application = ""};
	struct trace *t = NULL;
	char why[256] = "", name[80];

	CU_ASSERT_EQUAL(trace_open(&t, &none, why, sizeof(why)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(
		why, "cannot write a trace to /nowhere/at/all: No such file or directory");
	/* Nobody reads it: not a wait without an end. */
	snprintf(name, sizeof(name), "%s/unread", dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(name, 0600), 0);
	fifo.path = name;
	CU_ASSERT_EQUAL(trace_open(&t, &fifo, why, sizeof(why)), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "start its reader first"));
	unlink(name);
}

/* Two that write one file leave none that can be read. */
static void
test_a_file_that_is_being_written_is_not_emptied(void)
{
	const struct trace_options second = {.path = path, .application = ""};
	struct trace *t = begin(path), *other = NULL;
	char why[256] = "";
	size_t at = 0;
	int a;

	a = trace_interface(t, TRACE_LINK_VMBUS, "nic0 channel 0", "one");
	CU_ASSERT_TRUE(put(t, a, "first", 5));
	CU_ASSERT_EQUAL(trace_open(&other, &second, why, sizeof(why)), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, path));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "another trace is being written to it"));
	CU_ASSERT_TRUE(put(t, a, "second one", 10));
	CU_ASSERT_TRUE(trace_close(t));
	load();
	CU_ASSERT_EQUAL(word(0), 0x0a0d0d0a);
	CU_ASSERT_EQUAL(blocks(PACKET_BLOCK, &at), 2);
	/* Afterwards it is anybody's. */
	CU_ASSERT_EQUAL_FATAL(trace_open(&other, &second, why, sizeof(why)), 0);
	CU_ASSERT_TRUE(trace_close(other));
}

static void
test_a_trace_goes_on_behind_what_is_there(void)
{
	struct rlimit usual, small;
	uint8_t first[4096];
	struct trace *t;
	size_t at = 0, len;
	int a;

	unlink(path);
	/* What is not there begins as ever. */
	t = begin_either(path, true);
	a = trace_interface(t, TRACE_LINK_VMBUS, "a", "");
	CU_ASSERT_TRUE(put(t, a, "first", 5));
	CU_ASSERT_TRUE(trace_close(t));
	load();
	len = image_len;
	CU_ASSERT_FATAL(len <= sizeof(first));
	memcpy(first, image, len);
	t = begin_either(path, true);
	a = trace_interface(t, TRACE_LINK_VMBUS, "b", "");
	CU_ASSERT_EQUAL(a, 0);
	CU_ASSERT_TRUE(put(t, a, "second", 6));
	CU_ASSERT_TRUE(trace_close(t));
	load();
	CU_ASSERT(image_len > len);
	CU_ASSERT_EQUAL(memcmp(image, first, len), 0);
	CU_ASSERT_EQUAL(word(len), 0x0a0d0d0a);
	CU_ASSERT_EQUAL(blocks(0x0a0d0d0a, &at), 2);
	CU_ASSERT_EQUAL(blocks(1, &at), 2);
	CU_ASSERT_EQUAL(blocks(PACKET_BLOCK, &at), 2);
	CU_ASSERT_EQUAL(memcmp(image + at + 28, "second", 6), 0);
	/* A disk that is full then costs nothing of what was there. */
	len = image_len;
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &usual), 0);
	small = usual;
	small.rlim_cur = len + 1000;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
	t = begin_either(path, true);
	a = trace_interface(t, TRACE_LINK_VMBUS, "c", "");
	for (unsigned int i = 0; i < 100000 && complaints == 0; i++) {
		put(t, a, first, 500);
		usleep(100);
	}
	CU_ASSERT_TRUE(trace_close(t));
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &usual), 0);
	CU_ASSERT_EQUAL(complaints, 1);
	load();
	CU_ASSERT(image_len >= len);
	CU_ASSERT_EQUAL(memcmp(image, first, 4), 0);
	CU_ASSERT(blocks(PACKET_BLOCK, &at) >= 2);
}

static void
test_only_a_trace_goes_on(void)
{
	const struct trace_options o = {.path = path, .application = "unit test", .append = true};
	struct trace *t = NULL;
	char why[256] = "", text[8] = "";
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("letter", f);
	fclose(f);
	CU_ASSERT_EQUAL(trace_open(&t, &o, why, sizeof(why)), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, path));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "is no trace; give another file"));
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fread(text, 1, sizeof(text), f), 6);
	fclose(f);
	CU_ASSERT_STRING_EQUAL(text, "letter");
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"records are in the file", test_records_are_in_the_file},
		{"a full disk costs one message and a count",
			test_a_full_disk_costs_one_message_and_a_count},
		{"a reader that does not read stops nobody",
			test_a_reader_that_does_not_read_stops_nobody},
		{"a writer whose poll() is refused sleeps",
			test_a_writer_whose_poll_is_refused_sleeps},
		{"what is missing is said where it is", test_what_is_missing_is_said_where_it_is},
		{"many write at once, and each in order",
			test_many_write_at_once_and_each_in_order},
		{"errors name the file", test_errors_name_the_file},
		{"a file that is being written is not emptied",
			test_a_file_that_is_being_written_is_not_emptied},
		{"a trace goes on behind what is there", test_a_trace_goes_on_behind_what_is_there},
		{"only a trace goes on", test_only_a_trace_goes_on},
	};

	return run_with_file("trace", tests, sizeof(tests) / sizeof(tests[0]));
}
