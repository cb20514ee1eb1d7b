/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces and captures of a host: the port that writes frames down, whose file is whose. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/host/nic.h"
#include "lib/host/trace_file.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/host_trace_file.XXXXXX";
static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 0x48, 0x00, 0x01};

static const char *
in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static struct host_port *
captured(const char *spec, const char *file)
{
	struct host_port *inner = NULL, *port;
	struct trace *trace = NULL;
	char why[512] = "";

	CU_ASSERT_EQUAL_FATAL(host_port_open(spec, mac, &inner, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL_FATAL(host_trace_open(file, &trace, why, sizeof(why)), 0);
	port = port_capture_new(inner, trace, 128, "nic0", "test");
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	return port;
}

static unsigned int
receive(struct host_port *port)
{
	static uint8_t data[HOST_PORT_BURST][2048];
	struct host_frame frames[HOST_PORT_BURST];

	for (unsigned int i = 0; i < HOST_PORT_BURST; i++)
		frames[i] = (struct host_frame){data[i], 0, sizeof(data[i])};
	return port->ops->receive(port, frames, HOST_PORT_BURST);
}

static void
a_new_rate_reaches_the_generator_behind_a_capture(void)
{
	struct host_port *port = captured("gen", in_dir("rate"));

	CU_ASSERT_EQUAL(receive(port), HOST_PORT_BURST);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port->ops->set_rate);
	port->ops->set_rate(port, 1);
	CU_ASSERT_EQUAL(receive(port), 1);
	port->ops->close(port);
}

/* Each function of the other's would take this port for its own. */
static void
no_function_of_the_other_port_is_called_with_the_capture(void)
{
	static const char *const specs[] = {"gen", "sink", "echo", "switch:capture"};

	for (unsigned int i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct host_port *port = captured(specs[i], in_dir("ops")), *plain = NULL;
		const struct host_port_ops *ours = port->ops, *theirs;
		char why[512];

		CU_ASSERT_EQUAL_FATAL(host_port_open(specs[i], mac, &plain, why, sizeof(why)), 0);
		theirs = plain->ops;
		CU_ASSERT_STRING_EQUAL(ours->kind, theirs->kind);
		CU_ASSERT_EQUAL(ours->on_demand, theirs->on_demand);
		CU_ASSERT_EQUAL(ours->carries_work, theirs->carries_work);
		CU_ASSERT_FALSE(ours->in_place);
#define OWN(op)                                                                                    \
	CU_ASSERT((ours->op == NULL) == (theirs->op == NULL));                                     \
	CU_ASSERT(ours->op == NULL || ours->op != theirs->op)
		OWN(receive);
		OWN(send);
		OWN(flush);
		OWN(fd);
		OWN(deadline);
		OWN(stats);
		OWN(close);
		OWN(set_rate);
#undef OWN
		plain->ops->close(plain);
		port->ops->close(port);
	}
}

/* ---- the files of a NIC ---- */

static unsigned int
entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned int n = 0;
	struct dirent *e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* One that was joined may be seen for a moment. */
static bool
threads_become(unsigned int n)
{
	for (unsigned int i = 0; i < 5000 && entries("/proc/self/task") != n; i++)
		usleep(1000);
	return entries("/proc/self/task") == n;
}

/* @param text with %s for the test's folder, up to five of them */
static struct host_nic *
nic_of(const char *text)
{
	const struct host_transport transport = {0};
	struct host_nic_config c;
	struct host_nic *nic = NULL;
	char words[512], why[512] = "";

	snprintf(words, sizeof(words), text, dir, dir, dir, dir, dir);
	CU_ASSERT_EQUAL_FATAL(host_nic_config_parse(words, 0, &c, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL_FATAL(host_nic_create(&c, &transport, &nic, why, sizeof(why)), 0);
	return nic;
}

/* Between the two root becomes the user: a thread would be in the way, a file be root's. */
static void
files_and_their_threads_come_when_the_nic_is_told(void)
{
	char why[512] = "";
	struct host_nic *nic;
	unsigned int files = entries(dir);

	CU_ASSERT_TRUE(threads_become(1));
	nic = nic_of("trace=%s/t,capture=%s/c,vf-port=pcap:out=%s/v,port=pcap:out=%s/p");
	CU_ASSERT_EQUAL(entries(dir), files);
	CU_ASSERT_EQUAL(entries("/proc/self/task"), 1);
	CU_ASSERT_EQUAL(host_nic_record(nic, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(entries(dir), files + 4);
	CU_ASSERT_EQUAL(entries("/proc/self/task"), 3);
	host_nic_destroy(nic);
	CU_ASSERT_TRUE(threads_become(1));
}

static void
a_nic_whose_files_cannot_be_made_says_which_and_ends(void)
{
	static const char *const texts[] = {"trace=%s/no/t,port=sink", "capture=%s/no/t,port=sink",
		"vf-port=pcap:out=%s/no/t,port=sink", "port=pcap:out=%s/no/t"};

	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct host_nic *nic = nic_of(texts[i]);
		char why[512] = "";

		CU_ASSERT(host_nic_record(nic, why, sizeof(why)) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, in_dir("no/t")));
		host_nic_destroy(nic);
	}
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a new rate reaches the generator behind a capture",
			a_new_rate_reaches_the_generator_behind_a_capture},
		{"no function of the other port is called with the capture",
			no_function_of_the_other_port_is_called_with_the_capture},
		{"files and their threads come when the NIC is told",
			files_and_their_threads_come_when_the_nic_is_told},
		{"a NIC whose files cannot be made says which and ends",
			a_nic_whose_files_cannot_be_made_says_which_and_ends},
	};

	return UNIT_RUN_IN(dir, "host_trace_file", tests);
}
