/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/common/verb.h"
#include "app/hvsim-vm/options.h"
#include "lib/vmbus/number.h"

#define DEFAULT_APPEND "console=ttyS0 panic=1 quiet pci=off"
#define MEM_MIN	       (UINT64_C(64) << 20)
#define MEM_MAX	       (UINT64_C(1) << 40)

static void
usage(FILE *f)
{
	fprintf(f,
		"Usage: hvsim-vm --kernel BZIMAGE [--initrd FILE] [--nic KEY=VALUE,...,port=SPEC]...\n"
		"       hvsim-vm --check [--json]\n"
		"       hvsim-vm ctl [--json] [SOCKET] COMMAND [NIC] [KEY=VALUE]...\n"
		"       hvsim-vm top [--interval S] [--once] [--json] [SOCKET]\n"
		"Boot Linux on KVM with Hyper-V's synthetic NICs on a VMBus; its serial console is\n"
		"standard input and output. Ctrl-A x quits. Reports go to standard error: at the end the\n"
		"totals of each NIC.\n\n"
		"  --kernel FILE         bzImage to boot\n"
		"  --initrd FILE         initramfs\n"
		"  --append WORDS        kernel command line, added to:\n"
		"                        " DEFAULT_APPEND "\n"
		"  --mem SIZE            guest memory, 64M to 1024G (default 512M)\n"
		"  --cpus N              virtual processors, 1..%u (default 2)\n"
		"  --nic SPEC            one NIC; may be given several times (keys below)\n"
		"  --control PATH        control socket, for ctl and top; they find it by itself when it is\n"
		"                        called control.sock\n"
		"  --user NAME[:GROUP]   become this user, without capabilities, when KVM and the ports are\n"
		"                        open\n"
		"  --trace FILE          write the VMBus packets of all NICs into a pcapng file, but for\n"
		"                        NICs that have their own\n"
		"  --scenario FILE       commands of ctl at times, as data (hvsim(1), SCENARIOS)\n"
		"  --exit-after-scenario  end with it; status 1 if a command failed\n"
		"  --vmbus-version X.Y   newest VMBus version to agree to (default 5.3)\n"
		"  --monitor poll|none   how guests signal the host (default poll)\n"
		"  --enforce-cpuid       let KVM refuse Hyper-V features that were not announced\n"
		"  --pv-ipi              recommend hypercalls for IPIs and remote TLB flushes\n"
		"  --xsave on|off        show XSAVE and AVX to the guest (default: on, except under\n"
		"                        QEMU's emulation)\n"
		"  --stats-interval S    print rates every S seconds\n"
		"  --rings               print the rings' indices and masks with the rates and at the end\n"
		"  --json                reports, and --check, as JSON, one object per line\n"
		"  --timeout SECONDS     give up after that time (exit status 5)\n"
		"  --check               say what this machine's KVM lacks, and exit\n"
		"  --verbose             log what happens on the bus to standard error\n"
		"  --help, --version     this text, the version\n\n"
		"Exit status: 0 powered off, 1 failed or ended by a signal, 2 wrong command line, 3 guest\n"
		"rebooted, 4 guest crashed, 5 timed out.\n\n"
		"Keys of --nic:\n%s\nPorts:\n%s\nCommands of ctl:\n%s",
		SYNIC_MAX_VPS, host_nic_config_help, host_port_help, host_control_help);
}

/* What is wrong with an option, in one line. */
static int
wrong(const char *option, const char *value, const char *what)
{
	fprintf(stderr, "hvsim-vm: --%s %s: %s; see hvsim-vm --help\n", option, value, what);
	return OPTIONS_USAGE;
}

/* Bytes; a bare number is MiB. */
static int
parse_size(const char *text, uint64_t *size)
{
	const char *end = text;
	uint64_t n;

	if (number_take(&end, NUMBER_KMG_1024, &n) != 0 || *end != '\0')
		return -EINVAL;
	if (end[-1] >= '0' && end[-1] <= '9')
		n = n > MEM_MAX >> 20 ? 0 : n << 20;
	if (n < MEM_MIN || n > MEM_MAX)
		return -ERANGE;
	/* The guest sees whole pages. */
	*size = n & ~UINT64_C(0xfff);
	return 0;
}

/* Only versions that exist (spec/hyperv-host-on-kvm.md §9). */
static int
parse_version(const char *text, uint32_t *version)
{
	uint64_t major, minor;

	if (number_take(&text, NUMBER_PLAIN, &major) != 0 || *text++ != '.' ||
		number_parse(text, NUMBER_PLAIN, 0, 99, &minor) != 0 || major > 99 ||
		!vbus_version_known(VBUS_VERSION((uint32_t)major, (uint32_t)minor)))
		return -EINVAL;
	*version = VBUS_VERSION((uint32_t)major, (uint32_t)minor);
	return 0;
}

static int
parse_number(const char *option, const char *text, unsigned int low, unsigned int high,
	unsigned int *value)
{
	char range[64];
	uint64_t n;

	if (number_parse(text, NUMBER_PLAIN, low, high, &n) != 0) {
		snprintf(range, sizeof(range), "give a number from %u to %u", low, high);
		return wrong(option, text, range);
	}
	*value = (unsigned int)n;
	return -1;
}

