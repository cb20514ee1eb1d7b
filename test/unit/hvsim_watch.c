/* SPDX-License-Identifier: BSD-3-Clause */
/* hvsim's worker when epoll takes nothing more: its user has as many watches as he may. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/unit/host_port.h"
#include "test/unit/hvsim_guest.h"
#include "test/unit/hvsim_rig.h"
#include "test/unit/unit.h"

/* Only a failure takes so long. */
#define PATIENCE_MS 30000u

static char dir[] = "/tmp/hvsim_watch.XXXXXX";
static _Atomic bool refuse, refuse_port, vf_watched;

/* All but the worker's own descriptor, without which there is none; or only that of the NIC's port.
 */
int
epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	if (atomic_load(&refuse) && op == EPOLL_CTL_ADD && set == rig.worker.epoll_fd &&
		fd != rig.worker.wake_fd) {
		errno = ENOSPC;
		return -1;
	}
	/* A port's comes on the worker, with the NIC locked. */
	if (atomic_load(&refuse_port) && op == EPOLL_CTL_ADD && set == rig.worker.epoll_fd &&
		rig.device[0].nic != NULL) {
		if (fd == host_nic_port_fd(rig.device[0].nic)) {
			errno = ENOSPC;
			return -1;
		}
		if (fd == host_nic_vf_port_fd(rig.device[0].nic))
			atomic_store(&vf_watched, true);
	}
	return (int)syscall(SYS_epoll_ctl, set, op, fd, event);
}

static void
frames_of_a_port_that_cannot_be_watched_are_taken(void)
{
	uint8_t bytes[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 0};
	struct host_frame frame = {.data = bytes, .len = sizeof(bytes)};
	struct host_port *other = open_port("switch:watch");
	struct host_nic_status status = {0};
	unsigned int ms;

	atomic_store(&refuse, true);
	rig_start(dir, 1, "recv=1M,send=1M,port=switch:watch", NULL, false);
	for (ms = 0; ms < PATIENCE_MS && atomic_load(&rig.worker.sleeps) == 0; ms++)
		usleep(1000);
	CU_ASSERT_NOT_EQUAL(atomic_load(&rig.worker.sleeps), 0);
	/* Without a guest they are lost, which is counted. */
	other->ops->send(other, &frame, 1);
	for (ms = 0; ms < PATIENCE_MS && status.stats.rx_dropped_not_ready == 0; ms++) {
		usleep(1000);
		host_nic_status(rig.device[0].nic, &status);
	}
	CU_ASSERT_EQUAL(status.stats.rx_dropped_not_ready, 1);
	rig_stop();
	other->ops->close(other);
	atomic_store(&refuse, false);
}

/* And a descriptor that the other one had before is not waited for any more. */
static void
port_that_cannot_be_watched_leaves_the_other_its_watch(void)
{
	unsigned int ms;

	atomic_store(&refuse_port, true);
	rig_start(dir, 1, "recv=1M,send=1M,vf-port=switch:other,port=switch:watch", NULL, false);
	for (ms = 0; ms < PATIENCE_MS && !atomic_load(&vf_watched); ms++)
		usleep(1000);
	CU_ASSERT_TRUE(atomic_load(&vf_watched));
	rig_stop();
	atomic_store(&refuse_port, false);
}

/* Its packets would lie in the ring until something else happens. */
static void
guest_whose_doorbell_cannot_be_watched_is_refused(void)
{
	struct vfu_client *client = NULL;
	char err[VFU_ERRLEN] = "";
	unsigned int ms;
	int rc;

	rig_start(dir, 1, "recv=1M,send=1M,port=echo", NULL, false);
	atomic_store(&refuse, true);
	CU_ASSERT_EQUAL(vfu_client_connect(rig.device[0].path, &client, err, sizeof(err)), -ENOSPC);
	CU_ASSERT_PTR_NULL(client);
	atomic_store(&refuse, false);
	/* The NIC is the next one's as soon as that session is over. */
	for (ms = 0, rc = -EBUSY; ms < PATIENCE_MS && rc == -EBUSY; ms++) {
		usleep(1000);
		rc = vfu_client_connect(rig.device[0].path, &client, err, sizeof(err));
	}
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	vfu_client_close(client);
	rig_stop();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"frames of a port that cannot be watched are taken",
			frames_of_a_port_that_cannot_be_watched_are_taken},
		{"port that cannot be watched leaves the other its watch",
			port_that_cannot_be_watched_leaves_the_other_its_watch},
		{"guest whose doorbell cannot be watched is refused",
			guest_whose_doorbell_cannot_be_watched_is_refused},
	};

	return UNIT_RUN_IN(dir, "hvsim_watch", tests);
}
