/* SPDX-License-Identifier: MIT */
/*
 * segment.h - one ring's memory as a named object: create, attach, list, remove.
 *
 * The library owns the namespace: a logical name such as "x.cmd" is one file, on whichever backing
 * could be had. POSIX shm holds it as /dev/shm/sluice.x.cmd, hugetlbfs as <mount>/sluice.x.cmd.
 * Its lock file is always /dev/shm/sluice.x.cmd.lk (mode 0600: monitors need not open it).
 * SLUICE_SHM_DIR and SLUICE_HUGETLB_DIR replace the two directories (tests, containers).
 *
 * Creation is atomic: everything is built under a private temporary name and renamed when READY.
 * No function here ever lets a shortage of pages become a SIGBUS.
 */
#ifndef SLUICE_SHM_SEGMENT_H
#define SLUICE_SHM_SEGMENT_H

#include "shm/diag.h"
#include "shm/layout.h"

struct sluice_segment_options {
	const char *name;	/* NULL: private to this process, nameless (threads, tests) */
	uint64_t slot_count;	/* a power of two */
	uint32_t slot_stride;	/* a multiple of 8; stamped: the stamp's 8 bytes included */
	uint32_t publication;	/* enum sluice_publication */
	uint32_t producer_mode; /* enum sluice_producer_mode */
	uint32_t event_kind;	/* enum sluice_event_kind */
	uint64_t base_sequence;
	uint32_t participant_count; /* 0: SLUICE_PARTICIPANTS_MAX */
	uint32_t counter_count;
	uint32_t histogram_count;
	uint32_t directory_count;
	uint32_t hugepages;   /* enum sluice_hugepages */
	uint32_t page_bytes;  /* hugetlb page size wanted; 0: 2 MiB */
	int32_t numa_node;    /* -1: the node of the calling thread's CPU */
	uint32_t mode;	      /* of the file; 0: 0640 */
	uint64_t more_bytes;  /* of segments that follow this one: hints count them in */
	/*
	 * NULL-terminated names of critical consumers that are in the table, away and gating from
	 * base_sequence on, before the name can be seen: they miss nothing, whenever they come.
	 * NULL: none.
	 */
	const char *const *reserve;
};

enum sluice_access { SLUICE_ACCESS_READ = 0, SLUICE_ACCESS_WRITE = 1 };

/*
 * A mapped segment. The geometry below is the checked private copy: nothing reads it from shared
 * memory again. All pointers lie inside the mapping. Read-only attachments are mapped PROT_READ
 * from an O_RDONLY descriptor: writing through them faults.
 */
struct sluice_segment {
	uint8_t *base;
	uint64_t total_bytes;
	struct sluice_header header; /* private, checked copy */
	struct sluice_control *control;
	struct sluice_participant *participants;
	struct sluice_counter *counters;
	struct sluice_histogram *histograms;
	struct sluice_directory_entry *directory;
	uint8_t *slots;
	int fd;
	int lock_fd;	/* holds this process's lock bytes; -1 read-only or private */
	int probe_fd;	/* another open file description, to ask about bytes; -1 if not allowed */
	uint32_t writable;
	uint32_t owns_name; /* created here; sluice_segment_close does not unlink */
	char path[256];	    /* of the data file, "" if private */
	char lock_path[256];
	char note[256];	    /* creator's: why there are no huge pages, what would give them */
};

/*
 * Creates, populates, verifies and names a segment. -EEXIST: the name is taken. -EBUSY: it is being
 * created, or its file was removed while processes still use it. -ENOMEM, -ENOSPC,
 * -EFAULT: not enough pages (nothing is left behind). -EPERM, -EACCES, -EINVAL as the text says.
 * Cold path: may take milliseconds per MiB.
 */
SLUICE_API int sluice_segment_create(struct sluice_segment *ret_segment,
				     const struct sluice_segment_options *options,
				     struct sluice_diag *diag);

