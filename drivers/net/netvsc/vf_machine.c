/* SPDX-License-Identifier: BSD-3-Clause */
/* See vf_machine.h. Rules of the wire: spec/nvsp.md §9. */
#include "drivers/net/netvsc/vf_machine.h"

#include <errno.h>
#include <string.h>

/* ---- facts: serial, port id, levels, marks ---- */

#define FACT_VF_SHIFT 32
#define FACT_VF	      (UINT64_C(0xffff) << FACT_VF_SHIFT)
#define FACT_SERIAL   UINT64_C(0xffffffff)
#define FACT(bit)     (UINT64_C(1) << (48 + (bit)))
/* Levels: how it is. */
#define FACT_ASSOCIATED FACT(0)
#define FACT_FOUND	FACT(1)
#define FACT_LINK	FACT(2)
#define FACT_RECOVERING FACT(3)
#define FACT_FAILED	FACT(4)
#define FACT_STARTED	FACT(5)
#define FACT_SESSION	FACT(6)
#define FACT_CLOSING	FACT(7)
/* Marks: it was so at some time since they were last taken. */
#define MARK_DISASSOCIATED FACT(8)
#define MARK_SYNTHETIC	   FACT(9)
#define MARK_ANSWERED	   FACT(10)
#define MARK_LOST	   FACT(11)
#define MARK_LINK_DOWN	   FACT(12)
#define MARK_RECOVERING	   FACT(13)
#define MARK_STOPPING	   FACT(14)
#define MARK_SESSION_GONE  FACT(15)

/* A port that stops receives as long as the host sends to the VF. */
#define MARKS_CUT_RX (MARK_LOST | MARK_RECOVERING)
#define MARKS_CUT_TX                                                                               \
	(MARKS_CUT_RX | MARK_STOPPING | MARK_DISASSOCIATED | MARK_SYNTHETIC | MARK_LINK_DOWN |     \
		MARK_SESSION_GONE)
#define MARKS (MARKS_CUT_TX | MARK_ANSWERED)

#define FACTS_OF_VF (FACT_VF | FACT_FOUND | FACT_LINK | FACT_RECOVERING | FACT_FAILED)

static uint64_t
facts_associated(uint64_t facts, uint32_t serial)
{
	/* Another one in its place: the one before has been taken away. */
	if ((facts & FACT_ASSOCIATED) && (facts & FACT_SERIAL) != serial)
		facts |= MARK_DISASSOCIATED;
	return (facts & ~FACT_SERIAL) | FACT_ASSOCIATED | serial;
}

static uint64_t
facts_disassociated(uint64_t facts)
{
	return (facts & ~(FACT_ASSOCIATED | FACT_SERIAL)) | MARK_DISASSOCIATED;
}

/* Is that the VF that something is known of, found or not? */
static bool
is_of_vf(uint64_t facts, uint32_t vf)
{
	return (facts & FACTS_OF_VF) != 0 && (uint16_t)(facts >> FACT_VF_SHIFT) == vf;
}

static uint64_t
facts_found(uint64_t facts, uint32_t vf)
{
	if (vf >= NETVSC_VF_NONE)
		return facts;
	if ((facts & FACT_FOUND) && netvsc_vf_facts_found(facts) == vf)
		return facts & ~FACT_FAILED;
	/* It resets itself, as was told before it was found. */
	if (is_of_vf(facts, vf))
		return facts | FACT_FOUND;
	if (facts & FACT_FOUND)
		facts |= MARK_LOST;
	return (facts & ~FACTS_OF_VF) | FACT_FOUND | (uint64_t)vf << FACT_VF_SHIFT;
}

static uint64_t
facts_lost(uint64_t facts, uint32_t vf)
{
	return is_of_vf(facts, vf) ? (facts & ~FACTS_OF_VF) | MARK_LOST : facts;
}

