/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a secondary process has mapped of a device. The primary's byte on the socket says that
 * something has changed; then everything is asked for again and what differs is mapped or unmapped.
 * By then no burst of this process is inside of a channel, for the primary has taken it out of
 * running, with its locks, before it changed anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "drivers/bus/vmbus/mappings.h"
#include "drivers/bus/vmbus/secondary.h"

/* The primary may be changing what it has: how often it is looked at again. */
#define ROUNDS	 50u
#define ROUND_US 10000

/* ---- what is mapped ---- */

static void
place_end(struct secondary_device *s, struct secondary_place *p)
{
	struct hpbus_device *dev = s->dev;

	if (p->place.role == HPBUS_PLACE_DOORBELL) {
		if (p->place.source < HPBUS_MAX_CHANNELS)
			dev->signal_fd[p->place.source] = -1;
		close(p->fd);
		return;
	}
	if (s->uio)
		hpbus_mapping_remove((void *)(uintptr_t)p->place.address);
	hpbus_place_unmap(&p->place);
	if (p->place.role == HPBUS_PLACE_MONITOR)
		dev->monitor = NULL;
}

static void
places_unmap(struct secondary_device *s)
{
	while (s->n != 0)
		place_end(s, &s->list[--s->n]);
}

void
secondary_places_end(struct secondary_device *s)
{
	places_unmap(s);
	free(s->list);
	s->list = NULL;
	s->synced = false;
	if (s->uio_fd >= 0)
		close(s->uio_fd);
	s->uio_fd = -1;
}

/* The file of a place that no file came with. @return to be closed unless it is uio_fd */
static int
place_open(struct secondary_device *s, const struct hpbus_place *place)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct vmbus_sysfs_uio uio;
	int fd, rc;

	if (!s->uio)
		return -EPROTO;
	if (place->source == HPBUS_PLACE_DEVICE_FILE) {
		if (s->uio_fd >= 0)
			return s->uio_fd;
		rc = vmbus_sysfs_uio_read(&s->fs, s->name, (size_t)sysconf(_SC_PAGESIZE), &uio);
		s->uio_fd = rc == 0 ? vmbus_sysfs_uio_open(&s->fs, s->name, &uio) : rc;
		return s->uio_fd;
	}
	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/%s/channels/%u/ring", s->fs.sys, s->name,
		place->source);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* @p file comes with it, -1: none. What of it is left to place_end(), a doorbell's, stays there. */
static int
place_begin(struct secondary_device *s, const struct hpbus_place *place, int *file)
{
	struct hpbus_device *dev = s->dev;
	void *base = (void *)(uintptr_t)place->address;
	int rc, fd = *file;

	if (place->role == HPBUS_PLACE_DOORBELL) {
		if (fd < 0 || place->source >= HPBUS_MAX_CHANNELS || !vfu_fd_is_eventfd(fd))
			return -EPROTO;
		dev->signal_fd[place->source] = fd;
		return 0;
	}
	*file = -1;
	if (fd < 0)
		fd = place_open(s, place);
	if (fd < 0)
		return fd;
	rc = hpbus_place_map(place, fd);
	if (fd != s->uio_fd)
		close(fd);
	if (rc == 0 && s->uio && hpbus_mapping_add(dev, base, place->span) != 0) {
		hpbus_place_unmap(place);
		rc = -ENOSPC;
	}
	if (rc != 0) {
		HPBUS_LOG(ERR,
			"%s: %zu bytes of the device cannot be mapped at %p, where the primary "
			"process has them: %s%s",
			dev->name, (size_t)place->span, base, strerror(-rc),
			rc == -EEXIST ? "; something else of this process is there: try again, or "
					"give both another --base-virtaddr"
				      : "");
		return rc;
	}
	if (place->role == HPBUS_PLACE_MONITOR)
		dev->monitor = base;
	return 0;
}

/* ---- as the primary has it ---- */

struct wanted {
	struct hpbus_place place;
	int fd;
};

static void
wanted_close(struct wanted *list, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (list[i].fd >= 0)
			close(list[i].fd);
	free(list);
}

static bool
place_has_file(const struct hpbus_place *place, bool uio)
{
	return !uio || place->role == HPBUS_PLACE_DOORBELL;
}

