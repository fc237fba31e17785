/* SPDX-License-Identifier: MIT */
/*
 * banned.h - functions that nothing but tests may call: each has a bounded or thread-safe
 * replacement, named here. The build puts this file in front of every source, so a use is a
 * warning (an error with WERROR=1), and `make lint` refuses the names listed here. The prototypes
 * are those of libc, so the order of includes is free.
 */
#ifndef SLUICE_BANNED_H
#define SLUICE_BANNED_H

#define SLUICE_BANNED(instead) __attribute__((deprecated("banned: use " instead)))

char *strcpy(char *, const char *) SLUICE_BANNED("snprintf or memcpy with a checked length");
char *strcat(char *, const char *) SLUICE_BANNED("snprintf with a checked length");
char *strncpy(char *, const char *, __SIZE_TYPE__) SLUICE_BANNED("snprintf: it always terminates");
char *strncat(char *, const char *, __SIZE_TYPE__) SLUICE_BANNED("snprintf with a checked length");
int sprintf(char *, const char *, ...) SLUICE_BANNED("snprintf");
int vsprintf(char *, const char *, __builtin_va_list) SLUICE_BANNED("vsnprintf");
char *gets(char *) SLUICE_BANNED("getline");
char *strtok(char *, const char *) SLUICE_BANNED("strtok_r or strcspn");
int atoi(const char *) SLUICE_BANNED("strtol with a check of the end and the range");
long atol(const char *) SLUICE_BANNED("strtol with a check of the end and the range");
long long atoll(const char *) SLUICE_BANNED("strtoll with a check of the end and the range");
double atof(const char *) SLUICE_BANNED("strtod with a check of the end");
int rand(void) SLUICE_BANNED("a generator with a seed of its own");
char *tmpnam(char *) SLUICE_BANNED("mkstemp");
char *mktemp(char *) SLUICE_BANNED("mkstemp");

#endif
