/* SPDX-License-Identifier: BSD-3-Clause */
/* See isolation.h. */
#include "drivers/bus/vmbus/isolation.h"

#include <stdint.h>
#include <stdlib.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "lib/vmbus/number.h"

unsigned int
vmbus_isolation(void)
{
	const char *given = secure_getenv("HYPERPOLL_ISOLATION");
	uint64_t type;

	/* For tests: CPUID does not follow the roots. */
	if (given != NULL)
		return number_parse(given, NUMBER_PLAIN, 0, 3, &type) == 0 ? (unsigned int)type : 0;
#if defined(__x86_64__) || defined(__i386__)
	unsigned int a, b, c, d;

	/* "Hv#1" interface, then the isolation leaf. */
	__cpuid(1, a, b, c, d);
	if ((c >> 31 & 1) == 0)
		return 0;
	__cpuid(0x40000000, a, b, c, d);
	if (a < 0x4000000c)
		return 0;
	__cpuid(0x40000001, a, b, c, d);
	if (a != 0x31237648)
		return 0;
	__cpuid(0x40000003, a, b, c, d);
	if ((b >> 22 & 1) == 0)
		return 0;
	__cpuid(0x4000000c, a, b, c, d);
	return b & 0xf;
#else
	return 0;
#endif
}
