/* SPDX-License-Identifier: MIT */
/* trace.c - see trace.h. */
#include "tests/sim/trace.h"

#include <string.h>

#include "tests/sim/fiber.h"

#define KEPT 64u
#define SHOWN 50u
#define TEXT_BYTES 160u

struct event {
	uint64_t now_ns;
	uint64_t points;
	const char *format;
	uint64_t numbers[4];
	uint32_t role;
	char text[TEXT_BYTES];
};

static struct event events[KEPT];
static uint64_t count, hash;
static bool verbose;

static const char *const roles[SIM_ROLES + 1] = {"engine",     "consumer",   "follower",
						 "producer-1", "producer-2", "producer-3",
						 "world"};

void sim_trace_reset(bool is_verbose)
{
	count = 0;
	hash = 0;
	verbose = is_verbose;
}

uint64_t sim_trace_hash(void)
{
	return hash;
}

bool sim_trace_is_verbose(void)
{
	return verbose;
}

static void fold(uint64_t value)
{
	hash = sim_mix(hash ^ value) + 0x9e3779b97f4a7c15ull;
}

static void print(const struct event *event, FILE *out)
{
	fprintf(out, "%12llu ns %8llu %-10s ", (unsigned long long)event->now_ns - 1000000000ull,
		(unsigned long long)event->points, roles[event->role]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(out, event->format, (unsigned long long)event->numbers[0],
		(unsigned long long)event->numbers[1], (unsigned long long)event->numbers[2],
		(unsigned long long)event->numbers[3]);
#pragma GCC diagnostic pop
	fprintf(out, "%s%s\n", event->text[0] ? ": " : "", event->text);
}

static struct event *add(const char *format)
{
	struct event *event = &events[count++ % KEPT];

	event->now_ns = sim_now();
	event->points = sim_points;
	event->format = format;
	event->role = sim_self();
	event->text[0] = '\0';
	memset(event->numbers, 0, sizeof(event->numbers));
	fold(event->now_ns);
	return event;
}

void sim_trace(const char *format, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct event *event = add(format);
	const uint64_t numbers[4] = {a, b, c, d};

	memcpy(event->numbers, numbers, sizeof(numbers));
	for (uint32_t i = 0; i < 4; i++)
		fold(numbers[i]);
	if (verbose)
		print(event, stdout);
}

void sim_trace_text(const char *what, const char *text)
{
	struct event *event = add(what);

	snprintf(event->text, sizeof(event->text), "%s", text);
	if (verbose)
		print(event, stdout);
}

void sim_trace_switch(uint32_t role, uint64_t now_ns)
{
	fold(now_ns ^ (uint64_t)role << 56);
}

void sim_trace_print(FILE *out)
{
	const uint64_t first = count > SHOWN ? count - SHOWN : 0;

	for (uint64_t i = first; i < count; i++)
		print(&events[i % KEPT], out);
}
