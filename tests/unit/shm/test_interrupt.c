/* SPDX-License-Identifier: MIT */
/* test_interrupt.c - from a directory to the CPU of its disk's interrupts, in a made-up /sys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/interrupt.h"
#include "tests/unit/shm/fake_sysroot.h"

static void expect(const char *log_dir, int32_t cpu, const char *device, const char *reason)
{
	struct sluice_interrupt found;

	memset(&found, 0xa5, sizeof(found));
	sluice_interrupt_find(log_dir, &found);
	assert_string_equal(found.reason, reason);
	assert_int_equal(found.cpu, cpu);
	assert_string_equal(found.device, device);
}

static void test_interrupt__virtio_by_number(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);
	expect(fake->log, 2, "vda", "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0)");
}

static void test_interrupt__a_log_still_to_be_made_is_on_its_parents_disk(void **state)
{
	struct fake_sysroot *fake = *state;
	char path[400];

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);
	snprintf(path, sizeof(path), "%s/not/yet/there", fake->log);
	expect(path, 2, "vda", "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0)");
}

static void test_interrupt__the_configuration_line_counts_if_it_is_the_only_one(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, "  CPU0 CPU1\n 35: 0 3 PCI-MSIX 0-edge virtio1-config\n");
	expect(fake->log, 1, "vda", "cpu1 took 3 of 3 interrupts of vda (virtio1-config)");
}

static void test_interrupt__offline_cpus_have_no_column(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, "  CPU0 CPU5 CPU11\n 36: 1 2 30 PCI-MSIX 1-edge virtio1-req.0\n");
	expect(fake->log, 11, "vda", "cpu11 took 30 of 33 interrupts of vda (virtio1-req.0)");
}

static void test_interrupt__without_interrupts_yet_the_affinity_decides(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, "  CPU0 CPU1\n 36: 0 0 PCI-MSIX 1-edge virtio1-req.0\n");
	expect(fake->log, -1, "vda",
	       "interrupt CPU unknown: vda (virtio1-req.0) has had no interrupt yet");
	fake_file(fake, "proc/irq/36/effective_affinity_list", "1-3\n");
	expect(fake->log, 1, "vda",
	       "interrupts of vda (virtio1-req.0) are routed to cpu1, none has come yet");
}

static void test_interrupt__a_moved_interrupt_is_followed(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);
	fake_file(fake, "proc/irq/36/effective_affinity_list", "0,1-3\n");
	expect(fake->log, 2, "vda", "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0)");
	fake_file(fake, "proc/irq/36/effective_affinity_list", "3\n");
	expect(fake->log, 3, "vda", "interrupts of vda (virtio1-req.0) are routed to cpu3 now");
	fake_file(fake, "proc/irq/36/effective_affinity_list", "\n");
	expect(fake->log, 2, "vda", "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0)");
}

#define NVME "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1"
#define NVME_INTERRUPTS                                                                            \
	"  CPU0 CPU1 CPU2 CPU3\n"                                                                  \
	" 40: 900 0 0 0 PCI-MSI 0-edge nvme0q0\n"                                                  \
	" 41: 100 0 0 0 PCI-MSI 1-edge nvme0q1\n"                                                  \
	" 42: 0 120 0 0 PCI-MSI 2-edge nvme0q2\n"                                                  \
	" 43: 0 0 70 0 PCI-MSI 3-edge nvme0q3\n"                                                   \
	" 44: 0 0 70 5 PCI-MSI 4-edge nvme0q10\n"                                                  \
	" 45: 0 0 0 9000 PCI-MSI 4-edge nvme1q1\n"

static void test_interrupt__nvme_queues_are_added_up(void **state)
{
	struct fake_sysroot *fake = *state;
	struct sluice_interrupt found;

	fake_file(fake, "sys/devices/" NVME "/size", "1\n");
	for (int number = 40; number <= 44; number++) {
		char path[128];

		snprintf(path, sizeof(path),
			 "sys/devices/pci0000:00/0000:00:1d.0/0000:01:00.0/msi_irqs/%d", number);
		fake_file(fake, path, "msix\n");
	}
	/* the bridge above has interrupts of its own */
	fake_file(fake, "sys/devices/pci0000:00/0000:00:1d.0/msi_irqs/45", "msi\n");
	fake_log_device(fake, NVME);
	fake_file(fake, "proc/interrupts", NVME_INTERRUPTS);
	expect(fake->log, 2, "nvme0n1",
	       "cpu2 took 140 of 365 interrupts of nvme0n1 (nvme0q2); it has a queue per CPU");
	sluice_interrupt_find(fake->log, &found);
	assert_true(found.per_cpu);
}

