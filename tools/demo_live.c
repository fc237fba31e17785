/* SPDX-License-Identifier: MIT */
/* demo_live.c - the demo's notes and its live line; see demo.h. Everything goes to stderr. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/text.h"
#include "shm/clock.h"
#include "tools/demo.h"

#define BAR_CHARS 20
#define NOTES_BYTES 16384
#define READY_LOOKS 50

/* The text behind key= in a program's log: quoted or a word. "" if it never said so. */
static void said(const char *log, const char *key, char *ret_value, size_t bytes)
{
	const char *at = strstr(log, key);
	size_t length;

	ret_value[0] = '\0';
	if (!at)
		return;
	at += strlen(key);
	if (*at == '"')
		length = strcspn(++at, "\"\n");
	else
		length = strcspn(at, " \n");
	snprintf(ret_value, bytes, "%.*s", (int)length, at);
}

static void read_log(const struct sluice_demo_child *child, char *ret_text, size_t bytes)
{
	const int fd = open(child->error_path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;

	if (fd >= 0) {
		got = read(fd, ret_text, bytes - 1);
		close(fd);
	}
	ret_text[got > 0 ? got : 0] = '\0';
}

static void note_pages(const struct sluice_demo *demo, const char *log)
{
	char why[256];

	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		const struct sluice_header *header = &demo->instance.ring[i].header;

		if (!demo->instance.has[i])
			continue;
		fprintf(stderr, "  pages      %s: %s on %s, node %d\n", header->name,
			sluice_text_bytes(header->page_bytes).s,
			sluice_backing_name(header->backing), header->numa_node);
	}
	said(log, "note=", why, sizeof(why));
	if (why[0])
		fprintf(stderr, "  note       %s\n", why);
}

void sluice_demo_notes(const struct sluice_demo *demo)
{
	static char log[NOTES_BYTES];
	const struct timespec pause = {.tv_nsec = 10000000};
	char cpu[32], reason[256], wait[32], backend[128];

	if (demo->is_quiet || demo->is_json)
		return;
	/* its rings are there before it has said that it is ready */
	for (uint32_t i = 0; i < READY_LOOKS; i++) {
		read_log(&demo->engine, log, sizeof(log));
		if (strstr(log, " ready "))
			break;
		nanosleep(&pause, NULL);
	}
	said(log, " cpu=", cpu, sizeof(cpu));
	said(log, "reason=", reason, sizeof(reason));
	said(log, " wait=", wait, sizeof(wait));
	said(log, " log=", backend, sizeof(backend));
	fprintf(stderr, "sluice demo: instance %s\n", demo->name);
	note_pages(demo, log);
	fprintf(stderr, "  placement  engine on cpu %s%s%s%s\n", cpu[0] ? cpu : "any",
		reason[0] ? " (" : "", reason, reason[0] ? ")" : "");
	fprintf(stderr, "  waiting    %s\n", wait[0] ? wait : demo->options.wait);
	if (demo->options.durability == 2)
		fprintf(stderr, "  log        none: durability off\n");
	else
		fprintf(stderr, "  log        %s in %s, %s%s\n",
			sluice_text_bytes(demo->log_bytes).s, demo->log_path,
			backend[0] ? backend : "opening",
			demo->dir.is_memory ? "; a tmpfs: memory, no disk" : "");
	if (demo->options.durability != 2 && demo->dir.free_bytes < (3ull << 30))
		fprintf(stderr,
			"  note       %s are free there, so the log is smaller than usual\n",
			sluice_text_bytes(demo->dir.free_bytes).s);
}

/* Percentiles of about the last second. */
static void latency_text(struct sluice_demo *demo, char *ret_text, size_t bytes)
{
	static struct sluice_histogram_snapshot last;
	struct sluice_histogram_snapshot *oldest =
		&demo->history[demo->ticks % SLUICE_DEMO_HISTORY];
	const struct sluice_histogram_snapshot *now = &demo->now.latency[SLUICE_TOOL_TO_REPORT];

	last = *now;
	sluice_histogram_subtract(&last, oldest);
	*oldest = *now;
	if (last.count && sluice_histogram_justifies(&last, 990000))
		snprintf(ret_text, bytes, "p50 %s p99 %s",
			 sluice_text_duration(sluice_histogram_percentile(&last, 500000)).s,
			 sluice_text_duration(sluice_histogram_percentile(&last, 990000)).s);
	else
		snprintf(ret_text, bytes, "p50 - p99 -");
}

static void bar_text(const struct sluice_demo *demo, uint64_t orders, char *ret_text, size_t bytes)
{
	const uint64_t whole = demo->orders_planned;
	const uint64_t part = whole && orders < whole ? orders : whole;
	int filled = whole ? (int)(part * BAR_CHARS / whole) : 0;

	if (!whole)
		snprintf(ret_text, bytes, "%s", "");
	else
		snprintf(ret_text, bytes, "[%.*s%.*s] ", filled, "####################",
			 BAR_CHARS - filled, "....................");
}

void sluice_demo_live(struct sluice_demo *demo)
{
	const struct sluice_tool_sample *now = &demo->now;
	const struct sluice_tool_ring_sample *ring = &now->ring[SLUICE_TOOL_CMD];
	const uint64_t elapsed_ns = now->time_ns - demo->tick_ns;
	const uint64_t orders = now->count[SLUICE_TOOL_COMMANDS];
	char bar[48], latency[96], line[640];

	latency_text(demo, latency, sizeof(latency));
	bar_text(demo, orders, bar, sizeof(bar));
	snprintf(line, sizeof(line), "%s%5.1fs  %s orders  %s  ring %llu%%  %s  log %s%s", bar,
		 (double)(now->time_ns - demo->started_ns) / 1e9, sluice_text_exact(orders).s,
		 sluice_text_rate(sluice_tool_delta(orders, demo->orders_before), elapsed_ns).s,
		 ring->slot_count ? (unsigned long long)(ring->used * 100 / ring->slot_count) :
				    0ull,
		 latency,
		 sluice_text_throughput(sluice_tool_delta(now->count[SLUICE_TOOL_WAL_BYTES],
							  demo->wal_bytes_before),
					elapsed_ns)
			 .s,
		 demo->kills ? "  killed" : "");
	demo->orders_before = orders;
	demo->wal_bytes_before = now->count[SLUICE_TOOL_WAL_BYTES];
	demo->tick_ns = now->time_ns;
	demo->ticks++;
	if (demo->is_quiet || demo->is_json)
		return;
	if (demo->is_terminal)
		fprintf(stderr, "\r%s\033[K", line);
	else if (demo->ticks % SLUICE_DEMO_HISTORY == 0)
		fprintf(stderr, "%s\n", line);
}

void sluice_demo_live_end(const struct sluice_demo *demo)
{
	if (demo->is_terminal && demo->ticks && !demo->is_quiet && !demo->is_json)
		fputc('\n', stderr);
}
