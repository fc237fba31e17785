/* SPDX-License-Identifier: MIT */
/*
 * jsonl.h - cuts JSON lines into rows of the command text's columns: one flat object per line.
 *
 * Values are strings or numbers, for post_only also true and false; null and "" mean that the
 * column is empty. A number's text is kept as it stands: no detour through floating point, so
 * decimals stay exact and integers may use all of 64 bits. That is also why this is a scanner of
 * its own and no general JSON library. Strings are unescaped in place; rows point into the line.
 *
 * One thread. Nothing is allocated, nothing blocks. Input is untrusted.
 */
#ifndef SLUICE_PRODUCER_JSONL_H
#define SLUICE_PRODUCER_JSONL_H

#include "producer/command_text.h"

/* -EBADMSG: not such an object, or a key that is unknown or comes twice; diag says where. */
int sluice_jsonl_row(char *text, size_t bytes, uint64_t line, struct sluice_row *ret_row,
		     struct sluice_diag *diag);

#endif
