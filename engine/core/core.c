/* SPDX-License-Identifier: MIT */
/*
 * core.c - the one memory block, the way of a command through the checks that all share, and the
 * prefetch of a batch.
 *
 * Order of checks: form (length, type, enumerations), the source's duplicates, the symbol, then
 * what the command's own function asks. A command may be any bytes; each is read from the caller's
 * private copy and bounded here or there before it is an index. On the engine's thread; a crash
 * leaves nothing, the state is rebuilt from the log.
 */
#include "engine/core/core_internal.h"

#include <string.h>

/* Batch look-ahead in commands: long enough for a miss to come back, short enough to stay in L1. */
#define AHEAD_COMMAND 20
#define AHEAD_INDEX 8
#define AHEAD_ORDER 5
#define AHEAD_LINKS 2
#define AHEAD_MASK 15
SLUICE_STATIC_ASSERT(AHEAD_INDEX <= AHEAD_MASK, "a hash would be overwritten before its use");

#define SYMBOLS_LIMIT (1u << 16)
#define ORDERS_LIMIT (1u << 30)
#define LEVELS_LIMIT (1u << 28)
#define SESSIONS_LIMIT (1u << 24)

/* ---------------------------------------------------------------------------------- memory */

struct layout {
	size_t books, levels, words, far, orders, index, sessions, bytes;
};

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

bool sluice_core_resolve(const struct sluice_core_options *options,
			 struct sluice_core_options *ret_full)
{
	struct sluice_core_options full = {
		.symbols_max = or_default(options->symbols_max, 64),
		.orders_max = or_default(options->orders_max, 1u << 20),
		.levels_max = or_default(options->levels_max, 64u << 10),
		.sessions_max = or_default(options->sessions_max, 1024),
		.window_ticks = or_default(options->window_ticks, 16384),
		.risk = options->risk,
	};
	uint64_t levels = 2 * (uint64_t)full.symbols_max * full.window_ticks + full.levels_max + 2;

	if (full.symbols_max > SYMBOLS_LIMIT || full.orders_max > ORDERS_LIMIT ||
	    full.levels_max > LEVELS_LIMIT || full.sessions_max > SESSIONS_LIMIT || full.risk)
		return false;
	if (full.window_ticks < 64 || full.window_ticks > SLUICE_BITMAP_SLOTS_MAX ||
	    (full.window_ticks & (full.window_ticks - 1)))
		return false;
	if (levels > UINT32_MAX)
		return false;
	*ret_full = full;
	return true;
}

/* Room for n items of a size, on a cache line of its own. */
static size_t reserve(size_t *at, uint64_t n, size_t item_bytes)
{
	size_t offset = *at;

	*at = (offset + n * item_bytes + 63) & ~(size_t)63;
	return offset;
}

static struct layout lay_out(const struct sluice_core_options *full)
{
	uint64_t ladders = 2 * (uint64_t)full->symbols_max;
	struct layout layout;
	size_t at = 0;

	reserve(&at, 1, sizeof(struct sluice_core));
	layout.books = reserve(&at, full->symbols_max, sizeof(struct sluice_book));
	layout.levels = reserve(&at, 1 + ladders * full->window_ticks + 1 + full->levels_max,
				sizeof(struct sluice_level));
	layout.words = reserve(&at, ladders * sluice_bitmap_words(full->window_ticks),
			       sizeof(uint64_t));
	layout.far = reserve(&at, 1 + (uint64_t)full->levels_max, sizeof(struct sluice_far_node));
	layout.orders = reserve(&at, 1 + (uint64_t)full->orders_max, sizeof(struct sluice_order));
	layout.index = reserve(&at, sluice_index_entries(full->orders_max),
			       sizeof(struct sluice_index_entry));
	layout.sessions = reserve(&at, sluice_session_entries(full->sessions_max),
				  sizeof(struct sluice_session));
	layout.bytes = at;
	return layout;
}

size_t sluice_core_bytes(const struct sluice_core_options *options)
{
	struct sluice_core_options full;

	return sluice_core_resolve(options, &full) ? lay_out(&full).bytes : 0;
}

struct sluice_core *sluice_core_init(void *memory, const struct sluice_core_options *options)
{
	struct sluice_core_options full;
	struct sluice_core *core = memory;
	struct layout layout;
	char *base = memory;
	uint32_t i;

	if (!sluice_core_resolve(options, &full))
		return NULL;
	layout = lay_out(&full);
	memset(memory, 0, layout.bytes);
	core->books = (struct sluice_book *)(base + layout.books);
	core->symbols_max = full.symbols_max;
	core->pool.levels = (struct sluice_level *)(base + layout.levels);
	core->pool.words = (uint64_t *)(base + layout.words);
	core->pool.window_ticks = full.window_ticks;
	core->pool.window_mask = full.window_ticks - 1;
	core->pool.far_first = 1 + 2 * full.symbols_max * full.window_ticks;
	sluice_far_init(&core->pool.far, (struct sluice_far_node *)(base + layout.far),
			full.levels_max);
	sluice_orders_init(&core->orders, (struct sluice_order *)(base + layout.orders),
			   (struct sluice_index_entry *)(base + layout.index), full.orders_max);
	sluice_sessions_init(&core->sessions, (struct sluice_session *)(base + layout.sessions),
			     full.sessions_max);
	for (i = 0; i < 2 * full.symbols_max; i++)
		sluice_ladder_init(&core->books[i / 2].ladders[i % 2], &core->pool,
				   i % 2 ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY, i);
	return core;
}

