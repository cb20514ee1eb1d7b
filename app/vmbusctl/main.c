/* SPDX-License-Identifier: BSD-3-Clause */
/* Command line of vmbusctl, and what its commands share. */
#include "app/vmbusctl/ctl.h"
#include "app/vmbusctl/give.h"
#include "app/vmbusctl/top.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char usage[] =
	"Usage: vmbusctl list [--json]\n"
	"       vmbusctl status [--json] [DEVICE]\n"
	"       vmbusctl bind DEVICE [--dry-run] [--force] [--persist] [--json]\n"
	"                [--user NAME] [--vf auto|keep|vfio-pci]\n"
	"       vmbusctl unbind DEVICE [--dry-run] [--force] [--persist] [--json]\n"
	"       vmbusctl doctor [--json]\n"
	"       vmbusctl report [--dry-run] [--json] [FILE]\n"
	"       vmbusctl top [--interval S] [--once] [--json] [--file-prefix NAME]\n"
	"\n"
	"Lists the VMBus devices of this Hyper-V guest (list, or status with all details), gives\n"
	"network adapters to user space (bind) and back to the kernel (unbind), and says what is\n"
	"missing for hyperpoll (doctor). Gathers what an issue needs, without private data, in an\n"
	"archive (report). Shows what a running DPDK application's ports do (top; it has\n"
	"options of its own, see vmbusctl top --help).\n"
	"\n"
	"DEVICE is a GUID, a network interface (eth1) or a uio device (uio0).\n"
	"\n"
	"  -n, --dry-run  print the writes, do nothing\n"
	"  -f, --force    also the interface of the default route or of this SSH connection\n"
	"  -p, --persist  the same after a reboot (bind), or no longer (unbind)\n"
	"  -u, --user     bind: give the device to a user, by name or number\n"
	"      --vf       bind: what becomes of the adapter's virtual function: stays with its driver\n"
	"                 (keep), goes to vfio-pci, or what its PMD needs (auto, the default)\n"
	"  -j, --json     machine-readable output\n"
	"  -h, --help     this text\n"
	"  -V, --version  version\n"
	"\n"
	"Exit status: 0 done, 1 failed or refused (doctor: something must be fixed), 2 wrong usage\n"
	"(options or arguments; nothing was looked at).\n";

void
ctl_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vmbusctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void
sysfs_message(void *opaque, enum vmbus_sysfs_level level, const char *device, const char *sentence)
{
	struct ctl *ctl = opaque;

	if (level < VMBUS_SYSFS_WARN)
		return;
	snprintf(ctl->last_error, sizeof(ctl->last_error), "%s", sentence);
	if (ctl->keep_errors)
		return;
	if (device[0] == '\0')
		ctl_error("%s", sentence);
	else
		ctl_error("%s: %s", device, sentence);
}

int
ctl_scan(struct ctl *ctl)
{
	int rc = vmbus_sysfs_scan(&ctl->fs, NULL, &ctl->devices, &ctl->n_devices);

	if (rc == 0)
		return CTL_OK;
	if (rc == -ENOENT)
		ctl_error("no %s/bus/vmbus/devices: this is no Hyper-V guest, or hv_vmbus is not "
			  "loaded (modprobe hv_vmbus)",
			ctl->fs.sys);
	else
		ctl_error("cannot list %s/bus/vmbus/devices: %s", ctl->fs.sys, strerror(-rc));
	return CTL_FAILED;
}

static bool
is_called(const struct vmbus_sysfs_device *device, const char *text)
{
	uint8_t guid[16];
	unsigned int i;

	if (vmbus_parse_guid(text, guid) == 0)
		return memcmp(guid, device->instance, 16) == 0;
	if (strcmp(text, device->name) == 0)
		return true;
	if (device->uio >= 0 && vmbus_parse_uio_name(text) == device->uio)
		return true;
	for (i = 0; i < device->n_netdevs; i++)
		if (strcmp(text, device->netdevs[i]) == 0)
			return true;
	return false;
}

struct vmbus_sysfs_device *
ctl_find(struct ctl *ctl, const char *text)
{
	size_t i;

	for (i = 0; i < ctl->n_devices; i++)
		if (is_called(&ctl->devices[i], text))
			return &ctl->devices[i];
	ctl_error("no VMBus device '%s': give a GUID, network interface or uio device of 'vmbusctl "
		  "status'",
		text);
	return NULL;
}

bool
ctl_is_fixture(const struct ctl *ctl)
{
	return strcmp(ctl->fs.proc, "/proc") != 0;
}

bool
ctl_is_nic(const struct vmbus_sysfs_device *device)
{
	return memcmp(device->class_guid, vmbus_nic_class, 16) == 0;
}

const char *
ctl_state_name(enum vmbus_channel_state state)
{
	static const char *const names[] = {"offered", "opening", "ready", "open"};

	return names[state];
}

