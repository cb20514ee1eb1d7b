/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory under lib/host's NICs in hvsim-vm: whatever a guest does with its GPADLs and
 * channels (in any order: vm_orders.c), the host never touches pages after it has answered their
 * teardown, and never an address that is no longer mapped (spec/nvsp.md §10, §12).
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/host/log.h"
#include "test/unit/vm_nic_guest.h"

/* Both buffers accepted, RNDIS up, frames arriving. */
static void
start_running(void)
{
	start();
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES), 0);
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, SEND, SEND_PFN, 0, SEND_BYTES), 0);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, SEND), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	g.transfers = 0;
	vm_guest_poll(&g);
	CU_ASSERT(g.transfers > 0);
}

static bool
frames_arrive(void)
{
	unsigned int i;

	g.transfers = 0;
	for (i = 0; i < 8; i++)
		vm_guest_poll(&g);
	return g.transfers > 0;
}

/* Give the host every reason to write into the receive buffer. */
static void
provoke(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		vm_guest_keepalive(&g);
		vm_guest_poll(&g);
	}
}

static void
test_refused_buffers_push_out_the_live_one(void)
{
	start();
	vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	CU_ASSERT_TRUE(frames_arrive());
	/* Refused ones say nothing about the live one. */
	vm_guest_gpadl(&g, 0, ODD, ODD_PFN, 0, ODD_BYTES);
	vm_guest_gpadl(&g, 0, ODD + 1, ODD_PFN + 2, 0, ODD_BYTES);
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, ODD), NVSP_STATUS_FAILURE);
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, ODD + 1), NVSP_STATUS_FAILURE);
	vm_guest_check(&g);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	vm_guest_check(&g);
	CU_ASSERT_PTR_NULL(vm_guest_nic(&g)->recv.base);
	reuse_pages(RECV_PFN, AREA_PAGES);
	provoke();
	CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
	vm_guest_stop(&g);
}

static void
test_refused_teardown_leaves_traffic(void)
{
	start_running();
	vm_guest_gpadl(&g, 0, ODD, ODD_PFN, 0, ODD_BYTES);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, ODD));
	CU_ASSERT_TRUE(frames_arrive());
	vm_guest_stop(&g);

	/* Refused as a send buffer, then torn down: the receive buffer is another one. */
	start();
	vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES);
	vm_guest_gpadl(&g, 0, ODD, ODD_PFN, 0, ODD_BYTES);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, ODD), NVSP_STATUS_FAILURE);
	vm_guest_rndis(&g);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, ODD));
	vm_guest_check(&g);
	CU_ASSERT_TRUE(frames_arrive());
	vm_guest_stop(&g);
}

static void
test_gpadl_number_zero(void)
{
	start();
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, 0, RECV_PFN, 0, RECV_BYTES), 0);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, 0), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	CU_ASSERT_TRUE(frames_arrive());
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, 0));
	vm_guest_check(&g);
	reuse_pages(RECV_PFN, AREA_PAGES);
	provoke();
	CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
	vm_guest_stop(&g);
}

static void
test_one_gpadl_for_both_buffers(void)
{
	struct nvsp_message msg;

	start();
	vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	vm_guest_check(&g);
	CU_ASSERT_TRUE(frames_arrive());
	/* One of the two uses ends: the other one's view stays. */
	nvsp_build_revoke(&msg, NVSP_TYPE_REVOKE_RECV_BUF, NVSP_RECV_BUF_ID);
	vm_guest_nvsp(&g, &msg);
	vm_guest_check(&g);
	CU_ASSERT_PTR_NULL(vm_guest_nic(&g)->recv.base);
	CU_ASSERT_PTR_NOT_NULL(vm_guest_nic(&g)->send.base);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	CU_ASSERT_PTR_NULL(vm_guest_nic(&g)->send.base);
	vm_guest_check(&g);
	reuse_pages(RECV_PFN, AREA_PAGES);
	provoke();
	CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
	vm_guest_stop(&g);
}