/* One answer's places, appended. @return 0, -EAGAIN: it is another generation by now */
static int
wanted_add(struct secondary_device *s, struct rte_mp_msg *msg, struct wanted **list, uint32_t *n,
	uint32_t *generation)
{
	const struct hpbus_mp_reply *reply = (const struct hpbus_mp_reply *)msg->param;
	int i, fds = 0, rc = reply->rc;
	struct wanted *more;
	uint32_t k;

	if (rc == 0 && *n != 0 && reply->generation != *generation)
		rc = -EAGAIN;
	if (rc == 0 && reply->n > HPBUS_MP_PLACES_MAX)
		rc = -EPROTO;
	more = rc == 0 ? realloc(*list, (*n + HPBUS_MP_PLACES_MAX) * sizeof(**list)) : NULL;
	if (rc == 0 && more == NULL)
		rc = -ENOMEM;
	if (more != NULL)
		*list = more;
	for (k = 0; rc == 0 && k < reply->n; k++) {
		struct wanted *w = &(*list)[(*n)++];

		*w = (struct wanted){.place = reply->places[k], .fd = -1};
		if (!place_has_file(&w->place, s->uio))
			continue;
		if (fds < msg->num_fds)
			w->fd = msg->fds[fds++];
		else
			rc = -EPROTO;
	}
	for (i = fds; i < msg->num_fds; i++)
		close(msg->fds[i]);
	*generation = reply->generation;
	return rc;
}

static int
wanted_get(struct secondary_device *s, struct wanted **list, uint32_t *n, uint32_t *generation)
{
	struct hpbus_mp_request rq = {.op = HPBUS_MP_PLACES};
	struct rte_mp_msg msg;
	uint32_t total = 1;
	int rc = 0;

	memcpy(rq.guid, s->dev->instance, sizeof(rq.guid));
	for (*list = NULL, *n = 0; rc == 0 && *n < total;) {
		rq.first = *n;
		rc = secondary_ask(&rq, -1, &msg);
		if (rc != 0)
			break;
		rc = wanted_add(s, &msg, list, n, generation);
		total = ((const struct hpbus_mp_reply *)msg.param)->total;
		/* There is no more than it says there is. */
		if (rc == 0 && ((const struct hpbus_mp_reply *)msg.param)->n == 0)
			break;
	}
	return rc;
}

static int
find_place(const struct wanted *list, uint32_t n, const struct hpbus_place *place)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (memcmp(&list[i].place, place, sizeof(*place)) == 0)
			return (int)i;
	return -1;
}

static bool
have_place(const struct secondary_device *s, const struct hpbus_place *place)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (memcmp(&s->list[i].place, place, sizeof(*place)) == 0)
			return true;
	return false;
}

/* Map what is wanted and not here, after what is here and not wanted has gone. */
static int
sync_places(struct secondary_device *s, struct wanted *list, uint32_t n)
{
	struct secondary_place *room;
	bool file = false;
	unsigned int i;
	int rc;

	for (i = s->n; i > 0; i--)
		/* A doorbell says only by its number whose it is: it may be another one now. */
		if (s->list[i - 1].place.role == HPBUS_PLACE_DOORBELL ||
			find_place(list, n, &s->list[i - 1].place) < 0) {
			place_end(s, &s->list[i - 1]);
			s->list[i - 1] = s->list[--s->n];
		}
	room = realloc(s->list, (s->n + n + 1) * sizeof(*room));
	if (room == NULL)
		return -ENOMEM;
	s->list = room;
	for (i = 0; i < n; i++) {
		file |= s->uio && list[i].place.source == HPBUS_PLACE_DEVICE_FILE;
		if (have_place(s, &list[i].place))
			continue;
		rc = place_begin(s, &list[i].place, &list[i].fd);
		if (rc != 0)
			return rc;
		s->list[s->n++] = (struct secondary_place){list[i].place, list[i].fd};
		list[i].fd = -1;
	}
	/* A kernel closes the channel when nobody has the file any more. */
	if (!file && s->uio_fd >= 0) {
		close(s->uio_fd);
		s->uio_fd = -1;
	}
	return 0;
}

/* Another generation. No burst is inside. */
static int
sync_changed(struct secondary_device *s, struct wanted *list, uint32_t n, uint32_t generation)
{
	struct hpbus_device *dev = s->dev;
	int rc;

	s->synced = false;
	/* A device that went away took all pages with it, whatever comes back in the same place. */
	if (atomic_load(&dev->gone))
		places_unmap(s);
	rc = sync_places(s, list, n);
	if (rc != 0)
		return rc;
	s->synced = true;
	s->generation = generation;
	/* With this lock a primary that ends says so behind it. */
	if (!secondary_link_lost())
		atomic_store(&dev->gone, false);
	return 0;
}

/* secondary_lock held. @return 0; -ENODEV: the primary has the device no more; a negative errno */
int
secondary_places_sync(struct secondary_device *s)
{
	struct hpbus_mp_reply reply;
	struct wanted *list;
	uint32_t n, generation = 0;
	unsigned int round;
	int rc = -EAGAIN;

	for (round = 0; rc == -EAGAIN && round < ROUNDS; round++) {
		if (round != 0)
			rte_delay_us_sleep(ROUND_US);
		rc = wanted_get(s, &list, &n, &generation);
		/* Bursts may be inside when nothing has changed. */
		if (rc == 0 && !(s->synced && s->generation == generation))
			rc = sync_changed(s, list, n, generation);
		wanted_close(list, n);
		if (rc == 0)
			rc = secondary_ask_of(s->dev, HPBUS_MP_READY, generation, &reply);
	}
	return rc;
}
