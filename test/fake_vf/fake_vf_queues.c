/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_vf.h: queues of the ethdev, and the frames that come and go. */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "test/fake_vf/fake_vf_dev.h"

/*
 * The next frame of the interface's network, its length or -1. What is sent is there, too: sockets
 * of a fanout get it whatever PACKET_IGNORE_OUTGOING of theirs says.
 */
static ssize_t
socket_receive(int fd, void *room, size_t size)
{
	struct sockaddr_ll from;
	socklen_t len;
	ssize_t rc;

	do {
		len = sizeof(from);
		rc = recvfrom(
			fd, room, size, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &len);
	} while (rc > 0 && from.sll_pkttype == PACKET_OUTGOING);
	return rc;
}

uint16_t
fake_vf_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *q = queue;
	struct rte_mbuf *m;
	uint16_t i, got = 0;
	ssize_t len;

	if (atomic_load(&q->vf->vanished) || atomic_load(&q->vf->recovering))
		return 0;
	got = (uint16_t)rte_ring_dequeue_burst(q->ring, (void **)pkts, n, NULL);
	while (q->fd >= 0 && got < n && (m = rte_pktmbuf_alloc(q->pool)) != NULL) {
		len = socket_receive(q->fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
		if (len <= 0 || len > rte_pktmbuf_tailroom(m)) {
			q->dropped += len > 0;
			rte_pktmbuf_free(m);
			if (len <= 0)
				break;
			continue;
		}
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		pkts[got++] = m;
	}
	for (i = 0; i < got; i++) {
		pkts[i]->port = q->vf->eth->data->port_id;
		q->bytes += pkts[i]->pkt_len;
	}
	q->packets += got;
	return got;
}

uint16_t
fake_vf_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *q = queue;
	uint8_t flat[RTE_ETHER_MAX_JUMBO_FRAME_LEN];
	const void *frame;
	uint16_t i, sent;

	if (atomic_load(&q->vf->vanished) || atomic_load(&q->vf->recovering))
		return 0;
	for (i = 0; i < n; i++)
		q->bytes += pkts[i]->pkt_len;
	if (q->fd < 0) {
		sent = (uint16_t)rte_ring_enqueue_burst(q->ring, (void **)pkts, n, NULL);
		for (i = sent; i < n; i++)
			q->bytes -= pkts[i]->pkt_len;
		q->packets += sent;
		return sent;
	}
	for (i = 0; i < n; i++) {
		frame = rte_pktmbuf_read(
			pkts[i], 0, RTE_MIN(pkts[i]->pkt_len, (uint32_t)sizeof(flat)), flat);
		if (frame == NULL || send(q->fd, frame, pkts[i]->pkt_len, MSG_DONTWAIT) < 0)
			q->dropped++;
		rte_pktmbuf_free(pkts[i]);
	}
	q->packets += n;
	return n;
}

/* ---- what is asked beside bursts ---- */

fake_vf_count
fake_vf_rx_queue_count(void *queue)
{
	struct fake_queue *q = queue;

	q->vf->seen.queue_calls++;
	return (fake_vf_count)rte_ring_count(q->ring);
}

int
fake_vf_rx_descriptor_status(void *queue, uint16_t offset)
{
	struct fake_queue *q = queue;

	q->vf->seen.queue_calls++;
	return rte_ring_count(q->ring) > offset ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

int
fake_vf_tx_descriptor_status(void *queue, uint16_t offset)
{
	struct fake_queue *q = queue;

	q->vf->seen.queue_calls++;
	if (offset >= q->vf->seen.tx_desc[q->number])
		return -EINVAL;
	return offset < rte_ring_count(q->ring) ? RTE_ETH_TX_DESC_FULL : RTE_ETH_TX_DESC_DONE;
}

/* What it was given to send is freed. */
int
fake_vf_tx_done_cleanup(void *queue, uint32_t count)
{
	struct fake_queue *q = queue;
	struct rte_mbuf *m;
	int freed = 0;

	q->vf->seen.queue_calls++;
	while ((count == 0 || (uint32_t)freed < count) &&
		rte_ring_dequeue(q->ring, (void **)&m) == 0) {
		rte_pktmbuf_free(m);
		freed++;
	}
	return freed;
}

/* Chains that are longer than it said are not for it. */
uint16_t
fake_vf_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake_queue *q = queue;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (pkts[i]->nb_segs > 8) {
			rte_errno = EINVAL;
			break;
		}
		q->vf->seen.prepared++;
	}
	return i;
}

