/* SPDX-License-Identifier: MIT */
/*
 * cmd_book.c - `sluice book`: the levels of one symbol, from the market data of a live instance or,
 * exactly, from its log. Reads only.
 */
#include <errno.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "consumer/names.h"
#include "consumer/tap.h"
#include "shm/event_names.h"
#include "tools/attach.h"
#include "tools/ladder_view.h"
#include "tools/replay.h"
#include "tools/tool.h"

struct book_options {
	const char *symbol;
	const char *name;
	const char *wal;
	uint64_t depth;
};

struct book {
	struct book_options options;
	struct sluice_ladder_view view;
	const char *source; /* "log" or "market_data" */
	uint32_t phase;	    /* enum sluice_phase, SLUICE_PHASE_HALTED + 1: not seen */
	uint64_t cmd_seq;   /* of the newest command that counts */
	uint64_t first_n;   /* market data: first and last number seen */
	uint64_t last_n;
	bool is_complete;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct book_options, name), .value = "NAME",
	 .help = "the instance; not needed if there is one"},
	{"wal", 0, SLUICE_OPTION_STRING(struct book_options, wal), .value = "DIR",
	 .help = "replay this log instead: exact, also without an engine"},
	{"depth", 0, SLUICE_OPTION_COUNT(struct book_options, depth), .initial = "10", .min = 1,
	 .value = "N", .help = "levels of each side"},
};

static const struct sluice_cli_command command = {
	.program = "sluice book",
	.summary = "the price levels of one symbol",
	.description =
		"Without --wal the levels come from the market data ring. Once that ring has "
		"gone round, levels that nothing has touched since are not known, and the output "
		"says so; every level that is shown is right. With --wal the log is executed "
		"again, read only, and the book is complete.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "SYMBOL",
			 .help = "the symbol's name",
			 .offset = offsetof(struct book_options, symbol)}},
	.examples = {{"sluice book SYM1 -n x", "what the market data says"},
		     {"sluice book SYM1 --wal /var/lib/sluice/x", "what the log says"}},
};

static int no_symbol(const struct book *book, const char *where, struct sluice_diag *diag)
{
	sluice_diag_set(diag, ENOENT, "%s knows no symbol \"%.32s\"", where, book->options.symbol);
	sluice_diag_hint(diag, "look for add_symbol: sluice wal dump DIR --type add_symbol");
	return -ENOENT;
}

/* ------------------------------------------------------------------------------ from the log */

static int from_core(struct book *book, const struct sluice_tool_replay *replay,
		     struct sluice_diag *diag)
{
	const struct sluice_core_symbol *symbol;
	struct sluice_core_level level;

	for (uint32_t id = 0; (symbol = sluice_core_symbol(replay->core, id)); id++)
		if (!strncmp(symbol->name, book->options.symbol, sizeof(symbol->name)))
			break;
	if (!symbol)
		return no_symbol(book, "the log", diag);
	book->view.price_decimals = symbol->price_decimals;
	book->view.qty_decimals = symbol->qty_decimals;
	book->phase = symbol->phase;
	book->cmd_seq = replay->next_cmd_seq ? replay->next_cmd_seq - 1 : 0;
	for (enum sluice_side side = SLUICE_SIDE_BUY; side <= SLUICE_SIDE_SELL; side++)
		for (uint32_t i = 0; sluice_core_depth(replay->core, symbol->id, side, i, &level);
		     i++)
			if (sluice_ladder_view_set(&book->view, side, &level))
				return sluice_diag_set(diag, ENOMEM, "no memory for the levels");
	return 0;
}

static int from_log(struct book *book, struct sluice_diag *diag)
{
	static struct sluice_tool_replay replay;
	struct sluice_wal_reader *reader;
	int err = sluice_wal_reader_open(&reader, book->options.wal, diag);

	if (err)
		return err;
	book->source = "log";
	book->is_complete = true;
	err = sluice_tool_replay_init(&replay, reader, diag);
	if (!err) {
		err = sluice_tool_replay_log(&replay, reader, UINT64_MAX);
		if (err)
			sluice_diag_set(diag, -err, "cannot read the log: %s", strerror(-err));
		else if (replay.diverged)
			err = sluice_diag_set(diag, EBADMSG, "the replay diverges from block %llu",
					      (unsigned long long)replay.diverged_block);
		else
			err = from_core(book, &replay, diag);
	}
	sluice_tool_replay_release(&replay);
	sluice_wal_reader_close(reader);
	return err;
}

/* ---------------------------------------------------------------------- from the market data */

static int find_symbol(struct book *book, struct sluice_segment *segment, uint32_t *ret_id,
		       struct sluice_diag *diag)
{
	struct sluice_names names;
	const struct sluice_name *known;

	if (sluice_names_init(&names, segment))
		return sluice_diag_set(diag, ENOMEM, "no memory for the names");
	sluice_names_refresh(&names);
	for (uint32_t id = 0; id < segment->header.directory_count; id++) {
		known = sluice_names_get(&names, SLUICE_DIRECTORY_SYMBOL, id);
		if (!known || strncmp(known->name, book->options.symbol, sizeof(known->name)))
			continue;
		book->view.price_decimals = known->price_decimals;
		book->view.qty_decimals = known->qty_decimals;
		*ret_id = id;
		sluice_names_release(&names);
		return 0;
	}
	sluice_names_release(&names);
	return no_symbol(book, segment->header.name, diag);
}

