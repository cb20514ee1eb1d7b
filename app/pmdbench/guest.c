/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL, the port, and the calls that are measured. */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "app/pmdbench/guest.h"

#define PORT	   0
#define POOL_SIZE  16383u
#define POOL_CACHE 256u
#define RX_DESC	   4096u
#define TX_DESC	   512u
#define MAX_ARGS   24

/* ---- the measured calls ---- */

static inline uint16_t
rx(struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	if (guest->floor != NULL)
		return floor_rx(guest->floor, queue, pkts, n);
	return rte_eth_rx_burst(PORT, queue, pkts, n);
}

static inline uint16_t
tx(struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	if (guest->floor != NULL)
		return floor_tx(guest->floor, queue, pkts, n);
	return rte_eth_tx_burst(PORT, queue, pkts, n);
}

/* The empty assembly keeps the compiler from making one function of two. */
#define MEASURED(name, call)                                                                       \
	__rte_noinline uint16_t name(                                                              \
		struct bench_guest *guest, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)     \
	{                                                                                          \
		__asm__ volatile("# " #name);                                                      \
		return call(guest, queue, pkts, n);                                                \
	}
MEASURED(timed_rx, rx)
MEASURED(timed_tx, tx)
MEASURED(counted_rx, rx)
MEASURED(counted_tx, tx)

/* ---- EAL ---- */

struct args {
	int n;
	char *value[MAX_ARGS];
	char text[MAX_ARGS][256];
};

static void
add(struct args *args, const char *format, ...)
{
	va_list ap;

	if (args->n == MAX_ARGS)
		return;
	va_start(ap, format);
	vsnprintf(args->text[args->n], sizeof(args->text[0]), format, ap);
	va_end(ap);
	args->value[args->n] = args->text[args->n];
	args->n++;
}

static bool
have_hugepages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	int n = 0;

	if (file == NULL)
		return false;
	if (fscanf(file, "%d", &n) != 1)
		n = 0;
	fclose(file);
	return n >= 64;
}

/* Under valgrind there is no room for the address space that hugepages are planned in. */
static void
eal_args(struct args *args, const struct bench_subject_options *options,
	const struct bench_host *host)
{
	add(args, "pmdbench");
	add(args, "--file-prefix");
	add(args, "pmdbench%d", (int)getpid());
	add(args, "--no-pci");
	add(args, "--no-telemetry");
	add(args, "--lcores");
	add(args, "0@%d", options->cpu);
	add(args, "--log-level=warning");
	if (!options->counts && have_hugepages()) {
		add(args, "--in-memory");
	} else {
		add(args, "--no-huge");
		add(args, "-m");
		add(args, "256");
	}
	switch (options->pmd) {
	case BENCH_HYPERPOLL:
	case BENCH_FLOOR:
		add(args, "-d");
		add(args, "%s", options->plugin);
		add(args, "-a");
		add(args, "vmbus:%s,vfio-user=%s", host->device.guid, host->device.path);
		break;
	case BENCH_HYPERPOLL_UIO:
		add(args, "--iova-mode=pa");
		add(args, "-d");
		add(args, "%s", options->plugin);
		add(args, "-a");
		add(args, "vmbus:%s", host->device.guid);
		break;
	default:
		/* It cuts page numbers to 32 bits, so that memory has to be below 16 TiB. */
		add(args, "--iova-mode=va");
		add(args, "--base-virtaddr=0x100000000");
	}
}

/* @param all it has what a queue can have */
static int
queue_setup(struct bench_guest *guest, uint16_t queue, const uint16_t n[2],
	const struct rte_eth_dev_info *info, bool all)
{
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int rc;

	if (all) {
		rx.offloads = info->rx_queue_offload_capa;
		tx.offloads = info->tx_queue_offload_capa;
	}
	rc = rte_eth_rx_queue_setup(
		PORT, queue, n[0], SOCKET_ID_ANY, all ? &rx : NULL, guest->pool);
	return rc != 0 ? rc
		       : rte_eth_tx_queue_setup(PORT, queue, n[1], SOCKET_ID_ANY, all ? &tx : NULL);
}

