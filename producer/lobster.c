/* SPDX-License-Identifier: MIT */
#include "producer/lobster.h"

#include <errno.h>
#include <string.h>

#define FIELDS 6
#define NS_DIGITS 9

enum message {
	MESSAGE_NEW = 1,
	MESSAGE_REDUCE = 2,
	MESSAGE_DELETE = 3,
	MESSAGE_EXECUTION = 4,
	MESSAGE_HIDDEN = 5,
	MESSAGE_CROSS = 6,
	MESSAGE_HALT = 7
};

static const char *const field_names[FIELDS] = {"time", "type",	 "order id",
						"size", "price", "direction"};

struct line {
	uint64_t number;
	struct sluice_field field[FIELDS];
	struct sluice_diag *diag;
	uint64_t time_ns;
	uint64_t type;
	uint64_t order_id;
	uint64_t size;
	uint64_t price;
	bool price_negative;
	bool sell;
};

int sluice_lobster_init(struct sluice_lobster *ret_lobster, uint32_t tick, struct sluice_diag *diag)
{
	struct sluice_lobster lobster = {.tick = tick ? tick : SLUICE_LOBSTER_TICK};

	if (lobster.tick != 100 && lobster.tick != 10 && lobster.tick != 1)
		return sluice_diag_set(diag, EINVAL,
				       "LOBSTER tick %u: it is 100, 10 or 1 ten-thousandths of a "
				       "dollar",
				       tick);
	*ret_lobster = lobster;
	return 0;
}

void sluice_lobster_symbol(const char *path, char ret_symbol[SLUICE_NAME_BYTES])
{
	const char *slash = strrchr(path, '/');
	const char *begin = slash ? slash + 1 : path;
	const char *underscore = strchr(begin, '_');
	size_t bytes = underscore ? (size_t)(underscore - begin) : 0;

	if (!sluice_name_is_valid(begin, bytes)) {
		begin = "LOBSTER";
		bytes = strlen(begin);
	}
	memset(ret_symbol, 0, SLUICE_NAME_BYTES);
	memcpy(ret_symbol, begin, bytes);
}

void sluice_lobster_define(const struct sluice_lobster *lobster, const char *symbol,
			   struct sluice_command *ret_command)
{
	struct sluice_command command = {0};

	sluice_assert(sluice_name_is_valid(symbol, strlen(symbol)));
	command.head.type = SLUICE_CMD_ADD_SYMBOL;
	command.head.length = sizeof(command);
	memcpy(command.u.define.name, symbol, strlen(symbol));
	command.u.define.price_decimals = lobster->tick == 100 ? 2 : lobster->tick == 10 ? 3 : 4;
	*ret_command = command;
}

static int bad_field(const struct line *line, uint32_t i, const char *why)
{
	return sluice_diag_set(line->diag, EBADMSG, "line %llu, %s: %s %s",
			       (unsigned long long)line->number, field_names[i],
			       sluice_quote(line->field[i].text, line->field[i].bytes).text, why);
}

static int cut(struct line *line, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	uint32_t count = 0;

	for (const char *at = text; at <= end; at++) {
		const char *begin = at;

		while (at < end && *at != ',')
			at++;
		if (count < FIELDS) {
			line->field[count].text = begin;
			line->field[count].bytes = (uint32_t)(at - begin);
		}
		count++;
	}
	if (count == FIELDS)
		return 0;
	return sluice_diag_set(line->diag, EBADMSG,
			       "line %llu: %u fields; a LOBSTER message has %d: time, type, "
			       "order id, size, price, direction",
			       (unsigned long long)line->number, count, FIELDS);
}

/* Seconds with a fraction of any length whose nanoseconds are whole. */
static int read_time(struct line *line)
{
	int64_t time_ns = 0;

	if (sluice_parse_decimal(line->field[0].text, line->field[0].bytes, NS_DIGITS, &time_ns))
		return bad_field(line, 0, "is not a time in seconds with at most 9 decimals");
	line->time_ns = (uint64_t)time_ns;
	return 0;
}

static int read_price(struct line *line)
{
	const struct sluice_field *field = &line->field[4];

	line->price_negative = field->bytes > 0 && field->text[0] == '-';
	if (sluice_parse_u64(field->text + line->price_negative,
			     field->bytes - line->price_negative, INT64_MAX, &line->price))
		return bad_field(line, 4, "is not an integer");
	return 0;
}

