/* SPDX-License-Identifier: BSD-3-Clause */
/* Dumps of rtnetlink and the parser of their messages. Nothing received is trusted. */
#include "app/vmbusctl/network.h"

#include "app/vmbusctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_SECONDS 5
/* The kernel fills at most 32 KiB, or what the reader offers. */
#define BUFFER_SIZE 65536
/* A dump that a change interrupted is asked for again. */
#define ATTEMPTS    8
#define CAPTURE_MAX (16u << 20)

bool
ctl_is_default(int family, unsigned int length)
{
	return length <= (family == AF_INET ? 1u : 3u);
}

/* Attributes of one message, by type. */
#define ATTRIBUTES_MAX 64
struct attributes {
	const struct rtattr *by_type[ATTRIBUTES_MAX];
};

static void
parse_attributes(const uint8_t *data, size_t length, struct attributes *out)
{
	const struct rtattr *a;
	unsigned int type;

	memset(out, 0, sizeof(*out));
	while (length >= sizeof(*a)) {
		a = (const void *)data;
		if (a->rta_len < sizeof(*a) || a->rta_len > length)
			return;
		type = a->rta_type & NLA_TYPE_MASK;
		if (type < ATTRIBUTES_MAX)
			out->by_type[type] = a;
		if (RTA_ALIGN(a->rta_len) >= length)
			return;
		data += RTA_ALIGN(a->rta_len);
		length -= RTA_ALIGN(a->rta_len);
	}
}

static size_t
payload(const struct rtattr *a)
{
	return a == NULL ? 0 : a->rta_len - sizeof(*a);
}

/* 0 when it is not there. */
static uint32_t
get_u32(const struct attributes *attributes, unsigned int type)
{
	const struct rtattr *a = attributes->by_type[type];
	uint32_t value = 0;

	if (payload(a) >= sizeof(value))
		memcpy(&value, RTA_DATA(a), sizeof(value));
	return value;
}

/* Room for one more; NULL when there is no memory. */
static void *
add(struct ctl_network *net, void *list, size_t *n, size_t size)
{
	void **array = list, *bigger;

	if ((*n & (*n - 1)) == 0) {
		bigger = realloc(*array, (*n == 0 ? 1 : 2 * *n) * size);
		if (bigger == NULL) {
			net->error = ENOMEM;
			return NULL;
		}
		*array = bigger;
	}
	bigger = (uint8_t *)*array + (*n)++ * size;
	memset(bigger, 0, size);
	return bigger;
}

static void
take_link(struct ctl_network *net, const struct ifinfomsg *info, const struct attributes *a)
{
	const struct rtattr *name = a->by_type[IFLA_IFNAME];
	struct ctl_link *link;

	if (payload(name) == 0 || payload(name) > CTL_IFNAME ||
		memchr(RTA_DATA(name), '\0', payload(name)) == NULL)
		return;
	link = add(net, &net->links, &net->n_links, sizeof(*link));
	if (link == NULL)
		return;
	link->index = info->ifi_index;
	link->master = (int)get_u32(a, IFLA_MASTER);
	if (a->by_type[IFLA_LINK_NETNSID] == NULL)
		link->lower = (int)get_u32(a, IFLA_LINK);
	strcpy(link->name, RTA_DATA(name));
}

static void
take_address(struct ctl_network *net, const struct ifaddrmsg *info, const struct attributes *a)
{
	const struct rtattr *bytes = a->by_type[IFA_LOCAL];
	size_t size = info->ifa_family == AF_INET ? 4 : 16;
	struct ctl_address *address;

	if (bytes == NULL)
		bytes = a->by_type[IFA_ADDRESS];
	if ((info->ifa_family != AF_INET && info->ifa_family != AF_INET6) || payload(bytes) < size)
		return;
	address = add(net, &net->addresses, &net->n_addresses, sizeof(*address));
	if (address == NULL)
		return;
	address->family = info->ifa_family;
	address->link = (int)info->ifa_index;
	address->global = info->ifa_scope == RT_SCOPE_UNIVERSE;
	memcpy(address->bytes, RTA_DATA(bytes), size);
}

