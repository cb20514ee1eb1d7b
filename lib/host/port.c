/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: choosing the kind, parsing its arguments, pacing. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/host/port.h"
#include "lib/host/port_spec.h"
#include "lib/vmbus/number.h"

const char *const host_port_help =
	"  tap:NAME[,vnet=on]   a Linux TAP in the current network namespace (created if missing); vnet=on:\n"
	"                       frames that are large or without checksums cross as they are\n"
	"  pcap:in=FILE,out=FILE[,loop=N][,rate=PPS|capture]\n"
	"                       play a capture to the guest (loop=0: for ever; rate=capture: with the\n"
	"                       times between its frames), record what it sends\n"
	"  gen[:size=N|A-B|imix][,rate=R][,flows=N][,seed=N][,count=N][,window=N][,verify=V]\n"
	"     [,ip=4|6][,vlan=N|A-B][,latency=on]\n"
	"                       generated UDP frames, verified when they come back; size without FCS,\n"
	"                       60..9014 (default 60); rate 0 = as fast as the guest takes them;\n"
	"                       R may be steps: 100K:5/1M:500ms/1M-2M:10/1M (the last one stays);\n"
	"                       window=N: at most N on their way, so that a guest that keeps up loses none;\n"
	"                       latency=on: frames tell when they were sent, stats have quantiles\n"
	"                       and a histogram\n"
	"  sink[:flows=N][,verify=V]  takes everything, verifies generated frames; V: all bytes of\n"
	"                       one frame in N (1/N, default 1/1), or no frame at all (none)\n"
	"  echo                 returns the guest's frames to it\n"
	"  switch:NAME[,vlan=N] learning switch between all NICs with the same NAME\n";

int
port_fail(const struct port_error *error, int rc, const char *format, ...)
{
	va_list ap;

	if (error->buf != NULL && error->len > 0) {
		va_start(ap, format);
		vsnprintf(error->buf, error->len, format, ap);
		va_end(ap);
	}
	return rc;
}

int
port_spec_init(struct port_spec *spec, const char *kind, const char *args, const char *const *keys,
	const struct port_error *error)
{
	memset(spec, 0, sizeof(*spec));
	spec->kind = kind;
	spec->keys = keys;
	spec->error = error;
	if (args == NULL)
		args = "";
	if (strlen(args) >= sizeof(spec->text))
		return port_fail(error, -EINVAL,
			"port %s: arguments are longer than %zu characters", kind,
			sizeof(spec->text) - 1);
	strcpy(spec->text, args);
	spec->at = spec->text[0] != '\0' ? spec->text : NULL;
	return 0;
}

/* Cut the next comma-separated piece off. */
static char *
spec_piece(struct port_spec *spec)
{
	char *piece = spec->at, *comma;

	if (piece == NULL)
		return NULL;
	comma = strchr(piece, ',');
	if (comma != NULL)
		*comma = '\0';
	spec->at = comma != NULL ? comma + 1 : NULL;
	return piece;
}

const char *
port_spec_name(struct port_spec *spec)
{
	if (spec->at == NULL || spec->at[0] == ',' || spec->at[0] == '\0')
		return NULL;
	if (memchr(spec->at, '=', strcspn(spec->at, ",")) != NULL)
		return NULL;
	return spec_piece(spec);
}

static int
spec_unknown(const struct port_spec *spec, const char *key)
{
	char valid[160] = "none";
	size_t used = 0;

	for (unsigned int i = 0; spec->keys[i] != NULL && used < sizeof(valid) - 1; i++)
		used += (size_t)snprintf(valid + used, sizeof(valid) - used,
			"%s%s=", i != 0 ? ", " : "", spec->keys[i]);
	return port_fail(spec->error, -EINVAL, "port %s: unknown key '%s'; valid keys: %s",
		spec->kind, key, valid);
}

int
port_spec_next(struct port_spec *spec, const char **value)
{
	char *piece = spec_piece(spec), *equals;
	int i;

	if (piece == NULL)
		return -ENODATA;
	equals = strchr(piece, '=');
	if (equals != NULL)
		*equals = '\0';
	for (i = 0; spec->keys[i] != NULL; i++)
		if (strcmp(spec->keys[i], piece) == 0)
			break;
	if (spec->keys[i] == NULL)
		return spec_unknown(spec, piece);
	if (equals == NULL || equals[1] == '\0')
		return port_fail(
			spec->error, -EINVAL, "port %s: %s= needs a value", spec->kind, piece);
	if (spec->seen & (1u << i))
		return port_fail(
			spec->error, -EINVAL, "port %s: %s= is given twice", spec->kind, piece);
	spec->seen |= 1u << i;
	*value = equals + 1;
	return i;
}

