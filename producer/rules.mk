# SPDX-License-Identifier: MIT
$(eval $(call archive,producer,producer))
$(eval $(call program,sluice-producer,$(wildcard producer/main*.c)))
