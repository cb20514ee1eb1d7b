/* SPDX-License-Identifier: BSD-3-Clause */
/* One pass over a text: at the start of each word, is it something private? */
#include "app/vmbusctl/redact.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "drivers/bus/vmbus/sysfs.h"

#define WORD_MIN    3u
#define ADDRESS_MAX 64u

struct datum {
	struct datum *next;
	char *original, *replacement;
	bool word; /**< looked for as such */
};

struct redact {
	struct datum *data;
	unsigned int guids, macs, ipv4, ipv6, words, secrets;
};

struct redact *
redact_new(void)
{
	return calloc(1, sizeof(struct redact));
}

void
redact_free(struct redact *r)
{
	struct datum *d;

	while (r != NULL && (d = r->data) != NULL) {
		r->data = d->next;
		free(d->original);
		free(d->replacement);
		free(d);
	}
	free(r);
}

static const struct datum *
find(const struct redact *r, const char *original, bool word)
{
	const struct datum *d;

	for (d = r->data; d != NULL; d = d->next)
		if (d->word == word && strcasecmp(d->original, original) == 0)
			return d;
	return NULL;
}

/* Of a word that holds another one the longer comes first. */
static const struct datum *
add(struct redact *r, const char *original, bool word, const char *replacement)
{
	struct datum *d = calloc(1, sizeof(*d)), **at = &r->data;

	if (d == NULL)
		return NULL;
	d->original = strdup(original);
	d->replacement = strdup(replacement);
	d->word = word;
	if (d->original == NULL || d->replacement == NULL) {
		free(d->original);
		free(d->replacement);
		free(d);
		return NULL;
	}
	while (*at != NULL && strlen((*at)->original) >= strlen(original))
		at = &(*at)->next;
	d->next = *at;
	*at = d;
	return d;
}

void
redact_word(struct redact *r, const char *kind, const char *word)
{
	char replacement[64];

	if (strlen(word) < WORD_MIN || find(r, word, true) != NULL)
		return;
	snprintf(replacement, sizeof(replacement), "%.40s-%u", kind, ++r->words);
	add(r, word, true, replacement);
}

/* ---- what stands at a place of the text; each gives its length, 0 = nothing of the kind ---- */

static bool
in_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t
span(const char *at, const char *characters)
{
	return strspn(at, characters);
}

static const char hex[] = "0123456789abcdefABCDEF";

/* Five groups of hexadecimal digits. */
static size_t
guid_at(const char *at)
{
	static const unsigned int groups[] = {8, 4, 4, 4, 12};
	const char *p = at;

	for (unsigned int i = 0; i < 5; i++) {
		if (i > 0 && *p++ != '-')
			return 0;
		if (span(p, hex) < groups[i] || (i < 4 && span(p, hex) != groups[i]))
			return 0;
		p += groups[i];
	}
	return in_name(*p) ? 0 : (size_t)(p - at);
}

/* With colons or dashes. */
static size_t
mac_at(const char *at)
{
	const char *p = at;
	char separator;

	/* Before anything of it is read: the text may end at once. */
	if (strnlen(at, 17) < 17)
		return 0;
	separator = at[2];
	if (separator != ':' && separator != '-')
		return 0;
	for (unsigned int i = 0; i < 6; i++) {
		if (i > 0 && *p++ != separator)
			return 0;
		if (span(p, hex) < 2)
			return 0;
		p += 2;
	}
	return in_name(*p) || *p == separator ? 0 : (size_t)(p - at);
}

static size_t
ip_at(int family, const char *at)
{
	size_t len = span(at, family == AF_INET ? "0123456789." : "0123456789abcdefABCDEF:.");
	unsigned char address[16];
	char text[ADDRESS_MAX];

	/* A full stop or colon behind it is the sentence's. */
	while (len > 0 &&
		(at[len - 1] == '.' || (at[len - 1] == ':' && len > 1 && at[len - 2] != ':')))
		len--;
	if (len < 2 || len >= sizeof(text) || in_name(at[len]))
		return 0;
	memcpy(text, at, len);
	text[len] = '\0';
	return inet_pton(family, text, address) == 1 ? len : 0;
}

