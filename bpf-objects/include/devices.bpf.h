/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers of devices. */
#ifndef BPFTALLY_DEVICES_BPF_H
#define BPFTALLY_DEVICES_BPF_H

/* As user space encodes them, which is what the decoder majorminor takes. */
static __always_inline u32 user_device(u32 major, u32 minor)
{
    return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

/* The same of the kernel's own encoding (dev_t). */
static __always_inline u32 user_device_of(u32 device)
{
    return user_device(device >> 20, device & 0xfffff);
}

#endif
