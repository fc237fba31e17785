/* SPDX-License-Identifier: MIT */
/*
 * placement.c - the plan: the engine on the CPU that takes the log disk's interrupts, because the
 * completion of a write runs there and the engine knows how to make room for it (it yields); the
 * others on other cores, near by the deepest cache shared with the engine.
 *
 * Hyper-thread siblings share the core's execution units with a loop that never rests, so a sibling
 * is taken only when no other core is left. Nothing is kept after a call.
 */
#include "shm/placement.h"

#include <errno.h>
#include <hwloc.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How well a PU suits, best first: crowding, then distance. */
struct fitness {
	uint32_t crowding; /* 0 a core of its own, 1 the producer's core, 2 the engine's core */
	int depth;	   /* of the smallest object shared with the engine: deeper is nearer */
	uint32_t away;	   /* cores between, in the order of the topology */
};

static int open_topology(hwloc_topology_t *ret_topology, struct sluice_diag *diag)
{
	if (hwloc_topology_init(ret_topology))
		return sluice_diag_set(diag, ENOMEM, "no memory for the CPU topology");
	/*
	 * Without I/O objects, which is the default, loading takes 10 ms and not 50. The
	 * restriction is refused without IS_THISSYSTEM; a synthetic topology heeds neither.
	 */
	if (hwloc_topology_set_flags(*ret_topology,
				     HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING |
					     HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM |
					     HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING) ||
	    hwloc_topology_load(*ret_topology)) {
		const int error = errno ? errno : EIO;

		hwloc_topology_destroy(*ret_topology);
		return sluice_diag_set(diag, EIO, "cannot read the CPU topology: %s",
				       strerror(error));
	}
	return 0;
}

/* The object that stands for the PU's core: the PU itself where the kernel does not tell. */
static hwloc_obj_t core_of(hwloc_topology_t topology, hwloc_obj_t pu)
{
	hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);

	return core ? core : pu;
}

static struct fitness fitness_of(hwloc_topology_t topology, hwloc_obj_t pu, hwloc_obj_t engine,
				 hwloc_obj_t producer)
{
	const hwloc_obj_t core = core_of(topology, pu);
	const hwloc_obj_t engine_core = core_of(topology, engine);
	const hwloc_obj_t shared = hwloc_get_common_ancestor_obj(topology, pu, engine);
	const uint32_t crowding = core == engine_core				  ? 2 :
				  producer && core == core_of(topology, producer) ? 1 :
										    0;

	return (struct fitness){
		.crowding = crowding,
		.depth = shared->depth,
		.away = core->logical_index > engine_core->logical_index ?
				core->logical_index - engine_core->logical_index :
				engine_core->logical_index - core->logical_index,
	};
}

static bool is_fitter(struct fitness left, struct fitness right)
{
	if (left.crowding != right.crowding)
		return left.crowding < right.crowding;
	if (left.depth != right.depth)
		return left.depth > right.depth;
	return left.away < right.away;
}

/* The best PU that is neither the engine's nor the producer's; NULL if none is left. */
static hwloc_obj_t nearest_free(hwloc_topology_t topology, hwloc_obj_t engine, hwloc_obj_t producer)
{
	hwloc_obj_t best = NULL;
	struct fitness best_fitness = {0};

	for (hwloc_obj_t pu = NULL;
	     (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu));) {
		if (pu == engine || pu == producer)
			continue;

		const struct fitness fitness = fitness_of(topology, pu, engine, producer);

		if (!best || is_fitter(fitness, best_fitness)) {
			best = pu;
			best_fitness = fitness;
		}
	}
	return best;
}

/* Where to go without knowing better: off the first core, which does the machine's chores. */
static hwloc_obj_t second_core(hwloc_topology_t topology)
{
	const hwloc_obj_t first = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, 0);

	for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu));)
		if (core_of(topology, pu) != core_of(topology, first))
			return pu;
	return first;
}

static hwloc_obj_t place_engine(hwloc_topology_t topology, const char *log_dir,
				struct sluice_placement *placement)
{
	struct sluice_interrupt interrupt;

	sluice_interrupt_find(log_dir, &interrupt);
	placement->interrupt_cpu = interrupt.cpu;

	hwloc_obj_t pu = interrupt.cpu < 0 ?
				 NULL :
				 hwloc_get_pu_obj_by_os_index(topology, (unsigned)interrupt.cpu);

	if (pu) {
		snprintf(placement->engine_reason, sizeof(placement->engine_reason), "%s",
			 interrupt.reason);
		return pu;
	}
	pu = second_core(topology);
	snprintf(placement->engine_reason, sizeof(placement->engine_reason),
		 interrupt.cpu < 0 ? "%s; using cpu%u" :
				     "%s, but it is not usable here; using cpu%u",
		 interrupt.reason, pu->os_index);
	return pu;
}

