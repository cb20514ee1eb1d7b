/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nobody who reads hvsim-vm's output, or does not, can make it wait: console and log with a pipe
 * that is full, closed, or read late (spec/hyperv-host-on-kvm.md §3).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/hvsim-vm/input.h"
#include "lib/host/log.h"
#include "app/hvsim-vm/serial.h"
#include "test/unit/unit.h"

#define REG_DATA 0u
#define REG_LSR	 5u

/* Far more than the pipe and the buffer take. */
#define FLOOD (4u * OUTPUT_BYTES)

/* The kernel refuses to wait for a descriptor, as with a limit of open files of 0. */
static atomic_bool no_files;
static atomic_uint refusals, rests;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

int
__wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (n == 0 && timeout > 0)
		atomic_fetch_add(&rests, 1);
	if (n == 0 || !atomic_load(&no_files))
		return __real_poll(fds, n, timeout);
	atomic_fetch_add(&refusals, 1);
	errno = EINVAL;
	return -1;
}

/* The writer is not scheduled for so long, before it writes. */
static atomic_uint late_ms;

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	usleep(atomic_exchange(&late_ms, 0) * 1000);
	return __real_write(fd, data, len);
}

static int pipe_fd[2];
static struct serial serial;
/* A writer that is left behind keeps its object: one for each test. */
static struct output outputs[16];
static unsigned int n_outputs;

static void
irq(void *ctx, bool level)
{
}

static struct output *
set_up(void)
{
	struct output *o = &outputs[n_outputs++];

	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fd, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL_FATAL(output_start(o, pipe_fd[1], "hvsim-vm"), 0);
	serial_init(&serial, o, irq, NULL);
	return o;
}

/* Character @p i of what the guest prints: lines of 64. */
static uint8_t
printed(uint32_t i)
{
	return i % 64 == 63 ? '\n' : (uint8_t)('!' + i / 64 % 90);
}

static atomic_uint done_vcpus;

/* A vCPU that prints, and polls the line status as a driver does. */
static void *
vcpu(void *arg)
{
	uint32_t i;

	for (i = 0; i < FLOOD; i++) {
		if (!(serial_read(&serial, REG_LSR) & 0x20))
			break;
		serial_write(&serial, REG_DATA, printed(i));
	}
	atomic_fetch_add(&done_vcpus, 1);
	return arg;
}

/* @return true when it ended within @p seconds */
static bool
join(pthread_t thread, int seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

static void
test_nobody_reads(void)
{
	struct output *o = set_up();
	struct timespec before, after;
	pthread_t thread[2];
	uint8_t typed = 'x';
	unsigned int i;

	for (i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, vcpu, NULL), 0);
	for (i = 0; i < 2; i++)
		if (!join(thread[i], 60)) {
			close(pipe_fd[0]); /* lets it go on */
			CU_FAIL_FATAL("a vCPU waits for whoever reads standard output");
		}
	/* Nor does who types. */
	CU_ASSERT_EQUAL(serial_input(&serial, &typed, 1), 1);
	CU_ASSERT(o->dropped > 2 * FLOOD - 2 * OUTPUT_BYTES);
	CU_ASSERT(o->dropped < 2 * FLOOD);
	/* Nor the end of the machine, for long. */
	clock_gettime(CLOCK_MONOTONIC, &before);
	CU_ASSERT_FALSE(output_stop(o));
	clock_gettime(CLOCK_MONOTONIC, &after);
	CU_ASSERT(after.tv_sec - before.tv_sec < 12);
	CU_ASSERT_STRING_EQUAL(output_trouble(o), "nobody reads it");
	/* What is printed after that goes nowhere, and is no crash. */
	serial_write(&serial, REG_DATA, 'z');
	/* The pipe stays open: a thread still writes to it. */
}

