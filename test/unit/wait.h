/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A test waits for what another thread does, and not for ever. */
#ifndef HP_TEST_WAIT_H
#define HP_TEST_WAIT_H

#include <unistd.h>

#include "test/unit/unit.h"

/** A minute at least, which only a failure takes; it ends the test. On the test's own thread. */
#define UNIT_WAIT_UNTIL(condition)                                                                 \
	do {                                                                                       \
		for (unsigned int wait_ = 0; !(condition) && wait_ < 600000; wait_++)              \
			usleep(100);                                                               \
		CU_ASSERT_FATAL(condition);                                                        \
	} while (0)

#endif