static int read_direction(struct line *line)
{
	const struct sluice_field *field = &line->field[5];

	line->sell = field->bytes == 2 && memcmp(field->text, "-1", 2) == 0;
	if (line->sell || (field->bytes == 1 && field->text[0] == '1'))
		return 0;
	return bad_field(line, 5, "is neither 1 nor -1");
}

static int read_line(struct line *line, const char *text, size_t bytes)
{
	int err = cut(line, text, bytes);

	if (err)
		return err;
	err = read_time(line);
	if (err)
		return err;
	if (sluice_parse_u64(line->field[1].text, line->field[1].bytes, MESSAGE_HALT,
			     &line->type) ||
	    line->type == 0)
		return bad_field(line, 1, "is not a type from 1 to 7");
	if (sluice_parse_u64(line->field[2].text, line->field[2].bytes, SLUICE_LOBSTER_OWN_IDS - 1,
			     &line->order_id))
		return bad_field(line, 2, "is not an order id below 2^40");
	if (sluice_parse_u64(line->field[3].text, line->field[3].bytes, INT64_MAX, &line->size))
		return bad_field(line, 3, "is not an integer");
	err = read_price(line);
	if (err || (line->type != MESSAGE_NEW && line->type != MESSAGE_EXECUTION))
		return err;
	return read_direction(line);
}

static int set_order(struct sluice_lobster *lobster, const struct line *line,
		     struct sluice_command *command)
{
	bool execution = line->type == MESSAGE_EXECUTION;
	bool sell = line->sell != execution;

	if (line->price_negative)
		return bad_field(line, 4, "is negative");
	if (line->price % lobster->tick) {
		bad_field(line, 4, "is not a whole tick");
		sluice_diag_hint(line->diag, "use a tick of %d instead of %u",
				 line->price % 10 ? 1 : 10, lobster->tick);
		return -EBADMSG;
	}
	command->head.type = SLUICE_CMD_PLACE;
	command->order_type = SLUICE_ORDER_LIMIT;
	command->tif = execution ? SLUICE_TIF_IOC : SLUICE_TIF_GTC;
	command->side = sell ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY;
	command->price = (int64_t)(line->price / lobster->tick);
	command->qty = (int64_t)line->size;
	command->order_id = execution ? SLUICE_LOBSTER_OWN_IDS + lobster->executions++
				      : line->order_id;
	return 1;
}

static int set_halt(struct sluice_lobster *lobster, const struct line *line,
		    struct sluice_command *command)
{
	bool halt = line->price_negative;

	if (line->price > 1 || (halt && line->price != 1))
		return bad_field(line, 4, "is not -1, 0 or 1 as a halt has it");
	if (halt == lobster->halted) { /* trading resumes where quoting had */
		lobster->halts_skipped++;
		return 0;
	}
	lobster->halted = halt;
	command->head.type = halt ? SLUICE_CMD_HALT : SLUICE_CMD_RESUME;
	return 1;
}

static int convert(struct sluice_lobster *lobster, const struct line *line,
		   struct sluice_command *command)
{
	switch ((enum message)line->type) {
	case MESSAGE_NEW:
	case MESSAGE_EXECUTION:
		return set_order(lobster, line, command);
	case MESSAGE_REDUCE:
		command->head.type = SLUICE_CMD_REDUCE;
		command->order_id = line->order_id;
		command->qty = (int64_t)line->size;
		return 1;
	case MESSAGE_DELETE:
		command->head.type = SLUICE_CMD_CANCEL;
		command->order_id = line->order_id;
		return 1;
	case MESSAGE_HIDDEN:
		lobster->hidden++;
		return 0;
	case MESSAGE_CROSS:
		lobster->crosses++;
		return 0;
	case MESSAGE_HALT:
		return set_halt(lobster, line, command);
	}
	return 0;
}

int sluice_lobster_command(struct sluice_lobster *lobster, const char *text, size_t bytes,
			   uint64_t line_number, struct sluice_command *ret_command,
			   struct sluice_diag *diag)
{
	struct line line = {.number = line_number, .diag = diag};
	struct sluice_command command = {0};
	int ret = read_line(&line, text, bytes);

	if (ret)
		return ret;
	command.head.length = sizeof(command);
	command.time_ns = line.time_ns;
	ret = convert(lobster, &line, &command);
	if (ret == 1)
		*ret_command = command;
	return ret;
}
