/* SPDX-License-Identifier: MIT */
/* report.c - builds each message in one buffer and writes it with one call. */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/json.h"

/* A text and a hint, each with every byte escaped as six, and the words around them. */
#define MESSAGE_BYTES (6 * sizeof(struct sluice_diag) + 512)
#define LOG_BYTES 1024

static struct {
	bool json;
	bool quiet;
	bool verbose;
} output;

void sluice_cli_set_output(bool json, bool quiet, bool verbose)
{
	output.json = json;
	output.quiet = quiet;
	output.verbose = verbose;
}

bool sluice_cli_is_json(void)
{
	return output.json;
}

bool sluice_cli_is_quiet(void)
{
	return output.quiet;
}

bool sluice_cli_is_verbose(void)
{
	return output.verbose;
}

/* Nothing sensible can be done when stderr is gone. */
static void write_all(const char *text, size_t bytes)
{
	while (bytes) {
		const ssize_t written = write(STDERR_FILENO, text, bytes);

		if (written <= 0)
			return;
		text += written;
		bytes -= (size_t)written;
	}
}

/* Calls visit for each non-empty line of the hint. */
static void each_line(const char *text, size_t capacity,
		      void (*visit)(const char *line, size_t bytes, void *arg), void *arg)
{
	const char *end = text + strnlen(text, capacity);

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;

		if (stop > text)
			visit(text, (size_t)(stop - text), arg);
		text = stop + 1;
	}
}

struct plain_message {
	char text[MESSAGE_BYTES];
	size_t used;
	bool has_hint;
};

static void add_hint(const char *line, size_t bytes, void *arg)
{
	struct plain_message *message = arg;

	message->used += (size_t)snprintf(message->text + message->used,
					  sizeof(message->text) - message->used, "  %s %.*s\n",
					  message->has_hint ? "or: " : "try:", (int)bytes, line);
	message->has_hint = true;
}

/* A line per hint costs at most eight bytes more than the hint's own. */
static void error_plain(const char *program, const struct sluice_diag *diag)
{
	struct plain_message message = {.used = 0};

	message.used = (size_t)snprintf(message.text, sizeof(message.text), "%.64s: %s\n", program,
					diag->text[0] ? diag->text : "failed");
	each_line(diag->hint, sizeof(diag->hint), add_hint, &message);
	sluice_assert(message.used < sizeof(message.text));
	write_all(message.text, message.used);
}

static void add_json_hint(const char *line, size_t bytes, void *arg)
{
	sluice_json_string_bounded(arg, NULL, line, bytes);
}

static void error_json(const char *program, int code, const struct sluice_diag *diag)
{
	char text[MESSAGE_BYTES];
	struct sluice_json json;

	sluice_json_init_buffer(&json, text, sizeof(text) - 1);
	sluice_json_object(&json, NULL);
	sluice_json_string_bounded(&json, "program", program, 64);
	sluice_json_i64(&json, "code", code);
	sluice_json_string(&json, "message", diag->text[0] ? diag->text : "failed");
	sluice_json_array(&json, "hint");
	each_line(diag->hint, sizeof(diag->hint), add_json_hint, &json);
	sluice_json_end(&json);
	sluice_json_end(&json);
	if (sluice_json_finish(&json))
		return;

	const size_t bytes = strlen(text);

	text[bytes] = '\n';
	write_all(text, bytes + 1);
}

int sluice_cli_error(const char *program, int code, const struct sluice_diag *diag)
{
	fflush(stdout);
	if (output.json)
		error_json(program, code, diag);
	else
		error_plain(program, diag);
	return code;
}

int sluice_cli_fail(const char *program, int error, const struct sluice_diag *diag)
{
	sluice_assert(error < 0);
	return sluice_cli_error(program, sluice_exit_from_error(error), diag);
}

__attribute__((format(printf, 2, 0))) static void log_line(const char *program, const char *format,
							   va_list args)
{
	char line[LOG_BYTES];
	struct timespec now;
	struct tm utc;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(line, sizeof(line), "time=%Y-%m-%dT%H:%M:%S", &utc);
	used += (size_t)snprintf(line + used, sizeof(line) - used, ".%03ldZ program=%.64s ",
				 now.tv_nsec / 1000000, program);

	const int wanted = vsnprintf(line + used, sizeof(line) - used, format, args);

	if (wanted < 0)
		return;
	/* a text that does not fit is cut: its last byte, the NUL, becomes the newline */
	used += strlen(line + used);
	for (size_t i = 0; i < used; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[used] = '\n';
	write_all(line, used + 1);
}

void sluice_cli_log(const char *program, const char *format, ...)
{
	va_list args;

	if (output.quiet)
		return;
	va_start(args, format);
	log_line(program, format, args);
	va_end(args);
}

void sluice_cli_log_verbose(const char *program, const char *format, ...)
{
	va_list args;

	if (output.quiet || !output.verbose)
		return;
	va_start(args, format);
	log_line(program, format, args);
	va_end(args);
}
