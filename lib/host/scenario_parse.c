/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of a scenario. */
#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/control_internal.h"
#include "lib/host/file_open.h"
#include "lib/host/nic.h"
#include "lib/host/scenario_internal.h"
#include "lib/vmbus/number.h"

#define WORDS_MAX 32
#define NSEC	  1e9
/* A year: nothing later is meant, and sums of two stay in range. */
#define SECONDS_MAX 31536000.0
/* A period below this would leave the host no time for its guests. */
#define PERIOD_MIN UINT64_C(1000000)
#define WAIT_NS	   UINT64_C(60000000000)

struct parser {
	struct host_scenario *s;
	unsigned int line, nics, phase;
	uint64_t last; /* time of the line before, in this phase */
	bool endless;  /* a period of this phase has no end */
	char *errbuf;
	size_t errlen;
};

static int __attribute__((format(printf, 2, 3))) bad(struct parser *p, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(p->errbuf, p->errlen, "%s:%u: ", p->s->path, p->line);

	if (n > 0 && (size_t)n < p->errlen) {
		va_start(ap, fmt);
		vsnprintf(p->errbuf + n, p->errlen - (size_t)n, fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

static bool
take_time(const char *text, uint64_t *ns)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"min", 60}};
	char *rest;
	double value;

	/* strtod() takes words and signs, too. */
	if (!isdigit((unsigned char)text[0]) && text[0] != '.')
		return false;
	value = strtod(text, &rest);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(rest, units[i].unit) == 0 && value * units[i].seconds <= SECONDS_MAX) {
			*ns = (uint64_t)llround(value * units[i].seconds * NSEC);
			return true;
		}
	return false;
}

static struct scenario_step *
add(struct parser *p, enum scenario_kind kind, int argc, char **argv)
{
	struct host_scenario *s = p->s;
	struct scenario_step *steps = realloc(s->steps, (s->n + 1) * sizeof(*steps)), *step;
	size_t room = 1;

	if (steps == NULL)
		return NULL;
	s->steps = steps;
	step = &steps[s->n];
	memset(step, 0, sizeof(*step));
	for (int i = 0; i < argc; i++)
		room += strlen(argv[i]) + 1;
	step->text = calloc(1, room);
	if (step->text == NULL)
		return NULL;
	for (int i = 0; i < argc; i++)
		sprintf(step->text + strlen(step->text), "%s%s", i > 0 ? " " : "", argv[i]);
	s->n++;
	step->kind = kind;
	step->line = p->line;
	step->phase = p->phase;
	return step;
}

static int
check_nic(struct parser *p, const char *word, uint64_t *number)
{
	if (number_parse(word, NUMBER_PLAIN, 0, UINT32_MAX, number) != 0)
		return bad(p, "'%s' is no NIC's number", word);
	if (*number >= p->nics)
		return bad(p, "there is no NIC %s; the last one is %u", word, p->nics - 1);
	return 0;
}

/* COMMAND [NIC] [KEY=VALUE]...; what it does with its values shows when it is done. */
static int
check_command(struct parser *p, int argc, char **argv)
{
	uint64_t number;
	bool named;

	if (argc == 0)
		return bad(p, "a command is missing");
	if (!control_is_command(argv[0]) || strcmp(argv[0], "stats") == 0 ||
		strcmp(argv[0], "rings") == 0)
		return bad(p,
			"'%s' is no command of a scenario: link, vf, set, trace, rescind, offer or "
			"end",
			argv[0]);
	named = argc > 1 && strchr(argv[1], '=') == NULL && !control_is_word(argv[0], argv[1]);
	if (named && check_nic(p, argv[1], &number) != 0)
		return -EINVAL;
	if (!named && p->nics > 1 && strcmp(argv[0], "trace") != 0)
		return bad(p, "'%s' needs the number of a NIC", argv[0]);
	for (int i = named ? 2 : 1; i < argc; i++) {
		if (control_is_word(argv[0], argv[i]))
			continue;
		if (strchr(argv[i], '=') == NULL)
			return bad(p, "'%s' is not KEY=VALUE", argv[i]);
		if (strcmp(argv[0], "set") == 0 && strncmp(argv[i], "name=", 5) == 0 &&
			!host_nic_has_knob(argv[i] + 5))
			return bad(
				p, "there is no knob %s (hvsim ctl knobs lists them)", argv[i] + 5);
	}
	return 0;
}

static int
take_command(struct parser *p, int argc, char **argv, uint64_t at, uint64_t period, uint64_t until)
{
	bool end = argc == 1 && strcmp(argv[0], "end") == 0;
	struct json_object *request;
	char why[256];
	struct scenario_step *step;

	if (!end && check_command(p, argc, argv) != 0)
		return -EINVAL;
	if (end && period != 0)
		return bad(p, "it ends once: TIME end");
	step = add(p, end ? SCENARIO_END : SCENARIO_COMMAND, argc, argv);
	if (step == NULL)
		return -ENOMEM;
	step->at = at;
	step->period = period;
	step->until = until;
	p->last = at;
	if (end) {
		p->endless = false;
		return 0;
	}
	if (control_check_words(argc, argv, why, sizeof(why)) != 0)
		return bad(p, "%s", why);
	request = control_request(argc, argv);
	if (request == NULL)
		return bad(p, "'%s' is no command", step->text);
	if (control_check(request, why, sizeof(why)) != 0) {
		json_object_put(request);
		return bad(p, "%s", why);
	}
	step->request = strdup(json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN));
	json_object_put(request);
	return step->request == NULL ? -ENOMEM : 0;
}

