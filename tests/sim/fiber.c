/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - see fiber.h. Switching is the compiler's setjmp and longjmp between stacks that
 * makecontext prepared: no system call, and nothing of the machine's state but registers.
 */
#include "tests/sim/fiber.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "cli/signals.h"
#include "tests/sim/kernel.h"
#include "tests/sim/trace.h"

/* A switch changes registers that the compiler would otherwise know to be untouched. */
#ifdef __clang__
#define SIM_OPAQUE __attribute__((noinline))
#else
#define SIM_OPAQUE __attribute__((noipa))
#endif
#define STACK_BYTES (256u * 1024u)
#define YIELD_NS_MAX 12000u
#define ALONE_MAX 8u /* turns in a row without a look by the scheduler */

enum fiber_state { FIBER_ABSENT = 0, FIBER_READY, FIBER_ASLEEP };

struct fiber {
	void *at[5]; /* of __builtin_setjmp */
	ucontext_t context;
	unsigned char *stack;
	void (*run)(void);
	enum fiber_state state;
	uint32_t pid;
	int signal; /* that the process was sent, as cli/signals.h sees it */
	bool started;
	bool woken;
	uint64_t wake_ns;
	const void *address;
};

uint64_t sim_points;
static struct fiber fibers[SIM_ROLES];
static enum sim_role current = SIM_NOBODY;
static void *scheduler[5];
static ucontext_t scheduler_context;
static struct sim_random dice;
static uint64_t now_ns, slice_points, slice_left;
static uint32_t pids, points_off, turns_alone;

void sim_fibers_reset(uint64_t seed, uint64_t points)
{
	for (uint32_t i = 0; i < SIM_ROLES; i++) {
		fibers[i].state = FIBER_ABSENT;
		fibers[i].pid = 0;
		fibers[i].signal = 0;
	}
	current = SIM_NOBODY;
	dice.state = seed;
	now_ns = 1000000000u;
	slice_points = points;
	sim_points = 0;
	pids = 0;
	points_off = 0;
	turns_alone = 0;
	sluice_signals_flag = 0;
}

enum sim_role sim_self(void)
{
	return current;
}

uint32_t sim_pid(void)
{
	return current == SIM_NOBODY ? 0 : fibers[current].pid;
}

uint64_t sim_now(void)
{
	return now_ns;
}

void sim_advance(uint64_t ns)
{
	now_ns += ns;
}

void sim_view(enum sim_role role, struct sim_process_view *ret_view)
{
	const struct fiber *fiber = &fibers[role];

	*ret_view = (struct sim_process_view){
		.pid = fiber->pid,
		.alive = fiber->state != FIBER_ABSENT,
		.asleep = fiber->state == FIBER_ASLEEP,
		.wake_ns = fiber->wake_ns,
	};
}

static _Noreturn SIM_OPAQUE void to_scheduler(void)
{
	if (current != SIM_NOBODY)
		fibers[current].signal = atomic_load_explicit(&sluice_signals_flag,
							      memory_order_relaxed);
	__builtin_longjmp(scheduler, 1);
}

static SIM_OPAQUE void leave(void)
{
	if (!__builtin_setjmp(fibers[current].at))
		to_scheduler();
}

static void enter(void)
{
	fibers[current].run();
	sim_exit();
}

static SIM_OPAQUE void switch_to(enum sim_role role)
{
	struct fiber *fiber = &fibers[role];

	current = role;
	/* relaxed: one thread */
	atomic_store_explicit(&sluice_signals_flag, fiber->signal, memory_order_relaxed);
	slice_left = 1 + sim_spread(&dice, 0, slice_points);
	sim_trace_switch(role, now_ns);
	if (!__builtin_setjmp(scheduler)) {
		if (fiber->started)
			__builtin_longjmp(fiber->at, 1);
		fiber->started = true;
		getcontext(&fiber->context);
		fiber->context.uc_stack.ss_sp = fiber->stack;
		fiber->context.uc_stack.ss_size = STACK_BYTES;
		fiber->context.uc_link = NULL;
		makecontext(&fiber->context, enter, 0);
		swapcontext(&scheduler_context, &fiber->context);
	}
	current = SIM_NOBODY;
}