/* One of two words. */
static int
parse_word(const char *option, const char *text, const char *yes, const char *no, bool *value)
{
	char words[64];

	*value = strcmp(text, yes) == 0;
	if (*value || strcmp(text, no) == 0)
		return -1;
	snprintf(words, sizeof(words), "give %s or %s", yes, no);
	return wrong(option, text, words);
}

static int
parse_append(struct options *o, const char *words)
{
	char why[64];

	if (strlen(o->append) + 1 + strlen(words) >= sizeof(o->append)) {
		snprintf(why, sizeof(why), "the kernel command line takes %zu characters",
			sizeof(o->append) - 1);
		return wrong("append", "...", why);
	}
	strcat(o->append, " ");
	strcat(o->append, words);
	return -1;
}

static int
parse_nic(struct options *o, const char *spec)
{
	struct host_nic_config *nic = &o->nic[o->n_nics];
	char why[512] = "";

	if (o->n_nics == NICS_MAX) {
		snprintf(why, sizeof(why), "there can be %u NICs", NICS_MAX);
		return wrong("nic", spec, why);
	}
	if (host_nic_config_parse(spec, o->n_nics, nic, why, sizeof(why)) != 0 ||
		host_nic_configs_check(o->nic, o->n_nics + 1, why, sizeof(why)) != 0)
		return wrong("nic", spec, why);
	o->n_nics++;
	return -1;
}

static int
parse_user(struct options *o, const char *text)
{
	char why[256];

	return privileges_parse(text, &o->user, why, sizeof(why)) == 0 ? -1
								       : wrong("user", text, why);
}

