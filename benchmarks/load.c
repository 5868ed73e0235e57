/* The clients: connects so many, counts every message of every one, times all messages of a few.
 *
 *   load PORT CLIENTS STUCK SAMPLED      STUCK more connections never read; SAMPLED of the clients are timed
 *
 * stdout: `ready PORT…` when all are connected (the local ports of the stuck ones), JSON after `finish`.
 * stdin:  `window FROM UNTIL`          Unix nanoseconds: what is timed, and the period of `window_events`
 *         `finish EXPECTED MS`         prints when all have EXPECTED samples (or were told), or after MS
 *         end of file                  ends
 * Latency is the arrival minus the `ts` of the event. Frames are walked, never searched: counts are exact.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAIL 4096 /* no message and no handshake is longer */
#define BUFFER (128 * 1024)
#define CONNECTING_MAX 50 /* less than a listener's backlog */
#define CONNECT_S 60
#define SAMPLES_MAX 8000000

enum { CONNECTING, ASKING, OPEN, CLOSED };

struct client {
    int fd, state, sampled, have;
    uint64_t positions, in_window, told, others;
    int64_t next; /* sampled: the number that should come */
    char tail[TAIL];
};

static struct client *clients;
static int total, stuck, opened, connecting, started, poller, closed, port;
static uint64_t told_by[3], gap_events, missing, disorder, timed;
static uint32_t *latencies; /* units of 100 ns */
static int64_t from_ns = INT64_MAX, until_ns = INT64_MAX, finish_ns = INT64_MAX, now;
static uint64_t expected;
static int finishing, reported;
static char buffer[TAIL + BUFFER];

static int64_t unix_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* What follows `name` in this text, a blank skipped; NULL if it is not there. */
static const char *after(const char *text, size_t length, const char *name)
{
    const char *found = memmem(text, length, name, strlen(name));
    if (!found)
        return NULL;
    found += strlen(name);
    return found + (*found == ' ');
}

static int64_t decimal_ns(const char *p)
{
    int64_t ns = 0, unit = 100000000;
    while (*p >= '0' && *p <= '9')
        ns = ns * 10 + (*p++ - '0');
    ns *= 1000000000;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            ns += (*p - '0') * unit;
    return ns;
}

static void time_message(struct client *c, const char *text, size_t length)
{
    const char *ts = after(text, length, "\"ts\":"), *raw = after(text, length, "\"position_raw\":");
    if (!ts || !raw)
        return;
    int64_t at = decimal_ns(ts), number = atoll(raw);
    if (at >= from_ns && at < until_ns && timed < SAMPLES_MAX)
        latencies[timed++] = now > at ? (now - at) / 100 : 0;
    int64_t ahead = (number - c->next) & 0xFFFFFF; /* the number is three octets wide */
    if (ahead < 0x800000) {
        missing += ahead;
        c->next = number + 1;
    } else
        disorder++;
}

static void gap(struct client *c, const char *text, size_t length)
{
    static const char *const places[] = {"client", "kernel", "bus"};
    const char *where = after(text, length, "\"where\":"), *skipped = after(text, length, "\"skipped\":");
    gap_events++;
    if (!where || !skipped)
        return;
    for (int i = 0; i < 3; i++)
        if (!strncmp(where + 1, places[i], strlen(places[i]))) {
            if (i == 0)
                c->told += strtoull(skipped, NULL, 10);
            if (i == 0 || c == clients) /* the others are told to everybody: counted at one */
                told_by[i] += strtoull(skipped, NULL, 10);
        }
}

static void message(struct client *c, const char *text, size_t length)
{
    /* {"proto":1,"type":"position_sample"… as written with and without blanks */
    size_t at = length > 40 && text[9] == ' ' ? 22 : 19;
    if (length <= at) {
        c->others++;
    } else if (text[at] == 'p') {
        c->positions++;
        c->in_window += now >= from_ns && now < until_ns;
        if (c->sampled)
            time_message(c, text, length);
    } else {
        c->others++;
        if (text[at] == 'g')
            gap(c, text, length);
    }
}

static void shut(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
    closed++;
}

