/* SPDX-License-Identifier: MIT */
/*
 * wait_hook.h - shm/wait.c compiled into the test that includes this, with its three blocking
 * system calls in the test's hands. The linker then takes waiting and waking from the test and not
 * from the archive, so every producer and consumer of the test waits by it.
 *
 * The test defines hook_futex_wait, hook_futex_waitv and hook_membarrier; they may call the real
 * ones (sluice_futex_wait and so on, shm/futex.h). It may set the lengths of wait.h first.
 */
#ifndef SLUICE_TESTS_LIB_WAIT_HOOK_H
#define SLUICE_TESTS_LIB_WAIT_HOOK_H

#include "shm/futex.h"

int hook_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
int hook_futex_waitv(struct futex_waitv *words, uint32_t count, uint64_t until_ns);
int hook_membarrier(int command);

#define sluice_futex_wait hook_futex_wait
#define sluice_futex_waitv hook_futex_waitv
#define sluice_membarrier hook_membarrier
#include "shm/wait.c"
#undef sluice_futex_wait
#undef sluice_futex_waitv
#undef sluice_membarrier

#endif
