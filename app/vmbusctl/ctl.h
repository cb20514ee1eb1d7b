/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * vmbusctl: what its commands share. One struct ctl lives in main() and owns everything; one
 * thread. Commands print their result on stdout and return the exit status; errors go to stderr
 * through ctl_error(), one sentence each.
 */
#ifndef HP_VMBUSCTL_CTL_H
#define HP_VMBUSCTL_CTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/vmbusctl/network.h"
#include "drivers/bus/vmbus/sysfs.h"

/** Exit status. */
#define CTL_OK	   0
#define CTL_FAILED 1
#define CTL_USAGE  2

#define CTL_COMMAND_MAX (2 * VMBUS_SYSFS_PATH_MAX)

/** What becomes of the virtual functions below an adapter that is bound. */
enum ctl_vf_mode {
	CTL_VF_AUTO, /**< as the function's PMD needs it */
	CTL_VF_KEEP, /**< stays with the kernel's driver */
	CTL_VF_VFIO, /**< goes to vfio-pci */
};

struct ctl_owner {
	uid_t uid; /**< 0 nobody was named */
	char name[64];
};

struct ctl {
	struct vmbus_sysfs fs;
	char root[VMBUS_SYSFS_ROOT_MAX]; /**< for /etc, /lib, /boot; "" but in tests */
	bool json, force, dry_run, persist;
	enum ctl_vf_mode vf;
	struct ctl_owner user; /**< who gets the device */
	const char *device;    /**< as the user named it; NULL */
	struct vmbus_sysfs_device *devices;
	size_t n_devices;
	struct ctl_network network;
	char last_error[1024]; /**< newest message of the sysfs reader, for doctor */
	bool keep_errors;      /**< into last_error only */
};

void ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Scan all devices. @return CTL_OK, or CTL_FAILED (reported) */
int ctl_scan(struct ctl *ctl);

/**
 * Device named by GUID (braces and case do not matter), directory name, network interface or
 * uio<N>.
 * @return the device, or NULL (reported)
 */
struct vmbus_sysfs_device *ctl_find(struct ctl *ctl, const char *text);

bool ctl_is_nic(const struct vmbus_sysfs_device *device);
const char *ctl_state_name(enum vmbus_channel_state state);
/** Prints the object and releases it. */
void ctl_print_json(struct json_object *object);

/** First line of a file below `root`; @return false when it cannot be read. */
bool ctl_read_line(const char *root, const char *path, char *line, size_t size);

/** Looks at a tree that a test made, not at this machine. */
bool ctl_is_fixture(const struct ctl *ctl);

/* net.c: what would be lost with an interface. */

/** Interfaces that stop working with the device: its own, its virtual function, all on them. */
#define CTL_INTERFACES_MAX 1024
struct ctl_interfaces {
	unsigned int n;
	bool more; /**< there are more than that */
	char names[CTL_INTERFACES_MAX][16];
};

void ctl_interfaces(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_interfaces *set);
bool ctl_interfaces_contain(const struct ctl_interfaces *set, const char *name);
/** The interface that `name` is enslaved to. */
bool ctl_master(const struct ctl *ctl, const char *name, char master[16]);

struct ctl_default {
	char interface[16];
	uint32_t table;
};

/** One of them carries a default route: IPv4 or IPv6, any table. */
bool ctl_has_default_route(
	const struct ctl *ctl, const struct ctl_interfaces *set, struct ctl_default *found);
/** "the default route", "the default route of table 77 (VRF or policy routing)" */
void ctl_default_text(const struct ctl_default *found, char *text, size_t size);
/** They have an address, and no other interface has one. */
bool ctl_has_only_address(const struct ctl *ctl, const struct ctl_interfaces *set);

/* ssh.c */

/** One of them carries the SSH connection this command was started from; `which`: 16 bytes. */
bool ctl_has_ssh(const struct ctl *ctl, const struct ctl_interfaces *set, char *which);

/** Shells between a command and what started it, sudo among them. */
#define CTL_PARENTS_MAX 32
/** @return parent of a process, 0 when unknown */
int ctl_parent_of(const char *proc, int pid);

/* users.c: who has a device open. */

