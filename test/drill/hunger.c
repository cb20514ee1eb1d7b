/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plugin of EAL's (-d) that takes all the memory that its process can have in DPDK's heaps, so
 * that nobody else in it gets any, and gives it back. By telemetry: /drill/eat, which answers with
 * the KiB it took, and /drill/give; one connection asks at a time.
 */
#include <stdint.h>

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_telemetry.h>

#define MOST  ((size_t)1 << 20)
#define LEAST ((size_t)64)

struct bite {
	struct bite *next;
};

static struct bite *eaten;

static int
eat(const char *cmd, const char *params, struct rte_tel_data *data)
{
	struct bite *bite;
	uint64_t bytes = 0;
	size_t size;

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	for (size = MOST; size >= LEAST; size /= 2)
		while ((bite = rte_malloc("drill_eaten", size, 0)) != NULL) {
			bite->next = eaten;
			eaten = bite;
			bytes += size;
		}
	rte_tel_data_start_dict(data);
	return rte_tel_data_add_dict_int(data, "KiB", (int)(bytes >> 10));
}

static int
give(const char *cmd, const char *params, struct rte_tel_data *data)
{
	struct bite *bite;
	int n = 0;

	RTE_SET_USED(cmd);
	RTE_SET_USED(params);
	while ((bite = eaten) != NULL) {
		eaten = bite->next;
		rte_free(bite);
		n++;
	}
	rte_tel_data_start_dict(data);
	return rte_tel_data_add_dict_int(data, "pieces", n);
}

RTE_INIT(drill_hunger)
{
	rte_telemetry_register_cmd("/drill/eat", eat, "Takes all memory of the heaps");
	rte_telemetry_register_cmd("/drill/give", give, "Gives it back");
}
