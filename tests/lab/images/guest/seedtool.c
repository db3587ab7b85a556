/* What the small guest's shell cannot do well: read YAML and MIME, and load kernel modules in one process.
 *
 *   seedtool flat FILE         YAML or JSON as lines "path<TAB>value": path parts joined by "/" (with %2F for a "/" in a
 *                              part), sequence items by number, values with \n, \t and \\ escaped for printf's %b
 *   seedtool parts FILE DIR    user-data taken apart: each part of a MIME message, or the file itself, as DIR/NNN
 *   seedtool load FILE...      kernel modules, in the order given; a module that is there already is no error
 *
 * The YAML is what people and serializers write in cloud-init's files: block and flow collections, all five scalar
 * styles, anchors and aliases, tags skipped but for !!binary. No complex or empty keys, no merge keys, one document.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH 64

static void die(const char *what, const char *about)
{
    fprintf(stderr, "seedtool: %s: %s\n", what, about);
    exit(1);
}

/* --- text that grows ------------------------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t used, room;
};

static void add(struct text *to, const char *bytes, size_t count)
{
    if (to->used + count + 1 > to->room) {
        to->room = (to->used + count + 1) * 2;
        to->at = realloc(to->at, to->room);
        if (!to->at)
            die("memory", "used up");
    }
    memcpy(to->at + to->used, bytes, count);
    to->used += count;
    to->at[to->used] = 0;
}

static void add_char(struct text *to, char one)
{
    add(to, &one, 1);
}

static struct text slurp(const char *path)
{
    struct text all = {0};
    char block[16384];
    ssize_t got;
    int file = open(path, O_RDONLY);
    if (file < 0)
        die(path, strerror(errno));
    while ((got = read(file, block, sizeof block)) > 0)
        add(&all, block, got);
    close(file);
    add(&all, "", 0);
    return all;
}

static struct text unbase64(const char *from, size_t count)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct text out = {0};
    unsigned held = 0, bits = 0;
    add(&out, "", 0);
    for (size_t i = 0; i < count && from[i] != '='; i++) {
        const char *found = from[i] ? strchr(alphabet, from[i]) : NULL;
        if (!found)
            continue;
        held = held << 6 | (unsigned)(found - alphabet);
        bits += 6;
        if (bits >= 8)
            add_char(&out, (char)(held >> (bits -= 8)));
    }
    return out;
}

/* --- YAML ------------------------------------------------------------------------------------------------------ */

enum kind { SCALAR, SEQUENCE, MAPPING };

struct node {
    enum kind kind;
    struct text value;
    struct node **items;
    struct text *keys;
    size_t count;
};

static const char *start, *p, *end; /* the document, where we are in it, and where it ends */
static struct { struct text name; struct node *node; } anchors[256];
static size_t anchor_count;

static struct node *node_of(int parent, bool inline_value, bool dash_at_parent, int depth);

static void bad(const char *why)
{
    int line = 1;
    for (const char *q = start; q < p; q++)
        line += *q == '\n';
    fprintf(stderr, "seedtool: line %d: %s\n", line, why);
    exit(1);
}

static struct node *new_node(enum kind kind)
{
    struct node *made = calloc(1, sizeof *made);
    if (!made)
        die("memory", "used up");
    made->kind = kind;
    add(&made->value, "", 0);
    return made;
}

static void append(struct node *to, struct text key, struct node *item)
{
    to->items = realloc(to->items, (to->count + 1) * sizeof *to->items);
    to->keys = realloc(to->keys, (to->count + 1) * sizeof *to->keys);
    if (!to->items || !to->keys)
        die("memory", "used up");
    to->keys[to->count] = key;
    to->items[to->count++] = item;
}

static int column(const char *at)
{
    const char *q = at;
    while (q > start && q[-1] != '\n')
        q--;
    return (int)(at - q);
}

static bool blank_at(const char *at)
{
    return at >= end || *at == ' ' || *at == '\t' || *at == '\n';
}

