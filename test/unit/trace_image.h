/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A trace file of a test and what is in it, block by block. One of them in a program, on the test's
 * thread; the trace's writer complains on its own.
 */
#ifndef HP_TEST_TRACE_IMAGE_H
#define HP_TEST_TRACE_IMAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/trace/trace_internal.h"
#include "test/unit/unit.h"

#define PACKET_BLOCK 6u

static char dir[] = "/tmp/trace_test.XXXXXX";
static char path[64];
static _Atomic unsigned int complaints;
static char complaint[512];

/* Of a trace whose file takes everything: a busy machine lets the writer come late. */
static bool
trace_close(struct trace *trace)
{
	return trace_close_within(trace, 30000);
}

static void
complain(const char *what)
{
	snprintf(complaint, sizeof(complaint), "%s", what);
	complaints++;
}

static struct trace *
begin_either(const char *file, bool append)
{
	const struct trace_options o = {
		.path = file, .application = "unit test", .complain = complain, .append = append};
	struct trace *t = NULL;
	char why[256] = "";

	complaints = 0;
	CU_ASSERT_EQUAL(trace_open(&t, &o, why, sizeof(why)), 0);
	CU_ASSERT_STRING_EQUAL(why, "");
	return t;
}

static struct trace *
begin(const char *file)
{
	return begin_either(file, false);
}

static uint8_t *image;
static size_t image_len;

static uint32_t
word(size_t at)
{
	uint32_t w = 0;

	CU_ASSERT_FATAL(at + 4 <= image_len);
	memcpy(&w, image + at, 4);
	return w;
}

static void
load(void)
{
	struct stat st;
	FILE *f = fopen(path, "rb");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fstat(fileno(f), &st);
	free(image);
	image_len = (size_t)st.st_size;
	image = malloc(image_len + 1);
	CU_ASSERT_EQUAL(fread(image, 1, image_len, f), image_len);
	fclose(f);
}

/* Walks the whole file, so that every block is whole. @return blocks of @type, @last: the last */
static unsigned int
blocks(uint32_t type, size_t *last)
{
	unsigned int n = 0;
	size_t at, len;

	for (at = 0; at < image_len; at += len) {
		len = word(at + 4);
		CU_ASSERT_FATAL(len >= 12 && len % 4 == 0 && len <= image_len - at);
		CU_ASSERT_EQUAL_FATAL(word(at + len - 4), len);
		if (word(at) == type) {
			n++;
			*last = at;
		}
	}
	return n;
}

/* The tests of a program, with a folder for its file. @return the program's exit status */
static int
run_with_file(const char *name, const struct unit_test *tests, unsigned int n)
{
	int rc;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/trace.pcapng", dir);
	rc = unit_run(name, tests, n);
	free(image);
	unlink(path);
	return rmdir(dir) == 0 ? rc : EXIT_FAILURE;
}

#endif
