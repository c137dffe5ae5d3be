/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What called.c and the programs that count it agree on. */
#ifndef CALLED_H
#define CALLED_H

/* The system call. */
#define FALLOCATE 285

/* Bytes of a datagram, and of a frame on a netkit interface. */
#define PAYLOAD 77
#define IPV4_HEADERS 28
#define FRAME 123

/* The datagrams' receiver. */
#define PORT 7777

/* Servers of connections, and bytes of what is sent over them. */
#define STREAM_PORT 7800
#define STREAM_PORTS 4
#define STREAM 100

/* Congestion controls. */
#define CONTROL "called"
#define CONTROL_BY_LINK "called_link"
#define CONTROL_SLEEPABLE "called_sleeps"

/* IPPROTO_UDP */
#define UDP 17

/* SOCK_RAW */
#define RAW 3

/* Pages that are touched first by called.c. */
#define PAGES_AT 0x5aaa00000000ULL

#endif
