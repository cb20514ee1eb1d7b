/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A port of the fixture with fake virtual functions under it, on a PCI bus and in a sysfs tree of
 * the test's own. Events that are told to the port are written down and go on to it. One at a time,
 * one thread: what the port's control thread would do the test does.
 */
#ifndef HP_TEST_NETVSC_VF_RIG_H
#define HP_TEST_NETVSC_VF_RIG_H

#include "drivers/net/netvsc/vf.h"
#include "drivers/net/netvsc/vf_dev.h"
#include "test/fake_vf/fake_vf.h"
#include "test/unit/netvsc_fixture.h"
#include "test/unit/sysfs_tree.h"

#define RIG_QUEUES 4u
#define RIG_MAC	   "00:15:5d:00:11:22"
#define RIG_OTHER  "00:15:5d:00:11:23"
#define RIG_PCI	   "0001:00:02.0"
#define RIG_PCI_B  "0002:00:02.0"

struct rig {
	struct fixture f;
	struct netvsc_vf vf;
	struct netvsc_vf_setup setup;
	struct rte_ether_addr mac;
	unsigned int found, lost, links, recovering, recovered, failed; /**< events so far */
	uint32_t last; /**< value of the last one */
	/** What rig_begin_found() found. */
	struct fake_vf *fake;
	const struct fake_vf_seen *seen;
	struct fake_vf_knobs *knobs;
};

extern struct rig rig;

/** A port that looks for its VF. @param vf,args devargs, NULL: none */
bool rig_begin(const struct fixture_conf *conf, const char *vf, const char *args);
/** A port of RIG_QUEUES queues, or as @p conf says, that has found the VF RIG_PCI. */
bool rig_begin_found(const struct fixture_conf *conf);
/** The port is closed: what is left of VFs is left to others. */
void rig_end(void);

/** Another port that looks for a VF, of the MAC address @p mac; nothing else of it works. */
struct rig_neighbour {
	struct netvsc_port port;
	struct rte_eth_dev eth;
	struct rte_eth_dev_data data;
	struct hpbus_device bus;
	struct netvsc_vf_setup setup;
};
void rig_neighbour_begin(struct rig_neighbour *n, const char *mac);
void rig_neighbour_end(struct rig_neighbour *n);

/** A PCI function is in the machine, in the slot of @p serial unless that is 0. */
void rig_function(const char *device, uint32_t serial);
void rig_function_gone(const char *device, uint32_t serial);
/** EAL attaches it, as the application asked. @return the ethdev */
struct fake_vf *rig_attach(const char *device, const char *args);
void rig_associate(uint32_t serial);
void rig_disassociate(void);
/** The control thread looks. @return what netvsc_vf_find_again() says */
int rig_look(void);
/** Do applications that iterate see an ethdev of this name? */
bool rig_seen(const char *name);
/** Own what was found last; start it. @return what the driver says */
int rig_own(void);
int rig_start(void);
int rig_own_and_start(void);
/** What the port says of itself. */
struct rte_eth_dev_info rig_info(void);

#endif
