# A start publishes what the predecessor had shown already.
# file: engine/collect.c
/^static void collect_report(/,/^}/s/(int64_t)(sequence - engine->out.published) >= 0)/(int64_t)(sequence - engine->out.published) >= -1)/
