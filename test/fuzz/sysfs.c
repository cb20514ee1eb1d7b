/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sysfs readers on trees of several kernels of which some files say something else, are of
 * another kind or not there (drivers/bus/vmbus/sysfs.c, sysfs_uio.c).
 */
#include <errno.h>
#include <unistd.h>

#include "drivers/bus/vmbus/sysfs.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/sysfs_tree.h"

#define UIO	TREE_NIC_DIR "/uio/uio0"
#define CHANNEL TREE_NIC_DIR "/channels/"

/* Each is what the host or the kernel says. */
static const char *const paths[] = {TREE_NIC_DIR "/class_id", TREE_NIC_DIR "/device_id",
	TREE_NIC_DIR "/id", TREE_NIC_DIR "/state", TREE_NIC_DIR "/monitor_id",
	TREE_NIC_DIR "/numa_node", TREE_NIC_DIR "/modalias", TREE_NIC_DIR "/driver_override",
	TREE_NIC_DIR "/driver", TREE_NIC_DIR "/net/eth0/address", CHANNEL "14/subchannel_id",
	CHANNEL "14/monitor_id", CHANNEL "14/cpu", CHANNEL "14/ring", CHANNEL "21/subchannel_id",
	CHANNEL "21/monitor_id", CHANNEL "21/cpu", CHANNEL "21/ring", CHANNEL "2047/subchannel_id",
	CHANNEL "2047/ring", CHANNEL "x/ring", UIO "/name", UIO "/dev", UIO "/maps/map0/name",
	UIO "/maps/map0/addr", UIO "/maps/map0/size", UIO "/maps/map0/offset",
	UIO "/maps/map1/name", UIO "/maps/map1/size", UIO "/maps/map2/size", UIO "/maps/map3/name",
	UIO "/maps/map3/size", UIO "/maps/map4/name", UIO "/maps/map4/size",
	TREE_NIC_DIR "/uio/uio1/name", TREE_NIC_DIR "/uio/nothing/name",
	"sys/bus/vmbus/devices/nothing/id", "sys/bus/pci/slots/2/address",
	"sys/bus/pci/slots/3/address", "sys/bus/pci/slots/2-1/address"};

static void
quiet(void *opaque, enum vmbus_sysfs_level level, const char *device, const char *sentence)
{
	FUZZ_CHECK(sentence[0] != '\0' && strchr(sentence, '\n') == NULL);
}

static void
change(struct fuzz *in)
{
	const char *path = paths[fuzz_below(in, sizeof(paths) / sizeof(paths[0]))];
	char text[256];
	uint8_t how = fuzz_u8(in);
	size_t len;

	tree_delete(path);
	switch (how % 8) {
	case 0:
		break;
	case 1:
		tree_mkdir(path);
		break;
	case 2:
		tree_link(path,
			fuzz_bool(in) ? "nowhere" : "../../../../bus/vmbus/drivers/hv_netvsc");
		break;
	case 3:
		tree_size(path, fuzz_u32(in) % (1u << 26));
		break;
	case 4:
		tree_put_bytes(
			path, text, (size_t)snprintf(text, sizeof(text), "%u\n", fuzz_word(in)));
		break;
	case 5:
		tree_put_bytes(path, text,
			(size_t)snprintf(
				text, sizeof(text), "0x%08x%08x\n", fuzz_word(in), fuzz_word(in)));
		break;
	default:
		len = fuzz_u8(in);
		fuzz_take(in, text, len);
		tree_put_bytes(path, text, len);
		break;
	}
}

static void
check_device(const struct vmbus_sysfs_device *d)
{
	unsigned int i;

	FUZZ_CHECK(d->relid != 0 && d->relid <= VMBUS_RELID_MAX);
	FUZZ_CHECK(d->monitor_id >= -1 && d->monitor_id <= VMBUS_MONITOR_ID_MAX);
	FUZZ_CHECK(d->uio >= -1 && d->uio <= (int)VMBUS_UIO_MAX);
	FUZZ_CHECK(d->n_netdevs <= VMBUS_SYSFS_NETDEVS);
	for (i = 0; i < d->n_channels; i++)
		FUZZ_CHECK(d->channels[i].relid <= VMBUS_RELID_MAX &&
			   (i == 0 || d->channels[i].subchannel > d->channels[i - 1].subchannel));
}

static void
look(struct vmbus_sysfs *fs, unsigned int kernel)
{
	struct vmbus_sysfs_channel *channels = NULL, one;
	char path[VMBUS_SYSFS_PATH_MAX], name[64];
	struct vmbus_pci_address address;
	struct vmbus_sysfs_device *d;
	struct vmbus_sysfs_uio uio;
	unsigned int n_channels, i;
	bool neighbour = false;
	size_t n;

	snprintf(name, sizeof(name), "%s%s", tree_kernels[kernel].prefix, TREE_NIC);
	if (vmbus_sysfs_scan(fs, NULL, &d, &n) == 0) {
		for (i = 0; i < n; i++) {
			check_device(&d[i]);
			neighbour |= strstr(d[i].name, TREE_NEIGHBOUR) != NULL;
		}
		vmbus_sysfs_free(d, n);
		/* Each problem costs at most the device it was found on. */
		FUZZ_CHECK(neighbour);
	}
	if (vmbus_sysfs_scan(fs, vmbus_nic_class, &d, &n) == 0)
		vmbus_sysfs_free(d, n);
	vmbus_sysfs_state(fs, name);
	if (vmbus_sysfs_channels(fs, name, 14, 2, &channels, &n_channels) == 0)
		free(channels);
	vmbus_sysfs_ring_wait(fs, name, 14, 3, 1, 0, &one, path);
	vmbus_sysfs_primary_wait(fs, name, 14, 0);
	if (vmbus_sysfs_uio_read(fs, name, 4096, &uio) == 0) {
		FUZZ_CHECK(
			uio.recv_gpadl != 0 && uio.send_gpadl != 0 && uio.ring_bytes % 4096 == 0);
		i = (unsigned int)vmbus_sysfs_uio_open(fs, name, &uio);
		FUZZ_CHECK((int)i < 0);
	}
	vmbus_sysfs_vf(fs, 2, &address);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	unsigned int kernel = (TREE_6_1 + fuzz_u8(&in)) % (unsigned int)tree_n_kernels;
	struct vmbus_sysfs fs;
	int n = 0;

	tree_build(&tree_kernels[kernel]);
	FUZZ_CHECK(vmbus_sysfs_init(&fs, quiet, NULL) == 0);
	while (in.left != 0 && n++ < 8)
		change(&in);
	look(&fs, kernel);
	tree_remove();
	return 0;
}
