/* SPDX-License-Identifier: MIT */
/* ring_fixture.c - see ring_fixture.h. */
#include "tests/lib/ring_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/clock.h"

static char directory[64];
static pid_t directory_owner;

/* With what a failed test has left in it. */
static void directory_remove(void)
{
	char path[512];
	struct dirent *entry;
	DIR *dir;

	if (getpid() != directory_owner)
		return;
	dir = opendir(directory);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(directory);
}

int ring_directory(void)
{
	if (directory_owner)
		return 0;
	snprintf(directory, sizeof(directory), "/dev/shm/sluice-test.XXXXXX");
	if (!mkdtemp(directory))
		return -errno;
	directory_owner = getpid();
	atexit(directory_remove);
	return setenv("SLUICE_SHM_DIR", directory, 1) ? -errno : 0;
}

int ring_create(struct sluice_segment *ret_segment, const char *name, uint32_t publication,
		uint64_t slot_count, uint64_t base_sequence)
{
	const struct sluice_segment_options options = {
		.name = name,
		.slot_count = slot_count,
		.slot_stride = 64,
		.publication = publication == RING_MULTI ? RING_STAMPED : publication,
		.producer_mode = publication == RING_MULTI ? SLUICE_PRODUCER_MULTI :
							     SLUICE_PRODUCER_SINGLE,
		.event_kind = SLUICE_EVENT_RAW,
		.base_sequence = base_sequence,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.numa_node = -1,
	};
	struct sluice_diag diag = {.text = ""};
	int rc = name ? ring_directory() : 0;

	if (!rc)
		rc = sluice_segment_create(ret_segment, &options, &diag);
	if (rc)
		fprintf(stderr, "ring_create: %s\n", diag.text);
	return rc;
}

void ring_destroy(struct sluice_segment *segment)
{
	char name[SLUICE_SEGMENT_NAME_BYTES];

	memcpy(name, segment->header.name, sizeof(name));
	const bool is_named = segment->path[0];

	sluice_segment_close(segment);
	if (is_named)
		sluice_segment_unlink(name, NULL);
}

void event_fill(void *event, uint32_t bytes, uint64_t sequence)
{
	uint64_t words[16];

	for (uint32_t i = 0; i < bytes / 8; i++)
		words[i] = sequence * 0x9e3779b97f4a7c15ull + i;
	memcpy(event, words, bytes / 8 * 8);
}

bool event_is(const void *event, uint32_t bytes, uint64_t sequence)
{
	uint64_t words[16];

	event_fill(words, bytes, sequence);
	return !memcmp(event, words, bytes / 8 * 8);
}

int ring_consumer(struct sluice_consumer *ret_consumer, struct sluice_segment *segment,
		  const char *name, uint32_t policy, uint32_t from)
{
	const struct sluice_consumer_options options = {
		.name = name, .policy = policy, .from = from, .wait = SLUICE_WAIT_ADAPTIVE,
	};

	return sluice_consumer_open(ret_consumer, segment, &options, NULL);
}

int ring_publish(struct sluice_producer *producer, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t sequence;
		const int rc = sluice_producer_try_claim(producer, 1, &sequence);

		if (rc)
			return rc;
		event_fill(sluice_producer_slot(producer, sequence), producer->ring.payload_bytes,
			   sequence);
		sluice_producer_publish(producer, sequence);
	}
	return 0;
}

uint64_t ring_consume(struct sluice_consumer *consumer, uint64_t n)
{
	uint64_t done = 0, ready;

	while (done < n && !sluice_consumer_poll(consumer, n - done, &ready)) {
		for (uint64_t i = 0; i < ready; i++)
			if (!sluice_consumer_is_void(consumer, consumer->next + i) &&
			    !event_is(sluice_consumer_event(consumer, consumer->next + i),
				      consumer->ring.payload_bytes, consumer->next + i))
				return UINT64_MAX;
		sluice_consumer_advance(consumer, ready);
		sluice_consumer_release(consumer, consumer->next);
		done += ready;
	}
	return done;
}

pid_t child_ready(const char *ring, int (*body)(struct sluice_segment *segment, void *arg),
		  void (*then)(void *arg), void *arg)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe(fds))
		return -1;
	pid = fork();
	if (!pid) {
		static struct sluice_segment segment;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sluice_segment_attach(&segment, ring, SLUICE_ACCESS_WRITE, NULL) ||
		    body(&segment, arg) || write(fds[1], "x", 1) != 1)
			_exit(1);
		if (then)
			then(arg);
		for (;;)
			pause();
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		pid = -1;
	close(fds[0]);
	return pid;
}

struct join {
	const char *name;
	uint32_t policy;
	uint64_t n;
};

static int join_and_consume(struct sluice_segment *segment, void *arg)
{
	static struct sluice_consumer consumer;
	const struct join *join = arg;

	return ring_consumer(&consumer, segment, join->name, join->policy,
			     SLUICE_FROM_BEGINNING) ||
	       ring_consume(&consumer, join->n) != join->n;
}

pid_t child_consumer(const char *ring, const char *name, uint32_t policy, uint64_t n)
{
	struct join join = {name, policy, n};

	return child_ready(ring, join_and_consume, NULL, &join);
}

void child_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int child_wait(pid_t pid, int seconds)
{
	const struct timespec step = {.tv_nsec = 2000000};
	const uint64_t started_ns = sluice_clock_ns();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (sluice_clock_ns() - started_ns > (uint64_t)seconds * 1000000000u) {
			child_kill(pid);
			return 1000 + SIGKILL;
		}
		nanosleep(&step, NULL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

uint64_t test_seed(void)
{
	static uint64_t seed;
	const char *text = getenv("SEED");

	if (!seed) {
		seed = text ? strtoull(text, NULL, 0) : sluice_clock_ns();
		printf("SEED=%llu\n", (unsigned long long)seed);
	}
	return seed;
}

uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}