/*
 * Maps an existing segment. -ENOENT: no such name. -EBADMSG: not a segment, damaged or truncated.
 * -EPROTO: another ABI version, feature or layout. -EPERM: wrong owner, link or file type.
 * -EACCES: no permission. -ESTALE: left by an earlier boot. Read-write only: -ENOLCK: the lock file
 * is missing; -EBUSY: somebody removes or repairs the segment. Read-write attachments share lock
 * byte SLUICE_LOCK_ATTACHED while they last: gc leaves the segment alone. A repair that was killed
 * before its end is finished first (shm/repair.h).
 *
 * A child of fork() has neither the mapping nor the lock bytes of a read-write attachment: it may
 * close the handle and attach by itself, nothing else. Read-only ones go on in the child.
 */
SLUICE_API int sluice_segment_attach(struct sluice_segment *ret_segment, const char *name,
				     enum sluice_access access, struct sluice_diag *diag);

/*
 * Attach to an open descriptor (O_RDONLY for read access), which stays the caller's. For writing it
 * must be the named file, or the lock bytes could not be found: else -ENOENT.
 */
SLUICE_API int sluice_segment_attach_fd(struct sluice_segment *ret_segment, int fd,
					enum sluice_access access, struct sluice_diag *diag);

/* Unmaps and closes; the lock bytes go with the descriptor. Accepts a zeroed struct. */
SLUICE_API void sluice_segment_close(struct sluice_segment *segment);

/* Removes the name and the lock file. Existing mappings live on. 0 or -errno. */
SLUICE_API int sluice_segment_unlink(const char *name, struct sluice_diag *diag);

/* True while `path` is still the file that is mapped: false once it was removed or replaced. */
SLUICE_API bool sluice_segment_is_named(const struct sluice_segment *segment);

/* How many of the mapping's bytes huge pages back now, by the kernel's word (/proc/self/smaps). */
SLUICE_API int sluice_segment_huge_bytes(const struct sluice_segment *segment,
					 uint64_t *ret_bytes, uint32_t *ret_page_bytes);

SLUICE_API const char *sluice_backing_name(uint32_t backing);

/* One line for the user when the creation got less than huge pages and wanted them; else "". */
SLUICE_API const char *sluice_segment_note(const struct sluice_segment *segment);

/* ---------------------------------------------------------------------------- namespace */

struct sluice_segment_entry {
	char name[SLUICE_SEGMENT_NAME_BYTES];
	char path[256];
	uint64_t file_bytes;
	uint32_t is_temporary; /* a creation that was cut short */
	uint32_t is_lock_only; /* NAME.lk without a segment */
};

/*
 * Calls visit for every segment and leftover, sorted by name, until it returns non-zero, which is
 * returned. The list is made before the first call: visit may remove what it is shown.
 */
SLUICE_API int sluice_segment_each(int (*visit)(const struct sluice_segment_entry *entry,
						void *arg),
				   void *arg, struct sluice_diag *diag);

/*
 * Removes what nobody uses: temporaries whose creator is gone, segments of an earlier boot, and
 * segments none of whose lock bytes is held. `dry_run` only reports. A live segment is never
 * touched: the creator byte is taken and the inode compared before anything is unlinked.
 */
struct sluice_gc_result {
	uint32_t examined;
	uint32_t live;
	uint32_t stale; /* removed, or would be */
	uint32_t foreign; /* not ours to remove */
	uint64_t stale_bytes;
};
SLUICE_API int sluice_segment_gc(const char *name_prefix, bool dry_run,
				 void (*report)(const struct sluice_segment_entry *entry,
						const char *verdict, void *arg),
				 void *arg, struct sluice_gc_result *ret_result,
				 struct sluice_diag *diag);

/* ----------------------------------------------------------------------------- liveness */

/*
 * Lock bytes. `hold` takes byte `index` of the lock file for the life of segment->lock_fd; -EAGAIN:
 * another participant lives there, or this process holds it already. `probe`: 1 held by somebody
 * (this process included), 0 free, -EACCES for monitors that may not open the lock file. Proof of
 * death: the kernel frees the byte only after the holder's memory is gone.
 * Private segments have no bytes: hold succeeds, probe answers 1.
 */
SLUICE_API int sluice_liveness_hold(const struct sluice_segment *segment, uint32_t index);
SLUICE_API int sluice_liveness_release(const struct sluice_segment *segment, uint32_t index);
SLUICE_API int sluice_liveness_probe(const struct sluice_segment *segment, uint32_t index);

#endif
