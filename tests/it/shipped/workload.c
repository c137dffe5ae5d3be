#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <linux/sched.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

/* Signals that nobody else sends. */
#define PENDING SIGPWR
#define IGNORED (SIGRTMIN + 7)

static void *sleep_a_little(void *code) { usleep(2000); return NULL; }
static void *exit_all(void *code) { usleep(2000); exit(atoi(code)); }
static void *exec_shell(void *code) { execl("/bin/sh", "sh", "-c", code, NULL); return NULL; }

/* Frames of one length with a protocol above IP that nobody uses, for an interface. */
static void send_frame(char *interface)
{
    static int packets;
    static struct sockaddr_ll to;
    unsigned char frame[114] = {[12] = 0x08, [14] = 0x45, [17] = 100, [22] = 64, [23] = 253, [26] = 127, [30] = 127};

    if (!packets) {
        packets = socket(AF_PACKET, SOCK_RAW, 0);
        to = (struct sockaddr_ll) {.sll_family = AF_PACKET, .sll_protocol = 0x0008, .sll_halen = 6};
        to.sll_ifindex = if_nametoindex(interface);
    }
    if (sendto(packets, frame, sizeof(frame), 0, (void *) &to, sizeof(to)) != sizeof(frame)) {
        perror("sendto");
        exit(1);
    }
}

