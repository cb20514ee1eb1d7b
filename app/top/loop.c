/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of the live view: sample, show, keys. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/common/printed.h"
#include "app/top/screen.h"
#include "app/top/source.h"
#include "lib/vmbus/clock.h"

#define ERRLEN 512u
/* A script's page. */
#define ONCE_COLUMNS 100u

struct loop {
	const struct top_source *source;
	const struct top_options *options;
	struct top_model model;
	char selected[16]; /* name of the NIC, which may move in the list */
	char trouble[ERRLEN];
};

/* A signal ends the loop, so that the terminal is given back. */
static volatile sig_atomic_t ended;

static void
end(int number)
{
	ended = 1;
}

static int
complain(const struct loop *loop, const char *what)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", loop->source->program, what);
	return EXIT_FAILURE;
}

/* @return 0, or a negative errno: then loop->trouble says why */
static int
sample(struct loop *loop)
{
	struct top_sample *s = top_sample_new(monotonic_ns());
	int rc;

	if (s == NULL)
		return -ENOMEM;
	loop->trouble[0] = '\0';
	rc = loop->source->poll(loop->source->ctx, s, loop->trouble, sizeof(loop->trouble));
	if (rc != 0) {
		free(s);
		return rc;
	}
	top_model_take(&loop->model, s, time(NULL));
	return 0;
}

static void
print_page(struct loop *loop)
{
	const struct top_view view = {.title = loop->source->title, .when = time(NULL)};
	struct top_page *page = malloc(sizeof(*page));

	if (page == NULL)
		return;
	top_layout(&loop->model, &view, 0, ONCE_COLUMNS, page);
	for (unsigned int i = 0; i < page->rows; i++)
		puts(page->line[i].text);
	free(page);
}

static void
print_json(struct loop *loop, uint64_t *seen)
{
	struct timespec ts;
	struct json_object *o;

	clock_gettime(CLOCK_REALTIME, &ts);
	o = top_json(&loop->model, *seen, (double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
	*seen = loop->model.n_events;
	puts(json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static int
for_scripts(struct loop *loop)
{
	uint64_t seen = 0;
	int64_t due = monotonic_ms();

	/* The first sample has no rates: it is the one before the first that is printed. */
	for (unsigned int n = 0; ended == 0; n++) {
		if (sample(loop) != 0)
			return complain(loop, loop->trouble);
		if (n > 0 && loop->options->json)
			print_json(loop, &seen);
		else if (n > 0)
			print_page(loop);
		if (printed(stdout) != 0)
			return complain(loop, "cannot write the output");
		if (n > 0 && loop->options->once)
			break;
		due += loop->options->interval_ms;
		if (due > monotonic_ms())
			poll(NULL, 0, (int)(due - monotonic_ms()));
		else
			due = monotonic_ms();
	}
	return EXIT_SUCCESS;
}

/* ---- a person ---- */

static unsigned int
selected(const struct loop *loop)
{
	const struct top_sample *now = loop->model.now;

	for (unsigned int i = 0; now != NULL && i < now->n; i++)
		if (strcmp(now->nic[i].name, loop->selected) == 0)
			return i;
	return 0;
}

static void
select_nic(struct loop *loop, int step)
{
	const struct top_sample *now = loop->model.now;
	unsigned int at = selected(loop);

	if (now == NULL || now->n == 0)
		return;
	if (step > 0 && at + 1 < now->n)
		at++;
	else if (step < 0 && at > 0)
		at--;
	strcpy(loop->selected, now->nic[at].name);
}

static void
draw(struct loop *loop, struct top_page *page)
{
	char keys[160];
	const struct top_view view = {
		.title = loop->source->title,
		.keys = keys,
		.trouble = loop->trouble,
		.selected = selected(loop),
		.interactive = true,
		.when = time(NULL),
	};
	unsigned int rows, columns;

	snprintf(keys, sizeof(keys), "q quit  up/down, j/k select%s%s",
		loop->source->keys[0] != '\0' ? "  " : "", loop->source->keys);
	screen_size(&rows, &columns);
	top_layout(&loop->model, &view, rows, columns, page);
	screen_draw(page);
}

/* @return false: leave */
static bool
press(struct loop *loop, int key, bool *again)
{
	const struct top_sample *now = loop->model.now;
	char what[ERRLEN] = "";
	int rc;

	switch (key) {
	case TOP_KEY_NONE:
	case TOP_KEY_RESIZE:
		return true;
	case 'q':
	case 'Q':
	case 3: /* ^C, where the terminal does not make a signal of it */
		return false;
	case TOP_KEY_UP:
	case 'k':
		select_nic(loop, -1);
		return true;
	case TOP_KEY_DOWN:
	case 'j':
		select_nic(loop, 1);
		return true;
	default:
		break;
	}
	if (loop->source->key == NULL || now == NULL || now->n == 0)
		return true;
	rc = loop->source->key(
		loop->source->ctx, &now->nic[selected(loop)], key, what, sizeof(what));
	if (rc == 0)
		return true;
	top_model_note(&loop->model, time(NULL), "%s%s", rc < 0 ? "refused: " : "you: ", what);
	/* What it came to is seen at once. */
	*again = true;
	return true;
}

static void
watch(struct loop *loop, struct top_page *page)
{
	int64_t due = 0, now;
	bool again;

	while (ended == 0) {
		now = monotonic_ms();
		if (now >= due) {
			sample(loop);
			due = monotonic_ms() + loop->options->interval_ms;
		}
		draw(loop, page);
		now = monotonic_ms();
		again = false;
		if (!press(loop, screen_key(now < due ? (unsigned int)(due - now) : 0), &again))
			return;
		if (again)
			due = 0;
	}
}

static int
for_a_person(struct loop *loop)
{
	struct top_page *page = malloc(sizeof(*page));
	int rc = page == NULL ? -ENOMEM : screen_open();

	if (rc == 0) {
		watch(loop, page);
		screen_close();
	}
	free(page);
	if (rc == 0)
		return EXIT_SUCCESS;
	return complain(loop,
		rc == -ENOTTY	? "needs a terminal; --once prints a page, --json lines for scripts"
		: rc == -ENOSYS ? "was built without ncurses; --once and --json work"
				: "this terminal cannot show it (TERM); --once prints a page");
}

int
top_run(const struct top_source *source, const struct top_options *options)
{
	struct sigaction action = {.sa_handler = end};
	struct loop loop = {.source = source, .options = options};
	int status;

	/* Without SA_RESTART: what waits for a key goes on. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	status = options->once || options->json ? for_scripts(&loop) : for_a_person(&loop);
	top_model_free(&loop.model);
	return status;
}