void
ctl_print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

bool
ctl_read_line(const char *root, const char *path, char *line, size_t size)
{
	char full[VMBUS_SYSFS_PATH_MAX];
	FILE *f;
	bool ok;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	f = fopen(full, "re");
	if (f == NULL)
		return false;
	ok = fgets(line, (int)size, f) != NULL;
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static const struct command {
	const char *name;
	int (*run)(struct ctl *ctl);
	bool takes_device, needs_device, changes, binds;
} commands[] = {
	{"list", ctl_list, false, false, false, false},
	{"status", ctl_status, true, false, false, false},
	{"bind", ctl_bind, true, true, true, true},
	{"unbind", ctl_unbind, true, true, true, false},
	{"doctor", ctl_doctor, false, false, false, false},
	{"report", ctl_report, true, false, true, false},
};

static int
bad_usage(const char *fmt, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), fmt, what);
	ctl_error("%s; see vmbusctl --help", text);
	return CTL_USAGE;
}

static bool
parse_vf(const char *text, enum ctl_vf_mode *mode)
{
	static const char *const names[] = {
		[CTL_VF_AUTO] = "auto", [CTL_VF_KEEP] = "keep", [CTL_VF_VFIO] = "vfio-pci"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			*mode = (enum ctl_vf_mode)i;
			return true;
		}
	return false;
}

static int
run(struct ctl *ctl, int argc, char **argv, const char *user, const char *vf)
{
	const struct command *command = NULL;
	const char *root = secure_getenv("HYPERPOLL_ROOT");
	size_t i;

	if (argc == 0)
		return bad_usage(
			"%s", "no command: list, status, bind, unbind, doctor, report or top");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			command = &commands[i];
	if (command == NULL)
		return bad_usage(
			"no command '%.64s': list, status, bind, unbind, doctor, report or top",
			argv[0]);
	if (argc > (command->takes_device ? 2 : 1))
		return bad_usage("'%.64s' is one argument too many", argv[argc - 1]);
	if (argc < 2 && command->needs_device)
		return bad_usage("%s needs a device", command->name);
	if (!command->changes && (ctl->force || ctl->dry_run || ctl->persist))
		return bad_usage("%s changes nothing: it takes no --dry-run, --force or --persist",
			command->name);
	if (!command->binds && (user != NULL || vf != NULL))
		return bad_usage("%s takes no --user or --vf", command->name);
	if (user != NULL && ctl_find_user(user, &ctl->user) != CTL_OK)
		return CTL_USAGE;
	if (vf != NULL && !parse_vf(vf, &ctl->vf))
		return bad_usage("--vf is auto, keep or vfio-pci, not '%.64s'", vf);
	ctl->device = argc == 2 ? argv[1] : NULL;
	if (root != NULL && strlen(root) < sizeof(ctl->root))
		strcpy(ctl->root, root);
	if (vmbus_sysfs_init(&ctl->fs, sysfs_message, ctl) < 0)
		return CTL_FAILED;
	ctl_network_read(&ctl->network, ctl->fs.proc);
	return command->run(ctl);
}

/* Output that did not arrive is a failure. */
static int
flushed(int status)
{
	if (fflush(stdout) != 0)
		ctl_error("cannot write the output: %s", strerror(errno));
	else if (ferror(stdout)) /* a long text is written at once, and then nothing is left to
				    flush */
		ctl_error("cannot write the output");
	else
		return status;
	return CTL_FAILED;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"dry-run", no_argument, NULL, 'n'},
		{"force", no_argument, NULL, 'f'},
		{"persist", no_argument, NULL, 'p'},
		{"user", required_argument, NULL, 'u'},
		{"vf", required_argument, NULL, 'v'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *user = NULL, *vf = NULL;
	struct ctl ctl = {0};
	int option, status;

	if (argc >= 2 && strcmp(argv[1], "top") == 0)
		return flushed(ctl_top(argc - 1, argv + 1));
	while ((option = getopt_long(argc, argv, "nfpu:jhV", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			ctl.dry_run = true;
			break;
		case 'f':
			ctl.force = true;
			break;
		case 'p':
			ctl.persist = true;
			break;
		case 'u':
			user = optarg;
			break;
		case 'v':
			vf = optarg;
			break;
		case 'j':
			ctl.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return flushed(CTL_OK);
		case 'V':
			puts("vmbusctl " VMBUSCTL_VERSION);
			return flushed(CTL_OK);
		default:
			fputs("vmbusctl: see vmbusctl --help\n", stderr);
			return CTL_USAGE;
		}
	}
	status = run(&ctl, argc - optind, argv + optind, user, vf);
	vmbus_sysfs_free(ctl.devices, ctl.n_devices);
	ctl_network_free(&ctl.network);
	return flushed(status);
}
