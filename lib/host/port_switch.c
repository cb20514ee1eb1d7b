/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port "switch": a learning Ethernet switch between all NICs of the process that name it.
 *
 * A port with vlan=N is an access port: it talks only to ports of the same N, and frames that come
 * tagged from its guest are dropped. Ports without vlan= form one network of their own, in which
 * tags are carried like any other bytes.
 *
 * Threads: NICs of one switch may be polled by different threads, and wait for each other as little
 * as can be. A port has a lock that its sends hold, which only who joins or leaves ever contends
 * for: such a one takes those of all ports. The table of addresses is made of atomic words.
 * Frames for a port are in its queue, which it reads without a lock; who sends to it at the same
 * time as another takes turns by a second lock, held for a run of frames. The list of switches has
 * its own. Order: list, switch, ports' as they stand in it, a queue's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/host/port_queue.h"
#include "lib/host/port_spec.h"

#define SWITCH_NAME_MAX	 32u
#define SWITCH_PORTS_MAX 64u
#define SWITCH_MACS	 4096u /* a power of two */
#define SWITCH_PROBES	 8u
#define SWITCH_AGE_MS	 300000u
#define SWITCH_FRESH_MS	 1000u /* an address that was seen since is not written again */
#define SWITCH_VLAN_MAX	 4094u

/* An address and where it was seen last: see mac_key() and mac_where(). */
struct switch_mac {
	_Atomic uint64_t key;	/* 0: free; MAC_BUSY: somebody is changing it */
	_Atomic uint64_t where; /* valid if the key is the same before and after it is read */
};

#define MAC_BUSY UINT64_MAX

struct l2_switch {
	struct l2_switch *next;
	char name[SWITCH_NAME_MAX];
	pthread_mutex_t lock; /* who joins or leaves */
	unsigned int n;
	struct port_switch *ports[SWITCH_PORTS_MAX]; /* NULL: nobody has the place */
	struct switch_mac macs[SWITCH_MACS];
};

struct port_switch {
	struct host_port port;
	struct host_port_stats stats; /* by the port's own thread */
	struct l2_switch *sw;
	uint16_t vlan, place;
	pthread_mutex_t sends; /* nobody joins or leaves while this is held */
	int event;	       /* readable: the queue was empty and is not any more */
	bool watched;	       /* the event is set, or will be */
	pthread_mutex_t put;   /* of who puts into the queue */
	_Atomic uint64_t full; /* frames for which there was no room */
	atomic_bool armed;     /* the port's thread has seen the queue empty, and may sleep */
	struct port_queue queue;
};

static pthread_mutex_t switches_lock = PTHREAD_MUTEX_INITIALIZER;
static struct l2_switch *switches;

/* ---- address table ---- */

/* The low 48 bits are the address, above them the VLAN and a one: it is never 0 nor MAC_BUSY. */
static uint64_t
mac_key(const uint8_t *mac, uint16_t vlan)
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	return key | (uint64_t)(vlan | 0x2000u) << 48;
}

static uint64_t
mac_where(uint16_t place, uint64_t ms)
{
	return (uint64_t)place << 48 | (ms & UINT64_C(0xffffffffffff));
}

