/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What applications that ask for the bus of a port (VPP) include besides bus_vmbus_driver.h: the
 * name of a device of bus "vmbus". The bus has no functions for applications.
 */
#ifndef HP_RTE_BUS_VMBUS_H
#define HP_RTE_BUS_VMBUS_H

/** A device of bus "vmbus", see bus_vmbus_driver.h. */
struct rte_vmbus_device;

#endif
