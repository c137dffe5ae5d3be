/*
 * Does one thing after another that programs can be attached to, each so many times that whoever
 * counts it has to say that number, as a member of a control group where nobody else is.
 *
 *   called <control group> <times>
 *   called streams <control group> <times>
 *                                    sends over connections, and chooses their congestion control
 *   called netkit                    makes the pair of interfaces nk0 and nk1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "called.h"

#define MUST(call)                 \
    ({                             \
        long result = (call);      \
        if (result < 0) {          \
            perror("called: " #call); \
            exit(1);               \
        }                          \
        result;                    \
    })

#define TIMES for (int turn = 0; turn < times; turn++)

/* A probe of its own, as <sys/sdt.h> would make it. */
__asm__(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
        ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
        ".size _.stapsdt.base, 1\n.popsection\n");

__attribute__((noinline)) int probed(int x)
{
    __asm__ volatile("990: nop\n.pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n"
                     ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"
                     "993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte 0\n.asciz \"bpftally\"\n"
                     ".asciz \"called\"\n.asciz \"\"\n994: .balign 4\n.popsection\n");
    return x + 1;
}

static void join(const char *group)
{
    char path[4096];
    int procs;

    snprintf(path, sizeof(path), "%s/cgroup.procs", group);
    procs = MUST(open(path, O_WRONLY));
    MUST(write(procs, "0", 1));
    close(procs);
}

static void calls(int times)
{
    int file = MUST(open("/init", O_RDONLY));
    void *place = (void *)PAGES_AT;
    volatile char *pages = mmap(place, times * 4096L, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (pages != place) {
        perror("called: mmap");
        exit(1);
    }
    /* Refused, since the file is only for reading. */
    TIMES syscall(FALLOCATE, file, 0, 0L, 1L);
    TIMES probed(turn);
    TIMES pages[turn * 4096L] = 1;
    close(file);
    TIMES close(MUST(open("/dev/null", O_RDONLY)));
    TIMES {
        char text[64];

        file = MUST(open("/proc/sys/kernel/ostype", O_RDONLY));
        MUST(read(file, text, sizeof(text)));
        close(file);
    }
}

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

static socklen_t local(union address *address, int family, int port)
{
    memset(address, 0, sizeof(*address));
    address->any.sa_family = family;
    switch (family) {
    case AF_INET:
        address->ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address->ipv4.sin_port = htons(port);
        return sizeof(address->ipv4);
    case AF_INET6:
        address->ipv6.sin6_addr = in6addr_loopback;
        address->ipv6.sin6_port = htons(port);
        return sizeof(address->ipv6);
    default:
        snprintf(address->local.sun_path, sizeof(address->local.sun_path), "/tmp/called-%d", port);
        return sizeof(address->local);
    }
}

/* Datagrams from one socket to another, and what can be asked of sockets. */
static void datagrams(int family, int times)
{
    union address to, own;
    socklen_t size = local(&to, family, PORT), length;
    int receiver, sender, connected;
    char payload[PAYLOAD] = {};

    if (family == AF_UNIX)
        unlink(to.local.sun_path);
    receiver = MUST(socket(family, SOCK_DGRAM, 0));
    MUST(bind(receiver, &to.any, size));
    sender = MUST(socket(family, SOCK_DGRAM, 0));
    if (family == AF_UNIX) {
        union address named;
        socklen_t of_named = local(&named, family, PORT + 1);

        unlink(named.local.sun_path);
        MUST(bind(sender, &named.any, of_named));
    }
    TIMES {
        union address from;

        length = sizeof(from);
        MUST(sendto(sender, payload, sizeof(payload), 0, &to.any, size));
        MUST(recvfrom(receiver, payload, sizeof(payload), 0, &from.any, &length));
    }
    TIMES MUST(getsockname(receiver, &own.any, (length = sizeof(own), &length)));
    connected = MUST(socket(family, SOCK_DGRAM, 0));
    TIMES MUST(connect(connected, &to.any, size));
    TIMES MUST(getpeername(connected, &own.any, (length = sizeof(own), &length)));
    close(connected);
    close(sender);
    close(receiver);
}

static void connections(int times)
{
    union address to;
    socklen_t size = local(&to, AF_INET, PORT);
    socklen_t length;
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), one = 1;

    TIMES MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
    TIMES MUST(getsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, (length = sizeof(one), &length)));
    MUST(bind(listener, &to.any, size));
    TIMES MUST(listen(listener, 8));
    TIMES {
        int client = MUST(socket(AF_INET, SOCK_STREAM, 0));

        MUST(connect(client, &to.any, size));
        close(MUST(accept(listener, NULL, NULL)));
        close(client);
    }
    close(listener);
    TIMES close(MUST(socket(AF_INET, SOCK_RAW, 253)));
}

