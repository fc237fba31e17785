/* SPDX-License-Identifier: MIT */
/*
 * wal_fixture.c - see wal_fixture.h. Tampering goes through ordinary buffered writes; opening a log
 * syncs before it reads, as it does after a real crash.
 */
#include "tests/lib/wal_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/wal/wal_files.h"
#include "engine/wal/wal_scan.h"
#include "shm/crc32c.h"

#define SUPER_BYTES (SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define STEP_NS 100000000u

static const uint8_t ring_uuid[16] = {7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up failed: %s: %s\n", what, strerror(errno));
	abort();
}

/* A number, as in the enums of wal.h. */
static uint32_t from_environment(const char *name, uint32_t otherwise)
{
	const char *value = getenv(name);

	return value && *value ? (uint32_t)strtoul(value, NULL, 10) : otherwise;
}

void wal_fixture_make_dir(struct wal_fixture *fixture)
{
	const char *tmp = getenv("TMPDIR");

	*fixture = (struct wal_fixture){.options = {
						.segment_bytes = WAL_FIXTURE_SEGMENT_BYTES,
						.backend = from_environment(
							"WAL_BACKEND", SLUICE_WAL_BACKEND_BLOCKING),
						.sync = from_environment("WAL_SYNC",
									 SLUICE_WAL_SYNC_AUTO),
						/* small snapshot files */
						.core = {.orders_max = 1000},
					}};
	snprintf(fixture->dir, sizeof(fixture->dir), "%s/sluice-wal-XXXXXX", tmp ? tmp : "/tmp");
	need(mkdtemp(fixture->dir), fixture->dir);
}

void wal_fixture_make_timed(struct wal_fixture *fixture)
{
	wal_fixture_make_dir(fixture);
	need(!sluice_wal_format(fixture->dir, &fixture->options, &fixture->diag),
	     fixture->diag.text);
}

void wal_fixture_make(struct wal_fixture *fixture)
{
	char path[320];

	wal_fixture_make_timed(fixture);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_PROBE, path);
	need(!truncate(path, 0), path);
}

void wal_fixture_remove(struct wal_fixture *fixture)
{
	char path[320];

	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++) {
		wal_fixture_path(fixture, file, path);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/super.tmp", fixture->dir);
	unlink(path);
	rmdir(fixture->dir);
	free(fixture->image);
	fixture->image = NULL;
}

int wal_fixture_setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	need(fixture, "fixture");
	wal_fixture_make(fixture);
	*state = fixture;
	return 0;
}

int wal_fixture_teardown(void **state)
{
	wal_fixture_remove(*state);
	free(*state);
	return 0;
}

int wal_fixture_open(struct wal_fixture *fixture, struct sluice_wal **ret_wal)
{
	return sluice_wal_open(ret_wal, fixture->dir, &fixture->options, &fixture->diag);
}

int wal_fixture_start_wal(struct wal_fixture *fixture, struct sluice_wal *wal)
{
	struct sluice_wal_position position;

	sluice_wal_position(wal, &position);
	return sluice_wal_start(wal, ring_uuid, 0x5a5a + position.next_cmd_seq,
				position.next_cmd_seq + 1, &fixture->diag);
}

struct sluice_wal *wal_fixture_start(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = NULL;

	need(!wal_fixture_open(fixture, &wal), fixture->diag.text);
	need(!wal_fixture_start_wal(fixture, wal), fixture->diag.text);
	return wal;
}

int wal_fixture_open_faulty(struct wal_fixture *fixture, struct sluice_wal **ret_wal,
			    struct sluice_wal_io **ret_io, const struct fault_plan *plan)
{
	struct sluice_wal_io *disk;

	need(!sluice_wal_io_create(&disk, fixture->dir, fixture->options.backend, &fixture->diag),
	     fixture->diag.text);
	disk->sync = fixture->options.sync;
	disk->extents = fixture->options.extents;
	need(!fault_io_create(ret_io, disk), "fault_io");
	if (plan)
		fault_io_plan(*ret_io, plan);
	return sluice_wal_open_io(ret_wal, *ret_io, &fixture->options, &fixture->diag);
}

