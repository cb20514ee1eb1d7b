/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hvsim: a user-space Hyper-V network host. This is its control thread: sockets, sessions, signals,
 * the control socket, reports. The NICs are polled by workers (worker.c).
 */
#include <assert.h>
#include <errno.h>
#include <numa.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "app/common/printed.h"
#include "app/common/report.h"
#include "app/hvsim/hvsim.h"
#include "app/hvsim/top.h"
#include "lib/host/control.h"
#include "lib/host/notify.h"

#define NSEC UINT64_C(1000000000)
/* After this long in one round the control socket and the signals come first again. */
#define ROUND_NS UINT64_C(5000000)
/* How often all are looked at when nothing tells who has something. */
#define BLIND_MS 10
/* From the first signal to the end. */
#define END_SECONDS 5

struct hvsim {
	struct hvsim_options options;
	struct hvsim_device devices[HVSIM_MAX_NICS];
	unsigned int n_devices;
	struct hvsim_worker workers[HVSIM_MAX_WORKERS];
	unsigned int n_workers;
	struct host_control *control;
	struct host_control_ops ops;
	int event_fd; /* workers and signals: look around */
	_Atomic bool stop;
	struct vfu_signaller signaller;
	uint64_t started, next_report;
	unsigned int next_device; /* first of the next round */
	bool unfinished;	  /* a round had no time for all */
	bool blind;		  /* poll() refuses to wait */
	struct report report;
};

static_assert(HVSIM_MAX_NICS <= REPORT_NICS, "all NICs are reported");

static int
fail(const char *why)
{
	log_line("%s", why);
	return EXIT_FAILURE;
}

/* ---- control socket ---- */

static void
control_lock(void *ctx, unsigned int nic)
{
	device_lock(&((struct hvsim *)ctx)->devices[nic]);
}

static void
control_unlock(void *ctx, unsigned int nic)
{
	device_unlock(&((struct hvsim *)ctx)->devices[nic]);
}

static void
control_refresh(void *ctx, unsigned int nic)
{
	device_refresh(&((struct hvsim *)ctx)->devices[nic]);
}

static unsigned int
control_nics(void *ctx)
{
	return ((struct hvsim *)ctx)->n_devices;
}

static struct host_nic *
control_nic(void *ctx, unsigned int number)
{
	struct hvsim *h = ctx;

	return number < h->n_devices ? h->devices[number].nic : NULL;
}

/* What was refused may be for want of the user that we were at the start. */
static void
blame_user(const struct hvsim *h, int rc, char *why, size_t len)
{
	size_t n = strlen(why);

	if (h->options.user.set && (rc == -EACCES || rc == -EPERM))
		snprintf(why + n, len - n, " (hvsim has become user %s, as --user says)",
			h->options.user.name);
}

static bool
control_offered(void *ctx, unsigned int nic)
{
	return !((struct hvsim *)ctx)->devices[nic].rescinded;
}

static int
control_command(void *ctx, const char *cmd, unsigned int nic, char *errbuf, size_t errlen)
{
	struct hvsim *h = ctx;
	int rc;

	if (strcmp(cmd, "rescind") == 0)
		return device_rescind(&h->devices[nic], errbuf, errlen);
	if (strcmp(cmd, "offer") != 0)
		return -ENOSYS;
	rc = device_offer(&h->devices[nic], errbuf, errlen);
	blame_user(h, rc, errbuf, errlen);
	return rc;
}

/* ---- set-up ---- */

static int
make_devices(struct hvsim *h)
{
	char why[HVSIM_ERRLEN] = "", warning[HVSIM_ERRLEN];
	struct hvsim_budget share;
	struct hvsim_limits limits;

	budget_limits(&limits);
	if (budget_divide(&limits, h->options.nics, h->options.n_nics, h->options.threads,
		    &h->options.budget, &share, warning, sizeof(warning), why, sizeof(why)) != 0)
		return fail(why);
	if (warning[0] != '\0')
		log_line("%s", warning);
	for (unsigned int i = 0; i < h->options.n_nics; i++) {
		if (device_create(&h->devices[i], i, &h->options.nics[i], h->options.dir, why,
			    sizeof(why)) != 0)
			return fail(why);
		h->devices[i].budget = share;
		h->devices[i].signaller = &h->signaller;
		h->n_devices++;
	}
	return EXIT_SUCCESS;
}

