/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An event of a VF and the step that switches its path on, one in the middle of the other: whoever
 * comes last sees what the other one did. The control thread is kept out by its lock, so that
 * nobody else mends what these two leave. And a setting in the middle of a replay.
 */
#include "test/unit/netvsc_vf_world.h"

void __real_netvsc_vf_path_on(struct netvsc_vf_queue *queues, uint16_t vf);
void __wrap_netvsc_vf_path_on(struct netvsc_vf_queue *queues, uint16_t vf);
uint32_t __real_netvsc_vf_path(const struct netvsc_vf_queue *queues);
uint32_t __wrap_netvsc_vf_path(const struct netvsc_vf_queue *queues);
uint64_t __real_netvsc_vf_facts_add(uint64_t facts, enum netvsc_vf_event event, uint32_t value);
uint64_t __wrap_netvsc_vf_facts_add(uint64_t facts, enum netvsc_vf_event event, uint32_t value);

bool __real_netvsc_control_try_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind);
bool __wrap_netvsc_control_try_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind);

/* What happens in the middle, once. */
static void (*before_on)(void), (*before_look)(void), (*before_mark)(void);

static void
happen(void (**what)(void))
{
	void (*now)(void) = *what;

	*what = NULL;
	if (now != NULL)
		now();
}

void
__wrap_netvsc_vf_path_on(struct netvsc_vf_queue *queues, uint16_t vf_id)
{
	happen(&before_on);
	__real_netvsc_vf_path_on(queues, vf_id);
}

uint32_t
__wrap_netvsc_vf_path(const struct netvsc_vf_queue *queues)
{
	happen(&before_look);
	return __real_netvsc_vf_path(queues);
}

uint64_t
__wrap_netvsc_vf_facts_add(uint64_t facts, enum netvsc_vf_event event, uint32_t value)
{
	happen(&before_mark);
	return __real_netvsc_vf_facts_add(facts, event, value);
}

/* The control thread is about to copy the port's settings: whatever the test's thread does now. */
static atomic_bool before_copy;

bool
__wrap_netvsc_control_try_begin(
	struct netvsc_port *port, struct hpbus_op *op, const struct hpbus_op_kind *kind)
{
	if (kind == &netvsc_op_setting && atomic_exchange(&before_copy, false))
		netvsc_vf_changed(port, NETVSC_VF_SET_MAC);
	return __real_netvsc_control_try_begin(port, op, kind);
}

/* ---- either direction ---- */

static const struct direction {
	enum netvsc_vf_step off, quiet, on;
	enum netvsc_vf_event event; /* that forbids it */
	uint32_t value;
} directions[] =
	{
		{NETVSC_VF_STEP_TX_OFF, NETVSC_VF_STEP_TX_QUIET, NETVSC_VF_STEP_TX,
			NETVSC_VF_HOST_PATH, 0},
		{NETVSC_VF_STEP_RX_OFF, NETVSC_VF_STEP_RX_QUIET, NETVSC_VF_STEP_RX,
			NETVSC_VF_RECOVERING, VF},
},
  *direction;

static uint32_t
path(void)
{
	return netvsc_vf_path(direction->on == NETVSC_VF_STEP_TX ? f.port.vf_tx : f.port.vf_rx);
}

static void
step(enum netvsc_vf_step what)
{
	CU_ASSERT_EQUAL(netvsc_vf_do_quick(f.port.vf, what), 0);
}

static void
off(void)
{
	step(direction->off);
	step(direction->quiet);
	CU_ASSERT_EQUAL(path(), 0);
}

static void
on(void)
{
	step(direction->on);
}

static void
tell(void)
{
	netvsc_vf_event(&f.port, direction->event, direction->value);
}

static void
taken_and_on_again(void)
{
	netvsc_vf_take(f.port.vf);
	off();
	on();
}

/* With the path off, and nobody to look. */
static bool
begin_off(const struct direction *d)
{
	direction = d;
	if (!begin_used())
		return false;
	pthread_mutex_lock(&f.port.vf->lock);
	off();
	return true;
}

static void
end_off(void)
{
	pthread_mutex_unlock(&f.port.vf->lock);
	netvsc_vf_event(&f.port, NETVSC_VF_RECOVERED, VF);
	UNTIL(path() != 0 && used());
	CU_ASSERT_TRUE(goes_to_vf(1));
	end();
}

static void
test_a_switch_that_is_forbidden_while_it_is_made_is_off(void)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(directions); i++) {
		REQUIRE(begin_off(&directions[i]));
		before_on = tell;
		on();
		CU_ASSERT_EQUAL(path(), 0);
		end_off();
	}
}

static void
test_an_event_that_was_begun_before_the_switch_cuts_it(void)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(directions); i++) {
		REQUIRE(begin_off(&directions[i]));
		before_mark = on;
		tell();
		CU_ASSERT_EQUAL(path(), 0);
		end_off();
	}
}

static void
test_an_event_that_was_taken_cuts_no_later_switch(void)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(directions); i++) {
		REQUIRE(begin_off(&directions[i]));
		on();
		before_look = taken_and_on_again;
		tell();
		CU_ASSERT_NOT_EQUAL(path(), 0);
		end_off();
	}
}

/* ---- settings ---- */

static void
test_a_setting_between_a_look_and_the_copy_is_replayed(void)
{
	REQUIRE(begin_used());
	atomic_store(&before_copy, true);
	netvsc_vf_changed(&f.port, NETVSC_VF_SET_MTU);
	UNTIL(!atomic_load(&before_copy) && atomic_load(&vf.replays) != 0 &&
		atomic_load(&f.port.vf->replay) == 0);
	looked();
	CU_ASSERT_EQUAL(atomic_load(&vf.replayed), NETVSC_VF_SET_MTU | NETVSC_VF_SET_MAC);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a switch that is forbidden while it is made is off",
			test_a_switch_that_is_forbidden_while_it_is_made_is_off},
		{"an event that was begun before the switch cuts it",
			test_an_event_that_was_begun_before_the_switch_cuts_it},
		{"an event that was taken cuts no later switch",
			test_an_event_that_was_taken_cuts_no_later_switch},
		{"a setting between a look and the copy is replayed",
			test_a_setting_between_a_look_and_the_copy_is_replayed},
	};

	return UNIT_RUN("netvsc_vf_between", tests);
}
