/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What EAL's interrupt thread looks at for the bus, and what is said when it cannot: the kernel's
 * events of devices. EAL and the sockets are the test's; each step of theirs may fail.
 */
#include "drivers/bus/vmbus/hotplug.c"

#include <stdlib.h>

#include <rte_errno.h>

#include "drivers/bus/vmbus/watch.h"
#include "test/unit/unit.h"

int hpbus_logtype;

/* ---- what may fail ---- */

enum step { NONE, SOCKET, OPTION, BIND, HANDLE, DESCRIPTOR, TYPE, REGISTER };
static enum step failing;
static int reason; /* errno */
static int unregister_rc, pending_rc;
static unsigned int registered, handles;
static char handle;

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);

/* A step of the kernel's says why in errno, which nobody else has touched. */
static int
kernel(enum step step)
{
	errno = failing == step ? reason : 0;
	return failing == step ? -1 : 0;
}

int
__wrap_socket(int domain, int type, int protocol)
{
	return kernel(SOCKET) != 0 ? -1 : __real_socket(AF_UNIX, type, 0);
}

int
__wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return kernel(OPTION);
}

int
__wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	return kernel(BIND);
}

static int
eal(enum step step)
{
	errno = 0;
	return failing == step ? -reason : 0;
}

struct rte_intr_handle *
rte_intr_instance_alloc(uint32_t flags)
{
	if (eal(HANDLE) != 0)
		return NULL;
	handles++;
	return (struct rte_intr_handle *)&handle;
}

void
rte_intr_instance_free(struct rte_intr_handle *intr)
{
	handles -= intr != NULL;
}

int
rte_intr_fd_set(struct rte_intr_handle *intr, int fd)
{
	CU_ASSERT(fd >= 0);
	return eal(DESCRIPTOR);
}

int
rte_intr_fd_get(const struct rte_intr_handle *intr)
{
	return uevent_fd;
}

int
rte_intr_type_set(struct rte_intr_handle *intr, enum rte_intr_handle_type type)
{
	return eal(TYPE);
}

int
rte_intr_callback_register(const struct rte_intr_handle *intr, rte_intr_callback_fn cb, void *arg)
{
	registered += failing != REGISTER;
	return eal(REGISTER);
}

int
rte_intr_callback_unregister_sync(
	const struct rte_intr_handle *intr, rte_intr_callback_fn cb, void *arg)
{
	if (unregister_rc != 0)
		return unregister_rc;
	registered--;
	return 1;
}

int
rte_intr_callback_unregister_pending(const struct rte_intr_handle *intr, rte_intr_callback_fn cb,
	void *arg, rte_intr_unregister_callback_fn last)
{
	return pending_rc;
}

/* ---- the bus ---- */

void
hpbus_devices_lock(void)
{
}

void
hpbus_devices_unlock(void)
{
}

struct hpbus_device *
hpbus_device_by_folder(const char *folder)
{
	return NULL;
}

bool
hpbus_uio_removed(struct hpbus_device *dev)
{
	return false;
}

/* ---- tests ---- */

static char *said;
static size_t said_len;

static FILE *
listen_to_log(void)
{
	FILE *log = open_memstream(&said, &said_len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	rte_openlog_stream(log);
	return log;
}

/* @return lines */
static unsigned int
log_ends(FILE *log)
{
	unsigned int lines = 0;
	const char *at;

	rte_openlog_stream(NULL);
	fclose(log);
	for (at = said; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	return lines;
}

static void
without_device_events_it_says_why(void)
{
	static const struct {
		enum step step;
		int reason;
	} steps[] = {
		{SOCKET, EMFILE},
		{OPTION, ENOPROTOOPT},
		{BIND, EPERM},
		{HANDLE, ENOMEM},
		{DESCRIPTOR, ENOTSUP},
		{TYPE, EINVAL},
		{REGISTER, EPIPE},
	};
	unsigned int i;
	FILE *log;

	for (i = 0; i < RTE_DIM(steps); i++) {
		failing = steps[i].step;
		reason = steps[i].reason;
		uevent_missed = false;
		log = listen_to_log();
		hpbus_hotplug_start();
		/* And with the next scan once more, of which it says nothing. */
		hpbus_hotplug_start();
		CU_ASSERT_EQUAL(log_ends(log), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, strerror(reason)));
		CU_ASSERT_PTR_NULL(strstr(said, "Success"));
		CU_ASSERT(uevent_fd < 0 && uevent_intr == NULL && handles == 0);
		free(said);
	}
	failing = NONE;
	hpbus_hotplug_start();
	CU_ASSERT(uevent_fd >= 0 && registered == 1);
	hpbus_hotplug_stop();
	CU_ASSERT(uevent_fd < 0 && registered == 0 && handles == 0);
}

static void
what_eal_does_not_let_go_of_is_said(void)
{
	FILE *log;

	hpbus_hotplug_start();
	CU_ASSERT_FATAL(uevent_intr != NULL);
	log = listen_to_log();
	/* It has ended itself. */
	unregister_rc = -ENOENT;
	hpbus_hotplug_stop();
	CU_ASSERT_EQUAL(log_ends(log), 0);
	free(said);
	unregister_rc = 0;
	hpbus_hotplug_start();
	log = listen_to_log();
	unregister_rc = -EINVAL;
	hpbus_hotplug_stop();
	unregister_rc = 0;
	CU_ASSERT_EQUAL(log_ends(log), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, strerror(EINVAL)));
	free(said);
	registered = 0;
}

/* It comes again with each look at what is ready for ever. */
static void
a_callback_that_cannot_be_the_last_is_said_once(void)
{
	unsigned int i;
	FILE *log;

	hpbus_hotplug_start();
	log = listen_to_log();
	pending_rc = -EAGAIN;
	for (i = 0; i < 3; i++)
		hpbus_watch_over(uevent_intr, on_uevent, NULL, NULL);
	pending_rc = 1;
	hpbus_watch_over(uevent_intr, on_uevent, NULL, NULL);
	CU_ASSERT_EQUAL(log_ends(log), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, strerror(EAGAIN)));
	free(said);
	hpbus_hotplug_stop();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"without device events it says why", without_device_events_it_says_why},
		{"what EAL does not let go of is said", what_eal_does_not_let_go_of_is_said},
		{"a callback that cannot be the last is said once",
			a_callback_that_cannot_be_the_last_is_said_once},
	};

	return UNIT_RUN("bus_watch", tests);
}
