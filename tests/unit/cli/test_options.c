/* SPDX-License-Identifier: MIT */
/*
 * test_options.c - parsing, precedence, origins and every refusal of the option table. What the
 * table prints is tested in test_options_help.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"

struct values {
	const char *name;
	uint64_t timeout_ns;
	uint64_t rate;
	uint64_t ring_bytes;
	uint64_t count;
	uint64_t at_least;
	uint32_t durability;
	bool once;
	const char *from;
	struct sluice_option_list files;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct values, name), .value = "NAME", .required = true,
	 .help = "the instance"},
	{"wait-timeout", 't', SLUICE_OPTION_DURATION(struct values, timeout_ns), .initial = "30s",
	 .max = 3600000000000, .help = "give up after"},
	{"rate", 0, SLUICE_OPTION_RATE(struct values, rate), .initial = "max", .help = "speed"},
	{"ring-bytes", 0, SLUICE_OPTION_SIZE(struct values, ring_bytes), .initial = "64M",
	 .min = 4096, .max = 1 << 30, .help = "size"},
	{"count", 'c', SLUICE_OPTION_COUNT(struct values, count), .help = "how many"},
	{"at-least", 0, SLUICE_OPTION_COUNT(struct values, at_least), .initial = "5", .min = 2,
	 .help = "how many"},
	{"durability", 0, SLUICE_OPTION_CHOICE(struct values, durability),
	 .words = "batch|async|off", .initial = "batch", .help = "when"},
	{"once", 0, SLUICE_OPTION_FLAG(struct values, once), .help = "leave"},
};

static const struct sluice_cli_command command = {
	.program = "sluice-test",
	.summary = "a test",
	.options = table,
	.option_count = sizeof(table) / sizeof(table[0]),
	.positionals = {{"FROM", "the source", offsetof(struct values, from), .optional = true},
			{"FILE", "more", offsetof(struct values, files), .optional = true,
			 .repeats = true}},
	.examples = {{"sluice-test -n x", "one"}, {"sluice-test -n y", "two"}},
};

static const struct sluice_cli_command strict = {
	.program = "sluice-strict",
	.summary = "a test",
	.positionals = {{"FROM", "the source", offsetof(struct values, from), .optional = false}},
	.examples = {{"sluice-strict x", "one"}, {"sluice-strict y", "two"}},
};

#define ARGS_MAX 16

static struct values values;
static struct sluice_options options;
static struct sluice_diag diag;
static char *argv_copy[ARGS_MAX + 2];
static char config_path[256];

static int setup(void **state)
{
	(void)state;
	values = (struct values){.count = 77};
	diag = (struct sluice_diag){.text = ""};
	snprintf(config_path, sizeof(config_path), "%s/sluice-config.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

	const int fd = mkstemp(config_path);

	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	static const char *const variables[] = {
		"SLUICE_NAME",	 "SLUICE_RATE",	 "SLUICE_ONCE",
		"SLUICE_CONFIG", "SLUICE_JSON",	 "SLUICE_WAIT_TIMEOUT",
		"SLUICE_HELP",	 "SLUICE_QUIET", "SLUICE_DURABILITY"};

	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	sluice_options_release(&options);
	return unlink(config_path);
}

static void write_config(const char *text)
{
	FILE *file = fopen(config_path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	setenv("SLUICE_CONFIG", config_path, 1);
}

/* Words separated by single blanks. */
static int parse_command(const struct sluice_cli_command *which, const char *line)
{
	static char words[1024];
	int argc = 0;

	snprintf(words, sizeof(words), "%s %s", which->program, line);
	for (char *word = words; word && argc < ARGS_MAX;) {
		char *blank = strchr(word, ' ');

		if (blank)
			*blank++ = '\0';
		if (*word)
			argv_copy[argc++] = word;
		word = blank;
	}
	argv_copy[argc] = NULL;
	sluice_options_release(&options);
	return sluice_options_parse(&options, which, argc, argv_copy, &values, &diag);
}

static int parse(const char *line)
{
	return parse_command(&command, line);
}

static void refuse(const char *line, const char *text)
{
	const struct values before = values;

	assert_int_equal(parse(line), -EINVAL);
	assert_string_equal(diag.text, text);
	assert_string_equal(diag.hint, "sluice-test --help");
	assert_memory_equal(&values, &before, sizeof(values));
}

static void test_options__every_kind(void **state)
{
	(void)state;
	assert_int_equal(parse("--name x --wait-timeout=2m --rate 100k --ring-bytes=1M -c 1_000 "
			       "--durability async --once"),
			 0);
	assert_string_equal(values.name, "x");
	assert_int_equal(values.timeout_ns, 120000000000);
	assert_int_equal(values.rate, 100000);
	assert_int_equal(values.ring_bytes, 1048576);
	assert_int_equal(values.count, 1000);
	assert_int_equal(values.durability, 1);
	assert_true(values.once);
	assert_int_equal(options.show, SLUICE_SHOW_NOTHING);
}