/* A socket on the interface; several that receive divide its flows. */
static int
socket_open(const struct fake_vf *vf, bool rx)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = rx ? htons(ETH_P_ALL) : 0,
		.sll_ifindex = (int)if_nametoindex(vf->knobs.iface),
	};
	/* Room for frames that wait while a busy machine does something else. */
	int fd, room = 16 << 20, fanout = (getpid() & 0xffff) | PACKET_FANOUT_HASH << 16;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (rx && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (addr.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		(rx && vf->eth->data->nb_rx_queues > 1 &&
			setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)) != 0)) {
		fprintf(stderr, "fake VF: cannot use interface '%s': %s\n", vf->knobs.iface,
			strerror(errno));
		close(fd);
		return -ENODEV;
	}
	return fd;
}

/* ---- queues ---- */

static void
queue_free(struct fake_queue *q, const struct fake_queue *other)
{
	struct rte_mbuf *m;

	while (q->ring != NULL && rte_ring_dequeue(q->ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	if (q->vf != NULL && q->fd >= 0)
		close(q->fd);
	if (q->ring != other->ring)
		rte_ring_free(q->ring);
	q->ring = NULL;
	q->fd = -1;
}

static int
queue_make(struct rte_eth_dev *eth, struct fake_queue *q, uint16_t number, bool rx)
{
	struct fake_vf *vf = vf_of(eth);
	char name[RTE_RING_NAMESIZE];
	int rc = fake_vf_asked(eth, FAKE_VF_REFUSES_QUEUES);

	if (rc != 0)
		return rc == -ENOTSUP ? -ENOMEM : rc;
	q->vf = vf;
	q->number = number;
	q->fd = -1;
	snprintf(name, sizeof(name), "fake%u%s%u", eth->data->port_id,
		rx || is_set(&vf->knobs.loop) ? "r" : "t", number);
	q->ring = rte_ring_lookup(name);
	if (q->ring == NULL)
		q->ring = rte_ring_create(name, 2048, SOCKET_ID_ANY, 0);
	if (q->ring == NULL)
		return -ENOMEM;
	if (vf->knobs.iface[0] != '\0')
		q->fd = socket_open(vf, rx);
	return q->fd < -1 ? q->fd : 0;
}

int
fake_vf_rx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *mp)
{
	struct fake_vf *vf = vf_of(eth);
	int rc;

	if ((vf->knobs.refuses & FAKE_VF_REFUSES_THRESHOLDS) && conf->rx_free_thresh != 7)
		return -EINVAL;
	rc = queue_make(eth, &vf->rx[queue], queue, true);
	if (rc != 0)
		return rc;
	vf->rx[queue].pool = mp;
	vf->seen.rx_desc[queue] = nb_desc;
	vf->seen.rx_conf[queue] = *conf;
	vf->seen.pool[queue] = mp;
	eth->data->rx_queues[queue] = &vf->rx[queue];
	return 0;
}

int
fake_vf_tx_queue_setup(struct rte_eth_dev *eth, uint16_t queue, uint16_t nb_desc,
	unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct fake_vf *vf = vf_of(eth);
	int rc = queue_make(eth, &vf->tx[queue], queue, false);

	if (rc != 0)
		return rc;
	vf->seen.tx_desc[queue] = nb_desc;
	vf->seen.tx_conf[queue] = *conf;
	eth->data->tx_queues[queue] = &vf->tx[queue];
	return 0;
}

void
fake_vf_rx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	if (eth->data->rx_queues[queue] != NULL)
		queue_free(eth->data->rx_queues[queue], &vf_of(eth)->tx[queue]);
	eth->data->rx_queues[queue] = NULL;
}

void
fake_vf_tx_queue_release(struct rte_eth_dev *eth, uint16_t queue)
{
	if (eth->data->tx_queues[queue] != NULL)
		queue_free(eth->data->tx_queues[queue], &vf_of(eth)->rx[queue]);
	eth->data->tx_queues[queue] = NULL;
}
