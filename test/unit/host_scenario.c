/* SPDX-License-Identifier: BSD-3-Clause */
/* Scenarios by a clock that stands still: what is done, when, and what a bad file is told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/host/scenario.h"
#include "test/unit/unit.h"

#define MS    UINT64_C(1000000)
#define START (1000000 * MS)

static char dir[] = "/tmp/host_scenario.XXXXXX";
static char path[64], why[512], done[4096], stats[256];
static bool refuse;

/* The host: what it was asked for, without quotes, and what its statistics say. */
static char *
execute(void *ctx, const char *request)
{
	size_t len = strlen(done);
	char *answer = NULL;

	if (strstr(request, "stats") != NULL)
		return asprintf(&answer, "{\"ok\":true,\"stats\":{%s}}\n", stats) < 0 ? NULL
										      : answer;
	for (; *request != '\0' && len + 2 < sizeof(done); request++)
		if (strchr("{}\"", *request) == NULL)
			done[len++] = *request;
	done[len++] = ' ';
	done[len] = '\0';
	return strdup(refuse ? "{\"ok\":false,\"error\":\"no\"}\n" : "{\"ok\":true}\n");
}

static int
load(struct host_scenario **s, const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	*s = NULL;
	why[0] = done[0] = stats[0] = '\0';
	refuse = false;
	return host_scenario_load(s, path, 2, why, sizeof(why));
}

static struct host_scenario *
start(const char *text)
{
	struct host_scenario *s;

	CU_ASSERT_EQUAL_FATAL(load(&s, text), 0);
	host_scenario_start(s, START);
	return s;
}

/* What is done when the clock goes on to that moment. */
static const char *
at(struct host_scenario *s, uint64_t ms)
{
	done[0] = '\0';
	host_scenario_run(s, START + ms * MS, execute, NULL);
	return done;
}

static void
test_times(void)
{
	struct host_scenario *s = start("# comment\n\n"
					"1.5 link 0 up=false # and one\n"
					"+500ms link 0 up=true\n"
					"100ms set 1 name=stall value=1\n"
					"+0 rescind 1\n");

	CU_ASSERT_EQUAL(host_scenario_deadline(s), START + 100 * MS);
	CU_ASSERT_STRING_EQUAL(at(s, 0), "");
	CU_ASSERT_STRING_EQUAL(at(s, 99), "");
	/* Of equal times the first that was written. */
	CU_ASSERT_STRING_EQUAL(at(s, 100), "cmd:set,nic:1,name:stall,value:1 cmd:rescind,nic:1 ");
	CU_ASSERT_EQUAL(host_scenario_deadline(s), START + 1500 * MS);
	CU_ASSERT_STRING_EQUAL(at(s, 1600), "cmd:link,nic:0,up:false ");
	CU_ASSERT_FALSE(host_scenario_ended(s));
	CU_ASSERT_STRING_EQUAL(at(s, 2000), "cmd:link,nic:0,up:true ");
	CU_ASSERT_TRUE(host_scenario_ended(s));
	CU_ASSERT_EQUAL(host_scenario_deadline(s), UINT64_MAX);
	CU_ASSERT_EQUAL(host_scenario_failures(s), 0);
	host_scenario_free(s);
}

static void
test_words_without_a_key(void)
{
	struct host_scenario *s = start("1 link 0 down\n"
					"2 link 1 up\n"
					"3 trace off\n"
					"4 trace 1 on\n"
					"5 vf 0 present serial=7\n"
					"6 vf 0 absent\n");

	CU_ASSERT_STRING_EQUAL(at(s, 1000), "cmd:link,nic:0,up:false ");
	CU_ASSERT_STRING_EQUAL(at(s, 2000), "cmd:link,nic:1,up:true ");
	CU_ASSERT_STRING_EQUAL(at(s, 3000), "cmd:trace,on:false ");
	CU_ASSERT_STRING_EQUAL(at(s, 4000), "cmd:trace,nic:1,on:true ");
	CU_ASSERT_STRING_EQUAL(at(s, 5000), "cmd:vf,nic:0,present:true,serial:7 ");
	CU_ASSERT_STRING_EQUAL(at(s, 6000), "cmd:vf,nic:0,present:false ");
	host_scenario_free(s);
}

