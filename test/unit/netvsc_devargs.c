/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device arguments of a port: what is refused is named in the log, whichever DPDK splits the
 * string, and a port's name is its user's choice. Ports and log are those of the real DPDK.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_log.h>

#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "test/unit/unit.h"

#define GUID	   "48795065-7230-4000-8000-000000000001"
#define OTHER_GUID "48795065-7230-4000-8000-000000000002"
#define LETTERS_60 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"

int hpbus_logtype, netvsc_logtype;

static struct hpbus_backend backend = {.name = "vfio-user"};
static struct hpbus_device bus = {.name = GUID, .backend = &backend};
struct netvsc_process netvsc_process = {NETVSC_PRIMARY, 1};
static struct netvsc_port port = {.bus = &bus, .port_id = RTE_MAX_ETHPORTS - 1};
static char *logged;
static size_t logged_len;
static FILE *log_stream;

static struct rte_devargs
devargs_of(char *text)
{
	struct rte_devargs da = {.policy = RTE_DEV_ALLOWED};

	da.args = text;
	return da;
}

static void
forget_log(void)
{
	fflush(log_stream);
	rewind(log_stream);
	memset(logged, 0, logged_len);
}

/* The log has one line, and these words are in it. */
static bool
logged_once(const char *words)
{
	const char *end;

	fflush(log_stream);
	end = strchr(logged, '\n');
	return strstr(logged, words) != NULL && end != NULL && end[1] == '\0';
}

/* The name that the arguments give, or NULL when they are refused with -EINVAL. */
static const char *
name_of(const char *args)
{
	static char text[256], name[RTE_ETH_NAME_MAX_LEN];
	struct rte_devargs da;
	int rc;

	snprintf(text, sizeof(text), "%s", args);
	da = devargs_of(text);
	bus.device.devargs = &da;
	forget_log();
	rc = netvsc_devargs_name(&bus, name);
	bus.device.devargs = NULL;
	CU_ASSERT(rc == 0 || rc == -EINVAL);
	return rc == 0 ? name : NULL;
}

static void
name_is_the_guid_until_the_user_chooses(void)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	CU_ASSERT_EQUAL(netvsc_devargs_name(&bus, name), 0);
	CU_ASSERT_STRING_EQUAL(name, GUID);
	CU_ASSERT_STRING_EQUAL(name_of(""), GUID);
	CU_ASSERT_STRING_EQUAL(name_of("latency=3"), GUID);
	CU_ASSERT_STRING_EQUAL(name_of("name=wan0"), "wan0");
	CU_ASSERT_STRING_EQUAL(name_of("latency=3,name=Lan-1_b.7,copy_only=1"), "Lan-1_b.7");
	CU_ASSERT_STRING_EQUAL(name_of("name=" GUID), GUID);
	CU_ASSERT_STRING_EQUAL(name_of("name=" LETTERS_60 "xyz"), LETTERS_60 "xyz");
}

/* Whatever the spelling: the port has it anyway. */
static void
a_port_may_be_called_by_its_own_guid(void)
{
	static const char with_letters[] = "48795065-7230-4000-8000-00000000abcd",
			  capitals[] = "48795065-7230-4000-8000-00000000ABCD";
	const char *name;

	snprintf(bus.name, sizeof(bus.name), "%s", with_letters);
	CU_ASSERT_EQUAL(vmbus_guid_parse(bus.name, bus.instance), 0);
	CU_ASSERT_STRING_EQUAL(name_of("name=48795065-7230-4000-8000-00000000abcd"), with_letters);
	name = name_of("name=48795065-7230-4000-8000-00000000ABCD");
	CU_ASSERT_TRUE(name != NULL && strcmp(name, capitals) == 0);
	CU_ASSERT_PTR_NULL(name_of("name=" GUID));
	CU_ASSERT_TRUE(logged_once("cannot have another GUID"));
	snprintf(bus.name, sizeof(bus.name), "%s", GUID);
	CU_ASSERT_EQUAL(vmbus_guid_parse(bus.name, bus.instance), 0);
}

