# SPDX-License-Identifier: MIT
# Checks of the text of the project: POSIX sh and awk, the compiler, nm.
LINT := tools/lint
HEADERS := $(sort $(wildcard *.h */*.h */*/*.h $(if $(filter cmocka,$(FOUND)),tests/*/*/*.h)))
ABI_HEADERS := shm/layout.h shm/events.h engine/wal/wal_format.h
# clang too, where it is installed
HDR_COMPILERS := $(CC) $(if $(findstring clang,$(CC)),,$(shell command -v clang 2>/dev/null))

.PHONY: lint lint-scripts lint-includes lint-purity lint-sync lint-style hdr-check format-check tidy
lint: lint-includes lint-purity lint-sync lint-style ## who includes what, the pure core, memory order, style

lint-includes:
	$(Q)CC='$(CC)' CPPFLAGS='$(DEFINES) $(CPPFLAGS)' sh $(LINT)/include_table

# The core's objects of the release profile, whatever this one is.
lint-purity:
	$(call profile_make,release) purity-check
.PHONY: purity-check
purity-check: $(call objects,$(core_SOURCES))
	$(Q)sh $(LINT)/purity $(filter %.o,$^)

lint-sync:
	$(Q)sh $(LINT)/sync_tags check
	$(Q)sh $(LINT)/sync_tags table | cmp -s - docs/memory-order.md || { \
		echo 'docs/memory-order.md is stale. Type: make docs/memory-order.md'; exit 1; }

lint-style lint-scripts:
	$(Q)sh $(LINT)/style

.PHONY: docs/memory-order.md
docs/memory-order.md: ## regenerate the table of memory-order pairs from the source
	@mkdir -p docs
	$(Q)sh $(LINT)/sync_tags table > $@.tmp && mv $@.tmp $@ || \
		{ rm -f $@.tmp; echo 'not written: make lint-sync says what is wrong with the tags' >&2; exit 1; }

# Every header compiles alone and twice; those that describe shared bytes have no hidden padding.
HDR_CHECKS := $(addprefix hdr-check/,$(HEADERS))
hdr-check: $(HDR_CHECKS) ## every header compiles alone, with gcc and clang
	@echo '$(words $(HEADERS)) headers compile alone with $(HDR_COMPILERS)'
$(HDR_CHECKS): hdr-check/%: FORCE
	$(Q)for cc in $(HDR_COMPILERS); do \
		printf '#include "%s"\n#include "%s"\n' '$*' '$*' | $$cc -I. $(DEFINES) -std=gnu17 \
		$(WARNINGS) -Werror $(if $(filter $*,$(ABI_HEADERS)),-Wpadded) -fsyntax-only -x c - || exit 1; done

C_FILES = $(sort $(wildcard *.h $(foreach d,$(SOURCE_DIRS) tests/lib tests/unit/* tests/integration \
	tests/crash tests/fuzz,$(d)/*.[ch])))
format-check: ## clang-format would change nothing
	$(Q)if ! command -v clang-format >/dev/null; then echo 'skip: format-check: no clang-format'; \
		else clang-format --dry-run --Werror $(C_FILES); fi

tidy: ## clang-tidy (see .clang-tidy)
	$(Q)clang-tidy --quiet $(foreach d,$(SOURCE_DIRS),$(wildcard $(d)/*.c)) -- \
		-I. $(DEFINES) -std=gnu17
