/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a frame the RSS hash is made of (spec/rndis.md §7).
 */
#include <stddef.h>
#include <string.h>

#include "lib/host/offload.h"
#include "lib/netvsp/ndis.h"

#define IP6_LEN	      40u
#define PROTO_TCP     6u
#define PROTO_UDP     17u
#define PROTO_ROUTING 43u
#define PROTO_DSTOPTS 60u
#define OPTION_HOME   201u /* the sender's home address, RFC 6275 §6.3 */

/* The home address in destination options of @p len bytes, NULL: there is none. */
static const uint8_t *
home_address(const uint8_t *options, uint32_t len)
{
	uint32_t at = 2, n;

	while (at + 2 <= len) {
		n = options[at] == 0 ? 1 : 2u + options[at + 1];
		if (options[at] == OPTION_HOME && n == 18 && at + n <= len)
			return options + at + 2;
		at += n;
	}
	return NULL;
}

/*
 * Extension headers that say for whom the addresses of an IPv6 header stand: destination options
 * for the source, a routing header of type 2 (RFC 6275 §6.4) for the destination.
 * @return whether an address in @p addresses was replaced
 */
static bool
mobile_addresses(const uint8_t *head, uint32_t l3, uint32_t end, uint8_t addresses[32])
{
	uint32_t at = l3 + IP6_LEN, next = head[l3 + 6], len;
	const uint8_t *home;
	bool found = false;

	for (; next == PROTO_DSTOPTS || next == PROTO_ROUTING; next = head[at], at += len) {
		if (at + 8 > end)
			break;
		len = 8 + head[at + 1] * 8u;
		if (len > end - at)
			break;
		if (next == PROTO_DSTOPTS && (home = home_address(head + at, len)) != NULL) {
			memcpy(addresses, home, 16);
			found = true;
		} else if (next == PROTO_ROUTING && head[at + 2] == 2 && len == 24) {
			memcpy(addresses + 16, head + at + 8, 16);
			found = true;
		}
	}
	return found;
}

static uint32_t
hash_input4(const struct offload_headers *h, const uint8_t *head, uint32_t hash_info,
	bool udp4_as_tcp, uint8_t input[36], uint32_t *type)
{
	uint32_t four = 0;

	if (h->proto == PROTO_TCP)
		four = hash_info & NDIS_HASH_TCP_IPV4;
	else if (h->proto == PROTO_UDP)
		four = hash_info & NDIS_HASH_UDP_IPV4;
	if (four == 0 && udp4_as_tcp && h->proto == PROTO_UDP)
		four = hash_info & NDIS_HASH_TCP_IPV4;
	*type = four != 0 ? four : hash_info & NDIS_HASH_IPV4;
	memcpy(input, head + h->l3 + 12, 8);
	if (four != 0)
		memcpy(input + 8, head + h->l4, 4);
	return *type == 0 ? 0 : four != 0 ? 12 : 8;
}

/* Of two types that frames without extension headers hash the same by, the plain one is named. */
static uint32_t
hash_type6(uint32_t hash_info, uint32_t plain, uint32_t ex)
{
	return hash_info & plain ? plain : hash_info & ex;
}

static uint32_t
hash_input6(const struct offload_headers *h, const uint8_t *head, uint32_t hash_info,
	uint8_t input[36], uint32_t *type)
{
	/* offload_parse() has seen that the payload is there, as far as the copy goes. */
	uint32_t four = 0, end = h->l4 + h->l4_len;

	if (end > OFFLOAD_HEAD_MAX)
		end = OFFLOAD_HEAD_MAX;
	if (h->proto == PROTO_TCP)
		four = hash_type6(hash_info, NDIS_HASH_TCP_IPV6, NDIS_HASH_TCP_IPV6_EX);
	else if (h->proto == PROTO_UDP)
		four = hash_type6(hash_info, NDIS_HASH_UDP_IPV6, NDIS_HASH_UDP_IPV6_EX);
	memcpy(input, head + h->l3 + 8, 32);
	if (four != 0) {
		memcpy(input + 32, head + h->l4, 4);
		*type = four;
		return 36;
	}
	*type = hash_type6(hash_info, NDIS_HASH_IPV6, NDIS_HASH_IPV6_EX);
	if (hash_info & NDIS_HASH_IPV6_EX && mobile_addresses(head, h->l3, end, input))
		*type = NDIS_HASH_IPV6_EX;
	return *type == 0 ? 0 : 32;
}

uint32_t
offload_hash_input(const struct offload_headers *h, const uint8_t *head, uint32_t hash_info,
	bool udp4_as_tcp, uint8_t input[36], uint32_t *type)
{
	if (h->ip == 4)
		return hash_input4(h, head, hash_info, udp4_as_tcp, input, type);
	return h->ip == 6 ? hash_input6(h, head, hash_info, input, type) : 0;
}
