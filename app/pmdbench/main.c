/* SPDX-License-Identifier: BSD-3-Clause */
/* Options, and what becomes of them. */
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/common/printed.h"
#include "app/pmdbench/cells.h"
#include "app/pmdbench/frame.h"
#include "app/pmdbench/rounds.h"
#include "lib/host/file_open.h"
#include "lib/vmbus/number.h"

#define ROUNDS	     24u
#define ROUND_FRAMES 8192u

struct options {
	struct cells cells;
	struct rounds_options rounds;
	const char *json;
	struct process_options process;
	bool count_named; /* --count has a list */
};

static void
usage(FILE *out)
{
	fprintf(out,
		"Usage: pmdbench [OPTION]...\n"
		"What a driver costs per frame, in ticks of the time stamp counter and in instructions.\n"
		"Host and application are one thread; only the calls of the driver are timed.\n\n"
		"What:\n"
		"  --set NAME        cells by name:\n%s"
		"  --op LIST         rx, tx, fwd (receive, swap MAC addresses, send), idle; and the\n"
		"                    simulated host alone: host-gen, host-sink, host-verify\n"
		"  --size LIST       bytes without FCS, %u to %u, or imix\n"
		"  --burst LIST      1 to %u        --ppis LIST    0 to 2 (1: checksum, 2: RSS hash)\n"
		"  --queues LIST     1 to %u        --flows LIST   1 to 1000000\n"
		"  --cross LIST      0, 1: the host's half on another core\n"
		"  --offloads LIST   none; all receive offloads; all and packet types (types); none, but one\n"
		"                    more queue, which rests, has all that a queue can have (others: ours only)\n"
		"                    Lists are separated by commas; all are combined. Without a list:\n"
		"                    fwd, 64, 32, 0, 1, 1, 0, none.\n"
		"  --pmd LIST        ours (vfio-user), ours-uio (on the rig), in-tree (on the rig), floor\n"
		"                    (default: ours,in-tree,floor)\n\n"
		"How:\n"
		"  --rounds N        in which the drivers take turns (%u); 0: no clock\n"
		"  --frames N        at least, of a round (%u)\n"
		"  --count[=LIST]    instructions per frame too, under callgrind, of these drivers (all): the\n"
		"                    burst functions and all they call. The same in every run: the number to\n"
		"                    steer by\n"
		"  --keep DIR        keep callgrind's files in this folder, one for each driver and cell, for\n"
		"                    callgrind_annotate; it is made if need be, and has none of another run:\n"
		"                    nothing is overwritten\n"
		"  --json FILE       write the figures there\n"
		"  --plugin FILE     our driver; default: of this build\n"
		"  --cpu N           core of the guest; --host-cpu N: of the host with --cross\n"
		"  --verbose         show what the drivers say\n\n"
		"Steering by instructions, deterministic and safe on a busy machine:\n"
		"  pmdbench --pmd ours --rounds 0 --count\n"
		"Every cell is first checked byte by byte; a frame that is lost is an error.\n",
		cells_help, FRAME_MIN, FRAME_MAX, BENCH_MAX_BURST, BENCH_MAX_QUEUES, ROUNDS,
		ROUND_FRAMES);
}

/* ---- options ---- */

enum {
	OPT_SET = 256,
	OPT_OP,
	OPT_SIZE,
	OPT_BURST,
	OPT_PPIS,
	OPT_QUEUES,
	OPT_FLOWS,
	OPT_CROSS,
	OPT_OFFLOADS,
	OPT_PMD,
	OPT_ROUNDS,
	OPT_FRAMES,
	OPT_COUNT,
	OPT_KEEP,
	OPT_JSON,
	OPT_PLUGIN,
	OPT_CPU,
	OPT_HOST_CPU,
	OPT_VERBOSE,
	OPT_HELP
};

static const struct option long_options[] = {
	{"set", required_argument, NULL, OPT_SET},
	{"op", required_argument, NULL, OPT_OP},
	{"size", required_argument, NULL, OPT_SIZE},
	{"burst", required_argument, NULL, OPT_BURST},
	{"ppis", required_argument, NULL, OPT_PPIS},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"flows", required_argument, NULL, OPT_FLOWS},
	{"cross", required_argument, NULL, OPT_CROSS},
	{"offloads", required_argument, NULL, OPT_OFFLOADS},
	{"pmd", required_argument, NULL, OPT_PMD},
	{"rounds", required_argument, NULL, OPT_ROUNDS},
	{"frames", required_argument, NULL, OPT_FRAMES},
	{"count", optional_argument, NULL, OPT_COUNT},
	{"keep", required_argument, NULL, OPT_KEEP},
	{"json", required_argument, NULL, OPT_JSON},
	{"plugin", required_argument, NULL, OPT_PLUGIN},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"host-cpu", required_argument, NULL, OPT_HOST_CPU},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static int
