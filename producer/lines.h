/* SPDX-License-Identifier: MIT */
/*
 * lines.h - the lines of a file, of a gzip file or of standard input, cut out of one large buffer.
 *
 * A line is handed out in place, without its end ("\n" or "\r\n"), and may be changed; it lives
 * until the next call. Whether a file is compressed is seen in its first bytes, not in its name.
 * One thread. All memory is taken at open. `next` blocks in read() when no whole line is buffered.
 */
#ifndef SLUICE_PRODUCER_LINES_H
#define SLUICE_PRODUCER_LINES_H

#include "shm/diag.h"

struct sluice_lines {
	int fd;
	void *gz; /* gzFile, NULL for plain bytes */
	char *buffer;
	size_t begin; /* of what is buffered and not handed out */
	size_t end;
	uint64_t line; /* number of the line handed out last, from 1 */
	bool ended;    /* nothing more to read */
	bool skipping; /* in the rest of a line that was too long */
	bool owns_fd;
	const char *path; /* for messages; the caller's */
};

/*
 * "-" is standard input. `path` must outlive the lines. -errno of open or read; -ENOTSUP: gzip in a
 * build without zlib.
 */
int sluice_lines_open(struct sluice_lines *ret_lines, const char *path, struct sluice_diag *diag);
void sluice_lines_close(struct sluice_lines *lines);

/*
 * 1: a line; 0: the end; -EBADMSG: a line longer than SLUICE_COMMAND_LINE_MAX (the next call goes
 * on after it) or broken gzip data; -EINTR: a signal came while waiting, call again; other -errno.
 */
int sluice_lines_next(struct sluice_lines *lines, char **ret_text, size_t *ret_bytes,
		      struct sluice_diag *diag);

/* Whether the next call can answer without waiting for the other end of a pipe. */
bool sluice_lines_ready(const struct sluice_lines *lines);

/* The first byte that is neither blank nor of a comment line, without taking it; -1: none. */
int sluice_lines_peek(struct sluice_lines *lines, struct sluice_diag *diag);

#endif
