/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * hvsim's parts: options, devices (a NIC served over vfio-user), workers (threads that poll NICs).
 *
 * Threads: the control thread (main) owns sockets, sessions, memory and signals; each worker polls
 * the NICs given to it. Who touches a NIC, its session or its memory holds the device's lock: the
 * worker for one turn of that NIC, the control thread for one command. A worker never waits for a
 * lock: a NIC that the control thread has, or wants, is left out of a round, and its others go on.
 * A NIC may have lanes on other workers, each with a lock of its own (lane.c); who changes anything
 * of the NIC has all of them.
 */
#ifndef HVSIM_HVSIM_H
#define HVSIM_HVSIM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "app/hvsim/budget.h"
#include "lib/host/log.h"
#include "lib/host/memmap.h"
#include "lib/host/nic.h"
#include "lib/host/output.h"
#include "lib/host/privileges.h"
#include "lib/host/scenario.h"
#include "lib/vfio_user/server.h"
#include "lib/vfio_user/sockets.h"
#include "lib/vfio_user/vmbus_device.h"

#define HVSIM_MAX_NICS	  64u
#define HVSIM_MAX_WORKERS 64u
#define HVSIM_ERRLEN	  512u

struct hvsim_worker;

/** Monotonic clock in nanoseconds. */
static inline uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* ---- options ---- */

struct hvsim_options {
	char dir[VFU_PATH_MAX];
	char control[VFU_PATH_MAX];
	unsigned int threads;
	bool busy;			/**< --poll busy: never sleep */
	bool rings;			/**< --rings: show the rings with the statistics */
	bool json;			/**< --json: reports for scripts */
	const char *scenario_path;	/**< --scenario; NULL */
	struct host_scenario *scenario; /**< of that */
	bool exit_after_scenario;
	uint32_t duration_s, interval_s; /**< 0 = none */
	struct privileges_user user;	 /**< --user */
	struct hvsim_budget budget;	 /**< --client-*; 0 = divided */
	unsigned int n_nics;
	struct host_nic_config nics[HVSIM_MAX_NICS];
	char trace[256]; /**< --trace: of NICs that have none of their own */
};

/**
 * Parse the command line.
 * @return -1 go on; otherwise the exit status, everything has been printed
 */
int options_parse(struct hvsim_options *options, int argc, char **argv);

/* ---- devices ---- */

/** One region of a session. */
struct hvsim_region {
	int fd; /**< -1: not present */
	void *map;
	size_t len;
};

/** Rings of one channel as we see them. */
struct hvsim_rings {
	int fd; /**< of the region; -1: not granted */
	struct vmbus_ring tx, rx;
};

/** Everything that is new for each client (§10 "open"). */
struct hvsim_session_memory {
	struct hvsim_region region[VMBUS_REGION_DOORBELL]; /**< 0 is in rings[0] */
	struct hvsim_rings rings[HOST_MAX_CHANNELS];
	struct host_memmap *map;
	int doorbell; /**< eventfd of all channels */
};

/** A recursive lock: the control thread's use of it nests. */
static inline void
lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t recursive;

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
}

/** Some of the channels of a NIC, on another worker than the NIC's. */
struct hvsim_lane {
	struct hvsim_device *device;
	struct hvsim_worker *worker;
	struct host_nic *nic; /**< the lane */
	pthread_mutex_t lock; /**< lock_init(); taken behind the device's */
	struct host_memmap_reader reader;
	bool asleep; /**< its rings ask for signals */
};

struct hvsim_device {
	unsigned int number;
	struct host_nic_config config;
	char guid[40];
	char path[VFU_PATH_MAX];
	/* Set before device_serve(). */
	struct hvsim_budget budget;	       /**< of its client */
	const struct vfu_signaller *signaller; /**< of the process */
	bool busy;
	int node; /**< NUMA node of the worker, -1 unknown */

	pthread_mutex_t lock;	     /**< lock_init() */
	_Atomic unsigned int wanted; /**< the control thread has or wants the lock */

