/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/hvsim-vm/kvm.h"
#include "lib/host/log.h"

#define GSI_SYNIC	32u
#define TSS_AT		0xfffbd000u
#define IDENTITY_MAP_AT 0xfffbc000u

static const struct {
	long cap;
	const char *name;
} needed[] = {
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_HYPERV_SYNIC2, "KVM_CAP_HYPERV_SYNIC2"},
	{KVM_CAP_HYPERV_VP_INDEX, "KVM_CAP_HYPERV_VP_INDEX"},
	{KVM_CAP_HYPERV_EVENTFD, "KVM_CAP_HYPERV_EVENTFD"},
	{KVM_CAP_HYPERV_CPUID, "KVM_CAP_HYPERV_CPUID"},
	{KVM_CAP_SYS_HYPERV_CPUID, "KVM_CAP_SYS_HYPERV_CPUID"},
	{KVM_CAP_HYPERV_ENFORCE_CPUID, "KVM_CAP_HYPERV_ENFORCE_CPUID"},
	{KVM_CAP_IRQFD_RESAMPLE, "KVM_CAP_IRQFD_RESAMPLE"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

#define N_NEEDED (sizeof(needed) / sizeof(needed[0]))

/* Ask the VM where there is one: some capabilities are only told there. */
static int
check_caps(int kvm_fd, int vm_fd, void (*tell)(void *ctx, const char *name, bool there), void *ctx,
	char *errbuf, size_t errlen)
{
	size_t i, used = 0;
	int missing = 0;

	errbuf[0] = '\0';
	for (i = 0; i < N_NEEDED; i++) {
		bool there = ioctl(vm_fd, KVM_CHECK_EXTENSION, needed[i].cap) > 0 ||
			     ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed[i].cap) > 0;

		if (tell != NULL)
			tell(ctx, needed[i].name, there);
		if (there)
			continue;
		if (missing++ == 0)
			used = (size_t)snprintf(errbuf, errlen, "this machine's KVM lacks");
		if (used < errlen)
			used += (size_t)snprintf(
				errbuf + used, errlen - used, " %s", needed[i].name);
	}
	if (missing == 0)
		return 0;
	if (used < errlen)
		snprintf(errbuf + used, errlen - used,
			" (a para-virtual or old KVM): run inside an emulated machine instead, see ./run vm");
	return -ENOTSUP;
}

static int
open_kvm(int *kvm_fd, int *vm_fd, char *errbuf, size_t errlen)
{
	int rc;

	*kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (*kvm_fd < 0) {
		rc = -errno;
		snprintf(errbuf, errlen, "cannot open /dev/kvm: %s%s", strerror(-rc),
			rc == -EACCES ? "; add the user to the group kvm"
				      : "; load kvm-intel or kvm-amd, or run inside an emulated "
					"machine, see ./run vm");
		return rc;
	}
	if (ioctl(*kvm_fd, KVM_GET_API_VERSION, 0) != 12) {
		snprintf(errbuf, errlen, "/dev/kvm speaks another API version");
		rc = -ENOTSUP;
	} else {
		*vm_fd = ioctl(*kvm_fd, KVM_CREATE_VM, 0);
		if (*vm_fd >= 0)
			return 0;
		rc = -errno;
		snprintf(errbuf, errlen, "KVM cannot make a machine: %s", strerror(-rc));
	}
	close(*kvm_fd);
	return rc;
}

int
vm_check(void (*tell)(void *ctx, const char *name, bool there), void *ctx, char *errbuf,
	size_t errlen)
{
	int kvm_fd = -1, vm_fd = -1, rc = open_kvm(&kvm_fd, &vm_fd, errbuf, errlen);

	if (rc != 0)
		return rc;
	rc = check_caps(kvm_fd, vm_fd, tell, ctx, errbuf, errlen);
	close(vm_fd);
	close(kvm_fd);
	return rc;
}

void
vm_stop(struct vm *vm, enum vm_exit reason)
{
	const uint64_t one = 1;
	int running = VM_RUNNING;

	if (!atomic_compare_exchange_strong(&vm->exit_reason, &running, reason))
		return;
	if (write(vm->exit_fd, &one, sizeof(one)) < 0)
		log_line("cannot tell the main thread to stop");
}

void
vm_irq_line(struct vm *vm, unsigned int gsi, bool level)
{
	struct kvm_irq_level irq = {.irq = gsi, .level = level};

	ioctl(vm->fd, KVM_IRQ_LINE, &irq);
}

/* ---- making the machine ---- */

static int
fail(const char *what)
{
	int rc = -errno;

	fprintf(stderr, "hvsim-vm: %s: %s\n", what, strerror(-rc));
	return rc;
}

