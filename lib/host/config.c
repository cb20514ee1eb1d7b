/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the user says about one NIC: the key=value list of --nic. Strict: an unknown key, a doubled
 * key or a bad value fails with one sentence that names it; the caller names the option. Called
 * before any NIC exists, on the thread that parses the command line.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/nic_internal.h"
#include "lib/vmbus/guid.h"
#include "lib/vmbus/number.h"

const char *const host_nic_config_help =
	"  guid=GUID        instance (default: derived from the number of the NIC)\n"
	"  mac=XX:XX:..     permanent address (default: 00:15:5d:48:NN:NN)\n"
	"  channels=N       most channels including the primary, 1..64 (8)\n"
	"  ring=BYTES       one ring with its control page (2M)\n"
	"  recv=BYTES       receive buffer of a vfio-user guest (16M; 15M below NVSP 4)\n"
	"  send=BYTES       send buffer of a vfio-user guest (16M)\n"
	"  section=BYTES    smallest receive section (1728)\n"
	"  send_section=BYTES  send section (6144)\n"
	"  mtu=N            largest IP MTU a guest may ask for, 1500..65521 (9216)\n"
	"  outstanding=N    most frames of gen or pcap with the guest, per channel; 0: any (128)\n"
	"  profile=P        the habits of a host in the field: ws2016, ws2019, ws2022 or openhcl\n"
	"  nvsp=V           newest protocol version: 1, 2, 4, 5, 6 or 6.1 (6.1)\n"
	"  spoof=on|off     forward frames with a source MAC that is not the guest's (off)\n"
	"  lenient=on|off   take sends that break the limits announced to the guest (off)\n"
	"  trace=FILE       write its VMBus packets and RNDIS messages into a pcapng file (none)\n"
	"  spread=on|off    hvsim with more threads than NICs: its channels on several of them, if\n"
	"                   its port is sink or gen (on)\n"
	"  capture=FILE     write its frames, both ways, into a pcapng file (none)\n"
	"  snaplen=BYTES    most of a message that goes into trace=, of a frame into capture= (2048)\n"
	"  vf-port=SPEC     where they come from and go to while the guest's data path is on its\n"
	"                   virtual function; comes before port= and takes what is between (none)\n"
	"  port=SPEC        where frames come from and go to; last, takes the rest (sink)\n"
	"  BYTES takes K, M and G; ring, recv and send are multiples of 4096\n";

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
	KEY("outstanding", outstanding, 0, 65536, 1),
	KEY("snaplen", snaplen, TRACE_SNAPLEN_MIN, TRACE_SNAPLEN_MAX, 1),
};

#define CONFIG_KEYS (sizeof(config_keys) / sizeof(config_keys[0]))

/* The keys that are not plain numbers; bits of "seen" behind those of config_keys. */
enum {
	KEY_GUID = CONFIG_KEYS,
	KEY_MAC,
	KEY_PROFILE,
	KEY_NVSP,
	KEY_LENIENT,
	KEY_SPOOF,
	KEY_TRACE,
	KEY_CAPTURE,
	KEY_SPREAD,
	KEYS
};

static const char *const other_keys[] = {
	"guid", "mac", "profile", "nvsp", "lenient", "spoof", "trace", "capture", "spread"};

static int
config_error(char *errbuf, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(errbuf, errlen, fmt, ap);
	va_end(ap);
	return -EINVAL;
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

/* A version that was given stays. */
static int
config_profile(const char *text, bool have_nvsp, struct host_nic_config *config)
{
	uint32_t nvsp_max;

	if (nic_profile_find(text, &config->profile, &nvsp_max) != 0)
		return -EINVAL;
	if (!have_nvsp)
		config->nvsp_max = nvsp_max;
	return 0;
}

static int
config_file(const char *text, char file[256])
{
	if (text[0] == '\0' || strlen(text) >= 256)
		return -EINVAL;
	strcpy(file, text);
	return 0;
}

static int
config_switch(const char *text, bool *on)
{
	*on = strcmp(text, "on") == 0;
	return *on || strcmp(text, "off") == 0 ? 0 : -EINVAL;
}

static size_t
config_key(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < KEYS; i++) {
		const char *key =
			i < CONFIG_KEYS ? config_keys[i].name : other_keys[i - CONFIG_KEYS];

		if (strlen(key) == len && memcmp(key, name, len) == 0)
			break;
	}
	return i;
}

