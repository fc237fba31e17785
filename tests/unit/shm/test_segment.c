/* SPDX-License-Identifier: MIT */
/* Creation, names, initial contents, close and unlink. test_segment_race.c has the kills. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "tests/unit/shm/segment_fixture.h"

static void test_segment__is_attachable_after_creation(void **state)
{
	const struct sluice_segment_options options = fixture_options("a.cmd");
	struct sluice_segment created;
	struct sluice_segment attached;

	(void)state;
	assert_int_equal(sluice_segment_create(&created, &options, NULL), 0);
	assert_int_equal(sluice_segment_attach(&attached, "a.cmd", SLUICE_ACCESS_WRITE, NULL), 0);
	assert_memory_equal(&created.header, &attached.header, sizeof(created.header));
	assert_memory_equal(&created.header, attached.base, sizeof(created.header));
	assert_ptr_not_equal(created.base, attached.base);
	assert_int_equal((uintptr_t)attached.base % (2 << 20), 0);
	created.slots[64 * 63] = 0x5a;
	assert_int_equal(attached.slots[64 * 63], 0x5a);
	assert_ptr_equal(attached.control, attached.base + 4096);
	assert_int_equal(created.header.slot_count, 64);
	assert_int_equal(created.header.payload_bytes, 56);
	assert_string_equal(created.header.name, "a.cmd");
	assert_true(created.owns_name && !attached.owns_name);
	sluice_segment_close(&attached);
	sluice_segment_close(&created);
	assert_int_equal(sluice_segment_unlink("a.cmd", NULL), 0);
	assert_int_equal(fixture_files(false), 0);
}

static void test_segment__starts_ready_with_nothing_published(void **state)
{
	struct sluice_segment_options options = fixture_options("base");
	struct sluice_segment segment;

	(void)state;
	options.base_sequence = 1000003;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(segment.control->state, SLUICE_STATE_READY);
	assert_int_equal(segment.control->claim, 1000003);
	assert_int_equal(segment.control->cursor, 1000003);
	for (uint64_t s = 1000003; s < 1000003 + 64; s++) {
		uint64_t stamp;

		memcpy(&stamp, segment.slots + (s & 63) * 64, sizeof(stamp));
		assert_true((stamp & SLUICE_STAMP_SEQ) < s + 1);
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(segment.participants[i].state, SLUICE_PARTICIPANT_FREE);
	sluice_segment_close(&segment);
}

static void test_segment__private_has_no_name_and_survives_fork(void **state)
{
	const struct sluice_segment_options options = fixture_options(NULL);
	struct sluice_segment segment;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(segment.fd, -1);
	assert_string_equal(segment.path, "");
	assert_false(sluice_segment_is_named(&segment));
	assert_int_equal(fixture_files(false), 0);
	assert_int_equal(sluice_liveness_hold(&segment, 0), 0);
	assert_int_equal(sluice_liveness_probe(&segment, 0), 1);
	pid = fork();
	if (!pid) {
		segment.slots[0] = 7;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(segment.slots[0], 7);
	sluice_segment_close(&segment);
	assert_null(segment.base);
}

static void test_segment__close_accepts_a_zeroed_struct(void **state)
{
	struct sluice_segment segment = {0};

	(void)state;
	sluice_segment_close(&segment);
	assert_int_not_equal(fcntl(0, F_GETFD), -1);
}

static void test_segment__second_creation_is_refused(void **state)
{
	const struct sluice_segment_options options = fixture_options("twin");
	struct sluice_segment first;
	struct sluice_segment second = {.total_bytes = 42};
	struct sluice_diag diag = {0};

	(void)state;
	assert_int_equal(sluice_segment_create(&first, &options, NULL), 0);
	assert_int_equal(sluice_segment_create(&second, &options, &diag), -EEXIST);
	assert_non_null(strstr(diag.text, "exists already"));
	assert_int_equal(second.total_bytes, 42);
	assert_int_equal(fixture_files(false), 2);
	assert_true(sluice_segment_is_named(&first));
	sluice_segment_close(&first);
}

static void test_segment__no_twin_of_a_removed_file_that_lives(void **state)
{
	const struct sluice_segment_options options = fixture_options("torn");
	struct sluice_segment first;
	struct sluice_segment second;
	struct sluice_diag diag = {0};

	(void)state;
	assert_int_equal(sluice_segment_create(&first, &options, NULL), 0);
	assert_int_equal(unlink(first.path), 0);
	assert_false(sluice_segment_is_named(&first));
	assert_int_equal(sluice_segment_attach(&second, "torn", SLUICE_ACCESS_WRITE, &diag),
			 -ENOENT);
	assert_int_equal(sluice_segment_create(&second, &options, &diag), -EBUSY);
	assert_non_null(strstr(diag.text, "still use it"));
	sluice_segment_close(&first);
	assert_int_equal(sluice_segment_create(&second, &options, &diag), 0);
	sluice_segment_close(&second);
}

static void test_segment__replaced_name_is_noticed(void **state)
{
	const struct sluice_segment_options options = fixture_options("swap");
	struct sluice_segment first;
	struct sluice_segment second;

	(void)state;
	assert_int_equal(sluice_segment_create(&first, &options, NULL), 0);
	assert_int_equal(sluice_segment_unlink("swap", NULL), 0);
	assert_int_equal(sluice_segment_create(&second, &options, NULL), 0);
	assert_false(sluice_segment_is_named(&first));
	assert_true(sluice_segment_is_named(&second));
	assert_memory_not_equal(first.header.uuid, second.header.uuid, 16);
	first.slots[0] = 1;
	assert_int_equal(second.slots[0], 0);
	sluice_segment_close(&first);
	sluice_segment_close(&second);
}

static void test_segment__unlink_of_nothing_is_enoent(void **state)
{
	struct sluice_diag diag = {0};

	(void)state;
	assert_int_equal(sluice_segment_unlink("never", &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "never"));
}

/* -------------------------------------------------------------------------------- options */

