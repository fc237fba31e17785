# SPDX-License-Identifier: MIT
#
# The log once more, with segments so small that it comes round in a few blocks and an image of all
# of it is judged in microseconds: test_wal_states tries every state that a crash can leave.
SMALL_LOG := -DSLUICE_WAL_BLOCK_BYTES_MAX=8192u -DSLUICE_WAL_SEGMENT_BYTES_MIN=16384u \
	     -DSLUICE_WAL_SCAN_BYTES=65536u
SMALL_OBJECTS := $(wal_SOURCES:%.c=$(BUILD)/tests/small/%.o)
$(SMALL_OBJECTS): $(BUILD)/tests/small/%.o: %.c $(BUILD)/flags.stamp
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(SMALL_LOG) -MMD -MP -c $< -o $@
SMALL_SUITES := $(addprefix $(BUILD)/tests/unit/wal/,test_wal_states test_wal_nth test_wal_failures \
	test_wal_truncate_nth test_wal_truncate_crash test_wal_faults test_wal_read_nth \
	test_wal_memory test_wal_reread test_wal_live test_wal_device \
	test_wal_judge_crafted test_wal_backup test_follower_crafted)
SMALL_SUITES += $(addprefix $(BUILD)/tests/unit/wal/,test_wal_format_faults)
$(addsuffix .o,$(SMALL_SUITES)): ALL_CFLAGS += $(SMALL_LOG)
$(SMALL_SUITES): $(SMALL_OBJECTS)
