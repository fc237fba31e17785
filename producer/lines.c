/* SPDX-License-Identifier: MIT */
#include "producer/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef SLUICE_WITH_ZLIB
#include <zlib.h>
#endif

#include "producer/command_text.h"

#define BUFFER_BYTES (256u * 1024)
SLUICE_STATIC_ASSERT(BUFFER_BYTES >= 4 * SLUICE_COMMAND_LINE_MAX, "a line fits many times");

static bool is_gzip(int fd)
{
	unsigned char magic[2];

	return pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) && magic[0] == 0x1f &&
	       magic[1] == 0x8b;
}

static int open_gzip(struct sluice_lines *lines, struct sluice_diag *diag)
{
#ifdef SLUICE_WITH_ZLIB
	lines->gz = gzdopen(lines->fd, "rb");
	if (!lines->gz)
		return sluice_diag_set(diag, ENOMEM, "cannot read %s: no memory for gzip",
				       lines->path);
	lines->owns_fd = false; /* gzclose closes it */
	gzbuffer(lines->gz, BUFFER_BYTES);
	return 0;
#else
	sluice_diag_set(diag, ENOTSUP, "cannot read %s: this build has no zlib", lines->path);
	sluice_diag_hint(diag, "gunzip -c %s | sluice-producer --from -", lines->path);
	return -ENOTSUP;
#endif
}

int sluice_lines_open(struct sluice_lines *ret_lines, const char *path, struct sluice_diag *diag)
{
	struct sluice_lines lines = {.fd = STDIN_FILENO, .path = path};
	int err = 0;

	if (strcmp(path, "-") != 0) {
		lines.fd = open(path, O_RDONLY | O_CLOEXEC);
		if (lines.fd < 0)
			return sluice_diag_set(diag, errno, "cannot open %s: %s", path,
					       strerror(errno));
		lines.owns_fd = true;
	}
	lines.buffer = malloc(BUFFER_BYTES);
	if (!lines.buffer)
		err = sluice_diag_set(diag, ENOMEM, "cannot read %s: no memory", path);
	else if (lines.owns_fd && is_gzip(lines.fd))
		err = open_gzip(&lines, diag);
	if (err)
		sluice_lines_close(&lines);
	else
		*ret_lines = lines;
	return err;
}

void sluice_lines_close(struct sluice_lines *lines)
{
#ifdef SLUICE_WITH_ZLIB
	if (lines->gz)
		gzclose(lines->gz);
#endif
	if (lines->owns_fd)
		close(lines->fd);
	free(lines->buffer);
	memset(lines, 0, sizeof(*lines));
	lines->fd = -1;
}

static int read_gzip(struct sluice_lines *lines, size_t room, size_t *ret_bytes,
		     struct sluice_diag *diag)
{
#ifdef SLUICE_WITH_ZLIB
	int bytes = gzread(lines->gz, lines->buffer + lines->end, (unsigned int)room);
	int code = Z_OK;
	const char *text = gzerror(lines->gz, &code);

	/* zlib reports data that end too early only after it has handed out what there was */
	if (bytes < 0 || (bytes == 0 && code == Z_BUF_ERROR)) {
		lines->ended = true;
		return sluice_diag_set(diag, EBADMSG, "%s: after line %llu: broken gzip data: %s",
				       lines->path, (unsigned long long)lines->line, text);
	}
	*ret_bytes = (size_t)bytes;
	return 0;
#else
	(void)lines, (void)room, (void)ret_bytes, (void)diag;
	return -ENOTSUP;
#endif
}

/* Reads more behind what is buffered; sets `ended` at the end. */
static int fill(struct sluice_lines *lines, struct sluice_diag *diag)
{
	size_t room, bytes = 0;
	ssize_t got;
	int err = 0;

	memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
	lines->end -= lines->begin;
	lines->begin = 0;
	room = BUFFER_BYTES - lines->end;
	sluice_assert(room > 0);
	if (lines->gz) {
		err = read_gzip(lines, room, &bytes, diag);
	} else {
		got = read(lines->fd, lines->buffer + lines->end, room);
		if (got < 0)
			return sluice_diag_set(diag, errno, "cannot read %s: %s", lines->path,
					       strerror(errno));
		bytes = (size_t)got;
	}
	if (err)
		return err;
	lines->end += bytes;
	lines->ended = bytes == 0;
	return 0;
}

/* Bytes up to the end of the first buffered line, or SIZE_MAX while its end is not there yet. */
static size_t line_bytes(const struct sluice_lines *lines)
{
	const char *begin = lines->buffer + lines->begin;
	size_t buffered = lines->end - lines->begin;
	const char *newline = buffered ? memchr(begin, '\n', buffered) : NULL;

	if (newline)
		return (size_t)(newline - begin);
	return lines->ended ? buffered : SIZE_MAX;
}

static void take(struct sluice_lines *lines, size_t bytes)
{
	lines->begin += bytes;
	if (lines->begin < lines->end)
		lines->begin++; /* the newline */
}

int sluice_lines_next(struct sluice_lines *lines, char **ret_text, size_t *ret_bytes,
		      struct sluice_diag *diag)
{
	for (;;) {
		size_t bytes = line_bytes(lines);
		char *text = lines->buffer + lines->begin;
		bool whole = bytes != SIZE_MAX;
		int err;

		if (lines->ended && lines->begin == lines->end)
			return 0;
		if (!whole && lines->skipping)
			lines->begin = lines->end;
		if (!whole && lines->end - lines->begin <= SLUICE_COMMAND_LINE_MAX + 1) {
			err = fill(lines, diag);
			if (err)
				return err;
			continue;
		}
		if (whole)
			take(lines, bytes);
		if (lines->skipping) {
			lines->skipping = false; /* a part of such a line is never seen here */
			continue;
		}
		lines->line++;
		if (whole && bytes && text[bytes - 1] == '\r')
			bytes--;
		if (bytes > SLUICE_COMMAND_LINE_MAX) {
			lines->skipping = !whole;
			return sluice_diag_set(diag, EBADMSG, "line %llu: longer than %d bytes",
					       (unsigned long long)lines->line,
					       SLUICE_COMMAND_LINE_MAX);
		}
		*ret_text = text;
		*ret_bytes = bytes;
		return 1;
	}
}

bool sluice_lines_ready(const struct sluice_lines *lines)
{
	/* only a pipe or a terminal lets us wait */
	return lines->owns_fd || lines->gz || lines->ended || line_bytes(lines) != SIZE_MAX;
}

int sluice_lines_peek(struct sluice_lines *lines, struct sluice_diag *diag)
{
	for (;;) {
		bool comment = false;
		int err;

		for (size_t i = lines->begin; i < lines->end; i++) {
			unsigned char c = (unsigned char)lines->buffer[i];

			if (c == '\n')
				comment = false;
			else if (c == '#')
				comment = true;
			else if (!comment && c != ' ' && c != '\t' && c != '\r' && c < 0x80)
				return c; /* not a byte-order mark */
		}
		if (lines->ended || lines->end - lines->begin > BUFFER_BYTES / 2)
			return -1;
		err = fill(lines, diag);
		if (err && err != -EINTR)
			return -1;
	}
}
