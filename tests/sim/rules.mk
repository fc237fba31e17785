# SPDX-License-Identifier: MIT
#
# The simulator is built in a profile of its own: the log's blocks and segments are small, and every
# function of engine, log and rings is a point at which something may happen. Clock, sleeps, memory
# and chance are taken over by the linker. SEEDS=n FIRST=n for more seeds, or others.
SIM := $(BUILD)/tests/sim/sim
SIM_OBJECTS := $(call objects,$(sort $(wildcard tests/sim/*.c)))
SIM_ARCHIVES := $(addprefix $(BUILD)/,engine.a wal.a core.a consumer.a producer.a cli.a shm.a)
SIM_WRAP := malloc calloc realloc reallocarray aligned_alloc free mmap munmap madvise mlock \
	clock_gettime nanosleep usleep sched_yield syscall getrandom getpid getuid geteuid \
	sched_getaffinity prctl pthread_mutex_lock pthread_mutex_unlock pthread_once _exit \
	sluice_wal_io_create sluice_cli_log sluice_proc_start_ticks sluice_proc_pid_namespace \
	sluice_proc_boot_id sluice_segment_unlink sluice_histogram_init

ifeq ($(PROFILE),sim)
SIM_POINTS := $(call objects,$(filter-out engine/main% engine/watch.c,$(wildcard engine/*.c)) \
	$(addprefix engine/wal/,wal_open.c wal_recover.c wal_writer.c wal_flip.c wal_super.c \
		wal_undo.c snapshot.c follower.c follower_look.c follower_snapshot.c) \
	producer/producer.c producer/multi.c shm/ring.c shm/recovery.c)
$(SIM_POINTS): ALL_CFLAGS += -finstrument-functions
endif

$(SIM): $(SIM_OBJECTS) $(SIM_ARCHIVES) $(BUILD)/link.stamp
	$(call say,LD,$@)
	$(Q)$(call link,$(SIM_WRAP:%=-Wl,--wrap=%))

export SLUICE_SIM_BUILD = $(abspath $(call profile_build,sim))
.PHONY: sim sim-program sim-build mutants
sim-program: $(SIM)
sim-build:
	$(call profile_make,sim) sim-program
test: sim-build
sim: sim-build ## simulate SEEDS (20000) seeds of engine, log and rings on a disk that fails
	@$(SLUICE_SIM_BUILD)/tests/sim/sim --list tests/sim/regressions.txt
	@$(SLUICE_SIM_BUILD)/tests/sim/sim --seeds $(or $(SEEDS),20000) --first $(or $(FIRST),1) \
		--jobs $(or $(JOBS_SIM),$(shell nproc))
mutants: sim-build ## plant bugs into log and engine: does the simulator find each?
	$(call profile_make,sim) mutants-run
.PHONY: mutants-run
mutants-run:
	@BUILD='$(BUILD)' CC='$(CC)' FLAGS='$(ALL_CFLAGS)' POINTS='$(SIM_POINTS:$(BUILD)/%.o=%.c)' \
		ARCHIVES='$(SIM_ARCHIVES)' LINK='$(SIM_WRAP:%=-Wl,--wrap=%) $(LIBS)' \
		sh tests/sim/mutants.sh
