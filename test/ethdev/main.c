/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ethdev [EAL options] -- CASE, or -- random SEQUENCES SEED, or -- list. The host's control socket
 * is in HYPERPOLL_CONTROL. Exit status 0 when everything held.
 */
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include <rte_debug.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "test/ethdev/ethdev.h"

#define LOG_KEPT 64u

uint16_t ethdev_port;
char ethdev_device[256];
struct rte_mempool *ethdev_pool;
char ethdev_note[64];

/* ---- the log ---- */

static struct {
	unsigned long lines;
	char line[LOG_KEPT][256];
	size_t used; /* of the line being written */
} logged;

static ssize_t
log_write(void *cookie, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		char *line = logged.line[logged.lines % LOG_KEPT];

		if (text[i] != '\n') {
			if (logged.used < sizeof(logged.line[0]) - 1)
				line[logged.used++] = text[i];
			continue;
		}
		line[logged.used] = '\0';
		logged.used = 0;
		logged.lines++;
	}
	if (getenv("ETHDEV_VERBOSE") != NULL && write(STDERR_FILENO, text, len) < 0)
		return -1;
	return (ssize_t)len;
}

unsigned long
ethdev_log_lines(void)
{
	return logged.lines;
}

bool
ethdev_logged(unsigned long since, const char *words)
{
	for (; since < logged.lines; since++)
		if (strstr(logged.line[since % LOG_KEPT], words) != NULL)
			return true;
	return false;
}

void
ethdev_fail(const char *file, int line, const char *format, ...)
{
	unsigned long n = logged.lines > 20 ? logged.lines - 20 : 0;
	va_list args;

	fprintf(stderr, "%s:%d: %s: ", file, line, ethdev_note);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nlogged last:\n");
	for (; n < logged.lines; n++)
		fprintf(stderr, "  %s\n", logged.line[n % LOG_KEPT]);
	fflush(stderr);
	_exit(1);
}

/* ethdev shows the stack of whoever polls a stopped port; here that is done on purpose. */
void
rte_dump_stack(void)
{
}

/* ---- the host ---- */

static struct json_object *
host_request(const char *format, ...)
{
	static int fd = -1;
	static FILE *answers;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	static char line[65536];
	struct json_object *answer, *ok;
	const char *path = getenv("HYPERPOLL_CONTROL");
	va_list args;
	int n;

	if (fd < 0) {
		if (path == NULL)
			FAIL("HYPERPOLL_CONTROL is not set");
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
		if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
			FAIL("cannot connect to %s: %s", path, strerror(errno));
		answers = fdopen(fd, "r");
	}
	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(fd, line, (size_t)n) != n || fgets(line, sizeof(line), answers) == NULL)
		FAIL("the host does not answer");
	answer = json_tokener_parse(line);
	if (!json_object_object_get_ex(answer, "ok", &ok) || !json_object_get_boolean(ok))
		FAIL("the host refused: %s", line);
	return answer;
}

void
ethdev_knob(const char *name, unsigned long value)
{
	json_object_put(host_request(
		"{\"cmd\":\"set\",\"nic\":0,\"name\":\"%s\",\"value\":\"%lu\"}\n", name, value));
}

void
ethdev_link(bool up)
{
	json_object_put(
		host_request("{\"cmd\":\"link\",\"nic\":0,\"up\":%s}\n", up ? "true" : "false"));
}

void
ethdev_offer(void)
{
	json_object_put(host_request("{\"cmd\":\"offer\",\"nic\":0}\n"));
}

void
ethdev_rescind(void)
{
	json_object_put(host_request("{\"cmd\":\"rescind\",\"nic\":0}\n"));
}

void
ethdev_vf(bool present, unsigned int serial)
{
	json_object_put(host_request("{\"cmd\":\"vf\",\"nic\":0,\"present\":%s,\"serial\":%u}\n",
		present ? "true" : "false", serial));
}

unsigned long
ethdev_host_counter(const char *name)
{
	struct json_object *answer = host_request("{\"cmd\":\"stats\",\"nic\":0}\n");
	struct json_object *stats = NULL, *port = NULL, *value = NULL;
	unsigned long n;

	if (!json_object_object_get_ex(answer, "stats", &stats) ||
		!json_object_object_get_ex(stats, "port_stats", &port) ||
		(!json_object_object_get_ex(stats, name, &value) &&
			!json_object_object_get_ex(port, name, &value)))
		FAIL("the host has no counter %s", name);
	n = (unsigned long)json_object_get_int64(value);
	json_object_put(answer);
	return n;
}

/* ---- the port ---- */

void
ethdev_bring_up(uint16_t rx_queues, uint16_t tx_queues)
{
	struct rte_eth_conf conf = {0};
	uint16_t q;

	if (rx_queues > 1)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	if (rx_queues > 1)
		conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4;
	CHECK_EQUAL(rte_eth_dev_configure(ethdev_port, rx_queues, tx_queues, &conf), 0);
	for (q = 0; q < rx_queues; q++)
		CHECK_EQUAL(rte_eth_rx_queue_setup(
				    ethdev_port, q, 512, SOCKET_ID_ANY, NULL, ethdev_pool),
			0);
	for (q = 0; q < tx_queues; q++)
		CHECK_EQUAL(rte_eth_tx_queue_setup(ethdev_port, q, 512, SOCKET_ID_ANY, NULL), 0);
	CHECK_EQUAL(rte_eth_dev_start(ethdev_port), 0);
}