/* What would vanish, or be one of two that are not the same: refused with one line. */
static void
arguments_that_can_mean_two_things_are_refused(void)
{
	static const struct {
		const char *args, *words;
	} bad[] = {
		{"vf_args=[x,copy_only=1,name=eth0", "a '[' without its ']'"},
		{"vf_args=[x=[1,2],y=3,copy_only=1", "a '[' without its ']'"},
		{"copy_only=1,vf=[0,latency=3", "a '[' without its ']'"},
		{"copy_only=0,copy_only=1", "copy_only is given 2 times"},
		{"copy_only=1,latency=3,copy_only=1,copy_only=1", "copy_only is given 3 times"},
		{"name=a,name=b", "name is given 2 times"},
		{"vfio-user=/A,vfio-user=/B", "vfio-user is given 2 times"},
		{"latency=3,latency=4", "latency is given 2 times"},
		{"vf_args=[a=1],vf_args=[b=2]", "vf_args is given twice"},
		{"vf_args=a,latency=3,vf_args=a", "vf_args is given twice"},
	};
	static char text[256];
	struct rte_devargs da;
	size_t i;

	for (i = 0; i < RTE_DIM(bad); i++) {
		snprintf(text, sizeof(text), "%s", bad[i].args);
		da = devargs_of(text);
		forget_log();
		CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), -EINVAL);
		CU_ASSERT_TRUE(logged_once(bad[i].words));
	}
}

static void
names_that_are_none_are_refused_with_one_line(void)
{
	static const char *const bad[] = {"name=", "name", "name=-x", "name=.x", "name=a/b",
		"name=a b", "name=a:b", "name=a%s", "name=\xc3\xa4", "name=" LETTERS_60 "xyz4"};
	size_t i;

	for (i = 0; i < RTE_DIM(bad); i++) {
		CU_ASSERT_PTR_NULL(name_of(bad[i]));
		CU_ASSERT_TRUE(logged_once("give a name of 1 to 63 letters"));
	}
}

static void
names_of_other_ports_are_refused_with_one_line(void)
{
	struct rte_eth_dev *other = rte_eth_dev_allocate("lan0");

	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	CU_ASSERT_PTR_NULL(name_of("name=lan0"));
	CU_ASSERT_TRUE(logged_once("name=lan0: another port has this name"));
	CU_ASSERT_STRING_EQUAL(name_of("name=lan1"), "lan1");
	CU_ASSERT_EQUAL(rte_eth_dev_release_port(other), 0);
	CU_ASSERT_STRING_EQUAL(name_of("name=lan0"), "lan0");
	/* It would be in the way of that adapter's own port. */
	CU_ASSERT_PTR_NULL(name_of("name=" OTHER_GUID));
	CU_ASSERT_TRUE(logged_once("cannot have another GUID"));
}

static void
keys_without_a_value_are_refused_by_name(void)
{
	char bad[] = "tx_copybreak";
	struct rte_devargs da = devargs_of(bad);

	forget_log();
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), -EINVAL);
	CU_ASSERT_TRUE(logged_once("devargs key tx_copybreak="));
}

/* What these arguments make of rx_copybreak. */
static uint32_t
copybreak_of(const char *args)
{
	static char text[256];
	struct rte_devargs da;

	snprintf(text, sizeof(text), "%s", args);
	da = devargs_of(text);
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), 0);
	return port.config.rx_copybreak;
}

