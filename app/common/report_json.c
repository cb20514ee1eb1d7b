/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports with --json: one object per line, NICs as "ctl stats" describes them. */
#include <stdio.h>
#include <stdlib.h>

#include "app/common/report.h"
#include "lib/host/control_json.h"
#include "lib/vmbus/guid.h"

static void
put(struct json_object *report)
{
	char *line = NULL;
	int len = asprintf(&line, "%s\n",
		json_object_to_json_string_ext(
			report, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));

	if (len > 0)
		output_put(&report_output, line, (size_t)len);
	free(line);
	json_object_put(report);
}

static struct json_object *
begin(const struct report *r, const char *what, struct json_object **nics)
{
	struct json_object *o = json_object_new_object();

	*nics = json_object_new_array();
	json_object_object_add(o, "report", json_object_new_string(what));
	json_object_object_add(o, "seconds", json_object_new_double(report_seconds(r)));
	json_object_object_add(o, "nics", *nics);
	return o;
}

static unsigned int
nics_of(const struct report *r)
{
	return r->ops->nics(r->ops->ctx);
}

static struct json_object *
stats_of(const struct report *r, unsigned int nic)
{
	const struct host_control_ops *ops = r->ops;
	struct report_extra extra = report_extra(r, nic);
	struct json_object *o = control_json_stats(ops->nic(ops->ctx, nic));

	json_object_object_add(o, "nic", json_object_new_int((int)nic));
	json_object_object_add(o, "rescinded",
		json_object_new_boolean(ops->offered != NULL && !ops->offered(ops->ctx, nic)));
	if (extra.has_sessions)
		control_json_u64(o, "sessions", extra.sessions);
	if (r->rings) {
		if (ops->lock != NULL)
			ops->lock(ops->ctx, nic);
		json_object_object_add(o, "rings", control_json_rings(ops->nic(ops->ctx, nic)));
		if (ops->unlock != NULL)
			ops->unlock(ops->ctx, nic);
	}
	return o;
}

void
report_json_start(struct report *r)
{
	struct json_object *list, *report = begin(r, "start", &list), *o;
	const struct host_nic_config *config;
	char guid[VMBUS_GUID_LEN + 1];
	struct report_extra extra;

	for (unsigned int i = 0; i < nics_of(r); i++) {
		config = host_nic_config(r->ops->nic(r->ops->ctx, i));
		extra = report_extra(r, i);
		vmbus_guid_format(config->instance, guid);
		guid[VMBUS_GUID_LEN] = '\0';
		o = json_object_new_object();
		json_object_object_add(o, "nic", json_object_new_int((int)i));
		control_json_text(o, "guid", guid);
		if (extra.socket != NULL)
			control_json_text(o, "socket", extra.socket);
		control_json_text(o, "port", config->port);
		json_object_array_add(list, o);
	}
	put(report);
}

static void
put_rate(struct json_object *o, const char *key, double value)
{
	json_object_object_add(o, key, json_object_new_double(value));
}

void
report_json_rates(struct report *r)
{
	struct json_object *list, *report = begin(r, "rates", &list), *o;
	struct host_nic_status status;
	struct report_flow flow;

	for (unsigned int i = 0; i < nics_of(r); i++) {
		if (r->ops->refresh != NULL)
			r->ops->refresh(r->ops->ctx, i);
		o = stats_of(r, i);
		host_nic_status(r->ops->nic(r->ops->ctx, i), &status);
		report_flow(r, i, &status.stats, &flow);
		put_rate(o, "rx_pps", flow.rx_frames);
		put_rate(o, "rx_bps", flow.rx_bytes * 8);
		put_rate(o, "tx_pps", flow.tx_frames);
		put_rate(o, "tx_bps", flow.tx_bytes * 8);
		json_object_array_add(list, o);
	}
	put(report);
}

void
report_json_totals(struct report *r)
{
	struct json_object *list, *report = begin(r, "totals", &list);

	for (unsigned int i = 0; i < nics_of(r); i++) {
		report_exact(r, i);
		json_object_array_add(list, stats_of(r, i));
	}
	put(report);
}
