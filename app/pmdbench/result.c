/* SPDX-License-Identifier: BSD-3-Clause */
/* Quartiles, the table, the JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "app/pmdbench/result.h"
#include "lib/host/file_open.h"

const char *const bench_pmd_names[BENCH_PMDS] = {"hyperpoll", "hyperpoll", "in-tree", "floor"};
const char *const bench_pmd_backends[BENCH_PMDS] = {"vfio-user", "uio", "uio", "vfio-user"};
const char *const bench_op_names[BENCH_OPS] = {
	"rx", "tx", "fwd", "idle", "host-gen", "host-sink", "host-verify"};

const char *const bench_offload_names[BENCH_OFFLOADS] = {"none", "all", "types", "others"};

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
result_quartiles(struct result *result, double *samples, unsigned int n)
{
	qsort(samples, n, sizeof(*samples), by_value);
	result->rounds = n;
	result->lower = samples[n / 4];
	result->median = samples[n / 2];
	result->upper = samples[3 * n / 4];
}

static void
cell_name(const struct bench_cell *cell, char *text, size_t len)
{
	static const char *const offloads[BENCH_OFFLOADS] = {
		"", ", rx offloads", ", rx offloads, types", ", others' offloads"};
	char size[16] = "IMIX", ppis[24] = "", queues[24] = "", flows[24] = "";

	if (cell->size != BENCH_SIZE_IMIX)
		snprintf(size, sizeof(size), "%u B", cell->size);
	if (cell->ppis != 0)
		snprintf(ppis, sizeof(ppis), ", %u PPI%s", cell->ppis, cell->ppis > 1 ? "s" : "");
	if (cell->queues > 1)
		snprintf(queues, sizeof(queues), ", %u queues", cell->queues);
	if (cell->flows > 1 && bench_channels(cell->queues, cell->offloads) == 1)
		snprintf(flows, sizeof(flows), ", %u flows", cell->flows);
	if (cell->op == BENCH_IDLE)
		snprintf(text, len, "idle poll%s%s%s", queues, cell->cross ? ", cross" : "",
			offloads[cell->offloads]);
	else
		snprintf(text, len, "%s %s, burst %u%s%s%s%s%s", bench_op_names[cell->op], size,
			cell->burst, ppis, queues, flows, cell->cross ? ", cross" : "",
			offloads[cell->offloads]);
}

/* ---- the table ---- */

