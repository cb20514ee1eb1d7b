/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What a live view knows: samples of counters, the rates between two of them, and events, which are
 * what differs. No terminal, no clock and no socket: who has them gives samples (source.h), and who
 * draws reads this (layout.h, report.h). One thread.
 */
#ifndef HP_TOP_MODEL_H
#define HP_TOP_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define TOP_NICS     64u
#define TOP_COUNTERS 64u
#define TOP_GAUGES   160u
#define TOP_EVENTS   64u

/** A counter by name. */
struct top_counter {
	char name[40];
	uint64_t value;
};

/** So much of a size is in use. */
struct top_gauge {
	char name[32];
	uint64_t used, size;
};

/** One NIC (or port) at one moment. Counters are those of both its data paths together. */
struct top_nic {
	char name[16];		      /**< how a user names it: a number */
	char device[40];	      /**< GUID */
	char state[24];		      /**< in the owner's words; "" unknown */
	char path[12];		      /**< "synthetic" or "VF" */
	char why[160];		      /**< why not the other one, "": nothing to say */
	char link[8];		      /**< "up", "down", "" unknown */
	char about[160];	      /**< what else there is to know */
	bool gone;		      /**< the host has taken it away */
	bool stalled;		      /**< held on purpose */
	uint64_t rx_frames, rx_bytes; /**< to the guest */
	uint64_t tx_frames, tx_bytes; /**< from the guest */
	unsigned int n_drops, n_notes, n_gauges;
	struct top_counter drops[TOP_COUNTERS]; /**< lost or refused, by reason */
	struct top_counter notes[8];		/**< when these grow, that is an event */
	struct top_gauge gauges[TOP_GAUGES];	/**< rings and sections */
};

struct top_sample {
	uint64_t at_ns; /**< monotonic */
	unsigned int n;
	struct top_nic nic[TOP_NICS];
};

/** Per second, between the last two samples; 0 where a counter began anew. */
struct top_rate {
	bool known; /**< there were two samples of it */
	double rx_frames, rx_bytes, tx_frames, tx_bytes;
	double dropped;		    /**< all reasons */
	double drops[TOP_COUNTERS]; /**< as the NIC's drops */
};

struct top_event {
	time_t when;
	char text[160];
};

struct top_model {
	struct top_sample *now, *before; /**< before: NULL until there are two */
	struct top_rate rate[TOP_NICS];	 /**< of now */
	struct top_event events[TOP_EVENTS];
	uint64_t n_events; /**< in all; the newest is events[(n_events - 1) % TOP_EVENTS] */
};

void top_counter_add(struct top_counter *counters, unsigned int *n, unsigned int max,
	const char *name, uint64_t value);
void top_gauge_add(struct top_nic *nic, const char *name, uint64_t used, uint64_t size);

/** An empty sample, or NULL without memory. */
struct top_sample *top_sample_new(uint64_t at_ns);

/** Take over a sample (allocated by top_sample_new()), compute rates, and note what changed. */
void top_model_take(struct top_model *model, struct top_sample *sample, time_t when);
void top_model_note(struct top_model *model, time_t when, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** Event @p back from the newest (0), or NULL. */
const struct top_event *top_model_event(const struct top_model *model, unsigned int back);
/** Release what it holds. */
void top_model_free(struct top_model *model);

/** "0", "999", "1.23k", "45.6M", "789G": at most 5 characters and the end. */
void top_number(double value, char text[8]);

#endif
