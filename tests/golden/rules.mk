# SPDX-License-Identifier: MIT
.PHONY: golden
golden: programs $(BUILD)/tests/integration/make_log $(BUILD)/tests/integration/replay_log ## golden logs of a new format version; those that are there stay
	$(Q)sh tests/golden/generate.sh $(BUILD)
