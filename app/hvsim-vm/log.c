/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/hvsim-vm/log.h"
#include "app/hvsim-vm/output.h"

#define PREFIX "hvsim-vm: "

static struct output error_output;
static atomic_bool buffered;

static struct {
	pthread_mutex_t lock;
	time_t second;
	unsigned int lines, suppressed;
} guest = {.lock = PTHREAD_MUTEX_INITIALIZER};

int
log_start(void)
{
	int rc = output_start(&error_output, STDERR_FILENO);

	atomic_store(&buffered, rc == 0);
	return rc;
}

void
log_stop(void)
{
	/* Should the reader be stuck, direct writes would be too: then stay with the buffer. */
	if (atomic_load(&buffered) && output_stop(&error_output))
		atomic_store(&buffered, false);
}

static void
line(const char *format, va_list ap)
{
	char text[512] = PREFIX;
	size_t at = sizeof(PREFIX) - 1, room = sizeof(text) - at - 1;
	int n = vsnprintf(text + at, room, format, ap);

	if (n < 0)
		return;
	at += (size_t)n < room ? (size_t)n : room - 1;
	text[at++] = '\n';
	if (atomic_load(&buffered))
		output_put(&error_output, text, at);
	else
		fwrite(text, 1, at, stderr);
}

void
log_line(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	line(format, ap);
	va_end(ap);
}

void
log_guest(const char *format, ...)
{
	struct timespec now;
	unsigned int suppressed = 0;
	bool say;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&guest.lock);
	if (now.tv_sec != guest.second) {
		suppressed = guest.suppressed;
		guest.second = now.tv_sec;
		guest.lines = guest.suppressed = 0;
	}
	say = guest.lines < LOG_GUEST_LINES;
	guest.lines += say;
	guest.suppressed += !say;
	pthread_mutex_unlock(&guest.lock);
	if (suppressed != 0)
		log_line("%u more lines like the last ones", suppressed);
	if (!say)
		return;
	va_start(ap, format);
	line(format, ap);
	va_end(ap);
}
