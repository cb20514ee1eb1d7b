/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user server from its listener to the memory map (lib/vfio_user/server.c, session.c,
 * session_cmd.c, version.c; lib/host/memmap.c): up to three clients come and go, send valid
 * commands of which some words are changed or any bytes, in pieces, with descriptors of every kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/host/memmap.h"
#include "lib/vfio_user/server.h"
#include "lib/vfio_user/session.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/vfio_user_rig.h"

#define CLIENTS 3u
#define KINDS	7u

static char folder[] = "/tmp/hyperpoll-fuzz.XXXXXX";
static char path[64];
static struct vfu_signaller signaller;
static int kinds[KINDS]; /* a descriptor of each kind */
static int region = -1;	 /* the file of region 0 */
static struct vfu_server *server;
static struct vfu_session *session;
static struct host_memmap *map;
static struct host_memmap_reader reader;
static int clients[CLIENTS];
static int doorbell;

/* ---- a device ---- */

static int
on_region_info(void *ctx, uint32_t index, struct vfu_region_desc *desc)
{
	if (index > 1)
		return 0;
	desc->size = 8192;
	desc->type = VMBUS_REGION_TYPE;
	desc->subtype = index + 1;
	desc->flags = VFIO_USER_REGION_FLAG_READ | VFIO_USER_REGION_FLAG_WRITE;
	if (index == 0) {
		desc->flags |= VFIO_USER_REGION_FLAG_MMAP;
		desc->fd = region;
	}
	return 0;
}

static int
on_region_read(void *ctx, uint32_t index, uint64_t offset, void *data, uint32_t count)
{
	FUZZ_CHECK(index <= 1 && offset <= 8192 && count <= 8192 - offset);
	memset(data, 0x5a, count);
	return 0;
}

static int
on_region_write(void *ctx, uint32_t index, uint64_t offset, const void *data, uint32_t count)
{
	static volatile uint8_t sum;

	FUZZ_CHECK(index <= 1 && offset <= 8192 && count <= 8192 - offset);
	for (uint32_t i = 0; i < count; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
	return 0;
}

static int
on_io_fds(void *ctx, uint32_t index, struct vfu_io_fd_desc *entries, uint32_t *count, int *fds,
	uint32_t max_fds, uint32_t *n_fds)
{
	*n_fds = max_fds < 1 ? max_fds : 1;
	if (*n_fds != 0)
		fds[0] = doorbell;
	*count = *n_fds == 0 ? 0 : VFU_SERVER_MAX_IO_FDS;
	for (uint32_t i = 0; i < *count; i++)
		entries[i] = (struct vfu_io_fd_desc){4 * i, 4, 0};
	return 0;
}

static int
on_dma_map(void *ctx, int fd, uint32_t flags, uint64_t offset, uint64_t iova, uint64_t size)
{
	FUZZ_CHECK(size != 0 && (offset | iova | size) % 4096 == 0);
	return host_memmap_map(map, fd, offset, iova, size, flags);
}

static int
on_dma_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	return host_memmap_unmap(map, iova, size);
}

static int
on_dma_unmap_all(void *ctx)
{
	host_memmap_unmap_all(map);
	return 0;
}

static int
on_reset(void *ctx)
{
	return 0;
}

static const struct vfu_device_ops ops = {.region_info = on_region_info,
	.region_read = on_region_read,
	.region_write = on_region_write,
	.io_fds = on_io_fds,
	.dma_map = on_dma_map,
	.dma_unmap = on_dma_unmap,
	.dma_unmap_all = on_dma_unmap_all,
	.reset = on_reset};
static const struct vfu_device device = {.ops = &ops,
	.flags = VFIO_USER_DEVICE_RESET_CAP,
	.num_regions = 20,
	.num_irqs = 2,
	.irq_count = {4, 1},
	.signaller = &signaller,
	.max_irq_fds = 4};

/* ---- clients ---- */

static void
at_end(void)
{
	rmdir(folder);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int pair[2];

	FUZZ_CHECK(host_memmap_sigbus_install() == 0 && vfu_signaller_init(&signaller) == 0);
	FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(at_end) == 0);
	snprintf(path, sizeof(path), "%s/a.sock", folder);
	region = rig_memfd(8192);
	FUZZ_CHECK(pipe(pair) == 0);
	kinds[2] = pair[0];
	kinds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	kinds[4] = open("/", O_PATH | O_CLOEXEC);
	kinds[5] = socket(AF_UNIX, SOCK_STREAM, 0);
	kinds[6] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return 0;
}

