/* SPDX-License-Identifier: MIT */
/* Every reason to refuse an attachment, each with its errno and text; monitors of other users. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <grp.h>

#include "shm/crc32c.h"
#include "tests/unit/shm/segment_fixture.h"

struct rejection {
	const char *title;
	void (*spoil)(struct sluice_header *header);
	int error;
	const char *text;
	bool unsealed; /* the CRC is left as it was */
	enum sluice_access access;
};

#define SPOIL(title, statement)                                                                    \
	static void spoil_##title(struct sluice_header *h)                                         \
	{                                                                                          \
		statement;                                                                         \
	}

SPOIL(magic, h->magic = 0x1234)
SPOIL(byte_order, h->magic = __builtin_bswap64(h->magic))
SPOIL(major, h->abi_major = 2)
SPOIL(minor, h->abi_minor = 9)
SPOIL(crc, h->header_crc ^= 1)
SPOIL(uuid, h->uuid[3] ^= 0x10)
SPOIL(incompat, h->feature_incompat |= 4)
SPOIL(ro_compat, h->feature_ro_compat |= 2)
SPOIL(compat, h->feature_compat |= 0x80)
SPOIL(layout, h->layout_hash += 1)
SPOIL(name, strcpy(h->name, "other"))
SPOIL(name_open, memset(h->name, 'x', sizeof(h->name)))
SPOIL(version_open, memset(h->creator_version, '1', sizeof(h->creator_version)))
SPOIL(boot, h->boot_id[0] ^= 1)
SPOIL(publication, h->publication = 3)
SPOIL(stamps, h->feature_incompat = 0)
SPOIL(slots_odd, h->slot_count = 63)
SPOIL(slots_none, h->slot_count = 0)
SPOIL(slots_many, h->slot_count = 1ull << 31)
SPOIL(slots_double, h->slot_count = 1ull << 20)
SPOIL(stride_none, h->slot_stride = 0)
SPOIL(stride_odd, h->slot_stride = 65)
SPOIL(stride_large, h->slot_stride = 8192)
SPOIL(payload, h->payload_bytes = 64)
SPOIL(producers, h->producer_mode = 7)
SPOIL(kind, h->event_kind = 4)
SPOIL(base, h->base_sequence = UINT64_MAX)
SPOIL(participants, h->participant_count = 65)
SPOIL(participants_none, h->participant_count = 0)
SPOIL(counters, h->counter_count = UINT32_MAX)
SPOIL(histograms, h->histogram_count = 65)
SPOIL(directory, h->directory_count = 65537)
SPOIL(backing_private, h->backing = SLUICE_BACKING_PRIVATE)
SPOIL(backing, h->backing = 5)
SPOIL(page_bytes, h->page_bytes = 5000)
SPOIL(policy, h->hugepages = 3)
SPOIL(huge_bytes, h->huge_bytes = h->total_bytes + 1)
SPOIL(control_low, h->control_offset = 0)
SPOIL(control_odd, h->control_offset += 8)
SPOIL(overlap, h->participants_offset = h->control_offset)
SPOIL(counters_far, h->counters_offset = UINT64_MAX - 127)
SPOIL(histograms_far, h->histograms_offset = h->total_bytes)
SPOIL(directory_back, h->directory_offset = h->counters_offset)
SPOIL(slots_far, h->slots_offset = h->total_bytes - 128)
SPOIL(slots_beyond, h->slots_offset = h->total_bytes + 128)
SPOIL(longer, h->total_bytes += 4096)

#define RW SLUICE_ACCESS_WRITE
#define RO SLUICE_ACCESS_READ

