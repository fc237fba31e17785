# SPDX-License-Identifier: MIT
#
# Sluice: one root Makefile, a short rules.mk per directory, objects in build/<profile>/.
# `make help` lists the targets. Settings, on the command line or in the environment:
#
#   PROFILE=release|debug|asan|ubsan|tsan|cov|fuzz|crash|sim   what the build is for
#   BUILD=DIR     where it goes (default build/$(PROFILE))
#   CC=clang      the compiler; CFLAGS and LDFLAGS are added to the project's own
#   WERROR=1      warnings are errors          V=1  full command lines
#   WITH_JANSSON=0, WITH_ZLIB=0                leave an optional library out
#   TEST_PROFILES="release asan"               what `make test` runs; JOBS=n suites at once
#   DESTDIR= PREFIX=/usr/local                 for install and uninstall

PROFILE ?= release
PROFILES := release debug asan ubsan tsan cov fuzz crash sim
BUILD ?= build/$(PROFILE)
V ?= 0
PREFIX ?= /usr/local
TEST_PROFILES ?= release asan
JOBS ?= 1

ifeq ($(filter $(PROFILE),$(PROFILES)),)
$(error PROFILE=$(PROFILE) is not one of $(PROFILES))
endif
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(PROFILE)),clang,gcc)
endif

# Goals that compile nothing must work without a compiler or libraries.
LIGHT_GOALS := help clean dist format-check lint-scripts uninstall uninstall-library
LIGHT := $(if $(MAKECMDGOALS),$(if $(filter-out $(LIGHT_GOALS),$(MAKECMDGOALS)),,1))

# ---------------------------------------------------------------------------------- libraries
ifndef LIGHT
FOUND := $(shell for p in liburing numa hwloc jansson zlib cmocka; do \
	pkg-config --exists $$p 2>/dev/null && echo $$p; done)
MISSING := $(filter-out $(FOUND),liburing numa hwloc)
ifneq ($(MISSING),)
$(error missing: $(MISSING) (development files). Type: sh tools/setup.sh)
endif
endif
WITH_JANSSON ?= $(if $(filter jansson,$(FOUND)),1,0)
WITH_ZLIB ?= $(if $(filter zlib,$(FOUND)),1,0)
LIBS := -luring -lnuma -lhwloc $(if $(filter 1,$(WITH_JANSSON)),-ljansson) \
	$(if $(filter 1,$(WITH_ZLIB)),-lz) -lpthread

# -------------------------------------------------------------------------------------- flags
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef \
	    -Wvla -Wformat=2
DEFINES := -D_GNU_SOURCE $(if $(filter 1,$(WITH_JANSSON)),-DSLUICE_WITH_JANSSON=1) \
	   $(if $(filter 1,$(WITH_ZLIB)),-DSLUICE_WITH_ZLIB=1)
FLAGS_release := -O2 -DSLUICE_RELEASE
FLAGS_debug := -O0
FLAGS_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_ubsan := -O1 -fsanitize=undefined -fno-sanitize-recover=all
# It cannot model fences and says so at each; the protocols that use one have tests of their own.
FLAGS_tsan := -O1 -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
FLAGS_cov := -O0 --coverage
# Failpoints inside the protocol, at which tests/crash kills and stops processes.
FLAGS_crash := -O2 -DSLUICE_RELEASE -DSLUICE_FAILPOINTS
# Small blocks, segments and rings, so that a log goes round within a simulated second.
FLAGS_sim := -O2 -DSLUICE_FAILPOINTS -DSLUICE_WAL_BLOCK_BYTES_MAX=16384u \
	     -DSLUICE_WAL_SEGMENT_BYTES_MIN=16384u -DSLUICE_WAL_SCAN_BYTES=65536u -DMD_ROOM_CHUNK=32u \
	     -DBUFFER_REPORTS=256u -DSLUICE_WAL_RESERVE_BYTES=12288ull -DSLUICE_WAIT_ADAPTIVE_SPINS=2u -DSLUICE_WAIT_SLEEPING_SPINS=2u \
	     -DSLUICE_WAIT_ADAPTIVE_YIELD_NS=20000u -DSLUICE_WAIT_SLEEPING_YIELDS=2u
FLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LINK_asan := -fsanitize=address,undefined
LINK_ubsan := -fsanitize=undefined
LINK_tsan := -fsanitize=thread
LINK_cov := --coverage
LINK_fuzz := -fsanitize=address,undefined

ALL_CFLAGS := -I. $(DEFINES) -std=gnu17 $(WARNINGS) -fno-common -fvisibility=hidden -g \
	      $(FLAGS_$(PROFILE)) $(if $(filter 1,$(WERROR)),-Werror) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS := $(LINK_$(PROFILE)) $(LDFLAGS)
# Tests may use what the rest of the tree bans.
BANNED := -include banned.h

# A stamp is a file that changes exactly when its content would, so that other flags, another
# compiler or a removed source rebuild what depends on them.
same = $(if $(subst x$(strip $(1)),,x$(strip $(2)))$(subst x$(strip $(2)),,x$(strip $(1))),,1)
stamp = $(if $(LIGHT),,$(if $(call same,$(file <$(1)),$(2)),,$(file >$(1),$(strip $(2)))1))
ifndef LIGHT
$(shell mkdir -p $(BUILD))
COMPILER := $(shell $(CC) --version 2>/dev/null | sed 1q)
ifeq ($(COMPILER),)
$(error no compiler: CC=$(CC) does not run. Type: sh tools/setup.sh)
endif
yes_no = $(if $(filter $(1),$(2)),yes,no)
ifneq ($(call stamp,$(BUILD)/flags.stamp,$(CC) $(COMPILER) $(ALL_CFLAGS)),)
$(info config: $(PROFILE), $(COMPILER), jansson $(call yes_no,1,$(WITH_JANSSON)), zlib \
	$(call yes_no,1,$(WITH_ZLIB)), cmocka $(call yes_no,cmocka,$(FOUND)))
endif
RELINK := $(call stamp,$(BUILD)/link.stamp,$(CC) $(ALL_LDFLAGS) $(LIBS))
endif

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-4s %s\n' $(1) $(2))

.DELETE_ON_ERROR:
.PHONY: all
all: archives programs ## build the programs into build/<profile>/bin (default)

