/* SPDX-License-Identifier: MIT */
/*
 * fake_sysroot.h - a small /sys and /proc in a temporary directory, with a log directory beside
 * them, for the tests of interrupt.c and placement.c. Failing to make it fails the test.
 */
#ifndef SLUICE_TESTS_FAKE_SYSROOT_H
#define SLUICE_TESTS_FAKE_SYSROOT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct fake_sysroot {
	char root[256];
	char log[300];
	char device[64]; /* MAJOR:MINOR of the log directory */
};

static inline void fake_path(const struct fake_sysroot *fake, const char *path, char *ret_path)
{
	snprintf(ret_path, PATH_MAX, "%s/%s", fake->root, path);
	for (char *slash = ret_path + strlen(fake->root) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = '\0';
		mkdir(ret_path, 0755);
		*slash = '/';
	}
}

static inline void fake_file(const struct fake_sysroot *fake, const char *path, const char *text)
{
	char full[PATH_MAX];

	fake_path(fake, path, full);

	FILE *file = fopen(full, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline void fake_link(const struct fake_sysroot *fake, const char *path, const char *target)
{
	char full[PATH_MAX];

	fake_path(fake, path, full);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

/* The block device of the log directory, as a path below sys/devices. */
static inline void fake_log_device(const struct fake_sysroot *fake, const char *devices_path)
{
	char link[128];
	char target[PATH_MAX];

	snprintf(link, sizeof(link), "sys/dev/block/%s", fake->device);
	snprintf(target, sizeof(target), "../../devices/%s", devices_path);
	fake_link(fake, link, target);
}

static inline int fake_setup(void **state)
{
	struct fake_sysroot *fake = calloc(1, sizeof(*fake));
	struct stat status;

	snprintf(fake->root, sizeof(fake->root), "%s/sluice-sysroot.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(fake->root))
		return -1;
	snprintf(fake->log, sizeof(fake->log), "%s/log", fake->root);
	if (mkdir(fake->log, 0755) || stat(fake->log, &status))
		return -1;
	snprintf(fake->device, sizeof(fake->device), "%u:%u", major(status.st_dev),
		 minor(status.st_dev));
	setenv("SLUICE_SYSROOT", fake->root, 1);
	*state = fake;
	return 0;
}

static inline int fake_remove(const char *path, const struct stat *status, int type,
			      struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline int fake_teardown(void **state)
{
	struct fake_sysroot *fake = *state;
	const int error = nftw(fake->root, fake_remove, 16, FTW_DEPTH | FTW_PHYS);

	unsetenv("SLUICE_SYSROOT");
	unsetenv("HWLOC_SYNTHETIC");
	free(fake);
	return error;
}

#define FAKE_CASE(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

/* A virtio disk as one partition of vda; its interrupts are 35 and 36. */
static inline void fake_virtio(const struct fake_sysroot *fake, const char *interrupts)
{
	fake_file(fake, "sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/vda1/partition",
		  "1\n");
	fake_file(fake, "sys/devices/pci0000:00/0000:00:02.0/msi_irqs/35", "msix\n");
	fake_file(fake, "sys/devices/pci0000:00/0000:00:02.0/msi_irqs/36", "msix\n");
	fake_log_device(fake, "pci0000:00/0000:00:02.0/virtio1/block/vda/vda1");
	fake_file(fake, "proc/interrupts", interrupts);
}

#define FAKE_VIRTIO_INTERRUPTS                                                                     \
	"           CPU0       CPU1       CPU2       CPU3       \n"                                \
	" 26:       5000          0          0          0  IO-APIC   4-edge      ttyS0\n"          \
	" 35:         99          0          0          0  PCI-MSIX-0000:00:02.0   0-edge      "   \
	"virtio1-config\n"                                                                         \
	" 36:         10          0         70          0  PCI-MSIX-0000:00:02.0   1-edge      "   \
	"virtio1-req.0\n"                                                                          \
	" 37:          0          0          0       9000  PCI-MSIX-0000:00:03.0   1-edge      "   \
	"virtio10-input.0\n"                                                                       \
	"NMI:       9999          0          0          0   Non-maskable interrupts\n"

#endif
