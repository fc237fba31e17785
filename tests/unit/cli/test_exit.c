/* SPDX-License-Identifier: MIT */
/* test_exit.c - the mapping from errors to exit codes, which scripts rely on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "cli/exit.h"

static void test_exit__codes_of_errors(void **state)
{
	(void)state;
	assert_int_equal(sluice_exit_from_error(0), 0);
	assert_int_equal(sluice_exit_from_error(-ENOENT), 4);
	assert_int_equal(sluice_exit_from_error(-EPROTO), 4);
	assert_int_equal(sluice_exit_from_error(-ESTALE), 4);
	assert_int_equal(sluice_exit_from_error(-EBADMSG), 5);
	assert_int_equal(sluice_exit_from_error(-EACCES), 3);
	assert_int_equal(sluice_exit_from_error(-EPERM), 3);
	assert_int_equal(sluice_exit_from_error(-ENOMEM), 3);
	assert_int_equal(sluice_exit_from_error(-ENOSPC), 3);
	assert_int_equal(sluice_exit_from_error(-EBUSY), 3);
	assert_int_equal(sluice_exit_from_error(-ENOSYS), 3);
	assert_int_equal(sluice_exit_from_error(-ETIMEDOUT), 6);
	assert_int_equal(sluice_exit_from_error(-EIO), 1);
	assert_int_equal(sluice_exit_from_error(-EINVAL), 1);
}

static void test_exit__every_code_has_a_text(void **state)
{
	(void)state;
	for (int code = -1; code <= 256; code++) {
		const bool known = (code >= 0 && code <= 7) || code == 128;

		assert_int_equal(sluice_exit_text(code) != NULL, known);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit__codes_of_errors),
		cmocka_unit_test(test_exit__every_code_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