static uint32_t
mac_hash(uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static struct switch_mac *
mac_entry(struct l2_switch *sw, uint64_t key, unsigned int probe)
{
	return &sw->macs[(mac_hash(key) + probe) % SWITCH_MACS];
}

/* Write an entry whose key is @was, unless somebody else does just now: it is learned next time. */
static void
mac_write(struct switch_mac *m, uint64_t was, uint64_t key, uint64_t where)
{
	if (!atomic_compare_exchange_strong(&m->key, &was, MAC_BUSY))
		return;
	atomic_store(&m->where, where);
	atomic_store(&m->key, key);
}

static void
mac_learn(struct port_switch *port, const uint8_t *mac, uint64_t ms)
{
	uint64_t key = mac_key(mac, port->vlan), found, where, oldest = UINT64_MAX, victim = 0;
	struct switch_mac *m, *at = NULL;

	for (unsigned int i = 0; i < SWITCH_PROBES; i++) {
		m = mac_entry(port->sw, key, i);
		found = atomic_load(&m->key);
		where = atomic_load(&m->where);
		if (found == key) {
			/* Read by all and rarely written: a line that every thread has. */
			if (where - mac_where(port->place, ms - SWITCH_FRESH_MS) <= SWITCH_FRESH_MS)
				return;
			at = m;
			victim = key;
			break;
		}
		where = found == 0 ? 0 : where & UINT64_C(0xffffffffffff);
		if (found != MAC_BUSY && where < oldest) {
			at = m;
			oldest = where;
			victim = found;
		}
	}
	if (at != NULL)
		mac_write(at, victim, key, mac_where(port->place, ms));
}

static struct port_switch *
mac_find(const struct port_switch *port, const uint8_t *mac, uint64_t ms)
{
	uint64_t key = mac_key(mac, port->vlan), where;
	struct port_switch *to;
	struct switch_mac *m;

	for (unsigned int i = 0; i < SWITCH_PROBES; i++) {
		m = mac_entry(port->sw, key, i);
		if (atomic_load(&m->key) != key)
			continue;
		where = atomic_load(&m->where);
		if (atomic_load(&m->key) != key)
			return NULL;
		/* Another thread's clock may be ahead. */
		if ((int64_t)(ms - (where & UINT64_C(0xffffffffffff))) > (int64_t)SWITCH_AGE_MS)
			return NULL;
		/* The same key twice may hide another in between: that one's VLAN is not ours. */
		to = port->sw->ports[where >> 48];
		return to->vlan == port->vlan ? to : NULL;
	}
	return NULL;
}

/* Nobody is inside: who leaves is known no more. */
static void
mac_forget(struct l2_switch *sw, uint16_t place)
{
	for (unsigned int i = 0; i < SWITCH_MACS; i++)
		if (atomic_load(&sw->macs[i].where) >> 48 == place)
			atomic_store(&sw->macs[i].key, 0);
}

/* ---- frames ---- */

/* Put a frame into a queue, whose lock is held. */
static void
switch_put_frame(struct port_switch *to, const struct host_frame *frame)
{
	if (!port_queue_put(&to->queue, frame))
		atomic_fetch_add_explicit(&to->full, 1, memory_order_relaxed);
}

/* After frames for it: wake its thread, if that sleeps. */
static void
switch_wake(struct port_switch *to)
{
	uint64_t one = 1;

	/* Pairs with the fence of switch_deadline(): it sees the frames, or this sees it armed. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&to->armed, memory_order_relaxed) &&
		atomic_exchange(&to->armed, false) &&
		write(to->event, &one, sizeof(one)) != sizeof(one))
		return; /* full: readable all the same */
}

/* A tag with a VLAN in it (802.1Q or 802.1ad); VLAN 0 only carries a priority. */
static bool
frame_tagged(const struct host_frame *frame)
{
	const uint8_t *head = host_frame_head(frame);
	uint32_t type = (uint32_t)head[12] << 8 | head[13];

	return (type == 0x8100 || type == 0x88a8) && frame->len >= 16 &&
	       (((uint32_t)head[14] << 8 | head[15]) & 0xfff) != 0;
}

/* Where the frames of a burst went last: most have the addresses of the one before. */
struct switch_path {
	uint8_t addresses[12];
	bool known;
	struct port_switch *to;	  /* NULL: to all */
	struct port_switch *open; /* whose queue this burst may put to: it has the lock */
};

static void
path_find(struct switch_path *path, struct port_switch *from, const uint8_t *head, uint64_t ms)
{
	/* A group address is never a source. */
	if ((head[6] & 1) == 0)
		mac_learn(from, head + 6, ms);
	path->to = (head[0] & 1) == 0 ? mac_find(from, head, ms) : NULL;
	memcpy(path->addresses, head, sizeof(path->addresses));
	path->known = true;
}

/* Change the queue that frames are put to: never two at a time. @param to NULL: none */
static void
path_open(struct switch_path *path, struct port_switch *to)
{
	if (path->open == to)
		return;
	if (path->open != NULL) {
		pthread_mutex_unlock(&path->open->put);
		switch_wake(path->open);
	}
	if (to != NULL)
		pthread_mutex_lock(&to->put);
	path->open = to;
}

static void
switch_flood(struct port_switch *from, const struct host_frame *frame, struct switch_path *path)
{
	struct l2_switch *sw = from->sw;
	bool delivered = false;

	for (unsigned int i = 0; i < SWITCH_PORTS_MAX; i++) {
		struct port_switch *to = sw->ports[i];

		if (to == NULL || to == from || to->vlan != from->vlan)
			continue;
		path_open(path, to);
		switch_put_frame(to, frame);
		delivered = true;
	}
	if (!delivered)
		from->stats.tx_unclaimed++;
}

static void
switch_forward(struct port_switch *from, const struct host_frame *frame, uint64_t ms,
	struct switch_path *path)
{
	const uint8_t *head = host_frame_head(frame);

	if (frame->len < 14) {
		port_drop(&from->stats, &from->stats.tx_dropped_error);
		return;
	}
	if (from->vlan != 0 && frame_tagged(frame)) {
		port_drop(&from->stats, &from->stats.tx_dropped_vlan);
		return;
	}
	if (!path->known || memcmp(path->addresses, head, sizeof(path->addresses)) != 0)
		path_find(path, from, head, ms);
	if (path->to == NULL) {
		switch_flood(from, frame, path);
	} else if (path->to == from) {
		from->stats.tx_unclaimed++;
	} else {
		path_open(path, path->to);
		switch_put_frame(path->to, frame);
	}
}

static void
switch_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_switch *from = (struct port_switch *)port;
	struct switch_path path = {.known = false};
	uint64_t ms = monotonic_ns() / 1000000;

	pthread_mutex_lock(&from->sends);
	for (unsigned int i = 0; i < n; i++) {
		from->stats.tx_frames++;
		from->stats.tx_bytes += frames[i].len;
		switch_forward(from, &frames[i], ms, &path);
	}
	path_open(&path, NULL);
	pthread_mutex_unlock(&from->sends);
}

