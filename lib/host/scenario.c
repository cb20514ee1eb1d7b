/* SPDX-License-Identifier: BSD-3-Clause */
/* The run of a scenario, by the clock of its owner. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/log.h"
#include "lib/host/scenario_internal.h"

/* Commands of one turn. */
#define TURN 64u
/* Between two looks at what is waited for. */
#define LOOK_NS UINT64_C(10000000)

/* The steps of a phase can begin; a wait is due at once. */
static void
begin_phase(struct host_scenario *s, uint64_t now)
{
	s->origin = now;
	for (unsigned int i = 0; i < s->n; i++)
		if (s->steps[i].phase == s->phase && s->steps[i].kind != SCENARIO_WAIT)
			s->steps[i].next = s->steps[i].at;
}

static const struct scenario_step *
wait_of(const struct host_scenario *s, unsigned int phase)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->steps[i].phase == phase && s->steps[i].kind == SCENARIO_WAIT)
			return &s->steps[i];
	return NULL;
}

/* The step of this phase that comes next: of equal times the one that was written first. */
static struct scenario_step *
first(const struct host_scenario *s)
{
	struct scenario_step *found = NULL;

	for (unsigned int i = 0; i < s->n; i++)
		if (s->steps[i].phase == s->phase && s->steps[i].kind != SCENARIO_WAIT &&
			s->steps[i].next != SCENARIO_NEVER &&
			(found == NULL || s->steps[i].next < found->next))
			found = &s->steps[i];
	return found;
}

static void
end(struct host_scenario *s, uint64_t now, const char *why)
{
	s->ended = true;
	log_line("scenario %s: ended after %.1f s%s, %u command%s, %u failed", s->path,
		(double)(now - s->started) / 1e9, why, s->executed, s->executed == 1 ? "" : "s",
		s->failures);
}

/* All of a phase is done: the next one begins, with its wait. */
static void
next_phase(struct host_scenario *s, uint64_t now)
{
	s->wait = wait_of(s, s->phase + 1);
	if (s->wait == NULL) {
		end(s, now, "");
		return;
	}
	s->phase++;
	s->origin = s->look = now;
}

void
host_scenario_start(struct host_scenario *s, uint64_t now)
{
	s->started = now;
	begin_phase(s, now);
	if (first(s) == NULL)
		next_phase(s, now);
}

uint64_t
host_scenario_deadline(const struct host_scenario *s)
{
	const struct scenario_step *step;

	if (s->ended)
		return UINT64_MAX;
	if (s->wait != NULL)
		return s->look;
	step = first(s);
	/* None is left: run() goes on at once. */
	return step == NULL ? s->origin : s->origin + step->next;
}

static void
command(struct host_scenario *s, const struct scenario_step *step,
	char *(*execute)(void *ctx, const char *request), void *ctx)
{
	char *line = execute(ctx, step->request);
	struct json_object *answer = line == NULL ? NULL : json_tokener_parse(line), *o;

	s->executed++;
	if (!json_object_object_get_ex(answer, "ok", &o) || !json_object_get_boolean(o)) {
		s->failures++;
		log_line("%s:%u: %s: %s", s->path, step->line, step->text,
			json_object_object_get_ex(answer, "error", &o) ? json_object_get_string(o)
								       : "no answer");
	}
	json_object_put(answer);
	free(line);
}

/*
 * Do the statistics say what is waited for? Members of members are named with dots.
 * @return 1 yes, 0 not yet, -1 never: what is no number is never at least one
 */
static int
met(const struct scenario_step *step, struct json_object *stats)
{
	char key[128], *save = NULL, *part;

	snprintf(key, sizeof(key), "%s", step->key);
	for (part = strtok_r(key, ".", &save); part != NULL; part = strtok_r(NULL, ".", &save))
		if (!json_object_object_get_ex(stats, part, &stats))
			return 0;
	if (stats == NULL)
		return 0;
	if (!step->at_least)
		return strcmp(json_object_get_string(stats), step->value) == 0;
	if (!json_object_is_type(stats, json_type_int))
		return -1;
	return json_object_get_uint64(stats) >= step->least;
}

static void
look(struct host_scenario *s, uint64_t now, char *(*execute)(void *ctx, const char *request),
	void *ctx)
{
	const struct scenario_step *step = s->wait;
	char *line = execute(ctx, step->request);
	struct json_object *answer = line == NULL ? NULL : json_tokener_parse(line), *stats;
	int is = json_object_object_get_ex(answer, "stats", &stats) ? met(step, stats) : 0;

	json_object_put(answer);
	free(line);
	s->look = now + LOOK_NS;
	if (s->look > s->origin + step->within)
		s->look = s->origin + step->within;
	if (is > 0) {
		s->wait = NULL;
		begin_phase(s, now);
	} else if (is < 0) {
		s->failures++;
		log_line("%s:%u: %s: %s is no number", s->path, step->line, step->text, step->key);
		end(s, now, " by a wait that came to nothing");
	} else if (now - s->origin >= step->within) {
		s->failures++;
		log_line("%s:%u: %s: not so within %.1f s", s->path, step->line, step->text,
			(double)step->within / 1e9);
		end(s, now, " by a wait that came to nothing");
	}
}

void
host_scenario_run(struct host_scenario *s, uint64_t now,
	char *(*execute)(void *ctx, const char *request), void *ctx)
{
	struct scenario_step *step;

	for (unsigned int n = 0; n < TURN && !s->ended; n++) {
		if (s->wait != NULL) {
			if (now < s->look)
				return;
			look(s, now, execute, ctx);
			continue;
		}
		step = first(s);
		if (step == NULL) {
			next_phase(s, now);
			continue;
		}
		if (now < s->origin + step->next)
			return;
		if (step->kind == SCENARIO_END) {
			end(s, now, "");
			return;
		}
		step->next = step->period != 0 && step->next + step->period <= step->until
				     ? step->next + step->period
				     : SCENARIO_NEVER;
		command(s, step, execute, ctx);
	}
}

bool
host_scenario_ended(const struct host_scenario *s)
{
	return s->ended;
}

unsigned int
host_scenario_failures(const struct host_scenario *s)
{
	return s->failures;
}
