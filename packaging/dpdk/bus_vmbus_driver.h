/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What applications that ask for the bus of a port (VPP) find in DPDK's header of this name: that a
 * device of bus "vmbus" has a DPDK device in it. Only for container_of() and pointers.
 */
#ifndef HP_BUS_VMBUS_DRIVER_H
#define HP_BUS_VMBUS_DRIVER_H

#include <dev_driver.h>

/** A device of bus "vmbus". What else it has is the driver's own. */
struct rte_vmbus_device {
	struct rte_device device;
};

#endif
