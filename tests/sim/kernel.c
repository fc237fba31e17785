/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - see kernel.h. Each process allocates from an arena of its own, so that killing it
 * costs nothing and leaks nothing; futex words are found by their address, because all processes
 * map a segment at the same place.
 */
#include "tests/sim/kernel.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/failpoint.h"
#include "tests/sim/trace.h"

#define ARENA_BYTES (8u << 20)
#define ALIGN 64u
#define REALTIME_BASE_NS 1700000000000000000ull

struct arena {
	unsigned char *base;
	size_t used;
};

struct block { /* before every allocation */
	size_t bytes;
	unsigned char pad[ALIGN - sizeof(size_t)];
};

static struct arena arenas[SIM_ROLES];
static struct sim_random dice;
static int64_t realtime_jump_ns;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);
int __real_clock_gettime(clockid_t id, struct timespec *ret_now);
void *__real_mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *memory, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t n, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *memory);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now);
int __wrap_nanosleep(const struct timespec *length, struct timespec *ret_left);
int __wrap_usleep(useconds_t us);
int __wrap_sched_yield(void);
long __wrap_syscall(long number, ...);
ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned int flags);
pid_t __wrap_getpid(void);
uid_t __wrap_getuid(void);
uid_t __wrap_geteuid(void);
int __wrap_sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *ret_set);
int __wrap_prctl(int option, ...);
void *__wrap_mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *memory, size_t bytes);
int __wrap_madvise(void *memory, size_t bytes, int advice);
int __wrap_mlock(const void *memory, size_t bytes);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_once(pthread_once_t *once, void (*run)(void));
_Noreturn void __wrap__exit(int status);

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

void sim_kernel_reset(uint64_t seed)
{
	dice.state = seed;
	realtime_jump_ns = 0;
}

/* ---------------------------------------------------------------------------------- memory */

void sim_memory_reset(enum sim_role role)
{
	struct arena *arena = &arenas[role];

	if (!arena->base) {
		arena->base = __real_mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		sluice_assert(arena->base != MAP_FAILED);
	}
	arena->used = 0;
}

static bool is_ours(const void *memory)
{
	for (uint32_t i = 0; i < SIM_ROLES; i++)
		if (arenas[i].base && (const unsigned char *)memory >= arenas[i].base &&
		    (const unsigned char *)memory < arenas[i].base + ARENA_BYTES)
			return true;
	return false;
}

