/* SPDX-License-Identifier: MIT */
/*
 * test_options_help.c - help, man page, completion, explanation and sluice_options_start: each
 * holds every option of the table, and the program leaves with the right code.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/options.h"
#include "cli/version.h"

struct values {
	const char *name;
	uint64_t timeout_ns;
	uint32_t durability;
	bool once;
	const char *from;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct values, name), .value = "NAME", .required = true,
	 .help = "the instance"},
	{"wait-timeout", 't', SLUICE_OPTION_DURATION(struct values, timeout_ns), .initial = "30s",
	 .help = "give up when the other side has not come after so long a time, and say what it "
		 "was that did not come"},
	{"durability", 0, SLUICE_OPTION_CHOICE(struct values, durability),
	 .words = "batch|async|off", .initial = "batch", .help = ".when\\it is \"visible\""},
	{"once", 0, SLUICE_OPTION_FLAG(struct values, once), .help = "leave"},
};

static const struct sluice_cli_command command = {
	.program = "sluice try",
	.summary = "tries the options",
	.description = "First paragraph.\n\n.Second - paragraph.",
	.options = table,
	.option_count = sizeof(table) / sizeof(table[0]),
	.positionals = {{"FROM", "the source", offsetof(struct values, from), .optional = true}},
	.examples = {{"sluice try -n x", "first example"},
		     {"sluice try -n y --once", "second example"}},
};

static const char *const every_option[] = {"name", "wait-timeout", "durability",    "once",
					   "help", "help-man",	   "help-complete", "version",
					   "json", "quiet",	   "verbose",	    "config"};

#define EVERY (sizeof(every_option) / sizeof(every_option[0]))

static char text[65536];

/* What `print` writes, in `text`. */
static void capture(int (*print)(const struct sluice_cli_command *, FILE *))
{
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	assert_int_equal(print(&command, file), 0);
	assert_int_equal(fclose(file), 0);
}

