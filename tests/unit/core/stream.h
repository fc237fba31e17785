/* SPDX-License-Identifier: MIT */
/*
 * stream.h - random commands for the core, most of them legal: how wide prices are, how they
 * wander, how often the phase changes and how many fields are broken is the stream's choice. Equal
 * seeds give equal commands. Three symbols, which the test defines first.
 */
#ifndef SLUICE_TESTS_UNIT_CORE_STREAM_H
#define SLUICE_TESTS_UNIT_CORE_STREAM_H

#include "tests/unit/core/fixture.h"

#define STREAM_SYMBOLS 3u
#define STREAM_ACCOUNTS 3u

struct stream {
	const char *name;
	uint32_t commands;
	uint32_t orders_max;
	uint32_t window_ticks;
	int64_t price_low;
	int64_t price_span;
	uint32_t drift;	  /* ticks that the prices move up per 16 commands */
	uint32_t turn;	  /* moves up, then as many down, and so on; 0: only up */
	uint32_t sources; /* that number their commands; 0: 3 */
	uint32_t phases;  /* one phase command in so many; 0: none */
	uint32_t wild;	  /* one command in so many has a field broken; 0: none */
};

struct stream_state {
	uint64_t random;
	uint64_t ids; /* order ids given so far */
};

/* How many moves up the prices are from where they began. */
static inline uint32_t stream_steps(const struct stream *stream, uint32_t moves)
{
	uint32_t at;

	if (!stream->turn)
		return moves;
	at = moves % (2 * stream->turn);
	return at < stream->turn ? at : 2 * stream->turn - at;
}

static inline int64_t stream_price(struct stream_state *s, const struct stream *stream, uint32_t i)
{
	int64_t span = stream->price_span;
	int64_t price = stream->price_low + (int64_t)stream->drift * stream_steps(stream, i / 16);

	if (span <= UINT32_MAX)
		return price + random_below(&s->random, (uint32_t)span);
	/* Magnitudes rather than values, so that near and far prices both occur. */
	return 1 + (int64_t)(random_next(&s->random) >> (2 + random_below(&s->random, 62)));
}

static inline uint64_t stream_id(struct stream_state *s)
{
	uint64_t back = 1 + random_below(&s->random, 200);

	if (random_below(&s->random, 64) == 0)
		return random_below(&s->random, 2) ? UINT64_MAX : 0;
	return s->ids > back ? s->ids - back : s->ids;
}

static inline struct sluice_command stream_phase(struct stream_state *s)
{
	static const uint8_t types[] = {SLUICE_CMD_AUCTION, SLUICE_CMD_UNCROSS, SLUICE_CMD_UNCROSS,
					SLUICE_CMD_HALT,    SLUICE_CMD_RESUME,	SLUICE_CMD_RESUME};

	return command_of(types[random_below(&s->random, 6)], 0, 0);
}

static inline struct sluice_command stream_order(struct stream_state *s,
						 const struct stream *stream, uint32_t i)
{
	uint32_t kind = random_below(&s->random, 100);
	int64_t qty = 1 + random_below(&s->random, 40), price = stream_price(s, stream, i);
	int side = random_below(&s->random, 2) ? BUY : SELL;

	if (kind < 50)
		return place(++s->ids, side, qty, price);
	if (kind < 53)
		return place(stream_id(s), side, (INT64_C(1) << 62) >> (kind - 50), price);
	if (kind < 58)
		return ioc(++s->ids, side, qty * 3, price);
	if (kind < 61)
		return market(++s->ids, side, qty * 2);
	if (kind < 75)
		return cancel(stream_id(s));
	if (kind < 81)
		return reduce(stream_id(s), qty / 2);
	if (kind < 93)
		return replace(stream_id(s), kind & 1 ? qty : 0, kind & 2 ? price : 0);
	if (kind < 98)
		return command_of(SLUICE_CMD_QUERY_ORDER, 0, stream_id(s));
	if (kind == 98)
		return command_of(random_below(&s->random, 2) ? SLUICE_CMD_TICK : SLUICE_CMD_VOID,
				  0, 5);
	return command_of(random_below(&s->random, 40) ? SLUICE_CMD_TICK : SLUICE_CMD_MASS_CANCEL,
			  0, 0);
}

/* Breaks one field: what it becomes is most often out of range, now and then legal. */
static inline void stream_break(struct stream_state *s, struct sluice_command *c)
{
	uint64_t value = random_next(&s->random) >> random_below(&s->random, 64);

	switch (random_below(&s->random, 12)) {
	case 0:
		c->head.length = (uint16_t)value;
		break;
	case 1:
		c->head.type = (uint16_t)(value % (SLUICE_CMD_TYPES + 2));
		break;
	case 2:
		c->side = (uint8_t)(value % 5);
		break;
	case 3:
		c->order_type = (uint8_t)(value % 7);
		break;
	case 4:
		c->tif = (uint8_t)(value % 8);
		break;
	case 5:
		c->stp = (uint8_t)(value % 7);
		break;
	case 6:
		c->price = (int64_t)value;
		break;
	case 7:
		c->qty = (int64_t)value;
		break;
	case 8:
		c->order_flags = (uint32_t)value;
		break;
	case 9:
		c->u.words[random_below(&s->random, 5)] = value;
		break;
	case 10:
		c->session = (uint32_t)value % 8;
		c->client_seq = value % 50;
		break;
	default:
		c->symbol = random_below(&s->random, 4) ? (uint32_t)value : UINT32_MAX;
	}
}

static inline struct sluice_command stream_command(struct stream_state *s,
						   const struct stream *stream, uint32_t i)
{
	bool phase = stream->phases && random_below(&s->random, stream->phases) == 0;
	struct sluice_command c = phase ? stream_phase(s) : stream_order(s, stream, i);

	/* Most often an id belongs to one symbol and account, so that orders are found again. */
	c.symbol = phase || random_below(&s->random, 16) == 0 ?
			   random_below(&s->random, STREAM_SYMBOLS) :
			   (uint32_t)(c.order_id % STREAM_SYMBOLS);
	c.account = random_below(&s->random, 16) ?
			    (uint32_t)(c.order_id / STREAM_SYMBOLS % STREAM_ACCOUNTS) :
			    random_below(&s->random, STREAM_ACCOUNTS);
	c.send_ns = i;
	if (random_below(&s->random, 4) == 0) {
		c.session = 1 + random_below(&s->random, stream->sources ? stream->sources : 3);
		c.client_seq = i / 2;
	}
	if (stream->wild && random_below(&s->random, stream->wild) == 0)
		stream_break(s, &c);
	return c;
}

#endif
