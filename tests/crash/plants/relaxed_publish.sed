# A producer that publishes without release: on a machine that keeps stores in order nobody notices,
# but for ThreadSanitizer.
# file: producer/producer.h
# tsan: ring_threads
/sync: publish:stamp -> ring:stamp/,/memory_order_release/s/memory_order_release/memory_order_relaxed/