static struct rejection rejections[] = {
	{"magic", spoil_magic, EBADMSG, "not a Sluice segment", true, RW},
	{"byte_order", spoil_byte_order, EPROTO, "other byte order", true, RW},
	{"major", spoil_major, EPROTO, "ABI version 2.1, this program speaks 1", false, RW},
	{"crc", spoil_crc, EBADMSG, "header is damaged: CRC", true, RW},
	{"flipped_bit", spoil_uuid, EBADMSG, "header is damaged: CRC", true, RW},
	{"incompat", spoil_incompat, EPROTO, "needs features 0x4", false, RO},
	{"ro_compat", spoil_ro_compat, EPROTO, "may only be read", false, RW},
	{"layout", spoil_layout, EPROTO, "layout is another build's", false, RO},
	{"name", spoil_name, EBADMSG, "copied or renamed", false, RO},
	{"name_open", spoil_name_open, EBADMSG, "no proper name", false, RO},
	{"version_open", spoil_version_open, EBADMSG, "no proper name", false, RO},
	{"boot", spoil_boot, ESTALE, "earlier boot", false, RO},
	{"publication", spoil_publication, EBADMSG, "publication is 3", false, RO},
	{"stamps", spoil_stamps, EBADMSG, "feature_incompat is 0", false, RO},
	{"slots_odd", spoil_slots_odd, EBADMSG, "slot_count is 63", false, RO},
	{"slots_none", spoil_slots_none, EBADMSG, "slot_count is 0", false, RO},
	{"slots_many", spoil_slots_many, EBADMSG, "slot_count is 2147483648", false, RO},
	{"slots_beyond_file", spoil_slots_double, EBADMSG, "slots_offset is", false, RO},
	{"stride_none", spoil_stride_none, EBADMSG, "slot_stride is 0", false, RO},
	{"stride_odd", spoil_stride_odd, EBADMSG, "slot_stride is 65", false, RO},
	{"stride_large", spoil_stride_large, EBADMSG, "slot_stride is 8192", false, RO},
	{"payload", spoil_payload, EBADMSG, "payload_bytes is 64", false, RO},
	{"producers", spoil_producers, EBADMSG, "producer_mode is 7", false, RO},
	{"kind", spoil_kind, EBADMSG, "event_kind is 4", false, RO},
	{"base", spoil_base, EBADMSG, "base_sequence is", false, RO},
	{"participants", spoil_participants, EBADMSG, "participant_count is 65", false, RO},
	{"participants_none", spoil_participants_none, EBADMSG, "participant_count is 0", false, RO},
	{"counters", spoil_counters, EBADMSG, "counter_count is 4294967295", false, RO},
	{"histograms", spoil_histograms, EBADMSG, "histogram_count is 65", false, RO},
	{"directory", spoil_directory, EBADMSG, "directory_count is 65537", false, RO},
	{"backing_private", spoil_backing_private, EBADMSG, "backing is 0", false, RO},
	{"backing", spoil_backing, EBADMSG, "backing is 5", false, RO},
	{"page_bytes", spoil_page_bytes, EBADMSG, "page_bytes is 5000", false, RO},
	{"policy", spoil_policy, EBADMSG, "hugepages is 3", false, RO},
	{"huge_bytes", spoil_huge_bytes, EBADMSG, "huge_bytes is", false, RO},
	{"control_low", spoil_control_low, EBADMSG, "control_offset is 0", false, RO},
	{"control_odd", spoil_control_odd, EBADMSG, "control_offset is 4104", false, RO},
	{"overlap", spoil_overlap, EBADMSG, "participants_offset is 4096", false, RO},
	{"counters_far", spoil_counters_far, EBADMSG, "counters_offset is", false, RO},
	{"histograms_far", spoil_histograms_far, EBADMSG, "histograms_offset is", false, RO},
	{"directory_back", spoil_directory_back, EBADMSG, "directory_offset is", false, RO},
	{"slots_far", spoil_slots_far, EBADMSG, "slots_offset is", false, RO},
	{"slots_beyond", spoil_slots_beyond, EBADMSG, "slots_offset is", false, RO},
	{"longer", spoil_longer, EBADMSG, "truncated: the file has", false, RO},
	{"allowed_minor", spoil_minor, 0, "", false, RW},
	{"allowed_ro_compat", spoil_ro_compat, 0, "", false, RO},
	{"allowed_compat", spoil_compat, 0, "", false, RW},
};

