/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic test of vmbusctl report: which adapters, the commands, what became of the frames. */
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/report.h"

/* All of a run within what a program may take (ctl_program()). */
#define SECONDS "5"

static bool
installed(const struct ctl *ctl, const char *library, char *path, size_t size)
{
	static const char *const places[] = {"usr/lib/*-linux-gnu/dpdk/pmds-*",
		"usr/lib*/dpdk/pmds-*", "usr/local/lib/*-linux-gnu/dpdk/pmds-*",
		"usr/local/lib*/dpdk/pmds-*", "usr/lib/*-linux-gnu", "usr/lib*",
		"usr/local/lib/*-linux-gnu", "usr/local/lib*"};
	char pattern[VMBUS_SYSFS_PATH_MAX];
	glob_t found = {0};
	bool is = false;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !is; i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s/%s.so*", ctl->root, places[i], library);
		is = glob(pattern, 0, NULL, &found) == 0;
		if (is)
			snprintf(path, size, "%s", found.gl_pathv[0] + strlen(ctl->root));
		globfree(&found);
	}
	return is;
}

/* Texts of a run: the plugin, the devices, whom each sends to. */
enum { PLUGIN, DEVICE, PEER = DEVICE + 2 };

static void
add(const char *words[TRAFFIC_WORDS], unsigned int *n, const char *word)
{
	if (*n + 1 < TRAFFIC_WORDS)
		words[(*n)++] = word;
	words[*n] = NULL;
}

/* One command of a run, whose texts are there. */
static void
make_words(const struct traffic_run *run, const char *words[TRAFFIC_WORDS], const char *mode,
	bool exchanges)
{
	static const char *const begin[] = {"timeout", "-s", "INT", "-k", "2", SECONDS,
		"dpdk-testpmd", "--in-memory", "--no-pci", "--file-prefix", "vmbusctl-report"};
	static const char *const end[] = {
		"--no-flush-rx", "--stats-period", "1", "--total-num-mbufs=16384"};
	unsigned int n = 0;

	/* What is loaded besides leaves the bus to DPDK's own. */
	if (run->text[PLUGIN][0] == '\0') {
		add(words, &n, "env");
		add(words, &n, "HYPERPOLL_YIELD=1");
	}
	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		add(words, &n, begin[i]);
	if (run->text[PLUGIN][0] != '\0') {
		add(words, &n, "-d");
		add(words, &n, run->text[PLUGIN]);
	}
	for (unsigned int i = DEVICE; i < PEER && run->text[i][0] != '\0'; i++) {
		add(words, &n, "-a");
		add(words, &n, run->text[i]);
	}
	add(words, &n, "--");
	add(words, &n, mode);
	if (exchanges)
		add(words, &n, "--tx-first");
	for (unsigned int i = PEER; exchanges && i < PEER + 2; i++)
		add(words, &n, run->text[i]);
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		add(words, &n, end[i]);
}

static void
make_peer(struct traffic_run *run, unsigned int port, const char *address)
{
	snprintf(run->text[PEER + port], sizeof(run->text[0]), "--eth-peer=%u,%s", port, address);
}

static void
make(struct traffic_run *run, const char *name, const char *plugin,
	const struct vmbus_sysfs_device *const devices[2], unsigned int n_devices)
{
	run->name = name;
	snprintf(run->text[PLUGIN], sizeof(run->text[0]), "%s", plugin);
	for (unsigned int i = 0; i < n_devices; i++)
		snprintf(run->text[DEVICE + i], sizeof(run->text[0]), "vmbus:%s", devices[i]->name);
	if (n_devices == 1) {
		make_words(run, run->words, "--forward-mode=txonly", false);
		return;
	}
	make_peer(run, 0, "<address of port 1>");
	make_peer(run, 1, "<address of port 0>");
	make_words(run, run->look, "--forward-mode=rxonly", false);
	/*
	 * Each port sends one burst to its peer, and what arrives there goes back out of the first:
	 * a few frames go round for all of the time, which no network minds.
	 */
	make_words(run, run->words, "--forward-mode=mac", true);
}

bool
traffic_addresses(struct traffic_run *run, const char *printed)
{
	char address[2][18], begin[16];
	const char *at;

	for (unsigned int port = 0; port < 2; port++) {
		snprintf(begin, sizeof(begin), "\nPort %u: ", port);
		at = strstr(printed, begin);
		if (at == NULL ||
			sscanf(at + strlen(begin), "%17[0-9A-Fa-f:]", address[port]) != 1 ||
			strlen(address[port]) != 17)
			return false;
	}
	make_peer(run, 0, address[1]);
	make_peer(run, 1, address[0]);
	return true;
}

/* Of the last report of testpmd on a port: that of its end, or of the last second that it had. */
static bool
count(const char *printed, unsigned int port, const char *what, uint64_t *value)
{
	char begin[48];
	const char *at = NULL;

	snprintf(begin, sizeof(begin), " statistics for port %u ", port);
	while ((printed = strstr(printed, begin)) != NULL)
		at = printed++;
	at = at == NULL ? NULL : strstr(at, what);
	return at != NULL && sscanf(at + strlen(what), " %" SCNu64, value) == 1;
}

void
traffic_summary(const char *printed, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int port = 0; port < 2 && used < size; port++) {
		uint64_t sent, arrived;

		if (!count(printed, port, "TX-packets:", &sent) ||
			!count(printed, 1 - port, "RX-packets:", &arrived)) {
			snprintf(text, size, "what was sent is not known: testpmd did not say\n");
			return;
		}
		used += (size_t)snprintf(text + used, size - used,
			"port %u sent %" PRIu64 " frames to port %u, where %" PRIu64 " arrived%s\n",
			port, sent, 1 - port, arrived,
			sent != 0 && arrived == 0
				? ": they are not on one network, or it carries only addresses that "
				  "it knows, as Azure's does"
				: "");
	}
}

unsigned int
traffic_plan(struct ctl *ctl, struct traffic_run runs[2], const char **why)
{
	const struct vmbus_sysfs_device *free_ones[2] = {NULL, NULL};
	struct ctl_user users[CTL_USERS_MAX];
	char path[96];
	unsigned int n = 0, n_runs = 0;

	for (size_t i = 0; i < ctl->n_devices && n < 2; i++)
		if (ctl_is_nic(&ctl->devices[i]) &&
			strcmp(ctl->devices[i].driver, VMBUS_UIO_DRIVER) == 0 &&
			ctl_users(ctl, &ctl->devices[i], users) == 0)
			free_ones[n++] = &ctl->devices[i];
	*why = "no network adapter is bound to uio_hv_generic and free; vmbusctl bind makes one so";
	if (n == 0)
		return 0;
	*why = "there is no dpdk-testpmd";
	if (!ctl_has_program("dpdk-testpmd") || !ctl_has_program("timeout"))
		return 0;
	*why = "neither librte_hyperpoll.so nor DPDK's librte_net_netvsc.so is installed";
	if (installed(ctl, "librte_hyperpoll", path, sizeof(path)))
		make(&runs[n_runs++], "traffic-hyperpoll.txt", path, free_ones, n);
	if (installed(ctl, "librte_net_netvsc", path, sizeof(path)))
		make(&runs[n_runs++], "traffic-in-tree.txt", "", free_ones, n);
	return n_runs;
}