static int
config_number(const struct config_key *key, const char *value, struct host_nic_config *config,
	char *errbuf, size_t errlen)
{
	char multiple[32] = "";
	uint64_t number;
	uint32_t word;

	if (number_parse(value, NUMBER_KMG_1024, key->min, key->max, &number) != 0 ||
		number % key->multiple != 0) {
		if (key->multiple > 1)
			snprintf(multiple, sizeof(multiple), ", a multiple of %u", key->multiple);
		return config_error(errbuf, errlen, "%s=%s: give a number from %u to %u%s",
			key->name, value, key->min, key->max, multiple);
	}
	word = (uint32_t)number;
	memcpy((uint8_t *)config + key->offset, &word, sizeof(word));
	return 0;
}

static int
config_pair(char *pair, uint32_t *seen, struct host_nic_config *config, char *errbuf, size_t errlen)
{
	static const char *const kinds[] = {"a GUID", "a unicast MAC address",
		"a profile (ws2016, ws2019, ws2022 or openhcl)", "a version (1, 2, 4, 5, 6 or 6.1)",
		"on or off", "on or off", "a file's name of 1 to 255 characters",
		"a file's name of 1 to 255 characters", "on or off"};
	char *value = strchr(pair, '=');
	size_t key;
	int rc;

	if (value == NULL)
		return config_error(errbuf, errlen, "'%s' is not key=value", pair);
	*value++ = '\0';
	key = config_key(pair, strlen(pair));
	if (key == KEYS)
		return config_error(errbuf, errlen,
			"unknown key '%s' (guid, mac, channels, ring, recv, send, section, "
			"send_section, mtu, outstanding, snaplen, profile, nvsp, lenient, spoof, trace, "
			"capture, spread, vf-port, port)",
			pair);
	if (*seen & 1u << key)
		return config_error(errbuf, errlen, "%s= is given twice", pair);
	*seen |= 1u << key;
	if (key < CONFIG_KEYS)
		return config_number(&config_keys[key], value, config, errbuf, errlen);
	if (key == KEY_GUID)
		rc = vmbus_guid_parse(value, config->instance);
	else if (key == KEY_MAC)
		rc = config_mac(value, config->mac);
	else if (key == KEY_PROFILE)
		rc = config_profile(value, *seen & 1u << KEY_NVSP, config);
	else if (key == KEY_NVSP)
		rc = config_nvsp(value, &config->nvsp_max);
	else if (key == KEY_TRACE || key == KEY_CAPTURE)
		rc = config_file(value, key == KEY_TRACE ? config->trace : config->capture);
	else if (key == KEY_SPREAD)
		rc = config_switch(value, &config->spread);
	else
		rc = config_switch(value, key == KEY_SPOOF ? &config->spoof : &config->lenient);
	if (rc != 0)
		return config_error(
			errbuf, errlen, "%s=%s is not %s", pair, value, kinds[key - CONFIG_KEYS]);
	return 0;
}

/* Which of the keys that take a specification begins at @p text, with its "="; NULL: none. */
static const char *
config_port_key(const char *text)
{
	static const char *const keys[] = {"vf-port=", "port="};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strncmp(text, keys[i], strlen(keys[i])) == 0)
			return keys[i];
	return NULL;
}

/*
 * vf-port= and port= take what follows, up to port= or all of it: a key of the NIC in there is one
 * that came too late. @p to is config->port or config->vf_port
 */