/* Nor is what would have been read lost because the machine has no time for who writes it. */
static void
test_a_writer_that_is_late_is_not_left_behind(void)
{
	struct output *o = set_up();
	char c = 0;

	atomic_store(&late_ms, 1500);
	serial_write(&serial, REG_DATA, 'z');
	CU_ASSERT_TRUE(output_stop(o));
	CU_ASSERT_PTR_NULL(output_trouble(o));
	fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
	CU_ASSERT_EQUAL(read(pipe_fd[0], &c, 1), 1);
	CU_ASSERT_EQUAL(c, 'z');
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static char text[2 * FLOOD];

/* Fill the pipe, then let the writer hang in it. @return bytes that were there before */
static uint32_t
block_writer(struct output *o)
{
	static const uint8_t junk[4096];
	uint32_t filled = 0;
	bool taken = false;
	ssize_t n;

	fcntl(pipe_fd[1], F_SETFL, O_NONBLOCK);
	while ((n = write(pipe_fd[1], junk, sizeof(junk))) > 0)
		filled += (uint32_t)n;
	fcntl(pipe_fd[1], F_SETFL, 0);
	serial_write(&serial, REG_DATA, printed(0));
	while (!taken) {
		pthread_mutex_lock(&o->lock);
		taken = o->len == 0;
		pthread_mutex_unlock(&o->lock);
		sched_yield();
	}
	return filled;
}

static size_t
read_all(int fd)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static void *
reader(void *arg)
{
	*(size_t *)arg = read_all(pipe_fd[0]);
	return NULL;
}

/* The newest output is there in order, the gap is where it is, and says how large it is. */
static void
test_late_reader(void)
{
	static const char notice[] = " bytes of output were dropped: nobody read them\r\n";
	struct output *o = set_up();
	unsigned long long said = 0;
	char *gap, *end;
	size_t len = 0;
	pthread_t thread;
	uint32_t i, wrong = 0, before, filled;

	filled = block_writer(o);
	for (i = 1; i < FLOOD; i++)
		serial_write(&serial, REG_DATA, printed(i));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, &len), 0);
	CU_ASSERT_TRUE(output_stop(o));
	close(pipe_fd[1]);
	CU_ASSERT_TRUE_FATAL(join(thread, 60));
	close(pipe_fd[0]);
	gap = strstr(text + filled, "\r\nhvsim-vm: ");
	end = gap == NULL ? NULL : strstr(gap, notice);
	CU_ASSERT_PTR_NOT_NULL_FATAL(end);
	CU_ASSERT_EQUAL(sscanf(gap + 2, "hvsim-vm: %llu", &said), 1);
	CU_ASSERT_EQUAL(said, o->dropped);
	before = (uint32_t)(gap - text) - filled;
	CU_ASSERT_EQUAL(before, 1);
	wrong += (uint8_t)text[filled] != printed(0);
	end += sizeof(notice) - 1;
	CU_ASSERT_EQUAL(before + said + (size_t)(text + len - end), FLOOD);
	for (i = before + (uint32_t)said; i < FLOOD; i++)
		wrong += (uint8_t)*end++ != printed(i);
	CU_ASSERT_EQUAL(wrong, 0);
}

/* A reader that keeps up gets every byte and no notice. */
static void
test_reader_keeps_up(void)
{
	struct output *o = set_up();
	pthread_t thread;
	size_t len = 0;
	uint32_t i, wrong = 0;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, &len), 0);
	for (i = 0; i < OUTPUT_BYTES - 1; i++) /* never more than the buffer takes */
		serial_write(&serial, REG_DATA, printed(i));
	CU_ASSERT_TRUE(output_stop(o));
	close(pipe_fd[1]);
	CU_ASSERT_TRUE_FATAL(join(thread, 60));
	close(pipe_fd[0]);
	CU_ASSERT_EQUAL(len, OUTPUT_BYTES - 1);
	for (i = 0; i < len; i++)
		wrong += (uint8_t)text[i] != printed(i);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(o->dropped, 0);
	CU_ASSERT_PTR_NULL(output_trouble(o));
}

static void
test_reader_is_gone(void)
{
	struct output *o = set_up();
	uint32_t i;

	close(pipe_fd[0]);
	for (i = 0; i < FLOOD; i++)
		serial_write(&serial, REG_DATA, 'x');
	CU_ASSERT_TRUE(output_stop(o));
	CU_ASSERT_STRING_EQUAL(output_trouble(o), strerror(EPIPE));
	close(pipe_fd[1]);
}

