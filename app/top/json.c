/* SPDX-License-Identifier: BSD-3-Clause */
/* A sample for scripts. */
#include "app/top/source.h"

static struct json_object *
drops(const struct top_nic *nic, const struct top_rate *rate)
{
	struct json_object *o = json_object_new_object(), *one;

	for (unsigned int i = 0; i < nic->n_drops; i++) {
		if (nic->drops[i].value == 0)
			continue;
		one = json_object_new_object();
		json_object_object_add(one, "total", json_object_new_uint64(nic->drops[i].value));
		json_object_object_add(one, "per_second", json_object_new_double(rate->drops[i]));
		json_object_object_add(o, nic->drops[i].name, one);
	}
	return o;
}

static struct json_object *
gauges(const struct top_nic *nic)
{
	struct json_object *list = json_object_new_array(), *o;

	for (unsigned int i = 0; i < nic->n_gauges; i++) {
		o = json_object_new_object();
		json_object_object_add(o, "name", json_object_new_string(nic->gauges[i].name));
		json_object_object_add(o, "used", json_object_new_uint64(nic->gauges[i].used));
		json_object_object_add(o, "size", json_object_new_uint64(nic->gauges[i].size));
		json_object_array_add(list, o);
	}
	return list;
}

/* A rate that is not known yet is null. */
static void
put_rate(struct json_object *o, const char *key, const struct top_rate *rate, double value)
{
	json_object_object_add(o, key, rate->known ? json_object_new_double(value) : NULL);
}

static struct json_object *
one_nic(const struct top_nic *nic, const struct top_rate *rate)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "nic", json_object_new_string(nic->name));
	json_object_object_add(o, "device", json_object_new_string(nic->device));
	json_object_object_add(o, "state", json_object_new_string(nic->state));
	json_object_object_add(
		o, "link", nic->link[0] == '\0' ? NULL : json_object_new_string(nic->link));
	json_object_object_add(o, "path", json_object_new_string(nic->path));
	json_object_object_add(o, "rescinded", json_object_new_boolean(nic->gone));
	json_object_object_add(o, "stalled", json_object_new_boolean(nic->stalled));
	json_object_object_add(o, "rx_frames", json_object_new_uint64(nic->rx_frames));
	json_object_object_add(o, "rx_bytes", json_object_new_uint64(nic->rx_bytes));
	json_object_object_add(o, "tx_frames", json_object_new_uint64(nic->tx_frames));
	json_object_object_add(o, "tx_bytes", json_object_new_uint64(nic->tx_bytes));
	put_rate(o, "rx_pps", rate, rate->rx_frames);
	put_rate(o, "rx_bps", rate, rate->rx_bytes * 8);
	put_rate(o, "tx_pps", rate, rate->tx_frames);
	put_rate(o, "tx_bps", rate, rate->tx_bytes * 8);
	put_rate(o, "drops_per_second", rate, rate->dropped);
	json_object_object_add(o, "drops", drops(nic, rate));
	json_object_object_add(o, "occupancy", gauges(nic));
	return o;
}

struct json_object *
top_json(const struct top_model *m, uint64_t seen, double unix_time)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	json_object_object_add(o, "time", json_object_new_double(unix_time));
	for (unsigned int i = 0; i < m->now->n; i++)
		json_object_array_add(list, one_nic(&m->now->nic[i], &m->rate[i]));
	json_object_object_add(o, "nics", list);
	list = json_object_new_array();
	if (m->n_events - seen > TOP_EVENTS)
		seen = m->n_events - TOP_EVENTS;
	for (; seen < m->n_events; seen++)
		json_object_array_add(
			list, json_object_new_string(m->events[seen % TOP_EVENTS].text));
	json_object_object_add(o, "events", list);
	return o;
}
