/* SPDX-License-Identifier: BSD-3-Clause */
/* See vf_facts.h. Rules of the wire: spec/nvsp.md §9. */
#include "drivers/net/netvsc/vf_facts.h"

/* A port that stops receives as long as the host sends to the VF. */
#define MARKS_CUT_RX (VF_MARK_LOST | VF_MARK_RECOVERING)
#define MARKS_CUT_TX                                                                               \
	(MARKS_CUT_RX | VF_MARK_STOPPING | VF_MARK_DISASSOCIATED | VF_MARK_SYNTHETIC |             \
		VF_MARK_LINK_DOWN | VF_MARK_SESSION_GONE)
#define MARKS (MARKS_CUT_TX | VF_MARK_ANSWERED)

#define FACTS_OF_VF                                                                                \
	(VF_FACT_VF | VF_FACT_FOUND | VF_FACT_LINK | VF_FACT_RECOVERING | VF_FACT_FAILED)

static uint64_t
facts_associated(uint64_t facts, uint32_t serial)
{
	/* Another one in its place: the one before has been taken away. */
	if ((facts & VF_FACT_ASSOCIATED) && (facts & VF_FACT_SERIAL) != serial)
		facts |= VF_MARK_DISASSOCIATED;
	return (facts & ~VF_FACT_SERIAL) | VF_FACT_ASSOCIATED | serial;
}

static uint64_t
facts_disassociated(uint64_t facts)
{
	return (facts & ~(VF_FACT_ASSOCIATED | VF_FACT_SERIAL)) | VF_MARK_DISASSOCIATED;
}

/* Is that the VF that something is known of, found or not? */
static bool
is_of_vf(uint64_t facts, uint32_t vf)
{
	return (facts & FACTS_OF_VF) != 0 && (uint16_t)(facts >> VF_FACT_VF_SHIFT) == vf;
}

static uint64_t
facts_found(uint64_t facts, uint32_t vf)
{
	if (vf >= NETVSC_VF_NONE)
		return facts;
	if ((facts & VF_FACT_FOUND) && netvsc_vf_facts_found(facts) == vf)
		return facts & ~VF_FACT_FAILED;
	/* It resets itself, as was told before it was found. */
	if (is_of_vf(facts, vf))
		return facts | VF_FACT_FOUND;
	if (facts & VF_FACT_FOUND)
		facts |= VF_MARK_LOST;
	return (facts & ~FACTS_OF_VF) | VF_FACT_FOUND | (uint64_t)vf << VF_FACT_VF_SHIFT;
}

static uint64_t
facts_lost(uint64_t facts, uint32_t vf)
{
	return is_of_vf(facts, vf) ? (facts & ~FACTS_OF_VF) | VF_MARK_LOST : facts;
}

/* Also of one that is not found yet; of one at a time. */
static uint64_t
facts_recovery(uint64_t facts, enum netvsc_vf_event event, uint32_t vf)
{
	if (vf >= NETVSC_VF_NONE || ((facts & VF_FACT_FOUND) && !is_of_vf(facts, vf)))
		return facts;
	if (!is_of_vf(facts, vf))
		facts &= ~FACTS_OF_VF;
	if (event == NETVSC_VF_RECOVERED)
		facts &= ~(VF_FACT_RECOVERING | VF_FACT_FAILED);
	else if (event == NETVSC_VF_RECOVERING)
		facts = (facts & ~VF_FACT_FAILED) | VF_FACT_RECOVERING | VF_MARK_RECOVERING;
	else
		facts = (facts & ~VF_FACT_RECOVERING) | VF_FACT_FAILED | VF_MARK_RECOVERING;
	/* Nothing is left to remember. */
	if (!(facts & (VF_FACT_FOUND | VF_FACT_RECOVERING | VF_FACT_FAILED)))
		return facts & ~FACTS_OF_VF;
	return (facts & ~VF_FACT_VF) | (uint64_t)vf << VF_FACT_VF_SHIFT;
}

static uint64_t
facts_link(uint64_t facts, bool up)
{
	if (!(facts & VF_FACT_FOUND))
		return facts;
	return up ? facts | VF_FACT_LINK : (facts & ~VF_FACT_LINK) | VF_MARK_LINK_DOWN;
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
		return value == 0 ? facts | VF_MARK_SYNTHETIC : facts;
	case NETVSC_VF_HOST_ANSWERED:
		return facts | VF_MARK_ANSWERED;
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
		return facts | VF_FACT_STARTED;
	case NETVSC_VF_PORT_STOPPING:
		return (facts & ~VF_FACT_STARTED) | VF_MARK_STOPPING;
	case NETVSC_VF_SESSION_NEW:
		return facts | VF_FACT_SESSION;
	case NETVSC_VF_SESSION_GONE:
		return (facts_disassociated(facts) & ~VF_FACT_SESSION) | VF_MARK_SESSION_GONE;
	case NETVSC_VF_CLOSING:
		return (facts & ~VF_FACT_STARTED) | VF_FACT_CLOSING | VF_MARK_STOPPING;
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
	return facts & ~VF_MARK_ANSWERED;
}

bool
netvsc_vf_facts_serial(uint64_t facts, uint32_t *serial)
{
	*serial = (uint32_t)(facts & VF_FACT_SERIAL);
	return (facts & VF_FACT_ASSOCIATED) != 0;
}

uint16_t
netvsc_vf_facts_found(uint64_t facts)
{
	return (facts & VF_FACT_FOUND) ? (uint16_t)(facts >> VF_FACT_VF_SHIFT) : NETVSC_VF_NONE;
}

bool
netvsc_vf_facts_link(uint64_t facts)
{
	return (facts & VF_FACT_LINK) != 0;
}

bool
netvsc_vf_facts_recovering(uint64_t facts, uint16_t vf)
{
	return (facts & VF_FACT_RECOVERING) != 0 && is_of_vf(facts, vf);
}

bool
netvsc_vf_facts_failed(uint64_t facts, uint16_t vf)
{
	return (facts & VF_FACT_FAILED) != 0 && is_of_vf(facts, vf);
}

bool
netvsc_vf_facts_know(uint64_t facts, uint16_t vf)
{
	return is_of_vf(facts, vf);
}

bool
netvsc_vf_facts_started(uint64_t facts)
{
	return (facts & VF_FACT_STARTED) != 0;
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
