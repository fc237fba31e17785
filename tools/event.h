/* SPDX-License-Identifier: MIT */
/* event.h - an event of any of the engine's rings as text. Private copies only. */
#ifndef SLUICE_TOOLS_EVENT_H
#define SLUICE_TOOLS_EVENT_H

#include "consumer/event_text.h"

/*
 * `kind` is the ring's (enum sluice_event_kind), `bytes` the event's. One line with its newline and
 * a NUL; 0: a kind that has no text, or too few bytes. `size` as for event_text.h.
 */
size_t sluice_tool_event_text(char *buffer, size_t size, enum sluice_event_style style,
			      uint32_t kind, const void *event, size_t bytes,
			      struct sluice_names *names);

/* Two lower-case digits for each byte, and a NUL. */
void sluice_tool_hex(char *ret_text, const void *data, size_t bytes);

/* Lines of an offset, 16 bytes and their characters. */
void sluice_tool_hex_dump(const void *data, size_t bytes);

#endif
