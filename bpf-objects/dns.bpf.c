// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DNS at this host's sockets: queries, responses, how long answers took, and
 * which never came.
 *
 * The hooks are those of a control group: where a packet leaves a socket, whole
 * and not yet in fragments, and where it is given to one, whole again. Forwarded
 * packets have no socket here and are not seen. A message that is sent counts
 * where it is sent, one that is received where it is received. On loopback both
 * are here: there it counts at the client's socket alone.
 *
 * Functions that are not static are there for the verifier. It looks at each of
 * them once, for whatever it is called with, and knows nothing of the number that
 * it gives; so the rest of a program is not looked at anew for each way through it.
 * Before Linux 6.5 it would be, and 10,000 instructions were half a million.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "include/events.bpf.h"
#include "include/maps.bpf.h"
#include "include/packets.bpf.h"

/* 2^25 us is 34 s. */
#define MAX_LATENCY_SLOT 25

#define LOOPBACK_IFINDEX 1
#define MAX_LABELS 127
#define MAX_NAME 255
#define MAX_LABEL 63

/* The port that servers have. */
const volatile u16 dns_port = 53;
/* How long a query waits for its answer. */
const volatile u64 timeout_ns = 5000000000;
/* Whether there is an event with its name for each response, and for each query that times out. */
const volatile bool names = false;

/* Types that have a label of their own. */
#define DNS_TYPES(type) \
    type(A, 1)          \
    type(NS, 2)         \
    type(CNAME, 5)      \
    type(SOA, 6)        \
    type(PTR, 12)       \
    type(HINFO, 13)     \
    type(MX, 15)        \
    type(TXT, 16)       \
    type(AAAA, 28)      \
    type(LOC, 29)       \
    type(SRV, 33)       \
    type(NAPTR, 35)     \
    type(DNAME, 39)     \
    type(DS, 43)        \
    type(SSHFP, 44)     \
    type(RRSIG, 46)     \
    type(NSEC, 47)      \
    type(DNSKEY, 48)    \
    type(NSEC3, 50)     \
    type(TLSA, 52)      \
    type(CDS, 59)       \
    type(CDNSKEY, 60)   \
    type(SVCB, 64)      \
    type(HTTPS, 65)     \
    type(IXFR, 251)     \
    type(AXFR, 252)     \
    type(ANY, 255)      \
    type(URI, 256)      \
    type(CAA, 257)

#define DNS_TYPE_MEMBER(name, number) DNS_TYPE_##name = number,
enum dns_type {
    DNS_TYPES(DNS_TYPE_MEMBER)
    /* Numbers that no record has. */
    DNS_TYPE_none = 0,
    DNS_TYPE_other = 65535,
};

/* The low four bits of a response's flags. */
enum dns_rcode {
    DNS_RCODE_NOERROR,
    DNS_RCODE_FORMERR,
    DNS_RCODE_SERVFAIL,
    DNS_RCODE_NXDOMAIN,
    DNS_RCODE_NOTIMP,
    DNS_RCODE_REFUSED,
    DNS_RCODE_YXDOMAIN,
    DNS_RCODE_YXRRSET,
    DNS_RCODE_NXRRSET,
    DNS_RCODE_NOTAUTH,
    DNS_RCODE_NOTZONE,
    DNS_RCODE_DSOTYPENI,
};

/* What the socket is to the other side. */
enum dns_role {
    DNS_ROLE_CLIENT,
    DNS_ROLE_SERVER,
};

enum dns_protocol {
    DNS_PROTOCOL_TCP = PACKET_TCP,
    DNS_PROTOCOL_UDP = PACKET_UDP,
};

enum dns_fault {
    /* Shorter than a header. */
    DNS_FAULT_SHORT,
    /* A response to the port of servers, or a query from it. */
    DNS_FAULT_DIRECTION,
    /* The name in the question is none, or longer than the message. */
    DNS_FAULT_NAME,
    /* Behind the name there is no type and class. */
    DNS_FAULT_QUESTION,
};

