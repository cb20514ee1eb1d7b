/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory table: lookup, refusals, quiescence and truncated files. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/host/memmap.h"
#include "test/unit/unit.h"
#include "test/unit/wait.h"

#define PAGE 4096u

/* A file whose page n is filled with n + 1. */
static int
make_file(unsigned int pages)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t page[PAGE];

	CU_ASSERT_FATAL(fd >= 0);
	for (unsigned int i = 0; i < pages; i++) {
		memset(page, (int)(i + 1), sizeof(page));
		CU_ASSERT_EQUAL_FATAL(write(fd, page, PAGE), PAGE);
	}
	return fd;
}

static int
look(struct host_memmap_reader *r, uint64_t iova)
{
	const uint8_t *p;
	int byte;

	host_memmap_enter(r);
	p = host_memmap_page(r, iova >> 12);
	byte = p != NULL ? p[17] : -1;
	host_memmap_leave(r);
	return byte;
}

static void
test_lookup(void)
{
	struct host_memmap *map = host_memmap_create();
	const uint64_t high = UINT64_C(0x7ffff0000000);
	struct host_memmap_reader r;
	int fd = make_file(16);
	uint64_t bytes;

	host_memmap_reader_add(map, &r);
	CU_ASSERT_EQUAL(look(&r, 0), -1);
	/* High first, so that the second is inserted before it. */
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, high, 4 * PAGE, HOST_MEMMAP_READ), 0);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 8 * PAGE, 0x10000, 2 * PAGE, HOST_MEMMAP_READ), 0);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 5 * PAGE, 0x12000, PAGE, HOST_MEMMAP_READ), 0);
	CU_ASSERT_EQUAL(host_memmap_count(map, &bytes), 3);
	CU_ASSERT_EQUAL(bytes, 7 * PAGE);
	CU_ASSERT_EQUAL(look(&r, 0xf000), -1);
	CU_ASSERT_EQUAL(look(&r, 0x10000), 9);
	CU_ASSERT_EQUAL(look(&r, 0x11000), 10);
	CU_ASSERT_EQUAL(look(&r, 0x12000), 6);
	CU_ASSERT_EQUAL(look(&r, 0x13000), -1);
	CU_ASSERT_EQUAL(look(&r, high), 1);
	CU_ASSERT_EQUAL(look(&r, high + 3 * PAGE), 4);
	CU_ASSERT_EQUAL(look(&r, high + 4 * PAGE), -1);
	/* A page number whose shift would wrap to a good address. */
	host_memmap_enter(&r);
	CU_ASSERT_PTR_NOT_NULL(host_memmap_page(&r, 0x10));
	CU_ASSERT_PTR_NULL(host_memmap_page(&r, 0x10 | UINT64_C(1) << 52));
	CU_ASSERT_PTR_NULL(host_memmap_page(&r, UINT64_C(1) << 44));
	host_memmap_leave(&r);
	CU_ASSERT_EQUAL(host_memmap_unmap(map, 0x10000, PAGE), -ENOENT);
	CU_ASSERT_EQUAL(host_memmap_unmap(map, 0x11000, PAGE), -ENOENT);
	CU_ASSERT_EQUAL(host_memmap_unmap(map, 0x10000, 2 * PAGE), 0);
	CU_ASSERT_EQUAL(host_memmap_unmap(map, 0x10000, 2 * PAGE), -ENOENT);
	CU_ASSERT_EQUAL(look(&r, 0x10000), -1);
	CU_ASSERT_EQUAL(look(&r, 0x12000), 6);
	host_memmap_unmap_all(map);
	CU_ASSERT_EQUAL(look(&r, 0x12000), -1);
	CU_ASSERT_EQUAL(host_memmap_count(map, &bytes), 0);
	CU_ASSERT_EQUAL(bytes, 0);
	host_memmap_reader_remove(map, &r);
	host_memmap_destroy(map);
	close(fd);
}

