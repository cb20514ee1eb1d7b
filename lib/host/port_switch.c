/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port "switch": a learning Ethernet switch between all NICs of the process that name it.
 *
 * A port with vlan=N is an access port: it talks only to ports of the same N, and frames that come
 * tagged from its guest are dropped. Ports without vlan= form one network of their own, in which
 * tags are carried like any other bytes.
 *
 * Threads: NICs of one switch may be polled by different threads. One mutex per switch covers its
 * table and queues and is taken once per burst. The list of switches has its own.
 */
#include <errno.h>
#include <pthread.h>
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
#define SWITCH_AGE_NS	 UINT64_C(300000000000)
#define SWITCH_VLAN_MAX	 4094u

struct switch_mac {
	uint8_t mac[6];
	uint16_t vlan;
	struct port_switch *port; /* NULL: free */
	uint64_t seen;
};

struct l2_switch {
	struct l2_switch *next;
	char name[SWITCH_NAME_MAX];
	pthread_mutex_t lock;
	unsigned int n;
	struct port_switch *ports[SWITCH_PORTS_MAX];
	struct switch_mac macs[SWITCH_MACS];
};

struct port_switch {
	struct host_port port;
	struct host_port_stats stats;
	struct l2_switch *sw;
	uint16_t vlan;
	struct port_queue queue;
	int event;     /* readable: the queue was empty and is not any more */
	bool armed;    /* the owner has seen the queue empty */
	bool notified; /* the event is set */
};

static pthread_mutex_t switches_lock = PTHREAD_MUTEX_INITIALIZER;
static struct l2_switch *switches;

/* ---- address table ---- */

static uint32_t
mac_hash(const uint8_t *mac, uint16_t vlan)
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	key ^= (uint64_t)vlan << 48;
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(key >> 40);
}

static bool
mac_match(const struct switch_mac *m, const uint8_t *mac, uint16_t vlan)
{
	return m->port != NULL && m->vlan == vlan && memcmp(m->mac, mac, 6) == 0;
}

static void
mac_learn(struct port_switch *port, const uint8_t *mac, uint64_t now)
{
	struct l2_switch *sw = port->sw;
	struct switch_mac *m, *oldest = NULL;
	uint32_t at = mac_hash(mac, port->vlan);

	for (unsigned int i = 0; i < SWITCH_PROBES; i++) {
		m = &sw->macs[(at + i) % SWITCH_MACS];
		if (mac_match(m, mac, port->vlan)) {
			oldest = m;
			break;
		}
		if (oldest == NULL ||
			(oldest->port != NULL && (m->port == NULL || m->seen < oldest->seen)))
			oldest = m;
	}
	memcpy(oldest->mac, mac, 6);
	oldest->vlan = port->vlan;
	oldest->port = port;
	oldest->seen = now;
}

static struct port_switch *
mac_find(const struct port_switch *port, const uint8_t *mac, uint64_t now)
{
	struct l2_switch *sw = port->sw;
	uint32_t at = mac_hash(mac, port->vlan);

	for (unsigned int i = 0; i < SWITCH_PROBES; i++) {
		struct switch_mac *m = &sw->macs[(at + i) % SWITCH_MACS];

		if (mac_match(m, mac, port->vlan))
			return now - m->seen <= SWITCH_AGE_NS ? m->port : NULL;
	}
	return NULL;
}

/* ---- frames ---- */

static void
switch_deliver(struct port_switch *to, const struct host_frame *frame)
{
	uint64_t one = 1;

	if (!port_queue_put(&to->queue, frame)) {
		port_drop(&to->stats, &to->stats.rx_dropped_full);
		return;
	}
	if (to->armed && !to->notified && write(to->event, &one, sizeof(one)) == sizeof(one))
		to->notified = true;
	to->armed = false;
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
	struct port_switch *to; /* NULL: to all */
};

static void
path_find(struct switch_path *path, struct port_switch *from, const uint8_t *head, uint64_t now)
{
	/* A group address is never a source. */
	if ((head[6] & 1) == 0)
		mac_learn(from, head + 6, now);
	path->to = (head[0] & 1) == 0 ? mac_find(from, head, now) : NULL;
	memcpy(path->addresses, head, sizeof(path->addresses));
	path->known = true;
}

