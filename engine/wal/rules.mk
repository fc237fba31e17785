# SPDX-License-Identifier: MIT
$(eval $(call archive,wal,engine/wal))
