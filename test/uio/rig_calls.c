/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of the C library that the rig stands in front of. What is not about a NIC goes to the
 * kernel as it is. Built without _FILE_OFFSET_BITS and _FORTIFY_SOURCE, so that every name can be
 * defined: both the plain and the "64" ones, and the checking ones that fortified programs call.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "test/uio/rig.h"

#define EXPORT __attribute__((visibility("default")))
#define SYSFS  "/sys/bus/vmbus"
#define DEV    "/dev/uio"
#define MAJOR  245 /* of the specification's fixture */

struct rig_options rig_options;
pthread_mutex_t rig_lock;
_Atomic(struct rig_file *) rig_files[RIG_MAX_FDS];

static pthread_once_t started = PTHREAD_ONCE_INIT;
static bool enabled;
/* A thread of the process that is no part of the guest: what it maps is not the guest's memory. */
static __thread bool outside;

/* For a process that is its own host: its host's threads say so, and never wait for the rig. */
EXPORT void rig_outside_thread(void);

EXPORT void
rig_outside_thread(void)
{
	outside = true;
}

static void *
next_symbol(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (symbol == NULL) {
		fprintf(stderr, "rig: no %s in the C library\n", name);
		abort();
	}
	return symbol;
}

/* ---- options ---- */

static bool
option_is(const char *name, const char *value)
{
	const char *text = getenv(name);

	return text != NULL && strcmp(text, value) == 0;
}

static void
options_sockets(const char *list)
{
	while (*list != '\0' && rig_options.n_sockets < RIG_MAX_SLOTS) {
		size_t len = strcspn(list, ":");

		if (len > 0 && len < sizeof(rig_options.sockets[0]))
			memcpy(rig_options.sockets[rig_options.n_sockets++], list, len);
		list += len + (list[len] == ':');
	}
}

__attribute__((constructor)) static void
rig_init(void)
{
	const char *sockets = getenv("RIG_SOCKETS"), *dir = getenv("RIG_DIR"),
		   *state = getenv("RIG_STATE"), *late = getenv("RIG_RING_LATE_MS");
	pthread_mutexattr_t attr;

	if (sockets == NULL || sockets[0] == '\0')
		return;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&rig_lock, &attr);
	options_sockets(sockets);
	snprintf(rig_options.dir, sizeof(rig_options.dir), "%s", dir == NULL ? "" : dir);
	rig_options.physical = option_is("RIG_IOVA", "pa");
	rig_options.masks = option_is("RIG_MASKS", "1");
	rig_options.no_monitor = option_is("RIG_MONITOR", "none");
	rig_options.call_primary = option_is("RIG_CALL", "primary");
	rig_options.deny_node = option_is("RIG_DENY", "node");
	rig_options.deny_rings = option_is("RIG_DENY", "rings");
	rig_options.verbose = option_is("RIG_VERBOSE", "1");
	if (getenv("RIG_UNBOUND") != NULL)
		snprintf(rig_options.unbound, sizeof(rig_options.unbound), "%s",
			getenv("RIG_UNBOUND"));
	rig_options.late_ms = late == NULL ? 20 : (unsigned int)atoi(late);
	rig_options.state = state == NULL ? -1 : atoi(state);
	enabled = true;
}

__attribute__((destructor)) static void
rig_fini(void)
{
	if (enabled)
		rig_stop();
	enabled = false;
}

void
rig_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("rig: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* ---- paths ---- */

/* N of "/dev/uioN", or -1. */
static int
uio_number(const char *path)
{
	char *end;
	long n;

	if (strncmp(path, DEV, sizeof(DEV) - 1) != 0 || path[sizeof(DEV) - 1] < '0' ||
		path[sizeof(DEV) - 1] > '9')
		return -1;
	n = strtol(path + sizeof(DEV) - 1, &end, 10);
	return *end == '\0' && n < 1000000 ? (int)n : -1;
}

static bool
is_sysfs(const char *path)
{
	size_t n = sizeof(SYSFS) - 1;

	return strncmp(path, SYSFS, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static const char *
redirect(const char *path, char buffer[RIG_PATH])
{
	if (!enabled || path == NULL || !(is_sysfs(path) || uio_number(path) >= 0))
		return path;
	pthread_once(&started, rig_start);
	if (snprintf(buffer, RIG_PATH, "%s%s", rig_options.dir, path) >= (int)RIG_PATH)
		return path;
	return buffer;
}

static bool
is_ring(const char *path)
{
	size_t n = strlen(path);

	return n > 5 && strcmp(path + n - 5, "/ring") == 0 && strstr(path, "/channels/") != NULL;
}

static int
do_open(int dir, const char *path, int flags, mode_t mode)
{
	char buffer[RIG_PATH];
	const char *real = redirect(path, buffer);

	if (real == path)
		return (int)syscall(SYS_openat, dir, path, flags, mode);
	if (uio_number(path) >= 0)
		return rig_uio_open(uio_number(path), flags);
	if (is_ring(path))
		return rig_ring_open(real, flags);
	return (int)syscall(SYS_openat, AT_FDCWD, real, flags, mode);
}

#define OPEN_MODE(flags, mode)                                                                     \
	do {                                                                                       \
		if ((flags) & (O_CREAT | __O_TMPFILE)) {                                           \
			va_list args_;                                                             \
			va_start(args_, flags);                                                    \
			mode = va_arg(args_, mode_t);                                              \
			va_end(args_);                                                             \
		}                                                                                  \
	} while (0)

EXPORT int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return do_open(AT_FDCWD, path, flags, mode);
}

EXPORT int
open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return do_open(AT_FDCWD, path, flags, mode);
}

EXPORT int
openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return do_open(dir, path, flags, mode);
}

