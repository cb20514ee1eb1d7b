/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/bus/vmbus/watch.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "drivers/bus/vmbus/bus.h"

int
hpbus_watch(int fd, rte_intr_callback_fn cb, void *arg, struct rte_intr_handle **intr)
{
	int rc;

	*intr = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (*intr == NULL)
		return -ENOMEM;
	rc = rte_intr_fd_set(*intr, fd);
	if (rc == 0)
		rc = rte_intr_type_set(*intr, RTE_INTR_HANDLE_EXT);
	if (rc == 0)
		rc = rte_intr_callback_register(*intr, cb, arg);
	if (rc == 0)
		return 0;
	rte_intr_instance_free(*intr);
	*intr = NULL;
	return rc;
}

void
hpbus_unwatch(struct rte_intr_handle **intr, rte_intr_callback_fn cb, void *arg)
{
	int rc;

	if (*intr == NULL)
		return;
	rc = rte_intr_callback_unregister_sync(*intr, cb, arg);
	/* -ENOENT: by hpbus_watch_over() already. */
	if (rc < 0 && rc != -ENOENT)
		HPBUS_LOG(ERR, "EAL does not let go of descriptor %d: %s", rte_intr_fd_get(*intr),
			strerror(-rc));
	rte_intr_instance_free(*intr);
	*intr = NULL;
}

void
hpbus_watch_over(struct rte_intr_handle *intr, rte_intr_callback_fn cb, void *arg,
	rte_intr_unregister_callback_fn last)
{
	static atomic_bool said;
	int rc = rte_intr_callback_unregister_pending(intr, cb, arg, last);

	if (rc < 0 && !atomic_exchange(&said, true))
		HPBUS_LOG(ERR,
			"EAL's interrupt thread does not stop looking at descriptor %d (%s), and is busy with "
			"it from now on",
			rte_intr_fd_get(intr), strerror(-rc));
}
