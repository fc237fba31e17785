/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c - the lines of /proc/interrupts that belong to a disk, and the CPU that takes most of
 * them.
 *
 * A disk's lines are those whose numbers its nearest ancestor in sysfs lists (msi_irqs/, irq).
 * Where there are none (virtio-mmio, NVMe multipath), a line is known by a component of the disk's
 * path in its text: virtio1 in "virtio1-req.0". Lines of the configuration or admin queue count
 * only if the disk has no other.
 *
 * Counts are since boot. A CPU that took most, but to which no line of the disk is routed any more,
 * gives way to the one the busiest line goes to now; so does a disk that has had no interrupt yet.
 */
#include "shm/interrupt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/disk_internal.h"

#define NUMBERS_MAX 4096 /* interrupts of all disks of one log */
#define LINE_NAME_BYTES 48

struct lines { /* of one class: the queues', or the configuration's */
	uint32_t numbers[NUMBERS_MAX];
	uint32_t count;
	uint64_t taken[SLUICE_CPUS_MAX]; /* by each CPU, all lines together */
	uint64_t busiest_total;
	uint32_t busiest;
	char busiest_name[LINE_NAME_BYTES];
};

struct search {
	struct sluice_disks disks;
	uint32_t numbers[NUMBERS_MAX]; /* of the disks, as sysfs says; sorted by nothing */
	uint32_t number_count;
	const char *word; /* else: the component of the path that a line must have in its text */
	int word_bytes;
	uint32_t column_cpu[SLUICE_CPUS_MAX];
	uint32_t column_count;
	struct lines queues;
	struct lines others;
};

static void add_number(struct search *search, const char *text)
{
	char *end;
	const unsigned long number = strtoul(text, &end, 10);

	if (end != text && number && number < UINT32_MAX && search->number_count < NUMBERS_MAX)
		search->numbers[search->number_count++] = (uint32_t)number;
}

/* True if the directory is that of a device with interrupts of its own. */
static bool read_numbers(struct search *search, const char *directory)
{
	char path[PATH_MAX];
	char text[32] = "";

	if (snprintf(path, sizeof(path), "%s/msi_irqs", directory) >= (int)sizeof(path))
		return false;

	DIR *numbers = opendir(path);

	if (numbers) {
		for (struct dirent *entry; (entry = readdir(numbers));)
			add_number(search, entry->d_name);
		closedir(numbers);
		return true;
	}
	if (snprintf(path, sizeof(path), "%s/irq", directory) >= (int)sizeof(path))
		return false;

	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	if (fgets(text, sizeof(text), file))
		add_number(search, text);
	fclose(file);
	return true;
}

/* From the disk upward to the first device with interrupts; never above /sys/devices. */
static void climb(struct search *search, const char *disk)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", disk);
	for (char *slash; (slash = strrchr(path, '/')); *slash = '\0')
		if (strcmp(slash, "/devices") == 0 || read_numbers(search, path))
			return;
}

static bool is_word_at(const char *line, const char *found, int bytes)
{
	const char after = found[bytes];
	const bool ends_in_digit = isdigit((unsigned char)found[bytes - 1]);

	if (found > line && isalnum((unsigned char)found[-1]))
		return false;
	return ends_in_digit ? !isdigit((unsigned char)after) : !isalnum((unsigned char)after);
}

static bool has_word(const char *line, const char *word, int bytes)
{
	for (const char *at = line; *at; at++)
		if (strncmp(at, word, (size_t)bytes) == 0 && is_word_at(line, at, bytes))
			return true;
	return false;
}

static bool has_number(const struct search *search, uint32_t number)
{
	for (uint32_t i = 0; i < search->number_count; i++)
		if (search->numbers[i] == number)
			return true;
	return false;
}

