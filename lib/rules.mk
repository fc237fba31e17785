# SPDX-License-Identifier: MIT
#
# libsluice.a and libsluice.so: what sluice.h declares and what that needs, compiled once more as
# position-independent code below $(BUILD)/lib. Both show the functions of sluice.map and no others.

LIB_MAJOR := 1
LIB_SO := libsluice.so.$(LIB_MAJOR).0
LIB_SONAME := libsluice.so.$(LIB_MAJOR)

# What only the programs need: text, and plans of which CPU to run on (they need hwloc).
LIB_LEFT_OUT := shm/append.c shm/event_names.c shm/interrupt.c shm/placement.c \
	consumer/event_text.c consumer/event_text_command.c consumer/main% consumer/names.c
LIB_SOURCES := $(filter-out $(LIB_LEFT_OUT),$(sort $(wildcard shm/*.c consumer/*.c \
	producer/producer*.c producer/multi*.c)))
LIB_STAMP := $(call stamp,$(BUILD)/lib.stamp,$(LIB_SOURCES))
LIB_OBJECTS := $(patsubst %.c,$(BUILD)/lib/%.o,$(LIB_SOURCES))
LIB_LIBS := -lnuma -lpthread
LIBRARY := $(BUILD)/lib/libsluice.a $(BUILD)/lib/$(LIB_SO)

.PHONY: library
library: $(LIBRARY) ## build libsluice.a and libsluice.so into build/<profile>/lib
all: library
test-programs: library

$(BUILD)/lib/%.o: %.c $(BUILD)/flags.stamp
	$(call say,PIC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC $(BANNED) -MMD -MP -c $< -o $@

# Linked into one object, so that what the files of the library share stays within it.
$(BUILD)/lib/libsluice.a: $(LIB_OBJECTS) $(BUILD)/lib.stamp sluice.map
	$(call say,AR,$@)
	$(Q)sed -n 's/^	\(sluice_[a-z0-9_]*\);$$/\1/p' sluice.map > $(@D)/public
	$(Q)$(CC) -r -nostdlib -o $(@D)/sluice.o $(LIB_OBJECTS)
	$(Q)$(OBJCOPY) --keep-global-symbols=$(@D)/public $(@D)/sluice.o
	$(Q)rm -f $@ && ar rcs $@ $(@D)/sluice.o

# A sanitizer's runtime and the crash harness's hook come with the program: only without them must
# every symbol be there.
$(BUILD)/lib/$(LIB_SO): $(LIB_OBJECTS) $(BUILD)/lib.stamp $(BUILD)/link.stamp sluice.map
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -shared -o $@.tmp $(LIB_OBJECTS) -Wl,-soname,$(LIB_SONAME) \
		-Wl,--version-script,sluice.map $(if $(LINK_$(PROFILE))$(filter crash,$(PROFILE)),,-Wl,-z,defs) -Wl,--as-needed \
		$(LIB_LIBS) && mv -f $@.tmp $@
	$(Q)ln -sf $(LIB_SO) $(@D)/$(LIB_SONAME) && ln -sf $(LIB_SONAME) $(@D)/libsluice.so

OBJCOPY ?= objcopy

# -------------------------------------------------------------------------------- installation
LIB_HEADERS = $(shell sh lib/api headers)
libdir = $(DESTDIR)$(PREFIX)/lib
includedir = $(DESTDIR)$(PREFIX)/include/sluice

.PHONY: install-library uninstall-library
install-library: library ## install only the library, its headers and sluice.pc
	install -d $(libdir)/pkgconfig
	install -m 644 $(BUILD)/lib/libsluice.a $(libdir)
	install -m 755 $(BUILD)/lib/$(LIB_SO) $(libdir)
	ln -sf $(LIB_SO) $(libdir)/$(LIB_SONAME)
	ln -sf $(LIB_SONAME) $(libdir)/libsluice.so
	sh lib/api install $(includedir)
	sed 's,@PREFIX@,$(PREFIX),; s,@VERSION@,$(VERSION),' sluice.pc.in > $(libdir)/pkgconfig/sluice.pc
	chmod 644 $(libdir)/pkgconfig/sluice.pc

uninstall-library:
	rm -f $(addprefix $(libdir)/,libsluice.a $(LIB_SO) $(LIB_SONAME) libsluice.so pkgconfig/sluice.pc) \
		$(addprefix $(includedir)/,$(LIB_HEADERS))
	-rmdir $(includedir)/*/ $(includedir) 2>/dev/null
