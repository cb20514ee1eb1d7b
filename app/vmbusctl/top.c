/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl top: samples by telemetry. It only looks: an application has no keys for others. */
#include "app/vmbusctl/top.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/top/source.h"
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/telemetry.h"

static const char usage[] =
	"Usage: vmbusctl top [--interval S] [--once] [--json] [--file-prefix NAME]\n"
	"Live view of a running DPDK application's netvsc ports, by its telemetry: rates, drops by\n"
	"reason, rings and sections, data path, events.\n"
	"\n"
	"  --interval S        seconds between two looks, from 0.1 (1)\n"
	"  --once              print one page and end\n"
	"  --json              print one JSON object per line and look, with --once one only\n"
	"  --file-prefix NAME  the application's, where several run\n";

struct source {
	struct telemetry telemetry;
	const char *prefix; /* NULL: the only one */
	char title[160];
};

static int
connected(struct source *s, char *errbuf, size_t errlen)
{
	int rc = telemetry_open(&s->telemetry, s->prefix, errbuf, errlen);

	if (rc == 0)
		snprintf(s->title, sizeof(s->title), "%s", s->telemetry.path);
	return rc;
}

/* One question; @return 0 with NULL when the port went away meanwhile, or a negative errno */
static int __attribute__((format(printf, 3, 4)))
ask(struct source *s, struct json_object **answer, const char *fmt, ...)
{
	char command[64];
	va_list args;
	int rc;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	*answer = telemetry_ask(&s->telemetry, command, &rc);
	return rc;
}

static int
take_port(struct source *s, unsigned int port, struct top_nic *nic)
{
	struct json_object *o, *queues;
	unsigned int n = 0;
	int rc = ask(s, &o, "/netvsc/info,%u", port);

	if (rc != 0 || o == NULL)
		return rc;
	top_take_info(o, port, nic);
	if (json_object_object_get_ex(o, "rx_queues", &queues))
		n = (unsigned int)json_object_get_int(queues);
	if (json_object_object_get_ex(o, "tx_queues", &queues) &&
		(unsigned int)json_object_get_int(queues) > n)
		n = (unsigned int)json_object_get_int(queues);
	json_object_put(o);
	for (unsigned int q = 0; q < n && q < TOP_NICS; q++) {
		rc = ask(s, &o, "/netvsc/queue,%u,%u", port, q);
		if (rc != 0)
			return rc;
		top_take_queue(o, nic);
		json_object_put(o);
	}
	rc = ask(s, &o, "/ethdev/stats,%u", port);
	if (rc != 0)
		/* Not of an application without that library's telemetry. */
		return rc == -EPROTO ? 0 : rc;
	top_take_ethdev(o, nic);
	json_object_put(o);
	return 0;
}

static int
take_ports(struct source *s, struct top_sample *sample)
{
	struct json_object *list;
	int rc = ask(s, &list, "/netvsc/list");

	for (size_t i = 0; rc == 0 && json_object_is_type(list, json_type_array) &&
			   i < json_object_array_length(list) && sample->n < TOP_NICS;
		i++) {
		struct top_nic *nic = &sample->nic[sample->n];

		rc = take_port(s,
			(unsigned int)json_object_get_int(json_object_array_get_idx(list, i)), nic);
		sample->n += nic->name[0] != '\0';
	}
	json_object_put(list);
	return rc;
}

static int
poll_application(void *ctx, struct top_sample *sample, char *errbuf, size_t errlen)
{
	struct source *s = ctx;
	int rc;

	/* It may have ended, and another one begun. */
	if (s->telemetry.fd < 0) {
		rc = connected(s, errbuf, errlen);
		if (rc != 0)
			return rc;
	}
	rc = take_ports(s, sample);
	if (rc == 0)
		return 0;
	snprintf(errbuf, errlen, "no answer from %s: %s; is the application running?",
		s->telemetry.path, strerror(-rc));
	telemetry_close(&s->telemetry);
	return rc;
}

int
ctl_top(int argc, char **argv)
{
	struct source s = {.telemetry = {.fd = -1}};
	struct top_options options = {.takes_prefix = true};
	struct top_source source = {
		.ctx = &s,
		.program = "vmbusctl top",
		.title = s.title,
		.keys = "",
		.poll = poll_application,
	};
	char why[1024];
	int rc;

	argv[0] = (char *)"vmbusctl top";
	rc = top_options_parse(&options, &argc, argv, usage, 0);
	if (rc >= 0)
		return rc;
	s.prefix = options.file_prefix;
	if (connected(&s, why, sizeof(why)) != 0) {
		fprintf(stderr, "vmbusctl top: %s\n", why);
		return CTL_FAILED;
	}
	rc = top_run(&source, &options);
	telemetry_close(&s.telemetry);
	return rc;
}
