/* SPDX-License-Identifier: MIT */
/*
 * segment_gc.c - removing what nobody uses.
 *
 * A segment is unused if all its lock bytes can be had at once: participants hold theirs while
 * they live, creators theirs, every read-write attachment the shared one. The lock is kept while
 * the files are unlinked, and they are unlinked only if they still are the files that were listed,
 * so a creation or attachment that comes between either is seen or sees that it came too late.
 * A crash leaves at most a lock file without a segment, which the next run removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/header.h"
#include "shm/lockfile.h"
#include "shm/names.h"
#include "shm/segment_internal.h"

#define LOCK_MODE 0600

static const struct sluice_lock_range all_bytes = {F_WRLCK, SLUICE_LOCK_ALL_FIRST,
						   SLUICE_LOCK_ALL_COUNT};
static const struct sluice_lock_range creator_byte = {F_WRLCK, SLUICE_LOCK_CREATOR, 1};

enum outcome { OUTCOME_LIVE, OUTCOME_STALE, OUTCOME_FOREIGN };

struct judgement {
	enum outcome outcome;
	const char *verdict;
};

struct collection {
	const char *prefix;
	bool dry_run;
	void (*report)(const struct sluice_segment_entry *entry, const char *verdict, void *arg);
	void *arg;
	struct sluice_gc_result result;
};

static bool is_same_file(const char *path, const struct stat *seen)
{
	struct stat now;

	return !lstat(path, &now) && now.st_dev == seen->st_dev && now.st_ino == seen->st_ino;
}

static bool is_of_earlier_boot(const char *path)
{
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct sluice_header header;
	bool earlier;

	if (fd < 0)
		return false;
	earlier = !sluice_segment_read_header(fd, &header, NULL) &&
		  sluice_header_is_of_earlier_boot(&header);
	close(fd);
	return earlier;
}

static struct judgement removal(bool removed, const char *verdict)
{
	/* a sticky directory, or a file system that went read-only */
	return removed ? (struct judgement){OUTCOME_STALE, verdict} :
			 (struct judgement){OUTCOME_FOREIGN, "stale, but we may not remove it"};
}

