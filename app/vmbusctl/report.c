/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl report: what an issue needs, without what is private, in one archive. */
#include "app/vmbusctl/report.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/redact.h"

#define FOLDER	    "hyperpoll-report"
#define ARCHIVE	    FOLDER ".tar.gz"
#define TEXT_MAX    (256u << 10)
#define TRAFFIC_MAX (64u << 10)
/* Accounts of people, by Debian's and the others' rules. */
#define FIRST_PERSON 1000u

struct out {
	struct ctl *ctl;
	struct redact *redact;
	char *base;	    /* the folder's folder */
	char names[16][32]; /* files so far */
	unsigned int n;
	int rc;
};

/* ---- what is private ---- */

/* In logs a host is often called by its first part, and its domain appears in other names. */
static void
take_host(struct out *o, const char *name)
{
	char host[256];

	redact_word(o->redact, "host", name);
	snprintf(host, sizeof(host), "%.*s", (int)strcspn(name, "."), name);
	redact_word(o->redact, "host", host);
	if (name[strcspn(name, ".")] == '.')
		redact_word(o->redact, "domain", strchr(name, '.') + 1);
}

/* The first line of a file. */
static void
take_words(struct out *o, const char *root, const char *path, const char *kind)
{
	char line[512];

	if (ctl_read_line(root, path, line, sizeof(line))) {
		line[strcspn(line, "\n")] = '\0';
		while (line[0] != '\0' && isspace((unsigned char)line[strlen(line) - 1]))
			line[strlen(line) - 1] = '\0';
		if (strcmp(kind, "host") == 0)
			take_host(o, line);
		else
			redact_word(o->redact, kind, line);
	}
}

static void
take_people(struct out *o)
{
	char path[VMBUS_SYSFS_PATH_MAX];
	struct passwd *person;
	FILE *f;

	snprintf(path, sizeof(path), "%s/etc/passwd", o->ctl->root);
	f = fopen(path, "re");
	while (f != NULL && (person = fgetpwent(f)) != NULL)
		if (person->pw_uid >= FIRST_PERSON && strcmp(person->pw_name, "nobody") != 0)
			redact_word(o->redact, "user", person->pw_name);
	if (f != NULL)
		fclose(f);
}

static void
take_domains(struct out *o)
{
	char path[VMBUS_SYSFS_PATH_MAX], line[512], *save, *word;
	FILE *f;

	snprintf(path, sizeof(path), "%s/etc/resolv.conf", o->ctl->root);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		word = strtok_r(line, " \t\n", &save);
		if (word == NULL || (strcmp(word, "search") != 0 && strcmp(word, "domain") != 0))
			continue;
		while ((word = strtok_r(NULL, " \t\n", &save)) != NULL)
			redact_word(o->redact, "domain", word);
	}
	if (f != NULL)
		fclose(f);
}

static void
take_private(struct out *o)
{
	static const char *const serials[] = {"product_serial", "product_uuid", "board_serial",
		"chassis_serial", "chassis_asset_tag", "board_asset_tag"};
	static const char *const people[] = {"SUDO_USER", "USER", "LOGNAME"};
	struct utsname system;
	char path[64];

	take_words(o, o->ctl->fs.proc, "sys/kernel/hostname", "host");
	take_words(o, o->ctl->root, "etc/hostname", "host");
	take_words(o, o->ctl->root, "etc/machine-id", "serial");
	take_words(o, o->ctl->fs.proc, "sys/kernel/random/boot_id", "serial");
	if (!ctl_is_fixture(o->ctl) && uname(&system) == 0)
		take_host(o, system.nodename);
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		snprintf(path, sizeof(path), "class/dmi/id/%s", serials[i]);
		take_words(o, o->ctl->fs.sys, path, "serial");
	}
	take_people(o);
	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		const char *name = secure_getenv(people[i]);

		if (name != NULL && strcmp(name, "root") != 0)
			redact_word(o->redact, "user", name);
	}
	take_domains(o);
}

/* ---- files ---- */

