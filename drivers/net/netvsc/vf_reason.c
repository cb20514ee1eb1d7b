/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What telemetry says of the VF: how it stands (netvsc_vf_status()), and where frames do not go
 * through it, why not. One reason: the first that stands in the way of all others behind it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_telemetry.h>

#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/vf_dev.h"
#include "drivers/net/netvsc/vf_reason.h"

/* A copy of what the search for the VF has come to. */
struct search {
	char why[NETVSC_VF_WHY_MAX]; /* "" nobody has said anything */
	char want[RTE_ETH_NAME_MAX_LEN], slot[NETVSC_VF_NAME_MAX];
};

static void
search_take(const struct netvsc_port *port, struct search *search)
{
	struct netvsc_vf_dev *dev;

	memset(search, 0, sizeof(*search));
	if (!netvsc_lock_in_time(&netvsc_vf_lock))
		return;
	dev = netvsc_vf_dev_of(port);
	if (dev != NULL) {
		memcpy(search->why, dev->why, sizeof(search->why));
		memcpy(search->want, dev->want, sizeof(search->want));
		memcpy(search->slot, dev->slot, sizeof(search->slot));
	}
	rte_spinlock_unlock(&netvsc_vf_lock);
}

/* Of the port itself, whatever there is below it. @return NULL: it may use a VF */
static const char *
reason_of_port(const struct netvsc_port *port, const struct netvsc_vf_status *s)
{
	uint32_t state = atomic_load(&port->state);

	if (port->config.ignore_vf)
		return "ignore_vf forbids it: the devarg, or an isolated VM";
	if (port->session.attached && port->session.nvsp_version < NVSP_VERSION_5)
		return "virtual functions take NVSP 5, and the host speaks an older version";
	if (!port->session.attached)
		return "the port has no session with the host";
	if (!s->possible)
		return "the port could not begin to look for one: the log says why";
	if (!s->associated && !s->found)
		return "the host offers none";
	if (netvsc_vf_others(port))
		return "other processes have the port";
	if (port->data->dev_conf.intr_conf.rxq != 0)
		return "receive interrupts are configured (intr_conf.rxq), which a VF would not give";
	if (state & NETVSC_STATE_LINK_DOWN)
		return "the port's link is set down";
	if (!(state & NETVSC_STATE_RUNNING))
		return "the port is stopped";
	if (!netvsc_vf_facts_started(atomic_load(&port->vf_shared.facts)))
		return "not all queues of the port are started";
	return NULL;
}

/* No ethdev is it, yet. */
static void
reason_not_found(const struct netvsc_vf_status *s, const struct search *search, char *text)
{
	if (search->why[0] != '\0')
		snprintf(text, NETVSC_VF_WHY_MAX, "%s", search->why);
	else if (search->want[0] != '\0')
		snprintf(text, NETVSC_VF_WHY_MAX,
			"no port is found yet: none is called '%.40s' (devarg vf)", search->want);
	else if (search->slot[0] != '\0')
		snprintf(text, NETVSC_VF_WHY_MAX, "no port is found yet: PCI function %s has none",
			search->slot);
	else
		snprintf(text, NETVSC_VF_WHY_MAX,
			"no port is found yet: no PCI function has serial number %" PRIu32
			", or the MAC address",
			s->serial);
}

/* Of the ethdev that was found. @return NULL: it is fit for use */
static const char *
reason_of_vf(const struct netvsc_vf_status *s, const struct search *search)
{
	if (s->hangs)
		return "its driver does not return from a call";
	if (s->recovering)
		return "it resets itself";
	if (s->failed)
		return "its reset has failed";
	if (!s->running && search->why[0] != '\0')
		return search->why;
	if (!s->running)
		return s->starting ? "it is being started" : "it is not started yet";
	if (!s->associated)
		return "the host offers none, though there is a port for one";
	return s->link ? NULL : "its link is down";
}

/* Of the data path, which is the host's to move. */
static const char *
reason_of_host(const struct netvsc_vf_status *s)
{
	if (s->host == NETVSC_VF_HOST_TO_VF)
		return "the host is asked for the data path and has not answered";
	if (s->asks_later)
		return "the host has refused the data path, moved it back or not answered: it is asked again";
	return "the data path is on its way";
}

void
netvsc_vf_show_take(const struct netvsc_port *port, struct netvsc_vf_show *show)
{
	const struct netvsc_vf_status *s = &show->status;
	struct netvsc_vf_candidate c;
	const char *reason = NULL;
	struct search search;

	memset(show, 0, sizeof(*show));
	netvsc_vf_status(port, &show->status);
	if (s->vf != NETVSC_VF_NONE && netvsc_vf_candidate(s->vf, &c)) {
		memcpy(show->name, c.name, sizeof(show->name));
		memcpy(show->device, c.device, sizeof(show->device));
	}
	if (s->used)
		return;
	search_take(port, &search);
	reason = reason_of_port(port, s);
	if (reason == NULL && !s->found) {
		reason_not_found(s, &search, show->reason);
		return;
	}
	if (reason == NULL)
		reason = reason_of_vf(s, &search);
	if (reason == NULL)
		reason = reason_of_host(s);
	snprintf(show->reason, sizeof(show->reason), "%s", reason);
}

void
netvsc_vf_show_add(const struct netvsc_vf_show *show, struct rte_tel_data *d)
{
	const struct netvsc_vf_status *s = &show->status;

	netvsc_compat_tel_number(d, "vf_associated", s->associated);
	if (s->associated)
		netvsc_compat_tel_number(d, "vf_serial", s->serial);
	netvsc_compat_tel_number(d, "vf_found", s->found);
	if (s->vf != NETVSC_VF_NONE)
		netvsc_compat_tel_number(d, "vf_port", s->vf);
	rte_tel_data_add_dict_string(d, "vf_name", show->name);
	rte_tel_data_add_dict_string(d, "vf_device", show->device);
	netvsc_compat_tel_number(d, "vf_running", s->running);
	netvsc_compat_tel_number(d, "vf_link_up", s->link);
	netvsc_compat_tel_number(d, "vf_recovering", s->recovering);
	netvsc_compat_tel_number(d, "vf_receives", s->receives);
	netvsc_compat_tel_number(d, "vf_used", s->used);
	rte_tel_data_add_dict_string(d, "vf_unused_because", show->reason);
	netvsc_compat_tel_number(d, "vf_failed_starts", s->counts.failed_starts);
	netvsc_compat_tel_number(d, "vf_moved_back_by_host", s->counts.forced);
	netvsc_compat_tel_number(d, "vf_refused_by_host", s->counts.refused);
	netvsc_compat_tel_number(d, "vf_unanswered_by_host", s->counts.timeouts);
}
