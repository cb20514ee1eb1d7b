/* SPDX-License-Identifier: BSD-3-Clause */
/* Port I/O of the guest (spec/hyperv-host-on-kvm.md §3, §4). */
#include <time.h>

#include "app/hvsim-vm/kvm.h"

#define ACPI_SLP_EN    0x20u
#define ACPI_SLP_TYPE5 (5u << 2)

static uint8_t
bcd(int n)
{
	return (uint8_t)((n / 10 % 10) << 4 | n % 10);
}

/*
 * The CMOS clock: register A says "no update in progress", or the kernel waits for seconds at
 * boot; times are BCD, 24 hours.
 */
static uint8_t
cmos_read(uint8_t index)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	switch (index) {
	case 0x00:
		return bcd(tm.tm_sec);
	case 0x02:
		return bcd(tm.tm_min);
	case 0x04:
		return bcd(tm.tm_hour);
	case 0x06:
		return bcd(tm.tm_wday + 1);
	case 0x07:
		return bcd(tm.tm_mday);
	case 0x08:
		return bcd(tm.tm_mon + 1);
	case 0x09:
		return bcd(tm.tm_year % 100);
	case 0x0a:
		return 0x26;
	case 0x0b:
		return 0x02;
	case 0x0d:
		return 0x80;
	case 0x32:
		return bcd((tm.tm_year + 1900) / 100);
	default:
		return 0;
	}
}

void
vm_io_out(struct vm *vm, uint16_t port, uint32_t value, unsigned int size)
{
	if (port >= VM_PORT_SERIAL && port < VM_PORT_SERIAL + 8) {
		serial_write(&vm->serial, port - VM_PORT_SERIAL, (uint8_t)value);
		return;
	}
	switch (port) {
	case VM_PORT_CMOS:
		vm->cmos_index = value & 0x7f;
		break;
	case VM_PORT_SLEEP_CTL:
		if ((value & 0xff) == (ACPI_SLP_EN | ACPI_SLP_TYPE5))
			vm_stop(vm, atomic_load(&vm->crashed) ? VM_CRASHED : VM_POWER_OFF);
		break;
	case VM_PORT_RESET:
		vm_stop(vm, atomic_load(&vm->crashed) ? VM_CRASHED : VM_RESET);
		break;
	}
}

uint32_t
vm_io_in(struct vm *vm, uint16_t port, unsigned int size)
{
	if (port >= VM_PORT_SERIAL && port < VM_PORT_SERIAL + 8)
		return serial_read(&vm->serial, port - VM_PORT_SERIAL);
	switch (port) {
	case VM_PORT_CMOS + 1:
		return cmos_read(vm->cmos_index);
	case VM_PORT_SLEEP_CTL:
	case VM_PORT_SLEEP_STAT:
		return 0;
	default:
		return UINT32_MAX;
	}
}