static void
test_every(void)
{
	struct host_scenario *s = start("every 2 from 1 to 5 link 0 up=false\n"
					"every 2 to 5 link 0 up=true\n");

	CU_ASSERT_STRING_EQUAL(at(s, 1000), "cmd:link,nic:0,up:false ");
	CU_ASSERT_STRING_EQUAL(at(s, 2000), "cmd:link,nic:0,up:true ");
	/* Late: all that was missed, in its order. */
	CU_ASSERT_STRING_EQUAL(at(s, 4500), "cmd:link,nic:0,up:false cmd:link,nic:0,up:true ");
	CU_ASSERT_STRING_EQUAL(at(s, 5000), "cmd:link,nic:0,up:false ");
	CU_ASSERT_TRUE(host_scenario_ended(s));
	host_scenario_free(s);
}

static void
test_end_of_an_endless_one(void)
{
	struct host_scenario *s = start("every 1 rescind 0\n2.5 end\n");

	CU_ASSERT_STRING_EQUAL(at(s, 2000), "cmd:rescind,nic:0 cmd:rescind,nic:0 ");
	CU_ASSERT_FALSE(host_scenario_ended(s));
	CU_ASSERT_STRING_EQUAL(at(s, 9000), "");
	CU_ASSERT_TRUE(host_scenario_ended(s));
	host_scenario_free(s);
}

/* A turn is bounded, and what it left is due at once. */
static void
test_a_turn_is_bounded(void)
{
	struct host_scenario *s = start("every 1ms rescind 0\n");
	const char *text = at(s, 10000);
	unsigned int n = 0;

	for (; (text = strstr(text, "cmd:")) != NULL; text++)
		n++;
	CU_ASSERT_EQUAL(n, 64);
	CU_ASSERT(host_scenario_deadline(s) <= START + 10000 * MS);
	host_scenario_free(s);
}

static void
test_wait(void)
{
	struct host_scenario *s = start("1 link 0 up=true\n"
					"wait 0 state=running\n"
					"0 link 0 up=false\n"
					"1 rescind 0\n"
					"wait within 2 1 port_stats.rx_frames>=10\n"
					"0.5 offer 0\n");

	/* Nothing is waited for before what is above it. */
	strcpy(stats, "\"state\":\"running\"");
	CU_ASSERT_STRING_EQUAL(at(s, 500), "");
	strcpy(stats, "\"state\":\"offered\"");
	CU_ASSERT_STRING_EQUAL(at(s, 1000), "cmd:link,nic:0,up:true ");
	CU_ASSERT_EQUAL(host_scenario_deadline(s), START + 1010 * MS);
	CU_ASSERT_STRING_EQUAL(at(s, 20000), "");
	/* Times begin anew when it is so. */
	strcpy(stats, "\"state\":\"running\"");
	CU_ASSERT_STRING_EQUAL(at(s, 30000), "cmd:link,nic:0,up:false ");
	CU_ASSERT_EQUAL(host_scenario_deadline(s), START + 31000 * MS);
	strcpy(stats, "\"port_stats\":{\"rx_frames\":9}");
	CU_ASSERT_STRING_EQUAL(at(s, 31000), "cmd:rescind,nic:0 ");
	strcpy(stats, "\"port_stats\":{\"rx_frames\":11}");
	CU_ASSERT_STRING_EQUAL(at(s, 32000), "");
	CU_ASSERT_STRING_EQUAL(at(s, 32500), "cmd:offer,nic:0 ");
	CU_ASSERT_TRUE(host_scenario_ended(s));
	CU_ASSERT_EQUAL(host_scenario_failures(s), 0);
	host_scenario_free(s);
}

