/* SPDX-License-Identifier: MIT */
/* test_source.c - sources as a whole: formats, resolvers, numbering, and the samples of docs/. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "producer/lobster.h"
#include "tests/unit/producer/fixture.h"

#define SAMPLES "docs/samples/"
#define LOBSTER_SAMPLE SAMPLES "DEMO_2026-01-02_34200000_34260000_message_10.csv"

static struct sluice_source *open_path(const char *path)
{
	const struct sluice_source_options options = {.path = path};
	struct sluice_source *source;
	struct sluice_diag diag;

	if (sluice_source_open(&source, &options, &diag))
		fail_msg("%s (the tests run in the project's root)", diag.text);
	return source;
}

static void test_source__samples_say_the_same(void **state)
{
	struct sluice_source *csv = open_path(SAMPLES "commands.csv");
	struct sluice_source *jsonl = open_path(SAMPLES "commands.jsonl");
	struct sluice_source_item a, b;
	struct sluice_diag diag;
	uint32_t count = 0;
	int ret;

	(void)state;
	while ((ret = sluice_source_next(csv, &a, &diag)) == 1) {
		if (sluice_source_next(jsonl, &b, &diag) != 1)
			fail_msg("%s", diag.text);
		assert_commands_equal(&a.command, &b.command);
		assert_string_equal(a.symbol, b.symbol);
		count++;
	}
	if (ret)
		fail_msg("%s", diag.text);
	assert_int_equal(sluice_source_next(jsonl, &b, &diag), 0);
	assert_int_equal(count, 21);
	sluice_source_close(csv);
	sluice_source_close(jsonl);
}

static void test_source__lobster_sample(void **state)
{
	struct sluice_source *source = open_path(LOBSTER_SAMPLE);
	struct sluice_source_item item;
	struct sluice_source_stats stats;
	struct sluice_diag diag;
	int ret;

	(void)state;
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_string_equal(item.symbol, "DEMO");
	while ((ret = sluice_source_next(source, &item, &diag)) == 1)
		;
	if (ret)
		fail_msg("%s", diag.text);
	sluice_source_stats(source, &stats);
	assert_int_equal(stats.lines, 406);
	assert_int_equal(stats.commands, 1 + 406 - 3);
	assert_int_equal(stats.hidden, 1);
	assert_int_equal(stats.crosses, 1);
	assert_int_equal(stats.halts_skipped, 1);
	sluice_source_close(source);
}

/* The generator through CSV is the generator. */
static void test_source__generator_round_trip(void **state)
{
	enum { COUNT = 20000 };
	struct sluice_source_options options = {.path = NULL};
	char *text = malloc((COUNT + 1ul) * 200), *at = text;
	struct sluice_command *commands = malloc(COUNT * sizeof(*commands));
	struct sluice_command_names names;
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_diag diag;
	struct reading r;
	uint32_t i = 0;

	(void)state;
	sluice_generator_defaults(&options.generator);
	assert_int_equal(sluice_generator_set(&options.generator,
					      "count=20000,accounts=3,price_decimals=2,"
					      "qty_decimals=3",
					      &diag),
			 0);
	assert_int_equal(sluice_source_open(&source, &options, &diag), 0);
	assert_true(sluice_source_ready(source));
	at += sluice_command_text_header(at, SLUICE_COMMAND_TEXT_MAX);
	for (; sluice_source_next(source, &item, &diag) == 1; i++) {
		commands[i] = item.command;
		sluice_source_names(source, &item, &names);
		at += sluice_command_text_write(&item.command, &names, at, SLUICE_COMMAND_TEXT_MAX);
		assert_true((size_t)(at - text) < COUNT * 200ul);
	}
	assert_int_equal(i, COUNT);
	*at = '\0';
	reading_open(&r, SLUICE_FORMAT_AUTO, text);
	for (i = 0; i < COUNT; i++) {
		if (reading_next(&r) != 1)
			fail_msg("%s", r.diag.text);
		assert_commands_equal(&r.item.command, &commands[i]);
	}
	assert_int_equal(reading_next(&r), 0);
	reading_close(&r);
	sluice_source_close(source);
	free(text);
	free(commands);
}

static void test_source__format_by_first_character(void **state)
{
	static const char *const texts[] = {"# x\n\ncmd,time_ns\ntick,5\n",
					    "\n# {\n {\"cmd\":\"tick\",\"time_ns\":5}\n"};
	struct reading r;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		reading_open(&r, SLUICE_FORMAT_AUTO, texts[i]);
		assert_int_equal(reading_next(&r), 1);
		assert_int_equal(r.item.command.time_ns, 5);
		reading_close(&r);
	}
	reading_open(&r, SLUICE_FORMAT_AUTO, "1.5,1,2,3,100,1\n");
	assert_int_equal(reading_next(&r), 1);
	assert_string_equal(r.item.symbol, "LOBSTER");
	reading_close(&r);
	reading_open(&r, SLUICE_FORMAT_AUTO, "");
	assert_int_equal(reading_next(&r), 0);
	reading_close(&r);
}

struct asked {
	uint32_t count;
	int answer;
};

