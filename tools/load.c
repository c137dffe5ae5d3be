/*
 * Does something of everything that the shipped probes look at, each kind in
 * processes of its own, as fast as the CPUs take it:
 *
 *   load <seconds> <folder>     files are made in the folder
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static time_t end;

static int goes_on(void) { return time(NULL) < end; }

static void check(int is_well, const char *what)
{
    if (is_well)
        return;
    perror(what);
    exit(1);
}

/* Programs that start and end, by an exit code and by a signal. */
static void processes(void)
{
    while (goes_on()) {
        pid_t child = fork();

        if (!child) {
            execl("/bin/true", "true", NULL);
            _exit(1);
        }
        waitpid(child, NULL, 0);
        child = fork();
        if (!child) {
            raise(SIGKILL);
            _exit(1);
        }
        waitpid(child, NULL, 0);
    }
}

/* Files that are written, made safe, read again and removed, and some that are not there. */
static void files(void)
{
    static char block[64 * 1024];

    while (goes_on()) {
        int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);

        check(file >= 0, "file");
        for (int i = 0; i < 64; i++)
            check(write(file, block, sizeof(block)) == sizeof(block), "write");
        check(fsync(file) == 0, "fsync");
        for (int i = 0; i < 1024; i++)
            check(pread(file, block, 4096, i * 4096L) == 4096, "pread");
        close(file);
        unlink("file");
        for (int i = 0; i < 64; i++)
            (void) open("nothing", O_RDONLY);
    }
}

static void pipes(void)
{
    char text[512] = "";
    int ends[2];

    check(pipe(ends) == 0, "pipe");
    if (!fork()) {
        close(ends[1]);
        while (read(ends[0], text, sizeof(text)) > 0)
            ;
        _exit(0);
    }
    while (goes_on())
        check(write(ends[1], text, sizeof(text)) == sizeof(text), "write");
}

static struct sockaddr_in at(const char *address, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};

    inet_pton(AF_INET, address, &name.sin_addr);
    return name;
}

/* A socket that is bound to an address; port 0 is any, which is written back. */
static int bound(int kind, struct sockaddr_in *name)
{
    socklen_t size = sizeof(*name);
    int one = 1, socket_ = socket(AF_INET, kind, 0);

    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    check(bind(socket_, (void *) name, size) == 0, "bind");
    getsockname(socket_, (void *) name, &size);
    if (kind == SOCK_STREAM)
        check(listen(socket_, 128) == 0, "listen");
    return socket_;
}

static int connected(const struct sockaddr_in *name)
{
    int client = socket(AF_INET, SOCK_STREAM, 0);

    check(connect(client, (const void *) name, sizeof(*name)) == 0, "connect");
    return client;
}

/* One connection through which as much goes as can. */
static void tcp_stream(void)
{
    static char block[16 * 1024];
    struct sockaddr_in name = at("127.0.0.1", 0);
    int listener = bound(SOCK_STREAM, &name);

    if (!fork()) {
        int server = accept(listener, NULL, NULL);

        while (read(server, block, sizeof(block)) > 0)
            ;
        _exit(0);
    }
    int client = connected(&name);

    while (goes_on())
        check(write(client, block, sizeof(block)) > 0, "write");
}

/* Connections of one question and one answer, and some that are refused. */
static void tcp_connects(void)
{
    struct sockaddr_in name = at("127.0.0.1", 0), nobody = at("127.0.0.1", 1);
    int listener = bound(SOCK_STREAM, &name);
    struct linger now = {.l_onoff = 1};
    char text[64] = "";
    pid_t server = fork();

    if (!server) {
        for (;;) {
            int peer = accept(listener, NULL, NULL);

            if (read(peer, text, sizeof(text)) > 0)
                (void) !write(peer, text, sizeof(text));
            close(peer);
        }
    }
    for (int turn = 0; goes_on(); turn++) {
        int client = connected(&name);

        check(write(client, text, sizeof(text)) > 0, "write");
        (void) !read(client, text, sizeof(text));
        /* A reset takes no port for a minute. */
        setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(client);
        if (turn % 10 == 0) {
            client = socket(AF_INET, SOCK_STREAM, 0);
            (void) !connect(client, (void *) &nobody, sizeof(nobody));
            close(client);
        }
    }
    kill(server, SIGKILL);
}

/* Questions and answers in datagrams, whatever they are. */
static void ask(struct sockaddr_in name, const unsigned char *question, size_t size)
{
    int socket_ = bound(SOCK_DGRAM, &name), client = socket(AF_INET, SOCK_DGRAM, 0);
    struct timeval second = {.tv_sec = 1};
    unsigned char text[512];
    pid_t server = fork();

    if (!server) {
        for (;;) {
            struct sockaddr_in from;
            socklen_t length = sizeof(from);
            ssize_t bytes = recvfrom(socket_, text, sizeof(text), 0, (void *) &from, &length);

            /* Of DNS, what makes it an answer. */
            text[2] |= 0x80;
            sendto(socket_, text, bytes, 0, (void *) &from, length);
        }
    }
    check(connect(client, (void *) &name, sizeof(name)) == 0, "connect");
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
    memcpy(text, question, size);
    for (uint16_t id = 0; goes_on(); id++) {
        memcpy(text, question, size);
        memcpy(text, &id, sizeof(id));
        (void) !send(client, text, size, 0);
        (void) !recv(client, text, sizeof(text), 0);
    }
    kill(server, SIGKILL);
}

static void udp(void)
{
    static const unsigned char question[200];

    ask(at("127.0.0.1", 0), question, sizeof(question));
}

static void dns(void)
{
    static const unsigned char question[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 7, 'e', 'x',
                                             'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1};

    ask(at("127.53.53.53", 53), question, sizeof(question));
}

/* Two threads that wait for each other. */
static uint32_t *whose;

static void take_turns(uint32_t own)
{
    while (goes_on()) {
        struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};

        if (__atomic_load_n(whose, __ATOMIC_ACQUIRE) != own) {
            syscall(SYS_futex, whose, FUTEX_WAIT_PRIVATE, !own, &moment, NULL, 0);
            continue;
        }
        __atomic_store_n(whose, !own, __ATOMIC_RELEASE);
        syscall(SYS_futex, whose, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void *second(void *nothing)
{
    take_turns(1);
    return nothing;
}

static void threads(void)
{
    static uint32_t word;
    pthread_t thread;

    whose = &word;
    check(pthread_create(&thread, NULL, second, NULL) == 0, "pthread_create");
    take_turns(0);
    pthread_join(thread, NULL);
}

/* Memory that is new, and that nobody wants any more. */
static void memory(void)
{
    const size_t size = 8 << 20;

    while (goes_on()) {
        char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        check(pages != MAP_FAILED, "mmap");
        madvise(pages, size, MADV_NOHUGEPAGE);
        for (size_t at = 0; at < size; at += 4096)
            pages[at] = 1;
        munmap(pages, size);
    }
}

int main(int count, char **words)
{
    void (*kinds[])(void) = {processes, files, pipes, tcp_stream, tcp_connects, udp, dns, threads, memory};
    int status, failed = 0;

    if (count != 3 || chdir(words[2]))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    end = time(NULL) + atoi(words[1]);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (!fork()) {
            kinds[i]();
            exit(0);
        }
    }
    while (wait(&status) > 0)
        failed |= status;
    return failed ? 1 : 0;
}
