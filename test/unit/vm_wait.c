/* SPDX-License-Identifier: BSD-3-Clause */
/* hvsim-vm's main thread while the guest runs, with fewer open files allowed than it looks at. */
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/hvsim-vm/kvm.h"
#include "test/unit/unit.h"

static struct vm vm;
static struct vm_options options;
static int signal_fd;
static struct rlimit limit;

void
vm_stop(struct vm *machine, enum vm_exit reason)
{
	int running = VM_RUNNING;

	atomic_compare_exchange_strong(&machine->exit_reason, &running, reason);
}

static void
begin(void)
{
	struct rlimit one;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	vm.exit_fd = eventfd(0, EFD_CLOEXEC);
	CU_ASSERT_FATAL(signal_fd >= 0 && vm.exit_fd >= 0);
	vm.options = &options;
	options.timeout = 0;
	atomic_store(&vm.exit_reason, VM_RUNNING);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	one = limit;
	one.rlim_cur = 1;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &one), 0);
}

static void
end(void)
{
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(signal_fd);
	close(vm.exit_fd);
}

static void
test_the_machine_runs_on(void)
{
	begin();
	options.timeout = 1;
	vm_wait(&vm, signal_fd, NULL, NULL);
	CU_ASSERT_EQUAL(atomic_load(&vm.exit_reason), VM_TIMEOUT);
	end();
}

static void
test_a_signal_is_heard(void)
{
	struct signalfd_siginfo info;

	begin();
	CU_ASSERT_EQUAL(kill(getpid(), SIGTERM), 0);
	vm_wait(&vm, signal_fd, NULL, NULL);
	CU_ASSERT_EQUAL(atomic_load(&vm.exit_reason), VM_FAILED);
	/* That was why. */
	CU_ASSERT(read(signal_fd, &info, sizeof(info)) < 0 && errno == EAGAIN);
	end();
}

static void
look(void *ctx)
{
	if (++*(unsigned int *)ctx == 3)
		vm_stop(&vm, VM_POWER_OFF);
}

static void
test_reports_have_their_turn(void)
{
	unsigned int looks = 0;

	begin();
	options.timeout = 60;
	vm_wait(&vm, signal_fd, look, &looks);
	CU_ASSERT_EQUAL(atomic_load(&vm.exit_reason), VM_POWER_OFF);
	CU_ASSERT_EQUAL(looks, 3);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the machine runs on", test_the_machine_runs_on},
		{"a signal is heard", test_a_signal_is_heard},
		{"reports have their turn", test_reports_have_their_turn},
	};

	return UNIT_RUN("vm_wait", tests);
}