static void test_options__defaults_and_the_callers_own(void **state)
{
	(void)state;
	assert_int_equal(parse("-nx"), 0);
	assert_string_equal(values.name, "x");
	assert_int_equal(values.timeout_ns, 30000000000);
	assert_int_equal(values.rate, 0);
	assert_int_equal(values.ring_bytes, 64 << 20);
	assert_int_equal(values.count, 77);
	assert_int_equal(values.durability, 0);
	assert_false(values.once);
	assert_null(values.from);
	assert_int_equal(values.files.count, 0);
	assert_int_equal(sluice_options_origin(&options, "count"), SLUICE_ORIGIN_DEFAULT);
}

static void test_options__standard_ones(void **state)
{
	(void)state;
	assert_int_equal(parse("-n x --json -q -v"), 0);
	assert_true(options.standard.json);
	assert_true(options.standard.quiet);
	assert_true(options.standard.verbose);
	assert_int_equal(parse("-n x"), 0);
	assert_false(options.standard.json);
	assert_false(options.standard.quiet);
	assert_false(options.standard.verbose);
	assert_null(options.standard.config);
}

static void test_options__positionals(void **state)
{
	(void)state;
	assert_int_equal(parse("a -n x b --once c"), 0);
	assert_string_equal(values.from, "a");
	assert_int_equal(values.files.count, 2);
	assert_string_equal(values.files.items[0], "b");
	assert_string_equal(values.files.items[1], "c");
	assert_int_equal(parse("-n x -- --once"), 0);
	assert_string_equal(values.from, "--once");
	assert_int_equal(values.files.count, 0);
	assert_int_equal(parse("-n x -"), 0);
	assert_string_equal(values.from, "-");
}

static void test_options__positionals_missing_and_too_many(void **state)
{
	(void)state;
	assert_int_equal(parse_command(&strict, ""), -EINVAL);
	assert_string_equal(diag.text, "FROM is missing: the source");
	assert_string_equal(diag.hint, "sluice-strict --help");
	assert_int_equal(parse_command(&strict, "a b"), -EINVAL);
	assert_string_equal(diag.text, "unexpected argument \"b\"");
	assert_int_equal(parse_command(&strict, "a"), 0);
	assert_string_equal(values.from, "a");
}

static void test_options__the_last_flag_counts(void **state)
{
	(void)state;
	assert_int_equal(parse("-n x --rate 1 --rate=2 --once --once=no"), 0);
	assert_int_equal(values.rate, 2);
	assert_false(values.once);
}

static void test_options__precedence_and_origins(void **state)
{
	(void)state;
	assert_int_equal(parse("-n x"), 0);
	assert_int_equal(values.rate, 0);
	assert_int_equal(sluice_options_origin(&options, "rate"), SLUICE_ORIGIN_DEFAULT);
	assert_int_equal(sluice_options_origin(&options, "name"), SLUICE_ORIGIN_FLAG);

	write_config("rate = 10\n");
	assert_int_equal(parse("-n x"), 0);
	assert_int_equal(values.rate, 10);
	assert_int_equal(sluice_options_origin(&options, "rate"), SLUICE_ORIGIN_CONFIG);
	assert_int_equal(sluice_options_origin(&options, "config"), SLUICE_ORIGIN_ENVIRONMENT);

	setenv("SLUICE_RATE", "20", 1);
	assert_int_equal(parse("-n x"), 0);
	assert_int_equal(values.rate, 20);
	assert_int_equal(sluice_options_origin(&options, "rate"), SLUICE_ORIGIN_ENVIRONMENT);

	assert_int_equal(parse("-n x --rate 30"), 0);
	assert_int_equal(values.rate, 30);
	assert_int_equal(sluice_options_origin(&options, "rate"), SLUICE_ORIGIN_FLAG);

	setenv("SLUICE_RATE", "", 1); /* empty is unset */
	assert_int_equal(parse("-n x"), 0);
	assert_int_equal(values.rate, 10);
}

static void test_options__variables(void **state)
{
	(void)state;
	setenv("SLUICE_NAME", "env", 1);
	setenv("SLUICE_WAIT_TIMEOUT", "7ms", 1);
	setenv("SLUICE_ONCE", "1", 1);
	setenv("SLUICE_JSON", "yes", 1);
	setenv("SLUICE_HELP", "1", 1); /* --help is for the command line only */
	assert_int_equal(parse("--once=off"), 0);
	assert_string_equal(values.name, "env");
	assert_int_equal(values.timeout_ns, 7000000);
	assert_false(values.once);
	assert_true(options.standard.json);
	assert_int_equal(options.show, SLUICE_SHOW_NOTHING);
}

