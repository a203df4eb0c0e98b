/* drive PORT CLIENTS WARM SECONDS PER_SECOND MEMBER FILE: keeps a server on 127.0.0.1 busy, prints one line of JSON.
 *
 * Each of CLIENTS connections sends, waits for the answer, sends again. With PER_SECOND above 0 requests are due at even
 * moments instead, and an answer's time counts from the moment its request was due, so that a server which stands still
 * is not spared the requests that would have come meanwhile. What is answered in the first WARM seconds is not counted.
 *
 * FILE holds the requests, each closed by byte 0x1e: header lines, an empty line, the body. Content-Length is added here.
 * Client i sends requests i, i + CLIENTS, … in turn. A body may hold a value between two bytes 0x1f: it belongs to the
 * client, and the string member MEMBER of each answer takes its place, which follows a chain of refresh tokens.
 *
 * Understands what our servers answer: HTTP/1.1 with Content-Length, connections kept open.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define DRAIN (15 * SECOND) /* answers that come later than this after the end are failures */
enum { BUFFER = 65536, VALUE = 4096, MOST_CLIENTS = 256 };

struct request { const char *head, *before, *value, *after; size_t value_length; };
struct client {
    int socket;
    bool waiting;
    size_t turn, have, value_length;
    uint64_t since;
    char value[VALUE], in[BUFFER + 1];
};

static struct request *requests;
static struct client *clients;
static size_t request_count, client_count;
static const char *member;
static uint16_t port;
static int events;
static uint32_t *times; /* microseconds */
static size_t time_count, time_room, counted, refused, failed, unchained;
static int first_status;
static char first_refusal[200];
static uint64_t counting_from, ends;

static void stop(const char *why) {
    fprintf(stderr, "drive: %s\n", why);
    exit(2);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = NULL, *one;
    size_t size = 0;
    if (!file || getdelim(&text, &size, '\0', file) < 0) stop("cannot read the requests");
    fclose(file);
    while ((one = strsep(&text, "\x1e")) && *one) {
        char *body = strstr(one, "\r\n\r\n");
        if (!body) stop("a request without an empty line");
        *body = 0;
        struct request r = {.head = one, .before = body + 4, .after = ""};
        char *mark = strchr(r.before, 0x1f);
        if (mark) {
            char *second = strchr(mark + 1, 0x1f);
            if (!second || second - mark > VALUE) stop("a value without an end, or too long");
            *mark = 0;
            r.value = mark + 1;
            r.value_length = (size_t)(second - mark - 1);
            r.after = second + 1;
        }
        requests = realloc(requests, (request_count + 1) * sizeof *requests);
        requests[request_count++] = r;
    }
    if (!request_count) stop("no requests");
}

static void join(struct client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    if (c->socket >= 0) close(c->socket);
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->socket, (struct sockaddr *)&to, sizeof to)) stop("the server takes no connection");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(events, EPOLL_CTL_ADD, c->socket, &event)) stop("epoll");
}

static void lost(struct client *c) {
    if (c->waiting) failed++;
    c->waiting = false;
    join(c);
}

static void ask(struct client *c, uint64_t since) {
    static char out[BUFFER];
    const struct request *r = &requests[c->turn % request_count];
    c->turn += client_count;
    size_t body = strlen(r->before) + (r->value ? c->value_length : 0) + strlen(r->after);
    int size;
    if (body)
        size = snprintf(out, sizeof out, "%s\r\nContent-Length: %zu\r\n\r\n%s%.*s%s", r->head, body, r->before,
                        r->value ? (int)c->value_length : 0, c->value, r->after);
    else
        size = snprintf(out, sizeof out, "%s\r\n\r\n", r->head);
    if (size >= BUFFER) stop("a request is too long");
    c->since = since;
    c->have = 0;
    c->waiting = true;
    if (send(c->socket, out, (size_t)size, MSG_NOSIGNAL) != size) lost(c);
}

static void follow(struct client *c, const char *body) {
    char name[80];
    snprintf(name, sizeof name, "\"%s\":\"", member);
    const char *found = strstr(body, name), *end;
    if (!found || !(end = strchr(found + strlen(name), '"')) || end - found >= VALUE) {
        unchained++;
        return;
    }
    found += strlen(name);
    c->value_length = (size_t)(end - found);
    memcpy(c->value, found, c->value_length);
}