/* A view outlives its GPADL as long as somebody uses it, should a device ever not let go. */
static void
keep_it(void *ctx, struct vbus_view *view)
{
	++*(unsigned int *)ctx;
}

static void
test_view_outlives_its_gpadl(void)
{
	struct vbus_device_ops ops;
	struct vbus_device *device = &g.nics.nic[0].device;
	struct vbus_view *view, *again;
	const struct vbus_device_ops *real;
	unsigned int told = 0;
	void *ctx;

	start();
	real = device->ops;
	ctx = device->ctx;
	ops = *real;
	ops.revoked = keep_it;
	vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 100, 4096);
	CU_ASSERT_EQUAL(vbus_view_get(&g.bus, device, RECV, &view), 0);
	CU_ASSERT_EQUAL(vbus_view_get(&g.bus, device, RECV, &again), 0);
	CU_ASSERT_PTR_EQUAL(view, again);
	CU_ASSERT_EQUAL(view->users, 3);
	CU_ASSERT_EQUAL(view->len, 4096);
	device->ops = &ops;
	device->ctx = &told;
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	device->ops = real;
	device->ctx = ctx;
	CU_ASSERT_EQUAL(told, 1);
	CU_ASSERT_PTR_NULL(vm_guest_find(&g, RECV));
	CU_ASSERT_EQUAL(g.bus.n_views, 1);
	view->base[4095] = 0x77; /* mapped still */
	vbus_view_put(&g.bus, view);
	again->base[0] = 0x77;
	CU_ASSERT_EQUAL(vm_guest_page(&g, RECV_PFN)[100], 0x77);
	vbus_view_put(&g.bus, again);
	CU_ASSERT_EQUAL(g.bus.n_views, 0);
	vm_guest_check(&g);
	vm_guest_stop(&g);
}

static void
subchannels(unsigned int n)
{
	struct nvsp_message msg;

	nvsp_build_subchannel(&msg, n);
	vm_guest_nvsp(&g, &msg);
	for (unsigned int i = 1; i <= n; i++)
		CU_ASSERT_TRUE(vm_guest_open(&g, i));
}

static void
test_ring_gpadl_torn_down_while_open(void)
{
	start_running();
	subchannels(2);
	CU_ASSERT_TRUE(host_nic_channel_is_open(vm_guest_nic(&g), 2));
	/* A subchannel's: only that one ends. */
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 1, VM_GUEST_RING + 1));
	CU_ASSERT_FALSE(host_nic_channel_is_open(vm_guest_nic(&g), 1));
	CU_ASSERT_TRUE(host_nic_channel_is_open(vm_guest_nic(&g), 2));
	reuse_pages(AREA_RING(1), 8);
	provoke();
	CU_ASSERT_TRUE(untouched(AREA_RING(1), 8));
	/* The primary's: all end, and its subchannels go as after a close. */
	g.rescinds = 0;
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, VM_GUEST_RING));
	CU_ASSERT_FALSE(host_nic_channel_is_open(vm_guest_nic(&g), 0));
	CU_ASSERT_FALSE(host_nic_channel_is_open(vm_guest_nic(&g), 2));
	CU_ASSERT_EQUAL(g.rescinds, 2);
	vm_guest_check(&g);
	reuse_pages(AREA_RING(0), 8);
	reuse_pages(AREA_RING(2), 8);
	reuse_pages(RECV_PFN, AREA_PAGES);
	provoke();
	CU_ASSERT_TRUE(untouched(AREA_RING(0), 8));
	CU_ASSERT_TRUE(untouched(AREA_RING(2), 8));
	CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
	/* And it starts again. */
	CU_ASSERT_TRUE(vm_guest_open(&g, 0));
	vm_guest_ladder(&g);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	CU_ASSERT_TRUE(frames_arrive());
	vm_guest_stop(&g);
}