/* The pipe is shared, and another process made it nonblocking: nothing is lost by that. */
static void
test_nonblocking_pipe(void)
{
	struct output *o = set_up();
	pthread_t thread;
	size_t len = 0;
	uint32_t i, wrong = 0;

	CU_ASSERT_EQUAL(fcntl(pipe_fd[1], F_SETFL, O_NONBLOCK), 0);
	for (i = 0; i < OUTPUT_BYTES; i++)
		serial_write(&serial, REG_DATA, printed(i));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, &len), 0);
	CU_ASSERT_TRUE(output_stop(o));
	close(pipe_fd[1]);
	CU_ASSERT_TRUE_FATAL(join(thread, 60));
	close(pipe_fd[0]);
	CU_ASSERT_EQUAL(len, OUTPUT_BYTES);
	for (i = 0; i < len; i++)
		wrong += (uint8_t)text[i] != printed(i);
	CU_ASSERT_EQUAL(wrong, 0);
}

static bool
within_a_minute(bool (*condition)(void))
{
	unsigned int i;

	for (i = 0; i < 60000 && !condition(); i++)
		usleep(1000);
	return condition();
}

static bool
refused_again_and_again(void)
{
	return atomic_load(&refusals) >= 5;
}

static void
begin_without_files(void)
{
	atomic_store(&refusals, 0);
	atomic_store(&rests, 0);
	atomic_store(&no_files, true);
}

/* One of them may be under way. */
static void
check_rested(void)
{
	CU_ASSERT_TRUE(within_a_minute(refused_again_and_again));
	CU_ASSERT(atomic_load(&rests) + 1 >= 5);
	atomic_store(&no_files, false);
}

static void
test_output_without_open_files(void)
{
	struct output *o = set_up();
	pthread_t thread;
	size_t len = 0;
	uint32_t i, n = 0;

	CU_ASSERT_EQUAL(fcntl(pipe_fd[1], F_SETFL, O_NONBLOCK), 0);
	while (write(pipe_fd[1], "x", 1) == 1)
		n++;
	begin_without_files();
	for (i = 0; i < 1000; i++)
		serial_write(&serial, REG_DATA, printed(i));
	check_rested();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, &len), 0);
	CU_ASSERT_TRUE(output_stop(o));
	close(pipe_fd[1]);
	CU_ASSERT_TRUE_FATAL(join(thread, 60));
	close(pipe_fd[0]);
	CU_ASSERT_EQUAL_FATAL(len, n + 1000);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL((uint8_t)text[n + i], printed(i));
}

/* ---- input ---- */

static atomic_bool has_quit;

static void
quit(void *ctx)
{
	atomic_store(&has_quit, true);
}

/* Inputs outlive their tests: their threads are not joined. */
static struct input inputs[4];
static unsigned int n_inputs;

static struct input *
start_input(bool interactive)
{
	struct input *input = &inputs[n_inputs++];

	set_up();
	*input = (struct input){
		.fd = pipe_fd[0], .interactive = interactive, .serial = &serial, .quit = quit};
	CU_ASSERT_EQUAL_FATAL(input_start(input), 0);
	return input;
}

static bool
quitted(void)
{
	return atomic_load(&has_quit);
}

static bool
received(void)
{
	return serial_room(&serial) < sizeof(serial.rx);
}

/* The guest does not read its UART, which is full; the user quits all the same. */
static void
test_quit_with_a_deaf_guest(void)
{
	uint8_t junk[1024];
	struct input *input = start_input(true);

	memset(junk, 'j', sizeof(junk));
	CU_ASSERT_EQUAL(write(pipe_fd[1], junk, sizeof(junk)), (ssize_t)sizeof(junk));
	CU_ASSERT_EQUAL(write(pipe_fd[1], "\001\001\001x", 4), 4);
	CU_ASSERT_TRUE(within_a_minute(quitted));
	input_stop(input);
}