static void answered(struct client *c, int status, const char *body) {
    uint64_t at = now();
    bool good = status >= 200 && status < 300;
    c->waiting = false;
    if (good && *member) follow(c, body);
    if (!good) {
        refused++;
        if (!first_status) {
            first_status = status;
            snprintf(first_refusal, sizeof first_refusal, "%.150s", body);
            for (char *p = first_refusal; *p; p++)
                if (*p == '"' || *p == '\\' || *p < ' ' || *p > '~') *p = '\'';
        }
    } else if (at >= counting_from) {
        counted += at <= ends;
        if (time_count == time_room) times = realloc(times, (time_room = time_room * 2 + 65536) * sizeof *times);
        times[time_count++] = (uint32_t)((at - c->since) / 1000);
    }
}

static void hear(struct client *c) {
    ssize_t got = recv(c->socket, c->in + c->have, BUFFER - c->have, 0);
    if (got <= 0) {
        lost(c);
        return;
    }
    c->have += (size_t)got;
    c->in[c->have] = 0;
    char *end = strstr(c->in, "\r\n\r\n");
    if (!c->waiting || !end) return;
    *end = 0;
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    int status = atoi(c->in + sizeof "HTTP/1.1");
    size_t body = length ? strtoul(length + sizeof "\r\ncontent-length:" - 1, NULL, 10) : 0;
    if (!length && status != 204) stop("an answer without Content-Length");
    *end = '\r';
    if ((size_t)(end + 4 - c->in) + body > BUFFER) stop("an answer is too long");
    if (c->have >= (size_t)(end + 4 - c->in) + body) answered(c, status, end + 4);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double part(double share) { /* milliseconds within which this share of the answers came */
    if (!time_count) return 0;
    size_t rank = (size_t)(share * (double)time_count);
    return times[rank < time_count ? rank : time_count - 1] / 1000.0;
}

int main(int count, char **given) {
    if (count != 8) stop("see the top of drive.c");
    port = (uint16_t)atoi(given[1]);
    client_count = strtoul(given[2], NULL, 10);
    double warm = atof(given[3]), seconds = atof(given[4]), rate = atof(given[5]);
    member = given[6];
    if (client_count < 1 || client_count > MOST_CLIENTS || seconds <= 0 || seconds > 120 || warm > 60 || rate > 1e5)
        stop("out of bounds");
    read_requests(given[7]);
    events = epoll_create1(0);
    clients = calloc(client_count, sizeof *clients);
    for (size_t i = 0; i < client_count; i++) {
        struct client *c = &clients[i];
        const struct request *r = &requests[i % request_count];
        c->socket = -1;
        c->turn = i;
        if (r->value) memcpy(c->value, r->value, c->value_length = r->value_length);
        join(c);
    }
    uint64_t begin = now(), due = begin, step = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
    counting_from = begin + (uint64_t)(warm * 1e9);
    ends = counting_from + (uint64_t)(seconds * 1e9);
    int ticks = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event tick = {.events = EPOLLIN}, happened[64];
    struct itimerspec every = {{0, (long)step}, {0, 1}};
    if (rate > 0 && (timerfd_settime(ticks, 0, &every, NULL) || epoll_ctl(events, EPOLL_CTL_ADD, ticks, &tick)))
        stop("timer");
    for (;;) {
        uint64_t at = now();
        size_t waiting = 0;
        for (size_t i = 0; i < client_count; i++) {
            struct client *c = &clients[i];
            if (!c->waiting && rate > 0 && due <= at && due < ends) {
                ask(c, due);
                due += step;
            } else if (!c->waiting && rate <= 0 && at < ends) {
                ask(c, at);
            }
            waiting += c->waiting;
        }
        bool open = rate > 0 ? due < ends : at < ends;
        if ((!open && !waiting) || at > ends + DRAIN) {
            failed += waiting + (open && step ? (size_t)((ends - due) / step) : 0);
            break;
        }
        int number = epoll_wait(events, happened, 64, 50);
        for (int i = 0; i < number; i++) {
            uint64_t times_up;
            if (happened[i].data.ptr)
                hear(happened[i].data.ptr);
            else if (read(ticks, &times_up, sizeof times_up) < 0)
                continue;
        }
    }
    qsort(times, time_count, sizeof *times, by_size);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"answers\":%zu,\"per_second\":%.2f,\"p50\":%.3f,\"p99\":%.3f,\"worst\":%.3f,\"refused\":%zu,\"failed\":%zu,"
           "\"unchained\":%zu,\"driver_cpu\":%.3f,\"first_status\":%d,\"first_refusal\":\"%s\"}\n",
           time_count, (double)counted / seconds, part(0.5), part(0.99), part(1), refused, failed, unchained, cpu,
           first_status, first_refusal);
    return 0;
}
