# SPDX-License-Identifier: MIT
# Spin models of the protocols, each with mutants that the checker must reject.
.PHONY: model
model: ## check the protocol models and their mutants with Spin
	$(Q)sh tests/model/run
