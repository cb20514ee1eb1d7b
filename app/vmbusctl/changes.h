/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: changes to the machine around an adapter, each with what undoes it.
 *
 * A deed is an array of words (JSON strings): a kind, then its arguments.
 *
 *     write PATH VALUE      one write to an attribute
 *     run PROGRAM ARG...    to its end, at most 10 s
 *     tell PROGRAM ARG...   as run, but that it fails is only said: an old version may not know it
 *     start PROGRAM ARG...  to stay, unless a process with these arguments runs
 *     stop PID STARTED      a process, by its number and start time (clock ticks after boot)
 *     file PATH TEXT        files.h; PATH is below the root
 *     remove PATH
 *     release PATH VALUE    a write to a driver's "unbind"; fine when the device has left already
 *     arrive PCI DRIVER     wait until a PCI function is bound to a driver, at most 2 s
 *
 * A change is an object {"what": sentence part, "interface": name or null, "do": deed or null,
 * "undo": deed or null}; changes are an array of them, done from first to last and undone from last
 * to first. As they are JSON they can be kept in a file until unbind. Undoing may be repeated: each
 * undo may find its work done. One thread.
 */
#ifndef HP_VMBUSCTL_CHANGES_H
#define HP_VMBUSCTL_CHANGES_H

#include "app/vmbusctl/ctl.h"

/** A deed of these words, the last argument is NULL; NULL without memory. */
struct json_object *ctl_deed(const char *kind, ...) __attribute__((sentinel));

/** Append a change. Takes `doing` and `undoing`, either may be NULL. */
void ctl_change(struct json_object *changes, const char *what, const char *interface,
	struct json_object *doing, struct json_object *undoing);

/** A deed as a shell command, with a newline when it has several lines. @return malloc()ed text */
char *ctl_deed_command(const struct ctl *ctl, struct json_object *deed);

/** @return CTL_OK; CTL_FAILED, and `done` of them succeeded (reported) */
int ctl_changes_do(const struct ctl *ctl, struct json_object *changes, size_t *done);

/**
 * Undo the first `n`, from last to first; what fails is reported with its command and the rest is
 * undone all the same. What belongs to an interface that is gone, is left out and said.
 * @param left  array to which changes are appended whose undo failed, or NULL
 * @return CTL_OK or CTL_FAILED
 */
int ctl_changes_undo(
	const struct ctl *ctl, struct json_object *changes, size_t n, struct json_object *left);

/** The commands in the order they would run. Each malloc()ed text goes to `each`, which frees it.
 */
void ctl_changes_commands(const struct ctl *ctl, struct json_object *changes, bool undo,
	void (*each)(void *opaque, char *command), void *opaque);

/** Is a program in the system's folders? */
bool ctl_has_program(const char *name);

/**
 * Run a program and read what it prints.
 * @param words  NULL-terminated, the first is its name
 * @param output  NUL-terminated; NULL: not read
 * @return exit status, or a negative errno (-ENOENT no such program, -ETIMEDOUT)
 */
int ctl_program(const char *const *words, char *output, size_t size);

#endif
