/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Mappings of devices that can vanish under a running process (spec/linux-uio-vmbus.md §7.2).
 * When a device goes, its mappings are replaced by anonymous memory of the same size, so that late
 * accesses of other threads hit harmless zero pages; a SIGBUS that comes earlier does the same from
 * the signal handler. Signals for other addresses are passed on.
 *
 * The table is of fixed size and lock-free for readers, because the reader may be a signal handler.
 * Adding and removing are control-side operations under one lock of this file.
 */
#ifndef HP_BUS_VMBUS_MAPPINGS_H
#define HP_BUS_VMBUS_MAPPINGS_H

#include <stddef.h>

struct hpbus_device;

/** Watch [base, base + len) as belonging to @p dev. @return 0 or -ENOSPC */
int hpbus_mapping_add(struct hpbus_device *dev, void *base, size_t len);
/** Stop watching before unmapping. */
void hpbus_mapping_remove(void *base);
/** The device is gone: put anonymous memory in place of all its mappings. Any thread, once. */
void hpbus_mappings_replace(struct hpbus_device *dev);

/** Catch SIGBUS while there is a device that may vanish; counted. */
void hpbus_sigbus_install(void);
void hpbus_sigbus_restore(void);
/**
 * A SIGBUS at @p addr: async-signal-safe.
 * @return 0 handled, 1 not one of ours, -1 failed
 */
int hpbus_sigbus_handle(const void *addr);

#endif
