/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A host port of a specification that is right, for tests of ports. */
#ifndef HP_TEST_HOST_PORT_H
#define HP_TEST_HOST_PORT_H

#include <stdint.h>
#include <stdio.h>

#include "lib/host/port.h"
#include "test/unit/unit.h"

static const uint8_t guest_mac[6] = {0x00, 0x15, 0x5d, 0x48, 0x00, 0x01};

static inline struct host_port *
open_port(const char *spec)
{
	struct host_port *port = NULL;
	char err[512] = "";
	int rc = host_port_open(spec, guest_mac, &port, err, sizeof(err));

	if (rc != 0)
		printf("%s: %s\n", spec, err);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	return port;
}

#endif