static void test_options__a_wrong_value_that_is_overruled_does_not_matter(void **state)
{
	(void)state;
	write_config("rate = nonsense\n");
	assert_int_equal(parse("-n x --rate 5"), 0);
	assert_int_equal(values.rate, 5);
}

static void test_options__config_syntax(void **state)
{
	(void)state;
	write_config("# a comment\r\n"
		     "\n"
		     "  name =  from# config  # why\n"
		     "wait_timeout=9s\n"
		     "\trate\t=\t1k\t\n"
		     "rate = 2k\n"
		     "[sluice-other]\n"
		     "unheard-of = 1\n"
		     "durability = off\n"
		     "[ sluice-test ]\n"
		     "once = yes\n"
		     "#durability = off\n"
		     "durability = async");
	assert_int_equal(parse(""), 0);
	assert_string_equal(values.name, "from# config");
	assert_int_equal(values.timeout_ns, 9000000000);
	assert_int_equal(values.rate, 2000);
	assert_true(values.once);
	assert_int_equal(values.durability, 1);
}

static void refuse_config(const char *text, const char *why)
{
	char expected[600];

	write_config(text);
	snprintf(expected, sizeof(expected), "%s%s", config_path, why);
	refuse("-n x", expected);
	assert_null(options.config_text);
}

static void test_options__config_errors_name_the_line(void **state)
{
	static char large[SLUICE_CONFIG_BYTES_MAX + 2];

	(void)state;
	refuse_config("\nnonsense\n", ":2: \"nonsense\" is no `option = value` line");
	refuse_config("raet = 5\n", ":1: unknown option \"raet\"; did you mean rate?");
	refuse_config("# x\n\nzzzzzzzz = 5\n", ":3: unknown option \"zzzzzzzz\"");
	refuse_config("= 5\n", ":1: unknown option \"\"");
	refuse_config("help = yes\n", ":1: help is for the command line only");
	refuse_config("config = x\n", ":1: config is for the command line only");
	refuse_config("[sluice-test\n", ":1: \"[sluice-test\" lacks its ]");
	refuse_config("[\n", ":1: \"[\" lacks its ]");
	refuse_config("\nrate = fast\n",
		      ":2: rate: \"fast\" is not accepted, only a number per second, also with k, "
		      "M or G, such as 100k; or max");
	refuse_config("rate =\n",
		      ":1: rate: \"\" is not accepted, only a number per second, also with k, "
		      "M or G, such as 100k; or max");
	memset(large, '\n', sizeof(large) - 1);
	refuse_config(large, ": more than 65536 bytes");

	FILE *file = fopen(config_path, "we");

	fwrite("a\0b", 1, 3, file);
	fclose(file);
	assert_int_equal(parse("-n x"), -EINVAL);
	assert_non_null(strstr(diag.text, ": is no text file"));
}

static void test_options__config_that_cannot_be_read(void **state)
{
	(void)state;
	assert_int_equal(parse("-n x --config /nonexistent/x.conf"), -ENOENT);
	assert_string_equal(diag.text, "cannot open the config file /nonexistent/x.conf: "
				       "No such file or directory");
	assert_int_equal(parse("-n x --config /"), -EISDIR);
	assert_string_equal(diag.text, "cannot read the config file /: Is a directory");
}

static void test_options__unknown_options(void **state)
{
	(void)state;
	refuse("--nmae x", "unknown option --nmae; did you mean --name?");
	refuse("x --nmae=5 y", "unknown option --nmae; did you mean --name?");
	refuse("-n x --qqqqqqqqq", "unknown option --qqqqqqqqq");
	refuse("-n x -z", "unknown option -z");
	refuse("-qz", "unknown option -z");
	refuse("--r 5", "--r is short for more than one option");
	refuse("--help=5", "--help takes no value");
	refuse("a b c --wiat-timeout",
	       "unknown option --wiat-timeout; did you mean --wait-timeout?");
}

static void test_options__missing_values_and_options(void **state)
{
	(void)state;
	refuse("--name", "--name needs a value: --name=NAME");
	refuse("-n", "--name needs a value: --name=NAME");
	refuse("-n x --durability", "--durability needs a value: --durability=batch|async|off");
	refuse("-n x --wait-timeout", "--wait-timeout needs a value: --wait-timeout=TIME");
	refuse("", "--name NAME is needed (or SLUICE_NAME): the instance");
}