static void
test_input_without_open_files(void)
{
	struct input *input;

	begin_without_files();
	input = start_input(false);
	fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
	/* What it is in the middle of. */
	CU_ASSERT_EQUAL(write(pipe_fd[1], "a", 1), 1);
	check_rested();
	CU_ASSERT_TRUE(within_a_minute(received));
	CU_ASSERT_EQUAL(serial_read(&serial, REG_DATA), 'a');
	input_stop(input);
}

/* A script's input waits for the guest, none is lost, and a nonblocking pipe changes nothing. */
static void
test_script_waits_for_the_guest(void)
{
	struct input *input = start_input(false);
	uint32_t i, wrong = 0;

	fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
	/* One by one: between two of them the pipe is empty. */
	for (i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL(write(pipe_fd[1], "a", 1), 1);
		CU_ASSERT_TRUE_FATAL(within_a_minute(received));
		wrong += serial_read(&serial, REG_DATA) != 'a';
	}
	for (i = 0; i < 8192; i++) {
		uint8_t c = printed(i);

		wrong += write(pipe_fd[1], &c, 1) != 1;
	}
	for (i = 0; i < 8192 && within_a_minute(received); i++)
		wrong += serial_read(&serial, REG_DATA) != printed(i);
	CU_ASSERT_EQUAL(i, 8192);
	CU_ASSERT_EQUAL(wrong, 0);
	/* After the end nothing is touched, though the thread still waits. */
	input_stop(input);
	CU_ASSERT_EQUAL(write(pipe_fd[1], "z", 1), 1);
}

/* ---- log ---- */

static void *
logger(void *arg)
{
	unsigned int i;

	for (i = 0; i < 40000; i++)
		log_line("%s %u", (const char *)arg, i);
	return NULL;
}

/* Lines on standard error, as the holder of the bus lock writes them; a guest cannot flood it. */
static void
test_log(void)
{
	int saved = dup(STDERR_FILENO);
	struct log_limit limit = {0};
	unsigned int i, lines = 0;
	pthread_t thread;
	size_t len = 0;
	char *at;

	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fd, O_CLOEXEC), 0);
	dup2(pipe_fd[1], STDERR_FILENO);
	log_program("hvsim-vm");
	CU_ASSERT_EQUAL(log_start(), 0);
	CU_ASSERT_EQUAL_FATAL(
		pthread_create(&thread, NULL, logger, "a line of some forty characters, number"),
		0);
	if (!join(thread, 60)) {
		dup2(saved, STDERR_FILENO);
		CU_FAIL_FATAL("who logs waits for whoever reads standard error");
	}
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reader, &len), 0);
	for (i = 0; i < 1000; i++)
		log_guest(&limit, "the guest did it again");
	log_stop();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fd[1]);
	CU_ASSERT_TRUE_FATAL(join(thread, 60));
	close(pipe_fd[0]);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "characters, number 39999\n"));
	for (at = text; (at = strstr(at, "hvsim-vm: the guest did it again\n")) != NULL; at++)
		lines++;
	CU_ASSERT(lines >= LOG_BURST && lines <= 5 * LOG_BURST);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a vCPU does not wait for a pipe nobody reads", test_nobody_reads},
		{"a writer that is late is not left behind",
			test_a_writer_that_is_late_is_not_left_behind},
		{"a late reader gets the newest, and a notice", test_late_reader},
		{"a reader that keeps up gets everything", test_reader_keeps_up},
		{"the reader is gone", test_reader_is_gone},
		{"the pipe is nonblocking", test_nonblocking_pipe},
		{"output without open files", test_output_without_open_files},
		{"input without open files", test_input_without_open_files},
		{"a user quits though the guest does not read", test_quit_with_a_deaf_guest},
		{"a script's input waits for the guest", test_script_waits_for_the_guest},
		{"log lines do not wait, and are limited for a guest", test_log},
	};

	signal(SIGPIPE, SIG_IGN);
	return UNIT_RUN("vm_output", tests);
}