static int
set_memory(struct vm *vm)
{
	struct kvm_userspace_memory_region low = {
		.slot = 0, .memory_size = vm->ram.low, .userspace_addr = (uintptr_t)vm->ram.base};
	struct kvm_userspace_memory_region high = {.slot = 1,
		.guest_phys_addr = RAM_HOLE_END,
		.memory_size = vm->ram.size - vm->ram.low,
		.userspace_addr = (uintptr_t)vm->ram.base + vm->ram.low};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &low) != 0)
		return fail("cannot give memory to the guest");
	if (high.memory_size != 0 && ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &high) != 0)
		return fail("cannot give memory above 4 GiB to the guest");
	return 0;
}

static int
vcpu_create(struct vm *vm, unsigned int index)
{
	struct vcpu *vcpu = &vm->vcpu[index];
	struct kvm_enable_cap synic2 = {.cap = KVM_CAP_HYPERV_SYNIC2};
	struct kvm_enable_cap enforce = {.cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .args = {1}};
	int rc;

	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return fail("cannot make a vCPU");
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return fail("cannot map a vCPU");
	}
	if (ioctl(vcpu->fd, KVM_ENABLE_CAP, &synic2) != 0)
		return fail("cannot enable the synthetic interrupt controller");
	rc = vm_cpuid_set(vm, vcpu);
	if (rc != 0) {
		errno = -rc;
		return fail("cannot set CPUID");
	}
	if (vm->options->enforce_cpuid && ioctl(vcpu->fd, KVM_ENABLE_CAP, &enforce) != 0)
		return fail("cannot enforce Hyper-V's CPUID");
	return 0;
}

/*
 * Routes of all interrupts, and one eventfd pair per VP for SINT2. Must come after SYNIC2 is
 * enabled everywhere: KVM copies the routes into the active controllers (spec §2 step 6).
 */
static int
set_routes(struct vm *vm)
{
	unsigned int n = 16 + 24 + vm->options->cpus, i;
	struct kvm_irq_routing *r = calloc(1, sizeof(*r) + n * sizeof(r->entries[0]));
	struct kvm_irq_routing_entry *e;
	int rc = 0;

	if (r == NULL)
		return -ENOMEM;
	r->nr = n;
	e = r->entries;
	for (i = 0; i < 16; i++, e++) {
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.irqchip = i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
		e->u.irqchip.pin = i & 7;
	}
	for (i = 0; i < 24; i++, e++) {
		e->gsi = i;
		e->type = KVM_IRQ_ROUTING_IRQCHIP;
		e->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e->u.irqchip.pin = i;
	}
	for (i = 0; i < vm->options->cpus; i++, e++) {
		e->gsi = GSI_SYNIC + i;
		e->type = KVM_IRQ_ROUTING_HV_SINT;
		e->u.hv_sint.vcpu = i;
		e->u.hv_sint.sint = SYNIC_SINT_VMBUS;
	}
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, r) != 0)
		rc = fail("cannot set interrupt routes");
	free(r);
	for (i = 0; rc == 0 && i < vm->options->cpus; i++) {
		struct kvm_irqfd irqfd = {.gsi = GSI_SYNIC + i, .flags = KVM_IRQFD_FLAG_RESAMPLE};

		vm->synic.vp[i].irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		vm->vcpu[i].resample_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vm->synic.vp[i].irq_fd < 0 || vm->vcpu[i].resample_fd < 0)
			return fail("cannot make an eventfd");
		irqfd.fd = (uint32_t)vm->synic.vp[i].irq_fd;
		irqfd.resamplefd = (uint32_t)vm->vcpu[i].resample_fd;
		if (ioctl(vm->fd, KVM_IRQFD, &irqfd) != 0)
			rc = fail("cannot bind an interrupt");
	}
	return rc;
}

/* The boot processor enters the kernel in flat 32-bit mode; the others wait for INIT. */
static int
set_boot_regs(struct vm *vm)
{
	struct kvm_sregs s;
	struct kvm_regs r = {.rip = VM_BOOT_ENTRY, .rsi = VM_BOOT_PARAMS, .rflags = 2};
	struct kvm_segment code = {.base = 0,
		.limit = UINT32_MAX,
		.selector = 0x10,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1};
	struct kvm_segment data = code;

	data.selector = 0x18;
	data.type = 3;
	if (ioctl(vm->vcpu[0].fd, KVM_GET_SREGS, &s) != 0)
		return fail("cannot read registers");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr0 = 0x11;
	s.cr4 = 0;
	s.efer = 0;
	if (ioctl(vm->vcpu[0].fd, KVM_SET_SREGS, &s) != 0 ||
		ioctl(vm->vcpu[0].fd, KVM_SET_REGS, &r) != 0)
		return fail("cannot set registers");
	return 0;
}

static void
serial_irq(void *ctx, bool level)
{
	vm_irq_line(ctx, VM_IRQ_SERIAL, level);
}

