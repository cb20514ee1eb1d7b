/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the cases of the program mbufs share: one port with one queue pair, frames, counters. One
 * thread. A check that fails is printed and fails the program at its end.
 */
#ifndef HP_TEST_MBUFS_H
#define HP_TEST_MBUFS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#define ROOM	  2176u /**< bytes of an mbuf's buffer, headroom included */
#define COPYBREAK 512u	/**< frames up to this are copied by the driver */

/** Print and remember a check that failed. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s:%d: " #condition ": ", __FILE__, __LINE__);                     \
			printf(__VA_ARGS__);                                                       \
			printf("\n");                                                              \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

extern unsigned int failures;

/** Size of the n-th frame of a case: copied and by reference in turns, 60..1514. */
static inline uint32_t
frame_size(uint32_t n)
{
	return 60 + n * 613 % 1455;
}

/** Write bytes [from, from + len) of frame @p n; the host's port must see just these. */
void frame_fill(void *at, uint32_t n, uint32_t from, uint32_t len);
/** Frame @p n of @p size bytes is expected at the host's port next. */
void frame_expect(uint32_t n, uint32_t size);

/** A pool of EAL's memory. */
struct rte_mempool *pool_plain(const char *name, unsigned int n, uint16_t room);
/** A pool whose mbufs lie in memory that EAL knows nothing of. */
struct rte_mempool *pool_foreign(const char *name, unsigned int n, uint16_t room);
/** A pool with pinned external buffers, in EAL's memory or not. */
struct rte_mempool *pool_pinned(const char *name, unsigned int n, uint16_t room, bool foreign);
/** Memory that EAL knows nothing of; zero. */
void *memory_foreign(size_t len);

/** Configure and start port 0, receiving into @p mp; with an MTU of $MBUFS_MTU, if that is set. */
void port_start(struct rte_mempool *mp);
/** Send all of them, for at most 20 s. */
void send_all(struct rte_mbuf **mbufs, uint16_t n);
/** An mbuf, as soon as the host is done with one. */
struct rte_mbuf *mbuf_alloc(struct rte_mempool *mp);
/** Wait until the host is done with all mbufs of a pool, for at most 20 s. */
void pool_wait(struct rte_mempool *mp);
uint64_t xstat(const char *name);
/** All mbufs of a pool are in the pool. */
void pool_audit(struct rte_mempool *mp);

/** So many frames went by reference, where the port can; none where it copies. */
void check_by_reference(uint64_t want);
/** A person or a test looks at the host now, and then goes on with a line. */
void pause_for(const char *what);
/** Frame @p n in a buffer of the application's, with an address for devices that is made up. */
struct rte_mbuf *attached(
	struct rte_mempool *mp, uint8_t *buffer, struct rte_mbuf_ext_shared_info *info, uint32_t n);
extern unsigned int buffers_freed; /**< of those */

/** Memory that the application registers (mbufs_registered.c), also where the device comes back. */
void case_registered(void);
void case_registered_returns(void);
/** Received frames that are kept (mbufs_held.c). */
void case_held(void);
/** What a port takes of memory, by the number of its queue pairs (mbufs_memory.c). */
void case_memory(void);
/** A port as VPP has it (mbufs_vpp.c). */
void case_vpp(void);
/** Every way an mbuf can be wrong, between good neighbours (mbufs_bad.c). */
void case_bad(void);

#endif
