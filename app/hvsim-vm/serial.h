/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The guest's serial console: a 16550A at 0x3f8 on our standard input and output
 * (spec/hyperv-host-on-kvm.md §3). Its own lock; vCPU threads and the input thread use it.
 */
#ifndef HVSIM_VM_SERIAL_H
#define HVSIM_VM_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/host/output.h"

struct serial {
	pthread_mutex_t lock;
	void (*irq)(void *ctx, bool level);
	void *ctx;
	struct output *out;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thr_pending; /**< "transmitter empty" has not been reported yet */
	bool level;
	uint8_t rx[256]; /**< typed but not read: a ring */
	unsigned int rx_head, rx_len;
};

void serial_init(
	struct serial *serial, struct output *out, void (*irq)(void *ctx, bool level), void *ctx);
/** From now on no interrupts: whoever still reads input finds nobody. */
void serial_close(struct serial *serial);
void serial_write(struct serial *serial, unsigned int reg, uint8_t value);
uint8_t serial_read(struct serial *serial, unsigned int reg);
/** Characters typed. @return how many were taken; the rest must be offered again later */
unsigned int serial_input(struct serial *serial, const uint8_t *data, unsigned int len);

/** How many typed characters serial_input() would take now. */
unsigned int serial_room(struct serial *serial);

/** Put the terminal on fd 0 into raw mode; restored at exit and by console_restore(). */
void console_raw(void);
void console_restore(void);

#endif
