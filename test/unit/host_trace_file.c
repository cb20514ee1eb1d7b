/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces and captures of a host: the port that writes frames down, whose file is whose. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/host/nic.h"
#include "lib/host/trace_file.h"
#include "test/unit/threads.h"
#include "test/unit/unit.h"

static char dir[] = "/tmp/host_trace_file.XXXXXX";
static const uint8_t mac[6] = {0x00, 0x15, 0x5d, 0x48, 0x00, 0x01};

/* ---- memory that is not there ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

static unsigned int refuse; /* 0: none, else the so many-th from now on */

void *
__wrap_malloc(size_t size)
{
	return refuse != 0 && --refuse == 0 ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return refuse != 0 && --refuse == 0 ? NULL : __real_calloc(n, size);
}

static const char *
in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

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

static struct host_port *
captured(const char *spec, const char *file)
{
	struct host_port *inner = NULL, *port;
	struct trace *trace = NULL;
	char why[512] = "";

	CU_ASSERT_TRUE(threads_become(1));
	CU_ASSERT_EQUAL_FATAL(host_port_open(spec, mac, &inner, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL_FATAL(host_trace_open(file, false, &trace, why, sizeof(why)), 0);
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
	CU_ASSERT_EQUAL(threads(), 1);
	CU_ASSERT_EQUAL(host_nic_record(nic, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(entries(dir), files + 4);
	CU_ASSERT_EQUAL(threads(), 3);
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

static void
whatever_finds_no_memory_has_a_sentence_for_it(void)
{
	unsigned int n, failed = 0;
	int rc = -ENOMEM;

	for (n = 1; rc != 0; n++) {
		struct host_nic *nic = nic_of("trace=%s/t,capture=%s/c,port=pcap:out=%s/p");
		char why[512] = "";

		refuse = n;
		rc = host_nic_record(nic, why, sizeof(why));
		refuse = 0;
		if (rc != 0) {
			CU_ASSERT_EQUAL_FATAL(rc, -ENOMEM);
			CU_ASSERT_STRING_NOT_EQUAL(why, "");
			failed++;
		}
		host_nic_destroy(nic);
		CU_ASSERT_TRUE(threads_become(1));
	}
	/* Twice an entry, a trace, its buffer and its interfaces; the port in front; the tap. */
	CU_ASSERT_EQUAL(failed, 10);
}

static off_t
size_of(const char *name)
{
	struct stat st = {.st_size = -1};

	stat(in_dir(name), &st);
	return st.st_size;
}

/* The head of a capture without frames. */
static void
make_capture(const char *name)
{
	struct host_port *port = NULL;
	char spec[160], why[512];

	CU_ASSERT_TRUE(threads_become(1));
	snprintf(spec, sizeof(spec), "pcap:out=%s", in_dir(name));
	CU_ASSERT_EQUAL_FATAL(host_port_open(spec, mac, &port, why, sizeof(why)), 0);
	port->ops->close(port);
	CU_ASSERT_EQUAL_FATAL(size_of(name), 24);
}

static void
a_file_of_a_port_is_not_emptied_by_another_use(void)
{
	static const char *const cases[][2] = {
		{"capture=%s/used,port=pcap:in=%s/used", "a port plays it (in=)"},
		{"trace=%s/used,port=pcap:in=%s/used", "a port plays it (in=)"},
		{"trace=%s/link,port=pcap:in=%s/used", "a port plays it (in=)"},
		{"vf-port=pcap:out=%s/used,port=pcap:in=%s/used", "a port plays it (in=)"},
		{"capture=%s/used,port=pcap:out=%s/used", "a port records into it (out=)"},
		{"trace=%s/used,port=pcap:out=%s/link", "a port records into it (out=)"},
		{"vf-port=pcap:out=%s/used,port=pcap:out=%s/used", "a port records into it (out=)"},
		{"capture=%s/used,vf-port=pcap:out=%s/used,port=sink",
			"a trace or capture goes into it"},
	};
	char target[160], why[512];
	struct host_nic *nic;

	make_capture("used");
	snprintf(target, sizeof(target), "%s", in_dir("used"));
	CU_ASSERT_EQUAL(symlink(target, in_dir("link")), 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = '\0';
		make_capture("used");
		nic = nic_of(cases[i][0]);
		CU_ASSERT_EQUAL(host_nic_record(nic, why, sizeof(why)), -EBUSY);
		if (strstr(why, cases[i][1]) == NULL)
			printf("%s: %s\n", cases[i][0], why);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, cases[i][1]));
		host_nic_destroy(nic);
		CU_ASSERT(size_of("used") >= 24);
	}
	/* Whoever had it has given it back. */
	CU_ASSERT_TRUE(threads_become(1));
	nic = nic_of("trace=%s/used,port=sink");
	CU_ASSERT_EQUAL(host_nic_record(nic, why, sizeof(why)), 0);
	host_nic_destroy(nic);
}

static void
what_was_played_and_removed_is_in_nobodys_way(void)
{
	struct host_nic *nic;
	struct trace *trace = NULL;
	char why[512] = "", to[160];

	make_capture("played");
	nic = nic_of("port=pcap:in=%s/played");
	/* The same inode under another name, as a new file may get the number of a removed one. */
	snprintf(to, sizeof(to), "%s", in_dir("renamed"));
	CU_ASSERT_EQUAL(rename(in_dir("played"), to), 0);
	CU_ASSERT_EQUAL(host_trace_open(to, false, &trace, why, sizeof(why)), 0);
	CU_ASSERT_TRUE(host_trace_close(trace, 60000));
	host_nic_destroy(nic);
}

static void
nics_that_play_one_file_do_not_mind(void)
{
	char why[512] = "";
	struct host_nic *a, *b;

	make_capture("played");
	a = nic_of("port=pcap:in=%s/played");
	b = nic_of("port=pcap:in=%s/played");
	CU_ASSERT_EQUAL(host_nic_record(a, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(host_nic_record(b, why, sizeof(why)), 0);
	host_nic_destroy(a);
	host_nic_destroy(b);
}

/* ---- a writer that was left behind ---- */

static void
a_file_gets_no_second_writer_while_the_first_one_lives(void)
{
	static uint8_t data[4096];
	struct iovec part = {data, sizeof(data)};
	struct trace *trace = NULL, *second = NULL;
	char fifo[160], why[512] = "";
	int fd, interface, rc;

	CU_ASSERT_TRUE(threads_become(1));
	snprintf(fifo, sizeof(fifo), "%s", in_dir("fifo"));
	CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(host_trace_open(fifo, false, &trace, why, sizeof(why)), 0);
	interface = trace_interface(trace, TRACE_LINK_ETHERNET, "x", "");
	/* More than a pipe holds, and nobody reads. */
	for (unsigned int i = 0; i < 256; i++)
		trace_put(trace, interface, trace_clock(), TRACE_FLAG_NONE, &part, 1, sizeof(data));
	CU_ASSERT_FALSE(host_trace_close(trace, 20));
	CU_ASSERT_EQUAL(host_trace_open(fifo, false, &second, why, sizeof(why)), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, fifo));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "wait until it is, or give another file"));
	CU_ASSERT_EQUAL(threads(), 2);
	/* It ends with its reader; then the file is free again. */
	close(fd);
	CU_ASSERT_TRUE(threads_become(1));
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	rc = host_trace_open(fifo, false, &second, why, sizeof(why));
	CU_ASSERT_EQUAL(rc, 0);
	if (rc == 0)
		host_trace_close(second, TRACE_CLOSE_MS);
	close(fd);
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
		{"whatever finds no memory has a sentence for it",
			whatever_finds_no_memory_has_a_sentence_for_it},
		{"a file of a port is not emptied by another use",
			a_file_of_a_port_is_not_emptied_by_another_use},
		{"what was played and removed is in nobody's way",
			what_was_played_and_removed_is_in_nobodys_way},
		{"NICs that play one file do not mind", nics_that_play_one_file_do_not_mind},
		{"a file gets no second writer while the first one lives",
			a_file_gets_no_second_writer_while_the_first_one_lives},
	};

	return UNIT_RUN_IN(dir, "host_trace_file", tests);
}