static void make(const char *name)
{
	struct sluice_segment_options options = fixture_options(name);
	struct sluice_segment segment;

	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	sluice_segment_close(&segment);
}

static void rewrite_header(const char *name, const struct rejection *rejection)
{
	struct sluice_header header;
	char path[256];
	int fd;

	fixture_path(path, name);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	rejection->spoil(&header);
	if (!rejection->unsealed)
		header.header_crc =
			sluice_crc32c(0, &header, offsetof(struct sluice_header, header_crc));
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
}

static void test_segment_attach__rejects(void **state)
{
	const struct rejection *rejection = *state;
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	make("bad");
	rewrite_header("bad", rejection);
	assert_int_equal(sluice_segment_attach(&segment, "bad", rejection->access, &diag),
			 -rejection->error);
	if (!strstr(diag.text, rejection->text))
		fail_msg("text is \"%s\"", diag.text);
	if (!rejection->error)
		sluice_segment_close(&segment);
}

static void expect(const char *name, enum sluice_access access, int error, const char *text)
{
	struct sluice_segment segment;
	struct sluice_diag diag = {0};
	const int err = sluice_segment_attach(&segment, name, access, &diag);

	if (err != -error || !strstr(diag.text, text))
		fail_msg("%d \"%s\"", err, diag.text);
	if (!err)
		sluice_segment_close(&segment);
}

static void test_segment_attach__any_flipped_bit_is_refused(void **state)
{
	struct sluice_header header;
	char path[256];
	int fd;

	(void)state;
	make("flip");
	fixture_path(path, "flip");
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	for (size_t i = 0; i < sizeof(header); i++) {
		struct sluice_header bad = header;
		struct sluice_segment segment;

		((uint8_t *)&bad)[i] ^= (uint8_t)(1 << (i % 8));
		assert_int_equal(pwrite(fd, &bad, sizeof(bad), 0), sizeof(bad));
		assert_int_not_equal(
			sluice_segment_attach(&segment, "flip", SLUICE_ACCESS_READ, NULL), 0);
	}
	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
	close(fd);
	expect("flip", SLUICE_ACCESS_READ, 0, "");
}

static void test_segment_attach__truncated_files(void **state)
{
	char path[256];

	(void)state;
	make("cut");
	fixture_path(path, "cut");
	assert_int_equal(truncate(path, 1 << 20), 0);
	expect("cut", SLUICE_ACCESS_READ, EBADMSG, "lengthened: the file has 1048576 bytes");
	assert_int_equal(truncate(path, 40960), 0);
	expect("cut", SLUICE_ACCESS_READ, EBADMSG, "truncated: the file has 40960 bytes");
	assert_int_equal(truncate(path, 100), 0);
	expect("cut", SLUICE_ACCESS_READ, EBADMSG, "truncated: it has 100 bytes");
	assert_int_equal(truncate(path, 0), 0);
	expect("cut", SLUICE_ACCESS_WRITE, EBADMSG, "truncated: it has 0 bytes");
}

static void test_segment_attach__file_types(void **state)
{
	char path[256];
	char other[256];

	(void)state;
	make("real");
	fixture_path(path, "real");
	fixture_path(other, "soft");
	assert_int_equal(symlink(path, other), 0);
	expect("soft", SLUICE_ACCESS_READ, EPERM, "is a symbolic link");
	fixture_path(other, "dir");
	assert_int_equal(mkdir(other, 0755), 0);
	expect("dir", SLUICE_ACCESS_READ, EPERM, "is not a regular file");
	expect("dir", SLUICE_ACCESS_WRITE, EPERM, "is not a regular file");
	fixture_path(other, "fifo");
	assert_int_equal(mkfifo(other, 0644), 0);
	expect("fifo", SLUICE_ACCESS_READ, EPERM, "is not a regular file");
	expect("fifo", SLUICE_ACCESS_WRITE, EPERM, "is not a regular file");
	fixture_path(other, "hard");
	assert_int_equal(link(path, other), 0);
	expect("real", SLUICE_ACCESS_READ, EPERM, "hard link");
	expect("none", SLUICE_ACCESS_READ, ENOENT, "there is no segment named \"none\"");
	expect("a/b", SLUICE_ACCESS_READ, EINVAL, "may hold");
}

