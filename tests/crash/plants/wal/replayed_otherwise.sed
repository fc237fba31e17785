# Reports that a start publishes for its predecessor say another durability.
# file: engine/collect.c
s/sink->report_flags = engine_report_flags(engine);/sink->report_flags = SLUICE_REPORT_ASYNC;/
