/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The ethdev of fake_vf.h from inside, for the files that it consists of: fake_vf.c, its life and
 * its settings; fake_vf_queues.c, its queues and frames; fake_vf_knobs.c, what tests and commands
 * set and ask. What an application asks is written without a lock, as by any driver.
 */
#ifndef HP_TEST_FAKE_VF_DEV_H
#define HP_TEST_FAKE_VF_DEV_H

#include <errno.h>

#include <ethdev_driver.h>

#include "test/fake_vf/fake_vf.h"

struct fake_queue {
	struct fake_vf *vf;
	struct rte_ring
		*ring; /**< what comes or goes; with loop=1 that of the other direction, too */
	struct rte_mempool *pool;
	int fd;
	uint16_t number;
	uint64_t packets, bytes, dropped;
};

struct fake_vf {
	struct rte_eth_dev *eth;
	struct fake_vf_knobs knobs;
	struct fake_vf_seen seen;
	struct fake_queue rx[FAKE_VF_QUEUES], tx[FAKE_VF_QUEUES];
	atomic_bool vanished, recovering;
};

/** By port id. */
extern struct rte_eth_dev *_Atomic fake_vfs[RTE_MAX_ETHPORTS];

static inline struct fake_vf *
vf_of(const struct rte_eth_dev *eth)
{
	return eth->data->dev_private;
}

static inline bool
is_set(const uint64_t *knob)
{
	return __atomic_load_n(knob, __ATOMIC_ACQUIRE) != 0;
}

/** @return what an operation answers before it does anything */
static inline int
fake_vf_asked(struct rte_eth_dev *eth, uint64_t refusal)
{
	struct fake_vf *vf = vf_of(eth);

	if (eth->data->dev_started)
		vf->seen.while_started++;
	if (atomic_load(&vf->vanished))
		return -ENODEV;
	if (atomic_load(&vf->recovering))
		return -EBUSY;
	return vf->knobs.refuses & refusal ? -ENOTSUP : 0;
}

void fake_vf_link_set(struct rte_eth_dev *eth);

uint16_t fake_vf_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t fake_vf_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t fake_vf_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t n);
/** Unsigned or not, by release. */
typedef __typeof__(((eth_rx_queue_count_t)NULL)(NULL)) fake_vf_count;
fake_vf_count fake_vf_rx_queue_count(void *queue);
int fake_vf_rx_descriptor_status(void *queue, uint16_t offset);
int fake_vf_tx_descriptor_status(void *queue, uint16_t offset);
int fake_vf_tx_done_cleanup(void *queue, uint32_t count);
int fake_vf_rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *mp);
int fake_vf_tx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_txconf *conf);
void fake_vf_rx_queue_release(struct rte_eth_dev *eth, uint16_t queue);
void fake_vf_tx_queue_release(struct rte_eth_dev *eth, uint16_t queue);

#endif