struct bad_option {
	void (*spoil)(struct sluice_segment_options *options);
	const char *text;
};

#define SPOIL(title, statement)                                                                    \
	static void spoil_##title(struct sluice_segment_options *o)                                \
	{                                                                                          \
		statement;                                                                         \
	}

SPOIL(slots, o->slot_count = 10000)
SPOIL(slots_few, o->slot_count = 1)
SPOIL(slots_many, o->slot_count = 1ull << 31)
SPOIL(stride, o->slot_stride = 100)
SPOIL(stride_small, o->slot_stride = 8)
SPOIL(stride_packed, (o->publication = SLUICE_PUBLICATION_CURSOR,
		      o->producer_mode = SLUICE_PRODUCER_SINGLE, o->slot_stride = 12))
SPOIL(stride_large, o->slot_stride = 8192)
SPOIL(publication, o->publication = 3)
SPOIL(producer_mode, o->producer_mode = 0)
SPOIL(multi_cursor, o->publication = SLUICE_PUBLICATION_CURSOR)
SPOIL(event_kind, o->event_kind = 9)
SPOIL(hugepages, o->hugepages = 3)
SPOIL(page_bytes, o->page_bytes = 3 << 20)
SPOIL(participants, o->participant_count = 65)
SPOIL(counters, o->counter_count = 1025)
SPOIL(histograms, o->histogram_count = 65)
SPOIL(directory, o->directory_count = 65537)
SPOIL(base_sequence, o->base_sequence = 1ull << 62)
SPOIL(mode, o->mode = 04755)
SPOIL(numa, o->numa_node = 4000)
SPOIL(name_empty, o->name = "")
SPOIL(name_long, o->name = "1234567890123456789012345678901234567890123456789")
SPOIL(name_slash, o->name = "a/b")
SPOIL(name_dot, o->name = ".hidden")
SPOIL(name_lock, o->name = "x.lk")
SPOIL(name_temporary, o->name = "x.tmp.1")

