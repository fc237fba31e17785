# After a reboot nothing is published again.
# file: engine/recover.c
s/collector.keep_from = position.reports_taken;/collector.keep_from = UINT64_MAX;/
s/collector.keep_from = position.start_report;/collector.keep_from = UINT64_MAX;/
