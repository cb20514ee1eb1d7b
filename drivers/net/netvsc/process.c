/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the primary does for secondaries of a port: who may be inside of its channels, memory that
 * they may still look at, and what one leaves behind that ends anywhere, also inside of a burst.
 *
 * These run on EAL's threads (interrupts, requests of other processes) with the bus's device list
 * locked, which keeps the port. They change masks of a running channel with both of its locks, as
 * the control side does; what a control operation makes of the channel is not theirs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf_told.h"

/* For all channels together: other requests wait for this one. */
static const struct hpbus_op_kind op_process = {"a process", 500, 0, false};
static const struct hpbus_op_kind op_look = {"a look", 100, 0, false};

/* ---- memory ---- */

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static void **kept;
static size_t n_kept, kept_room;

/*
 * In front of memory that each session has anew. What a session before had is the next one's, for
 * the same thing and in the same size: so that there is never more than sessions of all sizes had,
 * however often a port recovers, and who looks at what is over finds what it takes it for.
 */
struct kept_block {
	struct kept_block *next;
	const char *what;
	size_t bytes;
} __rte_cache_aligned;

static struct kept_block *kept_blocks;

/* Nobody else is there who might look at it. */
static void
kept_free(void)
{
	struct kept_block *block;

	pthread_mutex_lock(&kept_lock);
	while (n_kept != 0)
		rte_free(kept[--n_kept]);
	while ((block = kept_blocks) != NULL) {
		kept_blocks = block->next;
		rte_free(block);
	}
	pthread_mutex_unlock(&kept_lock);
}

static struct kept_block *
kept_again(const char *what, size_t bytes)
{
	struct kept_block **at, *block;

	pthread_mutex_lock(&kept_lock);
	for (at = &kept_blocks; *at != NULL; at = &(*at)->next)
		if ((*at)->bytes == bytes && strcmp((*at)->what, what) == 0)
			break;
	block = *at;
	if (block != NULL)
		*at = block->next;
	pthread_mutex_unlock(&kept_lock);
	return block;
}

void *
netvsc_session_memory(const char *what, size_t bytes, int socket)
{
	struct kept_block *block = kept_again(what, bytes);

	if (block != NULL) {
		memset(block + 1, 0, bytes);
		return block + 1;
	}
	block = rte_zmalloc_socket(what, sizeof(*block) + bytes, RTE_CACHE_LINE_SIZE, socket);
	if (block == NULL)
		return NULL;
	block->what = what;
	block->bytes = bytes;
	return block + 1;
}

void
netvsc_session_memory_free(void *memory)
{
	struct kept_block *block = memory;

	if (!hpbus_has_peers())
		kept_free();
	if (memory == NULL)
		return;
	block--;
	if (!hpbus_has_peers()) {
		rte_free(block);
		return;
	}
	pthread_mutex_lock(&kept_lock);
	block->next = kept_blocks;
	kept_blocks = block;
	pthread_mutex_unlock(&kept_lock);
}

void
netvsc_let_go(void *memory)
{
	void **more;

	if (!hpbus_has_peers()) {
		kept_free();
		rte_free(memory);
		return;
	}
	if (memory == NULL)
		return;
	pthread_mutex_lock(&kept_lock);
	if (n_kept == kept_room) {
		more = realloc(kept, (kept_room + 64) * sizeof(*kept));
		if (more != NULL) {
			kept = more;
			kept_room += 64;
		}
	}
	/* Without room it is lost to this process, which nobody dies of. */
	if (n_kept < kept_room)
		kept[n_kept++] = memory;
	pthread_mutex_unlock(&kept_lock);
}

void *
netvsc_section_memory(size_t bytes)
{
	return netvsc_session_memory("netvsc_sections", bytes, SOCKET_ID_ANY);
}

void
netvsc_section_memory_free(void *memory)
{
	netvsc_session_memory_free(memory);
}

/* ---- looking ---- */

bool
netvsc_control_try(struct netvsc_port *port)
{
	return !netvsc_is_primary() || pthread_mutex_trylock(&port->control_lock) == 0;
}

void
netvsc_control_try_end(struct netvsc_port *port)
{
	if (netvsc_is_primary())
		pthread_mutex_unlock(&port->control_lock);
}

bool
netvsc_channel_look(struct netvsc_channel *ch)
{
	struct hpbus_op op;
	bool had;

	if (ch == NULL)
		return false;
	if (netvsc_is_primary())
		return netvsc_channel_is_open(ch);
	/* An lcore that polls has it most of the time. */
	hpbus_op_begin(&op, &op_look);
	had = netvsc_lock_in_time(&ch->rx_lock);
	hpbus_op_end(&op);
	if (!had)
		return false;
	if (netvsc_channel_live(ch))
		return true;
	netvsc_channel_unlock(&ch->rx_lock);
	return false;
}

void
netvsc_channel_look_end(struct netvsc_channel *ch)
{
	if (!netvsc_is_primary())
		netvsc_channel_unlock(&ch->rx_lock);
}