/* Also of one that is not found yet; of one at a time. */
static uint64_t
facts_recovery(uint64_t facts, enum netvsc_vf_event event, uint32_t vf)
{
	if (vf >= NETVSC_VF_NONE || ((facts & FACT_FOUND) && !is_of_vf(facts, vf)))
		return facts;
	if (!is_of_vf(facts, vf))
		facts &= ~FACTS_OF_VF;
	if (event == NETVSC_VF_RECOVERED)
		facts &= ~(FACT_RECOVERING | FACT_FAILED);
	else if (event == NETVSC_VF_RECOVERING)
		facts = (facts & ~FACT_FAILED) | FACT_RECOVERING | MARK_RECOVERING;
	else
		facts = (facts & ~FACT_RECOVERING) | FACT_FAILED | MARK_RECOVERING;
	/* Nothing is left to remember. */
	if (!(facts & (FACT_FOUND | FACT_RECOVERING | FACT_FAILED)))
		return facts & ~FACTS_OF_VF;
	return (facts & ~FACT_VF) | (uint64_t)vf << FACT_VF_SHIFT;
}

static uint64_t
facts_link(uint64_t facts, bool up)
{
	if (!(facts & FACT_FOUND))
		return facts;
	return up ? facts | FACT_LINK : (facts & ~FACT_LINK) | MARK_LINK_DOWN;
}

uint64_t
netvsc_vf_facts_add(uint64_t facts, enum netvsc_vf_event event, uint32_t value)
{
	switch (event) {
	case NETVSC_VF_HOST_ASSOCIATED:
		return facts_associated(facts, value);
	case NETVSC_VF_HOST_DISASSOCIATED:
		return facts_disassociated(facts);
	case NETVSC_VF_HOST_PATH:
		/* The other way only the guest moves it. */
		return value == 0 ? facts | MARK_SYNTHETIC : facts;
	case NETVSC_VF_HOST_ANSWERED:
		return facts | MARK_ANSWERED;
	case NETVSC_VF_FOUND:
		return facts_found(facts, value);
	case NETVSC_VF_LOST:
		return facts_lost(facts, value);
	case NETVSC_VF_LINK:
		return facts_link(facts, value != 0);
	case NETVSC_VF_RECOVERING:
	case NETVSC_VF_RECOVERED:
	case NETVSC_VF_RECOVERY_FAILED:
		return facts_recovery(facts, event, value);
	case NETVSC_VF_PORT_STARTED:
		return facts | FACT_STARTED;
	case NETVSC_VF_PORT_STOPPING:
		return (facts & ~FACT_STARTED) | MARK_STOPPING;
	case NETVSC_VF_SESSION_NEW:
		return facts | FACT_SESSION;
	case NETVSC_VF_SESSION_GONE:
		return (facts_disassociated(facts) & ~FACT_SESSION) | MARK_SESSION_GONE;
	case NETVSC_VF_CLOSING:
		return (facts & ~FACT_STARTED) | FACT_CLOSING | MARK_STOPPING;
	}
	return facts;
}

uint64_t
netvsc_vf_facts_rest(uint64_t facts)
{
	return facts & ~MARKS;
}

uint64_t
netvsc_vf_facts_unanswered(uint64_t facts)
{
	return facts & ~MARK_ANSWERED;
}

bool
netvsc_vf_facts_serial(uint64_t facts, uint32_t *serial)
{
	*serial = (uint32_t)(facts & FACT_SERIAL);
	return (facts & FACT_ASSOCIATED) != 0;
}

uint16_t
netvsc_vf_facts_found(uint64_t facts)
{
	return (facts & FACT_FOUND) ? (uint16_t)(facts >> FACT_VF_SHIFT) : NETVSC_VF_NONE;
}

bool
netvsc_vf_facts_link(uint64_t facts)
{
	return (facts & FACT_LINK) != 0;
}

bool
netvsc_vf_facts_recovering(uint64_t facts, uint16_t vf)
{
	return (facts & FACT_RECOVERING) != 0 && is_of_vf(facts, vf);
}

bool
netvsc_vf_facts_failed(uint64_t facts, uint16_t vf)
{
	return (facts & FACT_FAILED) != 0 && is_of_vf(facts, vf);
}

bool
netvsc_vf_facts_know(uint64_t facts, uint16_t vf)
{
	return is_of_vf(facts, vf);
}

bool
netvsc_vf_facts_started(uint64_t facts)
{
	return (facts & FACT_STARTED) != 0;
}

