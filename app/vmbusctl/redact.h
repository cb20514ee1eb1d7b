/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Private data out of texts: addresses (MAC, IPv4, IPv6), GUIDs but those of device classes, values
 * of names like password=, logins before addresses (USER:PASSWORD@), and names and serials that are
 * told. The same datum becomes the same replacement everywhere, so that
 * what belongs together still does. One thread.
 */
#ifndef HP_VMBUSCTL_REDACT_H
#define HP_VMBUSCTL_REDACT_H

#include <stdbool.h>
#include <stddef.h>

struct redact;

/** @return NULL without memory */
struct redact *redact_new(void);
void redact_free(struct redact *r);

/**
 * Replace this word, wherever it stands by itself and in whatever case, by @p kind and a number
 * ("host-1"). One of less than 3 characters is not looked for: too much would be it.
 */
void redact_word(struct redact *r, const char *kind, const char *word);

/** @return the text without what is private, to be freed, or NULL without memory */
char *redact_text(struct redact *r, const char *text);

#endif
