/* SPDX-License-Identifier: MIT */
/*
 * names.h - the namespace: which file holds a logical name, and whose files are believed.
 *
 *   <shm>/sluice.NAME          data on tmpfs          <shm> is SLUICE_SHM_DIR or /dev/shm
 *   <hugetlb>/sluice.NAME      data in huge pages     <hugetlb> is SLUICE_HUGETLB_DIR or a mount
 *   <shm>/sluice.NAME.lk       lock bytes, whatever holds the data
 *   <dir>/sluice.NAME.tmp.PID.RANDOM                  being created
 *
 * Cold paths only; any thread; nothing is cached, the environment is read at each call.
 */
#ifndef SLUICE_SHM_NAMES_H
#define SLUICE_SHM_NAMES_H

#include <sys/types.h>

#include "shm/segment.h"

#define SLUICE_PATH_BYTES 256
#define SLUICE_NAME_CHARS_MAX 48
#define SLUICE_DIRS_MAX 8

struct sluice_dirs { /* where data files may be; the first one is the shm directory */
	uint32_t count;
	char path[SLUICE_DIRS_MAX][SLUICE_PATH_BYTES];
};

/* [A-Za-z0-9._-]{1,48}, no leading dot, no ".tmp." inside, no ".lk" at the end: else -EINVAL. */
int sluice_names_check(const char *name, struct sluice_diag *diag);

const char *sluice_names_shm_dir(void);
void sluice_names_dirs(struct sluice_dirs *ret_dirs);

/* -ENAMETOOLONG if the directory is too long for a path of SLUICE_PATH_BYTES. */
int sluice_names_path(char ret_path[SLUICE_PATH_BYTES], const char *dir, const char *name);
int sluice_names_lock_path(char ret_path[SLUICE_PATH_BYTES], const char *name);
int sluice_names_temporary(char ret_path[SLUICE_PATH_BYTES], const char *dir, const char *name);

/* The file that holds a name now, of whatever type it is. -ENOENT: none. */
int sluice_names_find(const char *name, char ret_path[SLUICE_PATH_BYTES]);

/* Ourselves, root, or the uid in SLUICE_OWNER_UID. */
bool sluice_names_is_trusted(uid_t owner);

#endif
