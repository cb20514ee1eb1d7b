/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The map of a guest's memory (lib/host/memmap.c) under one who maps what he likes, tears holes and
 * truncates: what the map says is compared with a list of what should be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/host/memmap.h"
#include "test/fuzz/fuzz.h"

#define FILES 3u
#define PAGES 16u
#define LIMIT 12u

static struct host_memmap *map;
static struct host_memmap_reader reader;
static struct range {
	uint64_t iova, size;
	uint32_t prot;
} ranges[LIMIT];
static unsigned int n_ranges;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return host_memmap_sigbus_install();
}

/* The one that has this address, or NULL. */
static const struct range *
range_at(uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < n_ranges; i++)
		if (iova >= ranges[i].iova && iova - ranges[i].iova < ranges[i].size)
			return &ranges[i];
	return NULL;
}

static uint64_t
address(struct fuzz *in)
{
	uint32_t how = fuzz_below(in, 16);

	if (how == 15)
		return fuzz_u64(in);
	return (how == 14 ? (UINT64_C(1) << HOST_MEMMAP_ADDRESS_BITS) - 4 * 4096 : 0x10000) +
	       fuzz_below(in, 64) * 4096ull;
}

static void
do_map(struct fuzz *in, const int *fds)
{
	uint64_t iova = address(in), size = (1 + fuzz_below(in, 8)) * 4096ull, offset;
	uint32_t prot = 1 + fuzz_below(in, 3);
	int rc;

	offset = fuzz_below(in, 16) * 4096ull;
	if (fuzz_bool(in)) {
		size += fuzz_word(in);
		offset += fuzz_word(in);
	}
	rc = host_memmap_map(map, fds[fuzz_below(in, FILES)], offset, iova, size, prot);
	if (rc != 0)
		return;
	FUZZ_CHECK(n_ranges < LIMIT && size % 4096 == 0 && iova % 4096 == 0);
	FUZZ_CHECK(range_at(iova) == NULL && range_at(iova + size - 1) == NULL);
	ranges[n_ranges++] = (struct range){iova, size, prot};
}

static void
do_unmap(struct fuzz *in)
{
	uint64_t iova = address(in), size = (1 + fuzz_below(in, 8)) * 4096ull;
	unsigned int i;
	int rc;

	if (n_ranges != 0 && fuzz_bool(in)) {
		i = fuzz_below(in, n_ranges);
		iova = ranges[i].iova;
		size = ranges[i].size;
	}
	rc = host_memmap_unmap(map, iova, size);
	for (i = 0; i < n_ranges; i++)
		if (ranges[i].iova == iova && ranges[i].size == size)
			break;
	FUZZ_CHECK((rc == 0) == (i < n_ranges));
	if (rc == 0)
		ranges[i] = ranges[--n_ranges];
}

static void
do_look(struct fuzz *in)
{
	uint32_t n = 1 + fuzz_below(in, 8);

	host_memmap_enter(&reader);
	while (n-- != 0) {
		uint64_t iova = address(in);
		const struct range *r = range_at(iova);
		const volatile uint8_t *p = host_memmap_page(&reader, iova >> 12);

		FUZZ_CHECK((p != NULL) == (r != NULL && (r->prot & HOST_MEMMAP_READ)));
		if (p != NULL)
			(void)p[iova % 4096];
	}
	host_memmap_leave(&reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	int fds[FILES];
	unsigned int i;
	uint64_t bytes;

	map = host_memmap_create();
	host_memmap_limit(map, LIMIT, 1u << 20);
	host_memmap_reader_add(map, &reader);
	n_ranges = 0;
	for (i = 0; i < FILES - 1; i++) {
		fds[i] = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		FUZZ_CHECK(ftruncate(fds[i], (PAGES + i) * 4096) == 0);
	}
	fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (in.left != 0) {
		switch (fuzz_below(&in, 8)) {
		case 0:
		case 1:
		case 2:
			do_map(&in, fds);
			break;
		case 3:
			do_unmap(&in);
			break;
		case 4:
		case 5:
			do_look(&in);
			break;
		case 6:
			if (fuzz_below(&in, 16) == 1) {
				host_memmap_unmap_all(map);
				n_ranges = 0;
			}
			break;
		case 7: {
			uint32_t which = fuzz_below(&in, FILES - 1), pages = fuzz_below(&in, 32);

			FUZZ_CHECK(ftruncate(fds[which], pages * 4096) == 0);
			break;
		}
		}
		FUZZ_CHECK(host_memmap_count(map, &bytes) == n_ranges);
		if (host_memmap_poisoned(map))
			break; /* its owner ends the session */
	}
	host_memmap_reader_remove(map, &reader);
	host_memmap_destroy(map);
	for (i = 0; i < FILES; i++)
		close(fds[i]);
	return 0;
}
