/* SPDX-License-Identifier: MIT */
/* test_report.c - errors and log lines as they arrive on stderr. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/report.h"

static char text[16384];
static int saved_stderr;
static FILE *capture_file;

static void begin(void)
{
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	capture_file = tmpfile();
	dup2(fileno(capture_file), STDERR_FILENO);
}

static void end(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(capture_file);
	text[fread(text, 1, sizeof(text) - 1, capture_file)] = '\0';
	fclose(capture_file);
}

static int report(bool json, bool quiet, int code, const struct sluice_diag *diag)
{
	sluice_cli_set_output(json, quiet, false);
	begin();

	const int result = sluice_cli_error("sluice-engine", code, diag);

	end();
	return result;
}

static void test_report__error_and_hints(void **state)
{
	struct sluice_diag diag = {.text = "cannot reserve 4 pages", .hint = ""};

	(void)state;
	assert_int_equal(report(false, false, 3, &diag), 3);
	assert_string_equal(text, "sluice-engine: cannot reserve 4 pages\n");
	sluice_diag_hint(&diag, "sysctl -w vm.nr_hugepages=4");
	report(false, true, 3, &diag); /* quiet does not hide errors */
	assert_string_equal(text, "sluice-engine: cannot reserve 4 pages\n"
				  "  try: sysctl -w vm.nr_hugepages=4\n");
	sluice_diag_hint(&diag, "one\ntwo\n\nthree\n");
	report(false, false, 3, &diag);
	assert_string_equal(text, "sluice-engine: cannot reserve 4 pages\n"
				  "  try: one\n  or:  two\n  or:  three\n");
	diag = (struct sluice_diag){.text = ""};
	report(false, false, 3, &diag);
	assert_string_equal(text, "sluice-engine: failed\n");
}

static void test_report__error_as_json(void **state)
{
	struct sluice_diag diag = {.text = "no \"x\"\n", .hint = "one\ntwo"};

	(void)state;
	assert_int_equal(report(true, false, 4, &diag), 4);
	assert_string_equal(text, "{\"program\":\"sluice-engine\",\"code\":4,"
				  "\"message\":\"no \\\"x\\\"\\n\",\"hint\":[\"one\",\"two\"]}\n");
	diag.hint[0] = '\0';
	report(true, false, 4, &diag);
	assert_string_equal(text, "{\"program\":\"sluice-engine\",\"code\":4,"
				  "\"message\":\"no \\\"x\\\"\\n\",\"hint\":[]}\n");
}

/* The longest diagnostic, each byte of which must be escaped or starts a line. */
static void test_report__the_longest_error_fits(void **state)
{
	struct sluice_diag diag;

	(void)state;
	memset(&diag, 1, sizeof(diag));
	diag.text[sizeof(diag.text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(diag.hint) - 1; i++)
		diag.hint[i] = i % 2 ? '\n' : 1;
	diag.hint[sizeof(diag.hint) - 1] = '\0';
	report(true, false, 1, &diag);
	assert_true(strlen(text) > 6 * sizeof(diag.text));
	assert_string_equal(text + strlen(text) - 5, "1\"]}\n");
	report(false, false, 1, &diag);
	assert_string_equal(text + strlen(text) - 9, "  or:  \1\n");
	memset(diag.hint, 2, sizeof(diag.hint) - 1);
	report(true, false, 1, &diag);
	assert_string_equal(text + strlen(text) - 5, "2\"]}\n");
}

static void test_report__fail_maps_the_errno(void **state)
{
	struct sluice_diag diag = {.text = "x"};

	(void)state;
	sluice_cli_set_output(false, false, false);
	begin();

	const int damaged = sluice_cli_fail("p", -EBADMSG, &diag);
	const int missing = sluice_cli_fail("p", -ENOENT, &diag);

	end();
	assert_int_equal(damaged, SLUICE_EXIT_DAMAGED);
	assert_int_equal(missing, SLUICE_EXIT_NOT_FOUND);
	assert_string_equal(text, "p: x\np: x\n");
}

static void log_as(bool quiet, bool verbose)
{
	sluice_cli_set_output(false, quiet, verbose);
	begin();
	sluice_cli_log("sluice-engine", "event=%s count=%d", "start", 3);
	sluice_cli_log_verbose("sluice-engine", "event=%s", "detail");
	end();
}

static void test_report__log_lines(void **state)
{
	unsigned int year, month, day, hour, minute, second, milli;
	int used = 0;

	(void)state;
	log_as(false, false);
	assert_int_equal(sscanf(text, "time=%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day,
				&hour, &minute, &second, &milli, &used),
			 7);
	assert_true(year >= 2024 && month <= 12);
	assert_string_equal(text + used, "program=sluice-engine event=start count=3\n");
	log_as(false, true);
	assert_non_null(strstr(text, "count=3\n"));
	assert_non_null(strstr(text, "program=sluice-engine event=detail\n"));
	log_as(true, true);
	assert_string_equal(text, "");
}

static void test_report__log_lines_stay_one_line(void **state)
{
	static char long_text[4000];

	(void)state;
	sluice_cli_set_output(false, false, false);
	begin();
	sluice_cli_log("p", "name=%s", "a\nb\033[2J\177");
	end();
	assert_non_null(strstr(text, "program=p name=a?b?[2J?\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);

	memset(long_text, 'x', sizeof(long_text) - 1);
	begin();
	sluice_cli_log("p", "name=%s", long_text);
	end();
	assert_int_equal(strlen(text), 1024);
	assert_ptr_equal(strchr(text, '\n'), text + 1023);
}

static void test_report__the_flags_can_be_asked(void **state)
{
	(void)state;
	sluice_cli_set_output(true, false, false);
	assert_true(sluice_cli_is_json() && !sluice_cli_is_quiet() && !sluice_cli_is_verbose());
	sluice_cli_set_output(false, true, false);
	assert_true(!sluice_cli_is_json() && sluice_cli_is_quiet() && !sluice_cli_is_verbose());
	sluice_cli_set_output(false, false, true);
	assert_true(!sluice_cli_is_json() && !sluice_cli_is_quiet() && sluice_cli_is_verbose());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report__error_and_hints),
		cmocka_unit_test(test_report__error_as_json),
		cmocka_unit_test(test_report__the_longest_error_fits),
		cmocka_unit_test(test_report__fail_maps_the_errno),
		cmocka_unit_test(test_report__log_lines),
		cmocka_unit_test(test_report__log_lines_stay_one_line),
		cmocka_unit_test(test_report__the_flags_can_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