/* ---- who may be inside ---- */

/* Another set of processes has the rings of a running channel. @return whether it is so now */
static bool
channel_admit(struct netvsc_channel *ch)
{
	bool done;

	if (ch->stuck || !netvsc_lock_in_time(&ch->rx_lock))
		return false;
	done = netvsc_lock_in_time(&ch->tx_lock);
	if (done) {
		if (ch->state == NETVSC_CHANNEL_RUNNING) {
			ch->live = netvsc_processes(ch->port);
			ch->rx_on = ch->rx_on != 0 ? ch->live : 0;
			ch->tx_on = ch->tx_on != 0 ? ch->live : 0;
		}
		netvsc_channel_unlock(&ch->tx_lock);
	}
	netvsc_channel_unlock(&ch->rx_lock);
	return done;
}

bool
netvsc_process_ready(struct hpbus_device *bus)
{
	struct netvsc_port *port = bus->driver_data;
	bool done = true;
	struct hpbus_op op;
	unsigned int i;

	hpbus_op_begin(&op, &op_process);
	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL)
			done &= channel_admit(port->channels[i]);
	hpbus_op_end(&op);
	return done;
}

void
netvsc_process_came(struct hpbus_device *bus)
{
	struct netvsc_port *port = bus->driver_data;

	/* A frame that is lent is given back by a function of this process (spec §11). */
	if (!atomic_exchange(&port->others, true) &&
		port->config.rx_copybreak != NETVSC_RX_COPY_ALL)
		NETVSC_LOG(NOTICE, port,
			"with secondary processes all frames are copied (rx_copybreak)");
}

/* ---- one that ended ---- */

static bool
lock_is(const rte_spinlock_t *lock, int holder)
{
	return __atomic_load_n(&lock->locked, __ATOMIC_ACQUIRE) == holder;
}

static void
lock_break(rte_spinlock_t *lock, int holder)
{
	int expected = holder;

	/* Several may hear of the death. */
	__atomic_compare_exchange_n(
		&lock->locked, &expected, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* Half of what he did may have been done: what he had the lock of is used no more. */
static bool
channel_break(struct netvsc_channel *ch, int holder)
{
	bool rx = lock_is(&ch->rx_lock, holder), tx = lock_is(&ch->tx_lock, holder);

	if (!rx && !tx)
		return false;
	if (ch->state == NETVSC_CHANNEL_RUNNING)
		ch->state = NETVSC_CHANNEL_OPEN;
	ch->live = ch->rx_on = ch->tx_on = 0;
	if (rx) {
		ch->in.corrupt = true;
		ch->cursor.left = 0;
	}
	if (tx)
		ch->out.corrupt = true;
	lock_break(&ch->tx_lock, holder);
	lock_break(&ch->rx_lock, holder);
	return true;
}

bool
netvsc_break_locks(struct netvsc_port *port, int holder)
{
	int expected = holder;
	bool broken = false;
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL &&
			(lock_is(&port->channels[i]->rx_lock, holder) ||
				lock_is(&port->channels[i]->tx_lock, holder)))
			broken = true;
	broken |= lock_is(&port->done_pool.lock, holder) || port->sections.lock == holder;
	/* First, so that nobody goes on with what comes free. */
	if (broken)
		netvsc_port_broken(port, "a process was ended inside of a burst");
	for (i = 0; i < RTE_DIM(port->channels); i++)
		if (port->channels[i] != NULL)
			channel_break(port->channels[i], holder);
	lock_break(&port->done_pool.lock, holder);
	/* At worst a number that was told is not remembered. */
	lock_break(&port->counts.lock, holder);
	if (port->vf_shared.told != NULL)
		lock_break(&port->vf_shared.told->lock, holder);
	__atomic_compare_exchange_n(
		&port->sections.lock, &expected, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	return broken;
}

bool
netvsc_process_ended(struct hpbus_device *bus, unsigned int slot)
{
	netvsc_break_locks(bus->driver_data, (int)slot + 1);
	return netvsc_process_ready(bus);
}

/* ---- signals ---- */

uint64_t
netvsc_process_call(struct hpbus_device *bus, uint64_t channels)
{
	struct netvsc_port *port = bus->driver_data;
	unsigned int i;

	for (i = 0; i < RTE_DIM(port->channels); i++) {
		struct netvsc_channel *ch = port->channels[i];

		if (!(channels >> i & 1))
			continue;
		/* With a lock: the way to ring goes with the channel. */
		if (ch != NULL && !netvsc_channel_lock_soon(&ch->tx_lock))
			continue;
		if (ch != NULL) {
			if (netvsc_channel_is_open(ch))
				hpbus_channel_signal(bus, &ch->bus);
			netvsc_channel_unlock(&ch->tx_lock);
		}
		channels &= ~(UINT64_C(1) << i);
	}
	return channels;
}
