/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telemetry: /netvsc/list, /netvsc/info,PORT, /netvsc/queue,PORT,QUEUE, /netvsc/flight,PORT[,N];
 * doc/guide.md says what they answer. Called on threads of the telemetry library, at any time, also
 * while a port is closed or under a control operation that takes half a minute.
 *
 * What may be read under which lock:
 * - A port is read under ports.lock. A close takes it from the table, then waits for that lock
 * before it frees anything. What is read is copied, and made into text behind the lock. A reader
 * who does not go on makes the close leave the port's memory where it is.
 * - Structures of queues are read under the port's counts.lock, which a release of them takes.
 * - Rings are mapped as long as there is no control operation that unmaps them: under control_lock,
 *   which is tried for PATIENCE_MS and done without. Nothing that a close waits for waits longer.
 * No lock of a burst is taken. A number for itself is right; two may be of different moments.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_telemetry.h>

#include "drivers/net/netvsc/channel.h"
#include "drivers/net/netvsc/compat.h"
#include "drivers/net/netvsc/ops.h"
#include "drivers/net/netvsc/port.h"
#include "drivers/net/netvsc/rx.h"
#include "drivers/net/netvsc/tx.h"
#include "drivers/net/netvsc/vf_reason.h"
#include "lib/vmbus/number.h"

#define PATIENCE_MS 20
/* Lines of the recorder that surely fit an answer of 16 KiB, quotes and commas included. */
#define FLIGHT_MAX     100u
#define FLIGHT_DEFAULT 50u

static struct {
	rte_spinlock_t lock;
	struct netvsc_port *_Atomic port[RTE_MAX_ETHPORTS]; /**< written without the lock, too */
} ports = {.lock = RTE_SPINLOCK_INITIALIZER};

/* ---- which port ---- */

/* Take ports.lock. @return the port, or NULL with an error at @rc: the lock is not held */
static struct netvsc_port *
port_hold(uint64_t id, int *rc)
{
	struct netvsc_port *port;

	if (!netvsc_lock_in_time(&ports.lock)) {
		*rc = -EBUSY;
		return NULL;
	}
	port = id < RTE_DIM(ports.port) ? atomic_load(&ports.port[id]) : NULL;
	if (port != NULL)
		return port;
	rte_spinlock_unlock(&ports.lock);
	*rc = -ENODEV;
	return NULL;
}

static void
port_release(void)
{
	rte_spinlock_unlock(&ports.lock);
}

/*
 * The numbers of a request: between @least and @most of them, separated by commas.
 * @return how many, or -EINVAL with a message
 */
static int
params_take(const char *cmd, const char *params, uint64_t *values, int least, int most)
{
	const char *at = params == NULL ? "" : params;
	int n = 0;

	while (n < most && number_take(&at, NUMBER_PLAIN, &values[n]) == 0 && ++n < most &&
		*at == ',')
		at++;
	if (n >= least && *at == '\0' && (n == 0 || at[-1] != ','))
		return n;
	rte_log(RTE_LOG_INFO, netvsc_logtype, "hyperpoll: telemetry %s: '%s' is not %s\n", cmd,
		params == NULL ? "" : params,
		least == 2 ? "a port and a queue, as in 0,1" : "a port, as in 0");
	return -EINVAL;
}

static int
no_port(const char *cmd, uint64_t id, int rc)
{
	if (rc == -ENODEV)
		rte_log(RTE_LOG_INFO, netvsc_logtype,
			"hyperpoll: telemetry %s: port %" PRIu64
			" is not one of this driver; /netvsc/list names them\n",
			cmd, id);
	return rc;
}

/* Have the rings stay mapped. @return whether they do: unlock control_lock then */
static bool
rings_hold(struct netvsc_port *port)
{
	int64_t until = hpbus_now_ms() + PATIENCE_MS;

	/* The housekeeping alarm has it now and then, and not for long. */
	while (pthread_mutex_trylock(&port->control_lock) != 0) {
		if (hpbus_now_ms() >= until)
			return false;
		rte_delay_us_sleep(200);
	}
	return true;
}

