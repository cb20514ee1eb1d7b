/* SPDX-License-Identifier: BSD-3-Clause */
/* Start, signals and the end of the machine. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "app/common/printed.h"
#include "app/common/report.h"
#include "app/hvsim/top.h"
#include "app/hvsim-vm/input.h"
#include "app/hvsim-vm/options.h"
#include "lib/host/descriptors.h"
#include "lib/host/log.h"
#include "lib/host/notify.h"

/* Descriptors without which there is no machine, none of its processors, no NIC of it. */
#define PROCESS_FDS 21u
#define CPU_FDS	    4u
#define NIC_FDS	    8u

static_assert(NICS_MAX <= REPORT_NICS, "all NICs are reported");

/* ---- --check ---- */

static void
print_capability(void *ctx, const char *name, bool there)
{
	printf("%-32s %s\n", name, there ? "yes" : "NO");
}

static void
add_capability(void *ctx, const char *name, bool there)
{
	json_object_object_add(ctx, name, json_object_new_boolean(there));
}

static int
check_only(bool json)
{
	struct json_object *report = json_object_new_object(), *caps = json_object_new_object();
	char errbuf[512];
	int rc = vm_check(json ? add_capability : print_capability, caps, errbuf, sizeof(errbuf));

	json_object_object_add(report, "report", json_object_new_string("check"));
	json_object_object_add(report, "ok", json_object_new_boolean(rc == 0));
	json_object_object_add(report, "capabilities", caps);
	if (rc != 0)
		json_object_object_add(report, "error", json_object_new_string(errbuf));
	if (json)
		puts(json_object_to_json_string_ext(
			report, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (rc != 0)
		fprintf(stderr, "hvsim-vm: %s\n", errbuf);
	json_object_put(report);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- reports ---- */

struct reporter {
	struct host_control_ops ops;
	struct report report;
	unsigned int interval; /* seconds; 0: only at the end */
	time_t next;
};

static time_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The console is standard output. */
static int
reporter_start(struct reporter *r, struct nics *nics, const struct options *o)
{
	int rc = output_start(&report_output, STDERR_FILENO, "hvsim-vm");

	if (rc != 0) {
		log_line("cannot start a thread: %s", strerror(-rc));
		return rc;
	}
	r->ops = nics_report_ops(nics);
	r->report = (struct report){.ops = &r->ops, .json = o->json, .rings = o->rings};
	r->interval = o->interval;
	r->next = seconds() + (time_t)r->interval;
	report_start(&r->report, o->json);
	return 0;
}

static void
reporter_look(void *ctx)
{
	struct reporter *r = ctx;

	if (r->interval == 0 || seconds() < r->next)
		return;
	report_rates(&r->report);
	r->next = seconds() + (time_t)r->interval;
}

/* ---- the machine ---- */

/* No thread is there yet; the control socket is to be the user's. */
static int
become_user(const struct privileges_user *user)
{
	char errbuf[512];
	int rc = privileges_drop(user, errbuf, sizeof(errbuf));

	if (rc != 0)
		log_line("%s", errbuf);
	return rc;
}

static void
quit(void *ctx)
{
	vm_stop(ctx, VM_POWER_OFF);
}

/* Of --exit-after-scenario: steps that nobody came to have not passed. */
static int
scenario_status(const struct options *o, int status)
{
	if (!o->exit_after_scenario || status != VM_POWER_OFF)
		return status;
	if (!host_scenario_ended(o->scenario)) {
		log_line("scenario %s: had not ended", o->scenario_path);
		return VM_FAILED;
	}
	return host_scenario_failures(o->scenario) != 0 ? VM_FAILED : status;
}

/* Blocked in all threads; the main thread reads them from a descriptor. */
static int
catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Everything that starts threads: errors have been printed. */
static int
start(struct vm *vm, struct nics *nics, struct input *input)
{
	int acks[SYNIC_MAX_VPS];
	int rc = output_start(&vm->console, STDOUT_FILENO, "hvsim-vm");

	if (rc == 0)
		rc = log_start();
	if (rc != 0) {
		log_line("cannot start a thread: %s", strerror(-rc));
		return rc;
	}
	for (unsigned int i = 0; i < vm->options->cpus; i++)
		acks[i] = vm->vcpu[i].resample_fd;
	rc = nics_start(nics, acks, vm->options->cpus);
	if (rc != 0)
		return rc;
	console_raw();
	*input = (struct input){.fd = STDIN_FILENO,
		.interactive = isatty(STDIN_FILENO),
		.serial = &vm->serial,
		.quit = quit,
		.ctx = vm};
	rc = input_start(input);
	if (rc != 0) {
		log_line("cannot start a thread: %s", strerror(-rc));
		return rc;
	}
	return vm_start(vm);
}

int
main(int argc, char **argv)
{
	static struct options o;
	static struct vm vm;
	static struct input input;
	static struct nics nics = {.epoll_fd = -1, .timer_fd = -1, .control_stop = -1};
	static struct reporter reporter;
	char why[512] = "cannot give up new privileges (prctl)";
	int signal_fd = -1, rc;

	log_program("hvsim-vm");
	if (argc >= 2 && strcmp(argv[1], "ctl") == 0)
		return printed_status("ctl", host_control_client(argc - 2, argv + 2));
	if (argc >= 2 && strcmp(argv[1], "top") == 0)
		return printed_status("hvsim-vm top", hvsim_top(argc - 1, argv + 1));
	rc = options_parse(&o, argc, argv);
	if (rc >= 0)
		return printed_status("hvsim-vm", rc);
	if (descriptors_check(PROCESS_FDS + CPU_FDS * o.vm.cpus + NIC_FDS * o.n_nics, why,
		    sizeof(why)) != 0) {
		log_line("%s", why);
		return EXIT_FAILURE;
	}
	if (o.check)
		return printed_status("hvsim-vm", check_only(o.json));
	signal(SIGPIPE, SIG_IGN);
	if (privileges_no_new() != 0 || privileges_check(&o.user, why, sizeof(why)) != 0) {
		log_line("%s", why);
		return EXIT_FAILURE;
	}
	/* What needs no KVM comes first: its errors are the user's own. */
	if (vm_boot_check(&o.vm) != 0)
		return EXIT_FAILURE;
	rc = vm_init(&vm, &o.vm);
	if (rc == 0)
		rc = nics_create(&nics, &vm.bus, &vm.bus_lock, vm.kick_fd, o.nic, o.n_nics);
	if (rc == 0)
		rc = vm_create(&vm);
	if (rc == 0)
		rc = become_user(&o.user);
	if (rc == 0)
		rc = nics_record(&nics);
	if (rc == 0 && o.control != NULL)
		rc = nics_control(&nics, o.control);
	nics_scenario(&nics, o.scenario, o.exit_after_scenario ? quit : NULL, &vm);
	if (rc == 0) {
		signal_fd = catch_signals();
		rc = start(&vm, &nics, &input);
	}
	if (rc == 0 && o.n_nics != 0)
		rc = reporter_start(&reporter, &nics, &o);
	if (rc == 0)
		notify_manager("READY=1");
	if (rc == 0)
		vm_wait(&vm, signal_fd, reporter_look, &reporter);
	else
		vm_stop(&vm, VM_FAILED);
	input_stop(&input);
	console_restore();
	rc = atomic_load(&vm.exit_reason);
	vm_stop_vcpus(&vm);
	if (!nics_stop(&nics))
		vm_abandon(&vm);
	if (reporter.report.ops != NULL) {
		report_totals(&reporter.report);
		output_stop(&report_output);
	}
	rc = scenario_status(&o, rc);
	nics_destroy(&nics);
	host_scenario_free(o.scenario);
	vm_destroy(&vm);
	return vm_output_end(&vm, rc);
}
