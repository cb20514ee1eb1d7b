/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The fixture's port without a session, and a scripted host for the way up and down of one: it
 * misbehaves at one rung of the ladder in one way, and remembers what was said. One of each in a
 * program; all on the calling thread.
 */
#ifndef HP_TEST_NETVSC_LADDER_H
#define HP_TEST_NETVSC_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#include "test/unit/netvsc_fixture.h"

#define CHANNELS 3u

/** What must be answered on the way up, in this order; then what is said on the way down. */
enum rung {
	INIT,
	RECV_BUF,
	SEND_BUF,
	RNDIS_INIT,
	FILTER,
	MAC,
	USER_MAC,
	FRAME_SIZE,
	OFFLOAD_CAPS,
	OFFLOADS,
	MEDIA,
	SPEED,
	RSS,
	SUBCHANNELS,
	HALT,
	REVOKE_RECV,
	REVOKE_SEND,
	COUNTER, /* of the host, asked in the background */
	OTHER,
	N_RUNGS
};

enum deed {
	ANSWER,
	REFUSE,	       /* a status that says so */
	NOT_SUPPORTED, /* another one, of RNDIS */
	UNSENT,	       /* RNDIS: the send itself is refused */
	EMPTY,	       /* a query's answer with nothing in it */
	SHORT,	       /* ends too early */
	WRONG_TYPE,    /* the answer to something else */
	ODD,	       /* well-formed, but what it says cannot be */
	SILENT,
	VANISH, /* the device goes away instead */
};

extern struct fixture f;
/** What the host calls the port, and what its user does. */
extern const struct rte_ether_addr ladder_own, ladder_users;
/** That ethdev was told. */
extern struct rte_ether_addr ladder_told;
/** A clock that only waiting moves, or 0: time as it is. */
extern int64_t ladder_ms;
/** There is no memory for what is called so. */
extern const char *ladder_no_memory;

/** See ladder_script() for what it begins with. */
struct ladder_host {
	enum rung rung;
	enum deed deed;
	uint32_t above;	  /**< the deed is done when the MTU is larger */
	uint32_t newest;  /**< NVSP version that it knows */
	uint32_t grants;  /**< subchannels, at most */
	uint32_t max_mtu; /**< more is 1500, silently, unless it clamps */
	uint32_t divides; /**< MTU for which it has receive sections, at most */
	bool clamps;	  /**< more than max_mtu is max_mtu */
	unsigned int asked[N_RUNGS];
	enum rung said[64]; /**< in this order */
	unsigned int n_said;
	uint32_t mtu; /**< IP MTU that it was asked for */
	uint32_t filter;
	unsigned int rss_sets;	 /**< how often RSS was set */
	uint32_t rss_entry;	 /**< entry 5 of the table that was set last */
	uint64_t counter;	 /**< what its counters say, less the last digits of their OID */
	uint32_t counter_bytes;	 /**< 4 or 8 */
	bool counter_fits;	 /**< 4, or 8 where the question has room for them */
	bool counter_strict;	 /**< a question with anything in it is refused */
	uint32_t counter_oid;	 /**< that was asked for last */
	uint32_t absent_counter; /**< OID of one that it does not have */
	uint64_t next_tid;
};
extern struct ladder_host host;

/** From now on the host does @p deed at @p rung, and what is right at all others. */
void ladder_script(enum rung rung, enum deed deed);
/** @param usable the host can read guest memory. @return false: that failed, and is told */
bool ladder_begin(bool usable);
/** The same on a fixture of this kind, with CHANNELS channels. */
bool ladder_begin_as(struct fixture_conf conf);
void ladder_end(void);
/** netvsc_attach() in an operation of its own, with a clock that only waiting moves. */
int ladder_attach(unsigned int channels, uint32_t mtu);
void ladder_check_attached(unsigned int channels);
void ladder_check_nothing_left(void);
/**
 * Frames of this length go both ways on every queue, byte by byte. The host that reads its rings
 * meanwhile must be this function.
 */
void ladder_check_frames(uint32_t len);
/** The host reads its ring and answers. */
void ladder_turn(void);
/** The fixture's, for tests that had others. */
void ladder_on_signal(struct fixture *fixture, unsigned int ch);
void ladder_on_signal_again(struct fixture *fixture);

#endif
