/* SPDX-License-Identifier: BSD-3-Clause */
/* Fixture trees, good and bad (spec/linux-uio-vmbus.md §1.2, §5, §6, §12, §14). */
#include "test/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "drivers/bus/vmbus/sysfs.h"
#include "test/unit/sysfs_tree.h"

static char messages[16384];
static enum vmbus_sysfs_level worst;

static void
collect(void *opaque, enum vmbus_sysfs_level level, const char *device, const char *sentence)
{
	size_t used = strlen(messages);

	CU_ASSERT_PTR_EQUAL(opaque, messages);
	snprintf(messages + used, sizeof(messages) - used, "%s: %s\n", device, sentence);
	if (level > worst)
		worst = level;
}

static struct vmbus_sysfs fs;

static void
begin(unsigned int kernel)
{
	tree_build(&tree_kernels[kernel]);
	messages[0] = '\0';
	worst = VMBUS_SYSFS_DEBUG;
	CU_ASSERT_EQUAL(vmbus_sysfs_init(&fs, collect, messages), 0);
}

static void
test_spec_example(void)
{
	static const uint8_t instance[16] = {0x11, 0x3a, 0x0d, 0x00, 0x33, 0x22, 0x0d, 0x00, 0x3a,
		0x11, 0x22, 0x33, 0x00, 0x0d, 0x3a, 0x11};
	static const struct vmbus_sysfs_channel expected[] = {
		{14, 0, 3, 0, true, 4194304},
		{21, 1, 12, 1, true, 4194304},
		{22, 2, 13, 2, true, 4194304},
		{23, 3, 14, 3, true, 4194304},
	};
	struct vmbus_sysfs_device *d;
	struct vmbus_pci_address vf;
	struct vmbus_sysfs_uio uio;
	unsigned int i;
	size_t n;

	begin(TREE_6_1);
	CU_ASSERT_EQUAL_FATAL(vmbus_sysfs_scan(&fs, vmbus_nic_class, &d, &n), 0);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT_STRING_EQUAL(d[0].name, TREE_NIC);
	CU_ASSERT_EQUAL(memcmp(d[0].class_guid, vmbus_nic_class, 16), 0);
	CU_ASSERT_EQUAL(memcmp(d[0].instance, instance, 16), 0);
	CU_ASSERT_EQUAL(d[0].relid, 14);
	CU_ASSERT_EQUAL(d[0].state, VMBUS_STATE_OPEN);
	CU_ASSERT_EQUAL(d[0].monitor_id, 3);
	CU_ASSERT_EQUAL(d[0].numa_node, 0);
	CU_ASSERT_STRING_EQUAL(d[0].driver, "uio_hv_generic");
	CU_ASSERT_TRUE(d[0].has_override);
	CU_ASSERT_STRING_EQUAL(d[0].driver_override, "uio_hv_generic");
	CU_ASSERT_EQUAL(d[0].uio, 0);
	CU_ASSERT_EQUAL(d[0].n_netdevs, 0);
	CU_ASSERT_TRUE(d[0].has_channels);
	CU_ASSERT_EQUAL_FATAL(d[0].n_channels, 4);
	for (i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(d[0].channels[i].relid, expected[i].relid);
		CU_ASSERT_EQUAL(d[0].channels[i].subchannel, expected[i].subchannel);
		CU_ASSERT_EQUAL(d[0].channels[i].monitor_id, expected[i].monitor_id);
		CU_ASSERT_EQUAL(d[0].channels[i].cpu, expected[i].cpu);
		CU_ASSERT_EQUAL(d[0].channels[i].has_ring, expected[i].has_ring);
		CU_ASSERT_EQUAL(d[0].channels[i].ring_size, expected[i].ring_size);
	}
	CU_ASSERT_EQUAL(d[1].uio, 1);
	vmbus_sysfs_free(d, n);

	CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, TREE_NIC, 4096, &uio), 0);
	CU_ASSERT_EQUAL(uio.number, 0);
	CU_ASSERT_EQUAL(uio.major, 245);
	CU_ASSERT_EQUAL(uio.minor, 0);
	CU_ASSERT_STRING_EQUAL(uio.path + strlen(tree_root), "/dev/uio0");
	CU_ASSERT_EQUAL(uio.ring_bytes, 0x200000);
	CU_ASSERT_EQUAL(uio.recv_gpadl, 925213);
	CU_ASSERT_EQUAL(uio.send_gpadl, 925214);
	CU_ASSERT_EQUAL(uio.maps[VMBUS_MAP_RINGS].addr, 0x108000000);
	CU_ASSERT_EQUAL(uio.maps[VMBUS_MAP_RECV].size, 0x1f00000);
	CU_ASSERT_EQUAL(uio.maps[VMBUS_MAP_SEND].size, 0x1000000);
	/* The same maps on a machine with 64 KiB pages: the monitor page stays 4096 bytes. */
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, TREE_NIC, 65536, &uio), 0);

	CU_ASSERT_EQUAL(vmbus_sysfs_vf(&fs, 2, &vf), 0);
	CU_ASSERT_EQUAL(vf.domain, 1);
	CU_ASSERT_EQUAL(vf.bus, 0);
	CU_ASSERT_EQUAL(vf.device, 2);
	CU_ASSERT_EQUAL(vf.function, 0);
	CU_ASSERT_EQUAL(vmbus_sysfs_vf(&fs, 3, &vf), -ENODEV);
	CU_ASSERT_STRING_EQUAL(messages, "");
	tree_put("sys/bus/pci/slots/2/address", "0001:00\n");
	CU_ASSERT_EQUAL(vmbus_sysfs_vf(&fs, 2, &vf), -EINVAL);
	tree_remove();
}

