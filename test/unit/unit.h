/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One CUnit suite per program: list the tests, call unit_run(). Exit status 0 only when every
 * assertion held and at least one test ran.
 */
#ifndef HP_TEST_UNIT_H
#define HP_TEST_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

static inline int
unit_run(const char *suite_name, const struct unit_test *tests, size_t n)
{
	CU_pSuite suite;
	unsigned int failed, ran;
	size_t i;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (i = 0; suite != NULL && i < n; i++)
		if (CU_add_test(suite, tests[i].name, tests[i].run) == NULL)
			suite = NULL;
	if (suite == NULL) {
		CU_cleanup_registry();
		return EXIT_FAILURE;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	ran = CU_get_number_of_tests_run();
	CU_cleanup_registry();
	return failed == 0 && ran == n ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define UNIT_RUN(suite_name, tests) unit_run(suite_name, tests, sizeof(tests) / sizeof((tests)[0]))

/** The same with a folder of its own. @param dir a template for mkdtemp(), then its name */
static inline int
unit_run_in(char *dir, const char *suite_name, const struct unit_test *tests, size_t n)
{
	char remove[256];
	int rc;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	rc = unit_run(suite_name, tests, n);
	snprintf(remove, sizeof(remove), "rm -rf %s", dir);
	return system(remove) == 0 ? rc : EXIT_FAILURE;
}

#define UNIT_RUN_IN(dir, suite_name, tests)                                                        \
	unit_run_in(dir, suite_name, tests, sizeof(tests) / sizeof((tests)[0]))

#endif