int
port_spec_number(const struct port_spec *spec, int key, const char *value, uint64_t min,
	uint64_t max, uint64_t *number)
{
	if (number_parse(value, NUMBER_KMG_1000, min, max, number) != 0)
		return port_fail(spec->error, -EINVAL,
			"port %s: %s=%s is not a number from %llu to %llu", spec->kind,
			spec->keys[key], value, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

int
port_spec_verify(const struct port_spec *spec, const char *value, uint32_t *sample)
{
	uint64_t n = 0;

	if (strcmp(value, "none") != 0 &&
		(strncmp(value, "1/", 2) != 0 ||
			number_parse(value + 2, NUMBER_PLAIN, 1, 1000000, &n) != 0))
		return port_fail(spec->error, -EINVAL,
			"port %s: verify=%s is not none, or 1/N for one frame in N, N from 1 to 1000000",
			spec->kind, value);
	*sample = (uint32_t)n;
	return 0;
}

unsigned int
port_pacer_due(struct port_pacer *pacer, unsigned int n)
{
	uint64_t now, credit, most = HOST_PORT_BURST * NSEC_PER_SEC;

	if (pacer->rate == 0)
		return n;
	now = monotonic_ns();
	if (pacer->last == 0) {
		pacer->owed = NSEC_PER_SEC;
	} else {
		/* A guest that was away is not owed a flood: one burst, or a millisecond's worth.
		 */
		uint64_t cap = pacer->rate * 1000000 > most ? pacer->rate * 1000000 : most;
		uint64_t gap = now - pacer->last;

		credit = gap > cap / pacer->rate ? cap : gap * pacer->rate;
		pacer->owed = pacer->owed + credit > cap ? cap : pacer->owed + credit;
	}
	pacer->last = now;
	return pacer->owed / NSEC_PER_SEC < n ? (unsigned int)(pacer->owed / NSEC_PER_SEC) : n;
}

void
port_pacer_spend(struct port_pacer *pacer, unsigned int n)
{
	if (pacer->rate != 0)
		pacer->owed -= n * NSEC_PER_SEC;
}

uint64_t
port_pacer_wait(const struct port_pacer *pacer)
{
	uint64_t missing, gap, wait;

	if (pacer->rate == 0 || pacer->last == 0 || pacer->owed >= NSEC_PER_SEC)
		return 0;
	missing = NSEC_PER_SEC - pacer->owed;
	wait = (missing + pacer->rate - 1) / pacer->rate;
	gap = monotonic_ns() - pacer->last;
	return gap >= wait ? 0 : wait - gap;
}

/* @p port NULL: only check. */
static int
port_by_kind(const char *spec, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	static const struct {
		const char *kind;
		int (*open)(const char *args, const uint8_t mac[6], struct host_port **port,
			const struct port_error *error);
	} kinds[] = {
		{"tap", port_tap_open},
		{"pcap", port_pcap_open},
		{"gen", port_gen_open},
		{"sink", port_sink_open},
		{"echo", port_echo_open},
		{"switch", port_switch_open},
	};
	size_t len = strcspn(spec, ":,=");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].kind) != len || memcmp(kinds[i].kind, spec, len) != 0)
			continue;
		if (spec[len] != '\0' && spec[len] != ':')
			return port_fail(error, -EINVAL,
				"port %s: ':' comes before its first argument, as in %s:%s",
				kinds[i].kind, kinds[i].kind, spec + len + 1);
		return kinds[i].open(spec[len] == ':' ? spec + len + 1 : NULL, mac, port, error);
	}
	return port_fail(error, -EINVAL,
		"unknown port '%s'; valid ports: tap:NAME, pcap:in=FILE,out=FILE, gen:..., sink, echo, "
		"switch:NAME",
		spec);
}

int
host_port_check(const char *spec, char *errbuf, size_t errlen)
{
	static const uint8_t mac[6] = {0};

	return port_by_kind(spec, mac, NULL, &(struct port_error){errbuf, errlen});
}

int
host_port_prepare(const char *spec, const uint8_t mac[6], struct host_port **port, char *errbuf,
	size_t errlen)
{
	*port = NULL;
	return port_by_kind(spec, mac, port, &(struct port_error){errbuf, errlen});
}

int
host_port_record(struct host_port *port, char *errbuf, size_t errlen)
{
	return port->ops->record == NULL ? 0 : port->ops->record(port, errbuf, errlen);
}

int
host_port_open(const char *spec, const uint8_t mac[6], struct host_port **port, char *errbuf,
	size_t errlen)
{
	int rc = host_port_prepare(spec, mac, port, errbuf, errlen);

	if (rc == 0)
		rc = host_port_record(*port, errbuf, errlen);
	if (rc != 0 && *port != NULL) {
		(*port)->ops->close(*port);
		*port = NULL;
	}
	return rc;
}
