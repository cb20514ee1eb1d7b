/* SPDX-License-Identifier: BSD-3-Clause */
/* hvsim top: samples by the control socket, and keys that are its commands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/hvsim/top.h"
#include "app/top/source.h"
#include "lib/host/control.h"

static const char usage[] =
	"Usage: %s [--interval S] [--once] [--json] [SOCKET]\n"
	"Live view of a running host: rates, drops by reason, rings, events; keys take its NICs down\n"
	"and up. SOCKET is its control socket, needed only where several hosts run.\n\n"
	"  --interval S  seconds between two looks, from 0.1 (1)\n"
	"  --once        print one page and end\n"
	"  --json        print one JSON object per line and look, with --once one only\n";

struct source {
	char path[VFU_PATH_MAX];
	bool listed; /* nobody named it */
};

/* @return 0 and the answer, or a negative errno with a sentence */
static int
ask(const struct source *s, const char *request, struct json_object **answer, char *errbuf,
	size_t errlen)
{
	struct json_object *o, *ok;
	char *line;
	int rc = host_control_ask(s->path, s->listed, request, &line);

	if (rc != 0) {
		snprintf(errbuf, errlen, "no answer from %s: %s; is the host running?", s->path,
			strerror(-rc));
		return rc;
	}
	o = json_tokener_parse(line);
	free(line);
	if (o == NULL || !json_object_object_get_ex(o, "ok", &ok)) {
		json_object_put(o);
		snprintf(errbuf, errlen, "%s does not speak the control protocol", s->path);
		return -EPROTO;
	}
	if (!json_object_get_boolean(ok)) {
		json_object_object_get_ex(o, "error", &ok);
		snprintf(errbuf, errlen, "%s", json_object_get_string(ok));
		host_control_printable(errbuf);
		json_object_put(o);
		return -EINVAL;
	}
	*answer = o;
	return 0;
}

static int
poll_host(void *ctx, struct top_sample *sample, char *errbuf, size_t errlen)
{
	struct json_object *answer;
	char request[64];
	int rc = ask(ctx, "{\"cmd\":\"stats\"}", &answer, errbuf, errlen);

	if (rc != 0)
		return rc;
	top_parse_stats(answer, sample);
	json_object_put(answer);
	for (unsigned int i = 0; i < sample->n; i++) {
		snprintf(request, sizeof(request), "{\"cmd\":\"rings\",\"nic\":%s}",
			sample->nic[i].name);
		rc = ask(ctx, request, &answer, errbuf, errlen);
		if (rc != 0)
			return rc;
		top_parse_rings(answer, &sample->nic[i]);
		json_object_put(answer);
	}
	return 0;
}

static int
command(struct source *s, const char *request, char *errbuf, size_t errlen)
{
	struct json_object *answer;
	int rc = ask(s, request, &answer, errbuf, errlen);

	if (rc == 0)
		json_object_put(answer);
	return rc;
}

/* Both directions, or what is left of a stall of one of them. */
static int
stall(struct source *s, const struct top_nic *nic, char *errbuf, size_t errlen)
{
	static const char *const knobs[] = {"stall", "stall_rx"};
	char request[96];
	int rc = 0;

	for (unsigned int i = 0; i < 2 && rc == 0; i++) {
		snprintf(request, sizeof(request),
			"{\"cmd\":\"set\",\"nic\":%s,\"name\":\"%s\",\"value\":\"%d\"}", nic->name,
			knobs[i], !nic->stalled);
		rc = command(s, request, errbuf, errlen);
	}
	return rc;
}

static int
press(void *ctx, const struct top_nic *nic, int key, char *what, size_t size)
{
	bool down = strcmp(nic->link, "down") == 0;
	char request[96], why[512];
	int rc;

	switch (key) {
	case 's':
		rc = stall(ctx, nic, why, sizeof(why));
		snprintf(what, size, "NIC %s %s", nic->name, nic->stalled ? "goes on" : "stalled");
		break;
	case 'l':
		snprintf(request, sizeof(request), "{\"cmd\":\"link\",\"nic\":%s,\"up\":%s}",
			nic->name, down ? "true" : "false");
		rc = command(ctx, request, why, sizeof(why));
		snprintf(what, size, "NIC %s link %s", nic->name, down ? "up" : "down");
		break;
	case 'r':
	case 'o':
		snprintf(request, sizeof(request), "{\"cmd\":\"%s\",\"nic\":%s}",
			key == 'r' ? "rescind" : "offer", nic->name);
		rc = command(ctx, request, why, sizeof(why));
		snprintf(what, size, "NIC %s %s", nic->name, key == 'r' ? "rescinded" : "offered");
		break;
	default:
		return 0;
	}
	if (rc == 0)
		return 1;
	snprintf(what, size, "%s", why);
	return rc;
}

static char program[48];

int
hvsim_top(int argc, char **argv)
{
	struct source s = {.listed = false};
	struct top_options options = {.takes_prefix = false};
	struct top_source source = {
		.ctx = &s,
		.program = program,
		.title = s.path,
		.keys = "s stall  l link  r rescind  o offer",
		.poll = poll_host,
		.key = press,
	};
	char why[2048], text[sizeof(usage) + sizeof(program)];
	int rc;

	/* hvsim, or hvsim-vm. */
	snprintf(program, sizeof(program), "%s top", program_invocation_short_name);
	snprintf(text, sizeof(text), usage, program);
	argv[0] = program;
	rc = top_options_parse(&options, &argc, argv, text, 1);
	if (rc >= 0)
		return rc;
	if (argc == 2) {
		if (strlen(argv[1]) >= sizeof(s.path)) {
			fprintf(stderr, "%s: %s: too long for a socket address\n", program,
				argv[1]);
			return 2;
		}
		strcpy(s.path, argv[1]);
	} else if (host_control_find(s.path, &s.listed, why, sizeof(why)) != 0) {
		fprintf(stderr, "%s: %s\n", program, why);
		return EXIT_FAILURE;
	}
	return top_run(&source, &options);
}