/* Event connections of all channels wake the same thread, which looks at all rings. */
static int
connect_event(void *ctx, uint32_t id, bool on)
{
	struct vm *vm = ctx;
	struct kvm_hyperv_eventfd e = {
		.conn_id = id, .fd = vm->kick_fd, .flags = on ? 0 : KVM_HYPERV_EVENTFD_DEASSIGN};

	if (ioctl(vm->fd, KVM_HYPERV_EVENTFD, &e) != 0)
		return -errno;
	return 0;
}

static void
bus_log(void *ctx, const char *text)
{
	struct vm *vm = ctx;

	if (vm->options->verbose)
		log_line("%s", text);
}

int
vm_init(struct vm *vm, const struct vm_options *options)
{
	struct vbus_hypervisor hypervisor = {.ctx = vm, .connect = connect_event, .log = bus_log};
	unsigned int i;

	memset(vm, 0, sizeof(*vm));
	vm->options = options;
	vm->kvm_fd = vm->fd = vm->ram.fd = -1;
	atomic_init(&vm->exit_reason, VM_RUNNING);
	for (i = 0; i < SYNIC_MAX_VPS; i++)
		vm->vcpu[i].fd = vm->vcpu[i].resample_fd = -1;
	bus_lock_init(&vm->bus_lock);
	vm->exit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->exit_fd < 0 || vm->kick_fd < 0)
		return fail("cannot make an eventfd");
	synic_init(&vm->synic, &vm->ram, options->cpus);
	vbus_init(&vm->bus, &vm->ram, &vm->synic, &hypervisor, &options->vbus);
	serial_init(&vm->serial, &vm->console, serial_irq, vm);
	return 0;
}

int
vm_create(struct vm *vm)
{
	const struct vm_options *options = vm->options;
	uint64_t identity = IDENTITY_MAP_AT;
	char errbuf[512];
	unsigned int i;
	int rc;

	rc = open_kvm(&vm->kvm_fd, &vm->fd, errbuf, sizeof(errbuf));
	if (rc == 0)
		rc = check_caps(vm->kvm_fd, vm->fd, NULL, NULL, errbuf, sizeof(errbuf));
	if (rc != 0) {
		fprintf(stderr, "hvsim-vm: %s\n", errbuf);
		return rc;
	}
	rc = ram_create(&vm->ram, options->mem);
	if (rc != 0) {
		fprintf(stderr, "hvsim-vm: cannot make %llu MiB of guest memory: %s\n",
			(unsigned long long)(options->mem >> 20), strerror(-rc));
		return rc;
	}
	rc = vm_boot_load(&vm->ram, options);
	if (rc != 0)
		return rc;
	vm_acpi_build(&vm->ram, options->cpus);

	/* Only Intel needs these two; harmless elsewhere. */
	ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_AT);
	ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) != 0)
		return fail("cannot make the interrupt controllers");
	rc = set_memory(vm);
	if (rc != 0)
		return rc;
	vm->run_size = (size_t)ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	for (i = 0; i < options->cpus && rc == 0; i++)
		rc = vcpu_create(vm, i);
	if (rc == 0)
		rc = set_routes(vm);
	if (rc == 0)
		rc = set_boot_regs(vm);
	return rc;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

int
vm_output_end(struct vm *vm, int status)
{
	const char *why;

	output_stop(&vm->console);
	why = output_trouble(&vm->console);
	if (why != NULL)
		log_line("cannot write the console's output: %s", why);
	log_stop();
	return why != NULL && status == VM_POWER_OFF ? VM_FAILED : status;
}

void
vm_abandon(struct vm *vm)
{
	console_restore();
	_exit(vm_output_end(vm, atomic_load(&vm->exit_reason)));
}

void
vm_stop_vcpus(struct vm *vm)
{
	unsigned int i;

	vm_stop(vm, VM_FAILED);
	for (i = 0; i < SYNIC_MAX_VPS; i++) {
		if (!vm->vcpu[i].started || vcpu_join(&vm->vcpu[i]))
			continue;
		log_line("vCPU %u does not stop; giving up on it", i);
		vm_abandon(vm);
	}
}

void
vm_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < SYNIC_MAX_VPS; i++) {
		struct vcpu *vcpu = &vm->vcpu[i];

		if (vcpu->run != NULL)
			munmap(vcpu->run, vm->run_size);
		close_fd(vcpu->fd);
		close_fd(vcpu->resample_fd);
		close_fd(vm->synic.vp[i].irq_fd);
	}
	synic_destroy(&vm->synic);
	close_fd(vm->fd);
	close_fd(vm->kvm_fd);
	close_fd(vm->kick_fd);
	close_fd(vm->exit_fd);
	ram_destroy(&vm->ram);
}
