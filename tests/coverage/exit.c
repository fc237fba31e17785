/* SPDX-License-Identifier: MIT */
/*
 * exit.c - in a build that counts branches (PROFILE=cov) a process that ends with _exit writes its
 * counts first: the linker sends every _exit here. fork and exec are the compiler's own business: a
 * child begins with no counts, and exec writes what there is. A process that a signal kills still
 * takes its counts with it.
 */
/* the compiler's run time, gcc's and clang's */
void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

_Noreturn void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