static void
take_hop(struct ctl_network *net, const struct attributes *a)
{
	const struct rtattr *group = a->by_type[NHA_GROUP];
	struct nexthop_grp member;
	struct ctl_hop *hop;
	size_t i;

	if (group == NULL) {
		hop = add(net, &net->hops, &net->n_hops, sizeof(*hop));
		if (hop != NULL) {
			hop->id = get_u32(a, NHA_ID);
			hop->link = (int)get_u32(a, NHA_OIF);
		}
		return;
	}
	for (i = 0; (i + 1) * sizeof(member) <= payload(group); i++) {
		memcpy(&member, (const uint8_t *)RTA_DATA(group) + i * sizeof(member),
			sizeof(member));
		hop = add(net, &net->hops, &net->n_hops, sizeof(*hop));
		if (hop == NULL)
			return;
		hop->id = get_u32(a, NHA_ID);
		hop->member = member.id;
	}
}

static void
add_route(struct ctl_network *net, int family, uint32_t table, int link, uint32_t hop)
{
	struct ctl_route *route;

	if (link == 0 && hop == 0)
		return;
	route = add(net, &net->routes, &net->n_routes, sizeof(*route));
	if (route == NULL)
		return;
	route->family = family;
	route->table = table;
	route->link = link;
	route->hop = hop;
}

static void
take_route(struct ctl_network *net, const struct rtmsg *info, const struct attributes *a)
{
	const struct rtattr *several = a->by_type[RTA_MULTIPATH];
	size_t left = payload(several), used;
	uint32_t table = get_u32(a, RTA_TABLE);
	const struct rtnexthop *way;
	const uint8_t *at;

	/* Unreachable, blackhole and the like lead nowhere; a clone repeats the route it is of. */
	if ((info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
		info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED) != 0 ||
		!ctl_is_default(info->rtm_family, info->rtm_dst_len))
		return;
	if (table == 0)
		table = info->rtm_table;
	add_route(net, info->rtm_family, table, (int)get_u32(a, RTA_OIF), 0);
	add_route(net, info->rtm_family, table, 0, get_u32(a, RTA_NH_ID));
	if (several == NULL)
		return;
	for (at = RTA_DATA(several); left >= sizeof(*way); at += used) {
		way = (const void *)at;
		if (way->rtnh_len < sizeof(*way) || way->rtnh_len > left)
			return;
		add_route(net, info->rtm_family, table, way->rtnh_ifindex, 0);
		used = RTNH_ALIGN(way->rtnh_len);
		if (used >= left)
			return;
		left -= used;
	}
}

static void
take_message(struct ctl_network *net, const struct nlmsghdr *m)
{
	static const struct {
		uint16_t type;
		size_t header;
	} known[] = {
		{RTM_NEWLINK, sizeof(struct ifinfomsg)},
		{RTM_NEWADDR, sizeof(struct ifaddrmsg)},
		{RTM_NEWNEXTHOP, sizeof(struct nhmsg)},
		{RTM_NEWROUTE, sizeof(struct rtmsg)},
	};
	const uint8_t *data = NLMSG_DATA(m);
	size_t length = m->nlmsg_len - NLMSG_HDRLEN, i, skip;
	struct attributes attributes;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].type == m->nlmsg_type)
			break;
	if (i == sizeof(known) / sizeof(known[0]) || length < known[i].header)
		return;
	skip = NLMSG_ALIGN(known[i].header);
	parse_attributes(data + skip, length < skip ? 0 : length - skip, &attributes);
	if (m->nlmsg_type == RTM_NEWLINK)
		take_link(net, (const void *)data, &attributes);
	else if (m->nlmsg_type == RTM_NEWADDR)
		take_address(net, (const void *)data, &attributes);
	else if (m->nlmsg_type == RTM_NEWNEXTHOP)
		take_hop(net, &attributes);
	else
		take_route(net, (const void *)data, &attributes);
}

/* @return 1 at the end of the answer, 0 when there is more, or -errno as the kernel says */
static int
take_buffer(struct ctl_network *net, const uint8_t *data, size_t length, uint32_t seq,
	bool *interrupted)
{
	const struct nlmsghdr *m;
	int error = 0;

	while (length >= sizeof(*m)) {
		m = (const void *)data;
		if (m->nlmsg_len < sizeof(*m) || m->nlmsg_len > length)
			return -EBADMSG;
		if (seq == 0 || m->nlmsg_seq == seq) {
			*interrupted |= (m->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
				if (m->nlmsg_len >= NLMSG_HDRLEN + sizeof(error))
					memcpy(&error, NLMSG_DATA(m), sizeof(error));
				if (seq != 0 || error < 0)
					return error < 0 ? error : 1;
			}
			take_message(net, m);
		}
		if (NLMSG_ALIGN(m->nlmsg_len) >= length)
			break;
		data += NLMSG_ALIGN(m->nlmsg_len);
		length -= NLMSG_ALIGN(m->nlmsg_len);
	}
	return 0;
}

