/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: what the kernel says about interfaces, addresses and default routes, taken once per run
 * from rtnetlink: /proc/net/route shows one table of one family. Owned by main(); one thread.
 */
#ifndef HP_VMBUSCTL_NETWORK_H
#define HP_VMBUSCTL_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_IFNAME 16
/** Number of the main routing table. */
#define CTL_TABLE_MAIN 254u

struct ctl_link {
	int index;
	int master; /**< bond, bridge, team, VRF or (for a VF) its hv_netvsc interface; 0 none */
	int lower;  /**< what a VLAN, macvlan or tunnel stands on, here in this namespace; 0 none */
	char name[CTL_IFNAME];
};

/** One way out of a default route. */
struct ctl_route {
	int family;
	uint32_t table;
	int link;     /**< 0: by nexthop object */
	uint32_t hop; /**< id of a nexthop object; 0 none */
	char interface[CTL_IFNAME];
};

/** A nexthop object, or one member of a group of them. */
struct ctl_hop {
	uint32_t id, member; /**< member is 0 when the object is no group */
	int link;
};

struct ctl_address {
	int family, link;
	bool global;
	uint8_t bytes[16]; /**< IPv4 in the first four, network order */
	char interface[CTL_IFNAME];
};

struct ctl_network {
	bool asked; /**< the kernel was asked: its answer is whole, or `error` says why not */
	int error;  /**< errno; 0 none */
	struct ctl_link *links;
	struct ctl_route *routes;
	struct ctl_hop *hops;
	struct ctl_address *addresses;
	size_t n_links, n_routes, n_hops, n_addresses;
};

/**
 * Length of prefixes that count as default routes: 0.0.0.0/1 and 128.0.0.0/1 (VPN clients) or
 * 2000::/3 (all addresses in use) do what 0.0.0.0/0 and ::/0 do.
 */
bool ctl_is_default(int family, unsigned int length);

/**
 * @param proc  root in use instead of /proc. With another one the kernel is asked only from a
 *              network namespace of its own, and <proc>/net/rtnetlink may hold a captured dump:
 *              RTM_NEWLINK, RTM_NEWADDR, RTM_NEWNEXTHOP and RTM_NEWROUTE messages as received.
 */
void ctl_network_read(struct ctl_network *net, const char *proc);
void ctl_network_free(struct ctl_network *net);

/** Interface the kernel would send through; `from` may be NULL. @return false when unknown */
bool ctl_network_way(const struct ctl_network *net, int family, const uint8_t *to,
	const uint8_t *from, char interface[CTL_IFNAME]);

#endif
