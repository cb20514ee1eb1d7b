/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control operations: one at a time, each with a time of its own (op.h) and the port's control
 * side. What they ask the host is control.c.
 */
#include <errno.h>

#include <rte_cycles.h>

#include "drivers/net/netvsc/control.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"

/* An operation of somebody else's lasts this long at most. */
#define LONGEST_MS 31000

const struct hpbus_op_kind netvsc_op_probe = {"probe", 120000, 1000, false};
/* Configure and start: all of bring-up when the number of channels changes, else a few requests. */
const struct hpbus_op_kind netvsc_op_bring_up = {"bring-up", 30000, 1000, false};
const struct hpbus_op_kind netvsc_op_setting = {"a setting", 20000, 0, false};
/* A little less than the 3 s and 5 s that are promised. */
const struct hpbus_op_kind netvsc_op_stop = {"stop", 2800, 800, true};
const struct hpbus_op_kind netvsc_op_close = {"close", 2800, 800, true};
const struct hpbus_op_kind netvsc_op_reset = {"reset", 4800, 800, false};
/* Inside of others: what is polite before a fence must leave them time for what comes behind it. */
const struct hpbus_op_kind netvsc_op_farewell = {"the farewell", 1000, 0, true};
const struct hpbus_op_kind netvsc_op_path = {"the switch of the data path", 500, 0, true};
/* A host that is busy once more takes its time; who stops the port ends the try (recover.h). */
const struct hpbus_op_kind netvsc_op_recover = {"recovery", 20000, 1000, false};

int
netvsc_check_here(struct netvsc_port *port, const char *what)
{
	if (!netvsc_port_recovers(port))
		return 0;
	NETVSC_LOG(ERR, port,
		"%s: the device is away, and the port recovers by itself when it comes back; try "
		"again then (RTE_ETH_EVENT_RECOVERY_SUCCESS)",
		what);
	return -EBUSY;
}

/* What takes the port down does so in whatever state the device is; all else needs it. */
static int
control_allowed(struct netvsc_port *port, const struct hpbus_op_kind *kind)
{
	return kind->down ? 0 : netvsc_check_here(port, kind->name);
}

/*
 * The operation before may never end: its thread was killed, or is this one, interrupted by a
 * handler that closes the port.
 */
static int
control_wait_lock(struct netvsc_port *port, const struct hpbus_op_kind *kind)
{
	int64_t until = hpbus_now_ms() + (kind->down ? kind->budget : LONGEST_MS);

	if (hpbus_op_current() != NULL)
		until = RTE_MIN(until, hpbus_op_until());
	while (pthread_mutex_trylock(&port->control_lock) != 0) {
		if (hpbus_now_ms() >= until) {
			NETVSC_LOG(ERR, port, "%s: the operation before does not end", kind->name);
			return -EBUSY;
		}
		rte_delay_us_sleep(500);
	}
	return 0;
}

static int
control_lock(struct netvsc_port *port, const struct hpbus_op_kind *kind)
{
	int rc;

	netvsc_events_again(port);
	rc = control_allowed(port, kind);
	if (rc != 0)
		return rc;
	/* A recovery that has the lock ends its try. */
	if (kind->down)
		atomic_fetch_add(&port->recovery.hurry, 1);
	rc = control_wait_lock(port, kind);
	if (kind->down)
		atomic_fetch_sub(&port->recovery.hurry, 1);
	/* It may have begun meanwhile. */
	if (rc == 0 && control_allowed(port, kind) != 0) {
		pthread_mutex_unlock(&port->control_lock);
		rc = -EBUSY;
	}
	return rc;
}

int
netvsc_control_begin_at(struct netvsc_port *port, struct hpbus_op *op,
	const struct hpbus_op_kind *kind, int64_t since)
{
	int rc = control_lock(port, kind);

	if (rc == 0)
		hpbus_op_begin_at(op, kind, since);
	return rc;
}

int
netvsc_control_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind)
{
	int rc = control_lock(port, kind);

	if (rc == 0)
		hpbus_op_begin(op, kind); /* the wait for somebody else's is not part of it */
	return rc;
}

bool
netvsc_control_try_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind)
{
	if (pthread_mutex_trylock(&port->control_lock) != 0)
		return false;
	hpbus_op_begin(op, kind);
	return true;
}

void
netvsc_control_end(struct netvsc_port *port, struct hpbus_op *op)
{
	hpbus_op_end(op);
	pthread_mutex_unlock(&port->control_lock);
}