static size_t
make_payload(struct fuzz *in, uint16_t command, uint8_t *p)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":"
				   "65536,\"max_dma_maps\":10,\"pgsizes\":4096}}";
	uint64_t iova = fuzz_below(in, 16) * 4096ull;
	uint32_t n = 1 + fuzz_below(in, 4);

	switch (command) {
	case VFIO_USER_VERSION:
		memcpy(p, &(struct vfio_user_version){VFIO_USER_MAJOR, VFIO_USER_MINOR}, 4);
		memcpy(p + 4, json, sizeof(json));
		return 4 + sizeof(json);
	case VFIO_USER_DMA_MAP:
		memcpy(p,
			&(struct vfio_user_dma_map){
				32, n, fuzz_below(in, 8) * 4096ull, iova, n * 4096},
			32);
		return 32;
	case VFIO_USER_DMA_UNMAP:
		memcpy(p, &(struct vfio_user_dma_unmap){24, fuzz_bool(in) ? 2 : 0, iova, n * 4096},
			24);
		return 24;
	case VFIO_USER_DEVICE_GET_INFO:
		memcpy(p, &(struct vfio_user_device_info){16}, 16);
		return 16;
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		memcpy(p, &(struct vfio_user_region_info){.argsz = 4096, .index = n - 1}, 32);
		return 32;
	case VFIO_USER_DEVICE_GET_REGION_IO_FDS:
		memcpy(p, &(struct vfio_user_io_fds){8192, 0, n - 1, 0}, 16);
		return 16;
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		memcpy(p, &(struct vfio_user_irq_info){16, 0, n - 1, 0}, 16);
		return 16;
	case VFIO_USER_DEVICE_SET_IRQS:
		memcpy(p,
			&(struct vfio_user_irq_set){20,
				(fuzz_bool(in) ? VFIO_USER_IRQ_DATA_NONE
					       : VFIO_USER_IRQ_DATA_EVENTFD) |
					VFIO_USER_IRQ_ACTION_TRIGGER,
				fuzz_below(in, 2), fuzz_below(in, 4), n},
			20);
		return 20;
	case VFIO_USER_REGION_READ:
	case VFIO_USER_REGION_WRITE:
		memcpy(p,
			&(struct vfio_user_region_access){
				fuzz_u16(in) % 8200, fuzz_below(in, 3), n * 4},
			16);
		return command == VFIO_USER_REGION_READ ? 16 : 16 + n * 4;
	default:
		return 0;
	}
}

/* Nobody reads as fast as this, and some are not served: what does not fit is lost. */
static void
send_command(struct fuzz *in, int sock)
{
	static uint8_t bytes[8192];
	uint16_t command = (uint16_t)(1 + fuzz_below(in, 14));
	size_t len = sizeof(struct vfio_user_header), cut;
	int fds[32];
	unsigned int n_fds, i;

	memset(bytes, 0, 256);
	len += make_payload(in, command, bytes + len);
	memcpy(bytes,
		&(struct vfio_user_header){fuzz_u8(in), command, (uint32_t)len,
			fuzz_below(in, 8) == 1 ? VFIO_USER_NO_REPLY : 0, 0},
		sizeof(struct vfio_user_header));
	fuzz_scribble(in, bytes, len);
	/* One descriptor of the kind that the command wants, unless it says otherwise. */
	n_fds = command == VFIO_USER_DMA_MAP || command == VFIO_USER_DEVICE_SET_IRQS;
	fds[0] = kinds[command == VFIO_USER_DMA_MAP ? 0 : 1];
	if (fuzz_bool(in)) {
		n_fds = fuzz_below(in, 33);
		for (i = 0; i < n_fds; i++)
			fds[i] = kinds[fuzz_below(in, KINDS)];
	}
	cut = fuzz_bool(in) ? fuzz_u8(in) % len : 0;
	if (cut != 0) {
		rig_try_send(sock, bytes, cut, fds, n_fds);
		if (session != NULL && vfu_session_process(session) != 0) {
			vfu_session_close(session);
			session = NULL;
		}
		n_fds = 0;
	}
	rig_try_send(sock, bytes + cut, len - cut, fds, n_fds);
}