static void test_interrupt__nvme_multipath_by_name(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_file(fake, "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/size", "1\n");
	fake_log_device(fake, "virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
	fake_file(fake, "proc/interrupts",
		  "  CPU0 CPU1 CPU2\n"
		  " 41: 1 0 9 PCI-MSI 1-edge nvme0q1\n"
		  " 45: 0 9000 0 PCI-MSI 4-edge nvme01q1\n"
		  " 46: 0 9000 0 PCI-MSI 4-edge xnvme0q1\n");
	expect(fake->log, 2, "nvme0n1", "cpu2 took 9 of 10 interrupts of nvme0n1 (nvme0q1)");
}

static void test_interrupt__virtio_mmio_by_name(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_file(fake, "sys/devices/platform/a0000000.virtio_mmio/virtio1/block/vda/size", "1\n");
	fake_log_device(fake, "platform/a0000000.virtio_mmio/virtio1/block/vda");
	fake_file(fake, "proc/interrupts",
		  "  CPU0 CPU1\n"
		  " 12: 0 7777 GICv3 48 Edge virtio11\n"
		  " 13: 8 1 GICv3 49 Edge virtio1\n");
	expect(fake->log, 0, "vda", "cpu0 took 8 of 9 interrupts of vda (virtio1)");
}

static void test_interrupt__ahci_by_its_legacy_number(void **state)
{
	struct fake_sysroot *fake = *state;
	const char *disk = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda";

	fake_file(
		fake,
		"sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/size",
		"1\n");
	fake_file(fake, "sys/devices/pci0000:00/0000:00:1f.2/irq", "19\n");
	fake_log_device(fake, disk);
	fake_file(fake, "proc/interrupts",
		  "  CPU0 CPU1\n 19: 4 6 IO-APIC 19-fasteoi ahci[0000:00:1f.2]\n");
	expect(fake->log, 1, "sda", "cpu1 took 6 of 10 interrupts of sda (ahci[0000:00:1f.2])");
}

static void test_interrupt__an_array_is_all_its_disks(void **state)
{
	struct fake_sysroot *fake = *state;

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);
	fake_file(fake, "sys/devices/pci0000:00/0000:00:03.0/virtio10/block/vdb/size", "1\n");
	fake_file(fake, "sys/devices/pci0000:00/0000:00:03.0/msi_irqs/37", "msix\n");
	fake_file(fake, "sys/devices/virtual/block/dm-0/size", "1\n");
	fake_link(fake, "sys/devices/virtual/block/dm-0/slaves/vda1",
		  "../../../../pci0000:00/0000:00:02.0/virtio1/block/vda/vda1");
	fake_link(fake, "sys/devices/virtual/block/dm-0/slaves/vdb",
		  "../../../../pci0000:00/0000:00:03.0/virtio10/block/vdb");
	fake_log_device(fake, "virtual/block/dm-0");

	struct sluice_interrupt found;

	sluice_interrupt_find(fake->log, &found);
	assert_int_equal(found.cpu, 3);
	assert_non_null(strstr(found.reason, "cpu3 took 9000 of 9080 interrupts of vd"));
}

static void test_interrupt__a_loop_of_devices_ends(void **state)
{
	struct fake_sysroot *fake = *state;
	char backing[400];

	snprintf(backing, sizeof(backing), "%s\n", fake->log);
	fake_file(fake, "sys/devices/virtual/block/loop0/loop/backing_file", backing);
	fake_log_device(fake, "virtual/block/loop0");
	expect(fake->log, -1, "", "interrupt CPU unknown: this filesystem is on no block device");
}

static void test_interrupt__a_filesystem_without_a_device_is_named(void **state)
{
	struct fake_sysroot *fake = *state;
	char mountinfo[512];

	snprintf(mountinfo, sizeof(mountinfo),
		 "22 1 9999:77 / / rw - ext4 /dev/none rw\n"
		 "bad line\n"
		 "23 22 %s / /mnt rw,relatime shared:1 - overlay overlay rw,lowerdir=/x\n",
		 fake->device);
	fake_file(fake, "proc/self/mountinfo", mountinfo);
	expect(fake->log, -1, "", "interrupt CPU unknown: overlay is on no block device");
}

