/* SPDX-License-Identifier: MIT */
/*
 * cmd_help.c - `sluice help` and `sluice version`. Help on a command is what its option table says;
 * the topics are the few things that belong to no single command.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/version.h"
#include "engine/wal/reader.h"
#include "shm/layout.h"
#include "tools/tool.h"

struct help_options {
	struct sluice_option_list words;
};

static const struct sluice_cli_command help_command = {
	.program = "sluice help",
	.summary = "help on a command or a topic",
	.description = "The topics: hugepages, durability, wait-strategies, formats, exit-codes.",
	.positionals = {{.name = "TOPIC|COMMAND",
			 .help = "nothing: the list of them",
			 .offset = offsetof(struct help_options, words),
			 .optional = true,
			 .repeats = true}},
	.examples = {{"sluice help durability", "what is promised, and when"},
		     {"sluice help wal dump", "the options of a command"}},
};

static const struct topic {
	const char *name;
	const char *summary;
	const char *text;
} topics[] = {
	{"hugepages", "what is behind the rings, and how to get better pages",
	 "Rings want 2 MiB pages: fewer TLB misses, the same answers. They are tried in this "
	 "order:\n"
	 "\n"
	 "  1. a file on hugetlbfs            reserved pages, the best\n"
	 "  2. /dev/shm with huge pages       if the mount gives them\n"
	 "  3. /dev/shm, collapsed            from Linux 6.1 on, when memory is not fragmented\n"
	 "  4. /dev/shm, 4 KiB pages          always works\n"
	 "\n"
	 "--hugepages prefer takes the first that can be had, require insists on hugetlbfs (exit "
	 "3\n"
	 "with the command that would help), off takes 4 KiB pages. What was obtained is read "
	 "from\n"
	 "the kernel's own accounting and shown by `sluice ls`.\n"
	 "\n"
	 "To reserve 16 pages and mount them, as root:\n"
	 "  sysctl -w vm.nr_hugepages=16\n"
	 "  mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M none /dev/hugepages\n"},
	{"durability", "what is promised, and when",
	 "--durability batch (default)  a report becomes visible only after its command, and "
	 "every\n"
	 "                              earlier one, is on stable media. After any kill or power\n"
	 "                              loss the engine comes back with every command whose "
	 "report\n"
	 "                              was visible.\n"
	 "--durability async            commands are journaled, reports do not wait. A power loss\n"
	 "                              may lose the last few; a kill of the engine loses none.\n"
	 "--durability off              no log. The state ends with the engine.\n"
	 "\n"
	 "The mode is in every report and in `sluice stat`. Reports are numbered densely and stay\n"
	 "the same across restarts. A log that cannot prove its promise is refused, with the "
	 "byte:\n"
	 "`sluice wal verify DIR` says the same without an engine.\n"},
	{"wait-strategies", "what an idle program does",
	 "adaptive (default)  spins, then gives the CPU away, then sleeps. Right when there are\n"
	 "                    fewer CPUs than programs, and nearly as fast as spinning when busy.\n"
	 "spin                never gives the CPU away: the lowest latency, one core each.\n"
	 "yield               gives the CPU away at each look: for shared cores.\n"
	 "block               sleeps at once: the least CPU, tens of microseconds later.\n"
	 "sleep               spins and yields shortly, then naps of 100 us: who publishes never\n"
	 "                    has to wake it, but its timer costs about a tenth of a CPU.\n"
	 "backoff             spins 50 us, yields 1 ms, then sleeps: for gaps of that length.\n"
	 "umwait              the CPU rests until the ring's word is written; a core of its own, and\n"
	 "                    Intel's WAITPKG. Without it: adaptive.\n"
	 "\n"
	 "Nobody should spin on the CPU that takes the disk's interrupts: a commit then waits for\n"
	 "the scheduler. The engine places itself on that CPU and yields (--cpu auto).\n"},
	{"formats", "what is read and written",
	 "Commands    CSV with a header row, or JSON lines with the same keys, plain or .gz:\n"
	 "            cmd, symbol, account, order_id, side, type, tif, price, qty, ...\n"
	 "            LOBSTER message files: --format lobster\n"
	 "Reports     JSON lines: {\"n\":1,\"cmd_seq\":0,\"type\":\"accepted\",...}\n"
	 "Rings       docs/shm-layout.md\n"
	 "Log         docs/wal-format.md\n"
	 "--json      of every command: an object per line, \"schema\" first, integers with their\n"
	 "            unit in the key. New keys may come; known ones stay.\n"
	 "All keys    docs/formats.md\n"},
	{"exit-codes", "what the exit codes mean", NULL},
};
#define TOPICS (sizeof(topics) / sizeof(*topics))

static void print_exit_codes(void)
{
	for (int code = 0; code <= SLUICE_EXIT_SIGNAL; code++)
		if (sluice_exit_text(code))
			printf("%4d  %s\n", code, sluice_exit_text(code));
}

void sluice_tool_print_list(FILE *out)
{
	fputs("usage: sluice COMMAND [OPTION...]\n\ncommands\n", out);
	for (const struct sluice_tool *const *row = sluice_tools; *row; row++)
		fprintf(out, "  %-16s %s\n", (*row)->name, sluice_tool_summary(*row));
	fputs("programs\n", out);
	for (size_t i = 0; sluice_tool_programs[i]; i++)
		fprintf(out, "  %-16s runs sluice-%s\n", sluice_tool_programs[i],
			sluice_tool_programs[i]);
	fputs("topics\n", out);
	for (size_t i = 0; i < TOPICS; i++)
		fprintf(out, "  %-16s %s\n", topics[i].name, topics[i].summary);
	fputs("\nMore on one of them: sluice COMMAND --help, sluice help TOPIC\n", out);
}

static int print_list(void)
{
	sluice_tool_print_list(stdout);
	return sluice_tool_finish(help_command.program, SLUICE_EXIT_OK);
}

static int print_topic(const struct topic *topic)
{
	if (topic->text)
		fputs(topic->text, stdout);
	else
		print_exit_codes();
	return sluice_tool_finish(help_command.program, SLUICE_EXIT_OK);
}

static int unknown(const char *word)
{
	const char *nearest = sluice_tool_nearest(sluice_tools, word);
	struct sluice_diag diag;

	sluice_diag_set(&diag, EINVAL, "there is no command or topic \"%.40s\"%s%s%s", word,
			nearest ? ": did you mean \"" : "", nearest ? nearest : "",
			nearest ? "\"?" : "");
	sluice_diag_hint(&diag, "sluice help");
	return sluice_cli_error(help_command.program, SLUICE_EXIT_USAGE, &diag);
}

/* "producer": its own help, by itself. */
static int run_program_help(const char *name)
{
	char program[64];
	char path[4096];
	char *args[] = {program, (char *)(uintptr_t) "--help", NULL};

	snprintf(program, sizeof(program), "sluice-%s", name);
	if (sluice_tool_path(program, path, sizeof(path)))
		execvp(path, args);
	return unknown(name);
}