static int
open_socket(void)
{
	struct timeval wait = {.tv_sec = WAIT_SECONDS};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

/* @return bytes, or -errno; messages of others than the kernel are left out */
static ssize_t
receive(int fd, void *buffer)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {buffer, BUFFER_SIZE};
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return (msg.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : n;
}

static size_t
header_size(uint16_t type)
{
	switch (type) {
	case RTM_GETLINK:
		return sizeof(struct ifinfomsg);
	case RTM_GETADDR:
		return sizeof(struct ifaddrmsg);
	case RTM_GETNEXTHOP:
		return sizeof(struct nhmsg);
	default:
		return sizeof(struct rtmsg);
	}
}

/* @return 0, -EAGAIN when a change interrupted it, or -errno */
static int
dump_once(struct ctl_network *net, int fd, uint16_t type, int family, uint32_t seq, void *buffer)
{
	struct {
		struct nlmsghdr header;
		uint8_t body[64]; /* any of the four headers: all zero but the family */
	} ask = {0};
	bool interrupted = false;
	ssize_t n;
	int rc = 0;

	ask.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(header_size(type));
	ask.header.nlmsg_type = type;
	ask.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ask.header.nlmsg_seq = seq;
	ask.body[0] = (uint8_t)family;
	if (send(fd, &ask, ask.header.nlmsg_len, 0) < 0)
		return -errno;
	while (rc == 0) {
		n = receive(fd, buffer);
		rc = n < 0 ? (int)n : take_buffer(net, buffer, (size_t)n, seq, &interrupted);
	}
	return rc < 0 ? rc : interrupted ? -EAGAIN : 0;
}

static void
forget(struct ctl_network *net)
{
	free(net->links);
	free(net->routes);
	free(net->hops);
	free(net->addresses);
	memset(net, 0, sizeof(*net));
}

/* @return as dump_once() */
static int
dump_all(struct ctl_network *net, void *buffer)
{
	static const struct {
		uint16_t type;
		int family;
		bool optional; /* kernels before 5.3, or without IPv6 */
	} dumps[] = {
		{RTM_GETLINK, AF_UNSPEC, false},
		{RTM_GETADDR, AF_UNSPEC, false},
		{RTM_GETNEXTHOP, AF_UNSPEC, true},
		{RTM_GETROUTE, AF_INET, false},
		{RTM_GETROUTE, AF_INET6, true},
	};
	int fd = open_socket(), rc = fd < 0 ? -errno : 0;
	uint32_t i;

	for (i = 0; rc == 0 && i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		rc = dump_once(net, fd, dumps[i].type, dumps[i].family, i + 1, buffer);
		if (dumps[i].optional &&
			(rc == -EOPNOTSUPP || rc == -EINVAL || rc == -EAFNOSUPPORT))
			rc = 0;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static void
ask_kernel(struct ctl_network *net)
{
	void *buffer = malloc(BUFFER_SIZE);
	int rc = buffer == NULL ? -ENOMEM : -EAGAIN, i;

	for (i = 0; i < ATTEMPTS && rc == -EAGAIN; i++) {
		forget(net);
		rc = dump_all(net, buffer);
	}
	free(buffer);
	net->asked = true;
	if (rc < 0)
		net->error = -rc;
}

static void
read_capture(struct ctl_network *net, const char *proc)
{
	bool interrupted = false;
	char path[512];
	uint8_t *data;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/net/rtnetlink", proc);
	f = fopen(path, "re");
	data = f == NULL ? NULL : malloc(CAPTURE_MAX);
	if (data != NULL) {
		n = fread(data, 1, CAPTURE_MAX, f);
		if (take_buffer(net, data, n, 0, &interrupted) < 0)
			net->error = EBADMSG;
	}
	free(data);
	if (f != NULL)
		fclose(f);
}

static const char *
name_of(const struct ctl_network *net, int link)
{
	size_t i;

	for (i = 0; i < net->n_links; i++)
		if (net->links[i].index == link)
			return net->links[i].name;
	return "";
}

/* Ways by nexthop object become ways by interface; a group has no groups in it. */
static void
resolve(struct ctl_network *net)
{
	size_t n = net->n_routes, i, j, k;
	struct ctl_route route;
	const struct ctl_hop *hop;

	for (i = 0; i < n; i++) {
		route = net->routes[i];
		for (j = 0; route.hop != 0 && j < net->n_hops; j++) {
			hop = &net->hops[j];
			if (hop->id != route.hop)
				continue;
			add_route(net, route.family, route.table, hop->link, 0);
			for (k = 0; hop->member != 0 && k < net->n_hops; k++)
				if (net->hops[k].id == hop->member)
					add_route(net, route.family, route.table, net->hops[k].link,
						0);
		}
	}
	for (i = 0; i < net->n_routes; i++)
		strcpy(net->routes[i].interface, name_of(net, net->routes[i].link));
	for (i = 0; i < net->n_addresses; i++)
		strcpy(net->addresses[i].interface, name_of(net, net->addresses[i].link));
}

/*
 * Whoever made a network namespace for a fixture means its routes to be part of it: some process
 * above us is in another one.
 */
static bool
has_own_namespace(void)
{
	int pid = (int)getppid(), i;
	struct stat own, other;
	char path[64];

	if (stat("/proc/self/ns/net", &own) < 0)
		return false;
	for (i = 0; i < CTL_PARENTS_MAX && pid > 0; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
		if (stat(path, &other) == 0 &&
			(other.st_ino != own.st_ino || other.st_dev != own.st_dev))
			return true;
		pid = ctl_parent_of("/proc", pid);
	}
	return false;
}

void
ctl_network_read(struct ctl_network *net, const char *proc)
{
	bool fixture = strcmp(proc, "/proc") != 0;

	memset(net, 0, sizeof(*net));
	if (!fixture || has_own_namespace())
		ask_kernel(net);
	if (fixture)
		read_capture(net, proc);
	resolve(net);
}

void
ctl_network_free(struct ctl_network *net)
{
	forget(net);
}

static size_t
put_attribute(uint8_t *at, uint16_t type, const void *data, size_t size)
{
	struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), data, size);
	return RTA_ALIGN(a.rta_len);
}

bool
ctl_network_way(const struct ctl_network *net, int family, const uint8_t *to, const uint8_t *from,
	char interface[CTL_IFNAME])
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		uint8_t attributes[64];
	} ask = {0};
	size_t size = family == AF_INET ? 4 : 16, used;
	int fd = open_socket();
	void *buffer = malloc(BUFFER_SIZE);
	struct attributes a;
	struct nlmsghdr *m;
	ssize_t n = -1;

	interface[0] = '\0';
	ask.header.nlmsg_type = RTM_GETROUTE;
	ask.header.nlmsg_flags = NLM_F_REQUEST;
	ask.route.rtm_family = (uint8_t)family;
	ask.route.rtm_dst_len = (uint8_t)(8 * size);
	used = put_attribute(ask.attributes, RTA_DST, to, size);
	if (from != NULL) {
		ask.route.rtm_src_len = (uint8_t)(8 * size);
		used += put_attribute(ask.attributes + used, RTA_SRC, from, size);
	}
	ask.header.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(ask.route)) + used);
	if (fd >= 0 && buffer != NULL && send(fd, &ask, ask.header.nlmsg_len, 0) >= 0)
		n = receive(fd, buffer);
	m = buffer;
	if (n >= (ssize_t)NLMSG_LENGTH(sizeof(ask.route)) && m->nlmsg_type == RTM_NEWROUTE &&
		m->nlmsg_len <= (size_t)n && m->nlmsg_len >= NLMSG_LENGTH(sizeof(ask.route))) {
		parse_attributes((uint8_t *)buffer + NLMSG_SPACE(sizeof(ask.route)),
			m->nlmsg_len - NLMSG_LENGTH(sizeof(ask.route)), &a);
		strcpy(interface, name_of(net, (int)get_u32(&a, RTA_OIF)));
	}
	free(buffer);
	if (fd >= 0)
		close(fd);
	return interface[0] != '\0';
}
