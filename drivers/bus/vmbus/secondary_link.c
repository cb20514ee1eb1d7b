/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a secondary process asks the primary, and how it hears of it: EAL's channel for requests,
 * and a socket of which the primary has the other end. Its byte says that something has changed,
 * its end that the primary is dead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include "drivers/bus/vmbus/secondary.h"
#include "drivers/bus/vmbus/watch.h"

/* The answer to a request that was given up is on its way. */
#define LATE_US 10000

/* The primary. Requests and what follows from them are one thread's at a time. */
pthread_mutex_t secondary_lock = PTHREAD_MUTEX_INITIALIZER;
static int link_fd = -1;
static struct rte_intr_handle *link_intr;
static uint32_t link_slot;
static uint32_t link_asked; /* requests so far */
static int64_t link_until;  /* that the requests of now may take together; 0: each has its time */
static enum rte_iova_mode link_iova_mode = RTE_IOVA_DC;
static atomic_bool link_lost;

/* ---- asking ---- */

/* @return 0; -EPROTO; -ETIMEDOUT: it is the answer to a request that was given up */
static int
answer_check(const struct hpbus_mp_request *rq, const struct rte_mp_msg *msg)
{
	const struct hpbus_mp_reply *reply = (const struct hpbus_mp_reply *)msg->param;

	if (msg->len_param != (int)sizeof(*reply))
		return -EPROTO;
	if (reply->op == rq->op && reply->number == rq->number)
		return 0;
	/* Until the answer to this one has come and is dropped, or it would be the next one's. */
	rte_delay_us_sleep(LATE_US);
	return -ETIMEDOUT;
}

/* secondary_lock held. @p msg with the answer and its files, which are the caller's to close. */
int
secondary_ask(struct hpbus_mp_request *rq, int fd, struct rte_mp_msg *msg)
{
	struct rte_mp_msg out = {.len_param = sizeof(*rq)};
	int64_t left = link_until == 0 ? SECONDARY_ANSWER_MS : link_until - hpbus_now_ms();
	struct timespec limit = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
	struct rte_mp_reply got = {0};
	int rc = 0, i;

	if (atomic_load(&link_lost))
		return -ENOTCONN;
	if (left <= 0)
		return -ETIMEDOUT;
	rq->version = HPBUS_MP_VERSION;
	rq->abi = hpbus_driver()->abi;
	rq->number = ++link_asked;
	rq->slot = link_slot;
	snprintf(out.name, sizeof(out.name), "%s", HPBUS_MP_ACTION);
	memcpy(out.param, rq, sizeof(*rq));
	if (fd >= 0)
		out.fds[out.num_fds++] = fd;
	if (rte_mp_request_sync(&out, &got, &limit) != 0)
		rc = rte_errno != 0 ? -rte_errno : -EIO;
	else if (got.nb_received != 1)
		rc = -ENOTCONN;
	if (rc == 0) {
		*msg = got.msgs[0];
		rc = answer_check(rq, msg);
		for (i = 0; rc != 0 && i < msg->num_fds; i++)
			close(msg->fds[i]);
	}
	free(got.msgs);
	return rc;
}

/* The same where no files come. @return what the primary says, too */
int
secondary_ask_plain(struct hpbus_mp_request *rq, int fd, struct hpbus_mp_reply *reply)
{
	struct rte_mp_msg msg;
	int rc = secondary_ask(rq, fd, &msg), i;

	if (rc != 0)
		return rc;
	for (i = 0; i < msg.num_fds; i++)
		close(msg.fds[i]);
	memcpy(reply, msg.param, sizeof(*reply));
	return reply->rc;
}

int
secondary_ask_of(const struct hpbus_device *dev, enum hpbus_mp_op op, uint32_t generation,
	struct hpbus_mp_reply *reply)
{
	struct hpbus_mp_request rq = {.op = op, .generation = generation};

	memcpy(rq.guid, dev->instance, sizeof(rq.guid));
	return secondary_ask_plain(&rq, -1, reply);
}

/* ---- the primary ---- */

static void
link_on_event(void *arg)
{
	char bytes[64];
	ssize_t n;

	do
		n = recv(link_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		secondary_changed();
		return;
	}
	hpbus_watch_over(link_intr, link_on_event, NULL, NULL);
	if (atomic_exchange(&link_lost, true))
		return;
	secondary_ended();
}

/* Once. */
int
secondary_link_make(void)
{
	struct hpbus_mp_request rq = {.op = HPBUS_MP_HELLO};
	struct hpbus_mp_reply reply;
	int pair[2], rc;

	if (link_fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -errno;
	rc = secondary_ask_plain(&rq, pair[1], &reply);
	close(pair[1]);
	if (rc == 0 && (reply.hello.slot == 0 || reply.hello.slot >= HPBUS_MAX_PROCESSES))
		rc = -EPROTO;
	if (rc != 0) {
		close(pair[0]);
		return rc;
	}
	link_slot = reply.hello.slot;
	link_iova_mode = (enum rte_iova_mode)reply.hello.iova_mode;
	/* Before anything can come: who hears of it reads there. */
	link_fd = pair[0];
	rc = hpbus_watch(link_fd, link_on_event, NULL, &link_intr);
	if (rc != 0) {
		link_fd = -1;
		close(pair[0]);
	}
	return rc;
}

bool
secondary_link_lost(void)
{
	return atomic_load(&link_lost);
}

void
secondary_ask_until(int64_t until)
{
	link_until = until;
}

void
secondary_wake_primary(void)
{
	send(link_fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

unsigned int
hpbus_process_slot(void)
{
	return link_slot;
}

enum rte_iova_mode
hpbus_secondary_iova_mode(void)
{
	if (link_iova_mode == RTE_IOVA_PA && !rte_eal_using_phys_addrs())
		return RTE_IOVA_DC;
	return link_iova_mode;
}