static void
put(struct out *o, const char *name, const char *text)
{
	char path[PATH_MAX], *clean;
	bool written;
	FILE *f;

	if (o->rc != CTL_OK || o->n == sizeof(o->names) / sizeof(o->names[0]))
		return;
	snprintf(o->names[o->n++], sizeof(o->names[0]), "%s", name);
	if (o->ctl->dry_run)
		return;
	clean = redact_text(o->redact, text);
	snprintf(path, sizeof(path), "%s/" FOLDER "/%s", o->base, name);
	f = fopen(path, "wxe");
	written = clean != NULL && f != NULL && fputs(clean, f) >= 0;
	/* What is buffered may fail only here. */
	if (f != NULL && fclose(f) != 0)
		written = false;
	if (!written) {
		ctl_error("cannot write %s: %s", path, strerror(errno));
		o->rc = CTL_FAILED;
	}
	free(clean);
}

/* Our standard output and error for a while, also those of our children. */
struct redirection {
	int fd, out, err;
};

static bool
redirect(struct redirection *r)
{
	fflush(stdout);
	r->fd = memfd_create("report", MFD_CLOEXEC);
	r->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	r->err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (r->fd >= 0 && r->out >= 0 && r->err >= 0 && dup2(r->fd, STDOUT_FILENO) >= 0 &&
		dup2(r->fd, STDERR_FILENO) >= 0)
		return true;
	return false;
}

/* @return what came, to be freed, or NULL without memory */
static char *
restore(struct redirection *r)
{
	char *text = NULL;
	off_t size = 0;

	fflush(stdout);
	if (r->fd >= 0)
		size = lseek(r->fd, 0, SEEK_END);
	if (size >= 0)
		text = calloc(1, (size_t)size + 1);
	if (text != NULL && size > 0 && pread(r->fd, text, (size_t)size, 0) != size)
		text[0] = '\0';
	if (r->out >= 0 && dup2(r->out, STDOUT_FILENO) >= 0)
		close(r->out);
	if (r->err >= 0 && dup2(r->err, STDERR_FILENO) >= 0)
		close(r->err);
	if (r->fd >= 0)
		close(r->fd);
	return text;
}

/* What one of our own commands prints, errors too. */
static char *
capture(struct ctl *ctl, int (*run)(struct ctl *ctl), bool json)
{
	struct redirection r;
	bool was = ctl->json;

	if (redirect(&r)) {
		ctl->json = json;
		run(ctl);
		ctl->json = was;
		/* Each of them looks anew. */
		vmbus_sysfs_free(ctl->devices, ctl->n_devices);
		ctl->devices = NULL;
		ctl->n_devices = 0;
	}
	return restore(&r);
}

static void
put_command(struct out *o, const char *name, int (*run)(struct ctl *ctl), bool json)
{
	char *text = o->ctl->dry_run ? NULL : capture(o->ctl, run, json);

	put(o, name, text == NULL ? "" : text);
	free(text);
}

/*
 * A line of net/route has its addresses as numbers, in which none would be known again: they are
 * printed as addresses. Nothing else is kept of such a line.
 */
static void
print_route(FILE *f, const char *line)
{
	char interface[32], destination[INET_ADDRSTRLEN], gateway[INET_ADDRSTRLEN];
	struct in_addr to, by;
	unsigned int flags, mask;

	if (sscanf(line, "%31s %x %x %x %*s %*s %*s %x", interface, &to.s_addr, &by.s_addr, &flags,
		    &mask) == 5)
		fprintf(f, "%s to %s/%d by %s flags %#x\n", interface,
			inet_ntop(AF_INET, &to, destination, sizeof(destination)),
			__builtin_popcount(mask), inet_ntop(AF_INET, &by, gateway, sizeof(gateway)),
			flags);
}

/* Files as they are, one after the other. */
static void
put_system(struct out *o)
{
	static const struct {
		bool proc;
		const char *path;
	} files[] = {{true, "version"}, {true, "cmdline"}, {true, "modules"}, {true, "meminfo"},
		{true, "net/route"}, {false, "etc/os-release"}};
	char path[VMBUS_SYSFS_PATH_MAX], line[1024], *text = NULL;
	size_t size;
	FILE *all = open_memstream(&text, &size), *f;

	for (size_t i = 0; all != NULL && i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s",
			files[i].proc ? o->ctl->fs.proc : o->ctl->root, files[i].path);
		f = fopen(path, "re");
		fprintf(all, "==> %s\n", files[i].path);
		while (f != NULL && fgets(line, sizeof(line), f) != NULL)
			if (strcmp(files[i].path, "net/route") == 0)
				print_route(all, line);
			else
				fputs(line, all);
		if (f != NULL)
			fclose(f);
	}
	if (all != NULL && fclose(all) == 0)
		put(o, "system.txt", text);
	free(text);
}