static void *take(size_t alignment, size_t bytes)
{
	struct arena *arena = &arenas[sim_self()];
	const size_t at = (arena->used + sizeof(struct block) + alignment - 1) & ~(alignment - 1);
	struct block *block = (struct block *)(void *)(arena->base + at - sizeof(struct block));

	if (at + bytes > ARENA_BYTES)
		sim_fail("memory", "a process has used up %u bytes", ARENA_BYTES);
	arena->used = (at + bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	block->bytes = bytes;
	return arena->base + at;
}

void *__wrap_malloc(size_t bytes)
{
	return sim_self() == SIM_NOBODY ? __real_malloc(bytes) : take(ALIGN, bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return sim_self() == SIM_NOBODY ? __real_calloc(n, bytes) :
					  memset(take(ALIGN, n * bytes), 0, n * bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	const struct block *block = (const struct block *)old - 1;
	void *memory;

	if (sim_self() == SIM_NOBODY)
		return __real_realloc(old, bytes);
	memory = take(ALIGN, bytes);
	return old ? memcpy(memory, old, block->bytes < bytes ? block->bytes : bytes) : memory;
}

void *__wrap_reallocarray(void *old, size_t n, size_t bytes)
{
	return __wrap_realloc(old, n * bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	if (sim_self() == SIM_NOBODY)
		return __real_aligned_alloc(alignment, bytes);
	return take(alignment < ALIGN ? ALIGN : alignment, bytes);
}

void __wrap_free(void *memory)
{
	if (!is_ours(memory))
		__real_free(memory);
}

void *__wrap_mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (sim_self() == SIM_NOBODY || fd >= 0)
		return __real_mmap(where, bytes, protection, flags, fd, offset);
	return memset(take(4096, bytes), 0, bytes);
}

int __wrap_munmap(void *memory, size_t bytes)
{
	return is_ours(memory) ? 0 : __real_munmap(memory, bytes);
}

int __wrap_madvise(void *memory, size_t bytes, int advice)
{
	(void)memory;
	(void)bytes;
	(void)advice;
	return 0;
}

int __wrap_mlock(const void *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
	return 0;
}

/* ------------------------------------------------------------------------------------ time */

void sim_clock_jump(int64_t ns)
{
	realtime_jump_ns += ns;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now)
{
	uint64_t now_ns;

	if (sim_self() == SIM_NOBODY)
		return __real_clock_gettime(id, ret_now);
	sim_point();
	sim_advance(25);
	now_ns = sim_now();
	if (id == CLOCK_REALTIME)
		now_ns += REALTIME_BASE_NS + (uint64_t)realtime_jump_ns;
	ret_now->tv_sec = (time_t)(now_ns / 1000000000u);
	ret_now->tv_nsec = (long)(now_ns % 1000000000u);
	return 0;
}

static uint64_t ns_of(const struct timespec *length)
{
	return (uint64_t)length->tv_sec * 1000000000u + (uint64_t)length->tv_nsec;
}

int __wrap_nanosleep(const struct timespec *length, struct timespec *ret_left)
{
	(void)ret_left;
	sim_point();
	sim_sleep(sim_now() + ns_of(length), NULL);
	return 0;
}

int __wrap_usleep(useconds_t us)
{
	sim_point();
	sim_sleep(sim_now() + us * 1000u, NULL);
	return 0;
}

int __wrap_sched_yield(void)
{
	sim_point();
	sim_yield();
	return 0;
}

/* ----------------------------------------------------------------------------------- futex */

static long refuse(int error)
{
	errno = error;
	return -1;
}

static long futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
	sim_point();
	/* relaxed: one thread */
	if (atomic_load_explicit(word, memory_order_relaxed) != value)
		return refuse(EAGAIN);
	return sim_sleep(timeout ? sim_now() + ns_of(timeout) : SIM_NEVER, word) ?
		       0 : refuse(ETIMEDOUT);
}

long __wrap_syscall(long number, ...)
{
	_Atomic uint32_t *word;
	va_list args;
	int operation;
	uint32_t value;
	long rc;

	va_start(args, number);
	switch (number) {
	case SYS_futex:
		word = va_arg(args, _Atomic uint32_t *);
		operation = va_arg(args, int);
		value = va_arg(args, uint32_t);
		if (operation == FUTEX_WAIT) {
			rc = futex_wait(word, value, va_arg(args, const struct timespec *));
		} else {
			sim_wake(word);
			rc = 1;
		}
		break;
	case SYS_membarrier:
		rc = va_arg(args, int) == MEMBARRIER_CMD_QUERY ?
			     MEMBARRIER_CMD_GLOBAL_EXPEDITED |
				     MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED :
			     0;
		break;
	default:
		rc = refuse(number == SYS_futex_waitv ? EINVAL : ENOSYS);
		break;
	}
	va_end(args);
	return rc;
}

/* ------------------------------------------------------------------- identity, chance, ends */

ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned int flags)
{
	unsigned char *to = buffer;

	(void)flags;
	for (size_t i = 0; i < bytes; i++)
		to[i] = (unsigned char)sim_next(&dice);
	return (ssize_t)bytes;
}

pid_t __wrap_getpid(void)
{
	return (pid_t)(1000 + sim_pid());
}

uid_t __wrap_getuid(void)
{
	return 1000;
}

uid_t __wrap_geteuid(void)
{
	return 1000;
}

int __wrap_sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *ret_set)
{
	(void)pid;
	(void)bytes;
	(void)ret_set;
	return (int)refuse(ENOSYS);
}

int __wrap_prctl(int option, ...)
{
	(void)option;
	return 0;
}

/* Each process has one thread and, really, mutexes of its own. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int __wrap_pthread_once(pthread_once_t *once, void (*run)(void))
{
	if (*once == 1)
		return 0;
	sim_points_off();
	run();
	sim_points_on();
	*once = 1;
	return 0;
}

_Noreturn void __wrap__exit(int status)
{
	if (sim_self() == SIM_NOBODY)
		_Exit(status);
	sim_trace("_exit(%llu)", (uint64_t)status, 0, 0, 0);
	sim_exit();
}

/* ---------------------------------------------------------------------------------- points */

/* What a function has done by its end, the next one's beginning sees. */
void __cyg_profile_func_enter(void *function, void *site)
{
	(void)function;
	(void)site;
	sim_point();
}

void __cyg_profile_func_exit(void *function, void *site)
{
	(void)function;
	(void)site;
}

void sluice_failpoint(enum sluice_failpoint point)
{
	(void)point;
	sim_point();
}