static int help(const struct sluice_option_list *words)
{
	const char *word = words->count ? words->items[0] : NULL;
	char *args[] = {NULL, (char *)(uintptr_t) "--help", NULL};
	const struct sluice_tool *tool;

	if (!word)
		return print_list();
	for (size_t i = 0; i < TOPICS; i++)
		if (!strcmp(topics[i].name, word))
			return print_topic(&topics[i]);
	for (size_t i = 0; sluice_tool_programs[i]; i++)
		if (!strcmp(sluice_tool_programs[i], word))
			return run_program_help(word);
	tool = sluice_tool_find(sluice_tools, word);
	if (tool && tool->group && words->count > 1)
		tool = sluice_tool_find(tool->group, words->items[1]);
	if (!tool)
		return unknown(words->items[words->count > 1 ? 1 : 0]);
	args[0] = (char *)(uintptr_t)tool->name;
	return tool->run(2, args);
}

static int run_help(int argc, char **argv)
{
	struct help_options values = {0};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &help_command, argc, argv, &values, &code))
		return code;
	code = help(&values.words);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_help = {
	.name = "help",
	.command = &help_command,
	.run = run_help,
};

/* ------------------------------------------------------------------------------------ version */

static const struct sluice_cli_command version_command = {
	.program = "sluice version",
	.summary = "the version, and those of the formats it speaks",
	.examples = {{"sluice version", "for a report of a problem"},
		     {"sluice version --json", "for scripts"}},
};

static int run_version(int argc, char **argv)
{
	struct sluice_options options;
	struct sluice_json json;
	struct help_options unused = {0};
	int code;

	if (!sluice_options_start(&options, &version_command, argc, argv, &unused, &code))
		return code;
	if (options.standard.json) {
		sluice_json_init_file(&json, stdout);
		sluice_json_object(&json, NULL);
		sluice_json_string(&json, "schema", "sluice.version/1");
		sluice_json_string(&json, "version", SLUICE_VERSION);
		sluice_json_u64(&json, "shm_abi_major", SLUICE_ABI_MAJOR);
		sluice_json_u64(&json, "shm_abi_minor", SLUICE_ABI_MINOR);
		sluice_json_u64(&json, "wal_version", SLUICE_WAL_VERSION);
		sluice_json_u64(&json, "matching_rules", SLUICE_CORE_SEMANTICS);
		sluice_json_end(&json);
		sluice_json_finish(&json);
	} else {
		printf("sluice %s: shared memory %d.%d, log %u, matching rules %u, compiler %s\n",
		       SLUICE_VERSION, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR, SLUICE_WAL_VERSION,
		       SLUICE_CORE_SEMANTICS, __VERSION__);
	}
	sluice_options_release(&options);
	return sluice_tool_finish(version_command.program, SLUICE_EXIT_OK);
}

const struct sluice_tool sluice_tool_version = {
	.name = "version",
	.command = &version_command,
	.run = run_version,
};
