/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of captures (lib/host/port_pcap.c) on a file that is the input. */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/host/port.h"
#include "test/fuzz/fuzz.h"

static void
play(struct host_port *port)
{
	uint8_t *room = malloc(2048);
	struct host_frame frame = {.data = room, .room = 2048};
	struct host_port_stats stats;
	unsigned int i;

	for (i = 0; i < 64 && port->ops->receive(port, &frame, 1) == 1; i++) {
		FUZZ_CHECK(frame.len >= 14 && frame.len <= frame.room);
		port->ops->deadline(port);
	}
	port->ops->stats(port, &stats);
	FUZZ_CHECK(stats.rx_frames == i);
	free(room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {0, 0x15, 0x5d, 1, 2, 3};
	int fd = memfd_create("capture", MFD_CLOEXEC);
	struct host_port *port;
	char spec[64], why[256] = "";

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(spec, sizeof(spec), "pcap:in=/proc/self/fd/%d", fd);
	if (host_port_open(spec, mac, &port, why, sizeof(why)) == 0) {
		play(port);
		port->ops->close(port);
	} else {
		FUZZ_CHECK(why[0] != '\0');
	}
	close(fd);
	return 0;
}