/* As with the in-tree driver, but that the one key is enough. */
static void
frames_stay_in_the_receive_buffer_when_asked_for(void)
{
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, NULL), 0);
	CU_ASSERT_EQUAL(port.config.rx_copybreak, NETVSC_RX_COPY_ALL);
	CU_ASSERT_EQUAL(copybreak_of("latency=3"), NETVSC_RX_COPY_ALL);
	CU_ASSERT_EQUAL(copybreak_of("rx_copybreak=1000"), 1000);
	CU_ASSERT_EQUAL(copybreak_of("rx_copybreak=0"), 0);
	CU_ASSERT_EQUAL(copybreak_of("rx_extmbuf_enable=1"), NETVSC_RX_COPYBREAK);
	CU_ASSERT_EQUAL(copybreak_of("rx_extmbuf_enable=1,rx_copybreak=7"), 7);
	CU_ASSERT_EQUAL(copybreak_of("rx_extmbuf_enable=0,rx_copybreak=7"), NETVSC_RX_COPY_ALL);
	CU_ASSERT_EQUAL(copybreak_of("rx_extmbuf_enable=0"), NETVSC_RX_COPY_ALL);
}

/* Is it accepted, and does the log have no more than this notice (NULL: nothing)? */
static bool
accepted(const char *args, const char *notice)
{
	static char text[256];
	struct rte_devargs da;

	snprintf(text, sizeof(text), "%s", args);
	da = devargs_of(text);
	forget_log();
	if (netvsc_devargs_parse(&port, &da) != 0)
		return false;
	fflush(log_stream);
	return notice == NULL ? logged[0] == '\0' : logged_once(notice);
}

/*
 * All keys of the in-tree driver, of all releases, with values as its documentation has them: its
 * scripts keep working (doc/moving.md).
 */
static void
arguments_of_in_tree_scripts_are_accepted(void)
{
	CU_ASSERT_TRUE(accepted("latency=20,rx_copybreak=256,tx_copybreak=512", NULL));
	CU_ASSERT_EQUAL(port.config.latency_ns, 20000);
	CU_ASSERT_EQUAL(port.config.rx_copybreak, 256);
	CU_ASSERT_EQUAL(port.config.tx_copybreak, 512);
	CU_ASSERT_TRUE(accepted("latency=0,rx_copybreak=0,tx_copybreak=0", NULL));
	CU_ASSERT_EQUAL(port.config.latency_ns, 0);
	CU_ASSERT_EQUAL(port.config.tx_copybreak, 0);
	/* More than any frame has: all are copied. */
	CU_ASSERT_TRUE(accepted("rx_copybreak=100000,tx_copybreak=4294967295", NULL));
	CU_ASSERT_EQUAL(port.config.rx_copybreak, 100000);
	CU_ASSERT_EQUAL(port.config.tx_copybreak, UINT32_MAX);
	CU_ASSERT_TRUE(accepted("latency=6553", NULL));
	CU_ASSERT_TRUE(accepted("latency=6554", "a host waits 6553 us at most"));
	CU_ASSERT_EQUAL(port.config.latency_ns, 6553000);
	CU_ASSERT_TRUE(accepted("latency=4294967295", "a host waits 6553 us at most"));
	CU_ASSERT_EQUAL(port.config.latency_ns, 6553000);
	CU_ASSERT_TRUE(accepted("rx_extmbuf_enable=0", NULL));
	CU_ASSERT_TRUE(accepted("rx_extmbuf_enable=2", NULL));
	CU_ASSERT_EQUAL(port.config.rx_copybreak, NETVSC_RX_COPYBREAK);
	CU_ASSERT_TRUE(accepted("numa_aware=0", "numa_aware has no effect"));
	CU_ASSERT_TRUE(accepted("numa_aware=1", "numa_aware has no effect"));
	CU_ASSERT_FALSE(port.config.ignore_vf);
	CU_ASSERT_TRUE(accepted("ignore_vf=1", NULL));
	CU_ASSERT_TRUE(port.config.ignore_vf);
	CU_ASSERT_TRUE(accepted("ignore_vf=0", NULL));
	CU_ASSERT_FALSE(port.config.ignore_vf);
	/* No number is none. */
	CU_ASSERT_FALSE(accepted("latency=4294967296", NULL));
	CU_ASSERT_TRUE(logged_once("devargs key latency=4294967296: give a number"));
	CU_ASSERT_FALSE(accepted("tx_copybreak=1k", NULL));
	CU_ASSERT_TRUE(logged_once("devargs key tx_copybreak=1k: give a number"));
	CU_ASSERT_FALSE(accepted("rx_extmbuf_enable=yes", NULL));
	CU_ASSERT_TRUE(logged_once("devargs key rx_extmbuf_enable=yes: give a number"));
}