static void test_segment_attach__missing_lock_file(void **state)
{
	char path[256];

	(void)state;
	make("lost");
	fixture_path(path, "lost.lk");
	assert_int_equal(unlink(path), 0);
	expect("lost", SLUICE_ACCESS_WRITE, ENOLCK, "lock file");
	expect("lost", SLUICE_ACCESS_READ, 0, "");
}

/* -------------------------------------------------------------------------------- by others */

static void become_other(void *arg)
{
	const gid_t group = FIXTURE_OTHER_UID;

	check(!setgroups(arg ? 1 : 0, &group) && !setgid(FIXTURE_OTHER_UID + 1) &&
	      !setuid(FIXTURE_OTHER_UID));
}

static void attach_as_member(void *arg)
{
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	become_other(arg);
	check(!sluice_segment_attach(&segment, "group", SLUICE_ACCESS_READ, &diag));
	check(segment.probe_fd == -1 && segment.lock_fd == -1);
	check(sluice_liveness_probe(&segment, 0) == -EACCES);
	sluice_segment_close(&segment);
	check(sluice_segment_attach(&segment, "group", SLUICE_ACCESS_WRITE, &diag) == -EACCES);
	check(strstr(diag.text, "no permission to write segment \"group\""));
	check(strstr(diag.text, "mode 0640"));
}

static void attach_as_stranger(void *arg)
{
	struct sluice_segment segment;
	struct sluice_diag diag = {0};

	become_other(arg);
	check(sluice_segment_attach(&segment, "group", SLUICE_ACCESS_READ, &diag) == -EACCES);
	check(strstr(diag.hint, "usermod -aG"));
	check(sluice_segment_unlink("group", &diag) < 0);
}

static void test_segment_attach__other_users_read_by_group(void **state)
{
	char path[256];

	if (geteuid() != 0) {
		print_message("skip: %s: only root can become another user\n", __func__);
		skip();
	}
	make("group");
	fixture_path(path, "group");
	assert_int_equal(chown(path, (uid_t)-1, FIXTURE_OTHER_UID), 0);
	assert_int_equal(fixture_run(attach_as_member, state), 0);
	assert_int_equal(fixture_run(attach_as_stranger, NULL), 0);
}

static void test_segment_attach__wrong_owner(void **state)
{
	char path[256];

	(void)state;
	if (geteuid() != 0) {
		print_message("skip: %s: only root can give files away\n", __func__);
		skip();
	}
	make("owned");
	fixture_path(path, "owned");
	assert_int_equal(chown(path, FIXTURE_OTHER_UID, (gid_t)-1), 0);
	expect("owned", SLUICE_ACCESS_READ, EPERM, "belongs to uid 12345");
	setenv("SLUICE_OWNER_UID", "12345", 1);
	expect("owned", SLUICE_ACCESS_READ, 0, "");
	setenv("SLUICE_OWNER_UID", "12345x", 1);
	expect("owned", SLUICE_ACCESS_READ, EPERM, "belongs to uid 12345");
	unsetenv("SLUICE_OWNER_UID");
	assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	fixture_path(path, "owned.lk");
	assert_int_equal(chown(path, FIXTURE_OTHER_UID, (gid_t)-1), 0);
	expect("owned", SLUICE_ACCESS_WRITE, EPERM, "lock file");
}

