/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Association of a virtual function and the switch of the data path (spec/nvsp.md §9, spec/hosts.md
 * §2). The guest's 129 moves the path; the host moves it only when the VF goes or a command says
 * so. Nothing here waits for an answer of the guest, for some never give any.
 */
#include "lib/host/nic_internal.h"

#define MS_NS UINT64_C(1000000)
/* What is due waits for room in the control queue. */
#define RETRY_NS UINT64_C(1000000)

void
nic_vf_attach(struct host_nic *nic, struct host_port *port)
{
	nic->vf.port = port;
	nic->vf.present = true;
	nic->vf.serial = 1;
	nic->vf.notice = true;
}

/* Move the path. What the guest is to hear of it is the caller's to say. */
static void
path_set(struct host_nic *nic, bool on)
{
	nic->vf.leave_ns = 0;
	if (nic->vf.on == on)
		return;
	nic->vf.on = on;
	nic->stats.path_switches++;
	if (on)
		memset(nic->vf.flows, 0, sizeof(nic->vf.flows));
}

void
nic_vf_reset(struct host_nic *nic)
{
	struct nic_vf *vf = &nic->vf;

	/* The VF stays, and the next guest is told of it. */
	vf->announced = vf->known = vf->path_notice = false;
	vf->notice = vf->present;
	vf->requests_n = 0;
	/* OpenVMM leaves the path where it is (spec/hosts.md §2). */
	if (!nic->knobs.vf_outlives)
		path_set(nic, false);
}

void
nic_vf_rndis_up(struct host_nic *nic)
{
	nic->vf.up_ns = monotonic_ns();
}

/* When things are due, by the knobs as they are: whoever holds something back can let it go. */

static uint64_t
offer_due(const struct host_nic *nic)
{
	return nic->vf.up_ns + nic->knobs.vf_offer_ms * MS_NS;
}

static uint64_t
switch_due(const struct host_nic *nic)
{
	return nic->vf.requests[0].asked_ns + nic->knobs.vf_switch_ms * MS_NS;
}

/* ---- to the guest ---- */

static void
say_path(struct host_nic *nic)
{
	struct nvsp_message msg;

	if (!nic->vf.path_notice)
		return;
	nic->vf.path_notice = false;
	nvsp_build_switch_data_path(&msg, NVSP_DATA_PATH_SYNTHETIC);
	nic_control_notify(nic, &msg, 0, NIC_TID_SWITCH);
}

static void
say_association(struct host_nic *nic)
{
	struct nvsp_message msg;

	nvsp_build_vf_association(&msg, nic->vf.announced, nic->vf.serial_told);
	nic_control_notify(nic, &msg, VMBUS_FLAG_COMPLETION, NIC_TID_VF);
}

/* Does something keep an association back that the guest is to hear of? */
static bool
offer_waits(const struct host_nic *nic)
{
	return !nic->knobs.vf_offer || monotonic_ns() < offer_due(nic);
}

static void
say_vf(struct host_nic *nic)
{
	struct nic_vf *vf = &nic->vf;

	if (!vf->notice || (vf->present && offer_waits(nic)))
		return;
	vf->notice = false;
	vf->announced = vf->present;
	if (vf->present) {
		vf->known = true;
		vf->serial_told = vf->serial;
	}
	/* The end of what it never heard of is nothing; with the same serial (pitfalls V21). */
	if (vf->known)
		say_association(nic);
}

/* May this guest hear of VFs at all? */
static bool
guest_asked(const struct host_nic *nic)
{
	return nic->version >= NVSP_VERSION_4 && nic->capabilities & NVSP_CAP_SRIOV &&
	       nic->rndis_up;
}

void
nic_vf_announce(struct host_nic *nic)
{
	if ((!nic->vf.notice && !nic->vf.path_notice) || !guest_asked(nic))
		return;
	if (nic->knobs.vf_removal == NIC_VF_REMOVAL_VF_FIRST)
		say_vf(nic);
	say_path(nic);
	say_vf(nic);
}

void
nic_vf_inject(struct host_nic *nic)
{
	if (nic->vf.announced)
		say_association(nic);
}

/* ---- from the guest ---- */