/* ---- /netvsc/list ---- */

static int
telemetry_list(const char *cmd, const char *params, struct rte_tel_data *d)
{
	unsigned int id;

	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	for (id = 0; id < RTE_DIM(ports.port); id++)
		if (atomic_load(&ports.port[id]) != NULL)
			rte_tel_data_add_array_int(d, (int)id);
	return 0;
}

/* ---- /netvsc/info ---- */

/* The last event of a kind, and how many there were. */
struct telemetry_last {
	uint64_t count;
	bool is;
	struct netvsc_flight_event event;
	uint64_t age; /* seconds */
};

struct telemetry_info {
	char name[RTE_ETH_NAME_MAX_LEN], device[VMBUS_GUID_LEN + 1], where[128];
	const char *backend;
	uint32_t state, link_up, link_mbps;
	bool copy_only, on_vf;
	uint16_t mtu, rx_queues, tx_queues;
	struct netvsc_session session;
	struct netvsc_limits limits;
	struct netvsc_vf_show vf;
	uint32_t lent, sections_used, recoveries, recoveries_failed, recovery_ms;
	uint32_t send_tables, send_table[NVSP_SEND_TABLE_ENTRIES];
	uint64_t age, events, lost;
	struct telemetry_last last[NETVSC_FLIGHT_KINDS];
};

static void
info_last(const struct netvsc_flight *flight, struct telemetry_last *last, unsigned int kind)
{
	last->count = atomic_load_explicit(&flight->count[kind], memory_order_relaxed);
	last->is = netvsc_flight_last(flight, kind, &last->event);
	if (last->is)
		last->age = (rte_rdtsc() - last->event.tsc) / rte_get_tsc_hz();
}

static uint32_t
info_sections_used(struct netvsc_port *port)
{
	uint32_t used = 0;
	unsigned int q;

	if (!netvsc_lock_in_time(&port->counts.lock))
		return 0;
	for (q = 0; q < RTE_DIM(port->counts.tx); q++)
		if (port->counts.tx[q].queue != NULL)
			used += netvsc_section_used(&port->counts.tx[q].queue->sections);
	rte_spinlock_unlock(&port->counts.lock);
	return used;
}

/* ports.lock is held. */
static void
info_take(struct netvsc_port *port, struct telemetry_info *i)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	const struct netvsc_flight *flight = &port->flight;
	unsigned int kind;

	snprintf(i->name, sizeof(i->name), "%s", data->name);
	snprintf(i->device, sizeof(i->device), "%s", port->bus->name);
	snprintf(i->where, sizeof(i->where), "%s", port->bus->where);
	i->backend = port->bus->backend->name;
	i->state = atomic_load(&port->state);
	i->link_up = data->dev_link.link_status;
	i->link_mbps = atomic_load(&port->link.speed) / 10000;
	i->copy_only = port->bus->copy_only;
	i->mtu = data->mtu;
	i->rx_queues = data->nb_rx_queues;
	i->tx_queues = data->nb_tx_queues;
	i->on_vf = netvsc_vf_path(port->vf_tx) != 0;
	netvsc_vf_show_take(port, &i->vf);
	i->session = port->session;
	i->limits = port->limits;
	i->lent = netvsc_rx_lent(port);
	i->recoveries = atomic_load(&port->recovery.done);
	i->recoveries_failed = atomic_load(&port->recovery.failed);
	i->recovery_ms = atomic_load(&port->recovery.last_ms);
	i->sections_used = info_sections_used(port);
	i->send_tables = netvsc_send_table_read(port, i->send_table);
	i->age = (rte_rdtsc() - flight->epoch) / rte_get_tsc_hz();
	i->events = netvsc_flight_total(flight);
	i->lost = atomic_load_explicit(&flight->lost, memory_order_relaxed);
	for (kind = 0; kind < RTE_DIM(i->last); kind++)
		info_last(flight, &i->last[kind], kind);
}

