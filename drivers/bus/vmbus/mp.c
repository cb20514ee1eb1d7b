/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The primary's side of mp.h: who the secondaries are, what they are told, and what happens when
 * one ends. Requests come on EAL's thread for them, which other things of EAL wait for: it takes
 * locks of channels when a process comes or goes, and waits for nothing else.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_interrupts.h>
#include <rte_malloc.h>

#include "drivers/bus/vmbus/mp.h"
#include "drivers/bus/vmbus/watch.h"

/* A secondary, by slot; slot 0 is the primary's. */
struct peer {
	int fd; /* our end of its socket pair */
	struct rte_intr_handle *intr;
	enum {
		PEER_NONE,
		PEER_ALIVE,
		PEER_ENDED, /* EAL forgets its socket */
		PEER_OWED,  /* channels still say that it may be inside */
	} state;
	bool owed; /* the same, as it is found out */
};

static pthread_mutex_t peers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer peers[HPBUS_MAX_PROCESSES];

static uint64_t
bit_of(unsigned int slot)
{
	return UINT64_C(1) << slot;
}

/* ---- who there is ---- */

/* The last that is heard of a peer: EAL's interrupt thread looks at its socket no more. */
static void
peer_forgotten(struct rte_intr_handle *handle, void *arg)
{
	struct peer *peer = arg;

	pthread_mutex_lock(&peers_lock);
	close(peer->fd);
	rte_intr_instance_free(peer->intr);
	*peer = (struct peer){.fd = -1, .state = peer->owed ? PEER_OWED : PEER_NONE};
	pthread_mutex_unlock(&peers_lock);
}

static bool
peer_is_alive(unsigned int slot)
{
	bool alive;

	pthread_mutex_lock(&peers_lock);
	alive = peers[slot].state == PEER_ALIVE;
	pthread_mutex_unlock(&peers_lock);
	return alive;
}

static void
peer_died(struct hpbus_device *dev, void *arg)
{
	struct peer *peer = arg;
	unsigned int slot = (unsigned int)(peer - peers);
	const struct hpbus_driver *driver = hpbus_driver();

	if (!(atomic_load(&dev->sharing.known) & bit_of(slot)))
		return;
	atomic_fetch_and(&dev->sharing.attached, ~bit_of(slot));
	hpbus_places_left(dev, bit_of(slot));
	if (dev->driver_data != NULL && driver->process_ended != NULL &&
		!driver->process_ended(dev, slot))
		peer->owed = true;
	else
		atomic_fetch_and(&dev->sharing.known, ~bit_of(slot));
}

static void
calls_of(struct hpbus_device *dev, void *arg)
{
	hpbus_mp_calls(dev);
}

/* On EAL's interrupt thread, once. */
static void
peer_end(struct peer *peer)
{
	/* A request of its that is being answered comes before this or is refused. */
	hpbus_devices_lock();
	pthread_mutex_lock(&peers_lock);
	peer->state = PEER_ENDED;
	pthread_mutex_unlock(&peers_lock);
	hpbus_devices_walk(peer_died, peer);
	hpbus_devices_unlock();
	/* Last: who waits for this finds what became of its devices. */
	HPBUS_LOG(DEBUG, "secondary process %u has ended", (unsigned int)(peer - peers));
}

