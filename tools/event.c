/* SPDX-License-Identifier: MIT */
/* event.c - see event.h. */
#include "tools/event.h"

#include <stdio.h>
#include <string.h>

size_t sluice_tool_event_text(char *buffer, size_t size, enum sluice_event_style style,
			      uint32_t kind, const void *event, size_t bytes,
			      struct sluice_names *names)
{
	struct sluice_command command;
	struct sluice_report report;
	struct sluice_md_event md;

	switch (kind) {
	case SLUICE_EVENT_COMMAND:
		if (bytes < sizeof(command))
			return 0;
		memcpy(&command, event, sizeof(command));
		return sluice_command_text(buffer, size, style, &command, names);
	case SLUICE_EVENT_REPORT:
		if (bytes < sizeof(report))
			return 0;
		memcpy(&report, event, sizeof(report));
		return sluice_report_text(buffer, size, style, &report, names);
	case SLUICE_EVENT_MARKET_DATA:
		if (bytes < sizeof(md))
			return 0;
		memcpy(&md, event, sizeof(md));
		return sluice_md_text(buffer, size, style, &md, names);
	default:
		return 0;
	}
}

void sluice_tool_hex(char *ret_text, const void *data, size_t bytes)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = data;

	for (size_t i = 0; i < bytes; i++) {
		*ret_text++ = digits[from[i] >> 4];
		*ret_text++ = digits[from[i] & 15];
	}
	*ret_text = '\0';
}

void sluice_tool_hex_dump(const void *data, size_t bytes)
{
	const unsigned char *from = data;

	for (size_t line = 0; line < bytes; line += 16) {
		const size_t end = bytes - line < 16 ? bytes - line : 16;

		printf("  %04zx ", line);
		for (size_t i = 0; i < 16; i++)
			i < end ? printf(" %02x", from[line + i]) : printf("   ");
		printf("  ");
		for (size_t i = 0; i < end; i++)
			putchar(from[line + i] >= ' ' && from[line + i] < 0x7f ? from[line + i] :
										 '.');
		putchar('\n');
	}
}