static unsigned int
switch_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_switch *to = (struct port_switch *)port;
	unsigned int done = 0;
	uint64_t count;
	uint32_t len;

	/* Who has disarmed it may not have written yet: then the next call reads. */
	if (to->watched && !atomic_load(&to->armed) &&
		read(to->event, &count, sizeof(count)) == sizeof(count))
		to->watched = false;
	while (done < n) {
		len = port_queue_get(&to->queue, frames[done].data, frames[done].room);
		if (len == 0)
			break;
		if (len > frames[done].room) {
			port_drop(&to->stats, &to->stats.rx_dropped_size);
			continue;
		}
		frames[done++].len = len;
		to->stats.rx_frames++;
		to->stats.rx_bytes += len;
	}
	return done;
}

static int
switch_fd(struct host_port *port)
{
	return ((struct port_switch *)port)->event;
}

/* Asked by who is about to sleep: from now on it is to be woken. */
static uint64_t
switch_deadline(struct host_port *port)
{
	struct port_switch *p = (struct port_switch *)port;

	if (!p->watched) {
		p->watched = true;
		atomic_store(&p->armed, true);
	}
	/* Pairs with the fence of switch_wake(). */
	atomic_thread_fence(memory_order_seq_cst);
	return port_queue_empty(&p->queue) ? UINT64_MAX : 0;
}

static void
switch_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_switch *p = (struct port_switch *)port;
	uint64_t full = atomic_load_explicit(&p->full, memory_order_relaxed);

	*stats = p->stats;
	stats->rx_dropped_full += full;
	stats->tx_dropped += full;
}

/* ---- joining and leaving ---- */

/* Called with switches_lock held. */
static struct l2_switch *
switch_get(const char *name)
{
	struct l2_switch *sw;

	for (sw = switches; sw != NULL; sw = sw->next)
		if (strcmp(sw->name, name) == 0)
			return sw;
	sw = calloc(1, sizeof(*sw));
	if (sw == NULL)
		return NULL;
	strcpy(sw->name, name);
	pthread_mutex_init(&sw->lock, NULL);
	sw->next = switches;
	switches = sw;
	return sw;
}

/* Called with switches_lock held: the last one out closes. */
static void
switch_put(struct l2_switch *sw)
{
	struct l2_switch **at = &switches;

	if (sw->n != 0)
		return;
	while (*at != sw)
		at = &(*at)->next;
	*at = sw->next;
	pthread_mutex_destroy(&sw->lock);
	free(sw);
}

