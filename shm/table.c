/* SPDX-License-Identifier: MIT */
/*
 * table.c - see table.h. Any thread; a crash frees the byte, and the mutex dies with the process.
 */
#include "shm/table.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* A joiner waits this long for another one, which takes microseconds unless it is stopped. */
#define TABLE_TRIES 1000u
#define TABLE_NAP_NS 1000000u

/* One at a time in this process: lock bytes do not conflict within one descriptor. */
static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;

/* A child has one thread, which holds nothing: its lock bytes are the parent's. */
static void child_reset(void)
{
	table_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void once(void)
{
	pthread_atfork(NULL, NULL, child_reset);
}

int sluice_table_try_lock(const struct sluice_segment *segment)
{
	static pthread_once_t registered = PTHREAD_ONCE_INIT;
	int rc;

	pthread_once(&registered, once);
	pthread_mutex_lock(&table_mutex);
	rc = sluice_liveness_hold(segment, SLUICE_LOCK_RECOVERER);
	if (rc)
		pthread_mutex_unlock(&table_mutex);
	return rc;
}

int sluice_table_lock(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	const struct timespec nap = {.tv_nsec = TABLE_NAP_NS};
	int rc = sluice_table_try_lock(segment);

	for (uint32_t i = 0; rc == -EAGAIN && i < TABLE_TRIES; i++) {
		nanosleep(&nap, NULL);
		rc = sluice_table_try_lock(segment);
	}
	if (rc == -EAGAIN)
		return sluice_diag_set(diag, EBUSY, "%s: another participant stopped while joining",
				       segment->header.name);
	if (rc)
		return sluice_diag_set(diag, -rc, "%s: cannot lock the participant table: %s",
				       segment->header.name, strerror(-rc));
	return 0;
}

void sluice_table_unlock(const struct sluice_segment *segment)
{
	sluice_liveness_release(segment, SLUICE_LOCK_RECOVERER);
	pthread_mutex_unlock(&table_mutex);
}
