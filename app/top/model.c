/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples, rates, events. */
#include "app/top/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
top_counter_add(struct top_counter *counters, unsigned int *n, unsigned int max, const char *name,
	uint64_t value)
{
	if (*n == max)
		return;
	snprintf(counters[*n].name, sizeof(counters[*n].name), "%s", name);
	counters[(*n)++].value = value;
}

void
top_gauge_add(struct top_nic *nic, const char *name, uint64_t used, uint64_t size)
{
	struct top_gauge *gauge = &nic->gauges[nic->n_gauges];

	if (nic->n_gauges == TOP_GAUGES)
		return;
	nic->n_gauges++;
	snprintf(gauge->name, sizeof(gauge->name), "%s", name);
	gauge->used = used;
	gauge->size = size;
}

struct top_sample *
top_sample_new(uint64_t at_ns)
{
	struct top_sample *sample = calloc(1, sizeof(*sample));

	if (sample != NULL)
		sample->at_ns = at_ns;
	return sample;
}

void
top_model_note(struct top_model *model, time_t when, const char *fmt, ...)
{
	struct top_event *event = &model->events[model->n_events++ % TOP_EVENTS];
	va_list ap;

	event->when = when;
	va_start(ap, fmt);
	vsnprintf(event->text, sizeof(event->text), fmt, ap);
	va_end(ap);
}

const struct top_event *
top_model_event(const struct top_model *model, unsigned int back)
{
	if (back >= TOP_EVENTS || back >= model->n_events)
		return NULL;
	return &model->events[(model->n_events - 1 - back) % TOP_EVENTS];
}

void
top_model_free(struct top_model *model)
{
	free(model->now);
	free(model->before);
	model->now = model->before = NULL;
}

/* The same NIC in another sample: by its name and device, for NICs come and go. */
static const struct top_nic *
find(const struct top_sample *sample, const struct top_nic *nic)
{
	for (unsigned int i = 0; sample != NULL && i < sample->n; i++)
		if (strcmp(sample->nic[i].name, nic->name) == 0 &&
			strcmp(sample->nic[i].device, nic->device) == 0)
			return &sample->nic[i];
	return NULL;
}

static const struct top_counter *
find_counter(const struct top_counter *counters, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(counters[i].name, name) == 0)
			return &counters[i];
	return NULL;
}

static double
per_second(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static void
compute(struct top_rate *rate, const struct top_nic *now, const struct top_nic *before,
	double seconds)
{
	memset(rate, 0, sizeof(*rate));
	if (before == NULL)
		return;
	rate->known = true;
	rate->rx_frames = per_second(now->rx_frames, before->rx_frames, seconds);
	rate->rx_bytes = per_second(now->rx_bytes, before->rx_bytes, seconds);
	rate->tx_frames = per_second(now->tx_frames, before->tx_frames, seconds);
	rate->tx_bytes = per_second(now->tx_bytes, before->tx_bytes, seconds);
	for (unsigned int i = 0; i < now->n_drops; i++) {
		const struct top_counter *old =
			find_counter(before->drops, before->n_drops, now->drops[i].name);

		rate->drops[i] =
			per_second(now->drops[i].value, old == NULL ? 0 : old->value, seconds);
		rate->dropped += rate->drops[i];
	}
}

/* ---- what changed ---- */

static void
note_text(struct top_model *m, time_t when, const struct top_nic *nic, const char *what,
	const char *before, const char *now)
{
	if (strcmp(before, now) != 0 && now[0] != '\0')
		top_model_note(m, when, "NIC %s: %s %s%s%s%s", nic->name, what, now,
			before[0] != '\0' ? " (was " : "", before, before[0] != '\0' ? ")" : "");
}

static void
note_counters(
	struct top_model *m, time_t when, const struct top_nic *now, const struct top_nic *before)
{
	for (unsigned int i = 0; i < now->n_notes; i++) {
		const struct top_counter *old =
			find_counter(before->notes, before->n_notes, now->notes[i].name);

		if (old != NULL && now->notes[i].value > old->value)
			top_model_note(m, when, "NIC %s: %s %" PRIu64 " (+%" PRIu64 ")", now->name,
				now->notes[i].name, now->notes[i].value,
				now->notes[i].value - old->value);
	}
}

/* A loss is an event when it begins. */
static void
note_drops(struct top_model *m, time_t when, const struct top_nic *now, const struct top_rate *rate,
	const struct top_nic *old, const struct top_rate *old_rate)
{
	char text[8];

	for (unsigned int i = 0; i < now->n_drops; i++) {
		unsigned int k = 0;

		if (rate->drops[i] == 0)
			continue;
		while (k < old->n_drops && strcmp(old->drops[k].name, now->drops[i].name) != 0)
			k++;
		if (k < old->n_drops && old_rate != NULL && old_rate->drops[k] != 0)
			continue;
		top_number(rate->drops[i], text);
		top_model_note(
			m, when, "NIC %s: drops, %s %s/s", now->name, now->drops[i].name, text);
	}
}

static void
note_changes(
	struct top_model *m, time_t when, const struct top_nic *now, const struct top_nic *before)
{
	if (now->gone != before->gone)
		top_model_note(m, when, "NIC %s: %s", now->name,
			now->gone ? "taken away by the host" : "offered again");
	if (now->stalled != before->stalled)
		top_model_note(m, when, "NIC %s: %s", now->name,
			now->stalled ? "stalled" : "no longer stalled");
	note_text(m, when, now, "state", before->state, now->state);
	note_text(m, when, now, "link", before->link, now->link);
	note_text(m, when, now, "path", before->path, now->path);
	note_counters(m, when, now, before);
}

void
top_model_take(struct top_model *m, struct top_sample *sample, time_t when)
{
	struct top_rate *old = malloc(sizeof(m->rate));
	double seconds;
	unsigned int i;

	/* Without memory a loss that goes on is told again. */
	if (old != NULL)
		memcpy(old, m->rate, sizeof(m->rate));
	free(m->before);
	m->before = m->now;
	m->now = sample;
	seconds = m->before == NULL ? 0 : (double)(sample->at_ns - m->before->at_ns) / 1e9;
	for (i = 0; i < sample->n; i++) {
		const struct top_nic *nic = &sample->nic[i], *before = find(m->before, nic);

		compute(&m->rate[i], nic, before, seconds);
		if (m->before == NULL)
			continue;
		if (before == NULL) {
			top_model_note(m, when, "NIC %s: new, %s", nic->name, nic->state);
			continue;
		}
		note_changes(m, when, nic, before);
		note_drops(m, when, nic, &m->rate[i], before,
			old == NULL ? NULL : &old[before - m->before->nic]);
	}
	for (i = 0; m->before != NULL && i < m->before->n; i++)
		if (find(sample, &m->before->nic[i]) == NULL)
			top_model_note(m, when, "NIC %s: is no more", m->before->nic[i].name);
	free(old);
}

void
top_number(double value, char text[8])
{
	static const char *const suffix[] = {"", "k", "M", "G", "T", "P"};
	unsigned int i = 0;

	while (value >= 999.5 && i + 1 < sizeof(suffix) / sizeof(suffix[0])) {
		value /= 1000;
		i++;
	}
	if (value > 9999)
		value = 9999;
	snprintf(text, 8, "%.*f%s",
		i == 0 || value >= 99.95 ? 0
		: value >= 9.995	 ? 1
					 : 2,
		value, suffix[i]);
}
