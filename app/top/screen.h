/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The terminal of the live view: ncurses, and nothing else knows of it. One thread. */
#ifndef HP_TOP_SCREEN_H
#define HP_TOP_SCREEN_H

#include "app/top/layout.h"

enum top_key { TOP_KEY_NONE = -1, TOP_KEY_UP = -2, TOP_KEY_DOWN = -3, TOP_KEY_RESIZE = -4 };

/** Take the terminal over. @return 0, -ENOTTY no terminal, -ENOTSUP one that cannot do it */
int screen_open(void);
/** Give it back as it was. */
void screen_close(void);
void screen_size(unsigned int *rows, unsigned int *columns);
void screen_draw(const struct top_page *page);
/** Wait @p ms for a key. @return a character, or an enum top_key */
int screen_key(unsigned int ms);

#endif