enum dns_unanswered {
    DNS_UNANSWERED_TIMEOUT,
    /* Asked again under the same number from the same port. */
    DNS_UNANSWERED_REPEATED,
    /* Too many newer queries came meanwhile. */
    DNS_UNANSWERED_DISPLACED,
    /* No room to remember it. */
    DNS_UNANSWERED_UNTRACKED,
};

enum dns_outcome {
    DNS_OUTCOME_RESPONSE,
    DNS_OUTCOME_TIMEOUT,
};

struct dns_header {
    __be16 id;
    __be16 flags;
    __be16 questions;
    __be16 records[3];
};

#define FLAG_RESPONSE 0x8000
#define FLAG_TRUNCATED 0x0200
/* The opcode is 0 for all but updates and notifications, and one bit is always 0. */
#define FLAGS_UNLIKELY 0x7840
#define FLAGS_RCODE 0x000f

/* Where a message is in its packet, as the one number that a function can give. */
union place {
    struct {
        u64 begin : 20;
        u64 end : 20;
        /* Of the whole message, which may go on in the next segment. */
        u64 bytes : 16;
        /* Over TCP it may be the midst of a message before it. */
        u64 is_certain : 1;
        u64 is_there : 1;
    };
    u64 number;
};

/* What follows from its ports and flags, as one number, too. */
union course {
    struct {
        u32 role : 1;
        u32 is_response : 1;
        /* A response to the port of servers, or a query from it. */
        u32 is_astray : 1;
        /* On loopback both ends are here; it counts at the other one. */
        u32 is_elsewhere : 1;
    };
    u32 number;
};

/* One message, as far as it was understood. */
struct message {
    union place place;
    u32 name_bytes;
    u16 source_port;
    u16 destination_port;
    u16 id;
    u16 flags;
    enum dns_type type;
    enum dns_role role;
    enum dns_protocol protocol;
    bool sent;
};

struct peer_key {
    enum dns_role role;
    enum dns_protocol protocol;
};

struct query_key {
    enum dns_role role;
    enum dns_protocol protocol;
    enum dns_type type;
};

struct response_key {
    enum dns_role role;
    enum dns_protocol protocol;
    enum dns_type type;
    enum dns_rcode rcode;
};

struct fault_key {
    enum dns_role role;
    enum dns_protocol protocol;
    enum dns_fault fault;
};

struct unanswered_key {
    enum dns_role role;
    enum dns_protocol protocol;
    enum dns_unanswered reason;
};

struct messages {
    u64 messages;
    u64 bytes;
    u64 truncated;
};

struct latency_key {
    enum dns_role role;
    enum dns_protocol protocol;
    u64 bucket;
};

/* What only a query and its response have in common. */
struct exchange_key {
    u64 socket;
    struct packet_address remote;
    u16 remote_port;
    u16 local_port;
    u16 id;
    u8 protocol;
    u8 role;
};

struct pending {
    u64 sent_at;
    /* 1, so that a sum over the map is their number. */
    u64 queries;
};

struct deadline {
    struct exchange_key key;
    u64 sent_at;
};

/* A power of two. */
#define DEADLINES 65536

/* The queries of the last seconds in their order, answered or not, so that what times out is found. */
struct deadlines {
    struct bpf_spin_lock lock;
    u32 oldest;
    u32 next;
    struct deadline ring[DEADLINES];
};

/* What was asked, in wire format, up to and without the last zero. */
struct question {
    enum dns_type type;
    u8 name[MAX_NAME + 1];
};

/* How a question ended. */
struct dns_exchange {
    u64 latency_us;
    enum dns_outcome outcome;
    enum dns_role role;
    enum dns_protocol protocol;
    enum dns_rcode rcode;
    struct question question;
};

#define HASH(kind, entries, key_type, value_type, name) \
    struct {                                            \
        __uint(type, kind);                             \
        __uint(max_entries, entries);                   \
        __type(key, key_type);                          \
        __type(value, value_type);                      \
    } name SEC(".maps")

