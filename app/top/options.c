/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that both live views have. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/top/source.h"

#define USAGE_STATUS 2
#define INTERVAL_MS  1000u

static bool
parse_interval(const char *text, unsigned int *ms)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (rest == text || *rest != '\0' || !(seconds >= 0.1 && seconds <= 3600))
		return false;
	*ms = (unsigned int)(seconds * 1000);
	return true;
}

int
top_options_parse(
	struct top_options *options, int *argc, char **argv, const char *usage, int others)
{
	static const struct option longs[] = {
		{"interval", required_argument, NULL, 'i'},
		{"file-prefix", required_argument, NULL, 'f'},
		{"once", no_argument, NULL, 'o'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool seen[128] = {false};
	int option, left;

	options->interval_ms = INTERVAL_MS;
	while ((option = getopt_long(*argc, argv, "i:oh", longs, NULL)) != -1) {
		if (optarg != NULL && seen[option]) {
			fprintf(stderr, "%s: --%s %s: this option is there twice\n", argv[0],
				option == 'i' ? "interval" : "file-prefix", optarg);
			return USAGE_STATUS;
		}
		seen[option] = true;
		switch (option) {
		case 'i':
			if (parse_interval(optarg, &options->interval_ms))
				break;
			fprintf(stderr, "%s: --interval %s: not seconds from 0.1 to 3600\n",
				argv[0], optarg);
			return USAGE_STATUS;
		case 'f':
			options->file_prefix = optarg;
			if (options->takes_prefix)
				break;
			fprintf(stderr, "%s: there is no --file-prefix here\n", argv[0]);
			return USAGE_STATUS;
		case 'o':
			options->once = true;
			break;
		case 'j':
			options->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default: /* getopt has said what is wrong */
			return USAGE_STATUS;
		}
	}
	left = *argc - optind;
	if (left > others) {
		fprintf(stderr, "%s: '%s' is one argument too many\n%s", argv[0], argv[*argc - 1],
			usage);
		return USAGE_STATUS;
	}
	memmove(argv + 1, argv + optind, (size_t)left * sizeof(argv[0]));
	*argc = left + 1;
	return -1;
}
