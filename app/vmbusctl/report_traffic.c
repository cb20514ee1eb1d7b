/* SPDX-License-Identifier: BSD-3-Clause */
/* The traffic test of vmbusctl report: which adapters, and the commands. */
#include <glob.h>
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

static void
add(struct traffic_run *run, unsigned int *n, const char *word)
{
	if (*n + 1 < TRAFFIC_WORDS)
		run->words[(*n)++] = word;
	run->words[*n] = NULL;
}

static void
make(struct traffic_run *run, const char *name, const char *plugin,
	const struct vmbus_sysfs_device *const devices[2], unsigned int n_devices)
{
	static const char *const begin[] = {"timeout", "-s", "INT", "-k", "2", SECONDS,
		"dpdk-testpmd", "--in-memory", "--no-pci", "--file-prefix", "vmbusctl-report"};
	static const char *const end[] = {"--", "--forward-mode=txonly", "--no-flush-rx",
		"--stats-period", "1", "--total-num-mbufs=16384"};
	unsigned int n = 0;

	run->name = name;
	/* What is loaded besides leaves the bus to DPDK's own. */
	if (plugin == NULL) {
		add(run, &n, "env");
		add(run, &n, "HYPERPOLL_YIELD=1");
	}
	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		add(run, &n, begin[i]);
	if (plugin != NULL) {
		snprintf(run->text[0], sizeof(run->text[0]), "%s", plugin);
		add(run, &n, "-d");
		add(run, &n, run->text[0]);
	}
	for (unsigned int i = 0; i < n_devices; i++) {
		snprintf(run->text[1 + i], sizeof(run->text[1 + i]), "vmbus:%s", devices[i]->name);
		add(run, &n, "-a");
		add(run, &n, run->text[1 + i]);
	}
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		add(run, &n, end[i]);
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
		make(&runs[n_runs++], "traffic-in-tree.txt", NULL, free_ones, n);
	return n_runs;
}