static void
test_wait_for_nothing(void)
{
	struct host_scenario *s = start("wait within 2 0 no.such=1\n0 link 0 up=false\n");

	CU_ASSERT_EQUAL(host_scenario_deadline(s), START);
	CU_ASSERT_STRING_EQUAL(at(s, 0), "");
	CU_ASSERT_STRING_EQUAL(at(s, 1999), "");
	CU_ASSERT_FALSE(host_scenario_ended(s));
	CU_ASSERT_STRING_EQUAL(at(s, 2000), "");
	CU_ASSERT_TRUE(host_scenario_ended(s));
	CU_ASSERT_EQUAL(host_scenario_failures(s), 1);
	CU_ASSERT_STRING_EQUAL(at(s, 9000), "");
	host_scenario_free(s);
}

/* A word is not at least 5, nor ever will be, and nobody is to wait for it. */
static void
test_wait_for_a_number_that_is_none(void)
{
	static const char *const says[] = {
		"\"x\":\"running\"", "\"x\":{\"y\":7}", "\"x\":true", "\"x\":[9]"};

	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		struct host_scenario *s = start("wait 0 x>=0\n0 link 0 up=false\n");

		CU_ASSERT_STRING_EQUAL(at(s, 0), "");
		CU_ASSERT_FALSE(host_scenario_ended(s));
		strcpy(stats, says[i]);
		CU_ASSERT_STRING_EQUAL(at(s, 100), "");
		CU_ASSERT_TRUE(host_scenario_ended(s));
		CU_ASSERT_EQUAL(host_scenario_failures(s), 1);
		host_scenario_free(s);
	}
}

/* Beyond what a double holds. */
static void
test_wait_for_a_large_number(void)
{
	struct host_scenario *s = start("wait 0 x>=18446744073709551615\n0 link 0 up=false\n");

	strcpy(stats, "\"x\":18446744073709551614");
	CU_ASSERT_STRING_EQUAL(at(s, 0), "");
	strcpy(stats, "\"x\":18446744073709551615");
	CU_ASSERT_STRING_EQUAL(at(s, 100), "cmd:link,nic:0,up:false ");
	host_scenario_free(s);
}

static void
test_a_command_that_fails(void)
{
	struct host_scenario *s = start("0 rescind 0\n1 rescind 0\n");

	refuse = true;
	at(s, 0);
	CU_ASSERT_EQUAL(host_scenario_failures(s), 1);
	refuse = false;
	at(s, 1000);
	CU_ASSERT_EQUAL(host_scenario_failures(s), 1);
	CU_ASSERT_TRUE(host_scenario_ended(s));
	host_scenario_free(s);
}