static void
peer_on_event(void *arg)
{
	struct peer *peer = arg;
	char bytes[64];
	ssize_t n;

	do
		n = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	hpbus_devices_each(calls_of, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (peer->state != PEER_ENDED)
		peer_end(peer);
	/* Behind that its slot is another's; until it can be done, this comes again. */
	hpbus_watch_over(peer->intr, peer_on_event, peer, peer_forgotten);
}

static void
slot_give_back(struct peer *peer)
{
	pthread_mutex_lock(&peers_lock);
	*peer = (struct peer){.fd = -1};
	pthread_mutex_unlock(&peers_lock);
}

/* Who comes into a slot must not be taken for who was there: is all done by now? */
static void
slots_settle(void)
{
	unsigned int slot;
	bool owed;

	for (slot = 1; slot < HPBUS_MAX_PROCESSES; slot++) {
		pthread_mutex_lock(&peers_lock);
		owed = peers[slot].state == PEER_OWED;
		pthread_mutex_unlock(&peers_lock);
		if (!owed)
			continue;
		peers[slot].owed = false;
		hpbus_devices_each(peer_died, &peers[slot]);
		if (peers[slot].owed)
			return;
		slot_give_back(&peers[slot]);
	}
}

/* @return a slot that is the caller's, or -ENOSPC */
static int
slot_take(int fd)
{
	unsigned int slot;

	pthread_mutex_lock(&peers_lock);
	for (slot = 1; slot < HPBUS_MAX_PROCESSES; slot++)
		if (peers[slot].state == PEER_NONE)
			break;
	if (slot < HPBUS_MAX_PROCESSES)
		peers[slot] = (struct peer){.fd = fd, .state = PEER_ALIVE};
	pthread_mutex_unlock(&peers_lock);
	return slot < HPBUS_MAX_PROCESSES ? (int)slot : -ENOSPC;
}

/*
 * Without peers_lock but for the slot: EAL's registration takes a lock that EAL has when it calls
 * peer_forgotten().
 * @return its slot, or a negative errno; @p fd is taken
 */
static int
peer_new(int fd)
{
	struct peer *peer;
	int slot, rc;

	slots_settle();
	slot = slot_take(fd);
	if (slot < 0) {
		close(fd);
		return slot;
	}
	peer = &peers[slot];
	/* From then on it may end at any time. */
	rc = hpbus_watch(fd, peer_on_event, peer, &peer->intr);
	if (rc == 0)
		return slot;
	slot_give_back(peer);
	close(fd);
	return rc;
}

/* Something has changed: those who have a device look again. */
static void
peers_poke(uint64_t processes)
{
	unsigned int slot;

	pthread_mutex_lock(&peers_lock);
	for (slot = 1; slot < HPBUS_MAX_PROCESSES; slot++)
		/* Full: there is a byte that it has not read. */
		if (peers[slot].state == PEER_ALIVE && (processes & bit_of(slot)))
			send(peers[slot].fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_mutex_unlock(&peers_lock);
}

/* ---- requests ---- */

static void
answer_hello(int *fd, struct hpbus_mp_reply *reply)
{
	if (*fd < 0) {
		reply->rc = -EINVAL;
		return;
	}
	reply->rc = peer_new(*fd);
	*fd = -1;
	if (reply->rc < 0)
		return;
	reply->hello.slot = (uint32_t)reply->rc;
	reply->hello.iova_mode = rte_eal_iova_mode();
	reply->rc = 0;
}

struct device_list {
	struct hpbus_mp_reply *reply;
	uint32_t first;
};

static void
answer_device(struct hpbus_device *dev, void *arg)
{
	struct device_list *list = arg;
	struct hpbus_mp_reply *reply = list->reply;

	if (!dev->sharing.on)
		return;
	if (reply->total++ >= list->first && reply->n < HPBUS_MP_DEVICES_MAX)
		memcpy(reply->devices[reply->n++].guid, dev->instance, sizeof(dev->instance));
}

/* Devices locked. */
static void
answer_open(struct hpbus_device *dev, unsigned int slot, struct hpbus_mp_reply *reply)
{
	const struct hpbus_driver *driver = hpbus_driver();

	snprintf(reply->open.port, sizeof(reply->open.port), "%s", dev->sharing.port);
	snprintf(reply->open.where, sizeof(reply->open.where), "%s", dev->where);
	reply->open.shared = (uintptr_t)dev->sharing.shared;
	reply->open.numa_node = dev->device.numa_node;
	reply->open.uio = dev->backend == &hpbus_uio_backend;
	atomic_fetch_or(&dev->sharing.known, bit_of(slot));
	atomic_fetch_or(&dev->sharing.attached, bit_of(slot));
	if (dev->driver_data != NULL && driver->process_came != NULL)
		driver->process_came(dev);
}

static void
answer_ready(struct hpbus_device *dev, unsigned int slot, uint32_t generation,
	struct hpbus_mp_reply *reply)
{
	const struct hpbus_driver *driver = hpbus_driver();

	if (!(atomic_load(&dev->sharing.attached) & bit_of(slot)))
		reply->rc = -ENODEV;
	else if (!hpbus_places_ready(dev, bit_of(slot), generation))
		reply->rc = -EAGAIN;
	else if (dev->driver_data != NULL && driver->process_ready != NULL)
		driver->process_ready(dev);
}

static void
answer_leave(struct hpbus_device *dev, unsigned int slot, struct hpbus_mp_reply *reply)
{
	const struct hpbus_driver *driver = hpbus_driver();

	hpbus_places_left(dev, bit_of(slot));
	/* What it has mapped stays as long as a burst of its may go on. */
	if (dev->driver_data != NULL && driver->process_ready != NULL &&
		!driver->process_ready(dev))
		reply->rc = -EAGAIN;
	else
		atomic_fetch_and(&dev->sharing.attached, ~bit_of(slot));
}

/* What concerns one device. */
static void
answer_of_device(const struct hpbus_mp_request *rq, struct hpbus_mp_reply *reply,
	int fds[HPBUS_MP_PLACES_MAX])
{
	struct hpbus_places_view view;
	struct hpbus_device *dev;

	hpbus_devices_lock();
	dev = hpbus_device_find(rq->guid);
	/* It may have died since it asked: nobody would take back what it gets now. */
	if (!peer_is_alive(rq->slot))
		reply->rc = -EPERM;
	else if (dev == NULL || (!dev->sharing.on && rq->op != HPBUS_MP_LEAVE))
		reply->rc = -ENODEV;
	if (reply->rc != 0) {
		hpbus_devices_unlock();
		return;
	}
	switch (rq->op) {
	case HPBUS_MP_OPEN:
		answer_open(dev, rq->slot, reply);
		break;
	case HPBUS_MP_PLACES:
		view = hpbus_places_copy(dev, rq->first, HPBUS_MP_PLACES_MAX, reply->places, fds);
		reply->n = view.n;
		reply->total = view.total;
		reply->generation = view.generation;
		break;
	case HPBUS_MP_READY:
		answer_ready(dev, rq->slot, rq->generation, reply);
		break;
	case HPBUS_MP_LEAVE:
		answer_leave(dev, rq->slot, reply);
		break;
	default:
		reply->rc = -EPROTO;
	}
	hpbus_devices_unlock();
}

void
hpbus_mp_answer(const void *request, size_t len, int fd, struct hpbus_mp_reply *reply,
	int fds[HPBUS_MP_PLACES_MAX])
{
	const struct hpbus_driver *driver = hpbus_driver();
	struct hpbus_mp_request rq;
	unsigned int i;

	memset(reply, 0, sizeof(*reply));
	for (i = 0; i < HPBUS_MP_PLACES_MAX; i++)
		fds[i] = -1;
	memset(&rq, 0, sizeof(rq));
	memcpy(&rq, request, RTE_MIN(len, sizeof(rq)));
	reply->op = rq.op;
	reply->number = rq.number;
	if (len != sizeof(rq) || rq.version != HPBUS_MP_VERSION || driver == NULL ||
		rq.abi != driver->abi) {
		HPBUS_LOG(ERR, "a secondary process has another build of this plugin and is "
			       "refused: load the same one in both (-d)");
		reply->rc = -EPROTO;
	} else if (rq.op == HPBUS_MP_HELLO) {
		answer_hello(&fd, reply);
	} else if (rq.slot == 0 || rq.slot >= HPBUS_MAX_PROCESSES || !peer_is_alive(rq.slot)) {
		reply->rc = -EPERM;
	} else if (rq.op == HPBUS_MP_DEVICES) {
		struct device_list list = {reply, rq.first};

		hpbus_devices_lock();
		hpbus_devices_walk(answer_device, &list);
		hpbus_devices_unlock();
	} else {
		answer_of_device(&rq, reply, fds);
	}
	if (fd >= 0)
		close(fd);
}

static int
on_request(const struct rte_mp_msg *msg, const void *peer)
{
	struct rte_mp_msg out = {.len_param = sizeof(struct hpbus_mp_reply)};
	struct hpbus_mp_reply *reply = (struct hpbus_mp_reply *)out.param;
	int fds[HPBUS_MP_PLACES_MAX], i, rc;

	for (i = 1; i < msg->num_fds; i++)
		close(msg->fds[i]);
	hpbus_mp_answer(msg->param, (size_t)RTE_MAX(msg->len_param, 0),
		msg->num_fds > 0 ? msg->fds[0] : -1, reply, fds);
	snprintf(out.name, sizeof(out.name), "%s", msg->name);
	/* Of those that are here, in their order; the receiver knows which have one. */
	for (i = 0; i < (int)HPBUS_MP_PLACES_MAX; i++)
		if (fds[i] >= 0)
			out.fds[out.num_fds++] = fds[i];
	rc = rte_mp_reply(&out, peer);
	for (i = 0; i < out.num_fds; i++)
		close(out.fds[i]);
	/* As if it had never come: the secondary hears of nothing. */
	if (rc != 0)
		HPBUS_LOG(ERR, "cannot answer a secondary process: %s", rte_strerror(rte_errno));
	return rc;
}

void
hpbus_mp_start(void)
{
	static bool started;

	/* -ENOTSUP: started so that there can be no other process (--in-memory, --no-shconf). */
	if (!started && rte_mp_action_register(HPBUS_MP_ACTION, on_request) != 0 &&
		rte_errno != ENOTSUP && rte_errno != EEXIST)
		HPBUS_LOG(WARNING, "secondary processes cannot have VMBus devices: %s",
			rte_strerror(rte_errno));
	started = true;
}

/* ---- for the driver ---- */

int
hpbus_share(struct hpbus_device *dev, const char *port)
{
	struct hpbus_shared *shared;

	shared = rte_zmalloc_socket(
		"netvsc_shared", sizeof(*shared), RTE_CACHE_LINE_SIZE, dev->device.numa_node);
	if (shared == NULL)
		return -ENOMEM;
	atomic_store(&shared->copy_only, dev->copy_only);
	atomic_store(&shared->partial, atomic_load(&dev->dma_partial));
	hpbus_devices_lock();
	snprintf(dev->sharing.port, sizeof(dev->sharing.port), "%s", port);
	dev->sharing.shared = shared;
	dev->sharing.on = true;
	hpbus_devices_unlock();
	return 0;
}

void *
hpbus_unshare(struct hpbus_device *dev)
{
	void *shared;

	hpbus_devices_lock();
	dev->sharing.on = false;
	shared = dev->sharing.shared;
	dev->sharing.shared = NULL;
	hpbus_devices_unlock();
	/* They see that it is gone, and let go of what they have of it; also who has nothing. */
	hpbus_places_left(dev, UINT64_MAX);
	hpbus_gather(dev, HPBUS_GATHER_MS);
	return shared;
}

bool
hpbus_has_peers(void)
{
	unsigned int slot;
	bool has = false;

	pthread_mutex_lock(&peers_lock);
	for (slot = 1; slot < HPBUS_MAX_PROCESSES; slot++)
		has |= peers[slot].state == PEER_ALIVE;
	pthread_mutex_unlock(&peers_lock);
	return has;
}

uint64_t
hpbus_processes(const struct hpbus_device *dev)
{
	return hpbus_places_mapped(dev);
}

/* Who has been asked and has not come yet? */
static uint64_t
gather_missing(const struct hpbus_device *dev)
{
	return atomic_load(&dev->sharing.attached) & ~hpbus_places_mapped(dev);
}

/* One of them, for a message: the process that made the sockets. 0: not known */
static int
peer_pid(uint64_t processes)
{
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	unsigned int slot;
	int pid = 0;

	pthread_mutex_lock(&peers_lock);
	for (slot = 1; pid == 0 && slot < HPBUS_MAX_PROCESSES; slot++)
		if (peers[slot].state == PEER_ALIVE && (processes & bit_of(slot)) &&
			getsockopt(peers[slot].fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
			pid = who.pid;
	pthread_mutex_unlock(&peers_lock);
	return pid;
}

bool
hpbus_gather(struct hpbus_device *dev, unsigned int ms)
{
	int64_t until = hpbus_now_ms() + ms;

	/* Who is not waited for comes in again, or hears that there is nothing any more. */
	peers_poke(atomic_load(&dev->sharing.known) & ~hpbus_places_mapped(dev));
	while (gather_missing(dev) != 0) {
		if (hpbus_now_ms() >= until) {
			HPBUS_LOG(NOTICE,
				"%s: a secondary process (%d) does not answer and is left out: its "
				"bursts do nothing until it does",
				dev->name, peer_pid(gather_missing(dev)));
			return false;
		}
		rte_delay_us_sleep(100);
	}
	return true;
}

void
hpbus_mp_calls(struct hpbus_device *dev)
{
	const struct hpbus_driver *driver = hpbus_driver();
	struct hpbus_shared *shared = dev->sharing.shared;
	uint64_t calls;

	if (shared == NULL || driver == NULL || driver->call == NULL || dev->driver_data == NULL ||
		atomic_load_explicit(&shared->calls, memory_order_relaxed) == 0)
		return;
	calls = atomic_exchange(&shared->calls, 0);
	calls = driver->call(dev, calls);
	/* What could not be done at once is for the next time. */
	if (calls != 0)
		atomic_fetch_or(&shared->calls, calls);
}