parse_pmds(bool pmd[BENCH_PMDS], const char *text)
{
	static const char *const names[BENCH_PMDS] = {"ours", "ours-uio", "in-tree", "floor"};
	unsigned int i;

	memset(pmd, 0, BENCH_PMDS * sizeof(*pmd));
	for (;; text++) {
		size_t len = strcspn(text, ",");

		for (i = 0; i < BENCH_PMDS; i++)
			if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0)
				break;
		if (i == BENCH_PMDS)
			return -EINVAL;
		pmd[i] = true;
		text += len;
		if (*text == '\0')
			return 0;
	}
}

static int
parse_number(const char *text, uint64_t min, uint64_t max, uint32_t *number)
{
	uint64_t value = 0;
	int rc = number_parse(text, NUMBER_PLAIN, min, max, &value);

	*number = (uint32_t)value;
	return rc;
}

static int
parse_one(struct options *o, struct cells_lists *lists, int option, const char *value)
{
	uint32_t number = 0;
	int rc;

	switch (option) {
	case OPT_SET:
		return cells_set(&o->cells, value);
	case OPT_OP:
		return cells_parse_ops(&lists->op, value);
	case OPT_SIZE:
		return cells_parse(&lists->size, value, FRAME_MIN, FRAME_MAX);
	case OPT_BURST:
		return cells_parse(&lists->burst, value, 1, BENCH_MAX_BURST);
	case OPT_PPIS:
		return cells_parse(&lists->ppis, value, 0, 2);
	case OPT_QUEUES:
		return cells_parse(&lists->queues, value, 1, BENCH_MAX_QUEUES);
	case OPT_FLOWS:
		return cells_parse(&lists->flows, value, 1, 1000000);
	case OPT_CROSS:
		return cells_parse(&lists->cross, value, 0, 1);
	case OPT_OFFLOADS:
		return cells_parse_offloads(&lists->offloads, value);
	case OPT_PMD:
		return parse_pmds(o->rounds.pmd, value);
	case OPT_ROUNDS:
		return parse_number(value, 0, ROUNDS_MAX, &o->rounds.rounds);
	case OPT_FRAMES:
		return parse_number(value, 1, 1000000000, &o->rounds.frames);
	case OPT_COUNT:
		o->count_named = value != NULL;
		if (value != NULL)
			return parse_pmds(o->rounds.count, value);
		memset(o->rounds.count, true, sizeof(o->rounds.count));
		return 0;
	case OPT_KEEP:
		o->rounds.keep = value;
		return 0;
	case OPT_JSON:
		o->json = value;
		return 0;
	case OPT_PLUGIN:
		o->process.plugin = value;
		return 0;
	case OPT_VERBOSE:
		o->process.verbose = true;
		return 0;
	default:
		rc = parse_number(value, 0, CPU_SETSIZE - 1, &number);
		*(option == OPT_CPU ? &o->process.cpu : &o->process.host_cpu) = (int)number;
		return rc;
	}
}

/* The last two cores that we may use: the first ones have most to do besides. */
static void
choose_cpus(struct process_options *options)
{
	cpu_set_t cpus;
	int cpu, before = -1;

	options->cpu = options->host_cpu = 0;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((unsigned int)cpu, &cpus)) {
			options->host_cpu = before < 0 ? cpu : before;
			options->cpu = cpu;
			before = cpu;
		}
}

static char plugin_path[512], rig_path[512], own_dir[] = "/tmp/pmdbench.XXXXXX";

/* Where a build has them, seen from this program. */
static void
find_files(struct process_options *options)
{
	char self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n < 0 ? 0 : n] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	snprintf(plugin_path, sizeof(plugin_path), "%s/../../drivers/librte_hyperpoll.so", self);
	snprintf(rig_path, sizeof(rig_path), "%s/../../test/uio/libhyperpoll-rig.so", self);
	options->plugin = plugin_path;
	options->rig = rig_path;
}

/* Have a folder for --keep, before anything is measured. @return -1 go on; else the exit status */
static int
keep_in(const char *dir)
{
	char pattern[PATH_MAX];
	glob_t found = {0};
	bool has = false;

	if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
		fprintf(stderr, "pmdbench: --keep: cannot make the folder %s: %s\n", dir,
			strerror(errno));
		return 2;
	}
	if (access(dir, W_OK | X_OK) != 0) {
		fprintf(stderr, "pmdbench: --keep: nothing can be written to %s: %s\n", dir,
			strerror(errno));
		return 2;
	}
	snprintf(pattern, sizeof(pattern), "%s/*" PROCESS_KEPT, dir);
	has = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
	if (has)
		fprintf(stderr,
			"pmdbench: --keep: %s is there from another run; give another folder\n",
			found.gl_pathv[0]);
	globfree(&found);
	return has ? 2 : -1;
}

