/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user client against a server that answers what it likes (lib/vfio_user/client*.c, msg.c,
 * version.c): the answers lie in the socket before the requests are made, valid but for some words,
 * with descriptors of every kind, and end where the input says.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/vfio_user/client.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/vfio_user_rig.h"

#define CALLS 14u

static int kinds[4];

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	kinds[0] = rig_memfd(16 << 20);
	kinds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	kinds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	kinds[3] = rig_memfd(0);
	return 0;
}

static uint16_t
command_of(unsigned int call)
{
	static const uint16_t commands[CALLS] = {VFIO_USER_DEVICE_GET_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO, VFIO_USER_DEVICE_GET_IRQ_INFO,
		VFIO_USER_DEVICE_SET_IRQS, VFIO_USER_REGION_READ, VFIO_USER_REGION_WRITE,
		VFIO_USER_DEVICE_GET_REGION_IO_FDS, VFIO_USER_DMA_MAP, VFIO_USER_DMA_UNMAP,
		VFIO_USER_DEVICE_RESET, VFIO_USER_DEVICE_SET_IRQS, 0, 0, 0};

	return commands[call];
}

/* @return bytes; descriptors in @p n_fds of @p fds */
static size_t
make_answer(struct fuzz *in, unsigned int call, uint8_t *p, int *fds, unsigned int *n_fds)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":"
				   "4096,\"max_dma_maps\":10,\"pgsizes\":4096}}";
	struct vfio_user_io_fd entry = {.size = 4};
	uint32_t i, n;

	*n_fds = 0;
	switch (command_of(call)) {
	case VFIO_USER_DEVICE_GET_INFO:
		memcpy(p, &(struct vfio_user_device_info){16, 1, 20, 2}, 16);
		return 16;
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		memcpy(p, &(struct vfio_user_region_info){80, 15, 1, 32, 8192, 0}, 32);
		memcpy(p + 32, &(struct vfio_user_cap_type){{2, 1, 48}, 0x80001414, 2}, 16);
		memcpy(p + 48, &(struct vfio_user_cap_sparse){{1, 1, 0}, 1, 0}, 16);
		memcpy(p + 64, &(struct vfio_user_sparse_area){4096, 4096}, 16);
		fds[(*n_fds)++] = kinds[0];
		return 80;
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		memcpy(p, &(struct vfio_user_irq_info){16, 1, 0, 4}, 16);
		return 16;
	case VFIO_USER_DEVICE_GET_REGION_IO_FDS:
		n = 1 + fuzz_below(in, 130);
		memcpy(p, &(struct vfio_user_io_fds){16 + n * 40, 0, 6, n}, 16);
		for (i = 0; i < n; i++, entry.offset += 4)
			memcpy(p + 16 + 40 * i, &entry, sizeof(entry));
		fds[(*n_fds)++] = kinds[1];
		return 16 + n * 40;
	case VFIO_USER_REGION_READ:
		memcpy(p, &(struct vfio_user_region_access){0, 5, 64}, 16);
		return 16 + 64;
	case VFIO_USER_REGION_WRITE:
		memcpy(p, &(struct vfio_user_region_access){0, 5, 64}, 16);
		return 16;
	case VFIO_USER_DMA_UNMAP:
		memcpy(p, &(struct vfio_user_dma_unmap){24, 0, 0, 4096}, 24);
		return 24;
	case 0: /* VERSION */
		memcpy(p, &(struct vfio_user_version){VFIO_USER_MAJOR, VFIO_USER_MINOR}, 4);
		if (fuzz_bool(in))
			return 4;
		memcpy(p + 4, json, sizeof(json));
		return 4 + sizeof(json);
	default:
		return 0;
	}
}