/* Two roles, two protocols, 31 types: there is room for all. */
HASH(BPF_MAP_TYPE_PERCPU_HASH, 128, struct query_key, struct messages, dns_queries);
/* The same and 16 rcodes: 1984. */
HASH(BPF_MAP_TYPE_PERCPU_HASH, 2048, struct response_key, struct messages, dns_responses);
/* Two roles, two protocols; slots 0 to 25 and the sum. */
HASH(BPF_MAP_TYPE_PERCPU_HASH, 108, struct latency_key, u64, dns_response_latency_seconds);
HASH(BPF_MAP_TYPE_HASH, 4, struct peer_key, u64, dns_unmatched);
/* The same and four of each enum. */
HASH(BPF_MAP_TYPE_HASH, 16, struct fault_key, u64, dns_malformed);
HASH(BPF_MAP_TYPE_HASH, 16, struct unanswered_key, u64, dns_unanswered);

/* Queries without an answer at one time; one that finds it full is counted, and not followed. */
HASH(BPF_MAP_TYPE_HASH, 16384, struct exchange_key, struct pending, dns_pending);

/*
 * What pending queries ask for, where events tell it. It takes memory (some 370 bytes an entry) only as long
 * as they are pending; one that finds it full has no event when it times out, which is counted as map_full.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 4096);
    __type(key, struct exchange_key);
    __type(value, struct question);
} dns_questions SEC(".maps");

static const struct question no_question = {};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct deadlines);
} dns_deadlines SEC(".maps");

/* 900 events; without a limit a busy second of some thousands has its place when it is read in time. */
EVENT_STREAM(dns_events, struct dns_exchange, 256 * 1024);

/* When overdue queries were last looked for, in ticks of the kernel. */
u64 swept_at = 0;

/* Behind a query two are looked at, behind any packet so many, at most once in so many ticks. */
#define SWEEP_BY_QUERY 2
#define SWEEP_BY_PACKET 128
#define SWEEP_TICKS 4

/*
 * Everything is added atomically, to memory of one CPU too: a message that is
 * received may interrupt, on the same CPU, the program that sees one sent.
 */
static __always_inline void count_message(void *map, const void *key, const struct message *message)
{
    struct messages zero = {}, *value = bpf_map_lookup_elem(map, key);

    if (!value) {
        bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
        value = bpf_map_lookup_elem(map, key);
        if (!value)
            return;
    }
    __sync_fetch_and_add(&value->messages, 1);
    __sync_fetch_and_add(&value->bytes, message->place.bytes);
    if (message->flags & FLAG_TRUNCATED)
        __sync_fetch_and_add(&value->truncated, 1);
}

static __always_inline void count_fault(const struct message *message, enum dns_fault fault)
{
    struct fault_key key = {message->role, message->protocol, fault};

    if (!message->place.is_certain)
        return;
    increment_map(&dns_malformed, &key, 1);
}

/*
 * Tells of a query that nobody answered. Who forgot it as pending is the only one who does. Not inlined: its
 * callers are many, and it is long.
 */
static __noinline void send_timeout(const struct exchange_key *exchange)
{
    struct question *question = bpf_map_lookup_elem(&dns_questions, exchange);
    struct dns_exchange *event;

    if (!question) {
        event_lost(dns_events, map_full);
        return;
    }
    event = reserve_event(dns_events, struct dns_exchange, true);
    if (!event)
        return;
    event->latency_us = 0;
    event->outcome = DNS_OUTCOME_TIMEOUT;
    event->role = exchange->role;
    event->protocol = exchange->protocol;
    event->rcode = 0;
    __builtin_memcpy(&event->question, question, sizeof(event->question));
    bpf_ringbuf_submit(event, 0);
}

static __always_inline void forget_question(const struct exchange_key *exchange)
{
    if (names)
        bpf_map_delete_elem(&dns_questions, exchange);
}

static __always_inline void count_unanswered(const struct exchange_key *exchange, enum dns_unanswered reason)
{
    struct unanswered_key key = {exchange->role, exchange->protocol, reason};

    increment_map(&dns_unanswered, &key, 1);
    if (names && reason == DNS_UNANSWERED_TIMEOUT)
        send_timeout(exchange);
    forget_question(exchange);
}

static __always_inline bool is_overdue(u64 sent_at, u64 now)
{
    /* Another CPU may have sent it after this one read the clock. */
    return (s64) (now - sent_at) >= (s64) timeout_ns;
}

