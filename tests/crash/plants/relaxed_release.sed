# A consumer that gives its slots back without release: they may be written while it still reads.
# file: consumer/consumer.h
# tsan: ring_threads
/sync: release:position -> gate:position/,/memory_order_release/s/memory_order_release/memory_order_relaxed/
