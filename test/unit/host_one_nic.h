/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lib/host/control.h asks of the owner of a host, of one that has one NIC: a guest's. Counts
 * how often the NIC was locked. One of them in a program, on the test's thread.
 */
#ifndef HP_TEST_HOST_ONE_NIC_H
#define HP_TEST_HOST_ONE_NIC_H

#include "lib/host/control.h"
#include "test/unit/host_nic_guest.h"

static struct {
	struct guest guest;
	unsigned int locks, unlocks;
	bool rescinded;
} one;

static unsigned int
one_nics(void *ctx)
{
	return 1;
}

static struct host_nic *
one_nic(void *ctx, unsigned int number)
{
	return one.guest.nic;
}

static void
one_lock(void *ctx, unsigned int number)
{
	one.locks++;
}

static void
one_unlock(void *ctx, unsigned int number)
{
	one.unlocks++;
}

static bool
one_offered(void *ctx, unsigned int number)
{
	return !one.rescinded;
}

static const struct host_control_ops one_ops = {.nics = one_nics,
	.nic = one_nic,
	.lock = one_lock,
	.unlock = one_unlock,
	.offered = one_offered};

#endif
