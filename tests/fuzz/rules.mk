# SPDX-License-Identifier: MIT
#
# Each fuzz target is also linked without a fuzzer, with any compiler: replay_NAME gives it the
# committed corpus (tests/fuzz/corpus/NAME). The log's own targets are built with small blocks and
# segments, as tests/unit/wal/test_wal_states is.
SMALL_FUZZERS := $(addprefix $(BUILD)/tests/fuzz/,fuzz_wal_image fuzz_wal_block fuzz_snapshot)
FUZZ_REPLAYS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz/replay_%,$(wildcard tests/fuzz/fuzz_*.c))
SMALL_REPLAYS := $(SMALL_FUZZERS:$(BUILD)/tests/fuzz/fuzz_%=$(BUILD)/tests/fuzz/replay_%)

$(addsuffix .o,$(SMALL_FUZZERS)): ALL_CFLAGS += $(SMALL_LOG)
$(SMALL_FUZZERS) $(SMALL_REPLAYS): $(wal_SOURCES:%.c=$(BUILD)/tests/small/%.o)

$(FUZZ_REPLAYS): $(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o \
		$(BUILD)/tests/fuzz/replay_corpus.o $(ARCHIVES) $(BUILD)/testlib.a $(BUILD)/link.stamp
	$(call say,LD,$@)
	$(Q)$(call link)

.PHONY: fuzz-replays
fuzz-replays: $(FUZZ_REPLAYS)
test-programs: fuzz-replays