/*
 * Forgets a query that is still pending as of `sent_at`. Of several that try,
 * such as its response meanwhile, one succeeds, and counts it.
 */
static __always_inline void give_up(const struct deadline *deadline, enum dns_unanswered reason)
{
    struct pending *pending = bpf_map_lookup_elem(&dns_pending, &deadline->key);

    if (pending && pending->sent_at == deadline->sent_at && !bpf_map_delete_elem(&dns_pending, &deadline->key))
        count_unanswered(&deadline->key, reason);
}

/* Takes the oldest deadline if it has passed. */
static __always_inline bool take_overdue(struct deadlines *all, u64 now, struct deadline *taken)
{
    bool is_taken = false;

    bpf_spin_lock(&all->lock);
    if (all->oldest != all->next) {
        *taken = all->ring[all->oldest % DEADLINES];
        is_taken = is_overdue(taken->sent_at, now);
        all->oldest += is_taken;
    }
    bpf_spin_unlock(&all->lock);
    return is_taken;
}

/* Gives up the oldest query if it is overdue; whether it was. */
__noinline int sweep_one(u64 now)
{
    u32 zero = 0;
    struct deadlines *all = bpf_map_lookup_elem(&dns_deadlines, &zero);
    struct deadline taken = {};

    if (!all || !take_overdue(all, now, &taken))
        return false;
    give_up(&taken, DNS_UNANSWERED_TIMEOUT);
    return true;
}

/* Whether all that is overdue was found. */
__noinline int sweep(u32 most)
{
    u64 now = bpf_ktime_get_ns();

    for (u32 i = 0; i < SWEEP_BY_PACKET && i < most; i++) {
        if (!sweep_one(now))
            return true;
    }
    return false;
}

/* Adds a deadline, in the place of the oldest one when there are too many. */
static __always_inline void add_deadline(const struct exchange_key *key, u64 now)
{
    u32 zero = 0;
    struct deadlines *all = bpf_map_lookup_elem(&dns_deadlines, &zero);
    struct deadline added = {*key, now}, displaced = {};
    bool is_full;

    if (!all)
        return;
    bpf_spin_lock(&all->lock);
    is_full = all->next - all->oldest >= DEADLINES;
    if (is_full) {
        displaced = all->ring[all->oldest % DEADLINES];
        all->oldest += 1;
    }
    all->ring[all->next % DEADLINES] = added;
    all->next += 1;
    bpf_spin_unlock(&all->lock);
    if (is_full)
        give_up(&displaced, is_overdue(displaced.sent_at, now) ? DNS_UNANSWERED_TIMEOUT : DNS_UNANSWERED_DISPLACED);
}

/*
 * What tells apart the same addresses in different network namespaces: a socket is in one. Only a query over TCP
 * that is the first segment of its connection may arrive at the socket that listens for it.
 */
__noinline u64 socket_of(struct __sk_buff *skb, enum dns_role role, enum dns_protocol protocol)
{
    return role == DNS_ROLE_CLIENT || protocol == DNS_PROTOCOL_UDP ? bpf_get_socket_cookie(skb) : 0;
}

static __always_inline struct exchange_key exchange_of(struct __sk_buff *skb, const struct message *message)
{
    struct exchange_key key = {.id = message->id, .protocol = message->protocol, .role = message->role};

    key.socket = socket_of(skb, message->role, message->protocol);
    if (message->sent) {
        packet_destination(skb, &key.remote);
        key.remote_port = message->destination_port;
        key.local_port = message->source_port;
    } else {
        packet_source(skb, &key.remote);
        key.remote_port = message->source_port;
        key.local_port = message->destination_port;
    }
    return key;
}

/* Keeps the name that a message asks for, in memory that is cleared. */
static __always_inline void load_name(struct __sk_buff *skb, const struct message *message, u8 *name)
{
    u32 last = message->name_bytes - 1;

    if (!message->name_bytes)
        return;
    /* For the verifier, which has forgotten the bounds that the compiler remembers: 1 to 256. */
    barrier_var(last);
    last &= 0xff;
    bpf_skb_load_bytes(skb, message->place.begin + sizeof(struct dns_header), name, last + 1);
}

