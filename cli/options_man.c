/* SPDX-License-Identifier: MIT */
/* options_man.c - the table as source of a man page (man(7) macros) and as completion words. */
#include "cli/options_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/version.h"

/*
 * Text for roff: no escape, no control line, and '-' as the character that one can copy and type.
 */
static void print_roff(FILE *out, const char *text)
{
	bool at_line_start = true;

	for (; *text; text++) {
		if (at_line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		at_line_start = *text == '\n';
	}
}

/* "sluice ls" is the page sluice-ls. */
static void print_page_name(FILE *out, const char *program, bool upper)
{
	for (; *program; program++)
		fputc(*program == ' ' ? '-' :
		      upper	      ? toupper((unsigned char)*program) :
					*program,
		      out);
}

static void print_paragraphs(FILE *out, const char *text)
{
	for (const char *end; (end = strstr(text, "\n\n")); text = end + 2) {
		char paragraph[2048];

		snprintf(paragraph, sizeof(paragraph), "%.*s", (int)(end - text), text);
		print_roff(out, paragraph);
		fputs("\n.PP\n", out);
	}
	print_roff(out, text);
	fputc('\n', out);
}

static void print_synopsis(FILE *out, const struct sluice_cli_command *command)
{
	fputs(".SH SYNOPSIS\n.B ", out);
	print_roff(out, command->program);
	fputs("\n[\\fIOPTION\\fR]...\n", out);
	for (size_t i = 0; i < command->option_count; i++)
		if (command->options[i].required) {
			fputs(".B \\-\\-", out);
			print_roff(out, command->options[i].name);
			fprintf(out, "\n\\fI%s\\fR\n", option_value_name(&command->options[i]));
		}
	for (size_t i = 0; i < positional_count(command); i++) {
		const struct sluice_positional *positional = &command->positionals[i];

		fprintf(out, positional->optional ? "[\\fI%s\\fR]%s\n" : "\\fI%s\\fR%s\n",
			positional->name, positional->repeats ? "..." : "");
	}
}

static void print_option(FILE *out, const struct sluice_option *option)
{
	char name[ENVIRONMENT_NAME_BYTES];

	fputs(".TP\n", out);
	if (option->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
	fputs("\\fB\\-\\-", out);
	print_roff(out, option->name);
	fputs("\\fR", out);
	if (option_value_name(option)) {
		fputs(" \\fI", out);
		print_roff(out, option_value_name(option));
		fputs("\\fR", out);
	}
	fputc('\n', out);
	print_roff(out, option->help);
	if (option->required)
		fputs(" (needed)", out);
	else if (option->initial) {
		fputs(" (default ", out);
		print_roff(out, option->initial);
		fputc(')', out);
	}
	option_environment(option, name);
	if (!option_is_action(option))
		fprintf(out, ".\nVariable: %s", name);
	fputs(".\n", out);
}

static void print_options(FILE *out, const struct sluice_cli_command *command)
{
	for (size_t i = 0; i < positional_count(command); i++) {
		fprintf(out, ".TP\n\\fI%s\\fR\n", command->positionals[i].name);
		print_roff(out, command->positionals[i].help);
		fputs(".\n", out);
	}
	for (size_t i = 0; i < option_total(command); i++)
		print_option(out, option_at(command, i));
}

static void print_tail(FILE *out, const struct sluice_cli_command *command)
{
	fputs(".SH ENVIRONMENT\nA variable sets the option it is named with above; a flag beats "
	      "the variable, and\nthe variable beats the file given with \\-\\-config.\n"
	      ".SH EXIT STATUS\n",
	      out);
	for (int code = 0; code <= SLUICE_EXIT_SIGNAL; code++)
		if (sluice_exit_text(code)) {
			fprintf(out, ".TP\n%d\n", code);
			print_roff(out, sluice_exit_text(code));
			fputc('\n', out);
		}
	fputs(".SH EXAMPLES\n", out);
	for (size_t i = 0; i < SLUICE_EXAMPLES_MAX && command->examples[i].command; i++) {
		fputs(".PP\n", out);
		print_roff(out, command->examples[i].does);
		fputs(":\n.PP\n.nf\n.RS\n", out);
		print_roff(out, command->examples[i].command);
		fputs("\n.RE\n.fi\n", out);
	}
}

int sluice_options_man(const struct sluice_cli_command *command, FILE *out)
{
	fputs(".\\\" SPDX-License-Identifier: MIT\n.TH ", out);
	print_page_name(out, command->program, true);
	fprintf(out, " 1 \"\" \"Sluice %s\" \"Sluice\"\n.SH NAME\n", SLUICE_VERSION);
	print_page_name(out, command->program, false);
	fputs(" \\- ", out);
	print_roff(out, command->summary);
	fputc('\n', out);
	print_synopsis(out, command);
	fputs(".SH DESCRIPTION\n", out);
	print_paragraphs(out, command->description ? command->description : command->summary);
	fputs(".SH OPTIONS\n", out);
	print_options(out, command);
	print_tail(out, command);
	return ferror(out) ? -EIO : 0;
}

static void print_words(FILE *out, const struct sluice_option *option)
{
	if (option->kind == SLUICE_KIND_CHOICE) {
		fputc(' ', out);
		for (const char *letter = option->words; *letter; letter++)
			fputc(*letter == '|' ? ' ' : *letter, out);
	} else if (option_value_name(option)) {
		fprintf(out, " <%s>", option_value_name(option));
	}
	fputc('\n', out);
}

int sluice_options_complete(const struct sluice_cli_command *command, FILE *out)
{
	for (size_t i = 0; i < option_total(command); i++) {
		const struct sluice_option *option = option_at(command, i);

		if (option->letter) {
			fprintf(out, "-%c", option->letter);
			print_words(out, option);
		}
		fprintf(out, "--%s", option->name);
		print_words(out, option);
	}
	return ferror(out) ? -EIO : 0;
}
