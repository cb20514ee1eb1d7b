/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The machine: KVM's VM, its vCPU threads and what they exit for (spec/hyperv-host-on-kvm.md §2).
 *
 * Threads: main makes and destroys it; one thread per vCPU runs the guest; the bus thread
 * (bus_thread.c) serves VMBus and the NICs, another one the control socket (control_thread.c); two
 * threads write standard output and error (output.h), one reads standard input.
 * The bus lock covers synic, vbus and NICs; the serial port has a lock of its own and is never
 * entered with the bus lock held. No thread waits for the guest or for a reader of our output.
 */
#ifndef HVSIM_VM_KVM_H
#define HVSIM_VM_KVM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/hvsim-vm/bus_lock.h"
#include "lib/host/output.h"
#include "app/hvsim-vm/ram.h"
#include "app/hvsim-vm/serial.h"
#include "app/hvsim-vm/synic.h"
#include "app/hvsim-vm/vbus.h"

struct kvm_run;
struct vm;

/** Why the machine stopped; the process's exit status. */
enum vm_exit {
	VM_RUNNING = -1,
	VM_POWER_OFF = 0, /**< the guest powered off, or the user quit */
	VM_FAILED = 1,	  /**< KVM or the VMM itself */
	VM_RESET = 3,	  /**< the guest rebooted */
	VM_CRASHED = 4,	  /**< the guest reported a crash (panic) and then rebooted or stopped */
	VM_TIMEOUT = 5,
};

struct vm_options {
	const char *kernel, *initrd, *append;
	uint64_t mem;
	unsigned int cpus;
	struct vbus_options vbus;
	bool verbose;
	bool enforce_cpuid;
	int xsave;	      /**< 1 on, 0 off, -1: off when the host's CPU is emulated by QEMU */
	bool pv_ipi;	      /**< recommend hypercalls for IPIs and remote TLB flushes */
	unsigned int timeout; /**< seconds, 0 = none */
};

struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	int resample_fd; /**< readable when the guest has acknowledged SINT2 */
};

struct vm {
	const struct vm_options *options;
	int kvm_fd, fd;
	size_t run_size;
	struct ram ram;
	struct output console; /**< standard output */
	struct serial serial;
	uint8_t cmos_index;
	struct vcpu vcpu[SYNIC_MAX_VPS];

	struct bus_lock bus_lock;
	struct synic synic;
	struct vbus bus;
	int kick_fd; /**< wakes the bus thread: event connections, work from other threads */

	_Atomic int exit_reason; /**< enum vm_exit */
	atomic_bool crashed;
	int exit_fd; /**< readable once exit_reason is set */
};

/**
 * Say what this machine's KVM lacks.
 * @param tell called for each capability that is needed
 * @return 0 when everything is there; otherwise -errno and one sentence in @p errbuf
 */
int vm_check(void (*tell)(void *ctx, const char *name, bool there), void *ctx, char *errbuf,
	size_t errlen);

/**
 * Prepare everything that needs no KVM: bus, lock, descriptors. Errors have been printed.
 * @return 0 or -errno; vm_destroy() is due in any case
 */
int vm_init(struct vm *vm, const struct vm_options *options);
/** Make VM, memory and vCPUs; load the guest. Errors have been printed. @return 0 or -errno */
int vm_create(struct vm *vm);
/** Start the vCPU threads. */
int vm_start(struct vm *vm);
/** Wait for a vCPU thread, about two seconds. @return false when it does not come back */
bool vcpu_join(struct vcpu *vcpu);
/** Stop the vCPU threads, or end the process when one does not stop within seconds. */
void vm_stop_vcpus(struct vm *vm);
/**
 * Write what is left of the console and the log.
 * @return @p status, but VM_FAILED in the place of 0 when output is lost, which is said
 */
int vm_output_end(struct vm *vm, int status);
/** End the process at once: some thread does not stop. */
_Noreturn void vm_abandon(struct vm *vm);
/** Free everything; the threads have been stopped. */
void vm_destroy(struct vm *vm);

/** Ask the machine to end; the first reason given stands. Any thread. */
void vm_stop(struct vm *vm, enum vm_exit reason);
/**
 * Wait for the machine's end, a signal or the time limit (wait.c). Main thread.
 * @param signal_fd a signalfd that does not block
 * @param look      called several times a second; NULL: nothing is
 */
void vm_wait(struct vm *vm, int signal_fd, void (*look)(void *ctx), void *ctx);

/** Exits for port accesses (io.c); called on vCPU threads. */
void vm_io_out(struct vm *vm, uint16_t port, uint32_t value, unsigned int size);
uint32_t vm_io_in(struct vm *vm, uint16_t port, unsigned int size);

/** Raise or lower an interrupt line of the IOAPIC. */
void vm_irq_line(struct vm *vm, unsigned int gsi, bool level);

/** Set the CPUID leaves of one vCPU (cpuid.c). @return 0 or -errno */
int vm_cpuid_set(struct vm *vm, struct vcpu *vcpu);
/** Put ACPI tables and the reset stub into memory (acpi.c). */
void vm_acpi_build(struct ram *ram, unsigned int cpus);
#define VM_ACPI_RSDP 0xe0000u
/** Can kernel and initrd be read, and is the one a kernel? Prints why not. @return 0 or -errno */
int vm_boot_check(const struct vm_options *options);
/** Load kernel and initrd (boot.c) and print why if that fails. @return 0 or -errno */
int vm_boot_load(struct ram *ram, const struct vm_options *options);
#define VM_BOOT_PARAMS 0x10000u
#define VM_BOOT_ENTRY  0x100000u
/** Kernel command line with its end. */
#define VM_CMDLINE_MAX 2048u

/* Ports (spec §3, §4). */
#define VM_PORT_SERIAL	   0x3f8u
#define VM_PORT_CMOS	   0x70u
#define VM_PORT_SLEEP_CTL  0x600u
#define VM_PORT_SLEEP_STAT 0x601u
#define VM_PORT_RESET	   0x610u
#define VM_IRQ_SERIAL	   4u

#endif