/* What a program prints, and how it ended; to be freed, or NULL without memory. */
static char *
run_program(const char *const *words, size_t size)
{
	char *text = calloc(1, size), *errors, *all = NULL;
	struct redirection r;
	int rc = -EIO;

	if (text == NULL)
		return NULL;
	if (redirect(&r))
		rc = ctl_program(words, text, size);
	errors = restore(&r);
	/* A run that its clock ended says so by 124. */
	if (asprintf(&all, "%s\n%s\n(%s: %s %d)\n", text, errors == NULL ? "" : errors, words[0],
		    rc < 0 ? "error" : "exit status", rc) < 0)
		all = NULL;
	free(errors);
	free(text);
	return all;
}

static void
put_program(struct out *o, const char *name, const char *const *words, size_t size)
{
	char *text = o->ctl->dry_run ? NULL : run_program(words, size);

	put(o, name, text == NULL ? "" : text);
	free(text);
}

static void
say_command(const char *const *words)
{
	printf("would run:");
	for (; *words != NULL; words++)
		printf(" %s", *words);
	printf("\n");
}

/* Two adapters: first their addresses, then frames both ways. What became of them comes first. */
static void
put_exchange(struct out *o, struct traffic_run *run)
{
	char *looked = o->ctl->dry_run ? NULL : run_program(run->look, TRAFFIC_MAX), *sent = NULL;
	char summary[512] = "no test: testpmd did not say what addresses the ports have\n", *all;

	if (looked != NULL && traffic_addresses(run, looked)) {
		sent = run_program(run->words, TRAFFIC_MAX);
		traffic_summary(sent == NULL ? "" : sent, summary, sizeof(summary));
	}
	if (asprintf(&all, "%s\n==> addresses\n%s\n==> frames\n%s", summary,
		    looked == NULL ? "" : looked, sent == NULL ? "" : sent) < 0)
		all = NULL;
	put(o, run->name, all == NULL ? "" : all);
	free(all);
	free(sent);
	free(looked);
}

static void
put_traffic(struct out *o)
{
	struct traffic_run *runs = calloc(2, sizeof(*runs));
	const char *why = "out of memory";
	unsigned int n = 0;

	if (runs != NULL && ctl_scan(o->ctl) == CTL_OK)
		n = traffic_plan(o->ctl, runs, &why);
	for (unsigned int i = 0; i < n; i++) {
		if (o->ctl->dry_run && runs[i].look[0] != NULL)
			say_command(runs[i].look);
		if (o->ctl->dry_run)
			say_command(runs[i].words);
		if (runs[i].look[0] != NULL)
			put_exchange(o, &runs[i]);
		else
			put_program(o, runs[i].name, runs[i].words, TRAFFIC_MAX);
	}
	if (n == 0 && o->ctl->dry_run)
		printf("no traffic test: %s\n", why);
	if (n == 0)
		put(o, "traffic.txt", why);
	free(runs);
}

/* ---- the archive ---- */

/*
 * Before anything is gathered, a traffic test for one: could the archive be made? It is not there
 * in the meantime, where an end by a signal would leave it, in the way of the next one.
 */
