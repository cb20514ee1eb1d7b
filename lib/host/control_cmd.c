/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of the control socket. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host/control_internal.h"
#include "lib/host/control_json.h"

const char *const host_control_help =
	"stats [NIC]              counters, state and port of one NIC or all\n"
	"link NIC up|down         connect or disconnect the cable\n"
	"vf NIC present|absent [serial=N]  its virtual function appears or goes\n"
	"vf NIC path=synthetic    take the data path back from the virtual function\n"
	"rings NIC                indices and masks of all open channels\n"
	"set NIC name=KNOB value=V  behaviour and faults of the host (hvsim ctl knobs)\n"
	"trace [NIC] [file=FILE|on|off] [snaplen=BYTES]  write VMBus packets of one NIC or all into\n"
	"                         a new file, or on into the last one, or no longer; how it goes\n"
	"knobs                    list of the knobs\n"
	"rescind NIC              take the device away from the guest\n"
	"offer NIC                give it back\n";

static struct json_object *
nic_stats(const struct host_control_ops *ops, struct host_nic *nic, unsigned int number)
{
	struct json_object *o;

	if (ops->refresh != NULL)
		ops->refresh(ops->ctx, number);
	o = control_json_stats(nic);
	json_object_object_add(o, "rescinded",
		json_object_new_boolean(ops->offered != NULL && !ops->offered(ops->ctx, number)));
	return o;
}

const char *
control_member(struct json_object *request, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(request, key, &o) ? json_object_get_string(o) : NULL;
}

bool
control_truth(struct json_object *request, const char *key, bool *value)
{
	struct json_object *o;

	if (!json_object_object_get_ex(request, key, &o) ||
		!(json_object_is_type(o, json_type_boolean) ||
			json_object_is_type(o, json_type_int)))
		return false;
	*value = json_object_get_boolean(o);
	return true;
}

int
control_fail(char *errbuf, size_t errlen, int rc, const char *text)
{
	snprintf(errbuf, errlen, "%s", text);
	return rc;
}

static int
cmd_set(struct json_object *request, struct host_nic *nic, char *errbuf, size_t errlen)
{
	const char *name = control_member(request, "name"),
		   *value = control_member(request, "value");
	int rc;

	if (name == NULL || value == NULL)
		return control_fail(errbuf, errlen, -EINVAL, "set needs name and value");
	rc = host_nic_knob(nic, name, value);
	if (rc != 0)
		snprintf(errbuf, errlen,
			rc == -ENOENT ? "there is no knob %s" : "bad value for knob %s", name);
	return rc;
}

static int
cmd_vf(struct json_object *request, struct host_nic *nic, char *errbuf, size_t errlen)
{
	const char *path = control_member(request, "path");
	struct json_object *o;
	int64_t serial = 1;
	bool present;

	if (path != NULL) {
		/* The way there is the guest's to ask for. */
		if (strcmp(path, "synthetic") != 0)
			return control_fail(
				errbuf, errlen, -EINVAL, "vf knows only path=synthetic");
		host_nic_take_path_back(nic);
		return 0;
	}
	if (!control_truth(request, "present", &present))
		return control_fail(errbuf, errlen, -EINVAL,
			"vf needs present=true, present=false or path=synthetic");
	if (json_object_object_get_ex(request, "serial", &o))
		serial = json_object_is_type(o, json_type_int) ? json_object_get_int64(o) : -1;
	if (serial < 0 || serial > UINT32_MAX)
		return control_fail(errbuf, errlen, -EINVAL, "serial is a number of 32 bits");
	return host_nic_set_vf(nic, present, (uint32_t)serial);
}