EXPORT int
openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	OPEN_MODE(flags, mode);
	return do_open(dir, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

EXPORT int
__open_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

EXPORT int
__open64_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

EXPORT int
__openat_2(int dir, const char *path, int flags)
{
	return do_open(dir, path, flags, 0);
}

EXPORT int
__openat64_2(int dir, const char *path, int flags)
{
	return do_open(dir, path, flags, 0);
}

EXPORT FILE *
fopen(const char *path, const char *mode)
{
	static FILE *(*next)(const char *, const char *);
	char buffer[RIG_PATH];

	if (next == NULL)
		next = next_symbol("fopen");
	return next(redirect(path, buffer), mode);
}

EXPORT FILE *
fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

EXPORT DIR *
opendir(const char *path)
{
	static DIR *(*next)(const char *);
	char buffer[RIG_PATH];

	if (next == NULL)
		next = next_symbol("opendir");
	return next(redirect(path, buffer));
}

EXPORT int
access(const char *path, int mode)
{
	char buffer[RIG_PATH];

	return (int)syscall(SYS_faccessat, AT_FDCWD, redirect(path, buffer), mode);
}

EXPORT ssize_t
readlink(const char *path, char *out, size_t len)
{
	char buffer[RIG_PATH];

	return syscall(SYS_readlinkat, AT_FDCWD, redirect(path, buffer), out, len);
}

ssize_t __readlink_chk(const char *path, char *out, size_t len, size_t size);

EXPORT ssize_t
__readlink_chk(const char *path, char *out, size_t len, size_t size)
{
	return readlink(path, out, len < size ? len : size);
}

/* struct stat and struct stat64 are one layout here, and the kernel's. */
static int
do_stat(int dir, const char *path, void *st, int flags)
{
	char buffer[RIG_PATH];

	return (int)syscall(SYS_newfstatat, dir, redirect(path, buffer), st, flags);
}

EXPORT int
stat(const char *path, struct stat *st)
{
	return do_stat(AT_FDCWD, path, st, 0);
}

EXPORT int
stat64(const char *path, struct stat64 *st)
{
	return do_stat(AT_FDCWD, path, st, 0);
}

EXPORT int
lstat(const char *path, struct stat *st)
{
	return do_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int
lstat64(const char *path, struct stat64 *st)
{
	return do_stat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int
fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return do_stat(dir, path, st, flags);
}

EXPORT int
fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return do_stat(dir, path, st, flags);
}

EXPORT int
fstat(int fd, struct stat *st)
{
	struct rig_file *file = rig_file_of(fd);
	int rc = (int)syscall(SYS_fstat, fd, st);

	if (rc == 0 && file != NULL && file->kind == RIG_FILE_UIO) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(MAJOR, file->device->number);
	}
	return rc;
}

EXPORT int
fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

/* ---- descriptors ---- */

/* Those that may block go through the C library: they are points where a thread is cancelled. */
static ssize_t (*next_read)(int, void *, size_t);
static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_recvmsg)(int, struct msghdr *, int);

__attribute__((constructor)) static void
resolve(void)
{
	next_read = next_symbol("read");
	next_write = next_symbol("write");
	next_recvmsg = next_symbol("recvmsg");
}

EXPORT ssize_t
read(int fd, void *buf, size_t len)
{
	struct rig_file *file = rig_file_of(fd);

	if (file == NULL || file->kind == RIG_FILE_UEVENT)
		return next_read == NULL ? syscall(SYS_read, fd, buf, len)
					 : next_read(fd, buf, len);
	if (file->kind == RIG_FILE_RING) {
		errno = EIO; /* mmap only (§6) */
		return -1;
	}
	return rig_uio_read(fd, buf, len);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);