static void
test_kernel_generations(void)
{
	struct vmbus_sysfs_device *d;
	struct vmbus_sysfs_uio uio;
	unsigned int i;
	size_t n;
	int rc;

	for (i = 0; i < tree_n_kernels; i++) {
		const struct tree_kernel *k = &tree_kernels[i];

		begin(i);
		CU_ASSERT_EQUAL_FATAL(vmbus_sysfs_scan(&fs, NULL, &d, &n), 0);
		CU_ASSERT_EQUAL(n, k->fcopy ? 3 : 2);
		if (n == 3) {
			CU_ASSERT_STRING_EQUAL(d[2].name, TREE_FCOPY);
			CU_ASSERT_EQUAL(d[2].uio, 2);
			CU_ASSERT_EQUAL(d[2].monitor_id, -1);
		}
		CU_ASSERT_STRING_EQUAL(messages, "");
		vmbus_sysfs_free(d, n);
		/* As the bus scans. */
		CU_ASSERT_EQUAL_FATAL(vmbus_sysfs_scan(&fs, vmbus_nic_class, &d, &n), 0);
		CU_ASSERT_EQUAL_FATAL(n, 2);
		CU_ASSERT_EQUAL(d[0].has_override, k->override);
		CU_ASSERT_EQUAL(d[0].has_channels, k->channels);
		CU_ASSERT_EQUAL(d[0].monitor_id, k->monitor ? 3 : -1);
		CU_ASSERT_EQUAL(d[0].n_channels, k->subchannel_id ? 4 : k->channels ? 1 : 0);
		CU_ASSERT_STRING_EQUAL(messages, "");
		rc = vmbus_sysfs_uio_read(&fs, d[0].name, 4096, &uio);
		CU_ASSERT_EQUAL(rc, k->maps == 5 ? 0 : -EINVAL);
		if (k->maps < 5)
			CU_ASSERT_PTR_NOT_NULL(strstr(messages, "use Linux 4.16 or later"));
		vmbus_sysfs_free(d, n);
		tree_remove();
	}
}

/* The kernel takes nearly a page of any text. */
#define FIFTY	      "01234567890123456789012345678901234567890123456789"
#define LONG_OVERRIDE FIFTY FIFTY FIFTY FIFTY

enum damage { PUT, DELETE, LINK, MKDIR };