/* -------------------------------------------------------------------------------- dispatch */

static enum sluice_reason check_form(const struct sluice_command *c)
{
	if (c->head.length != sizeof(*c))
		return SLUICE_REASON_MALFORMED;
	if (c->head.type == SLUICE_CMD_NONE || c->head.type >= SLUICE_CMD_TYPES)
		return SLUICE_REASON_UNKNOWN_COMMAND;
	if (c->head.type == SLUICE_CMD_VOID)
		return SLUICE_REASON_NONE;
	if (c->side > SLUICE_SIDE_SELL || c->order_type >= SLUICE_ORDER_TYPES ||
	    c->tif >= SLUICE_TIFS || c->stp >= SLUICE_STPS)
		return SLUICE_REASON_MALFORMED;
	return SLUICE_REASON_NONE;
}

static enum sluice_reason check_session(struct sluice_core *core, const struct sluice_command *c)
{
	if (!c->session || !c->client_seq || c->head.type == SLUICE_CMD_VOID)
		return SLUICE_REASON_NONE;
	return sluice_sessions_advance(&core->sessions, c->session, c->client_seq);
}

static void apply_tick(struct sluice_step *step)
{
	if (step->command->time_ns > step->core->time_ns)
		step->core->time_ns = step->command->time_ns;
	sluice_emit_accepted(step, step->command->symbol);
}

/* Commands that concern no book, or every one. False: it concerns the book of its symbol. */
static bool apply_global(struct sluice_step *step)
{
	const struct sluice_command *c = step->command;

	switch (c->head.type) {
	case SLUICE_CMD_ADD_ASSET:
		sluice_define_asset(step);
		return true;
	case SLUICE_CMD_ADD_SYMBOL:
		sluice_define_symbol(step);
		return true;
	case SLUICE_CMD_TICK:
		apply_tick(step);
		return true;
	case SLUICE_CMD_VOID:
		sluice_emit_void(step);
		return true;
	case SLUICE_CMD_DEPOSIT:
	case SLUICE_CMD_WITHDRAW:
	case SLUICE_CMD_QUERY_BALANCE:
		sluice_emit_rejected(step, SLUICE_REASON_UNSUPPORTED);
		return true;
	case SLUICE_CMD_MASS_CANCEL:
		if (c->symbol != SLUICE_EVERY_SYMBOL)
			return false;
		sluice_mass_cancel(step, NULL);
		return true;
	default:
		return false;
	}
}

static void apply_to_book(struct sluice_step *step, struct sluice_book *book)
{
	switch (step->command->head.type) {
	case SLUICE_CMD_CANCEL:
		sluice_cancel(step, book);
		break;
	case SLUICE_CMD_REDUCE:
		sluice_reduce(step, book);
		break;
	case SLUICE_CMD_REPLACE:
		sluice_replace(step, book);
		break;
	case SLUICE_CMD_MASS_CANCEL:
		sluice_mass_cancel(step, book);
		break;
	case SLUICE_CMD_HALT:
		sluice_halt(step, book);
		break;
	case SLUICE_CMD_RESUME:
		sluice_resume(step, book);
		break;
	case SLUICE_CMD_AUCTION:
		sluice_auction(step, book);
		break;
	case SLUICE_CMD_UNCROSS:
		sluice_uncross(step, book);
		break;
	default:
		sluice_assert(step->command->head.type == SLUICE_CMD_QUERY_ORDER);
		sluice_query_order(step, book);
	}
}

static uint8_t shown(uint32_t value, uint32_t end)
{
	return sluice_likely(value < end) ? (uint8_t)value : 0;
}

static void apply(struct sluice_step *step)
{
	const struct sluice_command *c = step->command;
	struct sluice_core *core = step->core;
	enum sluice_reason reason = check_form(c);

	core->stats.commands++;
	step->type = shown(c->head.type, SLUICE_CMD_TYPES);
	step->side = shown(c->side, SLUICE_SIDE_SELL + 1);
	step->order_type = shown(c->order_type, SLUICE_ORDER_TYPES);
	step->tif = shown(c->tif, SLUICE_TIFS);
	if (reason == SLUICE_REASON_NONE)
		reason = check_session(core, c);
	if (sluice_unlikely(reason != SLUICE_REASON_NONE)) {
		sluice_emit_rejected(step, reason);
		return;
	}
	if (sluice_likely(c->head.type == SLUICE_CMD_PLACE && c->symbol < core->symbols))
		sluice_place(step, &core->books[c->symbol]);
	else if (c->head.type != SLUICE_CMD_PLACE && apply_global(step))
		return;
	else if (c->symbol >= core->symbols)
		sluice_emit_rejected(step, SLUICE_REASON_UNKNOWN_SYMBOL);
	else
		apply_to_book(step, &core->books[c->symbol]);
}