static void assert_has(const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void test_options_help__help_has_every_option(void **state)
{
	(void)state;
	capture(sluice_options_help);
	for (size_t i = 0; i < EVERY; i++) {
		char flag[64];

		snprintf(flag, sizeof(flag), " --%s", every_option[i]);
		assert_has(flag);
	}
	assert_has("Usage: sluice try [OPTION]... --name NAME [FROM]\ntries the options.\n");
	assert_has("\n  FROM                        the source\n");
	assert_has("\n  -n, --name NAME             the instance (needed)\n");
	assert_has("\n      --durability batch|async|off\n                              .when");
	assert_has("(default batch)");
	assert_has("Examples:\n  sluice try -n x\n      first example\n  sluice try -n y --once\n");
	assert_has("\n    0  done");
	assert_has("\n    7  would destroy something; repeat with --yes\n");
	assert_has("\n  128  plus n: ended by signal n\n");
}

static void test_options_help__help_fits_80_columns(void **state)
{
	(void)state;
	capture(sluice_options_help);
	for (const char *line = text; *line;) {
		const size_t bytes = strcspn(line, "\n");

		if (bytes > 79)
			fail_msg("%zu columns: %.*s", bytes, (int)bytes, line);
		assert_true(bytes == 0 || line[bytes - 1] != ' ');
		line += bytes + (line[bytes] == '\n');
	}
	/* the long text wraps under itself */
	assert_has("has not come after so\n                              long a time, and");
}

static void test_options_help__man_has_every_option(void **state)
{
	(void)state;
	capture(sluice_options_man);
	for (size_t i = 0; i < EVERY; i++) {
		char flag[128] = "\\fB\\-\\-";

		for (const char *letter = every_option[i]; *letter; letter++)
			snprintf(flag + strlen(flag), 4, "%s%c", *letter == '-' ? "\\" : "",
				 *letter);
		strcat(flag, "\\fR");
		assert_has(flag);
	}
	assert_has(".TH SLUICE-TRY 1 \"\" \"Sluice " SLUICE_VERSION "\" \"Sluice\"\n");
	assert_has(".SH NAME\nsluice-try \\- tries the options\n");
	assert_has(".SH DESCRIPTION\nFirst paragraph.\n.PP\n\\&.Second \\- paragraph.\n");
	assert_has(
		"\n\\&.when\\eit is \"visible\" (default batch).\nVariable: SLUICE_DURABILITY.\n");
	assert_has("\\fB\\-t\\fR, \\fB\\-\\-wait\\-timeout\\fR \\fITIME\\fR\n");
	assert_has("Variable: SLUICE_WAIT_TIMEOUT.\n");
	assert_has(".SH EXIT STATUS\n.TP\n0\n");
	assert_has(
		".SH EXAMPLES\n.PP\nfirst example:\n.PP\n.nf\n.RS\nsluice try \\-n x\n.RE\n.fi\n");
}

static bool tool_exists(const char *tool)
{
	char line[128];

	snprintf(line, sizeof(line), "command -v %s >/dev/null 2>&1", tool);
	return system(line) == 0;
}

static void test_options_help__groff_takes_the_man_page(void **state)
{
	char warning[256] = "";

	(void)state;
	if (!tool_exists("groff")) {
		print_message("skip: groff_takes_the_man_page: groff is not installed\n");
		skip();
	}
	capture(sluice_options_man);

	char path[] = "/tmp/sluice-man.XXXXXX";
	char line[128];
	const int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(line, sizeof(line), "groff -man -ww -Tascii %s 2>&1 >/dev/null", path);

	FILE *groff = popen(line, "re");

	assert_non_null(groff);
	if (!fgets(warning, sizeof(warning), groff))
		warning[0] = '\0';
	pclose(groff);
	unlink(path);
	assert_string_equal(warning, "");
}

static void test_options_help__completion_has_every_option(void **state)
{
	(void)state;
	capture(sluice_options_complete);
	assert_string_equal(text, "-n <NAME>\n"
				  "--name <NAME>\n"
				  "-t <TIME>\n"
				  "--wait-timeout <TIME>\n"
				  "--durability batch async off\n"
				  "--once\n"
				  "-h\n"
				  "--help\n"
				  "--help-man\n"
				  "--help-complete\n"
				  "--version\n"
				  "--json\n"
				  "-q\n"
				  "--quiet\n"
				  "-v\n"
				  "--verbose\n"
				  "--config <FILE>\n");
}

static void test_options_help__json_has_every_option(void **state)
{
	(void)state;
	capture(sluice_options_help_json);
	for (size_t i = 0; i < EVERY; i++) {
		char name[64];

		snprintf(name, sizeof(name), "{\"name\":\"%s\",", every_option[i]);
		assert_has(name);
	}
	assert_has("{\"program\":\"sluice try\",\"summary\":\"tries the options\","
		   "\"arguments\":[\"FROM\"],\"options\":[{\"name\":\"name\",\"letter\":\"n\","
		   "\"kind\":\"string\",\"value\":\"NAME\",\"required\":true,"
		   "\"help\":\"the instance\"},");
	assert_has("\"exit_codes\":{\"0\":\"done");
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_options_help__a_broken_stream_is_an_error(void **state)
{
	FILE *file = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(file);
	setvbuf(file, NULL, _IONBF, 0);
	assert_int_equal(sluice_options_help(&command, file), -EIO);
	assert_int_equal(sluice_options_man(&command, file), -EIO);
	assert_int_equal(sluice_options_complete(&command, file), -EIO);
	assert_int_equal(sluice_options_help_json(&command, file), -EIO);
	fclose(file);
}

static void explain(const char *config, bool json)
{
	char *argv[] = {"sluice try", "-n", "x", "--config", (char *)(uintptr_t)config, NULL};
	struct values values = {0};
	struct sluice_options options;
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_int_equal(sluice_options_parse(&options, &command, 5, argv, &values, NULL), 0);
	assert_int_equal(sluice_options_explain(&options, file, json), 0);
	fclose(file);
	sluice_options_release(&options);
}

static void test_options_help__explain_names_the_origin(void **state)
{
	char path[] = "/tmp/sluice-explain.XXXXXX";
	char line[128];
	const int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "\ndurability = off\n", 18), 18);
	close(fd);
	setenv("SLUICE_ONCE", "yes", 1);
	explain(path, false);
	assert_has("name = x                    # --name\n");
	assert_has("wait-timeout = 30s          # default\n");
	snprintf(line, sizeof(line), "durability = off            # %s:2\n", path);
	assert_has(line);
	assert_has("once = yes                  # SLUICE_ONCE\n");
	snprintf(line, sizeof(line), "# config: %s\n", path);
	assert_has(line);
	explain(path, true);
	assert_has("\"once\":{\"value\":\"yes\",\"origin\":\"SLUICE_ONCE\"}");
	assert_has("\"wait-timeout\":{\"value\":\"30s\",\"origin\":\"default\"}");

	/* the explanation is itself a config file */
	unsetenv("SLUICE_ONCE");
	explain(path, false);

	FILE *file = fopen(path, "we");

	fputs(text, file);
	fclose(file);
	explain(path, true);
	assert_has("\"durability\":{\"value\":\"off\",\"origin\":\"/tmp/sluice-explain.");
	unlink(path);
}