static void shared_name(hwloc_obj_t shared, char *ret_name, size_t capacity)
{
	if (hwloc_obj_type_is_cache(shared->type))
		snprintf(ret_name, capacity, "L%u cache", shared->attr->cache.depth);
	else if (shared->type == HWLOC_OBJ_MACHINE)
		snprintf(ret_name, capacity, "machine");
	else if (shared->memory_arity)
		snprintf(ret_name, capacity, "NUMA node");
	else
		snprintf(ret_name, capacity, "%s", hwloc_obj_type_string(shared->type));
}

static void explain_other(hwloc_topology_t topology, hwloc_obj_t pu, hwloc_obj_t engine,
			  char ret_reason[SLUICE_PLACEMENT_REASON_BYTES])
{
	char shared[32];

	if (core_of(topology, pu) == core_of(topology, engine)) {
		snprintf(ret_reason, SLUICE_PLACEMENT_REASON_BYTES,
			 "hyper-thread sibling of the engine's cpu%u: no other core is free",
			 engine->os_index);
		return;
	}
	shared_name(hwloc_get_common_ancestor_obj(topology, pu, engine), shared, sizeof(shared));
	snprintf(ret_reason, SLUICE_PLACEMENT_REASON_BYTES,
		 "the nearest free core to the engine's cpu%u, in the same %s", engine->os_index,
		 shared);
}

static void place_others(hwloc_topology_t topology, hwloc_obj_t engine,
			 struct sluice_placement *placement)
{
	const hwloc_obj_t producer = nearest_free(topology, engine, NULL);

	if (!producer) {
		static const char only[] =
			"the only usable CPU: all take turns on it, none may spin";

		placement->producer_cpu = placement->consumer_cpu = placement->engine_cpu;
		snprintf(placement->producer_reason, SLUICE_PLACEMENT_REASON_BYTES, "%s", only);
		snprintf(placement->consumer_reason, SLUICE_PLACEMENT_REASON_BYTES, "%s", only);
		return;
	}
	placement->producer_cpu = (int32_t)producer->os_index;
	explain_other(topology, producer, engine, placement->producer_reason);

	const hwloc_obj_t consumer = nearest_free(topology, engine, producer);

	if (!consumer) {
		placement->consumer_cpu = placement->producer_cpu;
		snprintf(placement->consumer_reason, SLUICE_PLACEMENT_REASON_BYTES,
			 "shares cpu%u with the producer: there are only two usable CPUs",
			 producer->os_index);
		return;
	}
	placement->consumer_cpu = (int32_t)consumer->os_index;
	if (core_of(topology, consumer) == core_of(topology, producer) &&
	    core_of(topology, consumer) != core_of(topology, engine))
		snprintf(placement->consumer_reason, SLUICE_PLACEMENT_REASON_BYTES,
			 "hyper-thread sibling of the producer's cpu%u: no other core is free",
			 producer->os_index);
	else
		explain_other(topology, consumer, engine, placement->consumer_reason);
}

/* log_dir decides where the engine goes, unless it is somewhere already (engine_cpu >= 0). */
static int plan(const char *log_dir, int32_t engine_cpu, struct sluice_placement *ret_placement,
		struct sluice_diag *diag)
{
	struct sluice_placement placement = {.interrupt_cpu = -1};
	hwloc_topology_t topology;
	hwloc_obj_t engine = NULL;
	const int error = open_topology(&topology, diag);

	if (error)
		return error;

	const int pus = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
	const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);

	if (pus <= 0) {
		hwloc_topology_destroy(topology);
		return sluice_diag_set(diag, EIO, "the CPU topology has no usable CPU");
	}
	placement.usable_cpus = (uint32_t)pus;
	placement.usable_cores = (uint32_t)(cores > 0 ? cores : pus);
	if (engine_cpu >= 0)
		engine = hwloc_get_pu_obj_by_os_index(topology, (unsigned)engine_cpu);
	if (engine)
		snprintf(placement.engine_reason, sizeof(placement.engine_reason),
			 "it runs there");
	else
		engine = place_engine(topology, log_dir, &placement);
	placement.engine_cpu = (int32_t)engine->os_index;
	place_others(topology, engine, &placement);
	hwloc_topology_destroy(topology);
	*ret_placement = placement;
	return 0;
}

int sluice_placement_plan(const char *log_dir, struct sluice_placement *ret_placement,
			  struct sluice_diag *diag)
{
	return plan(log_dir, -1, ret_placement, diag);
}

int sluice_placement_beside(uint32_t engine_cpu, struct sluice_placement *ret_placement,
			    struct sluice_diag *diag)
{
	return plan(NULL, (int32_t)engine_cpu, ret_placement, diag);
}
