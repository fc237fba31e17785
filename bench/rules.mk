# SPDX-License-Identifier: MIT
# sluice-bench: measures this machine, and Sluice beside it.
$(eval $(call archive,bench,bench))
$(eval $(call program,sluice-bench,$(wildcard bench/main.c)))

# Drivers of other libraries' queues: a shared object each, where the library is there. sluice-bench
# opens those it finds beside its build and names the missing ones; none is installed.
ifndef LIGHT
CXX ?= g++
PEER_CFLAGS := -O2 -g -fPIC -I. -Wall -Wextra -fvisibility=hidden
DPDK_CFLAGS := $(shell pkg-config --cflags libdpdk 2>/dev/null)
PEERS := $(if $(wildcard /usr/include/ck_ring.h /usr/local/include/ck_ring.h),ck_ring) \
	 $(if $(DPDK_CFLAGS),rte_ring) \
	 $(if $(wildcard /usr/include/boost/lockfree/spsc_queue.hpp),$(if $(shell \
		command -v $(CXX) 2>/dev/null),boost))
PEER_OBJECTS := $(PEERS:%=$(BUILD)/bench/peers/%.so)

$(BUILD)/bench/peers/ck_ring.so: bench/peers/ck_ring.c
$(BUILD)/bench/peers/rte_ring.so: bench/peers/rte_ring.c
$(BUILD)/bench/peers/boost.so: bench/peers/boost.cc
$(BUILD)/bench/peers/rte_ring.so: PEER_FLAGS = $(DPDK_CFLAGS)
$(BUILD)/bench/peers/rte_ring.so: PEER_LIBS = -lrte_ring -lrte_eal
$(BUILD)/bench/peers/boost.so: PEER_COMPILER = $(CXX) -std=gnu++17
$(PEER_OBJECTS): PEER_COMPILER ?= $(CC) -std=gnu17 -D_GNU_SOURCE
$(PEER_OBJECTS): bench/peer.h bench/event.h
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(PEER_COMPILER) $(PEER_CFLAGS) $(PEER_FLAGS) -shared -o $@ $(filter %.c %.cc,$^) $(PEER_LIBS)
endif

.PHONY: bench-peers bench-ring bench-wal
bench-peers: $(PEER_OBJECTS)
bench-ring: programs bench-peers ## throughput of rings beside queues of other libraries
	@$(BUILD)/bin/sluice-bench ring
bench-wal: programs ## what durability costs, beside fio
	@$(BUILD)/bin/sluice-bench wal

# Their smoke test runs against all that are there.
test-programs: bench-peers
