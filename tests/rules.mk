# SPDX-License-Identifier: MIT
#
# A suite is an executable (test_*.c of unit/<dir>, integration, crash) or a script (*.sh of
# integration and crash); tests/run runs them. Files of tests/lib are there for every executable.
# Any other *.c of integration and crash with a main() is a helper program that scripts start.

C_SUITES := $(sort $(wildcard tests/unit/*/test_*.c tests/integration/test_*.c tests/crash/test_*.c))
UNIT_SUITES := $(basename $(filter tests/unit/%,$(C_SUITES)))
SYSTEM_SUITES := $(basename $(filter-out tests/unit/%,$(C_SUITES)))
SCRIPT_SUITES := $(filter-out %/lib.sh,$(sort $(wildcard tests/integration/*.sh tests/crash/*.sh)))
TEST_HELPERS := $(basename $(filter-out $(C_SUITES) tests/crash/ring_crash.c tests/crash/ring_points.c,\
	$(shell grep -ls '^int main\>' tests/integration/*.c tests/crash/*.c)))
C_FUZZERS := $(basename $(wildcard tests/fuzz/fuzz_*.c))

# Suites that are too slow under a sanitizer for `make test`; test-asan and the like run them.
SLOW_SUITES := tests/unit/core/test_shanghai tests/unit/wal/test_wal_crash

$(eval $(call archive,testlib,tests/lib))
# Where branches are counted, a child that ends with _exit writes down its own.
ifeq ($(PROFILE),cov)
$(eval $(call archive,coverage,tests/coverage))
ALL_LDFLAGS += -Wl,--wrap=_exit
endif
TEST_PROGRAMS := $(addprefix $(BUILD)/,$(UNIT_SUITES) $(SYSTEM_SUITES) $(TEST_HELPERS))
$(TEST_PROGRAMS): %: %.o $(ARCHIVES) $(BUILD)/link.stamp
	$(if $(filter cmocka,$(FOUND)),,@echo 'missing: cmocka. Type: sh tools/setup.sh test' >&2; exit 1)
	$(call say,LD,$@)
	$(Q)$(call link,-lcmocka)

# gcc expands a small memcpy after it has instrumented memory accesses: without this ThreadSanitizer
# never sees an event being copied into a slot or out of it.
ifeq ($(PROFILE),tsan)
$(BUILD)/tests/unit/shm/test_ring_stress.o: ALL_CFLAGS += -fno-builtin
endif

.PHONY: unit-programs test-programs
unit-programs: $(addprefix $(BUILD)/,$(UNIT_SUITES))
test-programs: programs $(TEST_PROGRAMS)

# Where another profile builds: beside this one.
profile_build = $(if $(filter $(PROFILE),$(notdir $(BUILD))),$(dir $(BUILD))$(1),$(if $(filter \
	$(PROFILE),$(1)),$(BUILD),$(BUILD)-$(1)))
profile_make = +@$(MAKE) --no-print-directory PROFILE=$(1) BUILD=$(call profile_build,$(1))

.PHONY: FORCE
FORCE:
test-build-%: FORCE
	$(call profile_make,$*) test-programs
unit-build-%: FORCE
	$(call profile_make,$*) unit-programs

RUN = @JOBS=$(JOBS) sh tests/run
run_unit = --profile $(1) $(call profile_build,$(1)) $(UNIT_SUITES)
run_cheap = --profile $(1) $(call profile_build,$(1)) $(filter-out $(SLOW_SUITES),$(UNIT_SUITES))
run_system = --profile $(1) $(call profile_build,$(1)) $(SYSTEM_SUITES) $(SCRIPT_SUITES)
FIRST_PROFILE := $(firstword $(TEST_PROFILES))
OTHER_PROFILES := $(filter-out $(FIRST_PROFILE),$(TEST_PROFILES))

.PHONY: test check test-unit test-asan test-ubsan test-tsan
test: $(FIRST_PROFILE:%=test-build-%) $(OTHER_PROFILES:%=unit-build-%) ## all tests, and the unit tests again under sanitizers
	$(RUN) --scenarios tests/scenarios $(call run_unit,$(FIRST_PROFILE)) $(call run_system,$(FIRST_PROFILE)) \
		$(foreach p,$(OTHER_PROFILES),$(call run_cheap,$(p)))
check: test ## the same as test
test-unit: unit-build-$(PROFILE) ## unit tests of this PROFILE
	$(RUN) $(call run_unit,$(PROFILE))
test-asan: unit-build-asan ## unit tests under AddressSanitizer and UBSan
	$(RUN) $(call run_unit,asan)
test-ubsan: unit-build-ubsan ## unit tests under UBSan alone
	$(RUN) $(call run_unit,ubsan)
test-tsan: unit-build-tsan ## unit tests under ThreadSanitizer
	$(RUN) $(call run_unit,tsan)

# ----------------------------------------------------------------------------------- fuzzing
FUZZ_SECONDS ?= 10
FUZZERS := $(addprefix $(BUILD)/,$(C_FUZZERS))
$(FUZZERS): %: %.o $(ARCHIVES) $(BUILD)/link.stamp
	$(call say,LD,$@)
	$(Q)$(call link,-fsanitize=fuzzer)
.PHONY: fuzz fuzz-run
fuzz-run: $(FUZZERS)
	$(Q)for f in $(FUZZERS); do \
		mkdir -p $$f.corpus && $$f -max_total_time=$(FUZZ_SECONDS) \
			-malloc_limit_mb=64 -timeout=20 $$f.corpus \
			tests/fuzz/corpus/$${f##*/fuzz_} || exit 1; done
fuzz: ## run every fuzzer for FUZZ_SECONDS (needs clang)
	$(call profile_make,fuzz) fuzz-run

# ---------------------------------------------------------------------------------- coverage
# The simulator takes part with the flags of both profiles; it runs a list of seeds, because that
# ends by way of exit.
COVERAGE_SUITES := $(filter tests/unit/wal/%,$(UNIT_SUITES)) \
	$(filter tests/integration/test_wal_%,$(SCRIPT_SUITES))
COVERAGE_SEEDS ?= 300
COVERAGE_SIM := $(BUILD)/sim
.PHONY: coverage coverage-run coverage-sim
coverage-sim:
	+@$(MAKE) --no-print-directory PROFILE=sim BUILD=$(COVERAGE_SIM) \
		CFLAGS='$(CFLAGS) -O0 --coverage' LDFLAGS='$(LDFLAGS) --coverage' sim-program
coverage-run: programs test-programs coverage-sim
	$(Q)find $(BUILD) -name '*.gcda' -exec rm -f {} +
	@JOBS=$(JOBS) sh tests/run --profile cov $(BUILD) $(COVERAGE_SUITES); tests=$$?; \
	seq $(COVERAGE_SEEDS) >$(BUILD)/seeds; \
	$(COVERAGE_SIM)/tests/sim/sim --list $(BUILD)/seeds || tests=1; \
	sh tests/coverage/branches $(BUILD) engine/wal && exit $$tests
coverage: ## branches of engine/wal that its tests take
	$(call profile_make,cov) coverage-run
