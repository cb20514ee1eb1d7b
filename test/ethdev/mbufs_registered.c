/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames in memory of the application's own, which it registers and maps for the device. */
#include "test/ethdev/mbufs.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_errno.h>

/* Frames in buffers of @p memory, @p n of them from number @p first on. @return large ones */
static uint64_t
send_in(struct rte_mempool *mp, uint8_t *memory, uint32_t first, uint32_t n)
{
	static struct rte_mbuf_ext_shared_info info[400];
	uint64_t large = 0;
	uint32_t i;

	CHECK(n <= RTE_DIM(info), "%u buffers", n);
	for (i = 0; i < n; i++) {
		struct rte_mbuf *m = attached(mp, memory + (size_t)i * 2088, &info[i], first + i);

		large += m->pkt_len > COPYBREAK;
		send_all(&m, 1);
	}
	pool_wait(mp);
	return large;
}

enum { REGISTERED_N = 400, REGISTERED_LEN = 2 << 20 };

/* Memory as an application has it of its own. */
struct registered {
	const char *name;
	int memfd;   /* flags of its file; -1: it has none */
	bool shared; /* otherwise private */
	bool huge;
	bool by_file, by_page; /* which way a host can be told of it */
};

/* @return NULL: there are no hugepages */
static uint8_t *
registered_memory(const struct registered *kind)
{
	int flags = (kind->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_POPULATE, fd = -1;
	uint8_t *at;

	if (kind->memfd >= 0) {
		fd = memfd_create(kind->name, MFD_CLOEXEC | (unsigned int)kind->memfd);
		if (fd < 0 || ftruncate(fd, REGISTERED_LEN) != 0)
			return NULL;
	} else {
		flags |= MAP_ANONYMOUS | (kind->huge ? MAP_HUGETLB : 0);
	}
	/* The file stays open, for a host that is told of it. */
	at = mmap(NULL, REGISTERED_LEN, PROT_READ | PROT_WRITE, flags, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* Frames in one kind of memory before it is mapped for the device, then, and after that is undone.
 */
static void
registered_check(
	struct rte_mempool *mp, const struct registered *kind, bool rig, uint64_t *by_reference)
{
	bool can = xstat("copy_only") == 0 && (rig ? kind->by_page : kind->by_file);
	uint8_t *memory = registered_memory(kind);
	static uint32_t n;
	struct rte_eth_dev_info dev;
	uint64_t large;
	int rc;

	if (memory == NULL && kind->huge) {
		printf("%s: no hugepages\n", kind->name);
		return;
	}
	if (memory == NULL)
		rte_exit(2, "%s: %s\n", kind->name, strerror(errno));
	CHECK(rte_eth_dev_info_get(0, &dev) == 0, "dev_info");
	CHECK(rte_extmem_register(memory, REGISTERED_LEN, NULL, 0, 4096) == 0, "%s", kind->name);
	send_in(mp, memory, n, REGISTERED_N);
	check_by_reference(*by_reference);
	rc = rte_dev_dma_map(dev.device, memory, (uintptr_t)memory, REGISTERED_LEN);
	CHECK(can ? rc == 0 : rc != 0 && rte_errno == ENOTSUP, "%s: dma_map %d (%s)", kind->name,
		rc, rc == 0 ? "done" : rte_strerror(rte_errno));
	large = send_in(mp, memory, n + REGISTERED_N, REGISTERED_N);
	CHECK(large != 0, "no large frames");
	*by_reference += can ? large : 0;
	check_by_reference(*by_reference);
	rte_dev_dma_unmap(dev.device, memory, (uintptr_t)memory, REGISTERED_LEN);
	send_in(mp, memory, n + 2 * REGISTERED_N, REGISTERED_N);
	check_by_reference(*by_reference);
	n += 3 * REGISTERED_N;
	CHECK(rte_extmem_unregister(memory, REGISTERED_LEN) == 0, "%s: unregister", kind->name);
	munmap(memory, REGISTERED_LEN);
}

/*
 * A host by vfio-user is told of memory of a file; one that sees this machine's memory, as by uio
 * (here the rig's) with physical addresses, of shared hugepages. All other memory is refused, and
 * copied.
 */
void
case_registered(void)
{
	static const struct registered kinds[] = {
		{"file", 0, true, false, true, false},
		{"file of hugepages", MFD_HUGETLB, true, true, true, true},
		{"private file of hugepages", MFD_HUGETLB, false, true, false, false},
		{"private hugepages", -1, false, true, false, false},
		{"memory", -1, false, false, false, false},
	};
	struct rte_mempool *mp = pool_plain("registered", 511, 0),
			   *rx = pool_plain("rx", 255, ROOM);
	uint64_t by_reference = 0;
	size_t i;

	port_start(rx);
	for (i = 0; i < RTE_DIM(kinds); i++)
		registered_check(mp, &kinds[i], getenv("RIG_SOCKETS") != NULL, &by_reference);
	rte_eth_dev_stop(0);
	pool_audit(mp);
	pool_audit(rx);
}

static atomic_uint recovered;

static int
on_recovered(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	atomic_fetch_add(&recovered, 1);
	return 0;
}

/* A device that comes back is told of the application's memory by the driver. */
void
case_registered_returns(void)
{
	static const struct registered kind = {
		"file of hugepages", MFD_HUGETLB, true, true, true, true};
	uint64_t end, large, by_reference = 0;
	struct rte_mempool *mp = pool_plain("registered", 511, 0),
			   *rx = pool_plain("rx", 255, ROOM);
	uint8_t *memory = registered_memory(&kind);
	struct rte_eth_dev_info dev;
	uint32_t round;

	if (memory == NULL) {
		printf("no hugepages\n");
		return;
	}
	port_start(rx);
	rte_eth_dev_callback_register(0, RTE_ETH_EVENT_RECOVERY_SUCCESS, on_recovered, NULL);
	CHECK(rte_eth_dev_info_get(0, &dev) == 0, "dev_info");
	CHECK(rte_extmem_register(memory, REGISTERED_LEN, NULL, 0, 4096) == 0, "registered");
	CHECK(rte_dev_dma_map(dev.device, memory, 0, REGISTERED_LEN) == 0, "dma_map");
	for (round = 0; round < 3; round++) {
		large = send_in(mp, memory, round * REGISTERED_N, REGISTERED_N);
		CHECK(large != 0, "no large frames");
		by_reference += large;
		check_by_reference(by_reference);
		if (round == 2)
			break;
		pause_for(round == 0 ? "sent first" : "sent second");
		end = rte_get_timer_cycles() + 20 * rte_get_timer_hz();
		while (atomic_load(&recovered) <= round && rte_get_timer_cycles() < end)
			rte_delay_us_sleep(1000);
		CHECK(atomic_load(&recovered) == round + 1, "the device is not back");
	}
	rte_dev_dma_unmap(dev.device, memory, 0, REGISTERED_LEN);
	rte_eth_dev_stop(0);
	CHECK(rte_extmem_unregister(memory, REGISTERED_LEN) == 0, "unregister");
	pool_audit(mp);
	pool_audit(rx);
}
