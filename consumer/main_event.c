/* SPDX-License-Identifier: MIT */
/*
 * main_event.c - one event: is it the next number, is it new, and its line. Events are private
 * copies of what another process wrote: any bytes must do no more than print oddly.
 */
#include "consumer/main.h"

#include "cli/report.h"

static uint64_t number_of(const struct consumer_run *run, const void *event, uint64_t sequence)
{
	switch (run->options->ring) {
	case CONSUMER_REP:
		return ((const struct sluice_report *)event)->n;
	case CONSUMER_MD:
		return ((const struct sluice_md_event *)event)->n;
	default:
		return sequence + 1; /* commands have no number but their place */
	}
}

static bool is_trade(const struct consumer_run *run, const void *event)
{
	const struct sluice_event_head *head = event;

	return run->options->ring == CONSUMER_REP ? head->type == SLUICE_REP_TRADE :
	       run->options->ring == CONSUMER_MD ? head->type == SLUICE_MD_TRADE : false;
}

static size_t print(struct consumer_run *run, const void *event, char *line)
{
	const enum sluice_event_style style =
		run->options->text ? SLUICE_EVENT_LINE : SLUICE_EVENT_JSON;

	switch (run->options->ring) {
	case CONSUMER_REP:
		return sluice_report_text(line, SLUICE_EVENT_TEXT_MAX, style, event, &run->names);
	case CONSUMER_MD:
		return sluice_md_text(line, SLUICE_EVENT_TEXT_MAX, style, event, &run->names);
	default:
		return sluice_command_text(line, SLUICE_EVENT_TEXT_MAX, style, event, &run->names);
	}
}

/* Dense from the first one on. A gap moves the expectation, a repetition does not. */
static void check_number(struct consumer_run *run, uint64_t n)
{
	if (!run->first_n)
		run->first_n = n;
	/* places of tombstones are no gaps: whoever skips commands counts them */
	if (run->options->ring == CONSUMER_CMD)
		run->expected_n = n;
	if (!run->expected_n || n == run->expected_n) {
		run->expected_n = n + 1;
	} else if (n > run->expected_n) {
		run->lost += n - run->expected_n;
		run->expected_n = n + 1;
	} else {
		run->duplicated++;
	}
	run->last_n = n;
}

int consumer_take(struct consumer_run *run, const void *event, uint64_t sequence)
{
	const uint64_t n = number_of(run, event, sequence);

	/* written by our predecessor, which was killed before it released them */
	if (n <= run->written_n && run->options->ring != CONSUMER_CMD)
		return 0;
	check_number(run, n);
	run->events++;
	run->trades += is_trade(run, event);
	if (run->output.fd < 0)
		return 0;
	run->output.used += (uint32_t)print(run, event, consumer_output_line(&run->output));
	return 0;
}
