/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket (lib/host/control.c, control_cmd.c) with a NIC of a guest behind it: lines of
 * the input go in pieces, over up to three connections; each answer is a line of JSON.
 */
#include <errno.h>
#include <json-c/json.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/host/control.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/host_nic_guest.h"

#define CLIENTS 3u

static struct guest guest;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static unsigned int
one_nic(void *ctx)
{
	return 2;
}

static struct host_nic *
the_nic(void *ctx, unsigned int number)
{
	return number == 0 ? guest.nic : NULL;
}

static int
own_command(void *ctx, const char *cmd, unsigned int nic, char *errbuf, size_t errlen)
{
	if (strcmp(cmd, "rescind") != 0)
		return -ENOSYS;
	snprintf(errbuf, errlen, "not now");
	return -EBUSY;
}

static const struct host_control_ops ops = {
	.nics = one_nic, .nic = the_nic, .command = own_command};

static void
read_answers(int fd)
{
	static char text[1 << 20];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	struct json_object *answer;
	char *line, *end;

	if (n <= 0)
		return;
	text[n] = '\0';
	for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		answer = json_tokener_parse(line);
		FUZZ_CHECK(json_object_is_type(answer, json_type_object));
		FUZZ_CHECK(json_object_object_get_ex(answer, "ok", NULL));
		json_object_put(answer);
	}
	FUZZ_CHECK(*line == '\0');
}

static int
client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	FUZZ_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	struct host_control *control;
	int fds[CLIENTS] = {-1, -1, -1};
	char why[256], piece[256];
	unsigned int i, k;
	size_t len;

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/hyperpoll-fuzz.%d",
		(int)getpid());
	guest_start(&guest, "recv=64K,send=64K,channels=2", 4);
	if (fuzz_bool(&in))
		guest_up(&guest, RNDIS_FILTER_PROMISCUOUS);
	FUZZ_CHECK(host_control_open(&control, address.sun_path, &ops, why, sizeof(why)) == 0);
	while (in.left != 0) {
		k = fuzz_below(&in, 8);
		i = k % CLIENTS;
		if (fds[i] < 0)
			fds[i] = client();
		if (k >= 6) {
			close(fds[i]);
			fds[i] = -1;
		} else {
			len = in.left < 80 ? in.left : 80;
			fuzz_take(&in, piece, len);
			if (send(fds[i], piece, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
				close(fds[i]);
				fds[i] = -1;
			}
		}
		host_control_poll(control);
		host_control_poll(control);
		if (fds[i] >= 0)
			read_answers(fds[i]);
		host_nic_poll(guest.nic, 8);
	}
	host_control_close(control);
	for (i = 0; i < CLIENTS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	guest_stop(&guest);
	return 0;
}
