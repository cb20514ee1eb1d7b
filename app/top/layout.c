/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the live view: a table of NICs, then what the selected one loses and how full its rings
 * and sections are, then events. Where there are not enough rows, drops and gauges leave those
 * that say least.
 */
#include "app/top/layout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Characters of a bar: two gauges fit 80 columns. */
#define BAR 6u

struct writer {
	struct top_page *page;
	unsigned int limit; /* rows that may be used */
};

static void
put(struct writer *w, enum top_look look, const char *fmt, ...)
{
	struct top_line *line = &w->page->line[w->page->rows];
	va_list ap;

	if (w->page->rows >= w->limit)
		return;
	w->page->rows++;
	line->look = look;
	va_start(ap, fmt);
	vsnprintf(line->text, w->page->columns < TOP_COLUMNS ? w->page->columns + 1 : TOP_COLUMNS,
		fmt, ap);
	va_end(ap);
	/* Without curses it goes to the terminal as it is, and some of it is the host's. */
	for (char *p = line->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static unsigned int
rows_left(const struct writer *w)
{
	return w->limit - w->page->rows;
}

static void
rate_text(bool known, double value, char text[8])
{
	if (known)
		top_number(value, text);
	else
		strcpy(text, "-");
}

static enum top_look
look_of(const struct top_nic *nic, const struct top_rate *rate)
{
	if (nic->gone || strcmp(nic->state, "broken") == 0 || strcmp(nic->link, "down") == 0)
		return TOP_BAD;
	if (nic->stalled || rate->dropped > 0)
		return TOP_WARN;
	return strcmp(nic->state, "running") == 0 ? TOP_GOOD : TOP_PLAIN;
}

static void
put_nic(struct writer *w, const struct top_nic *nic, const struct top_rate *rate, bool selected)
{
	char rx[8], rx_bits[8], tx[8], tx_bits[8], drops[8];

	rate_text(rate->known, rate->rx_frames, rx);
	rate_text(rate->known, rate->rx_bytes * 8, rx_bits);
	rate_text(rate->known, rate->tx_frames, tx);
	rate_text(rate->known, rate->tx_bytes * 8, tx_bits);
	rate_text(rate->known, rate->dropped, drops);
	put(w, selected ? TOP_SELECTED : look_of(nic, rate),
		"%c%-5s %-11.11s %-4s %-9s %8s %8s %8s %8s %8s", selected ? '>' : ' ', nic->name,
		nic->gone      ? "rescinded"
		: nic->stalled ? "stalled"
			       : nic->state,
		nic->link, nic->path, rx, rx_bits, tx, tx_bits, drops);
}

/* The table, with the selected NIC in view. */
static void
put_table(
	struct writer *w, const struct top_model *m, const struct top_view *view, unsigned int most)
{
	unsigned int first = 0, n = m->now->n, shown = n < most ? n : most;

	if (view->selected >= shown)
		first = view->selected - shown + 1;
	put(w, TOP_HEADER, " %-5s %-11s %-4s %-9s %8s %8s %8s %8s %8s", "NIC", "STATE", "LINK",
		"PATH", "RX pps", "RX bit/s", "TX pps", "TX bit/s", "DROPS/s");
	for (unsigned int i = first; i < first + shown; i++)
		put_nic(w, &m->now->nic[i], &m->rate[i], view->interactive && i == view->selected);
	if (shown < n)
		put(w, TOP_DIM, " %u of %u NICs", shown, n);
}

/* Reasons with a count, those that grow first, then by their count. */
struct reason {
	const struct top_counter *counter;
	double rate;
};

static int
by_weight(const void *a, const void *b)
{
	const struct reason *x = a, *y = b;

	if (x->rate != y->rate)
		return x->rate < y->rate ? 1 : -1;
	if (x->counter->value != y->counter->value)
		return x->counter->value < y->counter->value ? 1 : -1;
	return strcmp(x->counter->name, y->counter->name);
}

static void
put_drops(
	struct writer *w, const struct top_nic *nic, const struct top_rate *rate, unsigned int most)
{
	struct reason reasons[TOP_COUNTERS];
	unsigned int n = 0;
	char text[8];

	for (unsigned int i = 0; i < nic->n_drops; i++)
		if (nic->drops[i].value != 0)
			reasons[n++] = (struct reason){&nic->drops[i], rate->drops[i]};
	if (n == 0) {
		put(w, TOP_PLAIN, " no drops");
		return;
	}
	qsort(reasons, n, sizeof(reasons[0]), by_weight);
	for (unsigned int i = 0; i < n && i < most; i++) {
		rate_text(rate->known, reasons[i].rate, text);
		put(w, reasons[i].rate > 0 ? TOP_WARN : TOP_PLAIN, " %-32s %20" PRIu64 " %8s/s",
			reasons[i].counter->name, reasons[i].counter->value, text);
	}
	if (n > most)
		put(w, TOP_DIM, " and %u more reasons", n - most);
}

static unsigned int
gauge_text(const struct top_gauge *g, char *text, size_t size)
{
	unsigned int percent = g->size == 0 ? 0 : (unsigned int)(g->used * 100 / g->size);
	unsigned int full = g->size == 0 ? 0 : (unsigned int)(g->used * BAR / g->size);
	char bar[BAR + 1], whole[8];

	full = full > BAR ? BAR : full;
	/* Something is not nothing. */
	if (g->used != 0 && full == 0)
		full = 1;
	memset(bar, '.', BAR);
	memset(bar, '#', full);
	bar[BAR] = '\0';
	top_number((double)g->size, whole);
	snprintf(text, size, "%-16.16s [%s] %3u%% of %s", g->name, bar, percent, whole);
	return percent;
}

/* Two in a row where there is room for them. */
static void
put_gauges(struct writer *w, const struct top_nic *nic, unsigned int most)
{
	unsigned int per_row = w->page->columns >= 80 ? 2 : 1, i;
	char left[64], right[64];

	for (i = 0; i < nic->n_gauges && most > 0; i += per_row, most--) {
		unsigned int worst = gauge_text(&nic->gauges[i], left, sizeof(left)), other = 0;

		right[0] = '\0';
		if (per_row == 2 && i + 1 < nic->n_gauges)
			other = gauge_text(&nic->gauges[i + 1], right, sizeof(right));
		worst = other > worst ? other : worst;
		put(w, worst >= 90 ? TOP_WARN : TOP_PLAIN, " %-40s%s", left, right);
	}
	if (i < nic->n_gauges)
		put(w, TOP_DIM, " and %u more rings", nic->n_gauges - i);
}

static void
put_events(struct writer *w, const struct top_model *m, unsigned int most)
{
	const struct top_event *e;
	struct tm tm;
	unsigned int n = m->n_events < most ? (unsigned int)m->n_events : most;

	put(w, TOP_HEADER, " EVENTS%s", m->n_events == 0 ? "  none yet" : "");
	for (; n > 0; n--) {
		e = top_model_event(m, n - 1);
		if (e == NULL || localtime_r(&e->when, &tm) == NULL)
			continue;
		put(w, TOP_PLAIN, " %02d:%02d:%02d %s", tm.tm_hour, tm.tm_min, tm.tm_sec, e->text);
	}
}

static void
put_title(struct writer *w, const struct top_model *m, const struct top_view *view)
{
	char clock[16] = "";
	int room = (int)w->page->columns - 10, used;
	char title[TOP_COLUMNS];
	struct tm tm;

	if (localtime_r(&view->when, &tm) != NULL)
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	used = snprintf(title, sizeof(title), "%s  %u NIC%s", view->title,
		m->now == NULL ? 0 : m->now->n, m->now != NULL && m->now->n == 1 ? "" : "s");
	if (used > room && room > 0)
		title[room] = '\0';
	put(w, TOP_HEADER, "%-*s %s", room > 0 ? room : 0, title, clock);
	if (view->trouble != NULL && view->trouble[0] != '\0')
		put(w, TOP_BAD, " %s", view->trouble);
}

void
top_layout(const struct top_model *m, const struct top_view *view, unsigned int rows,
	unsigned int columns, struct top_page *page)
{
	struct writer w = {.page = page};
	const struct top_nic *nic;
	unsigned int selected, table, spare;
	bool bounded = rows != 0;

	page->rows = 0;
	page->columns = columns < TOP_COLUMNS - 1 ? columns : TOP_COLUMNS - 1;
	rows = rows == 0 || rows > TOP_ROWS ? TOP_ROWS : rows;
	/* The keys have the last row. */
	w.limit = view->keys != NULL && rows > 1 ? rows - 1 : rows;
	put_title(&w, m, view);
	if (m->now != NULL && m->now->n > 0) {
		/* A third for the table, the rest by halves. */
		table = bounded ? rows / 3 : TOP_NICS;
		put_table(&w, m, view, table > 0 ? table : 1);
		selected = view->selected < m->now->n ? view->selected : m->now->n - 1;
		nic = &m->now->nic[selected];
		put(&w, TOP_PLAIN, "%s", "");
		put(&w, TOP_HEADER, " NIC %s  %s  %s", nic->name, nic->device, nic->about);
		if (nic->why[0] != '\0')
			put(&w, TOP_PLAIN, " %s", nic->why);
		spare = bounded ? rows_left(&w) / 3 : TOP_COUNTERS;
		put_drops(&w, nic, &m->rate[selected], spare);
		spare = bounded ? rows_left(&w) / 2 : TOP_GAUGES;
		put_gauges(&w, nic, spare);
	}
	put(&w, TOP_PLAIN, "%s", "");
	if (rows_left(&w) > 0)
		put_events(&w, m, rows_left(&w) - 1);
	if (view->keys == NULL || rows < 2)
		return;
	while (bounded && page->rows < rows - 1)
		put(&w, TOP_PLAIN, "%s", "");
	w.limit = rows;
	put(&w, TOP_DIM, " %s", view->keys);
}
