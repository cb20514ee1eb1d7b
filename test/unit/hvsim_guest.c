/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/hvsim_guest.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/vmbus/ring_map.h"
#include "test/unit/unit.h"

int
guest_map_rings(struct guest *g, uint32_t index, struct vmbus_ring *tx, struct vmbus_ring *rx)
{
	struct vfu_region region;
	int rc = vfu_client_region_info(g->client, index, &region);

	if (rc != 0 || region.fd < 0)
		return rc != 0 ? rc : -ENOENT;
	rc = vmbus_ring_map(region.fd, 0, region.size / 2, 4096, tx);
	if (rc == 0)
		rc = vmbus_ring_map(region.fd, region.size / 2, region.size / 2, 4096, rx);
	close(region.fd);
	return rc;
}

void
guest_rings_open(struct guest *g)
{
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_writer_init(&g->out, &g->tx), 0);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_reader_init(&g->in, &g->rx), 0);
}

void
guest_connect(struct guest *g, const char *path)
{
	char err[VFU_ERRLEN] = "";

	memset(g, 0, sizeof(*g));
	memset(g->irq, -1, sizeof(g->irq));
	CU_ASSERT_EQUAL_FATAL(vfu_client_connect(path, &g->client, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL_FATAL(guest_map_rings(g, 0, &g->tx, &g->rx), 0);
	CU_ASSERT_EQUAL_FATAL(vfu_client_io_fds(g->client, VMBUS_REGION_DOORBELL, &g->io), 0);
	guest_rings_open(g);
}

void
guest_close(struct guest *g)
{
	vmbus_ring_unmap(&g->tx);
	vmbus_ring_unmap(&g->rx);
	vfu_io_fds_close(&g->io);
	for (unsigned int i = 0; i < sizeof(g->irq) / sizeof(g->irq[0]); i++)
		if (g->irq[i] >= 0)
			close(g->irq[i]);
	vfu_client_close(g->client);
}

void
guest_send(struct guest *g, const struct nvsp_message *msg, uint64_t tid)
{
	struct {
		struct vmbus_packet desc;
		uint8_t payload[NVSP_MESSAGE_SIZE];
	} pkt;
	uint64_t one = 1;

	memset(&pkt, 0, sizeof(pkt));
	memcpy(pkt.payload, msg, NVSP_MESSAGE_SIZE);
	vmbus_packet_init(&pkt.desc, VMBUS_PACKET_INBAND, sizeof(pkt.desc), sizeof(pkt),
		VMBUS_FLAG_COMPLETION, tid);
	CU_ASSERT_EQUAL_FATAL(vmbus_ring_write(&g->out, &pkt, sizeof(pkt), 0), 0);
	/* The normal producer rule: the doorbell only if the host asked for it. */
	if (vmbus_ring_writer_publish(&g->out))
		CU_ASSERT_EQUAL(write(g->io.fds[g->io.entry[0].fd_index], &one, sizeof(one)), 8);
}
