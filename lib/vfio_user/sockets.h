/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Where the sockets of NICs are: the directories, the names, and a scan that never connects
 * (spec/vmbus-over-vfio-user.md §13).
 *
 * Owns nothing; any thread may call. Reads the environment (HYPERPOLL_VFIO_USER_DIRS,
 * XDG_RUNTIME_DIR).
 */
#ifndef HP_VFIO_USER_SOCKETS_H
#define HP_VFIO_USER_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/vmbus/guid.h"

/** Room for any usable socket path with its NUL (sun_path). */
#define VFU_PATH_MAX 108u
/** Most directories in the list. */
#define VFU_MAX_DIRS 16u

/**
 * Called for each socket found. @p guid in Hyper-V memory order.
 * @return 0 go on; anything else stops the scan and is returned
 */
typedef int (*vfu_scan_fn)(void *arg, const uint8_t guid[16], const char *path);

/**
 * Look for `<guid>.sock` (lower case, exactly) that is a socket owned by our user, root or whoever
 * the directory belongs to, and that we may connect to, in the client's directories:
 * HYPERPOLL_VFIO_USER_DIRS if set, else /run/hyperpoll and $XDG_RUNTIME_DIR/hyperpoll. Missing
 * directories are skipped. In order of directory, then of name; a GUID found in two directories is
 * reported twice.
 * @return 0, what @p fn returned, or a negative errno (-ENOMEM)
 */
int vfu_scan(vfu_scan_fn fn, void *arg);

/** The client's directory @p i, or -ENOENT after the last. @return 0; -ENAMETOOLONG: skip it */
int vfu_client_dir(unsigned int i, char dir[VFU_PATH_MAX]);

/**
 * The server's default directory: /run/hyperpoll for root, one below it for a root that will become
 * @p user (or NULL), that in XDG_RUNTIME_DIR for others.
 * @return 0; -ENOENT: not root and no XDG_RUNTIME_DIR; -ENAMETOOLONG
 */
int vfu_server_dir(char dir[VFU_PATH_MAX], const char *user);
/**
 * Make the directory (mode 0700) unless it exists, for a server that runs as @p uid and @p gid or
 * will do so when it has opened its devices. Parents are not made but /run/hyperpoll, by root: that
 * is for the directories of all users and stays root's, with mode 0755.
 * @param at  on an error: the directory that refuses, @p dir or one above it
 * @return 0; -EPERM it belongs to another user than @p uid or root, or others may write to it
 */
int vfu_dir_create(const char *dir, uid_t uid, gid_t gid, char at[VFU_PATH_MAX]);
/** The first directory on the path of @p dir that this user may not pass, or @p dir itself. */
void vfu_dir_refusing(const char *dir, char at[VFU_PATH_MAX]);

/**
 * For a server: does the peer of a connected UNIX socket run as our user or as root (§10, §15)? By
 * user only: process ids are reused.
 */
bool vfu_client_allowed(int sock);
/**
 * For a client that connected to @p path: does the server run as our user, as root, or as the user
 * to whom the directory of the socket belongs and who alone may write there (§13)? Whoever named
 * that directory chose him: a server that has given up root serves in a directory of its user.
 */
bool vfu_server_allowed(int sock, const char *path);
/**
 * The same where nobody named @p path, but a list to which any user may add: does the server run as
 * our user or as root, or is the path (absolute, without links) one that root alone can change, or
 * that of a user's folder in /run/hyperpoll?
 */
bool vfu_found_server_allowed(int sock, const char *path);

/** @return 0, or -ENAMETOOLONG when the path (or its temporary twin) does not fit a socket address
 */
int vfu_socket_path(const char *dir, const uint8_t guid[16], char path[VFU_PATH_MAX]);
/** Parse `<guid>.sock`. @return 0 or -EINVAL */
int vfu_socket_name_parse(const char *name, uint8_t guid[16]);

#endif
