/* SPDX-License-Identifier: MIT */
/*
 * wal_look.c - see look.h. The verdict is that of sluice_wal_recover, called on files that are open
 * for reading only.
 *
 * Any thread, blocking. On a live directory what is refused or torn is looked at again, and
 * believed when it stays the same. A crash leaves nothing.
 */
#include "engine/wal/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_examine.h"

#define LOOKS_MAX 5
#define PAUSE_NS 20000000

/* The copies as they are, also where the rest of the directory cannot be opened. */
static void read_copies(const char *dir, struct sluice_wal_look *look)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = dir_fd < 0 ? -1 :
			      openat(dir_fd, "super",
				     O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		struct sluice_wal_look_copy *copy = &look->copies[i];

		memset(copy, 0, sizeof(*copy));
		if (fd < 0 || pread(fd, &copy->super, sizeof(copy->super),
				    (off_t)i * SLUICE_WAL_ALIGN) != sizeof(copy->super)) {
			copy->fault = (struct sluice_wal_fault){"bytes that can be read", 1, 0};
			continue;
		}
		copy->valid = sluice_wal_super_valid(&copy->super, &copy->fault);
		if (copy->valid && copy->super.sequence % SLUICE_WAL_SUPER_COPIES != i) {
			copy->valid = false;
			copy->fault = (struct sluice_wal_fault){
				"copy of this sequence",
				copy->super.sequence % SLUICE_WAL_SUPER_COPIES, i};
		}
	}
	if (fd >= 0)
		close(fd);
	if (dir_fd >= 0)
		close(dir_fd);
}

static void mark_chosen(struct sluice_wal_look *look)
{
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++)
		look->copies[i].chosen = look->has_super && look->copies[i].valid &&
					 look->copies[i].super.sequence == look->super.sequence;
}

static void check_snapshots(struct sluice_wal *wal, struct sluice_wal_look *look)
{
	const struct sluice_wal_snapshot *named[] = {sluice_snapshot_newest(&wal->super),
						     sluice_snapshot_older(&wal->super)};

	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		struct sluice_wal_look_snapshot *snapshot = &look->snapshots[i];
		struct sluice_diag diag = {.text = ""};

		memset(snapshot, 0, sizeof(*snapshot));
		if (!named[i])
			continue;
		snapshot->named = *named[i];
		snapshot->whole = !sluice_snapshot_check(wal->io, &wal->super, named[i],
							 wal->window_memory, &diag);
		snprintf(snapshot->text, sizeof(snapshot->text), "%.500s", diag.text);
	}
}

static void count(struct sluice_wal_behind *behind, const struct sluice_wal_super *super,
		  const struct sluice_wal_block_header *header, const struct sluice_wal_stray *at,
		  uint32_t epoch)
{
	if (sluice_wal_is_earlier_use(super, header, at)) {
		behind->earlier_uses++;
		return;
	}
	if (header->epoch < epoch) {
		behind->older_epochs++;
		return;
	}
	if (!behind->newer || header->block_seq < behind->newer_first_seq)
		behind->newer_first_seq = header->block_seq;
	if (!behind->newer || header->block_seq > behind->newer_last_seq)
		behind->newer_last_seq = header->block_seq;
	behind->newer++;
}

/* Where the valid prefix ends, with the last block's epoch: damage leaves no position. */
static int look_behind(struct sluice_wal *wal, struct sluice_wal_look *look,
		       struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;
	struct sluice_wal_stray at;
	int ret;

	sluice_wal_scan_init(&scan, wal->io, &wal->super, &wal->base, wal->window_memory);
	while ((ret = sluice_wal_scan_next(&scan, &header)) == 1 &&
	       scan.chain.block_seq < wal->report.block_seq)
		;
	look->epoch = scan.chain.epoch;
	look->closed = scan.chain.flags & SLUICE_WAL_CLOSE;
	look->behind = (struct sluice_wal_behind){.earlier_uses = 0};
	at = (struct sluice_wal_stray){.segment_no = wal->report.segment_no,
				       .offset = wal->report.offset};
	while (ret >= 0 && (ret = sluice_wal_next_stray(&scan, &at, &header)) == 1)
		if (at.whole)
			count(&look->behind, &wal->super, header, &at, look->epoch);
	return ret < 0 ? sluice_wal_scan_failed(&scan, ret, diag) : 0;
}

