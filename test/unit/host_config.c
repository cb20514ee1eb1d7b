/* SPDX-License-Identifier: BSD-3-Clause */
/* What the user is told about a --nic that cannot be: one sentence that helps. */
#include "lib/host/nic.h"
#include "test/unit/unit.h"

static const char *
refusal(const char *nic)
{
	static char why[512];
	struct host_nic_config config;

	strcpy(why, "");
	CU_ASSERT_EQUAL(host_nic_config_parse(nic, 0, &config, why, sizeof(why)), -EINVAL);
	/* Whoever parses the option names it. */
	CU_ASSERT_PTR_NULL(strstr(why, "--nic"));
	return why;
}

static void
says(const char *nic, const char *words)
{
	const char *why = refusal(nic);

	if (strstr(why, words) == NULL)
		printf("\n    %s: %s", nic, why);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, words));
}

static void
a_key_behind_port_is_told_that_port_comes_last(void)
{
	says("port=gen,channels=4", "port= comes last");
	says("port=gen,channels=4", "channels=4,port=gen");
	says("port=gen:size=60,mtu=9000", "mtu=9000,port=gen:size=60");
	says("port=sink,spoof=on", "spoof=on,port=sink");
	says("port=gen,port=sink", "port= is given twice");
	/* Keys of the port stay its own. */
	says("port=gen:size=60,sise=61", "port gen: unknown key 'sise'");
}

static void
two_ports_each_take_what_follows(void)
{
	struct host_nic_config c;
	char why[256] = "";

	CU_ASSERT_EQUAL(host_nic_config_parse("channels=2,vf-port=tap:vf0,vnet=on,port=gen:size=60,"
					      "rate=1K",
				0, &c, why, sizeof(why)),
		0);
	CU_ASSERT_STRING_EQUAL(c.vf_port, "tap:vf0,vnet=on");
	CU_ASSERT_STRING_EQUAL(c.port, "gen:size=60,rate=1K");
	CU_ASSERT_EQUAL(host_nic_config_parse("vf-port=echo", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT_STRING_EQUAL(c.vf_port, "echo");
	CU_ASSERT_STRING_EQUAL(c.port, "sink");
	CU_ASSERT_EQUAL(host_nic_config_parse("port=echo", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT_STRING_EQUAL(c.vf_port, "");
	says("port=sink,vf-port=echo", "vf-port=echo,port=sink");
	says("vf-port=echo,channels=4,port=sink", "channels=4,vf-port=echo");
	says("vf-port=echo,channels=4,port=sink", "last but for port=");
	says("vf-port=echo,vf-port=echo,port=sink", "vf-port= is given twice");
	says("vf-port=,port=sink", "vf-port= takes 1 to 255 characters");
	says("vf-port=tap,port=sink", "port tap");
	says("vf-port=echo,port=genn", "unknown port 'genn'");
}

static void
arguments_of_a_port_need_a_colon(void)
{
	says("port=gen,size=60", "gen:size=60");
	says("port=tap,hp0", "tap:hp0");
	says("port=tap=hp0", "tap:hp0");
	says("port=genn", "unknown port 'genn'");
}

static void
a_bad_port_is_refused_before_anything_is_opened(void)
{
	static const char *const bad[] = {"port=gen:size=6O", "port=gen:rate=1Q",
		"port=tap:", "port=tap:a/b", "port=tap:x,y=1", "port=pcap:loop=1",
		"port=pcap:", "port=echo:x=1", "port=sink:flows=0",
		"port=switch:", "port=switch:a,vlan=4095", "port=gen:size=70-60",
		"port=gen:size=60-", "port=gen:size=60-70x"};
	struct host_nic_config config;
	char why[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(strlen(refusal(bad[i])) > 10);
	/* What is not there yet is not the command line's fault. */
	CU_ASSERT_EQUAL(
		host_nic_config_parse("port=pcap:in=/nonexistent", 0, &config, why, sizeof(why)),
		0);
	CU_ASSERT_EQUAL(host_nic_config_parse("port=tap:hp9", 0, &config, why, sizeof(why)), 0);
}

static void
numbers_name_range_and_multiple(void)
{
	says("channels=65", "channels=65: give a number from 1 to 64");
	CU_ASSERT_PTR_NULL(strstr(refusal("channels=65"), "multiple"));
	says("ring=8191", "a multiple of 4096");
	refusal("outstanding=65537");
	refusal("outstanding=few");
	refusal("mtu=-1500");
	refusal("mtu= 1500");
	refusal("recv=18014398509481985K");
	refusal("channels=");
}

static void
switches_are_on_or_off(void)
{
	struct host_nic_config c;
	char why[256];

	CU_ASSERT_EQUAL(host_nic_config_parse("", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT(!c.spoof && !c.lenient);
	CU_ASSERT_EQUAL(host_nic_config_parse("spoof=on", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT(c.spoof && !c.lenient);
	CU_ASSERT_EQUAL(host_nic_config_parse("lenient=on,spoof=off", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT(!c.spoof && c.lenient);
	says("spoof=yes", "spoof=yes is not on or off");
	CU_ASSERT(c.spread);
	CU_ASSERT_EQUAL(host_nic_config_parse("spread=off", 0, &c, why, sizeof(why)), 0);
	CU_ASSERT(!c.spread);
	says("lenient=on,lenient=off", "lenient= is given twice");
}

static void
two_nics_with_one_mac_are_refused(void)
{
	struct host_nic_config c[3];
	char why[256] = "";

	for (unsigned int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(host_nic_config_parse("", i, &c[i], why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(host_nic_configs_check(c, 3, why, sizeof(why)), 0);
	memcpy(c[2].mac, c[0].mac, 6);
	CU_ASSERT_EQUAL(host_nic_configs_check(c, 3, why, sizeof(why)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "NICs 0 and 2 have the same mac=00:15:5d:48:00:00"));
	memcpy(c[2].mac, "\x02\x00\x00\x00\x00\x01", 6);
	memcpy(c[2].instance, c[1].instance, 16);
	CU_ASSERT_EQUAL(host_nic_configs_check(c, 3, why, sizeof(why)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "NICs 1 and 2 have the same guid="));
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a key behind port= is told that port= comes last",
			a_key_behind_port_is_told_that_port_comes_last},
		{"two ports each take what follows", two_ports_each_take_what_follows},
		{"arguments of a port need a colon", arguments_of_a_port_need_a_colon},
		{"a bad port is refused before anything is opened",
			a_bad_port_is_refused_before_anything_is_opened},
		{"numbers name range and multiple", numbers_name_range_and_multiple},
		{"switches are on or off", switches_are_on_or_off},
		{"two NICs with one MAC are refused", two_nics_with_one_mac_are_refused},
	};

	return UNIT_RUN("host_config", tests);
}
