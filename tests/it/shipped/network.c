/*
 * Workloads of the network, each in a network namespace of its own where nobody
 * else is. What the kernel counted there is printed at the end, a name and a
 * number in each line, beside what the workload knows itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7000
#define CLOSED_PORT 7001

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

#define MUST(call)            \
    ({                        \
        long result = (call); \
        if (result < 0)       \
            fail(#call);      \
        result;               \
    })

/* Of those who connect and send, and of those who listen, who may take both. */
static int family = AF_INET, listening_family = AF_INET;

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* This machine's own address. */
static union address local(int family, int port)
{
    union address address = {};

    if (family == AF_INET) {
        address.ipv4.sin_port = htons(port);
        address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        address.ipv6.sin6_port = htons(port);
        address.ipv6.sin6_addr = in6addr_loopback;
    }
    address.any.sa_family = family;
    return address;
}

static void own_network(void)
{
    struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int any;

    MUST(unshare(CLONE_NEWNET));
    any = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(ioctl(any, SIOCSIFFLAGS, &interface));
    close(any);
}

static int bound(int type, int port)
{
    union address own = local(listening_family, port);
    int one = 1, listener = MUST(socket(listening_family, type, 0));

    if (listening_family != family)
        own.ipv6.sin6_addr = in6addr_any;
    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
    MUST(bind(listener, &own.any, sizeof(own)));
    if (type == SOCK_STREAM)
        MUST(listen(listener, 128));
    return listener;
}

static int connected(int port)
{
    union address peer = local(family, port);
    int client = MUST(socket(family, SOCK_STREAM, 0));

    MUST(connect(client, &peer.any, sizeof(peer)));
    return client;
}

/* Everything that comes to this socket from now on is dropped by a filter. */
static void deafen(int socket)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &nothing};

    MUST(setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

/* The end of a socket is a reset, at once. */
static void reset(int socket)
{
    struct linger at_once = {.l_onoff = 1};

    MUST(setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
    close(socket);
}

/* Each waits in the listener's queue for so many microseconds. */
static void connects(int times, int wait)
{
    int listener = bound(SOCK_STREAM, PORT);

    for (int i = 0; i < times; i++) {
        int client = connected(PORT), server;

        if (wait)
            usleep(wait);
        server = MUST(accept(listener, NULL, NULL));

        close(client);
        close(server);
    }
}

static void refused(int times)
{
    union address peer = local(family, CLOSED_PORT);

    for (int i = 0; i < times; i++) {
        int client = MUST(socket(family, SOCK_STREAM, 0));

        if (!connect(client, &peer.any, sizeof(peer)) || errno != ECONNREFUSED)
            fail("connect to a closed port");
        close(client);
    }
}

/* Connects that nobody answers: they time out after one more SYN, or their program gives up at once. */
static void unanswered(int times, int give_up)
{
    union address peer = local(family, PORT);
    int once = 1, clients[64];

    deafen(bound(SOCK_STREAM, PORT));
    for (int i = 0; i < times; i++) {
        clients[i] = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
        MUST(setsockopt(clients[i], IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once)));
        if (!connect(clients[i], &peer.any, sizeof(peer)) || errno != EINPROGRESS)
            fail("connect to a deaf listener");
        if (give_up)
            close(clients[i]);
    }
    for (int i = 0; i < times && !give_up; i++) {
        struct pollfd ready = {.fd = clients[i], .events = POLLOUT};
        int error = 0;
        socklen_t size = sizeof(error);

        MUST(poll(&ready, 1, 60000));
        MUST(getsockopt(clients[i], SOL_SOCKET, SO_ERROR, &error, &size));
        if (error != ETIMEDOUT)
            fail("a connect that nobody answers");
        close(clients[i]);
    }
}

static struct tcp_info info(int socket)
{
    struct tcp_info info = {};
    socklen_t size = sizeof(info);

    MUST(getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size));
    return info;
}

/* Data that a connected peer never gets, and an answer to a SYN that the client never gets. */
static void lost(int times)
{
    int listener = bound(SOCK_STREAM, PORT), client = connected(PORT);
    int server = MUST(accept(listener, NULL, NULL)), deaf;
    union address peer = local(family, PORT);

    deafen(server);
    MUST(write(client, "x", 1));
    deaf = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
    deafen(deaf);
    connect(deaf, &peer.any, sizeof(peer));
    while (info(client).tcpi_total_retrans < times || info(deaf).tcpi_total_retrans < 1)
        usleep(10000);
    close(listener);
    close(deaf);
    reset(client);
    /* It does not hear the other's reset, and would send its farewell again and again. */
    reset(server);
}

static void resets(int times)
{
    int listener = bound(SOCK_STREAM, PORT);

    for (int i = 0; i < times; i++) {
        int client = connected(PORT), server = MUST(accept(listener, NULL, NULL));

        reset(client);
        close(server);
    }
}

/* Single bytes of which each is answered only by a delayed acknowledgement, 40 ms later. */
static void slow_acknowledgements(int times)
{
    int listener = bound(SOCK_STREAM, PORT), client = connected(PORT), off = 0, segments;
    int server = MUST(accept(listener, NULL, NULL));
    unsigned least = -1, most = 0, ends[2] = {client, server};
    char byte;

    for (int i = 0; i < times; i++) {
        MUST(setsockopt(server, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off)));
        for (int end = 0; end < 2; end++) {
            unsigned rtt = info(ends[end]).tcpi_rtt;

            least = rtt < least ? rtt : least;
            most = rtt > most ? rtt : most;
        }
        MUST(write(client, "x", 1));
        MUST(read(server, &byte, 1));
        while (info(client).tcpi_unacked)
            usleep(1000);
    }
    for (int end = 0; end < 2; end++) {
        unsigned rtt = info(ends[end]).tcpi_rtt;

        most = rtt > most ? rtt : most;
    }
    /* The first segment of each end made the connection. */
    segments = info(client).tcpi_segs_in - 1 + info(server).tcpi_segs_in - 1;
    printf("segments %d\nleast_rtt %u\nmost_rtt %u\n", segments, least, most);
    /* Without a farewell, which would be more segments. */
    reset(client);
}

