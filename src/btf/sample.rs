//! BTF written by hand, for what no compiler writes.

/// Words of types and text of names, in one byte order.
pub(crate) struct Sample {
    big_endian: bool,
    /// Bytes of the strings that it continues.
    shared: usize,
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Sample {
    pub(crate) fn new(big_endian: bool) -> Self {
        Self { big_endian, shared: 0, types: Vec::new(), strings: vec![0] }
    }

    /// One that continues another, as a module's types do the kernel's.
    pub(crate) fn continuing(base: &Self) -> Self {
        Self { shared: base.strings.len(), ..Self::new(base.big_endian) }
    }

    /// The offset of a name.
    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let offset = self.strings.len();
        self.strings.extend(name.bytes().chain([0]));
        (self.shared + offset) as u32
    }

    /// A type with its body; `vlen` may carry the flag in bit 31.
    pub(crate) fn record(
        &mut self,
        name: &str,
        kind: u32,
        vlen: u32,
        size_or_type: u32,
        body: &[u32],
    ) -> &mut Self {
        let name = self.name(name);
        let head = [name, kind << 24 | vlen, size_or_type];
        for word in head.iter().chain(body) {
            let bytes = if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
            self.types.extend(bytes);
        }
        self
    }

    /// An integer with encoding bits.
    pub(crate) fn integer(&mut self, name: &str, size: u32, encoding: u32) -> &mut Self {
        self.record(name, 1, 0, size, &[encoding << 24 | (size * 8)])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let word = |value: u32| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = if self.big_endian { vec![0xeb, 0x9f, 1, 0] } else { vec![0x9f, 0xeb, 1, 0] };
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for value in [24, 0, types, types, strings] {
            bytes.extend(word(value));
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

/// Types as a kernel has them: a function, a tracepoint, an enum, and ways to attach as Linux 5.10 has some.
pub(crate) fn kernel() -> Vec<u8> {
    let mut sample = Sample::new(cfg!(target_endian = "big"));
    sample.integer("int", 4, 1).record("", 13, 0, 1, &[]).record("do_exit", 12, 1, 2, &[]);
    sample.record("", 2, 0, 2, &[]).record("btf_trace_sched_switch", 8, 0, 4, &[]);
    let (hi, timer) = (sample.name("HI_SOFTIRQ"), sample.name("TIMER_SOFTIRQ"));
    sample.record("softirq_vector", 6, 2, 4, &[hi, 0, timer, 1]);
    let (ingress, xdp) = (sample.name("BPF_CGROUP_INET_INGRESS"), sample.name("BPF_XDP"));
    sample.record("bpf_attach_type", 6, 2, 4, &[ingress, 0, xdp, 37]);
    sample.bytes()
}
