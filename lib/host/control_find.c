/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which control socket is meant when none is named: that of the only host that runs. Looked for
 * where hosts put it by default, and, by the kernel's list of sockets, wherever --dir may have put
 * it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/host/control_internal.h"
#include "lib/vfio_user/sockets.h"

#define NAME "control.sock"
/* Hosts that are named when there are several; more are counted. */
#define FOUND_MAX 8u

struct found {
	struct {
		char path[VFU_PATH_MAX];
		bool listed;
		dev_t dev;
		ino_t ino;
	} at[FOUND_MAX];
	unsigned int n, more;
	char foreign[VFU_PATH_MAX]; /* of another user: not to be used */
};

bool
control_is_path(const char *word)
{
	struct stat st;

	return strpbrk(word, "/.") != NULL || (stat(word, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* Others, too, call a socket so. Who cannot be looked at (another namespace) is believed. */
static bool
is_host(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[64], name[32] = "hvsim";
	FILE *f;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer.pid);
	f = fopen(path, "re");
	if (f == NULL)
		return true;
	if (fgets(name, sizeof(name), f) == NULL)
		name[0] = '\0';
	fclose(f);
	return strncmp(name, "hvsim", strlen("hvsim")) == 0;
}

/*
 * Does a host listen there? One whose queue is full does, where hosts are by default. Everybody may
 * listen anywhere, under any name: a server in the list must be one that may be asked.
 * @return 0 or a negative errno
 */
static int
check_served(const struct sockaddr_un *address, bool listed)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		rc = errno == EAGAIN && !listed ? 0 : -errno;
	else if (listed && !is_host(fd))
		rc = -ENOENT;
	else if (listed && !vfu_found_server_allowed(fd, address->sun_path))
		rc = -EACCES;
	close(fd);
	return rc;
}

static void
add(struct found *found, const char *path, bool listed)
{
	struct sockaddr_un address;
	struct stat st;
	unsigned int i;
	int rc;

	if (control_address(&address, path) != 0 || strlen(path) >= VFU_PATH_MAX ||
		stat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	/* A directory may be named in two ways. */
	for (i = 0; i < found->n; i++)
		if (found->at[i].dev == st.st_dev && found->at[i].ino == st.st_ino)
			return;
	if (geteuid() != 0 && st.st_uid != 0 && st.st_uid != geteuid()) {
		strcpy(found->foreign, path);
		return;
	}
	rc = check_served(&address, listed);
	if (rc == -EACCES)
		strcpy(found->foreign, path);
	if (rc != 0)
		return;
	if (found->n == FOUND_MAX) {
		found->more++;
		return;
	}
	strcpy(found->at[found->n].path, path);
	found->at[found->n].listed = listed;
	found->at[found->n].dev = st.st_dev;
	found->at[found->n++].ino = st.st_ino;
}

static void
add_usual(struct found *found)
{
	char dir[VFU_PATH_MAX], path[VFU_PATH_MAX + sizeof(NAME)];
	int rc;

	for (unsigned int i = 0; (rc = vfu_client_dir(i, dir)) != -ENOENT; i++) {
		if (rc != 0)
			continue;
		snprintf(path, sizeof(path), "%s/" NAME, dir);
		add(found, path, false);
	}
}

/*
 * The kernel's list: "Num RefCount Protocol Flags Type St Inode Path", the flags of a listening
 * socket are __SO_ACCEPTCON.
 */
static void
add_listed(struct found *found)
{
	char *line = NULL, *path, real[PATH_MAX];
	unsigned int flags;
	size_t room = 0;
	int at;
	FILE *f = fopen("/proc/net/unix", "re");

	if (f == NULL)
		return;
	while (getline(&line, &room, f) > 0) {
		at = 0;
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %*u %n", &flags, &at) != 1 || at == 0 ||
			(flags & 0x10000) == 0)
			continue;
		path = line + at;
		path[strcspn(path, "\n")] = '\0';
		if (path[0] == '/' && strlen(path) > strlen("/" NAME) &&
			strcmp(path + strlen(path) - strlen("/" NAME), "/" NAME) == 0 &&
			realpath(path, real) != NULL)
			add(found, real, true);
	}
	free(line);
	fclose(f);
}

static int
several(const struct found *found, char *errbuf, size_t errlen)
{
	char list[FOUND_MAX * (VFU_PATH_MAX + 2)] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < found->n; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "",
			found->at[i].path);
	host_control_printable(list);
	snprintf(errbuf, errlen, "%u hosts run: name the control socket of one, %s",
		found->n + found->more, list);
	return -EEXIST;
}

int
host_control_find(char path[VFU_PATH_MAX], bool *listed, char *errbuf, size_t errlen)
{
	struct found found = {.n = 0};

	add_usual(&found);
	/* Who says where hosts are means no others. */
	if (getenv("HYPERPOLL_VFIO_USER_DIRS") == NULL)
		add_listed(&found);
	host_control_printable(found.foreign);
	if (found.n > 1)
		return several(&found, errbuf, errlen);
	if (found.n == 1) {
		strcpy(path, found.at[0].path);
		*listed = found.at[0].listed;
		return 0;
	}
	if (found.foreign[0] != '\0')
		snprintf(errbuf, errlen,
			"no host of yours runs; %s is another user's (try as that user%s)",
			found.foreign, geteuid() == 0 ? ", or name it" : " or root");
	else
		snprintf(errbuf, errlen,
			"no running host found; start hvsim, or name its control socket if --control "
			"put it elsewhere");
	return -ENOENT;
}