#define TCP_BYTES 3000
#define UDP_BYTES 700
#define UNIX_BYTES 90

/* Each message is sent by one call and taken by another one, after a look at it that takes nothing. */
static void messages(int sender, int receiver, int times, int size)
{
    static char message[4096];

    for (int i = 0; i < times; i++) {
        MUST(send(sender, message, size, 0));
        MUST(recv(receiver, message, 1, MSG_PEEK));
        if (recv(receiver, message, size, MSG_WAITALL) != size)
            fail("recv");
    }
}

static void traffic(int times)
{
    int listener = bound(SOCK_STREAM, PORT), client = connected(PORT);
    int server = MUST(accept(listener, NULL, NULL));
    int receiver = bound(SOCK_DGRAM, PORT), sender = MUST(socket(family, SOCK_DGRAM, 0)), pair[2];
    union address peer = local(family, PORT);

    messages(client, server, times, TCP_BYTES);
    MUST(connect(sender, &peer.any, sizeof(peer)));
    messages(sender, receiver, times * 2, UDP_BYTES);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    messages(pair[0], pair[1], times * 3, UNIX_BYTES);
}

/* A receiver that takes nothing meanwhile, and says at last how much there was room for. */
static void slow_receiver(int times)
{
    int receiver = bound(SOCK_DGRAM, PORT), sender = MUST(socket(family, SOCK_DGRAM, 0));
    int least = 1, received = 0;
    union address peer = local(family, PORT);
    char message[1000] = "";

    MUST(setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)));
    for (int i = 0; i < times; i++)
        MUST(sendto(sender, message, sizeof(message), 0, &peer.any, sizeof(peer)));
    while (recv(receiver, message, sizeof(message), MSG_DONTWAIT) >= 0)
        received++;
    printf("received %d\n", received);
}

/* Datagrams whose checksum is wrong, and as many again that a filter drops. */
static void drops(int times)
{
    int raw = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
    int receiver = bound(SOCK_DGRAM, PORT), sender = MUST(socket(family, SOCK_DGRAM, 0));
    union address peer = local(AF_INET, PORT), ip = local(AF_INET, 0);
    unsigned short datagram[5] = {htons(1), htons(PORT), htons(10), htons(0xbad1), 0};

    for (int i = 0; i < times; i++)
        MUST(sendto(raw, datagram, sizeof(datagram), 0, &ip.any, sizeof(ip)));
    /* Raw sockets see what comes in, too. */
    close(raw);
    deafen(receiver);
    for (int i = 0; i < times; i++)
        MUST(sendto(sender, "x", 1, 0, &peer.any, sizeof(peer)));
}

/* More connections than the queue of a listener that accepts none has room for. */
static void overflow(int times)
{
    union address peer = local(family, PORT);
    int listener = bound(SOCK_STREAM, PORT);

    MUST(listen(listener, 1));
    for (int i = 0; i < times; i++) {
        int client = MUST(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));

        if (connect(client, &peer.any, sizeof(peer)) && errno != EINPROGRESS)
            fail("connect to a full listener");
    }
    /* Each tries again after a second. */
    usleep(1500000);
    close(listener);
}

/* Prints what the kernel counted in this namespace: TcpRetransSegs, UdpInCsumErrors and so on. */
static void print_counts(const char *path)
{
    char names[8192], values[8192];
    FILE *file = fopen(path, "r");

    while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
        char *next_name, *next_value, *kind = strtok_r(names, " :", &next_name), *name, *value;

        strtok_r(values, " ", &next_value);
        while ((name = strtok_r(NULL, " \n", &next_name)) && (value = strtok_r(NULL, " \n", &next_value)))
            printf("%s%s %s\n", kind, name, value);
    }
}

int main(int count, char **words)
{
    char *what = words[1];
    int times = atoi(words[2]);

    if (count > 3)
        listening_family = AF_INET6;
    if (count > 3 && !strcmp(words[3], "ipv6"))
        family = AF_INET6;
    own_network();
    if (!strcmp(what, "connects"))
        connects(times, 0);
    else if (!strcmp(what, "late-accepts"))
        connects(times, 5000);
    else if (!strcmp(what, "refused"))
        refused(times);
    else if (!strcmp(what, "unanswered"))
        unanswered(times, 0);
    else if (!strcmp(what, "given-up"))
        unanswered(times, 1);
    else if (!strcmp(what, "lost"))
        lost(times);
    else if (!strcmp(what, "resets"))
        resets(times);
    else if (!strcmp(what, "slow-acknowledgements"))
        slow_acknowledgements(times);
    else if (!strcmp(what, "traffic"))
        traffic(times);
    else if (!strcmp(what, "slow-receiver"))
        slow_receiver(times);
    else if (!strcmp(what, "drops"))
        drops(times);
    else if (!strcmp(what, "overflow"))
        overflow(times);
    else
        return 2;
    print_counts("/proc/self/net/snmp");
    print_counts("/proc/self/net/netstat");
    return 0;
}