bool
netvsc_vf_facts_cut_tx(uint64_t facts)
{
	return (facts & MARKS_CUT_TX) != 0;
}

bool
netvsc_vf_facts_cut_rx(uint64_t facts)
{
	return (facts & MARKS_CUT_RX) != 0;
}

/* ---- trying again ---- */

static void
retry_later(struct netvsc_vf_retry *retry, int64_t now, uint32_t first, uint32_t most)
{
	retry->after *= 2;
	if (retry->after < first)
		retry->after = first;
	if (retry->after > most)
		retry->after = most;
	retry->at = now + retry->after;
}

static void
retry_reset(struct netvsc_vf_retry *retry)
{
	*retry = (struct netvsc_vf_retry){0};
}

/* ---- what is wanted ---- */

static bool
is(const struct netvsc_vf_machine *m, uint64_t fact)
{
	return (m->levels & fact) != 0;
}

static bool
owned(const struct netvsc_vf_machine *m)
{
	return m->vf != NETVSC_VF_NONE;
}

/* It is the one that is there, and frames may go through it. */
static bool
wants_run(const struct netvsc_vf_machine *m)
{
	return owned(m) && !m->lost && is(m, FACT_STARTED) && !is(m, FACT_FAILED);
}

static bool
wants_rx(const struct netvsc_vf_machine *m)
{
	return m->running && !m->leave && wants_run(m) && !is(m, FACT_RECOVERING);
}

/* The host may send to it: somebody must receive that, also from one that is about to be left. */
static bool
keeps_rx(const struct netvsc_vf_machine *m)
{
	return m->running && !m->lost && !is(m, FACT_RECOVERING | FACT_FAILED | FACT_CLOSING) &&
	       m->host != NETVSC_VF_HOST_SYNTHETIC && m->host != NETVSC_VF_HOST_LEFT;
}

/* The host should have the path on the VF, which receives before that. */
static bool
wants_host(const struct netvsc_vf_machine *m)
{
	return wants_rx(m) && m->rx && is(m, FACT_ASSOCIATED) && is(m, FACT_LINK) &&
	       is(m, FACT_SESSION);
}

static bool
wants_tx(const struct netvsc_vf_machine *m)
{
	return wants_host(m) && m->host == NETVSC_VF_HOST_VF;
}

/* ---- what has happened ---- */

void
netvsc_vf_machine_init(struct netvsc_vf_machine *m)
{
	memset(m, 0, sizeof(*m));
	m->vf = NETVSC_VF_NONE;
	m->tx_quiet = m->rx_quiet = true;
}

static void
take_host_synthetic(struct netvsc_vf_machine *m, int64_t now)
{
	if (m->host == NETVSC_VF_HOST_VF) {
		m->host = NETVSC_VF_HOST_SYNTHETIC;
		m->counts.forced++;
		/* One that does so again and again is asked less and less. */
		if (now - m->host_since > NETVSC_VF_RETRY_MAX_MS)
			retry_reset(&m->ask);
		retry_later(&m->ask, now, NETVSC_VF_RETRY_MS, NETVSC_VF_RETRY_MAX_MS);
	} else if (m->host == NETVSC_VF_HOST_TO_VF && !m->refused) {
		m->refused = true;
		m->counts.refused++;
		retry_later(&m->ask, now, NETVSC_VF_RETRY_MS, NETVSC_VF_RETRY_MAX_MS);
	}
}

/* The VF that the host spoke of is not the one that it speaks of now, if any. */
static void
take_disassociated(struct netvsc_vf_machine *m)
{
	retry_reset(&m->ask);
	if (m->host == NETVSC_VF_HOST_VF)
		m->host = NETVSC_VF_HOST_UNSURE;
	else if (m->host == NETVSC_VF_HOST_TO_VF)
		m->refused = true;
}

static void
take_answer(struct netvsc_vf_machine *m, int64_t now)
{
	if (m->host == NETVSC_VF_HOST_TO_VF && m->refused) {
		/* Before or behind: it may have moved the path for what came in between. */
		m->host = NETVSC_VF_HOST_UNSURE;
	} else if (m->host == NETVSC_VF_HOST_TO_VF) {
		m->host = NETVSC_VF_HOST_VF;
		m->host_since = now;
		m->counts.to_vf++;
	} else if (m->host == NETVSC_VF_HOST_BACK) {
		m->host = NETVSC_VF_HOST_SYNTHETIC;
		m->counts.to_synthetic++;
	}
}

