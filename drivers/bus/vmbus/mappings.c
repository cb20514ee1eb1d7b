/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/bus/vmbus/mappings.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "drivers/bus/vmbus/bus.h"

/* 4 mappings and up to 64 channels of two rings each, for a handful of devices. */
#define MAX_MAPPINGS 1024

struct mapping {
	_Atomic uintptr_t base; /* 0 = free; written last, cleared first */
	size_t len;
	struct hpbus_device *dev;
};

static struct mapping table[MAX_MAPPINGS];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction old_action;
static unsigned int installed;

int
hpbus_mapping_add(struct hpbus_device *dev, void *base, size_t len)
{
	unsigned int i;
	int rc = -ENOSPC;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < MAX_MAPPINGS; i++)
		if (atomic_load(&table[i].base) == 0) {
			table[i].len = len;
			table[i].dev = dev;
			atomic_store(&table[i].base, (uintptr_t)base);
			rc = 0;
			break;
		}
	pthread_mutex_unlock(&table_lock);
	return rc;
}

void
hpbus_mapping_remove(void *base)
{
	unsigned int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < MAX_MAPPINGS; i++)
		if (atomic_load(&table[i].base) == (uintptr_t)base)
			atomic_store(&table[i].base, 0);
	pthread_mutex_unlock(&table_lock);
}

static int
mapping_replace(struct mapping *m, uintptr_t base)
{
	/* One system call: other threads see the old pages or zero pages, never a hole. */
	return mmap((void *)base, m->len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED
		       ? -1
		       : 0;
}

void
hpbus_mappings_replace(struct hpbus_device *dev)
{
	unsigned int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < MAX_MAPPINGS; i++) {
		uintptr_t base = atomic_load(&table[i].base);

		if (base != 0 && table[i].dev == dev && mapping_replace(&table[i], base) != 0)
			HPBUS_LOG(ERR, "%s: cannot replace a mapping of the vanished device",
				dev->name);
	}
	pthread_mutex_unlock(&table_lock);
}

int
hpbus_sigbus_handle(const void *addr)
{
	uintptr_t at = (uintptr_t)addr;
	unsigned int i;

	for (i = 0; i < MAX_MAPPINGS; i++) {
		uintptr_t base = atomic_load(&table[i].base);

		if (base == 0 || at < base || at - base >= table[i].len)
			continue;
		/* The event thread learns the rest from the event descriptor. */
		atomic_store(&table[i].dev->gone, true);
		return mapping_replace(&table[i], base);
	}
	return 1;
}

static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	if (hpbus_sigbus_handle(info->si_addr) == 0) {
		errno = saved;
		return;
	}
	errno = saved;
	if (old_action.sa_flags & SA_SIGINFO) {
		old_action.sa_sigaction(sig, info, context);
	} else if (old_action.sa_handler != SIG_DFL && old_action.sa_handler != SIG_IGN) {
		old_action.sa_handler(sig);
	} else {
		/* Not ours and nobody else's: let the default action happen at the same address. */
		sigaction(SIGBUS, &old_action, NULL);
	}
}

void
hpbus_sigbus_install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	pthread_mutex_lock(&table_lock);
	if (installed++ == 0) {
		sigemptyset(&action.sa_mask);
		sigaction(SIGBUS, &action, &old_action);
	}
	pthread_mutex_unlock(&table_lock);
}

void
hpbus_sigbus_restore(void)
{
	struct sigaction now;

	pthread_mutex_lock(&table_lock);
	/* Somebody who came after us keeps what he installed. */
	if (installed != 0 && --installed == 0 && sigaction(SIGBUS, NULL, &now) == 0 &&
		(now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus)
		sigaction(SIGBUS, &old_action, NULL);
	pthread_mutex_unlock(&table_lock);
}