static const char *
info_state(uint32_t state)
{
	if (state & NETVSC_STATE_GONE)
		return "gone";
	if (state & NETVSC_STATE_BROKEN)
		return "broken";
	if (state & NETVSC_STATE_RECOVERING)
		return "recovering";
	if (state & NETVSC_STATE_LINK_DOWN)
		return "link set down";
	return state & NETVSC_STATE_RUNNING ? "running" : "stopped";
}

static void
add(struct rte_tel_data *d, const char *name, uint64_t value)
{
	netvsc_compat_tel_number(d, name, value);
}

static const char *
info_text(const struct telemetry_last *last)
{
	return last->is ? last->event.text : "none";
}

static void
info_add_session(const struct telemetry_info *i, struct rte_tel_data *d)
{
	char version[16], table[NETVSC_SEND_TABLE_TEXT];

	snprintf(version, sizeof(version), "%u.%u", i->limits.nvsp_version >> 16,
		i->limits.nvsp_version & 0xffff);
	rte_tel_data_add_dict_string(d, "nvsp_version", version);
	add(d, "attached", i->session.attached);
	add(d, "mtu", i->mtu);
	add(d, "max_mtu", i->limits.mtu);
	add(d, "copy_only", i->copy_only);
	add(d, "rx_queues", i->rx_queues);
	add(d, "tx_queues", i->tx_queues);
	add(d, "max_queues", i->limits.max_queues);
	add(d, "channels", i->session.n_channels);
	add(d, "recv_sections", i->session.recv_count);
	add(d, "recv_section_bytes", i->session.recv_section);
	add(d, "recv_sections_lent", i->lent);
	add(d, "send_sections", i->session.send_count);
	add(d, "send_section_bytes", i->session.send_section);
	add(d, "send_sections_used", i->sections_used);
	netvsc_send_table_text(i->send_table, table);
	rte_tel_data_add_dict_string(d, "send_table", table);
	add(d, "send_tables", i->send_tables);
}

static void
info_add_history(const struct telemetry_info *i, struct rte_tel_data *d)
{
	const struct telemetry_last *path = &i->last[NETVSC_FLIGHT_PATH];
	const struct telemetry_last *vf = &i->last[NETVSC_FLIGHT_VF];
	const struct telemetry_last *recovery = &i->last[NETVSC_FLIGHT_RECOVERY];

	rte_tel_data_add_dict_string(d, "path", i->on_vf ? "vf" : "synthetic");
	add(d, "path_is_vf", i->on_vf);
	add(d, "path_switches", path->count);
	rte_tel_data_add_dict_string(d, "vf", info_text(vf));
	add(d, "vf_changes", vf->count);
	netvsc_vf_show_add(&i->vf, d);
	rte_tel_data_add_dict_string(d, "last_recovery", info_text(recovery));
	add(d, "last_recovery_failed", recovery->is && recovery->event.value < 0);
	add(d, "last_recovery_age_seconds", recovery->age);
	add(d, "last_recovery_ms", i->recovery_ms);
	add(d, "recoveries", i->recoveries);
	add(d, "recoveries_failed", i->recoveries_failed);
	rte_tel_data_add_dict_string(d, "last_broken", info_text(&i->last[NETVSC_FLIGHT_BROKEN]));
	add(d, "breaks", i->last[NETVSC_FLIGHT_BROKEN].count);
	add(d, "fences", i->last[NETVSC_FLIGHT_FENCE].count);
	add(d, "messages_sent",
		i->last[NETVSC_FLIGHT_SENT].count + i->last[NETVSC_FLIGHT_RNDIS_SENT].count);
	add(d, "messages_received",
		i->last[NETVSC_FLIGHT_RECEIVED].count +
			i->last[NETVSC_FLIGHT_RNDIS_RECEIVED].count);
	add(d, "messages_unanswered", i->last[NETVSC_FLIGHT_UNANSWERED].count);
	add(d, "age_seconds", i->age);
	add(d, "events", i->events);
	add(d, "events_lost", i->lost);
}