/* ---- replacements ---- */

static const char *
replace_guid(struct redact *r, const char *text)
{
	char replacement[64];
	uint8_t guid[16];
	const struct datum *d = find(r, text, false);

	if (d != NULL)
		return d->replacement;
	/* Classes are the same everywhere, and say what a device is. */
	if (vmbus_parse_guid(text, guid) == 0 && strcmp(vmbus_class_name(guid), "unknown") != 0)
		return NULL;
	snprintf(replacement, sizeof(replacement), "00000000-0000-4000-8000-%012x", ++r->guids);
	d = add(r, text, false, replacement);
	return d == NULL ? "00000000-0000-4000-8000-000000000000" : d->replacement;
}

/* The same address with dashes, or without anything, is the same datum. */
static const char *
replace_mac(struct redact *r, const char *text, char separator, char *out)
{
	const struct datum *d;
	char digits[13], replacement[32];
	unsigned int n = 0;

	for (const char *p = text; *p != '\0' && n < 12; p++)
		if (isxdigit((unsigned char)*p))
			digits[n++] = (char)tolower((unsigned char)*p);
	digits[n] = '\0';
	if (strcmp(digits, "000000000000") == 0 || strcmp(digits, "ffffffffffff") == 0)
		return NULL;
	d = find(r, digits, false);
	if (d == NULL) {
		snprintf(replacement, sizeof(replacement), "0200%08x", ++r->macs);
		d = add(r, digits, false, replacement);
	}
	snprintf(replacement, sizeof(replacement), "%s",
		d == NULL ? "020000000000" : d->replacement);
	n = 0;
	for (unsigned int i = 0; i < 12; i++) {
		if (separator != '\0' && i > 0 && i % 2 == 0)
			out[n++] = separator;
		out[n++] = replacement[i];
	}
	out[n] = '\0';
	return out;
}

static const char *
replace_ip(struct redact *r, int family, const char *text)
{
	char replacement[64];
	const struct datum *d = find(r, text, false);

	if (d != NULL)
		return d->replacement;
	if (strcmp(text, "0.0.0.0") == 0 || strncmp(text, "127.", 4) == 0 ||
		strcmp(text, "::") == 0 || strcmp(text, "::1") == 0)
		return NULL;
	/* Addresses for documentation (RFC 5737, RFC 3849). */
	if (family == AF_INET && ++r->ipv4 < 255)
		snprintf(replacement, sizeof(replacement), "192.0.2.%u", r->ipv4);
	else if (family == AF_INET)
		snprintf(replacement, sizeof(replacement), "198.51.100.%u", r->ipv4 % 255);
	else
		snprintf(replacement, sizeof(replacement), "2001:db8::%x", ++r->ipv6);
	d = add(r, text, false, replacement);
	return d == NULL ? "192.0.2.0" : d->replacement;
}

/* ---- secrets: each is another, and only its place says what it is ---- */

/* A name that has one of these in it has a secret. @return the length of the name and its '=' */
static size_t
secret_name_at(const char *at)
{
	static const char *const parts[] = {"pass", "pwd", "secret", "key", "token", "credential"};
	size_t len = 0;

	while (in_name(at[len]) || (at[len] != '\0' && strchr("-.", at[len]) != NULL))
		len++;
	if (at[len] != '=')
		return 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (size_t k = 0; k + strlen(parts[i]) <= len; k++)
			if (strncasecmp(at + k, parts[i], strlen(parts[i])) == 0)
				return len + 1;
	return 0;
}

/*
 * The kernel's command line has quotes around a value or around all of name=value; in JSON they
 * are behind a backslash. @p quoted: they are before the name.
 */
