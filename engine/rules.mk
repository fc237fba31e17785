# SPDX-License-Identifier: MIT
# The glue between the rings, the log and the core.
$(eval $(call archive,engine,engine))
$(eval $(call program,sluice-engine,$(wildcard engine/main*.c)))
