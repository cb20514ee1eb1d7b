/* SPDX-License-Identifier: BSD-3-Clause */
/* Options, standard input, signals and the end of the machine. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app/hvsim-vm/kvm.h"
#include "app/hvsim-vm/nics.h"

#define DEFAULT_APPEND "console=ttyS0 panic=1 quiet pci=off"
#define ESCAPE	       0x01 /* Ctrl-A, then x: quit */

static void
usage(FILE *f)
{
	fprintf(f,
		"Usage: hvsim-vm --kernel BZIMAGE [--initrd FILE] [--nic KEY=VALUE,...,port=SPEC]...\n"
		"       hvsim-vm --check\n"
		"       hvsim-vm ctl SOCKET COMMAND [NIC] [KEY=VALUE]...\n"
		"Boot Linux on KVM with Hyper-V's synthetic NICs on a VMBus; its serial console is\n"
		"standard input and output. Ctrl-A x quits.\n\n"
		"  --kernel FILE         bzImage to boot\n"
		"  --initrd FILE         initramfs\n"
		"  --append WORDS        kernel command line, added to:\n"
		"                        " DEFAULT_APPEND "\n"
		"  --mem SIZE            guest memory, with suffix M or G (default 512M)\n"
		"  --cpus N              virtual processors, 1..%u (default 2)\n"
		"  --nic SPEC            one NIC; may be given several times (keys below)\n"
		"  --control PATH        control socket (JSON lines, hvsim ctl)\n"
		"  --vmbus-version X.Y   newest VMBus version to agree to (default 5.3)\n"
		"  --monitor MODE        poll (default) or none: how guests signal the host\n"
		"  --enforce-cpuid       let KVM refuse Hyper-V features that were not announced\n"
		"  --pv-ipi              recommend hypercalls for IPIs and remote TLB flushes\n"
		"  --xsave on|off        show XSAVE and AVX to the guest (default: on, except under\n"
		"                        QEMU's emulation)\n"
		"  --timeout SECONDS     give up after that time (exit status 5)\n"
		"  --check               say what this machine's KVM lacks, and exit\n"
		"  --verbose             log what happens on the bus to standard error\n"
		"  --help                this text\n\n"
		"Exit status: 0 powered off, 1 failed, 2 wrong usage, 3 guest rebooted, 4 guest\n"
		"crashed, 5 timed out.\n\n"
		"Keys of --nic:\n%s\nPorts:\n%s\nCommands of ctl:\n%s",
		SYNIC_MAX_VPS, host_nic_config_help, host_port_help, host_control_help);
}

static int
bad_usage(const char *text, const char *value)
{
	fprintf(stderr, "hvsim-vm: %s%s%s; see hvsim-vm --help\n", text, value != NULL ? ": " : "",
		value != NULL ? value : "");
	return 2;
}

static int
parse_size(const char *text, uint64_t *size)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || text[0] == '-')
		return -EINVAL;
	if (*end == 'G' || *end == 'g')
		n = n > 1024 ? 0 : n << 30;
	else if (*end == 'M' || *end == 'm' || *end == '\0')
		n = n > 1048576 ? 0 : n << 20;
	else
		return -EINVAL;
	if (*end != '\0' && end[1] != '\0')
		return -EINVAL;
	*size = n;
	return n >= (UINT64_C(64) << 20) && n <= (UINT64_C(1) << 40) ? 0 : -EINVAL;
}

static int
parse_version(const char *text, uint32_t *version)
{
	unsigned int major, minor;
	char rest;

	if (sscanf(text, "%u.%u%c", &major, &minor, &rest) != 2 || major > 9 || minor > 9)
		return -EINVAL;
	*version = VBUS_VERSION(major, minor);
	return *version >= VBUS_VERSION(2, 4) && *version <= VBUS_VERSION(5, 3) ? 0 : -EINVAL;
}

static int
parse_number(const char *text, unsigned int low, unsigned int high, unsigned int *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n < low || n > high)
		return -EINVAL;
	*value = (unsigned int)n;
	return 0;
}

struct arguments {
	struct vm_options vm;
	struct host_nic_config nic[NICS_MAX];
	unsigned int n_nics;
	const char *control;
	char append[4096];
};

