/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seeds DIR: what the targets begin with, DIR/TARGET/NAME. Messages come from the builders of both
 * ends, texts are what kernels and users write; the targets that are programs of valid steps need
 * little more than to be told of them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/netvsp/ndis.h"
#include "lib/netvsp/nvsp.h"
#include "lib/netvsp/rndis.h"

static const char *dir;
static unsigned int n_seeds;

static void
put2(const char *target, const void *front, size_t front_len, const void *bytes, size_t len)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, target);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		goto failed;
	snprintf(path, sizeof(path), "%s/%s/seed-%03u", dir, target, n_seeds++);
	file = fopen(path, "w");
	if (file == NULL || fwrite(front, 1, front_len, file) != front_len ||
		fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
		goto failed;
	return;
failed:
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(EXIT_FAILURE);
}

static void
put(const char *target, const void *bytes, size_t len)
{
	put2(target, "", 0, bytes, len);
}

/* ---- NVSP: version and channels in front ---- */

static void
nvsp_put(const void *bytes, size_t len)
{
	static const uint8_t front[2] = {0, 3};

	put2("nvsp", front, sizeof(front), bytes, len);
}

static void
nvsp_seeds(void)
{
	uint32_t table[NVSP_SEND_TABLE_ENTRIES] = {0, 1, 2, 3};
	static const uint32_t at[] = {
		NVSP_SEND_TABLE_AT_OLD, NVSP_SEND_TABLE_AT_NEW, NVSP_SEND_TABLE_AT_VMM};
	uint8_t bytes[256] = {0};
	struct nvsp_message m;
	unsigned int i;
	int n;

	nvsp_build_init(&m, NVSP_VERSION_61);
	nvsp_put(&m, sizeof(m));
	nvsp_build_init_complete(&m, NVSP_VERSION_61, NVSP_STATUS_SUCCESS);
	nvsp_put(&m, sizeof(m));
	nvsp_build_recv_buf_complete(&m, NVSP_STATUS_SUCCESS, 1728, 600);
	nvsp_put(&m, sizeof(m));
	nvsp_build_send_buf_complete(&m, NVSP_STATUS_SUCCESS, 6144);
	nvsp_put(&m, sizeof(m));
	nvsp_build_rndis(&m, NVSP_CHANNEL_DATA, 3, 1500);
	nvsp_put(&m, sizeof(m));
	nvsp_build_rndis_complete(&m, NVSP_STATUS_SUCCESS);
	nvsp_put(&m, 8);
	nvsp_build_vf_association(&m, true, 2);
	nvsp_put(&m, sizeof(m));
	nvsp_build_subchannel_complete(&m, NVSP_STATUS_SUCCESS, 3);
	nvsp_put(&m, sizeof(m));
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		n = nvsp_build_send_table(bytes, sizeof(bytes), at[i], at[i], table);
		nvsp_put(bytes, (size_t)n);
	}
	{
		const struct vmbus_xfer_header x = {NVSP_RECV_BUF_ID, 0x5eed, 2};
		const struct vmbus_xfer_range r[2] = {{192, 0}, {192, 2048}};

		memcpy(bytes, &x, sizeof(x));
		memcpy(bytes + sizeof(x), r, sizeof(r));
		nvsp_put(bytes, sizeof(x) + sizeof(r));
	}
	{
		const struct vmbus_gpa_header g = {.range_count = 2};
		const uint32_t words[] = {100, 16, 1000, 0, 5000, 0, 1001, 0, 1002, 0};

		memcpy(bytes, &g, sizeof(g));
		memcpy(bytes + sizeof(g), words, sizeof(words));
		nvsp_put(bytes, sizeof(g) + sizeof(words));
	}
}

/* ---- RNDIS: a length in front ---- */

static void
rndis_put(const void *bytes, size_t len)
{
	uint16_t front = (uint16_t)len;

	put2("rndis", &front, sizeof(front), bytes, len);
}