static void
test_bad_files(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", ":0: there is no command in it"},
		{"# a\n\n1 linc 0 up=true\n", ":3: 'linc' is no command of a scenario: link, vf, "
					      "set, trace, rescind, offer or end"},
		{"1 stats 0\n", ":1: 'stats' is no command of a scenario"},
		{"soon link 0 up=true\n", ":1: 'soon' is no time"},
		{"-1 link 0 up=true\n", ":1: '-1' is no time"},
		{"nan link 0 up=true\n", ":1: 'nan' is no time"},
		{"1h link 0 up=true\n", ":1: '1h' is no time"},
		{"1e99 link 0 up=true\n", ":1: '1e99' is no time"},
		{"1\n", ":1: a command is missing"},
		{"1 link up=true\n", ":1: 'link' needs the number of a NIC"},
		{"1 link 2 up=true\n", ":1: there is no NIC 2; the last one is 1"},
		{"1 link x up=true\n", ":1: 'x' is no NIC's number"},
		{"1 link 0 on\n", ":1: 'on' is not KEY=VALUE"},
		{"1 link down\n", ":1: 'link' needs the number of a NIC"},
		{"1 link 0 =true\n", ":1: 'link 0 =true' is no command"},
		{"1 set 0 name=stal value=1\n", ":1: there is no knob stal"},
		{"1 link 0 up=false\n2 link 0 nic=1 up=false\n",
			":2: 'nic=1': the command and the NIC's number stand before the keys"},
		{"1 link 0 up=false cmd=rescind\n", ":1: 'cmd=rescind': the command and"},
		{"1 link 0 up=false up=true\n", ":1: up is there twice"},
		{"1 vf 0 present=true serail=7\n", ":1: vf knows no 'serail'; it takes present"},
		{"every 1 to 2 rescind 0 after=3\n", ":1: rescind knows no 'after'"},
		{"1 trace 0 file=x on=false\n", ":1: trace takes file=FILE, or on, or off"},
		{"every link 0 up=true\n", ":1: every needs a period"},
		{"every 1us link 0 up=true\n", ":1: every needs a period"},
		{"every 0 link 0 up=true\n", ":1: every needs a period"},
		{"every\n", ":1: every needs a period"},
		{"every 1 from 3 to 2 rescind 0\n", ":1: it would end before it begins"},
		{"every 1 to x rescind 0\n", ":1: 'x' is no time"},
		{"every 1 end\n", ":1: it ends once"},
		{"every 1 rescind 0\nwait 0 state=running\n", ":2: an every above has no end"},
		{"wait 0\n", ":1: wait needs a NIC and what"},
		{"wait within 0 state=running\n", ":1: wait needs a NIC and what"},
		{"wait 7 state=running\n", ":1: there is no NIC 7"},
		{"# a\nwait 0 rx_frames>=1OOO\n", ":2: '1OOO' is no whole number"},
		{"wait 0 rx_frames>=1k\n", ":1: '1k' is no whole number"},
		{"wait 0 rx_frames>=\n", ":1: '' is no whole number"},
		{"wait 0 rx_frames>=-1\n", ":1: '-1' is no whole number"},
		{"wait 0 rx_frames>=nan\n", ":1: 'nan' is no whole number"},
		{"wait 0 rx_frames>=0x10\n", ":1: '0x10' is no whole number"},
		{"wait 0 rx_frames>=1.5\n", ":1: '1.5' is no whole number"},
		{"wait 0 rx_frames>=18446744073709551616\n", ":1: '18446744073709551616' is no"},
		{"wait 0 state>=running\n", ":1: 'running' is no whole number"},
		{"wait 0 >=5\n", ":1: wait needs a NIC and what"},
		{"wait 0 >5\n", ":1: wait needs a NIC and what"},
		{"wait 0 x>y=5\n", ":1: wait needs a NIC and what"},
		{"1 a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7\n",
			":1: more than 32 words"},
	};
	char expected[256];
	struct host_scenario *s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(load(&s, cases[i].text), -EINVAL);
		CU_ASSERT_PTR_NULL(s);
		snprintf(expected, sizeof(expected), "%s%s", path, cases[i].says);
		if (strncmp(why, expected, strlen(expected)) != 0)
			printf("%s: %s\n", cases[i].text, why);
		CU_ASSERT_EQUAL(strncmp(why, expected, strlen(expected)), 0);
	}
	CU_ASSERT_EQUAL(host_scenario_load(&s, "/no/such", 1, why, sizeof(why)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(why, "cannot read the scenario /no/such: No such file or directory");
	CU_ASSERT_EQUAL(host_scenario_load(&s, dir, 1, why, sizeof(why)), -EISDIR);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"commands at their times", test_times},
		{"words without a key", test_words_without_a_key},
		{"every", test_every},
		{"the end of an endless one", test_end_of_an_endless_one},
		{"a turn is bounded", test_a_turn_is_bounded},
		{"wait, and times since then", test_wait},
		{"a wait that comes to nothing", test_wait_for_nothing},
		{"a wait for a number that is none", test_wait_for_a_number_that_is_none},
		{"a wait for a large number", test_wait_for_a_large_number},
		{"a command that fails", test_a_command_that_fails},
		{"bad files are named by line", test_bad_files},
	};
	int rc;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/scenario", dir);
	rc = UNIT_RUN("host_scenario", tests);

	unlink(path);
	return rmdir(dir) == 0 ? rc : EXIT_FAILURE;
}
