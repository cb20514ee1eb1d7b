/* SPDX-License-Identifier: BSD-3-Clause */
/* vmbusctl doctor: known bugs of the running kernel's uio_hv_generic. */
#include "app/vmbusctl/doctor.h"

bool
doctor_before(const struct report *r, unsigned int major_number, unsigned int minor_number)
{
	return r->has_kernel &&
	       (r->kernel.major < major_number ||
		       (r->kernel.major == major_number && r->kernel.minor < minor_number));
}

/* From which release of each stable series on a fix is in it. */
struct stable {
	unsigned int major, minor, first, fixed;
};

/*
 * Removal of an open device crashes (CVE-2024-46739, mainline 6.11): stable reviews of September
 * 2024; 6.1 as in pitfall B9.
 */
static const struct stable rescind_fixes[] = {
	{5, 4, 0, 284},
	{5, 10, 0, 226},
	{5, 15, 0, 167},
	{6, 1, 0, 112},
	{6, 6, 0, 51},
	{6, 10, 0, 10},
};

/*
 * The kernel no longer masks interrupts and does not yet expect those of subchannels (pitfall R10;
 * spec/linux-uio-vmbus.md §8): CVE-2025-40048 names the first release of each series, stable
 * reviews and announcements of November and December 2025 the fixed one.
 */
static const struct stable bad_windows[] = {
	{5, 4, 301, 302},
	{5, 10, 246, 247},
	{5, 15, 195, 197},
	{6, 1, 156, 159},
	{6, 6, 112, 118},
	{6, 12, 53, 59},
};

/* Newest series that was looked at and run in test/vm. */
static const struct ctl_version last_known = {7, 2, 0};

/*
 * From which release on a write to the uio device signals the host for subchannels too: mainline
 * 6.17 and, of the series that take a device without monitor at all (6.10), what 6.12 got with the
 * fix above.
 */
static const struct stable subchannel_signals[] = {
	{6, 12, 0, 59},
};

static const struct stable *
series_of(const struct report *r, const struct stable *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (r->kernel.major == list[i].major && r->kernel.minor == list[i].minor)
			return &list[i];
	return NULL;
}

bool
doctor_signals_subchannels(const struct report *r)
{
	const struct stable *s = series_of(
		r, subchannel_signals, sizeof(subchannel_signals) / sizeof(subchannel_signals[0]));

	return !doctor_before(r, 6, 17) || (s != NULL && r->kernel.patch >= s->fixed);
}

static const char newer[] = "install a newer kernel and reboot";

static void
check_rescind(struct report *r)
{
	const struct ctl_version *k = &r->kernel;
	const struct stable *s =
		series_of(r, rescind_fixes, sizeof(rescind_fixes) / sizeof(rescind_fixes[0]));

	if (doctor_before(r, 4, 20) || !doctor_before(r, 6, 11) ||
		(s != NULL && k->patch >= s->fixed))
		return;
	/* 6.1 is what was read; of others distributions have versions of their own. */
	if (k->major == 6 && k->minor == 1)
		doctor_find(r, FAIL, "kernel", newer,
			"Linux %u.%u.%u has CVE-2024-46739: the kernel crashes when the host removes an "
			"adapter that is in use",
			k->major, k->minor, k->patch);
	else
		doctor_find(r, WARN, "kernel", newer,
			"Linux %u.%u.%u may have (fixed in 6.11 and stable kernels since September 2024) "
			"CVE-2024-46739: the kernel crashes when the host removes an adapter that is in use",
			k->major, k->minor, k->patch);
}

static void
check_subchannel_interrupt(struct report *r)
{
	const struct ctl_version *k = &r->kernel;
	const struct stable *s =
		series_of(r, bad_windows, sizeof(bad_windows) / sizeof(bad_windows[0]));

	if (s != NULL && k->patch >= s->first && k->patch < s->fixed)
		doctor_find(r, FAIL, "kernel", newer,
			"Linux %u.%u.%u crashes on an interrupt of a subchannel: use one queue only, or "
			"not this kernel",
			k->major, k->minor, k->patch);
	else if (k->major == 6 && k->minor == 17 && k->patch < 7)
		doctor_find(r, WARN, "kernel", newer,
			"Linux 6.17.%u may crash on an interrupt of a subchannel: 6.17.7 is known good",
			k->patch);
}

void
doctor_check_kernel(struct report *r)
{
	const struct ctl_version *k = &r->kernel;
	unsigned int worse;

	if (!r->has_kernel) {
		doctor_find(r, WARN, "kernel", NULL,
			"version unknown: %s/sys/kernel/osrelease cannot be read", r->ctl->fs.proc);
		return;
	}
	worse = r->count[WARN] + r->count[FAIL];
	if (doctor_before(r, 4, 16))
		doctor_find(r, FAIL, "kernel", newer,
			"Linux %u.%u has no uio_hv_generic with receive and send buffers: 4.16 is the "
			"first",
			k->major, k->minor);
	else if (doctor_before(r, 4, 20))
		doctor_find(r, WARN, "kernel", newer,
			"Linux %u.%u opens the channel at bind and not at open: an application can use "
			"the adapter once per bind",
			k->major, k->minor);
	check_rescind(r);
	check_subchannel_interrupt(r);
	if (r->count[WARN] + r->count[FAIL] != worse)
		return;
	if (!doctor_before(r, last_known.major, last_known.minor + 1))
		doctor_find(r, NOTE, "kernel", NULL,
			"Linux %u.%u.%u (%s) is newer than those known here, which end with %u.%u: whether "
			"its uio_hv_generic has bugs is not known",
			k->major, k->minor, k->patch, r->release, last_known.major,
			last_known.minor);
	else
		doctor_find(r, OK, "kernel", NULL,
			"Linux %u.%u.%u (%s), no known bugs in uio_hv_generic", k->major, k->minor,
			k->patch, r->release);
}
