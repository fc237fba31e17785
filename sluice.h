/* SPDX-License-Identifier: MIT */
/*
 * sluice.h - ring buffers in shared memory between processes: all of the library, in one header.
 *
 *	#include <sluice.h>
 *	cc program.c $(pkg-config --cflags --libs sluice)
 *
 * sluice(7) is the overview; examples/ has programs to begin with. Every function's thread role,
 * errors and whether it blocks are said where it is declared. Nothing here has global state but
 * what a process registers with the kernel once, writes to standard output, or changes a signal.
 *
 * Some functions are inline, because a call would cost as much as what they do. In a program
 * compiled with NDEBUG they trust their arguments; in others they check them (publishing what was
 * not claimed, releasing what was not read) and abort with the broken condition on standard error.
 *
 * Functions that a header declares without SLUICE_API are not exported: they are the library's own.
 */
#ifndef SLUICE_H
#define SLUICE_H

#ifdef __cplusplus
#error "sluice.h is C11: shared words are _Atomic, which C++ does not have. Put the calls into a C file."
#endif

#include "shm/clock.h"
#include "shm/counter.h"
#include "shm/histogram.h"
#include "shm/participant.h"
#include "shm/recovery.h"
#include "shm/repair.h"
#include "shm/ring.h"
#include "shm/segment.h"
#include "shm/wait.h"

#include "producer/producer.h"

#include "consumer/aggregate.h"
#include "consumer/consumer.h"
#include "consumer/graph.h"
#include "consumer/handler.h"
#include "consumer/lanes.h"
#include "consumer/partition.h"
#include "consumer/poller.h"
#include "consumer/processor.h"
#include "consumer/tap.h"

#endif