void sim_spawn(enum sim_role role, void (*run)(void))
{
	struct fiber *fiber = &fibers[role];

	sluice_assert(fiber->state == FIBER_ABSENT);
	if (!fiber->stack) {
		fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		sluice_assert(fiber->stack != MAP_FAILED);
	}
	sim_memory_reset(role);
	fiber->run = run;
	fiber->state = FIBER_READY;
	fiber->started = false;
	fiber->signal = 0;
	fiber->pid = ++pids;
}

static void end(enum sim_role role, bool killed)
{
	fibers[role].state = FIBER_ABSENT;
	sim_process_ended(role, killed);
	if (role == current) {
		points_off = 0;
		to_scheduler();
	}
}

void sim_kill(enum sim_role role)
{
	if (fibers[role].state != FIBER_ABSENT)
		end(role, true);
}

void sim_signal(enum sim_role role, int number)
{
	fibers[role].signal = number;
	if (role == current)
		/* relaxed: one thread */
		atomic_store_explicit(&sluice_signals_flag, number, memory_order_relaxed);
}

_Noreturn void sim_exit(void)
{
	end(current, false);
	abort();
}

void sim_fibers_abandon(void)
{
	for (uint32_t i = 0; i < SIM_ROLES; i++)
		fibers[i].state = FIBER_ABSENT;
	current = SIM_NOBODY;
	points_off = 0;
}

/* Nobody else could run now? Then a switch would come back here. */
static bool is_alone(void)
{
	for (uint32_t i = 0; i < SIM_ROLES; i++)
		if (i != current &&
		    (fibers[i].state == FIBER_READY ||
		     (fibers[i].state == FIBER_ASLEEP && fibers[i].wake_ns <= now_ns)))
			return false;
	return ++turns_alone % ALONE_MAX != 0;
}

void sim_yield(void)
{
	now_ns += 100 + sim_below(&dice, YIELD_NS_MAX);
	if (current != SIM_NOBODY && !points_off && !is_alone())
		leave();
}

bool sim_sleep(uint64_t wake_ns, const void *address)
{
	struct fiber *fiber = &fibers[current];

	sluice_assert(current != SIM_NOBODY && !points_off);
	fiber->state = FIBER_ASLEEP;
	fiber->wake_ns = wake_ns;
	fiber->address = address;
	fiber->woken = false;
	leave();
	return fiber->woken;
}

void sim_wake(const void *address)
{
	for (uint32_t i = 0; i < SIM_ROLES; i++)
		if (fibers[i].state == FIBER_ASLEEP && fibers[i].address == address) {
			fibers[i].state = FIBER_READY;
			fibers[i].woken = true;
		}
}

void sim_point(void)
{
	bool go;

	if (current == SIM_NOBODY || points_off)
		return;
	sim_points++;
	now_ns += 7;
	points_off++;
	go = sim_operate();
	points_off--;
	if (go || --slice_left == 0)
		leave();
}

void sim_points_off(void)
{
	points_off++;
}

void sim_points_on(void)
{
	if (points_off)
		points_off--;
}

static void wake_by_time(void)
{
	for (uint32_t i = 0; i < SIM_ROLES; i++)
		if (fibers[i].state == FIBER_ASLEEP && fibers[i].wake_ns <= now_ns)
			fibers[i].state = FIBER_READY;
}

void sim_schedule(uint64_t next_event_ns)
{
	enum sim_role ready[SIM_ROLES];
	uint64_t next_ns = next_event_ns;
	uint32_t n = 0;

	wake_by_time();
	for (uint32_t i = 0; i < SIM_ROLES; i++) {
		if (fibers[i].state == FIBER_READY)
			ready[n++] = (enum sim_role)i;
		else if (fibers[i].state == FIBER_ASLEEP && fibers[i].wake_ns < next_ns)
			next_ns = fibers[i].wake_ns;
	}
	if (n > 0)
		switch_to(ready[n > 1 ? sim_below(&dice, n) : 0]);
	else if (next_ns != SIM_NEVER && next_ns > now_ns)
		now_ns = next_ns;
}
