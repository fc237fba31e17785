/* SPDX-License-Identifier: MIT */
/*
 * wal_thread.h - what the owner of a log and its journal thread share. Private to wal_io_thread.c
 * (the owner) and wal_journal.c (the thread).
 *
 *	owner				journal thread
 *	A entry, then writes_tail  ->	B writes_tail, then entry
 *	  journal_asleep?  eventfd	  journal_asleep, then the tails again
 *	D done_tail, then entry	   <-	C entry, then done_tail
 *	  owner_asleep, then tails	  owner_asleep?  futex
 *
 * Who goes to sleep says so and looks again; who adds something looks whether somebody sleeps; both
 * in the order that all threads see, so that one of them sees the other. All sleeps are bounded.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_THREAD_H
#define SLUICE_ENGINE_WAL_WAL_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/wal/wal_files.h"

#define SLUICE_JOURNAL_QUEUE 16u
#define SLUICE_JOURNAL_MASK (SLUICE_JOURNAL_QUEUE - 1)

SLUICE_STATIC_ASSERT(SLUICE_JOURNAL_QUEUE >= SLUICE_WAL_IN_FLIGHT_MAX &&
			     (SLUICE_JOURNAL_QUEUE & SLUICE_JOURNAL_MASK) == 0,
		     "all that may be in flight fits");

enum sluice_journal_op {
	SLUICE_JOURNAL_OPEN,
	SLUICE_JOURNAL_LOCK,
	SLUICE_JOURNAL_SIZE,
	SLUICE_JOURNAL_READ,
	SLUICE_JOURNAL_WRITE,
	SLUICE_JOURNAL_SYNC,
	SLUICE_JOURNAL_ARM,
	SLUICE_JOURNAL_CLOSE
};

struct sluice_journal_call { /* of the owner, who sleeps meanwhile */
	enum sluice_journal_op op;
	uint32_t file;	 /* or mode, or part, or number of buffers */
	uint64_t offset; /* or time to wait */
	void *to;
	const void *from;
	size_t bytes;
	struct sluice_diag *diag;
	int ret;
};

struct sluice_journal {
	struct sluice_wal_io io;     /* first: ops get this pointer */
	struct sluice_wal_io *inner; /* the journal thread's */
	const char *dir;
	pthread_t thread;
	int bell; /* eventfd: wakes the journal thread */
	struct sluice_journal_call call;
	uint32_t writes_head; /* the journal thread's */
	uint32_t in_flight;   /* likewise: writes that the inner backend has */
	bool rings;	      /* likewise: the inner backend rings the bell by itself */
	uint32_t done_head;   /* the owner's */

	_Alignas(128) _Atomic uint32_t writes_tail; /* the owner adds */
	_Atomic uint32_t calls;			    /* made by the owner */
	_Alignas(128) _Atomic uint32_t done_tail;   /* the journal thread adds */
	_Atomic uint32_t answered;		    /* calls */
	_Atomic int refused;			    /* -errno of the inner submit: no more writes */
	_Atomic int blind; /* -errno of the inner reap: no more of either */
	_Alignas(128) _Atomic uint32_t owner_asleep;
	_Alignas(128) _Atomic uint32_t journal_asleep;
	_Alignas(128) struct sluice_wal_io_write writes[SLUICE_JOURNAL_QUEUE];
	_Alignas(128) struct sluice_wal_io_done done[SLUICE_JOURNAL_QUEUE];
};

/* The thread: makes the inner backend, which answers call 1, and serves until CLOSE. */
void *sluice_journal_main(void *journal);

#endif
