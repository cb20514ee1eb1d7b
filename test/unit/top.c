/* SPDX-License-Identifier: BSD-3-Clause */
/* The live view without a terminal: rates, events, pages, and the host's answers as samples. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/hvsim/top.h"
#include "app/top/layout.h"
#include "app/top/source.h"
#include "app/vmbusctl/top.h"
#include "test/unit/unit.h"

#define SECOND UINT64_C(1000000000)

static struct top_model model;

/* A sample of one running NIC with counters that stand for its moment. */
static struct top_sample *
sample(uint64_t seconds, uint64_t frames, uint64_t lost)
{
	struct top_sample *s = top_sample_new(seconds * SECOND);
	struct top_nic *nic = &s->nic[0];

	s->n = 1;
	strcpy(nic->name, "0");
	strcpy(nic->device, "guid");
	strcpy(nic->state, "running");
	strcpy(nic->link, "up");
	strcpy(nic->path, "synthetic");
	nic->rx_frames = frames;
	nic->rx_bytes = frames * 60;
	nic->tx_frames = frames / 2;
	top_counter_add(nic->drops, &nic->n_drops, TOP_COUNTERS, "rx_dropped_filter", 0);
	top_counter_add(nic->drops, &nic->n_drops, TOP_COUNTERS, "rx_dropped_ring_full", lost);
	top_gauge_add(nic, "ch 0 to guest", 95, 100);
	return s;
}

static void
take(struct top_sample *s)
{
	top_model_take(&model, s, 0);
}

static const char *
event(unsigned int back)
{
	const struct top_event *e = top_model_event(&model, back);

	return e == NULL ? "" : e->text;
}

static void
again(void)
{
	top_model_free(&model);
	memset(&model, 0, sizeof(model));
}

static void
test_rates(void)
{
	again();
	take(sample(10, 1000, 0));
	CU_ASSERT_FALSE(model.rate[0].known);
	take(sample(12, 5000, 30));
	CU_ASSERT_TRUE(model.rate[0].known);
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].rx_frames, 2000, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].rx_bytes, 120000, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].tx_frames, 1000, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].dropped, 15, 0.001);
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].drops[1], 15, 0.001);
	/* Counters that began anew have no rate, and none is negative. */
	take(sample(13, 10, 0));
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].rx_frames, 0, 0);
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].dropped, 0, 0);
	/* No time between two samples. */
	take(sample(13, 20, 0));
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].rx_frames, 0, 0);
}

static void
test_events(void)
{
	struct top_sample *s;

	again();
	take(sample(1, 0, 0));
	take(sample(2, 0, 0));
	CU_ASSERT_EQUAL(model.n_events, 0);
	s = sample(3, 0, 0);
	strcpy(s->nic[0].link, "down");
	take(s);
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 0: link down (was up)");
	/* A loss is told when it begins, not while it lasts. */
	take(sample(4, 0, 2000));
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 0: drops, rx_dropped_ring_full 2.00k/s");
	CU_ASSERT_STRING_EQUAL(event(1), "NIC 0: link up (was down)");
	take(sample(5, 0, 3000));
	CU_ASSERT_EQUAL(model.n_events, 3);
	take(sample(6, 0, 3000));
	take(sample(7, 0, 3001));
	CU_ASSERT_EQUAL(model.n_events, 4);
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 0: drops, rx_dropped_ring_full 1/s");
	s = sample(8, 0, 3001);
	s->nic[0].gone = true;
	take(s);
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 0: taken away by the host");
	take(top_sample_new(9 * SECOND));
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 0: is no more");
	take(sample(10, 0, 0));
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 0: new, running");
	CU_ASSERT_PTR_NULL(top_model_event(&model, 100));
	for (unsigned int i = 0; i < 3 * TOP_EVENTS; i++)
		top_model_note(&model, 0, "event %u", i);
	CU_ASSERT_STRING_EQUAL(event(0), "event 191");
	CU_ASSERT_STRING_EQUAL(event(TOP_EVENTS - 1), "event 128");
	CU_ASSERT_PTR_NULL(top_model_event(&model, TOP_EVENTS));
}

