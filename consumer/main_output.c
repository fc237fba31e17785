/* SPDX-License-Identifier: MIT */
/*
 * main_output.c - where the lines go: standard output or a file that survives us. A kill leaves at
 * most one incomplete line at the end of the file, which the next start cuts off.
 */
#include "consumer/main.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"

#define TAIL_BYTES (2u * SLUICE_EVENT_TEXT_MAX) /* holds a complete line and an incomplete one */

/* Always -EIO: a closed pipe must not look like a closed ring. */
static int failed(struct consumer_run *run, const char *what)
{
	const int error = errno;

	return sluice_diag_set(&run->diag, EIO, "cannot %s %s: %s", what,
			       run->output.path ? run->output.path : "standard output",
			       strerror(error));
}

int consumer_output_flush(struct consumer_run *run)
{
	struct consumer_output *output = &run->output;
	uint32_t done = 0;

	while (done < output->used) {
		const ssize_t bytes = write(output->fd, output->buffer + done, output->used - done);

		if (bytes > 0)
			done += (uint32_t)bytes;
		else if (bytes < 0 && errno != EINTR)
			return failed(run, "write to");
	}
	/* one error is the end: the next fdatasync would not tell of the same bytes again */
	if (output->used && run->options->sync && fdatasync(output->fd))
		return failed(run, "sync");
	output->used = 0;
	return 0;
}

/* The number behind `"n":` or `n=` at the beginning of a line; 0: none. */
static uint64_t number_of_line(const char *line, size_t bytes)
{
	static const char json[] = "{\"n\":", text[] = "n=";
	uint64_t n = 0;
	size_t i;

	if (bytes > sizeof(json) && !memcmp(line, json, sizeof(json) - 1))
		i = sizeof(json) - 1;
	else if (bytes > sizeof(text) && !memcmp(line, text, sizeof(text) - 1))
		i = sizeof(text) - 1;
	else
		return 0;
	for (; i < bytes && line[i] >= '0' && line[i] <= '9'; i++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(line[i] - '0'), &n))
			return 0;
	return n;
}

/* Cuts an incomplete last line off and finds the number of the last complete one. */
static int resume(struct consumer_run *run, off_t file_bytes)
{
	struct consumer_output *output = &run->output;
	const size_t tail = (size_t)(file_bytes < TAIL_BYTES ? file_bytes : TAIL_BYTES);
	const off_t start = file_bytes - (off_t)tail;
	const char *end, *line;

	if (pread(output->fd, output->buffer, tail, start) != (ssize_t)tail)
		return failed(run, "read");
	end = memrchr(output->buffer, '\n', tail);
	if (!end && start == 0)
		return ftruncate(output->fd, 0) ? failed(run, "truncate") : 0;
	if (!end)
		goto foreign;
	line = memrchr(output->buffer, '\n', (size_t)(end - output->buffer));
	line = line ? line + 1 : output->buffer;
	run->written_n = number_of_line(line, (size_t)(end - line));
	if (!run->written_n)
		goto foreign;
	if (ftruncate(output->fd, start + (end + 1 - output->buffer)))
		return failed(run, "truncate");
	return 0;
foreign:
	return sluice_diag_set(&run->diag, EINVAL, "%s does not end with a line of sluice-consumer: it "
			       "is not appended to", output->path);
}

/* A file that is on disk is worth nothing without its name. */
static int sync_name(struct consumer_run *run)
{
	char path[PATH_MAX];
	int fd, rc;

	if ((size_t)snprintf(path, sizeof(path), "%s", run->output.path) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return failed(run, "open");
	}
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(run, "open the directory of");
	rc = fsync(fd);
	close(fd);
	return rc ? failed(run, "sync the directory of") : 0;
}

int consumer_output_open(struct consumer_run *run)
{
	struct consumer_output *output = &run->output;
	struct stat status;

	output->fd = -1;
	output->path = run->options->output;
	if (!output->path && sluice_cli_is_quiet())
		return 0;
	output->buffer = malloc(CONSUMER_OUTPUT_BYTES + SLUICE_EVENT_TEXT_MAX);
	if (!output->buffer)
		return sluice_diag_set(&run->diag, ENOMEM, "no memory for the output's buffer");
	if (!output->path) {
		if (run->options->sync)
			return sluice_diag_set(&run->diag, EINVAL, "--sync needs --output FILE");
		output->fd = STDOUT_FILENO;
		return 0;
	}
	output->fd = open(output->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (output->fd < 0 || fstat(output->fd, &status))
		return failed(run, "open");
	if (run->options->sync && !S_ISREG(status.st_mode))
		return sluice_diag_set(&run->diag, EINVAL, "--sync: %s is no file on a disk",
				       output->path);
	if (run->options->sync && sync_name(run))
		return -EIO;
	/* a pipe or a device has no end to look at; commands have no number of their own */
	if (!S_ISREG(status.st_mode) || !status.st_size || run->options->ring == CONSUMER_CMD)
		return 0;
	return resume(run, status.st_size);
}

void consumer_output_close(struct consumer_run *run)
{
	if (run->output.path && run->output.fd >= 0)
		close(run->output.fd);
	free(run->output.buffer);
}
