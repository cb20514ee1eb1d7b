/* SPDX-License-Identifier: BSD-3-Clause */
/* Command line of hvsim. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/common/verb.h"
#include "app/hvsim/hvsim.h"
#include "lib/host/control.h"
#include "lib/vmbus/guid.h"
#include "lib/vmbus/number.h"

#define USAGE_STATUS 2

static void
help(FILE *f)
{
	fprintf(f,
		"Usage: hvsim [--dir DIR] --nic KEY=VALUE,...,port=SPEC [--nic ...] [OPTION]...\n"
		"       hvsim ctl [--json] [SOCKET] COMMAND [NIC] [KEY=VALUE]...\n"
		"       hvsim top [--interval S] [--once] [--json] [SOCKET]\n"
		"Serve simulated Hyper-V NICs to DPDK programs, one vfio-user socket each.\n\n"
		"  --dir DIR            where the sockets are (/run/hyperpoll as root, with --user\n"
		"                       /run/hyperpoll/NAME, else $XDG_RUNTIME_DIR/hyperpoll); made if\n"
		"                       missing\n"
		"  --nic SPEC           one NIC; repeat for more\n"
		"  --threads N          polling threads, the NICs are spread over them (1); those beyond the\n"
		"                       number of NICs take channels of NICs that allow it (spread=)\n"
		"  --control PATH       control socket (DIR/control.sock)\n"
		"  --poll busy|adaptive never sleep, or sleep after 100 us without work (adaptive)\n"
		"  --user NAME[:GROUP]  become this user, without capabilities, when the ports are open\n"
		"  --client-maps N      mappings of memory that one client may have\n"
		"  --client-memory SIZE bytes of memory that one client may share\n"
		"  --client-fds N       eventfds that one client may install\n"
		"                       (each NIC's share of what the process may have)\n"
		"  --duration S         end after S seconds\n"
		"  --stats-interval S   print rates every S seconds\n"
		"  --trace FILE         write the VMBus packets of all NICs into a pcapng file, but for\n"
		"                       NICs that have their own\n"
		"  --scenario FILE      commands of ctl at times, as data (hvsim(1), SCENARIOS)\n"
		"  --exit-after-scenario  end with it; status 1 if a command failed\n"
		"  --rings              print the rings' indices and masks with the rates and at the end\n"
		"  --json               these reports as JSON, one object per line\n"
		"  --help, --version\n\n"
		"Keys of --nic:\n%s\nPorts:\n%s\nCommands of ctl:\n%s\n"
		"SIGINT and SIGTERM end hvsim; it prints the totals of each NIC.\n",
		host_nic_config_help, host_port_help, host_control_help);
}

static int
complain(const char *option, const char *value, const char *what)
{
	fprintf(stderr, "hvsim: --%s %s: %s\n", option, value, what);
	return USAGE_STATUS;
}

static int
parse_number(const char *option, const char *text, uint32_t min, uint32_t max, uint32_t *number)
{
	char why[64];
	uint64_t n;

	if (number_parse(text, NUMBER_PLAIN, min, max, &n) != 0) {
		snprintf(why, sizeof(why), "not a number from %u to %u", min, max);
		return complain(option, text, why);
	}
	*number = (uint32_t)n;
	return -1;
}

static int
parse_path(const char *option, const char *text, char path[VFU_PATH_MAX])
{
	if (text[0] == '\0' || strlen(text) >= VFU_PATH_MAX)
		return complain(option, text, "empty, or too long for a socket address");
	strcpy(path, text);
	return -1;
}

static int
parse_nic(struct hvsim_options *o, const char *text)
{
	char why[HVSIM_ERRLEN] = "";

	if (o->n_nics == HVSIM_MAX_NICS)
		return complain("nic", text, "a host serves 64 NICs at most");
	if (host_nic_config_parse(text, o->n_nics, &o->nics[o->n_nics], why, sizeof(why)) != 0)
		return complain("nic", text, why);
	o->n_nics++;
	return -1;
}

static int
parse_client_memory(struct hvsim_options *o, const char *text)
{
	if (number_parse(text, NUMBER_KMG_1024, UINT64_C(1) << 20, HOST_MEMMAP_MAX_BYTES,
		    &o->budget.bytes) != 0)
		return complain("client-memory", text, "not a size from 1M to 1024G");
	return -1;
}

static int
parse_poll(struct hvsim_options *o, const char *text)
{
	o->busy = strcmp(text, "busy") == 0;
	if (!o->busy && strcmp(text, "adaptive") != 0)
		return complain("poll", text, "must be busy or adaptive");
	return -1;
}

static int
parse_user(struct hvsim_options *o, const char *text)
{
	char why[HVSIM_ERRLEN];

	if (privileges_parse(text, &o->user, why, sizeof(why)) != 0)
		return complain("user", text, why);
	return -1;
}

static int
parse_trace(struct hvsim_options *o, const char *text)
{
	if (text[0] == '\0' || strlen(text) >= sizeof(o->trace))
		return complain("trace", text, "not a file's name of 1 to 255 characters");
	strcpy(o->trace, text);
	return -1;
}

static int
parse_one(struct hvsim_options *o, int option, const char *value)
{
	switch (option) {
	case 'd':
		return parse_path("dir", value, o->dir);
	case 'n':
		return parse_nic(o, value);
	case 't':
		return parse_number("threads", value, 1, HVSIM_MAX_WORKERS, &o->threads);
	case 'c':
		return parse_path("control", value, o->control);
	case 'p':
		return parse_poll(o, value);
	case 'u':
		return parse_user(o, value);
	case 'm':
		return parse_number(
			"client-maps", value, 1, HOST_MEMMAP_MAX_ENTRIES, &o->budget.maps);
	case 'b':
		return parse_client_memory(o, value);
	case 'f':
		return parse_number("client-fds", value, 1, HOST_MAX_CHANNELS + 1, &o->budget.fds);
	case 'D':
		return parse_number("duration", value, 1, UINT32_MAX, &o->duration_s);
	case 'i':
		return parse_number("stats-interval", value, 1, 86400, &o->interval_s);
	case 'T':
		return parse_trace(o, value);
	case 'r':
		o->rings = true;
		return -1;
	case 's':
		o->scenario_path = value;
		return -1;
	case 'x':
		o->exit_after_scenario = true;
		return -1;
	case 'j':
		o->json = true;
		return -1;
	case 'h':
		help(stdout);
		return EXIT_SUCCESS;
	case 'V':
		printf("hvsim %s\n", HVSIM_VERSION);
		return EXIT_SUCCESS;
	default: /* getopt has said what is wrong */
		return USAGE_STATUS;
	}
}

