/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devargs: the in-tree driver's keys keep their meaning (spec/dpdk-driver-api.md §4). An unknown
 * key or a bad value fails the probe (pitfall Z9). No pointer into the string is kept: EAL may
 * rewrite it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_kvargs.h>

#include "drivers/bus/vmbus/isolation.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "lib/trace/trace_vmbus.h"
#include "lib/vmbus/number.h"

#define KEYS                                                                                         \
	"vfio-user=PATH (socket), tx_copybreak=BYTES, rx_copybreak=BYTES, latency=US, "              \
	"copy_only=0|1, size_stats=0|1, rx_extmbuf_enable=0|1, numa_aware=0|1, recovery_s=SECONDS, " \
	"ignore_vf=0|1, vf=NAME (of a port or device), vf_args=[ARGS], trace=FILE, trace_data=0|1, " \
	"trace_snaplen=BYTES, name=NAME, driver=NAME"

/* 16 bits of 100 ns (spec/vmbus-ring.md §9.2). */
#define LATENCY_MAX_US 6553u

static const char *const netvsc_keys[] = {"vfio-user", "driver", "latency", "rx_copybreak",
	"tx_copybreak", "copy_only", "size_stats", "rx_extmbuf_enable", "numa_aware", "recovery_s",
	"ignore_vf", "vf", "name", "trace", "trace_data", "trace_snaplen", NULL};

#define NETVSC_ARGS_MAX 4096u /* bytes of all arguments but vf_args, with the zero behind them */

struct devarg_range {
	struct netvsc_port *port;
	uint64_t max;
	uint64_t value;
};

static int
devargs_number(const char *key, const char *text, void *opaque)
{
	struct devarg_range *range = opaque;

	if (number_parse(text, NUMBER_HEX, 0, range->max, &range->value) != 0) {
		NETVSC_LOG(ERR, range->port, "devargs key %s=%s: give a number from 0 to %" PRIu64,
			key, text == NULL ? "" : text, range->max);
		return -EINVAL;
	}
	return 0;
}

static int
devargs_get(struct netvsc_port *port, struct rte_kvargs *kv, const char *key, uint64_t max,
	uint32_t *value)
{
	struct devarg_range range = {port, max, *value};

	if (rte_kvargs_count(kv, key) == 0)
		return 0;
	if (hpbus_compat_kvargs(kv, key, devargs_number, &range) != 0)
		return -EINVAL;
	*value = (uint32_t)range.value;
	return 0;
}

/* Where the value that begins here ends: at a comma, but for those in brackets. NULL: one is open
 */
static const char *
devargs_end(const char *text)
{
	int depth = 0;

	for (; *text != '\0' && (*text != ',' || depth > 0); text++)
		depth += *text == '[' ? 1 : *text == ']' ? -1 : 0;
	return depth > 0 ? NULL : text;
}

/*
 * All arguments but vf_args, whose value may hold '=', which rte_kvargs takes for the end of a key
 * wherever it stands. @param value that of vf_args, "": there is none
 * @return -EINVAL: it is too long, or empty; -E2BIG: the others are too long; -EEXIST: there are
 * two of it; -EBADMSG: a bracket is not closed, and what is behind it is nobody's
 */
static int
devargs_cut(const char *args, char rest[NETVSC_ARGS_MAX], char value[NETVSC_VF_ARGS_MAX])
{
	static const char key[] = "vf_args=";
	size_t used = 0, len;
	const char *end;

	value[0] = rest[0] = '\0';
	while (*args != '\0') {
		end = devargs_end(args);
		if (end == NULL)
			return -EBADMSG;
		len = (size_t)(end - args);
		if (strncmp(args, key, strlen(key)) == 0) {
			if (value[0] != '\0')
				return -EEXIST;
			args += strlen(key);
			len -= strlen(key);
			if (len > 1 && args[0] == '[' && args[len - 1] == ']') {
				args++;
				len -= 2;
			}
			if (len == 0 || len >= NETVSC_VF_ARGS_MAX)
				return -EINVAL;
			snprintf(value, NETVSC_VF_ARGS_MAX, "%.*s", (int)len, args);
		} else {
			if (used + (used != 0) + len >= NETVSC_ARGS_MAX)
				return -E2BIG;
			used += (size_t)snprintf(rest + used, NETVSC_ARGS_MAX - used, "%s%.*s",
				used != 0 ? "," : "", (int)len, args);
		}
		args = *end == ',' ? end + 1 : end;
	}
	return 0;
}

