/* SPDX-License-Identifier: MIT */
/*
 * event_text.h - events as text: one JSON object or one line of key=value for each.
 *
 * Events come out of shared memory and are untrusted: any bytes give bounded, printable text; an
 * id without a name is printed as "#id", a value without a word as "unknown". Integers are printed
 * in full, also above 2^53; prices and quantities of symbols with decimals are JSON numbers with
 * exactly that many. docs/formats.md lists the keys.
 *
 * One thread per table of names. Nothing is allocated, nothing blocks. Each function writes one
 * line with its newline and a NUL behind it and returns the length without the NUL. `size` must be
 * at least SLUICE_EVENT_TEXT_MAX.
 */
#ifndef SLUICE_CONSUMER_EVENT_TEXT_H
#define SLUICE_CONSUMER_EVENT_TEXT_H

#include "consumer/names.h"

#define SLUICE_EVENT_TEXT_MAX 1024

enum sluice_event_style { SLUICE_EVENT_JSON = 0, SLUICE_EVENT_LINE = 1 };

SLUICE_API size_t sluice_report_text(char *buffer, size_t size, enum sluice_event_style style,
				     const struct sluice_report *report,
				     struct sluice_names *names);

SLUICE_API size_t sluice_md_text(char *buffer, size_t size, enum sluice_event_style style,
				 const struct sluice_md_event *event, struct sluice_names *names);

/* The JSON of a command can be read back as command text. */
SLUICE_API size_t sluice_command_text(char *buffer, size_t size, enum sluice_event_style style,
				      const struct sluice_command *command,
				      struct sluice_names *names);

#endif
