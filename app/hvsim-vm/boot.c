/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads a bzImage and an initrd for the 32-bit boot protocol (spec/hyperv-host-on-kvm.md §3). */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/hvsim-vm/kvm.h"

#define CMDLINE_AT     0x20000u
#define EBDA_AT	       0x9f000u
#define E820_RAM       1u
#define HEADER_AT      0x1f1u
#define SETUP_SECT     512u
#define LOADER_UNKNOWN 0xffu

struct file {
	const char *path;
	int fd;
	uint64_t size;
};

static int
file_open(struct file *f, const char *what, const char *path)
{
	struct stat st;

	f->path = path;
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		int rc = f->fd < 0 ? -errno : -EINVAL;

		fprintf(stderr, "hvsim-vm: cannot open the %s %s: %s\n", what, path,
			rc == -EINVAL ? "not a regular file" : strerror(-rc));
		if (f->fd >= 0)
			close(f->fd);
		f->fd = -1;
		return rc;
	}
	f->size = (uint64_t)st.st_size;
	return 0;
}

static int
file_read(const struct file *f, void *dst, uint64_t offset, uint64_t len)
{
	uint8_t *p = dst;

	while (len > 0) {
		ssize_t n = pread(f->fd, p, len, (off_t)offset);

		if (n <= 0) {
			int rc = n < 0 ? -errno : -EINVAL;

			fprintf(stderr, "hvsim-vm: cannot read %s: %s\n", f->path,
				n < 0 ? strerror(-rc) : "file too short");
			return rc;
		}
		p += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* The first bytes of a kernel, and that it is one we can boot. */
static int
read_header(const struct file *f, uint8_t first[1024], struct setup_header *h)
{
	uint64_t header_len;

	if (f->size < 1024 || file_read(f, first, 0, 1024) != 0 ||
		memcmp(first + 0x202, "HdrS", 4) != 0) {
		fprintf(stderr, "hvsim-vm: %s is not a Linux bzImage\n", f->path);
		return -EINVAL;
	}
	header_len = 0x202u + first[0x201] - HEADER_AT;
	if (header_len > sizeof(*h))
		header_len = sizeof(*h);
	memcpy(h, first + HEADER_AT, header_len);
	if (h->version < 0x0206 || !(h->loadflags & LOADED_HIGH)) {
		fprintf(stderr, "hvsim-vm: %s: boot protocol 0x%x is too old\n", f->path,
			h->version);
		return -EINVAL;
	}
	return 0;
}

/* Where its protected-mode part begins in the file. */
static uint64_t
setup_len(const struct setup_header *h)
{
	return (uint64_t)((h->setup_sects == 0 ? 4 : h->setup_sects) + 1) * SETUP_SECT;
}

/* Does it fit into @low bytes of memory? It unpacks itself in place, for which init_size is. */
static int
check_kernel(const struct file *f, const struct setup_header *h, uint64_t low)
{
	uint64_t setup = setup_len(h), need = f->size > setup ? f->size - setup : 0;

	if (need == 0) {
		fprintf(stderr, "hvsim-vm: there is no kernel in %s: it is cut off\n", f->path);
		return -EINVAL;
	}
	if (need < h->init_size)
		need = h->init_size;
	if (low > VM_BOOT_ENTRY && need <= low - VM_BOOT_ENTRY)
		return 0;
	fprintf(stderr, "hvsim-vm: %s needs %llu MiB of memory or more: use a larger --mem\n",
		f->path, (unsigned long long)(need >> 20) + 2);
	return -ENOMEM;
}

/* The same of an initrd, which lies as high as the kernel and @low bytes let it. */
static int
place_initrd(const struct file *f, const struct setup_header *h, uint64_t low, uint64_t *at)
{
	uint64_t top = low;

	if (h->initrd_addr_max != 0 && top > (uint64_t)h->initrd_addr_max + 1)
		top = (uint64_t)h->initrd_addr_max + 1;
	*at = f->size < top ? (top - f->size) & ~UINT64_C(0xfff) : 0;
	if (*at >= VM_BOOT_ENTRY + (uint64_t)h->init_size)
		return 0;
	fprintf(stderr,
		"hvsim-vm: %s does not fit into memory beside the kernel: use a larger --mem\n",
		f->path);
	return -ENOMEM;
}

/* Kernel into memory, header into boot_params; returns through *header what initrd needs. */
static int
load_kernel(struct ram *ram, const struct file *f, struct boot_params *params)
{
	uint8_t first[1024];
	struct setup_header *h = &params->hdr;
	uint64_t setup, len;
	int rc = read_header(f, first, h);

	if (rc == 0)
		rc = check_kernel(f, h, ram->low);
	if (rc != 0)
		return rc;
	setup = setup_len(h);
	len = f->size - setup;
	rc = file_read(f, ram_at(ram, VM_BOOT_ENTRY, len), setup, len);
	h->type_of_loader = LOADER_UNKNOWN;
	h->loadflags |= CAN_USE_HEAP;
	h->heap_end_ptr = 0xfe00;
	h->vid_mode = 0xffff;
	return rc;
}

static int
load_initrd(struct ram *ram, const struct file *f, struct boot_params *params)
{
	uint64_t at;
	int rc = place_initrd(f, &params->hdr, ram->low, &at);

	if (rc != 0)
		return rc;
	params->hdr.ramdisk_image = (uint32_t)at;
	params->hdr.ramdisk_size = (uint32_t)f->size;
	return file_read(f, ram_at(ram, at, f->size), 0, f->size);
}

static void
add_e820(struct boot_params *params, uint64_t start, uint64_t end)
{
	struct boot_e820_entry *e = &params->e820_table[params->e820_entries++];

	e->addr = start;
	e->size = end - start;
	e->type = E820_RAM;
}

int
vm_boot_check(const struct vm_options *options)
{
	struct setup_header header = {0};
	uint64_t low = ram_low(options->mem), at;
	uint8_t first[1024];
	struct file f = {.fd = -1};
	int rc = file_open(&f, "kernel", options->kernel);

	if (rc != 0)
		return rc;
	rc = read_header(&f, first, &header);
	if (rc == 0)
		rc = check_kernel(&f, &header, low);
	close(f.fd);
	if (rc != 0 || options->initrd == NULL)
		return rc;
	rc = file_open(&f, "initrd", options->initrd);
	if (rc != 0)
		return rc;
	rc = place_initrd(&f, &header, low, &at);
	close(f.fd);
	return rc;
}

int
vm_boot_load(struct ram *ram, const struct vm_options *options)
{
	struct boot_params *params = ram_at(ram, VM_BOOT_PARAMS, sizeof(*params));
	size_t cmdline = strlen(options->append);
	struct file f = {.fd = -1};
	int rc;

	if (params == NULL || cmdline >= VM_CMDLINE_MAX)
		return -EINVAL;
	memset(params, 0, sizeof(*params));
	rc = file_open(&f, "kernel", options->kernel);
	if (rc != 0)
		return rc;
	rc = load_kernel(ram, &f, params);
	close(f.fd);
	if (rc == 0 && options->initrd != NULL) {
		rc = file_open(&f, "initrd", options->initrd);
		if (rc != 0)
			return rc;
		rc = load_initrd(ram, &f, params);
		close(f.fd);
	}
	if (rc != 0)
		return rc;
	memcpy(ram_at(ram, CMDLINE_AT, VM_CMDLINE_MAX), options->append, cmdline + 1);
	params->hdr.cmd_line_ptr = CMDLINE_AT;
	params->acpi_rsdp_addr = VM_ACPI_RSDP;
	add_e820(params, 0, EBDA_AT);
	add_e820(params, VM_BOOT_ENTRY, ram->low);
	if (ram->size > ram->low)
		add_e820(params, RAM_HOLE_END, RAM_HOLE_END + ram->size - ram->low);
	return 0;
}