/* Runs sluice_options_start in a child with stdout and stderr in `text`; returns its exit code. */
static int start(const char *argument, const char *second)
{
	char *argv[] = {"sluice try", (char *)(uintptr_t)argument, (char *)(uintptr_t)second, NULL};
	int ends[2];
	int status;
	size_t used = 0;

	assert_int_equal(pipe(ends), 0);
	fflush(stdout);

	const pid_t child = fork();

	if (child == 0) {
		struct values values = {0};
		struct sluice_options options;
		int code = 99;

		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		if (sluice_options_start(&options, &command, second ? 3 : 2, argv, &values, &code))
			code = 42;
		sluice_options_release(&options);
		_exit(code);
	}
	close(ends[1]);
	for (ssize_t bytes; (bytes = read(ends[0], text + used, sizeof(text) - 1 - used)) > 0;)
		used += (size_t)bytes;
	text[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_options_help__start_leaves_with_the_right_code(void **state)
{
	(void)state;
	assert_int_equal(start("-n", "x"), 42);
	assert_string_equal(text, "");
	assert_int_equal(start("--help", NULL), SLUICE_EXIT_OK);
	assert_has("Usage: sluice try");
	assert_int_equal(start("--help", "--json"), SLUICE_EXIT_OK);
	assert_has("{\"program\":\"sluice try\"");
	assert_int_equal(start("--help-man", NULL), SLUICE_EXIT_OK);
	assert_has(".TH SLUICE-TRY");
	assert_int_equal(start("--help-complete", NULL), SLUICE_EXIT_OK);
	assert_has("--durability batch async off\n");
	assert_int_equal(start("--version", NULL), SLUICE_EXIT_OK);
	assert_string_equal(text, "sluice try " SLUICE_VERSION "\n");
	assert_int_equal(start("--version", "--json"), SLUICE_EXIT_OK);
	assert_string_equal(text,
			    "{\"program\":\"sluice try\",\"version\":\"" SLUICE_VERSION "\"}\n");
	assert_int_equal(start("--nope", NULL), SLUICE_EXIT_USAGE);
	assert_string_equal(text, "sluice try: unknown option --nope; did you mean --name?\n"
				  "  try: sluice try --help\n");
	assert_int_equal(start("--json", "--zzzzzzzz"), SLUICE_EXIT_USAGE);
	assert_string_equal(text, "{\"program\":\"sluice try\",\"code\":2,\"message\":\"unknown "
				  "option --zzzzzzzz\",\"hint\":[\"sluice try --help\"]}\n");
	assert_int_equal(start("--config=/nonexistent/file", NULL), SLUICE_EXIT_NOT_FOUND);
	assert_has("cannot open the config file /nonexistent/file: No such file or directory\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_help__help_has_every_option),
		cmocka_unit_test(test_options_help__help_fits_80_columns),
		cmocka_unit_test(test_options_help__man_has_every_option),
		cmocka_unit_test(test_options_help__groff_takes_the_man_page),
		cmocka_unit_test(test_options_help__completion_has_every_option),
		cmocka_unit_test(test_options_help__json_has_every_option),
		cmocka_unit_test(test_options_help__a_broken_stream_is_an_error),
		cmocka_unit_test(test_options_help__explain_names_the_origin),
		cmocka_unit_test(test_options_help__start_leaves_with_the_right_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
