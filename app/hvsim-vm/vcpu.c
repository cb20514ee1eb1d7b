/* SPDX-License-Identifier: BSD-3-Clause */
/* vCPU threads: run the guest and serve its exits (spec/hyperv-host-on-kvm.md §2, §8). */
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "app/hvsim-vm/kvm.h"
#include "lib/host/log.h"

#define MSR_CRASH_P0 0x40000100u
#define HCALL_POST   0x5cu
#define HCALL_SIGNAL 0x5du
#define HCALL_FAST   (1u << 16)

static enum hv_status
post_message(struct vm *vm, uint64_t gpa)
{
	uint8_t input[256];
	const void *src;
	enum hv_status status;

	if ((gpa & 7) != 0)
		return HV_STATUS_BAD_ALIGNMENT;
	if ((gpa & 0xfff) > 4096 - sizeof(input))
		return HV_STATUS_BAD_ALIGNMENT;
	src = ram_at(&vm->ram, gpa, sizeof(input));
	if (src == NULL)
		return HV_STATUS_BAD_PARAMETER;
	/* Copied before anything of it is looked at: other vCPUs may write it meanwhile. */
	memcpy(input, src, sizeof(input));
	bus_lock_take(&vm->bus_lock);
	status = vbus_hypercall_post(&vm->bus, input);
	bus_lock_drop(&vm->bus_lock);
	return status;
}

static void
exit_hyperv(struct vcpu *vcpu)
{
	struct kvm_hyperv_exit *h = &vcpu->run->hyperv;
	struct vm *vm = vcpu->vm;
	uint64_t input;

	switch (h->type) {
	case KVM_EXIT_HYPERV_SYNIC:
		bus_lock_take(&vm->bus_lock);
		synic_set_pages(&vm->synic, vcpu->index, h->u.synic.control, h->u.synic.evt_page,
			h->u.synic.msg_page);
		bus_lock_drop(&vm->bus_lock);
		break;
	case KVM_EXIT_HYPERV_HCALL:
		input = h->u.hcall.input;
		switch (input & 0xffff) {
		case HCALL_POST:
			h->u.hcall.result = input & HCALL_FAST ? HV_STATUS_BAD_CODE
							       : (uint64_t)post_message(
									 vm, h->u.hcall.params[0]);
			break;
		case HCALL_SIGNAL:
			/* Connections that exist are signalled by KVM without an exit. */
			h->u.hcall.result = HV_STATUS_BAD_CONNECTION;
			break;
		default:
			h->u.hcall.result = HV_STATUS_BAD_CODE;
		}
		break;
	}
}

static void
exit_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned int i, size = run->io.size;

	for (i = 0; i < run->io.count; i++, data += size) {
		uint32_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, size);
			vm_io_out(vcpu->vm, run->io.port, value, size);
		} else {
			value = vm_io_in(vcpu->vm, run->io.port, size);
			memcpy(data, &value, size);
		}
	}
}

static void
report_crash(struct vcpu *vcpu)
{
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) + 5 * sizeof(struct kvm_msr_entry)];
	} u = {0};
	static struct log_limit crashes;
	struct kvm_msr_entry *e = u.msrs.entries;

	u.msrs.nmsrs = 5;
	for (unsigned int i = 0; i < 5; i++)
		e[i].index = MSR_CRASH_P0 + i;
	atomic_store(&vcpu->vm->crashed, true);
	if (ioctl(vcpu->fd, KVM_GET_MSRS, &u.msrs) != 5)
		memset(&u, 0, sizeof(u));
	log_guest(&crashes, "the guest reported a crash: %llx %llx %llx %llx %llx", e[0].data,
		e[1].data, e[2].data, e[3].data, e[4].data);
}

/* One exit. @return false when this vCPU must not go on */
static bool
handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vm *vm = vcpu->vm;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(vcpu);
		return true;
	case KVM_EXIT_MMIO:
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return true;
	case KVM_EXIT_HYPERV:
		exit_hyperv(vcpu);
		return true;
	case KVM_EXIT_SYSTEM_EVENT:
		if (run->system_event.type == KVM_SYSTEM_EVENT_CRASH) {
			report_crash(vcpu);
			return true;
		}
		vm_stop(vm, run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? VM_POWER_OFF
										: VM_RESET);
		return false;
	case KVM_EXIT_SHUTDOWN:
		log_line("vCPU %u: triple fault", vcpu->index);
		vm_stop(vm, atomic_load(&vm->crashed) ? VM_CRASHED : VM_RESET);
		return false;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return true;
	case KVM_EXIT_INTERNAL_ERROR:
		log_line("vCPU %u: KVM internal error %u", vcpu->index, run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		log_line("vCPU %u: cannot enter the guest (0x%llx)", vcpu->index,
			run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		log_line("vCPU %u: unexpected exit %u", vcpu->index, run->exit_reason);
	}
	vm_stop(vm, VM_FAILED);
	return false;
}

static void *
vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;

	while (atomic_load(&vm->exit_reason) == VM_RUNNING) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) != 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			log_line("vCPU %u: %s", vcpu->index, strerror(errno));
			vm_stop(vm, VM_FAILED);
			break;
		}
		if (!handle_exit(vcpu))
			break;
	}
	return NULL;
}

static void
on_kick(int sig)
{
	/* Nothing: the signal only makes KVM_RUN return. */
}

int
vm_start(struct vm *vm)
{
	struct sigaction kick = {.sa_handler = on_kick};
	unsigned int i;

	sigaction(SIGUSR1, &kick, NULL);
	for (i = 0; i < vm->options->cpus; i++) {
		int rc = pthread_create(&vm->vcpu[i].thread, NULL, vcpu_thread, &vm->vcpu[i]);

		if (rc != 0) {
			log_line("cannot start a vCPU thread: %s", strerror(rc));
			vm_stop(vm, VM_FAILED);
			return -rc;
		}
		vm->vcpu[i].started = true;
	}
	return 0;
}

bool
vcpu_join(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < 40; i++) {
		struct timespec until;

		/* Also catches a thread that is about to enter KVM_RUN. */
		vcpu->run->immediate_exit = 1;
		pthread_kill(vcpu->thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 50000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (pthread_timedjoin_np(vcpu->thread, NULL, &until) == 0)
			return true;
	}
	return false;
}
