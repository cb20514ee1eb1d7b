/* SPDX-License-Identifier: BSD-3-Clause */
/* See netvsc_vf_rig.h. */
#include "test/unit/netvsc_vf_rig.h"

#include <rte_eal.h>

struct rig rig;

void __real_netvsc_vf_event(struct netvsc_port *port, enum netvsc_vf_event event, uint32_t value);
void __wrap_netvsc_vf_event(struct netvsc_port *port, enum netvsc_vf_event event, uint32_t value);

void
__wrap_netvsc_vf_event(struct netvsc_port *port, enum netvsc_vf_event event, uint32_t value)
{
	if (port != &rig.f.port)
		return; /* of a neighbour */
	rig.found += event == NETVSC_VF_FOUND;
	rig.lost += event == NETVSC_VF_LOST;
	rig.links += event == NETVSC_VF_LINK;
	rig.recovering += event == NETVSC_VF_RECOVERING;
	rig.recovered += event == NETVSC_VF_RECOVERED;
	rig.failed += event == NETVSC_VF_RECOVERY_FAILED;
	if (event == NETVSC_VF_FOUND || event == NETVSC_VF_LOST || event == NETVSC_VF_LINK)
		rig.last = value;
	__real_netvsc_vf_event(port, event, value);
}

bool
rig_begin(const struct fixture_conf *conf, const char *vf, const char *args)
{
	static bool taken;
	uint16_t q;

	if (!taken)
		fake_bus_take("pci");
	taken = true;
	memset(&rig, 0, sizeof(rig));
	tree_build(&tree_kernels[TREE_6_1]);
	tree_delete("sys/bus/pci");
	if (!fixture_begin(&rig.f, conf))
		return false;
	CU_ASSERT_EQUAL(rte_ether_unformat_addr(RIG_MAC, &rig.mac), 0);
	rig.f.port.session.mac = rig.mac;
	rig.f.data.mac_addrs = &rig.mac;
	rig.f.port.limits.reta_size = rig.f.port.session.reta_size = 128;
	rig.f.port.limits.max_queues = FIXTURE_CHANNELS;
	rig.f.port.limits.mtu = 9000;
	for (q = 0; q < rig.f.conf.channels; q++)
		rig.f.data.rx_queue_state[q] = rig.f.data.tx_queue_state[q] =
			RTE_ETH_QUEUE_STATE_STARTED;
	rig.vf.wake = -1;
	rig.f.port.vf = &rig.vf;
	rig.f.port.vf_shared.asked = true;
	if (vf != NULL)
		snprintf(rig.f.port.config.vf, sizeof(rig.f.port.config.vf), "%s", vf);
	if (args != NULL)
		snprintf(rig.f.port.config.vf_args, sizeof(rig.f.port.config.vf_args), "%s", args);
	CU_ASSERT_EQUAL(netvsc_vf_find_start(&rig.f.port, &rig.setup), 0);
	return true;
}

bool
rig_begin_found(const struct fixture_conf *conf)
{
	struct fixture_conf some = {.channels = RIG_QUEUES, .nb_desc = 256};

	if (!rig_begin(conf != NULL ? conf : &some, NULL, "mac=" RIG_MAC))
		return false;
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	rig.fake = fake_vf_find(RIG_PCI);
	if (rig.fake == NULL)
		return false;
	rig.seen = fake_vf_seen(rig.fake);
	rig.knobs = fake_vf_knobs(rig.fake);
	return true;
}

void
rig_neighbour_begin(struct rig_neighbour *n, const char *mac)
{
	memset(n, 0, sizeof(*n));
	snprintf(n->bus.name, sizeof(n->bus.name), "the neighbour");
	n->port.bus = &n->bus;
	n->port.eth = &n->eth;
	n->eth.data = &n->data;
	CU_ASSERT_EQUAL(rte_ether_unformat_addr(mac, &n->port.session.mac), 0);
	CU_ASSERT_EQUAL(netvsc_vf_find_start(&n->port, &n->setup), 0);
}

void
rig_neighbour_end(struct rig_neighbour *n)
{
	netvsc_vf_find_stop(&n->port);
	netvsc_vf_setup_free(&n->setup);
	netvsc_vf_told_end(&n->port);
}

void
rig_end(void)
{
	netvsc_vf_stop(&rig.setup, (uint16_t)rig.last);
	netvsc_vf_find_stop(&rig.f.port);
	netvsc_vf_setup_free(&rig.setup);
	netvsc_vf_told_end(&rig.f.port);
	rig.f.port.vf = NULL;
	rig.f.port.vf_shared.asked = false;
	fixture_end(&rig.f);
	tree_remove();
}

void
rig_function(const char *device, uint32_t serial)
{
	char path[128], address[32];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", device);
	tree_put(path, "0x15b3\n");
	if (serial == 0)
		return;
	/* Without the function. */
	snprintf(address, sizeof(address), "%.*s\n", (int)(strlen(device) - 2), device);
	snprintf(path, sizeof(path), "sys/bus/pci/slots/%u/address", serial);
	tree_put(path, address);
}

void
rig_function_gone(const char *device, uint32_t serial)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", device);
	tree_delete(path);
	snprintf(path, sizeof(path), "sys/bus/pci/slots/%u", serial);
	tree_delete(path);
}

struct fake_vf *
rig_attach(const char *device, const char *args)
{
	CU_ASSERT_EQUAL(rte_eal_hotplug_add("pci", device, args), 0);
	return fake_vf_find(device);
}

void
rig_associate(uint32_t serial)
{
	netvsc_vf_event(&rig.f.port, NETVSC_VF_HOST_ASSOCIATED, serial);
}

void
rig_disassociate(void)
{
	netvsc_vf_event(&rig.f.port, NETVSC_VF_HOST_DISASSOCIATED, 0);
}

int
rig_look(void)
{
	uint32_t serial = 0;
	bool associated = netvsc_vf_serial(&rig.f.port, &serial);

	return netvsc_vf_find_again(&rig.setup, associated, serial);
}

bool
rig_seen(const char *name)
{
	char other[RTE_ETH_NAME_MAX_LEN];
	uint16_t id;

	RTE_ETH_FOREACH_DEV (id)
		if (rte_eth_dev_get_name_by_port(id, other) == 0 && strcmp(name, other) == 0)
			return true;
	return false;
}

int
rig_own(void)
{
	return netvsc_vf_own(&rig.setup, (uint16_t)rig.last);
}

int
rig_start(void)
{
	int rc = netvsc_vf_setup_copy(&rig.f.port, &rig.setup);

	return rc != 0 ? rc : netvsc_vf_start(&rig.setup, (uint16_t)rig.last);
}

int
rig_own_and_start(void)
{
	int rc = rig_own();

	return rc != 0 ? rc : rig_start();
}

struct rte_eth_dev_info
rig_info(void)
{
	struct rte_eth_dev_info info = {0};

	CU_ASSERT_EQUAL(netvsc_infos_get(&rig.f.eth, &info), 0);
	return info;
}