EXPORT ssize_t
__read_chk(int fd, void *buf, size_t len, size_t size)
{
	return read(fd, buf, len < size ? len : size);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t len)
{
	struct rig_file *file = rig_file_of(fd);

	if (file == NULL)
		return next_write == NULL ? syscall(SYS_write, fd, buf, len)
					  : next_write(fd, buf, len);
	if (file->kind != RIG_FILE_UIO) {
		errno = EIO;
		return -1;
	}
	return rig_uio_write(fd, buf, len);
}

EXPORT int
close(int fd)
{
	return rig_file_of(fd) == NULL ? (int)syscall(SYS_close, fd) : rig_file_close(fd);
}

EXPORT int
flock(int fd, int operation)
{
	struct rig_file *file = rig_file_of(fd);

	if (file != NULL && file->kind == RIG_FILE_UIO)
		return rig_file_flock(fd, operation);
	return (int)syscall(SYS_flock, fd, operation);
}

/* The kernel's device events: a socket pair plays the multicast group (§4). */
EXPORT int
socket(int domain, int type, int protocol)
{
	if (enabled && domain == AF_NETLINK && protocol == NETLINK_KOBJECT_UEVENT)
		return rig_uevent_socket(type);
	return (int)syscall(SYS_socket, domain, type, protocol);
}

EXPORT int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct rig_file *file = rig_file_of(fd);

	if (file != NULL && file->kind == RIG_FILE_UEVENT)
		return 0;
	return (int)syscall(SYS_bind, fd, addr, len);
}

EXPORT ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct rig_file *file = rig_file_of(fd);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};
	void *name = msg->msg_name;
	socklen_t room = msg->msg_namelen;
	ssize_t n;

	if (file == NULL || file->kind != RIG_FILE_UEVENT)
		return next_recvmsg == NULL ? syscall(SYS_recvmsg, fd, msg, flags)
					    : next_recvmsg(fd, msg, flags);
	msg->msg_name = NULL;
	msg->msg_namelen = 0;
	n = syscall(SYS_recvmsg, fd, msg, flags);
	msg->msg_name = name;
	if (n >= 0 && name != NULL) {
		memcpy(name, &kernel, room < sizeof(kernel) ? room : sizeof(kernel));
		msg->msg_namelen = sizeof(kernel);
	}
	return n;
}

/* ---- memory ---- */

static void *
raw_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

static void *
mmap_file(void *addr, size_t len, int prot, int flags, struct rig_file *file, off_t offset)
{
	void *p = MAP_FAILED;
	int fd;

	pthread_mutex_lock(&rig_lock);
	fd = flags & MAP_SHARED ? rig_file_backing(file, len, &offset) : -1;
	if (fd >= 0) {
		if (flags & MAP_FIXED)
			rig_area_forget(addr, len);
		p = raw_mmap(addr, len, prot, flags, fd, offset);
		if (p != MAP_FAILED)
			rig_area_device(p, len, file);
	} else if (!(flags & MAP_SHARED)) {
		errno = EINVAL;
	}
	pthread_mutex_unlock(&rig_lock);
	return p;
}

EXPORT void *
mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	bool shared = (flags & (MAP_SHARED | MAP_PRIVATE)) == MAP_SHARED && fd >= 0 &&
		      !(flags & MAP_ANONYMOUS);
	struct rig_file *file = rig_file_of(fd);
	void *p;

	if (!enabled || outside || (!shared && !(flags & MAP_FIXED) && file == NULL))
		return raw_mmap(addr, len, prot, flags, fd, offset);
	if (file != NULL && file->kind != RIG_FILE_UEVENT)
		return mmap_file(addr, len, prot, flags, file, offset);
	/* One step for all who look at the table: the host forgets, then the pages go. */
	pthread_mutex_lock(&rig_lock);
	if (flags & MAP_FIXED)
		rig_area_forget(addr, len);
	p = raw_mmap(addr, len, prot, flags, fd, offset);
	if (p != MAP_FAILED && shared) {
		int saved = errno;

		rig_area_memory(p, len, fd, offset);
		errno = saved;
	}
	pthread_mutex_unlock(&rig_lock);
	return p;
}

EXPORT void *
mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return mmap(addr, len, prot, flags, fd, offset);
}

EXPORT int
munmap(void *addr, size_t len)
{
	int rc;

	if (!enabled || outside)
		return (int)syscall(SYS_munmap, addr, len);
	pthread_mutex_lock(&rig_lock);
	rig_area_forget(addr, len);
	rc = (int)syscall(SYS_munmap, addr, len);
	pthread_mutex_unlock(&rig_lock);
	return rc;
}
