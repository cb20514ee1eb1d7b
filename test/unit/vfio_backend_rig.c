/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/vfio_backend_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "test/unit/vfio_user_rig.h"

int hpbus_logtype;

struct hpbus_device backend_device;
struct vfio_device *backend;
int backend_peer;

/* ---- what is above the backend ---- */

struct hpbus_device *
hpbus_device_get(const uint8_t instance[16])
{
	return NULL;
}

void
hpbus_device_gone(struct hpbus_device *dev, const char *why)
{
	atomic_store(&dev->gone, true);
}

void
hpbus_dma_changed(void)
{
}

int
hpbus_dma_follow(void)
{
	return 0;
}

rte_mem_event_callback_t backend_memory_event;

int
rte_mem_event_callback_register(const char *name, rte_mem_event_callback_t cb, void *arg)
{
	backend_memory_event = cb;
	return 0;
}

int
rte_mem_event_callback_unregister(const char *name, void *arg)
{
	return 0;
}

int
rte_memseg_walk(rte_memseg_walk_t func, void *arg)
{
	return 0;
}

struct vfio_device *
backend_connect(struct hpbus_device *dev, int *host)
{
	uint8_t hello[20], request[512];
	struct vfio_device *connected;
	char err[VFU_ERRLEN];
	int pair[2];

	memset(dev, 0, sizeof(*dev));
	CU_ASSERT_EQUAL_FATAL(hpbus_vfio_attach(dev, "/nowhere"), 0);
	connected = dev->backend_data;
	CU_ASSERT_EQUAL_FATAL(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	*host = pair[1];
	rig_hex("01000100 14000000 01000000 00000000 00000100", hello, sizeof(hello));
	CU_ASSERT_EQUAL(write(*host, hello, sizeof(hello)), sizeof(hello));
	CU_ASSERT_EQUAL_FATAL(vfu_client_attach(pair[0], &connected->client, err, sizeof(err)), 0);
	CU_ASSERT(read(*host, request, sizeof(request)) > 100);
	return connected;
}

void
backend_disconnect(struct vfio_device *connected, int host)
{
	struct hpbus_device *dev = connected->dev;

	vfu_client_close(connected->client);
	connected->client = NULL;
	vfu_signaller_fini(&connected->signaller);
	hpbus_dma_table_clear(&connected->dma);
	dev->backend->release(dev);
	close(host);
}

void
backend_begin(void)
{
	backend = backend_connect(&backend_device, &backend_peer);
	alarm(HANGS_S);
}

void
backend_end(void)
{
	alarm(0);
	backend_disconnect(backend, backend_peer);
}

const struct hpbus_op_kind backend_short_op = {"test", 400, 200, false};

bool
backend_hung_up_on(int host)
{
	struct pollfd pfd = {.fd = host, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

bool
backend_hung_up(void)
{
	return backend_hung_up_on(backend_peer);
}
