/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the port kinds share: parsing of "key=value,..." and the openers of each kind.
 *
 * Private to lib/host/port*.c. Openers run on the thread that creates the NIC; the argument string
 * belongs to the parser, values point into it.
 */
#ifndef HP_HOST_PORT_SPEC_H
#define HP_HOST_PORT_SPEC_H

#include <stdint.h>

#include "lib/host/port.h"
#include "lib/vmbus/clock.h"

/** Where an opener puts its one sentence. */
struct port_error {
	char *buf;
	size_t len;
};

/** Write the sentence. @return @p rc, so that a failing function can return the call */
int port_fail(const struct port_error *error, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Walks the arguments of one kind of port. */
struct port_spec {
	const char *kind;
	const char *const *keys; /**< NULL-terminated */
	const struct port_error *error;
	char text[256];
	char *at;
	uint32_t seen;
};

/**
 * @param args what follows "kind:", NULL or "" when nothing does
 * @return 0, or -EINVAL when @p args is too long
 */
int port_spec_init(struct port_spec *spec, const char *kind, const char *args,
	const char *const *keys, const struct port_error *error);

/** Take a leading argument that is not key=value (the NAME of tap and switch), or NULL. */
const char *port_spec_name(struct port_spec *spec);

/**
 * Take the next key=value.
 * @return index of the key in @a keys, -ENODATA after the last one, or -EINVAL for a key that is
 *         unknown, repeated or without a value
 */
int port_spec_next(struct port_spec *spec, const char **value);

/**
 * Parse a number with optional suffix K, M or G (powers of 1000).
 * @return 0, or -EINVAL with a sentence that names key and range
 */
int port_spec_number(const struct port_spec *spec, int key, const char *value, uint64_t min,
	uint64_t max, uint64_t *number);

/**
 * Parse the value of verify=.
 * @return 0 and *sample: one frame in so many is verified, 0: none; or -EINVAL with a sentence
 */
int port_spec_verify(const struct port_spec *spec, const char *value, uint32_t *sample);

/** Count a lost frame under its reason, a member of @p stats. */
static inline void
port_drop(struct host_port_stats *stats, uint64_t *why)
{
	(*why)++;
	stats->tx_dropped++;
}

/** Count frames that the port has taken from its NIC. */
static inline void
port_count_sent(struct host_port_stats *stats, const struct host_frame *frames, unsigned int n)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++)
		bytes += frames[i].len;
	stats->tx_frames += n;
	stats->tx_bytes += bytes;
}

#define NSEC_PER_SEC UINT64_C(1000000000)

/** Paces frames at a rate without ever owing more than one burst. */
struct port_pacer {
	uint64_t rate; /**< frames per second; 0 = unlimited */
	uint64_t last; /**< when credit was last added, 0 = never */
	uint64_t owed; /**< credit in frames * 1e9 */
};

/** @return frames that may be sent now, at most @p n */
unsigned int port_pacer_due(struct port_pacer *pacer, unsigned int n);
/** Take @p n frames off the credit. */
void port_pacer_spend(struct port_pacer *pacer, unsigned int n);
/** @return nanoseconds until the next frame is due, 0 = now */
uint64_t port_pacer_wait(const struct port_pacer *pacer);

/*
 * Openers of the kinds. With @p port NULL they only check their arguments: 0 or -EINVAL.
 */
int port_tap_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error);
int port_pcap_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error);
int port_gen_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error);
int port_sink_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error);
int port_echo_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error);
int port_switch_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error);

#endif