static void control(struct client *c, int opcode, const char *data, size_t length)
{
    char answer[6 + 125] = {(char)0x80, (char)(0x80 | length)}; /* masked with zeros */
    answer[0] |= opcode == 9 ? 10 : 8;
    memcpy(answer + 6, data, length);
    if (opcode == 9 || opcode == 8)
        send(c->fd, answer, 6 + length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* All whole frames; returns how many octets they were. */
static size_t walk(struct client *c, const char *data, size_t length)
{
    size_t done = 0;
    while (length - done >= 2) {
        const uint8_t *p = (const uint8_t *)data + done;
        size_t header = 2, size = p[1];
        if (size == 126) {
            header = 4;
            if (length - done < header)
                break;
            size = p[2] << 8 | p[3];
        }
        if (size > TAIL - 4 || !(p[0] & 0x80) || p[1] > 126) {
            fprintf(stderr, "load: a frame that no event has: %02x %02x\n", p[0], p[1]);
            exit(1);
        }
        if (length - done < header + size)
            break;
        if (p[0] == 0x81)
            message(c, (const char *)p + header, size);
        else
            control(c, p[0] & 15, (const char *)p + header, size);
        done += header + size;
    }
    return done;
}

static void receive(struct client *c)
{
    memcpy(buffer, c->tail, c->have);
    ssize_t n = recv(c->fd, buffer + c->have, BUFFER, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            if (c->state != OPEN)
                fail("handshake");
            shut(c);
        }
        return;
    }
    now = unix_ns();
    size_t length = c->have + n, done = 0;
    if (c->state == ASKING) {
        const char *end = memmem(buffer, length, "\r\n\r\n", 4);
        if (end) {
            if (memcmp(buffer, "HTTP/1.1 101", 12)) {
                fprintf(stderr, "load: refused: %.60s\n", buffer);
                exit(1);
            }
            c->state = OPEN;
            opened++, connecting--;
            done = end + 4 - buffer;
            if (c - clients >= total) { /* stuck from here on */
                epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
                return;
            }
        }
    }
    if (c->state == OPEN)
        done += walk(c, buffer + done, length - done);
    c->have = length - done;
    if (c->have > TAIL) {
        fprintf(stderr, "load: a message of more than %d octets\n", TAIL);
        exit(1);
    }
    memcpy(c->tail, buffer + done, c->have);
}

static void start(struct client *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int small = 4096;
    if ((c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) < 0)
        fail("socket");
    if (c - clients >= total) /* or its own kernel would read for it for a while */
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect");
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    c->state = CONNECTING;
}

static void ask(struct client *c)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == ECONNREFUSED) { /* the server is starting */
        close(c->fd);
        usleep(5000);
        start(c);
        return;
    }
    if (error || send(c->fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->state = ASKING;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double latency_ms(double part)
{
    return timed ? latencies[(uint64_t)(part * (timed - 1))] / 1e4 : -1;
}

static void report(void)
{
    uint64_t positions = 0, least = UINT64_MAX, most = 0, in_window = 0, others = 0;
    for (struct client *c = clients; c < clients + total; c++) {
        positions += c->positions, in_window += c->in_window, others += c->others;
        least = c->positions < least ? c->positions : least;
        most = c->positions > most ? c->positions : most;
    }
    qsort(latencies, timed, sizeof *latencies, ascending);
    printf("{\"clients\":%d,\"closed\":%d,\"positions\":%llu,\"least\":%llu,\"most\":%llu,"
           "\"window_events\":%llu,\"others\":%llu,\"gap_events\":%llu,\"told_client\":%llu,"
           "\"told_kernel\":%llu,\"told_bus\":%llu,\"missing\":%llu,\"disorder\":%llu,\"timed\":%llu,"
           "\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f}\n",
           total, closed, (unsigned long long)positions, (unsigned long long)least,
           (unsigned long long)most, (unsigned long long)in_window, (unsigned long long)others,
           (unsigned long long)gap_events, (unsigned long long)told_by[0],
           (unsigned long long)told_by[1], (unsigned long long)told_by[2],
           (unsigned long long)missing, (unsigned long long)disorder, (unsigned long long)timed,
           latency_ms(0.5), latency_ms(0.99), latency_ms(1));
    fflush(stdout);
    reported = 1;
}

static int complete(void)
{
    for (struct client *c = clients; c < clients + total; c++)
        if (c->state == OPEN && c->positions + c->told < expected)
            return 0;
    return 1;
}

static void command(void)
{
    char line[256], *end;
    ssize_t n = read(0, line, sizeof line - 1);
    if (n <= 0)
        exit(0);
    line[n] = 0;
    for (char *p = line; *p; p = end) {
        if ((end = strchr(p, '\n')))
            *end++ = 0;
        else
            end = p + strlen(p);
        long long a, b;
        if (sscanf(p, "window %lld %lld", &a, &b) == 2)
            from_ns = a, until_ns = b;
        else if (sscanf(p, "finish %lld %lld", &a, &b) == 2)
            finishing = 1, expected = a, finish_ns = unix_ns() + b * 1000000;
    }
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    port = atoi(argv[1]), total = atoi(argv[2]), stuck = atoi(argv[3]);
    int all = total + stuck, sampled = atoi(argv[4]), told = 0;
    clients = calloc(all, sizeof *clients);
    latencies = malloc(SAMPLES_MAX * sizeof *latencies);
    sampled = sampled < total ? sampled : total;
    for (int i = 0; i < sampled; i++) /* the first and the last to be served among them */
        clients[sampled > 1 ? (int64_t)i * (total - 1) / (sampled - 1) : 0].sampled = 1;
    poller = epoll_create1(0);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &input);
    int64_t give_up = unix_ns() + CONNECT_S * 1000000000LL;
    for (;;) {
        while (started < all && connecting < CONNECTING_MAX) {
            start(&clients[started++]);
            connecting++;
        }
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, opened < all || finishing ? 10 : 1000);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (!c)
                command();
            else if (c->state == CONNECTING)
                ask(c);
            else if (c->fd >= 0)
                receive(c);
        }
        if (opened < all && unix_ns() > give_up)
            fail("not all connected in time");
        if (opened == all && !told) {
            told = 1;
            printf("ready");
            for (struct client *c = clients + total; c < clients + all; c++) {
                struct sockaddr_in own;
                socklen_t size = sizeof own;
                getsockname(c->fd, (struct sockaddr *)&own, &size);
                printf(" %d", ntohs(own.sin_port));
            }
            printf("\n");
            fflush(stdout);
        }
        if (finishing && !reported && (complete() || unix_ns() > finish_ns))
            report();
    }
}