/* What was done to the first NIC, and what becomes of it. */
static const struct bad_device {
	const char *attr;
	enum damage damage;
	const char *text;
	bool kept;
	enum vmbus_sysfs_level level;
	const char *says; /* NULL: nothing may be said */
} bad_devices[] = {
	{"class_id", PUT, "{f8615163-df3e-46c5-913f-f2d2f965ed0e\n", false, VMBUS_SYSFS_DEBUG,
		"class_id is no GUID"},
	{"class_id", PUT, "f8615163-df3e-46c5-913f-f2d2f965ed0e}\n", false, VMBUS_SYSFS_DEBUG,
		"class_id is no GUID"},
	{"class_id", PUT, "{f8615163-df3e-46c5-913f-f2d2f965ed0}\n", false, VMBUS_SYSFS_DEBUG,
		"class_id is no GUID"},
	{"class_id", PUT, "{f8615163-df3e-46c5-913f-f2d2f965ed0e} \n", false, VMBUS_SYSFS_DEBUG,
		"class_id is no GUID"},
	{"class_id", PUT, "{f8615163-df3e-46c5-913f-f2d2f965ed0e}\nx", false, VMBUS_SYSFS_DEBUG,
		"class_id is no GUID"},
	{"class_id", PUT, "{f8615163xdf3e-46c5-913f-f2d2f965ed0e}\n", false, VMBUS_SYSFS_DEBUG,
		"class_id is no GUID"},
	{"class_id", PUT, "", false, VMBUS_SYSFS_DEBUG, "class_id is no GUID"},
	{"class_id", DELETE, NULL, false, VMBUS_SYSFS_DEBUG, NULL},
	{"class_id", PUT, "F8615163-DF3E-46C5-913F-F2D2F965ED0E\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"class_id", PUT, "{12345678-facb-11e6-bd58-64006a7986d3}\n", false, VMBUS_SYSFS_DEBUG,
		NULL},
	{"device_id", PUT, "{00000000-0000-0000-0000-000000000000}\n", false, VMBUS_SYSFS_DEBUG,
		"all zero"},
	{"device_id", PUT, "{" TREE_NEIGHBOUR "}\n", true, VMBUS_SYSFS_WARN,
		"the second is ignored"},
	{"device_id", PUT, "000d3a11\n", false, VMBUS_SYSFS_DEBUG, "device_id is no GUID"},
	{"device_id", DELETE, NULL, false, VMBUS_SYSFS_DEBUG, NULL},
	{"id", PUT, "0\n", false, VMBUS_SYSFS_ERROR, "id '0'"},
	{"id", PUT, "2048\n", false, VMBUS_SYSFS_ERROR, "id '2048'"},
	{"id", PUT, "-1\n", false, VMBUS_SYSFS_ERROR, "id '-1'"},
	{"id", PUT, "014\n", false, VMBUS_SYSFS_ERROR, "id '014'"},
	{"id", PUT, "14 \n", false, VMBUS_SYSFS_ERROR, "id '14 '"},
	{"id", PUT, "14\n\n", false, VMBUS_SYSFS_ERROR, "is not valid"},
	{"id", PUT, "0xe\n", false, VMBUS_SYSFS_ERROR, "id '0xe'"},
	{"id", PUT, "99999999999999999999\n", false, VMBUS_SYSFS_ERROR, "id '9999"},
	{"id", PUT, "", false, VMBUS_SYSFS_ERROR, "id is empty"},
	{"id", PUT, "\n", false, VMBUS_SYSFS_ERROR, "id ''"},
	{"id", DELETE, NULL, false, VMBUS_SYSFS_DEBUG, NULL},
	{"id", MKDIR, NULL, false, VMBUS_SYSFS_ERROR, "cannot read id (Is a directory)"},
	{"id", LINK, "id", false, VMBUS_SYSFS_ERROR, "cannot read id"},
	{"state", PUT, "4\n", false, VMBUS_SYSFS_ERROR, "state '4'"},
	{"state", PUT, "open\n", false, VMBUS_SYSFS_ERROR, "state 'open'"},
	{"monitor_id", PUT, "127\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"monitor_id", PUT, "128\n", true, VMBUS_SYSFS_WARN, "without monitor"},
	{"monitor_id", PUT, "255\n", true, VMBUS_SYSFS_WARN, "without monitor"},
	{"monitor_id", PUT, "256\n", false, VMBUS_SYSFS_ERROR, "monitor_id '256'"},
	{"monitor_id", PUT, "none\n", false, VMBUS_SYSFS_ERROR, "monitor_id 'none'"},
	{"monitor_id", DELETE, NULL, true, VMBUS_SYSFS_DEBUG, NULL},
	{"numa_node", PUT, "-2\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"numa_node", PUT, "4096\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"numa_node", DELETE, NULL, true, VMBUS_SYSFS_DEBUG, NULL},
	{"driver", PUT, "uio_hv_generic\n", false, VMBUS_SYSFS_ERROR, "driver"},
	{"driver", LINK, "/", false, VMBUS_SYSFS_ERROR, "driver ''"},
	{"driver", DELETE, NULL, true, VMBUS_SYSFS_DEBUG, NULL},
	{"driver_override", PUT, "", true, VMBUS_SYSFS_WARN, "driver_override is empty"},
	{"driver_override", PUT, "\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"driver_override", PUT, "(null)\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"driver_override", PUT, LONG_OVERRIDE "\n", true, VMBUS_SYSFS_WARN, "too long"},
	{"uio/uio7/name", PUT, "uio_hv_generic\n", false, VMBUS_SYSFS_ERROR,
		"more than one uio<N>"},
	{"uio/uio007/name", PUT, "x\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"channels", PUT, "not a folder\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"channels/2048/subchannel_id", PUT, "4\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"channels/0/subchannel_id", PUT, "4\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"channels/power/x", PUT, "4\n", true, VMBUS_SYSFS_DEBUG, NULL},
	{"channels/24", MKDIR, NULL, true, VMBUS_SYSFS_DEBUG, NULL},
	{"channels/24/subchannel_id", PUT, "2\n", true, VMBUS_SYSFS_ERROR,
		"both have subchannel_id 2"},
	{"channels/24/subchannel_id", PUT, "0\n", true, VMBUS_SYSFS_ERROR, "subchannel_id '0'"},
	{"channels/24/subchannel_id", PUT, "65536\n", true, VMBUS_SYSFS_ERROR, "channel ignored"},
	{"channels/24/subchannel_id", PUT, "-3\n", true, VMBUS_SYSFS_ERROR, "channel ignored"},
};

static void
test_malformed_devices(void)
{
	struct vmbus_sysfs_device *d;
	const struct bad_device *b;
	char path[512], all[65];
	size_t i, n;
	bool kept;

	for (i = 0; i < sizeof(bad_devices) / sizeof(bad_devices[0]); i++) {
		b = &bad_devices[i];
		begin(TREE_6_1);
		snprintf(path, sizeof(path), TREE_NIC_DIR "/%s", b->attr);
		tree_delete(path);
		if (b->damage == PUT)
			tree_put(path, b->text);
		else if (b->damage == LINK)
			tree_link(path, b->text);
		else if (b->damage == MKDIR)
			tree_mkdir(path);

		CU_ASSERT_EQUAL_FATAL(vmbus_sysfs_scan(&fs, vmbus_nic_class, &d, &n), 0);
		kept = n > 0 && strcmp(d[0].name, TREE_NIC) == 0;
		snprintf(all, sizeof(all), "case %zu: %.40s", i, b->attr);
		if (kept != b->kept || worst != b->level ||
			(b->says == NULL ? messages[0] != '\0'
					 : strstr(messages, b->says) == NULL)) {
			printf("\n%s '%s': kept %d, level %d, said %s", all,
				b->text == NULL ? "" : b->text, kept, worst, messages);
			CU_FAIL("malformed device");
		}
		/* The neighbour is there and whole, unless it is the duplicate. */
		if (b->says == NULL || strstr(b->says, "second") == NULL) {
			CU_ASSERT_EQUAL_FATAL(n, kept ? 2 : 1);
			CU_ASSERT_STRING_EQUAL(d[n - 1].name, TREE_NEIGHBOUR);
			CU_ASSERT_EQUAL(d[n - 1].n_channels, 1);
			CU_ASSERT_EQUAL(d[n - 1].monitor_id, 7);
		}
		if (kept && strcmp(b->attr, "monitor_id") == 0)
			CU_ASSERT_EQUAL(d[0].monitor_id,
				b->text != NULL && b->text[1] == '2' && b->text[2] == '7' ? 127
											  : -1);
		if (kept && strcmp(b->attr, "driver_override") == 0) {
			CU_ASSERT_TRUE(d[0].has_override);
			CU_ASSERT_STRING_EQUAL(d[0].driver_override, "");
			CU_ASSERT_EQUAL(d[0].override_unknown, b->says != NULL);
		}
		if (kept && strcmp(b->attr, "numa_node") == 0)
			CU_ASSERT_EQUAL(d[0].numa_node, -1);
		if (kept && strncmp(b->attr, "channels/", 9) == 0)
			CU_ASSERT_EQUAL(d[0].n_channels, 4);
		vmbus_sysfs_free(d, n);
		tree_remove();
	}
}

static void
test_text_limits(void)
{
	char page[5000], text[4200];
	struct vmbus_sysfs_device *d;
	size_t n;

	begin(TREE_6_1);
	memset(page, '1', sizeof(page));
	tree_put_bytes("sys/x", page, 4095);
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "x", text, sizeof(text)), 4095);
	tree_put_bytes("sys/x", page, 4096);
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "x", text, sizeof(text)), -EINVAL);
	tree_put_bytes("sys/x", "1\0002\n", 4);
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "x", text, sizeof(text)), -EINVAL);
	tree_put("sys/x", "12345678\n");
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "x", text, 8), -EINVAL);
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "x", text, 9), 8);
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "none", text, 9), -ENODEV);
	CU_ASSERT_EQUAL(vmbus_sysfs_read(&fs, "x/y", text, 9), -ENODEV);

	/* Names that no kernel makes, and those of kernels without UIO. */
	tree_mkdir("sys/bus/vmbus/devices/vmbus_0_14");
	tree_mkdir("sys/bus/vmbus/devices/a b");
	tree_mkdir("sys/bus/vmbus/devices/\033[2J");
	tree_link("sys/bus/vmbus/devices/dangling", "../nowhere");
	CU_ASSERT_EQUAL(vmbus_sysfs_scan(&fs, NULL, &d, &n), 0);
	CU_ASSERT_EQUAL(n, 2);
	vmbus_sysfs_free(d, n);
	CU_ASSERT_EQUAL(worst, VMBUS_SYSFS_DEBUG);
	tree_delete("sys/bus/vmbus");
	CU_ASSERT_EQUAL(vmbus_sysfs_scan(&fs, NULL, &d, &n), -ENOENT);
	tree_remove();

	memset(page, 'x', 300);
	page[300] = '\0';
	setenv("HYPERPOLL_DEV_ROOT", page, 1);
	CU_ASSERT_EQUAL(vmbus_sysfs_init(&fs, collect, messages), -ENAMETOOLONG);
	unsetenv("HYPERPOLL_DEV_ROOT");
	setenv("HYPERPOLL_SYSFS_ROOT", "/sys/", 1);
	unsetenv("HYPERPOLL_PROC_ROOT");
	CU_ASSERT_EQUAL(vmbus_sysfs_init(&fs, collect, messages), 0);
	CU_ASSERT_STRING_EQUAL(fs.sys, "/sys");
	CU_ASSERT_STRING_EQUAL(fs.dev, "/dev");
	CU_ASSERT_STRING_EQUAL(fs.proc, "/proc");
}