/* What each of so many times is. */
static void once(char *what, char *code)
{
    pthread_t thread;
    union bpf_attr nothing = {.link_detach = {.link_fd = 100000}};

    if (!strcmp(what, "no-such-call")) {
        syscall(5000);
    } else if (!strcmp(what, "refused-call")) {
        syscall(SYS_remap_file_pages, 1, 1, 1, 1, 1);
    } else if (!strcmp(what, "32-bit-call")) {
#ifdef __x86_64__
        long result;
        asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
#endif
    } else if (!strcmp(what, "bpf-link-detach")) {
        syscall(SYS_bpf, BPF_LINK_DETACH, &nothing, sizeof(nothing));
    } else if (!strcmp(what, "bpf-no-such-command")) {
        syscall(SYS_bpf, 4242, &nothing, sizeof(nothing));
    } else if (!strcmp(what, "frames")) {
        send_frame(code);
    } else if (!strcmp(what, "refused-timer")) {
        syscall(SYS_getitimer, 77, NULL);
    } else if (!strcmp(what, "wait-for-a-signal")) {
        struct timespec time = {.tv_nsec = 10 * 1000 * 1000};
        sigset_t set;
        sigemptyset(&set);
        sigtimedwait(&set, NULL, &time);
    } else if (!strcmp(what, "vfork")) {
        if (!vfork()) {
            struct timespec time = {.tv_nsec = 20 * 1000 * 1000};
            nanosleep(&time, NULL);
            _exit(0);
        }
        wait(NULL);
    } else if (!strcmp(what, "signals")) {
        kill(getpid(), PENDING);
        kill(getpid(), IGNORED);
    } else if (!fork()) {
        if (!strcmp(what, "threads-leave-last")) {
            for (int j = 0; j < 4; j++)
                pthread_create(&thread, NULL, sleep_a_little, NULL);
            pthread_exit(NULL);
        } else if (!strcmp(what, "thread-exits")) {
            pthread_create(&thread, NULL, exit_all, code);
            pthread_exit(NULL);
        } else if (!strcmp(what, "thread-execs")) {
            pthread_create(&thread, NULL, exec_shell, code);
            pause();
        }
        _exit(99);
    } else {
        wait(NULL);
    }
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* What a process of a control group does. */
static void in_group(char *what, int times, char *code)
{
    struct timespec time = {.tv_nsec = 5 * 1000 * 1000};
    uint32_t word = 0;
    char *memory, report[256];
    int file, length;

    if (!strcmp(what, "calls")) {
        for (int i = 0; i < times; i++)
            syscall(SYS_getppid);
        for (int i = 0; i < times / 2; i++)
            syscall(SYS_sched_get_priority_max, -1);
    } else if (!strcmp(what, "sleeps")) {
        for (int i = 0; i < times; i++)
            usleep(1000);
    } else if (!strcmp(what, "spin")) {
        double until = seconds(CLOCK_PROCESS_CPUTIME_ID) + times / 1000.0;
        while (seconds(CLOCK_PROCESS_CPUTIME_ID) < until)
            ;
    } else if (!strcmp(what, "wait-beside-spinners")) {
        pin(0);
        double until = seconds(CLOCK_PROCESS_CPUTIME_ID) + times / 1000.0;
        while (seconds(CLOCK_PROCESS_CPUTIME_ID) < until)
            ;
        file = open("/proc/self/schedstat", O_RDONLY);
        length = read(file, report, sizeof(report));
        length = write(1, report, length);
    } else if (!strcmp(what, "moves")) {
        for (int i = 0; i < times; i++)
            pin(i % 2);
    } else if (!strcmp(what, "futex-waits")) {
        for (int i = 0; i < times; i++)
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
        for (int i = 0; i < times; i++)
            syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    } else if (!strcmp(what, "futex-forever")) {
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    } else if (!strcmp(what, "minor-faults")) {
        memory = mmap(NULL, (size_t) times * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(memory, (size_t) times * PAGE, MADV_NOHUGEPAGE);
        for (int i = 0; i < times; i++)
            ((volatile char *) memory)[(size_t) i * PAGE] = 1;
    } else if (!strcmp(what, "major-faults")) {
        /* The file is on a disk and not in memory: each page has to be read. */
        file = open(code, O_RDONLY);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        memory = mmap(NULL, (size_t) times * PAGE, PROT_READ, MAP_SHARED, file, 0);
        madvise(memory, (size_t) times * PAGE, MADV_RANDOM);
        for (int i = 0; i < times; i++)
            (void) ((volatile char *) memory)[(size_t) i * PAGE];
    } else if (!strcmp(what, "swap")) {
        /* Pages with contents of their own: those that are all zero are not written. */
        memory = mmap(NULL, (size_t) times * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(memory, (size_t) times * PAGE, MADV_NOHUGEPAGE);
        for (size_t i = 0; i < (size_t) times * PAGE; i += sizeof(int))
            *(int *) (memory + i) = i * 2654435761u;
        for (int i = 0; i < times; i++)
            (void) ((volatile char *) memory)[(size_t) i * PAGE];
    } else if (!strcmp(what, "read-file")) {
        static char buffer[64 * 1024];
        file = open(code, O_RDONLY);
        while (read(file, buffer, sizeof(buffer)) > 0)
            ;
    } else if (!strcmp(what, "take-memory")) {
        size_t size = (size_t) times << 20;
        file = open("/proc/self/oom_score_adj", O_WRONLY);
        length = write(file, code, strlen(code));
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(memory, size, MADV_NOHUGEPAGE);
        memset(memory, 1, size);
        length = write(1, "taken\n", 6);
        pause();
    }
}

/*
 * Begins a process in a control group, from its first instruction on, and says
 * what the kernel counted of it: switches, faults, times.
 */
static int begin_in_group(char *group, char *what, int times, char *code)
{
    struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
    double begin = seconds(CLOCK_MONOTONIC);
    struct rusage usage;
    int status;
    long child;

    arguments.cgroup = open(group, O_PATH | O_DIRECTORY);
    /* What the child inherits it does not fault in, or copy, more often than it does. */
    child = syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child < 0) {
        perror("clone3");
        return 1;
    }
    if (!child) {
        in_group(what, times, code);
        syscall(SYS_exit_group, 0);
    }
    if (wait4(child, &status, 0, &usage) != child)
        return 1;
    printf("voluntary=%ld involuntary=%ld minor=%ld major=%ld cpu=%.6f wall=%.6f\n", usage.ru_nvcsw,
           usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt,
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
               + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           seconds(CLOCK_MONOTONIC) - begin);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : 0;
}

int main(int count, char **words)
{
    char *what = words[1], *code = count > 3 ? words[3] : "";
    int times = atoi(words[2]);
    sigset_t set;

    if (count > 4)
        return begin_in_group(words[4], what, times, code);
    if (!strcmp(what, "signals")) {
        sigemptyset(&set);
        sigaddset(&set, PENDING);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(IGNORED, SIG_IGN);
    }
    for (int i = 0; i < times; i++)
        once(what, code);
    return 0;
}
