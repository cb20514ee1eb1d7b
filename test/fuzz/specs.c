/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What users type: --nic with its ports and profiles, specifications of ports, knobs and numbers
 * (lib/host/config.c, port.c and port_*.c, nic_knobs.c, profile.c).
 */
#include "lib/vmbus/number.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/host_nic_guest.h"

static struct guest guest;

/* One sentence, and nothing else than a sentence. */
static void
check_why(int rc, const char *why)
{
	FUZZ_CHECK(rc == 0 || (why[0] != '\0' && strlen(why) < 511));
}

static void
nic(const char *text)
{
	struct host_nic_config config;
	char why[512] = "";
	int rc = host_nic_config_parse(text, 3, &config, why, sizeof(why));

	check_why(rc, why);
	if (rc != 0)
		return;
	FUZZ_CHECK(config.channels >= 1 && config.channels <= HOST_MAX_CHANNELS);
	FUZZ_CHECK(config.ring_bytes % 4096 == 0 && config.ring_bytes >= 8192);
	FUZZ_CHECK(config.section_bytes != 0 && config.recv_bytes >= config.section_bytes);
	FUZZ_CHECK((config.mac[0] & 1) == 0);
	FUZZ_CHECK(host_nic_configs_check(&config, 1, why, sizeof(why)) == 0);
}

static void
port(const char *text)
{
	char why[512] = "";

	check_why(host_port_check(text, why, sizeof(why)), why);
}

static void
number(const char *text)
{
	uint64_t n = 0;

	if (number_parse(text, NUMBER_KMG_1024 | NUMBER_HEX, 5, 70000, &n) == 0)
		FUZZ_CHECK(n >= 5 && n <= 70000);
	if (number_parse(text, NUMBER_KMG_1000, 0, UINT64_MAX, &n) != 0)
		number_take(&text, NUMBER_PLAIN, &n);
}

/* Of a NIC with a guest: NAME=VALUE in each line. */
static void
knobs(char *text)
{
	char *line, *value, *rest = NULL;

	guest_start_up(&guest, "recv=64K,send=64K,channels=2", 4);
	guest.ack = false;
	guest.lies = true;
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		value = strchr(line, '=');
		if (value != NULL)
			*value++ = '\0';
		host_nic_knob(guest.nic, line, value != NULL ? value : "");
		host_nic_poll(guest.nic, 8);
	}
	guest_stop(&guest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint8_t what = fuzz_u8(&in);
	char *text = fuzz_text(&in, 1024);

	switch (what % 4) {
	case 0:
		nic(text);
		break;
	case 1:
		port(text);
		break;
	case 2:
		number(text);
		break;
	case 3:
		knobs(text);
		break;
	}
	free(text);
	return 0;
}