static void
rndis_packets(void)
{
	static const uint32_t kinds[] = {RNDIS_PPI_CHECKSUM, RNDIS_PPI_HASH_VALUE,
		RNDIS_PPI_HASH_INFO, RNDIS_PPI_VLAN, RNDIS_PPI_LSO, RNDIS_PPI_PACKET_ID};
	uint8_t msg[512];
	struct rndis_packet_builder b;
	unsigned int n, i;
	uint32_t len;

	for (n = 0; n <= 6; n++) {
		memset(msg, 0, sizeof(msg));
		rndis_packet_begin(&b, msg);
		for (i = 0; i < n; i++)
			rndis_packet_add(&b, kinds[i],
				kinds[i] == RNDIS_PPI_LSO ? rndis_lso(500, 54, false)
				: kinds[i] == RNDIS_PPI_PACKET_ID
					? rndis_packet_id(RNDIS_RSC_MULTI, 1)
					: 1);
		len = rndis_packet_end(&b, 64);
		rndis_put(msg, len + 64);
		rndis_packet_end_at(&b, 256, 64, 320);
		rndis_put(msg, 320);
	}
}

static void
rndis_control(void)
{
	const uint32_t word = 13;
	uint8_t m[256];

	rndis_put(m, (size_t)rndis_build_initialize(m, sizeof(m), 1, 0x4000));
	rndis_put(m, (size_t)rndis_build_short(m, sizeof(m), RNDIS_TYPE_HALT, 2));
	rndis_put(m, (size_t)rndis_build_short(m, sizeof(m), RNDIS_TYPE_KEEPALIVE, 3));
	rndis_put(m, (size_t)rndis_build_query(m, sizeof(m), 4, OID_GEN_LINK_SPEED, NULL, 0));
	rndis_put(m, (size_t)rndis_build_set(
			     m, sizeof(m), 5, OID_GEN_CURRENT_PACKET_FILTER, &word, sizeof(word)));
	rndis_put(m, (size_t)rndis_build_initialize_complete(m, sizeof(m), 1, 0, 8, 0x4000, 3));
	rndis_put(m, (size_t)rndis_build_query_complete(m, sizeof(m), 4, 0, &word, sizeof(word)));
	rndis_put(m, (size_t)rndis_build_set_complete(m, sizeof(m), 5, 0));
	rndis_put(m, (size_t)rndis_build_keepalive_complete(m, sizeof(m), 3, 0));
	rndis_put(m, (size_t)rndis_build_reset_complete(m, sizeof(m), 0, true));
	rndis_put(m, (size_t)rndis_build_indicate(
			     m, sizeof(m), RNDIS_STATUS_LINK_SPEED_CHANGE, &word, sizeof(word)));
}

/* ---- NDIS: queues in front ---- */

static void
ndis_seeds(void)
{
	static const uint32_t versions[] = {NDIS_VERSION_6_1, NDIS_VERSION_6_20, NDIS_VERSION_6_30};
	const struct ndis_offloads offloads = {
		.can = NDIS_CAN_ALL, .tso4_max = 65535, .tso6_max = 65535};
	const uint8_t mac[6] = {2, 1, 2, 3, 4, 5}, queues = 3;
	uint16_t table[NDIS_RSS_TABLE_ENTRIES] = {0, 1, 2, 3};
	uint8_t info[NDIS_RSS_PARAMS_MAX];
	unsigned int i;

#define PUT(call) put2("ndis", &queues, 1, info, (size_t)(call))
	for (i = 0; i < 3; i++) {
		PUT(ndis_build_offload_params(info, sizeof(info), versions[i], NDIS_CAN_ALL));
		PUT(ndis_build_rss_caps(info, sizeof(info), versions[i], 0x701, 8));
	}
	PUT(ndis_build_offload_caps(info, sizeof(info), &offloads));
	PUT(ndis_build_rss_params(info, sizeof(info), NDIS_HASH_TOEPLITZ | 0x700, table,
		NDIS_RSS_TABLE_ENTRIES, toeplitz_default_key));
	PUT(ndis_build_rss_disable(info, sizeof(info), toeplitz_default_key));
	PUT(ndis_build_link_state(info, sizeof(info), true, 40000000000));
	PUT(ndis_build_config_mac(info, sizeof(info), mac));
#undef PUT
}

/* ---- texts ---- */

