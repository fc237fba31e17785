/* SPDX-License-Identifier: MIT */
/* fio.c - see fio.h. */
#include "bench/fio.h"

#include <errno.h>
#include <stdio.h>

#include "bench/raw_write.h"

#ifdef SLUICE_WITH_JANSSON
#include <jansson.h>

#define COMMAND_BYTES 8192

/* jobs[0].write, or NULL. */
static const json_t *write_of(const json_t *root)
{
	return json_object_get(json_array_get(json_object_get(root, "jobs"), 0), "write");
}

/* write.lat_ns.percentile["50.000000"], or -1. */
static double percentile(const json_t *write, const char *key)
{
	const json_t *lat = json_object_get(write, "lat_ns");
	const json_t *value = json_object_get(json_object_get(lat, "percentile"), key);

	return json_is_number(value) ? json_number_value(value) : -1;
}

int bench_fio_run(struct bench_fio *fio)
{
	char command[COMMAND_BYTES];
	const json_t *write;
	json_t *root;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "fio --name=raw --filename='%s' --size=%u --overwrite=1 --direct=1 --sync=dsync "
		 "--rw=write %s%s --iodepth=1 --ioengine=io_uring --fixedbufs --registerfiles "
		 "--rate_iops=%llu --cpus_allowed=%u --time_based --runtime=%llums "
		 "--lat_percentiles=1 --percentile_list=50:99 --output-format=json 2>/dev/null",
		 fio->path, BENCH_RAW_FILE_BYTES,
		 fio->split ? "--bssplit=" : "--bs=", fio->split ? fio->split : "4k",
		 (unsigned long long)fio->rate, fio->cpu,
		 (unsigned long long)(fio->run_ns / 1000000));
	pipe = popen(command, "re");
	if (!pipe)
		return -ENOENT;
	root = json_loadf(pipe, JSON_DISABLE_EOF_CHECK, NULL);
	write = write_of(root);
	fio->p50_ns = percentile(write, "50.000000");
	fio->p99_ns = percentile(write, "99.000000");
	fio->writes = json_number_value(json_object_get(write, "total_ios"));
	json_decref(root);
	return pclose(pipe) || fio->p50_ns <= 0 ? -ENOENT : 0;
}
#else
int bench_fio_run(struct bench_fio *fio)
{
	(void)fio;
	return -ENOTSUP;
}
#endif
