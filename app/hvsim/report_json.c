/* SPDX-License-Identifier: BSD-3-Clause */
/* hvsim's reports with --json: one object per line, NICs as "ctl stats" describes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/hvsim/hvsim.h"
#include "app/hvsim/report.h"
#include "lib/host/control_json.h"

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
begin(const char *what, double seconds, struct json_object **nics)
{
	struct json_object *o = json_object_new_object();

	*nics = json_object_new_array();
	json_object_object_add(o, "report", json_object_new_string(what));
	json_object_object_add(o, "seconds", json_object_new_double(seconds));
	json_object_object_add(o, "nics", *nics);
	return o;
}

static struct json_object *
stats_of(struct hvsim_device *device, bool rings)
{
	struct json_object *o = control_json_stats(device->nic);

	json_object_object_add(o, "nic", json_object_new_int((int)device->number));
	json_object_object_add(o, "rescinded", json_object_new_boolean(device->rescinded));
	json_object_object_add(o, "sessions", json_object_new_uint64(device->sessions));
	if (rings) {
		device_lock(device);
		json_object_object_add(o, "rings", control_json_rings(device->nic));
		device_unlock(device);
	}
	return o;
}

void
report_json_start(struct hvsim_device *devices, unsigned int n)
{
	struct json_object *nics, *report = begin("start", 0, &nics), *o;

	for (unsigned int i = 0; i < n; i++) {
		o = json_object_new_object();
		json_object_object_add(o, "nic", json_object_new_int((int)i));
		json_object_object_add(o, "guid", json_object_new_string(devices[i].guid));
		json_object_object_add(o, "socket", json_object_new_string(devices[i].path));
		json_object_object_add(o, "port", json_object_new_string(devices[i].config.port));
		json_object_array_add(nics, o);
	}
	put(report);
}

static void
put_rate(struct json_object *o, const char *key, double value)
{
	json_object_object_add(o, key, json_object_new_double(value));
}

void
report_json_rates(struct hvsim_device *devices, unsigned int n, struct hvsim_rates *previous,
	uint64_t since_start_ns, bool rings)
{
	struct json_object *nics, *report = begin("rates", (double)since_start_ns / 1e9, &nics);
	uint64_t now = now_ns();

	for (unsigned int i = 0; i < n; i++) {
		struct json_object *o;
		struct hvsim_flow flow;

		device_refresh(&devices[i]);
		o = stats_of(&devices[i], rings);
		report_flow(&devices[i], &previous->nic[i], now - previous->at, &flow);
		put_rate(o, "rx_pps", flow.rx_frames);
		put_rate(o, "rx_bps", flow.rx_bytes * 8);
		put_rate(o, "tx_pps", flow.tx_frames);
		put_rate(o, "tx_bps", flow.tx_bytes * 8);
		json_object_array_add(nics, o);
	}
	previous->at = now;
	put(report);
}

void
report_json_totals(
	struct hvsim_device *devices, unsigned int n, uint64_t since_start_ns, bool rings)
{
	struct json_object *nics, *report = begin("totals", (double)since_start_ns / 1e9, &nics);

	for (unsigned int i = 0; i < n; i++) {
		/* The last totals are to be exact. */
		device_lock(&devices[i]);
		device_unlock(&devices[i]);
		json_object_array_add(nics, stats_of(&devices[i], rings));
	}
	put(report);
}
