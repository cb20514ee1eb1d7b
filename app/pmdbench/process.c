/* SPDX-License-Identifier: BSD-3-Clause */
/* Subjects as the first process sees them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/common/printed.h"
#include "app/pmdbench/process.h"
#include "lib/host/nic.h"
#include "lib/vfio_user/sockets.h"

#define ANSWER_MS      60000
#define SLOWER	       10 /* under callgrind */
#define STOP_TRIES     500
#define STOP_NS	       10000000L
#define CALLGRIND_FILE "callgrind"

/* The NIC of a subject: roomy, so that rings and sections are no limit. */
static void
nic_text(char *text, size_t len, uint32_t channels)
{
	snprintf(text, len, "channels=%u,spoof=on,outstanding=0", channels);
}

/* Where the subject will put its socket, for the rig, which wants to know it beforehand. */
static int
set_rig(const struct process_options *options, const struct process *process, const char *nic)
{
	char path[VFU_PATH_MAX], text[256], err[256] = "";
	struct host_nic_config config;
	int rc;

	snprintf(text, sizeof(text), "%s,port=sink", nic);
	rc = host_nic_config_parse(text, 0, &config, err, sizeof(err));
	if (rc == 0)
		rc = vfu_socket_path(process->dir, config.instance, path);
	if (rc != 0)
		return rc;
	setenv("RIG_SOCKETS", path, 1);
	/* As kernels that mask interrupts when the device is opened; in-tree never does itself. */
	setenv("RIG_MASKS", "1", 1);
	if (process->pmd == BENCH_HYPERPOLL_UIO)
		setenv("RIG_IOVA", "pa", 1);
	setenv("LD_PRELOAD", options->rig, 1);
	return 0;
}

static bool
uses_rig(enum bench_pmd pmd)
{
	return pmd == BENCH_HYPERPOLL_UIO || pmd == BENCH_IN_TREE;
}