/* ------------------------------------------------------------------------------ descriptors */

static void test_segment_attach__descriptor(void **state)
{
	struct sluice_segment segment;
	struct sluice_diag diag = {0};
	char path[256];
	int fd;

	(void)state;
	make("fd");
	fixture_path(path, "fd");
	fd = open(path, O_RDONLY);
	assert_int_equal(sluice_segment_attach_fd(&segment, fd, SLUICE_ACCESS_WRITE, &diag),
			 -EACCES);
	assert_int_equal(sluice_segment_attach_fd(&segment, fd, SLUICE_ACCESS_READ, &diag), 0);
	assert_string_equal(segment.path, path);
	sluice_segment_close(&segment);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	close(fd);
	fd = open(path, O_RDWR);
	assert_int_equal(sluice_segment_attach_fd(&segment, fd, SLUICE_ACCESS_WRITE, &diag), 0);
	assert_int_equal(sluice_liveness_hold(&segment, 1), 0);
	sluice_segment_close(&segment);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sluice_segment_attach_fd(&segment, fd, SLUICE_ACCESS_WRITE, &diag),
			 -ENOENT);
	assert_int_equal(sluice_segment_attach_fd(&segment, fd, SLUICE_ACCESS_READ, &diag), 0);
	assert_string_equal(segment.path, "");
	sluice_segment_close(&segment);
	close(fd);
	assert_int_equal(sluice_segment_attach_fd(&segment, fd, SLUICE_ACCESS_READ, &diag), -EBADF);
}

/* ------------------------------------------------------------------------------- truncation */

static void attach_many_times(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct sluice_segment segment;
		struct sluice_diag diag = {0};
		const int err = sluice_segment_attach(&segment, "shrink",
						      i % 2 ? RO : RW, &diag);

		check(!err || err == -EBADMSG);
		check(!err || diag.text[0]);
		if (!err)
			sluice_segment_close(&segment);
	}
}

/* The header is lost with the first truncation, so a writer of headers is part of the peer. */
static void test_segment_attach__peer_truncates_meanwhile(void **state)
{
	char path[256];
	struct sluice_header header;
	pid_t peer;
	int fd;
	int code;

	(void)state;
	make("shrink");
	fixture_path(path, "shrink");
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	peer = fork();
	if (!peer) {
		fixture_default_signals();
		for (;;) {
			check(!ftruncate(fd, 8192));
			check(!ftruncate(fd, (off_t)header.total_bytes));
			check(pwrite(fd, &header, sizeof(header), 0) == sizeof(header));
		}
	}
	code = fixture_run(attach_many_times, NULL);
	fixture_kill(peer);
	close(fd);
	assert_int_equal(code, 0);
}

#define REJECTIONS (sizeof(rejections) / sizeof(rejections[0]))

static const struct CMUnitTest others[] = {
	cmocka_unit_test_teardown(test_segment_attach__any_flipped_bit_is_refused, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__truncated_files, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__file_types, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__missing_lock_file, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__other_users_read_by_group, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__wrong_owner, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__descriptor, fixture_clean),
	cmocka_unit_test_teardown(test_segment_attach__peer_truncates_meanwhile, fixture_clean),
};

#define OTHERS (sizeof(others) / sizeof(others[0]))

int main(void)
{
	static struct CMUnitTest tests[REJECTIONS + OTHERS];
	static char titles[REJECTIONS][96];

	for (size_t i = 0; i < REJECTIONS; i++) {
		snprintf(titles[i], sizeof(titles[i]), "test_segment_attach__rejects_%s",
			 rejections[i].title);
		tests[i] = (struct CMUnitTest){titles[i], test_segment_attach__rejects, NULL,
					       fixture_clean, &rejections[i]};
	}
	memcpy(tests + REJECTIONS, others, sizeof(others));
	return cmocka_run_group_tests_name("segment_attach", tests, fixture_setup,
					   fixture_teardown);
}
