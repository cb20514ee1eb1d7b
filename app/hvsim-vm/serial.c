/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "app/hvsim-vm/serial.h"

/* Registers of a 16550A by offset; some have two names depending on direction and DLAB. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX	     0x01u
#define IER_THR	     0x02u
#define IIR_NONE     0x01u
#define IIR_THR	     0x02u
#define IIR_RX	     0x04u
#define FCR_ENABLE   0x01u
#define LCR_DLAB     0x80u
#define MCR_LOOP     0x10u
#define LSR_DATA     0x01u
#define LSR_TX_EMPTY 0x60u
#define MSR_READY    0xb0u /* carrier, data set ready, clear to send */

void
serial_init(
	struct serial *serial, struct output *out, void (*irq)(void *ctx, bool level), void *ctx)
{
	memset(serial, 0, sizeof(*serial));
	pthread_mutex_init(&serial->lock, NULL);
	serial->out = out;
	serial->irq = irq;
	serial->ctx = ctx;
}

void
serial_close(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	serial->irq = NULL;
	pthread_mutex_unlock(&serial->lock);
}

static void
update_irq(struct serial *serial)
{
	bool level = (serial->thr_pending && (serial->ier & IER_THR)) ||
		     (serial->rx_len > 0 && (serial->ier & IER_RX));

	if (level == serial->level)
		return;
	serial->level = level;
	if (serial->irq != NULL)
		serial->irq(serial->ctx, level);
}

static void
push_rx(struct serial *serial, uint8_t c)
{
	if (serial->rx_len == sizeof(serial->rx))
		return;
	serial->rx[(serial->rx_head + serial->rx_len++) % sizeof(serial->rx)] = c;
}

static void
transmit(struct serial *serial, uint8_t c)
{
	if (serial->mcr & MCR_LOOP) {
		push_rx(serial, c);
		return;
	}
	/* Console output nobody reads is lost; the guest must not hang for it. */
	output_put(serial->out, &c, 1);
}

void
serial_write(struct serial *serial, unsigned int reg, uint8_t value)
{
	pthread_mutex_lock(&serial->lock);
	switch (reg) {
	case REG_DATA:
		if (serial->lcr & LCR_DLAB) {
			serial->dll = value;
			break;
		}
		transmit(serial, value);
		serial->thr_pending = true;
		break;
	case REG_IER:
		if (serial->lcr & LCR_DLAB) {
			serial->dlm = value;
			break;
		}
		/* The transmitter is empty: enabling its interrupt raises it at once. */
		if ((value & IER_THR) && !(serial->ier & IER_THR))
			serial->thr_pending = true;
		serial->ier = value & 0x0f;
		break;
	case REG_IIR_FCR:
		serial->fcr = value;
		if (value & 0x02)
			serial->rx_len = 0;
		break;
	case REG_LCR:
		serial->lcr = value;
		break;
	case REG_MCR:
		serial->mcr = value & 0x1f;
		break;
	case REG_SCR:
		serial->scr = value;
		break;
	}
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
}

static uint8_t
modem_status(const struct serial *serial)
{
	uint8_t m = serial->mcr;

	if (!(m & MCR_LOOP))
		return MSR_READY;
	/* Loopback: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD. */
	return (uint8_t)((m & 0x02) << 3 | (m & 0x01) << 5 | (m & 0x04) << 4 | (m & 0x08) << 4);
}

uint8_t
serial_read(struct serial *serial, unsigned int reg)
{
	uint8_t value = 0;

	pthread_mutex_lock(&serial->lock);
	switch (reg) {
	case REG_DATA:
		if (serial->lcr & LCR_DLAB) {
			value = serial->dll;
		} else if (serial->rx_len > 0) {
			value = serial->rx[serial->rx_head];
			serial->rx_head = (serial->rx_head + 1) % sizeof(serial->rx);
			serial->rx_len--;
		}
		break;
	case REG_IER:
		value = serial->lcr & LCR_DLAB ? serial->dlm : serial->ier;
		break;
	case REG_IIR_FCR:
		if (serial->rx_len > 0 && (serial->ier & IER_RX)) {
			value = IIR_RX;
		} else if (serial->thr_pending && (serial->ier & IER_THR)) {
			value = IIR_THR;
			serial->thr_pending = false;
		} else {
			value = IIR_NONE;
		}
		if (serial->fcr & FCR_ENABLE)
			value |= 0xc0;
		break;
	case REG_LCR:
		value = serial->lcr;
		break;
	case REG_MCR:
		value = serial->mcr;
		break;
	case REG_LSR:
		value = (uint8_t)(LSR_TX_EMPTY | (serial->rx_len > 0 ? LSR_DATA : 0));
		break;
	case REG_MSR:
		value = modem_status(serial);
		break;
	case REG_SCR:
		value = serial->scr;
		break;
	}
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

unsigned int
serial_input(struct serial *serial, const uint8_t *data, unsigned int len)
{
	unsigned int n = 0;

	pthread_mutex_lock(&serial->lock);
	while (n < len && serial->rx_len < sizeof(serial->rx))
		push_rx(serial, data[n++]);
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	return n;
}

unsigned int
serial_room(struct serial *serial)
{
	unsigned int room;

	pthread_mutex_lock(&serial->lock);
	room = (unsigned int)sizeof(serial->rx) - serial->rx_len;
	pthread_mutex_unlock(&serial->lock);
	return room;
}

static struct termios saved;
static bool is_raw;

void
console_restore(void)
{
	/* tcsetattr() is async-signal-safe; so is this whole function. */
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	is_raw = false;
}

void
console_raw(void)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) != 0)
		return;
	t = saved;
	cfmakeraw(&t);
	/* Output processing stays on: log lines of ours end in a bare newline. */
	t.c_oflag |= OPOST | ONLCR;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0) {
		is_raw = true;
		atexit(console_restore);
	}
}
