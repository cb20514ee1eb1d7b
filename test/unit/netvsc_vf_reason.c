/* SPDX-License-Identifier: BSD-3-Clause */
/* What telemetry says of a VF: how it stands, and the one reason for which it is not used. */
#include <string.h>

#include "drivers/net/netvsc/vf_reason.h"
#include "test/unit/netvsc_vf_rig.h"

static struct netvsc_vf_show show;

static void
reason_is(const char *words)
{
	netvsc_vf_show_take(&rig.f.port, &show);
	if (strstr(show.reason, words) == NULL) {
		printf("\"%s\", not \"%s\" ", show.reason, words);
		CU_FAIL("another reason");
	}
	CU_ASSERT(strlen(show.reason) < NETVSC_VF_WHY_MAX);
	CU_ASSERT_FALSE(show.status.used);
}

/* A port that may use a VF, if there were one. */
static bool
begin(const char *vf, const char *args)
{
	if (!rig_begin(NULL, vf, args))
		return false;
	rig.vf.has_thread = true;
	rig.vf.port = &rig.f.port;
	netvsc_vf_machine_init(&rig.vf.machine);
	netvsc_vf_event(&rig.f.port, NETVSC_VF_PORT_STARTED, 0);
	return true;
}

static void
test_reasons_of_the_port_come_first(void)
{
	REQUIRE(begin(NULL, "mac=" RIG_MAC));
	reason_is("the host offers none");
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	reason_is("it is not started yet");
	netvsc_vf_event(&rig.f.port, NETVSC_VF_PORT_STOPPING, 0);
	reason_is("not all queues of the port are started");
	atomic_store(&rig.f.port.state, 0);
	reason_is("the port is stopped");
	atomic_store(&rig.f.port.state, NETVSC_STATE_RUNNING | NETVSC_STATE_LINK_DOWN);
	reason_is("the port's link is set down");
	rig.f.data.dev_conf.intr_conf.rxq = 1;
	reason_is("receive interrupts are configured");
	atomic_store(&rig.f.port.bus->sharing.attached, NETVSC_PRIMARY | 2);
	reason_is("other processes have the port");
	atomic_store(&rig.f.port.bus->sharing.attached, NETVSC_PRIMARY);
	rig.vf.has_thread = false;
	reason_is("could not begin to look for one");
	rig.vf.has_thread = true;
	rig.f.port.session.nvsp_version = NVSP_VERSION_4;
	reason_is("virtual functions take NVSP 5");
	rig.f.port.session.attached = false;
	reason_is("no session with the host");
	rig.f.port.config.ignore_vf = true;
	reason_is("ignore_vf forbids it");
	rig.f.port.session.attached = true;
	rig.f.port.session.nvsp_version = NVSP_VERSION_61;
	atomic_store(&rig.f.port.state, NETVSC_STATE_RUNNING);
	rig.f.data.dev_conf.intr_conf.rxq = 0;
	rig_end();
}

static void
test_reasons_while_no_port_is_found(void)
{
	REQUIRE(begin(NULL, "nonsense=1"));
	rig_associate(7);
	rig_look();
	reason_is("no PCI function has serial number 7");
	CU_ASSERT_TRUE(show.status.associated);
	CU_ASSERT_EQUAL(show.status.serial, 7);
	CU_ASSERT_STRING_EQUAL(show.name, "");
	/* It comes, and its driver does not take it. */
	rig_function(RIG_PCI, 7);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	reason_is("VF " RIG_PCI " cannot be attached");
	/* Its function goes again. */
	rig_function_gone(RIG_PCI, 7);
	rig_look();
	reason_is("no PCI function has serial number 7");
	rig_end();
	/* One that the user named. */
	REQUIRE(begin("net_ring9", NULL));
	rig_associate(7);
	rig_look();
	reason_is("none is called 'net_ring9'");
	rig_end();
}

