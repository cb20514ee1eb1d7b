/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port "pcap": plays a capture to the guest and records what the guest sends. The capture is read
 * completely when the port opens, so that a damaged file is an error then and not in mid-traffic.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/host/file_claim.h"
#include "lib/host/file_open.h"
#include "lib/host/port_spec.h"
#include "lib/vmbus/number.h"

#define PCAP_BYTES_MAX (UINT64_C(2) << 30)
#define PCAP_FRAME_MIN 14u
#define PCAP_SNAPLEN   262144
#define PCAP_FLUSH_NS  UINT64_C(20000000)
#define PCAP_LATE_NS   UINT64_C(1000000)

struct pcap_record {
	uint64_t at; /* in struct port_pcap.bytes */
	uint64_t ns; /* since the first frame; never less than the one before */
	uint32_t len;
};

struct port_pcap {
	struct host_port port;
	struct host_port_stats stats;
	struct port_pacer pacer;

	uint8_t *bytes;
	struct pcap_record *records;
	uint64_t n, next;
	uint64_t loops;	  /* rounds to play, 0 = for ever */
	bool as_captured; /* rate=capture: each frame at its time */
	uint64_t begun;	  /* ... since when this round is played, 0 = not yet */
	uint64_t first_ns;

	struct file_claim played, recorded;
	char *out; /* the file's name, or NULL */
	pcap_t *dead;
	pcap_dumper_t *dumper;
	uint64_t unflushed; /* frames that may not be in the file yet */
	bool failed;	    /* the file could not be written: stop trying */
	bool dirty;	    /* written to the dumper, not yet to the file */
	bool dirty_again;   /* ... since the last flush call */
	uint64_t dirty_since;
};

static bool
pcap_finished(const struct port_pcap *p)
{
	return p->n == 0 || (p->next == p->n && p->loops == 1);
}

/* The next round begins as long after the last frame as frames were apart on the average. */
static void
pcap_rewind(struct port_pcap *p)
{
	uint64_t last = p->records[p->n - 1].ns;

	if (p->loops != 0)
		p->loops--;
	p->next = 0;
	if (p->begun != 0)
		p->begun += last + (p->n > 1 ? last / (p->n - 1) : 0);
}

/* How long until the next frame's time; it comes later by all that one before came late. */
static uint64_t
pcap_wait(struct port_pcap *p, uint64_t now)
{
	uint64_t at;

	if (p->begun == 0)
		p->begun = now;
	at = p->begun + p->records[p->next].ns;
	if (at > now)
		return at - now;
	/* A guest that was away is not owed a flood. */
	if (now - at > PCAP_LATE_NS)
		p->begun += now - at - PCAP_LATE_NS;
	return 0;
}

static unsigned int
pcap_receive(struct host_port *port, struct host_frame *frames, unsigned int n)
{
	struct port_pcap *p = (struct port_pcap *)port;
	unsigned int due, made, done = 0;
	uint64_t now = 0;

	if (pcap_finished(p))
		return 0;
	due = port_pacer_due(&p->pacer, n);
	if (p->as_captured)
		now = monotonic_ns();
	for (made = 0; made < due; made++) {
		const struct pcap_record *r;

		if (p->next == p->n) {
			if (p->loops == 1)
				break;
			pcap_rewind(p);
		}
		if (p->as_captured && pcap_wait(p, now) != 0)
			break;
		r = &p->records[p->next++];
		if (r->len > frames[done].room) {
			port_drop(&p->stats, &p->stats.rx_dropped_size);
			continue;
		}
		memcpy(frames[done].data, p->bytes + r->at, r->len);
		frames[done++].len = r->len;
		p->stats.rx_frames++;
		p->stats.rx_bytes += r->len;
	}
	port_pacer_spend(&p->pacer, made);
	return done;
}

static void
pcap_send(struct host_port *port, const struct host_frame *frames, unsigned int n)
{
	struct port_pcap *p = (struct port_pcap *)port;
	struct pcap_pkthdr header;
	unsigned int i;

	gettimeofday(&header.ts, NULL);
	for (i = 0; i < n; i++) {
		p->stats.tx_frames++;
		p->stats.tx_bytes += frames[i].len;
		if (p->dumper == NULL) {
			p->stats.tx_unclaimed++;
			continue;
		}
		if (p->failed || frames[i].len > PCAP_SNAPLEN) {
			port_drop(&p->stats, &p->stats.tx_dropped_error);
			continue;
		}
		p->unflushed++;
		header.caplen = header.len = frames[i].len;
		pcap_dump((u_char *)p->dumper, &header, frames[i].data);
	}
	if (p->dumper == NULL || n == 0)
		return;
	if (!p->dirty)
		p->dirty_since = monotonic_ns();
	p->dirty = p->dirty_again = true;
}