static struct bad_option bad_options[] = {
	{spoil_slots, "10000 is not a power of two: 8192 or 16384?"},
	{spoil_slots_few, "out of range"},
	{spoil_slots_many, "out of range"},
	{spoil_stride, "multiples of 8 from 16 to 4096"},
	{spoil_stride_small, "multiples of 8 from 16 to 4096"},
	{spoil_stride_packed, "multiples of 8 from 8 to 4096"},
	{spoil_stride_large, "multiples of 8 from 16 to 4096"},
	{spoil_publication, "publication 3"},
	{spoil_producer_mode, "producer mode 0"},
	{spoil_multi_cursor, "need a stamped ring"},
	{spoil_event_kind, "event kind 9"},
	{spoil_hugepages, "huge page policy 3"},
	{spoil_page_bytes, "huge page size"},
	{spoil_participants, "65 participants"},
	{spoil_counters, "1025 counters"},
	{spoil_histograms, "65 histograms"},
	{spoil_directory, "65537 directory entries"},
	{spoil_base_sequence, "base sequence"},
	{spoil_mode, "permissions"},
	{spoil_numa, "NUMA node 4000"},
	{spoil_name_empty, "0 characters"},
	{spoil_name_long, "49 characters"},
	{spoil_name_slash, "a/b"},
	{spoil_name_dot, "not start with a dot"},
	{spoil_name_lock, "may not end in"},
	{spoil_name_temporary, "may not end in"},
};

static void test_segment__bad_options_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_options) / sizeof(bad_options[0]); i++) {
		struct sluice_segment_options options = fixture_options("bad");
		struct sluice_segment segment;
		struct sluice_diag diag = {0};

		bad_options[i].spoil(&options);
		if (sluice_segment_create(&segment, &options, &diag) != -EINVAL ||
		    !strstr(diag.text, bad_options[i].text))
			fail_msg("case %zu (%s): \"%s\"", i, bad_options[i].text, diag.text);
		assert_int_equal(fixture_files(false), 0);
	}
}

static void test_segment__extremes_are_allowed(void **state)
{
	struct sluice_segment_options options = fixture_options("extreme");
	struct sluice_segment segment;

	(void)state;
	options.slot_count = 2;
	options.slot_stride = 8;
	options.publication = SLUICE_PUBLICATION_CURSOR;
	options.producer_mode = SLUICE_PRODUCER_SINGLE;
	options.participant_count = 0;
	options.counter_count = options.histogram_count = options.directory_count = 0;
	options.name = "123456789012345678901234567890123456789012345678";
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(segment.header.participant_count, 64);
	assert_int_equal(segment.header.payload_bytes, 8);
	assert_int_equal(segment.header.feature_incompat, 0);
	sluice_segment_close(&segment);
}

/* ------------------------------------------------------------------------- access, listing */

static void write_through_reader(void *arg)
{
	struct sluice_segment *segment = arg;

	segment->base[8192] = 1;
}

