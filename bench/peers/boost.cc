/* SPDX-License-Identifier: MIT */
/*
 * boost.cc - the two queues of Boost.Lockfree with their storage inline, as shared memory needs it:
 * spsc_queue, pushed in batches and consumed in bulk, and queue, which takes several producers and
 * one event at a time, at most 65,534 of them. See peer.h for who calls.
 */
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

#include "bench/peer.h"

namespace
{
const uint32_t batch_max = 64;

template <uint32_t words> struct event {
	uint64_t word[words];
};

template <uint32_t words, size_t slots> struct spsc {
	using queue = boost::lockfree::spsc_queue<event<words>, boost::lockfree::capacity<slots>>;

	static int init(const bench_peer_run *run)
	{
		new (run->memory) queue;
		return 0;
	}

	static uint64_t produce(bench_peer_run *run)
	{
		queue *q = static_cast<queue *>(run->memory);
		uint64_t sent = 0, looked = 0;
		event<words> events[batch_max];

		if (!run->more(run))
			return 0;
		for (;; sent += run->batch) {
			if (sent - looked >= BENCH_PEER_CLOCK_EVERY) {
				looked = sent;
				if (!run->more(run))
					return sent;
			}
			for (uint32_t i = 0; i < run->batch; i++)
				bench_peer_fill(run, events[i].word, words, sent + i);
			for (size_t done = 0; done < run->batch;) {
				const size_t n = q->push(events + done, run->batch - done);

				done += n;
				if (!n)
					run->full(run);
			}
		}
	}

	static void consume(bench_peer_run *run, bench_expect *expect)
	{
		queue *q = static_cast<queue *>(run->memory);

		for (;;) {
			const size_t n = q->consume_all([=](const event<words> &e) {
				bench_event_check(expect, e.word, words, false);
			});

			bench_peer_took(run, n);
			if (!n && !run->idle(run))
				return;
		}
	}
};

template <uint32_t words, size_t slots> struct mpmc {
	using queue = boost::lockfree::queue<event<words>, boost::lockfree::capacity<slots>>;

	static int init(const bench_peer_run *run)
	{
		new (run->memory) queue;
		return 0;
	}

	static uint64_t produce(bench_peer_run *run)
	{
		queue *q = static_cast<queue *>(run->memory);
		event<words> one;

		for (uint64_t sent = 0;; sent++) {
			if (sent % BENCH_PEER_CLOCK_EVERY == 0 && !run->more(run))
				return sent;
			bench_peer_fill(run, one.word, words, sent);
			while (!q->bounded_push(one))
				run->full(run);
		}
	}

	static void consume(bench_peer_run *run, bench_expect *expect)
	{
		queue *q = static_cast<queue *>(run->memory);
		event<words> one;

		for (;;) {
			if (!q->pop(one)) {
				bench_peer_took(run, 0);
				if (!run->idle(run))
					return;
				continue;
			}
			bench_event_check(expect, one.word, words, true);
			bench_peer_took(run, 1);
		}
	}
};

/* One instance of every size that the bench has; a queue's capacity is part of its type. */
struct entry {
	uint32_t bytes;
	uint64_t slots;
	uint64_t memory;
	int (*init)(const bench_peer_run *run);
	uint64_t (*produce)(bench_peer_run *run);
	void (*consume)(bench_peer_run *run, bench_expect *expect);
};

template <template <uint32_t, size_t> class kind, uint32_t words, size_t slots>
constexpr entry entry_of()
{
	using type = kind<words, slots>;

	return {words * 8,  slots,	   sizeof(typename type::queue),
		type::init, type::produce, type::consume};
}

const entry spsc_entries[] = {
	entry_of<spsc, 1, 1024>(),  entry_of<spsc, 1, 8192>(),	entry_of<spsc, 1, 65536>(),
	entry_of<spsc, 3, 1024>(),  entry_of<spsc, 3, 8192>(),	entry_of<spsc, 3, 65536>(),
	entry_of<spsc, 4, 1024>(),  entry_of<spsc, 4, 8192>(),	entry_of<spsc, 4, 65536>(),
	entry_of<spsc, 8, 1024>(),  entry_of<spsc, 8, 8192>(),	entry_of<spsc, 8, 65536>(),
	entry_of<spsc, 16, 1024>(), entry_of<spsc, 16, 8192>(), entry_of<spsc, 16, 65536>(),
};

const entry queue_entries[] = {
	entry_of<mpmc, 1, 1024>(),  entry_of<mpmc, 1, 8192>(), entry_of<mpmc, 3, 1024>(),
	entry_of<mpmc, 3, 8192>(),  entry_of<mpmc, 4, 1024>(), entry_of<mpmc, 4, 8192>(),
	entry_of<mpmc, 8, 1024>(),  entry_of<mpmc, 8, 8192>(), entry_of<mpmc, 16, 1024>(),
	entry_of<mpmc, 16, 8192>(),
};

const entry *find(const bench_peer_run *run)
{
	if (run->many) {
		for (const entry &e : queue_entries)
			if (e.bytes == run->bytes && e.slots == run->slots)
				return &e;
		return nullptr;
	}
	for (const entry &e : spsc_entries)
		if (e.bytes == run->bytes && e.slots == run->slots && run->batch <= batch_max)
			return &e;
	return nullptr;
}

uint64_t bytes_of(const bench_peer_run *run)
{
	const entry *e = find(run);

	return e ? e->memory : 0;
}

int init(const bench_peer_run *run)
{
	return find(run)->init(run);
}

uint64_t produce(bench_peer_run *run)
{
	return find(run)->produce(run);
}

void consume(bench_peer_run *run, bench_expect *expect)
{
	find(run)->consume(run, expect);
}

const bench_peer single = {
	"boost spsc_queue", "consumed in bulk", true, false, bytes_of, init, produce, consume};
const bench_peer several = {
	"boost queue", "one event at a time", false, true, bytes_of, init, produce, consume};
} // namespace

const bench_peer *const *sluice_bench_peer(void)
{
	static const bench_peer *const peers[] = {&single, &several, nullptr};

	return peers;
}