/* The same NIC at another place of the list keeps its history. */
static void
test_nics_that_move(void)
{
	struct top_sample *s;

	again();
	s = sample(1, 100, 0);
	s->nic[1] = s->nic[0];
	strcpy(s->nic[0].name, "1");
	s->n = 2;
	take(s);
	take(sample(2, 400, 0));
	CU_ASSERT_DOUBLE_EQUAL(model.rate[0].rx_frames, 300, 0.001);
	CU_ASSERT_EQUAL(model.n_events, 1);
	CU_ASSERT_STRING_EQUAL(event(0), "NIC 1: is no more");
}

static void
test_numbers(void)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"}, {999, "999"}, {999.6, "1.00k"}, {1234567, "1.23M"},
		{45.6e6, "45.6M"}, {789e9, "789G"}, {99.96e3, "100k"}, {1e30, "9999P"}};
	char text[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		top_number(cases[i].value, text);
		CU_ASSERT_STRING_EQUAL(text, cases[i].text);
	}
}

static bool
page_has(const struct top_page *page, const char *text)
{
	for (unsigned int i = 0; i < page->rows; i++)
		if (strstr(page->line[i].text, text) != NULL)
			return true;
	return false;
}

static void
test_page_fits(void)
{
	static struct top_page page;
	struct top_view view = {.title = "/run/hyperpoll/control.sock",
		.keys = "q quit",
		.interactive = true,
		.selected = 39};
	struct top_sample *s;

	again();
	for (unsigned int n = 0; n < 2; n++) {
		s = sample(n, 1000000 * n, 5 * n);
		for (unsigned int i = 0; i < 40; i++) {
			s->nic[i] = s->nic[0];
			for (unsigned int k = 1; k < 40; k++)
				top_gauge_add(&s->nic[i], "ch 1 from guest", k, 100);
		}
		for (unsigned int i = 0; i < 40; i++)
			snprintf(s->nic[i].name, sizeof(s->nic[i].name), "%u", i);
		s->n = 40;
		take(s);
	}
	for (unsigned int rows = 1; rows <= 60; rows++)
		for (unsigned int columns = 1; columns <= 140; columns++) {
			top_layout(&model, &view, rows, columns, &page);
			CU_ASSERT_EQUAL_FATAL(page.rows, rows);
			for (unsigned int i = 0; i < rows; i++)
				CU_ASSERT_FATAL(strlen(page.line[i].text) <= columns);
		}
	top_layout(&model, &view, 24, 80, &page);
	CU_ASSERT_STRING_EQUAL(page.line[23].text, " q quit");
	/* The selected one is in view, with what it loses and a full ring. */
	CU_ASSERT_TRUE(
		page_has(&page, ">39    running     up   synthetic    1.00M     480M     500k"));
	CU_ASSERT_TRUE(page_has(&page, "rx_dropped_ring_full"));
	/* What others say moves no cursor. */
	view.title = "/a\033[2J\177b";
	top_layout(&model, &view, 24, 80, &page);
	CU_ASSERT_TRUE(page_has(&page, "/a?[2J?b"));
	CU_ASSERT_FALSE(page_has(&page, "rx_dropped_filter"));
	CU_ASSERT_TRUE(page_has(&page, "ch 0 to guest    [#####.]  95% of 100"));
	CU_ASSERT_TRUE(page_has(&page, "NIC 39: drops, rx_dropped_ring_full 5/s"));
}

static void
test_page_without_a_sample(void)
{
	static struct top_page page;
	const struct top_view view = {.title = "x", .keys = "q quit", .trouble = "no answer"};

	again();
	top_layout(&model, &view, 24, 80, &page);
	CU_ASSERT_EQUAL(page.rows, 24);
	CU_ASSERT_STRING_EQUAL(page.line[1].text, " no answer");
	CU_ASSERT_EQUAL(page.line[1].look, TOP_BAD);
}