static int
telemetry_info(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct telemetry_info i = {0};
	struct netvsc_port *port;
	uint64_t id;
	int rc;

	rc = params_take(cmd, params, &id, 1, 1);
	if (rc < 0)
		return rc;
	port = port_hold(id, &rc);
	if (port == NULL)
		return no_port(cmd, id, rc);
	info_take(port, &i);
	port_release();
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "name", i.name);
	rte_tel_data_add_dict_string(d, "device", i.device);
	rte_tel_data_add_dict_string(d, "backend", i.backend);
	rte_tel_data_add_dict_string(d, "where", i.where);
	rte_tel_data_add_dict_string(d, "state", info_state(i.state));
	add(d, "running", i.state == NETVSC_STATE_RUNNING);
	add(d, "link_up", i.link_up);
	add(d, "link_mbps", i.link_mbps);
	info_add_session(&i, d);
	info_add_history(&i, d);
	return 0;
}

/* ---- /netvsc/queue ---- */

struct telemetry_ring {
	uint32_t size, used;
};

struct telemetry_queue {
	uint64_t polls;
	uint32_t waiting, ahead;
	struct netvsc_channel_stats channel;
	bool has_rx, has_tx, has_rings;
	uint64_t sends;
	uint32_t rx_desc, tx_desc, tx_used, sections_used, sections_free, table_share;
	struct netvsc_rxq_stats rx;
	struct netvsc_txq_stats tx;
	struct netvsc_tx_drops tx_drops;
	struct telemetry_ring in, out;
};

static struct telemetry_ring
queue_ring(const struct vmbus_ring *ring)
{
	uint32_t w = atomic_load_explicit(&ring->ctl->write_index, memory_order_relaxed);
	uint32_t r = atomic_load_explicit(&ring->ctl->read_index, memory_order_relaxed);

	/* The peer's words: nothing is done with them but to show what they come to. */
	if (w >= ring->size || r >= ring->size)
		return (struct telemetry_ring){ring->size, 0};
	return (struct telemetry_ring){ring->size, vmbus_ring_used(ring->size, w, r)};
}

/* counts.lock is held. */
static void
queue_take_counts(const struct netvsc_port *port, uint16_t q, struct telemetry_queue *t)
{
	const struct netvsc_rxq_counts *rx = &port->counts.rx[q];
	const struct netvsc_txq_counts *tx = &port->counts.tx[q];

	t->rx = rx->queue != NULL ? rx->queue->stats : rx->kept;
	t->tx = tx->queue != NULL ? tx->queue->stats : tx->kept;
	t->tx_drops = tx->queue != NULL ? tx->queue->drops : tx->drops_kept;
	t->sends = t->tx_drops.reaped;
	if (rx->queue != NULL)
		t->rx_desc = rx->queue->nb_desc;
	if (tx->queue != NULL) {
		t->tx_desc = tx->queue->nb_desc;
		t->sends += netvsc_tx_inflight(tx->queue);
		t->tx_used = netvsc_tx_outstanding(tx->queue);
		t->sections_used = netvsc_section_used(&tx->queue->sections);
		t->sections_free = tx->queue->sections.n_own + tx->queue->sections.n_borrowed;
	}
}