static int
config_port(
	const char *key, const char *spec, size_t len, char to[256], char *errbuf, size_t errlen)
{
	size_t first, name, piece;
	const char *at, *again;

	if (len == 0 || len >= 256)
		return config_error(errbuf, errlen,
			"%s takes 1 to 255 characters, such as %stap:hp0", key, key);
	memcpy(to, spec, len);
	to[len] = '\0';
	first = strcspn(to, ",");
	for (at = strchr(to, ','); at != NULL; at = strchr(at, ',')) {
		name = strcspn(++at, "=,");
		piece = strcspn(at, ",");
		again = config_port_key(at);
		if (again != NULL && strcmp(again, key) == 0)
			return config_error(errbuf, errlen, "%s is given twice", key);
		if (at[name] == '=' && (again != NULL || config_key(at, name) != KEYS))
			return config_error(errbuf, errlen,
				"%s comes %s, because it takes the rest: write %.*s,%s%.*s", key,
				key[0] == 'p' ? "last" : "last but for port=", (int)piece, at, key,
				(int)first, to);
	}
	return host_port_check(to, errbuf, errlen);
}

/* vf-port=SPEC,port=SPEC, or one of them; it begins with @p key. */
static int
config_ports(const char *key, const char *text, struct host_nic_config *config, char *errbuf,
	size_t errlen)
{
	const char *end;
	int rc;

	if (key[0] == 'v') {
		text += strlen(key);
		end = strstr(text, ",port=");
		if (end == NULL)
			end = text + strlen(text);
		rc = config_port(key, text, (size_t)(end - text), config->vf_port, errbuf, errlen);
		if (rc != 0 || *end == '\0')
			return rc;
		text = end + 1;
		key = config_port_key(text);
	}
	text += strlen(key);
	return config_port(key, text, strlen(text), config->port, errbuf, errlen);
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
	config->outstanding = NIC_OUTSTANDING;
	config->number = number;
	config->snaplen = TRACE_SNAPLEN;
	config->spread = true;
	config->nvsp_max = NVSP_VERSION_61;
	strcpy(config->port, "sink");
}

int
host_nic_config_parse(const char *arg, unsigned int number, struct host_nic_config *config,
	char *errbuf, size_t errlen)
{
	const char *key = NULL;
	char pair[256 + 16];
	uint32_t seen = 0;
	size_t len;
	int rc;

	config_defaults(number, config);
	while (*arg != '\0' && (key = config_port_key(arg)) == NULL) {
		len = strcspn(arg, ",");
		if (len == 0 || len >= sizeof(pair))
			return config_error(
				errbuf, errlen, "empty or overlong item at '%.20s'", arg);
		memcpy(pair, arg, len);
		pair[len] = '\0';
		rc = config_pair(pair, &seen, config, errbuf, errlen);
		if (rc != 0)
			return rc;
		arg += len;
		if (*arg == ',' && *++arg == '\0')
			return config_error(errbuf, errlen, "nothing follows the last ','");
	}
	/* More would be refused by the NIC itself. */
	if (config->nvsp_max <= NVSP_VERSION_2 && !(seen & 1u << config_key("recv", 4)))
		config->recv_bytes = NVSP_MAX_RECV_BUF_LEGACY;
	return key == NULL ? 0 : config_ports(key, arg, config, errbuf, errlen);
}

int
host_nic_configs_check(
	const struct host_nic_config *configs, unsigned int n, char *errbuf, size_t errlen)
{
	const struct host_nic_config *a, *b;
	char guid[VMBUS_GUID_LEN + 1] = "";
	unsigned int i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++) {
			a = &configs[k];
			b = &configs[i];
			if (memcmp(a->instance, b->instance, sizeof(a->instance)) == 0) {
				vmbus_guid_format(a->instance, guid);
				return config_error(errbuf, errlen,
					"NICs %u and %u have the same guid=%s; give one of them another",
					k, i, guid);
			}
			if (memcmp(a->mac, b->mac, sizeof(a->mac)) == 0)
				return config_error(errbuf, errlen,
					"NICs %u and %u have the same "
					"mac=%02x:%02x:%02x:%02x:%02x:%02x; give one of them another",
					k, i, a->mac[0], a->mac[1], a->mac[2], a->mac[3], a->mac[4],
					a->mac[5]);
		}
	return 0;
}