	struct hvsim_worker *worker;
	struct host_nic *nic;
	struct vfu_device vfu;
	struct vfu_server *server;
	struct vfu_session *session;
	struct hvsim_session_memory *memory; /**< of the session, or made for the next one */
	bool attached;			     /**< the NIC uses @a memory */
	struct host_memmap_reader reader;
	struct vmbus_device_info info;

	/** Worker to control thread: the session must end. Set once per session, device locked. */
	_Atomic(const char *) ended;
	bool rescinded, reset_seen;
	uint64_t rescind_deadline; /**< monotonic ns */
	uint32_t epoch;
	uint64_t sessions;
	struct log_limit complaints; /**< of lines about the guest */
	uint64_t accept_after; /**< monotonic ns: no client is accepted before, for want of means */

	/* Worker's own, lock held: what is in its epoll set for this device; its rings ask for
	 * signals. */
	int port_fd[2];
	bool asleep;

	struct hvsim_lane *lanes[HOST_MAX_LANES]; /**< from 1 on */
	unsigned int n_lanes;			  /**< 0: not spread */
	_Atomic bool halt;			  /**< the worker wants the lanes to stop */
	bool asked_halt, halted;		  /**< in this turn; the worker has their locks */
};

/**
 * Make NIC @p number and open its port; not served yet.
 * @return 0 or a negative errno with a sentence
 */
int device_create(struct hvsim_device *device, unsigned int number,
	const struct host_nic_config *config, const char *dir, char *errbuf, size_t errlen);
/** Put the socket into the directory. */
int device_serve(struct hvsim_device *device, char *errbuf, size_t errlen);
/** End the session and close everything. No worker may run. */
void device_destroy(struct hvsim_device *device);

/**
 * Keep the worker away from this NIC; waits for the end of its turn (host_nic_poll() bounds it).
 * Control thread; nests.
 */
void device_lock(struct hvsim_device *device);
/** Give it back and wake the worker. */
void device_unlock(struct hvsim_device *device);
/** Publish the counters as they are now, unless the worker is at it. Control thread. */
void device_refresh(struct hvsim_device *device);

/** Descriptors the control thread waits for; -1 = none. */
int device_listen_fd(const struct hvsim_device *device);
int device_session_fd(const struct hvsim_device *device);
/** The listening descriptor is readable. */
void device_accept(struct hvsim_device *device);
/** The session's descriptor is readable, or the worker asked for its end. */
void device_process(struct hvsim_device *device);
/** Hot-remove, §10. Control thread. */
int device_rescind(struct hvsim_device *device, char *errbuf, size_t errlen);
/** Hot-add after a rescind. Control thread. */
int device_offer(struct hvsim_device *device, char *errbuf, size_t errlen);
/** When device_process() or device_accept() is due without an event: monotonic ns, UINT64_MAX =
 * never. */
uint64_t device_deadline(const struct hvsim_device *device);

/** Has the session's memory broken? Then the session is to end. Worker, device or a lane locked. */
void device_check_memory(struct hvsim_device *device);
/** One turn on the worker. @return units of work done; 0 also when the control thread has it */
unsigned int device_turn(struct hvsim_device *device, unsigned int budget);
/** Worker: take the lock if it is free. */
bool device_try_lock(struct hvsim_device *device);

/* ---- lanes (lane.c) ---- */

/**
 * Spread the channels over at most so many workers, if the NIC allows it. Before any runs.
 * @return how many: the NIC's own, and one for each of device->lanes, which are to be added to them
 */
unsigned int device_spread(struct hvsim_device *device, unsigned int threads);
/** With more workers than devices: lanes of these on the workers behind the device's own. */
void lanes_spread(struct hvsim_device *devices, unsigned int n_devices,
	struct hvsim_worker *workers, unsigned int n_workers);