static struct json_object *
parse(const char *text)
{
	struct json_object *o = json_tokener_parse(text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	return o;
}

static void
test_answers_of_the_host(void)
{
	struct top_sample *s = top_sample_new(0);
	struct json_object *o = parse(
		"{\"ok\":true,\"nics\":[null,{\"guid\":\"g\",\"mac\":\"m\",\"port\":\"gen\",\"state\":"
		"\"running\",\"path_is_vf\":true,\"link_up\":false,\"stalled\":true,\"rx_frames\":3,"
		"\"vf_rx_frames\":4,\"rx_dropped_link\":5,\"tx_errors\":6,\"tx_refused_lso\":6,"
		"\"recv_sections\":10,\"recv_sections_used\":7,\"port_stats\":{\"tx_dropped\":8,"
		"\"tx_dropped_full\":8}}]}");
	const struct top_nic *nic = &s->nic[0];

	CU_ASSERT_EQUAL_FATAL(top_parse_stats(o, s), 1);
	json_object_put(o);
	CU_ASSERT_STRING_EQUAL(nic->name, "1");
	CU_ASSERT_STRING_EQUAL(nic->path, "VF");
	CU_ASSERT_STRING_EQUAL(nic->link, "down");
	CU_ASSERT_STRING_EQUAL(nic->about, "m port=gen");
	CU_ASSERT_TRUE(nic->stalled);
	CU_ASSERT_FALSE(nic->gone);
	CU_ASSERT_EQUAL(nic->rx_frames, 7);
	/* Sums are not counted beside their parts. */
	CU_ASSERT_EQUAL_FATAL(nic->n_drops, 3);
	CU_ASSERT_STRING_EQUAL(nic->drops[1].name, "tx_refused_lso");
	CU_ASSERT_STRING_EQUAL(nic->drops[2].name, "port_tx_dropped_full");
	o = parse(
		"{\"rings\":[{\"channel\":2,\"rx\":{\"size\":100,\"write_index\":10,\"read_index\":"
		"90},\"tx\":{\"size\":100,\"write_index\":100,\"read_index\":0}}]}");
	top_parse_rings(o, &s->nic[0]);
	json_object_put(o);
	/* The index out of the ring, which a guest can write, is not shown. */
	CU_ASSERT_EQUAL_FATAL(nic->n_gauges, 2);
	CU_ASSERT_STRING_EQUAL(nic->gauges[1].name, "ch 2 to guest");
	CU_ASSERT_EQUAL(nic->gauges[1].used, 20);
	free(s);
}

static void
test_answers_of_a_driver(void)
{
	struct top_sample *s = top_sample_new(0);
	struct top_nic *nic = &s->nic[0];
	uint64_t lost = 0;
	struct json_object *o = parse(
		"{\"name\":\"n\",\"device\":\"g\",\"backend\":\"uio\",\"state\":\"gone\",\"link_up\":0,"
		"\"nvsp_version\":\"6.1\",\"mtu\":1500,\"path\":\"vf\",\"recoveries\":2,"
		"\"send_sections\":10,\"send_sections_used\":3}");

	top_take_info(o, 5, nic);
	json_object_put(o);
	CU_ASSERT_STRING_EQUAL(nic->name, "5");
	CU_ASSERT_STRING_EQUAL(nic->path, "VF");
	CU_ASSERT_STRING_EQUAL(nic->link, "down");
	CU_ASSERT_STRING_EQUAL(nic->about, "uio NVSP 6.1 MTU 1500 n");
	CU_ASSERT_STRING_EQUAL(nic->why, "");
	CU_ASSERT_TRUE(nic->gone);
	CU_ASSERT_EQUAL(nic->notes[0].value, 2);
	for (unsigned int q = 0; q < 2; q++) {
		o = parse("{\"queue\":1,\"rx_frames\":3,\"rx_no_mbuf\":4,\"rx_ring_bytes\":100,"
			  "\"rx_ring_used\":50,\"tx_ring_bytes\":200,\"tx_ring_used\":20}");
		top_take_queue(o, nic);
		json_object_put(o);
	}
	/* Queues are summed; each has its rings. */
	CU_ASSERT_EQUAL(nic->rx_frames, 6);
	CU_ASSERT_EQUAL(nic->drops[0].value, 8);
	CU_ASSERT_EQUAL_FATAL(nic->n_gauges, 5);
	CU_ASSERT_STRING_EQUAL(nic->gauges[1].name, "q 1 rx ring");
	CU_ASSERT_EQUAL(nic->gauges[1].used, 50);
	/* What the host refused is an error of the queue, too. */
	o = parse("{\"queue\":2,\"tx_errors\":1007,\"tx_refused\":1000}");
	top_take_queue(o, nic);
	json_object_put(o);
	for (unsigned int i = 0; i < nic->n_drops; i++)
		lost += nic->drops[i].value;
	CU_ASSERT_EQUAL(lost, 8 + 1007);
	/* Both paths, where ethdev says it. */
	o = parse("{\"ipackets\":100,\"opackets\":200}");
	top_take_ethdev(o, nic);
	json_object_put(o);
	CU_ASSERT_EQUAL(nic->rx_frames, 100);
	/* An application that answers null. */
	top_take_ethdev(NULL, nic);
	top_take_queue(NULL, nic);
	CU_ASSERT_EQUAL(nic->rx_frames, 100);
	CU_ASSERT_EQUAL(nic->n_gauges, 5);
	free(s);
}

/* Where the host offers a virtual function and the data does not take it, the view says why. */
static void
test_why_no_virtual_function_is_used(void)
{
	struct top_sample *s = sample(1, 0, 0);
	struct json_object *o =
		parse("{\"device\":\"g\",\"path\":\"synthetic\",\"vf_associated\":0,"
		      "\"vf_unused_because\":\"the host offers none\"}");
	const struct top_view view = {.title = "x"};
	struct top_page page;

	top_take_info(o, 0, &s->nic[0]);
	json_object_put(o);
	CU_ASSERT_STRING_EQUAL(s->nic[0].why, "");
	o = parse("{\"device\":\"g\",\"path\":\"synthetic\",\"vf_associated\":1,"
		  "\"vf_unused_because\":\"its link is down\"}");
	top_take_info(o, 0, &s->nic[0]);
	json_object_put(o);
	again();
	take(s);
	top_layout(&model, &view, 24, 80, &page);
	CU_ASSERT_TRUE(page_has(&page, "VF not used: its link is down"));
}

static void
test_answers_that_are_none(void)
{
	static const char *const texts[] = {"{}", "[]", "7", "{\"nics\":7}",
		"{\"nics\":[7,[],\"x\"]}", "{\"rings\":7}",
		"{\"nics\":[{\"guid\":7,\"state\":[],\"port_stats\":3}],\"rings\":[3]}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct top_sample *s = top_sample_new(0);
		struct json_object *o = parse(texts[i]);

		CU_ASSERT(top_parse_stats(o, s) <= 1);
		top_parse_rings(o, &s->nic[0]);
		CU_ASSERT_EQUAL(s->nic[0].n_gauges, 0);
		json_object_put(o);
		free(s);
	}
}

static void
test_json(void)
{
	struct json_object *o, *list, *nic;
	struct top_sample *s;

	again();
	take(sample(0, 0, 0));
	o = top_json(&model, 0, 1.5);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(json_object_to_json_string_ext(o, 0), "\"rx_pps\":null,\"rx_bps\":null"));
	json_object_put(o);
	s = sample(1, 1000, 0);
	strcpy(s->nic[0].path, "VF");
	take(s);
	o = top_json(&model, 0, 1.5);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(o, "nics", &list));
	nic = json_object_array_get_idx(list, 0);
	CU_ASSERT_TRUE_FATAL(json_object_object_get_ex(nic, "rx_pps", &list));
	CU_ASSERT_DOUBLE_EQUAL(json_object_get_double(list), 1000, 0.001);
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string_ext(o, 0),
		"\"events\":[\"NIC 0: path VF (was synthetic)\"]"));
	json_object_put(o);
	o = top_json(&model, model.n_events, 1.5);
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string_ext(o, 0), "\"events\":[]"));
	json_object_put(o);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"rates of two samples", test_rates},
		{"changes are events", test_events},
		{"NICs that come and go", test_nics_that_move},
		{"numbers for people", test_numbers},
		{"a page fits every terminal", test_page_fits},
		{"a page without a sample", test_page_without_a_sample},
		{"answers of the host", test_answers_of_the_host},
		{"answers of a driver", test_answers_of_a_driver},
		{"why no virtual function is used", test_why_no_virtual_function_is_used},
		{"answers that are none", test_answers_that_are_none},
		{"lines for scripts", test_json},
	};
	int rc = UNIT_RUN("top", tests);

	again();
	return rc;
}
