/* SPDX-License-Identifier: MIT */
/*
 * sys_fault.c - see sys_fault.h. The answering thread allocates nothing and takes no lock but its
 * own: a filtered call may be made under any lock of libc's.
 */
#include "tests/lib/sys_fault.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_SLACK (512u * 1024u)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

static struct {
	pthread_mutex_t lock;
	struct sys_fault faults[SYS_FAULTS_MAX];
	bool happened[SYS_FAULTS_MAX];
	uint32_t n_faults;
	uint32_t n;
	long kinds[SYS_FAULT_KINDS_MAX];
	uint32_t calls[SYS_FAULT_KINDS_MAX];
} plan = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Atomic int listener = -1;

static uint32_t count_call(long number)
{
	for (uint32_t i = 0; i < plan.n; i++)
		if (plan.kinds[i] == number)
			return ++plan.calls[i];
	return 0;
}

/* What the plan says of one more call: 0 is to let the kernel do it. */
static int decide(long number, int64_t (**ret_ask)(const uint64_t *args))
{
	int error = 0;
	uint32_t nth;

	pthread_mutex_lock(&plan.lock);
	nth = count_call(number);
	for (uint32_t i = 0; i < plan.n_faults; i++) {
		const struct sys_fault *fault = &plan.faults[i];

		if (fault->number != number ||
		    !(nth == fault->nth || (fault->ever && nth > fault->nth)))
			continue;
		error = fault->error;
		*ret_ask = fault->ask;
		plan.happened[i] = true;
	}
	pthread_mutex_unlock(&plan.lock);
	return error;
}

/* This thread has the caller's memory and descriptors: it makes the call in its place. */
static int64_t do_half(const struct seccomp_data *data)
{
	const long n = syscall(data->nr, data->args[0], data->args[1], data->args[2] / 2,
			       data->args[3]);

	return n < 0 ? -errno : n;
}

static void reply_to(const struct seccomp_notif *question, struct seccomp_notif_resp *reply)
{
	int64_t (*ask)(const uint64_t *args) = NULL;
	uint64_t args[6];
	int64_t result = SYS_FAULT_GO_ON;
	int error = decide(question->data.nr, &ask);

	for (int i = 0; i < 6; i++)
		args[i] = question->data.args[i];
	if (error == SYS_FAULT_HALF)
		result = do_half(&question->data);
	else if (error == SYS_FAULT_ASK)
		result = ask(args);
	else if (error == SYS_FAULT_NOTHING)
		result = 0;
	else if (error)
		result = -error;
	*reply = (struct seccomp_notif_resp){.id = question->id};
	if (result == SYS_FAULT_GO_ON)
		reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		reply->error = (int32_t)result;
	else
		reply->val = result;
}

static void *answer(void *arg)
{
	struct seccomp_notif question;
	int fd;

	(void)arg;
	/* acquire: the descriptor, once there is one */
	while ((fd = atomic_load_explicit(&listener, memory_order_acquire)) == -1)
		usleep(100);
	while (fd >= 0) {
		struct seccomp_notif_resp reply;

		memset(&question, 0, sizeof(question));
		/* a call that the kernel took back meanwhile comes again */
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &question)) {
			if (errno == ENOENT || errno == EINTR)
				continue;
			break;
		}
		reply_to(&question, &reply);
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &reply);
	}
	return NULL;
}

static int install(const long *numbers, size_t n)
{
	struct sock_filter rules[SYS_FAULT_KINDS_MAX + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = {(unsigned short)(n + 3), rules};
	long rc;

	for (size_t i = 0; i < n; i++)
		rules[i + 1] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers[i], (uint8_t)(n - i), 0);
	rules[n + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	rules[n + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		     &program);
	return rc < 0 ? -errno : (int)rc;
}

int sys_fault_begin(const long *numbers, size_t n)
{
	pthread_t thread;
	int fd;

	if (n > SYS_FAULT_KINDS_MAX)
		return -E2BIG;
	memcpy(plan.kinds, numbers, n * sizeof(numbers[0]));
	plan.n = (uint32_t)n;
	fd = pthread_create(&thread, NULL, answer, NULL);
	if (fd)
		return -fd;
	pthread_detach(thread);
	fd = install(numbers, n);
	/* release: the plan and the descriptor; an error sends the thread home */
	atomic_store_explicit(&listener, fd < 0 ? -2 : fd, memory_order_release);
	return fd < 0 ? fd : 0;
}

void sys_fault_set(const struct sys_fault *faults, size_t n)
{
	pthread_mutex_lock(&plan.lock);
	plan.n_faults = (uint32_t)(n < SYS_FAULTS_MAX ? n : SYS_FAULTS_MAX);
	if (n > 0)
		memcpy(plan.faults, faults, plan.n_faults * sizeof(*faults));
	memset(plan.calls, 0, sizeof(plan.calls));
	memset(plan.happened, 0, sizeof(plan.happened));
	pthread_mutex_unlock(&plan.lock);
}

bool sys_fault_is_sanitizers(long number)
{
	return SANITIZED && number == SYS_mmap;
}

uint32_t sys_fault_calls(long number)
{
	uint32_t calls = 0;

	pthread_mutex_lock(&plan.lock);
	for (uint32_t i = 0; i < plan.n; i++)
		if (plan.kinds[i] == number)
			calls = plan.calls[i];
	pthread_mutex_unlock(&plan.lock);
	return calls;
}

bool sys_fault_happened(void)
{
	bool all = true;

	pthread_mutex_lock(&plan.lock);
	for (uint32_t i = 0; i < plan.n_faults; i++)
		all = all && plan.happened[i];
	pthread_mutex_unlock(&plan.lock);
	return all;
}

/* Threads that the kernel made for an io_uring end when it likes. */
static bool is_kernels(const char *path, const char *entry)
{
	char name[64], comm[32] = "";
	FILE *file;

	snprintf(name, sizeof(name), "%s/%.20s/comm", path, entry);
	file = fopen(name, "re");
	if (file && !fgets(comm, sizeof(comm), file))
		comm[0] = '\0';
	if (file)
		fclose(file);
	return !strncmp(comm, "iou-", 4);
}

static uint32_t entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	uint32_t n = 0;

	while (dir && (entry = readdir(dir)))
		n += !is_kernels(path, entry->d_name);
	if (dir)
		closedir(dir);
	return n;
}

void sys_holdings_take(struct sys_holdings *ret_holdings)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (file && fscanf(file, "%llu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	*ret_holdings = (struct sys_holdings){entries("/proc/self/fd"), entries("/proc/self/task"),
					      pages * 4096};
}

const char *sys_holdings_grown(const struct sys_holdings *before)
{
	struct sys_holdings now;

	sys_holdings_take(&now);
	for (int i = 0; i < 500 && now.threads > before->threads; i++) {
		usleep(1000); /* a joined thread may be seen for a moment */
		sys_holdings_take(&now);
	}
	if (now.descriptors > before->descriptors)
		return "a descriptor stays behind";
	if (now.threads > before->threads)
		return "a thread stays behind";
	/* a sanitizer's own memory comes and goes */
	if (!SANITIZED && now.memory_bytes > before->memory_bytes + MEMORY_SLACK)
		return "memory stays behind";
	return NULL;
}