static void take_end(struct sluice_wal *wal, struct sluice_wal_look *look)
{
	const struct sluice_wal_place *start = &wal->super.start;

	look->base = wal->base;
	look->base_snapshot = wal->position.snapshot;
	look->report = wal->report;
	look->next_cmd_seq = wal->base.cmd_seq + wal->report.commands;
	look->live_bytes = (wal->report.segment_no - start->segment_no) * wal->super.segment_bytes +
			   wal->report.offset - start->offset;
}

/* One look. True: it would be the same again, as far as a live log lets one say. */
static bool look_once(struct sluice_wal *wal, struct sluice_wal_look *look)
{
	struct sluice_diag diag = {.text = ""};
	int ret = sluice_wal_examine_again(wal, &diag);

	look->has_super = ret == 0;
	look->has_end = false;
	if (!ret) {
		look->super = wal->super;
		check_snapshots(wal, look);
		wal->passed_over = 0;
		wal->snapshot_text[0] = '\0';
		wal->report = (struct sluice_wal_report){.verdict = SLUICE_WAL_INTACT};
		ret = sluice_wal_recover(wal, &diag);
		look->has_end = !ret || wal->report.verdict == SLUICE_WAL_DAMAGED;
	}
	look->refusal = ret;
	if (look->has_end) {
		take_end(wal, look);
		ret = look_behind(wal, look, ret ? NULL : &diag);
		look->refusal = look->refusal ? look->refusal : ret;
	}
	snprintf(look->text, sizeof(look->text), "%s", diag.text);
	snprintf(look->hint, sizeof(look->hint), "%s", diag.hint);
	return !look->refusal && look->report.verdict == SLUICE_WAL_INTACT;
}

static void look_closely(struct sluice_wal *wal, struct sluice_wal_look *look)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	for (int i = 0; !look_once(wal, look) && i < LOOKS_MAX; i++) {
		const uint64_t sequence = look->super.sequence;
		const struct sluice_wal_report report = look->report;

		nanosleep(&pause, NULL);
		if (look_once(wal, look) || (look->super.sequence == sequence &&
					     look->report.block_seq == report.block_seq &&
					     look->report.verdict == report.verdict))
			return;
	}
}

int sluice_wal_look_io(struct sluice_wal_io *io, const char *dir, struct sluice_wal_look *ret_look,
		       struct sluice_diag *diag)
{
	struct sluice_wal_look look = {.refusal = 0};
	struct sluice_wal *wal = NULL;
	struct sluice_diag why = {.text = ""};
	int ret = sluice_wal_examine(&wal, io, SLUICE_WAL_IO_READ, &why);

	if (ret && ret != -EBADMSG && ret != -EPROTO) {
		sluice_diag_set(diag, -ret, "%s", why.text);
		sluice_diag_hint(diag, "%s", why.hint);
		return ret;
	}
	look.refusal = ret;
	snprintf(look.text, sizeof(look.text), "%s", why.text);
	snprintf(look.hint, sizeof(look.hint), "%s", why.hint);
	if (!ret)
		look_closely(wal, &look);
	sluice_wal_examine_end(wal);
	read_copies(dir, &look);
	mark_chosen(&look);
	*ret_look = look;
	return 0;
}

int sluice_wal_look(const char *dir, struct sluice_wal_look *ret_look, struct sluice_diag *diag)
{
	struct sluice_wal_io *io;
	int ret = sluice_wal_io_blocking_create(&io, dir, diag);

	return ret ? ret : sluice_wal_look_io(io, dir, ret_look, diag);
}
