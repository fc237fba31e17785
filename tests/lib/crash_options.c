/* SPDX-License-Identifier: MIT */
/* crash_options.c - see crash_options.h. */
#include "tests/lib/crash_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define S 1000000000ull

static const struct crash_options defaults = {
	.config = {.slot_count = 256, .producers = 4, .batch_max = 5, .has_crowd = true,
		   .producer = {.kill = 200, .stop = 50000, .nap = 4000},
		   .recoverer = {.kill = 60, .stop = 20000, .nap = 200},
		   .joiner = {.kill = 40, .stop = 0, .nap = 100}},
	.seconds = 10, .stuck_ns = 20 * S, .kill_every_ns = 5 * MS, .stop_every_ns = 100 * MS,
	.stop_ns = 30 * MS,
};

static const char usage[] =
	"ring_crash [--seconds N] [--deaths N] [--slots N] [--producers N] [--batch N] [--big]\n"
	"           [--calm] [--base SEQUENCE] [--kill-ms N] [--stop-ms N] [--stuck-seconds N]\n"
	"           [--rate N] [--nap N] [--recoverer-rate N]\n";

static const struct option table[] = {
	{"seconds", 1, NULL, 's'},	  {"deaths", 1, NULL, 'd'},  {"slots", 1, NULL, 'n'},
	{"producers", 1, NULL, 'p'},	  {"batch", 1, NULL, 'b'},   {"big", 0, NULL, 'B'},
	{"calm", 0, NULL, 'c'},		  {"base", 1, NULL, 'a'},    {"kill-ms", 1, NULL, 'k'},
	{"stop-ms", 1, NULL, 't'},	  {"rate", 1, NULL, 'r'},    {"nap", 1, NULL, 'N'},
	{"recoverer-rate", 1, NULL, 'R'}, {"stuck-seconds", 1, NULL, 'u'}, {NULL, 0, NULL, 0},
};

/* One producer that dies now and then, one consumer, nothing else: what a death costs by itself. */
static void calm(struct crash_options *options)
{
	options->config.producers = 1;
	options->config.has_crowd = false;
	options->config.is_sparse = true;
	options->config.producer = (struct crash_rates){.kill = 100};
	options->config.recoverer = (struct crash_rates){.kill = 0};
	options->config.joiner = options->config.recoverer;
	options->kill_every_ns = options->stop_every_ns = 0;
}

static bool set(struct crash_options *options, int option, uint64_t value)
{
	struct crash_config *config = &options->config;

	switch (option) {
	case 's': options->seconds = value; break;
	case 'd': options->deaths_wanted = value; break;
	case 'k': options->kill_every_ns = value * MS; break;
	case 't': options->stop_every_ns = value * MS; break;
	case 'u': options->stuck_ns = value * S; break;
	case 'n': config->slot_count = value; break;
	case 'p': config->producers = (uint32_t)value; break;
	case 'b': config->batch_max = (uint32_t)value; break;
	case 'B': config->is_big = true; break;
	case 'a': config->base_sequence = value; break;
	case 'r': config->producer.kill = (uint32_t)value; break;
	case 'R': config->recoverer.kill = (uint32_t)value; break;
	case 'N': config->producer.nap = config->recoverer.nap = (uint32_t)value; break;
	case 'c': calm(options); break;
	default: return false;
	}
	return true;
}

bool crash_options_parse(int argc, char **argv, struct crash_options *ret_options)
{
	struct crash_options options = defaults;
	const struct crash_config *config = &options.config;
	bool ok = true;
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1)
		ok = ok && set(&options, option, optarg ? strtoull(optarg, NULL, 0) : 0);
	ok = ok && optind == argc && config->producers &&
	     config->producers <= CRASH_PRODUCERS_MAX && config->slot_count <= CRASH_SLOTS_MAX &&
	     config->batch_max && config->batch_max <= config->slot_count;
	if (ok)
		*ret_options = options;
	else
		fputs(usage, stderr);
	return ok;
}