static uint64_t hash_of(const struct sluice_command *c)
{
	return sluice_order_hash(c->symbol, c->account, c->order_id);
}

void sluice_core_apply(struct sluice_core *core, const struct sluice_command *command,
		       uint64_t cmd_seq, struct sluice_sink *sink)
{
	struct sluice_step step = {
		.core = core,
		.command = command,
		.sink = sink,
		.cmd_seq = cmd_seq,
		.hash = hash_of(command),
	};

	apply(&step);
}

/* -------------------------------------------------------------------------------- prefetch */

/*
 * Three stages, each reading only what an earlier one has brought in. They are guesses: the
 * commands between may change what is found, so nothing is kept but hints.
 */
static uint32_t peek(const struct sluice_core *core, uint64_t hash)
{
	return core->orders.entries[hash & core->orders.mask].order;
}

static const struct sluice_level *own_level(const struct sluice_core *core, uint32_t symbol,
					    uint32_t side, int64_t price)
{
	const struct sluice_ladder *ladder = sluice_book_ladder(&core->books[symbol], side);

	if (!sluice_ladder_in_window(&core->pool, ladder, price))
		return core->pool.levels;
	return &core->pool.levels[sluice_ladder_slot(&core->pool, ladder, price)];
}

static void prefetch_command(const struct sluice_command *c)
{
	__builtin_prefetch(&c->order_id);
	__builtin_prefetch(&c->u.words[4]);
}

static uint64_t prefetch_index(const struct sluice_core *core, const struct sluice_command *c)
{
	uint64_t hash = hash_of(c);

	__builtin_prefetch(&core->orders.entries[hash & core->orders.mask]);
	if (c->head.type == SLUICE_CMD_PLACE && c->symbol < core->symbols)
		__builtin_prefetch(own_level(core, c->symbol, c->side, c->price));
	return hash;
}

static void prefetch_order(const struct sluice_core *core, const struct sluice_command *c,
			   uint64_t hash)
{
	const struct sluice_ladder *other;

	if (c->head.type != SLUICE_CMD_PLACE) {
		__builtin_prefetch(&core->orders.slots[peek(core, hash)]);
		return;
	}
	if (c->symbol >= core->symbols)
		return;
	other = sluice_book_ladder(&core->books[c->symbol], c->side == SLUICE_SIDE_SELL ?
								    SLUICE_SIDE_BUY :
								    SLUICE_SIDE_SELL);
	if (other->best_ref && sluice_limit_reaches(c->side, c->price, other->best_price))
		__builtin_prefetch(&core->orders.slots[core->pool.levels[other->best_ref].head]);
	else
		__builtin_prefetch(
			&core->orders.slots[own_level(core, c->symbol, c->side, c->price)->tail]);
}

static void prefetch_links(const struct sluice_core *core, const struct sluice_command *c,
			   uint64_t hash)
{
	const struct sluice_order *o;

	if (c->head.type == SLUICE_CMD_PLACE)
		return;
	o = &core->orders.slots[peek(core, hash)];
	__builtin_prefetch(&core->orders.slots[o->prev]);
	__builtin_prefetch(&core->orders.slots[o->next]);
	if (o->symbol < core->symbols)
		__builtin_prefetch(own_level(core, o->symbol, o->side, o->price));
}

void sluice_core_apply_batch(struct sluice_core *core, const struct sluice_command *commands,
			     uint32_t n, uint64_t first_seq, struct sluice_sink *sink)
{
	uint64_t hashes[AHEAD_MASK + 1];
	struct sluice_step step = {.core = core, .sink = sink};
	uint32_t i;

	for (i = 0; i < n && i < AHEAD_INDEX; i++)
		hashes[i] = prefetch_index(core, &commands[i]);
	for (i = 0; i < n && i < AHEAD_ORDER; i++)
		prefetch_order(core, &commands[i], hashes[i]);
	for (i = 0; i < n; i++) {
		if (n - i > AHEAD_COMMAND)
			prefetch_command(&commands[i + AHEAD_COMMAND]);
		if (n - i > AHEAD_INDEX)
			hashes[(i + AHEAD_INDEX) & AHEAD_MASK] =
				prefetch_index(core, &commands[i + AHEAD_INDEX]);
		if (n - i > AHEAD_ORDER)
			prefetch_order(core, &commands[i + AHEAD_ORDER],
				       hashes[(i + AHEAD_ORDER) & AHEAD_MASK]);
		if (n - i > AHEAD_LINKS)
			prefetch_links(core, &commands[i + AHEAD_LINKS],
				       hashes[(i + AHEAD_LINKS) & AHEAD_MASK]);
		step.command = &commands[i];
		step.cmd_seq = first_seq + i;
		step.hash = hashes[i & AHEAD_MASK];
		apply(&step);
	}
}