static void
unknown_keys_are_refused_with_the_known_ones(void)
{
	char bad[] = "name=wan0,nam=wan1";
	struct rte_devargs da = devargs_of(bad);

	forget_log();
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), -EINVAL);
	CU_ASSERT_TRUE(logged_once("name=NAME"));
}

/* They were said to be a bad vf_args, which there is none of. */
static void
arguments_that_are_too_long_are_said_to_be(void)
{
	static char text[6000];
	struct rte_devargs da = devargs_of(text);

	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "trace=", 6);
	forget_log();
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), -EINVAL);
	CU_ASSERT_TRUE(logged_once("longer than 4095 bytes"));
	memset(&port.config, 0, sizeof(port.config));
}

/* "driver=aaa...", of so many bytes, behind others or alone. @return what the parser says */
static int
parse_long(const char *others, size_t len)
{
	static char text[6000];
	struct rte_devargs da = devargs_of(text);
	size_t used = (size_t)snprintf(text, sizeof(text), "%sdriver=", others);

	memset(text + used, 'a', len - used);
	text[len] = '\0';
	forget_log();
	return netvsc_devargs_parse(&port, &da);
}

static void
arguments_of_the_length_that_is_said_are_accepted(void)
{
	static const char *const others[] = {"", "latency=7,", "copy_only=1,latency=7,"};
	unsigned int i;

	for (i = 0; i < RTE_DIM(others); i++) {
		CU_ASSERT_EQUAL(parse_long(others[i], 4095), 0);
		CU_ASSERT_EQUAL(port.config.latency_ns, i == 0 ? 50000 : 7000);
		CU_ASSERT_EQUAL(parse_long(others[i], 4096), -EINVAL);
		CU_ASSERT_TRUE(logged_once("longer than 4095 bytes"));
	}
	/* Those of the virtual function have a length of their own. */
	CU_ASSERT_EQUAL(parse_long("vf_args=[a=1,b=2],", 4095 + strlen("vf_args=[a=1,b=2],")), 0);
	CU_ASSERT_STRING_EQUAL(port.config.vf_args, "a=1,b=2");
	memset(&port.config, 0, sizeof(port.config));
}

/* Which ethdev is the virtual function, and its own arguments: brackets keep their commas. */
static void
a_vf_has_a_name_and_arguments(void)
{
	char both[] = "vf=0001:00:02.0,vf_args=[a=1,b=[2,3],c=4],latency=7",
	     one[] = "vf=net_tap0,vf_args=a=1", none[] = "vf=", empty[] = "vf_args=[]";
	struct rte_devargs da = devargs_of(both);

	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), 0);
	CU_ASSERT_STRING_EQUAL(port.config.vf, "0001:00:02.0");
	CU_ASSERT_STRING_EQUAL(port.config.vf_args, "a=1,b=[2,3],c=4");
	CU_ASSERT_EQUAL(port.config.latency_ns, 7000);
	da = devargs_of(one);
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), 0);
	CU_ASSERT_STRING_EQUAL(port.config.vf, "net_tap0");
	CU_ASSERT_STRING_EQUAL(port.config.vf_args, "a=1");
	da = devargs_of(none);
	forget_log();
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), -EINVAL);
	CU_ASSERT_TRUE(logged_once("vf="));
	da = devargs_of(empty);
	forget_log();
	CU_ASSERT_EQUAL(netvsc_devargs_parse(&port, &da), -EINVAL);
	CU_ASSERT_TRUE(logged_once("vf_args"));
	memset(&port.config, 0, sizeof(port.config));
}