/* ports.lock is held. @return 0, -EINVAL no such queue, -EBUSY */
static int
queue_take(struct netvsc_port *port, uint64_t q, struct telemetry_queue *t)
{
	const struct rte_eth_dev_data *data = port->eth->data;
	uint32_t table[NVSP_SEND_TABLE_ENTRIES];
	const struct netvsc_channel *ch;

	if (q >= (uint64_t)RTE_MAX(data->nb_rx_queues, data->nb_tx_queues) ||
		q >= RTE_DIM(port->channels))
		return -EINVAL;
	t->has_rx = q < data->nb_rx_queues;
	t->has_tx = q < data->nb_tx_queues;
	netvsc_send_table_read(port, table);
	t->table_share = netvsc_send_table_share(table, (uint32_t)q);
	if (!netvsc_lock_in_time(&port->counts.lock))
		return -EBUSY;
	queue_take_counts(port, (uint16_t)q, t);
	rte_spinlock_unlock(&port->counts.lock);
	ch = port->channels[q];
	if (ch == NULL)
		return 0;
	t->channel = ch->stats;
	t->polls = netvsc_channel_polls(ch);
	t->waiting = ch->n_waiting + ch->done_head - ch->done_tail;
	t->ahead = ch->ahead;
	if (!rings_hold(port))
		return 0;
	t->has_rings = netvsc_channel_is_open(ch);
	if (t->has_rings) {
		t->in = queue_ring(&ch->bus.rx);
		t->out = queue_ring(&ch->bus.tx);
	}
	pthread_mutex_unlock(&port->control_lock);
	return 0;
}

static uint64_t
per_hundred(uint64_t frames, uint64_t batches)
{
	return batches == 0 ? 0 : frames * 100 / batches;
}

static void
queue_add_rx(const struct telemetry_queue *t, struct rte_tel_data *d)
{
	add(d, "rx_frames", t->rx.packets);
	add(d, "rx_bytes", t->rx.bytes);
	add(d, "rx_polls", t->polls);
	add(d, "rx_batches", t->rx.batches);
	add(d, "rx_frames_per_100_batches", per_hundred(t->rx.packets, t->rx.batches));
	add(d, "rx_by_reference", t->channel.rx_lent);
	add(d, "rx_no_mbuf", t->rx.no_mbuf);
	add(d, "rx_too_long", t->rx.too_long);
	add(d, "rx_malformed", t->channel.rx_malformed);
	add(d, "rx_dropped_unpolled", t->channel.rx_dropped_unpolled);
	add(d, "rx_dropped_stopped", t->channel.rx_dropped_stopped);
	add(d, "rx_completions_waiting", t->waiting);
	add(d, "rx_completions_deferred", t->channel.done_deferred);
	add(d, "rx_doorbells", t->channel.doorbells);
	add(d, "rx_descriptors", t->rx_desc);
}

static void
queue_add_tx(const struct telemetry_queue *t, struct rte_tel_data *d)
{
	add(d, "tx_frames", t->tx.packets);
	add(d, "tx_bytes", t->tx.bytes);
	add(d, "tx_sends", t->sends);
	add(d, "tx_frames_per_100_sends", per_hundred(t->tx.packets, t->sends));
	add(d, "tx_by_reference", t->tx_drops.by_reference);
	add(d, "tx_errors", t->tx.errors);
	add(d, "tx_refused", t->tx.failed);
	add(d, "tx_ring_full", t->tx_drops.ring_full);
	add(d, "tx_no_descriptor", t->tx_drops.no_slot);
	add(d, "tx_no_section", t->tx_drops.no_section);
	add(d, "tx_doorbells", t->tx_drops.doorbells);
	add(d, "tx_descriptors", t->tx_desc);
	add(d, "tx_completions_outstanding", t->tx_used);
	add(d, "tx_sections_used", t->sections_used);
	add(d, "tx_sections_free", t->sections_free);
	add(d, "tx_send_table_entries", t->table_share);
}

static int
telemetry_queue(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct telemetry_queue t = {0};
	struct netvsc_port *port;
	uint64_t of[2];
	int rc;

	rc = params_take(cmd, params, of, 2, 2);
	if (rc < 0)
		return rc;
	port = port_hold(of[0], &rc);
	if (port == NULL)
		return no_port(cmd, of[0], rc);
	rc = queue_take(port, of[1], &t);
	port_release();
	if (rc == -EINVAL)
		rte_log(RTE_LOG_INFO, netvsc_logtype,
			"hyperpoll: telemetry %s: port %" PRIu64 " has no queue %" PRIu64 "\n", cmd,
			of[0], of[1]);
	if (rc != 0)
		return rc;
	rte_tel_data_start_dict(d);
	add(d, "queue", of[1]);
	if (t.has_rx)
		queue_add_rx(&t, d);
	if (t.has_tx)
		queue_add_tx(&t, d);
	/* A closed channel, or a control operation that is at it. */
	if (!t.has_rings)
		return 0;
	add(d, "rx_ring_bytes", t.in.size);
	add(d, "rx_ring_used", t.in.used);
	add(d, "rx_ring_scanned_ahead", t.ahead);
	add(d, "tx_ring_bytes", t.out.size);
	add(d, "tx_ring_used", t.out.used);
	return 0;
}

