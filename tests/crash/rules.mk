# SPDX-License-Identifier: MIT
#
# The crash harness is built in a profile of its own, whose code has failpoints, and needs little of
# the project, so that `make test` can afford it. SECONDS=n, DEATHS=n for a longer run.
RING_CRASH := $(addprefix $(BUILD)/tests/crash/,ring_crash ring_points)
RING_CRASH_ARCHIVES := $(addprefix $(BUILD)/,testlib.a consumer.a producer.a shm.a)
$(RING_CRASH): %: %.o $(RING_CRASH_ARCHIVES) $(BUILD)/link.stamp
	$(call say,LD,$@)
	$(Q)$(call link)

export SLUICE_CRASH_BUILD = $(abspath $(call profile_build,crash))
.PHONY: crash crash-programs crash-build crash-plants
crash-programs: $(RING_CRASH)
crash-build:
	$(call profile_make,crash) crash-programs
test: crash-build
crash: crash-build ## kill processes of a ring at every step for SECONDS (60) or DEATHS
	@SECONDS=$(or $(SECONDS),60) DEATHS=$(DEATHS) sh tests/crash/test_ring_crash.sh
export SLUICE_TSAN_BUILD = $(abspath $(call profile_build,tsan))
.PHONY: tsan-archives
tsan-archives:
	$(call profile_make,tsan) ring-archives
.PHONY: ring-archives
ring-archives: $(RING_CRASH_ARCHIVES)
crash-plants: crash-build tsan-archives ## plant bugs into the ring: does the harness find them?
	@PLANTS=all CC=$(CC) sh tests/crash/test_ring_plants.sh

.PHONY: stress-arm64
stress-arm64: ## the ring's stress and crash tests for arm64, under qemu
	@sh tests/stress/arm64.sh $(BUILD)/arm64

# Real engines, logs on a disk: what programs of PROFILE do when they are killed.
.PHONY: crash-wal crash-wal-plants
crash-wal: test-programs ## kill engine, follower, producers and consumer KILLS (1000) times; COPIES (1000) of a live log
	@KILLS=$(or $(KILLS),1000) SEED=$(or $(SEED),$(shell date +%s)) SLUICE_BUILD=$(BUILD) \
		SLUICE_BIN=$(BUILD)/bin sh tests/crash/test_wal_kill.sh
	@COPIES=$(or $(COPIES),1000) SEED=$(or $(SEED),$(shell date +%s)) SLUICE_BUILD=$(BUILD) \
		SLUICE_BIN=$(BUILD)/bin sh tests/crash/test_wal_copy.sh
crash-wal-plants: test-programs ## plant bugs into the engine: do kills find them?
	@PLANTS=all CC=$(CC) SLUICE_BUILD=$(BUILD) SLUICE_BIN=$(BUILD)/bin sh tests/crash/test_wal_plants.sh