static const struct bad_uio {
	const char *attr;
	const char *text; /* NULL: removed */
	int rc;
	const char *says;
} bad_uios[] = {
	{"name", "uio_pci_generic\n", -ENOENT, NULL},
	{"name", "", -ENOENT, NULL},
	{"name", NULL, -ENODEV, NULL},
	{"dev", NULL, -ENODEV, NULL},
	{"dev", "245\n", -EINVAL, "uio device number"},
	{"dev", "245:\n", -EINVAL, "uio device number"},
	{"dev", "245:0x0\n", -EINVAL, "uio device number"},
	{"maps/map0/name", "txrx_ring\n", -EINVAL, "name of map 0 'txrx_ring'"},
	{"maps/map1/name", "monitor_page\n", -EINVAL, "name of map 1"},
	{"maps/map2/name", "monitor_pages\n", -EINVAL, "name of map 2 'monitor_pages'"},
	{"maps/map3/name", "send:925214\n", -EINVAL, "name of map 3 'send:925214'"},
	{"maps/map3/name", "recv:\n", -EINVAL, "name of map 3"},
	{"maps/map3/name", "recv:0\n", -EINVAL, "name of map 3"},
	{"maps/map3/name", "recv:4294967296\n", -EINVAL, "name of map 3"},
	{"maps/map3/name", "recv:1x\n", -EINVAL, "name of map 3"},
	{"maps/map3/name", "recv: 1\n", -EINVAL, "name of map 3"},
	{"maps/map3/name", "recv:0000000001\n", -EINVAL, "name of map 3"},
	{"maps/map3/name", "recv:4294967295\n", 0, NULL},
	{"maps/map4/name", "recv:925214\n", -EINVAL, "name of map 4"},
	{"maps/map4/name", "send:925213\n", -EINVAL, "the same handle as map 3"},
	{"maps/map4/name", NULL, -EINVAL, "no readable map 4"},
	{"maps/map0/size", "0x0000000000401000\n", -EINVAL, "impossible size of 0x401000"},
	{"maps/map0/size", "0x0000000000000000\n", -EINVAL, "impossible size of 0x0"},
	{"maps/map0/size", "0x0000000000002000\n", -EINVAL, "impossible size of 0x2000"},
	{"maps/map0/size", "0x0000000000004000\n", 0, NULL},
	{"maps/map0/size", "0x0000000008000000\n", 0, NULL},
	{"maps/map0/size", "0x0000000008002000\n", -EINVAL, "impossible size"},
	{"maps/map0/size", "0xffffffffffffe000\n", -EINVAL, "impossible size"},
	{"maps/map0/size", "4194304\n", -EINVAL, "maps/map0/size '4194304'"},
	{"maps/map0/size", "0x\n", -EINVAL, "maps/map0/size '0x'"},
	{"maps/map0/size", NULL, -EINVAL, "maps/map0/size"},
	{"maps/map0/addr", "(null)\n", -EINVAL, "maps/map0/addr"},
	{"maps/map1/size", "0x0000000000000fff\n", -EINVAL, "impossible size of 0xfff"},
	{"maps/map2/size", "0x0000000000000000\n", -EINVAL, "map monitor_page"},
	{"maps/map3/size", "0x0000000001f00800\n", -EINVAL, "map recv:925213"},
	{"maps/map3/size", "0x0000000000000000\n", -EINVAL, "map recv:925213"},
	{"maps/map4/size", "0x0000000004001000\n", -EINVAL, "map send:925214"},
	{"maps/map4/offset", "0x10\n", -EINVAL, "maps/map4/offset"},
	{"maps/map4/offset", NULL, 0, NULL},
};

