/* SPDX-License-Identifier: BSD-3-Clause */
/* pmdbench without a driver: it notices a damaged frame, and combines what it is asked for. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/pmdbench/cells.h"
#include "app/pmdbench/frame.h"
#include "app/pmdbench/result.h"
#include "test/unit/unit.h"

static const uint8_t mac[6] = {0, 0x15, 0x5d, 1, 2, 3};

static void
every_damaged_byte_is_noticed(void)
{
	static const uint32_t sizes[] = {FRAME_MIN, 64, 1514, FRAME_MAX};
	static uint8_t frame[FRAME_MAX];
	uint32_t size, i, missed = 0;

	frame_init(mac);
	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size = sizes[s];
		frame_write(frame, size, FRAME_TO_GUEST, 70000, 12345);
		CU_ASSERT_EQUAL(frame_number(frame), 12345);
		CU_ASSERT_EQUAL(frame_check(frame, size, FRAME_TO_GUEST, size), 0);
		CU_ASSERT_EQUAL(frame_check(frame, size, FRAME_FROM_GUEST, size), -EBADMSG);
		CU_ASSERT_EQUAL(frame_check(frame, size - 1, FRAME_TO_GUEST, size), -EBADMSG);
		for (i = 0; i < size; i++) {
			/* Flow and number name another frame, which this is not either: the sum and
			 * the payload are of the first. */
			frame[i] ^= 0x10;
			missed += frame_check(frame, size, FRAME_TO_GUEST, size) == 0;
			frame[i] ^= 0x10;
		}
	}
	CU_ASSERT_EQUAL(missed, 0);
}

static void
swapped_addresses_make_a_frame_of_the_guest(void)
{
	uint8_t frame[64], dst[6];

	frame_init(mac);
	frame_write(frame, sizeof(frame), FRAME_TO_GUEST, 1, 2);
	CU_ASSERT_EQUAL(memcmp(frame, mac, 6), 0);
	memcpy(dst, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, dst, 6);
	CU_ASSERT_EQUAL(frame_check(frame, sizeof(frame), FRAME_FROM_GUEST, 64), 0);
}

static void
imix_is_seven_four_and_one(void)
{
	unsigned int small = 0, middle = 0, large = 0;

	for (uint64_t number = 0; number < 1200; number++) {
		uint32_t size = frame_size(BENCH_SIZE_IMIX, number);

		small += size == 60;
		middle += size == 590;
		large += size == 1514;
	}
	CU_ASSERT_EQUAL(small, 700);
	CU_ASSERT_EQUAL(middle, 400);
	CU_ASSERT_EQUAL(large, 100);
}

static void
lists_are_combined_by_queues_and_without_twins(void)
{
	static struct cells cells;
	struct cells_lists lists = {.op = {.n = 0}};

	CU_ASSERT_EQUAL(cells_parse_ops(&lists.op, "rx,fwd"), 0);
	CU_ASSERT_EQUAL(cells_parse(&lists.size, "64,imix,64", FRAME_MIN, FRAME_MAX), 0);
	CU_ASSERT_EQUAL(cells_parse(&lists.queues, "1,4", 1, BENCH_MAX_QUEUES), 0);
	CU_ASSERT_EQUAL(cells_product(&cells, &lists), 0);
	CU_ASSERT_EQUAL_FATAL(cells.n, 8);
	for (unsigned int i = 0; i < cells.n; i++) {
		CU_ASSERT_EQUAL(cells.cell[i].queues, i < 4 ? 1 : 4);
		CU_ASSERT_EQUAL(cells.cell[i].burst, 32);
		/* Every queue gets some. */
		CU_ASSERT_TRUE(cells.cell[i].queues == 1 || cells.cell[i].flows >= 64);
	}
	CU_ASSERT_EQUAL(cells.cell[0].op, BENCH_RX);
	CU_ASSERT_EQUAL(cells.cell[1].size, BENCH_SIZE_IMIX);
	CU_ASSERT_EQUAL(cells_parse(&lists.size, "59", FRAME_MIN, FRAME_MAX), -EINVAL);
	CU_ASSERT_EQUAL(cells_parse(&lists.size, "", FRAME_MIN, FRAME_MAX), -EINVAL);
	CU_ASSERT_EQUAL(cells_parse_ops(&lists.op, "rx,"), -EINVAL);
	CU_ASSERT_EQUAL(cells_set(&cells, "none"), -ENOENT);
}

