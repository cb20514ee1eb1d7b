/* SPDX-License-Identifier: BSD-3-Clause */
/* Port "echo": what the guest sends comes back to it, unchanged and in order. */
#include <errno.h>
#include <stdlib.h>

#include "lib/host/port_queue.h"
#include "lib/host/port_spec.h"

struct port_echo {
	struct host_port port;
	struct host_port_stats stats;
	struct port_queue queue;
};

static unsigned int
echo_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_echo *echo = (struct port_echo *)port;
	unsigned int done = 0;

	while (done < n) {
		uint32_t len = port_queue_get(&echo->queue, frames[done].data, frames[done].room);

		if (len == 0)
			break;
		if (len > frames[done].room) {
			port_drop(&echo->stats, &echo->stats.rx_dropped_size);
			continue;
		}
		frames[done++].len = len;
		echo->stats.rx_frames++;
		echo->stats.rx_bytes += len;
	}
	return done;
}

static void
echo_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_echo *echo = (struct port_echo *)port;

	for (unsigned int i = 0; i < n; i++) {
		echo->stats.tx_frames++;
		echo->stats.tx_bytes += frames[i].len;
		if (!port_queue_put(&echo->queue, &frames[i]))
			port_drop(&echo->stats, &echo->stats.tx_dropped_full);
	}
}

static int
echo_fd(struct host_port *port)
{
	return -1;
}

static uint64_t
echo_deadline(struct host_port *port)
{
	return port_queue_empty(&((struct port_echo *)port)->queue) ? UINT64_MAX : 0;
}

static void
echo_stats(struct host_port *port, struct host_port_stats *stats)
{
	*stats = ((struct port_echo *)port)->stats;
}

static void
echo_close(struct host_port *port)
{
	struct port_echo *echo = (struct port_echo *)port;

	free(echo->queue.data);
	free(echo);
}

static const struct host_port_ops echo_ops = {
	.kind = "echo",
	.receive = echo_receive,
	.send = echo_send,
	.fd = echo_fd,
	.deadline = echo_deadline,
	.stats = echo_stats,
	.close = echo_close,
	.in_place = true,
};

int
port_echo_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	static const char *const keys[] = {NULL};
	struct port_echo *echo;
	struct port_spec spec;
	const char *value;
	int rc = port_spec_init(&spec, "echo", args, keys, error);

	if (rc != 0)
		return rc;
	rc = port_spec_next(&spec, &value);
	if (rc != -ENODATA || port == NULL)
		return rc == -ENODATA ? 0 : rc;
	echo = calloc(1, sizeof(*echo));
	if (echo == NULL || port_queue_init(&echo->queue) != 0) {
		free(echo);
		return port_fail(error, -ENOMEM, "port echo: out of memory");
	}
	echo->port.ops = &echo_ops;
	*port = &echo->port;
	return 0;
}
