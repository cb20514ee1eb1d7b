/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "app/hvsim-vm/input.h"
#include "lib/host/descriptors.h"

#define ESCAPE 0x01 /* Ctrl-A */

/* @return false: quit */
static bool
typed(struct input *input, const uint8_t *in, size_t n, bool *escaped)
{
	uint8_t out[64];
	unsigned int k = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (*escaped && (in[i] == 'x' || in[i] == 'X'))
			return false;
		if (!*escaped && in[i] == ESCAPE) {
			*escaped = true;
			continue;
		}
		*escaped = false;
		out[k++] = in[i];
	}
	serial_input(input->serial, out, k);
	return true;
}

static void *
input_thread(void *arg)
{
	struct input *input = arg;
	bool escaped = false;

	while (!atomic_load(&input->stop)) {
		uint8_t in[64];
		ssize_t n;

		if (!input->interactive && serial_room(input->serial) < sizeof(in)) {
			usleep(1000);
			continue;
		}
		n = read(input->fd, in, sizeof(in));
		if (atomic_load(&input->stop))
			break;
		if (n < 0 && errno == EAGAIN) {
			descriptors_wait(input->fd, POLLIN);
		} else if (n == 0 || (n < 0 && errno != EINTR)) {
			break; /* end of input: the machine runs on */
		} else if (n > 0 && !input->interactive) {
			serial_input(input->serial, in, (unsigned int)n);
		} else if (n > 0 && !typed(input, in, (size_t)n, &escaped)) {
			input->quit(input->ctx);
			break;
		}
	}
	return NULL;
}

int
input_start(struct input *input)
{
	pthread_t thread;
	int rc;

	atomic_init(&input->stop, false);
	rc = -pthread_create(&thread, NULL, input_thread, input);
	if (rc == 0)
		pthread_detach(thread);
	return rc;
}

void
input_stop(struct input *input)
{
	atomic_store(&input->stop, true);
	if (input->serial != NULL)
		serial_close(input->serial);
}