/* Commands that look into a NIC or change it, its owner's lock held. */
static int
locked_command(const struct host_control_ops *ops, struct json_object *request,
	struct json_object *answer, const char *cmd, struct host_nic *nic, unsigned int number,
	char *errbuf, size_t errlen)
{
	bool on = false;
	int rc = -ENOSYS;

	if (strcmp(cmd, "rings") == 0) {
		json_object_object_add(answer, "rings", control_json_rings(nic));
		return 0;
	}
	if (strcmp(cmd, "link") == 0) {
		if (!control_truth(request, "up", &on))
			return control_fail(
				errbuf, errlen, -EINVAL, "link needs up=true or up=false");
		rc = host_nic_set_link(nic, on);
	} else if (strcmp(cmd, "vf") == 0) {
		return cmd_vf(request, nic, errbuf, errlen);
	} else if (strcmp(cmd, "set") == 0) {
		return cmd_set(request, nic, errbuf, errlen);
	} else if (ops->command != NULL) {
		rc = ops->command(ops->ctx, cmd, number, errbuf, errlen);
	}
	if (rc == -ENOSYS)
		return control_fail(errbuf, errlen, rc, "there is no such command");
	if (rc != 0 && errbuf[0] == '\0')
		snprintf(errbuf, errlen, "%s: %s", cmd, strerror(-rc));
	return rc;
}

/* Commands on one NIC. */
static int
nic_command(const struct host_control_ops *ops, struct json_object *request,
	struct json_object *answer, const char *cmd, unsigned int number, char *errbuf,
	size_t errlen)
{
	struct host_nic *nic = ops->nic(ops->ctx, number);
	int rc;

	if (nic == NULL)
		return control_fail(errbuf, errlen, -ENOENT, "there is no such NIC");
	if (strcmp(cmd, "stats") == 0) {
		json_object_object_add(answer, "stats", nic_stats(ops, nic, number));
		return 0;
	}
	if (strcmp(cmd, "trace") == 0)
		return control_trace(ops, request, answer, number, errbuf, errlen);
	if (ops->lock != NULL)
		ops->lock(ops->ctx, number);
	rc = locked_command(ops, request, answer, cmd, nic, number, errbuf, errlen);
	host_nic_publish(nic);
	if (ops->unlock != NULL)
		ops->unlock(ops->ctx, number);
	return rc;
}

static int
execute(const struct host_control_ops *ops, struct json_object *request, struct json_object *answer,
	char *errbuf, size_t errlen)
{
	struct json_object *o, *list;
	const char *cmd;
	unsigned int i, n = ops->nics(ops->ctx);
	int64_t number;
	int rc = control_check(request, errbuf, errlen);

	if (rc != 0)
		return rc;
	cmd = control_member(request, "cmd");
	if (strcmp(cmd, "knobs") == 0) {
		json_object_object_add(answer, "knobs", json_object_new_string(host_nic_knob_help));
		return 0;
	}
	if (json_object_object_get_ex(request, "nic", &o)) {
		number = json_object_get_int64(o);
		if (!json_object_is_type(o, json_type_int) || number < 0 || number >= n)
			return control_fail(errbuf, errlen, -ENOENT, "there is no such NIC");
		return nic_command(ops, request, answer, cmd, (unsigned int)number, errbuf, errlen);
	}
	if (strcmp(cmd, "trace") == 0 && n != 1)
		return control_trace_all(ops, request, answer, errbuf, errlen);
	if (strcmp(cmd, "stats") != 0 && n == 1)
		return nic_command(ops, request, answer, cmd, 0, errbuf, errlen);
	if (strcmp(cmd, "stats") != 0)
		return control_fail(
			errbuf, errlen, -EINVAL, "this command needs nic, the NIC's number");
	list = json_object_new_array();
	for (i = 0; i < n; i++) {
		struct host_nic *nic = ops->nic(ops->ctx, i);

		json_object_array_add(list, nic == NULL ? NULL : nic_stats(ops, nic, i));
	}
	json_object_object_add(answer, "nics", list);
	return 0;
}

char *
host_control_execute(const struct host_control_ops *ops, const char *line)
{
	struct json_object *request, *answer = json_object_new_object();
	char errbuf[256] = "", *text = NULL;
	int rc = -EINVAL;

	request = control_parse(line, errbuf, sizeof(errbuf));
	if (request != NULL) {
		errbuf[0] = '\0';
		rc = execute(ops, request, answer, errbuf, sizeof(errbuf));
	}
	json_object_object_add(answer, "ok", json_object_new_boolean(rc == 0));
	if (rc != 0)
		json_object_object_add(answer, "error", json_object_new_string(errbuf));
	if (asprintf(&text, "%s\n",
		    json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN)) < 0)
		text = NULL;
	json_object_put(answer);
	json_object_put(request);
	return text;
}