static void test_segment__reader_cannot_write(void **state)
{
	const struct sluice_segment_options options = fixture_options("ro");
	struct sluice_segment created;
	struct sluice_segment reader;
	void *writable;

	(void)state;
	assert_int_equal(sluice_segment_create(&created, &options, NULL), 0);
	assert_int_equal(sluice_segment_attach(&reader, "ro", SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(reader.writable, 0);
	assert_int_equal(reader.lock_fd, -1);
	assert_int_equal(fixture_run(write_through_reader, &reader), 256 + SIGSEGV);
	writable = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, reader.fd, 0);
	assert_ptr_equal(writable, MAP_FAILED);
	assert_int_equal(mprotect(reader.base, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(sluice_liveness_hold(&reader, 0), -EBADF);
	sluice_segment_close(&reader);
	sluice_segment_close(&created);
}

static void read_inherited(void *arg)
{
	const struct sluice_segment *segment = arg;

	_exit(segment->base[0] == 0xff ? 1 : 2);
}

static void test_segment__forked_child_has_no_mapping(void **state)
{
	const struct sluice_segment_options options = fixture_options("fork");
	struct sluice_segment segment;

	(void)state;
#if defined(__SANITIZE_THREAD__)
	printf("skip: test_segment__forked_child_has_no_mapping: ThreadSanitizer maps memory of "
	       "its own into the child\n");
	skip();
#endif
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(fixture_run(read_inherited, &segment), 256 + SIGSEGV);
	sluice_segment_close(&segment);
}

static void test_segment__mode_is_exact_whatever_the_umask(void **state)
{
	struct sluice_segment_options options = fixture_options("mode");
	const mode_t old = umask(0077);
	struct sluice_segment segment;
	struct stat st;

	(void)state;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(stat(segment.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(stat(segment.lock_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	sluice_segment_close(&segment);
	assert_int_equal(sluice_segment_unlink("mode", NULL), 0);
	options.mode = 0660;
	assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
	assert_int_equal(stat(segment.lock_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	sluice_segment_close(&segment);
	umask(old);
}

static int list_names(const struct sluice_segment_entry *entry, void *arg)
{
	char *all = arg;

	snprintf(all + strlen(all), 256 - strlen(all), "%s%s%s ", entry->name,
		 entry->is_temporary ? "(tmp)" : "", entry->is_lock_only ? "(lk)" : "");
	return 0;
}

static int stop_at_once(const struct sluice_segment_entry *entry, void *arg)
{
	(void)entry;
	++*(int *)arg;
	return 17;
}

static void make_file(const char *file)
{
	char path[256];

	fixture_path(path, file);
	assert_return_code(close(open(path, O_CREAT | O_WRONLY, 0600)), errno);
}

static void test_segment__list_is_sorted_and_names_leftovers(void **state)
{
	const struct sluice_segment_options one = fixture_options("one.rep");
	const struct sluice_segment_options two = fixture_options("one.cmd");
	struct sluice_segment segments[2];
	char all[256] = "";
	int visits = 0;

	(void)state;
	assert_int_equal(sluice_segment_create(&segments[0], &one, NULL), 0);
	assert_int_equal(sluice_segment_create(&segments[1], &two, NULL), 0);
	make_file("left.lk");
	make_file("half.tmp.12.00ff");
	make_file(".hidden");
	assert_int_equal(sluice_segment_each(list_names, all, NULL), 0);
	assert_string_equal(all, "half(tmp) left(lk) one.cmd one.rep ");
	assert_int_equal(sluice_segment_each(stop_at_once, &visits, NULL), 17);
	assert_int_equal(visits, 1);
	sluice_segment_close(&segments[0]);
	sluice_segment_close(&segments[1]);
}

static void test_segment__failure_leaves_outputs_and_diag_in_order(void **state)
{
	struct sluice_segment segment = {.total_bytes = 4711};
	struct sluice_diag diag = {.text = "untouched"};
	const struct sluice_segment_options options = fixture_options("diag");

	(void)state;
	assert_int_equal(sluice_segment_attach(&segment, "diag", SLUICE_ACCESS_READ, NULL),
			 -ENOENT);
	assert_int_equal(segment.total_bytes, 4711);
	assert_int_equal(sluice_segment_create(&segment, &options, &diag), 0);
	assert_string_equal(diag.text, "untouched");
	sluice_segment_close(&segment);
}

#define clean_test(f) cmocka_unit_test_teardown(f, fixture_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		clean_test(test_segment__is_attachable_after_creation),
		clean_test(test_segment__starts_ready_with_nothing_published),
		clean_test(test_segment__private_has_no_name_and_survives_fork),
		clean_test(test_segment__close_accepts_a_zeroed_struct),
		clean_test(test_segment__second_creation_is_refused),
		clean_test(test_segment__no_twin_of_a_removed_file_that_lives),
		clean_test(test_segment__replaced_name_is_noticed),
		clean_test(test_segment__unlink_of_nothing_is_enoent),
		clean_test(test_segment__bad_options_are_refused),
		clean_test(test_segment__extremes_are_allowed),
		clean_test(test_segment__reader_cannot_write),
		clean_test(test_segment__forked_child_has_no_mapping),
		clean_test(test_segment__mode_is_exact_whatever_the_umask),
		clean_test(test_segment__list_is_sorted_and_names_leftovers),
		clean_test(test_segment__failure_leaves_outputs_and_diag_in_order),
	};

	return cmocka_run_group_tests_name("segment", tests, fixture_setup, fixture_teardown);
}
