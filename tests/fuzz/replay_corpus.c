/* SPDX-License-Identifier: MIT */
/*
 * replay_corpus.c - the main of a fuzz target without a fuzzer: gives it files, and inputs made up
 * from a number. What is wrong aborts, and the last line says which input it was.
 *
 *	replay_NAME [--random N SEED] [--write DIR] FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <sys/resource.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64u * 1024u)
#define RANDOM_MAX 512u
#define SECONDS_MAX 100u /* of processor time: nothing here may run for ever */

static uint8_t input[INPUT_MAX];

static int give(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* a read beyond it is seen */

	if (!copy)
		return 1;
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}

static int give_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	printf("%s\n", path);
	return give(input, size);
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static int keep(const char *dir, uint64_t seed, size_t size)
{
	char path[512];
	FILE *file;

	if (!dir)
		return 0;
	snprintf(path, sizeof(path), "%s/seed-%llu", dir, (unsigned long long)seed);
	file = fopen(path, "wb");
	if (!file || fwrite(input, 1, size, file) != size || fclose(file)) {
		perror(path);
		return 1;
	}
	return 0;
}

/* The first byte chooses a mode in most targets; small numbers are common in all of them. */
static int give_random(uint64_t n, uint64_t seed, const char *dir)
{
	int ret = 0;

	for (uint64_t i = 0; !ret && i < n; i++) {
		uint64_t state = seed + i;
		size_t size = next_random(&state) % (i % 4 ? 48 : RANDOM_MAX);

		for (size_t at = 0; at < size; at++) {
			uint64_t random = next_random(&state);

			input[at] = (uint8_t)(random & 256 ? random : random & 7);
		}
		printf("--random 1 %llu\n", (unsigned long long)(seed + i));
		ret = keep(dir, seed + i, size);
		if (!ret)
			ret = give(input, size);
	}
	return ret;
}

int main(int argc, char **argv)
{
	const struct rlimit limit = {SECONDS_MAX, SECONDS_MAX + 1};
	const char *dir = NULL;
	int ret = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setrlimit(RLIMIT_CPU, &limit);
	for (int i = 1; !ret && i < argc; i++) {
		if (!strcmp(argv[i], "--write") && i + 1 < argc) {
			dir = argv[++i];
		} else if (!strcmp(argv[i], "--random") && i + 2 < argc) {
			ret = give_random(strtoull(argv[i + 1], NULL, 0),
					  strtoull(argv[i + 2], NULL, 0), dir);
			i += 2;
		} else {
			ret = give_file(argv[i]);
		}
	}
	return ret;
}
