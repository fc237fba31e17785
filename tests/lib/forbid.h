/* SPDX-License-Identifier: MIT */
/*
 * forbid.h - takes a system call away from the calling thread and its later children, as a
 * container's seccomp profile does. There is no way back: for forked children.
 */
#ifndef SLUICE_TESTS_LIB_FORBID_H
#define SLUICE_TESTS_LIB_FORBID_H

/* The call fails with EPERM from now on. 0, or -errno: filters are not allowed here. */
int forbid_syscall(long number);

#endif