static void
take_time(struct netvsc_vf_machine *m, int64_t now)
{
	if (m->host != NETVSC_VF_HOST_TO_VF && m->host != NETVSC_VF_HOST_BACK)
		return;
	if (m->refused && m->host_until > now + NETVSC_VF_GRACE_MS)
		m->host_until = now + NETVSC_VF_GRACE_MS;
	if (now < m->host_until)
		return;
	m->counts.timeouts++;
	if (m->host == NETVSC_VF_HOST_TO_VF) {
		m->host = NETVSC_VF_HOST_UNSURE;
		retry_later(&m->ask, now, NETVSC_VF_RETRY_MS, NETVSC_VF_RETRY_MAX_MS);
	} else {
		m->host = NETVSC_VF_HOST_SYNTHETIC;
	}
}

void
netvsc_vf_machine_take(struct netvsc_vf_machine *m, uint64_t facts, int64_t now)
{
	bool had_session = is(m, FACT_SESSION);

	m->levels = netvsc_vf_facts_rest(facts);
	m->cut_tx |= m->tx && netvsc_vf_facts_cut_tx(facts);
	m->cut_rx |= m->rx && netvsc_vf_facts_cut_rx(facts);
	if (facts & MARK_LOST) {
		retry_reset(&m->own);
		retry_reset(&m->start);
	}
	if (owned(m) && ((facts & MARK_LOST) || netvsc_vf_facts_found(facts) != m->vf))
		m->lost = true;
	if (facts & MARK_STOPPING)
		retry_reset(&m->start); /* what failed may be configured otherwise by now */
	if ((m->running || m->starting) && (m->lost || (facts & MARK_STOPPING)))
		m->leave = true;
	/* An answer comes last: whether it was before or behind nobody knows. */
	if (facts & MARK_SYNTHETIC)
		take_host_synthetic(m, now);
	if (facts & MARK_DISASSOCIATED)
		take_disassociated(m);
	if (facts & MARK_ANSWERED)
		take_answer(m, now);
	if (facts & MARK_SESSION_GONE)
		m->host = NETVSC_VF_HOST_SYNTHETIC;
	if (is(m, FACT_SESSION) && (!had_session || (facts & MARK_SESSION_GONE)))
		m->host = NETVSC_VF_HOST_LEFT;
	take_time(m, now);
}

/* ---- what is next ---- */

static void
until_at(int64_t *until, int64_t at)
{
	if (at < *until)
		*until = at;
}

/* Is it time for something? If not, it is to be asked for again. */
static bool
due(int64_t at, int64_t now, int64_t *until)
{
	if (at <= now)
		return true;
	until_at(until, at);
	return false;
}

/* Away from the VF. */
static enum netvsc_vf_step
next_off(const struct netvsc_vf_machine *m, int64_t now, int64_t *until)
{
	if (m->tx && (m->cut_tx || !wants_tx(m)))
		return NETVSC_VF_STEP_TX_OFF;
	if (m->rx && (m->cut_rx || (!wants_rx(m) && !keeps_rx(m))))
		return NETVSC_VF_STEP_RX_OFF;
	if (!m->tx && !m->tx_quiet && due(m->look.at, now, until))
		return NETVSC_VF_STEP_TX_QUIET;
	if (!m->rx && !m->rx_quiet && due(m->look.at, now, until))
		return NETVSC_VF_STEP_RX_QUIET;
	return NETVSC_VF_WAIT;
}

/* Must the host be asked for the synthetic side? */
static bool
wants_back(const struct netvsc_vf_machine *m)
{
	if (!is(m, FACT_SESSION))
		return false;
	return m->host == NETVSC_VF_HOST_UNSURE ||
	       (m->host == NETVSC_VF_HOST_LEFT && is(m, FACT_ASSOCIATED)) ||
	       (m->host == NETVSC_VF_HOST_VF && !wants_host(m));
}

