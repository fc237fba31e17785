# SPDX-License-Identifier: MIT
# `sluice`, the command people learn.
$(eval $(call archive,tools,tools))
$(eval $(call program,sluice,$(wildcard tools/main*.c) $(filter tools/%,$(MAINS))))
# tests/rules.mk is read before this file
$(TEST_PROGRAMS): $(BUILD)/tools.a
