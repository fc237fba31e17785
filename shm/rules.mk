# SPDX-License-Identifier: MIT
# The floor: everything else stands on it.
$(eval $(call archive,shm,shm))
