# Reports count as taken when they are published.
# file: engine/publish.c
/^static void tell_gate(/,/^}/s/engine->options.reports == ENGINE_REPORTS_KEEP/false/
/^void engine_tell_taken(/,/^}/s/engine->options.reports == ENGINE_REPORTS_KEEP/false/