/* Take or give back the locks of all ports: nobody sends meanwhile. The switch's is held. */
static void
switch_halt(struct l2_switch *sw, bool halt)
{
	for (unsigned int i = 0; i < SWITCH_PORTS_MAX; i++) {
		if (sw->ports[i] == NULL)
			continue;
		if (halt)
			pthread_mutex_lock(&sw->ports[i]->sends);
		else
			pthread_mutex_unlock(&sw->ports[i]->sends);
	}
}

static void
port_free(struct port_switch *p)
{
	if (p->event >= 0)
		close(p->event);
	pthread_mutex_destroy(&p->sends);
	pthread_mutex_destroy(&p->put);
	free(p->queue.data);
	free(p);
}

static void
switch_close(struct host_port *port)
{
	struct port_switch *p = (struct port_switch *)port;
	struct l2_switch *sw = p->sw;

	pthread_mutex_lock(&switches_lock);
	pthread_mutex_lock(&sw->lock);
	switch_halt(sw, true);
	mac_forget(sw, p->place);
	sw->ports[p->place] = NULL;
	sw->n--;
	switch_halt(sw, false);
	pthread_mutex_unlock(&p->sends);
	pthread_mutex_unlock(&sw->lock);
	switch_put(sw);
	pthread_mutex_unlock(&switches_lock);
	port_free(p);
}

static const struct host_port_ops switch_ops = {
	.kind = "switch",
	.receive = switch_receive,
	.send = switch_send,
	.fd = switch_fd,
	.deadline = switch_deadline,
	.stats = switch_stats,
	.close = switch_close,
	.in_place = true,
};

static int
switch_join(struct port_switch *p, const char *name, const struct port_error *error)
{
	struct l2_switch *sw;
	int rc = 0;

	pthread_mutex_lock(&switches_lock);
	sw = switch_get(name);
	if (sw == NULL) {
		rc = port_fail(error, -ENOMEM, "port switch:%s: out of memory", name);
	} else if (sw->n == SWITCH_PORTS_MAX) {
		rc = port_fail(error, -ENOSPC,
			"port switch:%s: has %u ports already, the most possible", name,
			SWITCH_PORTS_MAX);
	} else {
		pthread_mutex_lock(&sw->lock);
		switch_halt(sw, true);
		p->sw = sw;
		while (sw->ports[p->place] != NULL)
			p->place++;
		sw->n++;
		pthread_mutex_lock(&p->sends);
		sw->ports[p->place] = p;
		switch_halt(sw, false);
		pthread_mutex_unlock(&sw->lock);
	}
	pthread_mutex_unlock(&switches_lock);
	return rc;
}

int
port_switch_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	static const char *const keys[] = {"vlan", NULL};
	struct port_switch *p;
	struct port_spec spec;
	const char *name, *value;
	uint64_t vlan = 0;
	int key, rc = port_spec_init(&spec, "switch", args, keys, error);

	if (rc != 0)
		return rc;
	name = port_spec_name(&spec);
	if (name == NULL || strlen(name) >= SWITCH_NAME_MAX)
		return port_fail(error, -EINVAL,
			"port switch: needs a name of at most %u characters, as in switch:lan",
			SWITCH_NAME_MAX - 1);
	while ((key = port_spec_next(&spec, &value)) >= 0) {
		rc = port_spec_number(&spec, key, value, 1, SWITCH_VLAN_MAX, &vlan);
		if (rc != 0)
			return rc;
	}
	if (key != -ENODATA)
		return key;
	if (port == NULL)
		return 0;
	p = calloc(1, sizeof(*p));
	if (p == NULL || port_queue_init(&p->queue) != 0) {
		free(p);
		return port_fail(error, -ENOMEM, "port switch:%s: out of memory", name);
	}
	p->vlan = (uint16_t)vlan;
	p->port.ops = &switch_ops;
	pthread_mutex_init(&p->sends, NULL);
	pthread_mutex_init(&p->put, NULL);
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = p->event < 0 ? port_fail(error, -errno, "port switch:%s: cannot make an eventfd: %s",
				    name, strerror(errno))
			  : switch_join(p, name, error);
	if (rc != 0) {
		port_free(p);
		return rc;
	}
	*port = &p->port;
	return 0;
}