static bool marker_at(const char *at, const char *marker)
{
    return column(at) == 0 && end - at >= 3 && !strncmp(at, marker, 3) && blank_at(at + 3);
}

/* Past blanks, line ends and comments; a document marker ends the text. */
static void skip(void)
{
    while (p < end) {
        if (marker_at(p, "---") || marker_at(p, "..."))
            end = p;
        else if (*p == '#' && (p == start || blank_at(p - 1)))
            while (p < end && *p != '\n')
                p++;
        else if (blank_at(p))
            p++;
        else
            return;
    }
}

static void skip_blanks(void)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
}

static void trim_blanks(struct text *from)
{
    while (from->used && (from->at[from->used - 1] == ' ' || from->at[from->used - 1] == '\t'))
        from->at[--from->used] = 0;
}

/* A line end inside a scalar: one becomes a space, n + 1 become n line ends. */
static void fold(struct text *into)
{
    int ends = 0;
    trim_blanks(into);
    while (p < end && blank_at(p))
        ends += *p++ == '\n';
    if (ends == 1)
        add_char(into, ' ');
    while (ends-- > 1)
        add_char(into, '\n');
}

static void add_utf8(struct text *to, unsigned long code)
{
    if (code < 0x80) {
        add_char(to, (char)code);
    } else if (code < 0x800) {
        add_char(to, (char)(0xC0 | code >> 6));
        add_char(to, (char)(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        add_char(to, (char)(0xE0 | code >> 12));
        add_char(to, (char)(0x80 | (code >> 6 & 63)));
        add_char(to, (char)(0x80 | (code & 63)));
    } else {
        add_char(to, (char)(0xF0 | code >> 18));
        add_char(to, (char)(0x80 | (code >> 12 & 63)));
        add_char(to, (char)(0x80 | (code >> 6 & 63)));
        add_char(to, (char)(0x80 | (code & 63)));
    }
}

static unsigned long hex(int digits)
{
    char copy[9] = "";
    if (end - p < digits)
        bad("an escape is cut short");
    memcpy(copy, p, digits);
    p += digits;
    return strtoul(copy, NULL, 16);
}

static void escape(struct text *into)
{
    static const char from[] = "0abtnvfre \"/\\N_", to[] = "\0\a\b\t\n\v\f\r\x1b \"/\\";
    char c = *p++;
    const char *known;
    unsigned long code;
    if (c == '\n') {
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
    } else if (c == 'x') {
        add_utf8(into, hex(2));
    } else if (c == 'u') {
        code = hex(4);
        if (code >= 0xD800 && code < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            p += 2;
            code = 0x10000 + ((code - 0xD800) << 10) + (hex(4) - 0xDC00);
        }
        add_utf8(into, code);
    } else if (c == 'U') {
        add_utf8(into, hex(8));
    } else if ((known = memchr(from, c, sizeof from - 1)) && known - from < 13) {
        add_char(into, to[known - from]);
    } else {
        bad("an unknown escape");
    }
}

static struct text quoted(void)
{
    struct text out = {0};
    char quote = *p++;
    add(&out, "", 0);
    while (p < end) {
        if (*p == quote) {
            p++;
            if (quote == '\'' && p < end && *p == '\'') {
                add_char(&out, *p++);
                continue;
            }
            return out;
        }
        if (*p == '\n') {
            fold(&out);
        } else if (*p == '\\' && quote == '"') {
            p++;
            escape(&out);
        } else {
            add_char(&out, *p++);
        }
    }
    bad("a quote is not closed");
    return out;
}

static bool flow_stop(const char *at)
{
    return strchr(",[]{}", *at) || (*at == ':' && (blank_at(at + 1) || strchr(",[]{}", at[1])));
}

/* A plain scalar; outside flow collections it goes on over every line indented deeper than its parent. */
static struct text plain(int parent, bool flow)
{
    struct text out = {0};
    add(&out, "", 0);
    while (p < end) {
        if (*p == '\n') {
            const char *here = p;
            struct text kept = {0};
            fold(&kept);
            if (p >= end || *p == '#' || (!flow && column(p) <= parent) || marker_at(p, "---") || marker_at(p, "...")) {
                p = here;
                break;
            }
            trim_blanks(&out);
            add(&out, kept.at ? kept.at : "", kept.used);
            continue;
        }
        if (*p == '#' && p > start && blank_at(p - 1))
            break;
        if (flow ? flow_stop(p) : (*p == ':' && blank_at(p + 1)))
            break;
        add_char(&out, *p++);
    }
    trim_blanks(&out);
    return out;
}

static struct text literal(int parent)
{
    struct text out = {0};
    bool folded = *p++ == '>', first = true, held = false, deeper = false;
    char chomp = 0;
    int indent = -1, empty = 0;
    add(&out, "", 0);
    for (; p < end && *p != '\n' && *p != '#'; p++) {
        if (*p == '+' || *p == '-')
            chomp = *p;
        else if (isdigit((unsigned char)*p))
            indent = (parent < 0 ? 0 : parent) + *p - '0';
    }
    while (p < end && *p != '\n')
        p++;
    p += p < end;
    while (p < end) {
        const char *line = p, *stop = memchr(p, '\n', end - p);
        int depth = 0;
        if (!stop)
            stop = end;
        while (line + depth < stop && line[depth] == ' ')
            depth++;
        if (line + depth == stop && (indent < 0 || depth <= indent)) {
            empty++;
            p = stop + (stop < end);
            continue;
        }
        if (indent < 0) {
            if (depth <= parent)
                break;
            indent = depth;
        }
        if (depth < indent || marker_at(line, "---") || marker_at(line, "..."))
            break;
        bool more = line[indent] == ' ' || line[indent] == '\t';
        if (!first && folded && !more && !deeper && !empty && held)
            add_char(&out, ' ');
        else if (!first && (!folded || more || deeper || !held))
            add_char(&out, '\n');
        while (empty > 0) {
            add_char(&out, '\n');
            empty--;
        }
        add(&out, line + indent, stop - line - indent);
        first = false;
        held = true;
        deeper = more;
        p = stop + (stop < end);
    }
    if (chomp != '-' && !first)
        add_char(&out, '\n');
    while (chomp == '+' && empty-- > 0)
        add_char(&out, '\n');
    return out;
}

static struct text word(const char *stops)
{
    struct text out = {0};
    add(&out, "", 0);
    while (p < end && !blank_at(p) && !strchr(stops, *p))
        add_char(&out, *p++);
    return out;
}

struct properties {
    struct text anchor, tag;
};

/* One anchor or tag, with the blanks behind it. */
static void property(struct properties *found, const char *stops)
{
    if (*p == '&')
        found->anchor = word(stops);
    else
        found->tag = word(stops);
    skip_blanks();
}

static struct node *with(struct properties found, struct node *node)
{
    if (found.tag.at && node->kind == SCALAR && !strcmp(found.tag.at, "!!binary"))
        node->value = unbase64(node->value.at, node->value.used);
    if (found.anchor.at && anchor_count < sizeof anchors / sizeof *anchors) {
        anchors[anchor_count].name = found.anchor;
        anchors[anchor_count++].node = node;
    }
    return node;
}

static struct node *alias(const char *stops)
{
    struct text name = word(stops);
    for (size_t i = anchor_count; i-- > 0;)
        if (!strcmp(anchors[i].name.at + 1, name.at + 1))
            return anchors[i].node;
    bad("an alias without its anchor");
    return NULL;
}

static struct node *flow_bare(int depth);

static struct node *flow(int depth)
{
    struct properties found = {0};
    if (depth > DEPTH)
        bad("nested too deeply");
    while (p < end && (*p == '&' || *p == '!')) {
        property(&found, ",[]{}");
        skip();
    }
    if (p < end && *p == '*')
        return alias(",[]{}");
    return with(found, p < end ? flow_bare(depth) : new_node(SCALAR));
}

static struct node *flow_bare(int depth)
{
    struct node *made;
    if (*p == '"' || *p == '\'') {
        made = new_node(SCALAR);
        made->value = quoted();
        return made;
    }
    if (*p != '[' && *p != '{') {
        made = new_node(SCALAR);
        made->value = plain(-1, true);
        if (!made->value.used)
            bad("something else was expected");
        return made;
    }
    made = new_node(*p == '[' ? SEQUENCE : MAPPING);
    char close = *p++ == '[' ? ']' : '}';
    for (;;) {
        struct text key = {0};
        struct node *item;
        skip();
        if (p >= end)
            bad("a bracket is not closed");
        if (*p == close) {
            p++;
            return made;
        }
        item = flow(depth + 1);
        skip();
        if (close == '}') {
            key = item->value;
            item = new_node(SCALAR);
            if (p < end && *p == ':') {
                p++;
                skip();
                if (p < end && *p != ',' && *p != '}')
                    item = flow(depth + 1);
                skip();
            }
        }
        append(made, key, item);
        if (p < end && *p == ',')
            p++;
        else if (p < end && *p != close)
            bad("a comma or a closing bracket was expected");
    }
}

/* Whether a mapping key begins here: then p is behind its colon and the key is in *key. */
static bool key_here(struct text *key)
{
    const char *here = p;
    if (*p == '"' || *p == '\'') {
        *key = quoted();
        skip_blanks();
    } else {
        const char *q = p;
        while (q < end && *q != '\n' && !(*q == ':' && blank_at(q + 1)) && !(*q == '#' && q > p && blank_at(q - 1)))
            q++;
        *key = (struct text){0};
        add(key, p, q - p);
        trim_blanks(key);
        p = q;
    }
    if (p < end && *p == ':' && blank_at(p + 1)) {
        p++;
        return true;
    }
    p = here;
    return false;
}

static bool dash_here(void)
{
    return p < end && *p == '-' && blank_at(p + 1);
}

static struct node *block_sequence(int depth)
{
    struct node *made = new_node(SEQUENCE);
    int at = column(p);
    while (p < end && dash_here() && column(p) == at) {
        p++;
        append(made, (struct text){0}, node_of(at, false, false, depth + 1));
        skip();
    }
    if (p < end && column(p) > at)
        bad("wrong indentation");
    return made;
}

static struct node *block_mapping(struct text key, int at, int depth)
{
    struct node *made = new_node(MAPPING);
    for (;;) {
        skip_blanks();
        append(made, key, node_of(at, p < end && *p != '\n' && *p != '#', true, depth + 1));
        skip();
        if (p >= end || column(p) < at)
            return made;
        if (column(p) > at || dash_here() || !key_here(&key)) {
            if (column(p) == at && dash_here())
                return made;
            bad("a key was expected");
        }
    }
}

static struct node *bare(int parent, bool inline_value, bool dash_at_parent, int depth)
{
    struct node *made;
    struct text key;
    int at = column(p);
    if (dash_here() && !inline_value && (at > parent || (dash_at_parent && at == parent)))
        return block_sequence(depth);
    if (at <= parent)
        return new_node(SCALAR);
    if (*p == '|' || *p == '>') {
        made = new_node(SCALAR);
        made->value = literal(parent);
        return made;
    }
    if (*p == '[' || *p == '{')
        return flow(depth);
    if (!inline_value && key_here(&key))
        return block_mapping(key, at, depth);
    made = new_node(SCALAR);
    made->value = *p == '"' || *p == '\'' ? quoted() : plain(parent, false);
    return made;
}

/* One value whose parent stands at the column `parent`. Null, that is an empty scalar, where nothing is deeper. */
static struct node *node_of(int parent, bool inline_value, bool dash_at_parent, int depth)
{
    struct properties found = {0};
    if (depth > DEPTH)
        bad("nested too deeply");
    skip();
    while (p < end && (*p == '&' || *p == '!') && column(p) > parent) {
        property(&found, "");
        inline_value = inline_value && p < end && *p != '\n' && *p != '#';
        skip();
    }
    if (p < end && *p == '*' && column(p) > parent)
        return alias("");
    return with(found, p < end ? bare(parent, inline_value, dash_at_parent, depth) : new_node(SCALAR));
}

static void print_tree(const struct node *node, const char *path, int depth)
{
    if (depth > DEPTH)
        return;
    if (node->kind == SCALAR) {
        fputs(path, stdout);
        putchar('\t');
        for (size_t i = 0; i < node->value.used; i++) {
            char c = node->value.at[i];
            if (c == '\\')
                fputs("\\\\", stdout);
            else if (c == '\n')
                fputs("\\n", stdout);
            else if (c == '\t')
                fputs("\\t", stdout);
            else if (c)
                putchar(c);
        }
        putchar('\n');
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        struct text below = {0};
        char number[24];
        add(&below, path, strlen(path));
        if (*path)
            add_char(&below, '/');
        if (node->kind == SEQUENCE) {
            add(&below, number, sprintf(number, "%zu", i));
        } else {
            for (size_t k = 0; k < node->keys[i].used; k++) {
                unsigned char c = node->keys[i].at[k];
                if (c == '/' || c == '%' || c < 32)
                    add(&below, number, sprintf(number, "%%%02X", c));
                else
                    add_char(&below, (char)c);
            }
        }
        print_tree(node->items[i], below.at, depth + 1);
        free(below.at);
    }
}

static int flat(const char *path)
{
    struct text raw = slurp(path), all = {0};
    add(&all, "", 0);
    for (size_t i = 0; i < raw.used; i++)
        if (raw.at[i] && !(raw.at[i] == '\r' && i + 1 < raw.used && raw.at[i + 1] == '\n'))
            add_char(&all, raw.at[i]);
    start = p = all.at;
    end = start + all.used;
    if (all.used >= 3 && !strncmp(p, "\xEF\xBB\xBF", 3))
        start = p += 3;
    const char *whole = end;
    skip();
    end = whole;
    if (p < end && marker_at(p, "---"))
        p += 3;
    struct node *top = node_of(-1, false, false, 0);
    skip();
    if (p < end)
        bad("the document goes on where it should have ended");
    print_tree(top, "", 0);
    return 0;
}

/* --- MIME ------------------------------------------------------------------------------------------------------ */

static const char *into;
static int part_number;

static void keep(const char *bytes, size_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%03d", into, part_number++);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count || close(file))
        die(path, strerror(errno));
}

static struct text unquote_printable(const char *from, size_t count)
{
    struct text out = {0};
    add(&out, "", 0);
    for (size_t i = 0; i < count; i++) {
        char pair[3] = "";
        if (from[i] != '=') {
            add_char(&out, from[i]);
        } else if (i + 1 < count && from[i + 1] == '\n') {
            i++;
        } else if (i + 2 < count && from[i + 1] == '\r') {
            i += 2;
        } else if (i + 2 < count) {
            memcpy(pair, from + i + 1, 2);
            add_char(&out, (char)strtoul(pair, NULL, 16));
            i += 2;
        }
    }
    return out;
}

/* A header's whole value, unfolded; empty when it is not there. */
static struct text header(const char *from, size_t count, const char *name)
{
    struct text out = {0};
    const char *at = from, *stop = from + count;
    bool ours = false;
    add(&out, "", 0);
    while (at < stop) {
        const char *line = at, *eol = memchr(at, '\n', stop - at);
        eol = eol ? eol : stop;
        at = eol + (eol < stop);
        if (*line != ' ' && *line != '\t') {
            if (ours)
                break;
            ours = (size_t)(eol - line) > strlen(name) && !strncasecmp(line, name, strlen(name)) && line[strlen(name)] == ':';
            if (ours)
                line += strlen(name) + 1;
        }
        if (ours)
            add(&out, line, eol - line - (eol > line && eol[-1] == '\r'));
    }
    return out;
}

static struct text parameter(const char *value, const char *name)
{
    struct text out = {0};
    const char *at = value;
    add(&out, "", 0);
    while ((at = strcasestr(at, name))) {
        const char *q = at + strlen(name);
        bool begins = at > value && strchr("; \t", at[-1]);
        at = q;
        while (*q == ' ')
            q++;
        if (!begins || *q++ != '=')
            continue;
        if (*q == '"')
            while (*++q && *q != '"')
                add_char(&out, *q);
        else
            while (*q && !strchr("; \t\r\n", *q))
                add_char(&out, *q++);
        break;
    }
    return out;
}

static void message(const char *from, size_t count, int depth);

static void multipart(const char *body, size_t count, const char *boundary, int depth)
{
    const char *at = body, *stop = body + count, *part = NULL;
    size_t length = strlen(boundary);
    while (at < stop) {
        const char *line = at, *eol = memchr(at, '\n', stop - at);
        eol = eol ? eol : stop;
        at = eol + (eol < stop);
        if ((size_t)(eol - line) < length + 2 || strncmp(line, "--", 2) || strncmp(line + 2, boundary, length))
            continue;
        if (part) {
            const char *last = line > part && line[-1] == '\n' ? line - 1 : line;
            message(part, last - part - (last > part && last[-1] == '\r'), depth + 1);
        }
        part = at;
        if ((size_t)(eol - line) >= length + 4 && !strncmp(line + 2 + length, "--", 2))
            return;
    }
    if (part)
        message(part, stop - part, depth + 1);
}

static void message(const char *from, size_t count, int depth)
{
    const char *at = from, *stop = from + count;
    if (depth > DEPTH)
        die("user-data", "nested too deeply");
    while (at < stop && *at != '\n' && !(*at == '\r' && at + 1 < stop && at[1] == '\n')) {
        at = memchr(at, '\n', stop - at);
        at = at ? at + 1 : stop;
    }
    size_t head = at - from;
    while (at < stop && *at == '\r')
        at++;
    at += at < stop;
    struct text type = header(from, head, "content-type"), encoding = header(from, head, "content-transfer-encoding");
    struct text boundary = parameter(type.at, "boundary");
    if (strcasestr(type.at, "multipart/") && boundary.used) {
        multipart(at, stop - at, boundary.at, depth);
        return;
    }
    struct text body = {0};
    if (strcasestr(encoding.at, "base64"))
        body = unbase64(at, stop - at);
    else if (strcasestr(encoding.at, "quoted-printable"))
        body = unquote_printable(at, stop - at);
    else
        add(&body, at, stop - at);
    keep(body.at, body.used);
}

static int parts(const char *path, const char *directory)
{
    struct text all = slurp(path);
    into = directory;
    if (!strncasecmp(all.at, "content-type:", 13) || !strncasecmp(all.at, "mime-version:", 13))
        message(all.at, all.used, 0);
    else
        keep(all.at, all.used);
    return 0;
}

/* --- modules --------------------------------------------------------------------------------------------------- */

static int load(char **paths)
{
    int failed = 0;
    for (; *paths; paths++) {
        int file = open(*paths, O_RDONLY | O_CLOEXEC);
        if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST)) {
            fprintf(stderr, "seedtool: %s: %s\n", *paths, strerror(errno));
            failed = 1;
        }
        if (file >= 0)
            close(file);
    }
    return failed;
}

int main(int count, char **words)
{
    if (count == 3 && !strcmp(words[1], "flat"))
        return flat(words[2]);
    if (count == 4 && !strcmp(words[1], "parts"))
        return parts(words[2], words[3]);
    if (count >= 3 && !strcmp(words[1], "load"))
        return load(words + 2);
    fputs("usage: seedtool flat FILE | parts FILE DIR | load MODULE...\n", stderr);
    return 2;
}
