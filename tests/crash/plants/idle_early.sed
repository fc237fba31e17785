# A producer that clears its record before it has published.
# file: producer/producer.h
# run: ring_points
# run: ring_crash --slots 64 --nap 50
/^static inline void sluice_producer_publish_range(/,/^}/s/^\t\tSLUICE_FAILPOINT(P5);/\t\tatomic_store_explicit(\&producer->self->claim_record, SLUICE_CLAIM_IDLE, memory_order_release);\n&/