/* Names of a kernel's event, separated by NULs. */
static void
sysfs_seeds(void)
{
	static const char device[] =
		"\0add@/devices/LNXSYSTM:00/MSFT1000:00/000d3a11-2233-000d-3a11-2233000d3a11\0"
		"ACTION=add\0"
		"DEVPATH=/devices/LNXSYSTM:00/MSFT1000:00/000d3a11-2233-000d-3a11-2233000d3a11\0"
		"SUBSYSTEM=vmbus\0MODALIAS=vmbus:635161f83edfc546913ff2d2f965ed0e\0SEQNUM=2201";
	static const char uio[] =
		"\0add@/devices/LNXSYSTM:00/MSFT1000:00/000d3a11-2233-000d-3a11-2233000d3a11/uio/uio0\0"
		"ACTION=add\0"
		"DEVPATH=/devices/LNXSYSTM:00/MSFT1000:00/000d3a11-2233-000d-3a11-2233000d3a11/uio/uio0"
		"\0SUBSYSTEM=uio\0MAJOR=245\0MINOR=0\0DEVNAME=uio0\0SEQNUM=2202\0SYNTH_UUID=0";
	static const char channel[] =
		"\0remove@/devices/LNXSYSTM:00/MSFT1000:00/000d3a11-2233-000d-3a11-2233000d3a11/"
		"channels/21\0ACTION=remove\0"
		"DEVPATH=/devices/LNXSYSTM:00/MSFT1000:00/000d3a11-2233-000d-3a11-2233000d3a11/"
		"channels/21\0SUBSYSTEM=channels\0SEQNUM=2203";
	static const char *const texts[] = {"14", "-1", "0x0000000001f00000",
		"{f8615163-df3e-46c5-913f-f2d2f965ed0e}", "vmbus:635161f83edfc546913ff2d2f965ed0e",
		"recv:925213", "uio0", "2-1", "0001:00:02"};
	size_t i;

	put("sysfs_parse", device, sizeof(device));
	put("sysfs_parse", uio, sizeof(uio));
	put("sysfs_parse", channel, sizeof(channel));
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put2("sysfs_parse", "", 1, texts[i], strlen(texts[i]));
}

static void
texts(const char *target, uint8_t kind, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put2(target, &kind, 1, list[i], strlen(list[i]));
}

#define TEXTS(target, kind, list) texts(target, kind, list, sizeof(list) / sizeof((list)[0]))

static void
spec_seeds(void)
{
	static const char *const nics[] = {
		"guid=000d3a11-2233-000d-3a11-2233000d3a11,mac=00:15:5d:01:02:03,channels=4,port=sink",
		"ring=64K,recv=1M,send=256K,section=2048,send_section=6144,mtu=9000,outstanding=7",
		"profile=openhcl,nvsp=6.1,lenient=on,spoof=off,vf-port=sink,port=echo",
		"profile=ws2016,port=gen:size=60-1514,rate=1M"};
	static const char *const ports[] = {"sink", "echo:count=3", "gen:size=60,flows=8,rate=1000",
		"gen:size=64-1500,udp=on,vlan=5,verify=on,count=1K",
		"pcap:in=a.pcap,out=b.pcap,loop=2", "tap:hp0", "switch:lan,vlan=5",
		"sink:verify=100"};
	static const char *const numbers[] = {"1", "0x10", "64K", "1G", "18446744073709551615"};
	static const char *const knobs[] = {"stall=1\nno_complete=on\nbatch=4",
		"vf_removal=ask\ntable_layout=c",
		"link_mbps=40000\nrefuse_pct=50\nmalformed_rx_pct=10"};

	TEXTS("specs", 0, nics);
	TEXTS("specs", 1, ports);
	TEXTS("specs", 2, numbers);
	TEXTS("specs", 3, knobs);
}

/* A byte for the guest, then one per piece of 80 bytes that says which client sends it. */
static void
control_seeds(void)
{
	static const char *const lines[] = {"{\"cmd\":\"stats\"}\n",
		"{\"cmd\":\"stats\",\"nic\":0}\n", "{\"cmd\":\"link\",\"nic\":0,\"up\":false}\n",
		"{\"cmd\":\"rings\",\"nic\":0}\n",
		"{\"cmd\":\"vf\",\"nic\":0,\"present\":true,\"serial\":3}\n",
		"{\"cmd\":\"vf\",\"nic\":0,\"path\":\"synthetic\"}\n",
		"{\"cmd\":\"set\",\"nic\":0,\"name\":\"stall\",\"value\":1}\n",
		"{\"cmd\":\"knobs\"}\n", "{\"cmd\":\"rescind\",\"nic\":0}\n",
		"{\"cmd\":\"offer\",\"nic\":1}\n", "{}\n", "[]\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put2("control", "\1\0", 2, lines[i], strlen(lines[i]));
}

static void
pcap_seeds(void)
{
	const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	const uint32_t other[] = {0xa1b23c4d, 0x00040002, 0, 0, 65535, 113};
	const uint32_t ng[] = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28, 1, 20, 1,
		65535, 20, 6, 96, 0, 0, 0, 60, 60};
	const uint32_t frame[] = {1, 0, 60, 60};
	uint8_t bytes[256] = {0};

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + 24, frame, sizeof(frame));
	memcpy(bytes + 24 + 76, frame, sizeof(frame));
	put("pcap", bytes, 24 + 2 * 76);
	put("pcap", bytes, 24 + 76 + 40);
	put2("pcap", other, sizeof(other), bytes + 24, 76);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, ng, sizeof(ng));
	memcpy(bytes + 28 + 20 + 92, &(uint32_t){96}, 4);
	put("pcap", bytes, 28 + 20 + 96);
}