/* Options that ask for nothing, each of them right. @return why, or NULL */
static const char *
asks_for_nothing(const struct options *o)
{
	bool counts = false, alone = false;
	unsigned int i;

	for (i = 0; i < BENCH_PMDS; i++) {
		counts |= o->rounds.pmd[i] && o->rounds.count[i];
		if (o->count_named && o->rounds.count[i] && !o->rounds.pmd[i])
			return "--count has a driver that --pmd has not";
	}
	if (o->rounds.rounds == 0 && !counts)
		return "--rounds 0 measures nothing without --count";
	for (i = 0; i < o->cells.n; i++)
		alone |= !o->cells.cell[i].cross;
	for (i = 0; i < o->cells.n; i++)
		if (o->cells.cell[i].offloads != BENCH_OTHERS)
			break;
	if (i == o->cells.n && !o->rounds.pmd[BENCH_HYPERPOLL] &&
		!o->rounds.pmd[BENCH_HYPERPOLL_UIO])
		return "--offloads others is for our driver, which --pmd has not";
	if (o->rounds.rounds == 0 && !alone)
		return "of another core's half nothing is counted: --cross 1 wants --rounds";
	return NULL;
}

/* @return -1 go on; else the exit status */
static int
options_parse(struct options *o, int argc, char **argv)
{
	struct cells_lists lists = {.op = {.n = 0}};
	const char *why;
	bool product = false;
	int option;

	choose_cpus(&o->process);
	find_files(&o->process);
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (option == '?')
			return 2;
		if (parse_one(o, &lists, option, optarg) != 0) {
			fprintf(stderr, "pmdbench: '%s' is no value of --%s; see --help\n",
				optarg == NULL ? "" : optarg, long_options[option - OPT_SET].name);
			return 2;
		}
		product |= option >= OPT_OP && option <= OPT_OFFLOADS;
	}
	if (optind != argc) {
		fprintf(stderr, "pmdbench: unexpected '%s'; see --help\n", argv[optind]);
		return 2;
	}
	if ((product && cells_product(&o->cells, &lists) != 0) ||
		(o->cells.n == 0 && cells_set(&o->cells, "steer") != 0)) {
		fprintf(stderr, "pmdbench: more than %u cells; give fewer\n", CELLS_MAX);
		return 2;
	}
	why = asks_for_nothing(o);
	if (why != NULL) {
		fprintf(stderr, "pmdbench: %s; see --help\n", why);
		return 2;
	}
	return o->rounds.keep == NULL ? -1 : keep_in(o->rounds.keep);
}

/* What came of minutes is not lost for a file that was never one to write into: it is opened
 * before. */
static bool
can_write(const char *path)
{
	const char *why = NULL;
	int fd = file_open_write(path, &why);

	if (fd >= 0)
		close(fd);
	else
		fprintf(stderr, "pmdbench: %s cannot be written: %s\n", path, why);
	return fd >= 0;
}

static int
run(struct options *o)
{
	static struct result_row rows[CELLS_MAX];
	struct bench_cell *cell = o->cells.cell;
	unsigned int i, first, failed = 0, n = o->cells.n;
	const char *why = NULL;

	for (i = 0; i < n; i++)
		rows[i].cell = cell[i];
	result_header(stdout);
	for (first = 0; first < n; first = i) {
		for (i = first; i < n && cell[i].queues == cell[first].queues &&
				cell[i].offloads == cell[first].offloads;
			i++)
			;
		failed += rounds_run(&o->rounds, rows + first, i - first);
	}
	if (o->json != NULL && result_json(o->json, rows, n, &why) != 0) {
		fprintf(stderr, "pmdbench: %s cannot be written: %s\n", o->json, why);
		failed++;
	}
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* "--subject PMD FD QUEUES CPU HOST-CPU COUNTS DIR NIC PLUGIN OFFLOADS", as process.c starts us. */
static int
subject(char **argv)
{
	const struct bench_subject_options options = {
		.pmd = (enum bench_pmd)atoi(argv[0]),
		.fd = atoi(argv[1]),
		.queues = (uint32_t)atoi(argv[2]),
		.cpu = atoi(argv[3]),
		.host_cpu = atoi(argv[4]),
		.counts = argv[5][0] == '1',
		.dir = argv[6],
		.nic = argv[7],
		.plugin = argv[8],
		.offloads = (enum bench_offloads)atoi(argv[9]),
	};

	return subject_main(&options);
}

static void
remove_dir(const char *dir)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "pmdbench: %s is left over\n", dir);
}

int
main(int argc, char **argv)
{
	static struct options o = {
		.rounds = {.pmd = {[BENCH_HYPERPOLL] = true,
				   [BENCH_IN_TREE] = true,
				   [BENCH_FLOOR] = true},
			.rounds = ROUNDS,
			.frames = ROUND_FRAMES,
			.process = &o.process},
	};
	int rc;

	if (argc == 12 && strcmp(argv[1], "--subject") == 0)
		return subject(argv + 2);
	rc = options_parse(&o, argc, argv);
	if (rc >= 0)
		return printed_status("pmdbench", rc);
	if (o.json != NULL && !can_write(o.json))
		return EXIT_FAILURE;
	o.process.dir = mkdtemp(own_dir);
	if (o.process.dir == NULL) {
		fprintf(stderr, "pmdbench: no folder in /tmp: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	rc = run(&o);
	remove_dir(own_dir);
	return printed_status("pmdbench", rc);
}
