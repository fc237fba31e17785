/* SPDX-License-Identifier: MIT */
/*
 * text_writer.h - writes the pairs of one event in either style. Keys are literals and values are
 * words, numbers or checked names, so nothing needs escaping and the longest text is known.
 */
#ifndef SLUICE_CONSUMER_TEXT_WRITER_H
#define SLUICE_CONSUMER_TEXT_WRITER_H

#include <string.h>

#include "consumer/event_text.h"
#include "shm/append.h"

struct text_writer {
	char *begin;
	char *at;
	bool json;
	bool first;
};

static inline void writer_begin(struct text_writer *w, char *buffer, size_t size,
				enum sluice_event_style style)
{
	sluice_assert(size >= SLUICE_EVENT_TEXT_MAX);
	w->begin = w->at = buffer;
	w->json = style == SLUICE_EVENT_JSON;
	w->first = true;
	if (w->json)
		*w->at++ = '{';
}

static inline size_t writer_end(struct text_writer *w)
{
	if (w->json)
		*w->at++ = '}';
	*w->at++ = '\n';
	*w->at = '\0';
	sluice_assert((size_t)(w->at - w->begin) < SLUICE_EVENT_TEXT_MAX);
	return (size_t)(w->at - w->begin);
}

/* "key": or key= with what goes before it; the key is a literal, so its length is a constant. */
static inline __attribute__((always_inline)) void put_key(struct text_writer *w, const char *key)
{
	if (w->json) {
		if (!w->first)
			*w->at++ = ',';
		*w->at++ = '"';
		w->at = sluice_append_text(w->at, key);
		w->at = sluice_append_literal(w->at, "\":");
	} else {
		if (!w->first)
			*w->at++ = ' ';
		w->at = sluice_append_text(w->at, key);
		*w->at++ = '=';
	}
	w->first = false;
}

static inline __attribute__((always_inline)) void put_u64(struct text_writer *w, const char *key,
							  uint64_t value)
{
	put_key(w, key);
	w->at = sluice_append_u64(w->at, value);
}

static inline __attribute__((always_inline)) void
put_decimal(struct text_writer *w, const char *key, int64_t value, uint32_t decimals)
{
	put_key(w, key);
	w->at = sluice_append_decimal(w->at, value, decimals);
}

static inline void put_quote(struct text_writer *w)
{
	if (w->json)
		*w->at++ = '"';
}

static inline __attribute__((always_inline)) void put_word(struct text_writer *w, const char *key,
							   const char *word)
{
	put_key(w, key);
	put_quote(w);
	w->at = sluice_append_text(w->at, word);
	put_quote(w);
}

/* A name, or #id when there is none. */
static inline __attribute__((always_inline)) void
put_name(struct text_writer *w, const char *key, const struct sluice_name *name, uint32_t id)
{
	put_key(w, key);
	put_quote(w);
	if (name) {
		w->at = sluice_append_bytes(w->at, name->name, name->bytes);
	} else {
		*w->at++ = '#';
		w->at = sluice_append_u64(w->at, id);
	}
	put_quote(w);
}

#endif