static int answer(void *arg, enum sluice_directory_kind kind, const char *name,
		  struct sluice_resolved *ret_resolved)
{
	struct asked *asked = arg;

	assert_int_equal(kind, SLUICE_DIRECTORY_SYMBOL);
	asked->count++;
	if (asked->answer)
		return asked->answer;
	ret_resolved->id = 900 + (uint32_t)(name[0] - 'A');
	ret_resolved->price_decimals = 3;
	return 0;
}

static void test_source__resolver_is_asked_once_per_name(void **state)
{
	static const char text[] = "cmd,symbol,price,price_decimals\nadd_symbol,A,,2\n"
				   "place,A,1.125,\nplace,B,7,\nplace,A,1,\n";
	struct asked asked = {0};
	struct sluice_source_options options = {.resolver = {answer, &asked}};
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_diag diag;
	char path[64];
	int fd = memory_file(text, strlen(text), path);

	(void)state;
	options.path = path;
	assert_int_equal(sluice_source_open(&source, &options, &diag), 0);
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(asked.count, 0);
	asked.answer = -EINTR;
	assert_int_equal(sluice_source_next(source, &item, &diag), -EINTR);
	assert_int_equal(sluice_source_next(source, &item, &diag), -EINTR);
	asked.answer = 0;
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.symbol, 900);
	assert_int_equal(item.command.price, 1125);
	assert_int_equal(item.line, 3);
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.symbol, 901);
	assert_int_equal(item.command.price, 7000);
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.symbol, 900);
	assert_int_equal(item.command.price, 1000);
	assert_int_equal(asked.count, 4);
	sluice_source_close(source);
	close(fd);
}

static void test_source__resolver_errors_come_back(void **state)
{
	struct asked asked = {.answer = -ETIMEDOUT};
	struct sluice_source_options options = {.resolver = {answer, &asked}};
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_diag diag;
	int ret;

	(void)state;
	sluice_generator_defaults(&options.generator);
	assert_int_equal(sluice_source_open(&source, &options, &diag), 0);
	while ((ret = sluice_source_next(source, &item, &diag)) == 1)
		assert_int_equal(item.command.head.type, SLUICE_CMD_ADD_SYMBOL);
	assert_int_equal(ret, -ETIMEDOUT);
	assert_non_null(strstr(diag.text, "Connection timed out"));
	asked.answer = 0;
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.client_seq, 5); /* nothing is lost */
	sluice_source_close(source);
}

static void test_source__session_numbers_commands_without_one(void **state)
{
	static const char text[] = "cmd,session,client_seq\ntick,,\ntick,9,4\ntick,,\n";
	struct sluice_source_options options = {.session = 6};
	struct sluice_source *source;
	struct sluice_source_item item;
	struct sluice_diag diag;
	char path[64];
	int fd = memory_file(text, strlen(text), path);

	(void)state;
	options.path = path;
	assert_int_equal(sluice_source_open(&source, &options, &diag), 0);
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.session, 6);
	assert_int_equal(item.command.client_seq, 1);
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.session, 9);
	assert_int_equal(item.command.client_seq, 4);
	assert_int_equal(sluice_source_next(source, &item, &diag), 1);
	assert_int_equal(item.command.session, 6);
	assert_int_equal(item.command.client_seq, 2);
	sluice_source_close(source);
	close(fd);
}

static void test_source__bad_options(void **state)
{
	struct sluice_source_options options = {.path = LOBSTER_SAMPLE, .symbol = "A B"};
	struct sluice_source *source;
	struct sluice_diag diag;

	(void)state;
	assert_int_equal(sluice_source_open(&source, &options, &diag), -EINVAL);
	assert_string_equal(diag.text,
			    "symbol \"A B\" is not a name: 1 to 23 of A-Z a-z 0-9 . _ / -");
	options.symbol = NULL;
	options.lobster_tick = 5;
	assert_int_equal(sluice_source_open(&source, &options, &diag), -EINVAL);
	options.format = SLUICE_FORMATS;
	assert_int_equal(sluice_source_open(&source, &options, &diag), -EINVAL);
	options = (struct sluice_source_options){.path = "/nonexistent.csv"};
	assert_int_equal(sluice_source_open(&source, &options, &diag), -ENOENT);
}

/* The same name defined again keeps its id and its decimals, as in the engine. */
static void test_source__first_definition_stays(void **state)
{
	struct sluice_command c = last_command(SLUICE_FORMAT_CSV,
					       "cmd,symbol,price,price_decimals\nadd_symbol,X,,1\n"
					       "add_symbol,X,,2\nadd_symbol,Y,,3\nplace,X,1.5,\n");

	(void)state;
	assert_int_equal(c.symbol, 0);
	assert_int_equal(c.price, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source__samples_say_the_same),
		cmocka_unit_test(test_source__lobster_sample),
		cmocka_unit_test(test_source__generator_round_trip),
		cmocka_unit_test(test_source__format_by_first_character),
		cmocka_unit_test(test_source__resolver_is_asked_once_per_name),
		cmocka_unit_test(test_source__resolver_errors_come_back),
		cmocka_unit_test(test_source__session_numbers_commands_without_one),
		cmocka_unit_test(test_source__bad_options),
		cmocka_unit_test(test_source__first_definition_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
