/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes to the machine and what undoes them; see changes.h. */
#include "app/vmbusctl/changes.h"
#include "app/vmbusctl/files.h"
#include "app/vmbusctl/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX   64
#define ARRIVE_MS   2000
#define ARRIVE_STEP 10

/* ---- made ---- */

struct json_object *
ctl_deed(const char *kind, ...)
{
	struct json_object *deed = json_object_new_array();
	const char *word;
	va_list ap;

	va_start(ap, kind);
	for (word = kind; word != NULL; word = va_arg(ap, const char *))
		json_object_array_add(deed, json_object_new_string(word));
	va_end(ap);
	return deed;
}

void
ctl_change(struct json_object *changes, const char *what, const char *interface,
	struct json_object *doing, struct json_object *undoing)
{
	struct json_object *change = json_object_new_object();

	json_object_object_add(change, "what", json_object_new_string(what));
	json_object_object_add(
		change, "interface", interface == NULL ? NULL : json_object_new_string(interface));
	json_object_object_add(change, "do", doing);
	json_object_object_add(change, "undo", undoing);
	json_object_array_add(changes, change);
}

/* Words of a deed, NULL-terminated. What is no deed has none: a file may say anything. */
static size_t
words_of(struct json_object *deed, const char *words[WORDS_MAX + 1])
{
	size_t n, i;

	if (!json_object_is_type(deed, json_type_array))
		return 0;
	n = json_object_array_length(deed);
	if (n == 0 || n > WORDS_MAX)
		return 0;
	for (i = 0; i < n; i++) {
		if (!json_object_is_type(json_object_array_get_idx(deed, i), json_type_string))
			return 0;
		words[i] = json_object_get_string(json_object_array_get_idx(deed, i));
	}
	words[n] = NULL;
	return n;
}

static const char *
text_of(struct json_object *change, const char *key)
{
	struct json_object *value = json_object_object_get(change, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

/* ---- shown ---- */

static bool
is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%+=:,./_-";

	return word[0] != '\0' && strspn(word, plain) == strlen(word);
}

static void
put_word(FILE *f, const char *word)
{
	if (is_plain(word)) {
		fputs(word, f);
		return;
	}
	fputc('\'', f);
	for (; *word != '\0'; word++)
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	fputc('\'', f);
}

static void
put_command(const struct ctl *ctl, FILE *f, const char *const *words, size_t n)
{
	const char *kind = words[0];
	size_t i;

	if (strcmp(kind, "run") == 0 || strcmp(kind, "tell") == 0 || strcmp(kind, "start") == 0) {
		for (i = 1; i < n; i++) {
			if (i > 1)
				fputc(' ', f);
			put_word(f, words[i]);
		}
	} else if (strcmp(kind, "remove") == 0) {
		fprintf(f, "rm -f %s/%s", ctl->root, words[1]);
	} else if (strcmp(kind, "stop") == 0) {
		fprintf(f, "kill %s", words[1]);
	} else if (strcmp(kind, "file") == 0) {
		fprintf(f, "cat > %s/%s <<'END'\n%sEND", ctl->root, words[1], words[2]);
	} else if (strcmp(kind, "arrive") == 0) {
		fprintf(f, "# %s is bound to %s now", words[1], words[2]);
	} else {
		fputs("echo ", f);
		if (words[2][0] != '\0')
			put_word(f, words[2]);
		fprintf(f, "%s> %s", words[2][0] == '\0' ? "" : " ", words[1]);
	}
}

/* How many words a kind has at least; 0 unknown. */
static size_t
length_of(const char *kind)
{
	static const struct {
		const char *kind;
		size_t words;
	} known[] = {{"write", 3}, {"run", 2}, {"tell", 2}, {"start", 2}, {"stop", 3}, {"file", 3},
		{"remove", 2}, {"release", 3}, {"arrive", 3}};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(kind, known[i].kind) == 0)
			return known[i].words;
	return 0;
}

static bool
is_deed(const char *const *words, size_t n)
{
	return n > 0 && length_of(words[0]) > 0 && n >= length_of(words[0]);
}

char *
ctl_deed_command(const struct ctl *ctl, struct json_object *deed)
{
	const char *words[WORDS_MAX + 1];
	size_t n = words_of(deed, words), size = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	if (is_deed(words, n))
		put_command(ctl, f, words, n);
	else
		fputs("# what was to be done cannot be read", f);
	fclose(f);
	return text;
}

void
ctl_changes_commands(const struct ctl *ctl, struct json_object *changes, bool undo,
	void (*each)(void *opaque, char *command), void *opaque)
{
	size_t n = json_object_array_length(changes), i;
	struct json_object *change, *deed;
	char *command;

	for (i = 0; i < n; i++) {
		change = json_object_array_get_idx(changes, undo ? n - 1 - i : i);
		deed = json_object_object_get(change, undo ? "undo" : "do");
		command = deed == NULL ? NULL : ctl_deed_command(ctl, deed);
		if (command != NULL)
			each(opaque, command);
	}
}

/* ---- done ---- */

