/* SPDX-License-Identifier: MIT */
/* inspect.c - see inspect.h. */
#include "tools/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int find(const char *what, char ret_path[SLUICE_PATH_BYTES], struct sluice_diag *diag)
{
	int err;

	if (strchr(what, '/')) {
		if (snprintf(ret_path, SLUICE_PATH_BYTES, "%s", what) >= SLUICE_PATH_BYTES)
			return sluice_diag_set(diag, ENAMETOOLONG, "the path is too long: %.64s...",
					       what);
		return 0;
	}
	err = sluice_names_check(what, diag);
	if (err)
		return err;
	if (!sluice_names_find(what, ret_path))
		return 0;
	sluice_diag_set(
		diag, ENOENT,
		"there is no ring named \"%s\" (a ring's name is NAME.cmd, NAME.rep or NAME.md)",
		what);
	sluice_diag_hint(diag, "sluice ls");
	return -ENOENT;
}

int sluice_inspect_open(struct sluice_inspect *ret_inspect, const char *what,
			struct sluice_diag *diag)
{
	struct sluice_inspect *inspect = ret_inspect;
	struct stat st;
	ssize_t bytes;
	int err;

	memset(inspect, 0, sizeof(*inspect));
	inspect->fd = -1;
	err = find(what, inspect->path, diag);
	if (err)
		return err;
	inspect->fd = open(inspect->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (inspect->fd < 0 || fstat(inspect->fd, &st)) {
		err = sluice_diag_set(diag, errno, "cannot open %s: %s", inspect->path,
				      strerror(errno));
		sluice_diag_hint(diag, "ls -l %s", inspect->path);
		sluice_inspect_close(inspect);
		return err;
	}
	inspect->file_bytes = (uint64_t)st.st_size;
	/* hugetlbfs allows no pread on older kernels: then the attachment's copy must do */
	bytes = pread(inspect->fd, &inspect->header, sizeof(inspect->header), 0);
	inspect->header_bytes = bytes > 0 ? (uint32_t)bytes : 0;
	inspect->attach_error =
		strchr(what, '/') ?
			sluice_segment_attach_fd(&inspect->segment, inspect->fd, SLUICE_ACCESS_READ,
						 &inspect->refusal) :
			sluice_segment_attach(&inspect->segment, what, SLUICE_ACCESS_READ,
					      &inspect->refusal);
	inspect->attached = !inspect->attach_error;
	if (inspect->attached) {
		inspect->header = inspect->segment.header;
		inspect->header_bytes = sizeof(inspect->header);
	}
	return 0;
}

void sluice_inspect_close(struct sluice_inspect *inspect)
{
	if (inspect->attached)
		sluice_segment_close(&inspect->segment);
	if (inspect->fd >= 0)
		close(inspect->fd);
	inspect->attached = false;
	inspect->fd = -1;
}
