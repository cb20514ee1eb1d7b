/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Trace files of a host, by their names: NICs that are given the same file share it. And the port
 * that writes another port's frames into one (capture=). Any thread.
 */
#ifndef HP_HOST_TRACE_FILE_H
#define HP_HOST_TRACE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/host/port.h"
#include "lib/trace/trace.h"

/**
 * The trace that goes to @p path; opened when nobody has it. Given back with host_trace_close().
 * @param append  a trace that is in the file stays, and goes on behind it
 * @return 0 and *trace, or a negative errno and one sentence
 */
int host_trace_open(
	const char *path, bool append, struct trace **trace, char *errbuf, size_t errlen);
/**
 * Give it back; the last one waits as trace_close_within() does. NULL is allowed.
 * @return false: the file does not take what is left, its writer goes on by itself
 */
bool host_trace_close(struct trace *trace, unsigned int ms);

/**
 * A port in front of @p inner that writes each frame, either way, into a trace; it owns both.
 * @param name of the interface in the file
 * @return NULL: no memory, and nothing has changed
 */
struct host_port *port_capture_new(struct host_port *inner, struct trace *trace, uint32_t snaplen,
	const char *name, const char *description);

#endif