static const struct {
	enum bench_pmd pmd;
	const char *title;
} columns[] = {
	{BENCH_HYPERPOLL, "ours"},
	{BENCH_HYPERPOLL_UIO, "ours uio"},
	{BENCH_IN_TREE, "in-tree"},
	{BENCH_FLOOR, "floor"},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* Of the machine before we add to it; negative: not known. */
static double load_before = -1;

void
result_header(FILE *out)
{
	if (getloadavg(&load_before, 1) != 1)
		load_before = -1;
	fprintf(out, "%-36s", "ticks (quartiles) / instructions");
	for (unsigned int i = 0; i < COLUMNS; i++)
		fprintf(out, " | %-24s", columns[i].title);
	fprintf(out, " | in-tree/ours | ours/floor\n");
}

static void
ratio(FILE *out, enum bench_op op, const char *format, const struct result *above,
	const struct result *below)
{
	char text[16] = "";

	if (!bench_op_is_host(op) && above->present && below->present && above->rounds != 0 &&
		below->rounds != 0 && below->lower > 0)
		snprintf(text, sizeof(text), "%.2f", above->lower / below->lower);
	fprintf(out, format, text);
}

void
result_line(FILE *out, const struct result_row *row)
{
	char name[80], text[64];
	unsigned int i;

	cell_name(&row->cell, name, sizeof(name));
	fprintf(out, "%-36s", name);
	for (i = 0; i < COLUMNS; i++) {
		const struct result *r = &row->pmd[columns[i].pmd];
		int n = 0;

		text[0] = '\0';
		if (!r->present)
			snprintf(text, sizeof(text), "%s", r->error[0] != '\0' ? "failed" : "-");
		else if (r->rounds != 0)
			n = snprintf(text, sizeof(text), "%.1f (%.1f %.1f)", r->lower, r->median,
				r->upper);
		if (r->present && r->instructions >= 0)
			snprintf(text + n, sizeof(text) - (size_t)n, "%s%.1f", n != 0 ? " / " : "",
				r->instructions);
		fprintf(out, " | %-24s", text);
	}
	ratio(out, row->cell.op, " | %12s", &row->pmd[BENCH_IN_TREE], &row->pmd[BENCH_HYPERPOLL]);
	ratio(out, row->cell.op, " | %10s\n", &row->pmd[BENCH_HYPERPOLL], &row->pmd[BENCH_FLOOR]);
	for (i = 0; i < BENCH_PMDS; i++)
		if (row->pmd[i].error[0] != '\0')
			fprintf(out, "  %s (%s): %s\n", bench_pmd_names[i], bench_pmd_backends[i],
				row->pmd[i].error);
	fflush(out);
}

/* ---- JSON ---- */

static struct json_object *
number(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.2f", value);
	return json_object_new_double_s(value, text);
}

/* First value of a key in /proc/cpuinfo. */
static struct json_object *
cpuinfo(const char *key)
{
	struct json_object *value = NULL;
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256], *colon;

	if (file == NULL)
		return NULL;
	while (value == NULL && fgets(line, sizeof(line), file) != NULL) {
		colon = strchr(line, ':');
		if (colon == NULL || strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		value = json_object_new_string(colon[1] == ' ' ? colon + 2 : colon + 1);
	}
	fclose(file);
	return value;
}

static struct json_object *
machine(void)
{
	struct json_object *m = json_object_new_object();
	struct utsname u;
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	json_object_object_add(m, "cpu", cpuinfo("model name"));
	json_object_object_add(m, "mhz", cpuinfo("cpu MHz"));
	json_object_object_add(m, "cpus", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
	if (uname(&u) == 0)
		json_object_object_add(m, "kernel", json_object_new_string(u.release));
	json_object_object_add(m, "load", number(load_before));
	if (gmtime_r(&now, &tm) != NULL && strftime(text, sizeof(text), "%FT%TZ", &tm) != 0)
		json_object_object_add(m, "date", json_object_new_string(text));
	json_object_object_add(m, "unit",
		json_object_new_string(
			"ticks of the time stamp counter per frame (idle: per poll)"));
	return m;
}

static struct json_object *
cell_json(const struct bench_cell *c, enum bench_pmd pmd, const struct result *r)
{
	struct json_object *o = json_object_new_object();
	bool timed = r->rounds != 0;

	json_object_object_add(o, "pmd", json_object_new_string(bench_pmd_names[pmd]));
	json_object_object_add(o, "op", json_object_new_string(bench_op_names[c->op]));
	json_object_object_add(o, "size",
		c->size == BENCH_SIZE_IMIX ? json_object_new_string("imix")
					   : json_object_new_int64(c->size));
	json_object_object_add(o, "burst", json_object_new_int64(c->burst));
	json_object_object_add(o, "ppis", json_object_new_int64(c->ppis));
	json_object_object_add(o, "queues", json_object_new_int64(c->queues));
	json_object_object_add(o, "cross", json_object_new_boolean(c->cross));
	json_object_object_add(o, "cycles_per_packet", timed ? number(r->lower) : NULL);
	json_object_object_add(o, "median", timed ? number(r->median) : NULL);
	json_object_object_add(o, "spread", timed ? number(r->upper - r->lower) : NULL);
	json_object_object_add(
		o, "instructions", r->instructions >= 0 ? number(r->instructions) : NULL);
	return o;
}

/* What the agreed keys of a cell cannot say: which backend, how many flows, which offloads, the
 * host alone. */
static bool
is_plain(const struct bench_cell *cell, enum bench_pmd pmd)
{
	return pmd != BENCH_HYPERPOLL_UIO && !bench_op_is_host(cell->op) &&
	       cell->offloads == BENCH_NONE && (cell->flows == 1 || cell->queues > 1);
}

/* @return 0 or a negative errno; closed in any case */
static int
json_write(int fd, struct json_object *o)
{
	struct stat st;
	int rc = 0;

	if (fstat(fd, &st) != 0 || (S_ISREG(st.st_mode) && ftruncate(fd, 0) != 0) ||
		json_object_to_fd(
			fd, o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE) != 0)
		rc = -errno;
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

int
result_json(const char *path, const struct result_row *rows, unsigned int n, const char **why)
{
	struct json_object *top = json_object_new_object(), *cells = json_object_new_array();
	struct json_object *more = json_object_new_array(), *o;
	int fd, rc;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int p = 0; p < BENCH_PMDS; p++) {
			if (!rows[i].pmd[p].present)
				continue;
			o = cell_json(&rows[i].cell, p, &rows[i].pmd[p]);
			if (is_plain(&rows[i].cell, p)) {
				json_object_array_add(cells, o);
				continue;
			}
			json_object_object_add(
				o, "backend", json_object_new_string(bench_pmd_backends[p]));
			json_object_object_add(
				o, "flows", json_object_new_int64(rows[i].cell.flows));
			json_object_object_add(o, "offloads",
				json_object_new_string(bench_offload_names[rows[i].cell.offloads]));
			json_object_array_add(more, o);
		}
	json_object_object_add(top, "machine", machine());
	json_object_object_add(top, "cells", cells);
	json_object_object_add(top, "more_cells", more);
	fd = file_open_write(path, why);
	rc = fd < 0 ? fd : json_write(fd, top);
	if (rc != 0 && fd >= 0)
		*why = strerror(-rc);
	json_object_put(top);
	return rc;
}