/* Their writers are threads, and the files are the user's. */
static int
open_files(struct hvsim *h)
{
	char why[HVSIM_ERRLEN] = "";
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < h->n_devices; i++)
		rc = host_nic_record(h->devices[i].nic, why, sizeof(why));
	if (rc == 0)
		return EXIT_SUCCESS;
	blame_user(h, rc, why, sizeof(why));
	return fail(why);
}

/* Workers round the NUMA nodes, NICs round the workers. */
static int
make_workers(struct hvsim *h)
{
	int nodes = numa_available() >= 0 ? numa_num_configured_nodes() : 1;
	unsigned int i;

	for (i = 0; i < h->options.threads; i++) {
		int node = nodes > 1 ? (int)i % nodes : -1;

		if (worker_create(&h->workers[i], i, node, h->options.busy, h->event_fd) != 0)
			return fail("cannot make a polling thread: out of descriptors");
		h->n_workers++;
	}
	for (i = 0; i < h->n_devices; i++)
		worker_add(&h->workers[i % h->n_workers], &h->devices[i]);
	lanes_spread(h->devices, h->n_devices, h->workers, h->n_workers);
	for (i = 0; i < h->n_workers; i++)
		if (h->workers[i].n_devices + h->workers[i].n_lanes != 0 &&
			worker_start(&h->workers[i]) != 0)
			return fail("cannot start a polling thread");
	return EXIT_SUCCESS;
}

static void
report_more(void *ctx, unsigned int nic, struct report_extra *extra)
{
	const struct hvsim_device *device = &((struct hvsim *)ctx)->devices[nic];

	extra->socket = device->path;
	extra->has_sessions = true;
	extra->sessions = device->sessions;
}

static int
serve(struct hvsim *h)
{
	h->ops = (struct host_control_ops){
		.ctx = h,
		.lock = control_lock,
		.unlock = control_unlock,
		.refresh = control_refresh,
		.nics = control_nics,
		.nic = control_nic,
		.offered = control_offered,
		.command = control_command,
	};
	char why[HVSIM_ERRLEN] = "";
	int rc;

	/* The sockets come last: who sees the last one can connect and command. */
	rc = host_control_open(&h->control, h->options.control, &h->ops, why, sizeof(why));
	for (unsigned int i = 0; rc == 0 && i < h->n_devices; i++)
		rc = device_serve(&h->devices[i], why, sizeof(why));
	if (rc != 0) {
		blame_user(h, rc, why, sizeof(why));
		return fail(why);
	}
	h->report = (struct report){.ops = &h->ops,
		.extra = report_more,
		.json = h->options.json,
		.rings = h->options.rings};
	report_start(&h->report, true);
	rc = notify_manager("READY=1");
	if (rc != 0)
		log_line("cannot tell the service manager that we are ready: %s", strerror(-rc));
	return EXIT_SUCCESS;
}

/* Guests are signalled by the kernel, for they could make us wait (spec §9). */
static int
make_signaller(struct hvsim *h)
{
	char why[HVSIM_ERRLEN];
	int rc = vfu_signaller_init(&h->signaller);

	if (rc == 0)
		return EXIT_SUCCESS;
	if (rc == -EAGAIN)
		snprintf(why, sizeof(why),
			"cannot signal guests: all of the machine's asynchronous requests are in "
			"use; raise the sysctl fs.aio-max-nr");
	else
		snprintf(why, sizeof(why),
			"cannot signal guests: %s; io_setup(2) must be permitted here, and /dev/null "
			"be there",
			strerror(-rc));
	return fail(why);
}

/*
 * Signals have a thread of their own: the control thread ends hvsim in order, and should anything
 * ever hold it, hvsim ends all the same.
 */