static bool
can_make(const char *archive, bool dry_run)
{
	struct stat st;
	int fd;

	if (dry_run && lstat(archive, &st) == 0)
		errno = EEXIST;
	else if (dry_run)
		return true;
	else if ((fd = open(archive, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) >= 0)
		return close(fd) == 0 && unlink(archive) == 0;
	ctl_error("cannot make %s: %s", archive, strerror(errno));
	return false;
}

static int
pack(struct out *o, const char *archive)
{
	/* A name with a colon in it is a file on another host, for GNU tar. */
	const char *const words[] = {"tar", "--force-local", "--owner=0", "--group=0", "-C",
		o->base, "-czf", archive, FOLDER, NULL};
	int fd, rc;

	/* Nobody's file is written over, nor through a link. */
	fd = open(archive, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		ctl_error("cannot make %s: %s", archive, strerror(errno));
		return CTL_FAILED;
	}
	close(fd);
	rc = ctl_program(words, NULL, 0);
	if (rc == 0)
		return CTL_OK;
	ctl_error("tar could not make %s: %s", archive,
		rc < 0 ? strerror(-rc) : "it failed; is gzip installed?");
	unlink(archive);
	return CTL_FAILED;
}

static void
clean(struct out *o)
{
	char path[PATH_MAX];

	for (unsigned int i = 0; i < o->n; i++) {
		snprintf(path, sizeof(path), "%s/" FOLDER "/%s", o->base, o->names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/" FOLDER, o->base);
	rmdir(path);
	rmdir(o->base);
}

static int
prepare(struct out *o)
{
	const char *folder = secure_getenv("TMPDIR");
	char path[PATH_MAX];

	if (asprintf(&o->base, "%s/vmbusctl.XXXXXX",
		    folder == NULL || folder[0] == '\0' ? "/tmp" : folder) < 0) {
		o->base = NULL;
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	if (mkdtemp(o->base) != NULL) {
		snprintf(path, sizeof(path), "%s/" FOLDER, o->base);
		if (mkdir(path, 0700) == 0)
			return CTL_OK;
	}
	ctl_error("cannot make a folder %s: %s; TMPDIR names another place", o->base,
		strerror(errno));
	return CTL_FAILED;
}

static void
say(const struct out *o, const char *archive)
{
	struct json_object *object, *list;

	if (o->ctl->json) {
		object = json_object_new_object();
		list = json_object_new_array();
		for (unsigned int i = 0; i < o->n; i++)
			json_object_array_add(list, json_object_new_string(o->names[i]));
		json_object_object_add(object, "archive", json_object_new_string(archive));
		json_object_object_add(object, "files", list);
		ctl_print_json(object);
		return;
	}
	printf("%s %s:", o->ctl->dry_run ? "would write" : "wrote", archive);
	for (unsigned int i = 0; i < o->n; i++)
		printf(" %s", o->names[i]);
	printf("\nAddresses, GUIDs, serial numbers, passwords and the names of host, domains and "
	       "users are replaced; look through it before you attach it.\n");
}

int
ctl_report(struct ctl *ctl)
{
	static const char *const dmesg[] = {"dmesg", NULL}, *const links[] = {
								    "ip", "-s", "link", NULL};
	const char *archive = ctl->device == NULL ? ARCHIVE : ctl->device;
	struct out o = {.ctl = ctl, .redact = redact_new(), .rc = CTL_OK};

	if (ctl->force || ctl->persist) {
		ctl_error("report takes no --force or --persist; see vmbusctl --help");
		redact_free(o.redact);
		return CTL_USAGE;
	}
	if (!can_make(archive, ctl->dry_run) || o.redact == NULL ||
		(!ctl->dry_run && prepare(&o) != CTL_OK)) {
		redact_free(o.redact);
		free(o.base);
		return CTL_FAILED;
	}
	take_private(&o);
	put_command(&o, "doctor.txt", ctl_doctor, false);
	put_command(&o, "doctor.json", ctl_doctor, true);
	put_command(&o, "list.txt", ctl_list, false);
	/* "status" of all: the device that was named is our file. */
	ctl->device = NULL;
	put_command(&o, "status.json", ctl_status, true);
	put_system(&o);
	put_program(&o, "dmesg.txt", dmesg, TEXT_MAX);
	put_program(&o, "links.txt", links, TEXT_MAX);
	put_traffic(&o);
	if (o.rc == CTL_OK && !ctl->dry_run)
		o.rc = pack(&o, archive);
	if (o.rc == CTL_OK)
		say(&o, archive);
	if (!ctl->dry_run)
		clean(&o);
	redact_free(o.redact);
	free(o.base);
	return o.rc;
}