/* every PERIOD [from TIME] [to TIME] COMMAND... */
static int
take_every(struct parser *p, int argc, char **argv)
{
	uint64_t period, from, to = SCENARIO_NEVER;
	int i = 2;

	if (argc < 2 || !take_time(argv[1], &period) || period < PERIOD_MIN)
		return bad(p, "every needs a period of at least 1ms, as in 500ms or 2.5");
	from = period;
	if (argc > i + 1 && strcmp(argv[i], "from") == 0) {
		if (!take_time(argv[i + 1], &from))
			return bad(p, "'%s' is no time", argv[i + 1]);
		i += 2;
	}
	if (argc > i + 1 && strcmp(argv[i], "to") == 0) {
		if (!take_time(argv[i + 1], &to))
			return bad(p, "'%s' is no time", argv[i + 1]);
		if (to < from)
			return bad(p, "it would end before it begins");
		i += 2;
	}
	p->endless |= to == SCENARIO_NEVER;
	return take_command(p, argc - i, argv + i, from, period, to);
}

/* wait [within TIME] NIC KEY=VALUE|KEY>=VALUE */
static int
take_wait(struct parser *p, int argc, char **argv)
{
	uint64_t within = WAIT_NS, number, least = 0;
	struct scenario_step *step;
	const char *word, *value;
	char request[64];
	size_t key_len;
	bool at_least;
	int i = 1;

	if (argc > 2 && strcmp(argv[1], "within") == 0) {
		if (!take_time(argv[2], &within))
			return bad(p, "'%s' is no time", argv[2]);
		i = 3;
	}
	word = argc == i + 2 ? argv[i + 1] : "";
	key_len = strcspn(word, ">=");
	at_least = word[key_len] == '>';
	value = word + key_len + at_least;
	if (key_len == 0 || *value++ != '=')
		return bad(p, "wait needs a NIC and what its stats are to say, as in: wait 0 "
			      "state=running, or: wait within 10 0 rx_frames>=1000");
	if (at_least && number_parse(value, NUMBER_PLAIN, 0, UINT64_MAX, &least) != 0)
		return bad(p, "'%s' is no whole number, which >= is for", value);
	if (check_nic(p, argv[i], &number) != 0)
		return -EINVAL;
	if (p->endless)
		return bad(p, "an every above has no end, so this is never reached: give it a to");
	p->phase++;
	p->last = 0;
	step = add(p, SCENARIO_WAIT, argc, argv);
	if (step == NULL)
		return -ENOMEM;
	snprintf(request, sizeof(request), "{\"cmd\":\"stats\",\"nic\":%u}", (unsigned int)number);
	step->request = strdup(request);
	step->within = within;
	step->value = strdup(value);
	step->at_least = at_least;
	step->least = least;
	step->key = strndup(word, key_len);
	return step->request == NULL || step->key == NULL || step->value == NULL ? -ENOMEM : 0;
}

static int
take_line(struct parser *p, char *line)
{
	char *argv[WORDS_MAX], *save = NULL, *word;
	uint64_t at;
	int argc = 0;

	line[strcspn(line, "#\n")] = '\0';
	for (word = strtok_r(line, " \t\r", &save); word != NULL;
		word = strtok_r(NULL, " \t\r", &save)) {
		if (argc == WORDS_MAX)
			return bad(p, "more than %d words", WORDS_MAX);
		argv[argc++] = word;
	}
	if (argc == 0)
		return 0;
	if (strcmp(argv[0], "every") == 0)
		return take_every(p, argc, argv);
	if (strcmp(argv[0], "wait") == 0)
		return take_wait(p, argc, argv);
	if (!take_time(argv[0] + (argv[0][0] == '+'), &at))
		return bad(p, "'%s' is no time (1.5, +200ms, 2min), every or wait", argv[0]);
	if (argv[0][0] == '+')
		at += p->last;
	return take_command(p, argc - 1, argv + 1, at, 0, at);
}

int
host_scenario_load(struct host_scenario **scenario, const char *path, unsigned int nics,
	char *errbuf, size_t errlen)
{
	struct host_scenario *s = calloc(1, sizeof(*s));
	struct parser p = {.s = s, .nics = nics, .errbuf = errbuf, .errlen = errlen};
	const char *why = NULL;
	char *line = NULL;
	size_t room = 0;
	FILE *f = NULL;
	int rc = -ENOMEM;

	snprintf(errbuf, errlen, "%s: out of memory", path);
	if (s != NULL && (s->path = strdup(path)) != NULL) {
		f = file_open_read(path, &why);
		rc = f == NULL ? -errno : 0;
		if (rc != 0)
			snprintf(errbuf, errlen, "cannot read the scenario %s: %s", path, why);
	}
	while (rc == 0 && getline(&line, &room, f) > 0) {
		p.line++;
		rc = take_line(&p, line);
	}
	if (rc == 0 && ferror(f) != 0) {
		rc = errno != 0 ? -errno : -EIO;
		snprintf(errbuf, errlen, "cannot read the scenario %s: %s", path, strerror(-rc));
	}
	if (rc == 0 && s->n == 0)
		rc = bad(&p, "there is no command in it");
	free(line);
	if (f != NULL)
		fclose(f);
	if (rc == 0)
		*scenario = s;
	else
		host_scenario_free(s);
	return rc;
}

void
host_scenario_free(struct host_scenario *s)
{
	if (s == NULL)
		return;
	for (unsigned int i = 0; i < s->n; i++) {
		free(s->steps[i].request);
		free(s->steps[i].text);
		free(s->steps[i].key);
		free(s->steps[i].value);
	}
	free(s->steps);
	free(s->path);
	free(s);
}
