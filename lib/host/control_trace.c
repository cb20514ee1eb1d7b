/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket's command trace: begin, go on, end, or only tell. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "lib/host/control_internal.h"
#include "lib/host/control_json.h"
#include "lib/host/trace_file.h"
#include "lib/trace/trace_vmbus.h"

/* A trace that ends is finished within this time mostly; who asked for it waits no longer. */
#define TRACE_MS 200

struct wish {
	bool changes;	  /* else only tell */
	const char *file; /* anew; NULL: off, or on with the last one */
	bool on;
	uint32_t snaplen; /* 0: not given */
};

static int
take_wish(struct json_object *request, struct wish *wish, char *errbuf, size_t errlen)
{
	struct json_object *o;
	bool on = true, told = json_object_object_get_ex(request, "on", NULL);

	*wish = (struct wish){.file = control_member(request, "file")};
	wish->changes = told || wish->file != NULL;
	if ((told && !control_truth(request, "on", &on)) || (!on && wish->file != NULL))
		return control_fail(
			errbuf, errlen, -EINVAL, "trace takes file=FILE, or on, or off");
	wish->on = on;
	if (json_object_object_get_ex(request, "snaplen", &o)) {
		int64_t n = json_object_is_type(o, json_type_int) ? json_object_get_int64(o) : -1;

		if (n < TRACE_SNAPLEN_MIN || n > TRACE_SNAPLEN_MAX)
			return control_fail(
				errbuf, errlen, -EINVAL, "snaplen is from 128 to 131072");
		wish->snaplen = (uint32_t)n;
	}
	return 0;
}

/* Put another trace, or none, in the place of a NIC's. @return what there was, no lock held */
static int
swap_trace(const struct host_control_ops *ops, unsigned int number, struct trace *trace,
	uint32_t snaplen, struct trace **old)
{
	int rc;

	if (ops->lock != NULL)
		ops->lock(ops->ctx, number);
	rc = host_nic_trace(ops->nic(ops->ctx, number), trace, snaplen, old);
	if (ops->unlock != NULL)
		ops->unlock(ops->ctx, number);
	return rc;
}

static int
change_trace(const struct host_control_ops *ops, const struct wish *wish, unsigned int number,
	char *errbuf, size_t errlen)
{
	struct host_nic *nic = ops->nic(ops->ctx, number);
	uint32_t snaplen;
	const char *last = host_nic_trace_last(nic, &snaplen);
	struct trace *trace = NULL, *old = NULL;
	int rc = 0;

	if (wish->snaplen != 0)
		snaplen = wish->snaplen;
	else if (wish->file != NULL)
		snaplen = TRACE_SNAPLEN;
	if (wish->on && wish->file == NULL) {
		if (last == NULL)
			return control_fail(errbuf, errlen, -ENOENT,
				"there is no trace that could go on; trace takes file=FILE");
		if (host_nic_traced(nic) != NULL && wish->snaplen == 0)
			return 0;
		rc = host_trace_open(last, true, &trace, errbuf, errlen);
	} else if (wish->on) {
		rc = host_trace_open(wish->file, false, &trace, errbuf, errlen);
	}
	if (rc != 0)
		return rc;
	rc = swap_trace(ops, number, trace, snaplen, &old);
	if (rc != 0) {
		host_trace_close(trace, TRACE_MS);
		return control_fail(errbuf, errlen, rc, "no memory for a trace");
	}
	/* The NIC goes on while its file is finished. */
	if (!host_trace_close(old, TRACE_MS))
		return control_fail(errbuf, errlen, -EAGAIN,
			"the trace has ended, but its file does not take what is left; that is "
			"written when it does");
	return 0;
}

/* How it goes; NULL: there is none. */
static struct json_object *
tell(const struct host_nic *nic)
{
	struct trace *trace = host_nic_traced(nic);
	struct trace_stats stats;
	struct json_object *o;

	if (trace == NULL)
		return NULL;
	trace_stats(trace, &stats);
	o = json_object_new_object();
	control_json_text(o, "file", trace_path(trace));
	control_json_u64(o, "records", stats.records);
	control_json_u64(o, "lost", stats.lost);
	control_json_u64(o, "bytes", stats.bytes);
	json_object_object_add(o, "failed", json_object_new_boolean(stats.failed));
	return o;
}

int
control_trace(const struct host_control_ops *ops, struct json_object *request,
	struct json_object *answer, unsigned int number, char *errbuf, size_t errlen)
{
	struct wish wish;
	int rc = take_wish(request, &wish, errbuf, errlen);

	if (rc == 0 && wish.changes)
		rc = change_trace(ops, &wish, number, errbuf, errlen);
	/* Changed on this thread alone. */
	json_object_object_add(answer, "trace", tell(ops->nic(ops->ctx, number)));
	return rc;
}

/* "on" is for those that have had one. */
static bool
concerns(const struct host_nic *nic, const struct wish *wish)
{
	uint32_t snaplen;

	return wish->file != NULL || !wish->on || host_nic_trace_last(nic, &snaplen) != NULL;
}

int
control_trace_all(const struct host_control_ops *ops, struct json_object *request,
	struct json_object *answer, char *errbuf, size_t errlen)
{
	struct json_object *list = json_object_new_array(), *o;
	unsigned int n = ops->nics(ops->ctx), concerned = 0;
	char why[256];
	struct wish wish;
	int rc = take_wish(request, &wish, errbuf, errlen), failed;

	for (unsigned int i = 0; i < n; i++) {
		struct host_nic *nic = ops->nic(ops->ctx, i);

		if (rc == 0 && wish.changes && concerns(nic, &wish)) {
			concerned++;
			failed = change_trace(ops, &wish, i, why, sizeof(why));
			if (failed != 0) {
				rc = failed;
				snprintf(errbuf, errlen, "NIC %u: %s", i, why);
			}
		}
		o = json_object_new_object();
		json_object_object_add(o, "trace", tell(nic));
		json_object_array_add(list, o);
	}
	json_object_object_add(answer, "nics", list);
	if (rc == 0 && wish.changes && concerned == 0)
		return control_fail(errbuf, errlen, -ENOENT,
			"there is no trace that could go on; trace takes file=FILE");
	return rc;
}
