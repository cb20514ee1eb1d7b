/* SPDX-License-Identifier: BSD-3-Clause */
/* The client's commands: what is asked and how the answer is checked (§4, §5). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/vfio_user/client_priv.h"
#include "lib/vfio_user/signal.h"

/* More than this many bytes of entries of any dialect are not asked for. */
#define IO_FDS_ARGSZ (sizeof(struct vfio_user_io_fds) + VFU_MAX_IO_FDS * 64u)

int
vfu_client_device_info(struct vfu_client *client, struct vfu_device_info *info)
{
	struct vfio_user_device_info r = {.argsz = sizeof(r)};
	struct vfu_call call = {.command = VFIO_USER_DEVICE_GET_INFO,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.reply_min = sizeof(r),
		.reply_max = sizeof(r)};
	int ret = vfu_client_call(client, &call);

	if (ret < 0)
		return ret;
	memcpy(&r, client->rx, sizeof(r));
	if (r.argsz < sizeof(r) || r.num_regions > VFIO_USER_MAX_REGIONS ||
		r.num_irqs > VFIO_USER_MAX_IRQS)
		return vfu_client_end(client, -EPROTO, "the server's device info makes no sense");
	*info = (struct vfu_device_info){r.flags, r.num_regions, r.num_irqs};
	return 0;
}

/* One sparse mmap capability of @p len bytes at @p at. */
static int
take_areas(const uint8_t *at, size_t len, struct vfu_region *region)
{
	struct vfio_user_cap_sparse cap;

	if (len < sizeof(cap))
		return -EPROTO;
	memcpy(&cap, at, sizeof(cap));
	if (cap.nr_areas > (len - sizeof(cap)) / sizeof(region->areas[0]))
		return -EPROTO;
	if (cap.nr_areas > VFU_MAX_AREAS)
		return -E2BIG;
	region->n_areas = cap.nr_areas;
	memcpy(region->areas, at + sizeof(cap), cap.nr_areas * sizeof(region->areas[0]));
	for (uint32_t i = 0; i < cap.nr_areas; i++) {
		const struct vfio_user_sparse_area *a = &region->areas[i];

		if (a->offset % VFIO_USER_PAGE != 0 || a->size % VFIO_USER_PAGE != 0 ||
			a->size > region->size || a->offset > region->size - a->size)
			return -EPROTO;
	}
	return 0;
}

/* Bounded walk: <= 16, 8-aligned, inside the payload, strictly increasing (§4). */
static int
walk_caps(
	const uint8_t *payload, size_t len, uint32_t first, struct vfu_region *region, bool *sparse)
{
	uint32_t at = first, before = sizeof(struct vfio_user_region_info) - 1;

	for (unsigned int n = 0; at != 0; n++) {
		struct vfio_user_cap_type type;
		int ret;

		if (n == VFIO_USER_MAX_CAPS || at <= before || at % 8 != 0 || at > len ||
			len - at < sizeof(type.cap))
			return -EPROTO;
		memcpy(&type.cap, payload + at, sizeof(type.cap));
		if (type.cap.id == VFIO_USER_CAP_SPARSE_MMAP) {
			*sparse = true;
			ret = take_areas(payload + at, len - at, region);
			if (ret < 0)
				return ret;
		} else if (type.cap.id == VFIO_USER_CAP_TYPE) {
			if (len - at < sizeof(type))
				return -EPROTO;
			memcpy(&type, payload + at, sizeof(type));
			region->has_type = true;
			region->type = type.type;
			region->subtype = type.subtype;
		}
		before = at;
		at = type.cap.next;
	}
	return 0;
}