/* @param id the request's. Sent whole or in two pieces. */
static void
send_answer(struct fuzz *in, int sock, uint16_t id, unsigned int call)
{
	static uint8_t bytes[8192];
	size_t len = sizeof(struct vfio_user_header), cut;
	uint16_t command = command_of(call);
	unsigned int n_fds, i;
	int fds[16];

	memset(bytes, 0, sizeof(bytes));
	len += make_answer(in, call, bytes + len, fds, &n_fds);
	memcpy(bytes,
		&(struct vfio_user_header){id, command != 0 ? command : VFIO_USER_VERSION,
			(uint32_t)len, VFIO_USER_TYPE_REPLY, 0},
		sizeof(struct vfio_user_header));
	fuzz_scribble(in, bytes, len < 128 ? len : 128);
	fuzz_scribble(in, bytes + 16, len - 16);
	if (fuzz_bool(in)) {
		n_fds = fuzz_below(in, 16);
		for (i = 0; i < n_fds; i++)
			fds[i] = kinds[fuzz_below(in, 4)];
	}
	cut = fuzz_bool(in) ? fuzz_u8(in) % len : 0;
	if (cut != 0)
		rig_send(sock, bytes, cut, fds, fuzz_bool(in) ? n_fds : 0);
	rig_send(sock, bytes + cut, len - cut, fds, n_fds);
}

static void
region(struct vfu_client *client)
{
	struct vfu_region r;

	if (vfu_client_region_info(client, 1, &r) != 0)
		return;
	FUZZ_CHECK(r.n_areas <= VFU_MAX_AREAS);
	for (unsigned int i = 0; i < r.n_areas; i++)
		FUZZ_CHECK(r.areas[i].offset <= r.size &&
			   r.areas[i].size <= r.size - r.areas[i].offset);
	if (r.fd >= 0)
		FUZZ_CHECK(close(r.fd) == 0);
}

static void
io_fds(struct vfu_client *client)
{
	struct vfu_io_fds io;

	if (vfu_client_io_fds(client, 6, &io) != 0)
		return;
	FUZZ_CHECK(io.count <= VFU_MAX_IO_FDS && io.n_fds <= VFIO_USER_CLIENT_MAX_FDS);
	for (uint32_t i = 0; i < io.count; i++)
		FUZZ_CHECK(io.entry[i].fd_index < io.n_fds);
	vfu_io_fds_close(&io);
}

static void
call(struct vfu_client *client, unsigned int which)
{
	struct vfu_device_info device;
	struct vfu_irq_info irq;
	uint8_t *data = calloc(1, 64);

	switch (which) {
	case 0:
		vfu_client_device_info(client, &device);
		break;
	case 1:
		region(client);
		break;
	case 2:
		vfu_client_irq_info(client, 0, &irq);
		break;
	case 3:
		vfu_client_set_irqs(client, 0, 0, 1, &kinds[1]);
		break;
	case 4:
		vfu_client_region_read(client, 5, 0, data, 64);
		break;
	case 5:
		vfu_client_region_write(client, 5, 0, data, 64);
		break;
	case 6:
		io_fds(client);
		break;
	case 7:
		vfu_client_dma_map(client, kinds[0], VFIO_USER_DMA_READ_FLAG, 0, 0, 4096);
		break;
	case 8:
		vfu_client_dma_unmap(client, 0, 4096);
		break;
	case 9:
		vfu_client_reset(client);
		break;
	case 10:
		vfu_client_trigger_irqs(client, 0, 0, 1);
		break;
	case 11:
		vfu_client_post(client, 6, 3, 12);
		vfu_client_repost(client);
		break;
	case 12:
		vfu_client_alive(client);
		break;
	case 13:
		vfu_client_clear_irqs(client, 0);
		break;
	}
	free(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	unsigned int before = rig_count_fds(), calls[24], n, i;
	struct vfu_client *client;
	char why[VFU_ERRLEN] = "";
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	/* The client counts from the id of VERSION. */
	send_answer(&in, pair[0], 1, CALLS - 1);
	for (n = 0; n < sizeof(calls) / sizeof(calls[0]) && in.left != 0; n++) {
		calls[n] = fuzz_below(&in, CALLS);
		if (calls[n] < 11)
			send_answer(&in, pair[0], (uint16_t)(n + 2), calls[n]);
	}
	/* What is not answered is not waited for. */
	shutdown(pair[0], SHUT_WR);
	if (vfu_client_attach(pair[1], &client, why, sizeof(why)) == 0) {
		vfu_client_set_timeout(client, 1);
		for (i = 0; i < n; i++)
			call(client, calls[i]);
		FUZZ_CHECK(vfu_client_error(client) != NULL);
		vfu_client_close(client);
	} else {
		FUZZ_CHECK(why[0] != '\0');
	}
	close(pair[0]);
	FUZZ_CHECK(rig_count_fds() == before);
	return 0;
}