static void
test_gpadl_of_another_channel(void)
{
	start_running();
	subchannels(1);
	/* The primary's GPADLs are no rings of a subchannel. */
	vm_guest_close(&g, 1);
	CU_ASSERT_FALSE(vm_guest_open_with(&g, 1, VM_GUEST_RING));
	CU_ASSERT_FALSE(vm_guest_open_with(&g, 1, RECV));
	/* Nor may it tear them down; the answer comes all the same. */
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 1, RECV));
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 1, VM_GUEST_RING));
	CU_ASSERT_TRUE(frames_arrive());
	vm_guest_check(&g);
	/* A subchannel's GPADL is no buffer. */
	vm_guest_close(&g, 0);
	CU_ASSERT_TRUE(vm_guest_open(&g, 0));
	vm_guest_ladder(&g);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, VM_GUEST_RING + 1), NVSP_STATUS_FAILURE);
	vm_guest_stop(&g);
}

/* Pages of one GPADL in another, in a ring, in the message page: it hurts the guest only. */
static void
test_overlapping_gpadls(void)
{
	start();
	/* The buffers begin in the middle of the primary's rings and run on over everything. */
	vm_guest_gpadl(&g, 0, RECV, AREA_RING(0) + 5, 0, RECV_BYTES);
	vm_guest_gpadl(&g, 0, SEND, AREA_RING(0) + 4, 0, RECV_BYTES);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, SEND), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	vm_guest_check(&g);
	for (unsigned int i = 0; i < 50; i++)
		host_nic_poll(vm_guest_nic(&g), 64);
	vm_guest_check(&g);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	vm_guest_check(&g);
	vm_guest_stop(&g);

	/* The ring's own GPADL as send buffer; its teardown ends both uses. */
	start();
	CU_ASSERT_EQUAL(vm_guest_send_buf(&g, VM_GUEST_RING), NVSP_STATUS_SUCCESS);
	vm_guest_check(&g);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, VM_GUEST_RING));
	vm_guest_check(&g);
	CU_ASSERT_FALSE(host_nic_channel_is_open(vm_guest_nic(&g), 0));
	CU_ASSERT_PTR_NULL(vm_guest_nic(&g)->send.base);
	vm_guest_stop(&g);

	/* Both rings, their control pages and data, are one single page. */
	start();
	vm_guest_close(&g, 0);
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, ODD, AREA_RING(0), 0, 8 * 4096), 0);
	for (unsigned int i = 0; i < 8; i++)
		vm_guest_find(&g, ODD)->pfn[i] = AREA_RING(0); /* as a guest could have said */
	CU_ASSERT_TRUE(vm_guest_open_with(&g, 0, ODD));
	for (unsigned int i = 0; i < 50; i++) {
		vm_guest_ladder(&g);
		host_nic_sleep(vm_guest_nic(&g));
		host_nic_wake(vm_guest_nic(&g));
	}
	vm_guest_check(&g);
	vm_guest_stop(&g);

	/* SIMP, SIEFP and the monitor page as receive buffer. */
	start();
	vm_guest_gpadl(&g, 0, RECV, 0x10, 0, RECV_BYTES);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	vm_guest_rndis(&g);
	for (unsigned int i = 0; i < 50; i++) {
		host_nic_poll(vm_guest_nic(&g), 64);
		synic_pump(&g.synic);
		vbus_monitor_poll(&g.bus);
	}
	vm_guest_check(&g);
	vm_guest_stop(&g);
}

static void
test_ids_that_are_not(void)
{
	struct vbus_gpadl_header h = {.h = {.type = VBUS_GPADL_HEADER},
		.gpadl = SEND,
		.range_buflen = 8 + 8 * 30,
		.range_count = 1,
		.byte_count = 30 * 4096};

	start();
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_FAILURE);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 3, RECV)); /* no such channel */
	/* Half a GPADL is none; its teardown forgets it. */
	h.relid = g.ch[0].relid;
	vm_guest_post(&g, &h, sizeof(h));
	CU_ASSERT_PTR_NOT_NULL(vm_guest_find(&g, SEND));
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, SEND), NVSP_STATUS_FAILURE);
	CU_ASSERT_FALSE(vm_guest_open_with(&g, 0, SEND));
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, SEND));
	CU_ASSERT_PTR_NULL(vm_guest_find(&g, SEND));
	/* Twice. */
	vm_guest_gpadl(&g, 0, RECV, RECV_PFN, 0, RECV_BYTES);
	CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	vm_guest_check(&g);
	provoke();
	vm_guest_stop(&g);
}

