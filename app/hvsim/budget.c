/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/hvsim/budget.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/host/descriptors.h"
#include "lib/host/memmap.h"

/* What Linux has when nobody changed it. */
#define MAX_MAPS_DEFAULT 65530u
/* Libraries, heap and stacks; then each thread's stack and heap. */
#define PROCESS_MAPS 1024u
#define THREAD_MAPS  8u
/* Each ring is mapped twice in a row (spec §7), some kernels do not merge the neighbours. */
#define CHANNEL_MAPS 6u
#define NIC_MAPS     32u

#define PROCESS_FDS 64u
#define THREAD_FDS  2u
/*
 * Port, lock, socket, timer, epoll sets, regions; one message's descriptors; clients that are being
 * told that the NIC is taken.
 */
#define NIC_FDS 64u

/* Without these a host cannot start, and there is no NIC that could take a client. */
#define PROCESS_FDS_LEAST 12u
#define NIC_FDS_LEAST	  12u

#define LEAST_BYTES (UINT64_C(1) << 30)
#define LEAST_MAPS  16u

void
budget_limits(struct hvsim_limits *limits)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long maps = 0;
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	limits->max_fds = descriptors_limit();
	limits->max_maps = MAX_MAPS_DEFAULT;
	if (f != NULL) {
		if (fscanf(f, "%lu", &maps) == 1)
			limits->max_maps = maps;
		fclose(f);
	}
	limits->phys_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : LEAST_BYTES;
}

int
budget_check(unsigned int n_nics, unsigned int n_threads, char *errbuf, size_t errlen)
{
	return descriptors_check(
		PROCESS_FDS_LEAST + THREAD_FDS * n_threads + NIC_FDS_LEAST * n_nics, errbuf,
		errlen);
}

static uint64_t
left(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

static uint64_t
between(uint64_t value, uint64_t min, uint64_t max)
{
	return value < min ? min : value > max ? max : value;
}

int
budget_divide(const struct hvsim_limits *limits, const struct host_nic_config *nics,
	unsigned int n_nics, unsigned int n_threads, const struct hvsim_budget *asked,
	struct hvsim_budget *share, char *warning, size_t warnlen, char *errbuf, size_t errlen)
{
	uint64_t maps = PROCESS_MAPS + THREAD_MAPS * (uint64_t)n_threads, most_maps, fds, most_fds;
	uint32_t channels = 0;

	fds = PROCESS_FDS + THREAD_FDS * (uint64_t)n_threads;
	for (unsigned int i = 0; i < n_nics; i++) {
		maps += NIC_MAPS + CHANNEL_MAPS * (uint64_t)nics[i].channels;
		fds += NIC_FDS + nics[i].channels;
		channels = nics[i].channels > channels ? nics[i].channels : channels;
	}
	most_maps = left(limits->max_maps, maps) / n_nics;
	if (asked->maps > most_maps) {
		snprintf(errbuf, errlen,
			"--client-maps %u: %u NICs can have %llu mappings each; give fewer, or raise "
			"the sysctl vm.max_map_count (now %llu)",
			asked->maps, n_nics, (unsigned long long)most_maps,
			(unsigned long long)limits->max_maps);
		return -EINVAL;
	}
	share->maps = asked->maps != 0
			      ? asked->maps
			      : (uint32_t)between(most_maps, LEAST_MAPS, HOST_MEMMAP_MAX_ENTRIES);
	share->bytes = asked->bytes != 0 ? asked->bytes
					 : between(limits->phys_bytes / n_nics, LEAST_BYTES,
						   HOST_MEMMAP_MAX_BYTES);
	/* One for each channel and the device event is all that a client has a use for. */
	most_fds = left(limits->max_fds, fds) / n_nics;
	share->fds = asked->fds != 0 ? asked->fds : (uint32_t)between(most_fds, 2, channels + 1);
	warning[0] = '\0';
	if (share->fds > most_fds)
		snprintf(warning, warnlen,
			"%u NIC%s may need %llu file descriptors and the limit is %llu: one client may "
			"cost another its own; raise the hard limit (ulimit -Hn), or give fewer NICs or "
			"channels",
			n_nics, n_nics == 1 ? "" : "s",
			(unsigned long long)(fds + (uint64_t)n_nics * (channels + 1)),
			(unsigned long long)limits->max_fds);
	return 0;
}
