# SPDX-License-Identifier: MIT
# Pure: tools/lint/purity checks what these objects refer to.
$(eval $(call archive,core,engine/core))
