/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/ethdev/mbufs.h"

#include <sys/mman.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#define PATIENCE_S 20

unsigned int failures;

/* ---- frames ---- */

static uint8_t
frame_byte(uint32_t n, uint32_t at)
{
	/* To everybody, from this port, an experimental type. */
	static const uint8_t header[14] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x15, 0x5d, 0x48, 0x00, 0x01, 0x88, 0xb5};

	uint32_t x = (n * 0x10001 + at) * UINT32_C(0x9e3779b1);

	/* No two places look alike: a piece that is in another's place is seen. */
	x = (x ^ x >> 15) * UINT32_C(0x85ebca6b);
	return at < sizeof(header) ? header[at] : (uint8_t)(x >> 24);
}

void
frame_fill(void *at, uint32_t n, uint32_t from, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		((uint8_t *)at)[i] = frame_byte(n, from + i);
}

void
frame_expect(uint32_t n, uint32_t size)
{
	static FILE *file;
	uint32_t i;

	if (file == NULL && (file = fopen(getenv("MBUFS_EXPECT"), "wb")) == NULL)
		rte_exit(2, "MBUFS_EXPECT: no file to write expected frames to\n");
	fwrite(&size, sizeof(size), 1, file);
	for (i = 0; i < size; i++)
		fputc(frame_byte(n, i), file);
	fflush(file);
}

/* ---- pools ---- */

static struct rte_mempool *
pool_made(struct rte_mempool *mp, const char *name)
{
	if (mp == NULL)
		rte_exit(2, "pool %s: %s\n", name, rte_strerror(rte_errno));
	return mp;
}

struct rte_mempool *
pool_plain(const char *name, unsigned int n, uint16_t room)
{
	return pool_made(rte_pktmbuf_pool_create(name, n, 0, 0, room, SOCKET_ID_ANY), name);
}

struct rte_mempool *
pool_foreign(const char *name, unsigned int n, uint16_t room)
{
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = room};
	struct rte_mempool *mp =
		pool_made(rte_mempool_create_empty(name, n, sizeof(struct rte_mbuf) + room, 0,
				  sizeof(priv), SOCKET_ID_ANY, 0),
			name);
	size_t len = (size_t)n * (sizeof(struct rte_mbuf) + room + 256);

	len = RTE_ALIGN_CEIL(len, (size_t)2 << 20);
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_populate_iova(mp, memory_foreign(len), RTE_BAD_IOVA, len, NULL, NULL) !=
		(int)n)
		rte_exit(2, "pool %s: not populated\n", name);
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

struct rte_mempool *
pool_pinned(const char *name, unsigned int n, uint16_t room, bool foreign)
{
	struct rte_pktmbuf_extmem mem = {.elt_size = room};

	mem.buf_len = RTE_ALIGN_CEIL((size_t)n * room, (size_t)2 << 20);
	mem.buf_ptr = foreign ? memory_foreign(mem.buf_len)
			      : rte_zmalloc(name, mem.buf_len, (size_t)2 << 20);
	if (mem.buf_ptr == NULL)
		rte_exit(2, "pool %s: no memory\n", name);
	/* What applications write here: it is not the driver's business. */
	mem.buf_iova = foreign ? (rte_iova_t)(uintptr_t)mem.buf_ptr : 0x1000;
	return pool_made(
		rte_pktmbuf_pool_create_extbuf(name, n, 0, 0, room, SOCKET_ID_ANY, &mem, 1), name);
}

void *
memory_foreign(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		rte_exit(2, "%zu bytes of memory: %s\n", len, strerror(errno));
	return at;
}

void
pool_audit(struct rte_mempool *mp)
{
	CHECK(rte_mempool_full(mp), "%s: %u of %u mbufs are in the pool", mp->name,
		rte_mempool_avail_count(mp), mp->size);
}

/* ---- port 0 ---- */

void
port_start(struct rte_mempool *mp)
{
	const char *mtu = getenv("MBUFS_MTU");
	struct rte_eth_conf conf = {0};
	int rc;

	conf.rxmode.mtu = mtu != NULL ? (uint32_t)atoi(mtu) : 0;

	rc = rte_eth_dev_configure(0, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(0, 0, 512, SOCKET_ID_ANY, NULL, mp);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(0, 0, 512, SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(0);
	if (rc != 0)
		rte_exit(2, "port 0 does not start: %s\n", rte_strerror(-rc));
}

void
send_all(struct rte_mbuf **mbufs, uint16_t n)
{
	uint64_t end = rte_get_timer_cycles() + PATIENCE_S * rte_get_timer_hz();
	uint16_t sent = 0;

	while (sent < n && rte_get_timer_cycles() < end)
		sent += rte_eth_tx_burst(0, 0, mbufs + sent, (uint16_t)(n - sent));
	CHECK(sent == n, "%u of %u mbufs were taken in %u s", sent, n, PATIENCE_S);
	rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
}

struct rte_mbuf *
mbuf_alloc(struct rte_mempool *mp)
{
	uint64_t end = rte_get_timer_cycles() + PATIENCE_S * rte_get_timer_hz();
	struct rte_mbuf *m;

	while ((m = rte_pktmbuf_alloc(mp)) == NULL && rte_get_timer_cycles() < end)
		rte_eth_tx_done_cleanup(0, 0, 0);
	if (m == NULL)
		rte_exit(1, "%s: no mbuf comes back in %u s\n", mp->name, PATIENCE_S);
	return m;
}

void
pool_wait(struct rte_mempool *mp)
{
	uint64_t end = rte_get_timer_cycles() + PATIENCE_S * rte_get_timer_hz();

	while (!rte_mempool_full(mp) && rte_get_timer_cycles() < end)
		rte_eth_tx_done_cleanup(0, 0, 0);
	pool_audit(mp);
}

uint64_t
xstat(const char *name)
{
	uint64_t id, value = 0;

	if (rte_eth_xstats_get_id_by_name(0, name, &id) != 0 ||
		rte_eth_xstats_get_by_id(0, &id, &value, 1) != 1)
		rte_exit(2, "no counter %s\n", name);
	return value;
}

void
check_by_reference(uint64_t want)
{
	uint64_t got = xstat("tx_q0_by_reference");

	CHECK(got == (xstat("copy_only") != 0 ? 0 : want),
		"%" PRIu64 " of %" PRIu64 " frames by reference", got, want);
}

void
pause_for(const char *what)
{
	char line[16];

	printf("%s\n", what);
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		rte_exit(2, "no answer\n");
}

/* ---- attached external buffers ---- */

unsigned int buffers_freed;

static void
buffer_free(void *addr, void *opaque)
{
	buffers_freed++;
}

struct rte_mbuf *
attached(struct rte_mempool *mp, uint8_t *buffer, struct rte_mbuf_ext_shared_info *info, uint32_t n)
{
	struct rte_mbuf *m = mbuf_alloc(mp);

	info->free_cb = buffer_free;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, buffer, 0xdead000 + n, 2048, info);
	rte_pktmbuf_reset_headroom(m);
	frame_fill(rte_pktmbuf_append(m, (uint16_t)frame_size(n)), n, 0, frame_size(n));
	frame_expect(n, frame_size(n));
	return m;
}