/* Each of the first steps of a program, with what comes behind them valid; all of them in turn. */
static void
step_seeds(void)
{
	static const char *const targets[] = {"driver_control", "driver_data", "driver_data_flip",
		"host_nic", "host_nic_flip", "memmap", "ring", "sysfs", "vfu_client", "vfu_device",
		"vfu_server", "vm"};
	uint8_t bytes[600];
	unsigned int i, step, k;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		for (step = 0; step < 16; step++) {
			memset(bytes, 0, sizeof(bytes));
			for (k = 4; k < 64; k += 4)
				bytes[k] = (uint8_t)step;
			put(targets[i], bytes, 64);
		}
		for (step = 1; step < 6; step++) {
			for (k = 0; k < sizeof(bytes); k++)
				bytes[k] = (uint8_t)(k % step != 0 ? 0 : k / step * 7 + step);
			put(targets[i], bytes, sizeof(bytes));
		}
	}
}

/* What once stopped a target. */
static void
stopped_seeds(void)
{
	/* A port's frame of 1,599 bytes for sections of 1,592. */
	static const uint8_t longer_than_a_section[] = {
		0, 0, 0, 0, 6, 0, 0, 0, 1, 1599 & 0xff, 1599 >> 8, 15};
	/* A subchannel of the session before opened in the next one. */
	static const uint8_t granted_before[] = {0x00, 0x00, 0x00, 0x12, 0x12, 0x93, 0xaf, 0x00,
		0x00, 0x12, 0x12, 0x12, 0x4a, 0x00, 0x00, 0x00, 0x00, 0x0d, 0x8b, 0x8b, 0x8b};
	/* A polite end of a session in whose ring there is no room for an answer. */
	static const uint8_t no_room_for_an_answer[] = {0x3c, 0x00, 0x00, 0x00, 0x43, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x72, 0x6e, 0x65, 0x6c, 0x50, 0x61, 0x67, 0x65, 0x53, 0x69, 0x7a,
		0x65, 0x3a, 0x00, 0x51, 0x00, 0x00, 0x5f, 0x00, 0x00, 0x00, 0x66, 0x00, 0x00, 0x00,
		0x7b, 0x00, 0x00, 0x00, 0x82, 0x00, 0x00, 0x01, 0x77, 0xf7, 0x00, 0x29, 0x29, 0x29,
		0x29, 0x29, 0x00, 0x2d, 0x00, 0x00, 0xff, 0x2d, 0x00, 0x00, 0x00, 0x00, 0x66, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x77, 0xf7, 0x20, 0x00, 0x00, 0x00, 0x27, 0x00,
		0x00, 0x00, 0x2e, 0x00, 0x00, 0x04, 0xff, 0xff, 0x00, 0x00, 0x00, 0x0e, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x17, 0x00, 0xff, 0x29, 0x29, 0x29, 0x2d,
		0x00};

	put("host_nic", longer_than_a_section, sizeof(longer_than_a_section));
	put("host_nic", granted_before, sizeof(granted_before));
	put("driver_control", no_room_for_an_answer, sizeof(no_room_for_an_answer));
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return EXIT_FAILURE;
	dir = argv[1];
	nvsp_seeds();
	rndis_packets();
	rndis_control();
	ndis_seeds();
	sysfs_seeds();
	spec_seeds();
	control_seeds();
	pcap_seeds();
	step_seeds();
	stopped_seeds();
	return EXIT_SUCCESS;
}
