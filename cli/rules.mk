# SPDX-License-Identifier: MIT
# The command-line floor of the programs.
$(eval $(call archive,cli,cli))