static void
test_limits(void)
{
	const uint32_t big = 8000 * 4096u;
	unsigned int n, views;

	start();
	/* So many GPADLs and no more; those of the ring are among them. */
	for (n = g.bus.n_gpadls; n < VBUS_MAX_GPADLS; n++)
		CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, 0x10000 + n, 0, 0, 4096), 0);
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, RECV, 0, 0, 4096), VBUS_STATUS_FAILED);
	vm_guest_connect(&g);
	CU_ASSERT_EQUAL(g.bus.n_gpadls, 0);
	CU_ASSERT_EQUAL(g.bus.n_gpadl_pages, 0);
	/* So many pages. */
	for (n = 0; (n + 1) * 8000 <= VBUS_MAX_GPADL_PAGES; n++)
		CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, 0x10000 + n, 0, 0, big), 0);
	CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, RECV, 0, 0, big), VBUS_STATUS_FAILED);
	vm_guest_connect(&g);
	/* Mapping takes areas of the process; the same GPADL again takes no more. */
	CU_ASSERT_TRUE(vm_guest_open(&g, 0));
	vm_guest_ladder(&g);
	for (n = 0; n < 20; n++) {
		CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, 0x10000 + n, n, 0, big + 1), 0);
		CU_ASSERT_EQUAL(vm_guest_send_buf(&g, 0x10000 + n), NVSP_STATUS_FAILURE);
		views = g.bus.n_views;
		CU_ASSERT_EQUAL(vm_guest_send_buf(&g, 0x10000 + n), NVSP_STATUS_FAILURE);
		CU_ASSERT_EQUAL(g.bus.n_views, views);
		vm_guest_check(&g);
	}
	vm_guest_stop(&g);
}

/* Each page its own memory area: the budget holds, what does not fit is refused. */
static void
test_map_budget(void)
{
	unsigned int n, accepted = 0;
	struct vbus_view *view;

	start();
	for (n = 0; n < 12; n++) {
		struct vbus_gpadl *gpadl;

		CU_ASSERT_EQUAL(vm_guest_gpadl(&g, 0, RECV + n, 0, 0, 8000 * 4096u), 0);
		gpadl = vm_guest_find(&g, RECV + n);
		for (unsigned int i = 0; i < gpadl->n_pages; i++)
			gpadl->pfn[i] = i % 2 * 1000 + n; /* as a guest could have said */
		accepted += vbus_view_get(&g.bus, &g.nics.nic[0].device, RECV + n, &view) == 0;
		if (accepted == n + 1)
			vbus_view_put(&g.bus, view);
		CU_ASSERT(g.bus.n_maps <= VBUS_MAX_MAPS);
		vm_guest_check(&g);
	}
	CU_ASSERT(accepted > 0 && accepted < n);
	/* What was torn down is free again. */
	CU_ASSERT_TRUE(vm_guest_teardown(&g, 0, RECV));
	CU_ASSERT_EQUAL(vbus_view_get(&g.bus, &g.nics.nic[0].device, RECV + n - 1, &view), 0);
	vbus_view_put(&g.bus, view);
	vm_guest_stop(&g);
}

/* uio keeps both GPADLs over close and open of its device: the same handles come again. */
static void
test_reopen_with_the_same_gpadls(void)
{
	unsigned int i;

	start_running();
	for (i = 0; i < 20; i++) {
		unsigned int views = g.bus.n_views;

		vm_guest_close(&g, 0);
		vm_guest_check(&g);
		CU_ASSERT_EQUAL(g.bus.n_views, views); /* not mapped anew */
		reuse_pages(RECV_PFN, AREA_PAGES);
		provoke();
		CU_ASSERT_TRUE(untouched(RECV_PFN, AREA_PAGES));
		CU_ASSERT_TRUE(vm_guest_open(&g, 0));
		vm_guest_ladder(&g);
		CU_ASSERT_EQUAL(vm_guest_recv_buf(&g, RECV), NVSP_STATUS_SUCCESS);
		CU_ASSERT_EQUAL(vm_guest_send_buf(&g, SEND), NVSP_STATUS_SUCCESS);
		vm_guest_rndis(&g);
		CU_ASSERT_TRUE(frames_arrive());
	}
	vm_guest_stop(&g);
}

