/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/host/log.h"
#include "lib/host/output.h"
#include "lib/vmbus/clock.h"

#define LINE_BYTES 1024u

static const char *program = "host";
static struct output error_output;
static atomic_bool buffered;
/* Of all limits: it is held for a few instructions. */
static pthread_mutex_t limits = PTHREAD_MUTEX_INITIALIZER;

void
log_program(const char *name)
{
	program = name;
}

int
log_start(void)
{
	int rc = output_start(&error_output, STDERR_FILENO, program);

	atomic_store(&buffered, rc == 0);
	return rc;
}

void
log_flush(void)
{
	if (atomic_load(&buffered))
		output_flush(&error_output);
}

void
log_stop(void)
{
	/* Should the reader be stuck, direct writes would be too: then stay with the buffer. */
	if (atomic_load(&buffered) && output_stop(&error_output))
		atomic_store(&buffered, false);
}

/* @return where the next part goes; there is always room for the newline */
static size_t __attribute__((format(printf, 3, 0)))
append(char text[LINE_BYTES], size_t at, const char *format, va_list ap)
{
	size_t room = LINE_BYTES - 1 - at;
	int n = vsnprintf(text + at, room, format, ap);

	return n < 0 ? at : at + ((size_t)n < room ? (size_t)n : room - 1);
}

static size_t __attribute__((format(printf, 3, 4)))
append_text(char text[LINE_BYTES], size_t at, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	at = append(text, at, format, ap);
	va_end(ap);
	return at;
}

static void __attribute__((format(printf, 2, 0)))
line(uint64_t left_out, const char *format, va_list ap)
{
	char text[LINE_BYTES];
	size_t at = append_text(text, 0, "%s: ", program);

	at = append(text, at, format, ap);
	if (left_out != 0)
		at = append_text(text, at, " (%" PRIu64 " lines left out before)", left_out);
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
	line(0, format, ap);
	va_end(ap);
}

bool
log_allowed(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed)
{
	if (limit->due_ns < now_ns)
		limit->due_ns = now_ns;
	if (limit->due_ns - now_ns > (LOG_BURST - 1) * LOG_INTERVAL_NS) {
		limit->suppressed++;
		return false;
	}
	limit->due_ns += LOG_INTERVAL_NS;
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	return true;
}

void
log_guest(struct log_limit *limit, const char *format, ...)
{
	uint64_t left_out = 0;
	bool say;
	va_list ap;

	pthread_mutex_lock(&limits);
	say = log_allowed(limit, monotonic_ns(), &left_out);
	pthread_mutex_unlock(&limits);
	if (!say)
		return;
	va_start(ap, format);
	line(left_out, format, ap);
	va_end(ap);
}
