# Reports count as taken when they are published.
# file: engine/publish.c
/^void engine_tell_taken(/,/^}/s/taken = sluice_gate_min(&engine->out.ring, taken, &error);/(void)sluice_gate_min;/
/^static void tell_gate(/,/^}/s/engine->options.reports == ENGINE_REPORTS_KEEP ? out->gate :/0 ? out->gate :/