/* Remembers what a query asks for, in case that nobody answers. */
static __always_inline void remember_question(struct __sk_buff *skb, const struct message *message,
                                              const struct exchange_key *exchange)
{
    struct question *question;

    bpf_map_update_elem(&dns_questions, exchange, &no_question, BPF_ANY);
    question = bpf_map_lookup_elem(&dns_questions, exchange);
    if (!question)
        return;
    question->type = message->type;
    load_name(skb, message, question->name);
}

static __always_inline void query(struct __sk_buff *skb, const struct message *message)
{
    struct query_key key = {message->role, message->protocol, message->type};
    struct exchange_key exchange = exchange_of(skb, message);
    struct pending pending = {bpf_ktime_get_ns(), 1}, *before;
    bool is_late;

    count_message(&dns_queries, &key, message);
    sweep(SWEEP_BY_QUERY);
    before = bpf_map_lookup_elem(&dns_pending, &exchange);
    if (before) {
        is_late = is_overdue(before->sent_at, pending.sent_at);
        if (!bpf_map_delete_elem(&dns_pending, &exchange))
            count_unanswered(&exchange, is_late ? DNS_UNANSWERED_TIMEOUT : DNS_UNANSWERED_REPEATED);
    }
    if (bpf_map_update_elem(&dns_pending, &exchange, &pending, BPF_NOEXIST)) {
        count_unanswered(&exchange, DNS_UNANSWERED_UNTRACKED);
        return;
    }
    if (names)
        remember_question(skb, message, &exchange);
    add_deadline(&exchange, pending.sent_at);
}

__noinline int count_latency(enum dns_role role, enum dns_protocol protocol, u64 latency_us)
{
    struct latency_key key = {role, protocol, 0};

    increment_exp2_histogram(&dns_response_latency_seconds, key, latency_us, MAX_LATENCY_SLOT);
    return 0;
}

/* How long the answer took, in microseconds; -1 when nothing was asked. */
static __always_inline s64 answered(struct __sk_buff *skb, const struct message *message)
{
    struct peer_key key = {message->role, message->protocol};
    struct exchange_key exchange = exchange_of(skb, message);
    struct pending *pending;
    u64 now = bpf_ktime_get_ns(), sent_at;

    pending = bpf_map_lookup_elem(&dns_pending, &exchange);
    if (!pending)
        goto unmatched;
    sent_at = pending->sent_at;
    if (bpf_map_delete_elem(&dns_pending, &exchange))
        goto unmatched;
    if (is_overdue(sent_at, now)) {
        count_unanswered(&exchange, DNS_UNANSWERED_TIMEOUT);
        goto unmatched;
    }
    forget_question(&exchange);
    now = now > sent_at ? (now - sent_at) / 1000 : 0;
    count_latency(message->role, message->protocol, now);
    return now;

unmatched:
    increment_map(&dns_unmatched, &key, 1);
    return -1;
}

__noinline int type_of(u32 number)
{
#define DNS_TYPE_CASE(name, number) case number:
    switch (number) {
        DNS_TYPES(DNS_TYPE_CASE)
        return number;
    default:
        return DNS_TYPE_other;
    }
}

/*
 * Bytes of the name in the question, without its last zero; -1 when it is none.
 * It cannot be a pointer to a name before it, because it is the first one.
 */
__noinline int name_bytes(struct __sk_buff *skb, u32 begin, u32 end)
{
    u32 used = 0;
    u8 length;

    for (int i = 0; i <= MAX_LABELS; i++) {
        if (begin + used >= end || bpf_skb_load_bytes(skb, begin + used, &length, 1))
            return -1;
        if (!length)
            return used;
        used += length + 1;
        if (length > MAX_LABEL || used >= MAX_NAME)
            return -1;
    }
    return -1;
}

