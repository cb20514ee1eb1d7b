/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP clients, and programs that are run; see processes.h and changes.h. */
#include "app/vmbusctl/processes.h"
#include "app/vmbusctl/changes.h"
#include "lib/vmbus/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM_MS 10000
/* After SIGKILL; one in the kernel's hands ends only when they let go. */
#define KILL_MS	 1000
#define START_MS 2000
#define STOP_MS	 2000
/* Before Linux 5.9: there may be a limit of a thousand million, and nobody has so many. */
#define DESCRIPTORS_MAX 65536

/* ---- programs ---- */

/*
 * Not by PATH, which is the user's own when root came by su. A fixture has its own folder, or
 * nothing is run.
 */
static bool
find_program(const char *name, char path[VMBUS_SYSFS_PATH_MAX])
{
	static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
	const char *given = secure_getenv("HYPERPOLL_COMMANDS");
	size_t i;

	if (strchr(name, '/') != NULL)
		return false;
	if (secure_getenv("HYPERPOLL_SYSFS_ROOT") != NULL) {
		snprintf(path, VMBUS_SYSFS_PATH_MAX, "%s/%s", given == NULL ? "" : given, name);
		return given != NULL && access(path, X_OK) == 0;
	}
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, VMBUS_SYSFS_PATH_MAX, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

bool
ctl_has_program(const char *name)
{
	char path[VMBUS_SYSFS_PATH_MAX];

	return find_program(name, path);
}

static void
become_program(const char *path, const char *const *words, int output)
{
	static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(output < 0 ? null : output, 1);
	execve(path, (char *const *)words, environment);
	_exit(127);
}

/* What it prints, until it closes its output. @return 0 or -ETIMEDOUT */
static int
gather(int fd, char *output, size_t size, int64_t until)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char spare[512];
	size_t used = 0;
	int64_t left;
	ssize_t n;
	int rc;

	for (;;) {
		left = until - monotonic_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		rc = poll(&wait, 1, (int)left);
		/* Refused, as with a limit of 0 open files. */
		if (rc < 0 && errno != EINTR)
			poll(NULL, 0, 10);
		if (rc <= 0)
			continue;
		n = used + 1 < size ? read(fd, output + used, size - used - 1)
				    : read(fd, spare, sizeof(spare));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (used + 1 < size)
			used += (size_t)n;
	}
	output[used] = '\0';
	return 0;
}

static int
wait_for(pid_t pid, int64_t until)
{
	const struct timespec step = {.tv_nsec = 5000000};
	int status;
	pid_t got;

	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (monotonic_ms() >= until)
			return -ETIMEDOUT;
		nanosleep(&step, NULL);
	}
}

/* One that has not ended by then is killed, and left behind where even that takes long. */
static int
end_by(pid_t pid, int64_t until)
{
	int status = wait_for(pid, until);

	if (status == -ETIMEDOUT) {
		kill(pid, SIGKILL);
		wait_for(pid, monotonic_ms() + KILL_MS);
	}
	return status;
}

int
ctl_child_end(pid_t pid)
{
	return end_by(pid, monotonic_ms() + PROGRAM_MS);
}