enum {
	OPT_KERNEL = 256,
	OPT_INITRD,
	OPT_APPEND,
	OPT_MEM,
	OPT_CPUS,
	OPT_NIC,
	OPT_CONTROL,
	OPT_VERSION,
	OPT_MONITOR,
	OPT_ENFORCE,
	OPT_PV_IPI,
	OPT_XSAVE,
	OPT_TIMEOUT,
	OPT_CHECK,
	OPT_VERBOSE,
	OPT_HELP
};

static const struct option long_options[] = {{"kernel", 1, NULL, OPT_KERNEL},
	{"initrd", 1, NULL, OPT_INITRD}, {"append", 1, NULL, OPT_APPEND}, {"mem", 1, NULL, OPT_MEM},
	{"cpus", 1, NULL, OPT_CPUS}, {"nic", 1, NULL, OPT_NIC}, {"control", 1, NULL, OPT_CONTROL},
	{"vmbus-version", 1, NULL, OPT_VERSION}, {"monitor", 1, NULL, OPT_MONITOR},
	{"enforce-cpuid", 0, NULL, OPT_ENFORCE}, {"pv-ipi", 0, NULL, OPT_PV_IPI},
	{"xsave", 1, NULL, OPT_XSAVE}, {"timeout", 1, NULL, OPT_TIMEOUT},
	{"check", 0, NULL, OPT_CHECK}, {"verbose", 0, NULL, OPT_VERBOSE},
	{"help", 0, NULL, OPT_HELP}, {NULL, 0, NULL, 0}};

static int
check_only(void)
{
	char errbuf[512];

	if (vm_check(true, errbuf, sizeof(errbuf)) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "hvsim-vm: %s\n", errbuf);
	return EXIT_FAILURE;
}

static int
add_nic(struct arguments *a, const char *spec)
{
	char errbuf[512];

	if (a->n_nics == NICS_MAX)
		return bad_usage("too many --nic", spec);
	if (host_nic_config_parse(spec, a->n_nics, &a->nic[a->n_nics], errbuf, sizeof(errbuf)) !=
		0) {
		fprintf(stderr, "hvsim-vm: --nic %s: %s\n", spec, errbuf);
		return 2;
	}
	a->n_nics++;
	return -1;
}

/* @return exit status, or -1 to go on */
static int
parse_option(struct arguments *a, int opt, const char *value)
{
	switch (opt) {
	case OPT_KERNEL:
		a->vm.kernel = value;
		return -1;
	case OPT_INITRD:
		a->vm.initrd = value;
		return -1;
	case OPT_APPEND:
		if (strlen(a->append) + strlen(value) + 2 > sizeof(a->append))
			return bad_usage("--append is too long", NULL);
		strcat(a->append, " ");
		strcat(a->append, value);
		return -1;
	case OPT_MEM:
		return parse_size(value, &a->vm.mem) == 0
			       ? -1
			       : bad_usage("bad --mem, 64M or more", value);
	case OPT_CPUS:
		return parse_number(value, 1, SYNIC_MAX_VPS, &a->vm.cpus) == 0
			       ? -1
			       : bad_usage("bad --cpus", value);
	case OPT_NIC:
		return add_nic(a, value);
	case OPT_CONTROL:
		a->control = value;
		return -1;
	case OPT_VERSION:
		return parse_version(value, &a->vm.vbus.max_version) == 0
			       ? -1
			       : bad_usage("bad --vmbus-version, 2.4 to 5.3", value);
	case OPT_MONITOR:
		if (strcmp(value, "poll") != 0 && strcmp(value, "none") != 0)
			return bad_usage("bad --monitor, poll or none", value);
		a->vm.vbus.monitor = value[0] == 'p';
		return -1;
	case OPT_ENFORCE:
		a->vm.enforce_cpuid = true;
		return -1;
	case OPT_PV_IPI:
		a->vm.pv_ipi = true;
		return -1;
	case OPT_XSAVE:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return bad_usage("bad --xsave, on or off", value);
		a->vm.xsave = value[1] == 'n';
		return -1;
	case OPT_TIMEOUT:
		return parse_number(value, 1, 1000000, &a->vm.timeout) == 0
			       ? -1
			       : bad_usage("bad --timeout", value);
	case OPT_CHECK:
		return check_only();
	case OPT_VERBOSE:
		a->vm.verbose = true;
		return -1;
	case OPT_HELP:
		usage(stdout);
		return EXIT_SUCCESS;
	default:
		return bad_usage("wrong option", NULL);
	}
}