/* ---- log ---- */

/* A send from a section that is not there: the host says so, with the bus lock held. */
static void *
send_nonsense(void *arg)
{
	struct nvsp_message msg;

	nvsp_build_rndis(&msg, NVSP_CHANNEL_DATA, 4711, 100);
	*(int *)arg = vm_guest_nvsp(&g, &msg);
	return NULL;
}

static void
test_complaint_does_not_wait(void)
{
	static char text[256 << 10];
	char junk[4096];
	int saved = dup(STDERR_FILENO), fd[2], rc = -1;
	struct timespec until;
	size_t len = 0;
	pthread_t thread;
	bool returned;
	ssize_t n;

	memset(junk, '\n', sizeof(junk));
	start_running();
	CU_ASSERT_EQUAL_FATAL(pipe2(fd, O_CLOEXEC), 0);
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	while (write(fd[1], junk, sizeof(junk)) > 0)
		;
	fcntl(fd[1], F_SETFL, 0);
	dup2(fd[1], STDERR_FILENO);
	log_program("hvsim-vm");
	CU_ASSERT_EQUAL(log_start(), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, send_nonsense, &rc), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	returned = pthread_timedjoin_np(thread, NULL, &until) == 0;
	/* Now somebody reads. */
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	for (unsigned int i = 0; i < 10000 && strstr(text, "sends refused: 1,") == NULL; i++) {
		n = read(fd[0], text + len, sizeof(text) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			usleep(1000);
	}
	if (!returned)
		pthread_join(thread, NULL);
	log_stop();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[0]);
	close(fd[1]);
	CU_ASSERT_TRUE(returned);
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "hvsim-vm: NIC 0: sends refused: 1,"));
	vm_guest_stop(&g);
}

/* It sleeps while nothing moves, and the command is another thread's. */
static void
test_command_wakes_the_bus_thread(void)
{
	static const char down[] = "{\"cmd\":\"link\",\"nic\":0,\"up\":false}\n";
	char dir[] = "/tmp/vm_nics.XXXXXX", answer[64];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = {.events = POLLIN};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ctl", dir);
	vm_guest_start(&g, "port=sink");
	CU_ASSERT_EQUAL_FATAL(nics_control(&g.nics, address.sun_path), 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL(send(fd, down, strlen(down), 0), (ssize_t)strlen(down));
	p.fd = g.kick_fd;
	host_control_poll(g.nics.control);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
	host_control_poll(g.nics.control);
	CU_ASSERT(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 1);
	vm_guest_stop(&g);
	close(fd);
	rmdir(dir);
}

int
main(void)
{
	static const struct unit_test tests[] = {
		{"a complaint does not wait for who reads standard error",
			test_complaint_does_not_wait},
		{"refused buffers push the live receive buffer out",
			test_refused_buffers_push_out_the_live_one},
		{"teardown of a refused buffer leaves traffic alone",
			test_refused_teardown_leaves_traffic},
		{"GPADL number 0", test_gpadl_number_zero},
		{"one GPADL for both buffers", test_one_gpadl_for_both_buffers},
		{"a view outlives its GPADL", test_view_outlives_its_gpadl},
		{"ring's GPADL torn down while it is open", test_ring_gpadl_torn_down_while_open},
		{"GPADLs of another channel", test_gpadl_of_another_channel},
		{"overlapping GPADLs", test_overlapping_gpadls},
		{"teardown and use of what is not there", test_ids_that_are_not},
		{"limits of number and pages", test_limits},
		{"budget of mappings", test_map_budget},
		{"re-open with the same GPADLs", test_reopen_with_the_same_gpadls},
		{"a command of the control socket wakes the bus thread",
			test_command_wakes_the_bus_thread},
	};

	return UNIT_RUN("vm_nics", tests);
}