/* To the file when traffic pauses, and every 20 ms while it does not. */
static void
pcap_flush(struct host_port *port)
{
	struct port_pcap *p = (struct port_pcap *)port;

	if (!p->dirty)
		return;
	if (p->dirty_again && monotonic_ns() - p->dirty_since < PCAP_FLUSH_NS) {
		p->dirty_again = false;
		return;
	}
	p->dirty = p->dirty_again = false;
	/* A write may have failed long before the flush. */
	if ((pcap_dump_flush(p->dumper) != 0 || ferror(pcap_dump_file(p->dumper))) && !p->failed) {
		p->failed = true;
		while (p->unflushed-- != 0)
			port_drop(&p->stats, &p->stats.tx_dropped_error);
	}
	p->unflushed = 0;
}

static int
pcap_port_fd(struct host_port *port)
{
	return -1;
}

static uint64_t
pcap_deadline(struct host_port *port)
{
	struct port_pcap *p = (struct port_pcap *)port;
	uint64_t play;

	if (pcap_finished(p))
		play = UINT64_MAX;
	else if (p->as_captured && p->next != p->n)
		play = pcap_wait(p, monotonic_ns());
	else
		play = port_pacer_wait(&p->pacer);
	return p->dirty && play > PCAP_FLUSH_NS ? PCAP_FLUSH_NS : play;
}

static void
pcap_port_stats(struct host_port *port, struct host_port_stats *stats)
{
	struct port_pcap *p = (struct port_pcap *)port;

	*stats = p->stats;
	stats->finished = pcap_finished(p);
}

static void
pcap_port_close(struct host_port *port)
{
	struct port_pcap *p = (struct port_pcap *)port;

	if (p->dumper != NULL)
		pcap_dump_close(p->dumper);
	if (p->dead != NULL)
		pcap_close(p->dead);
	file_claim_end(&p->played);
	file_claim_end(&p->recorded);
	free(p->out);
	free(p->records);
	free(p->bytes);
	free(p);
}

static int
pcap_add(struct port_pcap *p, uint64_t *used, uint64_t *room, uint64_t *slots,
	const struct pcap_pkthdr *header, const u_char *data, const char *file,
	const struct port_error *error)
{
	uint64_t ns, more;
	void *grown;

	if (header->caplen != header->len)
		return port_fail(error, -EINVAL,
			"port pcap: frame %llu of %s was cut short when it was captured (%u of %u "
			"bytes); capture again with a larger snapshot length",
			(unsigned long long)p->n + 1, file, header->caplen, header->len);
	if (header->caplen < PCAP_FRAME_MIN)
		return port_fail(error, -EINVAL,
			"port pcap: frame %llu of %s is shorter than an Ethernet header: length %u",
			(unsigned long long)p->n + 1, file, header->caplen);
	if (*used + header->caplen > PCAP_BYTES_MAX)
		return port_fail(error, -EFBIG,
			"port pcap: %s holds more than 2 GiB of frames; split it", file);
	if (p->n == *slots) {
		more = *slots != 0 ? 2 * *slots : 1024;
		grown = realloc(p->records, more * sizeof(p->records[0]));
		if (grown == NULL)
			return port_fail(error, -ENOMEM, "port pcap: no memory for %s", file);
		p->records = grown;
		*slots = more;
	}
	if (*room - *used < header->caplen) {
		more = 2 * *room + header->caplen + (1u << 20);
		grown = realloc(p->bytes, more);
		if (grown == NULL)
			return port_fail(error, -ENOMEM, "port pcap: no memory for %s", file);
		p->bytes = grown;
		*room = more;
	}
	memcpy(p->bytes + *used, data, header->caplen);
	/* With nanoseconds in the place of microseconds, see pcap_load(). */
	ns = (uint64_t)header->ts.tv_sec * NSEC_PER_SEC + (uint64_t)header->ts.tv_usec;
	if (p->n == 0)
		p->first_ns = ns;
	ns = ns > p->first_ns ? ns - p->first_ns : 0;
	p->records[p->n].ns =
		p->n != 0 && ns < p->records[p->n - 1].ns ? p->records[p->n - 1].ns : ns;
	p->records[p->n].at = *used;
	p->records[p->n++].len = header->caplen;
	*used += header->caplen;
	return 0;
}

static int
pcap_load(struct port_pcap *p, const char *file, const struct port_error *error)
{
	char unread[PCAP_ERRBUF_SIZE] = "";
	const char *why = unread;
	uint64_t used = 0, room = 0, slots = 0;
	struct pcap_pkthdr *header;
	const u_char *data;
	int rc = 0, got = 0;
	FILE *f = file_open_read(file, &why);
	pcap_t *in = f == NULL ? NULL
			       : pcap_fopen_offline_with_tstamp_precision(
					 f, PCAP_TSTAMP_PRECISION_NANO, unread);

	if (in == NULL) {
		if (f != NULL)
			fclose(f);
		return port_fail(
			error, -EINVAL, "port pcap: cannot read the capture in=%s: %s", file, why);
	}
	if (pcap_datalink(in) != DLT_EN10MB)
		rc = port_fail(error, -EINVAL,
			"port pcap: in=%s was captured on link type %s, only Ethernet can be played",
			file, pcap_datalink_val_to_name(pcap_datalink(in)) ?: "(unknown)");
	while (rc == 0 && (got = pcap_next_ex(in, &header, &data)) == 1)
		rc = pcap_add(p, &used, &room, &slots, header, data, file, error);
	if (rc == 0 && got != PCAP_ERROR_BREAK)
		rc = port_fail(error, -EINVAL, "port pcap: in=%s is damaged after frame %llu: %s",
			file, (unsigned long long)p->n, pcap_geterr(in));
	if (rc == 0 && file_claim_read(&p->played, fileno(pcap_file(in)), file,
			       "a port plays it (in=)") != 0)
		rc = port_fail(error, -ENOMEM, "port pcap: no memory for %s", file);
	pcap_close(in);
	return rc;
}

