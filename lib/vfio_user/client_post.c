/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes of one word that wait for nobody: doorbells of the data path where there is no eventfd
 * (§2 no_reply, §9 D).
 *
 * What is to be written stands in a set first, then whoever gets hold of the socket writes it. Who
 * does not get hold of it may go: the holder looks at the set again after letting go, so a bit set
 * meanwhile is found by one of the two. A socket that takes no more leaves the bit set; then the
 * server has hundreds of messages of ours to read, and the rest follows with the next message or
 * the next call of vfu_client_repost(). So none is lost, and a slot written twice meanwhile wakes
 * the server once, which is all that a doorbell says.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/vfio_user/client_priv.h"

struct post {
	struct vfio_user_header h;
	struct vfio_user_region_access access;
	uint32_t value;
};

/* send_lock held. @return whether it left, or never can */
static bool
post_one(struct vfu_client *client, unsigned int slot)
{
	const struct post post = {
		.h = {.msg_id = VFU_POST_ID,
			.command = VFIO_USER_REGION_WRITE,
			.size = offsetof(struct post, value) + sizeof(post.value),
			.flags = VFIO_USER_NO_REPLY},
		.access = {.offset = atomic_load(&client->post_offset[slot]),
			.region = atomic_load(&client->post_region),
			.count = sizeof(post.value)},
		.value = 1,
	};
	ssize_t sent;

	atomic_store(&client->posted, true);
	do
		sent = send(client->fd, &post, post.h.size, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	/* The kernel takes so few bytes as a whole or not at all; framing would be lost otherwise.
	 */
	if (sent != (ssize_t)post.h.size)
		vfu_client_abort(client);
	return true;
}

/* send_lock held. @return whether the set was emptied */
static bool
post_all(struct vfu_client *client)
{
	uint64_t posts;

	while ((posts = atomic_load(&client->posts)) != 0) {
		unsigned int slot = (unsigned int)__builtin_ctzll(posts);

		/* Cleared first: a bit set while the message leaves is another message. */
		atomic_fetch_and(&client->posts, ~(UINT64_C(1) << slot));
		if (!client->ended && !post_one(client, slot)) {
			atomic_fetch_or(&client->posts, UINT64_C(1) << slot);
			return false;
		}
	}
	return true;
}

bool
vfu_client_repost(struct vfu_client *client)
{
	for (;;) {
		bool all;

		/* Pairs with the same fence of a poster: one of the two sees the other's store. */
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&client->posts) == 0)
			return true;
		if (pthread_mutex_trylock(&client->send_lock) != 0)
			return false; /* its holder comes by here */
		all = post_all(client);
		pthread_mutex_unlock(&client->send_lock);
		if (!all)
			return false;
	}
}

void
vfu_client_post(struct vfu_client *client, uint32_t region, unsigned int slot, uint32_t offset)
{
	slot %= 64;
	atomic_store(&client->post_region, region);
	atomic_store(&client->post_offset[slot], offset);
	atomic_fetch_or(&client->posts, UINT64_C(1) << slot);
	vfu_client_repost(client);
}

void
vfu_client_send_unlock(struct vfu_client *client)
{
	pthread_mutex_unlock(&client->send_lock);
	vfu_client_repost(client);
}

bool
vfu_client_is_post_reply(struct vfu_client *client, const struct vfio_user_header *h)
{
	return atomic_load(&client->posted) &&
	       (h->flags & VFIO_USER_TYPE_MASK) == VFIO_USER_TYPE_REPLY &&
	       h->msg_id == VFU_POST_ID && h->command == VFIO_USER_REGION_WRITE &&
	       h->size >= sizeof(*h) &&
	       h->size <= sizeof(*h) + sizeof(struct vfio_user_region_access);
}

void
vfu_client_abort(struct vfu_client *client)
{
	int none = 0;

	atomic_compare_exchange_strong(&client->why, &none, -ECANCELED);
	client->ended = true;
	/* Not closed: the number stays taken (see client.h). */
	shutdown(client->fd, SHUT_RDWR);
}