struct devarg_name {
	const struct hpbus_device *bus;
	char *name;
};

/* What no other tool gives a meaning to: devargs, EAL's names and paths made of the name. */
static bool
devargs_name_ok(const char *text)
{
	static const char sensible[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789_.-";

	return text[0] != '\0' && strchr("_.-", text[0]) == NULL &&
	       strlen(text) < RTE_ETH_NAME_MAX_LEN && text[strspn(text, sensible)] == '\0';
}

static int
devargs_name(const char *key, const char *text, void *opaque)
{
	const struct devarg_name *out = opaque;
	uint8_t guid[16];

	if (text == NULL || !devargs_name_ok(text)) {
		HPBUS_LOG(ERR,
			"%s: devargs key %s=%s: give a name of 1 to %d letters, digits, '_', '.' "
			"and '-' that begins with a letter or digit",
			out->bus->name, key, text == NULL ? "" : text, RTE_ETH_NAME_MAX_LEN - 1);
		return -EINVAL;
	}
	/* Every adapter's GUID is the name of its port until its user says otherwise. */
	if (vmbus_guid_parse(text, guid) == 0 &&
		memcmp(guid, out->bus->instance, sizeof(guid)) != 0) {
		HPBUS_LOG(ERR, "%s: devargs key %s=%s: a port cannot have another GUID as its name",
			out->bus->name, key, text);
		return -EINVAL;
	}
	if (rte_eth_dev_allocated(text) != NULL) {
		HPBUS_LOG(ERR, "%s: devargs key %s=%s: another port has this name; choose another",
			out->bus->name, key, text);
		return -EINVAL; /* -EEXIST would tell EAL that this device is attached */
	}
	snprintf(out->name, RTE_ETH_NAME_MAX_LEN, "%s", text);
	return 0;
}

int
netvsc_devargs_name(const struct hpbus_device *bus, char name[RTE_ETH_NAME_MAX_LEN])
{
	const struct rte_devargs *devargs = bus->device.devargs;
	struct devarg_name out = {bus, name};
	char rest[NETVSC_ARGS_MAX], vf_args[NETVSC_VF_ARGS_MAX];
	struct rte_kvargs *kv = NULL;
	int rc = 0;

	snprintf(name, RTE_ETH_NAME_MAX_LEN, "%s", bus->name);
	/* Arguments that cannot be read are netvsc_devargs_parse()'s to complain about. */
	if (devargs != NULL && devargs->args != NULL)
		kv = devargs_cut(devargs->args, rest, vf_args) == 0
			     ? rte_kvargs_parse(rest, netvsc_keys)
			     : NULL;
	if (kv != NULL && rte_kvargs_count(kv, "name") != 0 &&
		hpbus_compat_kvargs(kv, "name", devargs_name, &out) != 0)
		rc = -EINVAL;
	rte_kvargs_free(kv);
	return rc;
}

static int
devargs_vf(const char *key, const char *text, void *opaque)
{
	struct netvsc_port *port = opaque;

	if (text == NULL || text[0] == '\0' || strlen(text) >= sizeof(port->config.vf)) {
		NETVSC_LOG(ERR, port,
			"devargs key %s=%s: give the name of the port or device that is the virtual "
			"function",
			key, text == NULL ? "" : text);
		return -EINVAL;
	}
	snprintf(port->config.vf, sizeof(port->config.vf), "%s", text);
	return 0;
}

static int
devargs_trace(const char *key, const char *text, void *opaque)
{
	struct netvsc_port *port = opaque;

	if (text == NULL || text[0] == '\0' || strlen(text) >= sizeof(port->config.trace)) {
		NETVSC_LOG(ERR, port,
			"devargs key %s=%s: give a file's name of 1 to %zu characters", key,
			text == NULL ? "" : text, sizeof(port->config.trace) - 1);
		return -EINVAL;
	}
	snprintf(port->config.trace, sizeof(port->config.trace), "%s", text);
	return 0;
}

/* Of the trace of what goes over the wire (wire.h). */
static int
devargs_wire(struct netvsc_port *port, struct rte_kvargs *kv)
{
	uint32_t data = 0;
	int rc = 0;

	if (rte_kvargs_count(kv, "trace") != 0 &&
		hpbus_compat_kvargs(kv, "trace", devargs_trace, port) != 0)
		return -EINVAL;
	rc = devargs_get(port, kv, "trace_data", 1, &data);
	port->config.trace_data = data != 0;
	if (rc == 0)
		rc = devargs_get(
			port, kv, "trace_snaplen", TRACE_SNAPLEN_MAX, &port->config.trace_snaplen);
	port->config.trace_snaplen = RTE_MAX(port->config.trace_snaplen, TRACE_SNAPLEN_MIN);
	return rc;
}

/*
 * Of an isolated VM the host is not trusted, and what it says of virtual functions is not heard
 * unless the user wants to (pitfall V22). A simulated host is none of that machine's.
 */
static bool
is_isolated(const struct netvsc_port *port)
{
	return strcmp(port->bus->backend->name, "uio") == 0 && vmbus_isolation() != 0;
}

static void
ignores_vf(const struct netvsc_port *port)
{
	NETVSC_LOG(NOTICE, port,
		"this is an isolated VM: virtual functions are not used, as with ignore_vf=1; "
		"ignore_vf=0 uses them");
}

/* Which of two was meant? @return whether there are none */
static bool
devargs_once(struct netvsc_port *port, const struct rte_kvargs *kv)
{
	const char *const *key;

	for (key = netvsc_keys; *key != NULL; key++)
		if (rte_kvargs_count(kv, *key) > 1) {
			NETVSC_LOG(ERR, port, "devargs key %s is given %u times: give it once",
				*key, rte_kvargs_count(kv, *key));
			return false;
		}
	return true;
}

/* All but vf_args, which are the port's then. @return NULL: that cannot be, and has been told */
static struct rte_kvargs *
devargs_read(struct netvsc_port *port, const char *args, char rest[NETVSC_ARGS_MAX])
{
	struct rte_kvargs *kv;

	switch (devargs_cut(args, rest, port->config.vf_args)) {
	case 0:
		break;
	case -E2BIG:
		NETVSC_LOG(ERR, port, "the device arguments are longer than %u bytes: give fewer",
			NETVSC_ARGS_MAX - 1);
		return NULL;
	case -EEXIST:
		NETVSC_LOG(ERR, port, "devargs key vf_args is given twice: give it once");
		return NULL;
	case -EBADMSG:
		NETVSC_LOG(ERR, port, "the device arguments '%s' have a '[' without its ']'", args);
		return NULL;
	default:
		NETVSC_LOG(ERR, port,
			"devargs key vf_args in '%s': give 1 to %u characters, in brackets when there "
			"are commas in them",
			args, NETVSC_VF_ARGS_MAX - 1);
		return NULL;
	}
	kv = rte_kvargs_parse(rest, netvsc_keys);
	if (kv == NULL) {
		NETVSC_LOG(ERR, port, "cannot read the device arguments '%s'; known keys: " KEYS,
			args);
		return NULL;
	}
	if (!devargs_once(port, kv)) {
		rte_kvargs_free(kv);
		return NULL;
	}
	return kv;
}

int
netvsc_devargs_parse(struct netvsc_port *port, const struct rte_devargs *devargs)
{
	uint32_t latency_us = 50, rx_copybreak = NETVSC_RX_COPYBREAK, copy_only = 0, size_stats = 0,
		 extmbuf = 0, numa_aware = 0, ignore_vf = is_isolated(port);
	char rest[NETVSC_ARGS_MAX];
	struct rte_kvargs *kv;
	int rc;

	port->config.vf[0] = port->config.vf_args[0] = port->config.trace[0] = '\0';
	port->config.trace_snaplen = TRACE_SNAPLEN;
	port->config.tx_copybreak = NETVSC_TX_COPYBREAK;
	port->config.rx_copybreak = NETVSC_RX_COPY_ALL;
	port->config.latency_ns = latency_us * 1000;
	port->config.recovery_s = NETVSC_RECOVERY_S;
	port->config.ignore_vf = ignore_vf != 0;
	port->bus->want_copy_only = false; /* not what an earlier attach asked for */
	if (devargs == NULL || devargs->args == NULL || devargs->args[0] == '\0') {
		if (ignore_vf != 0)
			ignores_vf(port);
		return 0;
	}
	kv = devargs_read(port, devargs->args, rest);
	if (kv == NULL)
		return -EINVAL;
	/* Those of the in-tree driver are any 32 bits: scripts give some that mean "all" or "yes".
	 */
	rc = devargs_get(port, kv, "tx_copybreak", UINT32_MAX, &port->config.tx_copybreak);
	if (rc == 0)
		rc = devargs_get(port, kv, "rx_copybreak", UINT32_MAX, &rx_copybreak);
	if (rc == 0)
		rc = devargs_get(port, kv, "latency", UINT32_MAX, &latency_us);
	if (rc == 0)
		rc = devargs_get(port, kv, "copy_only", 1, &copy_only);
	port->bus->want_copy_only = copy_only != 0;
	if (rc == 0)
		rc = devargs_get(port, kv, "size_stats", 1, &size_stats);
	port->config.size_stats = size_stats != 0;
	if (rc == 0)
		rc = devargs_get(port, kv, "rx_extmbuf_enable", UINT32_MAX, &extmbuf);
	if (rc == 0)
		rc = devargs_get(port, kv, "numa_aware", 1, &numa_aware);
	if (rc == 0)
		rc = devargs_get(port, kv, "recovery_s", 86400, &port->config.recovery_s);
	if (rc == 0)
		rc = devargs_get(port, kv, "ignore_vf", 1, &ignore_vf);
	port->config.ignore_vf = ignore_vf != 0;
	if (rc == 0 && ignore_vf != 0 && rte_kvargs_count(kv, "ignore_vf") == 0)
		ignores_vf(port);
	/* Of the in-tree driver, which wants to be told to, too. */
	if (rte_kvargs_count(kv, "rx_extmbuf_enable") == 0)
		extmbuf = rte_kvargs_count(kv, "rx_copybreak") != 0;
	if (rc == 0 && extmbuf != 0)
		port->config.rx_copybreak = rx_copybreak;
	/* A key of the in-tree driver without a meaning here: its scripts keep working. */
	if (rc == 0 && rte_kvargs_count(kv, "numa_aware") != 0)
		NETVSC_LOG(NOTICE, port,
			"numa_aware has no effect: queues lie where the application asks, and the "
			"port tells its node");
	if (rc == 0 && rte_kvargs_count(kv, "vf") != 0 &&
		hpbus_compat_kvargs(kv, "vf", devargs_vf, port) != 0)
		rc = -EINVAL;
	if (rc == 0)
		rc = devargs_wire(port, kv);
	if (rc == 0 && latency_us > LATENCY_MAX_US) {
		NETVSC_LOG(NOTICE, port, "latency=%u: a host waits %u us at most, which it will be",
			latency_us, LATENCY_MAX_US);
		latency_us = LATENCY_MAX_US;
	}
	port->config.latency_ns = latency_us * 1000;
	rte_kvargs_free(kv);
	return rc;
}