static void __attribute__((noreturn)) become_subject(const struct process *process,
	const struct process_options *options, const struct bench_cell *cell, int fd)
{
	char out[256], nic[64], number[7][16], self[512];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *argv[40];
	int n = 0, null;

	/* By its name: of a program under valgrind, /proc/self/exe is valgrind. */
	self[len < 0 ? 0 : len] = '\0';
	nic_text(nic, sizeof(nic), bench_channels(cell->queues, cell->offloads));
	if (uses_rig(process->pmd) && set_rig(options, process, nic) != 0)
		_exit(127);
	snprintf(number[0], sizeof(number[0]), "%d", (int)process->pmd);
	snprintf(number[1], sizeof(number[1]), "%d", fd);
	snprintf(number[2], sizeof(number[2]), "%u", cell->queues);
	snprintf(number[3], sizeof(number[3]), "%d", options->cpu);
	snprintf(number[4], sizeof(number[4]), "%d", options->host_cpu);
	snprintf(number[5], sizeof(number[5]), "%d", (int)cell->offloads);
	if (process->counts) {
		snprintf(out, sizeof(out), "--callgrind-out-file=%s/" CALLGRIND_FILE, process->dir);
		argv[n++] = "valgrind";
		argv[n++] = "--tool=callgrind";
		argv[n++] = "-q";
		argv[n++] = out;
		argv[n++] = "--toggle-collect=counted_rx";
		argv[n++] = "--toggle-collect=counted_tx";
		argv[n++] = "--toggle-collect=counted_poll";
		argv[n++] = "--zero-before=count_begin";
		argv[n++] = "--dump-after=count_end";
	}
	argv[n++] = self;
	argv[n++] = "--subject";
	for (int i = 0; i < 5; i++)
		argv[n++] = number[i];
	argv[n++] = process->counts ? "1" : "0";
	argv[n++] = process->dir;
	argv[n++] = nic;
	argv[n++] = options->plugin;
	argv[n++] = number[5];
	argv[n] = NULL;
	/* Standard output is the table's. */
	null = open("/dev/null", O_RDWR);
	dup2(options->verbose ? STDERR_FILENO : null, STDOUT_FILENO);
	if (!options->verbose)
		dup2(null, STDERR_FILENO);
	fcntl(fd, F_SETFD, 0);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static void
receive_reply(struct process *process, struct bench_reply *reply)
{
	struct pollfd p = {process->fd, POLLIN, 0};

	if (poll(&p, 1, process->counts ? SLOWER * ANSWER_MS : ANSWER_MS) == 1 &&
		recv(process->fd, reply, sizeof(*reply), 0) == sizeof(*reply))
		return;
	memset(reply, 0, sizeof(*reply));
	reply->rc = p.revents != 0 ? -EPIPE : -ETIMEDOUT;
	snprintf(reply->error, sizeof(reply->error),
		"the process has %s; --verbose shows what it says",
		p.revents != 0 ? "ended" : "not answered");
}

int
process_start(struct process *process, const struct process_options *options, enum bench_pmd pmd,
	const struct bench_cell *cell, bool count, char *errbuf, size_t errlen)
{
	struct bench_reply ready;
	int pair[2];

	memset(process, 0, sizeof(*process));
	process->pmd = pmd;
	process->counts = count;
	snprintf(process->dir, sizeof(process->dir), "%s/%d%s", options->dir, (int)pmd,
		count ? "c" : "");
	if (mkdir(process->dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	process->fd = pair[0];
	process->pid = fork();
	if (process->pid == 0)
		become_subject(process, options, cell, pair[1]);
	close(pair[1]);
	if (process->pid < 0) {
		process->pid = 0;
		close(process->fd);
		return -EAGAIN;
	}
	receive_reply(process, &ready);
	if (ready.rc != 0) {
		snprintf(errbuf, errlen, "%s", ready.error);
		process_stop(process);
	}
	return ready.rc;
}

void
process_ask(struct process *process, const struct bench_request *request, struct bench_reply *reply)
{
	if (send(process->fd, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request)) {
		memset(reply, 0, sizeof(*reply));
		reply->rc = -EPIPE;
		snprintf(reply->error, sizeof(reply->error), "the process has ended");
		return;
	}
	receive_reply(process, reply);
	if (reply->rc == 0 && request->what == BENCH_COUNT)
		process->dumps++;
}

static bool
has_ended(pid_t pid)
{
	const struct timespec nap = {0, STOP_NS};

	for (int i = 0; i < STOP_TRIES; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

void
process_stop(struct process *process)
{
	const struct bench_request quit = {.what = BENCH_QUIT};

	if (process->pid == 0)
		return;
	if (send(process->fd, &quit, sizeof(quit), MSG_NOSIGNAL) != sizeof(quit) ||
		!has_ended(process->pid)) {
		kill(process->pid, SIGKILL);
		/* One that even this does not end is left behind: others are still to be measured.
		 */
		has_ended(process->pid);
	}
	process->pid = 0;
	close(process->fd);
}

/* Under a name that says what it is, for callgrind_annotate and test/bench/functions.py. */
static int
keep_file(const char *path, const char *keep, enum bench_pmd pmd, const struct bench_cell *cell,
	uint64_t frames)
{
	char name[512], line[512];
	FILE *in, *out;
	int rc = 0;

	snprintf(name, sizeof(name),
		"%s/%s-%s-%u-burst%u-ppis%u-queues%u-flows%u-offloads-%s-frames%llu" PROCESS_KEPT,
		keep, bench_pmd_names[pmd], bench_op_names[cell->op], cell->size, cell->burst,
		cell->ppis, cell->queues, cell->flows, bench_offload_names[cell->offloads],
		(unsigned long long)frames);
	in = fopen(path, "r");
	if (in == NULL)
		return -errno;
	out = fopen(name, "wx");
	if (out == NULL) {
		rc = -errno;
		fclose(in);
		return rc;
	}
	while (fgets(line, sizeof(line), in) != NULL)
		fputs(line, out);
	fclose(in);
	rc = printed(out);
	return fclose(out) != 0 && rc == 0 ? -errno : rc;
}

int
process_instructions(struct process *process, const char *keep, const struct bench_cell *cell,
	uint64_t frames, uint64_t *instructions)
{
	unsigned long long n = 0;
	char path[256], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/" CALLGRIND_FILE ".%u", process->dir, process->dumps);
	file = fopen(path, "r");
	if (file == NULL)
		return -errno;
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = sscanf(line, "summary: %llu", &n) == 1 ||
			sscanf(line, "totals: %llu", &n) == 1;
	fclose(file);
	*instructions = n;
	if (!found)
		return -EBADMSG;
	return keep == NULL ? 0 : keep_file(path, keep, process->pmd, cell, frames);
}
