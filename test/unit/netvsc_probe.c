/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that is probed more than once in a process, after a probe that failed and after a close:
 * what had to stay of the one before is in nobody's way. The host is netvsc_ladder.h's, and reads
 * requests in the send buffer, since the port's own pages are not the fixture's here.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_memzone.h>

#include "test/unit/netvsc_ladder.h"

/* The host is asked on this thread only: no housekeeping. */
int __wrap_netvsc_events_start(struct netvsc_port *port);

static int events_rc;
static struct netvsc_port *begun; /* the last one */
static bool (*begun_on_gone)(struct hpbus_device *dev);

int
__wrap_netvsc_events_start(struct netvsc_port *port)
{
	begun = port;
	begun_on_gone = port->bus->on_gone;
	return events_rc;
}

/* A secondary process keeps the channel open. */
static void
close_held(struct hpbus_device *dev)
{
	f.closes++;
	dev->held = true;
}

static void
count_zone(const struct rte_memzone *zone, void *n)
{
	*(unsigned int *)n += strncmp(zone->name, "netvsc_ctl", strlen("netvsc_ctl")) == 0;
}

static unsigned int
zones(void)
{
	unsigned int n = 0;

	rte_memzone_walk(count_zone, &n);
	return n;
}

static uint16_t
probed_port(void)
{
	const struct netvsc_port *port = f.bus.driver_data;

	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	return port->port_id;
}

static void
test_a_probe_succeeds_after_one_whose_reset_failed(void)
{
	unsigned int before;

	REQUIRE(ladder_begin(false));
	before = zones();
	ladder_script(MAC, REFUSE);
	f.reset_rc = -ETIMEDOUT;
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), -EIO);
	CU_ASSERT_EQUAL(f.resets, 1);
	/* The close was the fence. */
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_EQUAL(zones(), before);
	CU_ASSERT_PTR_NULL(f.bus.driver_data);
	f.reset_rc = 0;
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_close(probed_port()), 0);
	CU_ASSERT_EQUAL(zones(), before);
	ladder_end();
}

static void
test_a_probe_succeeds_after_a_close_that_was_no_fence(void)
{
	unsigned int before;
	uint16_t port;

	REQUIRE(ladder_begin(false));
	before = zones();
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), 0);
	port = probed_port();
	f.backend.close = close_held;
	CU_ASSERT_EQUAL(rte_eth_dev_close(port), 0);
	/* The host may read what was asked there. */
	CU_ASSERT_EQUAL(zones(), before + 1);
	f.bus.held = false;
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), 0);
	CU_ASSERT_EQUAL(probed_port(), port);
	CU_ASSERT_EQUAL(rte_eth_dev_close(port), 0);
	f.bus.held = false;
	ladder_end();
}

/* Nor is what stays after a probe that failed while the channel was held. */
static void
test_a_probe_succeeds_after_one_that_failed_with_the_channel_held(void)
{
	unsigned int before;

	REQUIRE(ladder_begin(false));
	before = zones();
	ladder_script(MAC, REFUSE);
	f.backend.close = close_held;
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), -EIO);
	CU_ASSERT_EQUAL(zones(), before + 1);
	f.bus.held = false;
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_close(probed_port()), 0);
	f.bus.held = false;
	ladder_end();
}

/*
 * EAL's interrupt thread has heard that the device is gone, and has looked whom to tell before the
 * probe took that back: the close waits for it.
 */
static void
close_while_somebody_tells(struct hpbus_device *dev)
{
	f.closes++;
	CU_ASSERT(dev->driver_data == NULL && dev->on_gone == NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(begun->control_zone);
	dev->driver_data = begun;
	CU_ASSERT_TRUE(begun_on_gone(dev));
	CU_ASSERT_TRUE(netvsc_port_recovers(begun));
	dev->driver_data = NULL;
}

static void
test_a_device_that_goes_while_its_probe_fails_finds_the_port(void)
{
	unsigned int before;

	REQUIRE(ladder_begin(false));
	before = zones();
	events_rc = -ENOMEM;
	f.backend.close = close_while_somebody_tells;
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), -ENOMEM);
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_EQUAL(zones(), before);
	events_rc = 0;
	f.backend.close = fixture_backend.close;
	ladder_script(OTHER, ANSWER);
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_close(probed_port()), 0);
	ladder_end();
}

static int
not_there(struct fixture *fixture)
{
	return -ENOENT;
}

/* The file of a trace is one writer's: a probe that failed has let go of it. */
static void
test_a_traced_probe_succeeds_after_one_that_found_no_host(void)
{
	static char path[] = "/tmp/netvsc_probe.XXXXXX";
	struct rte_devargs devargs = {0};
	char args[64];
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	snprintf(args, sizeof(args), "trace=%s", path);
	REQUIRE(ladder_begin(false));
	devargs.args = args;
	f.bus.device.devargs = &devargs;
	f.on_open = not_there;
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), -ENOENT);
	f.on_open = NULL;
	CU_ASSERT_EQUAL(fixture_driver->probe(&f.bus), 0);
	CU_ASSERT_EQUAL(rte_eth_dev_close(probed_port()), 0);
	f.bus.device.devargs = NULL;
	ladder_end();
	unlink(path);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a probe succeeds after one whose reset failed",
			test_a_probe_succeeds_after_one_whose_reset_failed},
		{"a probe succeeds after a close that was no fence",
			test_a_probe_succeeds_after_a_close_that_was_no_fence},
		{"a probe succeeds after one that failed with the channel held",
			test_a_probe_succeeds_after_one_that_failed_with_the_channel_held},
		{"a device that goes while its probe fails finds the port",
			test_a_device_that_goes_while_its_probe_fails_finds_the_port},
		{"a traced probe succeeds after one that found no host",
			test_a_traced_probe_succeeds_after_one_that_found_no_host},
	};

	return UNIT_RUN("netvsc_probe", tests);
}
