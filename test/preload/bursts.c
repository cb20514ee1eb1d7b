/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into a DPDK application: how much of its own thread's CPU time each burst call of the
 * driver's ports takes, whoever calls it (the application, or a port above). At the end it writes
 * for either direction how many there were, how long the longest was, and how many took more than
 * 1 ms: those in which the thread was never off its processor, and those that were interrupted. The
 * kernel counts interrupts, and what a hypervisor took meanwhile, as time of the thread that
 * was on the processor; so a few may be somebody else's (test/integration/bursts.py).
 *
 * BURSTS_BURN=N: every Nth receive burst works 3 ms more, so that a test sees that it is found.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <ethdev_driver.h>

#define LIMIT_NS INT64_C(1000000)
#define BURN_NS	 (3 * LIMIT_NS)
/* The driver's variants of a burst call. */
#define VARIANTS 4

enum { RX, TX, WAYS };

struct account {
	_Atomic uint64_t calls, whole, broken;
	_Atomic int64_t longest;
};

static struct account accounts[WAYS];
static uint16_t (*real_burst[WAYS][VARIANTS])(void *queue, struct rte_mbuf **pkts, uint16_t n);
static unsigned long burn;

static int64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* How often this thread has been off its processor. */
static long
switches(void)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return use.ru_nvcsw + use.ru_nivcsw;
}

static void
burn_some(void)
{
	int64_t end = cpu_ns() + BURN_NS;

	while (cpu_ns() < end)
		;
}

static uint16_t
timed(unsigned int way, unsigned int variant, void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct account *a = &accounts[way];
	uint64_t calls = atomic_fetch_add(&a->calls, 1) + 1;
	long before = switches();
	int64_t began = cpu_ns(), took, longest;
	uint16_t done = real_burst[way][variant](queue, pkts, n);

	if (burn != 0 && way == RX && calls % burn == 0)
		burn_some();
	took = cpu_ns() - began;
	longest = atomic_load(&a->longest);
	while (took > longest && !atomic_compare_exchange_weak(&a->longest, &longest, took))
		;
	if (took > LIMIT_NS)
		atomic_fetch_add(switches() == before ? &a->whole : &a->broken, 1);
	return done;
}

#define TIMED(variant)                                                                             \
	static uint16_t rx_##variant(void *queue, struct rte_mbuf **pkts, uint16_t n)              \
	{                                                                                          \
		return timed(RX, variant, queue, pkts, n);                                         \
	}                                                                                          \
	static uint16_t tx_##variant(void *queue, struct rte_mbuf **pkts, uint16_t n)              \
	{                                                                                          \
		return timed(TX, variant, queue, pkts, n);                                         \
	}
TIMED(0)
TIMED(1)
TIMED(2)
TIMED(3)

static const eth_rx_burst_t timed_burst[WAYS][VARIANTS] = {
	{rx_0, rx_1, rx_2, rx_3}, {tx_0, tx_1, tx_2, tx_3}};

/* @return what times this function, in its place */
static eth_rx_burst_t
instead_of(unsigned int way, eth_rx_burst_t burst)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < VARIANTS; i++)
		if (burst == timed_burst[way][i])
			break; /* it is one already */
	for (i = i < VARIANTS ? VARIANTS : 0; i < VARIANTS; i++) {
		if (real_burst[way][i] == NULL)
			real_burst[way][i] = burst;
		if (real_burst[way][i] == burst) {
			burst = timed_burst[way][i];
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return burst;
}

/* Set by the driver as it starts a port, and copied by ethdev when that has succeeded. */
int
rte_eth_dev_start(uint16_t port)
{
	int (*start)(uint16_t) = (int (*)(uint16_t))dlsym(RTLD_NEXT, "rte_eth_dev_start");
	struct rte_eth_dev *devices = dlsym(RTLD_DEFAULT, "rte_eth_devices");
	struct rte_eth_fp_ops *fast = dlsym(RTLD_DEFAULT, "rte_eth_fp_ops");
	struct rte_eth_dev *eth = &devices[port];
	int rc = start(port);

	if (rc != 0 || eth->device == NULL || eth->device->driver == NULL ||
		strcmp(eth->device->driver->name, "net_netvsc") != 0)
		return rc;
	eth->rx_pkt_burst = fast[port].rx_pkt_burst = instead_of(RX, eth->rx_pkt_burst);
	eth->tx_pkt_burst = fast[port].tx_pkt_burst = instead_of(TX, eth->tx_pkt_burst);
	return rc;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *n = getenv("BURSTS_BURN");

	burn = n == NULL ? 0 : strtoul(n, NULL, 0);
}

__attribute__((destructor)) static void
end(void)
{
	static const char *const names[WAYS] = {"receive", "send"};
	unsigned int way;

	/* Those that load this and have no ports say nothing. */
	for (way = 0; way < WAYS && accounts[RX].calls != 0; way++)
		fprintf(stderr,
			"\n%s bursts: %lu, longest %lu us, above 1 ms %lu, and interrupted %lu\n",
			names[way], (unsigned long)accounts[way].calls,
			(unsigned long)accounts[way].longest / 1000,
			(unsigned long)accounts[way].whole, (unsigned long)accounts[way].broken);
}