static void
test_malformed_uio(void)
{
	const struct bad_uio *b;
	struct vmbus_sysfs_uio uio;
	char path[512];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(bad_uios) / sizeof(bad_uios[0]); i++) {
		b = &bad_uios[i];
		begin(TREE_6_1);
		snprintf(path, sizeof(path), TREE_NIC_DIR "/uio/uio0/%s", b->attr);
		if (b->text == NULL)
			tree_delete(path);
		else
			tree_put(path, b->text);
		rc = vmbus_sysfs_uio_read(&fs, TREE_NIC, 4096, &uio);
		if (rc != b->rc || (b->says == NULL ? messages[0] != '\0'
						    : strstr(messages, b->says) == NULL)) {
			printf("\ncase %zu: %s '%s': rc %d, said %s", i, b->attr,
				b->text == NULL ? "" : b->text, rc, messages);
			CU_FAIL("malformed uio");
		}
		CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, TREE_NEIGHBOUR, 4096, &uio), 0);
		tree_remove();
	}
	begin(TREE_6_1);
	tree_mkdir(TREE_NIC_DIR "/uio/uio1");
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, TREE_NIC, 4096, &uio), -EINVAL);
	tree_delete(TREE_NIC_DIR "/uio");
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, TREE_NIC, 4096, &uio), -ENOENT);
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, "gone", 4096, &uio), -ENOENT);
	tree_remove();
}

