/* The simulated bus: CAN frames into a descriptor, at an exact rate, each frame numbered.
 *
 *   generate DESCRIPTOR RATE SECONDS        RATE 0: as fast as the reader takes them
 *
 * Identifiers 0x80 and 0x81 in turn; the three position octets count the frames, so that one client can
 * prove order and completeness. A frame that the reader's queue has no room for is lost, as on a bus, and
 * counted. Prints JSON. Deadlines are absolute: a late start of one burst does not lower the rate.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/can.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST_NS 250000 /* no shorter sleeps: at high rates they would cost more than the frames */
#define BATCH 64

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000LL, ns % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static void number(struct can_frame *frame, uint64_t i)
{
    frame->can_id = 0x80 + (i & 1);
    frame->can_dlc = 4;
    frame->data[0] = i >> 16;
    frame->data[1] = i >> 8;
    frame->data[2] = i;
}

/* 1: sent, 0: no room */
static int send_one(int fd, uint64_t i)
{
    struct can_frame frame = {0};
    number(&frame, i);
    while (send(fd, &frame, sizeof frame, MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN || errno == ENOBUFS)
            return 0;
        if (errno != EINTR) {
            perror("generate: send");
            exit(1);
        }
    }
    return 1;
}

static uint64_t flat_out(int fd, int64_t end)
{
    static struct can_frame frames[BATCH];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    uint64_t sent = 0;
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){&frames[i], sizeof frames[i]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (now_ns() < end) {
        for (int i = 0; i < BATCH; i++)
            number(&frames[i], sent + i);
        /* Waits for room at most 50 ms (SO_SNDTIMEO): a reader that has stopped must not keep us. */
        int n = sendmmsg(fd, messages, BATCH, 0);
        if (n > 0)
            sent += n;
        else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR) {
            perror("generate: sendmmsg");
            exit(1);
        }
    }
    return sent;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    /* A sensor has a processor of its own; without the right to this it is merely less punctual. */
    struct sched_param first = {.sched_priority = 1};
    int fd = atoi(argv[1]);
    double rate = atof(argv[2]);
    int64_t began = now_ns(), end = began + (int64_t)(atof(argv[3]) * 1e9), late_max = 0;
    uint64_t offered = 0, refused = 0;
    if (rate <= 0) {
        struct timeval patience = {0, 50000};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        offered = flat_out(fd, end);
    } else {
        sched_setscheduler(0, SCHED_RR, &first);
        uint64_t total = (uint64_t)(atof(argv[3]) * rate);
        while (offered < total) {
            int64_t due = began + (int64_t)(offered / rate * 1e9), now = now_ns();
            if (due > now) {
                int64_t wake = now + BURST_NS;
                sleep_until(due > wake ? due : wake);
                continue;
            }
            if (now - due > late_max)
                late_max = now - due;
            refused += !send_one(fd, offered++);
        }
    }
    printf("{\"offered\":%llu,\"refused\":%llu,\"seconds\":%.6f,\"late_max_ms\":%.3f}\n",
           (unsigned long long)offered, (unsigned long long)refused, (now_ns() - began) / 1e9,
           late_max / 1e6);
    return 0;
}