/* Reads the question; of several, which no one sends, the first. */
static __always_inline bool question(struct __sk_buff *skb, struct message *message, u16 questions)
{
    u32 begin = message->place.begin + sizeof(struct dns_header), end = message->place.end;
    __be16 type_and_class[2];
    int bytes;

    message->type = DNS_TYPE_none;
    message->name_bytes = 0;
    if (!questions)
        return true;
    bytes = name_bytes(skb, begin, end);
    /* The second is for the verifier, which does not know what the function gives. */
    if (bytes < 0 || bytes >= MAX_NAME) {
        count_fault(message, DNS_FAULT_NAME);
        return false;
    }
    begin += bytes + 1;
    if (begin + sizeof(type_and_class) > end ||
        bpf_skb_load_bytes(skb, begin, type_and_class, sizeof(type_and_class))) {
        count_fault(message, DNS_FAULT_QUESTION);
        return false;
    }
    message->name_bytes = bytes;
    message->type = type_of(bpf_ntohs(type_and_class[0]));
    return true;
}

static __always_inline void send_event(struct __sk_buff *skb, const struct message *message, s64 latency)
{
    enum dns_rcode rcode = message->flags & FLAGS_RCODE;
    /* That a name does not exist is an answer; everything else but success says that there is none. */
    bool is_error = rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN;
    struct dns_exchange *event = reserve_event(dns_events, struct dns_exchange, is_error);

    if (!event)
        return;
    event->latency_us = latency > 0 ? latency : 0;
    event->outcome = DNS_OUTCOME_RESPONSE;
    event->role = message->role;
    event->protocol = message->protocol;
    event->rcode = rcode;
    event->question.type = message->type;
    __builtin_memset(event->question.name, 0, sizeof(event->question.name));
    load_name(skb, message, event->question.name);
    bpf_ringbuf_submit(event, 0);
}

/* What goes to the port of servers is a query, what comes from it a response; between two such ports the flag decides. */
__noinline u32 course_of(u32 source_port, u32 destination_port, u32 flags, u32 sent, u32 interface)
{
    bool is_response = flags & FLAG_RESPONSE;
    bool is_to_server = source_port == destination_port ? !is_response : destination_port == dns_port;
    union course course = {};

    course.role = is_to_server == sent ? DNS_ROLE_CLIENT : DNS_ROLE_SERVER;
    course.is_response = is_response;
    course.is_astray = is_response == is_to_server;
    course.is_elsewhere = course.role == DNS_ROLE_SERVER && interface == LOOPBACK_IFINDEX;
    return course.number;
}

static __always_inline void observe_message(struct __sk_buff *skb, struct message *message)
{
    struct response_key key = {};
    struct dns_header header = {};
    u32 bytes = message->place.end - message->place.begin;
    union course course;
    s64 latency;

    if (bytes >= sizeof(header))
        bpf_skb_load_bytes(skb, message->place.begin, &header, sizeof(header));
    message->id = header.id;
    message->flags = bpf_ntohs(header.flags);
    course.number = course_of(message->source_port, message->destination_port, message->flags, message->sent,
                              skb->ifindex);
    if (course.is_elsewhere)
        return;
    message->role = course.role;
    if (bytes < sizeof(header)) {
        count_fault(message, DNS_FAULT_SHORT);
        return;
    }
    if (course.is_astray) {
        count_fault(message, DNS_FAULT_DIRECTION);
        return;
    }
    if (!message->place.is_certain && (header.questions != bpf_htons(1) || message->flags & FLAGS_UNLIKELY))
        return;
    if (!question(skb, message, header.questions))
        return;
    if (!course.is_response) {
        query(skb, message);
        return;
    }
    key.role = message->role;
    key.protocol = message->protocol;
    key.type = message->type;
    key.rcode = message->flags & FLAGS_RCODE;
    count_message(&dns_responses, &key, message);
    latency = answered(skb, message);
    if (names)
        send_event(skb, message, latency);
}

/* Whether a segment was sent before, by what the socket has sent or has got already. */
static __always_inline bool is_again(struct __sk_buff *skb, u32 sequence, bool sent)
{
    struct bpf_sock *socket = skb->sk;
    struct bpf_tcp_sock *tcp;
    u32 next_sent, next_received;

    if (!socket)
        return false;
    socket = bpf_sk_fullsock(socket);
    /* The first segment of a connection may arrive at the socket that listens, which has no numbers. */
    if (!socket || socket->state == BPF_TCP_LISTEN)
        return false;
    tcp = bpf_tcp_sock(socket);
    if (!tcp)
        return false;
    next_sent = tcp->snd_nxt;
    next_received = tcp->rcv_nxt;
    /* For the verifier, which does not know a pointer that may be to either. */
    barrier_var(next_sent);
    barrier_var(next_received);
    return (s32) (sequence - (sent ? next_sent : next_received)) < 0;
}