static void test_interrupt__btrfs_is_found_by_its_mount(void **state)
{
	struct fake_sysroot *fake = *state;
	char mountinfo[512];
	char link[400];

	fake_virtio(fake, FAKE_VIRTIO_INTERRUPTS);
	snprintf(link, sizeof(link), "%s/sys/dev/block/%s", fake->root, fake->device);
	assert_int_equal(unlink(link), 0);
	fake_link(fake, "sys/class/block/sluice-test-disk",
		  "../../devices/pci0000:00/0000:00:02.0/virtio1/block/vda/vda1");
	snprintf(mountinfo, sizeof(mountinfo),
		 "23 22 %s / /mnt rw - btrfs /dev/sluice-test-disk rw\n", fake->device);
	fake_file(fake, "proc/self/mountinfo", mountinfo);
	expect(fake->log, 2, "vda", "cpu2 took 70 of 80 interrupts of vda (virtio1-req.0)");
}

static void test_interrupt__what_is_missing_is_said(void **state)
{
	struct fake_sysroot *fake = *state;
	char path[400];

	expect(NULL, -1, "", "there is no log, so no disk's interrupts matter");
	fake_virtio(fake, "  CPU0 CPU1\n 7: 1 2 IO-APIC 4-edge ttyS0\n 36\n 36: \n:\n\n");
	/* the cut line of interrupt 36 counts nothing and crashes nothing */
	expect(fake->log, -1, "vda", "interrupt CPU unknown: vda () has had no interrupt yet");
	fake_virtio(fake, "  CPU0 CPU1\n 7: 1 2 IO-APIC 4-edge ttyS0\n");
	expect(fake->log, -1, "vda", "interrupt CPU unknown: /proc/interrupts has no line for vda");
	fake_virtio(fake, "");
	expect(fake->log, -1, "vda", "interrupt CPU unknown: /proc/interrupts has no line for vda");
	snprintf(path, sizeof(path), "%s/proc/interrupts", fake->root);
	assert_int_equal(unlink(path), 0);
	expect(fake->log, -1, "vda",
	       "interrupt CPU unknown: cannot read /proc/interrupts: No such file or directory");
	snprintf(path, sizeof(path), "%s/proc/self", fake->root);
	fake_file(fake, "file", "");
	snprintf(path, sizeof(path), "%s/file/log", fake->root);

	struct sluice_interrupt found;

	sluice_interrupt_find(path, &found);
	assert_int_equal(found.cpu, -1);
	assert_non_null(strstr(found.reason, "Not a directory"));
}

static void test_interrupt__this_machine_has_some_answer(void **state)
{
	struct sluice_interrupt found;

	(void)state;
	unsetenv("SLUICE_SYSROOT");
	sluice_interrupt_find("/", &found);
	assert_true(found.cpu >= -1 && found.cpu < SLUICE_CPUS_MAX);
	assert_true(strlen(found.reason) > 0);
	print_message("%s\n", found.reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_CASE(test_interrupt__virtio_by_number),
		FAKE_CASE(test_interrupt__a_log_still_to_be_made_is_on_its_parents_disk),
		FAKE_CASE(test_interrupt__the_configuration_line_counts_if_it_is_the_only_one),
		FAKE_CASE(test_interrupt__offline_cpus_have_no_column),
		FAKE_CASE(test_interrupt__without_interrupts_yet_the_affinity_decides),
		FAKE_CASE(test_interrupt__a_moved_interrupt_is_followed),
		FAKE_CASE(test_interrupt__nvme_queues_are_added_up),
		FAKE_CASE(test_interrupt__nvme_multipath_by_name),
		FAKE_CASE(test_interrupt__virtio_mmio_by_name),
		FAKE_CASE(test_interrupt__ahci_by_its_legacy_number),
		FAKE_CASE(test_interrupt__an_array_is_all_its_disks),
		FAKE_CASE(test_interrupt__a_loop_of_devices_ends),
		FAKE_CASE(test_interrupt__a_filesystem_without_a_device_is_named),
		FAKE_CASE(test_interrupt__btrfs_is_found_by_its_mount),
		FAKE_CASE(test_interrupt__what_is_missing_is_said),
		cmocka_unit_test(test_interrupt__this_machine_has_some_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