# ------------------------------------------------------------- parts, declared by the rules.mk
# A file that defines main() is a program's; every other file goes into its directory's archive.
SOURCE_DIRS := shm cli producer consumer engine engine/core engine/wal tools bench
MAINS := $(shell grep -ls '^int main\>' $(addsuffix /*.c,$(SOURCE_DIRS)))
ARCHIVES :=
PROGRAMS :=
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

# $(call archive,NAME,DIR): NAME.a of all of DIR/*.c but main*.c and the files with a main()
define archive
$(1)_SOURCES := $$(filter-out $(2)/main%.c $$(MAINS),$$(sort $$(wildcard $(2)/*.c)))
$(1)_STAMP := $$(call stamp,$(BUILD)/$(1).stamp,$(1).a: $$($(1)_SOURCES))
$(BUILD)/$(1).a: $$(call objects,$$($(1)_SOURCES)) $(BUILD)/$(1).stamp
ARCHIVES += $(BUILD)/$(1).a
endef

# $(call program,NAME,FILES): bin/NAME of FILES, once one of them has a main()
define program
ifneq ($(filter $(MAINS),$(2)),)
$(BUILD)/bin/$(1): $(call objects,$(sort $(2)))
PROGRAMS += $(BUILD)/bin/$(1)
endif
endef

include $(sort $(wildcard */rules.mk */*/rules.mk))

.PHONY: programs archives
archives: $(ARCHIVES)
programs: $(PROGRAMS)

$(BUILD)/tests/%.o: BANNED :=
$(BUILD)/%.o: %.c $(BUILD)/flags.stamp
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(BANNED) -MMD -MP -c $< -o $@

$(ARCHIVES): %.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

# $(call link,MORE): by way of a temporary, so that a link cut short leaves no program.
link = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@.tmp $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
       -Wl,--end-group $(1) $(LIBS) && mv -f $@.tmp $@
$(PROGRAMS): $(ARCHIVES) $(BUILD)/link.stamp
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(call link)

ifndef LIGHT
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
endif

# ------------------------------------------------------------------------------------- users
SLUICE := $(BUILD)/bin/sluice
need_sluice = @test -x $(SLUICE) || { echo 'make: $(SLUICE) was not built: no main() in tools/' >&2; exit 1; }
.PHONY: demo bench-quick
demo: programs ## run the demonstration: a producer, the engine and a consumer, checked
	$(need_sluice)
	@$(SLUICE) demo

bench-quick: programs ## a short benchmark of this machine
	@$(BUILD)/bin/sluice-bench quick

bindir = $(DESTDIR)$(PREFIX)/bin
mandir = $(DESTDIR)$(PREFIX)/share/man
completiondir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
INSTALLED := $(filter $(BUILD)/bin/sluice%,$(PROGRAMS))
MAN1 := $(patsubst $(BUILD)/bin/%,$(BUILD)/man/%.1,$(INSTALLED))
MANUALS := $(wildcard docs/man/*.[357])
COMPLETION := $(if $(filter $(SLUICE),$(PROGRAMS)),$(BUILD)/sluice.bash)

$(MAN1): $(BUILD)/man/%.1: $(BUILD)/bin/%
	@mkdir -p $(@D)
	$(Q)$< --help-man > $@.tmp && mv $@.tmp $@

$(BUILD)/sluice.bash: $(SLUICE)
	$(Q)$< completion bash > $@.tmp && mv $@.tmp $@

.PHONY: install uninstall
install: programs install-library $(MAN1) $(COMPLETION) ## install programs, library, man pages, completion (DESTDIR, PREFIX)
	install -d $(bindir) $(mandir)/man1 $(completiondir)
	install -m 755 $(INSTALLED) $(bindir)
	install -m 644 $(MAN1) $(mandir)/man1
	$(if $(COMPLETION),install -m 644 $(COMPLETION) $(completiondir)/sluice)
	$(if $(MANUALS),install -d $(mandir)/man3 $(mandir)/man5 $(mandir)/man7)
	$(if $(MANUALS),for page in $(MANUALS); do install -m 644 $$page $(mandir)/man$${page##*.}; done)

uninstall: uninstall-library ## remove what install put there
	rm -f $(foreach p,$(notdir $(INSTALLED)),$(bindir)/$(p) $(mandir)/man1/$(p).1) \
		$(completiondir)/sluice $(foreach p,$(MANUALS),$(mandir)/man$(subst .,,$(suffix $(p)))/$(notdir $(p)))

VERSION := $(shell sed -n 's/^\#define SLUICE_VERSION "\(.*\)"/\1/p' cli/version.h 2>/dev/null)
DIST := sluice-$(VERSION)
.PHONY: dist clean help
dist: ## make sluice-VERSION.tar.gz of the tree
	@{ git ls-files --cached --others --exclude-standard 2>/dev/null || \
		find . -type f ! -path './build/*' ! -path './.git/*' ! -name '$(DIST).tar.gz'; } | \
		LC_ALL=C sort | tar -czf $(DIST).tar.gz --owner=0 --group=0 --numeric-owner \
		--mtime=@$${SOURCE_DATE_EPOCH:-0} --transform 's,^\(\./\)*,$(DIST)/,' -T -
	@echo $(DIST).tar.gz

clean: ## remove everything that was built
	rm -rf build $(if $(filter build/%,$(BUILD)),,$(BUILD)) sluice-*.tar.gz

help: ## this list
	@echo 'Targets (settings: see the top of the Makefile):'
	@cat Makefile */rules.mk */*/rules.mk 2>/dev/null | \
		sed -n 's/^\([a-z][a-z0-9/.-]*\):.*## \(.*\)/\1\t\2/p' | \
		awk -F'\t' '{ printf "  %-14s %s\n", $$1, $$2 }'
