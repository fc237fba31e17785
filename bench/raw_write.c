/* SPDX-License-Identifier: MIT */
/* raw_write.c - see raw_write.h. */
#include "bench/raw_write.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/fio.h"
#include "bench/pace.h"

#define CHUNK_BYTES (1024 * 1024)

int bench_raw_prepare(const char *path, struct sluice_diag *diag)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *zeros = aligned_alloc(4096, CHUNK_BYTES);
	ssize_t written = -1;
	int error = 0;

	if (fd < 0 || !zeros)
		goto out;
	memset(zeros, 0, CHUNK_BYTES);
	for (off_t at = 0; at < BENCH_RAW_FILE_BYTES; at += CHUNK_BYTES) {
		written = pwrite(fd, zeros, CHUNK_BYTES, at);
		if (written != CHUNK_BYTES)
			goto out;
	}
	written = fsync(fd) ? -1 : CHUNK_BYTES;
out:
	if (written != CHUNK_BYTES)
		error = errno ? errno : EIO;
	free(zeros);
	if (fd >= 0)
		close(fd);
	return error ? sluice_diag_set(diag, error, "%s: %s", path, strerror(error)) : 0;
}

/* One write, waited for as the engine does it: giving the CPU away, never letting it go idle. */
static int write_one(struct io_uring *ring, int fd, const void *block, off_t at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int rc;

	io_uring_prep_write(sqe, fd, block, BENCH_RAW_BYTES, (uint64_t)at);
	sqe->rw_flags = RWF_DSYNC;
	rc = io_uring_submit(ring);
	if (rc != 1)
		return rc < 0 ? rc : -EIO;
	while (io_uring_peek_cqe(ring, &cqe))
		sched_yield();
	rc = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return rc == (int)BENCH_RAW_BYTES ? 0 : rc < 0 ? rc : -EIO;
}

static int loop(struct bench_raw *raw, struct io_uring *ring, int fd, const void *block)
{
	const uint64_t gap_ns = 1000000000u / raw->rate;
	uint64_t intended_ns = sluice_clock_ns() + gap_ns;
	const uint64_t end_ns = intended_ns + raw->run_ns + BENCH_RAW_WARM_UP * gap_ns;
	int rc;

	for (uint64_t n = 0; intended_ns < end_ns; n++, intended_ns += gap_ns) {
		const off_t at = (off_t)(n * BENCH_RAW_BYTES % BENCH_RAW_FILE_BYTES);

		bench_pace(intended_ns);
		const uint64_t called_ns = sluice_clock_ns();

		rc = write_one(ring, fd, block, at);
		if (rc)
			return rc;
		if (n < BENCH_RAW_WARM_UP)
			continue;
		const uint64_t now_ns = sluice_clock_ns();

		bench_sample(&raw->samples, now_ns - intended_ns);
		bench_sample(&raw->service, now_ns - called_ns);
	}
	return 0;
}

int bench_raw_run(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_raw *raw = arg;
	const int fd = open(raw->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	void *block = aligned_alloc(4096, BENCH_RAW_BYTES);
	struct io_uring ring;
	int rc;

	if (fd < 0 || !block)
		return errno ? -errno : -ENOMEM;
	memset(block, 0x5a, BENCH_RAW_BYTES);
	rc = io_uring_queue_init(4, &ring, 0);
	if (rc)
		return rc;
	bench_shared_touch(raw, sizeof(*raw));
	rc = bench_pair_start(pair, side);
	if (!rc)
		rc = loop(raw, &ring, fd, block);
	bench_pair_stop(pair, side);
	io_uring_queue_exit(&ring);
	free(block);
	close(fd);
	return rc;
}

int bench_raw_fio(const struct bench_raw *raw, uint32_t cpu, double *ret_p50_ns, double *ret_p99_ns)
{
	struct bench_fio fio = {
		.path = raw->path,
		.cpu = cpu,
		.run_ns = raw->run_ns / 2,
		.rate = raw->rate,
	};
	int rc = bench_fio_run(&fio);

	if (!rc) {
		*ret_p50_ns = fio.p50_ns;
		*ret_p99_ns = fio.p99_ns;
	}
	return rc;
}
