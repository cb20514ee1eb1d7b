/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl list: a line for each device; status tells more. */
#include "app/vmbusctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICE, CLASS, DRIVER, NAME, USE, COLUMNS };

static const char *const titles[COLUMNS] = {"DEVICE", "CLASS", "DRIVER", "NAME", "USE"};
static const char *const keys[COLUMNS] = {"device", "class", "driver", "name", "use"};

struct line {
	char column[COLUMNS][VMBUS_SYSFS_NAME_MAX + 64];
};

/* What it is doing: the first of what status would say. */
static void
put_use(struct ctl *ctl, const struct vmbus_sysfs_device *device, char *text, size_t size)
{
	struct ctl_user users[CTL_USERS_MAX];
	unsigned int n = ctl_users(ctl, device, users);
	struct ctl_interfaces set;
	struct ctl_default route = {0};
	char which[16];

	text[0] = '\0';
	ctl_interfaces(ctl, device, &set);
	if (n > 0)
		snprintf(text, size, "%s (pid %d)%s", users[0].command, users[0].pid,
			n > 1 ? " and others" : "");
	else if (ctl_has_ssh(ctl, &set, which))
		snprintf(text, size, "this SSH connection");
	else if (ctl_has_default_route(ctl, &set, &route))
		ctl_default_text(&route, text, size);
}

static void
look(struct ctl *ctl, const struct vmbus_sysfs_device *device, struct line *line)
{
	size_t size = sizeof(line->column[0]);

	snprintf(line->column[DEVICE], size, "%s", device->name);
	snprintf(line->column[CLASS], size, "%s", vmbus_class_name(device->class_guid));
	snprintf(line->column[DRIVER], size, "%s", device->driver);
	line->column[NAME][0] = '\0';
	if (device->uio >= 0)
		snprintf(line->column[NAME], size, "uio%d", device->uio);
	else if (device->n_netdevs > 0)
		snprintf(line->column[NAME], size, "%s", device->netdevs[0]);
	put_use(ctl, device, line->column[USE], size);
}

static const char *
shown(const struct line *line, int column)
{
	return line->column[column][0] == '\0' ? "-" : line->column[column];
}

/* Columns as wide as what is in them; nothing behind the last word of a line. */
static void
print_table(const struct line *lines, size_t n)
{
	size_t width[COLUMNS], i, length;
	int c, last;

	for (c = 0; c < COLUMNS; c++) {
		width[c] = strlen(titles[c]);
		for (i = 0; i < n; i++) {
			length = strlen(shown(&lines[i], c));
			width[c] = length > width[c] ? length : width[c];
		}
	}
	for (c = 0; c < USE; c++)
		printf("%-*s  ", (int)width[c], titles[c]);
	puts(titles[USE]);
	for (i = 0; i < n; i++) {
		last = lines[i].column[USE][0] == '\0' ? NAME : USE;
		for (c = 0; c < last; c++)
			printf("%-*s  ", (int)width[c], shown(&lines[i], c));
		puts(shown(&lines[i], last));
	}
}

static struct json_object *
json_line(const struct line *line)
{
	struct json_object *o = json_object_new_object();
	int c;

	for (c = 0; c < COLUMNS; c++)
		json_object_object_add(o, keys[c],
			line->column[c][0] == '\0' ? NULL
						   : json_object_new_string(line->column[c]));
	return o;
}

int
ctl_list(struct ctl *ctl)
{
	struct json_object *out, *list;
	struct line *lines;
	size_t i;

	if (ctl_scan(ctl) != CTL_OK)
		return CTL_FAILED;
	lines = calloc(ctl->n_devices + 1, sizeof(*lines));
	if (lines == NULL) {
		ctl_error("no memory");
		return CTL_FAILED;
	}
	for (i = 0; i < ctl->n_devices; i++)
		look(ctl, &ctl->devices[i], &lines[i]);
	if (ctl->json) {
		out = json_object_new_object();
		list = json_object_new_array();
		for (i = 0; i < ctl->n_devices; i++)
			json_object_array_add(list, json_line(&lines[i]));
		json_object_object_add(out, "devices", list);
		ctl_print_json(out);
	} else {
		print_table(lines, ctl->n_devices);
	}
	free(lines);
	return CTL_OK;
}
