/* SPDX-License-Identifier: MIT */
/*
 * segment_names.c - names to files and back, the list of the namespace, removal of a name.
 *
 * Names are removed only by who holds the name's creator byte, data file first: a crash in between
 * leaves a lock file without a segment, which gc removes. Any thread; cold paths.
 */
#include "shm/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/hugetlb.h"
#include "shm/lockfile.h"

#define PREFIX "sluice."
#define PREFIX_CHARS (sizeof(PREFIX) - 1)
#define LOCK_SUFFIX ".lk"
#define TEMPORARY_MARK ".tmp."
#define DEFAULT_SHM_DIR "/dev/shm"
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static bool ends_in(const char *text, const char *suffix)
{
	const size_t chars = strlen(text);
	const size_t suffix_chars = strlen(suffix);

	return chars >= suffix_chars && !strcmp(text + chars - suffix_chars, suffix);
}

int sluice_names_check(const char *name, struct sluice_diag *diag)
{
	const size_t chars = strlen(name);

	if (!chars || chars > SLUICE_NAME_CHARS_MAX)
		return sluice_diag_set(diag, EINVAL,
				       "the segment name \"%.64s\" has %zu characters, 1 to %d are allowed",
				       name, chars, SLUICE_NAME_CHARS_MAX);
	if (strspn(name, NAME_CHARS) != chars || name[0] == '.')
		return sluice_diag_set(diag, EINVAL,
				       "the segment name \"%s\" may hold A-Z a-z 0-9 . _ - only and not start with a dot",
				       name);
	if (ends_in(name, LOCK_SUFFIX) || strstr(name, TEMPORARY_MARK))
		return sluice_diag_set(diag, EINVAL,
				       "the segment name \"%s\" may not end in \"" LOCK_SUFFIX
				       "\" or contain \"" TEMPORARY_MARK "\"",
				       name);
	return 0;
}

const char *sluice_names_shm_dir(void)
{
	const char *given = secure_getenv("SLUICE_SHM_DIR");

	return given && *given ? given : DEFAULT_SHM_DIR;
}

/* The same directory may be mounted or given twice. */
static bool is_known_dir(const struct sluice_dirs *dirs, const char *dir)
{
	struct stat st;

	if (stat(dir, &st))
		return false;
	for (uint32_t i = 0; i < dirs->count; i++) {
		struct stat other;

		if (!stat(dirs->path[i], &other) && other.st_dev == st.st_dev &&
		    other.st_ino == st.st_ino)
			return true;
	}
	return false;
}

void sluice_names_dirs(struct sluice_dirs *ret_dirs)
{
	struct sluice_dirs huge;

	ret_dirs->count = 1;
	snprintf(ret_dirs->path[0], SLUICE_PATH_BYTES, "%s", sluice_names_shm_dir());
	sluice_hugetlb_dirs(0, &huge);
	for (uint32_t i = 0; i < huge.count && ret_dirs->count < SLUICE_DIRS_MAX; i++)
		if (!is_known_dir(ret_dirs, huge.path[i]))
			memcpy(ret_dirs->path[ret_dirs->count++], huge.path[i],
			       SLUICE_PATH_BYTES);
}

int sluice_names_path(char ret_path[SLUICE_PATH_BYTES], const char *dir, const char *name)
{
	char path[SLUICE_PATH_BYTES];
	const int chars = snprintf(path, sizeof(path), "%s/" PREFIX "%s", dir, name);

	if (chars < 0 || chars >= (int)sizeof(path))
		return -ENAMETOOLONG;
	memcpy(ret_path, path, (size_t)chars + 1);
	return 0;
}

int sluice_names_lock_path(char ret_path[SLUICE_PATH_BYTES], const char *name)
{
	char locked[SLUICE_SEGMENT_NAME_BYTES];

	snprintf(locked, sizeof(locked), "%.48s" LOCK_SUFFIX, name);
	return sluice_names_path(ret_path, sluice_names_shm_dir(), locked);
}

int sluice_names_temporary(char ret_path[SLUICE_PATH_BYTES], const char *dir, const char *name)
{
	char temporary[128];
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(temporary, sizeof(temporary), "%.48s" TEMPORARY_MARK "%d.%016llx", name,
		 (int)getpid(), (unsigned long long)random);
	return sluice_names_path(ret_path, dir, temporary);
}

int sluice_names_find(const char *name, char ret_path[SLUICE_PATH_BYTES])
{
	struct sluice_dirs dirs;

	sluice_names_dirs(&dirs);
	for (uint32_t i = 0; i < dirs.count; i++) {
		char path[SLUICE_PATH_BYTES] = "";
		struct stat st;

		if (sluice_names_path(path, dirs.path[i], name) || lstat(path, &st))
			continue;
		memcpy(ret_path, path, sizeof(path));
		return 0;
	}
	return -ENOENT;
}

bool sluice_names_is_trusted(uid_t owner)
{
	const char *given = secure_getenv("SLUICE_OWNER_UID");
	char *end;

	if (owner == 0 || owner == geteuid())
		return true;
	if (!given || !*given)
		return false;
	return strtoul(given, &end, 10) == owner && !*end;
}