/* uio numbers are reused: a node with another number is not the device that sysfs describes. */
static void
test_open_checks_device_number(void)
{
	struct vmbus_sysfs_uio uio;
	char path[512];
	int fd;

	begin(TREE_6_1);
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_read(&fs, TREE_NIC, 4096, &uio), 0);
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_open(&fs, TREE_NIC, &uio), -ENOENT);
	tree_put("dev/uio0", "a file\n");
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_open(&fs, TREE_NIC, &uio), -ENODEV);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, "not the device with number 245:0"));
	/* Files that are no devices have number 0:0. */
	tree_put(TREE_NIC_DIR "/uio/uio0/dev", "0:0\n");
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_open(&fs, TREE_NIC, &uio), -ENODEV);
	tree_put(TREE_NIC_DIR "/uio/uio0/dev", "245:0\n");
	tree_delete("dev/uio0");
	/* /dev/null stands in for the device. */
	tree_link("dev/uio0", "/dev/null");
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_open(&fs, TREE_NIC, &uio), -ENODEV);
	snprintf(path, sizeof(path), TREE_NIC_DIR "/uio/uio0/dev");
	tree_put(path, "1:3\n");
	fd = vmbus_sysfs_uio_open(&fs, TREE_NIC, &uio);
	CU_ASSERT_TRUE(fd >= 0);
	if (fd >= 0) {
		CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
	}
	tree_delete(TREE_NIC_DIR "/uio/uio0/dev");
	CU_ASSERT_EQUAL(vmbus_sysfs_uio_open(&fs, TREE_NIC, &uio), -ENODEV);
	tree_remove();
}

