/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the user says about one NIC: the key=value list of --nic. Strict: an unknown key, a doubled
 * key or a bad value fails with one sentence that names it. Called before any NIC exists, on the
 * thread that parses the command line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/nic_internal.h"
#include "lib/vmbus/guid.h"

const char *const host_nic_config_help =
	"  guid=GUID        instance (default: derived from the number of the NIC)\n"
	"  mac=XX:XX:..     permanent address (default: 00:15:5d:48:NN:NN)\n"
	"  channels=N       most channels including the primary, 1..64 (8)\n"
	"  ring=BYTES       one ring with its control page (2M)\n"
	"  recv=BYTES       receive buffer of a vfio-user guest (16M)\n"
	"  send=BYTES       send buffer of a vfio-user guest (16M)\n"
	"  section=BYTES    smallest receive section (1728)\n"
	"  send_section=BYTES  send section (6144)\n"
	"  mtu=N            largest IP MTU a guest may ask for, 1500..65521 (9216)\n"
	"  nvsp=V           newest protocol version: 1, 2, 4, 5, 6 or 6.1 (6.1)\n"
	"  port=SPEC        where frames come from and go to; last, takes the rest (sink)\n"
	"  BYTES takes K and M; ring, recv and send are multiples of 4096\n";

struct config_key {
	const char *name;
	size_t offset; /* of an u32 in struct host_nic_config */
	uint32_t min, max, multiple;
};

#define KEY(key, field, min, max, multiple)                                                        \
	{                                                                                          \
		key, offsetof(struct host_nic_config, field), min, max, multiple                   \
	}

static const struct config_key config_keys[] = {
	KEY("channels", channels, 1, HOST_MAX_CHANNELS, 1),
	KEY("ring", ring_bytes, 2 * VMBUS_PAGE_SIZE, 16u << 20, VMBUS_PAGE_SIZE),
	KEY("recv", recv_bytes, 16 * VMBUS_PAGE_SIZE, NIC_BUFFER_MAX, VMBUS_PAGE_SIZE),
	KEY("send", send_bytes, 4 * VMBUS_PAGE_SIZE, NIC_BUFFER_MAX, VMBUS_PAGE_SIZE),
	KEY("section", section_bytes, NIC_SECTION_MIN, 65536 + 512, 8),
	KEY("send_section", send_section_bytes, 68, 65536, 4),
	KEY("mtu", mtu, 1500, NIC_MTU_MAX, 1),
};

#define CONFIG_KEYS (sizeof(config_keys) / sizeof(config_keys[0]))

/* Bits of "seen" for the keys that are not plain numbers. */
enum { SEEN_GUID = CONFIG_KEYS, SEEN_MAC, SEEN_NVSP };

static int
config_error(char *errbuf, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(errbuf, errlen, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Decimal number with an optional K or M; -1 when it is anything else. */
static int64_t
config_bytes(const char *text)
{
	uint64_t value = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT32_MAX)
			return -1;
	}
	if (p == text)
		return -1;
	if (*p == 'K' || *p == 'k')
		value <<= 10, p++;
	else if (*p == 'M' || *p == 'm')
		value <<= 20, p++;
	return *p == '\0' && value <= UINT32_MAX ? (int64_t)value : -1;
}

static int
config_mac(const char *text, uint8_t mac[6])
{
	unsigned int i;

	for (i = 0; i < 6; i++, text += 3) {
		int hi = vmbus_guid_nibble(text[0]);
		int lo = hi < 0 ? -1 : vmbus_guid_nibble(text[1]);

		if (lo < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(hi << 4 | lo);
	}
	if (mac[0] & 1 || (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0)
		return -EINVAL;
	return 0;
}

static int
config_nvsp(const char *text, uint32_t *version)
{
	static const struct {
		const char *name;
		uint32_t version;
	} names[] = {
		{"1", NVSP_VERSION_1},
		{"2", NVSP_VERSION_2},
		{"4", NVSP_VERSION_4},
		{"5", NVSP_VERSION_5},
		{"6", NVSP_VERSION_6},
		{"6.1", NVSP_VERSION_61},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i].name) == 0) {
			*version = names[i].version;
			return 0;
		}
	return -EINVAL;
}

