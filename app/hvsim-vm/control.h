/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The control socket of the machine: the same JSON lines as hvsim's, plus what only a real bus has
 * (rescind, offer). Served by the bus thread; commands run under the bus lock.
 */
#ifndef HVSIM_VM_CONTROL_H
#define HVSIM_VM_CONTROL_H

struct nics;
struct vm_control;

/** @return 0 and *control, or a negative errno; the reason has been printed */
int vm_control_open(struct vm_control **control, const char *path, struct nics *nics);
void vm_control_close(struct vm_control *control);
/** A descriptor that is readable when vm_control_poll() has something to do. */
int vm_control_fd(const struct vm_control *control);
/** Serve what has arrived; never blocks. Takes the bus lock for each command. */
void vm_control_poll(struct vm_control *control);

#endif