/* Of the message in a datagram of UDP, nothing when that is not whole. */
__noinline u64 place_in_datagram(struct __sk_buff *skb, u32 transport)
{
    union place place = {};
    __be16 length;
    u32 begin = transport + 8, end = skb->len;

    if (bpf_skb_load_bytes(skb, transport + 4, &length, sizeof(length)))
        return 0;
    if (transport + bpf_ntohs(length) < end)
        end = transport + bpf_ntohs(length);
    if (begin > end)
        return 0;
    place.begin = begin;
    place.end = end;
    place.bytes = end - begin;
    place.is_certain = true;
    place.is_there = true;
    return place.number;
}

/*
 * Over TCP the length of a message stands before it. A message is looked for where a segment begins:
 * senders write length and message at once, and wait for the answer or send the next one by itself.
 * When the segment is not exactly one message, it may be in the midst of a long one, and is taken for
 * the beginning of one only if it looks like that in every way.
 */
__noinline u64 place_in_segment(struct __sk_buff *skb, u32 transport, u32 sent)
{
    union place place = {};
    /* The sequence number, the one that is acknowledged, and the length of the header. */
    __be32 words[3];
    __be16 length;
    u32 begin, end = skb->len;

    if (bpf_skb_load_bytes(skb, transport + 4, words, sizeof(words)))
        return 0;
    begin = transport + (bpf_ntohl(words[2]) >> 28) * 4;
    if (begin + sizeof(length) + sizeof(struct dns_header) > end || is_again(skb, bpf_ntohl(words[0]), sent))
        return 0;
    if (bpf_skb_load_bytes(skb, begin, &length, sizeof(length)))
        return 0;
    begin += sizeof(length);
    place.begin = begin;
    place.end = begin + bpf_ntohs(length) < end ? begin + bpf_ntohs(length) : end;
    place.bytes = bpf_ntohs(length);
    place.is_certain = begin + bpf_ntohs(length) == end;
    place.is_there = bpf_ntohs(length) >= sizeof(struct dns_header);
    return place.number;
}

static __always_inline void observe_packet(struct __sk_buff *skb, bool sent)
{
    struct message message = {.sent = sent};
    int transport = packet_transport(skb);
    u32 at = PACKET_TRANSPORT_AT((u32) transport);
    __be16 ports[2];

    if (transport < 0)
        return;
    message.protocol = PACKET_TRANSPORT_PROTOCOL((u32) transport);
    if (message.protocol != DNS_PROTOCOL_UDP && message.protocol != DNS_PROTOCOL_TCP)
        return;
    if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
        return;
    message.source_port = bpf_ntohs(ports[0]);
    message.destination_port = bpf_ntohs(ports[1]);
    if (message.source_port != dns_port && message.destination_port != dns_port)
        return;
    if (message.protocol == DNS_PROTOCOL_TCP)
        message.place.number = place_in_segment(skb, at, sent);
    else
        message.place.number = place_in_datagram(skb, at);
    if (message.place.is_there)
        observe_message(skb, &message);
}

/* Every packet of the host may be the one behind which overdue queries are found, the scrape's own among them. */
static __always_inline int observe(struct __sk_buff *skb, bool sent)
{
    u64 ticks = bpf_jiffies64();

    observe_packet(skb, sent);
    if (ticks - swept_at >= SWEEP_TICKS && sweep(SWEEP_BY_PACKET))
        swept_at = ticks;
    return 1;
}

SEC("cgroup_skb/egress")
int dns_egress(struct __sk_buff *skb)
{
    return observe(skb, true);
}

SEC("cgroup_skb/ingress")
int dns_ingress(struct __sk_buff *skb)
{
    return observe(skb, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
