/* SPDX-License-Identifier: MIT */
/* version.h - the version that every program prints; a release build may define it outside. */
#ifndef SLUICE_CLI_VERSION_H
#define SLUICE_CLI_VERSION_H

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.1.0"
#endif

#endif
