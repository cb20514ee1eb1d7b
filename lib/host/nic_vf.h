/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtual function beside a host NIC (spec/nvsp.md §9): what the guest has been told of it,
 * which path its frames take, and the port where they come and go meanwhile. Part of struct
 * host_nic, used by its thread alone.
 */
#ifndef HP_HOST_NIC_VF_H
#define HP_HOST_NIC_VF_H

#include "lib/host/port.h"

struct host_nic;
struct vmbus_packet;

/* Switches of the guest whose answers are due later. */
#define NIC_VF_SWITCHES 4u
/* Counters of flows for the knob vf_first; flows that share one are one. */
#define NIC_VF_FLOWS 4096u

/* Knob vf_switch: what becomes of a guest's wish to switch to the VF. */
enum nic_vf_switch {
	NIC_VF_SWITCH_TAKE,
	NIC_VF_SWITCH_REFUSE, /* answered, and the path stays */
	NIC_VF_SWITCH_FAIL,   /* the same, and then the host says so with a switch of its own */
	NIC_VF_SWITCH_IGNORE, /* neither switched nor answered */
};

/* Knob vf_removal: what the guest hears when its VF goes. */
enum nic_vf_removal {
	NIC_VF_REMOVAL_PATH_FIRST, /* the path goes back, then the VF */
	NIC_VF_REMOVAL_VF_FIRST,
	NIC_VF_REMOVAL_ASK, /* of the VF only: it works on for vf_leave_ms, or till the guest left
			     */
	NIC_VF_REMOVAL_SILENT, /* nothing: what is sent is lost */
};

struct nic_vf_request {
	uint64_t tid, asked_ns;
	uint32_t path;
	bool answer;
};

struct nic_vf {
	struct host_port *port; /* vf-port=, or NULL: frames stay on the synthetic path */
	bool present;
	bool on;	      /* the data path is the VF's */
	bool announced;	      /* the guest has a VF, as far as it has been told */
	bool known;	      /* it has heard of one since it opened the channel */
	bool notice;	      /* present or not, it is to be told */
	bool path_notice;     /* it is to be told that the path is synthetic */
	uint32_t serial;      /* of the VF */
	uint32_t serial_told; /* of the last association */
	uint64_t up_ns;	      /* when RNDIS came up: vf_offer_ms counts from there */
	uint64_t leave_ns;    /* when the path goes back by itself; 0: never */
	uint32_t requests_n;
	struct nic_vf_request requests[NIC_VF_SWITCHES]; /* oldest first */
	uint8_t flows[NIC_VF_FLOWS];			 /* frames of each that were first */
};

/* ---- nic_vf.c ---- */

/* The VF is there, and its frames come and go by @p port, which the NIC closes. */
void nic_vf_attach(struct host_nic *nic, struct host_port *port);
void nic_vf_reset(struct host_nic *nic);
/* The guest has set RNDIS up: it is to hear of a VF, now or after the time of the knob. */
void nic_vf_rndis_up(struct host_nic *nic);
/* Tell the guest what it may know and has not been told. */
void nic_vf_announce(struct host_nic *nic);
/* Repeat the association, for the knob "inject". */
void nic_vf_inject(struct host_nic *nic);
/* A 129 of the guest. Returns NULL or why the channel must stop. */
const char *nic_vf_switch(struct host_nic *nic, const struct vmbus_packet *pkt, uint32_t path);
/* Do what is due by time; called where that may be. */
void nic_vf_turn(struct host_nic *nic);
/* Nanoseconds until something is due, UINT64_MAX: nothing is. */
uint64_t nic_vf_deadline(const struct host_nic *nic);

/* ---- nic_vf_frames.c ---- */

/* Frames of the network while the path is the VF's, instead of nic_rx_poll(). */
unsigned int nic_vf_to_guest(struct host_nic *nic, unsigned int budget);
/* Frames of the VF's port. */
unsigned int nic_vf_from_guest(struct host_nic *nic, unsigned int budget);
/* Would that ask the port for frames? */
bool nic_vf_wants_port(const struct host_nic *nic);
/* The guest leaves the VF in order: what it sent is still to go out. */
void nic_vf_drain(struct host_nic *nic);

#endif