static void
send_bytes(struct fuzz *in, int sock)
{
	uint8_t bytes[64];
	size_t len = 1 + fuzz_below(in, sizeof(bytes));

	fuzz_take(in, bytes, len);
	rig_try_send(sock, bytes, len, kinds, fuzz_below(in, 3));
}

static int
client_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	FUZZ_CHECK(sock >= 0);
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0)
		return sock;
	close(sock);
	return -1;
}

/* Replies are whole messages with descriptors that are really there. */
static void
client_read(int sock)
{
	static uint8_t bytes[VFIO_USER_MAX_REQUEST];
	int fds[64];
	unsigned int n_fds;

	while (rig_recv(sock, bytes, sizeof(bytes), fds, &n_fds) > 0)
		while (n_fds > 0)
			FUZZ_CHECK(close(fds[--n_fds]) == 0);
}

static void
serve(void)
{
	struct vfu_session *s;

	while (vfu_server_accept(server, &s) == 0) {
		FUZZ_CHECK(session == NULL);
		session = s;
	}
	if (session != NULL && vfu_session_process(session) != 0) {
		FUZZ_CHECK(vfu_session_error(session)[0] != '\0');
		vfu_session_close(session);
		session = NULL;
		host_memmap_unmap_all(map);
	}
}

static void
use(struct fuzz *in)
{
	const volatile uint8_t *p;

	if (session != NULL && vfu_session_is_open(session))
		vfu_session_signal_channel(session, fuzz_below(in, 4));
	host_memmap_enter(&reader);
	p = host_memmap_page(&reader, fuzz_below(in, 16));
	if (p != NULL)
		(void)*p;
	host_memmap_leave(&reader);
}

static void
begin(void)
{
	char why[256];

	kinds[0] = rig_memfd(16 * 4096);
	kinds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	map = host_memmap_create();
	host_memmap_limit(map, 12, 1u << 20);
	host_memmap_reader_add(map, &reader);
	FUZZ_CHECK(vfu_server_create(path, &device, &server, why, sizeof(why)) == 0);
	memset(clients, -1, sizeof(clients));
}

static void
end(void)
{
	char lock[80];
	unsigned int i;

	vfu_session_close(session);
	session = NULL;
	vfu_server_destroy(server);
	host_memmap_reader_remove(map, &reader);
	host_memmap_destroy(map);
	for (i = 0; i < CLIENTS; i++)
		if (clients[i] >= 0)
			close(clients[i]);
	close(kinds[0]);
	close(kinds[1]);
	close(doorbell);
	snprintf(lock, sizeof(lock), "%s/a.lock", folder);
	unlink(lock);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	unsigned int before = rig_count_fds(), i;
	bool version = true;

	begin();
	while (in.left != 0) {
		uint8_t op = fuzz_u8(&in);

		i = op / 16 % CLIENTS;
		if (clients[i] < 0)
			clients[i] = client_connect();
		if (clients[i] < 0)
			break;
		if (version && (op & 0x80) == 0) {
			static const uint8_t zeros[1] = {0};
			struct fuzz none = {zeros, 0};

			send_command(&none, clients[i]); /* VERSION */
			serve();
		}
		version = false;
		switch (op % 16) {
		case 0:
			close(clients[i]);
			clients[i] = -1;
			break;
		case 1:
			send_bytes(&in, clients[i]);
			break;
		case 2:
			FUZZ_CHECK(ftruncate(kinds[0], fuzz_below(&in, 17) * 4096) == 0);
			break;
		case 3:
			use(&in);
			break;
		case 4:
			client_read(clients[i]);
			break;
		case 5:
			if (fuzz_u8(&in) == 1)
				vfu_server_withdraw(server);
			break;
		default:
			send_command(&in, clients[i]);
			serve();
		}
		if (op & 0x40)
			serve();
		if (host_memmap_poisoned(map))
			break;
	}
	serve();
	end();
	FUZZ_CHECK(rig_count_fds() == before);
	return 0;
}
