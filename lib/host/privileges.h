/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How a host gives up what it needs no more: the user it becomes when its devices are open.
 *
 * Owns nothing. Main thread, before there are others: capabilities are each thread's own, and a
 * thread inherits those of the one that makes it. One without any would end the process: the C
 * library has every thread change its user, and aborts when one may not.
 */
#ifndef HP_HOST_PRIVILEGES_H
#define HP_HOST_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** Whom to become. */
struct privileges_user {
	bool set; /**< --user was given */
	uid_t uid;
	gid_t gid;
	char name[64]; /**< of the user, for messages; the empty string unless @a set */
};

/**
 * Look up NAME[:GROUP], names or numbers. Without GROUP it is the user's own.
 * @return 0, or -EINVAL with a sentence in @p errbuf
 */
int privileges_parse(const char *text, struct privileges_user *user, char *errbuf, size_t errlen);

/**
 * Can this process become @p user? To be asked before anything is opened for it.
 * @return 0, or -EPERM with a sentence in @p errbuf
 */
int privileges_check(const struct privileges_user *user, char *errbuf, size_t errlen);

/** No program that this process may ever run gets more than it has. @return 0 or negative errno */
int privileges_no_new(void);

/**
 * Become @p user with its group alone and without any capability. Nothing when it is not set. Who
 * is that user already keeps the supplementary groups that its manager gave it: nobody but root can
 * leave them, and there is a reason for them (/dev/kvm).
 * @return 0, or a negative errno with a sentence in @p errbuf
 */
int privileges_drop(const struct privileges_user *user, char *errbuf, size_t errlen);

#endif
