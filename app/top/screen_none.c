/* SPDX-License-Identifier: BSD-3-Clause */
/* Built without ncurses: no screen, but --once and --json. */
#include <errno.h>

#include "app/top/screen.h"

int
screen_open(void)
{
	return -ENOSYS;
}

void
screen_close(void)
{
}

void
screen_size(unsigned int *rows, unsigned int *columns)
{
	*rows = 24;
	*columns = 80;
}

void
screen_draw(const struct top_page *page)
{
}

int
screen_key(unsigned int ms)
{
	return TOP_KEY_NONE;
}