static size_t
secret_value_at(const char *at, bool quoted)
{
	const char *quote = at[0] == '\\' && at[1] == '"' ? "\\\"" : "\"", *end;
	size_t begin = strncmp(at, quote, strlen(quote)) == 0 ? strlen(quote) : 0;
	size_t len = strcspn(at + begin, begin != 0 || quoted ? "\r\n" : " \t\r\n\"");

	end = strstr(at + begin, quote);
	if (end != NULL && (size_t)(end - at) < begin + len)
		len = (size_t)(end - at) - begin;
	if (begin != 0)
		return begin + len + (at[begin + len] == quote[0] ? begin : 0);
	return len > 0 && at[len] == '"' && at[len - 1] == '\\' ? len - 1 : len;
}

/* USER:PASSWORD before the '@' of an address. */
static size_t
login_at(const char *at)
{
	size_t len = strcspn(at, "/ \t\r\n\"'<>");

	while (len > 0 && at[len - 1] != '@')
		len--;
	return len > 1 && strcspn(at, ":=") < len - 1 && at[strcspn(at, ":=")] == ':' ? len - 1 : 0;
}

static size_t
secret_at(struct redact *r, const char *at, bool quoted, FILE *out)
{
	size_t name = secret_name_at(at), len;

	len = name != 0 ? secret_value_at(at + name, quoted) : login_at(at);
	if (len != 0)
		fprintf(out, "%.*ssecret-%u", (int)name, at, ++r->secrets);
	return len == 0 ? 0 : name + len;
}

/* ---- */

static const struct datum *
word_at(const struct redact *r, const char *at)
{
	const struct datum *d;
	size_t len;

	for (d = r->data; d != NULL; d = d->next) {
		len = strlen(d->original);
		if (d->word && strncasecmp(at, d->original, len) == 0 && !in_name(at[len]))
			return d;
	}
	return NULL;
}

/* What stands at @p at, where a word begins. @return its length; 0: nothing to be replaced */
static size_t
private_at(struct redact *r, const char *at, const char **replacement, char room[24])
{
	const struct datum *d = word_at(r, at);
	char text[ADDRESS_MAX];
	size_t len;

	if (d != NULL) {
		*replacement = d->replacement;
		return strlen(d->original);
	}
	*replacement = NULL;
	if ((len = guid_at(at)) != 0) {
		snprintf(text, sizeof(text), "%.*s", (int)len, at);
		*replacement = replace_guid(r, text);
	} else if ((len = mac_at(at)) != 0) {
		snprintf(text, sizeof(text), "%.*s", (int)len, at);
		*replacement = replace_mac(r, text, at[2], room);
	} else if (strncmp(at, "enx", 3) == 0 && span(at + 3, hex) == 12) {
		/* An interface named after its address. */
		snprintf(text, sizeof(text), "%.12s", at + 3);
		if (replace_mac(r, text, '\0', room + 3) != NULL) {
			room[0] = 'e';
			room[1] = 'n';
			room[2] = 'x';
			*replacement = room;
		}
		return 15;
	} else if (span(at, hex) == 12 && !in_name(at[12])) {
		len = 12;
		snprintf(text, sizeof(text), "%.12s", at);
		*replacement = replace_mac(r, text, '\0', room);
	} else if ((len = ip_at(AF_INET, at)) != 0 || (len = ip_at(AF_INET6, at)) != 0) {
		snprintf(text, sizeof(text), "%.*s", (int)len, at);
		*replacement = replace_ip(r, strchr(text, ':') == NULL ? AF_INET : AF_INET6, text);
	}
	return len;
}

char *
redact_text(struct redact *r, const char *text)
{
	const char *at = text, *replacement;
	char *out = NULL, room[24];
	size_t size, len;
	FILE *f = open_memstream(&out, &size);

	if (f == NULL)
		return NULL;
	while (*at != '\0') {
		bool begins = at == text || !in_name(at[-1]);

		len = begins ? secret_at(r, at, at > text && at[-1] == '"', f) : 0;
		at += len;
		if (len != 0)
			continue;
		len = begins ? private_at(r, at, &replacement, room) : 0;
		if (len == 0) {
			fputc(*at++, f);
			continue;
		}
		if (replacement == NULL)
			fwrite(at, 1, len, f);
		else
			fputs(replacement, f);
		at += len;
	}
	if (fclose(f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}