static void
switch_flood(struct port_switch *from, const struct host_frame *frame)
{
	struct l2_switch *sw = from->sw;
	bool delivered = false;

	for (unsigned int i = 0; i < sw->n; i++) {
		if (sw->ports[i] == from || sw->ports[i]->vlan != from->vlan)
			continue;
		switch_deliver(sw->ports[i], frame);
		delivered = true;
	}
	if (!delivered)
		from->stats.tx_unclaimed++;
}

static void
switch_forward(struct port_switch *from, const struct host_frame *frame, uint64_t now,
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
		path_find(path, from, head, now);
	if (path->to == NULL)
		switch_flood(from, frame);
	else if (path->to == from)
		from->stats.tx_unclaimed++;
	else
		switch_deliver(path->to, frame);
}

static void
switch_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_switch *from = (struct port_switch *)port;
	struct switch_path path = {.known = false};
	uint64_t now = port_now();

	pthread_mutex_lock(&from->sw->lock);
	for (unsigned int i = 0; i < n; i++) {
		from->stats.tx_frames++;
		from->stats.tx_bytes += frames[i].len;
		switch_forward(from, &frames[i], now, &path);
	}
	pthread_mutex_unlock(&from->sw->lock);
}

static unsigned int
switch_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_switch *to = (struct port_switch *)port;
	unsigned int done = 0;
	uint64_t count;

	pthread_mutex_lock(&to->sw->lock);
	if (to->notified && read(to->event, &count, sizeof(count)) == sizeof(count))
		to->notified = false;
	while (done < n && to->queue.frames != 0) {
		uint32_t len = port_queue_get(&to->queue, frames[done].data, frames[done].room);

		if (len > frames[done].room) {
			port_drop(&to->stats, &to->stats.rx_dropped_size);
			continue;
		}
		frames[done++].len = len;
		to->stats.rx_frames++;
		to->stats.rx_bytes += len;
	}
	to->armed = to->queue.frames == 0;
	pthread_mutex_unlock(&to->sw->lock);
	return done;
}

static int
switch_fd(struct host_port *port)
{
	return ((struct port_switch *)port)->event;
}

static uint64_t
switch_deadline(struct host_port *port)
{
	struct port_switch *p = (struct port_switch *)port;
	bool work;

	pthread_mutex_lock(&p->sw->lock);
	work = p->queue.frames != 0;
	pthread_mutex_unlock(&p->sw->lock);
	return work ? 0 : UINT64_MAX;
}

static void
switch_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_switch *p = (struct port_switch *)port;

	pthread_mutex_lock(&p->sw->lock);
	*stats = p->stats;
	pthread_mutex_unlock(&p->sw->lock);
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

static void
switch_close(struct host_port *port)
{
	struct port_switch *p = (struct port_switch *)port;
	struct l2_switch *sw = p->sw;
	unsigned int i;

	pthread_mutex_lock(&switches_lock);
	pthread_mutex_lock(&sw->lock);
	for (i = 0; i < SWITCH_MACS; i++)
		if (sw->macs[i].port == p)
			sw->macs[i].port = NULL;
	for (i = 0; i < sw->n && sw->ports[i] != p; i++)
		;
	if (i < sw->n)
		sw->ports[i] = sw->ports[--sw->n];
	pthread_mutex_unlock(&sw->lock);
	switch_put(sw);
	pthread_mutex_unlock(&switches_lock);
	close(p->event);
	free(p->queue.data);
	free(p);
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
		p->sw = sw;
		sw->ports[sw->n++] = p;
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
	p->armed = true;
	p->port.ops = &switch_ops;
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = p->event < 0 ? port_fail(error, -errno, "port switch:%s: cannot make an eventfd: %s",
				    name, strerror(errno))
			  : switch_join(p, name, error);
	if (rc != 0) {
		if (p->event >= 0)
			close(p->event);
		free(p->queue.data);
		free(p);
		return rc;
	}
	*port = &p->port;
	return 0;
}
