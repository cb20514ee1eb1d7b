/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The state machine of a VF in virtual time, in a world of the test: a host that moves the data
 * path, a VF with a link that comes and goes, calls of its driver that last.
 */
#ifndef HP_TEST_NETVSC_VF_MACHINE_WORLD_H
#define HP_TEST_NETVSC_VF_MACHINE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/net/netvsc/vf_machine.h"
#include "test/unit/unit.h"

#define S	  1000
#define SETTLE_MS (300 * S)

/* How hosts and VFs differ; bits of a number. */
#define HABIT_SLOW_HOST	   0x01u /* it answers after 5 s */
#define HABIT_SLOW_START   0x02u /* 3 s, and events meanwhile; stops, too */
#define HABIT_FAILED_START 0x04u /* the first two starts of each VF fail */
#define HABIT_FAILED_OWN   0x08u /* the first one does */
#define HABIT_STICKY_PATH  0x10u /* the path stays on a VF that is not associated any more */
#define HABIT_OTHER_ID	   0x20u /* each VF has another port id than the one before */
#define HABIT_COALESCED	   0x40u /* the machine looks at every other event only */
#define HABITS		   0x80u

struct world {
	struct netvsc_vf_machine m;
	uint64_t facts;
	int64_t now;
	unsigned int habits;

	/* As it is. */
	bool associated, present, link, recovering, failed, started, session;
	uint32_t serial;
	uint16_t id;
	bool host_vf; /* where the path is */

	/* What the driver has made of it. */
	bool tx, rx;
	uint16_t owned; /* or NETVSC_VF_NONE */
	bool running;	/* the VF is started */
	/* Which VF, and which configuration of the port, there is and was taken and started. */
	unsigned int vf_number, conf_number, owned_vf, started_vf, started_conf;
	bool call; /* a slow step is going on */
	enum netvsc_vf_step step;
	int64_t call_until;
	bool asked; /* the host has a request of ours */
	bool asked_vf;
	int64_t answer_at; /* INT64_MAX: never */
	unsigned int starts_to_fail, owns_to_fail;
	unsigned int told; /* events so far */

	bool resets;	   /* it is closed while the VF does */
	bool ignores_asks; /* the host does not answer a 129(1) */
	unsigned int asks, backs, starts, stops;
};

/* Where something was that must not be; the first is printed, with the events so far. */
extern unsigned int wrongs;
extern char trail[256];
void wrong(const struct world *w, const char *what);

#define MUST(w, expr)                                                                              \
	do {                                                                                       \
		if (!(expr))                                                                       \
			wrong(w, #expr);                                                           \
	} while (0)

/** Nothing is there. */
void world_begin(struct world *w, unsigned int habits);
/** A session, and a port that is started. */
void world_run(struct world *w, unsigned int habits);
/** A port that runs, with a VF through which it sends. */
void world_use(struct world *w, unsigned int habits);
/** What must hold at any moment. */
void world_check(const struct world *w);
void world_tell(struct world *w, enum netvsc_vf_event event, uint32_t value);
/** The slow step that is going on is over. */
void world_end_call(struct world *w);
/** Time passes until then, or (@p settle) until nothing will happen any more but looks at the link.
 */
void world_pass(struct world *w, int64_t ms, bool settle);

/* ---- what happens ---- */

void happen_found(struct world *w);
void happen_lost(struct world *w);
void happen_associated(struct world *w);
void happen_disassociated(struct world *w);
void happen_path(struct world *w);
void happen_link(struct world *w);
void happen_recovery(struct world *w);
void happen_port(struct world *w);
void happen_session(struct world *w);

#endif