/** Behind host_nic_destroy(). */
void lanes_free(struct hvsim_device *device);
/** Keep all lanes away, device locked; waits for the end of their turns. Control thread; nests. */
void lanes_lock(struct hvsim_device *device);
void lanes_unlock(struct hvsim_device *device);
/** They slept perhaps without the doorbell. */
void lanes_wake(struct hvsim_device *device);
/** The same for the device's worker, until the end of its turn. @return false: one is at it */
bool lanes_stop(struct hvsim_device *device);
/** Its turn is over. */
void lanes_turn_over(struct hvsim_device *device);
/** Publish the counters of those that are not at it. */
void lanes_refresh(struct hvsim_device *device);
/** Use device->memory, no more. @return 0, or what worker_watch() says */
int lanes_attach(struct hvsim_device *device);
void lanes_detach(struct hvsim_device *device);
bool lane_try_lock(struct hvsim_lane *lane);
/** As device_turn(). */
unsigned int lane_turn(struct hvsim_lane *lane, unsigned int budget);
/** Let it ask for signals. @return false: it has work, or will have within @p shortest ns */
bool lane_prepare_sleep(struct hvsim_lane *lane, uint64_t shortest, uint64_t *deadline);

/* ---- session memory (memory.c) ---- */

/** @return the memory for one session, or NULL with errno */
struct hvsim_session_memory *memory_create(const struct hvsim_device *device);
void memory_destroy(struct hvsim_session_memory *memory);
/**
 * Make and map the rings of a channel.
 * @param fill take all pages now; not on a worker, whose other NICs would stand for milliseconds
 * @return 0 or a negative errno
 */
int memory_rings_create(const struct hvsim_device *device, struct hvsim_rings *rings,
	unsigned int channel, bool fill);
void memory_rings_destroy(struct hvsim_rings *rings);
/** Control pages as a guest finds them: all zero but feature_bits (§10). */
void memory_rings_reset(struct hvsim_rings *rings);
/** The ops behind vfu_device (vfu_ops.c). */
extern const struct vfu_device_ops hvsim_vfu_ops;

/* Called by vfu_ops.c, device locked. */
int device_opened(struct hvsim_device *device);
int device_reset(struct hvsim_device *device);
/** Publish the descriptor; with @p event the client's device interrupt is fired. */
void device_publish(struct hvsim_device *device, bool event);

/* ---- workers ---- */

struct hvsim_worker {
	unsigned int number;
	int node; /**< NUMA node, -1 unknown */
	bool busy;
	pthread_t thread;
	bool started;
	int epoll_fd;
	int wake_fd; /**< eventfd of the control thread */
	int main_fd; /**< eventfd to the control thread */
	struct hvsim_device *devices[HVSIM_MAX_NICS];
	unsigned int n_devices;
	struct hvsim_lane *lanes[HVSIM_MAX_NICS]; /**< of a NIC at most one */
	unsigned int n_lanes;

	_Atomic bool stop;
	_Atomic uint64_t sleeps;
};

/**
 * @param node    NUMA node to run on, -1 = anywhere
 * @param main_fd written when a device's session must end
 */
int worker_create(
	struct hvsim_worker *worker, unsigned int number, int node, bool busy, int main_fd);
/** Before worker_start() only. */
void worker_add(struct hvsim_worker *worker, struct hvsim_device *device);
void worker_add_lane(struct hvsim_worker *worker, struct hvsim_lane *lane);
int worker_start(struct hvsim_worker *worker);
/** Stop the thread; its devices may be touched freely afterwards. */
void worker_stop(struct hvsim_worker *worker);
void worker_destroy(struct hvsim_worker *worker);

/** Make it look at all its NICs again, asleep or not. Any thread. */
void worker_wake(struct hvsim_worker *worker);
/** Make the control thread look around: a session must end. Worker. */
void worker_announce(struct hvsim_worker *worker);
/** Add or remove a doorbell. Any thread. @return 0, or -ENOSPC or -ENOMEM: it would not be heard */
int worker_watch(struct hvsim_worker *worker, int fd);
void worker_unwatch(struct hvsim_worker *worker, int fd);

#endif