static enum netvsc_vf_step
next_host(const struct netvsc_vf_machine *m, int64_t now, int64_t *until)
{
	if (m->host == NETVSC_VF_HOST_TO_VF || m->host == NETVSC_VF_HOST_BACK) {
		until_at(until, m->host_until);
		return NETVSC_VF_WAIT;
	}
	if (wants_back(m)) {
		/* What is inside of the VF's driver is sent by the VF: it should still be one. */
		if (!m->tx_quiet && !due(m->tx_quiet_since + NETVSC_VF_QUIET_MS, now, until))
			return NETVSC_VF_WAIT;
		return due(m->say.at, now, until) ? NETVSC_VF_STEP_BACK : NETVSC_VF_WAIT;
	}
	if (m->host == NETVSC_VF_HOST_VF)
		return wants_tx(m) && !m->tx ? NETVSC_VF_STEP_TX : NETVSC_VF_WAIT;
	if (wants_host(m) && due(m->ask.at, now, until) && due(m->say.at, now, until))
		return NETVSC_VF_STEP_ASK;
	return NETVSC_VF_WAIT;
}

/* Nobody of ours is inside of the VF's driver, nor will be. */
static bool
is_quiet(const struct netvsc_vf_machine *m)
{
	return !m->rx && !m->tx && m->rx_quiet && m->tx_quiet;
}

/* May the VF be stopped? A host that has the path on it would send into nothing (pitfall V13). */
static bool
may_stop(const struct netvsc_vf_machine *m)
{
	if (!is_quiet(m) || is(m, FACT_RECOVERING))
		return false;
	return m->lost || is(m, FACT_CLOSING) || m->host == NETVSC_VF_HOST_SYNTHETIC ||
	       m->host == NETVSC_VF_HOST_LEFT;
}

static enum netvsc_vf_step
next_slow(const struct netvsc_vf_machine *m, int64_t now, int64_t *until)
{
	/* One that resets itself must not be stopped, but nobody waits for that any more. */
	if (m->running && is(m, FACT_CLOSING) && is(m, FACT_RECOVERING))
		return is_quiet(m) ? NETVSC_VF_STEP_DISOWN : NETVSC_VF_WAIT;
	if (m->running && (m->leave || !wants_run(m)))
		return may_stop(m) ? NETVSC_VF_STEP_STOP : NETVSC_VF_WAIT;
	if (owned(m) && !m->running && (m->lost || is(m, FACT_CLOSING)))
		return NETVSC_VF_STEP_DISOWN;
	if (is(m, FACT_CLOSING))
		return NETVSC_VF_STEP_END;
	if (is(m, FACT_RECOVERING))
		return NETVSC_VF_WAIT;
	if (!owned(m) && is(m, FACT_FOUND))
		return due(m->own.at, now, until) ? NETVSC_VF_STEP_OWN : NETVSC_VF_WAIT;
	if (wants_run(m) && !m->running)
		return due(m->start.at, now, until) ? NETVSC_VF_STEP_START : NETVSC_VF_WAIT;
	if (m->running && due(m->poll, now, until))
		return NETVSC_VF_STEP_LINK;
	return NETVSC_VF_WAIT;
}

enum netvsc_vf_step
netvsc_vf_machine_next(const struct netvsc_vf_machine *m, int64_t now, int64_t *until)
{
	enum netvsc_vf_step step;

	*until = INT64_MAX;
	step = next_off(m, now, until);
	if (step == NETVSC_VF_WAIT && wants_rx(m) && !m->rx)
		step = NETVSC_VF_STEP_RX;
	if (step == NETVSC_VF_WAIT)
		step = next_host(m, now, until);
	if (step == NETVSC_VF_WAIT)
		step = next_slow(m, now, until);
	return step;
}

/* ---- what was done ---- */

void
netvsc_vf_machine_begin(struct netvsc_vf_machine *m, enum netvsc_vf_step step)
{
	if (step == NETVSC_VF_STEP_OWN)
		m->vf = netvsc_vf_facts_found(m->levels);
	if (step == NETVSC_VF_STEP_START)
		m->starting = true;
	/* Whatever happens meanwhile, it is over with this one. */
	if (step == NETVSC_VF_STEP_STOP)
		m->leave = true;
}

