/* SPDX-License-Identifier: BSD-3-Clause */
/* The macros of DPDK and libc that cppcheck must know: it reads no headers but ours. */
#define RTE_FMT(format, ...)	  format, __VA_ARGS__ ""
#define RTE_FMT_HEAD(format, ...) format
#define RTE_FMT_TAIL(format, ...) __VA_ARGS__
#define RTE_TRACE_POINT(name, args, ...)
#define RTE_PRIORITY_BUS			     100
#define RTE_INIT(name)				     static void name(void)
#define RTE_INIT_PRIO(name, priority)		     static void name(void)
#define RTE_FINI(name)				     static void name(void)
#define RTE_LOG_REGISTER_SUFFIX(type, suffix, level) int type = 0
#define RTE_LOG_REGISTER_DEFAULT(type, level)	     int type = 0
#define RTE_ETH_FOREACH_DEV(port)		     for (port = 0; port < 32; port++)
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *tqh_first;                                                            \
	}
#define TAILQ_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *tqe_next;                                                             \
	}
#define TAILQ_HEAD_INITIALIZER(head)                                                               \
	{                                                                                          \
		0                                                                                  \
	}
#define TAILQ_FIRST(head) (head)->tqh_first
#define TAILQ_FOREACH(var, head, field)                                                            \
	for (var = (head)->tqh_first; var != 0; var = var->field.tqe_next)
#define PRIu64 "lu"
#define PRIx64 "lx"
#define PRId64 "ld"
#define PRIu32 "u"
#define PRIx32 "x"
#define PRIu16 "u"
#define PRIx16 "x"
#define PRIx8  "x"
#define _Atomic(type) type