static void
pause_ms(long ms)
{
	struct timespec ts = {.tv_nsec = ms * 1000000L};

	nanosleep(&ts, NULL);
}

/* The kernel fills a channel's folder file by file, and the ring file comes last. */
static void *
grow_channel(void *arg)
{
	(void)arg;
	pause_ms(30);
	tree_mkdir(TREE_NIC_DIR "/channels/25");
	pause_ms(15);
	tree_put(TREE_NIC_DIR "/channels/25/subchannel_id", "");
	pause_ms(15);
	tree_put(TREE_NIC_DIR "/channels/25/subchannel_id", "4\n");
	pause_ms(15);
	tree_size(TREE_NIC_DIR "/channels/25/ring", 0);
	pause_ms(15);
	tree_size(TREE_NIC_DIR "/channels/25/ring", 4194304);
	return NULL;
}

static void *
shrink_channels(void *arg)
{
	unsigned int relid;
	char path[256];

	(void)arg;
	for (relid = 21; relid <= 23; relid++) {
		pause_ms(20);
		snprintf(path, sizeof(path), TREE_NIC_DIR "/channels/%u", relid);
		tree_delete(path);
	}
	return NULL;
}

static void *
remove_device(void *arg)
{
	(void)arg;
	pause_ms(30);
	tree_delete(TREE_NIC_DIR "/channels");
	tree_delete(TREE_NIC_DIR "/state");
	return NULL;
}

static bool
yes(void)
{
	return true;
}