static int
check(struct hvsim_options *o)
{
	char why[HVSIM_ERRLEN] = "", path[VFU_PATH_MAX];
	unsigned int most = 0; /* threads that could have anything to do */

	if (o->n_nics == 0) {
		fprintf(stderr, "hvsim: no NIC given; add --nic port=SPEC (see hvsim --help)\n");
		return USAGE_STATUS;
	}
	if (o->dir[0] == '\0' && vfu_server_dir(o->dir, o->user.set ? o->user.name : NULL) != 0) {
		fprintf(stderr,
			"hvsim: give --dir DIR: not root, and XDG_RUNTIME_DIR is not set\n");
		return USAGE_STATUS;
	}
	if (o->control[0] == '\0' && snprintf(o->control, sizeof(o->control), "%s/control.sock",
					     o->dir) >= (int)sizeof(o->control))
		return complain("dir", o->dir, "too long for socket addresses");
	for (unsigned int i = 0; i < o->n_nics; i++)
		if (vfu_socket_path(o->dir, o->nics[i].instance, path) != 0)
			return complain("dir", o->dir, "too long for socket addresses");
	if (host_nic_configs_check(o->nics, o->n_nics, why, sizeof(why)) != 0) {
		fprintf(stderr, "hvsim: --nic: %s\n", why);
		return USAGE_STATUS;
	}
	for (unsigned int i = 0; i < o->n_nics; i++) {
		if (o->nics[i].trace[0] == '\0')
			strcpy(o->nics[i].trace, o->trace);
		most += o->nics[i].channels;
	}
	if (o->exit_after_scenario && o->scenario_path == NULL) {
		fprintf(stderr, "hvsim: --exit-after-scenario needs --scenario FILE\n");
		return USAGE_STATUS;
	}
	if (o->scenario_path != NULL && host_scenario_load(&o->scenario, o->scenario_path,
						o->n_nics, why, sizeof(why)) != 0) {
		fprintf(stderr, "hvsim: %s\n", why);
		return USAGE_STATUS;
	}
	if (o->threads > most)
		o->threads = most;
	return -1;
}

static const char *
name_of(const struct option *longs, int option)
{
	while (longs->val != option)
		longs++;
	return longs->name;
}

int
options_parse(struct hvsim_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"dir", required_argument, NULL, 'd'},
		{"nic", required_argument, NULL, 'n'},
		{"threads", required_argument, NULL, 't'},
		{"control", required_argument, NULL, 'c'},
		{"poll", required_argument, NULL, 'p'},
		{"user", required_argument, NULL, 'u'},
		{"client-maps", required_argument, NULL, 'm'},
		{"client-memory", required_argument, NULL, 'b'},
		{"client-fds", required_argument, NULL, 'f'},
		{"duration", required_argument, NULL, 'D'},
		{"stats-interval", required_argument, NULL, 'i'},
		{"trace", required_argument, NULL, 'T'},
		{"rings", no_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"scenario", required_argument, NULL, 's'},
		{"exit-after-scenario", no_argument, NULL, 'x'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	static const char *const verbs[] = {"ctl", "top", NULL};
	bool seen[128] = {false};
	int option, rc;

	memset(options, 0, sizeof(*options));
	options->threads = 1;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		/* The second value would take the place of the first. */
		if (option != 'n' && optarg != NULL && seen[option])
			return complain(
				name_of(longs, option), optarg, "this option is there twice");
		seen[option] = true;
		rc = parse_one(options, option, optarg);
		if (option == '?' && !verb_is_late("hvsim", argc, argv, verbs))
			fprintf(stderr, "Try 'hvsim --help'.\n");
		if (rc >= 0)
			return rc;
	}
	if (optind < argc) {
		if (!verb_is_late("hvsim", 2, argv + optind - 1, verbs))
			fprintf(stderr, "hvsim: what is '%s'? Try 'hvsim --help'.\n", argv[optind]);
		return USAGE_STATUS;
	}
	return check(options);
}