/* ------------------------------------------------------------------------------------ list */

struct listing {
	struct sluice_segment_entry *entries;
	size_t count;
	size_t room;
};

/* Fills name and kind from a file's name; false: not one of ours. */
static bool parse_file_name(const char *file, struct sluice_segment_entry *entry)
{
	const char *mark;
	size_t chars;

	if (strncmp(file, PREFIX, PREFIX_CHARS) || strlen(file) >= 200)
		return false;
	file += PREFIX_CHARS;
	mark = strstr(file, TEMPORARY_MARK);
	entry->is_temporary = mark != NULL;
	entry->is_lock_only = !mark && ends_in(file, LOCK_SUFFIX);
	chars = mark ? (size_t)(mark - file) : strlen(file);
	if (entry->is_lock_only)
		chars -= sizeof(LOCK_SUFFIX) - 1;
	if (!chars || chars > SLUICE_NAME_CHARS_MAX)
		return false;
	memcpy(entry->name, file, chars);
	entry->name[chars] = '\0';
	return !sluice_names_check(entry->name, NULL);
}

static int add_entry(struct listing *listing, const struct sluice_segment_entry *entry)
{
	if (listing->count == listing->room) {
		const size_t room = listing->room ? 2 * listing->room : 64;
		void *grown = reallocarray(listing->entries, room, sizeof(*entry));

		if (!grown)
			return -ENOMEM;
		listing->entries = grown;
		listing->room = room;
	}
	listing->entries[listing->count++] = *entry;
	return 0;
}

static int list_dir(struct listing *listing, const char *dir)
{
	DIR *stream = opendir(dir);
	const struct dirent *found;
	int err = 0;

	if (!stream)
		return -errno;
	while (!err && (found = readdir(stream))) {
		struct sluice_segment_entry entry = {0};
		char ignored[SLUICE_PATH_BYTES];
		struct stat st;

		if (!parse_file_name(found->d_name, &entry))
			continue;
		if (sluice_names_path(entry.path, dir, found->d_name + PREFIX_CHARS) ||
		    lstat(entry.path, &st))
			continue; /* gone meanwhile */
		if (entry.is_lock_only && !sluice_names_find(entry.name, ignored))
			continue;
		entry.file_bytes = (uint64_t)st.st_size;
		err = add_entry(listing, &entry);
	}
	closedir(stream);
	return err;
}

static int by_name(const void *left, const void *right)
{
	const struct sluice_segment_entry *a = left;
	const struct sluice_segment_entry *b = right;
	const int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->path, b->path);
}

int sluice_segment_each(int (*visit)(const struct sluice_segment_entry *entry, void *arg),
			void *arg, struct sluice_diag *diag)
{
	struct listing listing = {0};
	struct sluice_dirs dirs;
	int err = 0;

	sluice_names_dirs(&dirs);
	for (uint32_t i = 0; i < dirs.count && !err; i++) {
		err = list_dir(&listing, dirs.path[i]);
		if (i > 0 && err == -EACCES)
			err = 0; /* a mount for others */
		if (err)
			sluice_diag_set(diag, -err, "cannot list %s: %s", dirs.path[i],
					strerror(-err));
	}
	if (listing.count)
		qsort(listing.entries, listing.count, sizeof(*listing.entries), by_name);
	for (size_t i = 0; i < listing.count && !err; i++)
		err = visit(&listing.entries[i], arg);
	free(listing.entries);
	return err;
}

/* ---------------------------------------------------------------------------------- unlink */

static int unlink_locked(const char *name, const char *path, const char *lock_path,
			 struct sluice_diag *diag)
{
	if (unlink(path))
		return sluice_diag_set(diag, errno, "cannot remove \"%s\" (%s): %s", name, path,
				       strerror(errno));
	if (unlink(lock_path) && errno != ENOENT)
		return sluice_diag_set(diag, errno, "cannot remove %s: %s", lock_path,
				       strerror(errno));
	return 0;
}

int sluice_segment_unlink(const char *name, struct sluice_diag *diag)
{
	const struct sluice_lock_range creator = {F_WRLCK, SLUICE_LOCK_CREATOR, 1};
	char lock_path[SLUICE_PATH_BYTES];
	char path[SLUICE_PATH_BYTES];
	int lock_fd;
	int err = sluice_names_check(name, diag);

	if (err)
		return err;
	if (sluice_names_find(name, path) || sluice_names_lock_path(lock_path, name))
		return sluice_diag_set(diag, ENOENT, "there is no segment named \"%s\"", name);
	lock_fd = sluice_lockfile_acquire(lock_path, creator, 0, SLUICE_LOCKFILE_WAIT_MS, diag);
	/* without a lock file nobody can be creating: the creator makes it first */
	if (lock_fd < 0 && lock_fd != -ENOENT)
		return lock_fd;
	err = unlink_locked(name, path, lock_path, diag);
	if (lock_fd >= 0)
		sluice_lockfile_close(lock_fd);
	return err;
}
