/* SPDX-License-Identifier: BSD-3-Clause */
/* ncurses. Its header defines OK and ERR and much else: nothing else is included here. */
#include <curses.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/common/colour.h"
#include "app/top/screen.h"

static SCREEN *screen;
static bool coloured;

static const short colours[] = {
	[TOP_GOOD] = COLOR_GREEN,
	[TOP_WARN] = COLOR_YELLOW,
	[TOP_BAD] = COLOR_RED,
	[TOP_DIM] = COLOR_CYAN,
};

int
screen_open(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	/* Not initscr(): that ends the process where the terminal is not known. */
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return -ENOTSUP;
	set_term(screen);
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	coloured = colour_wanted(STDOUT_FILENO) && has_colors() && start_color() != ERR;
	if (coloured) {
		short back = use_default_colors() != ERR ? -1 : COLOR_BLACK;

		for (int i = TOP_GOOD; i <= TOP_DIM; i++)
			init_pair((short)i, colours[i], back);
	}
	return 0;
}

void
screen_close(void)
{
	if (screen == NULL)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

void
screen_size(unsigned int *rows, unsigned int *columns)
{
	int y, x;

	getmaxyx(stdscr, y, x);
	*rows = y > 0 ? (unsigned int)y : 1;
	*columns = x > 0 ? (unsigned int)x : 1;
}

static attr_t
attribute(enum top_look look)
{
	switch (look) {
	case TOP_HEADER:
		return A_BOLD;
	case TOP_SELECTED:
		return A_REVERSE;
	case TOP_GOOD:
	case TOP_DIM:
		return coloured ? (attr_t)COLOR_PAIR(look) : A_NORMAL;
	case TOP_WARN:
	case TOP_BAD:
		return coloured ? (attr_t)COLOR_PAIR(look) : A_BOLD;
	default:
		return A_NORMAL;
	}
}

void
screen_draw(const struct top_page *page)
{
	erase();
	for (unsigned int i = 0; i < page->rows; i++) {
		attrset((int)attribute(page->line[i].look));
		mvaddnstr((int)i, 0, page->line[i].text, (int)page->columns);
	}
	attrset(A_NORMAL);
	refresh();
}

int
screen_key(unsigned int ms)
{
	int key;

	timeout((int)ms);
	key = getch();
	switch (key) {
	case ERR:
		return TOP_KEY_NONE;
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_RESIZE:
		return TOP_KEY_RESIZE;
	default:
		return key > 0 && key < 128 ? key : TOP_KEY_NONE;
	}
}
