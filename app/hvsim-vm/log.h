/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Lines for standard error. Before log_start() they are written at once; after it they go through
 * a buffer (output.h), so that no vCPU and no holder of the bus lock waits for who reads them.
 */
#ifndef HVSIM_VM_LOG_H
#define HVSIM_VM_LOG_H

/** Lines that a guest can cause, per second. */
#define LOG_GUEST_LINES 20u

/** One thread, before the machine runs. @return 0 or a negative errno */
int log_start(void);
/** Write what is left (see output_stop()); lines are written at once again. */
void log_stop(void);
/** One line, "hvsim-vm: " in front, newline behind. Any thread. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Likewise for what a guest can repeat at will: beyond LOG_GUEST_LINES a second only counted. */
void log_guest(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
