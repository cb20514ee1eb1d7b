/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Tell the service manager how far we are (sd_notify(3)'s datagram, without its library).
 *
 * Owns nothing; any thread. Reads the environment (NOTIFY_SOCKET).
 */
#ifndef HP_HOST_NOTIFY_H
#define HP_HOST_NOTIFY_H

/**
 * Send assignments such as "READY=1", one a line. Nothing when no manager waits for them; waits a
 * second at most for one that is busy.
 * @return 0 or a negative errno
 */
int notify_manager(const char *assignments);

#endif