/* Asks only; -ENOENT: no lock file. */
static int ask(const char *lock_path, struct sluice_lock_range range)
{
	const int fd = open(lock_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int held;

	if (fd < 0)
		return -errno;
	held = sluice_lockfile_held(fd, range);
	close(fd);
	return held ? -EBUSY : 0;
}

/*
 * A descriptor that holds the range, or for a dry run 0 with nothing held. Never waits: what is
 * locked is in use.
 */
static int claim(const struct collection *run, const char *lock_path,
		 struct sluice_lock_range range, mode_t mode)
{
	int fd;

	if (run->dry_run)
		return ask(lock_path, range);
	fd = sluice_lockfile_acquire(lock_path, range, 0, 0, NULL);
	/* made only if missing: the mode of an existing one is its creator's choice */
	return fd == -ENOENT && mode ? sluice_lockfile_acquire(lock_path, range, mode, 0, NULL) :
				       fd;
}

/* The lock file last, while it is locked. */
static struct judgement judge_segment(const struct collection *run,
				      const struct sluice_segment_entry *entry,
				      const char *lock_path, const struct stat *seen)
{
	const bool earlier = is_of_earlier_boot(entry->path);
	const char *verdict = earlier ? "stale: left by an earlier boot" :
					"stale: nobody holds it";
	const int fd = claim(run, lock_path, all_bytes, 0);
	bool removed = true;

	if (fd == -EBUSY)
		return (struct judgement){OUTCOME_LIVE, "live"};
	if (fd == -ENOENT && !earlier)
		return (struct judgement){OUTCOME_LIVE,
					  "unknown: its lock file is missing, remove it by name"};
	if (fd < 0 && fd != -ENOENT)
		return (struct judgement){OUTCOME_FOREIGN, "unknown: its lock file is not ours"};
	if (!run->dry_run) {
		if (!is_same_file(entry->path, seen)) {
			if (fd >= 0)
				sluice_lockfile_close(fd);
			return (struct judgement){OUTCOME_LIVE, "live: replaced meanwhile"};
		}
		removed = !unlink(entry->path);
		if (removed)
			unlink(lock_path);
		if (fd >= 0)
			sluice_lockfile_close(fd);
	}
	return removal(removed, verdict);
}

/* A creation that was cut short. Its name may be in use by a later, complete one. */
static struct judgement judge_temporary(const struct collection *run,
					const struct sluice_segment_entry *entry,
					const char *lock_path, const struct stat *seen)
{
	const int fd = claim(run, lock_path, creator_byte, LOCK_MODE);
	char ignored[SLUICE_PATH_BYTES];
	bool removed = true;

	if (fd == -EBUSY)
		return (struct judgement){OUTCOME_LIVE, "live: being created"};
	if (fd < 0 && !(run->dry_run && fd == -ENOENT))
		return (struct judgement){OUTCOME_FOREIGN, "unknown: its lock file is not ours"};
	if (!run->dry_run) {
		removed = is_same_file(entry->path, seen) && !unlink(entry->path);
		if (sluice_names_find(entry->name, ignored) == -ENOENT &&
		    !sluice_lockfile_try(fd, all_bytes))
			unlink(lock_path);
		sluice_lockfile_close(fd);
	}
	return removal(removed, "stale: a creation that was cut short");
}

static struct judgement judge_lock(const struct collection *run,
				   const struct sluice_segment_entry *entry)
{
	const int fd = claim(run, entry->path, all_bytes, 0);
	char ignored[SLUICE_PATH_BYTES];
	bool removed = true;

	if (fd == -EBUSY)
		return (struct judgement){OUTCOME_LIVE, "live: held without a segment"};
	if (fd < 0)
		return (struct judgement){OUTCOME_FOREIGN, "unknown: it is not ours"};
	if (!run->dry_run) {
		removed = sluice_names_find(entry->name, ignored) == -ENOENT &&
			  !unlink(entry->path);
		sluice_lockfile_close(fd);
	}
	return removal(removed, "stale: a lock file without a segment");
}

static struct judgement judge(const struct collection *run,
			      const struct sluice_segment_entry *entry, const struct stat *seen)
{
	char lock_path[SLUICE_PATH_BYTES];

	if (!S_ISREG(seen->st_mode))
		return (struct judgement){OUTCOME_FOREIGN, "foreign: not a regular file"};
	if (geteuid() != 0 && seen->st_uid != geteuid())
		return (struct judgement){OUTCOME_FOREIGN, "foreign: another user's"};
	if (entry->is_lock_only)
		return judge_lock(run, entry);
	if (sluice_names_lock_path(lock_path, entry->name))
		return (struct judgement){OUTCOME_FOREIGN, "unknown: its lock file's path is too long"};
	return entry->is_temporary ? judge_temporary(run, entry, lock_path, seen) :
				     judge_segment(run, entry, lock_path, seen);
}

static int collect(const struct sluice_segment_entry *entry, void *arg)
{
	struct collection *run = arg;
	struct judgement judgement;
	struct stat seen;

	if (run->prefix && strncmp(entry->name, run->prefix, strlen(run->prefix)))
		return 0;
	if (lstat(entry->path, &seen))
		return 0; /* went with its segment, or somebody else was faster */
	judgement = judge(run, entry, &seen);
	run->result.examined++;
	run->result.live += judgement.outcome == OUTCOME_LIVE;
	run->result.foreign += judgement.outcome == OUTCOME_FOREIGN;
	if (judgement.outcome == OUTCOME_STALE) {
		run->result.stale++;
		run->result.stale_bytes += entry->file_bytes;
	}
	if (run->report)
		run->report(entry, judgement.verdict, run->arg);
	return 0;
}

int sluice_segment_gc(const char *name_prefix, bool dry_run,
		      void (*report)(const struct sluice_segment_entry *entry,
				     const char *verdict, void *arg),
		      void *arg, struct sluice_gc_result *ret_result, struct sluice_diag *diag)
{
	struct collection run = {
		.prefix = name_prefix,
		.dry_run = dry_run,
		.report = report,
		.arg = arg,
	};
	int err = sluice_segment_each(collect, &run, diag);

	if (!err)
		*ret_result = run.result;
	return err;
}
