/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_fixture.h: the bus and its backend, as the driver calls them. */
#include <stdlib.h>
#include <sys/mman.h>

#include "test/unit/netvsc_fixture.h"

int hpbus_logtype;
_Atomic uint32_t hpbus_dma_generation_word = 1;

static struct fixture *
fixture_of(struct hpbus_device *dev)
{
	return dev->backend_data;
}

struct hpbus_driver *fixture_driver;

void
hpbus_register_driver(struct hpbus_driver *driver)
{
	fixture_driver = driver;
}

void
hpbus_device_set_driver_data(
	struct hpbus_device *dev, void *data, bool (*on_gone)(struct hpbus_device *dev))
{
	dev->driver_data = data;
	dev->on_gone = on_gone;
}

_Atomic unsigned int fixture_dma_busy;

int
hpbus_dma_again(struct hpbus_device *dev)
{
	unsigned int left = atomic_load(&fixture_dma_busy);

	if (left == 0)
		return 0;
	atomic_store(&fixture_dma_busy, left - 1);
	return -ETIMEDOUT;
}

void
hpbus_dma_forget(struct hpbus_device *dev)
{
}

void
hpbus_device_lost(struct hpbus_device *dev)
{
	fixture_of(dev)->losses++;
}

int
hpbus_device_node(const struct hpbus_device *dev)
{
	return 0;
}

/* Memory of the heap: who keeps it frees it. */
int
hpbus_recv_keep(struct hpbus_device *dev)
{
	dev->recv.base = NULL;
	return 0;
}

/* As a bus whose reset does not map: there is other memory at once. */
int
hpbus_recv_renew(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);

	f->renews++;
	dev->recv.base = f->renew_rc == 0 ? malloc(dev->recv.len) : NULL;
	return f->renew_rc;
}

void
hpbus_recv_free(void *base, size_t len)
{
	free(base);
}

void
hpbus_channel_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct fixture *f = fixture_of(dev);

	f->host[ch->index].signals++;
	if (f->on_signal != NULL)
		f->on_signal(f, ch->index);
}

void
hpbus_signal_again(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);

	if (f->on_signal_again != NULL)
		f->on_signal_again(f);
}

/* Other processes, as the test says. */
uint64_t fixture_processes;

uint64_t
hpbus_processes(const struct hpbus_device *dev)
{
	return fixture_processes;
}

bool
hpbus_has_peers(void)
{
	return fixture_processes != 0;
}

bool
hpbus_gather(struct hpbus_device *dev, unsigned int ms)
{
	return true;
}

int
hpbus_share(struct hpbus_device *dev, const char *port)
{
	return 0;
}

void *
hpbus_unshare(struct hpbus_device *dev)
{
	return NULL;
}

unsigned int
hpbus_process_slot(void)
{
	return 0;
}

bool
hpbus_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	return !dev->copy_only;
}

struct hpbus_dma_run
hpbus_dma_lookup(struct hpbus_device *dev, uintptr_t addr)
{
	struct fixture *f = fixture_of(dev);

	if (f->on_lookup != NULL)
		return f->on_lookup(f, addr);
	return (struct hpbus_dma_run){
		.start = RTE_ALIGN_FLOOR(addr, HPBUS_DMA_WINDOW),
		.len = HPBUS_DMA_WINDOW,
		.usable = !dev->copy_only,
	};
}

/* Who touches the rings of a closed channel is found out. */
static void
host_protect(struct fixture_host *host, int prot)
{
	mprotect(host->in.ring.ctl, VMBUS_PAGE_SIZE + 2 * (size_t)host->in.ring.size, prot);
	mprotect(host->out.ring.ctl, VMBUS_PAGE_SIZE + 2 * (size_t)host->out.ring.size, prot);
}

static int
backend_open(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);
	int rc = f->on_open != NULL ? f->on_open(f) : 0;

	if (rc != 0)
		return rc;
	atomic_store(&dev->gone, false);
	atomic_store(&dev->told, false);
	/* Who held frames in it has kept the one before. */
	if (dev->recv.base == NULL)
		dev->recv.base = malloc(dev->recv.len);
	return 0;
}

static void
backend_close(struct hpbus_device *dev)
{
	fixture_of(dev)->closes++;
}

static int
backend_reset(struct hpbus_device *dev)
{
	struct fixture *f = fixture_of(dev);

	f->resets++;
	return f->reset_rc;
}

static int
backend_channel_open(struct hpbus_device *dev, unsigned int index, struct hpbus_channel *ch)
{
	struct fixture *f = fixture_of(dev);
	struct fixture_host *host = &f->host[index];

	if (f->open_rc != 0)
		return f->open_rc;
	host_protect(host, PROT_READ | PROT_WRITE);
	/* As after the fence: rings are empty and start at 0. */
	memset(host->in.ring.ctl, 0, VMBUS_PAGE_SIZE);
	memset(host->out.ring.ctl, 0, VMBUS_PAGE_SIZE);
	if (vmbus_ring_writer_init(&host->to_guest, &host->in.ring) != 0 ||
		vmbus_ring_reader_init(&host->from_guest, &host->out.ring) != 0)
		return -EIO;
	host->open = true;
	host->opens++;
	*ch = (struct hpbus_channel){
		.dev = dev,
		.index = (uint16_t)index,
		.relid = (uint16_t)(index + 1),
		.tx = host->out.ring,
		.rx = host->in.ring,
		.signal = HPBUS_SIGNAL_CALL,
	};
	return 0;
}

static void
backend_channel_close(struct hpbus_device *dev, struct hpbus_channel *ch)
{
	struct fixture_host *host = &fixture_of(dev)->host[ch->index];

	host->open = false;
	host->closes++;
	host_protect(host, PROT_NONE);
	memset(ch, 0, sizeof(*ch));
}

static void
backend_signal(struct hpbus_device *dev, struct hpbus_channel *ch)
{
}

static bool
backend_dma_usable(struct hpbus_device *dev, const void *addr, size_t len)
{
	return !dev->copy_only;
}

/* As over vfio-user: the host holds the descriptors, too. */
static int
backend_intr_open(struct hpbus_device *dev, unsigned int n)
{
	return fixture_of(dev)->intr_rc;
}

static int
backend_intr_raise(struct hpbus_device *dev, int fd)
{
	return vfu_signal(&fixture_of(dev)->signaller, fd);
}

const struct hpbus_backend fixture_backend = {
	.name = "test",
	.open = backend_open,
	.close = backend_close,
	.reset = backend_reset,
	.channel_open = backend_channel_open,
	.channel_close = backend_channel_close,
	.signal = backend_signal,
	.dma_usable = backend_dma_usable,
	.intr_open = backend_intr_open,
	.intr_raise = backend_intr_raise,
};