/* The application has it, as a port of its own. */
static void
test_vf_that_is_in_use_is_the_reason(void)
{
	struct fake_vf *fake;

	REQUIRE(begin(NULL, NULL));
	/* Attached before anybody could know what it is, and then started. */
	rig_function(RIG_PCI, 0);
	fake = rig_attach(RIG_PCI, "mac=" RIG_OTHER);
	REQUIRE(fake != NULL);
	rte_eth_devices[fake_vf_port(fake)].data->dev_started = 1;
	rte_eth_devices[fake_vf_port(fake)].data->mac_addrs[0] = rig.mac;
	rig_function(RIG_PCI, 3);
	rig_associate(3);
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 0);
	reason_is("is used as a port of its own");
	/* Said once, true as long as it is so. */
	rig_look();
	reason_is("is used as a port of its own");
	rte_eth_devices[fake_vf_port(fake)].data->dev_started = 0;
	rig_look();
	CU_ASSERT_EQUAL(rig.found, 1);
	reason_is("it is not started yet");
	CU_ASSERT_EQUAL(rig_own(), 0);
	rig_end();
}

static void
test_reasons_of_the_vf_and_of_the_host(void)
{
	struct netvsc_vf_machine *m = &rig.vf.machine;
	uint16_t id;

	REQUIRE(begin(NULL, "mac=" RIG_MAC));
	rig_function(RIG_PCI, 1);
	rig_associate(1);
	rig_look();
	rig.fake = fake_vf_find(RIG_PCI);
	REQUIRE(rig.fake != NULL);
	fake_vf_knobs(rig.fake)->refuses = FAKE_VF_REFUSES_PROMISCUOUS;
	rig.f.port.config.promiscuous = true;
	CU_ASSERT_NOT_EQUAL(rig_own_and_start(), 0);
	reason_is("VF " RIG_PCI " does not take promiscuous mode");
	CU_ASSERT_STRING_EQUAL(show.name, RIG_PCI);
	CU_ASSERT_STRING_EQUAL(show.device, RIG_PCI);
	CU_ASSERT_EQUAL(show.status.vf, rig.last);
	/* A capability that is missing. */
	fake_vf_knobs(rig.fake)->refuses = 0;
	fake_vf_knobs(rig.fake)->max_mtu = 1000;
	CU_ASSERT_EQUAL(rig_own(), 0);
	CU_ASSERT_NOT_EQUAL(rig_start(), 0);
	reason_is("takes an MTU of");
	fake_vf_knobs(rig.fake)->max_mtu = 9000;
	CU_ASSERT_EQUAL(rig_own_and_start(), 0);
	m->starting = true;
	reason_is("it is being started");
	m->starting = false;
	m->vf = id = (uint16_t)rig.last;
	m->running = true;
	reason_is("its link is down");
	fake_vf_event(rig.fake, "lsc");
	CU_ASSERT_EQUAL(rig.links, 1);
	reason_is("on its way");
	CU_ASSERT_TRUE(show.status.link);
	rig_disassociate();
	reason_is("the host offers none, though there is a port for one");
	rig_associate(1);
	m->host = NETVSC_VF_HOST_TO_VF;
	reason_is("has not answered");
	m->host = NETVSC_VF_HOST_SYNTHETIC;
	m->ask.at = hpbus_now_ms() + 60000;
	reason_is("refused the data path, moved it back or not answered");
	netvsc_vf_event(&rig.f.port, NETVSC_VF_RECOVERING, id);
	reason_is("it resets itself");
	netvsc_vf_event(&rig.f.port, NETVSC_VF_RECOVERY_FAILED, id);
	reason_is("its reset has failed");
	netvsc_vf_event(&rig.f.port, NETVSC_VF_RECOVERED, id);
	atomic_store(&rig.vf.overdue, 1);
	reason_is("does not return from a call");
	atomic_store(&rig.vf.answered, 1);
	/* And none where it is used. */
	m->host = NETVSC_VF_HOST_VF;
	m->rx = m->tx = true;
	netvsc_vf_show_take(&rig.f.port, &show);
	CU_ASSERT_STRING_EQUAL(show.reason, "");
	CU_ASSERT_TRUE(show.status.used);
	CU_ASSERT_TRUE(show.status.receives);
	m->rx = m->tx = false;
	rig.last = id;
	rig_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"reasons of the port come first", test_reasons_of_the_port_come_first},
		{"reasons while no port is found", test_reasons_while_no_port_is_found},
		{"VF that is in use is the reason", test_vf_that_is_in_use_is_the_reason},
		{"reasons of the VF and of the host", test_reasons_of_the_vf_and_of_the_host},
	};

	return UNIT_RUN("netvsc_vf_reason", tests);
}