static int
arrive(const struct ctl *ctl, const char *pci, const char *driver)
{
	const struct timespec step = {.tv_nsec = ARRIVE_STEP * 1000000L};
	char path[VMBUS_SYSFS_PATH_MAX], target[512];
	const char *slash;
	int waited;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", ctl->fs.sys, pci);
	for (waited = 0; waited < ARRIVE_MS; waited += ARRIVE_STEP) {
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		slash = strrchr(target, '/');
		if (strcmp(slash == NULL ? target : slash + 1, driver) == 0)
			return 0;
		nanosleep(&step, NULL);
	}
	return -ETIMEDOUT;
}

static void
tell(const char *const *words)
{
	int rc = ctl_program(words, NULL, 0);

	if (rc > 0)
		ctl_error("note: %s did not do as it was told (exit status %d): it may take the "
			  "virtual function until it is started again",
			words[0], rc);
	else if (rc < 0)
		ctl_error("note: %s did not do as it was told (%s): it may take the virtual "
			  "function until it is started again",
			words[0], strerror(-rc));
}

/* @return 0, a negative errno, or the exit status of a program; CTL_TOLD when reported already */
#define CTL_TOLD (-100000)

static int
do_words(const struct ctl *ctl, const char *const *words)
{
	const char *kind = words[0];
	int rc;

	if (strcmp(kind, "write") == 0)
		return ctl_write_attr(words[1], words[2]);
	if (strcmp(kind, "release") == 0) {
		rc = ctl_write_attr(words[1], words[2]);
		return rc == -ENODEV || rc == -ENOENT ? 0 : rc;
	}
	if (strcmp(kind, "run") == 0)
		return ctl_program(words + 1, NULL, 0);
	if (strcmp(kind, "tell") == 0) {
		tell(words + 1);
		return 0;
	}
	if (strcmp(kind, "start") == 0)
		return ctl_process_runs(ctl, words + 1) ? 0 : ctl_process_start(words + 1);
	if (strcmp(kind, "stop") == 0)
		return ctl_process_stop(words[1], words[2]);
	if (strcmp(kind, "file") == 0)
		return ctl_file_write(ctl, words[1], words[2]) == CTL_OK ? 0 : CTL_TOLD;
	if (strcmp(kind, "remove") == 0)
		return ctl_file_remove(ctl, words[1]) == CTL_OK ? 0 : CTL_TOLD;
	return arrive(ctl, words[1], words[2]);
}

static int
run_deed(const struct ctl *ctl, const char *what, struct json_object *deed)
{
	const char *words[WORDS_MAX + 1];
	size_t n = words_of(deed, words);
	char *command;
	int rc;

	rc = is_deed(words, n) ? do_words(ctl, words) : -EBADMSG;
	if (rc == 0)
		return CTL_OK;
	if (rc == CTL_TOLD)
		return CTL_FAILED;
	command = ctl_deed_command(ctl, deed);
	if (rc > 0)
		ctl_error(
			"cannot %s (%s): exit status %d", what, command == NULL ? "" : command, rc);
	else
		ctl_error("cannot %s (%s): %s%s", what, command == NULL ? "" : command,
			strerror(-rc), rc == -EACCES || rc == -EPERM ? ": run as root" : "");
	free(command);
	return CTL_FAILED;
}

int
ctl_changes_do(const struct ctl *ctl, struct json_object *changes, size_t *done)
{
	size_t n = json_object_array_length(changes);
	struct json_object *change, *deed;
	const char *what;

	for (*done = 0; *done < n; (*done)++) {
		change = json_object_array_get_idx(changes, *done);
		deed = json_object_object_get(change, "do");
		what = text_of(change, "what");
		if (deed != NULL && run_deed(ctl, what == NULL ? "do it" : what, deed) != CTL_OK)
			return CTL_FAILED;
	}
	return CTL_OK;
}

/* A function that has just got its driver back has its interface a little later. */
static bool
is_there(const struct ctl *ctl, const char *interface)
{
	const struct timespec step = {.tv_nsec = ARRIVE_STEP * 1000000L};
	char path[VMBUS_SYSFS_PATH_MAX];
	int waited;

	snprintf(path, sizeof(path), "%s/class/net/%s", ctl->fs.sys, interface);
	for (waited = 0; waited < ARRIVE_MS; waited += ARRIVE_STEP) {
		if (access(path, F_OK) == 0)
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

int
ctl_changes_undo(
	const struct ctl *ctl, struct json_object *changes, size_t n, struct json_object *left)
{
	char gone[16] = "", here[16] = "";
	struct json_object *change, *deed;
	const char *interface;
	int result = CTL_OK;

	while (n-- > 0) {
		change = json_object_array_get_idx(changes, n);
		if (!json_object_is_type(change, json_type_object)) {
			ctl_error("cannot bring back what was: its record is damaged");
			result = CTL_FAILED;
			continue;
		}
		deed = json_object_object_get(change, "undo");
		interface = text_of(change, "interface");
		if (deed == NULL || (interface != NULL && strcmp(interface, gone) == 0))
			continue;
		if (interface != NULL && strcmp(interface, here) != 0) {
			if (!is_there(ctl, interface)) {
				ctl_error("note: %s is gone: what was changed of it went with it",
					interface);
				snprintf(gone, sizeof(gone), "%s", interface);
				continue;
			}
			snprintf(here, sizeof(here), "%s", interface);
		}
		if (run_deed(ctl, "bring back what was", deed) == CTL_OK)
			continue;
		result = CTL_FAILED;
		if (left != NULL)
			json_object_array_add(left, json_object_get(change));
	}
	return result;
}
