# SPDX-License-Identifier: MIT
$(eval $(call archive,consumer,consumer))
$(eval $(call program,sluice-consumer,$(wildcard consumer/main*.c)))
