/* The floor under "one write per event and client": what it costs without any interpreter.
 *
 *   floor DESCRIPTOR PORT       CAN frames from the descriptor, JSON text messages to every client
 *
 * One thread, epoll, one send() per event and client. A client that does not take its message at once
 * misses events until the rest of that message has gone. Nothing is checked that a benchmark does not need.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/can.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 4096
#define DRAIN 256
#define REQUEST_MAX 2048
#define MESSAGE_MAX 256

struct client {
    int fd, ready, have, rest;
    char request[REQUEST_MAX], pending[MESSAGE_MAX];
};
static struct client *clients[CLIENTS_MAX];
static int count, poller;

/* SHA-1 (FIPS 180-4) of up to 119 octets: two blocks are enough for a WebSocket key. */
static uint32_t roll(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const char *text, size_t length, uint8_t digest[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
    uint8_t data[128] = {0};
    size_t blocks = length > 55 ? 2 : 1;
    memcpy(data, text, length);
    data[length] = 0x80;
    for (int i = 0; i < 4; i++)
        data[blocks * 64 - 1 - i] = length * 8 >> 8 * i;
    for (size_t block = 0; block < blocks; block++) {
        for (int i = 0; i < 16; i++) {
            const uint8_t *p = data + block * 64 + i * 4;
            w[i] = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
        }
        for (int i = 16; i < 80; i++)
            w[i] = roll(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5A827999
                         : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                         : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                                  : (b ^ c ^ d) + 0xCA62C1D6;
            uint32_t next = roll(a, 5) + f + e + w[i];
            e = d, d = c, c = roll(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++)
        digest[i] = h[i / 4] >> (24 - 8 * (i % 4));
}

static void base64(const uint8_t in[20], char out[29])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0, o = 0; i < 20; i += 3) {
        uint32_t v = in[i] << 16 | in[i + 1] << 8 | (i + 2 < 20 ? in[i + 2] : 0);
        for (int k = 18; k >= 0; k -= 6)
            out[o++] = digits[v >> k & 63];
    }
    out[27] = '=', out[28] = 0;
}

static void drop(struct client *client)
{
    close(client->fd);
    for (int i = 0; i < count; i++)
        if (clients[i] == client)
            clients[i] = clients[--count];
    free(client);
}

static void watch(int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (count == CLIENTS_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct client *client = calloc(1, sizeof *client);
        client->fd = fd;
        clients[count++] = client;
        watch(fd, client);
    }
}

static void hear(struct client *client)
{
    if (client->ready) { /* pongs and the like */
        char scratch[4096];
        ssize_t n = recv(client->fd, scratch, sizeof scratch, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            drop(client);
        return;
    }
    ssize_t n = recv(client->fd, client->request + client->have, REQUEST_MAX - 1 - client->have, 0);
    if (n <= 0) {
        drop(client);
        return;
    }
    client->have += n;
    if (!strstr(client->request, "\r\n\r\n"))
        return;
    char *key = strcasestr(client->request, "Sec-WebSocket-Key: "), text[80], accept[29], answer[256];
    uint8_t digest[20];
    if (!key) {
        drop(client);
        return;
    }
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    sha1(text, strlen(text), digest);
    base64(digest, accept);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                          accept);
    send(client->fd, answer, length, MSG_NOSIGNAL);
    client->ready = 1;
}

static void give(struct client *client, const char *message, int length)
{
    if (client->rest) {
        ssize_t n = send(client->fd, client->pending, client->rest, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            client->rest -= n;
            memmove(client->pending, client->pending + n, client->rest);
        }
        if (client->rest)
            return;
    }
    ssize_t n = send(client->fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0 && n < length) {
        client->rest = length - n;
        memcpy(client->pending, message + n, client->rest);
    }
}

static void forward(int fd)
{
    for (int k = 0; k < DRAIN; k++) {
        struct can_frame frame;
        char control[64], message[MESSAGE_MAX];
        struct iovec part = {&frame, sizeof frame};
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                                .msg_controllen = sizeof control};
        if (recvmsg(fd, &header, MSG_DONTWAIT) != sizeof frame || (frame.can_id & ~1u) != 0x80)
            return;
        struct timespec ts = {0};
        struct cmsghdr *stamp = CMSG_FIRSTHDR(&header);
        if (stamp)
            memcpy(&ts, CMSG_DATA(stamp), sizeof ts);
        int length = snprintf(message + 4, sizeof message - 4,
                              "{\"proto\":1,\"type\":\"position_sample\",\"ts\":%lld.%07ld,\"source\":"
                              "\"les02\",\"payload\":{\"channel\":\"%s\",\"position_raw\":%d}}",
                              (long long)ts.tv_sec, ts.tv_nsec / 100,
                              frame.can_id & 1 ? "slave" : "master",
                              frame.data[0] << 16 | frame.data[1] << 8 | frame.data[2]);
        message[0] = (char)0x81, message[1] = 126;
        message[2] = length >> 8, message[3] = length;
        char *start = message;
        if (length < 126) {
            start = message + 2;
            start[0] = (char)0x81, start[1] = length;
        }
        for (int i = 0; i < count; i++)
            if (clients[i]->ready)
                give(clients[i], start, length + (start == message ? 4 : 2));
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int can = atoi(argv[1]), on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 256)) {
        perror("floor: listen");
        return 1;
    }
    poller = epoll_create1(0);
    watch(listener, &listener);
    watch(can, &can);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            if (what == &listener)
                accept_all(listener);
            else if (what == &can)
                forward(can);
            else
                hear(what); /* each client is at most once in `events`: dropping one is safe */
        }
    }
}