static void *
signals_run(void *arg)
{
	struct hvsim *h = arg;
	struct timespec limit = {.tv_sec = END_SECONDS};
	uint64_t one = 1;
	sigset_t signals;
	int number;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigwait(&signals, &number);
	atomic_store(&h->stop, true);
	if (write(h->event_fd, &one, sizeof(one)) == sizeof(one))
		nanosleep(&limit, NULL);
	log_line("not ended in order within %d s", END_SECONDS);
	log_flush();
	_exit(EXIT_FAILURE);
}

static int
start_signals(struct hvsim *h)
{
	sigset_t signals;
	pthread_t thread;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	/* Blocked in all threads. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	h->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->event_fd < 0)
		return fail("out of file descriptors");
	if (pthread_create(&thread, NULL, signals_run, h) != 0)
		return fail("cannot start a thread");
	pthread_detach(thread);
	return EXIT_SUCCESS;
}

static int
make_dir(struct hvsim *h)
{
	const struct privileges_user *user = &h->options.user;
	const char *dir = h->options.dir;
	char why[HVSIM_ERRLEN], at[VFU_PATH_MAX];
	int rc = vfu_dir_create(
		dir, user->set ? user->uid : geteuid(), user->set ? user->gid : getegid(), at);

	if (rc == 0)
		return EXIT_SUCCESS;
	if (rc == -EPERM)
		snprintf(why, sizeof(why),
			"the directory %s is another user's, or others may write to it: they could take "
			"the place of the sockets; give another with --dir, or chmod go-w it",
			at);
	else
		snprintf(why, sizeof(why),
			"cannot use the directory %s: %s at %s; give another with --dir", dir,
			strerror(-rc), at);
	return fail(why);
}

/* From here on as the user that was asked for; the sockets are to be his, and he makes them. */
static int
become_user(struct hvsim *h)
{
	const char *dir = h->options.dir, *name = h->options.user.name;
	char why[HVSIM_ERRLEN], at[VFU_PATH_MAX], ours[VFU_PATH_MAX];
	bool shared = geteuid() == 0 && h->options.user.set && vfu_server_dir(ours, NULL) == 0 &&
		      strcmp(dir, ours) == 0;
	int rc;

	if (privileges_drop(&h->options.user, why, sizeof(why)) != 0)
		return fail(why);
	if (access(dir, W_OK | X_OK) == 0)
		return EXIT_SUCCESS;
	rc = errno;
	vfu_dir_refusing(dir, at);
	if (!h->options.user.set)
		snprintf(why, sizeof(why),
			"cannot use the directory %s: %s at %s; give another with --dir", dir,
			strerror(rc), at);
	else if (shared)
		snprintf(why, sizeof(why),
			"user %s cannot use the directory %s: it is for the directories of all users; "
			"name one below it with --dir, or leave that out for %s/%s",
			name, dir, dir, name);
	else
		snprintf(why, sizeof(why),
			"user %s cannot use the directory %s: %s at %s; %s, or name another with --dir",
			name, dir, strerror(rc), at,
			strcmp(at, dir) == 0 ? "give it to that user (chown)"
					     : "let that user pass it (chmod o+x)");
	return fail(why);
}

static int
set_up(struct hvsim *h)
{
	char why[HVSIM_ERRLEN];
	int rc;

	if (privileges_no_new() != 0)
		return fail("cannot give up new privileges (prctl)");
	if (budget_check(h->options.n_nics, h->options.threads, why, sizeof(why)) != 0)
		return fail(why);
	if (privileges_check(&h->options.user, why, sizeof(why)) != 0)
		return fail(why);
	/*
	 * Capabilities are each thread's own: what needs them comes before the first thread. What
	 * does not comes after them: root would follow the links in a folder of the user's.
	 */
	rc = make_dir(h);
	if (rc == EXIT_SUCCESS)
		rc = make_devices(h);
	if (rc == EXIT_SUCCESS)
		rc = become_user(h);
	if (rc == EXIT_SUCCESS)
		rc = start_signals(h);
	if (rc != EXIT_SUCCESS)
		return rc;
	/* Before the first lock: nobody who holds one may wait for who reads what we print. */
	if (log_start() != 0 || output_start(&report_output, STDOUT_FILENO, "hvsim") != 0)
		return fail("cannot start a thread");
	if (host_memmap_sigbus_install() != 0)
		return fail("cannot install the handler of SIGBUS");
	rc = open_files(h);
	if (rc == EXIT_SUCCESS)
		rc = make_signaller(h);
	if (rc == EXIT_SUCCESS)
		rc = make_workers(h);
	return rc == EXIT_SUCCESS ? serve(h) : rc;
}

static void
tear_down(struct hvsim *h)
{
	unsigned int i;

	host_control_close(h->control);
	for (i = 0; i < h->n_workers; i++)
		worker_stop(&h->workers[i]);
	for (i = 0; i < h->n_devices; i++)
		device_destroy(&h->devices[i]);
	for (i = 0; i < h->n_workers; i++)
		worker_destroy(&h->workers[i]);
	vfu_signaller_fini(&h->signaller);
	/* The descriptor of events stays: the thread of the signals may write to it to the end. */
}

/* ---- the loop ---- */

static uint64_t
until_next(const struct hvsim *h)
{
	uint64_t next = UINT64_MAX;

	if (h->options.duration_s != 0)
		next = h->started + h->options.duration_s * NSEC;
	if (h->options.interval_s != 0 && h->next_report < next)
		next = h->next_report;
	for (unsigned int i = 0; i < h->n_devices; i++)
		if (device_deadline(&h->devices[i]) < next)
			next = device_deadline(&h->devices[i]);
	if (h->options.scenario != NULL && host_scenario_deadline(h->options.scenario) < next)
		next = host_scenario_deadline(h->options.scenario);
	if (host_control_deadline(h->control) < next)
		next = host_control_deadline(h->control);
	return next;
}

static char *
scenario_command(void *ctx, const char *request)
{
	return host_control_execute(&((struct hvsim *)ctx)->ops, request);
}

/* @return false: the scenario has ended, and hvsim ends with it */
static bool
go_on(struct hvsim *h)
{
	struct host_scenario *s = h->options.scenario;

	if (s == NULL)
		return true;
	host_scenario_run(s, now_ns(), scenario_command, h);
	return !h->options.exit_after_scenario || !host_scenario_ended(s);
}

/* Of --exit-after-scenario: steps that nobody came to have not passed. */
static int
scenario_status(const struct hvsim *h)
{
	const struct host_scenario *s = h->options.scenario;

	if (!h->options.exit_after_scenario)
		return EXIT_SUCCESS;
	if (!host_scenario_ended(s)) {
		log_line("scenario %s: had not ended", h->options.scenario_path);
		return EXIT_FAILURE;
	}
	return host_scenario_failures(s) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int
timeout_ms(const struct hvsim *h)
{
	uint64_t next = until_next(h), now = now_ns();

	if (h->unfinished)
		return 0;
	if (next == UINT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	next = (next - now + 999999) / 1000000;
	return next > 3600000 ? 3600000 : (int)next;
}

static void
show(struct hvsim *h)
{
	report_rates(&h->report);
	do {
		h->next_report += h->options.interval_s * NSEC;
	} while (h->next_report <= now_ns());
}

enum { EVENTS, CONTROL, DEVICES };

/*
 * poll() refuses more descriptors than RLIMIT_NOFILE, open or not, which somebody may lower while
 * we run (prlimit(2)). Then no guest can come, and those that are there are looked after.
 */
static int
wait_blindly(struct hvsim *h, struct pollfd *p)
{
	if (!h->blind)
		log_line("the limit of open files is lower than what is open: NICs take no guests "
			 "until it is raised");
	h->blind = true;
	for (unsigned int i = 0; i < DEVICES + 2 * h->n_devices; i++)
		p[i].revents = 0;
	for (unsigned int i = 0; i < h->n_devices; i++)
		p[DEVICES + 2 * i + 1].revents = POLLIN;
	return poll(NULL, 0, BLIND_MS);
}

static int
wait_events(struct hvsim *h, struct pollfd *p)
{
	int n;

	p[EVENTS] = (struct pollfd){h->event_fd, POLLIN, 0};
	p[CONTROL] = (struct pollfd){host_control_fd(h->control), POLLIN, 0};
	for (unsigned int i = 0; i < h->n_devices; i++) {
		struct pollfd *d = &p[DEVICES + 2 * i];

		d[0] = (struct pollfd){device_listen_fd(&h->devices[i]), POLLIN, 0};
		d[1] = (struct pollfd){device_session_fd(&h->devices[i]), POLLIN, 0};
	}
	n = poll(p, DEVICES + 2 * h->n_devices, timeout_ms(h));
	if (n < 0 && errno == EINVAL)
		return wait_blindly(h, p);
	h->blind = false;
	return n;
}

static void
serve_device(struct hvsim_device *d, const struct pollfd *p)
{
	bool due = device_deadline(d) <= now_ns();

	if (p[1].revents != 0 || atomic_load(&d->ended) != NULL || due)
		device_process(d);
	if (p[0].revents != 0 || (due && d->accept_after != 0))
		device_accept(d);
}

/* Clients, each in turn; those that a round has no time for are the first of the next. */
static void
serve_devices(struct hvsim *h, const struct pollfd *p)
{
	uint64_t until = now_ns() + ROUND_NS;
	unsigned int i, at = h->next_device;

	for (i = 0; i < h->n_devices && (i == 0 || now_ns() < until); i++) {
		serve_device(&h->devices[at], &p[DEVICES + 2 * at]);
		at = (at + 1) % h->n_devices;
	}
	h->next_device = at;
	h->unfinished = i < h->n_devices;
}

static int
fail_to(const char *what)
{
	log_line("cannot %s: %s", what, strerror(errno));
	return EXIT_FAILURE;
}

static int
run(struct hvsim *h)
{
	struct pollfd p[DEVICES + 2 * HVSIM_MAX_NICS];
	uint64_t count;

	h->started = now_ns();
	h->next_report = h->started + h->options.interval_s * NSEC;
	if (h->options.scenario != NULL)
		host_scenario_start(h->options.scenario, h->started);
	while (!atomic_load(&h->stop)) {
		if (wait_events(h, p) < 0 && errno != EINTR)
			return fail_to("wait for events");
		if (p[EVENTS].revents != 0 && read(h->event_fd, &count, sizeof(count)) < 0 &&
			errno != EAGAIN)
			return fail_to("read what the polling threads have to say");
		/* Always: it may have a pause to end. */
		host_control_poll(h->control);
		serve_devices(h, p);
		if (!go_on(h))
			break;
		if (h->options.interval_s != 0 && h->next_report <= now_ns())
			show(h);
		if (h->options.duration_s != 0 &&
			now_ns() - h->started >= h->options.duration_s * NSEC)
			break;
	}
	return scenario_status(h);
}

int
main(int argc, char **argv)
{
	static struct hvsim h;
	const char *why;
	int rc;

	log_program("hvsim");
	if (argc >= 2 && strcmp(argv[1], "ctl") == 0)
		return printed_status("ctl", host_control_client(argc - 2, argv + 2));
	if (argc >= 2 && strcmp(argv[1], "top") == 0)
		return printed_status("hvsim top", hvsim_top(argc - 1, argv + 1));
	rc = options_parse(&h.options, argc, argv);
	if (rc >= 0)
		return printed_status("hvsim", rc);
	rc = set_up(&h);
	if (rc == EXIT_SUCCESS) {
		rc = run(&h);
		notify_manager("STOPPING=1");
		report_totals(&h.report);
	}
	tear_down(&h);
	host_scenario_free(h.options.scenario);
	output_stop(&report_output);
	why = output_trouble(&report_output);
	if (why != NULL) {
		log_line("cannot write the output: %s", why);
		rc = EXIT_FAILURE;
	}
	log_stop();
	return rc;
}