/* The default of an isolated VM, whose host is not trusted; hvsim is not its host. */
static void
an_isolated_vm_hears_of_no_virtual_function(void)
{
	static const char said[] = "this is an isolated VM: virtual functions are not used";

	setenv("HYPERPOLL_ISOLATION", "2", 1);
	CU_ASSERT_TRUE(accepted("latency=50", NULL));
	CU_ASSERT_FALSE(port.config.ignore_vf);
	backend.name = "uio";
	CU_ASSERT_TRUE(accepted("latency=50", said));
	CU_ASSERT_TRUE(port.config.ignore_vf);
	CU_ASSERT_TRUE(accepted("", said));
	CU_ASSERT_TRUE(port.config.ignore_vf);
	CU_ASSERT_TRUE(accepted("ignore_vf=0", NULL));
	CU_ASSERT_FALSE(port.config.ignore_vf);
	CU_ASSERT_TRUE(accepted("ignore_vf=1", NULL));
	CU_ASSERT_TRUE(port.config.ignore_vf);
	setenv("HYPERPOLL_ISOLATION", "0", 1);
	CU_ASSERT_TRUE(accepted("", NULL));
	CU_ASSERT_FALSE(port.config.ignore_vf);
	unsetenv("HYPERPOLL_ISOLATION");
	backend.name = "vfio-user";
}

static const struct unit_test tests[] = {
	{"arguments of the length that is said are accepted",
		arguments_of_the_length_that_is_said_are_accepted},
	{"arguments that are too long are said to be", arguments_that_are_too_long_are_said_to_be},
	{"name_is_the_guid_until_the_user_chooses", name_is_the_guid_until_the_user_chooses},
	{"a_port_may_be_called_by_its_own_guid", a_port_may_be_called_by_its_own_guid},
	{"arguments_that_can_mean_two_things_are_refused",
		arguments_that_can_mean_two_things_are_refused},
	{"names_that_are_none_are_refused_with_one_line",
		names_that_are_none_are_refused_with_one_line},
	{"names_of_other_ports_are_refused_with_one_line",
		names_of_other_ports_are_refused_with_one_line},
	{"keys_without_a_value_are_refused_by_name", keys_without_a_value_are_refused_by_name},
	{"frames_stay_in_the_receive_buffer_when_asked_for",
		frames_stay_in_the_receive_buffer_when_asked_for},
	{"arguments_of_in_tree_scripts_are_accepted", arguments_of_in_tree_scripts_are_accepted},
	{"unknown_keys_are_refused_with_the_known_ones",
		unknown_keys_are_refused_with_the_known_ones},
	{"a_vf_has_a_name_and_arguments", a_vf_has_a_name_and_arguments},
	{"an_isolated_vm_hears_of_no_virtual_function",
		an_isolated_vm_hears_of_no_virtual_function},
};

int
main(int argc, char **argv)
{
	static char *eal[] = {"netvsc_devargs", "--no-huge", "-m", "32", "--no-shconf", "--no-pci",
		"--no-telemetry", NULL};
	int rc;

	if (rte_eal_init(7, eal) < 0) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	if (vmbus_guid_parse(GUID, bus.instance) != 0)
		return EXIT_FAILURE;
	log_stream = open_memstream(&logged, &logged_len);
	if (log_stream == NULL || fflush(log_stream) != 0 || rte_openlog_stream(log_stream) != 0)
		return EXIT_FAILURE;
	rc = UNIT_RUN("netvsc_devargs", tests);
	rte_openlog_stream(NULL);
	rte_eal_cleanup();
	fclose(log_stream);
	free(logged);
	return rc;
}
