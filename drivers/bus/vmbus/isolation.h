/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Is this machine kept apart from its host? No DPDK: vmbusctl asks, too. Any thread. */
#ifndef HP_VMBUS_ISOLATION_H
#define HP_VMBUS_ISOLATION_H

/**
 * How an isolated (confidential) VM is isolated (spec/linux-uio-vmbus.md §9): 1 by virtualization
 * alone, 2 SEV-SNP, 3 TDX; 0: it is not. HYPERPOLL_ISOLATION in the environment says so for tests.
 */
unsigned int vmbus_isolation(void);

#endif
