/* SPDX-License-Identifier: BSD-3-Clause */
/* Port "tap": a Linux TAP device of the current network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/host/port_spec.h"

struct port_tap {
	struct host_port port;
	struct host_port_stats stats;
	int fd;
	bool gone;
	uint8_t excess[65536]; /* what does not fit the guest's buffer ends here */
};

/*
 * The device was deleted: its descriptor would report an error for ever. An event that never
 * comes takes its place under the same number, so that whoever waits for it sleeps.
 */
static void
tap_lost(struct port_tap *tap)
{
	int quiet = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	tap->gone = true;
	if (quiet < 0)
		return;
	dup3(quiet, tap->fd, O_CLOEXEC);
	close(quiet);
}

static unsigned int
tap_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_tap *tap = (struct port_tap *)port;
	unsigned int done = 0;

	while (done < n && !tap->gone) {
		struct iovec iov[2] = {
			{frames[done].data, frames[done].room},
			{tap->excess, sizeof(tap->excess)},
		};
		ssize_t len = readv(tap->fd, iov, 2);

		if (len < 0) {
			if (errno == EBADFD)
				tap_lost(tap);
			break;
		}
		if ((size_t)len > frames[done].room || len == 0) {
			port_drop(&tap->stats, &tap->stats.rx_dropped_size);
			continue;
		}
		frames[done++].len = (uint32_t)len;
		tap->stats.rx_frames++;
		tap->stats.rx_bytes += (uint64_t)len;
	}
	return done;
}

static void
tap_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_tap *tap = (struct port_tap *)port;

	for (unsigned int i = 0; i < n; i++) {
		tap->stats.tx_frames++;
		tap->stats.tx_bytes += frames[i].len;
		/* EIO: the interface is down; EAGAIN: its queue is full. */
		if (!tap->gone && write(tap->fd, frames[i].data, frames[i].len) >= 0)
			continue;
		port_drop(&tap->stats, !tap->gone && errno == EAGAIN
					       ? &tap->stats.tx_dropped_full
					       : &tap->stats.tx_dropped_error);
	}
}

static int
tap_fd(struct host_port *port)
{
	return ((struct port_tap *)port)->fd;
}

static uint64_t
tap_deadline(struct host_port *port)
{
	return UINT64_MAX;
}

static void
tap_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_tap *tap = (struct port_tap *)port;

	*stats = tap->stats;
	stats->finished = tap->gone;
}

static void
tap_close(struct host_port *port)
{
	struct port_tap *tap = (struct port_tap *)port;

	close(tap->fd);
	free(tap);
}

static const struct host_port_ops tap_ops = {
	.kind = "tap",
	.receive = tap_receive,
	.send = tap_send,
	.fd = tap_fd,
	.deadline = tap_deadline,
	.stats = tap_stats,
	.close = tap_close,
};

static int
tap_attach(const char *name, int *fd_out, const struct port_error *error)
{
	struct ifreq ifr;
	int rc, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return port_fail(error, -errno,
			"port tap:%s: cannot open /dev/net/tun: %s; load the tun module and run as "
			"root or with access to it",
			name, strerror(errno));
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr) == 0) {
		*fd_out = fd;
		return 0;
	}
	rc = -errno;
	close(fd);
	switch (-rc) {
	case EPERM:
	case EACCES:
		return port_fail(error, rc,
			"port tap:%s: no permission; run as root (CAP_NET_ADMIN) or give the TAP to "
			"this user with 'ip tuntap add dev %s mode tap user UID'",
			name, name);
	case EBUSY:
		return port_fail(error, rc,
			"port tap:%s: another process is attached to this TAP; choose another name or "
			"end that process",
			name);
	case EINVAL:
		return port_fail(error, rc,
			"port tap:%s: an interface of this name exists and is not a single-queue TAP; "
			"choose another name",
			name);
	default:
		return port_fail(error, rc, "port tap:%s: cannot attach: %s", name, strerror(-rc));
	}
}

int
port_tap_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	static const char *const keys[] = {NULL};
	struct port_tap *tap;
	struct port_spec spec;
	const char *name, *value;
	int fd = -1, rc = port_spec_init(&spec, "tap", args, keys, error);

	if (rc != 0)
		return rc;
	name = port_spec_name(&spec);
	if (name == NULL)
		return port_fail(
			error, -EINVAL, "port tap: needs the interface's name, as in tap:hp0");
	if (strlen(name) >= IFNAMSIZ || strpbrk(name, "/% \t:") != NULL || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return port_fail(error, -EINVAL,
			"port tap: '%s' is not an interface name (at most %d characters, no '/', '%%', "
			"':' or blanks)",
			name, IFNAMSIZ - 1);
	rc = port_spec_next(&spec, &value);
	if (rc != -ENODATA || port == NULL)
		return rc == -ENODATA ? 0 : rc;
	rc = tap_attach(name, &fd, error);
	if (rc != 0)
		return rc;
	tap = calloc(1, sizeof(*tap));
	if (tap == NULL) {
		close(fd);
		return port_fail(error, -ENOMEM, "port tap:%s: out of memory", name);
	}
	tap->fd = fd;
	tap->port.ops = &tap_ops;
	*port = &tap->port;
	return 0;
}