/* ---- /netvsc/flight ---- */

struct telemetry_flight {
	uint64_t total, lost;
	unsigned int n;
	char line[FLIGHT_MAX][NETVSC_FLIGHT_LINE];
};

/* ports.lock is held. */
static void
flight_take(const struct netvsc_flight *flight, struct telemetry_flight *t, uint64_t most)
{
	struct netvsc_flight_event event;
	uint64_t n;

	t->total = netvsc_flight_total(flight);
	t->lost = atomic_load_explicit(&flight->lost, memory_order_relaxed);
	for (n = t->total > most ? t->total - most : 0; n < t->total; n++)
		if (netvsc_flight_read(flight, n, &event))
			netvsc_flight_line(flight, &event, t->line[t->n++]);
}

static int
telemetry_flight(const char *cmd, const char *params, struct rte_tel_data *d)
{
	uint64_t of[2] = {0, FLIGHT_DEFAULT};
	struct telemetry_flight t = {0};
	struct rte_tel_data *lines;
	struct netvsc_port *port;
	unsigned int i;
	int rc;

	rc = params_take(cmd, params, of, 1, 2);
	if (rc < 0)
		return rc;
	port = port_hold(of[0], &rc);
	if (port == NULL)
		return no_port(cmd, of[0], rc);
	flight_take(&port->flight, &t, RTE_MIN(of[1], FLIGHT_MAX));
	port_release();
	lines = rte_tel_data_alloc();
	if (lines == NULL)
		return -ENOMEM;
	rte_tel_data_start_array(lines, RTE_TEL_STRING_VAL);
	for (i = 0; i < t.n; i++)
		rte_tel_data_add_array_string(lines, t.line[i]);
	rte_tel_data_start_dict(d);
	add(d, "events", t.total);
	add(d, "events_lost", t.lost);
	rte_tel_data_add_dict_container(d, "last", lines, 0);
	return 0;
}

/* ---- coming and going ---- */

/* Commands stay until the process ends: ports that are gone are none of theirs. */
static void
telemetry_register(void)
{
	static atomic_flag once = ATOMIC_FLAG_INIT;

	if (atomic_flag_test_and_set(&once))
		return;
	rte_telemetry_register_cmd(
		"/netvsc/list", telemetry_list, "Ports of the netvsc driver. No parameters.");
	rte_telemetry_register_cmd(
		"/netvsc/info", telemetry_info, "State of a port. Parameters: port");
	rte_telemetry_register_cmd("/netvsc/queue", telemetry_queue,
		"Rings, buffers and counters of a queue. Parameters: port,queue");
	rte_telemetry_register_cmd("/netvsc/flight", telemetry_flight,
		"Last control events of a port. Parameters: port[,events]");
}

void
netvsc_telemetry_add(struct netvsc_port *port)
{
	telemetry_register();
	atomic_store(&ports.port[port->eth->data->port_id], port);
}

bool
netvsc_telemetry_remove(struct netvsc_port *port)
{
	struct netvsc_port *is = port;

	/* Who comes from now on does not find it; then wait for who has. */
	atomic_compare_exchange_strong(&ports.port[port->eth->data->port_id], &is, NULL);
	if (!netvsc_lock_in_time(&ports.lock))
		return false;
	rte_spinlock_unlock(&ports.lock);
	return true;
}