int
ctl_program(const char *const *words, char *output, size_t size)
{
	const int64_t until = monotonic_ms() + PROGRAM_MS;
	char path[VMBUS_SYSFS_PATH_MAX];
	int ends[2] = {-1, -1}, rc = 0, status;
	pid_t pid;

	if (!find_program(words[0], path))
		return -ENOENT;
	if (output != NULL && pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become_program(path, words, ends[1]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (pid < 0)
		rc = -errno;
	else if (output != NULL)
		rc = gather(ends[0], output, size, until);
	if (ends[0] >= 0)
		close(ends[0]);
	if (pid < 0)
		return rc;
	status = end_by(pid, rc == 0 ? until : 0);
	return rc == 0 ? status : rc;
}

/* ---- processes ---- */

void
ctl_close_from(unsigned int first)
{
	if (syscall(SYS_close_range, first, ~0u, 0u) == 0)
		return;
	for (; first < DESCRIPTORS_MAX; first++)
		close((int)first);
}

int
ctl_process_start(const char *const *words)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	pid_t pid;
	int rc;

	if (!find_program(words[0], path))
		return -ENOENT;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* It outlives us: not with our terminal, folder or descriptors. */
		setsid();
		if (chdir("/") < 0)
			_exit(127);
		dup2(open("/dev/null", O_RDWR), 2);
		ctl_close_from(3);
		become_program(path, words, -1);
	}
	if (pid < 0)
		return -errno;
	rc = wait_for(pid, monotonic_ms() + START_MS);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static bool
read_started(const char *proc, const char *pid, char started[24])
{
	char path[64], line[1024], *at;
	int i;

	snprintf(path, sizeof(path), "%.15s/stat", pid);
	if (!ctl_read_line(proc, path, line, sizeof(line)))
		return false;
	/* The name in parentheses may hold anything; the start time is the 22nd field. */
	at = strrchr(line, ')');
	for (i = 0; at != NULL && i < 20; i++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return false;
	snprintf(started, 24, "%.*s", (int)strcspn(at + 1, " "), at + 1);
	return true;
}

static bool
read_process(const struct ctl *ctl, const char *pid, struct ctl_process *p)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	ssize_t n, at;
	int fd;

	memset(p, 0, sizeof(*p));
	snprintf(p->pid, sizeof(p->pid), "%.15s", pid);
	snprintf(path, sizeof(path), "%s/%.15s/cmdline", ctl->fs.proc, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, p->text, sizeof(p->text) - 1);
	close(fd);
	/* One that is cut off could not be started again as it was. */
	if (n <= 0 || n == (ssize_t)sizeof(p->text) - 1)
		return false;
	for (at = 0; at < n && p->n < CTL_ARGUMENTS_MAX; at += (ssize_t)strlen(p->text + at) + 1)
		p->arguments[p->n++] = p->text + at;
	return at >= n && p->n > 0 && read_started(ctl->fs.proc, pid, p->started);
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* All four of a process's user ids: one that a user started from a setuid program has his as well.
 */
static bool
is_roots(const char *proc, const char *pid)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[256];
	unsigned int id[4];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.15s/status", proc, pid);
	f = fopen(path, "re");
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "Uid: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4;
	if (f != NULL)
		fclose(f);
	return found && (id[0] | id[1] | id[2] | id[3]) == 0;
}

/*
 * Root's, and the program that its arguments say, as they are what it would be started with:
 * whoever starts a process chooses the first of them freely.
 */
static bool
is_genuine(const struct ctl *ctl, const struct ctl_process *p)
{
	char path[VMBUS_SYSFS_PATH_MAX], program[VMBUS_SYSFS_PATH_MAX];
	struct ctl_process now;
	struct stat is, named;

	snprintf(path, sizeof(path), "%s/%.15s/exe", ctl->fs.proc, p->pid);
	if (!is_roots(ctl->fs.proc, p->pid) || !find_program(base_of(p->arguments[0]), program) ||
		stat(path, &is) < 0 || stat(program, &named) < 0 || is.st_dev != named.st_dev ||
		is.st_ino != named.st_ino)
		return false;
	/* It may have become this only after its arguments were read. */
	return read_process(ctl, p->pid, &now) && strcmp(now.started, p->started) == 0 &&
	       memcmp(now.text, p->text, sizeof(now.text)) == 0;
}

static bool
serves(const struct ctl_process *p, const char *interface)
{
	static const char *const clients[] = {"dhclient", "dhcpcd", "udhcpc"};
	bool is_client = false;
	unsigned int i;

	for (i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		is_client |= strcmp(base_of(p->arguments[0]), clients[i]) == 0;
	for (i = 1; is_client && i < p->n; i++)
		if (strcmp(p->arguments[i], interface) == 0)
			return true;
	return false;
}

/* The first process for which `fits` holds. */
static bool
find_process(const struct ctl *ctl, bool (*fits)(const struct ctl_process *, const void *),
	const void *opaque, struct ctl_process *process)
{
	struct dirent *entry;
	bool found = false;
	uint32_t pid;
	DIR *d;

	d = opendir(ctl->fs.proc[0] == '\0' ? "/" : ctl->fs.proc);
	while (d != NULL && !found && (entry = readdir(d)) != NULL)
		found = vmbus_parse_u32(entry->d_name, INT32_MAX, &pid) == 0 &&
			read_process(ctl, entry->d_name, process) && fits(process, opaque) &&
			is_genuine(ctl, process);
	if (d != NULL)
		closedir(d);
	return found;
}

static bool
serves_it(const struct ctl_process *p, const void *interface)
{
	return serves(p, interface);
}

bool
ctl_dhcp_client(const struct ctl *ctl, const char *interface, struct ctl_process *process)
{
	return find_process(ctl, serves_it, interface, process);
}

static bool
has_arguments(const struct ctl_process *p, const void *opaque)
{
	const char *const *arguments = opaque;
	unsigned int i;

	if (strcmp(base_of(p->arguments[0]), base_of(arguments[0])) != 0)
		return false;
	for (i = 1; i < p->n; i++)
		if (arguments[i] == NULL || strcmp(p->arguments[i], arguments[i]) != 0)
			return false;
	return arguments[i] == NULL;
}

bool
ctl_process_runs(const struct ctl *ctl, const char *const *arguments)
{
	struct ctl_process process;

	return find_process(ctl, has_arguments, arguments, &process);
}

int
ctl_process_stop(const char *pid, const char *started)
{
	struct pollfd ended = {.events = POLLIN};
	uint32_t number;
	char now[24];
	int rc = 0;

	if (vmbus_parse_u32(pid, INT32_MAX, &number) < 0 || number < 2)
		return -EINVAL;
	/* The descriptor first: what it stands for cannot become another process any more. */
	ended.fd = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
	if (ended.fd < 0)
		return errno == ESRCH ? 0 : -errno;
	/* Of this machine, whatever a fixture says: it is one of this machine's that ends. */
	if (read_started("/proc", pid, now) && strcmp(now, started) == 0) {
		if (syscall(SYS_pidfd_send_signal, ended.fd, SIGTERM, NULL, 0) < 0)
			rc = errno == ESRCH ? 0 : -errno;
		else if (poll(&ended, 1, STOP_MS) != 1)
			rc = -ETIMEDOUT;
	}
	close(ended.fd);
	return rc;
}
