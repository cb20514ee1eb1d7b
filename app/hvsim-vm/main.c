/* SPDX-License-Identifier: BSD-3-Clause */
/* Start, signals and the end of the machine. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/common/printed.h"
#include "app/hvsim-vm/input.h"
#include "app/hvsim-vm/options.h"
#include "lib/host/descriptors.h"
#include "lib/host/log.h"
#include "lib/host/notify.h"

/* Descriptors without which there is no machine, none of its processors, no NIC of it. */
#define PROCESS_FDS 21u
#define CPU_FDS	    4u
#define NIC_FDS	    8u

static int
check_only(void)
{
	char errbuf[512];

	if (vm_check(true, errbuf, sizeof(errbuf)) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "hvsim-vm: %s\n", errbuf);
	return EXIT_FAILURE;
}

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
	char why[512] = "cannot give up new privileges (prctl)";
	int signal_fd = -1, rc;

	log_program("hvsim-vm");
	if (argc >= 2 && strcmp(argv[1], "ctl") == 0)
		return printed_status("ctl", host_control_client(argc - 2, argv + 2));
	rc = options_parse(&o, argc, argv);
	if (rc >= 0)
		return printed_status("hvsim-vm", rc);
	if (descriptors_check(PROCESS_FDS + CPU_FDS * o.vm.cpus + NIC_FDS * o.n_nics, why,
		    sizeof(why)) != 0) {
		log_line("%s", why);
		return EXIT_FAILURE;
	}
	if (o.check)
		return check_only();
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
	if (rc == 0) {
		signal_fd = catch_signals();
		rc = start(&vm, &nics, &input);
	}
	if (rc == 0)
		notify_manager("READY=1");
	if (rc == 0)
		vm_wait(&vm, signal_fd);
	else
		vm_stop(&vm, VM_FAILED);
	input_stop(&input);
	console_restore();
	rc = atomic_load(&vm.exit_reason);
	vm_stop_vcpus(&vm);
	if (!nics_destroy(&nics))
		vm_abandon(&vm);
	vm_destroy(&vm);
	return vm_output_end(&vm, rc);
}