/* One who listens to connections. */
static int server(union address *address, int port)
{
    socklen_t size = local(address, AF_INET, port);
    int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), one = 1;

    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
    MUST(bind(listener, &address->any, size));
    MUST(listen(listener, 8));
    return listener;
}

static int client(const union address *to)
{
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));

    MUST(connect(client, &to->any, sizeof(to->ipv4)));
    return client;
}

/* The next message is sent when this one was received: each of them is alone on its way. */
static void message(int from, int to)
{
    char bytes[STREAM] = {};

    MUST(send(from, bytes, sizeof(bytes), 0));
    if (MUST(recv(to, bytes, sizeof(bytes), MSG_WAITALL)) != sizeof(bytes)) {
        fprintf(stderr, "called: a message is not whole\n");
        exit(1);
    }
}

static void streams(int port, int times)
{
    union address address;
    int listener = server(&address, port), near = client(&address), far = MUST(accept(listener, NULL, NULL));

    TIMES {
        message(near, far);
        message(far, near);
    }
    close(near);
    close(far);
    close(listener);
}

/* Connections choose it, if it is there. */
static void control(const char *name, int times)
{
    union address address;
    int listener = server(&address, STREAM_PORT + STREAM_PORTS), is_there = 1;

    for (int turn = 0; turn < times && is_there; turn++) {
        int near = client(&address), far = MUST(accept(listener, NULL, NULL));

        is_there = setsockopt(near, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)) == 0;
        close(near);
        close(far);
    }
    close(listener);
}

static void frames(const char *name, int times)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(name), .sll_halen = 6};
    char frame[FRAME] = {[12] = 0x88, [13] = 0xb5};
    int sender;

    if (to.sll_ifindex == 0)
        return;
    sender = MUST(socket(AF_PACKET, SOCK_RAW, 0));
    TIMES MUST(sendto(sender, frame, sizeof(frame), 0, (void *)&to, sizeof(to)));
    close(sender);
}

/* An attribute of a message of rtnetlink, at its end; what follows until `end` is in it. */
static struct rtattr *attribute(struct nlmsghdr *message, int type, const void *data, int size)
{
    struct rtattr *attribute = (void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));

    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(size);
    if (size)
        memcpy(RTA_DATA(attribute), data, size);
    message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_SPACE(size);
    return attribute;
}

static void end(struct nlmsghdr *message, struct rtattr *attribute)
{
    attribute->rta_len = (char *)message + message->nlmsg_len - (char *)attribute;
}

static void up(const char *name)
{
    struct ifreq interface = {.ifr_flags = IFF_UP};
    int any = MUST(socket(AF_INET, SOCK_DGRAM, 0));

    strcpy(interface.ifr_name, name);
    MUST(ioctl(any, SIOCSIFFLAGS, &interface));
    close(any);
}

/* 1 when this kernel has no such interfaces. */
static int netkit(void)
{
    enum { PEER = 1, MODE = 5, LAYER_2 = 0 };
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
        char rest[512];
    } message = {
        .head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
    };
    struct ifinfomsg peer_link = {};
    struct rtattr *information, *data, *peer;
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        char rest[1024];
    } answer;
    int mode = LAYER_2, netlink = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));

    attribute(&message.head, IFLA_IFNAME, "nk0", 4);
    information = attribute(&message.head, IFLA_LINKINFO, NULL, 0);
    attribute(&message.head, IFLA_INFO_KIND, "netkit", 6);
    data = attribute(&message.head, IFLA_INFO_DATA, NULL, 0);
    attribute(&message.head, MODE, &mode, sizeof(mode));
    peer = attribute(&message.head, PEER, &peer_link, sizeof(peer_link));
    attribute(&message.head, IFLA_IFNAME, "nk1", 4);
    end(&message.head, peer);
    end(&message.head, data);
    end(&message.head, information);
    MUST(send(netlink, &message, message.head.nlmsg_len, 0));
    MUST(recv(netlink, &answer, sizeof(answer), 0));
    if (answer.error.error != 0) {
        fprintf(stderr, "netkit: %s\n", strerror(-answer.error.error));
        return 1;
    }
    up("nk0");
    up("nk1");
    return 0;
}

int main(int count, char **arguments)
{
    int times, ipv6;

    if (count == 2)
        return netkit();
    times = atoi(arguments[count - 1]);
    join(arguments[count - 2]);
    if (count == 4) {
        for (int port = 0; port < STREAM_PORTS; port++)
            streams(STREAM_PORT + port, times);
        control(CONTROL, times);
        control(CONTROL_BY_LINK, times);
        control(CONTROL_SLEEPABLE, times);
        return 0;
    }
    calls(times);
    datagrams(AF_INET, times);
    ipv6 = socket(AF_INET6, SOCK_DGRAM, 0);
    if (ipv6 >= 0) {
        close(ipv6);
        datagrams(AF_INET6, times);
    }
    datagrams(AF_UNIX, times);
    connections(times);
    frames("nk0", times);
    frames("nk1", times);
    return 0;
}