static bool ends_with(const char *text, const char *end)
{
	const size_t text_bytes = strlen(text);
	const size_t end_bytes = strlen(end);

	return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

/* Changes of configuration and admin commands: rare, and not what a write waits for. */
static bool is_side_line(const char *name)
{
	return ends_with(name, "-config") || ends_with(name, "-control") ||
	       ends_with(name, "-event") ||
	       (strncmp(name, "nvme", 4) == 0 && ends_with(name, "q0"));
}

static void read_columns(struct search *search, const char *header)
{
	search->column_count = 0;
	for (const char *at = header; (at = strstr(at, "CPU"));) {
		char *end;
		const unsigned long cpu = strtoul(at + 3, &end, 10);

		at += 3;
		if (end == at || cpu >= SLUICE_CPUS_MAX || search->column_count == SLUICE_CPUS_MAX)
			continue;
		search->column_cpu[search->column_count++] = (uint32_t)cpu;
	}
}

static void add_line(struct lines *lines, const struct search *search, uint32_t number,
		     const char *counts, const char *name)
{
	uint64_t total = 0;

	if (lines->count == NUMBERS_MAX)
		return;
	for (uint32_t column = 0; column < search->column_count; column++) {
		char *end;
		const uint64_t taken = strtoull(counts, &end, 10);

		lines->taken[search->column_cpu[column]] += taken;
		total += taken;
		counts = end;
	}
	if (!lines->count || total > lines->busiest_total) {
		lines->busiest_total = total;
		lines->busiest = number;
		snprintf(lines->busiest_name, sizeof(lines->busiest_name), "%s", name);
	}
	lines->numbers[lines->count++] = number;
}

/* "36: 0 35974 PCI-MSIX-0000:00:02.0 1-edge virtio1-req.0"; NMI and its like have no number. */
static void read_line(struct search *search, char *line)
{
	char *counts;
	const unsigned long number = strtoul(line, &counts, 10);

	if (counts == line || *counts != ':' || number >= UINT32_MAX)
		return;
	line[strcspn(line, "\n")] = '\0';

	const char *text = ++counts;

	for (uint32_t column = 0; column < search->column_count; column++) {
		text += strspn(text, " ");
		text += strspn(text, "0123456789");
	}

	const char *blank = strrchr(text, ' ');
	const char *name = blank ? blank + 1 : text;
	const bool ours = search->word ? has_word(text, search->word, search->word_bytes) :
					 has_number(search, (uint32_t)number);

	if (ours)
		add_line(is_side_line(name) ? &search->others : &search->queues, search,
			 (uint32_t)number, counts, name);
}

static int read_interrupts(struct search *search)
{
	char path[PATH_MAX];
	char *line = NULL;
	size_t line_bytes = 0;

	snprintf(path, sizeof(path), "%s/proc/interrupts", search->disks.sysroot);

	FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	for (bool is_header = true; getline(&line, &line_bytes, file) > 0; is_header = false) {
		if (is_header)
			read_columns(search, line);
		else
			read_line(search, line);
	}
	free(line);
	fclose(file);
	return 0;
}

static bool found_any(const struct search *search)
{
	return search->queues.count || search->others.count;
}

/* nvme0n1 is served by the queues of nvme0, also where sysfs has no path between the two. */
static int controller_bytes(const char *word, int bytes)
{
	int digits = 4;

	if (bytes < 7 || strncmp(word, "nvme", 4) != 0)
		return bytes;
	while (digits < bytes && isdigit((unsigned char)word[digits]))
		digits++;
	return digits > 4 && word[digits] == 'n' ? digits : bytes;
}

static int read_by_word(struct search *search, const char *disk)
{
	const char *end = disk + strlen(disk);
	int error = 0;

	while (!error && !found_any(search) && end > disk) {
		const char *word = end;

		while (word > disk && word[-1] != '/')
			word--;
		search->word = word;
		search->word_bytes = controller_bytes(word, (int)(end - word));
		if (strncmp(word, "devices/", 8) == 0)
			break;
		/* a word without a digit names a class, not a device */
		if (strcspn(word, "0123456789") < (size_t)search->word_bytes)
			error = read_interrupts(search);
		end = word > disk ? word - 1 : disk;
	}
	return error;
}

/* The CPUs the interrupt is routed to now: true if the file was there; `ret_first` is the first. */
static bool read_affinity(const struct search *search, uint32_t number, uint32_t cpu,
			  uint32_t *ret_first, bool *ret_has_cpu)
{
	char path[PATH_MAX];
	char text[4096] = "";

	snprintf(path, sizeof(path), "%s/proc/irq/%" PRIu32 "/effective_affinity_list",
		 search->disks.sysroot, number);

	FILE *file = fopen(path, "re");

	if (!file)
		return false;

	const bool read = fgets(text, sizeof(text), file) && isdigit((unsigned char)text[0]);

	fclose(file);
	if (!read)
		return false;
	*ret_first = (uint32_t)strtoul(text, NULL, 10);
	*ret_has_cpu = false;
	for (char *at = text; isdigit((unsigned char)*at);) {
		const unsigned long first = strtoul(at, &at, 10);
		const unsigned long last = *at == '-' ? strtoul(at + 1, &at, 10) : first;

		*ret_has_cpu |= cpu >= first && cpu <= last;
		at += *at == ',';
	}
	return *ret_first < SLUICE_CPUS_MAX;
}

/* True if the lines' affinities are known and none of them is the CPU. */
static bool is_routed_elsewhere(const struct search *search, const struct lines *lines,
				uint32_t cpu)
{
	bool known = false;

	for (uint32_t i = 0; i < lines->count; i++) {
		uint32_t first;
		bool has_cpu;

		if (!read_affinity(search, lines->numbers[i], cpu, &first, &has_cpu))
			continue;
		if (has_cpu)
			return false;
		known = true;
	}
	return known;
}

static void choose(const struct search *search, const struct lines *lines,
		   struct sluice_interrupt *interrupt)
{
	uint32_t cpu = 0;
	uint64_t total = 0;
	uint32_t routed;
	bool unused;

	for (uint32_t i = 0; i < SLUICE_CPUS_MAX; i++) {
		total += lines->taken[i];
		if (lines->taken[i] > lines->taken[cpu])
			cpu = i;
	}
	if (total && !is_routed_elsewhere(search, lines, cpu)) {
		interrupt->cpu = (int32_t)cpu;
		snprintf(interrupt->reason, sizeof(interrupt->reason),
			 "cpu%" PRIu32 " took %" PRIu64 " of %" PRIu64 " interrupts of %s (%s)%s",
			 cpu, lines->taken[cpu], total, interrupt->device, lines->busiest_name,
			 interrupt->per_cpu ? "; it has a queue per CPU" : "");
	} else if (read_affinity(search, lines->busiest, cpu, &routed, &unused)) {
		interrupt->cpu = (int32_t)routed;
		snprintf(interrupt->reason, sizeof(interrupt->reason),
			 "interrupts of %s (%s) are routed to cpu%" PRIu32 "%s", interrupt->device,
			 lines->busiest_name, routed, total ? " now" : ", none has come yet");
	} else {
		snprintf(interrupt->reason, sizeof(interrupt->reason),
			 "interrupt CPU unknown: %s (%s) has had no interrupt yet",
			 interrupt->device, lines->busiest_name);
	}
}

static void search_lines(struct search *search, struct sluice_interrupt *interrupt)
{
	int error = 0;

	for (uint32_t i = 0; i < search->disks.count; i++)
		climb(search, search->disks.path[i]);
	if (search->number_count)
		error = read_interrupts(search);
	for (uint32_t i = 0; !error && !found_any(search) && i < search->disks.count; i++)
		error = read_by_word(search, search->disks.path[i]);
	if (error)
		snprintf(interrupt->reason, sizeof(interrupt->reason),
			 "interrupt CPU unknown: cannot read /proc/interrupts: %s",
			 strerror(-error));
	else if (!found_any(search))
		snprintf(interrupt->reason, sizeof(interrupt->reason),
			 "interrupt CPU unknown: /proc/interrupts has no line for %s",
			 interrupt->device);
	else {
		interrupt->per_cpu = search->column_count > 1 &&
				     search->queues.count >= search->column_count;
		choose(search, search->queues.count ? &search->queues : &search->others, interrupt);
	}
}

void sluice_interrupt_find(const char *log_dir, struct sluice_interrupt *ret_interrupt)
{
	const char *sysroot = secure_getenv("SLUICE_SYSROOT");
	char filesystem[64] = "";

	*ret_interrupt = (struct sluice_interrupt){.cpu = -1};
	if (!log_dir) {
		snprintf(ret_interrupt->reason, sizeof(ret_interrupt->reason),
			 "there is no log, so no disk's interrupts matter");
		return;
	}

	struct search *search = calloc(1, sizeof(*search));

	if (!search) {
		snprintf(ret_interrupt->reason, sizeof(ret_interrupt->reason),
			 "interrupt CPU unknown: no memory");
		return;
	}
	search->disks.sysroot = sysroot && strlen(sysroot) < PATH_MAX / 2 ? sysroot : "";

	const int error = sluice_disks_find(&search->disks, log_dir, filesystem,
					    sizeof(filesystem));

	if (error == -ENODEV) {
		snprintf(ret_interrupt->reason, sizeof(ret_interrupt->reason),
			 "interrupt CPU unknown: %s is on no block device", filesystem);
	} else if (error) {
		snprintf(ret_interrupt->reason, sizeof(ret_interrupt->reason),
			 "interrupt CPU unknown: cannot look at %.100s: %s", log_dir,
			 strerror(-error));
	} else {
		snprintf(ret_interrupt->device, sizeof(ret_interrupt->device), "%s",
			 sluice_disk_name(search->disks.path[0]));
		search_lines(search, ret_interrupt);
	}
	free(search);
}