static int
config_pair(char *pair, uint32_t *seen, struct host_nic_config *config, char *errbuf, size_t errlen)
{
	char *value = strchr(pair, '=');
	int64_t number;
	size_t i;
	int rc = 0;

	if (value == NULL)
		return config_error(errbuf, errlen, "--nic: '%s' is not key=value", pair);
	*value++ = '\0';
	if (strcmp(pair, "guid") == 0) {
		i = SEEN_GUID;
		rc = vmbus_guid_parse(value, config->instance);
	} else if (strcmp(pair, "mac") == 0) {
		i = SEEN_MAC;
		rc = config_mac(value, config->mac);
	} else if (strcmp(pair, "nvsp") == 0) {
		i = SEEN_NVSP;
		rc = config_nvsp(value, &config->nvsp_max);
	} else {
		for (i = 0; i < CONFIG_KEYS; i++)
			if (strcmp(pair, config_keys[i].name) == 0)
				break;
		if (i == CONFIG_KEYS)
			return config_error(errbuf, errlen,
				"--nic: unknown key '%s' (guid, mac, channels, ring, recv, send, section, "
				"send_section, mtu, nvsp, port)",
				pair);
		number = config_bytes(value);
		if (number < config_keys[i].min || number > config_keys[i].max ||
			number % config_keys[i].multiple != 0)
			return config_error(errbuf, errlen,
				"--nic: %s=%s: give %u to %u, a multiple of %u", pair, value,
				config_keys[i].min, config_keys[i].max, config_keys[i].multiple);
		memcpy((uint8_t *)config + config_keys[i].offset, &(uint32_t){(uint32_t)number},
			sizeof(uint32_t));
	}
	if (rc != 0)
		return config_error(errbuf, errlen, "--nic: %s=%s is not a valid %s", pair, value,
			i == SEEN_GUID	? "GUID"
			: i == SEEN_MAC ? "unicast MAC address"
					: "version (1, 2, 4, 5, 6 or 6.1)");
	if (*seen & 1u << i)
		return config_error(errbuf, errlen, "--nic: %s= is given twice", pair);
	*seen |= 1u << i;
	return 0;
}

static void
config_defaults(unsigned int number, struct host_nic_config *config)
{
	static const uint8_t instance[16] = {0x68, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x80,
		0x00, 0x00, 0x15, 0x5d, 0x00, 0x00, 0x00};

	memset(config, 0, sizeof(*config));
	memcpy(config->instance, instance, sizeof(instance));
	config->instance[14] = (uint8_t)(number >> 8);
	config->instance[15] = (uint8_t)number;
	/* 00:15:5d is the prefix that Hyper-V gives its guests. */
	config->mac[1] = 0x15;
	config->mac[2] = 0x5d;
	config->mac[3] = 0x48;
	config->mac[4] = (uint8_t)(number >> 8);
	config->mac[5] = (uint8_t)number;
	config->channels = 8;
	config->ring_bytes = 2u << 20;
	config->recv_bytes = config->send_bytes = 16u << 20;
	config->section_bytes = 1728;
	config->send_section_bytes = 6144;
	config->mtu = 9216;
	config->nvsp_max = NVSP_VERSION_61;
	strcpy(config->port, "sink");
}

int
host_nic_config_parse(const char *arg, unsigned int number, struct host_nic_config *config,
	char *errbuf, size_t errlen)
{
	char pair[128];
	uint32_t seen = 0;
	size_t len;
	int rc;

	config_defaults(number, config);
	while (*arg != '\0') {
		if (strncmp(arg, "port=", 5) == 0) {
			len = strlen(arg + 5);
			if (len == 0 || len >= sizeof(config->port))
				return config_error(errbuf, errlen,
					"--nic: port= takes 1 to %zu characters, such as port=tap:hp0",
					sizeof(config->port) - 1);
			memcpy(config->port, arg + 5, len + 1);
			return 0;
		}
		len = strcspn(arg, ",");
		if (len == 0 || len >= sizeof(pair))
			return config_error(
				errbuf, errlen, "--nic: empty or overlong item at '%.20s'", arg);
		memcpy(pair, arg, len);
		pair[len] = '\0';
		rc = config_pair(pair, &seen, config, errbuf, errlen);
		if (rc != 0)
			return rc;
		arg += len;
		if (*arg == ',' && *++arg == '\0')
			return config_error(errbuf, errlen, "--nic: nothing follows the last ','");
	}
	return 0;
}