static int
parse_arguments(struct arguments *a, int argc, char **argv)
{
	int opt, rc;

	a->vm.mem = UINT64_C(512) << 20;
	a->vm.cpus = 2;
	a->vm.xsave = -1;
	a->vm.vbus.max_version = VBUS_VERSION(5, 3);
	a->vm.vbus.monitor = true;
	strcpy(a->append, DEFAULT_APPEND);
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		rc = parse_option(a, opt, optarg);
		if (rc >= 0)
			return rc;
	}
	if (optind != argc)
		return bad_usage("unexpected word", argv[optind]);
	if (a->vm.kernel == NULL)
		return bad_usage("--kernel is missing", NULL);
	a->vm.append = a->append;
	return -1;
}

/* Typed characters; Ctrl-A x quits, Ctrl-A Ctrl-A is one Ctrl-A. @return false: quit */
static bool
typed(struct vm *vm, const uint8_t *in, size_t n, bool *escaped)
{
	uint8_t out[64];
	unsigned int k = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (*escaped && (in[i] == 'x' || in[i] == 'X'))
			return false;
		if (!*escaped && in[i] == ESCAPE) {
			*escaped = true;
			continue;
		}
		*escaped = false;
		out[k++] = in[i];
	}
	serial_input(&vm->serial, out, k);
	return true;
}

static uint64_t
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

/* Serve input and signals until the machine ends. */
static void
wait_for_end(struct vm *vm, int signal_fd)
{
	bool interactive = isatty(STDIN_FILENO), escaped = false;
	uint64_t end = seconds_now() + vm->options->timeout;
	struct pollfd fds[3] = {{.fd = vm->exit_fd, .events = POLLIN},
		{.fd = signal_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

	for (;;) {
		uint8_t in[64];
		ssize_t n;

		if (poll(fds, 3, 200) < 0 && errno != EINTR)
			vm_stop(vm, VM_FAILED);
		if (atomic_load(&vm->exit_reason) != VM_RUNNING)
			return;
		if (vm->options->timeout != 0 && seconds_now() >= end) {
			fprintf(stderr, "hvsim-vm: the guest did not end within %u seconds\n",
				vm->options->timeout);
			vm_stop(vm, VM_TIMEOUT);
		}
		if (fds[1].revents != 0)
			vm_stop(vm, VM_FAILED);
		if (fds[2].revents == 0)
			continue;
		/* The guest reads slowly: leave in the pipe what its UART has no room for. */
		if (serial_room(&vm->serial) < sizeof(in)) {
			usleep(1000);
			continue;
		}
		n = read(STDIN_FILENO, in, sizeof(in));
		if (n <= 0)
			fds[2].fd = -1; /* end of input: the machine runs on */
		else if (!interactive)
			serial_input(&vm->serial, in, (unsigned int)n);
		else if (!typed(vm, in, (size_t)n, &escaped))
			vm_stop(vm, VM_POWER_OFF);
	}
}

int
main(int argc, char **argv)
{
	static struct arguments a;
	static struct vm vm;
	static struct nics nics;
	sigset_t set;
	int signal_fd, rc;

	if (argc >= 3 && strcmp(argv[1], "ctl") == 0)
		return host_control_client(argv[2], argc - 3, argv + 3);
	rc = parse_arguments(&a, argc, argv);
	if (rc >= 0)
		return rc;
	/* Blocked in all threads; the main thread reads them from a descriptor. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);

	rc = vm_create(&vm, &a.vm);
	nics.vm = &vm;
	nics.epoll_fd = nics.timer_fd = -1;
	if (rc == 0)
		rc = nics_create(&nics, &vm, a.nic, a.n_nics);
	if (rc == 0 && a.control != NULL)
		rc = nics_control(&nics, a.control);
	if (rc == 0)
		rc = nics_start(&nics);
	if (rc == 0) {
		console_raw();
		rc = vm_start(&vm);
	}
	if (rc == 0)
		wait_for_end(&vm, signal_fd);
	else
		vm_stop(&vm, VM_FAILED);
	console_restore();
	rc = atomic_load(&vm.exit_reason);
	vm_stop_vcpus(&vm);
	nics_destroy(&nics);
	host_control_close(nics.control);
	vm_destroy(&vm);
	return rc;
}
