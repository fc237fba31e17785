/* SPDX-License-Identifier: MIT */
/* wal_history.c - see wal_history.h. */
#include "tests/lib/wal_history.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/event_text.h"

#define TOMBSTONE UINT64_MAX
#define CORE_ALIGN 64u

static int wrong(struct wal_history *history, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct wal_history *history, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(history->wrong, sizeof(history->wrong), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

uint64_t wal_history_seed(uint64_t seed, uint32_t source)
{
	return seed * WAL_HISTORY_SOURCES + source + 1;
}

static void no_room(struct sluice_sink *sink)
{
	(void)sink;
	fprintf(stderr, "one command with more than %u reports\n", WAL_HISTORY_REPORTS);
	abort();
}

static int open_source(struct wal_history *history, uint32_t i, uint64_t seed, const char *text)
{
	struct wal_history_source *source = &history->sources[i];
	struct sluice_generator_params params;
	struct sluice_diag diag = {.text = ""};
	int rc;

	sluice_generator_defaults(&params);
	params.symbols = WAL_HISTORY_SYMBOLS;
	rc = sluice_generator_set(&params, text, &diag);
	params.seed = wal_history_seed(seed, i);
	params.session = i + 1;
	if (!rc)
		rc = sluice_generator_open(&source->generator, &params, &diag);
	if (rc) {
		snprintf(history->wrong, sizeof(history->wrong), "%s", diag.text);
		return rc;
	}
	source->commands = calloc(WAL_HISTORY_WINDOW, sizeof(*source->commands));
	return source->commands ? 0 : -ENOMEM;
}

static int open_core(struct wal_history *history, const struct sluice_core_options *limits)
{
	const struct reference_limits reference = {limits->symbols_max, limits->orders_max,
						   limits->sessions_max};
	const size_t bytes = (sluice_core_bytes(limits) + CORE_ALIGN - 1) &
			     ~(size_t)(CORE_ALIGN - 1);

	history->core_memory = aligned_alloc(CORE_ALIGN, bytes);
	if (!history->core_memory)
		return -ENOMEM;
	history->core = sluice_core_init(history->core_memory, limits);
	history->reference = reference_book_new(&reference);
	return history->core && history->reference ? 0 : -ENOMEM;
}

int wal_history_init(struct wal_history *history, const struct sluice_core_options *limits,
		     uint64_t seed, const char *params)
{
	struct sluice_sink *sink = &history->sink;
	int rc = 0;

	memset(history, 0, sizeof(*history));
	history->line = 1;
	sink->reports = calloc(WAL_HISTORY_REPORTS, sizeof(*sink->reports));
	sink->report_mask = WAL_HISTORY_REPORTS - 1;
	sink->report_next = 1;
	sink->md_next = 1;
	sink->report_flags = SLUICE_REPORT_DURABLE;
	sink->make_room = no_room;
	history->notes = calloc(WAL_HISTORY_WINDOW, sizeof(*history->notes));
	if (!sink->reports || !history->notes || sluice_names_init(&history->names, NULL))
		return -ENOMEM;
	for (uint32_t i = 0; !rc && i < WAL_HISTORY_SOURCES; i++)
		rc = open_source(history, i, seed, params);
	return rc ? rc : open_core(history, limits);
}

void wal_history_release(struct wal_history *history)
{
	for (uint32_t i = 0; i < WAL_HISTORY_SOURCES; i++) {
		sluice_generator_close(history->sources[i].generator);
		free(history->sources[i].commands);
	}
	if (history->reference)
		reference_book_free(history->reference);
	sluice_names_release(&history->names);
	free(history->core_memory);
	free(history->sink.reports);
	free(history->notes);
}

/* The command that the source's generator makes under this number. */
static int made(struct wal_history *history, uint64_t i, uint64_t client_seq,
		const struct sluice_command **ret_command)
{
	struct wal_history_source *source = &history->sources[i];

	if (!client_seq || client_seq > source->made + WAL_HISTORY_WINDOW / 2 ||
	    client_seq + WAL_HISTORY_WINDOW <= source->made)
		return wrong(history, "source %llu sent number %llu, when it had sent %llu",
			     (unsigned long long)i + 1, (unsigned long long)client_seq,
			     (unsigned long long)source->made);
	while (source->made < client_seq) {
		struct sluice_command *command =
			&source->commands[(source->made + 1) % WAL_HISTORY_WINDOW];

		if (!sluice_generator_next(source->generator, command))
			return wrong(history, "the generator has ended");
		command->head.length = sizeof(*command);
		source->made++;
	}
	*ret_command = &source->commands[client_seq % WAL_HISTORY_WINDOW];
	return 0;
}

static bool is_same(const struct sluice_command *a, const struct sluice_command *b)
{
	struct sluice_command x = *a, y = *b;

	x.head.participant = y.head.participant = 0;
	x.head.flags = y.head.flags = 0;
	x.send_ns = y.send_ns = 0;
	return !memcmp(&x, &y, sizeof(x));
}

int wal_history_note(struct wal_history *history, uint64_t cmd_seq,
		     const struct sluice_command *command)
{
	struct wal_history_note *note = &history->notes[cmd_seq % WAL_HISTORY_WINDOW];
	const struct sluice_command *expected;
	int rc;

	if (cmd_seq != history->noted || cmd_seq - history->next >= WAL_HISTORY_WINDOW)
		return wrong(history, "the command ring is at command %llu, %llu was to come",
			     (unsigned long long)cmd_seq, (unsigned long long)history->noted);
	if (!command) {
		*note = (struct wal_history_note){.source = TOMBSTONE};
		history->noted++;
		return 0;
	}
	if (!command->session || command->session > WAL_HISTORY_SOURCES)
		return wrong(history, "command %llu is of session %u", (unsigned long long)cmd_seq,
			     command->session);
	rc = made(history, command->session - 1, command->client_seq, &expected);
	if (rc)
		return rc;
	if (!is_same(command, expected))
		return wrong(history, "command %llu is not what source %u sent as number %llu",
			     (unsigned long long)cmd_seq, command->session,
			     (unsigned long long)command->client_seq);
	*note = (struct wal_history_note){command->client_seq, command->session - 1};
	history->noted++;
	return 0;
}

int wal_history_rewind(struct wal_history *history, uint64_t base)
{
	if (base < history->next)
		return wrong(history,
			     "lost: reports of command %llu were seen, and the log ends "
			     "before command %llu",
			     (unsigned long long)history->next - 1, (unsigned long long)base);
	if (base > history->noted)
		return wrong(history,
			     "the new command ring begins with %llu, the old one ended "
			     "with %llu",
			     (unsigned long long)base, (unsigned long long)history->noted);
	history->noted = base;
	return 0;
}

static int compare_books(struct wal_history *history, uint64_t first,
			 const struct sluice_report *want, size_t n)
{
	if (history->sink.report_next - first != n)
		return wrong(history,
			     "core and reference disagree about the reports of command %llu",
			     (unsigned long long)history->next);
	for (size_t i = 0; i < n; i++) {
		struct sluice_report a =
			history->sink.reports[(first - 1 + i) & history->sink.report_mask];
		struct sluice_report b = want[i];

		a.head.flags = b.head.flags = 0;
		a.head.participant = b.head.participant = 0;
		a.n = b.n = 0;
		if (memcmp(&a, &b, sizeof(a)))
			return wrong(history,
				     "core and reference disagree about report %zu of "
				     "command %llu",
				     i, (unsigned long long)history->next);
	}
	return 0;
}

/* Every command of a source once, in order; what comes again must be answered as a duplicate. */
static int account(struct wal_history *history, const struct wal_history_note *note,
		   const struct sluice_report *report)
{
	struct wal_history_source *source = &history->sources[note->source];
	const bool is_duplicate = report->head.type == SLUICE_REP_REJECTED &&
				  report->reason == SLUICE_REASON_DUPLICATE_COMMAND;

	if (is_duplicate != (note->client_seq <= source->executed))
		return wrong(history, "number %llu of source %llu, after %llu, is %sa duplicate",
			     (unsigned long long)note->client_seq,
			     (unsigned long long)note->source + 1,
			     (unsigned long long)source->executed, is_duplicate ? "" : "not ");
	if (is_duplicate) {
		history->duplicates++;
		return 0;
	}
	if (note->client_seq != source->executed + 1)
		return wrong(history, "lost: source %llu goes on with number %llu after %llu",
			     (unsigned long long)note->source + 1,
			     (unsigned long long)note->client_seq,
			     (unsigned long long)source->executed);
	source->executed++;
	return 0;
}

static void learn(struct wal_history *history, const struct sluice_command *command,
		  const struct sluice_report *report)
{
	if (command->head.type == SLUICE_CMD_ADD_SYMBOL && report->head.type == SLUICE_REP_ACCEPTED)
		sluice_names_add(&history->names, SLUICE_DIRECTORY_SYMBOL, report->symbol,
				 command->u.define.name, command->u.define.price_decimals,
				 command->u.define.qty_decimals);
}

static int execute_one(struct wal_history *history)
{
	const struct wal_history_note *note = &history->notes[history->next % WAL_HISTORY_WINDOW];
	static const struct sluice_command tombstone = {
		.head = {.type = SLUICE_CMD_VOID, .length = sizeof(tombstone)}};
	const uint64_t first = history->sink.report_next;
	const struct sluice_command *command = &tombstone;
	const struct sluice_report *want;
	size_t n;
	int rc = 0;

	if (history->next == history->noted)
		return -EAGAIN;
	if (note->source != TOMBSTONE)
		rc = made(history, note->source, note->client_seq, &command);
	if (rc)
		return rc;
	history->sink.report_limit = history->line + WAL_HISTORY_REPORTS;
	history->sink.md_limit = UINT64_MAX;
	sluice_core_apply(history->core, command, history->next, &history->sink);
	n = reference_book_apply(history->reference, command, history->next, &want);
	rc = compare_books(history, first, want, n);
	if (rc)
		return rc;
	if (note->source == TOMBSTONE)
		history->voids++;
	else
		rc = account(history, note,
			     &history->sink.reports[(first - 1) & history->sink.report_mask]);
	learn(history, command, &history->sink.reports[(first - 1) & history->sink.report_mask]);
	history->next++;
	return rc;
}

int wal_history_execute(struct wal_history *history, uint64_t next)
{
	int rc = 0;

	while (!rc && history->next < next)
		rc = execute_one(history);
	return rc;
}

int wal_history_line(struct wal_history *history, const char *line, size_t bytes)
{
	char expected[SLUICE_EVENT_TEXT_MAX];
	unsigned long long n = 0;
	size_t length;

	while (history->line == history->sink.report_next) {
		const int rc = execute_one(history);

		if (rc)
			return rc;
	}
	length = sluice_report_text(
			 expected, sizeof(expected), SLUICE_EVENT_JSON,
			 &history->sink.reports[(history->line - 1) & history->sink.report_mask],
			 &history->names) -
		 1;
	if (length == bytes && !memcmp(expected, line, bytes)) {
		history->line++;
		return 0;
	}
	sscanf(line, "{\"n\":%llu", &n);
	return wrong(history, "%s: the file has\n\t%.*s\ninstead of\n\t%.*s",
		     n > history->line ? "lost" :
		     n < history->line ? "duplicated" :
					 "changed",
		     bytes > 300 ? 300 : (int)bytes, line, length > 300 ? 300 : (int)length,
		     expected);
}