static void
switch_now(struct host_nic *nic, const struct nic_vf_request *request)
{
	struct nic_vf *vf = &nic->vf;
	uint32_t mode = nic->knobs.vf_switch;
	bool to_vf = request->path == NVSP_DATA_PATH_VF;

	if (request->path == NVSP_DATA_PATH_SYNTHETIC) {
		/* What the VF had sent before has left it. */
		nic_vf_drain(nic);
		path_set(nic, false);
	} else if (to_vf && mode == NIC_VF_SWITCH_TAKE && vf->present && vf->announced) {
		path_set(nic, true);
	}
	/* In the wrong state it is completed without a change (spec/nvsp.md §9). */
	if (request->answer)
		nic_control_answer(nic, request->tid, NVSP_TYPE_SWITCH_DATA_PATH, NULL);
	if (to_vf && mode == NIC_VF_SWITCH_FAIL) {
		vf->path_notice = true;
		nic_rndis_notify(nic);
	}
}

const char *
nic_vf_switch(struct host_nic *nic, const struct vmbus_packet *pkt, uint32_t path)
{
	struct nic_vf *vf = &nic->vf;
	struct nic_vf_request request = {
		.tid = pkt->trans_id,
		.path = path,
		.answer = pkt->flags & VMBUS_FLAG_COMPLETION,
	};

	if (nic->version < NVSP_VERSION_4 || nic->state != NIC_READY)
		return "SWITCH_DATA_PATH below version 4 or before the NIC is ready";
	if (path == NVSP_DATA_PATH_VF && nic->knobs.vf_switch == NIC_VF_SWITCH_IGNORE)
		return NULL;
	if (nic->knobs.vf_switch_ms == 0 && vf->requests_n == 0) {
		switch_now(nic, &request);
		return NULL;
	}
	if (vf->requests_n == NIC_VF_SWITCHES)
		return "more SWITCH_DATA_PATH than can be outstanding";
	request.asked_ns = monotonic_ns();
	vf->requests[vf->requests_n++] = request;
	return NULL;
}

void
nic_vf_turn(struct host_nic *nic)
{
	struct nic_vf *vf = &nic->vf;
	struct nic_vf_request first;

	if (vf->leave_ns != 0 && monotonic_ns() >= vf->leave_ns)
		path_set(nic, false);
	while (vf->requests_n != 0 && nic_control_room(nic) != 0 &&
		monotonic_ns() >= switch_due(nic)) {
		first = vf->requests[0];
		vf->requests_n--;
		memmove(&vf->requests[0], &vf->requests[1],
			vf->requests_n * sizeof(vf->requests[0]));
		switch_now(nic, &first);
	}
}

/* ---- commands ---- */

int
host_nic_set_vf(struct host_nic *nic, bool present, uint32_t serial)
{
	struct nic_vf *vf = &nic->vf;

	vf->present = present;
	vf->notice = true;
	if (present) {
		vf->serial = serial;
		vf->leave_ns = 0;
	} else if (nic->knobs.vf_removal == NIC_VF_REMOVAL_SILENT) {
		vf->notice = false;
	} else if (vf->on && nic->knobs.vf_removal == NIC_VF_REMOVAL_ASK) {
		vf->leave_ns = monotonic_ns() + nic->knobs.vf_leave_ms * MS_NS;
	} else if (vf->on) {
		path_set(nic, false);
		vf->path_notice = vf->known;
	}
	nic_rndis_notify(nic);
	return 0;
}

void
host_nic_take_path_back(struct host_nic *nic)
{
	path_set(nic, false);
	nic->vf.path_notice = nic->vf.known;
	nic_rndis_notify(nic);
}

bool
host_nic_path_is_vf(const struct host_nic *nic)
{
	return nic->vf.on;
}

/* ---- time ---- */

static uint64_t
left(uint64_t when)
{
	uint64_t now = monotonic_ns();

	return when > now ? when - now : 0;
}

uint64_t
nic_vf_deadline(const struct host_nic *nic)
{
	const struct nic_vf *vf = &nic->vf;
	uint64_t when = UINT64_MAX, t;

	if (vf->notice && vf->present && nic->knobs.vf_offer && guest_asked(nic)) {
		when = left(offer_due(nic));
		if (nic_control_is_crowded(nic) && when < RETRY_NS)
			when = RETRY_NS;
	}
	if (vf->leave_ns != 0) {
		t = left(vf->leave_ns);
		when = t < when ? t : when;
	}
	if (vf->requests_n != 0) {
		t = left(switch_due(nic));
		if (nic_control_room(nic) == 0 && t < RETRY_NS)
			t = RETRY_NS;
		when = t < when ? t : when;
	}
	return when;
}