static void test_options__refused_values_say_what_is_accepted(void **state)
{
	(void)state;
	refuse("-n x --once=maybe", "--once: \"maybe\" is not accepted, only yes or no");
	refuse("-n x -c ten", "--count: \"ten\" is not accepted, only a whole number, also with k, "
			      "M, G or Ki, Mi, Gi, such as 10k");
	refuse("-n x --ring-bytes 1X", "--ring-bytes: \"1X\" is not accepted, only bytes, or a "
				       "number with K, M, G, T (of 1024), such as 64M");
	refuse("-n x -t soon", "--wait-timeout: \"soon\" is not accepted, only a number with ns, "
			       "us, ms, s, m, h or d (without: seconds), such as 10us");
	refuse("-n x --rate -5", "--rate: \"-5\" is not accepted, only a number per second, also "
				 "with k, M or G, such as 100k; or max");
	refuse("-n x --durability bach",
	       "--durability: \"bach\" is not accepted, only batch|async|off; did you mean batch?");
	refuse("-n x --durability safest",
	       "--durability: \"safest\" is not accepted, only batch|async|off");
	refuse("-n x -c 99999999999999999999", "--count: \"99999999999999999999\" is too large");
}

static void test_options__bounds(void **state)
{
	(void)state;
	refuse("-n x --ring-bytes 4095", "--ring-bytes: \"4095\" is not accepted, only 4096 to "
					 "1073741824 bytes");
	refuse("-n x --ring-bytes 2G", "--ring-bytes: \"2G\" is not accepted, only 4096 to "
				       "1073741824 bytes");
	refuse("-n x -t 2h", "--wait-timeout: \"2h\" is not accepted, only 0 to 3600000000000 ns");
	refuse("-n x --at-least 1", "--at-least: \"1\" is not accepted, only 2 or more");
	assert_int_equal(parse("-n x --ring-bytes 4096 -t 1h --at-least 2"), 0);
	assert_int_equal(parse("-n x --ring-bytes 1G"), 0);
}

static void test_options__errors_name_the_variable(void **state)
{
	(void)state;
	setenv("SLUICE_WAIT_TIMEOUT", "soon", 1);
	refuse("-n x", "SLUICE_WAIT_TIMEOUT: \"soon\" is not accepted, only a number with ns, us, "
		       "ms, s, m, h or d (without: seconds), such as 10us");
}

static void test_options__an_error_still_knows_json(void **state)
{
	(void)state;
	assert_int_equal(parse("--json --nope"), -EINVAL);
	assert_true(options.standard.json);
	setenv("SLUICE_JSON", "1", 1);
	assert_int_equal(parse("--nope"), -EINVAL);
	assert_true(options.standard.json);
	setenv("SLUICE_JSON", "perhaps", 1);
	assert_int_equal(parse("--nope"), -EINVAL);
	assert_false(options.standard.json);
}

static void test_options__help_goes_before_everything(void **state)
{
	const struct values before = values;

	(void)state;
	write_config("nonsense\n");
	assert_int_equal(parse("-h"), 0);
	assert_int_equal(options.show, SLUICE_SHOW_HELP);
	assert_int_equal(parse("--help --json --rate fast"), 0);
	assert_int_equal(options.show, SLUICE_SHOW_HELP);
	assert_true(options.standard.json);
	assert_int_equal(parse("--help --nope"), 0);
	assert_int_equal(options.show, SLUICE_SHOW_HELP);
	assert_int_equal(parse("--help-man"), 0);
	assert_int_equal(options.show, SLUICE_SHOW_MAN);
	assert_int_equal(parse("--help-complete"), 0);
	assert_int_equal(options.show, SLUICE_SHOW_COMPLETE);
	assert_int_equal(parse("--version"), 0);
	assert_int_equal(options.show, SLUICE_SHOW_VERSION);
	assert_memory_equal(&values, &before, sizeof(values));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_options__every_kind),
		CASE(test_options__defaults_and_the_callers_own),
		CASE(test_options__standard_ones),
		CASE(test_options__positionals),
		CASE(test_options__positionals_missing_and_too_many),
		CASE(test_options__the_last_flag_counts),
		CASE(test_options__precedence_and_origins),
		CASE(test_options__variables),
		CASE(test_options__a_wrong_value_that_is_overruled_does_not_matter),
		CASE(test_options__config_syntax),
		CASE(test_options__config_errors_name_the_line),
		CASE(test_options__config_that_cannot_be_read),
		CASE(test_options__unknown_options),
		CASE(test_options__missing_values_and_options),
		CASE(test_options__refused_values_say_what_is_accepted),
		CASE(test_options__bounds),
		CASE(test_options__errors_name_the_variable),
		CASE(test_options__an_error_still_knows_json),
		CASE(test_options__help_goes_before_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