struct ctl_user {
	int pid;
	char command[32];
};

#define CTL_USERS_MAX 16
/** @return number of processes that hold a descriptor or mapping, at most CTL_USERS_MAX listed */
unsigned int ctl_users(const struct ctl *ctl, const struct vmbus_sysfs_device *device,
	struct ctl_user users[CTL_USERS_MAX]);

/** The same of a PCI function that is bound to vfio-pci. */
unsigned int ctl_vfio_users(
	const struct ctl *ctl, const char *pci, struct ctl_user users[CTL_USERS_MAX]);

/* machine.c */

struct ctl_version {
	unsigned int major, minor, patch;
};

/** Upstream version behind the distribution's own number. @return false when unknown */
bool ctl_kernel(const struct ctl *ctl, char release[128], struct ctl_version *version);
/** Nodes with their own directory. */
unsigned int ctl_numa_nodes(const struct ctl *ctl);
/** CPUs of a node as "0-3,8"; "" when unknown. */
void ctl_numa_cpus(const struct ctl *ctl, int node, char *text, size_t size);
/** Free huge pages of all sizes in bytes, of one node or (-1) all. */
uint64_t ctl_hugepages(const struct ctl *ctl, int node);

/* persist.c: the rule that binds a device again at boot and when it is offered again. */

/** May --persist write what it writes? Asked before anything is changed. @return CTL_OK, or
 * reported */
int ctl_persist_check(const struct ctl *ctl, const struct vmbus_sysfs_device *device);
int ctl_persist_write(const struct ctl *ctl, const struct vmbus_sysfs_device *device);
int ctl_persist_remove(const struct ctl *ctl, const struct vmbus_sysfs_device *device);
bool ctl_persist_exists(const struct ctl *ctl, const struct vmbus_sysfs_device *device);
/** What ctl_persist_write() (or remove) would do, as shell commands; `each` frees them. */
void ctl_persist_commands(const struct ctl *ctl, const struct vmbus_sysfs_device *device,
	bool write, void (*each)(void *opaque, char *command), void *opaque);

/* plan.c: writes that move a device between drivers. */

#define CTL_STEPS_MAX 12
struct ctl_step {
	char what[64];			 /**< completes "cannot ..." */
	char path[VMBUS_SYSFS_PATH_MAX]; /**< file, or "" to run modprobe */
	char value[VMBUS_SYSFS_NAME_MAX];
	char before[32]; /**< what to write to undo; "" when that is another plan's work */
	int already;	 /**< errno that means nothing had to be done; 0 none */
	bool adds_id, releases, gives;
};

struct ctl_plan {
	unsigned int n;
	struct ctl_step steps[CTL_STEPS_MAX];
	unsigned int done; /**< steps that ran without failing */
	bool added_id;	   /**< new_id was accepted: an undo takes it back */
	bool released;	   /**< the old driver let go, no other was asked yet */
};

/** Steps from where the device is now to uio_hv_generic. */
void ctl_plan_uio(
	const struct ctl *ctl, const struct vmbus_sysfs_device *device, struct ctl_plan *plan);
/**
 * Steps from where the device is now to `driver` ("" for none) and `override`.
 * @param remove_id  take the class out of uio_hv_generic's ids
 */
void ctl_plan_kernel(const struct ctl *ctl, const struct vmbus_sysfs_device *device,
	const char *driver, const char *override, bool remove_id, struct ctl_plan *plan);
/** Appends to `undo` what brings interfaces up again that `plan` took down. */
void ctl_plan_links_up(const struct ctl_plan *plan, struct ctl_plan *undo);
/** The step as a shell command. */
void ctl_step_command(const struct ctl_step *step, char command[CTL_COMMAND_MAX]);
/** One write of a value and a newline. @return 0 or -errno */
int ctl_write_attr(const char *path, const char *value);
/** Runs the steps; stops at the first failure (reported) unless `keep_going`. */
int ctl_plan_run(struct ctl_plan *plan, bool keep_going);

int ctl_list(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_bind(struct ctl *ctl);
int ctl_unbind(struct ctl *ctl);
int ctl_doctor(struct ctl *ctl);
int ctl_report(struct ctl *ctl);

#endif