void wal_fixture_command(uint64_t cmd_seq, struct sluice_command *ret_command)
{
	*ret_command = (struct sluice_command){
		.head = {.type = SLUICE_CMD_PLACE, .length = SLUICE_WAL_RECORD_BYTES},
		.order_id = cmd_seq,
		.price = (int64_t)(cmd_seq * 0x9e3779b97f4a7c15ull >> 8),
		.qty = (int64_t)cmd_seq + 1,
		.side = SLUICE_SIDE_BUY,
		.client_seq = ~cmd_seq,
	};
	for (uint32_t i = 0; i < 5; i++)
		ret_command->u.words[i] = cmd_seq * 31 + i;
}

bool wal_fixture_append(struct sluice_wal *wal, uint32_t n)
{
	while (n > 0) {
		uint64_t seq = sluice_wal_next_cmd_seq(wal);
		uint32_t room = 0;
		struct sluice_command *records = sluice_wal_reserve(wal, 0xabc0 + seq, seq + 1,
								    &room);
		uint32_t part = room < n ? room : n;

		if (!records)
			return false;
		for (uint32_t i = 0; i < part; i++)
			wal_fixture_command(seq + i, &records[i]);
		sluice_wal_append(wal, part);
		n -= part;
	}
	return true;
}

int wal_fixture_block(struct sluice_wal *wal, uint32_t n)
{
	uint64_t end = sluice_wal_next_cmd_seq(wal) + n;

	while (!wal_fixture_append(wal, (uint32_t)(end - sluice_wal_next_cmd_seq(wal)))) {
		int ret = sluice_wal_error(wal);

		if (!ret && sluice_wal_full(wal))
			ret = -ENOSPC;
		if (!ret)
			ret = sluice_wal_wait(wal, STEP_NS);
		if (ret < 0)
			return ret;
	}
	return sluice_wal_submit(wal);
}

int wal_fixture_settle(struct sluice_wal *wal)
{
	int ret = sluice_wal_error(wal);

	while (ret >= 0 && sluice_wal_in_flight(wal) > 0)
		ret = sluice_wal_wait(wal, STEP_NS);
	return ret < 0 ? ret : 0;
}

static int compare(const struct sluice_wal_block_header *header,
		   const struct sluice_command *commands, uint32_t n, void *arg)
{
	int64_t *count = arg;

	if ((uintptr_t)commands % _Alignof(struct sluice_command))
		return -EFAULT;
	if (header->n_cmds != n || header->first_cmd_seq != (uint64_t)*count)
		return -EILSEQ;
	for (uint32_t i = 0; i < n; i++) {
		struct sluice_command want;

		wal_fixture_command((uint64_t)*count, &want);
		if (memcmp(&want, &commands[i], sizeof(want)))
			return -EILSEQ;
		(*count)++;
	}
	return 0;
}

int64_t wal_fixture_replay(struct sluice_wal *wal, struct sluice_diag *diag)
{
	int64_t count = 0;
	int ret = sluice_wal_replay(wal, compare, &count, diag);

	return ret ? ret : count;
}

int64_t wal_fixture_count(struct wal_fixture *fixture, struct sluice_wal_position *ret_position)
{
	struct sluice_wal_position position;
	struct sluice_wal *wal = NULL;
	int64_t count = wal_fixture_open(fixture, &wal);

	if (count)
		return count;
	count = wal_fixture_replay(wal, &fixture->diag);
	sluice_wal_position(wal, &position);
	if (count >= 0 && (uint64_t)count != position.next_cmd_seq)
		count = -ERANGE;
	if (ret_position)
		*ret_position = position;
	sluice_wal_close(wal, true, NULL);
	return count;
}

uint32_t wal_fixture_list(struct wal_fixture *fixture, struct wal_fixture_block_place *ret_places,
			  uint32_t max)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_wal_reader *reader = NULL;
	uint32_t n = 0;

	need(!sluice_wal_reader_open(&reader, fixture->dir, &fixture->diag), fixture->diag.text);
	while (n < max &&
	       sluice_wal_reader_next(reader, &header, &commands, &ret_places[n].segment_no,
				      &ret_places[n].offset) == 1) {
		ret_places[n].header = *header;
		ret_places[n++].bytes = sluice_wal_block_bytes(header->n_cmds);
	}
	sluice_wal_reader_close(reader);
	return n;
}

void wal_fixture_path(const struct wal_fixture *fixture, uint32_t file, char path[320])
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name(file, name);
	snprintf(path, 320, "%s/%s", fixture->dir, name);
}