static int apply(struct book *book, const struct sluice_md_event *event)
{
	const struct sluice_core_level level = {
		.price = event->u.depth.price,
		.qty = event->u.depth.qty,
		.count = event->u.depth.count,
	};

	book->cmd_seq = event->cmd_seq;
	if (event->head.type == SLUICE_MD_STATE)
		book->phase = (uint32_t)event->u.depth.qty;
	if (event->head.type != SLUICE_MD_DEPTH)
		return 0;
	return sluice_ladder_view_set(&book->view, event->side, &level);
}

static int from_ring(struct book *book, struct sluice_segment *segment, struct sluice_diag *diag)
{
	struct sluice_md_event event;
	struct sluice_tap tap;
	uint64_t sequence, end, gaps = 0;
	uint32_t id = 0;
	int err;

	if (segment->header.event_kind != SLUICE_EVENT_MARKET_DATA ||
	    segment->header.payload_bytes != sizeof(event))
		return sluice_diag_set(diag, EPROTO, "%s holds no market data",
				       segment->header.name);
	err = find_symbol(book, segment, &id, diag);
	if (err)
		return err;
	book->source = "market_data";
	sluice_tap_open(&tap, segment, SLUICE_TAP_OLDEST, 0);
	end = sluice_tap_end(&tap);
	/* the first event of all has sequence 0: a ring that begins later does not know what was */
	book->is_complete = tap.next == 0;
	book->first_n = tap.next + 1;
	book->last_n = end;
	if (book->is_complete)
		book->phase = SLUICE_PHASE_CONTINUOUS;
	while ((int64_t)(end - tap.next) > 0 && !sluice_tap_next(&tap, &event, &sequence)) {
		if (tap.gaps != gaps) {
			/* overwritten while it was read: only what comes after the gap is sure */
			gaps = tap.gaps;
			book->is_complete = false;
			book->first_n = sequence + 1;
			book->view.side[0].count = book->view.side[1].count = 0;
		}
		if (event.symbol == id && apply(book, &event))
			return sluice_diag_set(diag, ENOMEM, "no memory for the levels");
	}
	return 0;
}

static int from_instance(struct book *book, struct sluice_diag *diag)
{
	char name[SLUICE_SEGMENT_NAME_BYTES];
	struct sluice_tool_instance instance;
	int err = sluice_tool_choose(book->options.name, name, diag);

	if (!err)
		err = sluice_tool_instance_open(&instance, name, diag);
	if (err)
		return err;
	if (instance.has[SLUICE_TOOL_MD])
		err = from_ring(book, &instance.ring[SLUICE_TOOL_MD], diag);
	else
		err = sluice_diag_set(diag, ENOENT, "there is no ring %s.md", name);
	sluice_tool_instance_close(&instance);
	return err;
}

/* ------------------------------------------------------------------------------------- output */

static void print_text(const struct book *book)
{
	printf("%s  %s, after command %llu, from the %s\n", book->options.symbol,
	       book->phase <= SLUICE_PHASE_HALTED ? sluice_phase_name(book->phase) :
						    "phase unknown",
	       (unsigned long long)book->cmd_seq,
	       book->options.wal ? "log: exact" :
	       book->is_complete ? "market data: complete" :
				   "market data: NOT complete");
	sluice_ladder_view_print(&book->view, book->options.depth);
	if (!book->is_complete)
		printf("levels that nothing has touched since market data n=%llu are missing;\n"
		       "the whole book: sluice book %s --wal DIR\n",
		       (unsigned long long)book->first_n, book->options.symbol);
}

static void print_json(const struct book *book)
{
	struct sluice_json json;

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.book/1");
	sluice_json_string(&json, "symbol", book->options.symbol);
	sluice_json_string(&json, "source", book->source);
	sluice_json_bool(&json, "complete", book->is_complete);
	sluice_json_string(&json, "phase",
			   book->phase <= SLUICE_PHASE_HALTED ? sluice_phase_name(book->phase) :
								"unknown");
	sluice_json_u64(&json, "cmd_seq", book->cmd_seq);
	if (!book->options.wal) {
		sluice_json_u64(&json, "first_n", book->first_n);
		sluice_json_u64(&json, "last_n", book->last_n);
	}
	sluice_json_u64(&json, "price_decimals", book->view.price_decimals);
	sluice_json_u64(&json, "qty_decimals", book->view.qty_decimals);
	sluice_ladder_view_json(&json, &book->view, book->options.depth);
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static int run(int argc, char **argv)
{
	struct book book = {.phase = SLUICE_PHASE_HALTED + 1};
	struct sluice_options options;
	struct sluice_diag diag = {.text = ""};
	int code, err;

	if (!sluice_options_start(&options, &command, argc, argv, &book.options, &code))
		return code;
	book.is_json = options.standard.json;
	err = book.options.wal ? from_log(&book, &diag) : from_instance(&book, &diag);
	if (err == -EINVAL)
		code = sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	else if (err)
		code = sluice_cli_fail(command.program, err, &diag);
	else if (book.is_json)
		print_json(&book);
	else
		print_text(&book);
	if (!err)
		code = sluice_tool_finish(command.program, SLUICE_EXIT_OK);
	sluice_ladder_view_release(&book.view);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_book = {.name = "book", .command = &command, .run = run};