static int
port_start(struct bench_guest *guest, enum bench_offloads offloads)
{
	uint16_t queues = (uint16_t)guest->queues, q, n[2] = {RX_DESC, TX_DESC};
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(PORT, &info);

	if (rc == 0 && queues > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IP & info.flow_type_rss_offloads;
	}
	/* As testpmd does: who has no use for packet types says so. */
	if (rc == 0 && offloads != BENCH_TYPES)
		rte_eth_dev_set_ptypes(PORT, RTE_PTYPE_UNKNOWN, NULL, 0);
	if (rc == 0 && (offloads == BENCH_ALL || offloads == BENCH_TYPES)) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rxmode.offloads = info.rx_offload_capa;
	}
	if (rc == 0)
		rc = rte_eth_dev_configure(PORT, queues, queues, &conf);
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(PORT, &n[0], &n[1]);
	for (q = 0; rc == 0 && q < queues; q++)
		rc = queue_setup(guest, q, n, &info, offloads == BENCH_OTHERS && q + 1 == queues);
	return rc != 0 ? rc : rte_eth_dev_start(PORT);
}

static sem_t parked;

static void
park(void *arg)
{
	sem_t never;

	sem_post(&parked);
	sem_init(&never, 0, 0);
	while (sem_wait(&never) != 0)
		;
}

/*
 * A driver also works from EAL's interrupt thread, by the clock. The floor cannot have that, nor
 * can a count that shall be the same in every run: the thread stays in an alarm of ours until the
 * process ends.
 */
static int
park_interrupts(struct bench_guest *guest)
{
	int rc;

	sem_init(&parked, 0, 0);
	rc = rte_eal_alarm_set(1, park, NULL);
	while (rc == 0 && sem_wait(&parked) != 0)
		;
	guest->parked = rc == 0;
	return rc;
}

int
guest_start(struct bench_guest *guest, const struct bench_subject_options *options,
	struct bench_host *host, char *errbuf, size_t errlen)
{
	struct args args = {0};
	int rc;

	memset(guest, 0, sizeof(*guest));
	guest->queues = bench_channels(options->queues, options->offloads);
	eal_args(&args, options, host);
	if (rte_eal_init(args.n, args.value) < 0) {
		snprintf(errbuf, errlen, "EAL cannot start: %s", rte_strerror(rte_errno));
		return -rte_errno;
	}
	if (!rte_eth_dev_is_valid_port(PORT)) {
		snprintf(errbuf, errlen, "the driver has found no port on the NIC");
		return -ENODEV;
	}
	guest->pool = rte_pktmbuf_pool_create(
		"pmdbench", POOL_SIZE, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (guest->pool == NULL) {
		snprintf(errbuf, errlen, "no memory for mbufs; reserve hugepages (./run setup)");
		return -ENOMEM;
	}
	rc = port_start(guest, options->offloads);
	if (rc == 0 && (options->counts || options->pmd == BENCH_FLOOR))
		rc = park_interrupts(guest);
	if (rc == 0 && options->pmd == BENCH_FLOOR)
		rc = floor_create(&guest->floor, host, guest->queues, guest->pool);
	if (rc != 0)
		snprintf(errbuf, errlen, "the port does not start with %u queues: %s",
			guest->queues, strerror(-rc));
	return rc;
}

void
guest_stop(struct bench_guest *guest)
{
	/*
	 * The floor has moved the rings on behind the driver, which must not touch them again; and
	 * without EAL's thread it might wait for ever.
	 */
	if (guest->floor != NULL)
		floor_destroy(guest->floor);
	if (guest->parked)
		return;
	rte_eth_dev_stop(PORT);
	rte_eth_dev_close(PORT);
	rte_eal_cleanup();
}
