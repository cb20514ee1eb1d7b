/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ACPI tables of a hardware-reduced machine with a VMBus device and a serial port
 * (spec/hyperv-host-on-kvm.md §4), all within one page at 0xe0000.
 */
#include <string.h>

#include "app/hvsim-vm/kvm.h"

#define DSDT_AT 0xe0040u
#define FADT_AT 0xe0200u
#define MADT_AT 0xe0400u
#define XSDT_AT 0xe0800u

/* Body of the DSDT; the bytes are explained in the table of the spec section. */
static const uint8_t aml[] = {
	/* Scope (\_SB), length filled in below as two bytes */
	0x10, 0, 0, 0x5c, 0x5f, 0x53, 0x42, 0x5f,
	/* Device (VMBS): _HID "VMBus", _UID 0, _CRS empty (must exist) */
	0x5b, 0x82, 0x22, 0x56, 0x4d, 0x42, 0x53, 0x08, 0x5f, 0x48, 0x49, 0x44, 0x0d, 0x56, 0x4d,
	0x42, 0x75, 0x73, 0x00, 0x08, 0x5f, 0x55, 0x49, 0x44, 0x00, 0x08, 0x5f, 0x43, 0x52, 0x53,
	0x11, 0x05, 0x0a, 0x02, 0x79, 0x00,
	/* Device (COM1): _HID PNP0501, _UID 1, _CRS IO 0x3f8-0x3ff and IRQ 4 edge high */
	0x5b, 0x82, 0x31, 0x43, 0x4f, 0x4d, 0x31, 0x08, 0x5f, 0x48, 0x49, 0x44, 0x0c, 0x41, 0xd0,
	0x05, 0x01, 0x08, 0x5f, 0x55, 0x49, 0x44, 0x01, 0x08, 0x5f, 0x43, 0x52, 0x53, 0x11, 0x16,
	0x0a, 0x13, 0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08, 0x89, 0x06, 0x00, 0x03, 0x01,
	0x04, 0x00, 0x00, 0x00, 0x79, 0x00,
	/* Name (\_S5, Package {5, 5, 0, 0}) */
	0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00};

#define AML_SCOPE_LEN 94u /* package length: its own two bytes, the name, both devices */

static void
put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static void
put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

static uint8_t
checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void
table_header(uint8_t *t, const char signature[4], uint32_t len, uint8_t revision)
{
	memcpy(t, signature, 4);
	put32(t + 4, len);
	t[8] = revision;
	memcpy(t + 10, "HVSIM ", 6);
	memcpy(t + 16, "HVSIMVM ", 8);
	put32(t + 24, 1);
	memcpy(t + 28, "HVSM", 4);
	put32(t + 32, 1);
	t[9] = checksum(t, len);
}

/* Generic address: one byte of I/O space. */
static void
put_io_address(uint8_t *p, uint16_t port)
{
	p[0] = 1;
	p[1] = 8;
	p[2] = 0;
	p[3] = 1;
	put64(p + 4, port);
}

static void
build_dsdt(uint8_t *t)
{
	memcpy(t + 36, aml, sizeof(aml));
	t[36 + 1] = 0x40 | (AML_SCOPE_LEN & 15);
	t[36 + 2] = AML_SCOPE_LEN >> 4;
	table_header(t, "DSDT", 36 + sizeof(aml), 2);
}

static void
build_fadt(uint8_t *t)
{
	put32(t + 40, DSDT_AT);
	t[109] = 0x24; /* no VGA, no CMOS RTC */
	put32(t + 112, 0x00100431);
	put_io_address(t + 116, VM_PORT_RESET);
	t[128] = 1;
	t[131] = 1;
	put64(t + 140, DSDT_AT);
	put_io_address(t + 244, VM_PORT_SLEEP_CTL);
	put_io_address(t + 256, VM_PORT_SLEEP_STAT);
	table_header(t, "FACP", 276, 6);
}

static void
build_madt(uint8_t *t, unsigned int cpus)
{
	uint32_t len = 44;
	unsigned int i;

	put32(t + 36, 0xfee00000);
	for (i = 0; i < cpus; i++) {
		uint8_t *e = t + len;

		e[0] = 0;
		e[1] = 8;
		e[2] = e[3] = (uint8_t)i;
		put32(e + 4, 1);
		len += 8;
	}
	t[len] = 1;
	t[len + 1] = 12;
	put32(t + len + 4, 0xfec00000);
	len += 12;
	table_header(t, "APIC", len, 4);
}

void
vm_acpi_build(struct ram *ram, unsigned int cpus)
{
	/* out 0x610, 1; hlt: where "jump to the BIOS" ends (reboot=b and friends). */
	static const uint8_t reset_stub[] = {0xb0, 0x01, 0xba, 0x10, 0x06, 0xee, 0xf4, 0xeb, 0xfd};
	uint8_t *rsdp = ram_at(ram, VM_ACPI_RSDP, 4096), *xsdt = ram_at(ram, XSDT_AT, 256);

	memset(rsdp, 0, 4096);
	build_dsdt(ram_at(ram, DSDT_AT, 512));
	build_fadt(ram_at(ram, FADT_AT, 512));
	build_madt(ram_at(ram, MADT_AT, 1024), cpus);
	put64(xsdt + 36, FADT_AT);
	put64(xsdt + 44, MADT_AT);
	table_header(xsdt, "XSDT", 52, 1);

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "HVSIM ", 6);
	rsdp[15] = 2;
	put32(rsdp + 20, 36);
	put64(rsdp + 24, XSDT_AT);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, 36);

	memcpy(ram_at(ram, 0xffff0, sizeof(reset_stub)), reset_stub, sizeof(reset_stub));
}