static void
test_late_ring(void)
{
	struct vmbus_sysfs_channel channel;
	char path[VMBUS_SYSFS_PATH_MAX];
	pthread_t thread;

	begin(TREE_6_1);
	CU_ASSERT_EQUAL(vmbus_sysfs_ring_wait(&fs, TREE_NIC, 14, 3, 2, 1000, &channel, path), 0);
	CU_ASSERT_EQUAL(channel.relid, 22);
	CU_ASSERT_STRING_EQUAL(path + strlen(tree_root), "/" TREE_NIC_DIR "/channels/22/ring");
	CU_ASSERT_EQUAL(
		vmbus_sysfs_ring_wait(&fs, TREE_NIC, 14, 3, 4, 25, &channel, path), -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, "no ring file for subchannel 4 after 25 ms"));
	/* Who waits has given up: neither a message nor the time. */
	messages[0] = '\0';
	fs.given_up = yes;
	CU_ASSERT_EQUAL(
		vmbus_sysfs_ring_wait(&fs, TREE_NIC, 14, 3, 4, 600000, &channel, path), -ECANCELED);
	CU_ASSERT_EQUAL(vmbus_sysfs_primary_wait(&fs, TREE_NIC, 14, 600000), -ECANCELED);
	CU_ASSERT_STRING_EQUAL(messages, "");
	fs.given_up = NULL;
	/* Not waited for: the host granted three, and what is not granted is never mapped. */
	messages[0] = '\0';
	CU_ASSERT_EQUAL(
		vmbus_sysfs_ring_wait(&fs, TREE_NIC, 14, 2, 3, 0, &channel, path), -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, "not one the host granted"));

	messages[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, grow_channel, NULL), 0);
	CU_ASSERT_EQUAL(vmbus_sysfs_ring_wait(&fs, TREE_NIC, 14, 4, 4, 5000, &channel, path), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(channel.relid, 25);
	CU_ASSERT_EQUAL(channel.ring_size, 4194304);
	CU_ASSERT_EQUAL(channel.monitor_id, -1);
	CU_ASSERT_STRING_EQUAL(messages, "");

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, remove_device, NULL), 0);
	CU_ASSERT_EQUAL(
		vmbus_sysfs_ring_wait(&fs, TREE_NIC, 14, 9, 9, 5000, &channel, path), -ENODEV);
	pthread_join(thread, NULL);
	tree_remove();
}

static void
test_old_subchannels_go(void)
{
	pthread_t thread;

	begin(TREE_6_1);
	CU_ASSERT_EQUAL(vmbus_sysfs_primary_wait(&fs, TREE_NEIGHBOUR, 40, 0), 0);
	CU_ASSERT_EQUAL(vmbus_sysfs_primary_wait(&fs, TREE_NIC, 14, 20), -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages, "3 subchannels of a previous owner"));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, shrink_channels, NULL), 0);
	CU_ASSERT_EQUAL(vmbus_sysfs_primary_wait(&fs, TREE_NIC, 14, 5000), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(vmbus_sysfs_primary_wait(&fs, "gone", 14, 20), -ENODEV);
	tree_remove();
}

static void
test_hv_netvsc_device(void)
{
	struct vmbus_sysfs_device d;

	begin(TREE_6_1);
	tree_delete(TREE_NIC_DIR "/uio");
	tree_put(TREE_NIC_DIR "/net/eth0/ifindex", "2\n");
	tree_link(TREE_NIC_DIR "/driver", "../../../../bus/vmbus/drivers/hv_netvsc");
	tree_put(TREE_NIC_DIR "/driver_override", "(null)\n");
	CU_ASSERT_EQUAL(vmbus_sysfs_device_read(&fs, TREE_NIC, vmbus_nic_class, &d), 0);
	CU_ASSERT_STRING_EQUAL(d.driver, "hv_netvsc");
	CU_ASSERT_TRUE(d.has_override);
	CU_ASSERT_STRING_EQUAL(d.driver_override, "");
	CU_ASSERT_EQUAL(d.uio, -1);
	CU_ASSERT_EQUAL(d.n_netdevs, 1);
	CU_ASSERT_STRING_EQUAL(d.netdevs[0], "eth0");
	vmbus_sysfs_device_clear(&d);
	tree_put(TREE_NIC_DIR "/state", "2\n");
	CU_ASSERT_EQUAL(vmbus_sysfs_state(&fs, TREE_NIC), VMBUS_STATE_READY);
	CU_ASSERT_EQUAL(vmbus_sysfs_device_read(&fs, "gone", NULL, &d), -ENODEV);
	CU_ASSERT_EQUAL(vmbus_sysfs_device_read(&fs, "../devices/" TREE_NIC, NULL, &d), -EINVAL);
	tree_remove();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"the example of the spec", test_spec_example},
		{"kernels 4.10 to 7.2", test_kernel_generations},
		{"a malformed device costs only itself", test_malformed_devices},
		{"attribute text and roots", test_text_limits},
		{"malformed uio maps are refused with a reason", test_malformed_uio},
		{"a reused uio number is noticed", test_open_checks_device_number},
		{"a ring file that comes late", test_late_ring},
		{"subchannels of the previous owner", test_old_subchannels_go},
		{"a device of hv_netvsc", test_hv_netvsc_device},
	};

	return UNIT_RUN("sysfs", tests);
}
