/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Standard input to the guest's UART. It has a thread that nobody waits for: the descriptor is not
 * ours alone, and whoever shares it may take what poll() announced, so that read() waits.
 */
#ifndef HVSIM_VM_INPUT_H
#define HVSIM_VM_INPUT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "app/hvsim-vm/serial.h"

/** Filled in by its owner; must outlive the process's threads (static storage). */
struct input {
	int fd;
	/**
	 * A user types: Ctrl-A x quits, Ctrl-A Ctrl-A is one Ctrl-A, and what the guest does not
	 * read is lost, as with a UART. Otherwise it stays in the pipe until the guest reads.
	 */
	bool interactive;
	struct serial *serial;
	void (*quit)(void *ctx); /**< on the thread of the input */
	void *ctx;
	atomic_bool stop;
};

/** @return 0 or a negative errno */
int input_start(struct input *input);
/** The thread may still wait in read(), and never touches anything but @p input afterwards. */
void input_stop(struct input *input);

#endif