static int open_path(const struct wal_fixture *fixture, uint32_t file, int flags)
{
	char path[320];
	int fd;

	wal_fixture_path(fixture, file, path);
	fd = open(path, flags | O_CLOEXEC);
	need(fd >= 0, path);
	return fd;
}

void wal_fixture_peek(const struct wal_fixture *fixture, uint32_t file, uint64_t offset, void *data,
		      size_t bytes)
{
	int fd = open_path(fixture, file, O_RDONLY);

	need(pread(fd, data, bytes, (off_t)offset) == (ssize_t)bytes, "pread");
	close(fd);
}

void wal_fixture_poke(const struct wal_fixture *fixture, uint32_t file, uint64_t offset,
		      const void *data, size_t bytes)
{
	int fd = open_path(fixture, file, O_WRONLY);

	need(pwrite(fd, data, bytes, (off_t)offset) == (ssize_t)bytes, "pwrite");
	close(fd);
}

void wal_fixture_flip(const struct wal_fixture *fixture, uint32_t file, uint64_t offset,
		      unsigned int bit)
{
	unsigned char byte;

	wal_fixture_peek(fixture, file, offset, &byte, 1);
	byte = (unsigned char)(byte ^ 1u << bit);
	wal_fixture_poke(fixture, file, offset, &byte, 1);
}

uint32_t wal_fixture_digest(const struct wal_fixture *fixture)
{
	unsigned char *bytes = malloc(WAL_FIXTURE_SEGMENT_BYTES);
	uint32_t crc = 0;

	need(bytes, "malloc");
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++) {
		char path[320];
		struct stat st;
		size_t size;

		wal_fixture_path(fixture, file, path);
		need(!stat(path, &st), path);
		need(st.st_size <= (off_t)WAL_FIXTURE_SEGMENT_BYTES, "the file is small");
		size = (size_t)st.st_size;
		wal_fixture_peek(fixture, file, 0, bytes, size);
		crc = sluice_crc32c(crc, bytes, size);
	}
	free(bytes);
	return crc;
}

void wal_fixture_save(struct wal_fixture *fixture, uint32_t segments)
{
	free(fixture->image);
	fixture->image_segments = segments;
	fixture->image = malloc(SUPER_BYTES + (size_t)segments * WAL_FIXTURE_SEGMENT_BYTES);
	need(fixture->image, "malloc");
	wal_fixture_peek(fixture, SLUICE_WAL_FILE_SUPER, 0, fixture->image, SUPER_BYTES);
	for (uint32_t i = 0; i < segments; i++)
		wal_fixture_peek(fixture, i, 0,
				 fixture->image + SUPER_BYTES +
					 (size_t)i * WAL_FIXTURE_SEGMENT_BYTES,
				 WAL_FIXTURE_SEGMENT_BYTES);
}

static void restore_file(const struct wal_fixture *fixture, uint32_t file,
			 const unsigned char *image, size_t bytes)
{
	unsigned char *now = malloc(bytes);

	need(now, "malloc");
	wal_fixture_peek(fixture, file, 0, now, bytes);
	for (size_t at = 0; at < bytes; at += SLUICE_WAL_ALIGN)
		if (memcmp(now + at, image + at, SLUICE_WAL_ALIGN))
			wal_fixture_poke(fixture, file, at, image + at, SLUICE_WAL_ALIGN);
	free(now);
}

void wal_fixture_restore(struct wal_fixture *fixture)
{
	restore_file(fixture, SLUICE_WAL_FILE_SUPER, fixture->image, SUPER_BYTES);
	for (uint32_t i = 0; i < fixture->image_segments; i++)
		restore_file(fixture, i,
			     fixture->image + SUPER_BYTES + (size_t)i * WAL_FIXTURE_SEGMENT_BYTES,
			     WAL_FIXTURE_SEGMENT_BYTES);
}

uint64_t wal_fixture_seed(const char *test)
{
	const char *given = getenv("SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0) :
		       (uint64_t)now.tv_sec * 1000003u ^ (uint64_t)now.tv_nsec;
	printf("%s: SEED=%llu\n", test, (unsigned long long)seed);
	return seed ? seed : 1;
}

uint64_t wal_fixture_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}