static void
a_queue_beside_another_has_flows_of_its_own(void)
{
	static struct cells cells;
	struct cells_lists lists = {.op = {.n = 0}};

	CU_ASSERT_EQUAL(cells_parse_offloads(&lists.offloads, "others,none,all"), 0);
	CU_ASSERT_EQUAL(cells_product(&cells, &lists), 0);
	CU_ASSERT_EQUAL_FATAL(cells.n, 3);
	for (unsigned int i = 0; i < cells.n; i++) {
		CU_ASSERT_EQUAL(cells.cell[i].queues, 1);
		CU_ASSERT_EQUAL(cells.cell[i].flows >= 64, cells.cell[i].offloads == BENCH_OTHERS);
	}
	CU_ASSERT_EQUAL(cells.cell[0].offloads, BENCH_NONE);
	CU_ASSERT_EQUAL(cells.cell[2].offloads, BENCH_OTHERS);
	CU_ASSERT_EQUAL(cells_parse_offloads(&lists.offloads, "some"), -EINVAL);
}

static void
every_set_fits_and_has_its_subjects_in_a_row(void)
{
	static const char *const names[] = {"steer", "quick", "full"};

	for (unsigned int s = 0; s < 3; s++) {
		static struct cells cells;
		uint32_t subject = 0, next;

		cells.n = 0;
		CU_ASSERT_EQUAL(cells_set(&cells, names[s]), 0);
		CU_ASSERT_TRUE(cells.n > 0);
		for (unsigned int i = 0; i < cells.n; i++) {
			next = cells.cell[i].queues * BENCH_OFFLOADS + cells.cell[i].offloads;
			CU_ASSERT_TRUE(next >= subject);
			subject = next;
		}
	}
}

static void
quartiles_are_of_the_sorted_rounds(void)
{
	double samples[] = {8, 1, 7, 2, 6, 3, 5, 4}, one[] = {3};
	struct result result = {.present = true};

	result_quartiles(&result, samples, 8);
	CU_ASSERT_EQUAL(result.rounds, 8);
	CU_ASSERT_DOUBLE_EQUAL(result.lower, 3, 0);
	CU_ASSERT_DOUBLE_EQUAL(result.median, 5, 0);
	CU_ASSERT_DOUBLE_EQUAL(result.upper, 7, 0);
	result_quartiles(&result, one, 1);
	CU_ASSERT_DOUBLE_EQUAL(result.lower, 3, 0);
	CU_ASSERT_DOUBLE_EQUAL(result.upper, 3, 0);
}

/* After minutes of measuring. */
static void
figures_for_a_fifo_that_nobody_reads_are_an_error(void)
{
	char dir[] = "/tmp/pmdbench.XXXXXX", fifo[64];
	const char *why = "";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	alarm(30);
	CU_ASSERT_EQUAL(result_json(fifo, NULL, 0, &why), -ENXIO);
	alarm(0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "pipe"));
	unlink(fifo);
	rmdir(dir);
}

static void
figures_take_the_place_of_older_ones(void)
{
	char path[] = "/tmp/pmdbench.XXXXXX", old[10000] = "";
	int fd = mkstemp(path);
	struct json_object *o;
	const char *why = "";

	CU_ASSERT_EQUAL(write(fd, old, sizeof(old)), (ssize_t)sizeof(old));
	CU_ASSERT_EQUAL(result_json(path, NULL, 0, &why), 0);
	close(fd);
	o = json_object_from_file(path);
	CU_ASSERT_PTR_NOT_NULL(o);
	json_object_put(o);
	unlink(path);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"every damaged byte is noticed", every_damaged_byte_is_noticed},
		{"swapped addresses make a frame of the guest",
			swapped_addresses_make_a_frame_of_the_guest},
		{"IMIX is seven, four and one", imix_is_seven_four_and_one},
		{"lists are combined by queues and without twins",
			lists_are_combined_by_queues_and_without_twins},
		{"a queue beside another has flows of its own",
			a_queue_beside_another_has_flows_of_its_own},
		{"every set fits and has its subjects in a row",
			every_set_fits_and_has_its_subjects_in_a_row},
		{"quartiles are of the sorted rounds", quartiles_are_of_the_sorted_rounds},
		{"figures for a FIFO that nobody reads are an error",
			figures_for_a_fifo_that_nobody_reads_are_an_error},
		{"figures take the place of older ones", figures_take_the_place_of_older_ones},
	};

	return UNIT_RUN("pmdbench", tests);
}