/* Does the file hold what is to be mapped? Otherwise the first access would be a SIGBUS. */
static int
check_region_fd(const struct vfu_region *r)
{
	uint64_t end = r->n_areas > 0 ? 0 : r->size;
	struct stat st;

	for (uint32_t i = 0; i < r->n_areas; i++)
		if (r->areas[i].offset + r->areas[i].size > end)
			end = r->areas[i].offset + r->areas[i].size;
	if (r->offset % VFIO_USER_PAGE != 0 || r->size % VFIO_USER_PAGE != 0)
		return -EPROTO;
	if (fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EPROTO;
	return (uint64_t)st.st_size >= r->offset + end ? 0 : -EPROTO;
}

static int
parse_region(struct vfu_client *client, size_t len, uint32_t index, struct vfu_region *region)
{
	struct vfio_user_region_info r;
	bool sparse = false;
	int ret;

	memcpy(&r, client->rx, sizeof(r));
	if (r.argsz < sizeof(r) || r.index != index || r.size > INT64_MAX ||
		r.offset > INT64_MAX - r.size || client->fds.n > 1)
		return -EPROTO;
	*region =
		(struct vfu_region){.flags = r.flags, .size = r.size, .offset = r.offset, .fd = -1};
	if ((r.flags & VFIO_USER_REGION_FLAG_CAPS) && r.cap_offset != 0) {
		ret = walk_caps(client->rx, len, r.cap_offset, region, &sparse);
		if (ret < 0)
			return ret;
	}
	if (client->fds.n == 0 || r.size == 0 || !(r.flags & VFIO_USER_REGION_FLAG_MMAP) ||
		(sparse && region->n_areas == 0))
		return 0;
	region->fd = client->fds.fd[0];
	ret = check_region_fd(region);
	if (ret < 0)
		region->fd = -1;
	else
		client->fds.fd[0] = -1; /* the caller's now */
	return ret;
}

int
vfu_client_region_info(struct vfu_client *client, uint32_t index, struct vfu_region *region)
{
	struct vfio_user_region_info r = {.argsz = VFIO_USER_REGION_INFO_ARGSZ, .index = index};
	struct vfu_call call = {.command = VFIO_USER_DEVICE_GET_REGION_INFO,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.want_fds = true,
		.reply_min = sizeof(r)};
	int ret;

	*region = (struct vfu_region){.fd = -1};
	/* An argsz that was too small loses capabilities and, with libvfio-user, the fd. */
	for (int attempt = 0;; attempt++) {
		uint32_t argsz;

		call.reply_max = r.argsz;
		ret = vfu_client_call(client, &call);
		if (ret < 0)
			return ret;
		memcpy(&argsz, client->rx, sizeof(argsz));
		if (argsz <= r.argsz || attempt > 0 || argsz > VFIO_USER_MAX_DATA_XFER)
			break;
		vfu_fds_close(&client->fds);
		r.argsz = argsz;
	}
	ret = parse_region(client, call.reply_len, index, region);
	vfu_fds_close(&client->fds);
	if (ret == -E2BIG)
		return vfu_client_fail(client, ret, "region %u has more than %u mappable areas",
			index, VFU_MAX_AREAS);
	if (ret < 0)
		return vfu_client_end(client, ret, "the server's region info makes no sense");
	return 0;
}

int
vfu_client_irq_info(struct vfu_client *client, uint32_t index, struct vfu_irq_info *info)
{
	struct vfio_user_irq_info r = {.argsz = sizeof(r), .index = index};
	struct vfu_call call = {.command = VFIO_USER_DEVICE_GET_IRQ_INFO,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.reply_min = sizeof(r),
		.reply_max = sizeof(r)};
	int ret = vfu_client_call(client, &call);

	if (ret < 0)
		return ret;
	memcpy(&r, client->rx, sizeof(r));
	if (r.argsz < sizeof(r) || r.index != index)
		return vfu_client_end(client, -EPROTO, "the server's irq info makes no sense");
	*info = (struct vfu_irq_info){r.flags, r.count};
	return 0;
}

static int
set_irqs(struct vfu_client *client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
	const int *fds)
{
	const struct vfio_user_irq_set r = {.argsz = sizeof(r),
		.flags = flags | VFIO_USER_IRQ_ACTION_TRIGGER,
		.index = index,
		.start = start,
		.count = count};
	struct vfu_call call = {.command = VFIO_USER_DEVICE_SET_IRQS,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.fds = fds,
		.n_fds = fds != NULL ? count : 0};

	return vfu_client_call(client, &call);
}

int
vfu_client_set_irqs(
	struct vfu_client *client, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	uint32_t done = 0;

	if (fds == NULL)
		return set_irqs(client, VFIO_USER_IRQ_DATA_EVENTFD, index, start, count, NULL);
	while (done < count) {
		bool remove = fds[done] < 0;
		uint32_t n = 1;
		int ret;

		/* Never valid and missing descriptors in one message (§4). */
		while (done + n < count && (fds[done + n] < 0) == remove &&
			(remove || n < client->max_fds))
			n++;
		ret = set_irqs(client, VFIO_USER_IRQ_DATA_EVENTFD, index, start + done, n,
			remove ? NULL : fds + done);
		if (ret < 0)
			return ret;
		done += n;
	}
	return 0;
}

int
vfu_client_clear_irqs(struct vfu_client *client, uint32_t index)
{
	return set_irqs(client, VFIO_USER_IRQ_DATA_NONE, index, 0, 0, NULL);
}

int
vfu_client_trigger_irqs(struct vfu_client *client, uint32_t index, uint32_t start, uint32_t count)
{
	if (count == 0)
		return -EINVAL; /* on the wire that would remove them all */
	return set_irqs(client, VFIO_USER_IRQ_DATA_NONE, index, start, count, NULL);
}

/* One message: @p in for a write, @p out for a read. */
static int
region_access(struct vfu_client *client, uint32_t index, uint64_t offset, const void *in, void *out,
	uint32_t count)
{
	struct vfio_user_region_access r = {offset, index, count}, back;
	struct vfu_call call = {
		.command = out != NULL ? VFIO_USER_REGION_READ : VFIO_USER_REGION_WRITE,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.data = in,
		.data_len = in != NULL ? count : 0,
		.reply_min = sizeof(r),
		.reply_max = sizeof(r) + (out != NULL ? count : 0)};
	int ret = vfu_client_call(client, &call);

	if (ret < 0)
		return ret;
	memcpy(&back, client->rx, sizeof(back));
	if (back.offset != offset || back.region != index || back.count > count ||
		(out != NULL && back.count > call.reply_len - sizeof(back)))
		return vfu_client_end(client, -EPROTO, "the server's answer makes no sense");
	if (back.count != count)
		return vfu_client_fail(
			client, -EIO, "region %u: only %u of %u bytes", index, back.count, count);
	if (out != NULL)
		memcpy(out, client->rx + sizeof(back), count);
	return 0;
}

int
vfu_client_region_read(
	struct vfu_client *client, uint32_t index, uint64_t offset, void *data, uint32_t count)
{
	for (uint32_t done = 0; done < count;) {
		uint32_t n = count - done < client->max_xfer ? count - done : client->max_xfer;
		int ret = region_access(
			client, index, offset + done, NULL, (uint8_t *)data + done, n);

		if (ret < 0)
			return ret;
		done += n;
	}
	return 0;
}

int
vfu_client_region_write(struct vfu_client *client, uint32_t index, uint64_t offset,
	const void *data, uint32_t count)
{
	for (uint32_t done = 0; done < count;) {
		uint32_t n = count - done < client->max_xfer ? count - done : client->max_xfer;
		int ret = region_access(
			client, index, offset + done, (const uint8_t *)data + done, NULL, n);

		if (ret < 0)
			return ret;
		done += n;
	}
	return 0;
}

static int
parse_io_fds(struct vfu_client *client, size_t len, uint32_t index, struct vfu_io_fds *io)
{
	struct vfio_user_io_fds r;
	uint64_t stride;

	memcpy(&r, client->rx, sizeof(r));
	if (r.argsz < sizeof(r) || r.index != index)
		return -EPROTO;
	if (r.count == 0)
		return 0;
	if (r.count > VFU_MAX_IO_FDS)
		return -E2BIG;
	/* Dialects differ in the length of an entry (§4). */
	stride = (r.argsz - sizeof(r)) / r.count;
	if (stride < VFIO_USER_IO_FD_ENTRY_MIN || sizeof(r) + stride * r.count > len)
		return -EPROTO;
	for (uint32_t i = 0; i < r.count; i++) {
		struct vfio_user_io_fd e = {0};

		memcpy(&e, client->rx + sizeof(r) + i * stride, VFIO_USER_IO_FD_ENTRY_PREFIX);
		/* What we do not know means nothing to us. */
		if (e.type != VFIO_USER_IO_FD_EVENTFD) {
			io->skipped++;
			continue;
		}
		if (e.fd_index >= client->fds.n || e.size > INT64_MAX ||
			e.offset > INT64_MAX - e.size)
			return -EPROTO;
		/* We are going to signal it: a pipe in its place could block us (§9). */
		if (!vfu_fd_is_eventfd(client->fds.fd[e.fd_index])) {
			io->skipped++;
			continue;
		}
		io->entry[io->count].offset = e.offset;
		io->entry[io->count].size = e.size;
		io->entry[io->count].fd_index = e.fd_index;
		io->count++;
	}
	io->n_fds = client->fds.n;
	memcpy(io->fds, client->fds.fd, io->n_fds * sizeof(io->fds[0]));
	client->fds.n = 0; /* the caller's now */
	return 0;
}

int
vfu_client_io_fds(struct vfu_client *client, uint32_t index, struct vfu_io_fds *io)
{
	struct vfio_user_io_fds r = {.argsz = IO_FDS_ARGSZ, .index = index};
	struct vfu_call call = {.command = VFIO_USER_DEVICE_GET_REGION_IO_FDS,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.want_fds = true,
		.reply_min = sizeof(r),
		.reply_max = IO_FDS_ARGSZ};
	int ret;

	io->count = io->n_fds = io->skipped = 0;
	ret = vfu_client_call(client, &call);
	if (ret < 0)
		return ret;
	ret = parse_io_fds(client, call.reply_len, index, io);
	vfu_fds_close(&client->fds);
	if (ret < 0)
		io->count = 0;
	if (ret == -E2BIG)
		return vfu_client_fail(
			client, ret, "region %u has more than %u doorbells", index, VFU_MAX_IO_FDS);
	if (ret < 0)
		return vfu_client_end(client, ret, "the server's doorbell list makes no sense");
	return 0;
}

void
vfu_io_fds_close(struct vfu_io_fds *io)
{
	for (uint32_t i = 0; i < io->n_fds; i++)
		close(io->fds[i]);
	io->count = io->n_fds = 0;
}

int
vfu_client_dma_map(struct vfu_client *client, int fd, uint32_t flags, uint64_t offset,
	uint64_t iova, uint64_t size)
{
	const struct vfio_user_dma_map r = {sizeof(r), flags, offset, iova, size};
	struct vfu_call call = {.command = VFIO_USER_DMA_MAP,
		.timeout = VFU_TIMEOUT_ANY,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.fds = &fd,
		.n_fds = 1};

	return vfu_client_call(client, &call);
}

int
vfu_client_dma_unmap(struct vfu_client *client, uint64_t iova, uint64_t size)
{
	const struct vfio_user_dma_unmap r = {sizeof(r), 0, iova, size};
	struct vfio_user_dma_unmap back;
	struct vfu_call call = {.command = VFIO_USER_DMA_UNMAP,
		.timeout = VFU_TIMEOUT_LONG,
		.fixed = &r,
		.fixed_len = sizeof(r),
		.reply_min = sizeof(r),
		.reply_max = sizeof(r)};
	int ret = vfu_client_call(client, &call);

	if (ret < 0)
		return ret;
	memcpy(&back, client->rx, sizeof(back));
	if (back.address != iova || back.size != size)
		return vfu_client_end(client, -EPROTO, "the server unmapped something else");
	return 0;
}

int
vfu_reopen_read_only(int fd)
{
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, O_RDONLY | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}

int
vfu_client_reset(struct vfu_client *client)
{
	struct vfu_call call = {.command = VFIO_USER_DEVICE_RESET, .timeout = VFU_TIMEOUT_LONG};

	return vfu_client_call(client, &call);
}