static void
done_quick(struct netvsc_vf_machine *m, enum netvsc_vf_step step, int64_t now)
{
	switch (step) {
	case NETVSC_VF_STEP_TX_OFF:
		m->tx = m->cut_tx = m->tx_quiet = false;
		m->tx_quiet_since = now;
		break;
	case NETVSC_VF_STEP_RX_OFF:
		m->rx = m->cut_rx = m->rx_quiet = false;
		break;
	case NETVSC_VF_STEP_TX_QUIET:
		m->tx_quiet = true;
		break;
	case NETVSC_VF_STEP_RX_QUIET:
		m->rx_quiet = true;
		break;
	case NETVSC_VF_STEP_RX:
		m->rx = true;
		break;
	case NETVSC_VF_STEP_TX:
		m->tx = true;
		break;
	case NETVSC_VF_STEP_ASK:
	case NETVSC_VF_STEP_BACK:
		m->host = step == NETVSC_VF_STEP_ASK ? NETVSC_VF_HOST_TO_VF : NETVSC_VF_HOST_BACK;
		m->host_until = now + NETVSC_VF_SWITCH_MS;
		m->refused = false;
		break;
	default:
		break;
	}
}

static void
done_start(struct netvsc_vf_machine *m, int rc, int64_t now)
{
	m->starting = false;
	m->running = rc == 0;
	m->poll = now;
	if (rc == 0) {
		retry_reset(&m->start);
		m->counts.starts++;
	} else {
		m->leave = false;
		m->counts.failed_starts++;
		retry_later(&m->start, now, NETVSC_VF_RETRY_MS, NETVSC_VF_RETRY_MAX_MS);
	}
}

static void
done_slow(struct netvsc_vf_machine *m, enum netvsc_vf_step step, int rc, int64_t now)
{
	switch (step) {
	case NETVSC_VF_STEP_OWN:
		if (rc == 0) {
			retry_reset(&m->own);
			break;
		}
		m->vf = NETVSC_VF_NONE;
		m->lost = false;
		if (rc == -EAGAIN)
			retry_later(&m->own, now, NETVSC_VF_SOON_MS, NETVSC_VF_SOON_MAX_MS);
		else
			retry_later(&m->own, now, NETVSC_VF_RETRY_MS, NETVSC_VF_RETRY_MAX_MS);
		break;
	case NETVSC_VF_STEP_START:
		done_start(m, rc, now);
		break;
	case NETVSC_VF_STEP_STOP:
		m->running = m->leave = false;
		m->counts.stops++;
		break;
	case NETVSC_VF_STEP_DISOWN:
		m->vf = NETVSC_VF_NONE;
		m->lost = m->running = m->leave = false;
		break;
	case NETVSC_VF_STEP_LINK:
		m->poll = now + NETVSC_VF_POLL_MS;
		break;
	default:
		break;
	}
}

void
netvsc_vf_machine_done(struct netvsc_vf_machine *m, enum netvsc_vf_step step, int rc, int64_t now)
{
	struct netvsc_vf_retry *soon =
		step == NETVSC_VF_STEP_ASK || step == NETVSC_VF_STEP_BACK ? &m->say : &m->look;

	if (netvsc_vf_step_is_slow(step)) {
		done_slow(m, step, rc, now);
	} else if (rc == 0) {
		retry_reset(soon);
		done_quick(m, step, now);
	} else {
		retry_later(soon, now, NETVSC_VF_SOON_MS, NETVSC_VF_SOON_MAX_MS);
	}
}

void
netvsc_vf_machine_cut_rx(struct netvsc_vf_machine *m)
{
	m->cut_rx = m->rx;
}

bool
netvsc_vf_machine_replays(const struct netvsc_vf_machine *m)
{
	return m->running && !m->leave && wants_run(m) && !is(m, FACT_RECOVERING);
}

void
netvsc_vf_machine_restart(struct netvsc_vf_machine *m, int64_t now)
{
	m->leave = m->running;
	retry_later(&m->start, now, NETVSC_VF_RETRY_MS, NETVSC_VF_RETRY_MAX_MS);
}