/* Emptied only when it is nobody else's. */
static int
pcap_out(struct port_pcap *p, FILE **file, const char **why)
{
	int rc, fd = file_open_write(p->out, why);
	struct stat st;

	if (fd < 0)
		return fd;
	rc = file_claim_written(&p->recorded, fd, "a port records into it (out=)", why);
	if (rc == 0 && (fstat(fd, &st) != 0 || (S_ISREG(st.st_mode) && ftruncate(fd, 0) != 0)))
		rc = -errno;
	if (rc == 0 && (*file = fdopen(fd, "wb")) == NULL)
		rc = -errno;
	if (rc != 0)
		close(fd);
	return rc;
}

static int
pcap_record(struct host_port *port, char *errbuf, size_t errlen)
{
	const struct port_error error = {errbuf, errlen};
	struct port_pcap *p = (struct port_pcap *)port;
	const char *why = NULL;
	FILE *file = NULL;
	int rc;

	if (p->out == NULL)
		return 0;
	p->dead = pcap_open_dead(DLT_EN10MB, PCAP_SNAPLEN);
	if (p->dead == NULL)
		return port_fail(&error, -ENOMEM, "port pcap: out of memory");
	rc = pcap_out(p, &file, &why);
	if (rc == 0) {
		p->dumper = pcap_dump_fopen(p->dead, file);
		if (p->dumper == NULL || pcap_dump_flush(p->dumper) != 0)
			rc = errno != 0 ? -errno : -EIO;
		if (p->dumper == NULL)
			fclose(file);
	}
	if (rc == 0)
		return 0;
	return port_fail(&error, rc, "port pcap: cannot write the capture out=%s: %s", p->out,
		why != NULL ? why : strerror(-rc));
}

static const struct host_port_ops pcap_ops = {
	.kind = "pcap",
	.receive = pcap_receive,
	.send = pcap_send,
	.flush = pcap_flush,
	.fd = pcap_port_fd,
	.deadline = pcap_deadline,
	.stats = pcap_port_stats,
	.close = pcap_port_close,
	.record = pcap_record,
	.on_demand = true,
};

static bool
pcap_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	if (stat(a, &sa) != 0 || stat(b, &sb) != 0)
		return strcmp(a, b) == 0;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino && S_ISREG(sa.st_mode);
}

static int
pcap_setup(struct port_pcap *p, const char *args, bool check, const struct port_error *error)
{
	static const char *const keys[] = {"in", "out", "loop", "rate", NULL};
	const char *value, *in = NULL, *out = NULL;
	struct port_spec spec;
	int key, rc = port_spec_init(&spec, "pcap", args, keys, error);

	p->loops = 1;
	while (rc == 0 && (key = port_spec_next(&spec, &value)) != -ENODATA) {
		if (key < 0)
			return key;
		if (key == 0)
			in = value;
		else if (key == 1)
			out = value;
		else if (key == 2)
			rc = port_spec_number(&spec, key, value, 0, UINT32_MAX, &p->loops);
		else if (strcmp(value, "capture") == 0)
			p->as_captured = true;
		else if (number_parse(value, NUMBER_KMG_1000, 0, 1000000000, &p->pacer.rate) != 0)
			rc = port_fail(error, -EINVAL,
				"port pcap: rate=%s is neither a number from 0 to 1000000000 nor "
				"capture",
				value);
	}
	if (rc != 0)
		return rc;
	if (in == NULL && out == NULL)
		return port_fail(error, -EINVAL, "port pcap: needs in=FILE, out=FILE or both");
	if (in == NULL && spec.seen != 1u << 1)
		return port_fail(
			error, -EINVAL, "port pcap: loop= and rate= mean nothing without in=FILE");
	if (in != NULL && out != NULL && pcap_same_file(in, out))
		return port_fail(
			error, -EINVAL, "port pcap: in= and out= are the same file, %s", in);
	if (check)
		return 0;
	if (in != NULL)
		rc = pcap_load(p, in, error);
	if (rc == 0 && out != NULL && (p->out = strdup(out)) == NULL)
		rc = port_fail(error, -ENOMEM, "port pcap: out of memory");
	return rc;
}

int
port_pcap_open(const char *args, const uint8_t mac[6], struct host_port **port,
	const struct port_error *error)
{
	struct port_pcap *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return port_fail(error, -ENOMEM, "port pcap: out of memory");
	rc = pcap_setup(p, args, port == NULL, error);
	if (rc != 0 || port == NULL) {
		pcap_port_close(&p->port);
		return rc;
	}
	p->port.ops = &pcap_ops;
	*port = &p->port;
	return 0;
}