static void
test_many(void)
{
	struct host_memmap *map = host_memmap_create();
	struct host_memmap_reader r;
	int fd = make_file(1);

	host_memmap_reader_add(map, &r);
	/* Up, then down: both append and insert, with growth. */
	for (uint64_t i = 500; i < 1000; i++)
		CU_ASSERT_EQUAL(
			host_memmap_map(map, fd, 0, i * 2 * PAGE, PAGE, HOST_MEMMAP_READ), 0);
	for (uint64_t i = 500; i-- > 0;)
		CU_ASSERT_EQUAL(
			host_memmap_map(map, fd, 0, i * 2 * PAGE, PAGE, HOST_MEMMAP_READ), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(look(&r, i * 2 * PAGE), 1);
		CU_ASSERT_EQUAL(look(&r, (i * 2 + 1) * PAGE), -1);
	}
	for (uint64_t i = 0; i < 1000; i += 2)
		CU_ASSERT_EQUAL(host_memmap_unmap(map, i * 2 * PAGE, PAGE), 0);
	for (uint64_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(look(&r, i * 2 * PAGE), i % 2 ? 1 : -1);
	host_memmap_reader_remove(map, &r);
	host_memmap_destroy(map);
	close(fd);
}

static void
test_refusals(void)
{
	struct host_memmap *map = host_memmap_create();
	int fd = make_file(16), event = eventfd(0, 0), ro, disk;
	const uint64_t limit = UINT64_C(1) << 56;
	char link[64], file[] = "./memmap.XXXXXX";

	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x10000, 4 * PAGE, 1), 0);
	/* Overlaps: same, inside, around, both edges. */
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x10000, 4 * PAGE, 1), -EEXIST);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x11000, PAGE, 1), -EEXIST);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0xf000, 6 * PAGE, 1), -EEXIST);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0xf000, 2 * PAGE, 1), -EEXIST);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x13000, 2 * PAGE, 1), -EEXIST);
	/* Touching is fine. */
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0xf000, PAGE, 1), 0);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x14000, PAGE, 1), 0);

	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x20000, 0, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x20000, 100, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x20100, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 100, 0x20000, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x20000, PAGE, 0), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0x20000, PAGE, 4), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, limit, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, limit - PAGE, 2 * PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, UINT64_MAX - PAGE + 1, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 15 * PAGE, 0x20000, 2 * PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, UINT64_MAX - PAGE + 1, 0x20000, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, event, 0, 0x20000, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(host_memmap_map(map, -1, 0, 0x20000, PAGE, 1), -EINVAL);
	CU_ASSERT_EQUAL(
		host_memmap_map(map, fd, 0, 0x100000000, HOST_MEMMAP_MAX_BYTES, 1), -ENOSPC);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ro = open(link, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(ro >= 0);
	CU_ASSERT_EQUAL(host_memmap_map(map, ro, 0, 0x20000, PAGE, 3), -EPERM);
	CU_ASSERT_EQUAL(host_memmap_map(map, ro, 0, 0x20000, PAGE, 1), 0);
	close(ro);
	/* A file without seals, unless the build directory happens to be a tmpfs. */
	disk = mkstemp(file);
	if (disk >= 0) {
		CU_ASSERT_EQUAL(ftruncate(disk, PAGE), 0);
		if (fcntl(disk, F_GET_SEALS) < 0)
			CU_ASSERT_EQUAL(host_memmap_map(map, disk, 0, 0x30000, PAGE, 1), -EINVAL);
		unlink(file);
		close(disk);
	}
	CU_ASSERT_EQUAL(host_memmap_count(map, NULL), 4);
	host_memmap_destroy(map);
	close(event);
	close(fd);
}

/* Write-only ranges are not for reading. */
static void
test_protection(void)
{
	struct host_memmap *map = host_memmap_create();
	struct host_memmap_reader r;
	int fd = make_file(2);

	host_memmap_reader_add(map, &r);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0, PAGE, HOST_MEMMAP_WRITE), 0);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, PAGE, PAGE, PAGE, HOST_MEMMAP_READ), 0);
	CU_ASSERT_EQUAL(look(&r, PAGE), 2);
	CU_ASSERT_EQUAL(look(&r, 0), -1);
	CU_ASSERT_EQUAL(look(&r, 0), -1);
	host_memmap_reader_remove(map, &r);
	host_memmap_destroy(map);
	close(fd);
}