void
ethdev_send(uint16_t queue, unsigned int n, uint16_t size)
{
	uint64_t end = rte_get_timer_cycles() + 10 * rte_get_timer_hz();
	struct rte_ether_addr mac;
	struct rte_mbuf *m;
	uint8_t *frame;

	CHECK_EQUAL(rte_eth_macaddr_get(ethdev_port, &mac), 0);
	while (n != 0) {
		m = rte_pktmbuf_alloc(ethdev_pool);
		CHECK(m != NULL);
		frame = (uint8_t *)rte_pktmbuf_append(m, size);
		CHECK(frame != NULL);
		memset(frame, 0x5a, size);
		memset(frame, 0xff, 6);
		memcpy(frame + 6, &mac, 6);
		while (rte_eth_tx_burst(ethdev_port, queue, &m, 1) != 1)
			if (rte_get_timer_cycles() > end)
				FAIL("a frame is not accepted for 10 s");
		n--;
	}
}

unsigned int
ethdev_receive(uint16_t queue)
{
	struct rte_mbuf *m[32];
	uint16_t n = rte_eth_rx_burst(ethdev_port, queue, m, RTE_DIM(m));

	rte_pktmbuf_free_bulk(m, n);
	return n;
}

struct rte_eth_stats
ethdev_stats(void)
{
	struct rte_eth_stats stats;

	CHECK_EQUAL(rte_eth_stats_get(ethdev_port, &stats), 0);
	return stats;
}

uint64_t
ethdev_xstat(const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(ethdev_port, name, &id) != 0 ||
		rte_eth_xstats_get_by_id(ethdev_port, &id, &value, 1) != 1)
		FAIL("no extended statistic %s", name);
	return value;
}

int
ethdev_attach(const char *device)
{
	int rc = rte_dev_probe(device);

	if (rc != 0)
		return rc;
	for (ethdev_port = 0; ethdev_port < RTE_MAX_ETHPORTS; ethdev_port++)
		if (rte_eth_dev_is_valid_port(ethdev_port))
			return 0;
	FAIL("%s is attached but there is no port", device);
}

void
ethdev_detach(void)
{
	struct rte_eth_dev_info info;

	CHECK_EQUAL(rte_eth_dev_info_get(ethdev_port, &info), 0);
	CHECK_EQUAL(rte_dev_remove(info.device), 0);
	CHECK(!rte_eth_dev_is_valid_port(ethdev_port));
}

unsigned int
ethdev_mbufs_out(void)
{
	return rte_mempool_in_use_count(ethdev_pool);
}

/* ---- ---- */

static int
run_case(const char *name)
{
	const struct ethdev_case *const lists[] = {ethdev_contract_cases, ethdev_fence_cases,
		ethdev_habits_cases, ethdev_interrupt_cases, ethdev_queue_cases, ethdev_race_cases,
		ethdev_session_cases, ethdev_stats_cases, ethdev_vf_cases};
	const struct ethdev_case *c;
	size_t i;

	for (i = 0; i < RTE_DIM(lists); i++)
		for (c = lists[i]; c->name != NULL; c++) {
			if (strcmp(name, "list") == 0)
				puts(c->name);
			if (strcmp(name, c->name) != 0)
				continue;
			c->run();
			printf("ok %s\n", name);
			return 0;
		}
	return strcmp(name, "list") == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static const cookie_io_functions_t io = {.write = log_write};
	int i, used, rc;
	FILE *log;

	if (argc > 1 && strcmp(argv[argc - 1], "list") == 0)
		return run_case("list");
	for (i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "-a") == 0)
			snprintf(ethdev_device, sizeof(ethdev_device), "%s", argv[i + 1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log = fopencookie(NULL, "w", io);
	setvbuf(log, NULL, _IONBF, 0);
	rte_openlog_stream(log);
	used = rte_eal_init(argc, argv);
	if (used < 0 || argc - used < 2 || rte_eth_dev_count_avail() != 1)
		FAIL("EAL: %s; %u ports", rte_strerror(rte_errno), rte_eth_dev_count_avail());
	/* No cache: what is out is counted exactly. */
	ethdev_pool = rte_pktmbuf_pool_create(
		"frames", ETHDEV_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (ethdev_pool == NULL)
		FAIL("no memory for mbufs");
	argv += used + 1;
	if (argc - used == 4 && strcmp(argv[0], "random") == 0)
		rc = ethdev_random(strtoul(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
	else
		rc = run_case(argv[0]);
	if (rc == 0 && rte_eth_dev_is_valid_port(ethdev_port)) {
		rte_eth_dev_stop(ethdev_port);
		CHECK_EQUAL(rte_eth_dev_close(ethdev_port), 0);
	}
	if (rc == 0)
		CHECK_EQUAL(ethdev_mbufs_out(), 0);
	rte_mempool_free(ethdev_pool);
	rte_eal_cleanup();
	return rc;
}
