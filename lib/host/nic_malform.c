/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages broken on purpose (knobs malformed_rx_pct and malformed_rx_kind): every rule of
 * spec/rndis.md §10 "Guest RX" and of the transfer-page packet has a defect that breaks it, and as
 * little else as can be.
 */
#include "lib/host/nic_internal.h"

#define NAME(name) #name,
static const char *const names[] = {"all", NIC_DEFECTS(NAME)};

int
nic_malform_find(const char *name, uint32_t *defect)
{
	uint32_t i;

	for (i = 0; i < NIC_DEFECT_END; i++)
		if (strcmp(name, names[i]) == 0) {
			*defect = i;
			return 0;
		}
	return -EINVAL;
}

static enum nic_defect
next_defect(struct host_nic *nic)
{
	if (nic->knobs.malformed_rx_kind != NIC_DEFECT_ALL)
		return (enum nic_defect)nic->knobs.malformed_rx_kind;
	if (++nic->last_defect == NIC_DEFECT_END)
		nic->last_defect = NIC_DEFECT_ALL + 1;
	return nic->last_defect;
}

/* The header's own fields. */
static void
malform_header(enum nic_defect defect, uint32_t range_bytes, struct rndis_packet *p)
{
	switch (defect) {
	case NIC_DEFECT_length_zero:
		p->h.length = 0;
		break;
	case NIC_DEFECT_length_short:
		p->h.length = p->data_offset + RNDIS_OFFSET_BASE + p->data_length - 1;
		break;
	case NIC_DEFECT_length_past_range:
		p->h.length = range_bytes + 1;
		break;
	case NIC_DEFECT_length_huge:
		p->h.length = UINT32_MAX;
		break;
	case NIC_DEFECT_type_unknown:
		p->h.type = 0x7f;
		break;
	case NIC_DEFECT_data_offset_zero:
		p->data_offset = 0;
		break;
	case NIC_DEFECT_data_offset_past:
		p->data_offset = p->h.length - RNDIS_OFFSET_BASE;
		break;
	case NIC_DEFECT_data_offset_wraps:
		p->data_offset = UINT32_MAX - RNDIS_OFFSET_BASE + 1;
		break;
	case NIC_DEFECT_data_length_zero:
		p->data_length = 0;
		break;
	case NIC_DEFECT_data_length_runt:
		p->data_length = RNDIS_MIN_FRAME - 1;
		break;
	case NIC_DEFECT_data_length_past:
		p->data_length = p->h.length - RNDIS_OFFSET_BASE - p->data_offset + 1;
		break;
	case NIC_DEFECT_data_length_wraps:
		p->data_length = UINT32_MAX;
		break;
	default:
		break;
	}
}

/* One PPI, with a defect of its own or of the header's words about it. */
static void
malform_ppi(enum nic_defect defect, struct rndis_packet *p, struct rndis_ppi *ppi)
{
	*ppi = (struct rndis_ppi){sizeof(*ppi), RNDIS_PPI_HASH_VALUE, RNDIS_PPI_HEADER, 0};
	p->ppi_offset = sizeof(*p) - RNDIS_OFFSET_BASE;
	p->ppi_length = sizeof(*ppi);
	switch (defect) {
	case NIC_DEFECT_ppi_area_in_header:
		p->ppi_offset -= 4;
		break;
	case NIC_DEFECT_ppi_area_odd:
		p->ppi_offset += 2;
		break;
	case NIC_DEFECT_ppi_area_wraps:
		p->ppi_offset = UINT32_MAX - 3;
		break;
	case NIC_DEFECT_ppi_area_short:
		p->ppi_length = RNDIS_PPI_HEADER - 4;
		break;
	case NIC_DEFECT_ppi_area_past:
		p->ppi_length = UINT16_MAX;
		break;
	case NIC_DEFECT_ppi_size_zero:
		ppi->size = ppi->offset = 0;
		break;
	case NIC_DEFECT_ppi_size_short:
		ppi->size = RNDIS_PPI_HEADER - 4;
		break;
	case NIC_DEFECT_ppi_size_odd:
		ppi->size = sizeof(*ppi) - 2;
		break;
	case NIC_DEFECT_ppi_size_past:
		ppi->size = sizeof(*ppi) + 4;
		break;
	case NIC_DEFECT_ppi_value_in_header:
		ppi->offset = RNDIS_PPI_HEADER - 4;
		break;
	case NIC_DEFECT_ppi_value_odd:
		/* Two bytes later there is no whole word any more: leave room for one. */
		ppi->size = p->ppi_length = sizeof(*ppi) + 4;
		ppi->offset = RNDIS_PPI_HEADER + 2;
		break;
	default:
		ppi->offset = sizeof(*ppi);
		break;
	}
}

static void
malform_range(const struct host_nic *nic, enum nic_defect defect, struct vmbus_xfer_range *range)
{
	switch (defect) {
	case NIC_DEFECT_range_empty:
		range->byte_count = 0;
		break;
	case NIC_DEFECT_range_short:
		range->byte_count = 4;
		break;
	case NIC_DEFECT_range_past_section:
		range->byte_count = nic->section_bytes + 1;
		break;
	case NIC_DEFECT_range_over_end:
		range->byte_offset = (uint32_t)nic->recv.len - range->byte_count + 1;
		break;
	default:
		range->byte_offset = UINT32_MAX - 7;
		break;
	}
}

enum nic_defect
nic_malform(struct host_nic *nic, struct vmbus_xfer_range *range)
{
	uint8_t *message = nic->recv.base + range->byte_offset;
	enum nic_defect defect = next_defect(nic);
	struct rndis_packet p;
	struct rndis_ppi ppi;

	nic->stats.rx_spoiled++;
	if (defect >= NIC_DEFECT_packet_no_ranges)
		return defect;
	if (defect >= NIC_DEFECT_range_empty) {
		malform_range(nic, defect, range);
		return NIC_DEFECT_ALL;
	}
	memcpy(&p, message, sizeof(p));
	if (defect >= NIC_DEFECT_ppi_area_in_header) {
		malform_ppi(defect, &p, &ppi);
		memcpy(message + sizeof(p), &ppi, sizeof(ppi));
	} else {
		malform_header(defect, range->byte_count, &p);
	}
	memcpy(message, &p, sizeof(p));
	return NIC_DEFECT_ALL;
}

void
nic_malform_packet(const struct host_nic *nic, struct vmbus_xfer_header *header)
{
	if (nic->lie == NIC_DEFECT_packet_no_ranges)
		header->range_count = 0;
	else if (nic->lie == NIC_DEFECT_packet_many_ranges)
		header->range_count++;
	else
		header->set_id ^= 0x5a5a;
}
