/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What a session tells its listener; internal to lib/vfio_user. Same thread as both.
 */
#ifndef HP_VFIO_USER_SERVER_PRIV_H
#define HP_VFIO_USER_SERVER_PRIV_H

#include "lib/vfio_user/server.h"

/** The session is being closed: the device is free for the next client. */
void vfu_server_session_gone(struct vfu_server *server, struct vfu_session *session);

#endif