static void
test_truncated_file_poisons(void)
{
	struct host_memmap *map = host_memmap_create(), *other = host_memmap_create();
	int fd = make_file(16), fd2 = make_file(16);
	struct host_memmap_reader r, r2;

	CU_ASSERT_EQUAL_FATAL(host_memmap_sigbus_install(), 0);
	host_memmap_reader_add(map, &r);
	host_memmap_reader_add(other, &r2);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd, 0, 0, 16 * PAGE, 1), 0);
	CU_ASSERT_EQUAL(host_memmap_map(map, fd2, 0, 16 * PAGE, 16 * PAGE, 1), 0);
	CU_ASSERT_EQUAL(host_memmap_map(other, fd2, 0, 0, 16 * PAGE, 1), 0);
	CU_ASSERT_EQUAL(look(&r, 9 * PAGE), 10);
	CU_ASSERT(!host_memmap_poisoned(map));
	CU_ASSERT_EQUAL(ftruncate(fd, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(look(&r, 9 * PAGE), 0); /* zeroes instead of death */
	CU_ASSERT(host_memmap_poisoned(map));
	/* The other file and the other session are undisturbed. */
	CU_ASSERT_EQUAL(look(&r, 20 * PAGE), 5);
	CU_ASSERT_EQUAL(look(&r2, 4 * PAGE), 5);
	CU_ASSERT(!host_memmap_poisoned(other));
	CU_ASSERT_EQUAL(host_memmap_unmap(map, 0, 16 * PAGE), 0);
	host_memmap_reader_remove(map, &r);
	host_memmap_reader_remove(other, &r2);
	host_memmap_destroy(map);
	host_memmap_destroy(other);
	close(fd);
	close(fd2);
}

/* A fault that is none of our business still kills. */
static void
test_foreign_fault_kills(void)
{
	int status;
	pid_t pid = fork();

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		int fd = memfd_create("x", MFD_CLOEXEC);
		volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

		host_memmap_sigbus_install();
		_exit(p[0]); /* past the end of the file */
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	/* Sanitizers may turn the signal into an exit code; 0 would be survival. */
	CU_ASSERT(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) != 0);
}

struct race {
	struct host_memmap *map;
	struct host_memmap_reader reader;
	_Atomic bool stop;
	uint64_t hits, misses, wrong;
};

static void *
race_reader(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		host_memmap_enter(&race->reader);
		for (uint64_t i = 0; i < 64; i++) {
			const uint8_t *p = host_memmap_page(&race->reader, i);

			/* Reading an unmapped page would end the test by SIGSEGV. */
			if (p == NULL)
				race->misses++;
			else if (p[5] == i % 16 + 1)
				race->hits++;
			else
				race->wrong++;
		}
		host_memmap_leave(&race->reader);
	}
	return NULL;
}

/* One whole poll of the reader begins and ends after this call. */
static void
race_let_it_poll(struct race *race)
{
	uint64_t from = atomic_load(&race->reader.polls);

	UNIT_WAIT_UNTIL(atomic_load(&race->reader.polls) >= from + 4);
}

static void
test_unmap_waits_for_readers(void)
{
	struct race race = {.map = host_memmap_create()};
	int fd = make_file(16);
	pthread_t t;

	host_memmap_reader_add(race.map, &race.reader);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, race_reader, &race), 0);
	race_let_it_poll(&race);
	for (unsigned int round = 0; round < 300; round++) {
		for (uint64_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(host_memmap_map(race.map, fd, 0, i * 16 * PAGE, 16 * PAGE,
						HOST_MEMMAP_READ),
				0);
		if (round == 0)
			race_let_it_poll(&race);
		for (uint64_t i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(host_memmap_unmap(race.map, i * 16 * PAGE, 16 * PAGE), 0);
	}
	atomic_store(&race.stop, true);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(race.wrong, 0);
	CU_ASSERT(race.misses > 0);
	CU_ASSERT(race.hits > 0);
	host_memmap_reader_remove(race.map, &race.reader);
	host_memmap_destroy(race.map);
	close(fd);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"lookup", test_lookup},
		{"many mappings in any order", test_many},
		{"refusals", test_refusals},
		{"protection", test_protection},
		{"truncated file poisons its session only", test_truncated_file_poisons},
		{"foreign fault kills", test_foreign_fault_kills},
		{"unmap waits for readers", test_unmap_waits_for_readers},
	};

	return UNIT_RUN("host_memmap", tests);
}
