# SPDX-License-Identifier: MIT
# sluice-bench: measures this machine, and Sluice beside it.
$(eval $(call archive,bench,bench))
$(eval $(call program,sluice-bench,$(wildcard bench/main.c)))
