/* SPDX-License-Identifier: MIT */
/*
 * cmd_completion.c - `sluice completion`: a shell script that asks the programs themselves for
 * their options (--help-complete), so that it cannot differ from them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "tools/tool.h"

struct completion_options {
	const char *shell;
};

static const struct sluice_cli_command command = {
	.program = "sluice completion",
	.summary = "print the completion script of a shell",
	.description = "For zsh the same script is used through bashcompinit.",
	.positionals = {{.name = "SHELL",
			 .help = "bash or zsh",
			 .offset = offsetof(struct completion_options, shell)}},
	.examples = {{"source <(sluice completion bash)", "in this shell"},
		     {"sluice completion bash > ~/.local/share/bash-completion/completions/sluice",
		      "for ever"}},
};

/* $1: the program; the words before the cursor tell the command. */
static const char script[] =
	"_sluice()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal -a line=(\"${COMP_WORDS[0]}\")\n"
	"\tlocal words='' options\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\tif [[ ${line[0]##*/} == sluice ]]; then\n"
	"\t\tif ((COMP_CWORD == 1)); then\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -W \"$_sluice_commands\" -- \"$current\")\n"
	"\t\t\treturn\n"
	"\t\tfi\n"
	"\t\tline+=(\"${COMP_WORDS[1]}\")\n"
	"\t\tif [[ \" $_sluice_groups \" == *\" ${COMP_WORDS[1]} \"* ]]; then\n"
	"\t\t\tif ((COMP_CWORD == 2)); then\n"
	"\t\t\t\twords=$(\"${line[@]}\" --help-complete 2> /dev/null)\n"
	"\t\t\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"\t\t\t\treturn\n"
	"\t\t\tfi\n"
	"\t\t\tline+=(\"${COMP_WORDS[2]}\")\n"
	"\t\tfi\n"
	"\tfi\n"
	"\toptions=$(\"${line[@]}\" --help-complete 2> /dev/null)\n"
	"\tif [[ $previous == --* ]]; then\n"
	"\t\twords=$(sed -n \"s/^$previous //p\" <<< \"$options\")\n"
	"\t\tif [[ $words == '<'* ]]; then\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\t\t\treturn\n"
	"\t\telif [[ -n $words ]]; then\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"\t\t\treturn\n"
	"\t\tfi\n"
	"\tfi\n"
	"\tif [[ $current == -* ]]; then\n"
	"\t\twords=$(sed -n 's/^\\(--[^ ]*\\).*/\\1/p' <<< \"$options\")\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\tfi\n"
	"}\n";

static void print_script(bool is_zsh)
{
	if (is_zsh)
		puts("autoload -U +X bashcompinit && bashcompinit");
	printf("_sluice_commands='");
	for (const struct sluice_tool *const *row = sluice_tools; *row; row++)
		printf("%s ", (*row)->name);
	for (size_t i = 0; sluice_tool_programs[i]; i++)
		printf("%s%s", i ? " " : "", sluice_tool_programs[i]);
	printf("'\n_sluice_groups='");
	for (const struct sluice_tool *const *row = sluice_tools; *row; row++)
		if ((*row)->group)
			printf("%s ", (*row)->name);
	/* a program of this project completes as `sluice-engine` and as `sluice engine` */
	printf("'\n%scomplete -o filenames -F _sluice sluice", script);
	for (size_t i = 0; sluice_tool_programs[i]; i++)
		printf(" sluice-%s", sluice_tool_programs[i]);
	putchar('\n');
}

static int run(int argc, char **argv)
{
	struct completion_options values = {0};
	struct sluice_options options;
	struct sluice_diag diag;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &values, &code))
		return code;
	if (!strcmp(values.shell, "bash") || !strcmp(values.shell, "zsh")) {
		print_script(values.shell[0] == 'z');
		code = sluice_tool_finish(command.program, SLUICE_EXIT_OK);
	} else {
		sluice_diag_set(&diag, EINVAL, "there is no completion for \"%.32s\": bash or zsh",
				values.shell);
		sluice_diag_hint(&diag, "sluice completion bash");
		code = sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	}
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_completion = {
	.name = "completion",
	.command = &command,
	.run = run,
};
