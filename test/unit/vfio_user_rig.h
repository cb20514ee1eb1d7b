/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the vfio-user tests share: a device of the fixture of spec/vmbus-over-vfio-user.md §17 (4
 * channels, relid 14, monitor 3), raw messages over a socket, and a scripted server for the client.
 *
 * Each test owns its rig; the rig's thread only runs where a test blocks in the client.
 */
#ifndef HP_TEST_VFIO_USER_RIG_H
#define HP_TEST_VFIO_USER_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/vfio_user/client.h"
#include "lib/vfio_user/server.h"
#include "lib/vfio_user/vmbus_device.h"

#define RIG_INSTANCE "000d3a11-2233-000d-3a11-2233000d3a11"

/** The device as it is first described, but for its instance; one channel is open. */
extern const struct vmbus_device_info rig_device_info;
extern const uint64_t rig_region_size[VMBUS_REGION_FIXED_COUNT]; /* bytes */

/** The device under test and what it was asked to do. */
struct rig_device {
	struct vfu_device device;
	struct vmbus_device_info info;
	int region_fd[VMBUS_REGION_FIXED_COUNT];
	void *descriptor;
	int doorbell[2];
	int open_error; /* what ops->opened returns */
	unsigned int opened, resets, irqs_changed, unmap_alls;
	uint32_t doorbell_written; /* offset + 1 of the last REGION_WRITE */
	unsigned int n_maps;
	struct {
		uint64_t iova, size, offset;
		uint32_t flags;
	} map[8];
};
void rig_device_open(struct rig_device *d);
void rig_device_close(struct rig_device *d);

/** A session over a socketpair with the test at the raw end. */
struct rig {
	struct rig_device d;
	struct vfu_session *session;
	int peer; /* the test's end */
	int end;  /* last result of vfu_session_process() */
};
void rig_open(struct rig *r);	      /* nothing sent yet */
void rig_open_version(struct rig *r); /* VERSION done */
void rig_close(struct rig *r);

/** Bytes of a string of hex digits; blanks are skipped. @return length */
size_t rig_hex(const char *hex, uint8_t *bytes, size_t size);
/** Send raw bytes with at most 64 descriptors in one sendmsg. @return as sendmsg(); never waits */
ssize_t rig_try_send(int sock, const void *bytes, size_t len, const int *fds, unsigned int n_fds);
/** The same, where the peer must take all of it. */
void rig_send(int sock, const void *bytes, size_t len, const int *fds, unsigned int n_fds);
/** Receive what is there, up to @p size bytes. @return bytes, 0 end of file, -1 nothing there */
long rig_recv(int sock, void *bytes, size_t size, int *fds, unsigned int *n_fds);

/** Header + payload in one send, then let the session work; @return errno of the reply, 0 =
 * success. */
int rig_command(struct rig *r, uint16_t command, const void *payload, size_t len, const int *fds,
	unsigned int n_fds);
/** The last reply of rig_command(), with its header. */
extern uint8_t rig_reply[70000];
extern long rig_reply_len;
extern int rig_reply_fds[64];
extern unsigned int rig_reply_n_fds;
void rig_reply_close_fds(void);

/** One step of a scripted server. */
struct rig_step {
	const char *expect; /* hex of the whole request; NULL = anything */
	unsigned int n_fds; /* descriptors expected with it, only when expect != NULL */
	const char *reply; /* hex of the whole reply; "id" = the request's msg_id; NULL = silence */
	const void *reply_raw; /* instead of reply; bytes 0-1 get the request's msg_id */
	size_t reply_raw_len;
	int fds[4]; /* sent with the reply */
	unsigned int reply_n_fds;
	bool hang_up; /* close after this step */
};
/** A server that follows a script; its end is checked by rig_script_end(). */
struct rig_script {
	const struct rig_step *steps;
	unsigned int n;
	int sock;
	pthread_t thread;
	char failure[256]; /* empty = as scripted */
	unsigned int done;
};
/** @return the client's end of the connection */
int rig_script_start(struct rig_script *s, const struct rig_step *steps, unsigned int n);
/** After the client was closed: joins; checks that every step was taken as written. */
void rig_script_end(struct rig_script *s);

/** A real session driven by a thread, for the blocking client. */
struct rig_thread {
	struct rig r;
	pthread_t thread;
	int stop;
};
int rig_thread_start(struct rig_thread *t);
/** Ends the session; call after the client has been closed. */
void rig_thread_end(struct rig_thread *t);

/** Open descriptors of this process. */
unsigned int rig_count_fds(void);
/** A test for the end of a program: as many as when RIG_RUN() began. */
void rig_test_no_descriptor_left(void);
extern unsigned int rig_fds_at_start;
#define RIG_RUN(name, tests) (rig_fds_at_start = rig_count_fds(), UNIT_RUN(name, tests))

/** A sealed-or-not memfd of @p size bytes. */
int rig_memfd(uint64_t size);

#define RIG_VERSION                                                                                \
	"01000100 77000000 00000000 00000000 00000100 7b226361706162696c6974696573223a7b226d6178"  \
	"5f6d73675f666473223a36342c226d61785f646174615f786665725f73697a65223a36353533362c226d6178" \
	"5f646d615f6d617073223a36353533352c22706773697a6573223a343039367d7d00"
/* A server's answer to it. */
#define RIG_VERSION_REPLY "id 0100 14000000 01000000 00000000 00000100"

#endif