enum {
	OPT_KERNEL = 256,
	OPT_INITRD,
	OPT_APPEND,
	OPT_MEM,
	OPT_CPUS,
	OPT_NIC,
	OPT_CONTROL,
	OPT_USER,
	OPT_TRACE,
	OPT_SCENARIO,
	OPT_EXIT_AFTER,
	OPT_VMBUS_VERSION,
	OPT_MONITOR,
	OPT_ENFORCE,
	OPT_PV_IPI,
	OPT_XSAVE,
	OPT_INTERVAL,
	OPT_RINGS,
	OPT_JSON,
	OPT_TIMEOUT,
	OPT_CHECK,
	OPT_VERBOSE,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {{"kernel", 1, NULL, OPT_KERNEL},
	{"initrd", 1, NULL, OPT_INITRD}, {"append", 1, NULL, OPT_APPEND}, {"mem", 1, NULL, OPT_MEM},
	{"cpus", 1, NULL, OPT_CPUS}, {"nic", 1, NULL, OPT_NIC}, {"control", 1, NULL, OPT_CONTROL},
	{"user", 1, NULL, OPT_USER}, {"trace", 1, NULL, OPT_TRACE},
	{"scenario", 1, NULL, OPT_SCENARIO}, {"exit-after-scenario", 0, NULL, OPT_EXIT_AFTER},
	{"vmbus-version", 1, NULL, OPT_VMBUS_VERSION}, {"stats-interval", 1, NULL, OPT_INTERVAL},
	{"rings", 0, NULL, OPT_RINGS}, {"json", 0, NULL, OPT_JSON},
	{"monitor", 1, NULL, OPT_MONITOR}, {"enforce-cpuid", 0, NULL, OPT_ENFORCE},
	{"pv-ipi", 0, NULL, OPT_PV_IPI}, {"xsave", 1, NULL, OPT_XSAVE},
	{"timeout", 1, NULL, OPT_TIMEOUT}, {"check", 0, NULL, OPT_CHECK},
	{"verbose", 0, NULL, OPT_VERBOSE}, {"help", 0, NULL, OPT_HELP},
	{"version", 0, NULL, OPT_VERSION}, {NULL, 0, NULL, 0}};

/* @return exit status, or -1 to go on */
static int
parse_option(struct options *o, int opt, const char *value)
{
	bool on;
	int rc;

	switch (opt) {
	case OPT_KERNEL:
		o->vm.kernel = value;
		return -1;
	case OPT_INITRD:
		o->vm.initrd = value;
		return -1;
	case OPT_APPEND:
		return parse_append(o, value);
	case OPT_MEM:
		return parse_size(value, &o->vm.mem) == 0
			       ? -1
			       : wrong("mem", value, "give 64M to 1024G, with suffix M or G");
	case OPT_CPUS:
		return parse_number("cpus", value, 1, SYNIC_MAX_VPS, &o->vm.cpus);
	case OPT_NIC:
		return parse_nic(o, value);
	case OPT_CONTROL:
		o->control = value;
		return -1;
	case OPT_USER:
		return parse_user(o, value);
	case OPT_TRACE:
		if (value[0] == '\0' || strlen(value) >= sizeof(o->nic[0].trace))
			return wrong("trace", value, "give a file's name of 1 to 255 characters");
		o->trace = value;
		return -1;
	case OPT_SCENARIO:
		o->scenario_path = value;
		return -1;
	case OPT_EXIT_AFTER:
		o->exit_after_scenario = true;
		return -1;
	case OPT_VMBUS_VERSION:
		return parse_version(value, &o->vm.vbus.max_version) == 0
			       ? -1
			       : wrong("vmbus-version", value,
					 "give 2.4, 3.0, 4.0, 4.1, 5.0, 5.1, 5.2 or 5.3");
	case OPT_MONITOR:
		return parse_word("monitor", value, "poll", "none", &o->vm.vbus.monitor);
	case OPT_ENFORCE:
		o->vm.enforce_cpuid = true;
		return -1;
	case OPT_PV_IPI:
		o->vm.pv_ipi = true;
		return -1;
	case OPT_XSAVE:
		rc = parse_word("xsave", value, "on", "off", &on);
		o->vm.xsave = on;
		return rc;
	case OPT_INTERVAL:
		return parse_number("stats-interval", value, 1, 86400, &o->interval);
	case OPT_RINGS:
		o->rings = true;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case OPT_TIMEOUT:
		return parse_number("timeout", value, 1, 1000000, &o->vm.timeout);
	case OPT_CHECK:
		o->check = true;
		return -1;
	case OPT_VERBOSE:
		o->vm.verbose = true;
		return -1;
	case OPT_HELP:
		usage(stdout);
		return EXIT_SUCCESS;
	case OPT_VERSION:
		printf("hvsim-vm %s\n", HVSIM_VM_VERSION);
		return EXIT_SUCCESS;
	default:
		return OPTIONS_USAGE;
	}
}

/* A value that another one would take the place of: the first word of an option counts no less. */
static bool
is_double(int opt, uint32_t *seen)
{
	uint32_t bit;

	if (opt == OPT_NIC || opt == OPT_APPEND || opt < OPT_KERNEL)
		return false;
	bit = UINT32_C(1) << (opt - OPT_KERNEL);
	if ((*seen & bit) != 0 && optarg != NULL)
		return true;
	*seen |= bit;
	return false;
}

static const char *
name_of(int opt)
{
	const struct option *o;

	for (o = long_options; o->val != opt; o++)
		;
	return o->name;
}

/* What getopt refused: @p opt is ':' without a value, '?' otherwise. */
static int
refused(int opt, const char *word)
{
	const char short_option[] = {'-', (char)optopt, '\0'};

	if (opt == '?' && optopt > 0 && optopt < 256)
		word = short_option;
	fprintf(stderr, "hvsim-vm: %s %s; see hvsim-vm --help\n", word,
		opt == ':'	? "needs a value"
		: optopt >= 256 ? "takes no value"
				: "is no option");
	return OPTIONS_USAGE;
}

/* What only the whole line tells. @return exit status, or -1 to go on */
static int
finish(struct options *o)
{
	char why[512];

	for (unsigned int i = 0; i < o->n_nics && o->trace != NULL; i++)
		if (o->nic[i].trace[0] == '\0')
			strcpy(o->nic[i].trace, o->trace);
	if (o->vm.kernel == NULL && !o->check) {
		fprintf(stderr,
			"hvsim-vm: no kernel given; add --kernel BZIMAGE (see hvsim-vm --help)\n");
		return OPTIONS_USAGE;
	}
	if (o->exit_after_scenario && o->scenario_path == NULL) {
		fprintf(stderr, "hvsim-vm: --exit-after-scenario needs --scenario FILE\n");
		return OPTIONS_USAGE;
	}
	if (o->scenario_path != NULL && host_scenario_load(&o->scenario, o->scenario_path,
						o->n_nics, why, sizeof(why)) != 0) {
		fprintf(stderr, "hvsim-vm: %s\n", why);
		return OPTIONS_USAGE;
	}
	return -1;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	static const char *const verbs[] = {"ctl", "top", NULL};
	uint32_t seen = 0;
	int opt, rc;

	memset(o, 0, sizeof(*o));
	o->vm.mem = UINT64_C(512) << 20;
	o->vm.cpus = 2;
	o->vm.xsave = -1;
	o->vm.vbus.max_version = VBUS_VERSION(5, 3);
	o->vm.vbus.monitor = true;
	strcpy(o->append, DEFAULT_APPEND);
	o->vm.append = o->append;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if ((opt == ':' || opt == '?') && verb_is_late("hvsim-vm", argc, argv, verbs))
			return OPTIONS_USAGE;
		if (opt == ':' || opt == '?')
			rc = refused(opt, argv[optind - 1]);
		else if (is_double(opt, &seen))
			rc = wrong(name_of(opt), optarg, "this option is there twice");
		else
			rc = parse_option(o, opt, optarg);
		if (rc >= 0)
			return rc;
	}
	if (optind != argc) {
		if (!verb_is_late("hvsim-vm", 2, argv + optind - 1, verbs))
			fprintf(stderr, "hvsim-vm: what is '%s'? See hvsim-vm --help\n",
				argv[optind]);
		return OPTIONS_USAGE;
	}
	return finish(o);
}
